# SPDX-License-Identifier: Apache-2.0
"""Results that tests of all formats draw, and some that are written out."""

from __future__ import annotations

from hypothesis import strategies as st

from windtunnel.model.result import CellResult, CellState, CheckResult

SECOND_NS = 1_000_000_000

NASTY = [
    "]]>", "</script><b>", "\x00", "\x1b[31m", "a # SKIP b", "# Subtest: x", "\\", "\ud800", "\r\n",
    "ok 1", "1..3", "Bail out!", "reboot: System halted", "Kernel panic - not syncing: VFS: x",
    "List of all partitions:", "KTAP version 1", "  ---", "\u2028", "\ufffe", "🙂", "x" * 600, "- ",
    "<!-- <script </script ",
]  # fmt: skip

texts = st.lists(
    st.one_of(st.sampled_from(NASTY), st.text(max_size=12)), max_size=4
).map("".join) | st.text(st.characters(), max_size=20)  # fmt: skip


def _checks():
    times = st.integers(0, 3600 * SECOND_NS)
    kinds = st.sampled_from(["step", "process", "validate", "hook"])
    return st.builds(
        CheckResult,
        name=texts, kind=kinds, node=texts, at_ns=times, took_ns=times,
        passed=st.booleans(), message=texts, judged=st.booleans(),
    )  # fmt: skip


def _tries(index, name):
    one = st.builds(
        CellResult,
        cell=st.just(name), index=st.just(index), attempt=st.integers(1, 3),
        state=st.sampled_from(list(CellState)),
        params=st.dictionaries(st.sampled_from(["cc", "loss", "\x00", "#"]), texts, max_size=3),
        run=texts, seed=st.none() | st.integers(0, 2**64 - 1),
        checks=st.lists(_checks(), max_size=3).map(tuple), finding=texts,
        end_ns=st.none() | st.integers(0, 10**18),
        wall_host_s=st.floats(0, 1e6), repeat=texts,
    )  # fmt: skip
    return st.lists(one, min_size=1, max_size=3)


@st.composite
def any_results(draw):
    """(header, results): what no runner would write, too."""
    names = draw(st.lists(texts, unique=True, max_size=5))
    results = [one for index, name in enumerate(names) for one in draw(_tries(index, name))]
    header = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "lab": texts,
                "state": texts,
                "seed": st.integers(),
                "kernel": st.just({"release": "6"}),
                "planned": st.integers(0, 8),
                "selection": st.dictionaries(texts, texts, max_size=2),
            },
        )
    )
    return header, results


def nasty_results():
    """(header, results) with each nasty text in each place: what a draw finds now and then."""
    results = []
    for index, text in enumerate([*NASTY, "", " ", ":x", "a\n", "a", "- a", " a", "a "]):
        bad = CheckResult(text, "validate", text, 1, 1, passed=False, message=text)
        results.append(
            CellResult(
                text, index, 1, CellState.FAILED,
                {"p": text, text: "q"}, text, 7, (bad,), text, 1, 1.0, 1.0, text,
            )
        )  # fmt: skip
    return {"lab": "".join(NASTY), "state": "\x00", "planned": 0}, results


def check(name, *, passed=True, message="", node="r1", judged=True, kind="validate"):
    return CheckResult(name, kind, node, 12 * SECOND_NS, 3_000_000, passed, message, judged)


def cell(index, state=CellState.PASSED, *, name=None, attempt=1, **more):
    name = name or f"x={index}"
    values = {
        "params": {"x": str(index)}, "run": f"cells/{name}", "seed": 7, "end_ns": 30 * SECOND_NS,
        "wall_host_s": 1.25, "cpu_host_s": 1.0,
        "repeat": f"windtunnel replay runs/transport/0001/cells/{name}",
    }  # fmt: skip
    return CellResult(name, index, attempt, state, **{**values, **more})


HEADER = {
    "schema": 1,
    "lab": "transport",
    "state": "failed",
    "seed": 7,
    "kernel": {"release": "7.3.4", "sha256": "00"},
    "planned": 6,
}


def six_cells():
    """Two axes: one cell fails, one passed at the second try."""
    results = []
    for index, (cc, loss) in enumerate(
        (a, b) for a in ("cubic", "bbr") for b in ("0%", "1%", "5%")
    ):
        name = f"cc={cc},loss={loss}"
        common = {"name": name, "params": {"cc": cc, "loss": loss}}
        good = (check("throughput"), check("routes agree", node=""))
        if (cc, loss) == ("cubic", "5%"):
            bad = (check("throughput", passed=False, message="12 Mbit\nis less than 20"), good[1])
            finding = "throughput on r1: 12 Mbit"
            results.append(cell(index, CellState.FAILED, checks=bad, finding=finding, **common))
        elif (cc, loss) == ("bbr", "1%"):
            late = {"finding": "took more than 60 s", "end_ns": None, **common}
            results.append(cell(index, CellState.TIMEOUT, **late))
            results.append(
                cell(index, attempt=2, checks=good, **{**common, "run": f"cells/{name}~2"})
            )
        else:
            results.append(cell(index, checks=good, **common))
    return results


def thousand_cells():
    """Three axes of ten values; failures of three kinds in some regions."""
    results = []
    for index in range(1000):
        a, b, c = index // 100, index // 10 % 10, index % 10
        name = f"cc=cc{a},loss={b}%,delay={c * 10}ms"
        more = {
            "name": name,
            "params": {"cc": f"cc{a}", "loss": f"{b}%", "delay": f"{c * 10}ms", "kernel": "newest"},
            "checks": tuple(check(f"check {at}") for at in range(10)),
        }
        state = CellState.PASSED
        if b > 6 and c > 4:
            state = CellState.FAILED
            why = f"{a + 3} Mbit is less than 20"
            more["finding"] = f"throughput on r1: {why}"
            more["checks"] = (check("throughput", passed=False, message=why), *more["checks"][1:])
        elif (a, c) == (3, 2):
            state, more["finding"] = CellState.TIMEOUT, f"took more than {60 + b} s"
        elif index == 770:
            state, more["finding"] = CellState.LOST, "its worker died by signal 9"
        results.append(cell(index, state, **more))
    return results
