# SPDX-License-Identifier: Apache-2.0
"""A calendar with guests for tests: the shipped fake, or a real kernel, behind one door."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from repository import REPOSITORY
from windtunnel.devices.backend import VhostUserBackend
from windtunnel.devices.console import ConsoleModel
from windtunnel.engine.loop import Calendar
from windtunnel.machines.agent import AgentChannel

TIME_OF_DAY_NS = 1_893_456_000_000_000_000


class Guest:
    """One guest's process, console device and agent."""

    def __init__(self, bench, name, program, words, *, console=True, hold=False, folder=None):
        self.bench = bench
        self.calendar = bench.calendar
        self.folder = folder or bench.folder
        self.seat = bench.calendar.seat(
            name, self.folder / f"calendar-{name}", lambda: self.process.poll() is None
        )
        self.received = b""
        self.pending = False
        self.trace_path = self.folder / f"{name}.out"
        words = [f"time-travel=ext:1:calendar-{name}", *words]
        if console:
            self.model = ConsoleModel(received=self.receive, wants_flush=self.plan_flush)
            self.device = VhostUserBackend(self.folder / f"console{self.seat.number}", self.model)
            bench.calendar.add_device(self.seat, self.device)
            self.agent = AgentChannel(send=self.model.send, now_ns=lambda: self.calendar.now_ns)
            words.append(f"virtio_uml.device=console{self.seat.number}:3")
        if hold:
            words.append("fake.hold")
        environment = {
            "GLIBC_TUNABLES": "glibc.pthread.rseq=0",
            "TMPDIR": str(self.folder),
            "HOME": "/",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), *sys.path]),
        }
        with self.trace_path.open("wb") as output:
            self.process = subprocess.Popen(
                [*program, *words],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.PIPE if hold else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def receive(self, data):
        self.calendar.report(self.seat, lambda: self.hear(data))

    def hear(self, data):
        self.received += data
        self.agent.receive(data)

    def plan_flush(self):
        if not self.pending:
            self.pending = True
            self.calendar.local(self.seat, 0, self.flush)

    def flush(self):
        self.pending = False
        for index in self.model.flush(self.device.queue):
            self.calendar.interrupt(self.device, index)

    def wait(self, condition):
        """Let time pass until the agent's reports make a condition hold."""
        return self.calendar.run(condition)

    def trace(self):
        return self.trace_path.read_text().splitlines()

    def grants(self):
        """The instants at which a fake was told to run."""
        return [int(line.split()[0]) for line in self.trace() if line.endswith(" run")]

    def stop(self):
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


class Bench:
    """A calendar and its guests in one folder."""

    def __init__(self, folder: Path, **options):
        self.folder = folder
        self.calendar = Calendar(time_of_day_ns=TIME_OF_DAY_NS, **options)
        self.guests = []

    def add(self, *args, **options):
        guest = Guest(self, *args, **options)
        self.guests.append(guest)
        return guest

    def fake(self, *steps, seed=0, console=False, hold=False):
        """A fake guest that does the steps."""
        words = [f"um_seed={seed:#x}", *(f"fake.step={step}" for step in steps)]
        program = [sys.executable, "-m", "windtunnel.machines.fake"]
        name = f"guest{len(self.guests) + 1}"
        return self.add(name, program, words, console=console, hold=hold)

    def close(self):
        for guest in self.guests:
            guest.stop()
        self.calendar.close()
