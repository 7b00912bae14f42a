# SPDX-License-Identifier: Apache-2.0
"""What every guest does, whether it is a kernel or the fake that stands for one."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from guests import Bench
from windtunnel.engine.loop import SeatState
from windtunnel.errors import GuestLostError
from windtunnel.images.agent import ensure_initrd
from windtunnel.machines.uml import INITRD, UmlOptions, arguments
from windtunnel.wire.agent import ALL_NAMESPACES, Namespaces, SpawnFlag
from windtunnel.wire.counters import parse_counters

PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
SECOND_NS = 1_000_000_000


class Contract:
    """The tests; a subclass says how to boot. `boot` gives a guest that has not run yet."""

    def ready(self, boot, **options):
        """A guest with one node, number 1."""
        guest = boot(**options)
        assert guest.wait(lambda: guest.agent.release is not None)
        return guest

    def with_node(self, boot, **options):
        guest = self.ready(boot, **options)
        node = guest.agent.add_node(1, name="one", namespaces=ALL_NAMESPACES)
        assert guest.wait(lambda: node.done)
        assert node.failure is None
        return guest

    def run_program(self, guest, argv, **options):
        said = []
        process = guest.agent.spawn(
            1, argv, env=PATH, output=lambda data, error: said.append((data, error)), **options
        )
        assert guest.wait(lambda: process.ended)
        return process, said

    def test_it_asks_for_its_first_instant(self, boot):
        guest = boot()
        guest.calendar.run_until(1)
        assert guest.seat.state is SeatState.WAITING
        assert (guest.calendar.now_ns, guest.calendar.grants) == (1, 0)
        assert guest.agent.release is None

    def test_time_moves_only_as_far_as_it_is_granted(self, boot):
        guest = self.ready(boot)
        for time_ns in (5 * SECOND_NS, 5 * SECOND_NS + 1, 3600 * SECOND_NS):
            guest.calendar.run_until(time_ns)
            assert guest.calendar.now_ns == time_ns

    def test_it_answers_at_the_instant_at_which_it_was_asked(self, boot):
        guest = self.ready(boot)
        guest.calendar.run_until(5 * SECOND_NS)
        reply = guest.agent.read_file(1, "/nothing")
        assert guest.wait(lambda: reply.done)
        assert (reply.failure.errno, reply.failure.text) == (
            errno.EINVAL,
            "bad request to read a file",
        )
        assert 0 <= guest.calendar.now_ns - 5 * SECOND_NS < 1_000_000

    def test_many_requests_at_once_are_all_answered(self, boot):
        guest = self.with_node(boot)
        replies = [
            guest.agent.write_file(1, f"/tmp/{number}", bytes([number]) * 5000)
            for number in range(60)
        ]
        last = guest.agent.read_file(1, "/tmp/59")
        assert guest.wait(lambda: last.done)
        assert all(reply.done and reply.failure is None for reply in replies)
        assert last.data == b"\x3b" * 5000

    def test_a_request_after_everything_has_fallen_asleep_finds_it_well(self, boot):
        guest = self.with_node(boot)
        self.run_program(guest, ["true"])
        limit_ns = guest.calendar.now_ns + 3600 * SECOND_NS
        guest.calendar.run(lambda: guest.calendar.now_ns > limit_ns)
        process, said = self.run_program(guest, ["echo", "awake"])
        assert (process.exit.status, said) == (0, [(b"awake\n", False)])

    def test_the_same_seed_gives_the_same_grants(self, boot, make_bench):
        histories = []
        for _ in range(2):
            guest = self.with_node(boot, bench=make_bench())
            self.run_program(guest, ["sleep", "0.5"])
            histories.append((guest.calendar.now_ns, guest.calendar.grants, guest.received))
        assert histories[0] == histories[1]

    def test_counters_are_told_of_each_node_that_has_power(self, boot):
        guest = self.with_node(boot)
        second = guest.agent.add_node(3, name="three", namespaces=ALL_NAMESPACES)
        assert guest.wait(lambda: second.done)
        asked = guest.agent.counters()
        assert guest.wait(lambda: asked.done)
        assert asked.failure is None
        assert [one.node for one in parse_counters(bytes(asked.data))] == [1, 3]
        off = guest.agent.node_off(1, wipe=False)
        asked = guest.agent.counters()
        assert guest.wait(lambda: asked.done and off.done)
        assert [one.node for one in parse_counters(bytes(asked.data))] == [3]

    def test_a_node_can_be_made_only_once(self, boot):
        guest = self.with_node(boot)
        again = guest.agent.add_node(1, name="one", namespaces=Namespaces.MOUNT)
        assert guest.wait(lambda: again.done)
        assert (again.failure.errno, again.failure.text) == (errno.EINVAL, "node 1: bad request")

    def test_a_program_that_sleeps_takes_as_long_as_it_says(self, boot):
        guest = self.with_node(boot)
        process, said = self.run_program(guest, ["sleep", "2"])
        assert (process.exit.status, said) == (0, [])
        assert 2 * SECOND_NS <= process.end_ns - process.start_ns < 2 * SECOND_NS + 20_000_000

    @pytest.mark.parametrize(("program", "status"), [("true", 0), ("false", 1)])
    def test_a_programs_exit_status_is_told(self, boot, program, status):
        process, _ = self.run_program(self.with_node(boot), [program])
        assert (process.exit.status, process.exit.signal) == (status, None)

    def test_a_program_that_does_not_exist_never_began(self, boot):
        process, _ = self.run_program(self.with_node(boot), ["no-such-program"])
        assert process.exit is None
        assert (process.started.failure.errno, process.started.failure.text) == (
            errno.ENOENT,
            "no-such-program",
        )

    def test_a_program_gets_its_input_and_gives_its_output(self, boot):
        guest = self.with_node(boot)
        said = []
        process = guest.agent.spawn(
            1,
            ["cat"],
            env=PATH,
            output=lambda data, error: said.append(data),
            flags=SpawnFlag.INPUT,
        )
        text = bytes(range(256)) * 1200
        guest.agent.feed(process, text)
        guest.agent.end_input(process)
        assert guest.wait(lambda: process.ended)
        assert b"".join(said) == text

    def test_a_signal_ends_a_program(self, boot):
        guest = self.with_node(boot)
        process = guest.agent.spawn(1, ["sleep", "100"], env=PATH, output=print)
        assert guest.wait(lambda: process.started.done)
        guest.agent.signal(process, 15)
        assert guest.wait(lambda: process.ended)
        assert (process.exit.signal, process.exit.status) == (15, 143)
        assert process.end_ns - process.start_ns < SECOND_NS

    def test_a_file_is_read_back_as_it_was_written(self, boot):
        guest = self.with_node(boot)
        content = bytes(range(256)) * 2000
        written = guest.agent.write_file(1, "/tmp/a/b", content)
        read = guest.agent.read_file(1, "/tmp/a/b")
        assert guest.wait(lambda: read.done)
        assert (written.failure, read.failure) == (None, None)
        assert bytes(read.data) == content

    def test_a_file_that_does_not_exist_is_named(self, boot):
        guest = self.with_node(boot)
        reply = guest.agent.read_file(1, "/tmp/nothing")
        assert guest.wait(lambda: reply.done)
        assert (reply.failure.errno, reply.failure.text) == (errno.ENOENT, "opening /tmp/nothing")

    def ask(self, guest, reply):
        assert guest.wait(lambda: reply.done)
        return reply

    def test_a_frozen_node_stands_still_and_starts_nothing(self, boot):
        guest = self.with_node(boot)
        process = guest.agent.spawn(1, ["sleep", "2"], env=PATH, output=print)
        guest.calendar.run_until(guest.calendar.now_ns + SECOND_NS)
        assert self.ask(guest, guest.agent.freeze(1, on=True)).failure is None
        other = guest.agent.spawn(1, ["true"], env=PATH, output=print)
        assert guest.wait(lambda: other.ended)
        assert (other.started.failure.errno, other.started.failure.text) == (
            errno.EHOSTDOWN,
            "the node is paused",
        )
        until_ns = guest.calendar.now_ns + 5 * SECOND_NS
        guest.calendar.run_until(until_ns)
        assert not process.ended
        assert self.ask(guest, guest.agent.freeze(1, on=False)).failure is None
        assert guest.wait(lambda: process.ended)
        # its time to wake had come while it was frozen
        assert process.exit.status == 0
        assert 0 <= process.end_ns - until_ns < 20_000_000

    def test_a_frozen_process_can_be_killed(self, boot):
        guest = self.with_node(boot)
        process = guest.agent.spawn(1, ["sleep", "100"], env=PATH, output=print)
        self.ask(guest, guest.agent.freeze(1, on=True))
        guest.agent.signal(process, 9)
        assert guest.wait(lambda: process.ended)
        assert process.exit.signal == 9

    def test_all_processes_of_a_node_are_killed_and_the_node_lives(self, boot):
        guest = self.with_node(boot)
        guest.agent.add_node(2, name="two", namespaces=ALL_NAMESPACES)
        processes = [
            guest.agent.spawn(node, ["sleep", "100"], env=PATH, output=print) for node in (1, 1, 2)
        ]
        assert guest.wait(lambda: processes[-1].started.done)
        assert self.ask(guest, guest.agent.kill_all(1)).failure is None
        assert guest.wait(lambda: processes[0].ended and processes[1].ended)
        assert [process.exit.signal for process in processes[:2]] == [9, 9]
        assert not processes[2].ended
        assert self.run_program(guest, ["true"])[0].exit.status == 0

    def test_a_node_without_power_does_nothing_and_comes_back_with_its_files(self, boot):
        guest = self.with_node(boot)
        process = guest.agent.spawn(1, ["sleep", "100"], env=PATH, output=print)
        self.ask(guest, guest.agent.write_file(1, "/etc/kept", b"old"))
        assert self.ask(guest, guest.agent.node_off(1, wipe=False)).failure is None
        assert process.exit.signal == 9
        for refused in (
            guest.agent.read_file(1, "/etc/kept"),
            guest.agent.write_file(1, "/etc/kept", b"new"),
            guest.agent.freeze(1, on=True),
            guest.agent.spawn(1, ["true"], env=PATH, output=print).started,
        ):
            failure = self.ask(guest, refused).failure
            assert (failure.errno, failure.text) == (errno.EHOSTDOWN, "the node is off")
        again = guest.agent.add_node(1, name="one", namespaces=ALL_NAMESPACES)
        assert self.ask(guest, again).failure is None
        assert self.ask(guest, guest.agent.hand_over(1, b"")).failure is None
        assert self.ask(guest, guest.agent.read_file(1, "/etc/kept")).data == b"old"
        assert self.run_program(guest, ["true"])[0].exit.status == 0

    @pytest.mark.parametrize("at_once", [True, False], ids=["at once", "while it is off"])
    def test_a_node_that_is_wiped_has_lost_its_files(self, boot, at_once):
        guest = self.with_node(boot)
        for path in ("/etc/gone", "/home/you/b"):
            self.ask(guest, guest.agent.write_file(1, path, b"old"))
        assert self.ask(guest, guest.agent.node_off(1, wipe=at_once)).failure is None
        assert self.ask(guest, guest.agent.node_off(1, wipe=True)).failure is None
        guest.agent.add_node(1, name="one", namespaces=ALL_NAMESPACES)
        for path in ("/etc/gone", "/home/you/b"):
            reply = self.ask(guest, guest.agent.read_file(1, path))
            assert reply.failure.errno == errno.ENOENT

    def test_only_a_node_that_was_off_has_a_network_to_hand_over(self, boot):
        guest = self.with_node(boot)
        reply = self.ask(guest, guest.agent.hand_over(1, b""))
        assert (reply.failure.errno, reply.failure.text) == (
            errno.EINVAL,
            "node 1 has had no other network",
        )

    def test_the_memory_of_a_node_can_be_limited_and_freed(self, boot):
        guest = self.with_node(boot)
        for limit_bytes in (64 << 20, None):
            assert self.ask(guest, guest.agent.memory(1, limit_bytes)).failure is None

    def test_two_of_them_share_the_time_and_do_the_same_every_time(self, boot, make_bench):
        histories = []
        for _ in range(2):
            bench = make_bench()
            guests = [boot(bench=bench) for _ in range(2)]
            processes = []
            for guest in guests:
                assert guest.wait(lambda guest=guest: guest.agent.release is not None)
                guest.agent.add_node(1, name="one", namespaces=ALL_NAMESPACES)
                processes += [
                    guest.agent.spawn(1, ["sleep", text], env=PATH, output=print)
                    for text in ("1", "2")
                ]
            last = processes[-1]
            assert guests[1].wait(lambda last=last: last.ended)
            assert all(
                process.end_ns - process.start_ns < (1 + place % 2) * SECOND_NS + 50_000_000
                for place, process in enumerate(processes)
            )
            times = [(process.start_ns, process.end_ns) for process in processes]
            histories.append((times, bench.calendar.grants, [g.received for g in guests]))
        assert histories[0] == histories[1]

    def test_it_ends_when_it_is_told_to(self, boot):
        guest = self.ready(boot)
        guest.agent.power_off()
        with pytest.raises(GuestLostError):
            guest.calendar.run(lambda: False)
        assert guest.process.wait(10) == 0


@pytest.fixture
def make_bench(tmp_path):
    made = []

    def make():
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Bench(folder))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


class TestFake(Contract):
    @pytest.fixture
    def boot(self, make_bench):
        return lambda bench=None: (bench or make_bench()).fake(seed=42, console=True)

    def test_another_seed_gives_other_grants(self, make_bench):
        ready_ns = []
        for seed in (1, 2):
            guest = make_bench().fake(seed=seed, console=True)
            guest.wait(lambda guest=guest: guest.agent.release is not None)
            ready_ns.append(guest.calendar.now_ns)
        assert ready_ns[0] != ready_ns[1]


class TestUml(Contract):
    @pytest.fixture
    def boot(self, make_bench, kernel, request):
        path = os.environ.get("WINDTUNNEL_KERNEL") or request.getfixturevalue("kernel_path")
        initrd = ensure_initrd()
        cpu = max(os.sched_getaffinity(0))

        def start(bench=None):
            bench = bench or make_bench()
            folder = bench.folder / str(len(bench.guests))
            folder.mkdir()
            shutil.copy(initrd, folder / INITRD)
            words = arguments(UmlOptions(seed=42, memory_bytes=256 << 20))
            # The calendar's seat and the console's socket are told by the bench.
            words = [word for word in words if not word.startswith(("time-travel=", "virtio_uml."))]
            program = ["taskset", "--cpu-list", str(cpu), str(Path(path).resolve())]
            return bench.add(f"guest{len(bench.guests) + 1}", program, words, folder=folder)

        return start

    def test_a_fifo_without_a_reader_does_not_stop_the_agent(self, boot):
        guest = self.with_node(boot)
        self.run_program(guest, ["mkfifo", "/tmp/fifo"])
        reply = guest.agent.write_file(1, "/tmp/fifo", b"x")
        assert guest.wait(lambda: reply.done)
        assert reply.failure.errno == errno.ENXIO

    def test_a_program_may_have_a_terminal_of_its_own(self, boot):
        process, said = self.run_program(self.with_node(boot), ["tty"], flags=SpawnFlag.TERMINAL)
        assert (process.exit.status, said) == (0, [(b"/dev/pts/0\r\n", False)])
