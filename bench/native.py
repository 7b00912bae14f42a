# SPDX-License-Identifier: Apache-2.0
"""The same chain in the host's own network namespaces, by `ip netns`: what one does without us.

It is what a careful script would do: `ip -batch` wherever that works, one process for
each node otherwise. It needs root, and changes nothing outside its own namespaces.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable

from bench.measure import NotHereError, Row, Sample, Stopwatch
from bench.worlds import left, right, route_lines

PREFIX = f"wtbench{os.getpid()}-"


def run_chain(count: int) -> Sample:
    """Make a chain of namespaces, ping over it, and remove it again (not timed)."""
    if os.geteuid() != 0:
        raise NotHereError("needs root")
    netem = _has_netem()
    watch = Stopwatch()
    try:
        _ip(f"netns add {PREFIX}{i}" for i in range(count))
        _ip(
            f"link add right netns {PREFIX}{i} type veth peer name left netns {PREFIX}{i + 1}"
            for i in range(count - 1)
        )
        for node in range(count):
            _set_up(node, count, netem=netem)
        _tool("ping", "-c", "1", "-W", "10", "-t", "255", right(count - 2), node=0)
        return watch.stop(note="" if netem else "no delays: this host's kernel lacks netem")
    finally:
        _remove(count)


def _has_netem() -> bool:
    try:
        _ip([f"netns add {PREFIX}0"])
        _batch("tc", ["qdisc add dev lo root netem delay 1ms"], 0)
    except NotHereError:
        return False
    finally:
        _remove(1)
    return True


def _remove(count: int) -> None:
    for node in range(count):
        subprocess.run(["ip", "netns", "del", f"{PREFIX}{node}"], capture_output=True, check=False)


def _set_up(node: int, count: int, *, netem: bool) -> None:
    lines, impairments = ["link set lo up"], []
    for interface, there, address in (
        ("right", node < count - 1, left(node)),
        ("left", node > 0, right(node - 1)),
    ):
        if there:
            lines += [
                f"address add {address}/30 dev {interface}",
                f"link set {interface} up",
            ]
            impairments.append(f"qdisc add dev {interface} root netem delay 1ms")
    _ip([*lines, *route_lines(node, count)], node=node)
    if netem:
        _batch("tc", impairments, node)
    _tool("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.ip_default_ttl=255", node=node)


def _ip(lines: Iterable[str], node: int | None = None) -> None:
    _batch("ip", list(lines), node)


def _batch(program: str, lines: list[str], node: int | None) -> None:
    where = [] if node is None else ["-n", f"{PREFIX}{node}"]
    _checked([program, *where, "-batch", "-"], "".join(f"{line}\n" for line in lines))


def _tool(*argv: str, node: int) -> None:
    _checked(["ip", "netns", "exec", f"{PREFIX}{node}", *argv], "")


def _checked(argv: list[str], text: str) -> None:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NotHereError(f"{argv[0]}: {said[0] if said else done.returncode}")


ROWS = (Row("native-100", "the same 100 nodes by ip netns, as root", lambda: run_chain(100), 3),)
