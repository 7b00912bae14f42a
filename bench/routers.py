# SPDX-License-Identifier: Apache-2.0
"""Twenty FRR routers in a ring, each with a kernel of its own: how long they and an hour take."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from bench.measure import REPOSITORY, NotHereError, Row, Sample, last_json, windtunnel

ROUTERS = 20
TEMPLATE = REPOSITORY / "examples" / "ospf-ring" / "ospfd.conf.j2"
LAB = """\
name: routers
seed: 42
stop: {stop}
link-defaults: {{delay: 5 ms}}
kinds:
  frr:
    kernel: own
    memory: 128 MiB
    sysctls: {{net.ipv4.ip_forward: 1}}
    files:
      /etc/frr/zebra.conf: {{content: "hostname zebra\\n", owner: "frr:frr", mode: "0640"}}
      /etc/frr/ospfd.conf: {{template_file: ospfd.conf.j2, owner: "frr:frr", mode: "0640"}}
      /etc/frr/vtysh.conf: {{content: "", owner: "frr:frrvty", mode: "0640"}}
    exec:
      - install -d -o frr -g frr -m 755 /run/frr
    run:
      - name: zebra
        cmd: echo 50000 > /proc/self/timerslack_ns; exec /usr/lib/frr/zebra -A 127.0.0.1
        expect: running
      - name: ospfd
        cmd: echo 50000 > /proc/self/timerslack_ns; exec /usr/lib/frr/ospfd -A 127.0.0.1
        start: 100 ms
        expect: running
nodes:
{nodes}
links:
{links}
"""
CHECK = """\
validate:
  - name: the other side of the ring answers
    node: r1
    cmd: ping -c 1 -W 1 1.1.1.{middle}
    regex: 1 received
"""


def lab(stop: str, *, checked: bool) -> str:
    """The lab file."""
    nodes = (f"  r{at}: {{kind: frr, addresses: [1.1.1.{at}/32]}}" for at in range(1, ROUTERS + 1))
    links = (f"  - [r{at}, r{at % ROUTERS + 1}]" for at in range(1, ROUTERS + 1))
    text = LAB.format(stop=stop, nodes="\n".join(nodes), links="\n".join(links))
    return text + CHECK.format(middle=ROUTERS // 2 + 1) if checked else text


def run(stop: str, parallel: int, *, checked: bool = True) -> Sample:
    """Run the lab as a user does; its wall time is that of the whole command."""
    if not Path("/usr/lib/frr/ospfd").exists():
        raise NotHereError("there is no FRR: apt install frr")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy2(TEMPLATE, folder)
        file = Path(folder) / "lab.yaml"
        file.write_text(lab(stop, checked=checked))
        sample, text = windtunnel(
            "run", str(file), "--parallel", str(parallel), "--json", "--output", f"{folder}/run"
        )
    end_ns = last_json(text)["end_ns"]
    assert isinstance(end_ns, int)
    return Sample(sample.wall_s, None, sample.guest_cpu_s, end_ns)


def speed_up() -> Sample:
    """Five minutes on one lane and on two: the second's wall time as a part of the first's."""
    one, two = run("5 min", 1), run("5 min", 2)
    note = f", {one.wall_s:.1f} s and {two.wall_s:.1f} s: {one.wall_s / two.wall_s:.2f} x faster"
    value = round(two.wall_s / one.wall_s, 3)
    return Sample(two.wall_s, None, two.guest_cpu_s, two.virtual_ns, value, note)


ROWS = (
    Row(
        "routers-up",
        f"{ROUTERS} FRR routers with kernels of their own, to lab time 0",
        lambda: run("200 ms", 2, checked=False),
        3,
        20,
    ),
    Row("routers-hour", "the same routers, an hour of OSPF", lambda: run("1 h", 2), 1, 600),
    Row("routers-parallel", "the same, --parallel 2 against 1", speed_up, 1, 1 / 1.5, "of 1"),
)
