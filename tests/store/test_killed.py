# SPDX-License-Identifier: Apache-2.0
"""What happens to us must not harm the record: kills, full disks, limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from repository import REPOSITORY
from windtunnel.errors import UsageError
from windtunnel.model.event import Event
from windtunnel.sim.seeds import derive
from windtunnel.store.run_dir import RunReader, RunWriter, find_run

WRITER = [sys.executable, str(Path(__file__).with_name("endless_writer.py"))]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
LIMIT_HOST_S = 60
KILLS = 20


def begin(base: Path, lab: str = "ring", **manifest) -> RunWriter:
    return RunWriter.create(
        base, lab=lab, lab_text=f"name: {lab}\n", source_text=None, manifest=manifest
    )


def kill_after_rounds(base: Path, rounds: int) -> int:
    """Begin a run in a process of its own, kill it; the last round that it said it had recorded."""
    with subprocess.Popen(
        [*WRITER, str(base)], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        for _ in range(rounds):
            process.stdout.readline()
        process.kill()
        said = process.stdout.read().split("\n")[:-1]
    return int(said[-1]) if said else rounds - 1


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_run_that_is_killed_at_any_moment_can_be_read_and_says_so(tmp_path, seed):
    rounds = 1 + derive(seed, "rounds before the kill") % 400
    last = kill_after_rounds(tmp_path, rounds)

    reader = RunReader(find_run("endless", tmp_path))
    assert reader.state == "killed"
    assert reader.manifest["state"] == "running"
    assert reader.manifest["seed"] == 1
    assert reader.lab_text == "name: endless\n"
    sequences = [event.sequence for event in reader.events()]
    assert sequences == list(range(len(sequences)))
    assert last < len(sequences) <= last + 3
    lines = reader.read_output("r1", "counter").splitlines()
    assert lines[: last + 1] == [b"round %d" % number for number in range(last + 1)]


def test_a_run_whose_writer_is_dead_but_not_yet_reaped_was_killed(tmp_path):
    with subprocess.Popen(
        [*WRITER, str(tmp_path)], env=ENVIRONMENT, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        reader = RunReader(find_run("endless", tmp_path))
        assert reader.state == "running"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
        assert reader.state == "killed"


@pytest.mark.parametrize(
    "change",
    [
        {"pid": 2**22 + 1},  # above the largest pid that Linux gives
        {"start_ticks": 1},
        {"boot_id": "00000000-0000-0000-0000-000000000000"},
    ],
)
def test_a_writer_of_another_life_does_not_count_as_alive(tmp_path, change):
    with begin(tmp_path) as writer:
        file = writer.path / "manifest.json"
        manifest = json.loads(file.read_text())
        manifest["writer"] |= change
        file.write_text(json.dumps(manifest))
        assert RunReader(writer.path).state == "killed"


def test_the_next_run_sweeps_what_a_killed_one_left_and_spares_one_that_runs(tmp_path):
    kill_after_rounds(tmp_path, 1)
    killed = tmp_path / "endless" / "0001"
    (killed / "manifest.json.new").write_text("{")
    assert (killed / ".reserve").exists()
    with begin(tmp_path, "endless") as running, begin(tmp_path, "endless"):
        left = sorted(entry.name for entry in killed.iterdir())
        assert left == ["events.jsonl", "lab.yaml", "manifest.json", "nodes"]
        assert (running.path / ".reserve").exists()


@pytest.mark.parametrize("cut", range(1, 79, 7))
def test_an_event_that_is_cut_short_is_passed_over_and_all_before_it_stay(tmp_path, cut):
    with begin(tmp_path) as writer:
        writer.event(Event(1, 0, "step", "r1", {"text": "first"}))
        writer.event(Event(2, 1, "step", "r1", {"text": "größer"}))
        log = writer.path / "events.jsonl"
        os.truncate(log, log.stat().st_size - cut)
        events = list(RunReader(writer.path).events())
    # The newline alone may be missing: then the event is whole.
    first = Event(1, 0, "step", "r1", {"text": "first"})
    assert (
        events == ([first, Event(2, 1, "step", "r1", {"text": "größer"})][: 2 if cut == 1 else 1])
    )


def test_a_file_size_limit_ends_the_run_with_a_message_and_spares_the_record(tmp_path):
    limited = ["prlimit", "--fsize=100000", *WRITER, str(tmp_path), "--until-full"]
    answer = json.loads(
        subprocess.run(
            limited, env=ENVIRONMENT, capture_output=True, check=True, timeout=LIMIT_HOST_S
        ).stdout
    )
    folder = tmp_path / "endless" / "0001"
    start = f"cannot write events.jsonl in {folder}: the file would exceed the limit"
    assert answer["message"].startswith(start)
    assert answer["state"] == "error"
    assert answer["events"] == list(range(len(answer["events"])))
    assert len(answer["events"]) > 500
    assert (folder / "events.jsonl").read_bytes().endswith(b"\n")


def test_a_full_disk_ends_the_run_with_a_message_and_spares_the_record(tmp_path, need_program):
    need_program("unshare")
    # A file system of our own that is soon full; the namespace ends with the process.
    script = 'mount -t tmpfs -o size=512k full "$1" && shift && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    command += [str(tmp_path), *WRITER, str(tmp_path), "--until-full"]
    ended = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=LIMIT_HOST_S
    )
    if ended.returncode and ("unshare:" in ended.stderr or "mount:" in ended.stderr):
        pytest.skip(f"no mounts for ordinary users here: {ended.stderr.strip()}")
    answer = json.loads(ended.stdout)
    folder = tmp_path / "endless" / "0001"
    assert f" in {folder}: the disk is full; 0 bytes are free there" in answer["message"]
    assert answer["hint"].startswith("what was recorded until now can be read")
    assert answer["state"] == "error"
    assert answer["recorded"].startswith(answer["message"])
    assert answer["events"] == list(range(len(answer["events"])))
    assert len(answer["events"]) > 500
    lines = answer["output"].split("\n")
    whole = len(lines) - 1
    assert lines[:whole] == [f"round {number}" for number in range(whole)]
    assert whole in {len(answer["events"]), len(answer["events"]) - 1}
    assert ".reserve" not in answer["left"]


def test_two_runs_that_begin_at_once_get_two_folders(tmp_path):
    started = [
        subprocess.Popen([*WRITER, str(tmp_path)], env=ENVIRONMENT, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in started:
        process.stdout.readline()
    numbers = sorted(entry.name for entry in (tmp_path / "endless").iterdir())
    writers = {
        RunReader(tmp_path / "endless" / number).manifest["writer"]["pid"]
        for number in numbers
        if number != "latest"
    }
    for process in started:
        process.kill()
        process.communicate()
    assert numbers == ["0001", "0002", "0003", "0004", "latest"]
    assert writers == {process.pid for process in started}


def test_a_second_run_in_a_folder_is_refused_while_the_first_goes_on(tmp_path):
    folder = tmp_path / "mine"
    arguments = {"lab": "ring", "lab_text": "", "source_text": None, "manifest": {}}
    with RunWriter.create_at(folder, **arguments) as first:
        with pytest.raises(UsageError, match=r"another run is or was in .*/mine\n  choose a new"):
            RunWriter.create_at(folder, **arguments)
        first.event(Event(0, 0, "lab-begin"))
        first.finish("passed", summary={})
    assert list(RunReader(folder).events()) == [Event(0, 0, "lab-begin")]
