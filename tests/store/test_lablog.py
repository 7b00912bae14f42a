# SPDX-License-Identifier: Apache-2.0
"""What kernels logged while a lab ran, and whether two runs logged the same."""

from __future__ import annotations

import pytest

from recorded_runs import record
from windtunnel.store.compare import compare_runs, digest_run
from windtunnel.store.lablog import first_log_difference, lab_log

BOOT = "[    0.000000][    T0] Linux version 6.12\n[    9.999999] found the host's something\n"
IN_LAB = "[   10.000002][   T12] eth0: link up\n  a line of it\n"
AFTER = "[   99.000000][    T1] reboot: Power down\n"


@pytest.fixture
def runs(tmp_path):
    return [record(tmp_path) for _ in range(2)]


def write(run, text):
    (run / "console.log").write_text(text)


def test_only_what_is_logged_in_the_lab_is_compared(runs):
    write(runs[0], BOOT + IN_LAB + AFTER)
    write(runs[1], "[    0.1] another host\n" + IN_LAB)
    assert [(line.number, line.time_ns, line.text) for line in lab_log(runs[0])] == [
        (3, 2000, "[   10.000002][   T12] eth0: link up"),
        (4, 2000, "  a line of it"),
    ]
    assert first_log_difference(*runs) is None
    assert compare_runs(*runs) is None
    assert digest_run(runs[0]) == digest_run(runs[1])


@pytest.mark.parametrize(
    "other",
    [
        IN_LAB.replace("up", "down"),
        IN_LAB.replace("000002", "000003"),
        IN_LAB + "[   10.000009] more\n",
        "",
    ],
)
def test_another_text_another_time_and_one_line_more_are_differences(runs, other):
    write(runs[0], BOOT + IN_LAB)
    write(runs[1], BOOT + other)
    found = compare_runs(*runs)
    assert found is not None
    assert found.file == "console.log"
    assert found.time_ns in (2000, 9000)
    assert [event.kind for event in found.before][-1] == "sched"
    assert digest_run(runs[0]) != digest_run(runs[1])
    assert compare_runs(*runs, logs=False) is None


def test_addresses_of_the_kernel_s_memory_are_not_compared(runs):
    write(runs[0], BOOT + "[   10.500000] at 00000000deadbeef and 0xffff888012345678\n")
    write(runs[1], BOOT + "[   10.500000] at 00000000cafef00d and 0xffff888087654321\n")
    assert compare_runs(*runs) is None
    write(runs[1], BOOT + "[   10.500000] at 00000000cafef00d and 0xffff88808765432 bytes\n")
    assert compare_runs(*runs) is not None


def test_a_cut_last_line_is_left_out(runs):
    write(runs[0], BOOT + IN_LAB)
    write(runs[1], BOOT + IN_LAB + "[   10.900000] cu")
    assert compare_runs(*runs) is None
