# SPDX-License-Identifier: Apache-2.0
"""A run for ui.perfetto.dev: what ran when, in virtual time.

Every node is a process there, with a thread for each of its tasks: a slice while it had
the processor, an instant for each other event of the trace, and below it a slice for each
syscall. Below a node are the
processes that the lab started, counters of its interfaces, and the congestion window and
round-trip time of its TCP flows. Faults, checks and findings are on the lab's own track.
What came before lab time zero is left out, for no time there may be negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from windtunnel.model.event import Event
from windtunnel.store.run_reader import RunReader
from windtunnel.store.tracefile import has_trace, trace_events
from windtunnel.wire.perfetto import PerfettoWriter
from windtunnel.wire.traceflow import sight_of
from windtunnel.wire.tracetext import ADDED, value_text

_KERNEL_PIDS = 10_000_000
"""Threads of the second kernel are numbered from here, and so on: no pid is as large."""

_LAB = "the lab"
_NO_NODE = "kernel"
_INTERFACE_COUNTERS = ("rx_bytes", "tx_bytes", "rx_dropped", "tx_dropped")
_INSTANTS = frozenset(("check", "step", "finding", "link", "node", "partition"))


def write(run: Path, target: Path, warn: Callable[[str], None]) -> None:  # noqa: ARG001 - all take it
    """Write a run's trace and events.

    Args:
        run: its folder.
        target: the file to write.
        warn: told of nothing: what cannot be read ends it.

    Raises:
        OSError: it cannot be written.
        ProtocolError: a line of the trace is no event.
    """
    with target.open("wb") as file:
        tracks = _Tracks(file)
        lab = _Lab(tracks)
        for event in RunReader(run).events():
            if event.time_ns >= 0:
                lab.add(event)
        lab.finish()
        if has_trace(run):
            tasks = _Tasks(tracks)
            for event in trace_events(run):
                tasks.add(event)


class _Tracks:
    """Makes tracks when they are first needed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.writer = PerfettoWriter()
        self._nodes: dict[str, tuple[int, int]] = {}
        self._others: dict[tuple[object, ...], int] = {}
        self._names: dict[int, str] = {}

    def put(self, data: bytes) -> None:
        """Write the next bytes."""
        self._file.write(data)

    def node(self, name: str) -> tuple[int, int]:
        """The number and the track of a node, or of what is none."""
        if name not in self._nodes:
            pid = len(self._nodes) + 1
            track, said = self.writer.process(pid, name)
            self.put(said)
            self._nodes[name] = (pid, track)
        return self._nodes[name]

    def thread(self, node: str, tid: int, name: str) -> int:
        """The track of a task, whose name may be another one than before."""
        pid, _ = self.node(node)
        track = self._made((node, tid), lambda: self.writer.thread(pid, tid, name))
        if self._names.setdefault(track, name) != name:
            self._names[track] = name
            self.put(self.writer.rename_thread(track, pid, tid, name))
        return track

    def below(self, node: str, name: str) -> int:
        """A track of a node's own."""
        _, parent = self.node(node)
        return self._made((node, name), lambda: self.writer.track(parent, name))

    def below_thread(self, thread: int, name: str) -> int:
        """A track of a task's own."""
        return self._made((thread, name), lambda: self.writer.track(thread, name))

    def counter(self, node: str, name: str, unit: str) -> int:
        """A counter of a node."""
        _, parent = self.node(node)
        return self._made((node, name, unit), lambda: self.writer.counter(parent, name, unit))

    def _made(self, key: tuple[object, ...], make: Callable[[], tuple[int, bytes]]) -> int:
        if key not in self._others:
            self._others[key], said = make()
            self.put(said)
        return self._others[key]


class _Lab:
    """What the lab did: its processes, faults, checks and counters."""

    def __init__(self, tracks: _Tracks) -> None:
        self._tracks = tracks
        self._writer = tracks.writer
        self._open: dict[int, int] = {}
        self._end_ns = 0

    def add(self, event: Event) -> None:
        """Take the next event of the run."""
        self._end_ns = event.time_ns
        fields, node = event.fields, event.node or _LAB
        match event.kind:
            case "process-start":
                name = str(fields.get("process", ""))
                more = {"command": fields.get("command", "")}
                self._begin(self._tracks.below(node, name), event.time_ns, name, more)
            case "process-exit":
                self._end(self._tracks.below(node, str(fields.get("process", ""))), event.time_ns)
            case "fault":
                self._fault(event)
            case "counters":
                self._count(event)
            case kind if kind in _INSTANTS:
                track = self._tracks.below(_LAB, f"{kind}s")
                name = str(fields.get("name") or fields.get("message") or kind)
                self._tracks.put(self._writer.instant(track, event.time_ns, name, _plain(event)))

    def finish(self) -> None:
        """End what goes on at the end of the lab."""
        for track, depth in self._open.items():
            for _ in range(depth):
                self._tracks.put(self._writer.end(track, self._end_ns))

    def _fault(self, event: Event) -> None:
        name = str(event.fields.get("name", ""))
        track = self._tracks.below(_LAB, f"fault {name}")
        if event.fields.get("phase") == "begin":
            self._begin(track, event.time_ns, name, _plain(event))
        else:
            self._end(track, event.time_ns)

    def _begin(self, track: int, time_ns: int, name: str, more: dict[str, object]) -> None:
        self._open[track] = self._open.get(track, 0) + 1
        self._tracks.put(self._writer.begin(track, time_ns, name, more))

    def _end(self, track: int, time_ns: int) -> None:
        if self._open.get(track, 0):
            self._open[track] -= 1
            self._tracks.put(self._writer.end(track, time_ns))

    def _count(self, event: Event) -> None:
        for one in event.fields.get("interfaces", ()):
            for counter in _INTERFACE_COUNTERS:
                if counter in one:
                    unit = "bytes" if counter.endswith("bytes") else "packets"
                    track = self._tracks.counter(event.node, f"{one['name']} {counter}", unit)
                    self._tracks.put(self._writer.value(track, event.time_ns, int(one[counter])))


class _Tasks:
    """What the trace saw: who ran when, and what happened in whom."""

    def __init__(self, tracks: _Tracks) -> None:
        self._tracks = tracks
        self._writer = tracks.writer
        self._kernels: dict[str, int] = {}
        self._nodes: dict[int, str] = {}
        self._running: dict[str, int] = {}
        self._calling: set[int] = set()

    def add(self, event: Event) -> None:
        """Take the next event of the trace."""
        tid = self._tid(event.kernel, int(event.fields["common_pid"]))
        self._nodes[tid] = event.node
        if event.kind == "sched_switch":
            self._switch(event)
            return
        track = self._track(event.kernel, tid, str(event.fields["task"]))
        if event.kind in ("sys_enter", "sys_exit"):
            self._syscall(event, track)
            return
        if event.kind == "sched_process_exit" and self._calling:
            # exit_group does not come back
            self._end_call(self._tracks.below_thread(track, "syscalls"), event.time_ns, {})
        self._tracks.put(self._writer.instant(track, event.time_ns, event.kind, _plain(event)))
        if event.kind == "tcp_probe":
            self._probe(event)

    def _switch(self, event: Event) -> None:
        fields, kernel = event.fields, event.kernel
        ended = self._running.pop(kernel, None)
        if ended is not None:
            self._tracks.put(self._writer.end(ended, event.time_ns))
        pid = int(fields["next_pid"])
        if pid == 0:
            return  # it idles
        tid = self._tid(kernel, pid)
        if "next_node" in fields:  # earlier versions did not say; then its own events do
            self._nodes[tid] = str(fields["next_node"])
        track = self._track(kernel, tid, str(fields["next_comm"]))
        self._running[kernel] = track
        more = {"priority": int(fields["next_prio"])}
        self._tracks.put(self._writer.begin(track, event.time_ns, "running", more))

    def _syscall(self, event: Event, thread: int) -> None:
        """A slice for each, on a track below the task's: what blocks lasts over other tasks."""
        track = self._tracks.below_thread(thread, "syscalls")
        returns = {"returns": int(event.fields["ret"])} if event.kind == "sys_exit" else {}
        self._end_call(track, event.time_ns, returns)
        if event.kind == "sys_enter":
            self._calling.add(track)
            name = str(event.fields["syscall"])
            self._tracks.put(self._writer.begin(track, event.time_ns, name, _plain(event)))

    def _end_call(self, track: int, time_ns: int, more: Mapping[str, object]) -> None:
        if track in self._calling:
            self._calling.discard(track)
            self._tracks.put(self._writer.end(track, time_ns, more))

    def _probe(self, event: Event) -> None:
        sight = sight_of(event.kind, event.fields)
        if sight is None:
            return
        flow = f"{sight.here} > {sight.there}"
        for field, name, unit in (("snd_cwnd", "cwnd", "packets"), ("srtt", "srtt", "us")):
            track = self._tracks.counter(_LAB, f"{name} {flow}", unit)
            self._tracks.put(self._writer.value(track, event.time_ns, int(event.fields[field])))

    def _track(self, kernel: str, tid: int, name: str) -> int:
        return self._tracks.thread(self._nodes.get(tid) or kernel or _NO_NODE, tid, name)

    def _tid(self, kernel: str, pid: int) -> int:
        return self._kernels.setdefault(kernel, len(self._kernels)) * _KERNEL_PIDS + pid


def _plain(event: Event) -> dict[str, object]:
    """An event's fields as numbers and texts."""
    return {
        key: value if isinstance(value, int) else _text(key, value)
        for key, value in sorted(event.fields.items())
        if key not in ADDED
    }


def _text(key: str, value: Any) -> str:
    return value_text(key, value) if isinstance(value, (list, str)) else str(value)
