# SPDX-License-Identifier: Apache-2.0
"""A guest's place at the calendar: its connection, its schedule, its own agenda.

Each guest has shared memory of its own, so that several may run at the same
time, each up to a limit of its own (`free_until`). Its agenda has what happens
to it alone: frames that arrive, interrupts, bytes for its console. Such a local
action is done while the guest waits, at its exact time.
"""

from __future__ import annotations

import mmap
import os
import socket
from array import array
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from windtunnel.sim.agenda import Action, Agenda, Appointment
from windtunnel.wire import timetravel
from windtunnel.wire.timetravel import (
    NEVER_NS,
    Message,
    Operation,
    RunningTask,
    SharedSchedule,
)

CLIENT = 1
"""A guest's number, to itself: the same for all, as it is on its command line."""

_RECEIVE_BYTES = 4096


class SeatState(Enum):
    """What a guest does."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    GONE = "gone"


class Seat:
    """A guest's place at the calendar.

    Attributes:
        number: from 1, in the order of coming; orders what happens at one instant.
        name: for messages.
        alive: asks the host whether its process still runs.
        last_words: what its console said last; completes "the kernel has died: …".
        hangs: called before the run ends because it has stood still for too long.
        state: see `SeatState`.
        agenda: of local actions; its clock is how far the guest has come.
        bound_ns: how far the guest may go in the present round.
        called: whether it was interrupted, and so wants to run at this instant.
        outbox: what it has sent to others in the present round.
        log: its moves in the present round: (kind, time).
        halt: where somebody who debugs it wants it to stand still; see `Calendar.halt`.
    """

    def __init__(
        self,
        number: int,
        name: str,
        path: Path,
        *,
        start_ns: int,
        alive: Callable[[], bool],
        last_words: Callable[[], str],
        hangs: Callable[[], None] = lambda: None,
    ) -> None:
        """Listen on the socket `path`, where nothing may be yet."""
        self.number = number
        self.name = name
        self.alive = alive
        self.last_words = last_words
        self.hangs = hangs
        self.state = SeatState.STARTING
        self.agenda = Agenda()
        self.agenda.advance(start_ns)
        self.bound_ns = start_ns
        self.called = False
        self.outbox: list[tuple[Agenda, int, Action]] = []
        self.log: list[tuple[str, int]] = []
        self.halt: Appointment | None = None
        self._start_ns = start_ns
        self._start: Message | None = None
        self._buffer = b""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._connection: socket.socket | None = None
        size = SharedSchedule.size_bytes(CLIENT + 1)
        self._file = os.memfd_create("windtunnel-schedule", os.MFD_CLOEXEC)
        os.ftruncate(self._file, size)
        self._memory = mmap.mmap(self._file, size)
        self._view = memoryview(self._memory)
        self._shared = SharedSchedule(self._view, clients=CLIENT + 1)

    # ---- what is known of it ----

    @property
    def source(self) -> socket.socket | None:
        """What to watch for reading now; None once it is closed."""
        source = self._listener if self._connection is None else self._connection
        return source if source.fileno() >= 0 else None

    @property
    def connected(self) -> bool:
        """Whether its process has come."""
        return self._connection is not None

    @property
    def started(self) -> bool:
        """Whether it has asked to begin."""
        return self._start is not None

    @property
    def now_ns(self) -> int:
        """The instant that it has reached."""
        if self.state is SeatState.RUNNING:
            return max(self._shared.current_time_ns, self.agenda.now_ns)
        return self.agenda.now_ns

    @property
    def wish_ns(self) -> int | None:
        """When it wants to run next; None when it sleeps for ever."""
        if self.state is SeatState.STARTING:
            return self.agenda.now_ns
        if self.state is not SeatState.WAITING:
            return None
        if self.called:
            return self.agenda.now_ns
        wish_ns = self._shared.request_ns(CLIENT)
        if wish_ns is None or wish_ns >= NEVER_NS:
            return None
        return max(wish_ns, self.agenda.now_ns)

    @property
    def next_ns(self) -> int | None:
        """When it or something of its agenda has its turn next."""
        if self.state is SeatState.GONE:
            return None
        local_ns, wish_ns = self.agenda.next_ns(), self.wish_ns
        if local_ns is None or wish_ns is None:
            return wish_ns if local_ns is None else local_ns
        return min(local_ns, wish_ns)

    @property
    def task(self) -> RunningTask | None:
        """The task that it runs, as its kernel last published it."""
        return self._shared.running_task(CLIENT)

    # ---- what is done to it ----

    def at(self, time_ns: int, action: Action) -> Appointment:
        """Have a local action done at `time_ns`, or at once if that is past."""
        time_ns = max(time_ns, self.now_ns)
        appointment = self.agenda.add(time_ns, action)
        self.hold(time_ns)
        return appointment

    def hold(self, time_ns: int) -> None:
        """Let it not go past `time_ns` before it has waited, if it runs."""
        if self.state is SeatState.RUNNING and time_ns < self._shared.free_until_ns:
            self._shared.free_until_ns = time_ns

    def stop_at(self, time_ns: int) -> None:
        """Let its round end at `time_ns`, or where it is if it has gone further."""
        self.bound_ns = min(self.bound_ns, max(time_ns, self.now_ns))
        self.hold(self.bound_ns)

    def call(self) -> None:
        """Prepare for an interrupt: it must find the time, and must be let run at once.

        Its kernel takes interrupts as soon as it can, and dates them by the published
        time; `let_run` publishes the same time, so it does not matter which it finds.
        """
        self._shared.current_time_ns = self.agenda.now_ns
        self.called = True

    def admit(self) -> None:
        """Answer its START; it runs until its first wish, and its round ends there."""
        assert self._start is not None, "the caller looked"
        assert self._connection is not None, "a START came through it"
        self.bound_ns = self._start_ns
        self._shared.set_running(CLIENT)
        # Not one nanosecond before it has asked: all begin at a definite instant.
        self._shared.free_until_ns = self._start_ns
        self._shared.current_time_ns = self._start_ns
        answer = Message(Operation.ACK, self._start.sequence, CLIENT)
        # The second descriptor is for a log that guests do not write: they close it.
        files = array("i", [self._file, self._file])
        self.state = SeatState.RUNNING
        self._connection.sendmsg(
            [answer.to_bytes()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)]
        )

    def let_run(self, time_ns: int, until_ns: int) -> None:
        """Tell it that it is `time_ns` and that it may go on, not past `until_ns`."""
        self.agenda.advance(time_ns)
        self._shared.clear_request(CLIENT)
        self._shared.free_until_ns = until_ns
        self._shared.current_time_ns = time_ns
        self.state = SeatState.RUNNING
        self.called = False
        self.log.append(("run", time_ns))
        # It takes this for its own time, which began with its start (time.c).
        self._send(Message(Operation.RUN, 0, time_ns - self._start_ns))

    # ---- what it says ----

    def accept(self) -> None:
        """Take its connection; its listener is not needed any more."""
        self._connection, _ = self._listener.accept()
        self._listener.close()

    def receive(self, time_of_day_ns: int) -> bool:
        """Read and handle what it says.

        Args:
            time_of_day_ns: at world time 0, for who asks.

        Returns:
            False when the connection has ended.
        """
        if self._connection is None:
            return False
        try:
            data = self._connection.recv(_RECEIVE_BYTES)
        except ConnectionError:
            data = b""
        if not data:
            return False
        messages, self._buffer = timetravel.parse_messages(self._buffer + data)
        for message in messages:
            self._handle(message, time_of_day_ns)
        return True

    def _handle(self, message: Message, time_of_day_ns: int) -> None:
        answer_ns = 0
        match message.operation:
            case Operation.WAIT:
                if self.state is SeatState.RUNNING:
                    self.agenda.advance(self._reached_ns())
                    self.log.append(("wait", self.agenda.now_ns))
                    self.state = SeatState.WAITING
                return  # with shared memory nobody waits for an answer
            case Operation.START:
                self._start = message
                return  # answered when its turn comes
            case Operation.ACK:
                return
            case Operation.REQUEST:
                self._shared.request(CLIENT, message.time_ns + self._start_ns)
            case Operation.GET:
                answer_ns = self.now_ns - self._start_ns
            case Operation.GET_TOD:
                answer_ns = time_of_day_ns + self.now_ns
            case _:
                pass
        self._send(Message(Operation.ACK, message.sequence, answer_ns))

    def _reached_ns(self) -> int:
        """How late it is, now that it waits: kernel/patches/0002 has it publish that."""
        return max(self._shared.current_time_ns, self.agenda.now_ns)

    def _send(self, message: Message) -> None:
        if self._connection is None:
            return
        try:
            self._connection.sendall(message.to_bytes())
        except OSError:
            self.disconnect()  # it has died; whoever waits for it looks whether it lives

    def disconnect(self) -> None:
        """Close its sockets; may be called again."""
        self._listener.close()
        if self._connection is not None:
            self._connection.close()

    def close(self) -> None:
        """Close everything; may be called again."""
        self.disconnect()
        self.state = SeatState.GONE
        if not self._memory.closed:
            self._shared.close()
            self._view.release()
            self._memory.close()
            os.close(self._file)
