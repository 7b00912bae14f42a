# SPDX-License-Identifier: Apache-2.0
"""What tasks of a guest print to its kernel's log comes back as theirs."""

from __future__ import annotations

import re

import small_labs
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.logs.printk import Confidence, Line
from windtunnel.model.lab import ProcessSpec
from windtunnel.store.kernel_log import kernel_logs

WRITERS = 6
LINES = 20
SHOWN = re.compile(r"(\w+) line (\d+): a\2 b\2 end\2")
# The console shows errors and worse. A record without newline is shown when the next one comes.
SCRIPT = (
    "echo on > /proc/sys/kernel/printk_devkmsg; "
    f"for i in $(seq {LINES}); do "
    "printf '<3>%s line %s: a%s b%s end%s' NAME $i $i $i $i > /dev/kmsg; sleep 0.01; done"
)


def writer(name):
    return ProcessSpec(name, "a" if name < "w3" else "b", SCRIPT.replace("NAME", name))


def logs_of(kernel_path, output, **options):
    processes = [writer(f"w{number}") for number in range(WRITERS)]
    processes.append(
        ProcessSpec("last", "b", "printf '<3>last' > /dev/kmsg", start_ns=small_labs.SECOND_NS)
    )
    processes.append(
        ProcessSpec(
            "after", "b", "printf '<3>after' > /dev/kmsg", start_ns=small_labs.SECOND_NS * 3 // 2
        )
    )
    spec = small_labs.pair(processes=processes)
    run = run_session(
        SessionRequest(spec, small_labs.options(kernel_path), output=output, **options)
    ).path
    ((console, log),) = kernel_logs(run)
    return log, console.path.read_bytes()


def test_every_line_is_whole_and_has_the_task_that_wrote_it(kernel_path, tmp_path):
    log, console = logs_of(kernel_path, tmp_path / "one")
    ours = [
        (entry, match)
        for entry in log.entries
        if isinstance(entry, Line) and (match := SHOWN.fullmatch(entry.text))
    ]
    assert len(ours) == WRITERS * LINES
    assert {entry.confidence for entry, _ in ours} == {Confidence.SURE}
    tasks = {}
    for entry, match in ours:
        tasks.setdefault(match[1], set()).add(entry.owner)
        assert entry.owner_name == f"{'a' if match[1] < 'w3' else 'b'}/{match[1]}"
    assert sorted(tasks) == [f"w{number}" for number in range(WRITERS)]
    assert all(len(owners) == 1 for owners in tasks.values())
    assert log.reports == ()
    again, same = logs_of(kernel_path, tmp_path / "two")
    assert (again, same) == (log, console)
