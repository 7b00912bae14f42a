# SPDX-License-Identifier: Apache-2.0
"""Everything that can be wrong with a lab file: message, place, hint."""

import pytest

HEAD = "name: x\nstop: 60 s\nnodes: {r1: , r2: , host: }\n"

# The part after HEAD begins at line 4.
WRONG = {
    "an unknown key has its near miss": (
        "linkz: []",
        "lab.yaml:4:1: unknown key 'linkz'\n  did you mean 'links'?",
    ),
    "an unknown key deep inside": (
        "links: [{endpoints: [r1, r2], dely: 10 ms}]",
        "lab.yaml:4:31: unknown key 'dely' in links.0\n  did you mean 'delay'?",
    ),
    "an unknown key of a kind": (
        "kinds: {k: {sysctl: {}}}",
        "lab.yaml:4:13: unknown key 'sysctl' in kinds.k\n  did you mean 'sysctls'?",
    ),
    "a missing key": (
        "run: [{cmd: ls}]",
        "lab.yaml:4:7: the key 'node' is missing in run.0\n  add 'node: …'",
    ),
    "a value of the wrong kind": (
        "seed: many",
        "lab.yaml:4:7: seed must be a whole number, not 'many'",
    ),
    "a quantity without unit": (
        "links: [{endpoints: [r1, r2], delay: 10}]",
        (
            "lab.yaml:4:38: the duration '10' has no unit\n"
            "  write for example '10 ms'; the units are ns, us, µs, ms, s, min, h, d"
        ),
    ),
    "a share without percent sign": (
        "links: [{endpoints: [r1, r2], loss: 0.1}]",
        "lab.yaml:4:37: the share '0.1' has no percent sign\n  write '0.1%' or '10%'",
    ),
    "a mode without quotes": (
        "defaults: {files: {/x: {content: a, mode: 0644}}}",
        "lab.yaml:4:43: 644 is not a file mode\n  write it in quotes: mode: '0644'",
    ),
    "a file with two origins": (
        "defaults: {files: {/x: {content: a, source: b}}}",
        (
            "lab.yaml:4:24: a file needs one of content, template, template_file, source, base64, "
            "and this one has content and source"
        ),
    ),
    "an environment value that YAML would change": (
        "defaults: {env: {V: 1.10}}",
        "lab.yaml:4:21: 1.1 is not text\n  put it in quotes: '1.1'",
    ),
    "a step without action": (
        "steps: [{at: 1 s, node: r1}]",
        (
            "lab.yaml:4:9: a step does one thing, and this one has none\n"
            "  give one of down, up, set, cmd, wait_for"
        ),
    ),
    "a step of a link on a node": (
        "steps: [{at: 1 s, node: r1, down: true}]",
        "lab.yaml:4:9: a step with 'down' needs the key 'link', and not 'node'\n  write 'link: …'",
    ),
    "a wait without limit": (
        "steps: [{at: 1 s, node: r1, wait_for: ls}]",
        "lab.yaml:4:9: wait_for and within belong together\n  write 'wait_for: …, within: 30 s'",
    ),
    "results of tests that are none": (
        "steps: [{at: 1 s, node: r1, wait_for: ls, within: 1 s, junit: /tmp/x.xml}]",
        (
            "lab.yaml:4:9: junit is about the tests of a cmd, and this step has 'wait_for'\n"
            "  write 'cmd: …, junit: /tmp/results.xml'"
        ),
    ),
    "results of tests without a folder": (
        "steps: [{at: 1 s, node: r1, cmd: ls, junit: x.xml}]",
        (
            "lab.yaml:4:45: 'x.xml' is not an absolute path of a file\n"
            "  write it like '/tmp/results.xml'"
        ),
    ),
    "an expectation that is none": (
        "run: [{node: r1, cmd: ls, expect: fine}]",
        (
            "lab.yaml:4:35: 'fine' is no expectation\n"
            "  write 'exited 0', 'running', 'killed', or {exited: 0, stdout: …}"
        ),
    ),
    "a link to a node that does not exist": (
        "links: [[r1, hots]]",
        "lab.yaml:4:14: no node 'hots'\n  did you mean 'host'?",
    ),
    "a network with a node that does not exist": (
        "networks: {lan: {members: [r1, 'rr2:eth0']}}",
        "lab.yaml:4:32: no node 'rr2'\n  did you mean 'r2'?",
    ),
    "a colon without interface": (
        "links: [['r1:', r2]]",
        "lab.yaml:4:10: 'r1:' names no interface\n  write 'r1' or 'r1:eth0'",
    ),
    "an unknown kind": (
        "kinds: {frr: {}}\ndefaults: {}\ngroups: {a: {}}\nnodes2: 1",
        "lab.yaml:7:1: unknown key 'nodes2'\n  did you mean 'nodes'?",
    ),
    "kinds in a circle": (
        "kinds: {a: {extends: b}, b: {extends: c}, c: {extends: a}}",
        (
            "lab.yaml:4:22: the kinds extend each other in a circle: a -> b -> c -> a\n"
            "  remove one extends"
        ),
    ),
    "a kind that extends itself": (
        "kinds: {a: {extends: a}}",
        "lab.yaml:4:22: the kinds extend each other in a circle: a -> a\n  remove one extends",
    ),
    "a kind that extends nothing known": (
        "kinds: {a: {extends: rooter}}",
        "lab.yaml:4:22: no kind 'rooter'\n  did you mean 'router'?",
    ),
    "a sysctl that is none": (
        "defaults: {sysctls: {ip_forward: 1}}",
        (
            "lab.yaml:4:22: 'ip_forward' is not the name of a sysctl\n"
            "  write it like 'net.ipv4.ip_forward'"
        ),
    ),
    "a sysctl of an unknown tree": (
        "defaults: {sysctls: {nte.ipv4.ip_forward: 1}}",
        "lab.yaml:4:22: no sysctl begins with 'nte'\n  did you mean 'net.ipv4.ip_forward'?",
    ),
    "an environment variable that is none": (
        "defaults: {env: {A-B: x}}",
        (
            "lab.yaml:4:18: 'A-B' cannot name an environment variable\n"
            "  use letters, digits and '_', no digit in front"
        ),
    ),
    "a file that is no path": (
        "defaults: {files: {etc/x: a}}",
        (
            "lab.yaml:4:20: 'etc/x' is not an absolute path of a file\n"
            "  write it like '/etc/frr/frr.conf', without '..'"
        ),
    ),
    "an owner that is none": (
        "defaults: {files: {/x: {content: a, owner: a b}}}",
        "lab.yaml:4:44: 'a b' is no owner\n  write 'user' or 'user:group'",
    ),
    "an empty command": (
        "defaults: {exec: [ls, '']}",
        "lab.yaml:4:23: the command is empty\n  write a shell command line",
    ),
    "two interfaces of one name": (
        "links: [['r1:eth1', r2], ['r1:eth1', r2]]",
        (
            "lab.yaml:4:27: the node 'r1' has two interfaces 'eth1'\n"
            "  the other one is at lab.yaml:4:10; give one of them another name"
        ),
    ),
    "an interface name that is too long": (
        "links: [['r1:interface-number-1', r2]]",
        (
            "lab.yaml:4:10: 'interface-number-1' cannot name an interface\n"
            "  it has 18 bytes, and Linux takes 15"
        ),
    ),
    "an interface name with a slash": (
        "links: [['r1:a/b', r2]]",
        "lab.yaml:4:10: 'a/b' cannot name an interface\n  use letters, digits, '-', '_' and '.'",
    ),
    "an interface name that Linux uses": (
        "links: [['r1:lo', r2]]",
        "lab.yaml:4:10: 'lo' cannot name an interface\n  Linux has its own use for that name",
    ),
    "two links of one name": (
        "links: [{name: a, endpoints: [r1, r2]}, {name: a, endpoints: [r1, r2]}]",
        (
            "lab.yaml:4:48: there are two of the link 'a'\n"
            "  the other one is at lab.yaml:4:16; rename one"
        ),
    ),
    "a link name that is none": (
        "links: [{name: a/b, endpoints: [r1, r2]}]",
        "lab.yaml:4:16: 'a/b' cannot name a link\n  use letters, digits, '-', '_' and '.'",
    ),
    "an address twice": (
        "links: [{endpoints: [r1, r2], ip: [10.5.0.1/24, 10.5.0.1/24]}]",
        (
            "lab.yaml:4:49: the address 10.5.0.1 of r2:eth0 is also that of r1:eth0\n"
            "  the other one is at lab.yaml:4:36; change one of the two"
        ),
    ),
    "an address without prefix length": (
        "links: [{endpoints: [r1, r2], ip: [10.5.0.1, 10.5.0.2/24]}]",
        "lab.yaml:4:36: the address 10.5.0.1 has no prefix length\n  write it like 10.5.0.1/24",
    ),
    "an address that is none": (
        "links: [{endpoints: [r1, r2], ip: [10.5.0.300/24, 10.5.0.2/24]}]",
        (
            "lab.yaml:4:36: '10.5.0.300/24' is not an address: '10.5.0.300' does not appear to be "
            "an IPv4 or IPv6 address\n  write it like 10.0.0.1/30 or fd00::1/64"
        ),
    ),
    "an address that is the network": (
        "links: [{endpoints: [r1, r2], ip: [10.5.0.0/30, 10.5.0.2/30]}]",
        "lab.yaml:4:36: 10.5.0.0/30 is the network itself\n  the first host is 10.5.0.1",
    ),
    "an address that is for broadcasts": (
        "links: [{endpoints: [r1, r2], ip: [10.5.0.3/30, 10.5.0.2/30]}]",
        "lab.yaml:4:36: 10.5.0.3/30 is the broadcast address\n  the last host is 10.5.0.2",
    ),
    "an address of a group": (
        "links: [{endpoints: [r1, r2], ip: [224.0.0.5/24, 10.5.0.2/30]}]",
        "lab.yaml:4:36: no interface can have the address 224.0.0.5/24\n  use a unicast address",
    ),
    "three addresses for two ends": (
        "links: [{endpoints: [r1, r2], ip: [10.5.0.1/30]}]",
        (
            "lab.yaml:4:35: a link has two ends, and ip has 1 entry\n"
            "  give two, [] for an end without addresses, or 'ip: []' for none at all"
        ),
    ),
    "overlapping subnets": (
        (
            "links: [{endpoints: [r1, r2], subnet: 10.5.0.0/16}, "
            "{endpoints: [r1, r2], subnet: 10.5.9.0/24}]"
        ),
        (
            "lab.yaml:4:83: the subnet 10.5.9.0/24 of link r1-r2-2 overlaps with 10.5.0.0/16 of "
            "link r1-r2\n  the other one is at lab.yaml:4:39; give one of the two another subnet, "
            "or leave the addresses out for automatic ones"
        ),
    ),
    "a subnet that is too small": (
        "networks: {lan: {members: [r1, r2, host], subnet: 10.5.0.0/30}}",
        (
            "lab.yaml:4:51: the subnet 10.5.0.0/30 has room for 2 interfaces, and needs it for 3\n"
            "  give it a shorter prefix length"
        ),
    ),
    "a subnet with host bits": (
        "networks: {lan: {members: [r1], subnet: 10.5.0.1/24}}",
        (
            "lab.yaml:4:41: '10.5.0.1/24' is not a subnet: 10.5.0.1/24 has host bits set\n"
            "  write it like '10.9.0.0/24'"
        ),
    ),
    "a subnet of the other family": (
        "networks: {lan: {members: [r1], subnet6: 10.5.0.0/24}}",
        (
            "lab.yaml:4:42: the subnet 10.5.0.0/24 is IPv4, and this key is for IPv6\n"
            "  use subnet for IPv4 and subnet6 for IPv6"
        ),
    ),
    "a MAC address that is none": (
        "links: [{endpoints: [r1, r2], mac: ['2:0:0:0:0:1', null]}]",
        "lab.yaml:4:37: '2:0:0:0:0:1' is not a MAC address\n  write it like 02:00:5e:10:00:01",
    ),
    "a MAC address of a group": (
        "links: [{endpoints: [r1, r2], mac: ['01:00:00:00:00:01', null]}]",
        (
            "lab.yaml:4:37: no interface can have the MAC address 01:00:00:00:00:01\n"
            "  the first byte must be even (a group address is odd), 02 is for own use"
        ),
    ),
    "a MAC address twice": (
        "links: [{endpoints: [r1, r2], mac: ['02:00:00:00:00:0a', '02:00:00:00:00:0A']}]",
        (
            "lab.yaml:4:58: the MAC address 02:00:00:00:00:0A is used twice\n"
            "  the other one is at lab.yaml:4:37; change one"
        ),
    ),
    "an mtu that is none": (
        "links: [{endpoints: [r1, r2], mtu: 20}]",
        "lab.yaml:4:36: the mtu 20 is not 68 to 65535",
    ),
    "IPv6 on a small mtu": (
        "links: [{endpoints: [r1, r2], mtu: 576, ip: ['fd05::1/64', 'fd05::2/64']}]",
        (
            "lab.yaml:4:46: fd05::1/64 on an mtu of 576\n"
            "  IPv6 needs an mtu of 1280 (RFC 8200): raise it, or leave the address out"
        ),
    ),
    "a syscall that takes too long, by defaults": (
        "defaults: {cpu: {syscall_cost: 2 ms}}",
        "lab.yaml:4:32: 2 ms for each syscall\n  give 0 ns to 1 ms",
    ),
    "a speed of nothing": (
        "defaults: {cpu: {speed: 0}}",
        (
            "lab.yaml:4:25: the speed is 0\n"
            "  give 0.01 to 100; 1 is a server's core, 0.1 a small router's"
        ),
    ),
    "more jitter than delay": (
        "links: [{endpoints: [r1, r2], delay: 1 ms, jitter: 2 ms}]",
        (
            "lab.yaml:4:52: the jitter 2 ms is more than the delay 1 ms\n"
            "  a packet cannot arrive before it was sent: raise the delay or lower the jitter"
        ),
    ),
    "more jitter than delay, by link-defaults": (
        "link-defaults: {jitter: 2 ms}\nlinks: [[r1, r2]]",
        (
            "lab.yaml:4:25: the jitter 2 ms is more than the delay 0 s\n"
            "  a packet cannot arrive before it was sent: raise the delay or lower the jitter"
        ),
    ),
    "reorder without delay": (
        "links: [{endpoints: [r1, r2], backward: {reorder: 1%}}]",
        (
            "lab.yaml:4:51: reorder without delay changes nothing\n"
            "  reordered packets are sent at once instead of after the delay: give a delay"
        ),
    ),
    "an empty queue": (
        "links: [{endpoints: [r1, r2], queue: 0}]",
        "lab.yaml:4:38: a queue of 0 packets\n  give 1 or more",
    ),
    "a negative time": (
        "steps: [{at: -5 s, node: r1, cmd: ls}]",
        "lab.yaml:4:14: the duration '-5 s' is negative\n  a duration is 0 or more",
    ),
    "a step after the end": (
        "steps: [{at: 61 s, node: r1, cmd: ls}]",
        (
            "lab.yaml:4:14: the step is at 61 s, and the lab stops at 1 min\n"
            "  make it earlier, or stop the lab later"
        ),
    ),
    "a process after the end": (
        "run: [{start: 2 min, node: r1, cmd: ls}]",
        (
            "lab.yaml:4:15: the start is at 2 min, and the lab stops at 1 min\n"
            "  make it earlier, or stop the lab later"
        ),
    ),
    "a wait beyond the end": (
        "steps: [{at: 50 s, node: r1, wait_for: ls, within: 20 s}]",
        (
            "lab.yaml:4:52: the wait may last until 70 s, and the lab stops at 1 min\n"
            "  wait at most 10 s, or stop the lab later"
        ),
    ),
    "a step of an unknown link": (
        "links: [[r1, r2]]\nsteps: [{at: 1 s, link: r2-r1, down: true}]",
        "lab.yaml:5:25: no link 'r2-r1'\n  did you mean 'r1-r2'?",
    ),
    "a step on an unknown node": (
        "steps: [{at: 1 s, node: r9, cmd: ls}]",
        "lab.yaml:4:25: no node 'r9'\n  the nodes are host, r1, r2",
    ),
    "a process on an unknown node": (
        "run: [{node: router, cmd: ls}]",
        "lab.yaml:4:14: no node 'router'\n  the nodes are host, r1, r2",
    ),
    "a validation on an unknown node": (
        "validate: [{node: hosts, cmd: ls}]",
        "lab.yaml:4:19: no node 'hosts'\n  did you mean 'host'?",
    ),
    "a capture of an unknown node": (
        "capture: ['r3:eth0']",
        "lab.yaml:4:11: no node 'r3'\n  the nodes are host, r1, r2",
    ),
    "a capture of an unknown interface": (
        "links: [[r1, r2]]\ncapture: [{node: r1, interface: eth7}]",
        "lab.yaml:5:33: the node 'r1' has no interface 'eth7'\n  did you mean 'eth0'?",
    ),
    "a capture without interface": (
        "capture: [r1]",
        "lab.yaml:4:11: 'r1' names no interface\n  write 'r1:eth0'",
    ),
    "two processes of one name": (
        "run: [{node: r1, name: a, cmd: ls}, {node: r1, name: a, cmd: ls}]",
        (
            "lab.yaml:4:54: there are two of the process 'a of node r1'\n"
            "  the other one is at lab.yaml:4:24; rename one"
        ),
    ),
    "two steps of one name": (
        "steps: [{at: 1 s, name: a, node: r1, cmd: ls}]\nvalidate: [{name: a, node: r1, cmd: ls}]",
        (
            "lab.yaml:5:19: there are two of the step 'a'\n"
            "  the other one is at lab.yaml:4:25; rename one"
        ),
    ),
    "a regular expression that is none": (
        "validate: [{node: r1, cmd: ls, regex: '('}]",
        (
            "lab.yaml:4:39: '(' is not a regular expression: missing ), unterminated subpattern at "
            "position 0\n  the syntax is that of Python's re"
        ),
    ),
    "a path that is none": (
        "validate: [{node: r1, cmd: ls, path: 'a[x]'}]",
        (
            "lab.yaml:4:38: 'a[x]' is not a path\n  write it like 'a.b[0].c', "
            "and odd names like 'a[\"10.0.0.0/8\"]'"
        ),
    ),
    "a match of nothing": (
        "steps: [{at: 1 s, node: r1, cmd: ls, match: {}}]",
        "lab.yaml:4:45: nothing to match\n  give text, regex, json or path",
    ),
    "a template with an unknown variable": (
        "defaults: {exec: ['echo {{ node.nmae }}']}",
        (
            "lab.yaml:4:19: unknown variable 'nmae' in the template of node 'r1' in line 1\n"
            "  did you mean 'name'?"
        ),
    ),
    "a file that is not there": (
        "defaults: {files: {/x: {source: ./conf/x}}}",
        (
            "lab.yaml:4:33: cannot read the file 'conf/x': No such file or directory\n"
            "  paths are relative to the lab file"
        ),
    ),
    "a directory that is not there": (
        "defaults: {files: ./h1}",
        (
            "lab.yaml:4:19: cannot read the directory './h1': No such file or directory\n"
            "  paths are relative to the lab file"
        ),
    ),
    "content that is no base64": (
        "defaults: {files: {/x: {base64: '*'}}}",
        "lab.yaml:4:33: not base64: Only base64 data is allowed",
    ),
    "two interfaces of one name on a network": (
        "networks: {lan: {members: ['r1:eth0', {endpoint: 'r1:eth0', ip: []}]}}",
        (
            "lab.yaml:4:50: the node 'r1' has two interfaces 'eth0'\n"
            "  the other one is at lab.yaml:4:28; give one of them another name"
        ),
    ),
    "an address twice on a network": (
        (
            "networks: {lan: {members: [{endpoint: r1, ip: 10.5.0.1/24}, "
            "{endpoint: r2, ip: [10.5.0.1/24]}]}}"
        ),
        (
            "lab.yaml:4:81: the address 10.5.0.1 of r2:eth0 is also that of r1:eth0\n"
            "  the other one is at lab.yaml:4:47; change one of the two"
        ),
    ),
    "more jitter than delay for a member": (
        "networks: {lan: {delay: 1 ms, members: [{endpoint: r1, jitter: 2 ms}]}}",
        (
            "lab.yaml:4:64: the jitter 2 ms is more than the delay 1 ms\n"
            "  a packet cannot arrive before it was sent: raise the delay or lower the jitter"
        ),
    ),
    "more jitter than delay on a network": (
        "networks: {lan: {jitter: 2 ms, members: [r1]}}",
        (
            "lab.yaml:4:26: the jitter 2 ms is more than the delay 0 s\n"
            "  a packet cannot arrive before it was sent: raise the delay or lower the jitter"
        ),
    ),
    "an mtu of a network that is none": (
        "networks: {lan: {mtu: 99999}}",
        "lab.yaml:4:23: the mtu 99999 is not 68 to 65535",
    ),
    "a network name that is none": (
        "networks: {a/b: {}}",
        "lab.yaml:4:12: 'a/b' cannot name a network\n  use letters, digits, '-', '_' and '.'",
    ),
    "an empty step": (
        "steps: [{at: 1 s, node: r1, wait_for: ' ', within: 1 s}]",
        "lab.yaml:4:39: the command is empty\n  write a shell command line",
    ),
    "a mapping where text should be": (
        "nodes2: 1\nroot: {a: b}",
        "lab.yaml:5:7: root must be text, not a mapping",
    ),
    "a list where a mapping should be": (
        "kinds: [a, b]",
        "lab.yaml:4:8: kinds must be a mapping, not a list of 2",
    ),
    "nothing where a list should be": (
        "links:",
        "lab.yaml:4:7: links must be a list, not empty",
    ),
    "a number where text should be": (
        "defaults: {exec: [7]}",
        "lab.yaml:4:19: defaults.exec.0 must be text, not 7\n  put it in quotes",
    ),
    "one end of a link": (
        "links: [[r1]]",
        (
            "lab.yaml:4:9: links.0.endpoints: List should have at least 2 items after validation, "
            "not 1, and it is a list of 1"
        ),
    ),
    "a directory without source": (
        "defaults: {files: {/etc/: text}}",
        "lab.yaml:4:27: '/etc/' is a directory\n  give a source, or a path of a file",
    ),
    "a root that is no path": (
        "root: debian",
        "lab.yaml:4:7: the root 'debian' is not an absolute path",
    ),
    "too little memory": (
        "memory: 1 MiB",
        "lab.yaml:4:9: 1048576 bytes of memory are too few for a kernel\n  give at least 32 MiB",
    ),
    "a seed that is too large": (
        "seed: 18446744073709551616",
        "lab.yaml:4:7: the seed 18446744073709551616 is not 0 to 2**64 - 1",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_every_error_names_the_place_the_value_and_the_way_out(name, errors_of):
    text, message = WRONG[name]
    assert message in errors_of(HEAD + text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: ../x", "lab.yaml:1:7: '../x' cannot name a lab"),
        ("name: x\nstop: 0 s", "lab.yaml:2:7: the lab stops before it begins"),
        ("name: x\nnodes: {-r1: }", "lab.yaml:2:9: '-r1' cannot be a host name"),
        ("name: x\nnodes: {localhost: }", "lab.yaml:2:9: 'localhost' cannot be a host name"),
        ("name: x\nnodes: {r1: {kind: roter}}", "no kind 'roter'\n  did you mean 'router'?"),
        ("name: x\nnodes: {r1: {groups: [a]}}", "lab.yaml:2:23: no group 'a'"),
        ("[1, 2]", "lab.yaml:1:1: a lab file is a mapping with name, nodes, links …"),
        (
            "name: x\nnodes: {r1: {addresses: [1.1.1.1/32]}, r2: {addresses: [1.1.1.1/32]}}",
            (
                "lab.yaml:2:57: the address 1.1.1.1 of the loopback of r2 is also that of the "
                "loopback of r1\n  the other one is at lab.yaml:2:26; change one of the two"
            ),
        ),
    ],
)
def test_an_error_of_the_lab_itself_has_its_place_too(text, message, errors_of):
    assert any(message in error for error in errors_of(text))


def test_all_errors_are_reported_at_once_in_the_order_of_the_file(errors_of):
    errors = errors_of(
        HEAD + "links: [[r1, r7], [r8, r2]]\nsteps: [{at: 99 s, link: x, down: true}]\n"
        "capture: ['r1:eth9']\n"
    )
    assert [error.split(": ")[0] for error in errors] == [
        "lab.yaml:4:14",
        "lab.yaml:4:20",
        "lab.yaml:5:14",
        "lab.yaml:5:26",
        "lab.yaml:6:11",
    ]


def test_what_many_nodes_share_is_reported_once(errors_of):
    errors = errors_of(HEAD + "defaults: {exec: ['']}")
    assert len(errors) == 1


def test_a_template_file_is_named_with_its_line(errors_of):
    files = {"frr.j2": b"hostname {{ node.name }}\nrouter bgp {{ vars.asm }}\n"}
    text = "name: x\nnodes: {r1: {vars: {asn: 1}, files: {/x: {template_file: frr.j2}}}}"
    assert errors_of(text, files) == [
        "frr.j2:2: unknown variable 'asm' in the template of node 'r1'\n  did you mean 'asn'?"
    ]


def test_a_template_with_a_syntax_error_is_named_with_its_line(errors_of):
    files = {"frr.j2": b"line 1\n{% if %}\n"}
    (error,) = errors_of("name: x\nnodes: {r1: {files: {/x: {template_file: frr.j2}}}}", files)
    assert error.startswith("frr.j2:2: the template fails for node 'r1': Expected an expression")


def test_a_template_file_that_is_no_text_is_named(errors_of):
    files = {"x.j2": b"abc\xff"}
    (error,) = errors_of("name: x\nnodes: {r1: {files: {/x: {template_file: x.j2}}}}", files)
    assert error == (
        "lab.yaml:2:42: the template x.j2 is not UTF-8 text: invalid start byte at byte 3\n"
        "  use source: for a file without template"
    )


def test_a_template_that_divides_by_zero_is_an_error_of_the_lab(errors_of):
    (error,) = errors_of("name: x\nnodes: {r1: {exec: ['{{ 1 / 0 }}']}}")
    assert error == (
        "lab.yaml:2:21: the template fails for node 'r1' in line 1: division by zero\n"
        "  (ZeroDivisionError)"
    )


def test_a_template_cannot_reach_python(errors_of):
    text = "name: x\nnodes: {r1: {exec: ['{{ node.__class__.__mro__ }}']}}"
    (error,) = errors_of(text)
    assert "access to attribute '__class__' of 'NodeView' object is unsafe" in error


def test_a_lab_that_is_wrong_in_thousands_of_places_is_refused_in_seconds(errors_of):
    nodes = "".join(f"  node{i}: {{}}\n" for i in range(2_000))
    links = "".join(f"  - [nod{i}, nod{i + 1}]\n" for i in range(2_000))
    errors = errors_of(f"name: x\nnodes:\n{nodes}links:\n{links}")
    assert len(errors) == 100
    assert errors[0].startswith("lab.yaml:2004:6: no node 'nod0'\n  did you mean")
