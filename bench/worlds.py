# SPDX-License-Identifier: Apache-2.0
"""What is measured in worlds: starts, chains, pings, system calls, idleness."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.measure import NotHereError, Row, Sample, Stopwatch, last_json, of_process, windtunnel

from windtunnel.engine.kernel import default_kernel
from windtunnel.engine.world import World, WorldOptions
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import Endpoint, LabSpec, LinkSpec, NodeSpec

COST_SOURCE = Path(__file__).parent / "cost.c"
COST = "/tmp/cost"


def options() -> WorldOptions:
    """The kernel that a user would get."""
    return WorldOptions(kernel=default_kernel())


def chain(count: int, *, delay_ns: int = 1_000_000) -> LabSpec:
    """A chain of routers; static routes let its two ends reach each other.

    A packet passes up to 200 of them, so the time to live begins at its greatest.
    """
    forward = (("net.ipv4.ip_forward", "1"), ("net.ipv4.ip_default_ttl", "255"))
    impairment = Impairment(delay_ns=delay_ns)
    return LabSpec(
        "chain",
        nodes=tuple(
            NodeSpec(f"n{i}", sysctls=forward, exec=(routes(i, count),)) for i in range(count)
        ),
        links=tuple(
            LinkSpec(
                f"n{i}-n{i + 1}",
                (
                    Endpoint(f"n{i}", "right", None, (f"{left(i)}/30",), impairment),
                    Endpoint(f"n{i + 1}", "left", None, (f"{right(i)}/30",), impairment),
                ),
            )
            for i in range(count - 1)
        ),
    )


def left(link: int) -> str:
    """The address at the left end of a chain's link."""
    return f"10.0.{link // 64}.{link % 64 * 4 + 1}"


def right(link: int) -> str:
    """The address at the right end of a chain's link."""
    return f"10.0.{link // 64}.{link % 64 * 4 + 2}"


def route_lines(node: int, count: int) -> list[str]:
    """What one node of a chain is told, in the words of `ip -batch`."""
    lines = []
    if node < count - 1:
        lines.append(f"route add default via {right(node)}")
    if node > 1:
        lines.append(f"route add {left(0)} via {left(node - 1)}")
    return lines


def routes(node: int, count: int) -> str:
    """The command that sets the routes of a chain's node."""
    lines = "\\n".join(route_lines(node, count))
    return f"printf '{lines}\\n' | ip -batch -"


def first_command() -> Sample:
    """From nothing to the end of the first command in a world of one node."""
    watch = Stopwatch()
    with World(LabSpec("one", nodes=(NodeSpec("a"),)), options()) as world:
        result = world.node("a").run("true")
        wall_s = watch.lap_s()
    assert result.ok
    return watch.stop(wall_s=wall_s)


def run_chain(count: int) -> Sample:
    """From nothing to an answer from the other end of a chain."""
    spec = chain(count)
    watch = Stopwatch()
    with World(spec, options()) as world:
        began_ns = world.now_ns
        result = world.node("n0").run(f"ping -c 1 -W 10 {right(count - 2)}")
        wall_s = watch.lap_s()
        virtual_ns = world.now_ns - began_ns
    if not result.ok:
        raise NotHereError(f"no answer from the other end: {result.stdout.strip()}")
    return watch.stop(wall_s=wall_s, virtual_ns=virtual_ns)


def exec_true() -> Sample:
    """The whole program, from its start to its exit."""
    return windtunnel("exec", "--", "true")[0]


def demo() -> Sample:
    """The demo, as `make demo` runs it."""
    with tempfile.TemporaryDirectory() as folder:
        sample, text = windtunnel(
            "run", "examples/ospf-ring/lab.yaml", "--json", "--output", f"{folder}/run"
        )
    end_ns = last_json(text)["end_ns"]
    assert isinstance(end_ns, int)
    return Sample(sample.wall_s, None, sample.guest_cpu_s, end_ns)


def ping_deviation() -> Sample:
    """How far the worst of a hundred pings over 10 ms is from 20.000 ms, in microseconds."""
    watch = Stopwatch()
    with World(chain(2, delay_ns=10_000_000), options()) as world:
        node = world.node("n0")
        node.run(f"ping -c 1 {right(0)}")  # asks for the hardware address, and so takes longer
        result = node.run(f"ping -c 100 -i 1 {right(0)}")
    found = re.search(r" = ([\d.]+)/[\d.]+/([\d.]+)/", result.stdout)
    if not result.ok or found is None or "100 received" not in result.stdout:
        raise NotHereError(result.stdout.strip() or result.stderr.strip())
    worst_ms = max(abs(float(text) - 20) for text in found.groups())
    return watch.stop(virtual_ns=result.duration_ns, value=round(worst_ms * 1000, 1))


def cost(what: str, count: int) -> Sample:
    """Host microseconds of one system call, or of one fork+exec+wait, in a node.

    The guest's own clock knows nothing of them: the same program is run with and
    without its loop, and the host's clock tells the difference.
    """
    if shutil.which("cc") is None:
        raise NotHereError("there is no C compiler")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "cost"
        subprocess.run(["cc", "-O2", "-static", "-o", program, COST_SOURCE], check=True)
        content = program.read_bytes()
    watch = Stopwatch()
    with World(LabSpec("cost", nodes=(NodeSpec("a"),)), options()) as world:
        node = world.node("a")
        node.write_file(COST, content, mode=0o755)
        took_s = []
        for loops in (0, 0, count):  # the first warms up
            lap = Stopwatch()
            result = node.run([COST, what, str(loops)])
            took_s.append(lap.lap_s())
            if not result.ok:
                raise NotHereError(f"{what}: {result.stderr.strip()}")
    return watch.stop(value=round((took_s[2] - took_s[1]) / count * 1e6, 2))


def idle_hour() -> Sample:
    """An hour in which nobody does anything, in a world of two nodes."""
    with World(chain(2), options()) as world:
        world.sleep("1 min")
        lap = Stopwatch()
        world.sleep("1 h")
        wall_s = lap.lap_s()
        whole = Stopwatch()
    # The guest's processor time is known when it has ended: that of the start is in it.
    ended = whole.stop()
    return Sample(wall_s, None, ended.guest_cpu_s, 3600 * 10**9)


def import_time() -> Sample:
    """What `import windtunnel` adds to a start of Python."""
    bare, _ = of_process([sys.executable, "-c", ""])
    full, _ = of_process([sys.executable, "-c", "import windtunnel"])
    return Sample(full.wall_s, None, full.guest_cpu_s, None, round(full.wall_s - bare.wall_s, 4))


ROWS = (
    Row("first-command", "first command in a fresh world of one node", first_command, target=0.5),
    Row("exec-true", "windtunnel exec -- true, the whole process", exec_true, target=0.4),
    Row("import", "import windtunnel", import_time, unit="s more"),
    Row("ping", "worst of 100 pings over 10 ms, off 20.000 ms", ping_deviation, 1, 5, "us"),
    Row("idle-hour", "a virtual hour of two idle nodes", idle_hour, 3),
    Row("syscall", "one getppid in a node", lambda: cost("syscall", 100_000), 3, unit="us"),
    Row(
        "fork-exec", "fork, exec of itself (static), wait", lambda: cost("exec", 500), 3, unit="us"
    ),
    Row("fork-true", "fork, exec /bin/true, wait", lambda: cost("true", 500), 3, unit="us"),
    Row("chain-100", "100 nodes in a chain, routes, ping end to end", lambda: run_chain(100), 3, 4),
    Row("chain-200", "200 nodes in a chain, routes, ping end to end", lambda: run_chain(200), 1),
    Row("ospf-ring", "the demo: six FRR routers, a cut, an hour", demo, 1, 25),
)
