# SPDX-License-Identifier: Apache-2.0
"""The calendar: who runs when. The only poll loop of the project.

Time passes in rounds. In a round every guest goes on up to its own bound: the
earliest instant at which anything of another guest could reach it (see
`windtunnel.sim.lookahead`), or at which the world has something to do. What
guests send each other meanwhile arrives behind their bounds, so it does not
matter which of them runs first, or whether several run at the same time: on how
many processors they are changes how long a run takes and nothing else.
Between two rounds nobody runs; then the world does what is due, and what guests
have reported is told in the order of its time.

A guest says by WAIT that it has nothing to do before some instant; quiet is
never taken for waiting. At one instant the world's agenda goes first, then a
guest's own agenda, then the guest.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from windtunnel.devices.backend import VhostUserBackend
from windtunnel.engine.hostclock import monotonic_host_s
from windtunnel.engine.parts import SHARED
from windtunnel.engine.poller import Poller, Source
from windtunnel.engine.seat import Seat, SeatState
from windtunnel.errors import GuestLostError, GuestStuckError, InternalError, WindtunnelError
from windtunnel.model.syscalls import syscall_name
from windtunnel.sim.agenda import Action, Agenda, Appointment
from windtunnel.sim.lookahead import FOREVER_NS, Lookahead
from windtunnel.wire.timetravel import NEVER_NS, RunningTask

POLL_HOST_S = 0.5
"""How often a wait looks whether a guest still lives and moves."""

BEAT_HOST_S = 0.2
"""How often the heartbeat is called at most."""

WATCHDOG_HOST_S = 60.0
"""How long virtual time may stand still while a guest computes."""

BOOT_HOST_S = 60.0
"""How long a guest may take to ask for its first instant."""

LONGEST_RUN_NS = 1_000_000_000
"""How far a guest may go without a word, even when nobody else wants to run.

A kernel has timers for ever: without a limit it would never say WAIT, and nobody
could see how late it is. Virtual time, so that it is the same on every host.
"""

AHEAD_NS = 1_000_000
"""How far guests may go beyond the hindmost while somebody waits for a report.

Whoever waits goes on when all guests have reached the same instant, so at most
this long after the report. A guest that is alone stops at its report."""

Report = Callable[[], None]


class Relay(Protocol):
    """A place between guests that takes part in time, such as a switch.

    Its number is negative; guests have positive ones.
    """

    number: int
    agenda: Agenda


class Calendar:
    """Virtual time for any number of guests and devices."""

    def __init__(
        self,
        *,
        time_of_day_ns: int,
        watchdog_host_s: float = WATCHDOG_HOST_S,
        describe: Callable[[Seat, RunningTask | None], str | None] | None = None,
        heartbeat: Callable[[], None] | None = None,
        grants: Callable[[str, int, str], None] | None = None,
    ) -> None:
        """Create.

        Args:
            time_of_day_ns: the wall clock of the guests at world time 0.
            watchdog_host_s: see `WATCHDOG_HOST_S`.
            describe: names the node of a guest's running task, for messages; None
                where it is not known.
            heartbeat: called a few times a host second while time passes; it
                may look, and must not touch the world.
            grants: told of everything that moves time, in a definite order:
                "action" (of the agenda), "run", "local" and "wait" (of a guest),
                with the world time and the guest's name. Two runs are equal as
                far as these are.
        """
        self.agenda = Agenda()
        self.zero_ns = 0
        """World time that messages call 0."""
        self.grants = 0
        """How often a guest was let run."""
        self.lookahead = Lookahead()
        """How long what one guest sends takes to another at the least."""
        self._time_of_day_ns = time_of_day_ns
        self._watchdog_host_s = watchdog_host_s
        self._describe = describe
        self._heartbeat = heartbeat
        self._grants_sink = grants
        self._last_beat_host_s = 0.0
        self._seats: list[Seat] = []
        self._relays: list[Relay] = []
        self._reports: list[tuple[int, int, int, Report]] = []
        self._report_count = 0
        self._report_ns: int | None = None
        self._awaited = False
        self._active: set[Seat] = set()
        self._in_round = False
        self._losses: list[tuple[int, int, GuestLostError]] = []
        self._failure: WindtunnelError | None = None
        self._failure_ns = 0
        self._poller = Poller()
        self._devices: dict[VhostUserBackend, Seat] = {}
        self._halts: list[Seat] = []
        self._halted: list[Seat] = []
        self.deadline: tuple[int, Action] | None = None
        """A world time at and behind which nothing is begun: the action is called, and
        ends the run by raising. Whoever sleeps for ever before it still does."""
        self.held_by_host: Callable[[], bool] | None = None
        """Asked while a guest is silent: whether somebody on the host holds it, so that
        no watchdog counts. It may raise to end the run."""

    # ---- what others ask ----

    @property
    def now_ns(self) -> int:
        """The present instant of the world; that of a report while it is told."""
        return self.agenda.now_ns if self._report_ns is None else self._report_ns

    def seat(
        self,
        name: str,
        path: Path,
        alive: Callable[[], bool],
        last_words: Callable[[], str] = str,
        *,
        hangs: Callable[[], None] = lambda: None,
        successor_of: Seat | None = None,
    ) -> Seat:
        """Expect one more guest at the socket `path`, to begin at the present instant.

        A successor takes the number and the place of a guest that was forgotten. `hangs`
        is called before the run ends because the guest has stood still for too long.
        """
        seat = Seat(
            len(self._seats) + 1 if successor_of is None else successor_of.number,
            name,
            path,
            start_ns=self.agenda.now_ns,
            alive=alive,
            last_words=last_words,
            hangs=hangs,
        )
        if successor_of is None:
            self._seats.append(seat)
        else:
            self._seats[successor_of.number - 1] = seat
            if successor_of.halt is not None:
                seat.halt, successor_of.halt = successor_of.halt, None
                self._halts[self._halts.index(successor_of)] = seat
        self._watch_seat(seat)
        return seat

    def add_device(self, seat: Seat, device: VhostUserBackend) -> None:
        """Serve a device of a guest from now on."""
        self._devices[device] = seat
        self._watch_device(device)

    def add_relay(self, relay: Relay) -> None:
        """Let a place between guests take part in time."""
        self._relays.append(relay)

    def at(self, time_ns: int, action: Action) -> Appointment:
        """Have `action` called at `time_ns`, when all guests have reached it.

        Raises:
            InternalError: guests run; what they cause goes to their own agendas.
        """
        if self._in_round:
            raise InternalError("an appointment of the world is made while guests run")
        return self.agenda.add(max(time_ns, self.now_ns), action)

    def local(self, seat: Seat, time_ns: int, action: Action) -> Appointment:
        """Have `action` called at `time_ns`, when that guest has reached it and waits."""
        return seat.at(time_ns if self._in_round else max(time_ns, self.now_ns), action)

    def post(self, sender: Seat, target: Seat | Relay, time_ns: int, action: Action) -> None:
        """Send something from a running guest to another place.

        It is put into the target's agenda when the round is over, behind what
        guests with lower numbers sent there; `time_ns` must not be nearer than
        `lookahead` says. What may come back limits the sender.
        """
        sender.outbox.append((target.agenda, time_ns, action))
        back_ns = self.lookahead.least_ns(target.number, sender.number)
        if back_ns < FOREVER_NS:
            sender.stop_at(time_ns + back_ns)

    def report(self, seat: Seat, tell: Report, *, awaited: bool = True) -> None:
        """Have `tell` called between rounds, in the order of the reports' times.

        When somebody waits for reports, the guest goes no further for now, unless
        it is one that nobody waits for.
        """
        now_ns = seat.now_ns
        self._report_count += 1
        heapq.heappush(self._reports, (now_ns, seat.number, self._report_count, tell))
        if awaited and self._awaited:
            seat.stop_at(now_ns)

    def run(self, until: Callable[[], bool], *, awaited: bool = True) -> bool:
        """Let time pass until `until` says so between two rounds.

        Args:
            until: looked at after each round.
            awaited: whether a guest's report may make it true; then guests go no
                further than their reports, and not far ahead of each other.

        Returns:
            False when instead everybody came to sleep for ever.

        Raises:
            GuestLostError: when a guest died.
            GuestStuckError: when a guest computes for ever.
        """
        self._awaited = awaited
        while True:
            self._raise_failure()
            self._tell_reports()
            if until():
                return self._catch_up()
            if not self._step():
                # A guest that died asleep has told nobody.
                self._check_life()
                self._settle_losses()
                if self._failure is None:
                    self.agenda.advance(self._reached_ns())
                    return False

    def run_until(self, time_ns: int) -> None:
        """Let time pass until `time_ns`; what guests do at that very instant comes later."""
        reached = False

        def reach() -> None:
            nonlocal reached
            reached = True

        self.at(time_ns, reach)
        self.run(lambda: reached, awaited=False)

    def interrupt(self, device: VhostUserBackend, index: int) -> None:
        """Interrupt a device's guest for a queue; only from a local action of that guest."""
        self._call(device)
        device.call(index)

    def change_configuration(self, device: VhostUserBackend) -> None:
        """Tell a device's guest that its configuration is another; as for `interrupt`."""
        self._call(device)
        device.call_for_configuration()

    def _call(self, device: VhostUserBackend) -> None:
        seat = self._devices[device]
        if seat.state is SeatState.RUNNING:
            raise InternalError("interrupt while the guest runs")
        seat.call()

    def halt(self, seat: Seat, time_ns: int, action: Action) -> None:
        """Have `action` called once a guest has done all that it does before `time_ns`.

        Nobody runs then, and `action` may look, at the guest's process too, if it has
        one just then, but not touch the world. It is no appointment: rounds are what they
        are without it, so nothing in any guest is other than without it.
        """
        assert seat.halt is None, "a guest halts once at a time"
        seat.halt = Appointment(time_ns, action)
        self._halts.append(seat)

    def forget(self, seat: Seat) -> None:
        """Let a guest go that was told to end: its loss is no failure."""
        seat.state = SeatState.GONE
        for device, owner in self._devices.items():
            if owner is seat:
                self._poller.unwatch(device)
        self._poller.unwatch(seat)
        self._active.discard(seat)

    def watch(self, source: Source, serve: Callable[[], None]) -> None:
        """Have `serve` called while guests run and there is something to read."""
        self._poller.watch(source, source, serve)

    def unwatch(self, source: Source) -> None:
        """Undo `watch`; may be called again."""
        self._poller.unwatch(source)

    def release(self, seat: Seat) -> None:
        """Close all that is left of a guest that was forgotten and whose process has ended."""
        for device in [one for one, owner in self._devices.items() if owner is seat]:
            device.close()
            del self._devices[device]
        seat.close()

    def close(self) -> None:
        """Close every socket and all shared memory; may be called again."""
        for device in self._devices:
            device.close()
        for seat in self._seats:
            seat.close()
        self._active.clear()
        self._poller.close()

    # ---- between rounds ----

    def _tell_reports(self) -> None:
        """Tell all reports that nothing can come before any more."""
        while self._reports and self._reports[0][:2] <= self._sure():
            self._tell_next_report()

    def _sure(self) -> tuple[int, int]:
        """The first instant, and the number of a guest, that may still report or be acted at.

        The world's agenda goes first at its instant, so it counts like a guest of number 0.
        """
        turns = [(seat.next_ns, seat.number) for seat in self._seats]
        # What a relay does reaches a guest later: it keeps back no report of its own instant.
        turns += [(relay.agenda.next_ns(), FOREVER_NS) for relay in self._relays]
        turns.append((self.agenda.next_ns(), 0))
        return min(
            ((time_ns, number) for time_ns, number in turns if time_ns is not None),
            default=(FOREVER_NS, FOREVER_NS),
        )

    def _tell_next_report(self) -> None:
        self._report_ns, _, _, tell = heapq.heappop(self._reports)
        try:
            tell()
        finally:
            self._report_ns = None

    def _raise_failure(self) -> None:
        """Raise what went wrong, if anything, when what was reported before it is told."""
        if self._failure is None:
            return
        while self._reports and self._reports[0][0] <= self._failure_ns:
            self._tell_next_report()
        raise self._failure

    def _catch_up(self) -> bool:
        """Let the hindmost come to where the foremost is: that is the present then."""
        target_ns = self._reached_ns()
        while self._failure is None and self._step(no_further_ns=target_ns):
            self._tell_reports()
        self._raise_failure()
        self.agenda.advance(target_ns)
        self._tell_reports()
        return True

    def _reached_ns(self) -> int:
        """Where the foremost guest or place between guests is."""
        reached_ns = [place.agenda.now_ns for place in (*self._seats, *self._relays)]
        return max([self.agenda.now_ns, *reached_ns])

    def _step(self, no_further_ns: int = FOREVER_NS) -> bool:
        """Do the world's next action or a round; False when there is neither.

        Args:
            no_further_ns: nothing at or behind this instant is begun.
        """
        next_ns = self._next_ns()
        earliest_ns = min(next_ns.values(), default=FOREVER_NS)
        appointment_ns = self.agenda.next_ns()
        if appointment_ns is None:
            appointment_ns = FOREVER_NS
        if min(earliest_ns, appointment_ns) >= no_further_ns:
            return False
        if self.deadline is not None and min(earliest_ns, appointment_ns) >= self.deadline[0]:
            self.agenda.advance(max(self.agenda.now_ns, self.deadline[0]))
            self.deadline[1]()
        # Nothing earlier can happen any more.
        self.agenda.advance(max(self.agenda.now_ns, min(earliest_ns, appointment_ns)))
        if self._halts:
            self._do_halts([seat for seat in self._halts if _halts(seat, self.agenda.now_ns)])
        if appointment_ns <= earliest_ns:
            action = self.agenda.take()
            self._log("action", self.agenda.now_ns, "-")
            if action is not None:
                action()
            return True
        limit_ns = min(appointment_ns, no_further_ns, earliest_ns + LONGEST_RUN_NS)
        if self.deadline is not None:
            limit_ns = min(limit_ns, self.deadline[0])
        if self._awaited and len(next_ns) > 1:
            limit_ns = min(limit_ns, earliest_ns + AHEAD_NS)
        bounds = self.lookahead.bounds_ns(next_ns, list(next_ns))
        free_ns = {}
        for (number, time_ns), bound_ns in zip(next_ns.items(), bounds, strict=True):
            until_ns = min(bound_ns, limit_ns, self._until_report_ns(number))
            if time_ns < until_ns:
                free_ns[number] = until_ns
        if not self._relay(free_ns):
            self._round([seat for seat in self._seats if seat.number in free_ns], free_ns)
        return True

    def _until_report_ns(self, number: int) -> int:
        """How far a place may go before the next report is told, if somebody waits for one."""
        if not self._awaited or not self._reports:
            return FOREVER_NS
        time_ns, reporter, _, _ = self._reports[0]
        # At one instant guests report by their numbers: a lower one goes first.
        return time_ns + 1 if number < reporter else time_ns

    def _next_ns(self) -> dict[int, int]:
        """When each place has its turn next; those that sleep are absent."""
        found = {relay.number: relay.agenda.next_ns() for relay in self._relays}
        found.update((seat.number, seat.next_ns) for seat in self._seats)
        return {number: time_ns for number, time_ns in found.items() if time_ns is not None}

    def _relay(self, free_ns: dict[int, int]) -> bool:
        """Do what is due at places between guests; whether there was anything."""
        moved = False
        for relay in self._relays:
            bound_ns = free_ns.get(relay.number, 0)
            while (due_ns := relay.agenda.next_ns()) is not None and due_ns < bound_ns:
                action = relay.agenda.take()
                moved = True
                if action is not None:
                    action()
        return moved

    # ---- a round ----

    def _round(self, seats: Sequence[Seat], free_ns: dict[int, int]) -> None:
        """Let guests go on, each up to its bound.

        All are told at once: the host's scheduler then goes from one to the next
        without us in between. How many run at the same time is up to the processors
        that they are pinned to.
        """
        for seat in seats:
            seat.bound_ns = free_ns[seat.number]
        self._in_round = True
        self._start(seats)
        while (self._active or self._halted) and self._failure is None:
            if self._active:
                self._poll()
            else:
                self._pass_halts()
        self._in_round = False
        for seat in seats:
            for kind, time_ns in seat.log:
                self._log(kind, time_ns, seat.name)
            for agenda, time_ns, action in seat.outbox:
                agenda.add(time_ns, action)
            seat.log.clear()
            seat.outbox.clear()
        self._settle_losses()

    def _start(self, seats: Sequence[Seat]) -> None:
        self._active.update(seats)
        for seat in seats:
            self._has_moved(seat)

    def _pass_halts(self) -> None:
        """Do what guests were halted for in this round, then let them go on in it."""
        halted, self._halted = self._halted, []
        self._do_halts(halted)
        self._start(halted)

    def _do_halts(self, seats: Sequence[Seat]) -> None:
        for seat in sorted(seats, key=lambda seat: seat.number):
            halt, seat.halt = seat.halt, None
            self._halts.remove(seat)
            if halt is not None and halt.action is not None:
                halt.action()

    def _go_on(self, seat: Seat) -> bool:
        """Let a waiting guest go on in its round; False when it has come to its end."""
        while seat.state is SeatState.WAITING:
            local_ns, wish_ns = seat.agenda.next_ns(), seat.wish_ns
            if seat.halt is not None and _halts(seat, min(seat.next_ns or 0, seat.bound_ns - 1)):
                self._halted.append(seat)
                return False
            if (
                local_ns is not None
                and local_ns < seat.bound_ns
                and (wish_ns is None or local_ns <= wish_ns)
            ):
                action = seat.agenda.take()
                seat.log.append(("local", seat.agenda.now_ns))
                if action is not None:
                    action()
                continue
            if wish_ns is None or (wish_ns >= seat.bound_ns and not seat.called):
                return False
            self.grants += 1
            until_ns = seat.bound_ns if local_ns is None else min(local_ns, seat.bound_ns)
            if seat.halt is not None:
                until_ns = min(until_ns, seat.halt.time_ns)
            seat.let_run(wish_ns, min(until_ns, NEVER_NS))
        if seat.state is SeatState.STARTING and seat.started:
            seat.admit()
        return seat.state is not SeatState.GONE

    def _has_moved(self, seat: Seat) -> None:
        """Let a guest of the round go on, or be done with it, unless it runs."""
        if seat not in self._active or seat.state is SeatState.RUNNING:
            return
        if not self._go_on(seat):
            self._active.discard(seat)

    def _lose(self, seat: Seat) -> None:
        """Note that a guest has died; the round goes on for the others."""
        if seat.state is SeatState.GONE:
            return  # it was told to end
        time_ns = seat.now_ns
        task = seat.task
        node = None if self._describe is None else self._describe(seat, task)
        meanwhile = "" if task is None else f" while process {task.name!r} ran"
        error = GuestLostError(
            f"{_kernel_of(seat)} has died{meanwhile}: {seat.last_words()}",
            node=node,
            time_ns=time_ns - self.zero_ns,
        )
        self._losses.append((time_ns, seat.number, error))
        seat.state = SeatState.GONE
        self._poller.unwatch(seat)
        seat.disconnect()
        self._active.discard(seat)

    def _settle_losses(self) -> None:
        """Of guests that died in one round, the first one is what went wrong."""
        if self._losses and self._failure is None:
            time_ns, _, self._failure = min(self._losses, key=lambda loss: loss[:2])
            self._failure_ns = time_ns
            self.agenda.advance(max(time_ns, self.agenda.now_ns))

    def _log(self, kind: str, time_ns: int, name: str) -> None:
        if self._grants_sink is not None:
            self._grants_sink(kind, time_ns, name)

    # ---- waiting for the host ----

    def _watch_seat(self, seat: Seat) -> None:
        self._poller.watch(seat, seat.source, partial(self._serve_seat, seat))

    def _watch_device(self, device: VhostUserBackend) -> None:
        self._poller.watch(device, device.source, partial(self._serve_device, device))

    def _serve_seat(self, seat: Seat) -> None:
        if seat.state is SeatState.GONE:
            return
        if not seat.connected:
            seat.accept()
            self._watch_seat(seat)
        elif seat.receive(self._time_of_day_ns):
            self._has_moved(seat)
        else:
            self._lose(seat)

    def _serve_device(self, device: VhostUserBackend) -> None:
        source = device.source
        if source is None:
            return  # closed by what was handled a moment ago
        device.receive()
        if device.source is not source:
            self._watch_device(device)

    def _poll(self) -> None:
        """Wait until something arrives, and handle it; watch over who runs."""
        self._beat()
        if self.held_by_host is not None:
            self.held_by_host()
        if self._poller.wait(POLL_HOST_S):
            return
        began_host_s = monotonic_host_s() - POLL_HOST_S
        last_seen = self._glimpse()
        while True:
            self._beat()
            self._check_life()
            if not self._active:
                return
            if self.held_by_host is not None and self.held_by_host():
                began_host_s = monotonic_host_s()
            seen = self._glimpse()
            if seen != last_seen:
                last_seen, began_host_s = seen, monotonic_host_s()
            running = [seat for seat in self._active if seat.state is SeatState.RUNNING]
            limit_host_s = self._watchdog_host_s if running else BOOT_HOST_S
            if monotonic_host_s() - began_host_s > limit_host_s:
                seat = min(running or self._active, key=lambda seat: seat.number)
                seat.hangs()
                raise self._stuck(seat, limit_host_s)
            if self._poller.wait(POLL_HOST_S):
                return

    def _glimpse(self) -> list[tuple[int, RunningTask | None]]:
        """What guests that compute change all the time, unless they spin."""
        return [(seat.now_ns, seat.task) for seat in self._seats if seat in self._active]

    def _beat(self) -> None:
        if self._heartbeat is None:
            return
        now_host_s = monotonic_host_s()
        if now_host_s - self._last_beat_host_s > BEAT_HOST_S:
            self._last_beat_host_s = now_host_s
            self._heartbeat()

    def _check_life(self) -> None:
        for seat in self._seats:
            if seat.state is not SeatState.GONE and not seat.alive():
                self._lose(seat)

    def _stuck(self, seat: Seat, limit_host_s: float) -> GuestStuckError:
        if seat.state is SeatState.STARTING:
            return GuestStuckError(
                f"{_kernel_of(seat)} has not begun within {limit_host_s:.0f} s of host "
                f"time: {seat.last_words()}",
                hint="is it built with time-travel support, as `windtunnel kernel build` does?",
            )
        task = seat.task
        node = None
        doing = "nothing is known of what it runs"
        if task is not None:
            if self._describe is not None:
                node = self._describe(seat, task)
            last = "before its first syscall"
            if task.syscall is not None:
                name = syscall_name(task.syscall)
                last = f"inside {name}" if task.in_syscall else f"in its own code since {name}"
            doing = f"process {task.name!r} (pid {task.pid} of the kernel), {last}"
        return GuestStuckError(
            f"virtual time has stood still for {limit_host_s:.0f} s of host time: {doing}",
            node=node or seat.name,
            time_ns=seat.now_ns - self.zero_ns,
            hint="a program that computes without any syscall stops the clock; "
            "raise the limit with --watchdog if it only needs longer",
        )


def _halts(seat: Seat, time_ns: int) -> bool:
    """Whether a guest that goes on at `time_ns` has come to where it is to halt."""
    return seat.halt is not None and seat.halt.time_ns <= time_ns


def _kernel_of(seat: Seat) -> str:
    return "the shared kernel" if seat.name == SHARED else f"the kernel of {seat.name}"
