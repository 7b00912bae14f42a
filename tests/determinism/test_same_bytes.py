# SPDX-License-Identifier: Apache-2.0
"""Same seed, same bytes: whatever the host does, and only then."""

from __future__ import annotations

import os
import shutil

import pytest

import small_labs
from windtunnel.engine import build
from windtunnel.engine.labfile import read_spec
from windtunnel.engine.recorder import NullRecorder
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.engine.verify import VerifyRequest, verify
from windtunnel.engine.world import World
from windtunnel.store.compare import compare_runs, compared_files
from windtunnel.store.run_reader import RunReader


@pytest.fixture(autouse=True)
def _programs(need_program):
    for program in ("python3", "ping", "ip"):
        need_program(program)


def run(spec, kernel_path, output):
    session = run_session(SessionRequest(spec, small_labs.options(kernel_path), output=output))
    assert session.error is None
    return session


def contents(path):
    return {name: (path / name).read_bytes() for name in compared_files(path)}


class Story(NullRecorder):
    """All that a world tells."""

    def __init__(self):
        self.facts = []

    def event(self, time_ns, kind, node="", **fields):
        self.facts.append((time_ns, kind, node, fields))

    def output(self, node, process, data, *, stderr):
        self.facts.append((node, process, data, stderr))


def test_the_same_seed_gives_the_same_bytes_in_every_file(kernel_path, tmp_path):
    spec = small_labs.busy_pair()
    first = run(spec, kernel_path, tmp_path / "one").path
    second = run(spec, kernel_path, tmp_path / "two").path
    assert contents(first) == contents(second)
    assert len(contents(first)) > 10
    assert compare_runs(first, second) is None


def test_captures_are_the_same_down_to_the_nanosecond(kernel_path, tmp_path, need_program):
    need_program("tcpdump")
    spec = small_labs.captured()
    first = run(spec, kernel_path, tmp_path / "one").path
    second = run(spec, kernel_path, tmp_path / "two").path
    capture = (first / "files" / "b-eth0.pcapng").read_bytes()
    assert len(capture) > 300
    assert capture == (second / "files" / "b-eth0.pcapng").read_bytes()


def test_another_seed_gives_other_randomness_and_other_addresses(kernel_path, tmp_path):
    runs = [
        RunReader(run(small_labs.busy_pair(seed=seed), kernel_path, tmp_path / str(seed)).path)
        for seed in (7, 8)
    ]
    random = [reader.read_output("a", "random") for reader in runs]
    assert len(random[0]) == len(random[1]) > 100
    assert random[0] != random[1]
    macs = [
        [word for word in reader.read_output("b", "links").split() if word.count(b":") == 5]
        for reader in runs
    ]
    assert macs[0]
    assert macs[0] != macs[1]


def test_load_hash_seed_place_environment_and_limits_reach_no_result(kernel_path, tmp_path):
    found = verify(
        VerifyRequest(small_labs.busy_pair(), small_labs.options(kernel_path), tmp_path, times=4)
    )
    assert [run.conditions.loaded for run in found] == [False, False, True, True]
    assert len({run.conditions.hash_seed for run in found}) == 4
    assert len({run.conditions.depth for run in found}) == 4
    assert [run.difference.describe() for run in found if run.difference] == []
    assert [run.grants.describe() for run in found if run.grants] == []
    assert len({run.digest for run in found}) == 1


def test_the_place_and_the_name_of_the_kernel_reach_no_result(kernel_path, tmp_path):
    other = tmp_path / "of-another-name" / "vmlinux"
    other.parent.mkdir()
    shutil.copy2(kernel_path, other)
    spec = small_labs.busy_pair()
    first = run(spec, kernel_path, tmp_path / "one").path
    second = run(spec, other, tmp_path / "two").path
    assert contents(first) == contents(second)


LOSSY = """
name: lossy
seed: 1
addressing: ipv4
nodes:
  alice: {exec: ["ip route add default via {{ node.interface.eth0.peer.address }}"]}
  middle: {kind: router}
  bob: {exec: ["ip route add default via {{ node.interface.eth0.peer.address }}"]}
links:
  - {endpoints: [alice, middle], delay: 5 ms}
  - {endpoints: [middle, bob], delay: 100 ms, loss: 20%}
steps:
  - {name: ping, at: 11 s, node: alice, cmd: ping -c 10 bob}
"""


@pytest.mark.parametrize("absent", [["srv"], ["mnt", "media", "opt"]])
def test_what_the_host_has_beside_its_programs_reaches_nothing_from_time_zero_on(
    kernel_path, tmp_path, monkeypatch, absent
):
    # Each folder that a guest makes takes it time, and draws a random number: from those come
    # the instants at which IPv6 tries its addresses, and with them which packet is lost.
    (tmp_path / "lab.yaml").write_text(LOSSY)
    spec = read_spec(tmp_path / "lab.yaml")
    first = run(spec, kernel_path, tmp_path / "one").path
    fewer = [name for name in build.TOP_OF_TREE if name not in absent]
    assert len(fewer) < len(build.TOP_OF_TREE)
    monkeypatch.setattr(build, "TOP_OF_TREE", fewer)
    second = run(spec, kernel_path, tmp_path / "two").path
    told = [
        [event for event in RunReader(path).events() if event.time_ns >= 0]
        for path in (first, second)
    ]
    assert len(told[0]) > 10
    assert told[0] == told[1]


def test_worlds_made_by_calls_repeat_too(kernel_path):
    def story():
        recorder = Story()
        with World(small_labs.pair(), small_labs.options(kernel_path), recorder) as world:
            a, b = world.node("a"), world.node("b")
            server = b.popen("while :; do date +%N; sleep 0.1; done")
            world.sleep("350 ms")
            recorder.facts.append(
                a.run("ping -n -c 2 -i 0.1 10.0.0.2; head -c 8 /dev/urandom | od")
            )
            world.link("a", "b").down()
            recorder.facts.append(a.run("ping -n -c 1 -W 1 10.0.0.2").exit_status)
            server.terminate()
            recorder.facts.append(server.wait())
            recorder.facts.append((world.now_ns, world.grants))
        return recorder.facts

    first = story()
    assert len(first) > 10
    assert first == story()


def test_what_a_guest_gets_names_nothing_of_the_host(kernel_path, tmp_path):
    path = run(small_labs.busy_pair(), kernel_path, tmp_path / "one").path
    everything = b"".join(contents(path).values())
    for secret in (
        str(tmp_path),
        os.uname().release,
        os.environ.get("PYTEST_CURRENT_TEST", "x.py"),
    ):
        assert secret.encode() not in everything
