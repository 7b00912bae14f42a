# SPDX-License-Identifier: Apache-2.0
"""A lab as the engine sees it: plain, frozen, complete.

Whatever wrote it (a lab file, the Python API, an import), a `LabSpec` has all
defaults applied, all names unique, all addresses and interface names given.
Nothing here is checked again later: `windtunnel.model.check` did it.
Times are integer nanoseconds of lab time (zero is when the lab begins).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from windtunnel.model.cpu import NOTHING_SAID, CpuSpec
from windtunnel.model.fault import Fault
from windtunnel.model.hook import (
    NO_HOOKS,
    NO_LIMITS,
    NO_NODE_HOOKS,
    LabHooks,
    Limits,
    NodeHooks,
)
from windtunnel.model.impairment import Impairment


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One interface: where a link or network meets a node.

    Attributes:
        node: the node's name.
        interface: the interface's name in that node, 1 to 15 bytes.
        mac: "02:00:5e:10:00:01"; None lets the engine draw one from the seed.
        addresses: with prefix length, "10.0.0.1/30" or "fd00::1/64"; may be empty.
        impairment: on what this end sends.
    """

    node: str
    interface: str
    mac: str | None = None
    addresses: tuple[str, ...] = ()
    impairment: Impairment = Impairment()


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """A cable between two interfaces.

    Attributes:
        name: unique; "r1-r2" when the user gave none.
        ends: the two interfaces.
        mtu_bytes: 68 to 65535.
        up: whether it carries packets when the lab begins.
    """

    name: str
    ends: tuple[Endpoint, Endpoint]
    mtu_bytes: int = 1500
    up: bool = True


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A switch that many interfaces join. Impairments as with links, per member."""

    name: str
    members: tuple[Endpoint, ...]
    mtu_bytes: int = 1500


@dataclass(frozen=True, slots=True)
class FileSpec:
    """A file that a node finds when it starts.

    Attributes:
        path: absolute, in the node.
        content: its bytes, templates already rendered.
        mode: permission bits.
        owner: "user" or "user:group", looked up in the node; root by default.
    """

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root"


@dataclass(frozen=True, slots=True)
class TextMatch:
    """What a text must look like. Every part that is given must hold.

    Attributes:
        text: must occur in it.
        regex: must be found in it (`re.search`, multi-line).
        json: must be contained in it, read as JSON: mappings by subset, lists
            and scalars by equality.
        path: where in the JSON document to look first, "a.b[0].c"; empty is the whole.
    """

    text: str | None = None
    regex: str | None = None
    json: Any = None
    path: str = ""


class Outcome(Enum):
    """How a process must have ended when the lab stops."""

    EXITED = "exited"
    RUNNING = "running"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of a process.

    Attributes:
        outcome: how it ends; None accepts every end.
        status: its exit status, for EXITED.
        stdout: what it must have printed.
    """

    outcome: Outcome | None = None
    status: int = 0
    stdout: TextMatch | None = None


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A program that runs beside the steps.

    Attributes:
        name: unique in its node; names the files of its output.
        node: where.
        command: a shell command line (`/bin/sh -c`).
        start_ns: when.
        env: added to the node's environment.
        timeout_ns: killed after so long; None is never.
        expect: judged when the lab stops.
    """

    name: str
    node: str
    command: str
    start_ns: int = 0
    env: tuple[tuple[str, str], ...] = ()
    timeout_ns: int | None = None
    expect: Expectation = Expectation()


@dataclass(frozen=True, slots=True)
class LinkChange:
    """Take a link up or down, or give it other impairments.

    Attributes:
        link: the link's name.
        up: the new state; None leaves it.
        impairment: for what the first end sends, and the second end too unless
            `backward` is given; None leaves both.
        backward: for what the second end sends, where that differs.
    """

    link: str
    up: bool | None = None
    impairment: Impairment | None = None
    backward: Impairment | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """Run a command to its end.

    Attributes:
        node: where.
        command: a shell command line.
        match: what its stdout must look like; None is anything.
        status: the exit status that it must have; None is any.
        within_ns: repeat it until it fits, for at most so long; None is one try.
        every_ns: the pause between two tries.
        junit: the file in the node that it writes JUnit XML to, whose test cases
            become checks; empty for none.
    """

    node: str
    command: str
    match: TextMatch | None = None
    status: int | None = 0
    within_ns: int | None = None
    every_ns: int = 1_000_000_000
    junit: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the lab does at a virtual time.

    Attributes:
        at_ns: when; steps of the same time are done in the order of the file.
        name: for people; unique.
        action: what.
        check: whether a failure of a command is a failed check (True) or is
            only recorded (False).
    """

    at_ns: int
    name: str
    action: LinkChange | Command
    check: bool = True


@dataclass(frozen=True, slots=True)
class CaptureSpec:
    """Write what passes an interface, or both ends of a link, to a pcapng file.

    Attributes:
        node: whose interface; empty for a link.
        interface: of the node; "lo" is its loopback; empty for a link.
        filter: what to keep, in tcpdump's words; empty keeps all.
        link: both ends of this one; empty for an interface.
    """

    node: str = ""
    interface: str = ""
    filter: str = ""
    link: str = ""

    @property
    def name(self) -> str:
        """What its file is called, without ".pcapng"."""
        return self.link or f"{self.node}-{self.interface}"


OWN = "own"
"""`NodeSpec.kernel` of a node that boots the lab's kernel for itself alone."""

OWN_MEMORY_BYTES = 128 << 20
"""What a kernel of a node's own gets; pages that it never touches cost the host nothing."""


VOLUME_LATENCY_NS = 100_000
"""How long a volume takes to answer unless the lab says otherwise: a fast disk's 100 us."""


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """A block device of a node, with a file system that it finds mounted.

    Attributes:
        name: unique in its node; faults name it.
        path: absolute, in the node: where it is mounted.
        size_bytes: of the device.
        filesystem: one of `windtunnel.model.kernelcheck.FILESYSTEMS`.
        latency_ns: what it takes for each batch of requests, beside their transfer.
    """

    name: str
    path: str
    size_bytes: int
    filesystem: str = "ext4"
    latency_ns: int = VOLUME_LATENCY_NS


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A machine.

    Attributes:
        name: 1 to 63 letters, digits, "-", "_" or "."; also its host name.
        addresses: of its loopback interface, with prefix length.
        sysctls: ("net.ipv4.ip_forward", "1"); set before its interfaces go up.
        env: of every process in it.
        exec: shell command lines, run in order before the lab's time zero.
        files: that it finds when it starts.
        cpu: what its processor needs for its work.
        kernel: None shares the lab's kernel with other nodes; "own" boots one of the
            lab's version for this node alone, anything else names its version or path.
        memory_bytes: of its own kernel; None is `OWN_MEMORY_BYTES`.
        kernel_words: further words for its own kernel's command line.
        volumes: its block devices; only with a kernel of its own.
        hooks: what is done around it.
    """

    name: str
    addresses: tuple[str, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    exec: tuple[str, ...] = ()
    files: tuple[FileSpec, ...] = ()
    cpu: CpuSpec = NOTHING_SAID
    kernel: str | None = None
    memory_bytes: int | None = None
    kernel_words: tuple[str, ...] = ()
    volumes: tuple[VolumeSpec, ...] = ()
    hooks: NodeHooks = NO_NODE_HOOKS


COUNTERS_NS = 120_000_000_000
"""How often counters are sampled unless the lab says otherwise: a sample of six routers
costs 3 to 6 ms of the processor, and an hour of them is not to cost 5 % more."""

COUNTERS_AT_END = 0
"""`LabSpec.counters_ns` of a lab that samples once, when all is done."""


@dataclass(frozen=True, slots=True)
class LabSpec:
    """A whole lab.

    Attributes:
        name: of the lab; also of its folder of runs.
        seed: 0 to 2**64 - 1; every random choice derives from it.
        stop_ns: when the lab ends; None is after the last step and validation.
        memory_bytes: of the shared kernel.
        clock_ns: the wall clock at lab time zero, nanoseconds since 1970 UTC.
        nodes, links, networks, processes, captures: in the order of the file.
        faults: in the order in which they begin.
        steps: in the order in which they are done.
        validations: done at the end, in order; their `at_ns` is ignored.
        root: a directory of the host to use as the nodes' root file system; "/"
            is the host's own.
        counters_ns: how often what interfaces and processes have used is sampled, and
            at the end too; `COUNTERS_AT_END` is only then, None is never. A lab
            without `stop_ns` samples at its end.
        trace: tracepoints of its kernels: systems such as "tcp", and single events such
            as "irq:irq_handler_entry".
        hooks: what a runner does around it on the host.
        limits: how long a run may take.
    """

    name: str
    seed: int = 0
    stop_ns: int | None = None
    memory_bytes: int = 1 << 30
    clock_ns: int = 1_893_456_000_000_000_000
    nodes: tuple[NodeSpec, ...] = ()
    links: tuple[LinkSpec, ...] = ()
    networks: tuple[NetworkSpec, ...] = ()
    processes: tuple[ProcessSpec, ...] = ()
    steps: tuple[Step, ...] = ()
    validations: tuple[Step, ...] = ()
    captures: tuple[CaptureSpec, ...] = ()
    faults: tuple[Fault, ...] = ()
    root: str = "/"
    counters_ns: int | None = COUNTERS_NS
    trace: tuple[str, ...] = ()
    hooks: LabHooks = NO_HOOKS
    limits: Limits = NO_LIMITS
    source: str = field(default="", compare=False)
