# SPDX-License-Identifier: Apache-2.0
"""Labs described by a few lines of Python, in the words of the lab file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from windtunnel.engine.kernel import default_kernel
from windtunnel.engine.link import LinkSetting, impairment_from
from windtunnel.engine.process import duration_ns
from windtunnel.engine.recorder import Recorder
from windtunnel.engine.world import World, WorldOptions
from windtunnel.errors import UsageError
from windtunnel.images.kernels import Kernel
from windtunnel.model.addressing import Addressing, Draft, DraftEnd, wire
from windtunnel.model.check import check_spec
from windtunnel.model.cpu import CpuSpec
from windtunnel.model.fault import Fault, FaultAction, ProcessFault
from windtunnel.model.faultcheck import FAULTS_MAX
from windtunnel.model.faultwords import fault_name
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import (
    VOLUME_LATENCY_NS,
    Endpoint,
    FileSpec,
    LabSpec,
    LinkSpec,
    NetworkSpec,
    NodeSpec,
    VolumeSpec,
)
from windtunnel.model.units import parse_duration, parse_size


class LabNode:
    """A node of a lab that is being described; only its name matters afterwards."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"LabNode({self.name!r})"


class Lab:
    """A lab to be described by calls and then started.

    Example:
        >>> lab = Lab("two", seed=1)
        >>> a, b = lab.node("a"), lab.node("b")
        >>> lab.link(a, b, delay="10 ms")
        >>> lab.spec().links[0].name
        'a-b'
    """

    def __init__(self, name: str, *, seed: int = 0, memory: str = "1 GiB", root: str = "/") -> None:
        """Begin a lab.

        Args:
            name: letters, digits, "-", "_" and ".".
            seed: 0 to 2**64 - 1; every random choice derives from it.
            memory: of the shared kernel, with its unit.
            root: a directory of the host to use as the nodes' root.
        """
        self._spec = LabSpec(name=name, seed=seed, memory_bytes=parse_size(memory), root=root)
        self._links: list[Draft] = []
        self._networks: list[Draft] = []
        self._faults: list[Fault] = []

    @classmethod
    def from_spec(cls, spec: LabSpec) -> Self:
        """Take a lab that something else has described, such as a lab file."""
        lab = cls(spec.name)
        lab._spec = spec
        lab._links = [_draft(link.name, link.ends, link) for link in spec.links]
        lab._networks = [_draft(one.name, one.members, one) for one in spec.networks]
        lab._faults = list(spec.faults)
        return lab

    def node(
        self,
        name: str,
        *,
        addresses: Sequence[str] = (),
        sysctls: Mapping[str, str | int] | None = None,
        env: Mapping[str, str] | None = None,
        exec: Sequence[str] = (),  # noqa: A002 - the lab file's word
        files: Mapping[str, str | bytes] | None = None,
        syscall_cost: str | None = None,
        packet_cost: str | None = None,
        speed: float | None = None,
        kernel: str = "shared",
        memory: str | None = None,
        kernel_words: Sequence[str] = (),
        volumes: Mapping[str, Mapping[str, str]] | None = None,
    ) -> LabNode:
        """Add a machine.

        Args:
            name: also its host name.
            addresses: of its loopback interface, with prefix length.
            sysctls: set before its interfaces go up.
            env: of every process in it.
            exec: shell command lines, run in order before lab time zero.
            files: absolute path to content.
            syscall_cost: virtual time for each of its syscalls, "1 us".
            packet_cost: virtual time for each packet that it receives, "10 us".
            speed: of its processor; 1 needs for a syscall, a page fault, a switch
                between programs and a packet what `windtunnel.model.cpu.REFERENCE` says.
            kernel: "shared" with other nodes, "own", or a version or path of its own.
            memory: of its own kernel, "128 MiB".
            kernel_words: further words for its own kernel's command line.
            volumes: of a kernel of its own: {"data": {"size": "64 MB", "path": "/data"}}.

        Raises:
            LabFileError: a quantity is none.
            UsageError: a volume lacks something, or has too much.
        """
        spec = NodeSpec(
            name=name,
            addresses=tuple(addresses),
            sysctls=tuple((key, str(value)) for key, value in (sysctls or {}).items()),
            env=tuple((env or {}).items()),
            exec=tuple(exec),
            files=tuple(
                FileSpec(path, text.encode() if isinstance(text, str) else text)
                for path, text in (files or {}).items()
            ),
            cpu=CpuSpec(
                syscall_cost_ns=None if syscall_cost is None else parse_duration(syscall_cost),
                packet_cost_ns=None if packet_cost is None else parse_duration(packet_cost),
                speed=speed,
            ),
            kernel=None if kernel == "shared" else kernel,
            memory_bytes=None if memory is None else parse_size(memory),
            kernel_words=tuple(kernel_words),
            volumes=tuple(_volume(key, settings) for key, settings in (volumes or {}).items()),
        )
        self._spec = replace(self._spec, nodes=(*self._spec.nodes, spec))
        return LabNode(name)

    def link(
        self,
        a: LabNode | str,
        b: LabNode | str,
        *,
        name: str | None = None,
        ip: Sequence[str] | None = None,
        mtu: int = 1500,
        **settings: LinkSetting,
    ) -> None:
        """Join two nodes by a cable.

        Args:
            a: a node, or "node:interface".
            b: the other end.
            name: "a-b" if none is given.
            ip: one address with prefix length for each end; automatic otherwise.
            mtu: bytes.
            settings: delay="10 ms", jitter=, distribution=, loss="1%", duplicate=,
                reorder=, corrupt=, rate="100 Mbit", queue=1000; both directions.
        """
        addresses = [None, None] if ip is None else [(address,) for address in ip]
        if len(addresses) != 2:
            raise UsageError(f"a link has two ends, and ip= has {len(addresses)} addresses")
        impairment = impairment_from(Impairment(), settings)
        ends = (_end(a, addresses[0], impairment), _end(b, addresses[1], impairment))
        self._links.append(Draft(ends=ends, name=name, mtu_bytes=mtu))

    def network(
        self,
        name: str,
        members: Sequence[LabNode | str],
        *,
        subnet: str | None = None,
        mtu: int = 1500,
        **settings: LinkSetting,
    ) -> None:
        """Join many nodes by a switch. Arguments as for `link`; `subnet` for its addresses."""
        impairment = impairment_from(Impairment(), settings)
        ends = tuple(_end(member, None, impairment) for member in members)
        self._networks.append(Draft(ends=ends, name=name, subnet=subnet, mtu_bytes=mtu))

    def fault(
        self,
        action: FaultAction,
        *,
        at: str | int,
        lasting: str | int | None = None,
        every: str | int | None = None,
        until: str | int | None = None,
        name: str | None = None,
    ) -> None:
        """Have something break at a lab time, while the program lets time pass.

        Args:
            action: what; any of `windtunnel.model.fault`.
            at: when: text with a unit, or whole nanoseconds.
            lasting: it is undone after so long; None leaves it.
            every: again and again, from one beginning to the next.
            until: no beginning after this; needed with `every`, as a program has no end.
            name: for events; made of what it does otherwise.

        Raises:
            UsageError: the times make no sense.
        """
        at_ns = duration_ns(at)
        for_ns = None if lasting is None else duration_ns(lasting)
        if (every is None) != (until is None):
            raise UsageError("a fault has `every` without `until`, or `until` without `every`")
        step_ns = 1 if every is None else duration_ns(every)
        last_ns = at_ns if until is None else duration_ns(until)
        if step_ns <= 0 or last_ns < at_ns:
            raise UsageError("a fault that is repeated never begins, or never goes on")
        if (last_ns - at_ns) // step_ns >= FAULTS_MAX:
            raise UsageError(f"a fault is repeated more than {FAULTS_MAX} times")
        for number, time_ns in enumerate(range(at_ns, last_ns + 1, step_ns), 1):
            fault = Fault(time_ns, "", action, for_ns)
            words = name if name is None or number == 1 else f"{name}, {number}"
            self._faults.append(replace(fault, name=words or fault_name(fault)))

    def spec(self) -> LabSpec:
        """The lab, addressed and checked.

        Raises:
            LabFileError: it makes no sense; the message says where.
        """
        loopbacks = [address for node in self._spec.nodes for address in node.addresses]
        links, networks = wire(self._links, self._networks, loopbacks=loopbacks)
        faults = sorted(self._faults, key=lambda fault: fault.at_ns)
        spec = replace(self._spec, links=links, networks=networks, faults=tuple(faults))
        # What a program will start by hand is nowhere written; `World.fault` looks then.
        known = {(process.node, process.name) for process in spec.processes}
        check_spec(replace(spec, faults=tuple(one for one in faults if _is_known(one, known))))
        return spec

    def start(
        self,
        *,
        kernel: Kernel | None = None,
        recorder: Recorder | None = None,
        options: WorldOptions | None = None,
    ) -> World:
        """Boot it; use the world as a context manager.

        Its faults happen at their times; its processes and steps are the program's.

        Args:
            kernel: to boot; the default kernel otherwise, which must be built.
            recorder: is told what happens.
            options: more choices; its kernel wins over `kernel`.

        Raises:
            HostError: there is no kernel, or this machine lacks something.
            GuestError: the lab could not be set up.
        """
        chosen = options or WorldOptions(kernel=kernel or default_kernel())
        world = World(self.spec(), chosen, recorder)
        world.plan_faults()
        return world


def _is_known(fault: Fault, processes: set[tuple[str, str]]) -> bool:
    action = fault.action
    return not isinstance(action, ProcessFault) or (action.node, action.process) in processes


def _end(end: LabNode | str, addresses: tuple[str, ...] | None, impairment: Impairment) -> DraftEnd:
    text = end.name if isinstance(end, LabNode) else end
    node, _, interface = text.partition(":")
    return DraftEnd(node, interface or None, addresses=addresses, impairment=impairment)


def _volume(name: str, settings: Mapping[str, str]) -> VolumeSpec:
    keys = {"size", "path"}
    if not keys <= set(settings) <= keys | {"filesystem", "latency"}:
        raise UsageError(
            f"the volume {name!r} has {', '.join(sorted(settings)) or 'nothing'}",
            hint='write {"size": "64 MB", "path": "/data"}',
        )
    return VolumeSpec(
        name,
        settings["path"],
        parse_size(settings["size"]),
        settings.get("filesystem", "ext4"),
        parse_duration(settings["latency"]) if "latency" in settings else VOLUME_LATENCY_NS,
    )


def _draft(name: str, ends: Sequence[Endpoint], spec: LinkSpec | NetworkSpec) -> Draft:
    return Draft(
        ends=tuple(
            DraftEnd(end.node, end.interface, end.mac, end.addresses, end.impairment)
            for end in ends
        ),
        name=name,
        addressing=Addressing.NONE,
        mtu_bytes=spec.mtu_bytes,
        up=spec.up if isinstance(spec, LinkSpec) else True,
    )


def load_lab_file(path: Path) -> Lab:
    """Read a lab file.

    Raises:
        LabFileError: it is wrong; every mistake is named with its place.
        HostError: it cannot be read.
    """
    from windtunnel.engine.labfile import read_spec  # noqa: PLC0415 - slow to import

    return Lab.from_spec(read_spec(path))
