# SPDX-License-Identifier: Apache-2.0
"""Run a lab with one seed after the other until it fails.

Seeds are begun in their order. What is found are the lowest seeds that fail,
as many as were asked for, whatever the number of jobs: see
`windtunnel.engine.trials`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from windtunnel.engine.failure import Failure
from windtunnel.engine.hostclock import monotonic_host_s
from windtunnel.engine.session import REPEAT, repeat_command
from windtunnel.engine.trials import Trial, TrialsRequest, Tried, run_trials, trials_folder
from windtunnel.engine.world import WorldOptions
from windtunnel.errors import WindtunnelError
from windtunnel.model.lab import LabSpec
from windtunnel.store.run_dir import keep_run


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What to search.

    Attributes:
        name: of the lab.
        lab: gives the lab for a seed.
        seeds: in their order, ascending.
        options: how to run it.
        base: the folder of all runs.
        jobs: how many runs at the same time.
        stop_after: so many failures are enough.
    """

    name: str
    lab: Callable[[int], LabSpec]
    seeds: range
    options: WorldOptions
    base: Path
    jobs: int = 1
    stop_after: int = 1


@dataclass(frozen=True, slots=True)
class Found:
    """A seed that fails.

    Attributes:
        seed: it.
        path: the folder of its run.
        failure: in what way it failed.
        end_ns: lab time of its end; None when an error ended it.
        repeat: the command that repeats it.
    """

    seed: int
    path: Path
    failure: Failure
    end_ns: int | None
    repeat: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What came of a search.

    Attributes:
        tried: how many seeds were run to their end, up to the last failure that counts.
        found: the seeds that fail, in their order.
        wall_host_s: what it took.
        cut_short: what ended it before its time: Ctrl-C or an error.
    """

    tried: int
    found: tuple[Found, ...]
    wall_host_s: float
    cut_short: KeyboardInterrupt | WindtunnelError | None = None


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """How far a search has come.

    Attributes:
        done: how many runs have ended.
        failed: how many of them failed.
        wall_host_s: since it began.
    """

    done: int
    failed: int
    wall_host_s: float


def search(
    request: SearchRequest, *, progress: Callable[[SearchProgress], None] = lambda _progress: None
) -> SearchResult:
    """Run seeds until enough have failed.

    Args:
        request: what to run.
        progress: called every now and then.

    Raises:
        HostError: there is no place for the runs.
    """
    began_host_s = monotonic_host_s()
    ended: dict[int, Tried] = {}
    trials = (Trial(seed, partial(request.lab, seed)) for seed in request.seeds)
    cut_short: KeyboardInterrupt | WindtunnelError | None = None

    def beat() -> None:
        failed = sum(1 for tried in ended.values() if tried.failure is not None)
        progress(SearchProgress(len(ended), failed, monotonic_host_s() - began_host_s))

    with trials_folder(request.base, request.name) as folder:
        how = TrialsRequest(
            request.options,
            folder,
            request.jobs,
            fails=lambda tried: tried.failure is not None,
            enough=request.stop_after,
        )
        try:
            tried = run_trials(
                trials, how, ended=lambda one: ended.update({one.number: one}), beat=beat
            )
        except (KeyboardInterrupt, WindtunnelError) as error:
            cut_short = error
            tried = tuple(ended[number] for number in sorted(ended))
        failed = [one for one in tried if one.failure is not None and one.path.is_dir()]
        found = tuple(_keep(one, request) for one in failed[: request.stop_after])
    return SearchResult(len(tried), found, monotonic_host_s() - began_host_s, cut_short)


def _keep(tried: Tried, request: SearchRequest) -> Found:
    assert tried.failure is not None, "only failures are kept"
    path = keep_run(tried.path, request.base, lab=request.name, repeat=REPEAT)
    return Found(tried.number, path, tried.failure, tried.end_ns, repeat_command(path))
