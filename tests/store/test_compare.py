# SPDX-License-Identifier: Apache-2.0
"""Comparing two runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.errors import UsageError
from windtunnel.model.event import Event
from windtunnel.store import contents
from windtunnel.store.compare import (
    GrantDifference,
    compare_runs,
    compared_files,
    digest_run,
    first_grant_difference,
)
from windtunnel.store.run_dir import RunWriter

SECOND_NS = 1_000_000_000


def step(second: int, text: str = "") -> Event:
    return Event(second * SECOND_NS, second, "step", "r1", {"text": text})


EVENTS = [
    Event(-1, 0, "lab-begin"),
    Event(
        1 * SECOND_NS, 1, "process-start", "r1", {"process": "ping", "command": "ping", "pid": 9}
    ),
    *[step(second) for second in range(2, 20)],
    Event(20 * SECOND_NS, 20, "process-start", "r2", {"process": "ip", "command": "ip", "pid": 4}),
    Event(21 * SECOND_NS, 21, "lab-end"),
]
OUTPUTS = {("r1", "ping", False): b"seq=1\nseq=2\nseq=3\n", ("r2", "ip", True): b"RTNETLINK\n"}


def make_run(
    base: Path,
    *,
    events=EVENTS,
    outputs=OUTPUTS,
    files=(("r1.pcap", b"\x0a\x0d\x0d\x0a"),),
    lab_text="name: ring\n",
    source_text="# a comment\n",
    grants="",
    state="passed",
    host_s=1.0,
    **manifest,
) -> Path:
    start = {"seed": 1, "kernel": {"release": "6.18", "hash": "ab"}, "stop_ns": None} | manifest
    with RunWriter.create(
        base, lab="ring", lab_text=lab_text, source_text=source_text, manifest=start
    ) as writer:
        for event in events:
            writer.event(event)
        for (node, process, stderr), data in outputs.items():
            writer.output(node, process).write(data, stderr=stderr)
        for name, data in files:
            (writer.files_path / name).write_bytes(data)
        if grants:
            writer.grants_path.write_text(grants)
        writer.finish(state, summary={"verdict": state, "host": {"wall_host_s": host_s}})
    return writer.path


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path)


def test_runs_that_differ_only_in_what_the_host_decides_are_equal(tmp_path, run):
    other = make_run(
        tmp_path,
        outputs=dict(reversed(OUTPUTS.items())),
        source_text=None,
        host_s=99.0,
        repeat="windtunnel replay ring/0002",
    )
    (other / "console.log").write_text("physmem at 0x60000000\n")
    assert compare_runs(run, other) is None
    assert digest_run(run) == digest_run(other)


def test_the_digest_of_a_known_run_never_changes(run):
    assert compared_files(run) == (
        "events.jsonl",
        "files/r1.pcap",
        "lab.yaml",
        "nodes/r1/ping.stdout",
        "nodes/r2/ip.stderr",
    )
    assert digest_run(run) == "3664df3cd638545eea1dfb9d640bbb514350ae8ae0d93e8387d89a18b974215d"


def test_the_first_event_that_differs_is_named_with_the_ten_before_it(tmp_path, run):
    lost = step(14, "lost")
    events = [*EVENTS[:14], lost, *EVENTS[15:]]
    found = compare_runs(run, make_run(tmp_path, events=events))
    assert (found.file, found.line, found.offset_bytes) == ("events.jsonl", 15, 1216)
    assert (found.time_ns, found.exact, found.node) == (14 * SECOND_NS, True, "r1")
    assert found.before == tuple(EVENTS[4:14])
    assert found.describe().split("\n")[:5] == [
        "node r1, 14.000000000 s: events.jsonl:15 differs at byte 1216",
        f"    a: {step(14).to_line()}",
        f"    b: {lost.to_line()}",
        "  the last 10 events before it:",
        '    {"fields":{"text":""},"kind":"step","node":"r1","sequence":4,"time_ns":4000000000}',
    ]


def test_of_two_events_that_differ_the_earlier_one_gives_the_time(tmp_path, run):
    early = Event(1_500_000_000, 2, "link", "r9", {"up": False})
    found = compare_runs(run, make_run(tmp_path, events=[*EVENTS[:2], early, *EVENTS[2:]]))
    assert (found.time_ns, found.node, found.line) == (1_500_000_000, "r9", 3)
    assert found.before == tuple(EVENTS[:2])


def test_a_log_that_ends_early_differs_where_it_ends(tmp_path, run):
    found = compare_runs(run, make_run(tmp_path, events=EVENTS[:-1]))
    assert (found.line, found.time_ns, found.b) == (22, 21 * SECOND_NS, "")
    assert found.describe().split("\n")[2] == "    b: (nothing)"


def test_an_output_that_differs_is_placed_after_its_process_began(tmp_path, run):
    outputs = OUTPUTS | {("r1", "ping", False): b"seq=1\nseq=7\nseq=3\n"}
    found = compare_runs(run, make_run(tmp_path, outputs=outputs))
    assert found.describe() == (
        "node r1, at or after 1.000000000 s: nodes/r1/ping.stdout:2 differs at byte 10\n"
        "    a: seq=2\n"
        "    b: seq=7\n"
        "  the last 2 events before it:\n"
        '    {"fields":{},"kind":"lab-begin","node":"","sequence":0,"time_ns":-1}\n'
        '    {"fields":{"command":"ping","pid":9,"process":"ping"},"kind":"process-start",'
        '"node":"r1","sequence":1,"time_ns":1000000000}'
    )


def test_of_two_outputs_the_one_whose_process_began_first_is_named(tmp_path, run):
    outputs = {("r1", "ping", False): b"", ("r2", "ip", True): b"other\n"}
    found = compare_runs(run, make_run(tmp_path, outputs=outputs))
    assert (found.file, found.b) == ("nodes/r1/ping.stdout", None)
    outputs = OUTPUTS | {("r2", "ip", True): b"other\n"}
    found = compare_runs(run, make_run(tmp_path, outputs=outputs))
    assert (found.file, found.time_ns) == ("nodes/r2/ip.stderr", 20 * SECOND_NS)


def test_an_event_that_differs_comes_before_an_output_of_unknown_time(tmp_path, run):
    outputs = OUTPUTS | {("r1", "ping", False): b"seq=1\n"}
    events = [*EVENTS[:14], step(14, "lost"), *EVENTS[15:]]
    found = compare_runs(run, make_run(tmp_path, events=events, outputs=outputs))
    assert (found.file, found.time_ns) == ("events.jsonl", 14 * SECOND_NS)


def printed(second: int, size_bytes: int, stream: str = "stdout") -> Event:
    fields = {"process": "ping", "stream": stream, "size_bytes": size_bytes}
    return Event(second * SECOND_NS, second, "output", "r1", fields)


@pytest.mark.parametrize(
    ("text", "second", "events_before"),
    [(b"Seq=1\nseq=2\nseq=3\n", 2, 2), (b"seq=1\nseq=2\nseq=!\n", 6, 4), (b"seq=1\n", 4, 3)],
)
def test_events_about_output_give_the_very_instant_of_a_byte(tmp_path, text, second, events_before):
    events = [
        *EVENTS[:2],
        printed(2, 6),
        printed(4, 6),
        printed(6, 6),
        *[step(second) for second in range(7, 9)],
    ]
    run = make_run(tmp_path, events=events)
    # A later event differs as well: the output is what differed first.
    other = make_run(
        tmp_path,
        events=[*events[:-1], step(8, "late")],
        outputs=OUTPUTS | {("r1", "ping", False): text},
    )
    found = compare_runs(run, other)
    assert (found.file, found.node) == ("nodes/r1/ping.stdout", "r1")
    assert (found.time_ns, found.exact) == (second * SECOND_NS, True)
    assert found.before == tuple(events[:events_before])


def test_a_file_that_only_one_run_has_is_a_difference(tmp_path, run):
    found = compare_runs(run, make_run(tmp_path, files=()))
    assert found.describe() == (
        "files/r1.pcap:1 differs at byte 0\n    a: '\\n'\n    b: (no such file)"
    )
    assert (found.time_ns, found.before) == (None, ())


def test_an_empty_file_and_a_missing_one_differ(tmp_path):
    a = make_run(tmp_path, files=[("empty", b"")])
    b = make_run(tmp_path, files=())
    found = compare_runs(a, b)
    assert (found.file, found.a, found.b) == ("files/empty", "", None)
    assert digest_run(a) != digest_run(b)


def test_runs_of_different_seeds_are_no_repetitions(tmp_path, run):
    other = make_run(tmp_path, seed=2, events=EVENTS[:3])
    assert compare_runs(run, other).describe() == (
        "manifest.json: 'seed' differs, so these are not two runs of the same thing\n"
        "    a: 1\n"
        "    b: 2"
    )


def test_runs_of_different_labs_are_no_repetitions(tmp_path, run):
    other = make_run(tmp_path, lab_text="name: rinG\n", events=EVENTS[:3])
    found = compare_runs(run, other)
    assert (found.file, found.line, found.offset_bytes) == ("lab.yaml", 1, 9)
    assert (found.a, found.b, found.before) == ("name: ring", "name: rinG", ())


def test_a_verdict_that_differs_is_the_last_to_be_named(tmp_path, run):
    found = compare_runs(run, make_run(tmp_path, state="failed"))
    assert (found.file, found.key, found.a, found.b) == (
        "manifest.json",
        "state",
        '"passed"',
        '"failed"',
    )
    assert found.before == tuple(EVENTS[-10:])
    found = compare_runs(run, make_run(tmp_path, state="failed", events=EVENTS[:-1]))
    assert found.file == "events.jsonl"


def test_logs_of_grants_name_the_moment_to_look_at(tmp_path):
    a = make_run(tmp_path, grants="run 10 0\nrun 20 0\nrun 30 0\n")
    b = make_run(tmp_path, grants="run 10 0\nrun 20 0\nrun 25 1\n", outputs={})
    found = compare_runs(a, b)
    assert found.grant == GrantDifference(3, "run 30 0", "run 25 1", 25)
    assert found.describe().split("\n")[-3:] == [
        "  0.000000025 s: the first grant that differs, grants.log:3",
        "    a: run 30 0",
        "    b: run 25 1",
    ]


def test_grants_alone_do_not_make_equal_runs_differ(tmp_path, run):
    a = make_run(tmp_path, grants="run 10 0\n")
    b = make_run(tmp_path, grants="run 10 0\nrun 20 0\n")
    assert compare_runs(a, b) is None
    assert first_grant_difference(a, b) == GrantDifference(2, "", "run 20 0", 20)
    assert first_grant_difference(a, a) is None
    assert first_grant_difference(a, run) is None


def test_a_symlink_counts_as_the_name_of_its_target(tmp_path, run):
    other = make_run(tmp_path)
    for folder, target in ((run, "/etc/hostname"), (other, "/etc/hosts")):
        (folder / "files" / "link").symlink_to(target)
    found = compare_runs(run, other)
    assert (found.file, found.a, found.b) == ("files/link", "/etc/hostname", "/etc/hosts")
    assert digest_run(run) != digest_run(other)


def test_a_killed_run_is_compared_up_to_where_it_came(tmp_path, run):
    killed = tmp_path / "killed"
    shutil.copytree(run, killed)
    log = (killed / "events.jsonl").read_bytes()
    (killed / "events.jsonl").write_bytes(log[:-30])
    found = compare_runs(run, killed)
    assert (found.file, found.line, found.time_ns) == ("events.jsonl", 22, 21 * SECOND_NS)


def test_a_folder_without_a_run_cannot_be_compared(tmp_path, run):
    with pytest.raises(UsageError, match="is not the folder of a run"):
        compare_runs(run, tmp_path)
    with pytest.raises(UsageError, match="is not the folder of a run"):
        digest_run(tmp_path)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two equal runs, and the bytes of the second one's files by name."""
    base = tmp_path_factory.mktemp("pair")
    a, b = make_run(base), make_run(base)
    return a, b, {name: (b / name).read_bytes() for name in compared_files(b)}


@given(data=st.data())
def test_any_byte_that_changes_is_found_and_located(pair, data):
    a, b, originals = pair
    name = data.draw(st.sampled_from(sorted(originals)))
    original = originals[name]
    offset = data.draw(st.integers(0, len(original) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != original[offset]))
    changed = original[:offset] + bytes([value]) + original[offset + 1 :]
    (b / name).write_bytes(changed)
    try:
        found, digests = compare_runs(a, b), (digest_run(a), digest_run(b))
    finally:
        (b / name).write_bytes(original)
    assert (found.file, found.offset_bytes) == (name, offset)
    assert found.line == original[:offset].count(b"\n") + 1
    assert f"{name}:{found.line} differs at byte {offset}" in found.describe()
    assert digests[0] != digests[1]


@given(data=st.data())
def test_any_cut_is_found_and_located(pair, data):
    a, b, originals = pair
    name = data.draw(st.sampled_from(sorted(originals)))
    size = data.draw(st.integers(0, len(originals[name]) - 1))
    (b / name).write_bytes(originals[name][:size])
    try:
        found, back = compare_runs(a, b), compare_runs(b, a)
    finally:
        (b / name).write_bytes(originals[name])
    assert (found.file, found.offset_bytes) == (name, size)
    assert (back.a, back.b, back.time_ns) == (found.b, found.a, found.time_ns)


def test_a_difference_far_inside_a_large_file_is_located(tmp_path):
    line = b"x" * 99 + b"\n"
    (tmp_path / "a").write_bytes(line * 30_000)
    (tmp_path / "b").write_bytes(line * 25_000 + b"x" * 50 + b"y" + b"x" * 48 + b"\n" + line * 4999)
    assert contents.first_difference(tmp_path / "a", tmp_path / "b") == contents.Place(
        2_500_050, 25_001, 2_500_000
    )


def test_a_difference_in_a_line_without_end_shows_what_is_near_it(tmp_path):
    long = b"x" * 5_000_000
    a = make_run(tmp_path, files=[("blob", long + b"1" + long)])
    b = make_run(tmp_path, files=[("blob", long + b"2" + long)])
    found = compare_runs(a, b)
    assert (found.line, found.offset_bytes) == (1, 5_000_000)
    assert (found.a, found.b) == ("x" * 200 + "1" + "x" * 199, "x" * 200 + "2" + "x" * 199)


@given(a=st.binary(max_size=9), b=st.binary(max_size=9))
def test_the_common_prefix_is_equal_and_cannot_be_longer(a, b):
    size = contents.common_prefix_bytes(a, b)
    assert a[:size] == b[:size]
    assert a[size : size + 1] != b[size : size + 1] or len(a) == len(b) == size
