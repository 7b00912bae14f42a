# SPDX-License-Identifier: Apache-2.0
"""Labs of two or three virtual seconds, for tests that run them again and again."""

from __future__ import annotations

from windtunnel.engine.world import WorldOptions
from windtunnel.images.kernels import find_kernel
from windtunnel.model.fault import (
    ClockDrift,
    ClockStep,
    Fault,
    MemoryLimit,
    NodeOff,
    NodePause,
    ProcessAction,
    ProcessFault,
)
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import (
    CaptureSpec,
    Command,
    Endpoint,
    FileSpec,
    LabSpec,
    LinkSpec,
    NetworkSpec,
    NodeSpec,
    ProcessSpec,
    Step,
    TextMatch,
)

SECOND_NS = 1_000_000_000

# It locks its own program in memory. Otherwise Linux 6.12 may drop and read those pages for ever
# rather than call memory short, and while it does that no virtual time passes.
EATER = (
    "exec python3 -c 'import ctypes; ctypes.CDLL(None).mlockall(3);"
    " x = [bytearray(1 << 20) for _ in range(10000)]'"
)

# Executes `rdtsc`: the one clock of the host that no kernel hides. Always 20 digits.
COUNTER_PROGRAM = b"""\
import ctypes, mmap, sys, time
memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(bytes.fromhex("0f31 48c1e220 4809d0 c3"))
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
ticks = ctypes.CFUNCTYPE(ctypes.c_uint64)(address)()
if sys.argv[1] == "print":
    print(f"{ticks:020d}")
else:
    time.sleep(ticks % 100000 / 1e6)
    print("slept")
"""


def options(kernel_path):
    return WorldOptions(kernel=find_kernel(str(kernel_path)))


def pair(*, seed=7, processes=(), steps=(), captures=(), files=(), stop_ns=2 * SECOND_NS):
    """Two nodes, a and b, and a link of 3 ms with jitter and loss between them."""
    impairment = Impairment(delay_ns=3_000_000, jitter_ns=1_000_000, loss=0.02)
    ends = (
        Endpoint("a", "eth0", addresses=("10.0.0.1/24",), impairment=impairment),
        Endpoint("b", "eth0", addresses=("10.0.0.2/24",), impairment=impairment),
    )
    return LabSpec(
        "pair",
        seed=seed,
        stop_ns=stop_ns,
        memory_bytes=256 << 20,
        nodes=(NodeSpec("a", files=tuple(files)), NodeSpec("b")),
        links=(LinkSpec("a-b", ends),),
        processes=tuple(processes),
        steps=tuple(steps),
        captures=tuple(captures),
    )


def busy_pair(*, seed=7):
    """What a host could leak into: randomness, clocks, counters, processes, packets."""
    commands = {
        "random": "head -c 32 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/uuid",
        "hashes": "env -u PYTHONHASHSEED "
        "python3 -c 'print(hash(str), id(object()), {*\"abcdef\"})'",
        "clocks": "date +%s.%N; cat /proc/uptime /proc/loadavg /proc/stat",
        "memory": "cat /proc/meminfo /proc/vmstat /proc/interrupts; cat /proc/self/stat",
        "processes": "sh -c 'echo $$ $PPID'; ls -l /proc/self/ns; cat /proc/self/maps",
        "surroundings": "env; id; pwd; umask; ulimit -a; cat /proc/cmdline /proc/mounts",
        "files": "touch /tmp/x /etc/y; stat / /etc /etc/y /tmp/x /bin/sh; ls -U /etc /usr/bin",
        "faults": "python3 -c 'import resource; print(resource.getrusage(resource.RUSAGE_SELF))'",
        "threads": "python3 -c '"
        "import threading as t\n"
        "r = []\n"
        "w = [t.Thread(target=r.append, args=(i,)) for i in range(9)]\n"
        "for x in w: x.start()\n"
        "for x in w: x.join()\n"
        "print(r)'",
    }
    processes = [ProcessSpec(name, "a", command) for name, command in commands.items()]
    processes.append(ProcessSpec("ping", "a", "ping -n -c 8 -i 0.1 10.0.0.2", start_ns=SECOND_NS))
    processes.append(
        ProcessSpec("links", "b", "ip -s link; ip neigh", start_ns=19 * SECOND_NS // 10)
    )
    return pair(seed=seed, processes=processes)


def counter(what="print"):
    """A program that lets the host's clock into the lab at 1 s, behind one that does not."""
    return pair(
        files=(FileSpec("/opt/counter.py", COUNTER_PROGRAM),),
        processes=(
            ProcessSpec("early", "b", "echo early", start_ns=SECOND_NS // 2),
            ProcessSpec("counter", "a", f"python3 /opt/counter.py {what}", start_ns=SECOND_NS),
        ),
    )


def failing():
    """A step that fails at 1 s."""
    return pair(
        steps=(
            Step(
                SECOND_NS,
                "the impossible",
                Command("a", "echo 4", match=TextMatch(text="five")),
            ),
        )
    )


def captured():
    """A ping, and what passed b's interface."""
    return pair(
        processes=(ProcessSpec("ping", "a", "ping -n -c 3 -i 0.1 10.0.0.2", start_ns=SECOND_NS),),
        captures=(CaptureSpec("b", "eth0"),),
    )


def own_kernels():
    """Nodes with kernels of their own, a shared one, and every fault that such nodes can have."""
    impairment = Impairment(delay_ns=2_000_000, jitter_ns=1_000_000, loss=0.05)

    def end(node, interface, address):
        return Endpoint(node, interface, addresses=(f"{address}/24",), impairment=impairment)

    def at(seconds, action, lasts=1.0):
        name = f"{type(action).__name__} at {seconds}"
        return Fault(round(seconds * SECOND_NS), name, action, round(lasts * SECOND_NS))

    random = "while sleep 0.2; do head -c 8 /dev/urandom | od -An -tx1; date +%s.%N; done"
    return LabSpec(
        "own-kernels",
        seed=11,
        stop_ns=9 * SECOND_NS,
        memory_bytes=128 << 20,
        nodes=(
            NodeSpec("a"),
            NodeSpec("b", kernel="own", memory_bytes=96 << 20),
            NodeSpec("c", kernel="own", memory_bytes=64 << 20),
        ),
        links=(
            LinkSpec("a-b", (end("a", "right", "10.1.0.1"), end("b", "left", "10.1.0.2"))),
            LinkSpec("b-c", (end("b", "right", "10.2.0.1"), end("c", "left", "10.2.0.2"))),
        ),
        networks=(
            NetworkSpec(
                "lan", tuple(end(node, "lan", f"10.9.0.{at}") for at, node in enumerate("abc", 1))
            ),
        ),
        processes=(
            ProcessSpec("random", "b", random),
            ProcessSpec("random", "c", random),
            ProcessSpec("to-b", "a", "ping -n -i 0.05 10.1.0.2"),
            ProcessSpec("to-c", "b", "ping -n -i 0.05 10.2.0.2"),
            ProcessSpec("lan", "c", "ping -n -i 0.05 10.9.0.2"),
            ProcessSpec("links", "c", "ip -s link; ip neigh", start_ns=17 * SECOND_NS // 2),
        ),
        captures=(CaptureSpec(link="b-c"),),
        faults=(
            at(0.5, ClockDrift("c", 50_000), 4.0),
            at(1.0, NodePause("c")),
            at(1.5, NodeOff("b")),
            at(2.5, ClockStep("c", 3 * SECOND_NS)),
            at(3.0, MemoryLimit("c", 32 << 20)),
            at(4.5, ProcessFault("b", "random", ProcessAction.STOP)),
            at(5.0, NodeOff("c"), 0.5),
            at(5.8, NodeOff("b"), 0.8),
        ),
    )
