# SPDX-License-Identifier: Apache-2.0
"""What was found in a core, as data: nothing here needs drgn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """A local variable of a function.

    Attributes:
        name: as in the source.
        value: as C writes it, with its type, cut to a line.
    """

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A call that a task was in.

    Attributes:
        function: its name; empty when nobody knows.
        source: "net/ipv4/tcp.c:2710", from the root of the kernel's source; empty without symbols.
        inlined: whether the compiler put it into its caller.
        variables: its arguments and locals, those that the compiler has not dropped.
    """

    function: str
    source: str
    inlined: bool = False
    variables: tuple[Variable, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """A process or thread of the kernel.

    Attributes:
        pid: of the task, as the kernel's own log has it.
        process: its thread group; the same as `pid` for a process's first thread.
        parent: the process that began it; 0 for none.
        name: its comm, at most 15 bytes.
        node: whose it is; empty for the kernel's own.
        state: as `ps` writes it: R, S, D, T, t, X, Z, P or I.
        stack: innermost call first; empty for one that runs, or when it was not asked for.
    """

    pid: int
    process: int
    parent: int
    name: str
    node: str
    state: str
    stack: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the kernel's log.

    Attributes:
        micros: since the kernel began.
        level: 0 (emergency) to 7 (debug).
        owner: "ping[36]" for a task, "interrupt" outside of all, "T36" for one that is gone.
        text: its lines.
    """

    micros: int
    level: int
    owner: str
    text: str


@dataclass(frozen=True, slots=True)
class Socket:
    """An open socket.

    Attributes:
        node: whose it is.
        task: who has it open, "ping[36]"; of several the first.
        file: its number there.
        family: "inet", "inet6", "unix", "netlink", "packet" or a number.
        kind: "stream", "dgram", "raw", "seqpacket" or a number.
        state: of a TCP socket; empty for others.
        local, remote: "10.0.0.1:80", a path; empty for none.
        received_bytes: that nobody has read yet.
        unsent_bytes: written, and not yet acknowledged or sent.
    """

    node: str
    task: str
    file: int
    family: str
    kind: str
    state: str
    local: str
    remote: str
    received_bytes: int
    unsent_bytes: int


@dataclass(frozen=True, slots=True)
class Qdisc:
    """A queueing discipline of an interface.

    Attributes:
        node: whose interface.
        interface: its name.
        kind: "netem", "fq_codel" …
        handle: "8001:", as tc writes it.
        packets, queued_bytes: that wait in it.
        drops: how many it has dropped.
    """

    node: str
    interface: str
    kind: str
    handle: str
    packets: int
    queued_bytes: int
    drops: int


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that a task waits for.

    Attributes:
        kind: "mutex" or "rwsem".
        name: its symbol, or its address.
        owner: who has it, "ping[36]"; empty when nobody can say.
        waiting: who waits.
    """

    kind: str
    name: str
    owner: str
    waiting: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that was found in a core.

    Attributes:
        release: of the kernel.
        panic: what it panicked with; empty for one that hangs.
        crashed: the task that ran at the end, with its stack.
        tasks: all, by number; with stacks for those that were asked for.
        records: the kernel's log.
        sockets, qdiscs, locks: what there is of each.
        doubts: what could not be read, and why; a broken kernel has broken lists.
    """

    release: str
    panic: str
    crashed: Task | None
    tasks: tuple[Task, ...]
    records: tuple[Record, ...]
    sockets: tuple[Socket, ...]
    qdiscs: tuple[Qdisc, ...]
    locks: tuple[Lock, ...]
    doubts: tuple[str, ...] = ()
