# SPDX-License-Identifier: Apache-2.0
"""Sockets and queueing disciplines of a kernel.

Source: include/net/sock.h, include/net/tcp_states.h, include/net/sch_generic.h.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from drgn import cast
from drgn.helpers.linux.fs import for_each_file
from drgn.helpers.linux.list import hlist_for_each_entry
from drgn.helpers.linux.net import for_each_net, for_each_netdev, netdev_name

from windtunnel.cores.facts import Qdisc, Socket
from windtunnel.cores.image import READING, Image, text_of
from windtunnel.cores.tasks import label, node_of

_TCP_STATES = (
    *("", "established", "syn-sent", "syn-recv", "fin-wait-1", "fin-wait-2", "time-wait"),
    *("close", "close-wait", "last-ack", "listen", "closing", "new-syn-recv"),
)
_FAMILIES = {
    int(family): family.name.removeprefix("AF_").lower() for family in socket.AddressFamily
}
_KINDS = {int(kind): kind.name.removeprefix("SOCK_").lower() for kind in socket.SocketKind}
_NO_QUEUE = frozenset(("noqueue", "noop"))


def sockets(image: Image) -> Iterator[Socket]:
    """Find all sockets that are open in some task; each once."""
    program = image.program
    operations = program["socket_file_ops"].address_of_()
    seen: set[int] = set()
    for task in image.tasks():
        if not task.files:
            continue  # it is ending
        for number, file in for_each_file(task):
            # A number whose file is being opened has none yet.
            if not file or file.f_op != operations or int(file.private_data) in seen:
                continue
            seen.add(int(file.private_data))
            described = _socket(cast("struct socket *", file.private_data), task, int(number))
            if described is not None:
                yield described


def _socket(open_socket: Any, task: Any, number: int) -> Socket | None:
    sock = open_socket.sk
    if not sock:
        return None
    common = sock.member_("__sk_common")
    family = int(common.skc_family)
    kind = int(sock.sk_type)
    is_tcp = (
        family in (socket.AF_INET, socket.AF_INET6) and int(sock.sk_protocol) == socket.IPPROTO_TCP
    )
    state = int(common.skc_state)
    local, remote = _ends(sock, common, family)
    received, unsent = _tcp_queues(sock, state) if is_tcp else _queues(sock)
    return Socket(
        node=node_of(task),
        task=label(task),
        file=number,
        family=_FAMILIES.get(family, str(family)),
        kind=_KINDS.get(kind, str(kind)),
        state=_TCP_STATES[state] if is_tcp and state < len(_TCP_STATES) else "",
        local=local,
        remote=remote,
        received_bytes=received,
        unsent_bytes=unsent,
    )


def _ends(sock: Any, common: Any, family: int) -> tuple[str, str]:
    """The two addresses of a socket."""
    if family == socket.AF_UNIX:
        return _unix_path(sock), ""
    if family not in (socket.AF_INET, socket.AF_INET6):
        return "", ""
    here, there = int(common.skc_num), socket.ntohs(int(common.skc_dport))
    if family == socket.AF_INET:
        local = f"{_ipv4(common.skc_rcv_saddr)}:{here}"
        remote = f"{_ipv4(common.skc_daddr)}:{there}"
    else:
        local = f"[{_ipv6(common.skc_v6_rcv_saddr)}]:{here}"
        remote = f"[{_ipv6(common.skc_v6_daddr)}]:{there}"
    return local, remote if there else ""


def _ipv4(value: Any) -> str:
    return str(IPv4Address(value.to_bytes_()))


def _ipv6(value: Any) -> str:
    return str(IPv6Address(value.to_bytes_()))


def _unix_path(sock: Any) -> str:
    address = cast("struct unix_sock *", sock).addr
    if not address:
        return ""
    length = int(address.len) - 2  # behind the family
    raw = address.prog_.read(address.name.sun_path.address_of_().value_(), max(length, 0))
    text = raw.rstrip(b"\0").decode("utf-8", "backslashreplace")
    return f"@{text[1:]}" if text.startswith("\0") else text


def _tcp_queues(sock: Any, state: int) -> tuple[int, int]:
    """What a TCP socket has received and not sent, as `ss` counts it."""
    if _TCP_STATES[min(state, len(_TCP_STATES) - 1)] in ("listen", "close"):
        return 0, 0
    tcp = cast("struct tcp_sock *", sock)
    wrap = 1 << 32
    received = (int(tcp.rcv_nxt) - int(tcp.copied_seq)) % wrap
    unsent = (int(tcp.write_seq) - int(tcp.snd_una)) % wrap
    return received, unsent


def _queues(sock: Any) -> tuple[int, int]:
    received = int(sock.sk_backlog.rmem_alloc.counter)
    # one reference is the socket's own
    return received, max(int(sock.sk_wmem_alloc.refs.counter) - 1, 0)


def qdiscs(image: Image) -> Iterator[Qdisc]:
    """Find the queueing disciplines of all interfaces, but those that do not queue."""
    nodes = _nodes_by_space(image)
    for space in for_each_net(image.program):
        node = nodes.get(int(space), "")
        for device in for_each_netdev(space):
            for qdisc in _of_device(device):
                kind = text_of(qdisc.ops.id)
                if kind not in _NO_QUEUE:
                    yield Qdisc(
                        node=node,
                        interface=netdev_name(device).decode("utf-8", "backslashreplace"),
                        kind=kind,
                        handle=_handle(int(qdisc.handle)),
                        packets=int(qdisc.q.qlen),
                        queued_bytes=int(qdisc.qstats.backlog),
                        drops=int(qdisc.qstats.drops),
                    )


def _of_device(device: Any) -> Iterator[Any]:
    if device.qdisc:
        yield device.qdisc
    for head in device.qdisc_hash:
        for qdisc in hlist_for_each_entry("struct Qdisc", head.address_of_(), "hash"):
            if qdisc != device.qdisc:
                yield qdisc


def _handle(handle: int) -> str:
    return f"{handle >> 16:x}:{handle & 0xFFFF or ''}"


def _nodes_by_space(image: Image) -> dict[int, str]:
    """The node that a network namespace belongs to: that of the first task in it."""
    found: dict[int, str] = {}
    for task in image.tasks():
        try:
            if task.nsproxy:
                found.setdefault(int(task.nsproxy.net_ns), node_of(task))
        except READING:
            continue
    return found
