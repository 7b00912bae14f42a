# SPDX-License-Identifier: Apache-2.0
"""Our end of the conversation with the agent inside a guest.

Requests go out as frames; answers and reports come in and are filed here. The
channel never waits: whoever asked looks at the `Reply` or `RemoteProcess` after
letting virtual time pass.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from windtunnel.errors import ProtocolError
from windtunnel.wire import agent as wire
from windtunnel.wire.agent import ExitReport, Failure, Frame, Kind, Namespaces, SpawnFlag, TaskCosts

FILE_CHUNK_BYTES = 256 * 1024
"""How much of a file goes in one frame; below the frame's limit."""


@dataclass(eq=False, slots=True)
class Reply:
    """The answer to a request.

    Attributes:
        done: whether it has come.
        payload: of the OK.
        failure: of the ERROR; None when all went well.
        data: what a file that was read contains.
    """

    done: bool = False
    payload: bytes = b""
    failure: Failure | None = None
    data: bytearray = field(default_factory=bytearray)


Output = Callable[[bytes, bool], None]
"""Called with what a process printed, and whether that was on stderr."""


def _ignore(_process: RemoteProcess) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class ProcessHooks:
    """Whom to tell of a process.

    Attributes:
        began: called once it runs.
        ended: called once, when it has ended or could not begin.
    """

    began: Callable[[RemoteProcess], None] = _ignore
    ended: Callable[[RemoteProcess], None] = _ignore


@dataclass(eq=False, slots=True)
class RemoteProcess:
    """A process in the guest.

    Attributes:
        number: ours, never used again in this world.
        node: the node's number.
        output: takes what it prints.
        hooks: told of its beginning and end.
        started: the answer to its start; its failure says why there is none.
        start_ns: world time of the start.
        exit: how it ended; None while it runs.
        end_ns: world time of its end.
    """

    number: int
    node: int
    output: Output
    hooks: ProcessHooks
    start_ns: int
    started: Reply = field(default_factory=Reply)
    exit: ExitReport | None = None
    end_ns: int | None = None

    @property
    def pid(self) -> int | None:
        """In the guest's initial pid namespace; None before it has begun."""
        return int.from_bytes(self.started.payload[:4], "little") if self.began else None

    @property
    def began(self) -> bool:
        """Whether it runs or has run."""
        return self.started.done and self.started.failure is None

    @property
    def ended(self) -> bool:
        """Whether it has ended, or could not begin."""
        return self.exit is not None or self.started.failure is not None


class AgentChannel:
    """Requests to and reports from one guest's agent."""

    def __init__(
        self,
        *,
        send: Callable[[bytes], None],
        now_ns: Callable[[], int],
    ) -> None:
        """Create.

        Args:
            send: takes bytes for the guest.
            now_ns: tells the world's time.
        """
        self._send = send
        self._now_ns = now_ns
        self._buffer = b""
        self._numbers = count(1)
        self._replies: dict[int, Reply] = {}
        self._node_replies: dict[int, Reply] = {}
        self._processes: dict[int, RemoteProcess] = {}
        self.release: str | None = None
        """The guest kernel's release, once the agent is ready."""

    # ---- requests ----

    def add_node(
        self,
        node: int,
        *,
        name: str,
        namespaces: Namespaces,
        fails: bool = True,
        root: str = "/",
        layers: Sequence[str] = (),
        shown: Sequence[str] = (),
        writable: Sequence[str] = (),
        top: Sequence[str] = (),
    ) -> Reply:
        """Make node number `node`, or power it on; see `wire.agent.node_add` and `parse_node`."""
        reply = self._node_replies[node] = Reply()
        self._post(
            wire.node_add(
                node,
                name=name,
                namespaces=namespaces,
                fails=fails,
                root=root,
                layers=layers,
                shown=shown,
                writable=writable,
                top=top,
            )
        )
        return reply

    def spawn(
        self,
        node: int,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        output: Output,
        hooks: ProcessHooks = ProcessHooks(),
        directory: str = "/",
        flags: SpawnFlag = wire.NO_SPAWN_FLAGS,
        costs: TaskCosts = wire.FREE,
    ) -> RemoteProcess:
        """Start a process."""
        number = next(self._numbers)
        process = RemoteProcess(number, node, output, hooks, self._now_ns())
        self._processes[number] = process
        self._post(
            wire.spawn(
                node,
                number,
                argv,
                env=env,
                directory=directory,
                flags=flags,
                costs=costs,
            )
        )
        return process

    def feed(self, process: RemoteProcess, data: bytes) -> None:
        """Give a process input."""
        for at in range(0, len(data), FILE_CHUNK_BYTES):
            chunk = data[at : at + FILE_CHUNK_BYTES]
            self._post(Frame(Kind.INPUT, process.node, process.number, chunk))

    def end_input(self, process: RemoteProcess) -> None:
        """Let a process see the end of its input, behind what it was given."""
        self._post(Frame(Kind.INPUT_END, process.node, process.number))

    def signal(self, process: RemoteProcess, signal_number: int) -> None:
        """Send a signal to a process and its group; nothing happens once it has ended."""
        self._post(wire.signal(process.number, signal_number))

    def resize(self, process: RemoteProcess, *, rows: int, columns: int) -> None:
        """Tell a process's terminal its size, in characters."""
        self._post(wire.resize(process.number, rows=rows, columns=columns))

    def write_file(
        self, node: int, path: str, content: bytes, *, mode: int = 0o644, owner: str = ""
    ) -> Reply:
        """Write a file whole; the reply is that of its last piece."""
        reply = Reply()
        starts = range(0, max(len(content), 1), FILE_CHUNK_BYTES)
        for at in starts:
            number = next(self._numbers)
            # A failure of any piece ends in the one reply that the caller has.
            self._replies[number] = reply if at == starts[-1] else _Passing(reply)
            chunk = content[at : at + FILE_CHUNK_BYTES]
            self._post(
                wire.write_file(node, number, path, chunk, mode=mode, owner=owner, append=at > 0)
            )
        return reply

    def read_file(self, node: int, path: str) -> Reply:
        """Read a file; its content is in the reply's `data`."""
        return self._ask(lambda number: wire.read_file(node, number, path))

    def sysctl(self, node: int, settings: Sequence[tuple[str, str]]) -> Reply:
        """Set sysctls; names as paths below /proc/sys."""
        return self._ask(lambda number: wire.sysctl(node, number, settings))

    def netlink(self, node: int, messages: bytes) -> Reply:
        """Send rtnetlink messages in a node; see `wire.agent.netlink`."""
        return self._ask(lambda number: wire.netlink(node, number, messages))

    def freeze(self, node: int, *, on: bool) -> Reply:
        """Freeze a node's processes, or let them go on; see `wire.agent.freeze`."""
        return self._ask(lambda number: wire.freeze(node, number, on=on))

    def memory(self, node: int, limit_bytes: int | None) -> Reply:
        """Limit the memory of a node's processes; see `wire.agent.memory`."""
        return self._ask(lambda number: wire.memory(node, number, limit_bytes))

    def kill_all(self, node: int) -> Reply:
        """Kill a node's processes but its first."""
        return self._ask(lambda number: wire.kill_all(node, number))

    def node_off(self, node: int, *, wipe: bool) -> Reply:
        """Cut a node's power; see `wire.agent.node_off`. `add_node` powers it on."""
        return self._ask(lambda number: wire.node_off(node, number, wipe=wipe))

    def hand_over(self, node: int, messages: bytes) -> Reply:
        """Speak to the network of a node's last life; see `wire.agent.hand_over`."""
        return self._ask(lambda number: wire.hand_over(node, number, messages))

    def step_clock(self, node: int, step_ns: int) -> Reply:
        """Set the kernel's wall clock; see `wire.agent.step_clock`."""
        return self._ask(lambda number: wire.step_clock(node, number, step_ns))

    def drift_clock(self, node: int, drift_ppm: int) -> Reply:
        """Let the kernel's clocks drift; see `wire.agent.drift_clock`."""
        return self._ask(lambda number: wire.drift_clock(node, number, drift_ppm))

    def device(self, node: int, name: str) -> Reply:
        """Have a node see a block device; see `wire.agent.device`."""
        return self._ask(lambda number: wire.device(node, number, name))

    def mount(self, node: int, *, source: str, path: str, filesystem: str) -> Reply:
        """Mount a device in a node; see `wire.agent.mount`."""
        return self._ask(
            lambda number: wire.mount(node, number, source=source, path=path, filesystem=filesystem)
        )

    def fill(self, node: int, path: str, *, on: bool) -> Reply:
        """Fill a file system of a node, or empty it again; see `wire.agent.fill`."""
        return self._ask(lambda number: wire.fill(node, number, path, on=on))

    def counters(self) -> Reply:
        """Ask for all nodes' counters; `wire.counters` reads the reply's `data`."""
        return self._ask(wire.counters)

    def _ask(self, request: Callable[[int], Frame]) -> Reply:
        """Send a request that one answer ends."""
        number = next(self._numbers)
        reply = self._replies[number] = Reply()
        self._post(request(number))
        return reply

    def power_off(self) -> None:
        """End the guest in good order."""
        self._post(Frame(Kind.POWER_OFF))

    def _post(self, frame: Frame) -> None:
        self._send(frame.to_bytes())

    # ---- the guest's end ----

    def lost(self, failure: Failure) -> None:
        """Take note that the guest is gone: what ran was killed, what was asked is refused.

        The channel goes on with the next guest, whose agent says that it is ready.

        Args:
            failure: of each request that has no answer yet.
        """
        self._buffer = b""
        self.release = None
        waiting = [*self._replies.values(), *self._node_replies.values()]
        self._replies.clear()
        self._node_replies.clear()
        for reply in waiting:
            reply.failure = reply.failure or failure
            reply.done = True
        for process in [one for one in self._processes.values() if not one.ended]:
            process.end_ns = self._now_ns()
            if process.started.done:
                process.exit = ExitReport(signal.SIGKILL, 0, 0)
            else:
                process.started.failure = failure
                process.started.done = True
            process.hooks.ended(process)

    # ---- reports ----

    def receive(self, data: bytes) -> None:
        """Take bytes from the guest."""
        frames, self._buffer = wire.parse_frames(self._buffer + data)
        for frame in frames:
            self._file(frame)

    def _file(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.READY:
                self.release = frame.payload.decode(errors="replace")
            case Kind.OK | Kind.ERROR:
                self._answer(frame)
            case Kind.OUTPUT | Kind.ERROR_OUTPUT:
                self._take_output(frame)
            case Kind.EXIT:
                process = self._processes.get(frame.number)
                if process is None:
                    raise ProtocolError(f"agent: end of process {frame.number}, which never began")
                process.exit = wire.parse_exit(frame.payload)
                process.end_ns = self._now_ns()
                process.hooks.ended(process)
            case _:
                raise ProtocolError(f"agent: {frame.kind.name} is not for us")

    def _answer(self, frame: Frame) -> None:
        process = self._processes.get(frame.number)
        if frame.number == 0:
            reply = self._node_replies.pop(frame.node, None)
        elif process is not None:
            reply = process.started
        else:
            reply = self._replies.pop(frame.number, None)
        if reply is None:
            raise ProtocolError(f"agent: an answer to request {frame.number}, which nobody made")
        if frame.kind is Kind.ERROR:
            reply.failure = reply.failure or wire.parse_failure(frame.payload)
        reply.payload = frame.payload
        reply.done = True
        if process is None:
            return
        if reply.failure is None:
            process.hooks.began(process)
        else:
            process.end_ns = self._now_ns()
            process.hooks.ended(process)

    def _take_output(self, frame: Frame) -> None:
        process = self._processes.get(frame.number)
        if process is not None:
            process.output(frame.payload, frame.kind is Kind.ERROR_OUTPUT)
            return
        reply = self._replies.get(frame.number)
        if reply is not None:
            reply.data += frame.payload


class _Passing(Reply):
    """The reply to one piece of many: it passes a failure on."""

    __slots__ = ("_whole",)

    def __init__(self, whole: Reply) -> None:
        super().__init__()
        self._whole = whole

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "failure" and value is not None:
            self._whole.failure = value  # type: ignore[assignment]
