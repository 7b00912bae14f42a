# SPDX-License-Identifier: Apache-2.0
"""Labs made smaller: fewer faults, shorter ones, an earlier end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from windtunnel.model.lab import LabSpec


def with_faults(spec: LabSpec, kept: Collection[int]) -> LabSpec:
    """Leave out all faults but some.

    Args:
        spec: the lab.
        kept: the indices of the faults that stay.
    """
    faults = tuple(fault for index, fault in enumerate(spec.faults) if index in kept)
    return replace(spec, faults=faults)


def with_fault_lasting(spec: LabSpec, index: int, for_ns: int) -> LabSpec:
    """Let one fault last another time.

    Args:
        spec: the lab.
        index: of the fault.
        for_ns: how long it lasts, more than 0.
    """
    faults = list(spec.faults)
    faults[index] = replace(faults[index], for_ns=for_ns)
    return replace(spec, faults=tuple(faults))


def ending_at(spec: LabSpec, stop_ns: int) -> LabSpec:
    """Let a lab end earlier; what would begin after its end is left out.

    Args:
        spec: the lab.
        stop_ns: its new end, lab time.
    """
    return replace(
        spec,
        stop_ns=stop_ns,
        processes=tuple(one for one in spec.processes if one.start_ns <= stop_ns),
        steps=tuple(one for one in spec.steps if one.at_ns <= stop_ns),
        faults=tuple(one for one in spec.faults if one.at_ns <= stop_ns),
    )
