# SPDX-License-Identifier: Apache-2.0
"""Everything that can be wrong with faults, kernels and volumes: message, place, hint."""

import pytest

HEAD = """\
name: x
stop: 60 s
nodes: {r1: {kernel: own}, r2: {kernel: own, volumes: {data: {size: 8 MB, path: /d}}}, r3: }
links: [[r1, r2], [r2, r3]]
run: [{node: r2, name: ospfd, cmd: ospfd, start: 5 s}]
"""

# What stands in the list of faults, in line 6 from column 10 on.
WRONG = {
    "a fault that does nothing": (
        "{at: 5 s}",
        [
            (
                "lab.yaml:6:10: a fault does one thing, and this one has none\n"
                "  give one of down, flap, degrade, one_way, partition, pause, off, kill, "
                "stop, restart, memory, full, errors, clock, drift"
            )
        ],
    ),
    "a fault that does two things": (
        "{at: 5 s, link: r1-r2, down: 5 s, flap: {down: 1 s, up: 1 s}}",
        [
            (
                "lab.yaml:6:10: a fault does one thing, and this one has down and flap\n"
                "  give one of down, flap, degrade, one_way, partition, pause, off, kill, "
                "stop, restart, memory, full, errors, clock, drift"
            )
        ],
    ),
    "a link's fault on a node": (
        "{at: 5 s, node: r1, down: 5 s}",
        [("lab.yaml:6:10: a fault with 'down' needs the key 'link'\n  write 'link: …'")],
    ),
    "a partition of a link": (
        "{at: 5 s, link: r1-r2, partition: [[r1]]}",
        [("lab.yaml:6:10: a fault with 'partition' names its own nodes\n  write 'partition: …'")],
    ),
    "a fault without a time": (
        "{link: r1-r2, down: 5 s}",
        [("lab.yaml:6:10: a fault begins at some time\n  write 'at: 30 s'")],
    ),
    "a time without unit": (
        "{at: 5 s, link: r1-r2, down: 5}",
        [("lab.yaml:6:39: 5 does not say how long\n  write '5 s', or true for good")],
    ),
    "a negative time": (
        "{at: 5 s, link: r1-r2, down: -5 s}",
        [("lab.yaml:6:39: the duration '-5 s' is negative\n  a duration is 0 or more")],
    ),
    "a fault that is switched off": (
        "{at: 5 s, link: r1-r2, down: false}",
        [("lab.yaml:6:39: false does not say how long\n  write '5 s', or true for good")],
    ),
    "two ways to say how long": (
        "{at: 5 s, link: r1-r2, down: 5 s, for: 5 s}",
        [("lab.yaml:6:10: 'down' and 'for' both say how long\n  keep one of them")],
    ),
    "no time in the short form": (
        "{at: 5 s, link: r1-r2, down: 0 s}",
        [("lab.yaml:6:39: the fault lasts no time\n  give it some, or none at all")],
    ),
    "no time in the long form": (
        "{at: 5 s, link: r1-r2, down: true, for: 0 s}",
        [("lab.yaml:6:50: the fault lasts no time\n  give it some, or none at all")],
    ),
    "a link the wrong way round": (
        "{at: 5 s, link: r2-r1, down: 5 s}",
        [("lab.yaml:6:26: no link 'r2-r1'\n  did you mean 'r1-r2'?")],
    ),
    "a link that does not exist": (
        "{at: 5 s, link: r1-r3, down: 5 s}",
        [("lab.yaml:6:26: no link 'r1-r3'\n  did you mean 'r2-r3'?")],
    ),
    "a fault after the stop": (
        "{at: 70 s, link: r1-r2, down: 5 s}",
        [
            (
                "lab.yaml:6:15: the fault is at 70 s, and the lab stops at 1 min\n"
                "  make it earlier, or stop the lab later"
            )
        ],
    ),
    "an unknown key": (
        "{at: 5 s, link: r1-r2, downn: 5 s}",
        [("lab.yaml:6:33: unknown key 'downn' in faults.0\n  did you mean 'down'?")],
    ),
    "a sender that is no end": (
        "{at: 5 s, link: r1-r2, one_way: r3}",
        [("lab.yaml:6:42: the link 'r1-r2' has no end at 'r3'\n  the ends are r1, r2")],
    ),
    "a flap that is longer than its time": (
        "{at: 5 s, link: r1-r2, flap: {down: 1 s, up: 1 s}, for: 1 s}",
        [
            (
                "lab.yaml:6:39: to go out and in takes 2 s, and the fault lasts 1 s\n"
                "  let it last longer, or write 'down'"
            )
        ],
    ),
    "a flap without a pause": (
        "{at: 5 s, link: r1-r2, flap: {down: 0 s, up: 1 s}}",
        [
            (
                "lab.yaml:6:39: the cable is out or in for no time\n"
                "  give both more; a link that stays out is 'down: 5 s'"
            )
        ],
    ),
    "more jitter than delay": (
        "{at: 5 s, link: r1-r2, degrade: {jitter: 1 s}}",
        [
            (
                "lab.yaml:6:51: the jitter 1 s is more than the delay 0 s\n"
                "  a packet cannot arrive before it was sent: raise the delay or lower the "
                "jitter"
            )
        ],
    ),
    "a share without percent sign": (
        "{at: 5 s, link: r1-r2, degrade: {loss: 0.1}}",
        [("lab.yaml:6:49: the share '0.1' has no percent sign\n  write '0.1%' or '10%'")],
    ),
    "a node in two groups": (
        "{at: 5 s, partition: [[r1, r2], [r2]]}",
        [
            (
                "lab.yaml:6:43: the node 'r2' is in the partition twice\n"
                "  the other one is at lab.yaml:6:37; keep one of them"
            )
        ],
    ),
    "an unknown node in a group": (
        "{at: 5 s, partition: [[r1, r4], [r2]]}",
        [("lab.yaml:6:37: no node 'r4'\n  the nodes are r1, r2, r3")],
    ),
    "an empty group": (
        "{at: 5 s, partition: [[r1], []]}",
        [("lab.yaml:6:38: the group is empty\n  name its nodes, or remove it")],
    ),
    "a group of all nodes": (
        "{at: 5 s, partition: [[r1, r2, r3]]}",
        [
            (
                "lab.yaml:6:31: the partition keeps no node from another one\n"
                "  name two groups, or leave some nodes out"
            )
        ],
    ),
    "a partition without groups": (
        "{at: 5 s, partition: []}",
        [
            (
                "lab.yaml:6:31: the partition keeps no node from another one\n"
                "  name two groups, or leave some nodes out"
            )
        ],
    ),
    "groups that are no lists": (
        "{at: 5 s, partition: [r1, r2]}",
        [
            "lab.yaml:6:32: faults.0.partition.0 must be a list, not 'r1'",
            "lab.yaml:6:36: faults.0.partition.1 must be a list, not 'r2'",
        ],
    ),
    "a node that does not exist": (
        "{at: 5 s, node: r4, pause: 1 s}",
        [("lab.yaml:6:26: no node 'r4'\n  the nodes are r1, r2, r3")],
    ),
    "wipe without off": (
        "{at: 5 s, node: r1, pause: 1 s, wipe: true}",
        [("lab.yaml:6:10: only a node that was off comes back wiped\n  write 'off: 5 s, wipe: …'")],
    ),
    "a process with a typing error": (
        "{at: 5 s, node: r2, kill: ospf}",
        [("lab.yaml:6:36: the node 'r2' runs no process 'ospf'\n  did you mean 'ospfd'?")],
    ),
    "a process of another node": (
        "{at: 5 s, node: r3, kill: ospfd}",
        [
            (
                "lab.yaml:6:36: the node 'r3' runs no process 'ospfd'\n"
                "  there are no processes of that node"
            )
        ],
    ),
    "a process that has not started yet": (
        "{at: 1 s, node: r2, kill: ospfd}",
        [
            (
                "lab.yaml:6:36: the process 'ospfd' starts at 5 s, after the fault\n"
                "  make the fault later"
            )
        ],
    ),
    "a process without name": (
        "{at: 5 s, node: r2, kill: true}",
        [("lab.yaml:6:36: faults.0.kill must be text, not true\n  put it in quotes")],
    ),
    "a restart that lasts": (
        "{at: 5 s, node: r2, restart: ospfd, for: 1 s}",
        [("lab.yaml:6:10: a restart takes no time\n  leave 'for' out, or write 'kill: …, for: …'")],
    ),
    "too little memory": (
        "{at: 5 s, node: r2, memory: 1 kB}",
        [("lab.yaml:6:38: nothing runs in 1000 bytes of memory\n  give at least 1 MiB")],
    ),
    "a volume with a typing error": (
        "{at: 5 s, node: r2, full: dta}",
        [("lab.yaml:6:36: the node 'r2' has no volume 'dta'\n  did you mean 'data'?")],
    ),
    "a node without volumes": (
        "{at: 5 s, node: r1, errors: data}",
        [
            (
                "lab.yaml:6:38: the node 'r1' has no volume 'data'\n"
                "  there are no volumes of that node"
            )
        ],
    ),
    "a clock of a shared kernel": (
        "{at: 5 s, node: r3, clock: +5 s}",
        [
            (
                "lab.yaml:6:37: the node 'r3' shares its kernel, and a kernel has one wall "
                "clock\n"
                "  give the node 'kernel: own'"
            )
        ],
    ),
    "a clock without direction": (
        "{at: 5 s, node: r1, clock: 5 s}",
        [
            (
                "lab.yaml:6:37: '5 s' does not say in which direction\n"
                "  write '+5 s' for forward or '-5 s' for back"
            )
        ],
    ),
    "a clock that stays": (
        "{at: 5 s, node: r1, clock: +0 s}",
        [("lab.yaml:6:37: the clock is set by no time\n  write '+5 s'")],
    ),
    "a clock before 1970": (
        "{at: 5 s, node: r1, clock: -36500 d}",
        [
            (
                "lab.yaml:6:37: the clock would be before 1970, or the node booted before\n"
                "  set it back less far"
            )
        ],
    ),
    "a drift in percent": (
        "{at: 5 s, node: r1, drift: 5%}",
        [
            (
                "lab.yaml:6:37: '5%' is not a drift\n"
                "  write a whole number of parts in a million: '200 ppm' is too fast by 17 s a "
                "day"
            )
        ],
    ),
    "too much drift": (
        "{at: 5 s, node: r1, drift: 200000 ppm}",
        [
            (
                "lab.yaml:6:37: the drift 200000 ppm is out of range\n"
                "  it is 1 to 100000 ppm, or as much with a minus"
            )
        ],
    ),
    "no drift": (
        "{at: 5 s, node: r1, drift: 0 ppm}",
        [
            (
                "lab.yaml:6:37: the drift 0 ppm is out of range\n"
                "  it is 1 to 100000 ppm, or as much with a minus"
            )
        ],
    ),
    "until without every": (
        "{at: 5 s, until: 9 s, node: r1, pause: 1 s}",
        [("lab.yaml:6:10: until belongs to every\n  write 'every: 30 s, until: …', or 'for: …'")],
    ),
    "every without a pause": (
        "{at: 5 s, every: 0 s, node: r1, pause: 1 s}",
        [("lab.yaml:6:27: a fault is repeated without a pause\n  give a longer one")],
    ),
    "until before at": (
        "{at: 5 s, every: 2 s, until: 1 s, node: r1, pause: 1 s}",
        [("lab.yaml:6:39: until 1 s is before the first one\n  give a later until")],
    ),
    "until after the stop": (
        "{at: 5 s, every: 2 s, until: 90 s, node: r1, pause: 1 s}",
        [
            (
                "lab.yaml:6:39: until is 90 s, and the lab stops at 1 min\n"
                "  make it earlier, or stop the lab later"
            )
        ],
    ),
    "a repeated fault that is longer than its pause": (
        "{at: 5 s, every: 2 s, node: r1, pause: 3 s}",
        [
            (
                "lab.yaml:6:27: the fault comes again every 2 s, and lasts 3 s\n"
                "  make it shorter, or repeat it less often"
            )
        ],
    ),
    "too many repetitions": (
        "{at: 5 s, every: 1 us, node: r1, pause: 1 us}",
        [("lab.yaml:6:27: every 1 us makes more than 10000 faults\n  repeat it less often")],
    ),
    "a repeated fault that stays": (
        "{at: 5 s, every: 2 s, node: r1, pause: true}",
        [
            (
                "lab.yaml:6:10: 'r1 pause at 7 s' begins while 'r1 pause at 5 s' holds what "
                "runs in r1\n"
                "  the other one is at lab.yaml:6:10; let one end before the other begins"
            )
        ],
    ),
    "an empty name": (
        "{at: 5 s, link: r1-r2, down: 5 s, name: ''}",
        ["lab.yaml:6:50: the name is empty"],
    ),
    "down and flap of one link": (
        ("{at: 5 s, link: r1-r2, down: 5 s}, {at: 9 s, link: r1-r2, flap: {down: 1 s, up: 1 s}}"),
        [
            (
                "lab.yaml:6:45: 'r1-r2 flap at 9 s' begins while 'r1-r2 down at 5 s' holds the "
                "cable of r1-r2\n"
                "  the other one is at lab.yaml:6:10; let one end before the other begins"
            )
        ],
    ),
    "two faults of one process at once": (
        "{at: 9 s, node: r2, kill: ospfd}, {at: 9 s, node: r2, restart: ospfd}",
        [
            (
                "lab.yaml:6:44: 'r2 restart ospfd at 9 s' begins while 'r2 kill ospfd at 9 s' "
                "holds the process ospfd of r2\n"
                "  the other one is at lab.yaml:6:10; let one end before the other begins"
            )
        ],
    ),
    "pause and off of one node": (
        "{at: 5 s, node: r1, pause: 5 s}, {at: 9 s, node: r1, off: 5 s}",
        [
            (
                "lab.yaml:6:43: 'r1 off at 9 s' begins while 'r1 pause at 5 s' holds what runs "
                "in r1\n"
                "  the other one is at lab.yaml:6:10; let one end before the other begins"
            )
        ],
    ),
    "a process of a node that is off": (
        "{at: 5 s, node: r2, off: true}, {at: 9 s, node: r2, kill: ospfd}",
        [
            (
                "lab.yaml:6:42: 'r2 kill ospfd at 9 s' begins while 'r2 off at 5 s' holds the "
                "power of r2\n"
                "  the other one is at lab.yaml:6:10; let one end before the other begins"
            )
        ],
    ),
    "two partitions at a time": (
        "{at: 5 s, partition: [[r1]], for: 5 s}, {at: 9 s, partition: [[r2]], for: 5 s}",
        [
            (
                "lab.yaml:6:50: 'partition r2 at 9 s' begins while 'partition r1 at 5 s' holds "
                "the partition of the lab\n"
                "  the other one is at lab.yaml:6:10; let one end before the other begins"
            )
        ],
    ),
    "degrade and one_way of one link": (
        (
            "{at: 5 s, link: r1-r2, degrade: {loss: 1%}, for: 5 s}, {at: 9 s, link: r1-r2, "
            "one_way: r1, for: 5 s}"
        ),
        [
            (
                "lab.yaml:6:65: 'r1-r2 one_way r1 at 9 s' begins while 'r1-r2 degrade at 5 s' "
                "holds the impairments of r1-r2 from r1\n"
                "  the other one is at lab.yaml:6:10; let one end before the other begins"
            )
        ],
    ),
    "two faults of one name": (
        ("{at: 5 s, node: r1, name: a, pause: 1 s}, {at: 9 s, node: r2, name: a, pause: 1 s}"),
        [
            (
                "lab.yaml:6:78: there are two of the fault 'a'\n"
                "  the other one is at lab.yaml:6:36; rename one"
            )
        ],
    ),
    "a random fault with a time": (
        "{at: 5 s, random: {kinds: [down], rate: 1/s, for: 1 s}}",
        [("lab.yaml:6:10: random stands alone\n  give it an item of its own")],
    ),
    "random without a rate": (
        "{random: {kinds: [down], for: 1 s}}",
        [("lab.yaml:6:19: the key 'rate' is missing in faults.0.random\n  add 'rate: …'")],
    ),
    "random without kinds": (
        "{random: {kinds: [], rate: 1/s, for: 1 s}}",
        [("lab.yaml:6:27: random faults of no kind\n  give for example [down, off]")],
    ),
    "an unknown kind": (
        "{random: {kinds: [dwon], rate: 1/s, for: 1 s}}",
        [("lab.yaml:6:28: no kind of fault 'dwon'\n  did you mean 'down'?")],
    ),
    "a kind without its value": (
        "{random: {kinds: [flap], rate: 1/s, for: 1 s}}",
        [("lab.yaml:6:28: 'flap' needs to know how\n  write {flap: {down: 100 ms, up: 400 ms}}")],
    ),
    "a kind that does two things": (
        "{random: {kinds: [{down: true, pause: true}], rate: 1/s, for: 1 s}}",
        [
            (
                "lab.yaml:6:28: a kind of fault does one thing, and this one has down and "
                "pause\n"
                "  give one of down, flap, degrade, one_way, partition, pause, off, kill, "
                "stop, restart, memory, full, errors, clock, drift"
            )
        ],
    ),
    "wipe of what is not off": (
        "{random: {kinds: [{pause: true, wipe: true}], rate: 1/s, for: 1 s}}",
        [
            (
                "lab.yaml:6:28: only a node that was off comes back wiped\n"
                "  write {off: true, wipe: …}"
            )
        ],
    ),
    "a random flap that is longer than its time": (
        "{random: {kinds: [{flap: {down: 1 s, up: 1 s}}], rate: 1/s, for: 1 s}}",
        [
            (
                "lab.yaml:6:35: to go out and in takes 2 s, and a fault may last 1 s\n"
                "  let faults last longer, or flap faster"
            )
        ],
    ),
    "a rate without time": (
        "{random: {kinds: [down], rate: 6, for: 1 s}}",
        [("lab.yaml:6:41: '6' is not a frequency\n  write it like '6/min'")],
    ),
    "a rate of nothing": (
        "{random: {kinds: [down], rate: 0/s, for: 1 s}}",
        [("lab.yaml:6:41: '0/s' is never\n  write it like '6/min'")],
    ),
    "a rate that is too high": (
        "{random: {kinds: [down], rate: 1/ns, for: 1 s}}",
        [
            (
                "lab.yaml:6:41: the rate makes about 60000000000 faults, more than 10000\n"
                "  give a lower one, or less time"
            )
        ],
    ),
    "a range the wrong way round": (
        "{random: {kinds: [down], rate: 1/min, for: [3 s, 1 s]}}",
        [
            (
                "lab.yaml:6:53: for is 3 s to 1 s\n"
                "  give the shorter one first, and the longer one more than no time"
            )
        ],
    ),
    "between the wrong way round": (
        "{random: {kinds: [down], rate: 1/min, for: 1 s, between: [3 s, 1 s]}}",
        [("lab.yaml:6:67: there is no time between 3 s and 1 s\n  give the earlier one first")],
    ),
    "between after the stop": (
        "{random: {kinds: [down], rate: 1/min, for: 1 s, between: [3 s, 2 min]}}",
        [
            (
                "lab.yaml:6:67: the faults are between 3 s and 2 min, and the lab stops at 1 "
                "min\n"
                "  make it earlier, or stop the lab later"
            )
        ],
    ),
    "an unknown link for random faults": (
        ("{random: {kinds: [down, kill], rate: 1/min, for: 1 s, nodes: [r1], links: [r2-r1]}}"),
        [("lab.yaml:6:85: no link 'r2-r1'\n  did you mean 'r1-r2'?")],
    ),
    "a kind with nothing to hit": (
        "{random: {kinds: [down, kill], rate: 1/min, for: 1 s, nodes: [r1]}}",
        [
            (
                "lab.yaml:6:34: there is nothing that a random 'kill' could hit\n"
                "  give the nodes something to run"
            )
        ],
    ),
    "a kind of drift without its value": (
        "{random: {kinds: [drift], rate: 1/min, for: 1 s}}",
        [("lab.yaml:6:28: 'drift' needs to know how\n  write {drift: 200 ppm}")],
    ),
    "an unknown node for random faults": (
        "{random: {kinds: [{drift: 1 ppm}], rate: 1/min, for: 1 s, nodes: [r2, r4]}}",
        [("lab.yaml:6:80: no node 'r4'\n  the nodes are r1, r2, r3")],
    ),
    "one end of a range": (
        "{random: {kinds: [down], rate: 1/min, for: [1 s]}}",
        [
            (
                "lab.yaml:6:53: faults.0.random.for: List should have at least 2 items after "
                "validation, not 1, and it is a list of 1"
            )
        ],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_fault_is_named_with_its_place_and_the_way_out(name, errors_of):
    text, errors = WRONG[name]
    assert errors_of(f"{HEAD}faults: [{text}]\n") == errors


# What stands behind "nodes: {r1: " in line 2, from column 13 on.
WRONG_NODES = {
    "memory of a shared kernel": (
        "{memory: 64 MB}",
        [
            (
                "lab.yaml:2:22: the node 'r1' has memory of its own, and shares its kernel\n"
                "  give it 'kernel: own', or leave this out"
            )
        ],
    ),
    "kernel words of a shared kernel": (
        "{kernel-words: [a]}",
        [
            (
                "lab.yaml:2:28: the node 'r1' has kernel words of its own, and shares its "
                "kernel\n"
                "  give it 'kernel: own', or leave this out"
            )
        ],
    ),
    "too little memory": (
        "{kernel: own, memory: 1 MiB}",
        [
            (
                "lab.yaml:2:35: 1048576 bytes of memory are too few for a kernel\n"
                "  give at least 32 MiB"
            )
        ],
    ),
    "a version without quotes": (
        "{kernel: 6.12}",
        [("lab.yaml:2:22: 6.12 is not text\n  put it in quotes: '6.12'")],
    ),
    "two kernel words in one": (
        "{kernel: own, kernel-words: ['a b']}",
        [
            (
                "lab.yaml:2:42: 'a b' is not one word of a kernel's command line\n"
                "  write each as an item of the list"
            )
        ],
    ),
    "a volume without path": (
        "{kernel: own, volumes: {data: {size: 1 MiB}}}",
        [("lab.yaml:2:43: the key 'path' is missing in nodes.r1.volumes.data\n  add 'path: …'")],
    ),
    "a volume at no path": (
        "{kernel: own, volumes: {a: {size: 1 MiB, path: d}}}",
        [
            (
                "lab.yaml:2:60: 'd' is not an absolute path of a folder\n"
                "  write it like '/data', without '..' and '/' at its end"
            )
        ],
    ),
    "a volume that is too small": (
        "{kernel: own, volumes: {a: {size: 1 kB, path: /d}}}",
        [("lab.yaml:2:47: 1000 bytes are too few for a file system\n  give at least 1 MiB")],
    ),
    "two volumes at one path": (
        "{kernel: own, volumes: {a: {size: 1 MB, path: /d}, b: {size: 1 MiB, path: /d}}}",
        [
            ("lab.yaml:2:47: 1000000 bytes are too few for a file system\n  give at least 1 MiB"),
            (
                "lab.yaml:2:87: two volumes of the node 'r1' are at /d\n"
                "  the other one is at lab.yaml:2:59; change one of the two"
            ),
        ],
    ),
    "an unknown file system": (
        "{kernel: own, volumes: {a: {size: 2 MB, path: /d, filesystem: ext3}}}",
        [("lab.yaml:2:75: no file system 'ext3'\n  did you mean 'ext4'?")],
    ),
    "a volume with a slash": (
        "{kernel: own, volumes: {a/b: {size: 2 MB, path: /d}}}",
        [
            (
                "lab.yaml:2:37: 'a/b' cannot name a volume\n"
                "  use letters, digits, '-', '_' and '.', at most 32"
            )
        ],
    ),
    "a volume of a shared kernel": (
        "{volumes: {a: {size: 2 MB, path: /d}}}",
        [
            (
                "lab.yaml:2:23: the node 'r1' has volumes, and shares its kernel\n"
                "  give it 'kernel: own', or leave them out"
            )
        ],
    ),
    "a kernel without name": (
        "{kernel: ' '}",
        [("lab.yaml:2:22: ' ' cannot name a kernel\n  write own, a version in quotes, or a path")],
    ),
}


@pytest.mark.parametrize("name", WRONG_NODES)
def test_a_wrong_kernel_or_volume_is_named_with_its_place_and_the_way_out(name, errors_of):
    text, errors = WRONG_NODES[name]
    assert errors_of(f"name: x\nnodes: {{r1: {text}}}\n") == errors
