# SPDX-License-Identifier: Apache-2.0
"""What the agent tells of interfaces and processes, line by line.

    n NODE                                                       those that follow are its
    i RX_BYTES RX_PACKETS RX_ERRORS RX_DROPPED TX_BYTES … NAME   an interface
    p PID USER SYSTEM RSS WAITS PREEMPTIONS NAME                 a process

Times are in ticks of 10 ms and RSS in pages of 4096 bytes, as /proc has them.

Source: src/windtunnel/machines/guest/counters.c; proc(5), /proc/pid/stat and /net/dev.
"""

from __future__ import annotations

from dataclasses import dataclass

from windtunnel.errors import ProtocolError

_TICK_NS = 10_000_000  # USER_HZ is 100 on x86
_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class InterfaceCounters:
    """What has passed an interface since it was made.

    Attributes:
        name: of the interface.
        rx_bytes, rx_packets: what it has received.
        rx_errors, rx_dropped: what came and was not taken.
        tx_bytes, tx_packets: what it has sent.
        tx_errors, tx_dropped: what was to be sent and was not.
    """

    name: str
    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


@dataclass(frozen=True, slots=True)
class ProcessCounters:
    """What a process has used since it began.

    Attributes:
        name: of its program, at most 15 bytes.
        pid: in its kernel.
        user_ns: processor time outside of the kernel, exact to 10 ms.
        system_ns: processor time in the kernel, exact to 10 ms.
        rss_bytes: the memory that it has now.
        waits: how often it gave up the processor.
        preemptions: how often it was taken from it.
    """

    name: str
    pid: int
    user_ns: int
    system_ns: int
    rss_bytes: int
    waits: int
    preemptions: int


@dataclass(frozen=True, slots=True)
class NodeCounters:
    """What the interfaces and processes of a node have used.

    Attributes:
        node: its number.
        interfaces: in the kernel's order.
        processes: in the order in which its cgroup lists them.
    """

    node: int
    interfaces: tuple[InterfaceCounters, ...]
    processes: tuple[ProcessCounters, ...]


def parse_counters(data: bytes) -> tuple[NodeCounters, ...]:
    """Read all that an agent told.

    Raises:
        ProtocolError: a line is of another form.
    """
    found: list[tuple[int, list[InterfaceCounters], list[ProcessCounters]]] = []
    for line in data.decode(errors="replace").split("\n")[:-1]:
        kind, _, rest = line.partition(" ")
        try:
            if kind == "n":
                found.append((int(rest), [], []))
            elif kind == "i":
                *numbers, name = rest.split(" ", 8)
                found[-1][1].append(_interface(name, [int(number) for number in numbers]))
            elif kind == "p":
                *numbers, name = rest.split(" ", 6)
                found[-1][2].append(_process(name, [int(number) for number in numbers]))
            else:
                raise ProtocolError(f"agent: a counter {line[:80]!r}")
        except (ValueError, IndexError) as error:
            raise ProtocolError(f"agent: a counter {line[:80]!r}") from error
    return tuple(
        NodeCounters(node, tuple(interfaces), tuple(processes))
        for node, interfaces, processes in found
    )


def _interface(name: str, numbers: list[int]) -> InterfaceCounters:
    rx_bytes, rx_packets, rx_errors, rx_dropped, *tx = numbers
    tx_bytes, tx_packets, tx_errors, tx_dropped = tx
    return InterfaceCounters(
        name=name,
        rx_bytes=rx_bytes,
        rx_packets=rx_packets,
        rx_errors=rx_errors,
        rx_dropped=rx_dropped,
        tx_bytes=tx_bytes,
        tx_packets=tx_packets,
        tx_errors=tx_errors,
        tx_dropped=tx_dropped,
    )


def _process(name: str, numbers: list[int]) -> ProcessCounters:
    pid, user, system, pages, waits, preemptions = numbers
    return ProcessCounters(
        name=name,
        pid=pid,
        user_ns=user * _TICK_NS,
        system_ns=system * _TICK_NS,
        rss_bytes=pages * _PAGE_BYTES,
        waits=waits,
        preemptions=preemptions,
    )
