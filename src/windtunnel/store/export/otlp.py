# SPDX-License-Identifier: Apache-2.0
"""A run as log records of OpenTelemetry, in the file form of its protocol.

Each line is one request with up to `BATCH_RECORDS` records. `timeUnixNano` is the
lab's wall clock, which is virtual; `observedTimeUnixNano` would be the host's, which
no run records, so it is left out. Equal runs give equal bytes.

Source: opentelemetry.io/docs/specs/otlp (JSON encoding: 64-bit numbers are text,
enums are numbers), …/otel/protocol/file-exporter, opentelemetry/proto/logs/v1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from windtunnel.store.tables import open_runs
from windtunnel.store.tables.rows import clock_of
from windtunnel.version import VERSION

BATCH_RECORDS = 500

# What happened at one instant: the kernel's lines after the events, each in its own order.
_QUERY = """
    SELECT time_ns, 0 AS source, '' AS kernel, sequence AS number, kind, node,
           fields::VARCHAR AS body, '' AS owner, NULL::INTEGER AS level FROM events
    UNION ALL
    SELECT coalesce(time_ns, 0), 1, kernel, number, 'kernel-log', kernel, text,
           CASE WHEN owner_name = '' THEN owner ELSE owner_name END, level FROM log_lines
    ORDER BY ALL
"""
_RUN = "SELECT run, lab, seed::VARCHAR FROM runs"

# opentelemetry/proto/logs/v1: SeverityNumber
_INFO, _WARN, _ERROR, _FATAL = 9, 13, 17, 21
# Levels of the kernel: emergency, alert, critical, error, warning, notice, info, debug.
_SEVERITIES = (24, 23, 21, 17, 13, 10, 9, 5)


def write(run: Path, target: Path, warn: Callable[[str], None]) -> None:
    """Write a run's events and the lines of its kernels.

    Args:
        run: its folder.
        target: the file to write.
        warn: told of what could not be read.

    Raises:
        OSError: it cannot be written.
    """
    clock_ns = clock_of(run)
    with open_runs(run, warn=warn) as database, target.open("w", encoding="utf-8") as file:
        ((name, lab, seed),) = database.sql(_RUN).fetchall()
        resource = {
            "service.name": lab,
            "service.instance.id": name,
            "windtunnel.run": name,
            "windtunnel.seed": seed,
        }
        rows = iter(database.sql(_QUERY))
        while batch := list(islice(rows, BATCH_RECORDS)):
            records = [_record(row, clock_ns) for row in batch]
            file.write(json.dumps(_request(resource, records), separators=(",", ":")) + "\n")


def _request(resource: dict[str, Any], records: list[dict[str, Any]]) -> dict[str, Any]:
    scope = {"name": "windtunnel", "version": VERSION}
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": list(_attributes(resource))},
                "scopeLogs": [{"scope": scope, "logRecords": records}],
            }
        ]
    }


def _record(row: tuple[Any, ...], clock_ns: int) -> dict[str, Any]:
    time_ns, source, _kernel, number, kind, node, body, owner, level = row
    fields = {} if source else json.loads(body)
    attributes = {
        "windtunnel.time_ns": time_ns,
        "windtunnel.sequence": number,
        **({"host.name": node} if node else {}),
        **({"windtunnel.owner": owner} if owner else {}),
        **{f"windtunnel.{key}": value for key, value in fields.items() if value is not None},
    }
    return {
        "timeUnixNano": str(max(clock_ns + time_ns, 0)),
        "severityNumber": _severity(kind, fields, level),
        "eventName": f"windtunnel.{kind}",
        "body": {"stringValue": body if source else _text(kind, fields)},
        "attributes": list(_attributes(attributes)),
    }


def _severity(kind: str, fields: dict[str, Any], level: int | None) -> int:
    if kind == "finding":
        return _FATAL
    if fields.get("passed") is False:
        return _ERROR if fields.get("judged", True) else _WARN
    return _INFO if level is None else _SEVERITIES[level & 7]


def _text(kind: str, fields: dict[str, Any]) -> str:
    """An event in one line for people; its fields are in the attributes."""
    keys = ("name", "process", "link", "change", "phase", "outcome", "message")
    words = [fields[key] for key in keys if isinstance(fields.get(key), str) and fields[key]]
    return " ".join([kind, *words])


def _attributes(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for key, value in values.items():
        yield {"key": key, "value": _value(value)}


def _value(value: Any) -> dict[str, Any]:
    """A value of JSON as an AnyValue."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(one) for one in value]}}
        case dict():
            return {"kvlistValue": {"values": list(_attributes(value))}}
        case None:
            return {}
        case _:
            return {"stringValue": str(value)}
