# SPDX-License-Identifier: Apache-2.0
"""Puts the page of a run together: what failed is on top, then all that was observed.

The page is whole in itself, and its policy allows no script and no style but its own, by
their digests. What failed, and the timeline as a table, are readable without the script.
It is a function of the run's folder: equal runs give equal pages, wherever they lie.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from jinja2 import Environment, StrictUndefined

from windtunnel.model.graph import lab_drawing
from windtunnel.model.lab import LabSpec
from windtunnel.model.result import CheckResult
from windtunnel.report.overview import check_title, virtual_text
from windtunnel.report.page import MESSAGE_CHARACTERS_MAX, for_script
from windtunnel.report.run.against import Difference, difference_from, difference_from_good
from windtunnel.report.run.flows import FLOWS_MAX, flows_json, flows_of
from windtunnel.report.run.packets import PACKETS_MAX, Captured, read_captures
from windtunnel.report.run.record import UNFINISHED, RunRecord, read_record
from windtunnel.report.run.roundtrip import round_trips_of
from windtunnel.report.run.states import Moment, moments_json, moments_of
from windtunnel.report.run.texts import crashes_of, kernel_lines, logs_of, outputs_of
from windtunnel.report.run.throughput import throughput_of
from windtunnel.report.run.timeline import TimelineRow, rows_json, timeline_of
from windtunnel.report.text import shown, shown_line, shown_name
from windtunnel.store.corefiles import cores_of
from windtunnel.store.kernel_log import lab_zero_ns
from windtunnel.store.results import CHECK_KINDS, check_result

CHECKS_MAX = 50
"""Failed checks in full; the run's folder has all of them."""

_STATES = {
    "passed": "passed",
    "failed": "failed",
    "error": "ended by an error",
    "timeout": "not done in time",
    "interrupted": "interrupted",
    UNFINISHED: "it has no end: it was killed, or still ran",
}
_REPLAY = re.compile(r"windtunnel replay (?!-)\S+$")


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page.

    Attributes:
        text: HTML, to be written in UTF-8.
        warnings: what of the run could not be read, each a sentence; the page has them.
    """

    text: str
    warnings: tuple[str, ...]


def run_page(path: Path, *, against: Path | None = None) -> RunPage:
    """Write a run as a page.

    Args:
        path: the run's folder.
        against: another run, whose first difference from this one is to be shown. None: of
            one that did not pass, the nearest that did.

    Raises:
        UsageError: there is no run in this folder.
        ProtocolError, HostError: `against` cannot be compared with it.
    """
    record = read_record(path)
    captured = read_captures(record)
    moments, moments_left = moments_of(record)
    rows, bars_left = timeline_of(record)
    data, lefts = _data(record, captured, moments, rows)
    lefts |= {"moments": moments_left, "bars": bars_left}
    table, table_left = _table(rows)
    lefts |= {"table": table_left}
    warned = len(record.warnings)
    difference = _difference(record, against)
    is_alone = difference is None and len(record.warnings) == warned
    css, script = _css(), _part("run.js")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        _part("run.html")
    )
    failed = _failed(record)
    text = template.render(
        lab=shown_line(str(record.manifest.get("lab", ""))) or "a run without a name",
        verdict=_verdict(record, failed),
        good=record.state == "passed",
        facts=_facts(record),
        finding=shown(_finding(record)),
        failed=[_failure(check) for check in failed[:CHECKS_MAX]],
        failed_left=max(len(failed) - CHECKS_MAX, 0),
        crashes=data["crashes"],
        difference=_difference_json(difference),
        is_alone=is_alone and record.state not in ("passed", UNFINISHED),
        cores=[shown_name(core.node) for core in cores_of(record.path)],
        repeat=_repeat(record),
        is_replay=bool(_REPLAY.search(str(record.manifest.get("repeat", "")))),
        warnings=[shown_line(text) for text in record.warnings],
        topology=_topology(record.spec),
        has_moments=len(moments) > 1,
        rows=table,
        lefts=lefts,
        packets_max=PACKETS_MAX,
        flows_max=FLOWS_MAX,
        captures=[shown_name(name) for name in captured.names],
        captures_cut=captured.is_cut,
        has=_has(data),
        time=_time_text,
        css=css,
        script=script,
        style_hash=_digest(css),
        script_hash=_digest(script),
        data=for_script({name: value for name, value in data.items() if name != "crashes"}),
    )
    return RunPage(text, tuple(record.warnings))


def _difference(record: RunRecord, against: Path | None) -> Difference | None:
    if against is not None:
        return difference_from(record.path, against)
    if record.state == "passed":
        return None
    return difference_from_good(record.path, record.warnings.append)


def _difference_json(difference: Difference | None) -> dict[str, str] | None:
    if difference is None:
        return None
    words = "the nearest run that passed" if difference.has_passed else "another run"
    return {
        "title": f"Where it parts from {shown_name(difference.other)}, {words}",
        "text": shown(difference.text),
    }


def _part(name: str) -> str:
    return files("windtunnel.report.run").joinpath(name).read_text(encoding="utf-8")


# The page of results and this one look the same.
def _css() -> str:
    common = files("windtunnel.report").joinpath("page.css").read_text(encoding="utf-8")
    return "\n" + common + _part("run.css")


# As the policy wants it: of all between the tags (CSP 3, 2.3.1).
def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(
    record: RunRecord, captured: Captured, moments: list[Moment], rows: list[TimelineRow]
) -> tuple[dict[str, Any], dict[str, int]]:
    throughput, throughput_left = throughput_of(record)
    round_trips, round_trips_left = round_trips_of(captured)
    logs, zero_ns = logs_of(record), lab_zero_ns(record.path)
    lines, lines_left = kernel_lines(logs, zero_ns)
    ladder = flows_json(flows_of(captured), record.nodes)
    data = {
        "end": max(record.end_ns, 1),
        "moments": moments_json(moments),
        "rows": rows_json(rows),
        "throughput": throughput,
        "roundTrips": round_trips,
        "flows": ladder["flows"],
        "lines": lines,
        "outputs": outputs_of(record),
        "crashes": crashes_of(logs, zero_ns),
    }
    lefts = {
        "throughput": throughput_left,
        "round_trips": round_trips_left,
        "lines": lines_left,
        "flows": ladder["left"],
    }
    return data, lefts


def _has(data: dict[str, Any]) -> dict[str, bool]:
    return {name: bool(value) for name, value in data.items() if isinstance(value, list)}


# ---- what is on top ----


def _failed(record: RunRecord) -> list[CheckResult]:
    checks = [check_result(event) for event in record.events if event.kind in CHECK_KINDS]
    return [check for check in checks if check.judged and not check.passed]


def _verdict(record: RunRecord, failed: list[CheckResult]) -> str:
    words = _STATES.get(record.state, record.state)
    if record.state == "failed" and failed:
        return f"failed: {len(failed)} {'check' if len(failed) == 1 else 'checks'}"
    return shown_line(words)


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    manifest, spec = record.manifest, record.spec
    kernel = manifest.get("kernel")
    said = {
        "virtual time": virtual_text(record.end_ns),
        "seed": manifest.get("seed"),
        "kernel": kernel.get("release") if isinstance(kernel, dict) else None,
        "nodes": len(spec.nodes) if spec else None,
        "links": len(spec.links) if spec and spec.links else None,
        "networks": len(spec.networks) if spec and spec.networks else None,
        "windtunnel": manifest.get("windtunnel"),
    }
    return [(name, shown_line(str(text))) for name, text in said.items() if text is not None]


def _finding(record: RunRecord) -> str:
    if record.state in ("passed", "failed"):
        return ""
    found = record.manifest.get("finding") or record.manifest.get("error")
    if found:
        return str(found)
    events = (event for event in record.events if event.kind == "finding")
    return next((str(event.fields.get("message", "")) for event in events), "")


def _failure(check: CheckResult) -> dict[str, Any]:
    return {
        "title": shown_line(check_title(check)),
        "at_ns": check.at_ns,
        "decided_ns": check.at_ns + check.took_ns,
        "message": shown(check.message, characters_max=MESSAGE_CHARACTERS_MAX) or "no message",
    }


# Where the folder lies is no part of the run: equal runs have equal pages.
def _repeat(record: RunRecord) -> str:
    repeat = str(record.manifest.get("repeat", "")).replace("{run}", ".")
    return shown_line(_REPLAY.sub("windtunnel replay .", repeat))


# ---- the topology ----


def _topology(spec: LabSpec | None) -> str:
    """Draw the lab; each thing is in a group that bears its key."""
    if spec is None or not spec.nodes:
        return ""
    drawing = lab_drawing(spec)
    size = (
        f'viewBox="0 0 {drawing.width:.0f} {drawing.height:.0f}" '
        f'width="{drawing.width:.0f}" height="{drawing.height:.0f}"'
    )
    parts = [f'<svg id="picture" role="img" aria-label="Topology" {size}>']
    for key, shapes in drawing.shapes:
        parts.append(f"<g data-key={quoteattr(key)}>{''.join(shapes)}</g>")
    return "\n".join([*parts, "</svg>"])


# ---- the timeline as a table ----

TABLE_ROWS_MAX = 1_000
"""Of the timeline as a table, which people hear rather than see."""


def _table(rows: list[TimelineRow]) -> tuple[list[dict[str, str]], int]:
    """Give the rows of the table, and how many were left out."""
    bars = [(bar, row.group) for row in rows for bar in row.bars]
    # What prepared the lab, and went well, is before everything and says little.
    bars = [one for one in bars if one[0].start_ns >= 0 or one[0].kind not in ("ran", "passed")]
    bars.sort(key=lambda one: one[0].start_ns)
    table = [
        {
            "start": _time_text(bar.start_ns),
            "end": _time_text(bar.end_ns),
            "where": shown_name(group),
            "kind": bar.kind,
            "text": bar.text,
        }
        for bar, group in bars[:TABLE_ROWS_MAX]
    ]
    return table, len(bars) - len(table)


def _time_text(time_ns: int | None) -> str:
    """Write a moment exactly to the microsecond: "1:02:00.000214 s"."""
    if time_ns is None:
        return ""
    sign, time_ns = ("-" if time_ns < 0 else ""), abs(time_ns)
    seconds, rest = divmod(time_ns, 1_000_000_000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    micros = f"{rest // 1_000:06}"
    if hours:
        return f"{sign}{hours}:{minute:02}:{second:02}.{micros}"
    return f"{sign}{minute}:{second:02}.{micros}" if minute else f"{sign}{second}.{micros} s"
