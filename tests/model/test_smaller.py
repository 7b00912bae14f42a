# SPDX-License-Identifier: Apache-2.0
"""Smaller labs are still labs."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from small_labs import SECOND_NS, pair
from windtunnel.model.check import find_problems
from windtunnel.model.fault import Fault, LinkCut, NodePause, ProcessAction, ProcessFault
from windtunnel.model.lab import Command, ProcessSpec, Step
from windtunnel.model.smaller import ending_at, with_fault_lasting, with_faults

FAULTS = (
    Fault(1 * SECOND_NS, "cut", LinkCut("a-b"), SECOND_NS),
    Fault(2 * SECOND_NS, "pause", NodePause("a"), SECOND_NS),
    Fault(3 * SECOND_NS, "kill", ProcessFault("b", "late", ProcessAction.KILL), SECOND_NS),
)
WHOLE = replace(
    pair(
        stop_ns=5 * SECOND_NS,
        processes=(ProcessSpec("late", "b", "sleep 9", start_ns=2 * SECOND_NS),),
        steps=tuple(Step(n * SECOND_NS, f"step {n}", Command("a", "true")) for n in range(5)),
    ),
    faults=FAULTS,
)


@given(kept=st.sets(st.integers(0, 2)), for_ns=st.integers(1, SECOND_NS), stop_ns=st.integers(1, 5))
def test_any_smaller_lab_is_a_lab(kept, for_ns, stop_ns):
    assert list(find_problems(WHOLE)) == []
    spec = with_faults(WHOLE, kept)
    assert [fault.name for fault in spec.faults] == [FAULTS[index].name for index in sorted(kept)]
    for index in range(len(spec.faults)):
        spec = with_fault_lasting(spec, index, for_ns)
    assert {fault.for_ns for fault in spec.faults} <= {for_ns}
    spec = ending_at(spec, stop_ns * SECOND_NS)
    assert list(find_problems(spec)) == []
    assert spec.stop_ns == stop_ns * SECOND_NS


def test_what_begins_after_the_new_end_is_gone():
    spec = ending_at(WHOLE, 2 * SECOND_NS - 1)
    assert [step.name for step in spec.steps] == ["step 0", "step 1"]
    assert [fault.name for fault in spec.faults] == ["cut"]
    assert spec.processes == ()
    assert ending_at(WHOLE, 2 * SECOND_NS).processes == WHOLE.processes
