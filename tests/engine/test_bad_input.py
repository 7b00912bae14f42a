# SPDX-License-Identifier: Apache-2.0
"""Labs that ask for what cannot be: each ends soon, with the place, the reason and a remedy."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from small_labs import EATER
from windtunnel.engine import loop
from windtunnel.engine.labfile import read_spec
from windtunnel.engine.run import Outcomes
from windtunnel.engine.session import Session, SessionRequest, run_session
from windtunnel.engine.world import World, WorldOptions
from windtunnel.errors import (
    ExitStatus,
    GuestError,
    GuestLostError,
    GuestStuckError,
    HostError,
    UsageError,
)
from windtunnel.images.kernels import Kernel
from windtunnel.machines import sweep
from windtunnel.model.lab import (
    Command,
    Expectation,
    FileSpec,
    LabSpec,
    NodeSpec,
    Outcome,
    ProcessSpec,
    Step,
)
from windtunnel.store.run_dir import RunReader

MIB = 1 << 20
SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS


@pytest.fixture
def options(kernel_path: Path) -> WorldOptions:
    return WorldOptions(kernel=Kernel(version="", key="", path=kernel_path))


def lab(**fields) -> LabSpec:
    return LabSpec("bad", **{"nodes": (NodeSpec("a"), NodeSpec("b")), **fields})


def step(command: str, *, node: str = "a", at_ns: int = SECOND_NS) -> Step:
    return Step(at_ns, "step", Command(node, command))


def record(spec: LabSpec, options: WorldOptions, folder: Path) -> Session:
    return run_session(SessionRequest(spec, options, output=folder))


def outcomes(session: Session) -> Outcomes:
    assert session.error is None
    assert session.outcomes is not None
    return session.outcomes


def refused(spec: LabSpec, options: WorldOptions) -> GuestError:
    with pytest.raises(GuestError) as refusal, World(spec, options):
        pass
    return refusal.value


# ---- programs ----


def test_a_missing_program_names_the_node_the_program_and_a_remedy(options):
    with (
        World(lab(), options) as world,
        pytest.raises(GuestError) as missing,
    ):
        world.node("b").run(["/usr/sbin/no-such-daemon", "-d"])
    assert missing.value.node == "b"
    assert missing.value.message == (
        "cannot start '/usr/sbin/no-such-daemon -d': "
        "/usr/sbin/no-such-daemon: No such file or directory"
    )
    assert missing.value.hint == ("is the program installed, and in a folder that guests may read?")


def test_a_shell_that_finds_no_program_fails_its_check_with_a_remedy(options, tmp_path):
    daemon = ProcessSpec("daemon", "b", "nodaemon", expect=Expectation(Outcome.RUNNING))
    spec = lab(stop_ns=2 * SECOND_NS, steps=(step("no-such-tool"),), processes=(daemon,))
    found = outcomes(record(spec, options, tmp_path / "run"))
    remedy = "is the program installed, and in a folder that guests may read (--read DIR)?"
    assert [check.message.split("\n") for check in found.checks] == [
        ["it exited with 127, not 0: /bin/sh: 1: no-such-tool: not found", remedy],
        [
            "expected it to be running, but it exited with 127: '/bin/sh: 1: nodaemon: not found'",
            remedy,
        ],
    ]


def test_a_process_that_spins_is_named_with_its_node_and_the_last_instant(options):
    spin = "sleep 7; exec python3 -c 'while True: pass'"
    with (
        World(lab(), replace(options, watchdog_host_s=2)) as world,
        pytest.raises(GuestStuckError) as stuck,
    ):
        world.node("b").run(spin)
    error = stuck.value
    assert error.node == "b"
    assert "virtual time has stood still for 2 s of host time: process 'python3'" in error.message
    assert error.time_ns is not None
    # A kernel may go on for a second before it says how late it is.
    assert 6 * SECOND_NS <= error.time_ns < 8 * SECOND_NS
    assert "--watchdog" in error.hint


def test_two_nodes_spin_and_the_right_one_is_named(options):
    with World(lab(), replace(options, watchdog_host_s=2)) as world:
        world.node("a").popen("sleep 9; while :; do :; done")
        with pytest.raises(GuestStuckError) as stuck:
            world.node("b").run("sleep 2; while :; do :; done")
    assert stuck.value.node == "b"


def test_a_process_that_is_expected_to_end_is_killed_at_its_timeout(options, tmp_path):
    never = ProcessSpec(
        "never",
        "a",
        "while :; do sleep 300; done",
        timeout_ns=HOUR_NS,
        expect=Expectation(Outcome.EXITED),
    )
    found = outcomes(record(lab(processes=(never,)), options, tmp_path / "run"))
    assert found.end_ns // SECOND_NS == 3600
    assert [check.message for check in found.checks] == [
        "expected it to exit with 0, but it was killed because its time was up"
    ]


def test_a_process_that_is_expected_to_end_is_given_up_after_a_silent_day(options, tmp_path):
    never = ProcessSpec("never", "a", "exec sleep infinity", expect=Expectation(Outcome.EXITED))
    found = outcomes(record(lab(processes=(never,)), options, tmp_path / "run"))
    assert 24 * HOUR_NS <= found.end_ns < 25 * HOUR_NS
    assert [check.message for check in found.checks] == [
        "expected it to exit with 0, but it is still running"
    ]


def test_a_lab_without_stop_ends_after_its_last_step_whatever_still_ticks(options, tmp_path):
    ticking = ProcessSpec("ticking", "a", "while :; do sleep 1; done")
    spec = lab(processes=(ticking,), steps=(step("true", at_ns=5 * SECOND_NS),))
    found = outcomes(record(spec, options, tmp_path / "run"))
    assert found.passed
    assert 5 * SECOND_NS <= found.end_ns < 6 * SECOND_NS


# ---- memory and panics ----


def test_a_process_that_eats_all_memory_is_recorded_as_killed(options, tmp_path):
    eater = ProcessSpec("eater", "a", EATER, expect=Expectation(Outcome.KILLED))
    spec = lab(memory_bytes=64 * MIB, stop_ns=2 * SECOND_NS, processes=(eater,))
    session = record(spec, options, tmp_path / "run")
    assert outcomes(session).passed
    ends = [event for event in RunReader(session.path).events() if event.kind == "process-exit"]
    assert [(event.node, event.fields["outcome"], event.fields["status"]) for event in ends] == [
        ("a", "killed", signal.SIGKILL)
    ]
    assert "Out of memory: Killed process" in (session.path / "console.log").read_text()


def test_a_panic_ends_the_run_with_a_finding_and_keeps_the_console(options, tmp_path):
    spec = lab(
        memory_bytes=64 * MIB,
        stop_ns=9 * SECOND_NS,
        steps=(step("sysctl -w vm.panic_on_oom=2", node="b", at_ns=0), step(EATER)),
    )
    session = record(spec, options, tmp_path / "run")
    words = "Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled"
    assert isinstance(session.error, GuestLostError)
    assert (session.state, session.error.exit_status) == ("error", ExitStatus.GUEST)
    assert session.error.node == "a"
    assert session.error.message.startswith(
        f"the shared kernel has died while process 'python3' ran: {words}; its console says"
    )
    reader = RunReader(session.path)
    finding = list(reader.events())[-1]
    assert (finding.kind, finding.node, finding.time_ns // SECOND_NS) == ("finding", "a", 1)
    assert words in finding.fields["message"]
    assert reader.state == "error"
    assert words in reader.manifest["finding"]
    console = (session.path / "console.log").read_text()
    assert words in console
    assert len(console.splitlines()) > 15


def test_memory_that_this_machine_lacks_is_refused_before_anything_starts(options):
    with pytest.raises(HostError, match=r"to have 1073741824 MiB of memory, and this") as error:
        World(lab(memory_bytes=1 << 50), options)
    assert "lower the lab's `memory`" in error.value.hint


def test_memory_that_is_too_small_to_boot_ends_with_the_console(options):
    with pytest.raises(HostError) as error:
        World(lab(memory_bytes=9 * MIB), options)
    assert error.value.message.endswith(
        "  | Too few physical memory! Needed=25165824, given=9437184"
    )
    assert error.value.hint.endswith("with 32 MiB of memory or more")


# ---- the kernel's file ----


def not_a_kernel(options: WorldOptions, path: Path) -> HostError:
    with pytest.raises(HostError) as error:
        World(lab(), replace(options, kernel=replace(options.kernel, path=path)))
    return error.value


def test_a_kernel_that_may_not_be_executed_is_named(options, tmp_path):
    path = tmp_path / "linux"
    path.write_text("no program")
    error = not_a_kernel(options, path)
    assert error.message == f"the kernel {path} is not a program that you may execute"
    assert "windtunnel kernel list" in error.hint


def test_a_program_that_is_no_kernel_is_named_with_what_it_said(options):
    error = not_a_kernel(options, Path("/bin/sh"))
    assert "has ended before it asked for the time, with status 2: its console" in error.message
    assert "  | /bin/sh: 0: cannot open mem=" in error.message.replace("/usr/bin/dash", "/bin/sh")
    assert "windtunnel kernel build" in error.hint


def test_a_program_that_never_asks_for_the_time_is_given_up(options, monkeypatch, tmp_path):
    path = tmp_path / "linux"
    path.write_text("#!/bin/sh\necho I sleep\nexec sleep 100\n")
    path.chmod(0o755)
    monkeypatch.setattr(loop, "BOOT_HOST_S", 1.0)
    with pytest.raises(GuestStuckError) as error:
        World(lab(), replace(options, kernel=replace(options.kernel, path=path)))
    assert "the shared kernel has not begun within 1 s of host time: its console said last" in str(
        error.value
    )
    assert "  | I sleep" in str(error.value)


# ---- the set-up ----


def test_a_sysctl_that_does_not_exist_is_named_as_the_lab_names_it(options):
    nodes = (NodeSpec("a", sysctls=(("net.ipv4.no_such_thing", "1"),)),)
    error = refused(lab(nodes=nodes), options)
    assert (error.node, error.message) == ("a", "there is no sysctl net.ipv4.no_such_thing")
    assert "sysctl -a" in error.hint


def test_a_value_that_a_sysctl_refuses_is_said(options):
    nodes = (NodeSpec("a", sysctls=(("net.ipv4.ip_forward", "banana"),)),)
    error = refused(lab(nodes=nodes), options)
    assert (error.node, error.message) == (
        "a",
        "the kernel refuses the value of sysctl net.ipv4.ip_forward: Invalid argument",
    )


def test_an_owner_that_the_node_does_not_know_is_named(options):
    nodes = (NodeSpec("a", files=(FileSpec("/etc/x", b"x", owner="nobody-here"),)),)
    error = refused(lab(nodes=nodes), options)
    assert (error.node, error.message) == (
        "a",
        "the owner of /etc/x is 'nobody-here', whom the node's /etc/passwd or /etc/group lacks",
    )


def test_an_exec_line_that_fails_says_all_that_it_printed(options):
    nodes = (NodeSpec("a", exec=("true", "echo preparing; ip route add 1.2.3.0/24 via 9.9.9.9")),)
    error = refused(lab(nodes=nodes), options)
    assert error.node == "a"
    assert error.message == (
        "the set-up command 'echo preparing; ip route add 1.2.3.0/24 via 9.9.9.9' "
        "exited with 2: preparing\nError: Nexthop has invalid gateway."
    )


# ---- the host's folders ----


def test_two_runs_do_not_share_a_folder(options, tmp_path):
    spec = lab(stop_ns=SECOND_NS)
    assert record(spec, options, tmp_path / "run").state == "passed"
    with pytest.raises(UsageError, match=r"another run is or was in .*/run") as error:
        record(spec, options, tmp_path / "run")
    assert "choose a new folder" in error.value.hint
    assert RunReader(tmp_path / "run").state == "passed"


def test_a_disk_that_fills_up_ends_the_run_and_what_was_recorded_stays(options, tmp_path, disk):
    talker = ProcessSpec("talker", "a", "echo begun; sleep 1; head -c 8M /dev/zero; sleep 1")
    session = record(lab(stop_ns=9 * SECOND_NS, processes=(talker,)), options, disk / "run")
    assert isinstance(session.error, HostError)
    assert session.state == "error"
    assert "cannot write " in session.error.message
    assert "bytes are free there" in session.error.message
    reader = RunReader(session.path)
    assert reader.state == "error"
    events = list(reader.events())
    assert events[0].kind == "lab-begin"
    assert (session.path / "nodes/a/talker.stdout").read_bytes().startswith(b"begun\n\0\0")
    assert json.loads((session.path / "manifest.json").read_text())["state"] == "error"


@pytest.fixture
def disk(tmp_path):
    """A file system with little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=2m none {folder} 2>/dev/null"):
        pytest.skip("needs root, to mount a small file system")
    yield folder
    os.system(f"umount -l {folder}")


def test_no_place_for_a_guests_memory_is_said_with_every_reason(options, monkeypatch, tmp_path):
    private, open_to_all = tmp_path / "full", tmp_path / "open"
    open_to_all.mkdir(mode=0o777)
    open_to_all.chmod(0o777)
    monkeypatch.setattr(sweep, "_bases", lambda: [private, open_to_all, Path("/proc/none")])
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result((4096,) * 2 + (0,) * 8))
    with pytest.raises(HostError) as error:
        World(lab(), options)
    assert error.value.message == (
        f"no place for a guest's memory: {private} has less than 256 MiB free; "
        f"{open_to_all} can not be made, or others may change it; "
        "/proc/none can not be made, or others may change it"
    )
    assert error.value.hint.startswith("Free some space, ")


def test_a_lab_of_ten_thousand_nodes_is_read_and_checked_whole(tmp_path):
    names = [f"n{number}" for number in range(10_000)]
    path = tmp_path / "big.yaml"
    path.write_text(
        "name: big\nnodes:\n"
        + "".join(f"  {name}: {{}}\n" for name in names)
        + "links:\n"
        + "".join(f"  - [{one}, {two}]\n" for one, two in pairwise(names))
    )
    spec = read_spec(path)
    assert (len(spec.nodes), len(spec.links)) == (10_000, 9_999)
