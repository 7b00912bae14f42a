# SPDX-License-Identifier: Apache-2.0
"""Volumes of real kernels: what programs see of them, of their faults and of power cuts."""

from __future__ import annotations

from dataclasses import replace

import pytest

import small_labs
from windtunnel.engine import world as world_module
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.engine.volumes import NodeVolumes, device_name
from windtunnel.engine.world import World
from windtunnel.errors import GuestError
from windtunnel.model.fault import Fault, VolumeFault, VolumeMode
from windtunnel.model.lab import (
    Command,
    FileSpec,
    LabSpec,
    NodeSpec,
    ProcessSpec,
    Step,
    VolumeSpec,
)
from windtunnel.store.compare import compare_runs, compared_files

SECOND_NS = 1_000_000_000
DATA = VolumeSpec("data", "/data", 16_000_000)
FULL = VolumeFault("a", "data", VolumeMode.FULL)
ERRORS = VolumeFault("a", "data", VolumeMode.ERRORS)

# A file that lasts; then, in another one that has lasted as "o", 64 blocks of "n" that
# have reached the disk and were not flushed, and a file that has not even been written back.
WRITER = """\
import mmap, os
def put(path, data):
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    os.write(file, data)
    os.fsync(file)
    os.close(file)
put("/data/lasting", b"l" * 100_000)
put("/data/blocks", b"o" * 64 * 4096)
os.sync()
block = mmap.mmap(-1, 4096)
block.write(b"n" * 4096)
file = os.open("/data/blocks", os.O_WRONLY | os.O_DIRECT)
for _ in range(64):
    os.write(file, block)
open("/data/loose", "w").write("x")
"""


@pytest.fixture(autouse=True)
def _programs(need_program):
    for program in ("mkfs.ext4", "python3"):
        need_program(program)


def lab(*volumes, seed=3, **changes):
    node = NodeSpec("a", kernel="own", volumes=volumes or (DATA,), **changes)
    return LabSpec("volumes", seed=seed, nodes=(node,))


@pytest.fixture
def start(kernel_path):
    """A function that starts a lab."""
    return lambda spec: World(spec, small_labs.options(kernel_path))


@pytest.fixture
def start_with(start, monkeypatch):
    """A function that starts a lab whose node has volumes that were there before."""

    def do(spec, volumes):
        monkeypatch.setattr(world_module, "NodeVolumes", lambda *_: volumes)
        return start(spec)

    return do


class Kept(NodeVolumes):
    """Volumes that outlive their world."""

    def close(self):
        """Wait for `really_close`."""

    def really_close(self):
        super().close()


@pytest.fixture
def kept(tmp_path):
    """A function that makes volumes for a lab's one node."""
    made = []

    def make(spec):
        folder = tmp_path / f"kept{len(made)}"
        folder.mkdir()
        made.append(Kept(spec.seed, spec.nodes[0], folder))
        return made[-1]

    yield make
    for volumes in made:
        volumes.really_close()


def test_a_node_finds_its_volumes_before_its_files_and_commands(start):
    slow = VolumeSpec("slow", "/srv/deep/slow", 4_000_000, latency_ns=5_000_000)
    spec = lab(
        DATA,
        slow,
        files=(FileSpec("/data/motd", b"hello"),),
        exec=("cp /data/motd /srv/deep/slow/copy",),
    )
    with start(spec) as world:
        node = world.node("a")
        found = node.run("grep /dev/vd /proc/mounts; cat /sys/block/vd?/size /sys/block/vd?/serial")
        assert found.stdout == (
            "/dev/vda /data ext4 rw,relatime 0 0\n"
            "/dev/vdb /srv/deep/slow ext4 rw,relatime 0 0\n"
            "31250\n7812\ndataslow"
        )
        assert node.read_file("/srv/deep/slow/copy") == b"hello"
        assert node.run("cat /sys/block/vda/queue/write_cache").stdout == "write back\n"
        assert node.run("sync").ok
        took_ns = [
            node.run(f"dd if=/dev/{name} of=/dev/null bs=4k count=10 iflag=direct").duration_ns
            for name in ("vda", "vdb")
        ]
    # Ten times 4096 bytes at 500 MB/s, and the latency.
    assert 10 * 108_192 <= took_ns[0] <= 10 * 108_192 + 1_000_000
    assert 10 * 5_008_192 <= took_ns[1] <= 10 * 5_008_192 + 1_000_000


def test_a_write_that_was_flushed_survives_a_power_cut_and_others_do_at_random(start_with, kept):
    def cut(spec):
        volumes = kept(spec)
        with start_with(spec, volumes) as world:
            assert world.node("a").run(["python3", "-c", WRITER]).ok
        losses = volumes.power_cut()["data"]
        with start_with(spec, volumes) as world:
            node = world.node("a")
            assert node.read_file("/data/lasting") == b"l" * 100_000
            blocks = node.read_file("/data/blocks")
            assert node.run("ls /data").stdout.split() == ["blocks", "lasting", "lost+found"]
            checked = node.run("umount /data && e2fsck -f -n /dev/vda")
            assert checked.ok, checked.stdout
        return losses, blocks

    losses, blocks = cut(lab())
    sectors = [set(blocks[at : at + 512]) for at in range(0, len(blocks), 512)]
    assert len(sectors) == 64 * 8
    assert {b"o"[0], b"n"[0]} == set().union(*sectors)
    assert all(len(kinds) == 1 for kinds in sectors)  # a sector is never torn
    assert min(losses.kept, losses.torn, losses.lost) > 5
    assert (losses, blocks) == cut(lab())
    assert blocks != cut(lab(seed=4))[1]


def test_a_wiped_volume_is_formatted_anew(start_with, kept):
    spec = lab()
    volumes = kept(spec)
    with start_with(spec, volumes) as world:
        world.node("a").run("echo 1 > /data/x; sync")
    volumes.power_cut()
    volumes.wipe()
    with start_with(spec, volumes) as world:
        assert world.node("a").run("ls /data").stdout == "lost+found\n"


def test_a_full_volume_takes_no_more_until_its_fault_is_over(start):
    with start(lab()) as world:
        node = world.node("a")
        assert node.run("echo old > /data/old; sync").ok
        node.machine.begin("one", FULL)
        node.machine.begin("two", FULL)
        full = node.run(
            "df --output=avail /data | tail -1; cat /data/old; ls -A /data;"
            "cp /data/old /data/new; mkdir /data/folder; "
            "dd if=/dev/zero of=/data/old bs=9k count=1 conv=notrunc"
        )
        assert full.stdout.split() == ["0", "old", "lost+found", "old"]
        assert full.stderr.count("No space left on device") == 3
        node.machine.end("one", FULL)
        assert not node.run("echo x > /data/new").ok
        node.machine.end("two", FULL)
        node.machine.end("two", FULL)
        assert node.run("dd if=/dev/zero of=/data/new bs=1M count=8 conv=fsync").ok


def test_a_volume_that_is_full_when_its_node_boots_stays_so(start_with, kept):
    spec = lab(DATA, replace(DATA, name="other", path="/other"))
    volumes = kept(spec)
    with start_with(spec, volumes) as world:
        world.node("a").machine.begin("it", FULL)
    volumes.power_cut()
    with pytest.raises(GuestError, match="node a: it is off, and nothing fills its volume"):
        volumes.begin("it", replace(FULL, volume="other"), paused=False)
    with start_with(spec, volumes) as world:
        node = world.node("a")
        assert not node.run("echo x > /data/x").ok
        node.machine.end("it", FULL)
        assert node.run("echo x > /data/x").ok


def test_a_paused_node_is_not_waited_for(start):
    with start(lab()) as world:
        node = world.node("a")
        node.pause()
        before_ns = world.now_ns
        node.machine.begin("it", FULL)
        node.machine.end("it", FULL)
        assert world.now_ns == before_ns


def test_a_failing_volume_gives_its_programs_errors_and_makes_ext4_read_only(start):
    with start(lab()) as world:
        node = world.node("a")
        assert node.run("echo old > /data/old; sync").ok
        node.machine.begin("one", ERRORS)
        node.machine.begin("two", ERRORS)
        node.machine.end("one", ERRORS)
        read = node.run("dd if=/data/old iflag=direct")
        assert "Input/output error" in read.stderr
        assert "Input/output error" in node.run("touch /data/new; sync -f /data").stderr
        assert "Read-only file system" in node.run("touch /data/newer").stderr
        node.machine.end("two", ERRORS)
        assert node.run("dd if=/data/old iflag=direct").stdout == "old\n"
        # What the file system has decided it stands by, until it is mounted again.
        assert "Read-only file system" in node.run("touch /data/newer").stderr
        assert node.run("umount /data && mount /dev/vda /data && touch /data/newer").ok


def test_a_volume_that_fails_at_boot_says_so(start_with, kept):
    spec = lab()
    volumes = kept(spec)
    with start_with(spec, volumes):
        pass
    volumes.power_cut()
    volumes.volumes[0].fail("it", on=True)
    with pytest.raises(GuestError) as caught:
        start_with(spec, volumes)
    assert str(caught.value) == (
        "node a: the volume data: mounting /dev/vda at /data: Input/output error\n"
        "  its device fails; end that fault before the node boots"
    )


@pytest.mark.parametrize(
    ("initcall", "message"),
    [
        (
            "virtio_blk_init",
            (
                "node a: the volume data: /dev/vda: No such file or directory\n"
                "  this kernel lacks CONFIG_VIRTIO_BLK: windtunnel kernel build --with VIRTIO_BLK=y"
            ),
        ),
        (
            "ext4_init_fs",
            (
                "node a: the volume data: mounting /dev/vda at /data: No such device\n"
                "  this kernel lacks CONFIG_EXT4_FS: windtunnel kernel build --with EXT4_FS=y"
            ),
        ),
    ],
)
def test_a_kernel_that_lacks_what_volumes_need_says_how_to_build_it(start, initcall, message):
    with pytest.raises(GuestError) as caught:
        start(lab(kernel_words=(f"initcall_blacklist={initcall}",)))
    assert str(caught.value) == message


def test_a_root_without_mkfs_says_what_to_install(start, tmp_path):
    with pytest.raises(GuestError) as caught:
        start(replace(lab(), root=str(tmp_path)))
    assert str(caught.value) == (
        "node a: the volume data cannot be formatted: No such file or directory: mkfs.ext4\n"
        "  its file system is made by the node: install e2fsprogs in its root"
    )


def test_a_volume_that_is_too_small_for_its_file_system_says_what_mkfs_said(start):
    with pytest.raises(GuestError, match=r"mkfs\.ext4 exited with 1: .*Not enough space"):
        start(lab(VolumeSpec("data", "/data", 4096)))


@pytest.mark.parametrize(
    ("number", "name"), [(0, "vda"), (25, "vdz"), (26, "vdaa"), (701, "vdzz"), (702, "vdaaa")]
)
def test_devices_have_the_names_of_the_kernel(number, name):
    assert device_name(number) == name


def busy_lab():
    """Two kernels with volumes: databases' favourite calls, and every fault of volumes."""
    found = small_labs.pair(stop_ns=4 * SECOND_NS)
    nodes = tuple(
        replace(node, kernel="own", volumes=(replace(DATA, latency_ns=latency_ns),))
        for node, latency_ns in zip(found.nodes, (100_000, 1_000_000), strict=True)
    )
    load = (
        "import os, time\n"
        "for n in range(300):\n"
        "    try:\n"
        "        with open(f'/data/{n % 20}', 'w') as file:\n"
        "            file.write('x' * 10 * n); file.flush(); os.fsync(file.fileno())\n"
        "        print(n, time.time_ns())\n"
        "    except OSError as error: print(n, time.time_ns(), error)\n"
        "    time.sleep(0.01)\n"
    )
    script = FileSpec("/opt/load.py", load.encode())
    return replace(
        found,
        nodes=tuple(replace(node, files=(script,)) for node in nodes),
        processes=tuple(
            ProcessSpec("load", name, "python3 -u /opt/load.py") for name in ("a", "b")
        ),
        steps=(
            Step(
                3 * SECOND_NS + SECOND_NS // 2,
                "the end",
                Command("a", "cat /sys/block/vda/stat; md5sum /dev/vda; ls -li /data; dmesg"),
            ),
        ),
        faults=(
            Fault(SECOND_NS, "full", FULL, SECOND_NS // 2),
            Fault(2 * SECOND_NS, "errors", replace(ERRORS, node="b"), SECOND_NS // 2),
        ),
    )


def test_two_runs_at_any_parallelism_give_the_same_bytes(kernel_path, tmp_path, need_program):
    need_program("ping")
    runs = []
    for parallel in (1, 2):
        options = replace(small_labs.options(kernel_path), parallel=parallel)
        output = tmp_path / f"run{parallel}"
        session = run_session(SessionRequest(busy_lab(), options, output=output))
        assert session.error is None
        runs.append(session.path)
    assert compare_runs(*runs) is None
    said = b"".join((runs[0] / name).read_bytes() for name in compared_files(runs[0]))
    assert b"No space left on device" in said
    assert b"Input/output error" in said
