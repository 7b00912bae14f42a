# SPDX-License-Identifier: Apache-2.0
"""A run's folder alone repeats the run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, replace

import pytest

import small_labs
from windtunnel.engine.kernelrecord import kernel_facts, lab_kernel, node_kernels_of
from windtunnel.engine.once import OnceRequest
from windtunnel.engine.replay import ReplayRequest, replay
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.errors import HostError, StateError, UsageError
from windtunnel.images.kernels import find_kernel
from windtunnel.model.event import Event
from windtunnel.model.flatten import lab_to_yaml
from windtunnel.model.lab import LabSpec, NodeSpec, ProcessSpec
from windtunnel.store.run_dir import RunWriter
from windtunnel.store.run_reader import RunReader


def run(spec, kernel_path, output):
    options = small_labs.options(kernel_path)
    return run_session(SessionRequest(spec, options, output=output)).path


def change(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def begin(path, lab_text="name: x\n"):
    return RunWriter.create_at(path, lab="x", lab_text=lab_text, source_text=None, manifest={})


def test_a_kernel_that_is_not_here_is_named_with_the_way_to_build_it():
    with pytest.raises(HostError, match=r"kernel 9\.9-0123456789ab, which is not") as caught:
        lab_kernel({"kernel": {"release": "9.9", "key": "0123456789ab"}, "windtunnel": "0.1.0"})
    assert "windtunnel kernel build --source 9.9" in caught.value.hint


def test_a_kernel_of_the_users_own_is_known_by_its_digest(tmp_path):
    program = tmp_path / "linux"
    program.write_bytes(b"one")
    manifest = {
        "kernel": {
            "release": "unknown",
            "key": "",
            "sha256": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
        },
        "host": {"kernel_path": str(program)},
    }
    assert lab_kernel(manifest).path == program
    program.write_bytes(b"two")
    with pytest.raises(HostError, match="is another") as caught:
        lab_kernel(manifest)
    assert "7692c3ad" in caught.value.hint


def test_a_kernel_of_a_node_is_the_one_that_the_run_had(tmp_path):
    program = tmp_path / "linux"
    program.write_bytes(b"one")
    spec = LabSpec(
        "x", nodes=(NodeSpec("a"), NodeSpec("b", kernel="own"), NodeSpec("c", kernel="6.12"))
    )
    named = {
        "release": "6.12.9",
        "key": "",
        "sha256": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
    }
    manifest = {"node_kernels": {"c": named}, "host": {"node_kernel_paths": {"c": str(program)}}}
    found = node_kernels_of(manifest, spec)
    assert {node: kernel.path for node, kernel in found.items()} == {"c": program}
    program.write_bytes(b"two")
    with pytest.raises(HostError, match=r"the node c of the run was made with .* is another"):
        node_kernels_of(manifest, spec)
    manifest["node_kernels"]["c"] = {**named, "key": "0123456789ab"}
    with pytest.raises(HostError, match=r"node c .* kernel 6\.12\.9-0123456789ab, which is not"):
        node_kernels_of(manifest, spec)


def test_another_program_under_a_kernels_name_is_refused(kernel_path):
    kernel = find_kernel(str(kernel_path))
    if not kernel.key:
        pytest.skip("the kernel is a program of the user's own")
    facts = kernel_facts(kernel)
    assert lab_kernel({"kernel": facts}).path == kernel.path
    with pytest.raises(HostError, match="the program of that name on this machine is another"):
        lab_kernel({"kernel": {**facts, "sha256": "0" * 64}})


def test_a_replay_finds_the_kernels_of_nodes_and_refuses_another(kernel_path, tmp_path):
    other = tmp_path / "linux"
    shutil.copy2(kernel_path, other)
    spec = small_labs.pair(
        processes=(ProcessSpec("random", "b", "head -c 8 /dev/urandom | od"),),
    )
    a, b = spec.nodes
    spec = replace(spec, nodes=(replace(a, kernel="own"), replace(b, kernel=str(other))))
    path = run(spec, kernel_path, tmp_path / "one")
    manifest = RunReader(path).manifest
    kernels = manifest["node_kernels"]
    assert list(kernels) == ["a", "b"]
    assert kernels["a"] == manifest["kernel"]
    assert kernels["b"]["sha256"] == kernels["a"]["sha256"]
    assert kernels["b"]["key"] == ""
    assert kernels["b"]["release"][:1].isdigit()
    found = replay(ReplayRequest(path, output=tmp_path / "two"))
    assert found.difference is None
    other.write_bytes(other.read_bytes() + b"x")
    with pytest.raises(HostError, match=r"the node b of the run .* is another") as caught:
        replay(ReplayRequest(path, output=tmp_path / "three"))
    assert kernels["b"]["sha256"] in caught.value.hint
    other.unlink()
    with pytest.raises(HostError, match=r"the node b of the run .* not there any more"):
        replay(ReplayRequest(path, output=tmp_path / "three"))
    assert not (tmp_path / "three").exists()


def test_a_run_that_goes_on_is_not_replayed(tmp_path):
    writer = begin(tmp_path / "run")
    with pytest.raises(StateError, match="has not ended yet"):
        replay(ReplayRequest(tmp_path / "run"))
    writer.close()


def test_a_folder_without_a_lab_is_not_replayed(tmp_path):
    begin(tmp_path / "run").close()
    (tmp_path / "run" / "lab.yaml").unlink()
    with pytest.raises(UsageError, match="before its lab was recorded"):
        replay(ReplayRequest(tmp_path / "run"))
    with pytest.raises(UsageError, match="not the folder of a run"):
        replay(ReplayRequest(tmp_path))


def test_a_replay_is_equal(kernel_path, tmp_path):
    path = run(small_labs.busy_pair(), kernel_path, tmp_path / "one")
    found = replay(ReplayRequest(path, output=tmp_path / "two"))
    assert found.difference is None
    assert found.until_ns is None
    assert found.session.state == "passed"
    assert RunReader(tmp_path / "two").lab_text == RunReader(path).lab_text


def test_a_failed_run_fails_again_at_the_same_instant(kernel_path, tmp_path):
    path = run(small_labs.failing(), kernel_path, tmp_path / "one")
    assert RunReader(path).state == "failed"
    found = replay(ReplayRequest(path, output=tmp_path / "two"))
    assert found.difference is None
    assert found.session.state == "failed"


def test_a_record_that_was_changed_is_found_with_its_node_and_time(kernel_path, tmp_path):
    path = run(small_labs.counter(), kernel_path, tmp_path / "one")
    (path / "nodes" / "a" / "counter.stdout").write_text("0" * 20 + "\n")
    found = replay(ReplayRequest(path, output=tmp_path / "two"))
    assert found.difference.node == "a"
    assert found.difference.file == "nodes/a/counter.stdout"
    assert found.difference.a == "0" * 20
    assert found.difference.time_ns >= small_labs.SECOND_NS


def test_another_seed_is_another_run(kernel_path, tmp_path):
    path = run(small_labs.pair(), kernel_path, tmp_path / "one")
    change(path / "lab.yaml", "seed: 7\n", "seed: 8\n")
    found = replay(ReplayRequest(path, output=tmp_path / "two"))
    assert (found.difference.file, found.difference.key) == ("manifest.json", "seed")


def killed_run(kernel_path, output):
    """A run of which its writer was killed after the ping had begun."""
    # No counters: they would be the only thing that is recorded after the stop from below.
    spec = replace(small_labs.busy_pair(), stop_ns=36_000 * small_labs.SECOND_NS, counters_ns=None)
    request = OnceRequest(lab_to_yaml(spec), str(output), str(kernel_path))
    process = subprocess.Popen(
        [sys.executable, "-m", "windtunnel.engine.once"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    process.stdin.write(json.dumps(asdict(request)).encode())
    process.stdin.close()
    events = output / "events.jsonl"
    for _ in range(600):
        if events.exists() and b'"links"' in events.read_bytes():
            break
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # It would take ten hours otherwise; the lab's end is not what is compared.
    change(output / "lab.yaml", "stop: 10 h\n", "stop: 2 s\n")
    manifest = json.loads((output / "manifest.json").read_text())
    (output / "manifest.json").write_text(json.dumps({**manifest, "stop_ns": 2_000_000_000}))


def test_a_killed_run_is_compared_as_far_as_it_was_recorded(kernel_path, tmp_path):
    killed_run(kernel_path, tmp_path / "one")
    assert RunReader(tmp_path / "one").state == "killed"
    found = replay(ReplayRequest(tmp_path / "one", output=tmp_path / "two"))
    assert found.difference is None, found.difference.describe()
    assert found.until_ns >= 1_900_000_000
    assert found.session.state == "passed"


def test_a_killed_run_whose_last_line_is_cut_is_still_a_beginning(kernel_path, tmp_path):
    path = run(small_labs.busy_pair(), kernel_path, tmp_path / "one")
    events = (path / "events.jsonl").read_bytes()
    last = events.rstrip(b"\n").rfind(b"\n") + 1
    (path / "events.jsonl").write_bytes(events[: last + 20])
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, "state": "interrupted"}))
    found = replay(ReplayRequest(path, output=tmp_path / "two"))
    assert found.difference is None, found.difference.describe()
    last_whole = Event.from_line(events[:last].splitlines()[-1].decode())
    assert found.until_ns == last_whole.time_ns
