# SPDX-License-Identifier: Apache-2.0
"""A lab being run, in the hands of a program.

Time passes only inside calls that wait (`step`, `Node.run`, `Process.wait` …)
and stands still between them, however long the program thinks. Lab time zero is
`ZERO_NS` after the kernel began, so that no program meets a clock near zero.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from windtunnel.engine import plan
from windtunnel.engine.build import HostView, LabSetup
from windtunnel.engine.byhand import FaultInHand, FaultsByHand
from windtunnel.engine.cable import veth_lines
from windtunnel.engine.core import core_path
from windtunnel.engine.coverage import Coverage, KernelCoverage
from windtunnel.engine.fabric import Fabric
from windtunnel.engine.findings import KernelSearch
from windtunnel.engine.grants import GrantsLog
from windtunnel.engine.guest import Boot, Guest, boot_all
from windtunnel.engine.kernel import node_kernels
from windtunnel.engine.kernelneeds import check_needs
from windtunnel.engine.kernelshell import KernelShell
from windtunnel.engine.link import Link
from windtunnel.engine.loop import WATCHDOG_HOST_S, Calendar
from windtunnel.engine.machine import Machine, SharedMachine
from windtunnel.engine.node import Node
from windtunnel.engine.outer import Outside
from windtunnel.engine.ownmachine import OwnMachine
from windtunnel.engine.parts import SHARED, Part, between_kernels
from windtunnel.engine.parts import divide as parts_of
from windtunnel.engine.passing import Passing
from windtunnel.engine.process import Duration, duration_ns
from windtunnel.engine.recorder import NullRecorder, Recorder
from windtunnel.engine.seat import Seat
from windtunnel.engine.switch import bridge_switches
from windtunnel.engine.timeline import Task
from windtunnel.engine.tracing import KernelTrace, Tracing
from windtunnel.engine.volumes import NodeVolumes
from windtunnel.engine.waits import Waits
from windtunnel.errors import HostError, OverdueError, StateError, UsageError
from windtunnel.images.agent import ensure_initrd
from windtunnel.images.coverage import coverage_notes
from windtunnel.images.kernels import Kernel
from windtunnel.machines.confine import for_project
from windtunnel.machines.sweep import new_scratch, sweep
from windtunnel.model.clock import ZERO_NS
from windtunnel.model.cpu import NOTHING_SAID, CpuSpec
from windtunnel.model.fault import FaultAction
from windtunnel.model.lab import OWN_MEMORY_BYTES, LabSpec, NodeSpec
from windtunnel.model.units import duration_text
from windtunnel.sim.seeds import derive
from windtunnel.wire.timetravel import RunningTask

SECOND_NS = 1_000_000_000

BY_HAND_PARTITION = "partition by hand"
"""The key of `World.partition` at the fabric."""


@dataclass(frozen=True, slots=True)
class Halt:
    """An instant at which the kernel of a node is to stand still, for whoever debugs it.

    Attributes:
        node: its name; others may share its kernel.
        at_ns: lab time, 0 or more.
        act: called when the kernel has done all that it does before `at_ns`. Nobody
            runs then; it may look, at the kernel's process too, but not touch the world.
    """

    node: str
    at_ns: int
    act: Callable[[World], None]


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """How a world is run; nothing here may change a result.

    Attributes:
        kernel: that every guest boots whose nodes ask for no other.
        node_kernels: of nodes that ask for another, where it is known already which
            that is, by node.
        read: further paths of the host that guests may read.
        write: paths of the host that guests may write, as the user who runs us.
        trust_guest: run guests without confinement where the host offers none.
        watchdog_host_s: how long virtual time may stand still.
        parallel: how many kernels may run at the same time, 1 or more; None is one
            for each processor that we may use.
        cpu: the host processor that guests are pinned to; None chooses.
        console: the file for the kernel's console; None throws it away at the end.
            That of a node's own kernel lies beside it: "console.log" and "console-r1.log".
        kernel_words: further words for the kernel's command line.
        view: what the base node sees of the host (for `windtunnel exec`).
        base_cpu: what computing costs in the base node (for `windtunnel exec`).
        heartbeat: called with the lab time a few times a host second.
        grants: the file for the calendar's log of grants, for finding where two
            runs part; None logs nothing.
        halt: where a kernel is to stand still; see `Halt`.
    """

    kernel: Kernel
    node_kernels: Mapping[str, Kernel] = field(default_factory=dict)
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    trust_guest: bool = False
    watchdog_host_s: float = WATCHDOG_HOST_S
    parallel: int | None = None
    cpu: int | None = None
    console: Path | None = None
    kernel_words: tuple[str, ...] = ()
    view: HostView = field(default_factory=HostView)
    base_cpu: CpuSpec = NOTHING_SAID
    heartbeat: Callable[[int], None] | None = None
    grants: Path | None = None
    halt: Halt | None = None


class World:
    """A running lab. A context manager: leaving it ends everything in it."""

    def __init__(
        self, spec: LabSpec, options: WorldOptions, recorder: Recorder | None = None
    ) -> None:
        """Boot the kernel, make the lab, and let time pass to lab time zero.

        Raises:
            HostError: this machine lacks something.
            GuestError: the kernel or the lab's set-up failed.
        """
        self.spec = spec
        self._recorder: Recorder = recorder or NullRecorder()
        sweep()
        self._scratch = new_scratch()
        self._closed = False
        self._namespaces: dict[int, str] = {}
        self._heartbeat = options.heartbeat
        self._grants_log = None if options.grants is None else GrantsLog(options.grants)
        self._affinity: set[int] = set()
        self._lanes = options.parallel or len(os.sched_getaffinity(0))
        self._calendar = Calendar(
            time_of_day_ns=spec.clock_ns - ZERO_NS,
            watchdog_host_s=options.watchdog_host_s,
            describe=self._node_of,
            heartbeat=self._beat if options.heartbeat is not None else None,
            grants=None if self._grants_log is None else self._grants_log.add,
        )
        self._calendar.zero_ns = ZERO_NS
        self._waits = Waits(self._calendar)
        self._passing = Passing(self._calendar, self._waits, watched=recorder is not None)
        self._guests: list[Guest] = []
        self._nodes: dict[str, Node] = {}
        self._links: dict[str, Link] = {}
        self._volumes: dict[str, NodeVolumes] = {}
        self.tracing: Tracing | None = None
        """What records tracepoints; None where the lab asks for none."""
        self.coverage: Coverage | None = None
        """What reads which lines of the kernels ran; None where no kernel counts them."""
        self.searches: tuple[KernelSearch, ...] = ()
        """The kernels that look for bugs in themselves."""
        self._faults = FaultsByHand(self, self._recorder, self._passing.plan)
        try:
            self._begin(options)
        except BaseException:
            self.close()
            raise

    def _begin(self, options: WorldOptions) -> None:
        spec = self.spec
        self._node_kernels = node_kernels(spec, options.kernel, options.node_kernels)
        parts = parts_of(spec)
        for part in parts:
            check_needs(self._kernel_of(part, options), part, spec)
        _check_memory(sum(_memory_bytes(part) for part in parts))
        if len(parts) > 1 and (self._lanes == 1 or len(parts) <= self._lanes):
            self._stay_with_guests(options)
        self._volumes = {
            node.name: NodeVolumes(spec.seed, node, self._scratch.path)
            for node in spec.nodes
            if node.kernel is not None
        }
        for at, part in enumerate(parts):
            boot = self._boot(part, options, at)
            self._guests.append(Guest(self._calendar, self._waits, part.name, boot))
        boot_all(self._guests, self._waits)
        self.kernel_release = self._guests[0].agent.release or ""
        """The release of the lab's kernel, such as "7.3.4"."""
        setups = [
            LabSetup(guest, self._waits, part, spec)
            for guest, part in zip(self._guests, parts, strict=True)
        ]
        for setup in setups:
            setup.make(options.view)
        self._namespaces = setups[0].namespaces
        self.agents = tuple(
            (guest.agent, setup.numbers) for guest, setup in zip(self._guests, setups, strict=True)
        )
        """Each kernel's agent, and what numbers its nodes have there."""
        self.shared = setups[0] if parts[0].node is None else None
        """The set-up of the shared kernel's part, where there is one."""
        self._make_fabric(parts, setups)
        base = NodeSpec("base", cpu=options.base_cpu)
        self.base = Node(self, self.agents[0][0], self._recorder, spec=base, number=plan.BASE)
        self._make_nodes(parts, setups)
        for node in self._nodes.values():
            node.set_up()
        if spec.trace:
            self.tracing = self._make_tracing(parts)
            self.tracing.begin(spec.trace)
        self.coverage = self._make_coverage(parts, options)
        if self.coverage is not None:
            self.coverage.reset()
        self.searches = self._make_searches(parts, options)
        while self._calendar.zero_ns < self._calendar.now_ns:
            self._calendar.zero_ns += SECOND_NS
        if options.halt is not None:
            self._plan_halt(options.halt)
        self._calendar.run_until(self._calendar.zero_ns)
        self._recorder.event(
            0, "lab-begin", lab=spec.name, seed=spec.seed, kernel_ns=self._calendar.zero_ns
        )

    def _make_tracing(self, parts: Sequence[Part]) -> Tracing:
        """What traces each kernel, from outside of its nodes."""
        kernels = [
            KernelTrace(shell, str(guest.console.parent))
            for shell, guest, _ in self._kernels(parts)
        ]
        return Tracing(kernels, lambda: self._calendar.zero_ns)

    def _make_coverage(self, parts: Sequence[Part], options: WorldOptions) -> Coverage | None:
        """What reads the counts of each kernel that counts its lines."""
        kernels = [
            KernelCoverage(shell, coverage_notes(kernel))
            for shell, _, part in self._kernels(parts)
            if (kernel := self._kernel_of(part, options)).variant.coverage
        ]
        return Coverage(kernels) if kernels else None

    def _make_searches(
        self, parts: Sequence[Part], options: WorldOptions
    ) -> tuple[KernelSearch, ...]:
        """Who is asked at the end what was found in each kernel."""
        return tuple(
            KernelSearch(shell, sanitizers, guest.console)
            for shell, guest, part in self._kernels(parts)
            if (sanitizers := self._kernel_of(part, options).variant.sanitizers)
        )

    def _kernels(self, parts: Sequence[Part]) -> Iterator[tuple[KernelShell, Guest, Part]]:
        """Each kernel from outside of its nodes, with its guest and its part of the lab."""
        for guest, part in zip(self._guests, parts, strict=True):
            spec = NodeSpec("base", cpu=NOTHING_SAID)
            base = Node(self, guest.agent, self._recorder, spec=spec, number=plan.BASE)
            yield KernelShell(base, "" if part.node is None else part.node.name), guest, part

    def _plan_halt(self, halt: Halt) -> None:
        self.node(halt.node)
        seat = self.guest_of(halt.node).seat
        self._calendar.halt(seat, self._calendar.zero_ns + halt.at_ns, lambda: halt.act(self))

    def _stay_with_guests(self, options: WorldOptions) -> None:
        """Run on a guest's processor until the end: it and we take turns.

        To wake somebody on another processor takes ten times as long. Where each
        processor has many guests, that matters less than that none of them idles.
        """
        self._affinity = os.sched_getaffinity(0)
        cpu = _choose_cpu(0) if options.cpu is None else options.cpu
        os.sched_setaffinity(0, {cpu})

    def _boot(self, part: Part, options: WorldOptions, at: int) -> Boot:
        """What a part's guest is made of."""
        scratch = self._scratch.path / f"guest{at}"
        scratch.mkdir()
        node = part.node
        console = options.console or scratch / "console.log"
        words = options.kernel_words
        if node is not None:
            console = console.with_name(f"console-{node.name}.log")
            words = (*words, *node.kernel_words)
        return Boot(
            kernel=self._kernel_of(part, options).path,
            initrd=ensure_initrd(),
            scratch=scratch,
            console=console,
            seed=derive(self.spec.seed, "kernel", part.name),
            memory_bytes=_memory_bytes(part),
            confinement=for_project(
                Path.cwd(),
                read=options.read,
                write=options.write,
                trust_guest=options.trust_guest,
            ),
            # A lane's guests run one after the other, so they share a processor.
            cpu=_choose_cpu((at + 1) % self._lanes) if options.cpu is None else options.cpu,
            kernel_words=words,
            ports=part.ports,
            machine=node is not None,
            volumes=None if node is None else self._volumes[node.name],
            core=None if options.console is None else core_path(console),
        )

    def _kernel_of(self, part: Part, options: WorldOptions) -> Kernel:
        return options.kernel if part.node is None else self._node_kernels[part.node.name]

    def _make_fabric(self, parts: Sequence[Part], setups: Sequence[LabSetup]) -> None:
        """All cables and networks, inside kernels and between them."""
        ports = {
            (port.spec.endpoint.node, port.spec.endpoint.interface): port
            for guest in self._guests
            for port in guest.ports
        }
        self.outside = outside = Outside(
            self._calendar, *between_kernels(self.spec), ports, self.spec.seed
        )
        inside = [(part.spec, setup.wiring) for part, setup in zip(parts, setups, strict=True)]

        def finish() -> None:
            for setup in setups:
                setup.wiring.finish(time_ns=self.now_ns)
            outside.measure()

        self.fabric = Fabric(
            [line for each in inside for line in veth_lines(*each)] + outside.lines,
            [
                *(switch for each in inside for switch in bridge_switches(*each)),
                *outside.switches,
            ],
            finish=finish,
            now_ns=lambda: self.now_ns,
            note=lambda link, change: self._recorder.event(
                self.now_ns, "link", link=link, change=change
            ),
        )
        self._links = {
            link.name: Link(self, self.fabric, link, self._recorder) for link in self.spec.links
        }

    def _make_nodes(self, parts: Sequence[Part], setups: Sequence[LabSetup]) -> None:
        """What a program has in its hands of each node."""
        found = {}
        for guest, part, setup in zip(self._guests, parts, setups, strict=True):
            for node in part.spec.nodes:
                found[node.name] = self._make_node(guest, setup, node)
        self._nodes = {node.name: found[node.name] for node in self.spec.nodes}

    def _make_node(self, guest: Guest, setup: LabSetup, spec: NodeSpec) -> Node:
        number = setup.numbers[spec.name]

        def boot(wiped: bool) -> None:
            setup.power_on(spec, self.fabric.boot(spec.name), wiped=wiped)

        machine: Machine
        if spec.kernel is None:
            machine = SharedMachine(
                self, guest.agent, self.fabric, spec=spec, number=number, boot=boot
            )
        else:
            machine = OwnMachine(
                self,
                self._calendar,
                self.fabric,
                guest,
                number=number,
                make=setup.make,
                volumes=self._volumes[spec.name],
            )
        return Node(self, guest.agent, self._recorder, spec=spec, number=number, machine=machine)

    # ---- time ----

    def end_by(self, time_ns: int) -> None:
        """Let no more lab time pass than this: at it, `OverdueError` is raised.

        Args:
            time_ns: lab time, later than now.
        """

        def end() -> None:
            raise OverdueError(
                f"the lab was not done after {duration_text(time_ns)}, which is all that it may "
                "take",
                time_ns=time_ns,
                hint="allow it more with --cell-timeout TIME or the lab's key cell-timeout",
            )

        self._calendar.deadline = (time_ns + self._calendar.zero_ns, end)

    @property
    def now_ns(self) -> int:
        """Lab time, nanoseconds; negative while the lab is being set up."""
        return self.lab_time(self._calendar.now_ns)

    @property
    def grants(self) -> int:
        """How often a guest was let run; a measure of how busy the lab is."""
        return self._calendar.grants

    def lab_time(self, world_ns: int) -> int:
        """Lab time of a world time."""
        return world_ns - self._calendar.zero_ns

    def sleep(self, duration: Duration) -> None:
        """Let virtual time pass.

        Raises:
            PausedError: a pause came first.
        """
        time_ns = self.now_ns + duration_ns(duration)
        self._check_open()
        if not self._passing.until(time_ns, pausable=True):
            self._passing.refuse("a sleep")

    def step(self, duration: Duration) -> int:
        """Let exactly so much virtual time pass: whole nanoseconds, or text with a unit.

        What happens at the very instant that is reached comes with the next call.

        Returns:
            How much has passed, in nanoseconds: less than asked for after a pause.

        Raises:
            UsageError: it is less than nothing.
        """
        self._check_open()
        begin_ns, step_ns = self.now_ns, duration_ns(duration)
        if step_ns < 0:
            raise UsageError(f"a step of {step_ns} ns", hint="time does not go back")
        self._passing.until(begin_ns + step_ns, pausable=True)
        return self.now_ns - begin_ns

    def run_until(self, predicate: Callable[[World], bool], limit: Duration | None = None) -> bool:
        """Let time pass until a predicate of the world holds.

        It is looked at now, and after each report of a guest (output, the beginning
        or the end of a process, an answer). In a lab with one kernel time then
        stands still at the very instant of the report; with several kernels, when
        all have come to one instant, at most 1 ms later. The predicate may look at
        everything and change nothing.

        Args:
            predicate: takes this world.
            limit: give up after so much virtual time.

        Returns:
            Whether it holds: False when the limit or a pause came first.

        Raises:
            IdleError: there is no limit, and nothing is left to happen.
        """
        self._check_open()
        limit_ns = None if limit is None else duration_ns(limit)
        what = "what a predicate asks for"
        return self._passing.wait(lambda: predicate(self), what, limit_ns=limit_ns, pausable=True)

    def pause(self) -> bool:
        """End the call that lets time pass, as soon as possible in virtual time.

        For code that runs while time passes: a predicate, the recorder, the handler of
        a signal, another thread. A call from the recorder or a predicate stops time
        where `run_until` would. From a signal or a thread, which know no virtual time,
        it may take up to 1 s of it. Then `step` and `run_until` return; `sleep`,
        `Node.run`, `Process.wait` and their like raise `PausedError`. Nothing
        is lost: with the next call that waits, all goes on.

        Returns:
            Whether there was such a call; if nothing runs, nothing happens.
        """
        return self._passing.pause()

    def run_until_ns(self, time_ns: int) -> None:
        """Let time pass until lab time `time_ns`; no effect if that is past, or to a pause."""
        self._check_open()
        self._passing.until(time_ns, pausable=False)

    def wait(self, condition: Callable[[], bool], what: str, *, pausable: bool = False) -> None:
        """Let time pass until `condition` holds, and not one instant longer.

        Args:
            condition: looked at after each report of the guest.
            what: completes "nothing is left to happen while waiting for …".
            pausable: whether `pause` ends it.

        Raises:
            IdleError: it can never hold, or nothing was heard for a virtual day.
            PausedError: a pause came first.
        """
        self._check_open()
        if not self._passing.wait(condition, what, pausable=pausable):
            self._passing.refuse(what)

    def wait_at_most(
        self, condition: Callable[[], bool], limit_ns: int, what: str, *, pausable: bool = False
    ) -> bool:
        """Let time pass until `condition` holds, or for `limit_ns`; returns whether it held.

        Raises:
            PausedError: a pause came first.
        """
        self._check_open()
        held = self._passing.wait(condition, what, limit_ns=limit_ns, pausable=pausable)
        if not held and pausable and self._passing.was_paused():
            self._passing.refuse(what)
        return held

    # ---- what is in it ----

    def node(self, name: str) -> Node:
        """The node called `name`.

        Raises:
            StateError: there is none.
        """
        try:
            return self._nodes[name]
        except KeyError:
            raise StateError(
                f"no node {name!r}", hint=f"the nodes are {', '.join(self._nodes)}"
            ) from None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, in the order of the lab."""
        return tuple(self._nodes.values())

    def link(self, name: str, other: str | None = None) -> Link:
        """The link called `name`, or the first link between two nodes.

        Raises:
            StateError: there is none.
        """
        if other is None and name in self._links:
            return self._links[name]
        for link in self._links.values():
            if other is not None and {end.node for end in link.spec.ends} == {name, other}:
                return link
        wanted = name if other is None else f"between {name} and {other}"
        raise StateError(f"no link {wanted!r}", hint=f"the links are {', '.join(self._links)}")

    @property
    def links(self) -> tuple[Link, ...]:
        """All links, in the order of the lab."""
        return tuple(self._links.values())

    def guest_of(self, node: str) -> Guest:
        """The guest whose kernel runs a node; others may share it."""
        own = (guest for guest in self._guests if guest.name == node)
        return next(own, self._guests[0])

    def base_of(self, node: str) -> Node:
        """The node that a node's kernel itself is: it sees all processes."""
        agent = self.guest_of(node).agent
        return Node(self, agent, NullRecorder(), spec=NodeSpec("base"), number=plan.BASE)

    def let_host_hold(self, holds: Callable[[], bool]) -> None:
        """Ask `holds` whether somebody on the host holds a kernel that is silent.

        Then no watchdog counts. It may raise, to end the world.
        """
        self._calendar.held_by_host = holds

    # ---- faults ----

    def fault(
        self,
        action: FaultAction,
        *,
        at: Duration | None = None,
        lasting: Duration | None = None,
        name: str | None = None,
    ) -> FaultInHand:
        """Break something, now or at a time, as the `faults` of a lab file do.

        A fault of the present is done when this returns, and may take some virtual
        time. One of the future happens whoever lets time pass then; if it cannot be
        done as things are, that is only an event. A `ProcessFault` names a process
        as `Node.popen` does.

        Args:
            action: what; any of `windtunnel.model.fault`.
            at: lab time; None is now.
            lasting: it is undone after so long; None leaves it until `undo`.
            name: for events; made of what it does otherwise.

        Returns:
            Its `undo` ends it before its time; as a context manager it does so itself.

        Raises:
            GuestError, StateError: it cannot be done as things are.
            ImpossibleFaultError: this kind of node can never have it.
            UsageError: `at` is past.
        """
        self._check_open()
        return self._faults.begin(
            action,
            at_ns=None if at is None else duration_ns(at),
            for_ns=None if lasting is None else duration_ns(lasting),
            name=name,
        )

    def plan_faults(self) -> None:
        """Have the faults of the lab itself happen at their times; `Lab.start` does it."""
        for fault in self.spec.faults:
            self._faults.add(fault)

    def plan_tasks(self, tasks: Iterable[Task]) -> None:
        """Have tasks begin now, and go on whoever lets time pass."""
        for task in tasks:
            self._passing.plan.add(task)
        self._passing.plan.advance(lambda: True)

    def partition(self, groups: Sequence[Sequence[str]]) -> None:
        """Keep groups of nodes from reaching each other, at one instant.

        Links between them lose all packets, and networks fall into parts. Cables
        stay in: who is cut off finds out by its own timeouts. Another call
        replaces the groups of the first.

        Args:
            groups: names of nodes, each in one group at most; the nodes that are
                in none form one more.

        Raises:
            StateError: there is no such node, or it is in two groups.
        """
        names = [name for group in groups for name in group]
        for name in names:
            self.node(name)
        if len(set(names)) < len(names):
            raise StateError("a node is in two groups of a partition")
        self.fabric.release(BY_HAND_PARTITION)
        self.fabric.partition(BY_HAND_PARTITION, tuple(tuple(group) for group in groups))
        self._recorder.event(self.now_ns, "partition", groups=[list(group) for group in groups])

    def heal(self) -> None:
        """Undo `partition`; what faults of the lab do stays."""
        self.fabric.release(BY_HAND_PARTITION)
        self._recorder.event(self.now_ns, "partition", groups=[])

    # ---- its end ----

    def close(self) -> None:
        """End the lab at once and remove what it needed; may be called again."""
        if self._closed:
            return
        self._closed = True
        if self._affinity:
            os.sched_setaffinity(0, self._affinity)
        for guest in self._guests:
            guest.stop()
        self._calendar.close()
        for volumes in self._volumes.values():
            volumes.close()
        if self._grants_log is not None:
            self._grants_log.close()
        if self.tracing is not None:
            self.tracing.close()
        self._scratch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StateError(
                "the world has ended",
                state="closed",
                required="running",
                hint="use it inside its 'with' block",
            )

    def _beat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat(self.now_ns)

    def _node_of(self, seat: Seat, task: RunningTask | None) -> str | None:
        if seat.name != SHARED:
            return seat.name
        if task is None:
            return None
        return self._namespaces.get(task.pid_namespace, "base")


def _memory_bytes(part: Part) -> int:
    if part.node is None:
        return part.spec.memory_bytes
    return part.node.memory_bytes or OWN_MEMORY_BYTES


def _check_memory(wanted_bytes: int) -> None:
    """A kernel fills in tables for all of its memory: far too much would take it minutes.

    Raises:
        HostError: this machine could never hold it.
    """
    lines = Path("/proc/meminfo").read_text().splitlines()
    sizes = {key: value for key, _, value in (line.partition(":") for line in lines)}
    has_bytes = sum(int(sizes[key].split()[0]) * 1024 for key in ("MemTotal", "SwapTotal"))
    if wanted_bytes > has_bytes:
        raise HostError(
            f"the lab's kernels are to have {wanted_bytes >> 20} MiB of memory, "
            f"and this machine has {has_bytes >> 20} MiB, swap included",
            hint="lower the lab's `memory`; 1 GiB is enough for hundreds of nodes",
        )


def _choose_cpu(lane: int) -> int:
    """A processor for a lane: spread by our own process id, which no result depends on."""
    allowed = sorted(os.sched_getaffinity(0))
    if not allowed:
        raise HostError("no processor may be used")
    return allowed[(os.getpid() + lane) % len(allowed)]
