# SPDX-License-Identifier: Apache-2.0
import base64

from windtunnel.model.cpu import CpuSpec
from windtunnel.model.impairment import Distribution, Impairment
from windtunnel.model.lab import CaptureSpec, Command, Expectation, LinkChange, Outcome, TextMatch

LAYERS = """
name: x
defaults:
  sysctls: {net.ipv4.ip_forward: 0, net.core.somaxconn: 1}
  env: {WHO: default}
  exec: [one]
  vars: {area: 0, list: [a], deep: {p: 1, q: 1}}
  cpu: {syscall_cost: 1 us, speed: 0.5}
kinds:
  base: {exec: [two], env: {WHO: base}, files: {/etc/motd: from base}}
  leaf: {extends: base, exec: [three], vars: {deep: {q: 2}}, run: [{cmd: /usr/sbin/zebra -A x}]}
groups:
  g1: {exec: [four], env: {WHO: g1}}
  g2: {exec: [five], env: {WHO: g2}, cpu: {syscall_cost: 2 us, packet_cost: 3 us}}
nodes:
  n: {kind: leaf, groups: [g1, g2], exec: [six], sysctls: {net.ipv4.ip_forward: 1},
      vars: {list: [b]}, files: {/etc/motd: from n}, run: [{cmd: zebra}]}
  plain:
  r: {kind: router}
"""


def test_layers_merge_from_defaults_over_kinds_and_groups_to_the_node(load):
    node, plain, router = load(LAYERS).nodes
    assert node.exec == ("one", "two", "three", "four", "five", "six")
    assert node.env == (("WHO", "g2"),)
    assert node.sysctls == (("net.ipv4.ip_forward", "1"), ("net.core.somaxconn", "1"))
    assert [(file.path, file.content) for file in node.files] == [("/etc/motd", b"from n")]
    assert node.cpu == CpuSpec(syscall_cost_ns=2000, packet_cost_ns=3000, speed=0.5)
    assert plain.cpu == CpuSpec(syscall_cost_ns=1000, speed=0.5)
    assert plain.env == (("WHO", "default"),)
    assert dict(router.sysctls)["net.ipv4.ip_forward"] == "1"
    assert dict(router.sysctls)["net.ipv6.conf.all.forwarding"] == "1"


def test_vars_merge_deeply_and_lists_append(load):
    text = LAYERS.replace(
        "exec: [six]", 'exec: ["{{ vars.deep }} {{ vars.list }} {{ vars.area }}"]'
    )
    assert load(text).nodes[0].exec[-1] == "{'p': 1, 'q': 2} ['a', 'b'] 0"


def test_processes_without_name_get_that_of_their_program(load):
    names = [(process.node, process.name) for process in load(LAYERS).processes]
    assert names == [("n", "zebra"), ("n", "zebra-2")]


def test_a_directory_gives_all_its_files_and_a_single_file_wins(load):
    files = {
        "shared/etc/motd": b"shared\n",
        "shared/run.sh": b"#!/bin/sh\n",
        "h1/etc/motd": b"own\n",
        "h1/etc/raw": b"\xff\x00",
    }
    lab = load(
        "name: x\ndefaults: {files: ./shared}\nnodes: {h1: {files: h1/}, h2: {files: "
        "{/opt/: {source: h1, owner: daemon}}}}\n",
        files,
    )
    found = {
        node.name: [(file.path, file.content, file.mode, file.owner) for file in node.files]
        for node in lab.nodes
    }
    assert found == {
        "h1": [
            ("/etc/motd", b"own\n", 0o644, "root"),
            ("/run.sh", b"#!/bin/sh\n", 0o755, "root"),
            ("/etc/raw", b"\xff\x00", 0o644, "root"),
        ],
        "h2": [
            ("/etc/motd", b"shared\n", 0o644, "root"),
            ("/run.sh", b"#!/bin/sh\n", 0o755, "root"),
            ("/opt/etc/motd", b"own\n", 0o644, "daemon"),
            ("/opt/etc/raw", b"\xff\x00", 0o644, "daemon"),
        ],
    }


def test_a_file_comes_from_any_of_its_origins(load):
    encoded = base64.b64encode(b"\x00\x01").decode()
    lab = load(
        f"""
name: x
nodes:
  h:
    vars: {{port: 80}}
    files:
      /a: "{{{{ not a template }}}}"
      /b: {{template: "port {{{{ vars.port }}}}\\n", mode: "0600", owner: "www:www"}}
      /c: {{template_file: t.j2}}
      /d: {{source: ./conf/../raw}}
      /e: {{base64: "{encoded}"}}
""",
        {"t.j2": b"{% for n in nodes %}{{ n }} {% endfor %}", "raw": b"{{ raw }}"},
    )
    files = {file.path: (file.content, file.mode, file.owner) for file in lab.nodes[0].files}
    assert files == {
        "/a": (b"{{ not a template }}", 0o644, "root"),
        "/b": (b"port 80\n", 0o600, "www:www"),
        "/c": (b"h ", 0o644, "root"),
        "/d": (b"{{ raw }}", 0o644, "root"),
        "/e": (b"\x00\x01", 0o644, "root"),
    }


TEMPLATE = """\
{{ lab.name }} {{ lab.seed }} {{ node.name }} {{ node.number }} {{ node.loopback }}
{{- ' ' }}{{ node.loopback6 }}
{% for i in node.interfaces %}
{{ i.name }} {{ i.ip }} {{ i.address }} {{ i.subnet }} {{ i.ip6 }} {{ i.address6 }}
{{- ' ' }}{{ i.subnet6 }} {{ i.link or i.network }} {{ i.mtu }} {{ i.peers | length }}
{{- ' ' }}{{ i.peer.node if i.peer else '-' }}
{% endfor %}
{{ nodes.b.interface.eth0.ip }} {{ links[0].name }}
"""


def test_a_template_sees_the_node_its_interfaces_and_the_lab(load):
    lab = load(
        "name: x\nseed: 7\nnodes: {a: {addresses: [1.1.1.1/32, '2001:db8::1/128'], "
        "files: {/t: {template_file: t}}}, b: }\nnetworks: {lan: {members: [a], mtu: 9000}}\n"
        "links: [[a, b]]\n",
        {"t": TEMPLATE.encode()},
    )
    assert lab.nodes[0].files[0].content.decode() == (
        "x 7 a 1 1.1.1.1 2001:db8::1\n"
        "eth0 10.128.0.1/24 10.128.0.1 10.128.0.0/24 fd00:1:0:1::1/64 fd00:1:0:1::1"
        " fd00:1:0:1::/64 lan 9000 0 -\n"
        "eth1 10.0.0.1/30 10.0.0.1 10.0.0.0/30 fd00:0:0:1::1/64 fd00:0:0:1::1"
        " fd00:0:0:1::/64 a-b 1500 1 b\n"
        "10.0.0.2/30 a-b\n"
    )


ACTIONS = """
name: x
nodes: {a: {vars: {target: b}}, b: }
links: [{endpoints: [a, b], delay: 10 ms, loss: 1%, backward: {delay: 5 ms}}]
run:
  - {node: a, cmd: "ping {{ vars.target }}", start: 1 s, env: {N: 3}, timeout: 5 s, expect: killed}
  - {node: a, cmd: "X=1 exec /bin/sleep ${#x}", expect: {exited: 2, stdout: {json: {a: 1}}}}
  - {node: b, cmd: sleep 9, expect: {stdout: done}}
steps:
  - {at: 3 s, node: a, wait_for: "ip route get {{ nodes.b.interface.eth0.address }}",
     match: {regex: via}, within: 4 s, every: 100 ms, name: healed}
  - {at: 2 s, link: a-b, set: {rate: 1 Mbit, backward: {jitter: 1 ms, distribution: pareto}}}
  - {at: 1 s, link: a-b, down: true}
  - {at: 1 s, link: a-b, up: true}
  - {at: 1 s, link: a-b, down: true, check: false}
  - {at: 2 s, link: a-b, set: {delay: 1 ms, rate: unlimited, queue: 10}}
  - {at: 4 s, node: b, cmd: "true", match: yes, exited: any}
validate:
  - {node: a, cmd: ip route, text: via, within: 1 s}
  - {node: a, cmd: ip route, exited: 1}
capture: ["a:eth0", {node: b, interface: lo, filter: icmp}]
"""


def test_processes_have_their_times_and_expectations(load):
    ping, sleep, other = load(ACTIONS).processes
    assert (ping.name, ping.command, ping.start_ns) == ("ping", "ping b", 1_000_000_000)
    assert (ping.env, ping.timeout_ns) == ((("N", "3"),), 5_000_000_000)
    assert ping.expect == Expectation(Outcome.KILLED)
    assert (sleep.name, sleep.command) == ("sleep", "X=1 exec /bin/sleep ${#x}")
    assert sleep.expect == Expectation(Outcome.EXITED, 2, TextMatch(json={"a": 1}))
    assert other.expect == Expectation(None, 0, TextMatch(text="done"))


def test_steps_are_in_the_order_of_time_and_have_names(load):
    steps = load(ACTIONS).steps
    assert [(step.at_ns // 10**9, step.name, step.check) for step in steps] == [
        (1, "a-b down", True),
        (1, "a-b up", True),
        (1, "a-b down 2", False),
        (2, "a-b set backward rate", True),
        (2, "a-b set delay queue rate", True),
        (3, "healed", True),
        (4, "b: true", True),
    ]
    assert steps[5].action == Command(
        node="a",
        command="ip route get 10.0.0.2",
        match=TextMatch(regex="via"),
        within_ns=4_000_000_000,
        every_ns=100_000_000,
    )
    assert steps[6].action == Command("b", "true", TextMatch(text="yes"), status=None)


def test_a_set_keeps_what_it_does_not_name(load):
    steps = load(ACTIONS).steps
    assert steps[3].action == LinkChange(
        "a-b",
        impairment=Impairment(delay_ns=10_000_000, loss=0.01, rate_bps=1_000_000),
        backward=Impairment(
            delay_ns=5_000_000,
            jitter_ns=1_000_000,
            distribution=Distribution.PARETO,
            loss=0.01,
            rate_bps=1_000_000,
        ),
    )
    assert steps[4].action == LinkChange(
        "a-b",
        impairment=Impairment(delay_ns=1_000_000, loss=0.01, queue_packets=10),
        backward=Impairment(
            delay_ns=1_000_000,
            jitter_ns=1_000_000,
            distribution=Distribution.PARETO,
            loss=0.01,
            queue_packets=10,
        ),
    )


def test_validations_and_captures_are_those_of_the_file(load):
    lab = load(ACTIONS)
    assert [(step.name, step.action) for step in lab.validations] == [
        (
            "a: ip route",
            Command("a", "ip route", TextMatch(text="via"), within_ns=1_000_000_000),
        ),
        ("a: ip route 2", Command("a", "ip route", status=1)),
    ]
    assert lab.captures == (CaptureSpec("a", "eth0"), CaptureSpec("b", "lo", "icmp"))


def test_a_kind_may_redefine_a_built_in_one(load):
    lab = load("name: x\nkinds: {router: {env: {A: b}}}\nnodes: {r: {kind: router}}")
    assert (lab.nodes[0].env, lab.nodes[0].sysctls) == ((("A", "b"),), ())
