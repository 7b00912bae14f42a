# SPDX-License-Identifier: Apache-2.0
"""Runs for other programs, read back by programs that others wrote."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from recorded_runs import CLOCK_NS, EVENTS, begin, capture, record
from windtunnel.errors import UsageError
from windtunnel.model.event import Event
from windtunnel.store.export import Format, export_run
from windtunnel.store.tables.rows import read_blocks
from windtunnel.wire import pcapng


def silent(text: str) -> None:
    raise AssertionError(text)


def otlp_records(path: Path) -> list[dict]:
    return [
        record
        for line in path.read_text().splitlines()
        for resource in json.loads(line)["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]


def plain(value: dict):
    """A value of OTLP as Python has it."""
    ((kind, inside),) = value.items()
    match kind:
        case "intValue":
            return int(inside)
        case "arrayValue":
            return [plain(one) for one in inside["values"]]
        case "kvlistValue":
            return {one["key"]: plain(one["value"]) for one in inside["values"]}
        case _:
            return inside


def attributes(record: dict) -> dict:
    return {one["key"]: plain(one["value"]) for one in record["attributes"]}


def test_every_event_and_line_is_a_log_record_at_its_virtual_time(tmp_path):
    run = record(tmp_path)
    export_run(run, tmp_path / "x.jsonl", Format.OTLP, warn=silent)
    records = otlp_records(tmp_path / "x.jsonl")
    assert len(records) == len(EVENTS) + 3
    times = [int(one["timeUnixNano"]) for one in records]
    assert times == sorted(times)
    assert times[0] == CLOCK_NS - 10_000_000_000  # the kernel's first line
    assert not any("observedTimeUnixNano" in one for one in records)
    by_name = {one["eventName"]: one for one in records}
    check = by_name["windtunnel.check"]
    assert check["severityNumber"] == 17
    assert check["body"] == {"stringValue": "check it pings it exited with 1, not 0"}
    assert attributes(check)["host.name"] == "r1"
    assert attributes(check)["windtunnel.at_ns"] == 6
    assert by_name["windtunnel.finding"]["severityNumber"] == 21
    counters = attributes(by_name["windtunnel.counters"])
    assert counters["windtunnel.interfaces"] == EVENTS[6].fields["interfaces"]
    lines = [one for one in records if one["eventName"] == "windtunnel.kernel-log"]
    owners = [attributes(one)["windtunnel.owner"] for one in lines[-2:]]
    assert owners == ["r1/zebra", "T12"]  # it had ended when the second was printed


def test_each_line_is_a_request_of_opentelemetry(tmp_path):
    logs = pytest.importorskip("opentelemetry.proto.logs.v1.logs_pb2")
    json_format = pytest.importorskip("google.protobuf.json_format")
    run = record(tmp_path)
    export_run(run, tmp_path / "x.jsonl", Format.OTLP, warn=silent)
    for line in (tmp_path / "x.jsonl").read_text().splitlines():
        data = json_format.Parse(line, logs.LogsData())
        assert data.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano > 0


@pytest.mark.parametrize("kind", list(Format))
def test_equal_runs_give_equal_bytes(tmp_path, kind):
    if kind is Format.XLSX:
        pytest.importorskip("xlsxwriter")
    written = []
    for _ in range(2):
        run = record(tmp_path / "runs")  # in the same place: it is among the facts of a run
        export_run(run, tmp_path / "out", kind, warn=silent)
        written.append((tmp_path / "out").read_bytes())
        shutil.rmtree(tmp_path / "runs")
    assert written[0] == written[1]


def test_a_workbook_has_a_sheet_for_each_table_that_has_rows(tmp_path):
    pytest.importorskip("xlsxwriter")
    openpyxl = pytest.importorskip("openpyxl")
    events = [*EVENTS, Event(9, 10, "output", "", {"text": "=1+1" * 10_000})]
    export_run(record(tmp_path, events), tmp_path / "x.xlsx", Format.XLSX, warn=silent)
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert book.sheetnames == [
        "runs",
        "checks",
        "processes",
        "packets",
        "log_lines",
        "findings",
        "faults",
        "counters",
        "events",
    ]
    names, row = book["checks"].iter_rows(values_only=True)
    assert dict(zip(names, row, strict=True))["name"] == "it pings"
    (seed,) = [cell.value for cell in book["runs"]["2"] if cell.value == str(2**64 - 1)]
    assert seed == "18446744073709551615"  # a number in a cell would not be exact
    longest = book["events"].cell(11, 8).value
    assert len(longest) == 32767
    assert longest.endswith("…")


def test_all_captures_are_merged_by_time_and_keep_what_they_say(tmp_path, need_program):
    run = record(tmp_path)
    export_run(run, tmp_path / "x.pcapng", Format.PCAPNG, warn=silent)
    blocks = list(read_blocks(tmp_path / "x.pcapng", silent))
    assert [one.name for one in blocks if isinstance(one, pcapng.Interface)] == ["a:eth0", "b:lo"]
    packets = [one for one in blocks if isinstance(one, pcapng.Packet)]
    assert [(one.time_ns - CLOCK_NS, one.interface) for one in packets] == [
        (1000, 0),
        (2000, 1),
        (3000, 0),
        (3000, 1),
    ]
    assert {(one.comment, one.direction) for one in packets} == {("lost", pcapng.Direction.OUT)}
    need_program("tshark")
    shown = subprocess.run(
        ["tshark", "-r", str(tmp_path / "x.pcapng"), "-T", "fields", "-e", "frame.interface_name"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.split() == ["a:eth0", "b:lo", "a:eth0", "b:lo"]


@pytest.mark.parametrize("says_next", [True, False])
def test_a_task_stands_under_its_node_from_its_first_slice_on(tmp_path, says_next):
    """As far as the trace says so: earlier versions gave only the node of an event's own task."""
    next_task = {"next_pid": 7, "next_comm": "zebra", "next_prio": 120}
    switch = {"common_pid": 0, "task": "<idle>"} | next_task
    own = Event(1, 0, "sched_waking", "r1", {"common_pid": 7, "task": "zebra"}, "", "trace")
    told = {"next_node": "r1"} if says_next else {}
    switched = Event(2, 0, "sched_switch", "", switch | told, "", "trace")
    trace = [switched] if says_next else [own, switched]
    with begin(tmp_path) as writer:
        writer.append_file("trace.jsonl", "".join(f"{one.to_line()}\n" for one in trace).encode())
        writer.finish("passed", summary={})
    export_run(writer.path, tmp_path / "x", Format.PERFETTO, warn=silent)
    tracks = (tmp_path / "x").read_bytes()
    assert b"r1" in tracks
    # The idle task has no track: nothing here is of no node.
    assert b"kernel" not in tracks


def test_a_run_without_captures_has_nothing_to_merge(tmp_path):
    with begin(tmp_path) as writer:
        writer.finish("passed", summary={})
    with pytest.raises(UsageError, match="has no captures") as caught:
        export_run(writer.path, tmp_path / "x.pcapng", Format.PCAPNG, warn=silent)
    assert "`capture`" in caught.value.hint
    assert not (tmp_path / "x.pcapng").exists()


def test_a_spoilt_capture_is_merged_as_far_as_it_goes_and_named(tmp_path):
    with begin(tmp_path) as writer:
        writer.append_file("a.pcapng", capture("a:eth0", [1]) + b"rubbish rubbish")
        writer.append_file("b.pcapng", capture("b:eth0", [2]))
        writer.finish("passed", summary={})
    said: list[str] = []
    export_run(writer.path, tmp_path / "x.pcapng", Format.PCAPNG, warn=said.append)
    blocks = list(read_blocks(tmp_path / "x.pcapng", silent))
    assert len([one for one in blocks if isinstance(one, pcapng.Packet)]) >= 1
    assert len(said) == 1
    assert "a.pcapng: pcapng: block" in said[0]
