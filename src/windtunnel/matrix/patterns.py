# SPDX-License-Identifier: Apache-2.0
"""Filters as bits, so that a walk along a name knows which of them match.

Each distinct run of labels of all filters together has as many bits as labels.
A name is read label by label, and two whole numbers say what has been seen:
`reached` has a bit for each label of a run which the last labels of the name
spell from the run's beginning (this is the Shift-And algorithm), and `found`
has the last bit of each run that occurred anywhere. All filters are then
questions about `found`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from windtunnel.matrix.syntax import Filter, Label, Run

TRUE = -1
FALSE = 0


class Test:
    """A filter, compiled.

    Attributes:
        masks: for each alternative the last bits of its runs.
        runs: all of these bits.
        source: the filter that it was.
    """

    __slots__ = ("masks", "runs", "source")

    def __init__(self, masks: tuple[int, ...], source: Filter) -> None:
        self.masks = masks
        self.source = source
        self.runs = 0
        for mask in masks:
            self.runs |= mask

    def holds(self, found: int) -> bool:
        """Whether the filter matches a name in which these runs occur."""
        return any(found & mask == mask for mask in self.masks)

    def outlook(self, found: int, possible: int) -> int:
        """What can still become of it.

        Args:
            found: the runs that occurred.
            possible: these, and those that still can.

        Returns:
            `TRUE` or `FALSE` when the rest of the name does not matter, else the
            runs that do.
        """
        runs = 0
        for mask in self.masks:
            if found & mask == mask:
                return TRUE
            if possible & mask == mask:
                runs |= mask
        return runs


class Patterns:
    """The runs of all filters, and what a label does to them."""

    def __init__(self) -> None:
        self._runs: dict[Run, int] = {}
        self._tests: dict[tuple[tuple[Run, ...], ...], Test] = {}
        self._by_value: defaultdict[str, list[tuple[Label, int]]] = defaultdict(list)
        self._masks: dict[Label, int] = {}
        self.starts = 0
        self.ends = 0
        self._size = 0

    def test(self, source: Filter) -> Test:
        """Compile a filter. All filters come before the first call of `mask`."""
        known = self._tests.get(source.alternatives)
        if known is None:
            masks = []
            for runs in source.alternatives:
                mask = 0
                for run in runs:
                    mask |= self._run(run)
                masks.append(mask)
            known = self._tests[source.alternatives] = Test(tuple(masks), source)
        return known

    def _run(self, run: Run) -> int:
        end = self._runs.get(run)
        if end is None:
            first = 1 << self._size
            for label in run:
                self._by_value[label.value].append((label, 1 << self._size))
                self._size += 1
            end = 1 << (self._size - 1)
            self.starts |= first
            self.ends |= end
            self._runs[run] = end
        return end

    def mask(self, label: Label) -> int:
        """The bits of all labels in filters that stand for a label of a name."""
        mask = self._masks.get(label)
        if mask is None:
            mask = 0
            for one, bit in self._by_value.get(label.value, ()):
                if one.matches(label):
                    mask |= bit
            self._masks[label] = mask
        return mask

    def step(self, masks: Iterable[int], found: int, reached: int) -> tuple[int, int]:
        """Read labels, given as masks: what is found and reached after them."""
        for mask in masks:
            if mask:
                reached = ((reached << 1) | self.starts) & mask
                found |= reached & self.ends
            else:
                reached = 0
        return found, reached

    def whole_runs(self, bits: int) -> int:
        """Those runs, as last bits, of which all labels are among `bits`."""
        reached = self.starts & bits
        whole = 0
        while reached:
            whole |= reached & self.ends
            reached = (reached << 1) & bits & ~self.starts
        return whole

    def unfinished(self, reached: int, bits: int) -> tuple[int, int]:
        """Those runs that have begun, but not ended, and can end with the labels `bits`.

        Returns:
            Their last bits, and the bits that they have reached.
        """
        begun = reached & ~self.ends
        ends = kept = 0
        while begun:
            bit = begun & -begun
            begun ^= bit
            end = bit
            while end & self.ends == 0:
                end <<= 1
            rest = (end << 1) - (bit << 1)
            if bits & rest == rest:
                ends |= end
                kept |= bit
        return ends, kept

    def reached_by(self, begun: int, ends: int) -> int:
        """Of runs that have begun, those bits whose run ends in one of `ends`."""
        kept = 0
        while begun:
            bit = begun & -begun
            begun ^= bit
            end = bit
            while end & self.ends == 0:
                end <<= 1
            if end & ends:
                kept |= bit
        return kept
