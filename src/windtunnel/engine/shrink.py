# SPDX-License-Identifier: Apache-2.0
"""Shrink a failure: the fewest faults, the shortest ones and the earliest end that still fail.

Each candidate is a run. It fails in the same way when its `Failure` is equal to
that of the original. What is left is run once more and kept, with its lab.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from windtunnel.engine.failure import Failure
from windtunnel.engine.session import REPEAT, repeat_command
from windtunnel.engine.trials import Trial, TrialsRequest, Tried, run_trials, trials_folder
from windtunnel.engine.world import WorldOptions
from windtunnel.model.check import find_problems
from windtunnel.model.lab import LabSpec
from windtunnel.model.smaller import ending_at, with_fault_lasting, with_faults
from windtunnel.sim.shrink import fewest, least, readable_grain
from windtunnel.store.run_dir import keep_run

TRIALS_MAX = 200
"""How many candidates are tried when nobody says otherwise."""

_DURATION_PARTS = 10  # a fault's duration is found but for a tenth; each step costs runs

Answer = TypeVar("Answer")
Candidate = TypeVar("Candidate")


@dataclass(frozen=True, slots=True)
class ShrinkRequest:
    """What to shrink.

    Attributes:
        spec: the lab that fails, with its seed; its faults are a plain list.
        failure: in what way it fails.
        end_ns: lab time of its end; None when an error ended it.
        options: how to run candidates.
        base: the folder of all runs.
        jobs: how many runs at the same time.
        trials_max: how many candidates may be tried; the first and the last run,
            which repeat the failure, are not counted.
    """

    spec: LabSpec
    failure: Failure
    end_ns: int | None
    options: WorldOptions
    base: Path
    jobs: int = 1
    trials_max: int = TRIALS_MAX


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What a failure was shrunk to.

    Attributes:
        spec: the smaller lab; the original one when it does not repeat.
        trials: how many candidates were tried.
        complete: whether no single fault can be left out; False when the limit
            came first.
        path: the folder of its run; None when it does not repeat.
        repeat: the command that repeats it; empty when it does not repeat.
        lapsed: how a run ended that should have failed as the original did; empty
            when it repeats.
    """

    spec: LabSpec
    trials: int
    complete: bool
    path: Path | None = None
    repeat: str = ""
    lapsed: str = ""


@dataclass(frozen=True, slots=True)
class ShrinkProgress:
    """How far it has come.

    Attributes:
        doing: what is being tried.
        trials: how many candidates have been tried.
        faults: how many are left.
        stop_ns: the end of the lab; None when it has none yet.
    """

    doing: str
    trials: int
    faults: int
    stop_ns: int | None


def shrink(
    request: ShrinkRequest, *, progress: Callable[[ShrinkProgress], None] = lambda _progress: None
) -> Shrunk:
    """Make a failing lab smaller.

    Args:
        request: which, and how.
        progress: called every now and then.

    Raises:
        HostError: there is no place for the runs.
        WindtunnelError: as `run_trials`.
    """
    with trials_folder(request.base, request.spec.name) as folder:
        return _Shrinking(request, folder, progress).run()


class _Shrinking:
    def __init__(
        self, request: ShrinkRequest, folder: Path, progress: Callable[[ShrinkProgress], None]
    ) -> None:
        self._request = request
        self._folder = folder
        self._progress = progress
        # Soon it is another lab than the one of this text.
        self._spec = replace(request.spec, source="")
        self._trials = 0
        self._complete = True
        self._batches = 0
        self._doing = ""

    def run(self) -> Shrunk:
        self._doing = "the failure again"
        again = self._once()
        if not self._same(again):
            return Shrunk(self._spec, 0, complete=False, lapsed=_lapsed(again))
        self._fewer_faults()
        self._shorter_faults()
        self._earlier_end()
        self._doing = "what is left"
        last = self._once()
        if not self._same(last):
            # Its equal failed as a candidate: the host must have had a hand in it.
            return Shrunk(self._request.spec, self._trials, complete=False, lapsed=_lapsed(last))
        path = keep_run(last.path, self._request.base, lab=self._spec.name, repeat=REPEAT)
        return Shrunk(self._spec, self._trials, self._complete, path, repeat_command(path))

    # ---- what is tried ----

    def _fewer_faults(self) -> None:
        whole = self._spec
        self._doing = "fewer faults"
        asking = fewest(len(whole.faults), limit=self._left)
        found = self._ask(asking, lambda kept: with_faults(whole, kept))
        self._trials += found.trials
        self._complete = found.complete
        self._spec = with_faults(whole, found.kept)

    def _shorter_faults(self) -> None:
        self._doing = "shorter faults"
        for index, fault in enumerate(self._spec.faults):
            if fault.for_ns is None:
                continue
            asking = least(
                0,
                fault.for_ns,
                grain=readable_grain(fault.for_ns * _DURATION_PARTS),
                limit=self._left,
            )
            lasting = partial(with_fault_lasting, self._spec, index)
            found = self._ask(asking, lasting)
            self._trials += found.trials
            self._spec = lasting(found.value)

    def _earlier_end(self) -> None:
        whole = self._spec
        end_ns = self._request.end_ns if whole.stop_ns is None else whole.stop_ns
        if end_ns is None:
            return
        self._doing = "an earlier end"
        begins = [0, *(fault.at_ns for fault in whole.faults)]
        asking = least(max(begins), end_ns, grain=readable_grain(end_ns), limit=self._left)
        found = self._ask(asking, partial(ending_at, whole))
        self._trials += found.trials
        if found.value < end_ns:
            self._spec = ending_at(whole, found.value)

    @property
    def _left(self) -> int:
        return self._request.trials_max - self._trials

    # ---- how it is tried ----

    def _ask(
        self,
        asking: Generator[tuple[Candidate, ...], int | None, Answer],
        smaller: Callable[[Candidate], LabSpec],
    ) -> Answer:
        answer: int | None = None
        while True:
            try:
                batch = asking.send(answer)
            except StopIteration as end:
                result: Answer = end.value
                return result
            answer = self._first_that_fails([smaller(candidate) for candidate in batch])

    def _first_that_fails(self, specs: list[LabSpec]) -> int | None:
        # What is no lab any more, such as a flap that is too short, does not fail.
        trials = [
            Trial(number, lambda spec=spec: spec)  # type: ignore[misc]
            for number, spec in enumerate(specs)
            if not list(find_problems(spec))
        ]
        tried = self._try(trials)
        return tried[-1].number if tried and self._same(tried[-1]) else None

    def _once(self) -> Tried:
        return self._try([Trial(0, lambda: self._spec)], keep=True)[0]

    def _try(self, trials: list[Trial], *, keep: bool = False) -> tuple[Tried, ...]:
        self._batches += 1
        folder = self._folder / f"batch-{self._batches}"
        folder.mkdir()
        request = self._request
        how = TrialsRequest(
            request.options, folder, request.jobs, fails=lambda tried: keep or self._same(tried)
        )
        self._beat()
        return run_trials(trials, how, beat=self._beat)

    def _same(self, tried: Tried) -> bool:
        return tried.failure == self._request.failure

    def _beat(self) -> None:
        spec = self._spec
        self._progress(ShrinkProgress(self._doing, self._trials, len(spec.faults), spec.stop_ns))


def _lapsed(tried: Tried) -> str:
    return "it passed" if tried.failure is None else f"what failed was: {tried.failure}"
