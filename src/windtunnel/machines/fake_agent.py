# SPDX-License-Identifier: Apache-2.0
"""The fake guest's agent: it answers as guest/agent.c does, and knows five commands.

They are `true`, `false`, `echo WORD…`, `sleep SECONDS` and `cat`; every other one
is not found. Files are kept by node and path. There are no namespaces.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable

from windtunnel.wire.agent import Frame, Kind, SpawnFlag, parse_frames

CHUNK_BYTES = 32768
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC
_FIRST_PID = 100
_NEED_POWER = {
    Kind.SPAWN,
    Kind.WRITE_FILE,
    Kind.READ_FILE,
    Kind.SYSCTL,
    Kind.FREEZE,
    Kind.KILL_ALL,
    Kind.HAND_OVER,
}


class FakeAgent:
    """What answers frames.

    Attributes:
        powered_off: whether it was told to end.
    """

    def __init__(
        self,
        *,
        send: Callable[[bytes], None],
        after: Callable[[int, Callable[[], None]], None],
    ) -> None:
        """Create.

        Args:
            send: takes bytes for the host.
            after: has an action done after some nanoseconds.
        """
        self._send = send
        self._after = after
        self._buffer = b""
        self._nodes: set[int] = set()
        self._off: set[int] = set()
        self._old_networks: set[int] = set()
        self._frozen: set[int] = set()
        self._overdue: list[tuple[int, int]] = []  # ends of frozen processes
        self._files: dict[tuple[int, bytes], bytes] = {}
        self._running: dict[int, Frame] = {}  # processes by number
        self._next_pid = _FIRST_PID
        self.powered_off = False

    def say_ready(self) -> None:
        """Say that it serves now."""
        self._post(Frame(Kind.READY, payload=b"fake"))

    def receive(self, data: bytes) -> None:
        """Take bytes from the host."""
        frames, self._buffer = parse_frames(self._buffer + data)
        for frame in frames:
            self._handle(frame)

    def _post(self, frame: Frame) -> None:
        self._send(frame.to_bytes())

    def _ok(self, request: Frame, payload: bytes = b"") -> None:
        self._post(Frame(Kind.OK, request.node, request.number, payload))

    def _error(self, request: Frame, number: int, text: str) -> None:
        payload = struct.pack("<I", number) + text.encode()
        self._post(Frame(Kind.ERROR, request.node, request.number, payload))

    def _handle(self, frame: Frame) -> None:
        if frame.kind in _NEED_POWER and frame.node in self._off:
            self._error(frame, errno.EHOSTDOWN, "the node is off")
            return
        if frame.kind is Kind.SPAWN and frame.node in self._frozen:
            self._error(frame, errno.EHOSTDOWN, "the node is paused")
            return
        match frame.kind:
            case Kind.NODE_ADD:
                self._add_node(frame)
            case Kind.SPAWN:
                self._spawn(frame)
            case Kind.INPUT:
                if frame.number in self._running:
                    self._output(frame, frame.payload)
            case Kind.INPUT_END:
                self._end(frame.number, 0)
            case Kind.SIGNAL:
                self._end(frame.number, struct.unpack("<I", frame.payload)[0])
            case Kind.WRITE_FILE:
                self._write_file(frame)
            case Kind.READ_FILE:
                self._read_file(frame)
            case Kind.SYSCTL | Kind.NETLINK:
                if frame.node in self._nodes:
                    self._ok(frame)
                else:
                    self._error(frame, errno.EINVAL, f"no node {frame.node}")
            case Kind.STEP_CLOCK | Kind.DRIFT_CLOCK:
                self._ok(frame)
            case Kind.COUNTERS:
                for node in sorted(self._nodes - self._off):
                    self._output(frame, f"n {node}\n".encode())
                self._ok(frame)
            case Kind.FREEZE | Kind.MEMORY | Kind.KILL_ALL | Kind.NODE_OFF | Kind.HAND_OVER:
                self._fail_node(frame)
            case Kind.DEVICE | Kind.MOUNT | Kind.FILL:
                self._error(frame, errno.ENOENT, "the fake has no block devices")
            case Kind.RESIZE:
                pass
            case Kind.POWER_OFF:
                self.powered_off = True
            case _:
                self._error(frame, errno.ENOSYS, f"unknown frame {frame.kind}")

    def _add_node(self, frame: Frame) -> None:
        if frame.node in self._nodes - self._off:
            self._error(frame, errno.EINVAL, f"node {frame.node}: bad request")
            return
        self._nodes.add(frame.node)
        self._off.discard(frame.node)
        self._ok(frame, struct.pack("<II", self._take_pid(), _INITIAL_PID_NAMESPACE))

    def _fail_node(self, frame: Frame) -> None:
        node = frame.node
        if node not in self._nodes:
            self._error(frame, errno.EINVAL, f"no node {node} that can fail")
            return
        match frame.kind:
            case Kind.FREEZE:
                self._freeze(node, on=frame.payload[0] == 1)
            case Kind.KILL_ALL:
                self._kill_all(node)
            case Kind.NODE_OFF:
                self._kill_all(node)
                self._frozen.discard(node)
                self._off.add(node)
                self._old_networks.add(node)
                if frame.payload[0]:
                    self._files = {at: old for at, old in self._files.items() if at[0] != node}
            case Kind.HAND_OVER if node not in self._old_networks:
                self._error(frame, errno.EINVAL, f"node {node} has had no other network")
                return
            case Kind.HAND_OVER:
                self._old_networks.discard(node)
            case _:
                pass
        self._ok(frame)

    def _freeze(self, node: int, *, on: bool) -> None:
        if on:
            self._frozen.add(node)
            return
        self._frozen.discard(node)
        ends, self._overdue = self._overdue, []
        for number, wait_status in ends:
            self._wake(number, wait_status)

    def _kill_all(self, node: int) -> None:
        for number in [number for number, it in self._running.items() if it.node == node]:
            self._end(number, 9)

    def _wake(self, number: int, wait_status: int) -> None:
        """A process's time has come: it ends, unless it is frozen."""
        process = self._running.get(number)
        if process is not None and process.node in self._frozen:
            self._overdue.append((number, wait_status))
        else:
            self._end(number, wait_status)

    def _take_pid(self) -> int:
        self._next_pid += 1
        return self._next_pid - 1

    def _spawn(self, frame: Frame) -> None:
        flags, *_, argc, _ = struct.unpack_from("<6I", frame.payload)
        strings = frame.payload[24:].split(b"\0")
        program, *arguments = [word.decode() for word in strings[1 : 1 + argc]]
        if frame.node not in self._nodes:
            self._error(frame, errno.EINVAL, "bad request to start a process")
            return
        if program not in ("true", "false", "echo", "sleep", "cat"):
            self._error(frame, errno.ENOENT, program)
            return
        self._running[frame.number] = frame
        self._ok(frame, struct.pack("<I", self._take_pid()))
        match program:
            case "echo":
                self._output(frame, (" ".join(arguments) + "\n").encode())
                self._end(frame.number, 0)
            case "sleep":
                delay_ns = round(float(arguments[0]) * 1e9)
                self._after(delay_ns, lambda: self._wake(frame.number, 0))
            case "cat":
                if not flags & SpawnFlag.INPUT:
                    self._end(frame.number, 0)
            case _:
                self._end(frame.number, 0 if program == "true" else 256)

    def _output(self, frame: Frame, data: bytes) -> None:
        self._post(Frame(Kind.OUTPUT, frame.node, frame.number, data))

    def _end(self, number: int, wait_status: int) -> None:
        process = self._running.pop(number, None)
        if process is not None:
            report = struct.pack("<I5Q", wait_status, 0, 0, 0, 0, 0)
            self._post(Frame(Kind.EXIT, process.node, number, report))

    def _write_file(self, frame: Frame) -> None:
        _, append = struct.unpack_from("<II", frame.payload)
        path, _, content = frame.payload[8:].split(b"\0", 2)
        if frame.node not in self._nodes:
            self._error(frame, errno.EINVAL, "bad request to write a file")
            return
        before = self._files.get((frame.node, path), b"") if append else b""
        self._files[frame.node, path] = before + content
        self._ok(frame)

    def _read_file(self, frame: Frame) -> None:
        path = frame.payload[:-1]
        if frame.node not in self._nodes:
            self._error(frame, errno.EINVAL, "bad request to read a file")
            return
        content = self._files.get((frame.node, path))
        if content is None:
            self._error(frame, errno.ENOENT, f"opening {path.decode(errors='replace')}")
            return
        for at in range(0, len(content), CHUNK_BYTES):
            self._output(frame, content[at : at + CHUNK_BYTES])
        self._ok(frame)
