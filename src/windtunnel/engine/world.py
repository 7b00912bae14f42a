# SPDX-License-Identifier: Apache-2.0
"""A lab being run, in the hands of a program.

Time passes only inside calls that wait (`sleep`, `Node.run`, `Process.wait` …)
and stands still between them, however long the program thinks. Lab time zero is
`ZERO_NS` after the kernel began, so that no program meets a clock near zero.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from windtunnel.engine import plan
from windtunnel.engine.build import HostView, LabSetup
from windtunnel.engine.grants import GrantsLog
from windtunnel.engine.guest import Boot, Guest
from windtunnel.engine.link import Link
from windtunnel.engine.loop import WATCHDOG_HOST_S, Calendar, Seat
from windtunnel.engine.node import Node
from windtunnel.engine.process import Duration, duration_ns
from windtunnel.engine.recorder import NullRecorder, Recorder
from windtunnel.engine.wiring import Wiring
from windtunnel.errors import GuestError, HostError, StateError
from windtunnel.images.agent import ensure_initrd
from windtunnel.images.kernels import Kernel
from windtunnel.machines import uml
from windtunnel.machines.confine import for_project
from windtunnel.machines.sweep import new_scratch, sweep
from windtunnel.model.lab import LabSpec, NodeSpec
from windtunnel.sim.seeds import derive
from windtunnel.wire.timetravel import RunningTask

SECOND_NS = 1_000_000_000
ZERO_NS = 10 * SECOND_NS
"""World time of lab time zero: `ping` takes a clock near zero for "not set"."""

GUEST_NAME = "shared"


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """How a world is run; nothing here may change a result.

    Attributes:
        kernel: that every guest boots.
        read: further paths of the host that guests may read.
        write: paths of the host that guests may write, as the user who runs us.
        trust_guest: run guests without confinement where the host offers none.
        watchdog_host_s: how long virtual time may stand still.
        cpu: the host processor that guests are pinned to; None chooses.
        console: the file for the kernel's console; None throws it away at the end.
        kernel_words: further words for the kernel's command line.
        view: what the base node sees of the host (for `windtunnel exec`).
        heartbeat: called with the lab time a few times a host second.
        grants: the file for the calendar's log of grants, for finding where two
            runs part; None logs nothing.
    """

    kernel: Kernel
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    trust_guest: bool = False
    watchdog_host_s: float = WATCHDOG_HOST_S
    cpu: int | None = None
    console: Path | None = None
    kernel_words: tuple[str, ...] = ()
    view: HostView = field(default_factory=HostView)
    heartbeat: Callable[[int], None] | None = None
    grants: Path | None = None


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
        self._namespaces: Mapping[int, str] = {}
        self._heartbeat = options.heartbeat
        self._grants_log = None if options.grants is None else GrantsLog(options.grants)
        self._calendar = Calendar(
            self._scratch.path / uml.CALENDAR_SOCKET,
            time_of_day_ns=spec.clock_ns - ZERO_NS,
            watchdog_host_s=options.watchdog_host_s,
            describe=self._node_of,
            heartbeat=self._beat if options.heartbeat is not None else None,
            grants=None if self._grants_log is None else self._grants_log.add,
        )
        self._calendar.zero_ns = ZERO_NS
        self._guest: Guest | None = None
        try:
            self._begin(options)
        except BaseException:
            self.close()
            raise

    def _begin(self, options: WorldOptions) -> None:
        spec = self.spec
        _check_memory(spec.memory_bytes)
        boot = Boot(
            kernel=options.kernel.path,
            initrd=ensure_initrd(),
            scratch=self._scratch.path,
            console=options.console or self._scratch.path / "console.log",
            seed=derive(spec.seed, "kernel", GUEST_NAME),
            memory_bytes=spec.memory_bytes,
            confinement=for_project(
                Path.cwd(),
                read=options.read,
                write=options.write,
                trust_guest=options.trust_guest,
            ),
            cpu=_choose_cpu() if options.cpu is None else options.cpu,
            kernel_words=options.kernel_words,
        )
        self._guest = guest = Guest(self._calendar, GUEST_NAME, boot)
        guest.boot()
        setup = LabSetup(guest, spec)
        setup.make(options.view)
        self._namespaces = setup.namespaces
        self.pids: Mapping[str, int] = setup.pids
        """The first process of each node, as the agent sees it."""
        numbers = plan.node_numbers(spec)
        self._nodes = {
            node.name: Node(self, guest.agent, self._recorder, spec=node, number=numbers[node.name])
            for node in spec.nodes
        }
        self.base = Node(self, guest.agent, self._recorder, spec=NodeSpec("base"), number=plan.BASE)
        wiring = Wiring(guest.agent, self.wait, {n: name for name, n in numbers.items()})
        indexes = plan.interface_indexes(spec)
        self._links = {
            link.name: Link(self, wiring, link, self._recorder, numbers=numbers, indexes=indexes)
            for link in spec.links
        }
        self._run_exec()
        while self._calendar.zero_ns < self._calendar.now_ns:
            self._calendar.zero_ns += SECOND_NS
        self._calendar.run_until(self._calendar.zero_ns)
        self._recorder.event(0, "lab-begin", lab=spec.name, seed=spec.seed)

    def _run_exec(self) -> None:
        """Run the nodes' `exec` lines, each node's in order."""
        for node in self._nodes.values():
            for command in node.spec.exec:
                result = node.run(command, name="exec", timeout="1 h")
                if not result.ok:
                    said = (result.stdout + result.stderr).strip()[-1000:]
                    raise GuestError(
                        f"the set-up command {command!r} exited with {result.exit_status}"
                        + (f": {said}" if said else " and said nothing"),
                        node=node.name,
                        hint="a node's `exec` lines run when its links are up, before time 0",
                    )

    # ---- time ----

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
        """Let virtual time pass."""
        self.run_until_ns(self.now_ns + duration_ns(duration))

    def run_until_ns(self, time_ns: int) -> None:
        """Let time pass until lab time `time_ns`; no effect if that is past."""
        self._check_open()
        world_ns = time_ns + self._calendar.zero_ns
        if world_ns > self._calendar.now_ns:
            self._calendar.run_until(world_ns)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Let time pass until `condition` holds, and not one instant longer.

        Args:
            condition: looked at after each report of the guest.
            what: completes "nothing is left to happen while waiting for …".

        Raises:
            IdleError: it can never hold, or nothing was heard for a virtual day.
        """
        self._open_guest.wait(condition, what)

    def wait_at_most(self, condition: Callable[[], bool], limit_ns: int, what: str) -> bool:
        """Let time pass until `condition` holds, or for `limit_ns`; returns whether it held."""
        over = False

        def end() -> None:
            nonlocal over
            over = True

        self._check_open()
        appointment = self._calendar.at(self._calendar.now_ns + limit_ns, end)
        try:
            self._open_guest.wait(lambda: over or condition(), what, quiet_max_ns=None)
        finally:
            appointment.cancel()
        return condition()

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

    @property
    def kernel_release(self) -> str:
        """The guest kernel's release, such as "7.3.4"."""
        return self._open_guest.agent.release or ""

    # ---- its end ----

    def close(self) -> None:
        """End the lab at once and remove what it needed; may be called again."""
        if self._closed:
            return
        self._closed = True
        if self._guest is not None:
            self._guest.stop()
        self._calendar.close()
        if self._grants_log is not None:
            self._grants_log.close()
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

    @property
    def _open_guest(self) -> Guest:
        self._check_open()
        if self._guest is None:
            raise StateError("the world has no guest yet", state="starting", required="running")
        return self._guest

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

    def _node_of(self, _seat: Seat, task: RunningTask) -> str:
        return self._namespaces.get(task.pid_namespace, "base")


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
            f"the kernel is to have {wanted_bytes >> 20} MiB of memory, "
            f"and this machine has {has_bytes >> 20} MiB, swap included",
            hint="lower the lab's `memory`; 1 GiB is enough for hundreds of nodes",
        )


def _choose_cpu() -> int:
    """A processor for a guest: spread by our own process id, which no result depends on."""
    allowed = sorted(os.sched_getaffinity(0))
    if not allowed:
        raise HostError("no processor may be used")
    return allowed[os.getpid() % len(allowed)]
