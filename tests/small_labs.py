# SPDX-License-Identifier: Apache-2.0
"""Labs of two or three virtual seconds, for tests that run them again and again."""

from __future__ import annotations

from windtunnel.engine.world import WorldOptions
from windtunnel.images.kernels import find_kernel
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import (
    CaptureSpec,
    Command,
    Endpoint,
    FileSpec,
    LabSpec,
    LinkSpec,
    NodeSpec,
    ProcessSpec,
    Step,
    TextMatch,
)

SECOND_NS = 1_000_000_000

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
