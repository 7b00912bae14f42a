# SPDX-License-Identifier: Apache-2.0
"""Messages for a kernel's rtnetlink: cables, bridges, addresses, and netem.

Only what a lab needs, and only in the direction of the kernel: the agent sends
the messages and reads the acknowledgements. Integers are in the byte order of
the guest, which is little endian; every attribute is padded to four bytes.
Interfaces are named by index, because addresses and queues know no other name;
we choose the indexes ourselves when we make the interfaces.

Source: include/uapi/linux/{netlink,rtnetlink,if_link,if_addr,pkt_sched}.h.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from windtunnel.errors import UsageError
from windtunnel.model.impairment import GilbertElliott

LOOPBACK = 1
"""The index of `lo` in every network namespace."""

NAME_MAX_BYTES = 15
NETEM_LIMIT_PACKETS = 1000
"""What tc-netem(8) takes for `limit` when none is given."""

_HEADER = struct.Struct("<IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("<HH")  # length with this header, type
_LINK = struct.Struct("<BxHiII")  # ifinfomsg: family, type, index, flags, which flags
_ADDRESS = struct.Struct("<BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_QUEUE = struct.Struct("<BxxxiIII")  # tcmsg: family, index, handle, parent, info
_NETEM = struct.Struct("<IIIIII")  # tc_netem_qopt: ticks, limit, loss, gap, duplicate, ticks
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_S64 = struct.Struct("<q")
_SHARE = struct.Struct("<II")  # probability, correlation
_BURSTS = struct.Struct("<IIII")  # tc_netem_gemodel: p, r, h, 1-k
_CORRELATIONS = struct.Struct("<III")  # of delay, loss, duplicate
_RATE = struct.Struct("<IiIi")  # bytes a second, packet overhead, cell size, cell overhead

_NEWLINK, _DELLINK, _NEWADDR, _NEWQDISC, _DELQDISC = 16, 17, 20, 36, 37
_REQUEST, _ACK, _REPLACE, _EXCL, _CREATE = 0x1, 0x4, 0x100, 0x200, 0x400
_MAKE = _REQUEST | _ACK | _CREATE | _EXCL

_AF_INET, _AF_INET6 = 2, 10
_IFF_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER = 1, 3, 4, 10
_IFLA_LINKINFO, _IFLA_NET_NS_PID, _IFLA_CARRIER, _IFLA_NEW_IFINDEX = 18, 19, 33, 49
_INFO_KIND, _INFO_DATA = 1, 2
_VETH_PEER = 1
_BRIDGE_FORWARD_DELAY, _BRIDGE_STP, _BRIDGE_SNOOPING = 1, 5, 23
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFA_NODAD = 0x02
_SCOPE_UNIVERSE, _SCOPE_HOST = 0, 254
_TCA_KIND, _TCA_OPTIONS = 1, 2
_ROOT = 0xFFFFFFFF
_NETEM_CORR, _NETEM_DELAY_DIST, _NETEM_REORDER, _NETEM_CORRUPT = 1, 2, 3, 4
_NETEM_LOSS, _NETEM_RATE, _NETEM_RATE64, _NETEM_LATENCY64, _NETEM_JITTER64 = 5, 6, 8, 10, 11
_LOSS_BURSTS = 2  # NETEM_LOSS_GE
_NETEM_PRNG_SEED = 14

_U32_MAX = 2**32 - 1
_JITTER_MAX_NS = 2**31 - 1  # sch_netem.c: tabledist() takes an int


@dataclass(frozen=True, slots=True)
class NewInterface:
    """One end of a veth pair that is to be made.

    Attributes:
        name: 1 to 15 bytes.
        index: that it gets, 2 or more, free in its network namespace.
        mac: "02:00:5e:10:00:01".
        mtu_bytes: 68 to 65535.
        namespace_pid: a process of the network namespace that it goes to, as the
            sender sees it; None is the sender's own.
    """

    name: str
    index: int
    mac: str
    mtu_bytes: int
    namespace_pid: int | None = None


@dataclass(frozen=True, slots=True)
class Netem:
    """The settings of a netem queue, in the kernel's own units.

    Attributes:
        latency_ns: 0 to 2**63 - 1.
        jitter_ns: 0 to 2**31 - 1, which is two seconds.
        delay_table: the distribution of the jitter, see `windtunnel.sim.jitter`;
            empty is uniform for a new queue, and leaves an old queue's as it is.
        loss: share of packets, 0.0 to 1.0, or losses in bursts.
        duplicate: share, 0.0 to 1.0; so are the next two.
        reorder: share.
        corrupt: share.
        rate_bytes_per_s: 0 is unlimited.
        limit_packets: packets that may wait.
        seed: of its random choices; None leaves an old queue's, and lets the
            kernel choose for a new one.
    """

    latency_ns: int = 0
    jitter_ns: int = 0
    delay_table: Sequence[int] = ()
    loss: float | GilbertElliott = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    rate_bytes_per_s: int = 0
    limit_packets: int = NETEM_LIMIT_PACKETS
    seed: int | None = None


def new_veth(interface: NewInterface, peer: NewInterface) -> bytes:
    """Make a veth pair; both ends are down."""
    peer_info = _LINK.pack(0, 0, peer.index, 0, 0) + _interface(peer)
    return _message(
        _NEWLINK,
        _MAKE,
        _LINK.pack(0, 0, interface.index, 0, 0),
        _interface(interface),
        _kind("veth", _attribute(_VETH_PEER, peer_info)),
    )


def new_bridge(bridge: NewInterface) -> bytes:
    """Make a bridge that only switches: no spanning tree, no snooping, no waiting; it is down."""
    data = (
        _attribute(_BRIDGE_FORWARD_DELAY, _U32.pack(0))
        + _attribute(_BRIDGE_STP, _U32.pack(0))
        + _attribute(_BRIDGE_SNOOPING, b"\0")
    )
    return _message(
        _NEWLINK,
        _MAKE,
        _LINK.pack(0, 0, bridge.index, 0, 0),
        _interface(bridge),
        _kind("bridge", data),
    )


def set_up(index: int, *, master: int | None = None) -> bytes:
    """Set an interface up, as a port of the bridge with index `master` where one is given."""
    attributes = b"" if master is None else _attribute(_IFLA_MASTER, _U32.pack(master))
    return _message(
        _NEWLINK, _REQUEST | _ACK, _LINK.pack(0, 0, index, _IFF_UP, _IFF_UP), attributes
    )


def move_interface(interface: NewInterface) -> bytes:
    """Move an interface into another network namespace, where it keeps its index if that is free.

    It is down there, and has neither addresses nor queues.

    Args:
        interface: its index where it is, and all that it has where it goes;
            `namespace_pid` says where.
    """
    return _message(
        _NEWLINK,
        _REQUEST | _ACK,
        _LINK.pack(0, 0, interface.index, 0, 0),
        _interface(interface),
    )


def delete_interface(index: int) -> bytes:
    """Remove an interface; a bridge's ports are free then."""
    return _message(_DELLINK, _REQUEST | _ACK, _LINK.pack(0, 0, index, 0, 0))


def set_carrier(index: int, *, on: bool) -> bytes:
    """Plug in or pull out an interface's cable."""
    return _message(
        _NEWLINK,
        _REQUEST | _ACK,
        _LINK.pack(0, 0, index, 0, 0),
        _attribute(_IFLA_CARRIER, bytes([on])),
    )


def move(name: str, namespace_pid: int, index: int) -> bytes:
    """Move the sender's interface `name` to another network namespace, where it gets an index.

    Args:
        name: that it has and keeps.
        namespace_pid: a process of that namespace, as the sender sees it.
        index: 2 or more, free there (Linux 5.12: eeb85a14ee34).
    """
    return _message(
        _NEWLINK,
        _REQUEST | _ACK,
        _LINK.pack(0, 0, 0, 0, 0),
        _name(name)
        + _attribute(_IFLA_NET_NS_PID, _U32.pack(namespace_pid))
        + _attribute(_IFLA_NEW_IFINDEX, _U32.pack(index)),
    )


def rename(index: int, name: str) -> bytes:
    """Give an interface another name; it must be down."""
    return _message(_NEWLINK, _REQUEST | _ACK, _LINK.pack(0, 0, index, 0, 0), _name(name))


def new_address(index: int, address: str) -> bytes:
    """Give an interface an address, without a search for duplicates.

    Args:
        index: of the interface.
        address: with prefix length, "10.0.0.1/24" or "fd00::1/64".

    Raises:
        UsageError: it is not an address.
    """
    try:
        parsed = ipaddress.ip_interface(address)
    except ValueError as error:
        raise UsageError(f"not an address with its prefix length: {address!r}") from error
    old = parsed.version == 4
    header = _ADDRESS.pack(
        _AF_INET if old else _AF_INET6,
        parsed.network.prefixlen,
        0 if old else _IFA_NODAD,
        _SCOPE_HOST if old and parsed.ip.is_loopback else _SCOPE_UNIVERSE,
        index,
    )
    packed = parsed.ip.packed
    return _message(
        _NEWADDR, _MAKE, header, _attribute(_IFA_LOCAL, packed), _attribute(_IFA_ADDRESS, packed)
    )


def new_netem(index: int, netem: Netem) -> bytes:
    """Give an interface that has none a netem queue.

    Raises:
        UsageError: a value is outside its range; the message names it.
    """
    return _queue_message(_NEWQDISC, _MAKE, index, _netem_attributes(netem))


def replace_netem(index: int, netem: Netem) -> bytes:
    """Change an interface's netem queue, keeping what waits in it, or give it one.

    Raises:
        UsageError: as for `new_netem`.
    """
    flags = _REQUEST | _ACK | _CREATE | _REPLACE
    return _queue_message(_NEWQDISC, flags, index, _netem_attributes(netem))


def delete_queue(index: int) -> bytes:
    """Take an interface's queue away; what waits in it is lost."""
    return _queue_message(_DELQDISC, _REQUEST | _ACK, index, b"")


def _queue_message(kind: int, flags: int, index: int, attributes: bytes) -> bytes:
    return _message(kind, flags, _QUEUE.pack(0, index, 0, _ROOT, 0), attributes)


def _netem_attributes(netem: Netem) -> bytes:
    """TCA_KIND and TCA_OPTIONS: a fixed part, then attributes without a nest of their own.

    Every setting is sent, zero or not: a queue that is changed keeps what it is not told.
    """
    _check_range("jitter", netem.jitter_ns, _JITTER_MAX_NS, "ns")
    _check_range("delay", netem.latency_ns, 2**63 - 1, "ns")
    _check_range("queue", netem.limit_packets, _U32_MAX, "packets")
    rate = netem.rate_bytes_per_s
    _check_range("rate", rate, 2**64 - 1, "bytes a second")
    fixed = _NETEM.pack(
        0,  # the delay in ticks of 64 ns; the 64-bit attributes below win over it
        netem.limit_packets,
        0 if isinstance(netem.loss, GilbertElliott) else _probability(netem.loss),
        # tc-netem(8): every packet may be reordered, with the given share
        1 if netem.reorder else 0,
        _probability(netem.duplicate),
        0,
    )
    parts = [
        fixed,
        _attribute(_NETEM_LATENCY64, _S64.pack(netem.latency_ns)),
        _attribute(_NETEM_JITTER64, _S64.pack(netem.jitter_ns)),
        _attribute(_NETEM_CORR, _CORRELATIONS.pack(0, 0, 0)),
        _attribute(_NETEM_REORDER, _SHARE.pack(_probability(netem.reorder), 0)),
        _attribute(_NETEM_CORRUPT, _SHARE.pack(_probability(netem.corrupt), 0)),
        _attribute(_NETEM_RATE, _RATE.pack(min(rate, _U32_MAX), 0, 0, 0)),
    ]
    if rate > _U32_MAX:
        parts.append(_attribute(_NETEM_RATE64, _U64.pack(rate)))
    if isinstance(netem.loss, GilbertElliott):
        # without this the kernel goes back to losses that know nothing of each other
        parts.append(_attribute(_NETEM_LOSS, _attribute(_LOSS_BURSTS, _bursts(netem.loss))))
    if netem.seed is not None:
        parts.append(_attribute(_NETEM_PRNG_SEED, _U64.pack(netem.seed)))
    if netem.delay_table:
        table = struct.pack(f"<{len(netem.delay_table)}h", *netem.delay_table)
        parts.append(_attribute(_NETEM_DELAY_DIST, table))
    return _attribute(_TCA_KIND, b"netem\0") + _attribute(_TCA_OPTIONS, b"".join(parts))


def _probability(share: float) -> int:
    """A share as netem counts it: of 2**32 - 1."""
    if not 0.0 <= share <= 1.0:
        raise UsageError(f"a share of {share}, which is not between 0 and 1")
    return round(share * _U32_MAX)


def _bursts(loss: GilbertElliott) -> bytes:
    """A tc_netem_gemodel: p, r, h and 1-k; the kernel wants what a bad link does not lose."""
    kept = _U32_MAX - _probability(loss.bad)
    return _BURSTS.pack(_probability(loss.p), _probability(loss.r), kept, _probability(loss.good))


def _check_range(what: str, value: int, most: int, unit: str) -> None:
    if not 0 <= value <= most:
        raise UsageError(
            f"a {what} of {value} {unit}, which a link cannot have",
            hint=f"the most is {most} {unit}",
        )


def _name(name: str) -> bytes:
    encoded = name.encode()
    if not 0 < len(encoded) <= NAME_MAX_BYTES:
        raise UsageError(
            f"an interface cannot be called {name!r}",
            hint=f"a name has 1 to {NAME_MAX_BYTES} bytes",
        )
    return _attribute(_IFLA_IFNAME, encoded + b"\0")


def _interface(interface: NewInterface) -> bytes:
    attributes = _attribute(_IFLA_ADDRESS, bytes.fromhex(interface.mac.replace(":", "")))
    attributes += _attribute(_IFLA_MTU, _U32.pack(interface.mtu_bytes))
    if interface.namespace_pid is not None:
        attributes += _attribute(_IFLA_NET_NS_PID, _U32.pack(interface.namespace_pid))
    return attributes + _name(interface.name)


def _kind(kind: str, data: bytes) -> bytes:
    information = _attribute(_INFO_KIND, kind.encode()) + _attribute(_INFO_DATA, data)
    return _attribute(_IFLA_LINKINFO, information)


def _attribute(kind: int, data: bytes) -> bytes:
    padding = bytes(-len(data) % 4)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(data), kind) + data + padding


def _message(kind: int, flags: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body
