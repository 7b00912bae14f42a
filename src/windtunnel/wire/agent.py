# SPDX-License-Identifier: Apache-2.0
"""What we and the agent inside a guest say to each other.

A frame is a header of 12 bytes and a payload: u32 payload size, u16 kind,
u16 node, u32 number; little endian. `node` is 0 for the kernel as a whole;
`number` names the request or process that a frame belongs to, chosen by us.
Strings inside payloads are UTF-8 and end in a zero byte.

Source: src/windtunnel/machines/guest/ is the other side.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from windtunnel.errors import ProtocolError, UsageError

HEADER_SIZE_BYTES = 12
PAYLOAD_MAX_BYTES = 1 << 20
"""Longest payload of either side; longer data goes in several frames."""

_HEADER = struct.Struct("<IHHI")
_U32 = struct.Struct("<I")
_U32_2 = struct.Struct("<II")
_U32_3 = struct.Struct("<III")
_I64 = struct.Struct("<q")
_SPAWN = struct.Struct("<6I")  # flags, costs of a syscall, a fault, a switch in ns, argc, envc
_EXIT = struct.Struct("<I5Q")  # wait status, user ns, system ns, memory, waits, preemptions
_NODE = struct.Struct("<II")  # pid, pid namespace


class Kind(IntEnum):
    """What a frame says: to the agent below 64, from the agent above."""

    NODE_ADD = 1
    SPAWN = 2
    INPUT = 3
    INPUT_END = 4
    SIGNAL = 5
    WRITE_FILE = 6
    READ_FILE = 7
    SYSCTL = 8
    RESIZE = 9
    POWER_OFF = 10
    NETLINK = 11
    FREEZE = 12
    MEMORY = 13
    KILL_ALL = 14
    NODE_OFF = 15
    HAND_OVER = 16
    STEP_CLOCK = 17
    DRIFT_CLOCK = 18
    DEVICE = 19
    MOUNT = 20
    FILL = 21
    COUNTERS = 22

    READY = 64
    OK = 65
    ERROR = 66
    OUTPUT = 67
    ERROR_OUTPUT = 68
    EXIT = 69


class Namespaces(IntFlag):
    """The namespaces that a node has for itself (clone(2) flags)."""

    MOUNT = 0x00020000
    UTS = 0x04000000
    IPC = 0x08000000
    PID = 0x20000000
    NETWORK = 0x40000000


ALL_NAMESPACES = (
    Namespaces.MOUNT | Namespaces.UTS | Namespaces.IPC | Namespaces.PID | Namespaces.NETWORK
)


class SpawnFlag(IntFlag):
    """How a process is started."""

    INPUT = 1
    """Its stdin is a pipe that we feed; otherwise /dev/null."""
    TERMINAL = 2
    """stdin, stdout and stderr are a terminal of its own."""


NO_SPAWN_FLAGS = SpawnFlag(0)


@dataclass(frozen=True, slots=True)
class TaskCosts:
    """What a process, and its children, pay in virtual time; 0 to 1 ms each.

    Attributes:
        syscall_ns: for each syscall.
        fault_ns: for each page fault.
        switch_ns: for each time that the processor is switched to it.
    """

    syscall_ns: int = 0
    fault_ns: int = 0
    switch_ns: int = 0


FREE = TaskCosts()


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; see the module for its fields."""

    kind: Kind
    node: int = 0
    number: int = 0
    payload: bytes = b""

    def to_bytes(self) -> bytes:
        """Encode header and payload.

        Raises:
            UsageError: when the payload is longer than `PAYLOAD_MAX_BYTES`: too many
                arguments or settings at once.
        """
        size = len(self.payload)
        if size > PAYLOAD_MAX_BYTES:
            raise UsageError(
                f"a request of {size} bytes to a guest, limit {PAYLOAD_MAX_BYTES}",
                hint="put long arguments into a file",
            )
        return _HEADER.pack(size, self.kind, self.node, self.number) + self.payload


def parse_frames(buffer: bytes) -> tuple[list[Frame], bytes]:
    """Take whole frames from the front of a stream.

    Returns:
        The frames, and the bytes of one that is not yet whole.

    Raises:
        ProtocolError: at an unknown kind or an absurd size; the guest is lost.
    """
    frames = []
    at = 0
    while len(buffer) - at >= HEADER_SIZE_BYTES:
        size, kind, node, number = _HEADER.unpack_from(buffer, at)
        if size > PAYLOAD_MAX_BYTES:
            raise ProtocolError(f"agent: payload of {size} bytes, limit {PAYLOAD_MAX_BYTES}")
        end = at + HEADER_SIZE_BYTES + size
        if len(buffer) < end:
            break
        try:
            known = Kind(kind)
        except ValueError:
            raise ProtocolError(f"agent: unknown frame {kind}") from None
        frames.append(Frame(known, node, number, bytes(buffer[at + HEADER_SIZE_BYTES : end])))
        at = end
    return frames, buffer[at:]


def _string(text: str) -> bytes:
    try:
        # File names need not be UTF-8; Python keeps their bytes as surrogates.
        encoded = text.encode(errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise UsageError(f"text for a guest cannot be encoded: {text[:40]!r}") from error
    if b"\0" in encoded:
        raise UsageError(f"a zero byte inside {text[:40]!r}")
    return encoded + b"\0"


def node_add(
    node: int,
    *,
    name: str,
    namespaces: Namespaces,
    fails: bool,
    root: str,
    layers: Sequence[str] = (),
    shown: Sequence[str] = (),
    writable: Sequence[str] = (),
    top: Sequence[str] = (),
) -> Frame:
    """Make a node, or power one on again; answered by OK (see `parse_node`) or ERROR.

    Payload: u32 clone flags, u32 whether it can fail, u32 number of places, string
    host name, string root directory on the host, then a string for each place: "d" (name at the
    top of the host's tree), "l" (layer), "r" (shown) or "w" (writable), and its
    name or path.

    Args:
        node: its number, from 1.
        name: its host name.
        namespaces: that it has for itself.
        fails: whether all of it can fail at once (`freeze`, `memory`, `kill_all`):
            it then has a cgroup.
        root: a directory of the host, the lowest layer of its root.
        layers: directories of the host to lay over the root, the uppermost first.
        shown: directories of the host that it sees although they lie in a
            hidden place (/home, /root, /tmp …); what it writes there stays its own.
        writable: directories of the host that it writes itself.
        top: names of what lies at the top of the host's tree, for the first
            node to tell; nodes whose root is "/" list them and nothing else there.
    """
    places = [f"d{name}" for name in top]
    places += [f"l{path}" for path in layers]
    places += [f"r{path}" for path in shown]
    places += [f"w{path}" for path in writable]
    payload = _U32_3.pack(namespaces, fails, len(places)) + _string(name) + _string(root)
    payload += b"".join(_string(place) for place in places)
    return Frame(Kind.NODE_ADD, node, 0, payload)


def spawn(
    node: int,
    number: int,
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    directory: str = "/",
    flags: SpawnFlag = NO_SPAWN_FLAGS,
    costs: TaskCosts = FREE,
) -> Frame:
    """Start a process; answered by OK (u32 pid) or ERROR, later by EXIT.

    Payload: u32 flags, u32 cost of a syscall, of a page fault and of a switch in
    ns, u32 argc, u32 envc, string directory, argc strings, envc strings "KEY=value".
    """
    payload = _SPAWN.pack(
        flags, costs.syscall_ns, costs.fault_ns, costs.switch_ns, len(argv), len(env)
    )
    payload += _string(directory)
    payload += b"".join(_string(word) for word in argv)
    payload += b"".join(_string(f"{key}={value}") for key, value in env.items())
    return Frame(Kind.SPAWN, node, number, payload)


def signal(number: int, signal_number: int) -> Frame:
    """Send a signal to a process and all of its group; no answer."""
    return Frame(Kind.SIGNAL, 0, number, _U32.pack(signal_number))


def resize(number: int, *, rows: int, columns: int) -> Frame:
    """Tell a process's terminal its size; no answer."""
    return Frame(Kind.RESIZE, 0, number, _U32_2.pack(rows, columns))


def write_file(
    node: int, number: int, path: str, content: bytes, *, mode: int, owner: str, append: bool
) -> Frame:
    """Write a file, and its directories; answered by OK or ERROR.

    Payload: u32 mode, u32 append, string path, string owner ("user:group",
    empty for none), then the content.
    """
    payload = _U32_2.pack(mode, append) + _string(path) + _string(owner) + content
    return Frame(Kind.WRITE_FILE, node, number, payload)


def read_file(node: int, number: int, path: str) -> Frame:
    """Read a file; answered by OUTPUT frames and OK, or by ERROR."""
    return Frame(Kind.READ_FILE, node, number, _string(path))


def sysctl(node: int, number: int, settings: Sequence[tuple[str, str]]) -> Frame:
    """Set sysctls in order; answered by OK, or by ERROR at the first that fails.

    Payload: strings, name and value in turn; a name is a path below /proc/sys.
    """
    payload = b"".join(_string(name) + _string(value) for name, value in settings)
    return Frame(Kind.SYSCTL, node, number, payload)


def netlink(node: int, number: int, messages: bytes) -> Frame:
    """Send messages to a node's rtnetlink, in order; answered by OK or ERROR.

    The first one that the kernel refuses ends it, with the kernel's error number
    and the text "message N: why", N from 0 (see `parse_refusal`).

    Args:
        node: in whose network namespace.
        number: of the request.
        messages: one behind the other, each with NLM_F_ACK and a length that is
            a multiple of four (`windtunnel.wire.rtnetlink`).
    """
    return Frame(Kind.NETLINK, node, number, messages)


def freeze(node: int, number: int, *, on: bool) -> Frame:
    """Freeze all processes of a node, or let them go on; answered by OK or ERROR.

    OK comes when all of them stand still. Until they go on again, SPAWN is
    refused with EHOSTDOWN. Payload: u32, 1 or 0.
    """
    return Frame(Kind.FREEZE, node, number, _U32.pack(on))


def memory(node: int, number: int, limit_bytes: int | None) -> Frame:
    """Limit the memory of all processes of a node; answered by OK or ERROR.

    Payload: string, bytes in decimal, or "max" for no limit (memory.max of
    Documentation/admin-guide/cgroup-v2.rst).
    """
    text = "max" if limit_bytes is None else str(limit_bytes)
    return Frame(Kind.MEMORY, node, number, _string(text))


def kill_all(node: int, number: int) -> Frame:
    """Kill all processes of a node but its first; answered by OK or ERROR, and by EXITs."""
    return Frame(Kind.KILL_ALL, node, number)


def node_off(node: int, number: int, *, wipe: bool) -> Frame:
    """Cut a node's power: its processes' EXITs come, then OK or ERROR.

    Its interfaces go down first, so nothing of it says goodbye. Until the next
    NODE_ADD of the number, which powers it on, all is refused with EHOSTDOWN
    but NETLINK, which goes to the network that it had, and NODE_OFF, which may
    still wipe. Payload: u32, 1 to empty its files' private layer.
    """
    return Frame(Kind.NODE_OFF, node, number, _U32.pack(wipe))


def hand_over(node: int, number: int, messages: bytes) -> Frame:
    """Send rtnetlink messages to the network that a node had before it was powered off.

    As NETLINK, after NODE_ADD has made the new one; with OK the old one is gone,
    and with it each interface that the messages have not moved.
    """
    return Frame(Kind.HAND_OVER, node, number, messages)


def step_clock(node: int, number: int, step_ns: int) -> Frame:
    """Set a kernel's wall clock forward, or back by a negative step; answered by OK or ERROR.

    Payload: i64 nanoseconds.
    """
    return Frame(Kind.STEP_CLOCK, node, number, _I64.pack(step_ns))


def drift_clock(node: int, number: int, drift_ppm: int) -> Frame:
    """Let a kernel's clocks go too fast, by parts in a million; answered by OK or ERROR.

    It replaces the drift that they had. Payload: i64, -100,000 to 100,000.
    """
    return Frame(Kind.DRIFT_CLOCK, node, number, _I64.pack(drift_ppm))


def counters(number: int) -> Frame:
    """Ask for the counters of all nodes; answered by OUTPUT frames and OK.

    What the frames hold is read by `windtunnel.wire.counters`.
    """
    return Frame(Kind.COUNTERS, 0, number)


NEED_NO_ANSWER = frozenset((Kind.INPUT, Kind.INPUT_END, Kind.SIGNAL, Kind.RESIZE, Kind.POWER_OFF))
"""What is said to the agent without an OK or ERROR to come back."""


def refusal(request: bytes, failure: Failure) -> bytes:
    """The ERROR that an agent which is not there would answer to one request.

    Args:
        request: whole.
        failure: why.

    Returns:
        The answer; empty for what wants none.
    """
    (frame,), _ = parse_frames(request)
    if frame.kind in NEED_NO_ANSWER:
        return b""
    payload = _U32.pack(failure.errno) + failure.text.encode()
    return Frame(Kind.ERROR, frame.node, frame.number, payload).to_bytes()


def device(node: int, number: int, name: str) -> Frame:
    """Have a node see a block device in its /dev; answered by OK, or ERROR if there is none.

    Payload: string, the kernel's name of it: "vda".
    """
    return Frame(Kind.DEVICE, node, number, _string(name))


def mount(node: int, number: int, *, source: str, path: str, filesystem: str) -> Frame:
    """Mount a device in a node, at a folder that is made; answered by OK or ERROR.

    Payload: string device, string path, string type of the file system.
    """
    payload = _string(source) + _string(path) + _string(filesystem)
    return Frame(Kind.MOUNT, node, number, payload)


def fill(node: int, number: int, path: str, *, on: bool) -> Frame:
    """Take all that is free of the file system at a path, or give it back; OK or ERROR.

    A file without a name has it, which the agent holds open: no program sees it,
    and it is gone with the kernel. Payload: u32, 1 or 0, string path.
    """
    return Frame(Kind.FILL, node, number, _U32.pack(on) + _string(path))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed.

    Attributes:
        errno: the guest's error number.
        text: what the agent was doing: "execve /bin/nothing".
    """

    errno: int
    text: str


@dataclass(frozen=True, slots=True)
class ExitReport:
    """How a process ended.

    Attributes:
        wait_status: as of waitpid(2).
        user_ns: processor time in user code, as the guest counts it.
        system_ns: processor time in the guest's kernel.
        rss_max_bytes: the most memory that it had at one time, or a child of it.
        waits: how often it gave up the processor.
        preemptions: how often it was taken from it.
    """

    wait_status: int
    user_ns: int
    system_ns: int
    rss_max_bytes: int = 0
    waits: int = 0
    preemptions: int = 0

    @property
    def signal(self) -> int | None:
        """The signal that killed it; None when it exited."""
        return self.wait_status & 0x7F or None

    @property
    def status(self) -> int:
        """Its exit status; 128 + signal when it was killed, as shells say it."""
        return 128 + self.signal if self.signal else (self.wait_status >> 8) & 0xFF


def _unpack(layout: struct.Struct, payload: bytes, what: str) -> tuple[int, ...]:
    if len(payload) < layout.size:
        raise ProtocolError(f"agent: {what} of {len(payload)} bytes, needs {layout.size}")
    return layout.unpack_from(payload)


def parse_failure(payload: bytes) -> Failure:
    """Decode ERROR: u32 errno, then text."""
    (errno,) = _unpack(_U32, payload, "error")
    return Failure(errno, payload[_U32.size :].decode(errors="replace"))


def parse_refusal(failure: Failure) -> tuple[int | None, str]:
    """Which message of NETLINK was refused, None if it was not about one; and why."""
    found = re.fullmatch(r"message ([0-9]+): (.*)", failure.text, re.DOTALL)
    return (int(found[1]), found[2]) if found else (None, failure.text)


def parse_exit(payload: bytes) -> ExitReport:
    """Decode EXIT: u32 wait status, then as u64 what it used, as in `ExitReport`."""
    return ExitReport(*_unpack(_EXIT, payload, "exit report"))


def parse_node(payload: bytes) -> tuple[int, int]:
    """Decode the OK of NODE_ADD: (pid of the node's first process, its pid namespace)."""
    pid, namespace = _unpack(_NODE, payload, "node report")
    return pid, namespace
