# SPDX-License-Identifier: Apache-2.0
"""Kernels of nodes' own that lack something, do not boot, or die while others run."""

from __future__ import annotations

import gzip
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

import small_labs
from small_labs import EATER
from windtunnel.engine import loop
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.engine.world import World
from windtunnel.errors import GuestError, GuestLostError, GuestStuckError, HostError
from windtunnel.images.embedded import BEGIN, embedded_config
from windtunnel.model.fault import Fault, MemoryLimit
from windtunnel.model.lab import (
    Command,
    Endpoint,
    LabSpec,
    LinkSpec,
    NodeSpec,
    ProcessSpec,
    Step,
)
from windtunnel.store.run_reader import RunReader

SECOND_NS = 1_000_000_000
MIB = 1 << 20


def lab(*, kernel="own", words=(), **fields):
    """a shares the lab's kernel, b has its own; a link joins them."""
    ends = (
        Endpoint("a", "eth0", addresses=("10.0.0.1/24",)),
        Endpoint("b", "lan0", addresses=("10.0.0.2/24",)),
    )
    own = NodeSpec("b", kernel=str(kernel), memory_bytes=64 * MIB, kernel_words=tuple(words))
    return LabSpec(
        "bad",
        memory_bytes=128 * MIB,
        nodes=(NodeSpec("a"), own),
        links=(LinkSpec("a-b", ends),),
        **fields,
    )


def refused(spec, options, kind):
    with pytest.raises(kind) as caught, World(spec, options):
        pass
    return caught.value


def without(kernel_path, folder, option):
    """A kernel that says that it was built without an option."""
    data = bytearray(kernel_path.read_bytes())
    at = data.index(BEGIN) + len(BEGIN)
    end = data.index(b"IKCFG_ED", at)
    config = gzip.decompress(bytes(data[at:end]))
    line = f"CONFIG_{option}=y\n".encode()
    assert config.count(b"\n" + line) == 1
    packed = gzip.compress(config.replace(line, b""), 9)
    assert len(packed) <= end - at
    data[at : at + len(packed)] = packed
    path = folder / f"without-{option}"
    path.write_bytes(data)
    path.chmod(0o755)
    return path


def test_a_kernel_tells_its_options(kernel_path, tmp_path):
    options = embedded_config(kernel_path)
    assert (options["VIRTIO_NET"], options["RD_GZIP"], options["CON_CHAN"]) == ("y", "n", '"null"')
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_bytes(b"IKCFG_ST and nothing")
    assert embedded_config(tmp_path / "empty") is None
    assert embedded_config(tmp_path / "text") is None
    assert embedded_config(Path("/bin/true")) is None


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("VIRTIO_NET", "cables to other kernels"),
        ("OVERLAY_FS", "files of nodes"),
        ("MEMCG", "a memory limit"),
    ],
)
def test_a_missing_option_is_named_with_its_use_and_its_remedy(kernel_path, tmp_path, option, why):
    path = without(kernel_path, tmp_path, option)
    fault = Fault(SECOND_NS, "tight", MemoryLimit("b", 32 * MIB))
    spec = lab(kernel=path, faults=(fault,))
    error = refused(spec, small_labs.options(kernel_path), HostError)
    assert error.message == f"the kernel {path} of node b lacks CONFIG_{option} (for {why})"
    assert f"windtunnel kernel build --source TREE --with {option}=y" in error.hint


def test_a_kernel_is_not_asked_for_what_its_lab_does_without(kernel_path, tmp_path):
    path = without(kernel_path, tmp_path, "MEMCG")
    with World(lab(kernel=path), small_labs.options(kernel_path)) as world:
        assert world.node("b").run("true").ok


def test_a_network_device_that_does_not_come_is_named_by_its_interface(kernel_path):
    spec = lab(words=["initcall_blacklist=virtio_net_driver_init"])
    error = refused(spec, small_labs.options(kernel_path), GuestError)
    assert (error.node, type(error)) == ("b", GuestError)
    assert "its kernel has no network device for the interface lan0" in error.message
    assert "windtunnel kernel build --with VIRTIO_NET=y" in error.hint


def test_a_kernel_of_a_node_that_does_not_boot_shows_its_console(kernel_path):
    error = refused(lab(words=["rdinit=/nothing"]), small_labs.options(kernel_path), GuestLostError)
    assert "the kernel of b has died" in error.message
    assert "Kernel panic - not syncing: VFS: Unable to mount root fs" in error.message


def test_a_kernel_of_a_node_that_never_begins_is_given_up(kernel_path, monkeypatch, tmp_path):
    path = tmp_path / "linux"
    path.write_text("#!/bin/sh\necho I sleep\nexec sleep 100\n")
    path.chmod(0o755)
    monkeypatch.setattr(loop, "BOOT_HOST_S", 2.0)
    error = refused(lab(kernel=path), small_labs.options(kernel_path), GuestStuckError)
    assert "the kernel of b has not begun within 2 s of host time" in error.message
    assert "  | I sleep" in error.message


# ---- death ----


def processes_below(name):
    """The host's processes whose command line has a word."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(name.encode() in word for word in words):
                found.append(int(entry.name))
    return found


TICK = "while sleep 0.1; do echo tick; done"
DIE = "echo 1 > /proc/sys/kernel/panic_on_oops; echo c > /proc/sysrq-trigger"


def test_a_panic_of_one_kernel_ends_the_run_and_keeps_what_was_recorded(kernel_path, tmp_path):
    spec = lab(
        stop_ns=9 * SECOND_NS,
        processes=(ProcessSpec("tick", "a", TICK), ProcessSpec("tick", "b", TICK)),
        steps=(Step(2 * SECOND_NS, "die", Command("b", "sysctl -w vm.panic_on_oom=2; " + EATER)),),
    )
    session = run_session(
        SessionRequest(spec, small_labs.options(kernel_path), output=tmp_path / "run")
    )
    error = session.error
    assert isinstance(error, GuestLostError)
    assert error.node == "b"
    assert error.time_ns // SECOND_NS == 2
    assert "the kernel of b has died" in error.message
    assert "Kernel panic - not syncing: Out of memory" in error.message
    assert "(all of it is in the run's console-b.log)" in error.message
    reader = RunReader(session.path)
    assert reader.state == "error"
    assert [reader.read_output(node, "tick").count(b"tick") for node in "ab"] == [19, 19]
    finding = list(reader.events())[-1]
    assert (finding.kind, finding.node, finding.time_ns) == ("finding", "b", error.time_ns)
    assert "Kernel panic" in (session.path / "console-b.log").read_text()


@pytest.mark.parametrize("asleep", [False, True])
def test_a_kernel_that_somebody_kills_is_named_and_no_process_is_left(
    kernel_path, tmp_path, asleep
):
    console = tmp_path / "console.log"
    options = replace(small_labs.options(kernel_path), console=console)
    with World(lab(), options) as world:
        a, b = world.nodes
        ticking = [node.popen(TICK) for node in (a, b)]
        world.sleep("1050 ms")
        if asleep:
            b.kill_processes()
            world.sleep("1 s")
        guest = next(guest for guest in world._guests if guest.name == "b")
        words = Path(f"/proc/{guest.pid}/cmdline").read_bytes().split(b"\0")
        seed = next(word for word in words if word.startswith(b"um_seed=")).decode()
        assert guest.pid in processes_below(seed)  # with ptrace, one for each address space more
        killed_ns = world.now_ns
        os.kill(guest.pid, signal.SIGKILL)
        with pytest.raises(GuestLostError) as caught:
            world.sleep("10 s")
        assert re.match("the kernel of b has died", caught.value.message)
        assert caught.value.node in ("b", None)
        assert str(caught.value).startswith("node b, at ")
        assert killed_ns - SECOND_NS <= caught.value.time_ns <= killed_ns + SECOND_NS
        assert ticking[0].stdout.count("tick") >= 10
    assert processes_below(seed) == []


def test_a_kernel_that_dies_in_its_second_boot_is_named(kernel_path):
    with World(lab(), small_labs.options(kernel_path)) as world:
        b = world.node("b")
        b.power_off()
        boot = b.machine.power_on("by hand")
        guest = next(guest for guest in world._guests if guest.name == "b")
        os.kill(guest.pid, signal.SIGKILL)
        with pytest.raises(GuestLostError, match="the kernel of b has died"):
            world.wait(lambda: not b.machine.is_booting(boot), "its boot")
