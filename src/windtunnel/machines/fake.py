# SPDX-License-Identifier: Apache-2.0
"""A guest without a kernel, for tests: `python -m windtunnel.machines.fake WORD…`.

It is started with the words of a UML command line, takes a seat at the calendar
and serves a console just as UML does, with the same order of messages, and then
does what its `fake.step=` words say; see `FakeGuest.run_step`. Without any it is an
agent that knows a few commands. Each thing that it does is a line on stdout:
"TIME_NS WHAT".

Source: arch/um/kernel/time.c and arch/um/drivers/virtio_uml.c, Linux 7.3.
"""

from __future__ import annotations

import heapq
import mmap
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import NoReturn

from windtunnel.machines.fake_agent import FakeAgent
from windtunnel.machines.fake_console import FakeConsole
from windtunnel.sim.seeds import derive
from windtunnel.wire.timetravel import (
    CAPABILITY_TIME_SHARE,
    FLAG_REQUEST_RUN,
    MESSAGE_SIZE_BYTES,
    NEVER_NS,
    Message,
    Operation,
)

BOOT_NS = 1_000_000
"""How long it boots at the least; the seed adds up to as much again."""

# Offsets in struct um_timetravel_schedshm.
_LENGTH_AT, _FREE_UNTIL_AT, _CURRENT_TIME_AT, _RUNNING_ID_AT = 4, 8, 16, 24
_CLIENTS_AT, _CLIENT_BYTES = 4096, 128
_CAPABILITY_AT, _FLAGS_AT, _REQUEST_AT, _NAME_AT, _TASK_AT = 0, 4, 8, 16, 24


class FakePanicError(Exception):
    """What UML would panic at."""


class CalendarSeat:
    """The guest's side of the time-travel protocol, in shared-memory mode."""

    def __init__(self, path: Path, number: int) -> None:
        """Connect; nothing is said yet."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(path))
        self._number = number
        self._sequences = count(1)
        self._offset_ns = 0
        self.now_ns = 0

    def start(self) -> int:
        """Say START and wait to be admitted; returns the time of day."""
        self.socket.sendall(
            Message(Operation.START, next(self._sequences), self._number).to_bytes()
        )
        data, files, _, _ = socket.recv_fds(self.socket, MESSAGE_SIZE_BYTES, 2)
        seat = _one_message(data).time_ns & 0xFFFF
        head = mmap.mmap(files[0], _CLIENTS_AT)
        (length,) = struct.unpack_from("<I", head, _LENGTH_AT)
        self._memory = mmap.mmap(files[0], length)
        for file in files:
            os.close(file)
        self._client_at = _CLIENTS_AT + _CLIENT_BYTES * seat
        self._put("<I", self._client_at + _CAPABILITY_AT, CAPABILITY_TIME_SHARE)
        self._put("<Q", self._client_at + _NAME_AT, self._number)
        # Its own clock begins at 0 whenever it begins (time_travel_shm_offset in time.c).
        self._offset_ns = self._get("<Q", _CURRENT_TIME_AT)
        self._seat = seat
        return self.ask(Operation.GET_TOD)

    def _get(self, layout: str, at: int) -> int:
        return int(struct.unpack_from(layout, self._memory, at)[0])

    def _put(self, layout: str, at: int, value: int) -> None:
        struct.pack_into(layout, self._memory, at, value)

    @property
    def free_until_ns(self) -> int:
        """How far it may go without asking."""
        return self._get("<Q", _FREE_UNTIL_AT) - self._offset_ns

    def ask(self, operation: Operation, time_ns: int = 2**64 - 1) -> int:
        """Send a message and wait for its ACK."""
        sequence = next(self._sequences)
        self.socket.sendall(Message(operation, sequence, time_ns).to_bytes())
        answer = self.read()
        if answer.operation is not Operation.ACK or answer.sequence != sequence:
            raise FakePanicError(f"expected ACK {sequence}, got {answer}")
        return answer.time_ns

    def read(self) -> Message:
        """The calendar's next message."""
        data = self.socket.recv(MESSAGE_SIZE_BYTES, socket.MSG_WAITALL)
        if not data:
            raise FakePanicError("time-travel external link is broken")
        return _one_message(data)

    def set_time(self, time_ns: int) -> None:
        """Move the guest's own clock."""
        if time_ns < self.now_ns:
            raise FakePanicError(f"time goes backwards {self.now_ns} -> {time_ns}")
        if time_ns >= NEVER_NS:
            raise FakePanicError("going to sleep forever")
        self.now_ns = time_ns

    def propagate_time(self) -> None:
        """Tell the calendar how late it is; done before a device hears from us."""
        if self._get("<H", _RUNNING_ID_AT) != self._seat:
            raise FakePanicError("setting time while not running")
        self._put("<Q", _CURRENT_TIME_AT, self.now_ns + self._offset_ns)

    def take_shared_time(self) -> None:
        """Learn the time while somebody else runs."""
        self.set_time(self._get("<Q", _CURRENT_TIME_AT) - self._offset_ns)

    def request(self, time_ns: int, *, waiting: bool = False) -> None:
        """Wish to run at an instant.

        Args:
            time_ns: when.
            waiting: it waits already; who lets it run has set its limit (kernel/patches/0007).
        """
        self._put("<I", self._client_at + _FLAGS_AT, FLAG_REQUEST_RUN)
        self._put("<Q", self._client_at + _REQUEST_AT, time_ns + self._offset_ns)
        if time_ns < self.free_until_ns and not waiting:
            self._put("<Q", _FREE_UNTIL_AT, time_ns + self._offset_ns)

    def wait(self) -> None:
        """Publish how late it is (kernel/patches/0002) and say that it waits; RUN comes later."""
        self.propagate_time()
        message = Message(Operation.WAIT, next(self._sequences), 2**64 - 1)
        self.socket.sendall(message.to_bytes())

    def run(self, time_ns: int) -> None:
        """Take note of a RUN."""
        self.set_time(time_ns)
        self._put("<I", self._client_at + _FLAGS_AT, 0)

    def publish_task(self, pid: int, name: str, *, system_call: int, inside: bool) -> None:
        """Say what it runs, as our kernel patch does."""
        struct.pack_into(
            "<IIiI16s",
            self._memory,
            self._client_at + _TASK_AT,
            pid,
            0xEFFFFFFC,  # the initial pid namespace (PROC_PID_INIT_INO)
            system_call,
            inside,
            name.encode(),
        )


def _one_message(data: bytes) -> Message:
    operation, sequence, time_ns = struct.unpack("<IIQ", data)
    return Message(Operation(operation), sequence, time_ns)


class FakeGuest:
    """A kernel's behaviour in time: timers, idling, interrupts."""

    def __init__(self, *, calendar: Path, number: int, console: Path | None, seed: int) -> None:
        self._seat = CalendarSeat(calendar, number)
        self._console_path = console
        self._seed = seed
        self._console: FakeConsole | None = None
        self._agent: FakeAgent | None = None
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._timer_numbers = count()
        self._interrupts: list[int] = []
        self._note("connected")

    def _note(self, what: str) -> None:
        print(f"{self._seat.now_ns} {what}", flush=True)  # noqa: T201 - its trace

    def boot(self) -> None:
        """Be admitted, wait for the first instant, set up the console."""
        self._note(f"admitted {self._seat.start()}")
        self.compute(BOOT_NS + derive(self._seed, "fake boot") % BOOT_NS)
        if self._console_path is not None:
            self._console = FakeConsole(self._console_path, before_kick=self._before_kick)
            self._console.set_up()
            self.idle(lambda: self._console is not None and self._console.open)

    def _before_kick(self, queue: int) -> None:
        self._seat.propagate_time()
        self._note(f"kick {queue}")

    def compute(self, duration_ns: int) -> None:
        """Let processor time pass: no messages as long as it is free to go on."""
        end_ns = self._seat.now_ns + duration_ns
        while end_ns >= self._seat.free_until_ns:
            self._wait_for_run(end_ns)
            self._deliver()  # an interrupt makes it run earlier; it then goes on computing
            if self._seat.now_ns == end_ns:
                return
        self._seat.set_time(end_ns)

    def idle(self, until: Callable[[], bool]) -> None:
        """Do what timers and interrupts bring, until something holds."""
        while not until():
            next_ns = self._timers[0][0] if self._timers else NEVER_NS
            if next_ns < self._seat.free_until_ns:
                self._seat.set_time(next_ns)
            else:
                self._wait_for_run(next_ns)
            self._deliver()
            while self._timers and self._timers[0][0] <= self._seat.now_ns:
                heapq.heappop(self._timers)[2]()

    def after(self, delay_ns: int, action: Callable[[], None]) -> None:
        """Set a timer."""
        due_ns = self._seat.now_ns + delay_ns
        heapq.heappush(self._timers, (due_ns, next(self._timer_numbers), action))

    def _wait_for_run(self, time_ns: int) -> None:
        self._seat.request(time_ns)
        self._seat.wait()
        with selectors.DefaultSelector() as selector:
            selector.register(self._seat.socket, selectors.EVENT_READ)
            if self._console is not None:
                selector.register(self._console.interrupts, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._console is not None and self._console.interrupts in ready:
                    # UML has a signal for them, so it takes all before it reads a RUN
                    self._take_interrupt(self._console, time_ns)
                elif self._seat.socket in ready:
                    message = self._seat.read()
                    if message.operation is Operation.RUN:
                        self._seat.run(message.time_ns)
                        self._note("run")
                        return

    def _take_interrupt(self, console: FakeConsole, time_ns: int) -> None:
        queue = console.take_call()
        self._seat.take_shared_time()
        self._note(f"interrupt {queue}")
        self._interrupts.append(queue)
        self._seat.request(min(time_ns, self._seat.now_ns), waiting=True)

    def _deliver(self) -> None:
        while self._interrupts and self._console is not None:
            data = self._console.interrupt(self._interrupts.pop(0))
            if data:
                self._note(f"received {data.hex()}")
                if self._agent is not None:
                    self._agent.receive(data)

    def run_step(self, step: str) -> None:
        """Do one step.

        Steps: sleep:NS, compute:NS, say:TEXT, task:PID:NAME:SYSCALL:INSIDE,
        agent, spin (compute without any syscall), die, forever.
        """
        self._note(f"step {step}")
        verb, *values = step.split(":")
        match verb:
            case "sleep":
                done: list[bool] = []
                self.after(int(values[0]), lambda: done.append(True))
                self.idle(lambda: bool(done))
            case "compute":
                self.compute(int(values[0]))
            case "say":
                assert self._console is not None, "this guest has no console"
                self._console.send(values[0].encode())
            case "task":
                pid, name, system_call, inside = values
                self._seat.publish_task(
                    int(pid), name, system_call=int(system_call), inside=inside == "1"
                )
            case "agent":
                self._serve_agent()
            case "spin":
                while True:
                    signal.pause()
            case "die":
                os._exit(1)
            case "forever":
                self.idle(lambda: False)
            case _:
                raise FakePanicError(f"unknown step {step!r}")

    def _serve_agent(self) -> None:
        console = self._console
        assert console is not None, "an agent needs a console"
        self._agent = agent = FakeAgent(send=console.send, after=self.after)
        agent.say_ready()
        self.idle(lambda: agent.powered_off)
        sys.exit(0)


def main(words: Sequence[str]) -> NoReturn:
    """Run a fake guest with the words of UML's command line; others are ignored."""
    settings = {"um_seed": "0"}
    steps = []
    for word in words:
        key, _, value = word.partition("=")
        if key == "fake.step":
            steps.append(value)
        else:
            settings[key] = value
    _, number, calendar = settings["time-travel"].split(":")
    device = settings.get("virtio_uml.device")
    if "fake.hold" in settings:
        sys.stdin.readline()
    guest = FakeGuest(
        calendar=Path(calendar),
        number=int(number),
        console=Path(device.split(":")[0]) if device else None,
        seed=int(settings["um_seed"], 0),
    )
    try:
        guest.boot()
        for step in [*(steps or ["agent"]), "forever"]:
            guest.run_step(step)
    except FakePanicError as error:
        print(f"panic: {error}", flush=True)  # noqa: T201 - its console
    sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
