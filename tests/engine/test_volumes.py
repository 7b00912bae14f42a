# SPDX-License-Identifier: Apache-2.0
"""Volumes of real kernels: what programs see of them, of their faults and of power cuts."""

from __future__ import annotations

from dataclasses import replace

import pytest

import small_labs
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.engine.volumes import device_name
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


def test_a_write_that_was_flushed_survives_a_power_cut_and_others_do_at_random(start):
    def cut(seed):
        with start(lab(seed=seed)) as world:
            node = world.node("a")
            assert node.run(["python3", "-c", WRITER]).ok
            node.power_off()
            world.sleep("1 s")
            node.power_on()
            assert node.read_file("/data/lasting") == b"l" * 100_000
            blocks = node.read_file("/data/blocks")
            assert node.run("ls /data").stdout.split() == ["blocks", "lasting", "lost+found"]
            checked = node.run("umount /data && e2fsck -f -n /dev/vda")
            assert checked.ok, checked.stdout
            return blocks

    blocks = cut(3)
    sectors = [set(blocks[at : at + 512]) for at in range(0, len(blocks), 512)]
    assert len(sectors) == 64 * 8
    assert all(len(kinds) == 1 for kinds in sectors)  # a sector is never torn
    kinds = ["".join(chr(min(kinds)) for kinds in sectors[at : at + 8]) for at in range(0, 512, 8)]
    torn = {f"{'n' * count}{'o' * (8 - count)}" for count in range(1, 8)}
    fates = [kinds.count("n" * 8), kinds.count("o" * 8), sum(one in torn for one in kinds)]
    assert sum(fates) == 64
    assert min(fates) > 5
    assert blocks == cut(3)
    assert blocks != cut(4)


def test_files_on_a_volume_are_as_they_were_and_new_ones_when_it_is_wiped(start):
    volumes = (DATA, replace(DATA, name="deep", path="/data/deep"))
    files = tuple(FileSpec(f"{path}/x", b"1") for path in ("/data", "/data/deep", "/opt"))
    look = "cat /data/x /data/deep/x /opt/x; ls /data"
    with start(lab(*volumes, files=files)) as world:
        node = world.node("a")
        assert node.run("echo 2 | tee /data/x /data/deep/x /opt/x /data/y; sync").ok
        node.power_off()
        node.power_on()
        assert node.run(look).stdout.split() == ["2", "2", "1deep", "lost+found", "x", "y"]
        node.power_off(wipe=True)
        node.power_on()
        assert node.run(look).stdout.split() == ["111deep", "lost+found", "x"]


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


def test_a_volume_that_is_full_when_its_node_boots_stays_so(start):
    with start(lab(DATA, replace(DATA, name="other", path="/other"))) as world:
        node = world.node("a")
        node.machine.begin("it", FULL)
        node.power_off()
        with pytest.raises(GuestError, match="node a: it is off, and nothing fills its volume"):
            node.machine.begin("it", replace(FULL, volume="other"))
        node.power_on()
        assert "No space left" in node.run("cp /etc/hosts /data/x").stderr
        node.power_off()
        node.machine.end("it", FULL)
        node.power_on()
        assert node.run("cp /etc/hosts /data/x").ok


def test_the_volume_of_a_paused_node_becomes_full_all_the_same(start):
    with start(lab()) as world:
        node = world.node("a")
        node.pause()
        node.machine.begin("it", FULL)
        node.resume()
        assert "No space left" in node.run("cp /etc/hosts /data/x").stderr
        node.pause()
        node.machine.end("it", FULL)
        node.resume()
        assert node.run("cp /etc/hosts /data/x").ok


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
        # Linux tells once, at the next access, that something could not be written.
        read = "dd if=/dev/vda of=/dev/null count=1 iflag=direct"
        assert node.run(f"{read} || {read}").ok
        # What the file system has decided it stands by, until it is mounted again; Linux 6.12
        # says "Input/output error".
        assert not node.run("touch /data/newer").ok
        assert node.run("umount /data && mount /dev/vda /data && touch /data/newer").ok
        assert node.run("dd if=/data/old iflag=direct").stdout == "old\n"


def test_a_volume_that_fails_at_boot_says_so(start):
    with start(lab()) as world:
        node = world.node("a")
        node.power_off()
        node.machine.begin("it", ERRORS)
        with pytest.raises(GuestError) as caught:
            node.power_on()
        assert str(caught.value) == (
            "node a: the volume data: mounting /dev/vda at /data: Input/output error\n"
            "  its device fails; end that fault before the node boots"
        )
        # It is without its volume then, and boots again when that is well.
        node.power_off()
        node.machine.end("it", ERRORS)
        node.power_on()
        assert node.run("ls /data").stdout == "lost+found\n"


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
        "for n in range(80):\n"
        "    try:\n"
        "        with open(f'/data/{n % 7}', 'w') as file:\n"
        "            file.write('x' * 99 * n); file.flush(); os.fsync(file.fileno())\n"
        "        print(n, time.time_ns())\n"
        "    except OSError as error: print(n, time.time_ns(), error)\n"
        "    time.sleep(0.03)\n"
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
