# SPDX-License-Identifier: Apache-2.0
"""Which tables there are, what is in their columns, and how one follows from another.

Some tables are made from what lies in run folders: `runs` and `cells` each time,
`events`, `trace_events`, `log_lines`, `crashes` and `packets` once, as Parquet. All
others are views over these. Every table is in the order of its key, and every time in it is virtual
time in integer nanoseconds; what the host decided has `host` in its name.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = 2
"""Of the Parquet files; another number means other columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: as SQL says it.
        type: DuckDB's word for it.
        meaning: for people; when it is NULL or empty.
    """

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table or a view.

    Attributes:
        name: as SQL says it.
        meaning: what one row is.
        key: the columns that name a row, in the order of the rows.
        columns: in their order.
        query: of a view; empty for what is read from run folders.
    """

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    query: str = ""


_RUN = Column("run", "VARCHAR", "The run's folder below that of all runs: `ospf-ring/0001`.")
_TIME = Column("time_ns", "BIGINT", "Lab time in nanoseconds; negative before time zero.")
_NODE = Column("node", "VARCHAR", "Where; empty when it concerns the whole lab.")
_KERNEL = Column("kernel", "VARCHAR", "The node whose own kernel it is; empty for the shared one.")
_SEQUENCE = Column("sequence", "BIGINT", "Of the event: 0, 1, 2 … over its run.")

EVENTS = Table(
    "events",
    "What a run observed, one fact a row.",
    ("run", "stream", "sequence"),
    (
        _RUN,
        _TIME,
        _NODE,
        _KERNEL,
        Column("stream", "VARCHAR", "Who observed it; empty for the engine, a tracer's name else."),
        _SEQUENCE,
        Column("kind", "VARCHAR", "One of the kinds of events."),
        Column("fields", "JSON", "What belongs to the kind: `fields->>'process'`."),
    ),
)

TRACE_EVENTS = Table(
    "trace_events",
    "An event of a run's trace as it was recorded; `traces` says more plainly what it is.",
    EVENTS.key,
    EVENTS.columns,
)

LOG_LINES = Table(
    "log_lines",
    "A whole line that a kernel printed, put together again.",
    ("run", "kernel", "number"),
    (
        _RUN,
        _KERNEL,
        Column("number", "BIGINT", "Of the line in its kernel's log, from 0."),
        Column(
            "time_ns",
            "BIGINT",
            "Lab time, exact to a microsecond; NULL for what programs wrote to the console.",
        ),
        Column("level", "INTEGER", "0 (emergency) to 7 (debug); NULL where it is not told."),
        Column("owner", "VARCHAR", "`T12` for a task, `C0` for a processor, or empty."),
        Column("owner_name", "VARCHAR", "Of the task, `r1/zebra`; empty where it is not known."),
        Column("text", "VARCHAR", "Without prefix; may hold newlines."),
        Column("confidence", "VARCHAR", "`sure`, `likely` or `guess` that it is one line."),
        Column("lost", "BIGINT", "Records missing before it; -1 when their number is unknown."),
    ),
)

CRASHES = Table(
    "crashes",
    "A crash report in a kernel's log.",
    ("run", "kernel", "number"),
    (
        _RUN,
        _KERNEL,
        Column("number", "BIGINT", "Of the line that it begins with, as in `log_lines`."),
        Column("time_ns", "BIGINT", "Lab time; NULL where it is not told."),
        Column("title", "VARCHAR", "What it is, and in which function."),
        Column("kind", "VARCHAR", "The family of the report."),
        Column("owner", "VARCHAR", "As in `log_lines`."),
        Column("owner_name", "VARCHAR", "As in `log_lines`."),
        Column("panicked", "BOOLEAN", "Whether the kernel panicked."),
        Column("corrupted", "VARCHAR", "Why the report is not whole; empty when it is."),
        Column("extract", "VARCHAR", "Its lines."),
    ),
)

PACKETS = Table(
    "packets",
    "A packet of a capture.",
    ("run", "capture", "number"),
    (
        _RUN,
        Column("capture", "VARCHAR", "The capture's file, without `.pcapng`."),
        Column("number", "BIGINT", "Of the packet in its file, from 0."),
        _TIME,
        Column("interface", "VARCHAR", "Where it was seen: `r1:eth0`."),
        Column("direction", "VARCHAR", "`in`, `out`, or empty."),
        Column("size_bytes", "BIGINT", "On the link."),
        Column("kept_bytes", "BIGINT", "Of it in the file."),
        Column("comment", "VARCHAR", "What became of it, such as why it was dropped."),
        Column("protocol", "VARCHAR", "The uppermost that was read: `tcp`, `icmp`, `arp` …"),
        Column("source", "VARCHAR", "IP address, or that of the link where there is none."),
        Column("target", "VARCHAR", "As `source`."),
        Column("source_port", "INTEGER", "Of TCP, UDP and SCTP; NULL for all others."),
        Column("target_port", "INTEGER", "As `source_port`."),
        Column("flags", "VARCHAR", "Of TCP: `SA` for SYN and ACK, of `FSRPAUEC`; empty else."),
        Column("tcp_sequence", "BIGINT", "TCP's sequence number; NULL for all others."),
        Column("payload_bytes", "BIGINT", "Behind the header of TCP or UDP; NULL for all others."),
    ),
)

RUNS = Table(
    "runs",
    "A run, also while it goes on, and when it was interrupted or killed.",
    ("run",),
    (
        _RUN,
        Column("lab", "VARCHAR", "The lab's name."),
        Column("state", "VARCHAR", "`running`, `passed`, `failed`, `error`, `killed` …"),
        Column("finding", "VARCHAR", "What ended it, when that was no check; NULL else."),
        Column("seed", "UBIGINT", "Of all its randomness."),
        Column("kernel_release", "VARCHAR", "Of the lab's kernel: `6.12.90`."),
        Column("end_ns", "BIGINT", "Lab time of its end; NULL when it did not get there."),
        Column("stop_ns", "BIGINT", "Lab time at which it was to stop; NULL when all is done."),
        Column("windtunnel", "VARCHAR", "The version that recorded it."),
        Column("wall_host_s", "DOUBLE", "How long it took here; NULL until it has ended."),
        Column("cpu_host_s", "DOUBLE", "Processor time that it took here."),
        Column("repeat", "VARCHAR", "The command that repeats it."),
        Column("folder", "VARCHAR", "Where it is recorded."),
    ),
)

CELLS = Table(
    "cells",
    "One try of one cell of a lab with parameters; any other run is a cell of its own.",
    ("results", "index", "attempt"),
    (
        Column("results", "VARCHAR", "The folder of the results, below that of all runs."),
        Column("cell", "VARCHAR", "Its name; the lab's where there are no parameters."),
        Column("index", "BIGINT", "Its place in the order of the lab, from 0."),
        Column("attempt", "BIGINT", "1 for the first try."),
        Column("state", "VARCHAR", "`passed`, `failed`, `error`, `timeout`, `lost` …"),
        Column("params", "JSON", "Its parameters: `params->>'loss'`."),
        Column("run", "VARCHAR", "Its run, as in `runs`; empty when there is none."),
        Column("seed", "UBIGINT", "Of its lab."),
        Column("finding", "VARCHAR", "What failed first or stopped it; empty when it passed."),
        Column("end_ns", "BIGINT", "Lab time of its end; NULL when it did not get there."),
        Column("wall_host_s", "DOUBLE", "How long it took here."),
        Column("cpu_host_s", "DOUBLE", "Processor time that it took here."),
    ),
)

CHECKS = Table(
    "checks",
    "A check, a process that was judged, or a step that was done.",
    ("run", "sequence"),
    (
        _RUN,
        _SEQUENCE,
        Column("time_ns", "BIGINT", "Lab time when it was decided."),
        _NODE,
        Column("name", "VARCHAR", "Of the step, process or validation."),
        Column("kind", "VARCHAR", "`step`, `process` or `validate`."),
        Column("passed", "BOOLEAN", "The verdict."),
        Column("judged", "BOOLEAN", "Whether it counts."),
        Column("at_ns", "BIGINT", "Lab time when it began."),
        Column("took_ns", "BIGINT", "Virtual time until it was decided."),
        Column("message", "VARCHAR", "Why it failed; what it found otherwise."),
    ),
    query="""
        SELECT run, sequence, time_ns, node, fields->>'name' AS name, fields->>'of' AS kind,
               (fields->>'passed')::BOOLEAN AS passed, (fields->>'judged')::BOOLEAN AS judged,
               (fields->>'at_ns')::BIGINT AS at_ns, (fields->>'took_ns')::BIGINT AS took_ns,
               fields->>'message' AS message
        FROM events WHERE kind IN ('check', 'step')
    """,
)

PROCESSES = Table(
    "processes",
    "One life of a process that the lab started.",
    ("run", "sequence"),
    (
        _RUN,
        Column("sequence", "BIGINT", "Of the event of its start."),
        _NODE,
        Column("process", "VARCHAR", "Its name; names the files of its output."),
        Column("command", "VARCHAR", "The command line; NULL when the start is not recorded."),
        Column("pid", "BIGINT", "In its kernel; NULL when it is not known."),
        Column("start_ns", "BIGINT", "Lab time; NULL when the start is not recorded."),
        Column("end_ns", "BIGINT", "Lab time; NULL while it runs."),
        Column("outcome", "VARCHAR", "`exited`, `killed`, `not started` or `running`."),
        Column("status", "INTEGER", "The exit status, or the signal; NULL while it runs."),
        Column("user_ns", "BIGINT", "Processor time outside of the kernel, of its children too."),
        Column("system_ns", "BIGINT", "Processor time in the kernel."),
        Column("rss_max_bytes", "BIGINT", "The most memory that it had; NULL in old runs."),
        Column("waits", "BIGINT", "Times that it gave up the processor; NULL in old runs."),
        Column("preemptions", "BIGINT", "Times that it had to; NULL in old runs."),
    ),
    query="""
        WITH steps AS (
            SELECT run, sequence, time_ns, node, kind, fields, fields->>'process' AS process,
                   lag(kind) OVER life AS kind_before, lead(kind) OVER life AS kind_after,
                   lead(time_ns) OVER life AS time_after, lead(fields) OVER life AS fields_after
            FROM events WHERE kind IN ('process-start', 'process-exit')
            WINDOW life AS (PARTITION BY run, node, fields->>'process' ORDER BY sequence)
        ), lives AS (
            SELECT *, kind = 'process-start' AS begins,
                   CASE WHEN kind = 'process-exit' THEN fields
                        WHEN kind_after = 'process-exit' THEN fields_after END AS ending
            FROM steps
            WHERE kind = 'process-start' OR kind_before IS DISTINCT FROM 'process-start'
        )
        SELECT run, sequence, node, process,
               CASE WHEN begins THEN fields->>'command' END AS command,
               CASE WHEN begins THEN (fields->>'pid')::BIGINT END AS pid,
               CASE WHEN begins THEN time_ns END AS start_ns,
               CASE WHEN NOT begins THEN time_ns WHEN ending IS NOT NULL THEN time_after END
                   AS end_ns,
               CASE WHEN ending IS NULL THEN 'running'
                    ELSE coalesce(ending->>'outcome', 'exited') END AS outcome,
               (ending->>'status')::INTEGER AS status,
               coalesce((ending->>'user_ns')::BIGINT, 0) AS user_ns,
               coalesce((ending->>'system_ns')::BIGINT, 0) AS system_ns,
               (ending->>'rss_max_bytes')::BIGINT AS rss_max_bytes,
               (ending->>'waits')::BIGINT AS waits,
               (ending->>'preemptions')::BIGINT AS preemptions
        FROM lives
    """,
)

FINDINGS = Table(
    "findings",
    "What ended a run before its end, and each crash report of its kernels.",
    ("run", "time_ns"),
    (
        _RUN,
        Column("time_ns", "BIGINT", "Lab time; NULL where it is not known."),
        Column("node", "VARCHAR", "Where; for a crash the node with a kernel of its own."),
        Column("of", "VARCHAR", "`run` for what ended it, `crash` for a report."),
        Column("title", "VARCHAR", "What was found."),
    ),
    query="""
        SELECT run, time_ns, node, 'run' AS "of", fields->>'message' AS title
        FROM events WHERE kind = 'finding'
        UNION ALL BY NAME
        SELECT run, time_ns, kernel AS node, 'crash' AS "of", title FROM crashes
    """,
)

FAULTS = Table(
    "faults",
    "A fault of the lab, from its beginning to its end.",
    ("run", "sequence"),
    (
        _RUN,
        Column("sequence", "BIGINT", "Of the event of its beginning."),
        Column("name", "VARCHAR", "Of the fault."),
        Column("of", "VARCHAR", "`link-cut`, `node-off` …"),
        Column("target", "VARCHAR", "What it hit."),
        _NODE,
        Column("begin_ns", "BIGINT", "Lab time; NULL when it could not begin."),
        Column("end_ns", "BIGINT", "Lab time; NULL when it never ended."),
        Column("failed", "VARCHAR", "Why it could not be done; NULL when it could."),
    ),
    query="""
        SELECT run, min(sequence) AS sequence, fields->>'name' AS name,
               first(fields->>'of' ORDER BY sequence) AS "of",
               first(fields->>'target' ORDER BY sequence) AS target,
               first(node ORDER BY sequence) AS node,
               min(time_ns) FILTER (fields->>'phase' = 'begin') AS begin_ns,
               max(time_ns) FILTER (fields->>'phase' = 'end') AS end_ns,
               first(fields->>'message' ORDER BY sequence)
                   FILTER (fields->>'phase' = 'failed') AS failed
        FROM events WHERE kind = 'fault' GROUP BY run, fields->>'name'
    """,
)

COUNTERS = Table(
    "counters",
    "What a counter of an interface or of a process stood at.",
    ("run", "sequence", "of", "name", "counter"),
    (
        _RUN,
        _SEQUENCE,
        _TIME,
        _NODE,
        Column("of", "VARCHAR", "`interface` or `process`."),
        Column("name", "VARCHAR", "`eth0`; `zebra`, or a program's own name."),
        Column("pid", "BIGINT", "Of a process, in its kernel; NULL for interfaces."),
        Column("counter", "VARCHAR", "`rx_bytes`, `user_ns` …"),
        Column("value", "BIGINT", "Since the interface or process began; a size is that of now."),
    ),
    query="""
        WITH things AS (
            SELECT run, sequence, time_ns, node, 'interface' AS "of",
                   unnest((fields->'interfaces')::JSON[]) AS thing
            FROM events WHERE kind = 'counters'
            UNION ALL
            SELECT run, sequence, time_ns, node, 'process' AS "of",
                   unnest((fields->'processes')::JSON[]) AS thing
            FROM events WHERE kind = 'counters'
        ), each AS (
            SELECT * EXCLUDE (thing), thing, unnest(json_keys(thing)) AS counter FROM things
        )
        SELECT run, sequence, time_ns, node, "of", thing->>'name' AS name,
               (thing->>'pid')::BIGINT AS pid, counter, (thing->>counter)::BIGINT AS value
        FROM each WHERE counter NOT IN ('name', 'pid')
    """,
)

TRACES = Table(
    "traces",
    "What a tracepoint of a kernel saw.",
    ("run", "sequence"),
    (
        _RUN,
        Column("sequence", "BIGINT", "Of the event: 0, 1, 2 … over the run's trace."),
        _TIME,
        _NODE,
        _KERNEL,
        Column("task", "VARCHAR", "The name of the task that was current."),
        Column("pid", "BIGINT", "Its number in the kernel; 0 where it idled."),
        Column("event", "VARCHAR", "`sched_switch`, `tcp_probe` …"),
        Column("fields", "JSON", "Its own: `fields->>'next_comm'`."),
    ),
    query="""
        SELECT run, sequence, time_ns, node, kernel, fields->>'task' AS task,
               (fields->>'common_pid')::BIGINT AS pid, kind AS event, fields
        FROM trace_events
    """,
)

MADE_TABLES = (EVENTS, TRACE_EVENTS, LOG_LINES, CRASHES, PACKETS)
"""Kept as Parquet beside each run."""

TABLES = (
    RUNS,
    CELLS,
    CHECKS,
    PROCESSES,
    PACKETS,
    LOG_LINES,
    FINDINGS,
    FAULTS,
    COUNTERS,
    TRACES,
    EVENTS,
    TRACE_EVENTS,
    CRASHES,
)
"""All, in the order of the reference."""
