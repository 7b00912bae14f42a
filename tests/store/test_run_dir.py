# SPDX-License-Identifier: Apache-2.0
"""Writing a run's folder and reading it back."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from windtunnel.errors import HostError, ProtocolError, StateError, UsageError
from windtunnel.model.event import Event
from windtunnel.store.layout import file_name, name_of_file
from windtunnel.store.processes import ProcessRecord, processes_from_events
from windtunnel.store.run_dir import OPEN_FILES_MAX, RunReader, RunWriter, find_run, list_runs

START = Event(10, 0, "process-start", "r1", {"process": "zebra", "command": "zebra -d", "pid": 12})
EXIT = Event(
    99,
    1,
    "process-exit",
    "r1",
    {"process": "zebra", "outcome": "exited", "status": 3, "user_ns": 5, "system_ns": 7},
)


def begin(base: Path, lab: str = "ring", **manifest) -> RunWriter:
    return RunWriter.create(
        base, lab=lab, lab_text=f"name: {lab}\n", source_text="# mine\n", manifest=manifest
    )


def test_a_finished_run_has_all_of_its_parts(tmp_path):
    with begin(tmp_path, seed=7, windtunnel="0.1.0") as writer:
        writer.event(START)
        output = writer.output("r1", "zebra")
        output.write(b"one\n", stderr=False)
        output.write(b"bad\xff", stderr=True)
        output.write(b"two\n", stderr=False)
        writer.event(EXIT)
        os.close(writer.open_console())
        (writer.files_path / "r1.pcap").write_bytes(b"pcap")
        writer.finish("failed", summary={"verdict": "1 of 2 checks failed", "host": {"cpus": 2}})

    run = tmp_path / "ring" / "0001"
    assert sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()) == [
        "console.log",
        "events.jsonl",
        "files/r1.pcap",
        "lab-source.yaml",
        "lab.yaml",
        "manifest.json",
        "nodes/r1/zebra.stderr",
        "nodes/r1/zebra.stdout",
        "processes.json",
    ]
    reader = RunReader(run)
    assert reader.state == "failed"
    assert reader.lab_text == "name: ring\n"
    assert (run / "lab-source.yaml").read_text() == "# mine\n"
    assert list(reader.events()) == [START, EXIT]
    assert reader.read_output("r1", "zebra") == b"one\ntwo\n"
    assert reader.read_output("r1", "zebra", stderr=True) == b"bad\xff"
    assert reader.read_output("r2", "silent") == b""
    assert [(file.node, file.process, file.stderr) for file in reader.outputs()] == [
        ("r1", "zebra", True),
        ("r1", "zebra", False),
    ]
    manifest = reader.manifest
    assert manifest.pop("writer")["pid"] == os.getpid()
    assert manifest == {
        "schema": 1,
        "lab": "ring",
        "seed": 7,
        "windtunnel": "0.1.0",
        "state": "failed",
        "verdict": "1 of 2 checks failed",
        "host": {"cpus": 2},
    }


def test_the_table_of_processes_in_the_file_is_the_one_from_the_events(tmp_path):
    with begin(tmp_path) as writer:
        writer.event(START)
        writer.event(EXIT)
        writer.event(Event(100, 2, "process-start", "r1", {"process": "sleep", "command": "sleep"}))
        writer.finish("passed", summary={})
    expected = (
        ProcessRecord("r1", "zebra", "zebra -d", 12, 10, 99, "exited", 3, 5, 7),
        ProcessRecord("r1", "sleep", "sleep", None, 100, None, "running", None, 0, 0),
    )
    reader = RunReader(writer.path)
    assert reader.processes() == expected
    written = json.loads((writer.path / "processes.json").read_text())["processes"]
    assert tuple(ProcessRecord.from_json(record) for record in written) == expected


def test_a_name_that_starts_again_is_a_second_process():
    assert [
        (record.start_ns, record.end_ns) for record in processes_from_events([START, EXIT, START])
    ] == [(10, 99), (10, None)]


def test_an_exit_without_a_start_is_kept():
    assert processes_from_events([Event(5, 0, "link", "r1"), EXIT]) == (
        ProcessRecord("r1", "zebra", "", None, None, 99, "exited", 3, 5, 7),
    )


def test_runs_are_numbered_and_latest_is_the_newest(tmp_path):
    for _ in range(3):
        begin(tmp_path).close()
    begin(tmp_path, "other").close()
    (tmp_path / "ring" / "0041").mkdir()  # not a run, but its number is taken
    begin(tmp_path).close()
    assert [str(run.relative_to(tmp_path)) for run in list_runs(tmp_path)] == [
        "other/0001",
        "ring/0001",
        "ring/0002",
        "ring/0003",
        "ring/0042",
    ]
    assert os.readlink(tmp_path / "ring" / "latest") == "0042"
    assert list_runs(tmp_path / "nowhere") == ()


def test_a_folder_that_somebody_called_latest_is_left_alone(tmp_path):
    (tmp_path / "ring" / "latest" / "mine").mkdir(parents=True)
    begin(tmp_path).close()
    assert find_run("ring", tmp_path) == tmp_path / "ring" / "0001"
    assert (tmp_path / "ring" / "latest" / "mine").is_dir()
    assert not (tmp_path / "ring" / "0001" / ".latest").is_symlink()


def test_many_threads_that_begin_runs_at_once_get_a_folder_each(tmp_path):
    def begin_five(_):
        paths = []
        for _ in range(5):
            with begin(tmp_path) as writer:
                paths.append(writer.path)
        return paths

    with ThreadPoolExecutor(8) as pool:
        made = [path for paths in pool.map(begin_five, range(8)) for path in paths]
    assert sorted(made) == list(list_runs(tmp_path))
    assert len(made) == 40


def test_a_person_finds_a_run_by_its_name(tmp_path):
    for lab in ("ring", "ring", "chain"):
        begin(tmp_path, lab).close()
    ring = tmp_path / "ring"
    for name in ("ring", "ring/latest", "ring/2", "ring/0002", str(ring / "0002")):
        assert find_run(name, tmp_path) == ring / "0002"
    assert find_run("ring/0001", tmp_path) == ring / "0001"
    assert find_run(str(ring / "latest"), tmp_path) == ring / "latest"
    os.utime(ring / "0002" / "lab.yaml", ns=(1, 1))
    os.utime(ring / "0001" / "lab.yaml", ns=(1, 1))
    assert find_run("latest", tmp_path) == tmp_path / "chain" / "0001"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rign/0001", "there is no run 'rign/0001'\n  did you mean 'ring/0001'?"),
        ("rin", "there is no run 'rin'\n  did you mean 'ring'?"),
        ("ring/0007", "there is no run 'ring/0007'\n  the runs of 'ring' are 0001 to 0002"),
        ("ring/x", "there is no run 'ring/x'\n  the runs of 'ring' are 0001 to 0002"),
        ("", "there is no run ''\n  there are 2 runs in {base}; name one as LAB/NUMBER, or by"),
    ],
)
def test_a_run_that_is_not_there_gets_the_nearest_name(tmp_path, name, message):
    begin(tmp_path).close()
    begin(tmp_path).close()
    with pytest.raises(UsageError) as caught:
        find_run(name, tmp_path)
    assert str(caught.value).startswith(message.format(base=tmp_path))


def test_latest_of_no_runs_is_a_message(tmp_path):
    with pytest.raises(UsageError, match=r"there is no run 'latest'\n  there are 0 runs in "):
        find_run("latest", tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is not the folder of a run: it has no events"):
        RunReader(tmp_path)


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError) as caught:
        RunWriter.create_at(tmp_path, lab="ring", lab_text="", source_text=None, manifest={})
    assert str(caught.value) == (
        f"{tmp_path} is not empty: 'thesis.tex' is in it\n"
        "  choose a new folder with --output DIR, or leave --output out"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder_for_a_run(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="/file is not a folder"):
        RunWriter.create_at(
            tmp_path / "file", lab="ring", lab_text="", source_text=None, manifest={}
        )


def test_a_folder_that_cannot_be_made_is_the_hosts_fault(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match=r"cannot make a folder for the run in .*: Not a directory"):
        begin(tmp_path / "file")


@pytest.mark.parametrize("lab", ["", ".", "..", "a/b", "latest", "a\0b"])
def test_a_lab_whose_name_cannot_be_a_folder_is_refused(tmp_path, lab):
    with pytest.raises(UsageError, match="cannot name a folder of runs"):
        begin(tmp_path, lab)


def test_an_exception_leaves_its_message_and_goes_on(tmp_path):
    writer = begin(tmp_path)
    writer.event(START)
    with pytest.raises(HostError, match="no kernel"), writer:
        raise HostError("no kernel")
    reader = RunReader(writer.path)
    assert (reader.state, reader.manifest["error"]) == ("error", "no kernel")
    assert [record.name for record in reader.processes()] == ["zebra"]


def test_ctrl_c_leaves_an_interrupted_run(tmp_path):
    with pytest.raises(KeyboardInterrupt), begin(tmp_path) as writer:
        raise KeyboardInterrupt
    assert RunReader(writer.path).state == "interrupted"


def test_an_exception_after_the_end_does_not_change_the_verdict(tmp_path):
    writer = begin(tmp_path)
    writer.finish("passed", summary={})
    with pytest.raises(ValueError), writer:
        raise ValueError
    assert RunReader(writer.path).state == "passed"


def test_a_run_that_is_closed_before_its_end_is_an_error(tmp_path):
    writer = begin(tmp_path)
    writer.close()
    writer.close()
    reader = RunReader(writer.path)
    assert reader.state == "error"
    assert reader.manifest["error"] == "the run was closed before it had ended"


def test_calls_after_the_end_say_so(tmp_path):
    with begin(tmp_path) as writer:
        writer.finish("passed", summary={})
        with pytest.raises(StateError, match="has ended before"):
            writer.finish("passed", summary={})
    with pytest.raises(StateError, match="has been closed"):
        writer.event(START)
    with pytest.raises(StateError, match="has been closed"):
        writer.output("r1", "zebra").write(b"late", stderr=False)


def test_thousands_of_processes_do_not_need_thousands_of_open_files(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    with begin(tmp_path) as writer:
        outputs = [writer.output(f"n{index % 50}", f"p{index}") for index in range(1000)]
        for turn in range(2):
            for index, output in enumerate(outputs):
                output.write(b"%d %d\n" % (index, turn), stderr=False)
        assert len(os.listdir("/proc/self/fd")) == before + 2 + OPEN_FILES_MAX
    assert len(os.listdir("/proc/self/fd")) == before
    reader = RunReader(writer.path)
    assert len(reader.outputs()) == 1000
    assert reader.read_output("n49", "p999") == b"999 0\n999 1\n"


def test_a_refused_folder_leaves_no_descriptor_open(tmp_path):
    begin(tmp_path).close()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UsageError):
        RunWriter.create_at(
            tmp_path / "ring" / "0001", lab="ring", lab_text="", source_text=None, manifest={}
        )
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("planted", ["nodes", "nodes/r1", "nodes/r1/zebra.stdout"])
def test_a_symlink_that_a_guest_left_is_never_written_through(tmp_path, planted):
    outside = tmp_path / "outside"
    (outside / "r1").mkdir(parents=True)
    (outside / "r1" / "zebra.stdout").write_text("precious")
    targets = {
        "nodes": outside,
        "nodes/r1": outside / "r1",
        "nodes/r1/zebra.stdout": outside / "r1" / "zebra.stdout",
    }
    with begin(tmp_path) as writer:
        link = writer.path / planted
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(targets[planted])
        with pytest.raises(HostError, match=r"cannot write nodes/r1/zebra\.stdout"):
            writer.output("r1", "zebra").write(b"harm", stderr=False)
        writer.finish("failed", summary={})
    assert (outside / "r1" / "zebra.stdout").read_text() == "precious"
    assert RunReader(writer.path).outputs() == ()


def test_captures_are_appended_and_never_through_a_symlink(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    with begin(tmp_path) as writer:
        writer.append_file("r1-eth0.pcap", b"head")
        writer.append_file("../up.pcap", b"")
        writer.append_file("r1-eth0.pcap", b"packet")
        writer.finish("passed", summary={})
    assert {file.name: file.read_bytes() for file in (writer.path / "files").iterdir()} == {
        "r1-eth0.pcap": b"headpacket",
        "%2E.%2Fup.pcap": b"",
    }
    with begin(tmp_path) as writer:
        (writer.path / "files").symlink_to(outside)
        with pytest.raises(HostError, match=r"cannot write files/r1\.pcap"):
            writer.append_file("r1.pcap", b"harm")
    assert list(outside.iterdir()) == []


def test_a_fifo_that_a_guest_left_is_an_error_and_no_wait(tmp_path):
    with begin(tmp_path) as writer:
        os.mkfifo(writer.files_path / "r1.pcap")
        with pytest.raises(HostError, match=r"cannot write files/r1\.pcap .*: No such device"):
            writer.append_file("r1.pcap", b"packet")


def test_a_manifest_that_a_guest_made_a_symlink_is_replaced_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    with begin(tmp_path) as writer:
        for name in ("manifest.json.new", "processes.json"):
            (writer.path / name).symlink_to(victim)
        writer.finish("passed", summary={})
    assert victim.read_text() == "precious"
    assert RunReader(writer.path).state == "passed"


def test_a_damaged_log_names_file_and_line(tmp_path):
    with begin(tmp_path) as writer:
        writer.event(START)
        log = writer.path / "events.jsonl"
        with log.open("a") as file:
            file.write('{"half":\n')
        writer.event(EXIT)
        with pytest.raises(ProtocolError, match=r"/events\.jsonl:2: not an event: '{\"half\":"):
            list(RunReader(writer.path).events())


@pytest.mark.parametrize(
    "line",
    [
        '{"fields":[],"kind":"step","node":"","sequence":0,"time_ns":0}\n',
        '{"fields":{},"kind":"step","node":"","sequence":0,"time_ns":1e3}\n',
        '{"fields":{},"kind":7,"node":"","sequence":0,"time_ns":0}\n',
        "[]\n",
    ],
)
def test_an_event_with_a_value_of_the_wrong_type_is_no_event(tmp_path, line):
    with begin(tmp_path) as writer:
        (writer.path / "events.jsonl").write_text(line)
        with pytest.raises(ProtocolError, match=r"/events\.jsonl:1: "):
            list(RunReader(writer.path).events())


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_damaged_manifest_names_the_file(tmp_path, text):
    with begin(tmp_path) as writer:
        (writer.path / "manifest.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(ProtocolError, match=r"/manifest\.json: "):
            _ = RunReader(writer.path).manifest


def test_a_run_that_was_killed_before_its_manifest_can_be_read(tmp_path):
    (tmp_path / "events.jsonl").touch()
    reader = RunReader(tmp_path)
    assert (reader.manifest, reader.state, reader.lab_text) == ({}, "killed", "")
    assert (list(reader.events()), reader.outputs(), reader.processes()) == ([], (), ())


@given(name=st.text(max_size=60))
@example("..")
@example(".")
@example("")
@example("a/../b%2F")
@example("\udcff")
def test_any_name_becomes_one_path_component_and_comes_back(name):
    file = file_name(name)
    assert file not in ("", ".", "..")
    assert "/" not in file
    assert file.isascii()
    assert file.isprintable()
    if "%~" not in file:
        assert name_of_file(file) == name.encode("utf-8", "surrogatepass").decode(errors="replace")


def test_names_of_files_look_like_the_names_of_processes():
    assert file_name("zebra-2.log") == "zebra-2.log"
    assert file_name("ping 10.0.0.1 | tail") == "ping 10.0.0.1 | tail"
    assert file_name("a/b") == "a%2Fb"
    assert file_name(".hidden") == "%2Ehidden"
    assert file_name("") == "%"


def test_names_that_are_too_long_for_a_file_stay_apart():
    first, second = file_name("x" * 300 + "1"), file_name("x" * 300 + "2")
    assert first != second
    assert len(first) == len(second) == 200


@given(text=st.text(st.characters(codec=None), max_size=20))
@example("\udc80")
@example("\u2028\r\n\0")
def test_any_text_in_an_event_comes_back(tmp_path_factory, text):
    with begin(tmp_path_factory.getbasetemp()) as writer:
        event = Event(1, 0, "step", "r1", {"text": text})
        writer.event(event)
        assert list(RunReader(writer.path).events()) == [event]
