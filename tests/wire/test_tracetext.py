# SPDX-License-Identifier: Apache-2.0
"""Events of a trace as text; `trace-cmd report` of real runs is in tests/ui."""

from __future__ import annotations

import pytest

from windtunnel.model.event import Event
from windtunnel.wire.tracetext import people_line, trace_cmd_line


def syscall(kind, **fields):
    more = {"common_pid": 45, "task": "sh"}
    return Event(1_500_000_000, 0, kind, "a", {**fields, **more}, "", "trace")


ENTER = syscall("sys_enter", id=257, args=[2**64 - 100, 0x7FFE0000, 0, 0, 0, 0], syscall="openat")


def test_a_syscall_is_a_call_for_people_and_a_number_for_other_programs():
    assert people_line(ENTER).endswith("sys_enter: openat(ffffffffffffff9c, 7ffe0000, 0, 0, 0, 0)")
    assert trace_cmd_line(ENTER, 0).endswith(
        "[000]      1.500000000: sys_enter:            "
        "NR 257 (ffffffffffffff9c, 7ffe0000, 0, 0, 0, 0)"
    )


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (3, "read = 3"),
        (-2, "read = -2 (ENOENT)"),
        (-512, "read = -512 (restarted)"),
        (0x7F00_0000_0000, "read = 0x7f0000000000"),
        (-(2**40), "read = -0x10000000000"),
    ],
)
def test_what_a_syscall_gives_is_a_number_an_error_or_an_address(result, text):
    event = syscall("sys_exit", id=0, ret=result, syscall="read")
    assert people_line(event).endswith(f"sys_exit: {text}")
    assert trace_cmd_line(event, 0).endswith(f"NR 0 = {result}")
