# SPDX-License-Identifier: Apache-2.0
"""Seeds that fail are found in their order, and shrunk to what their failure needs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from small_labs import SECOND_NS, options, pair
from windtunnel.engine.failure import Failure
from windtunnel.engine.replay import ReplayRequest, replay
from windtunnel.engine.search import SearchRequest, search
from windtunnel.engine.shrink import ShrinkRequest, shrink
from windtunnel.engine.trials import trials_folder
from windtunnel.errors import ExitStatus, HostError
from windtunnel.model.fault import Fault, LinkCut, LinkFlap, NodePause, Partition
from windtunnel.model.lab import Command, Step
from windtunnel.model.load import flat_spec
from windtunnel.store.run_reader import RunReader, list_runs

FAILING = {3, 4, 7}
PING = "ping -n -q -c 4 -i 0.1 -W 0.3 10.0.0.2"


def lab(seed):
    """Fails with some seeds; with 3, only after a good deal of work."""
    work = "for i in $(seq 400); do /bin/true; done; " if seed == 3 else ""
    verdict = f"{work}exit {int(seed in FAILING)}"
    return pair(seed=seed, stop_ns=SECOND_NS, steps=(Step(0, "luck", Command("a", verdict)),))


def request(kernel_path, base, *, jobs, seeds=range(1, 10), stop_after=1):
    return SearchRequest("pair", lab, seeds, options(kernel_path), base, jobs, stop_after)


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_the_lowest_seeds_are_found_whoever_ends_first(kernel_path, tmp_path, jobs):
    result = search(request(kernel_path, tmp_path, jobs=jobs, stop_after=2))
    assert [one.seed for one in result.found] == [3, 4]
    assert [one.path.name for one in result.found] == ["0001", "0002"]
    assert (result.tried, result.cut_short) == (4, None)
    assert result.found[0].failure == Failure(("luck",))
    assert [run.name for run in list_runs(tmp_path)] == ["0001", "0002"]
    assert sorted(path.name for path in (tmp_path / "pair").iterdir()) == [
        "0001",
        "0002",
        "latest",
    ]


def test_a_run_that_is_kept_can_be_repeated(kernel_path, tmp_path):
    (found,) = search(request(kernel_path, tmp_path, jobs=2)).found
    manifest = RunReader(found.path).manifest
    assert (manifest["seed"], manifest["state"]) == (3, "failed")
    assert found.repeat == f"windtunnel replay {found.path}"
    again = replay(ReplayRequest(found.path, base=tmp_path))
    assert (again.difference, again.session.state) == (None, "failed")


def test_when_no_seed_fails_all_are_tried_and_nothing_is_kept(kernel_path, tmp_path):
    seen = []
    result = search(
        request(kernel_path, tmp_path / "runs", jobs=2, seeds=range(8, 11)), progress=seen.append
    )
    assert (result.tried, result.found) == (3, ())
    assert (seen[-1].done, seen[-1].failed) == (3, 0)
    assert not (tmp_path / "runs").exists()


def test_what_the_machine_lacks_ends_the_search_and_what_was_found_stays(kernel_path, tmp_path):
    whole = request(kernel_path, tmp_path, jobs=1, stop_after=9)

    def lab_or_error(seed):
        if seed == 5:
            raise HostError("no luck today", hint="buy some")
        return lab(seed)

    result = search(replace(whole, lab=lab_or_error))
    assert [one.seed for one in result.found] == [3, 4]
    assert result.cut_short.message == "no luck today"
    assert result.cut_short.exit_status == ExitStatus.HOST


def test_ctrl_c_keeps_what_was_found_and_leaves_nothing_else(kernel_path, tmp_path):
    def press(progress):
        if progress.failed:
            raise KeyboardInterrupt

    result = search(request(kernel_path, tmp_path, jobs=2, stop_after=9), progress=press)
    assert isinstance(result.cut_short, KeyboardInterrupt)
    assert {one.seed for one in result.found} <= FAILING
    assert len(result.found) >= 1
    assert not list((tmp_path / "pair").glob("search-*"))


# ---- shrinking ----

CUT = LinkCut("a-b")


def at(seconds, action, lasts):
    return Fault(round(seconds * SECOND_NS), f"at {seconds}", action, round(lasts * SECOND_NS))


def breaking():
    """A ping at 4 s needs the link; of five faults, one is in its way. It stops at 9 s."""
    faults = (
        at(1, NodePause("a"), 0.5),
        at(2, CUT, 0.7),
        at(3, LinkFlap("a-b", SECOND_NS // 4, SECOND_NS // 4), 0.5),
        at(3.5, Partition((("b",),)), 3),
        at(5, CUT, 1),
    )
    steps = (
        Step(SECOND_NS // 2, "early", Command("a", PING)),
        Step(4 * SECOND_NS, "reached", Command("a", PING)),
        Step(8 * SECOND_NS, "late", Command("a", PING)),
    )
    return replace(pair(stop_ns=9 * SECOND_NS, steps=steps), faults=faults)


def shrink_request(spec, kernel_path, base, **changes):
    return ShrinkRequest(
        spec, Failure(("reached",)), 9 * SECOND_NS, options(kernel_path), base, **changes
    )


@pytest.fixture(scope="module")
def shrunk(kernel_path, tmp_path_factory):
    """The same failure, shrunk by one job and by two."""
    return [
        shrink(shrink_request(breaking(), kernel_path, tmp_path_factory.mktemp("runs"), jobs=jobs))
        for jobs in (1, 2)
    ]


def test_a_failure_is_shrunk_to_its_cause(shrunk):
    spec = shrunk[0].spec
    assert [fault.name for fault in spec.faults] == ["at 3.5"]
    # The ping waits until 4.6 s; a partition until then is long enough, and the rest is not needed.
    assert SECOND_NS // 2 < spec.faults[0].for_ns <= 1.2 * SECOND_NS
    assert 4 * SECOND_NS < spec.stop_ns < 5 * SECOND_NS
    assert [step.name for step in spec.steps] == ["early", "reached"]
    assert shrunk[0].complete
    assert 5 < shrunk[0].trials < 40


def test_the_number_of_jobs_changes_nothing(shrunk):
    one, two = shrunk
    assert one.spec == two.spec
    assert one.trials == two.trials
    assert (one.path.name, two.path.name) == ("0001", "0001")
    assert RunReader(one.path).lab_text == RunReader(two.path).lab_text


def test_what_is_left_is_kept_with_a_lab_that_fails_again(shrunk, tmp_path):
    kept = shrunk[0]
    text = RunReader(kept.path).lab_text
    assert flat_spec(text, file="lab.yaml") == kept.spec
    again = replay(ReplayRequest(kept.path, base=tmp_path))
    assert (again.difference, again.session.state) == (None, "failed")
    assert sorted(path.name for path in kept.path.parent.iterdir()) == ["0001", "latest"]


def test_at_the_limit_the_smallest_so_far_is_kept(kernel_path, tmp_path):
    found = shrink(shrink_request(breaking(), kernel_path, tmp_path, trials_max=3))
    assert (found.trials, found.complete) == (3, False)
    assert len(found.spec.faults) == 3
    assert RunReader(found.path).state == "failed"


@pytest.mark.parametrize(
    ("spec", "lapsed"),
    [
        (replace(breaking(), faults=()), "it passed"),
        (
            replace(breaking(), faults=(at(7.5, CUT, 1), at(3.5, CUT, 1))[::-1]),
            "what failed was: late, reached",
        ),
    ],
    ids=["passes", "fails otherwise"],
)
def test_what_does_not_fail_again_in_the_same_way_is_not_shrunk(
    kernel_path, tmp_path, spec, lapsed
):
    found = shrink(shrink_request(spec, kernel_path, tmp_path / "runs"))
    assert (found.lapsed, found.path, found.repeat) == (lapsed, None, "")
    assert found.spec == spec
    assert not (tmp_path / "runs").exists()


# ---- processes and folders ----


def test_folders_of_killed_searches_are_swept_and_those_of_others_are_not(tmp_path):
    with trials_folder(tmp_path, "lab") as mine:
        (mine / "1").mkdir()
        (tmp_path / "lab" / "search-dead" / "7").mkdir(parents=True)
        (tmp_path / "lab" / "0001").mkdir()
        with trials_folder(tmp_path, "lab") as other:
            assert sorted(path.name for path in (tmp_path / "lab").iterdir()) == sorted(
                ["0001", mine.name, other.name]
            )
    assert [path.name for path in (tmp_path / "lab").iterdir()] == ["0001"]


def test_a_place_where_no_folder_can_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(HostError, match="cannot make a folder"),
        trials_folder(tmp_path / "file", "lab"),
    ):
        pass


def test_equal_failures_are_equal_in_json_too():
    failure = Failure(("a", "b"))
    told = json.loads(json.dumps({"checks": failure.checks}))
    assert Failure(tuple(told["checks"])) == failure
    assert (str(failure), str(Failure(error="GuestLostError"))) == ("a, b", "GuestLostError")
