# SPDX-License-Identifier: Apache-2.0
"""Captures, inside one kernel and between kernels, as tshark reads them."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from small_labs import SECOND_NS, options, pair
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import CaptureSpec, NetworkSpec, ProcessSpec, Step
from windtunnel.model.lab import LinkChange as Change

FIELDS = ("frame.time_epoch", "frame.interface_name", "frame.packet_flags_direction", "icmp.type")
PING = ProcessSpec("ping", "a", "ping -n -c 4 -i 0.1 -W 1 10.0.0.2", start_ns=SECOND_NS)
PLAIN = Impairment(delay_ns=3_000_000)
LOSSY = Impairment(delay_ns=3_000_000, loss=1.0)


ICMP = CaptureSpec(link="a-b", filter="icmp")


def lab(own, *, steps=(), spec=ICMP):
    found = pair(processes=(PING,), captures=(spec,), steps=steps)
    link = found.links[0]
    ends = tuple(replace(end, impairment=PLAIN) for end in link.ends)
    nodes = tuple(replace(node, kernel=own) for node in found.nodes)
    return replace(found, nodes=nodes, links=(replace(link, ends=ends),))


def pcapng(run):
    """The one capture of a run."""
    (path,) = run.rglob("*.pcapng")
    return path


@pytest.fixture
def run(kernel_path, tmp_path):
    def run_lab(spec, name="run"):
        session = run_session(SessionRequest(spec, options(kernel_path), output=tmp_path / name))
        assert session.error is None
        return session.path

    return run_lab


@pytest.fixture
def tshark(need_program):
    program = need_program("tshark")

    def read(path, *fields):
        wanted = [word for field in fields for word in ("-e", field)]
        done = subprocess.run(
            [program, "-n", "-r", path, "-T", "fields", "-E", "separator=|", *wanted],
            capture_output=True,
            text=True,
            check=True,
        )
        said = [line for line in done.stderr.splitlines() if "Running as user" not in line]
        assert said == []
        return [tuple(line.split("|")) for line in done.stdout.splitlines()]

    return read


@pytest.mark.parametrize("own", [None, "own"], ids=["shared", "own"])
def test_a_link_is_captured_at_both_ends_with_nanoseconds_and_directions(
    own, run, tshark, kernel_path
):
    found = tshark(pcapng(run(lab(own))), *FIELDS)
    assert [one[1:] for one in found[:4]] == [
        ("a:eth0", "0x00000002", "8"),
        ("b:eth0", "0x00000001", "8"),
        ("b:eth0", "0x00000002", "0"),
        ("a:eth0", "0x00000001", "0"),
    ]
    assert len(found) == 16
    sent, came = (int(one[0].replace(".", "")) for one in found[:2])
    # the clock stands at 2030-01-01 at lab time zero; the first echo also waits for ARP
    assert sent // SECOND_NS == 1_893_456_001
    assert 3_000_000 <= came - sent <= 3_005_000


@pytest.mark.parametrize("own", [None, "own"], ids=["shared", "own"])
def test_what_a_link_loses_says_why(own, run, tshark, kernel_path):
    steps = (Step(SECOND_NS * 115 // 100, "lossy", Change("a-b", impairment=LOSSY)),)
    path = pcapng(run(lab(own, steps=steps)))
    found = tshark(path, "frame.interface_name", "frame.comment")
    lost = [comment for name, comment in found if comment]
    assert len(lost) == 2
    assert all("loss" in comment for comment in lost)


@pytest.mark.parametrize("own", [None, "own"], ids=["shared", "own"])
def test_two_runs_leave_the_same_captures(own, run, kernel_path):
    spec = lab(own, spec=CaptureSpec(node="b", interface="eth0"))
    first, second = (pcapng(run(spec, name)) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size > 1000


def test_what_a_switch_between_kernels_loses_is_seen_where_it_would_have_arrived(
    run, tshark, kernel_path
):
    spec = lab("own")
    a, b = spec.links[0].ends
    ends = (a, replace(b, impairment=LOSSY))
    spec = replace(
        spec,
        links=(),
        networks=(NetworkSpec("lan", ends),),
        captures=(CaptureSpec(node="b", interface="eth0"),),
    )
    found = tshark(pcapng(run(spec)), "frame.packet_flags_direction", "frame.comment")
    assert found
    lost = "on the way from the switch, dropped: loss"
    assert {one for one in found if one[1]} == {("0x00000001", lost)}
