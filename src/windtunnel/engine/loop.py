# SPDX-License-Identifier: Apache-2.0
"""The calendar: who runs when. The only poll loop of the project.

One guest runs at a time. When all wait, the earliest of the agenda's next
action and the guests' requests comes next; at the same instant the agenda goes
first, then guests by their number. Whoever runs is told how far it may go
(`free_until`): up to the earliest wish of anybody else. An action added while a
guest runs lowers that limit. Nothing moves until every guest has said that it
waits; quiet is never taken for waiting.

Guests are admitted in the order of their numbers, each alone until its first
wait, so that the order in which the host lets them connect does not matter.
"""

from __future__ import annotations

import mmap
import os
import selectors
import socket
from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

from windtunnel.devices.backend import VhostUserBackend
from windtunnel.engine.hostclock import monotonic_host_s
from windtunnel.errors import GuestLostError, GuestStuckError, InternalError, WindtunnelError
from windtunnel.sim.agenda import Action, Agenda, Appointment
from windtunnel.wire import timetravel
from windtunnel.wire.syscalls import syscall_name
from windtunnel.wire.timetravel import (
    NEVER_NS,
    Message,
    Operation,
    RunningTask,
    SharedSchedule,
)

GUESTS_MAX = 1024
"""Seats in the shared memory: 128 bytes each, and running_id has 16 bits."""

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


class SeatState(Enum):
    """What a guest does."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    GONE = "gone"


@dataclass(eq=False, slots=True)
class Seat:
    """A guest's place at the calendar.

    Attributes:
        number: from 1; also its client index in the shared memory.
        name: for messages.
        state: see `SeatState`.
        alive: asks the host whether its process still runs.
        last_words: what its console said last; completes "the kernel has died: …".
        connection: None until it has connected.
        start_sequence: of the START that is still to be answered.
    """

    number: int
    name: str
    alive: Callable[[], bool]
    last_words: Callable[[], str]
    state: SeatState = SeatState.STARTING
    connection: socket.socket | None = None
    start_sequence: int | None = None
    buffer: bytes = b""


class Calendar:
    """Virtual time for any number of guests and devices."""

    def __init__(
        self,
        path: Path,
        *,
        time_of_day_ns: int,
        watchdog_host_s: float = WATCHDOG_HOST_S,
        describe: Callable[[Seat, RunningTask], str] | None = None,
        heartbeat: Callable[[], None] | None = None,
        grants: Callable[[str, int, str], None] | None = None,
    ) -> None:
        """Listen for guests on the socket `path`.

        Args:
            path: where nothing may be yet.
            time_of_day_ns: the wall clock of the guests at world time 0.
            watchdog_host_s: see `WATCHDOG_HOST_S`.
            describe: names the node of a guest's running task, for messages.
            heartbeat: called a few times a host second while time passes; it
                may look, and must not touch the world.
            grants: told of everything that moves time, in order: "action" (of
                the agenda), "run" and "wait" (of a guest), with the world time
                and the guest's name. Two runs are equal as far as these are.
        """
        self.agenda = Agenda()
        self._time_of_day_ns = time_of_day_ns
        self._watchdog_host_s = watchdog_host_s
        self._describe = describe
        self._heartbeat = heartbeat
        self._grants_sink = grants
        self._last_beat_host_s = 0.0
        self._seats: list[Seat] = []
        self._running: Seat | None = None
        self._devices: list[VhostUserBackend] = []
        self._failure: WindtunnelError | None = None
        self.grants = 0
        self.zero_ns = 0
        """World time that messages call 0."""
        self._selector = selectors.DefaultSelector()
        self._watched: dict[VhostUserBackend, list[socket.socket]] = {}
        size = SharedSchedule.size_bytes(GUESTS_MAX)
        self._memory_file = os.memfd_create("windtunnel-schedule", os.MFD_CLOEXEC)
        self._log_file = os.memfd_create("windtunnel-schedule-log", os.MFD_CLOEXEC)
        os.ftruncate(self._memory_file, size)
        self._memory = mmap.mmap(self._memory_file, size)
        self._view = memoryview(self._memory)
        self._shared = SharedSchedule(self._view, clients=GUESTS_MAX)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(GUESTS_MAX)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    # ---- what others ask ----

    @property
    def now_ns(self) -> int:
        """The present instant; while a guest runs, the one that it has reached."""
        if self._running is not None:
            return max(self._shared.current_time_ns, self.agenda.now_ns)
        return self.agenda.now_ns

    def seat(
        self, name: str, alive: Callable[[], bool], last_words: Callable[[], str] = str
    ) -> Seat:
        """Expect one more guest; its number goes on its command line."""
        seat = Seat(len(self._seats) + 1, name, alive, last_words)
        if seat.number >= GUESTS_MAX:
            raise InternalError(f"more than {GUESTS_MAX} guests")
        self._seats.append(seat)
        return seat

    def add_device(self, device: VhostUserBackend) -> None:
        """Serve a device from now on."""
        self._devices.append(device)
        self._watched[device] = []
        self._watch_device(device)

    def at(self, time_ns: int, action: Action) -> Appointment:
        """Have `action` called at `time_ns`, while no guest runs."""
        appointment = self.agenda.add(max(time_ns, self.agenda.now_ns), action)
        if self._running is not None and time_ns < self._shared.free_until_ns:
            self._shared.free_until_ns = time_ns
        return appointment

    def at_once(self, action: Action) -> Appointment:
        """Have `action` called at the present instant, once no guest runs."""
        return self.at(self.now_ns, action)

    def run(self, until: Callable[[], bool]) -> bool:
        """Let time pass until `until` says so while no guest runs.

        Returns:
            False when instead everybody came to sleep for ever.

        Raises:
            GuestLostError: when a guest died.
            GuestStuckError: when a guest computes for ever.
        """
        while True:
            if self._failure is not None:
                raise self._failure
            if self._running is not None:
                self._poll()
            elif until():
                return True
            elif not self._admit() and not self._step():
                # A guest that died asleep has told nobody.
                self._check_life()
                if self._failure is None:
                    return False

    def run_until(self, time_ns: int) -> None:
        """Let time pass until `time_ns`; what guests do at that very instant comes later."""
        reached = False

        def reach() -> None:
            nonlocal reached
            reached = True

        self.at(time_ns, reach)
        self.run(lambda: reached)

    def call(self, device: VhostUserBackend, index: int) -> None:
        """Interrupt a device's guest; only from an action of the agenda."""
        if self._running is not None:
            raise InternalError("interrupt while a guest runs")
        self._shared.set_running(0)
        self._shared.current_time_ns = self.agenda.now_ns
        source = device.send_interrupt(index)
        taken = False

        def take() -> None:
            nonlocal taken
            taken = device.take_acknowledgement()

        self._selector.register(source, selectors.EVENT_READ, take)
        try:
            while not taken and self._failure is None:
                self._poll()
        finally:
            with suppress(KeyError, ValueError):
                self._selector.unregister(source)
            if source.fileno() < 0:  # the guest died, and the device with it
                self._watch_device(device)

    def close(self) -> None:
        """Close every socket and the shared memory; may be called again."""
        if self._listener.fileno() < 0:
            return
        for device in self._devices:
            device.close()
        for seat in self._seats:
            if seat.connection is not None:
                seat.connection.close()
            seat.connection = None
            seat.state = SeatState.GONE
        self._running = None
        self._listener.close()
        self._selector.close()
        self._view.release()
        self._memory.close()
        for file in (self._memory_file, self._log_file):
            os.close(file)

    # ---- who goes next ----

    def _admit(self) -> bool:
        """Answer the START of the first guest that has not begun; True if there is one."""
        starting = [seat for seat in self._seats if seat.state is SeatState.STARTING]
        if not starting:
            return False
        seat = starting[0]
        if seat.start_sequence is None or seat.connection is None:
            self._poll()
            return True
        self._shared.set_running(seat.number)
        # Not one nanosecond before it has asked: all begin at the same instant.
        self._shared.free_until_ns = self.agenda.now_ns
        self._shared.current_time_ns = self.agenda.now_ns
        answer = Message(Operation.ACK, seat.start_sequence, seat.number)
        files = array("i", [self._memory_file, self._log_file])
        seat.connection.sendmsg(
            [answer.to_bytes()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)]
        )
        seat.state = SeatState.RUNNING
        self._running = seat
        return True

    def _requests(self) -> list[tuple[int, int, Seat]]:
        requests = []
        for seat in self._seats:
            if seat.state is SeatState.WAITING:
                time_ns = self._shared.request_ns(seat.number)
                if time_ns is not None and time_ns < NEVER_NS:
                    requests.append((time_ns, seat.number, seat))
        return sorted(requests, key=lambda request: request[:2])

    def _step(self) -> bool:
        """Do the next action or let the next guest run; False when there is neither."""
        requests = self._requests()
        appointment_ns = self.agenda.next_ns()
        if appointment_ns is not None and (not requests or appointment_ns <= requests[0][0]):
            action = self.agenda.take()
            self._shared.set_running(0)
            self._shared.current_time_ns = self.agenda.now_ns
            if self._grants_sink is not None:
                self._grants_sink("action", self.agenda.now_ns, "-")
            if action is not None:
                action()
            return True
        if not requests:
            return False
        time_ns, number, seat = requests[0]
        self.agenda.advance(max(time_ns, self.agenda.now_ns))
        others = [other[0] for other in requests[1:]]
        others.append(self.agenda.now_ns + LONGEST_RUN_NS)
        if appointment_ns is not None:
            others.append(appointment_ns)
        self._shared.clear_request(number)
        self._shared.set_running(number)
        self._shared.free_until_ns = min(others)
        self._shared.current_time_ns = self.agenda.now_ns
        seat.state = SeatState.RUNNING
        self._running = seat
        self.grants += 1
        if self._grants_sink is not None:
            self._grants_sink("run", self.agenda.now_ns, seat.name)
        self._send(seat, Message(Operation.RUN, 0, self.agenda.now_ns))
        return True

    # ---- what arrives ----

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        # We do not know who it is before its START, which carries its number.
        self._selector.register(
            connection, selectors.EVENT_READ, lambda: self._receive_start(connection)
        )

    def _receive_start(self, connection: socket.socket) -> None:
        data = connection.recv(timetravel.MESSAGE_SIZE_BYTES, socket.MSG_WAITALL)
        messages, _ = timetravel.parse_messages(data)
        self._selector.unregister(connection)
        if not messages or messages[0].operation is not Operation.START:
            connection.close()
            return
        number = messages[0].time_ns
        seat = next((seat for seat in self._seats if seat.number == number), None)
        if seat is None or seat.connection is not None:
            connection.close()
            return
        seat.connection = connection
        seat.start_sequence = messages[0].sequence
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._receive(seat))

    def _send(self, seat: Seat, message: Message) -> None:
        if seat.connection is None:
            return
        try:
            seat.connection.sendall(message.to_bytes())
        except OSError:
            self._lose(seat)

    def _receive(self, seat: Seat) -> None:
        if seat.connection is None:
            return
        try:
            data = seat.connection.recv(4096)
        except ConnectionError:
            data = b""
        if not data:
            self._lose(seat)
            return
        messages, seat.buffer = timetravel.parse_messages(seat.buffer + data)
        for message in messages:
            self._handle(seat, message)

    def _handle(self, seat: Seat, message: Message) -> None:
        match message.operation:
            case Operation.WAIT:
                if self._running is seat:
                    self.agenda.advance(self._reached_ns(seat))
                    self._running = None
                    if self._grants_sink is not None:
                        self._grants_sink("wait", self.agenda.now_ns, seat.name)
                seat.state = SeatState.WAITING
                return  # with shared memory nobody waits for an answer
            case Operation.REQUEST:
                self._shared.request(seat.number, message.time_ns)
                answer_ns = 0
            case Operation.GET:
                answer_ns = self.now_ns
            case Operation.GET_TOD:
                answer_ns = self._time_of_day_ns + self.now_ns
            case Operation.ACK:
                return
            case _:
                answer_ns = 0
        self._send(seat, Message(Operation.ACK, message.sequence, answer_ns))

    def _reached_ns(self, seat: Seat) -> int:
        """How late it is, now that the running guest waits.

        A kernel publishes its time when it kicks a device, not when it waits, and
        panics when it then hears an earlier time than its own. What is sure: it has
        not gone past what it was free to, nor past what it asks for; and nobody
        else has anything to do before that.
        """
        bound_ns = self._shared.free_until_ns
        request_ns = self._shared.request_ns(seat.number)
        if request_ns is not None:
            bound_ns = min(bound_ns, request_ns)
        return max(bound_ns, self._shared.current_time_ns, self.agenda.now_ns)

    def _lose(self, seat: Seat) -> None:
        if seat.connection is not None:
            self._selector.unregister(seat.connection)
            seat.connection.close()
            seat.connection = None
        if self._running is seat:
            self.agenda.advance(max(self._shared.current_time_ns, self.agenda.now_ns))
            self._running = None
        if seat.state is SeatState.GONE:
            return  # it was told to end
        seat.state = SeatState.GONE
        task = self._shared.running_task(seat.number)
        node, meanwhile = None, ""
        if task is not None:
            node = None if self._describe is None else self._describe(seat, task)
            meanwhile = f" while process {task.name!r} ran"
        self._failure = GuestLostError(
            f"the kernel of {seat.name} has died{meanwhile}: {seat.last_words()}",
            node=node,
            time_ns=self.agenda.now_ns - self.zero_ns,
        )

    def forget(self, seat: Seat) -> None:
        """Let a guest go that was told to end: its loss is no failure."""
        seat.state = SeatState.GONE
        self._failure = None
        if self._running is seat:
            self._running = None

    # ---- waiting for the host ----

    def _watch_device(self, device: VhostUserBackend) -> None:
        """Bring the selector up to date with what a device waits for."""
        for source in self._watched[device]:
            with suppress(KeyError, ValueError):
                self._selector.unregister(source)
        self._watched[device] = []
        for source, receive in device.sources():
            if source.fileno() < 0:
                continue
            self._selector.register(
                source, selectors.EVENT_READ, partial(self._serve_device, device, source, receive)
            )
            self._watched[device].append(source)

    def _serve_device(
        self, device: VhostUserBackend, source: socket.socket, receive: Action
    ) -> None:
        if source.fileno() < 0:
            return  # closed by what was handled a moment ago
        before = [source for source, _ in device.sources()]
        receive()
        after = [source for source, _ in device.sources()]
        if before != after or any(source.fileno() < 0 for source in after):
            self._watch_device(device)

    def _poll(self) -> None:
        """Wait until something arrives, and handle it; watch over who runs."""
        began_host_s = monotonic_host_s()
        last_seen = self._glimpse()
        while True:
            self._beat(began_host_s)
            ready = self._selector.select(POLL_HOST_S)
            if ready:
                for key, _ in ready:
                    key.data()
                return
            self._beat(monotonic_host_s())
            self._check_life()
            if self._failure is not None:
                return
            seen = self._glimpse()
            if seen != last_seen:
                last_seen, began_host_s = seen, monotonic_host_s()
            limit_host_s = self._watchdog_host_s if self._running else BOOT_HOST_S
            if monotonic_host_s() - began_host_s > limit_host_s:
                raise self._stuck(limit_host_s)

    def _glimpse(self) -> tuple[int, RunningTask | None]:
        """What a guest that computes changes all the time, unless it spins."""
        task = self._shared.running_task(self._running.number) if self._running else None
        return self._shared.current_time_ns, task

    def _beat(self, now_host_s: float) -> None:
        if self._heartbeat is not None and now_host_s - self._last_beat_host_s > BEAT_HOST_S:
            self._last_beat_host_s = now_host_s
            self._heartbeat()

    def _check_life(self) -> None:
        for seat in self._seats:
            if seat.state is not SeatState.GONE and not seat.alive():
                self._lose(seat)

    def _stuck(self, limit_host_s: float) -> GuestStuckError:
        seat = self._running
        if seat is None:
            return GuestStuckError(
                f"no guest has begun within {limit_host_s:.0f} s of host time: "
                + "; ".join(seat.last_words() for seat in self._seats),
                hint="is it built with time-travel support, as `windtunnel kernel build` does?",
            )
        task = self._shared.running_task(seat.number)
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
            time_ns=self._shared.current_time_ns - self.zero_ns,
            hint="a program that computes without any syscall stops the clock; "
            "raise the limit with --watchdog if it only needs longer",
        )
