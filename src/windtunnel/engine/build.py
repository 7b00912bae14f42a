# SPDX-License-Identifier: Apache-2.0
"""Making a lab inside a booted guest, in as few conversations as possible.

The order matters: nodes, their volumes, their files and cables, sysctls (IPv6 reads them when
an interface goes up), then addresses, impairments and interfaces.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from windtunnel.engine import plan
from windtunnel.engine.guest import Guest
from windtunnel.engine.parts import Part, Port
from windtunnel.engine.plan import Setting
from windtunnel.engine.waits import Waits
from windtunnel.engine.wiring import Wiring
from windtunnel.errors import GuestError
from windtunnel.machines.agent import Reply
from windtunnel.model.addressing import hosts_lines
from windtunnel.model.lab import LabSpec, NodeSpec
from windtunnel.wire import rtnetlink
from windtunnel.wire.agent import ALL_NAMESPACES, Failure, Namespaces, parse_node
from windtunnel.wire.rtnetlink import NewInterface

LOOPBACK_INDEX = 1

PACKET_COST = "net/um/packet_cost_ns"
"""Of our kernel patch 0005: what each received packet costs a network namespace."""

TOP_OF_TREE = (
    *("bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media"),
    *("mnt", "opt", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var"),
)
"""What nodes find when they list "/", of what the host has (hier(7), and multilib's).

What else lies at the top there can be reached by its path. But if it were listed, a
folder of the user's own would make another run of the same lab, with other numbers
of inodes for one.
"""

BASE_SYSCTLS = (
    # The base node only switches: it must not speak on the networks itself.
    ("net/ipv6/conf/all/disable_ipv6", "1"),
    ("net/ipv6/conf/default/disable_ipv6", "1"),
)


@dataclass(frozen=True, slots=True)
class HostView:
    """What the base node sees of the host beside the root; absolute paths.

    Attributes:
        layers: directories to lay over its root, the uppermost first.
        shown: directories that it sees although they lie in a hidden place.
        writable: directories that it writes itself.
    """

    layers: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()


class LabSetup:
    """Makes the part of a lab that lives in one guest.

    Attributes:
        namespaces: of each node's processes: pid namespace number to node name.
        wiring: of the guest's nodes.
        numbers: of the nodes, for the agent.
        spec: the part of the lab that is in this guest.
        pids: the first process of each node, as the agent sees it.
    """

    def __init__(self, guest: Guest, waits: Waits, part: Part, lab: LabSpec) -> None:
        """Create.

        Args:
            guest: whose agent is ready.
            waits: of the world.
            part: what to make.
            lab: the whole lab, whose nodes know each other's names.
        """
        self._guest = guest
        self._waits = waits
        self._part = part
        self.spec = part.spec
        self._lab = lab
        self.numbers = plan.node_numbers(part.spec)
        self._hosts = "".join(f"{line}\n" for line in hosts_lines(lab)).encode()
        self.pids: dict[str, int] = {}
        self.namespaces: dict[int, str] = {}
        names = {number: name for name, number in self.numbers.items()}
        self.wiring = Wiring(guest.agent, waits.wait, {plan.BASE: "base", **names})

    def make(self, view: HostView = HostView()) -> None:
        """Do all of it.

        Args:
            view: what the base node sees beside the lab's root.

        Raises:
            GuestError: the guest refused a part; the message names it.
        """
        self.make_base(view)
        if not self.spec.nodes:
            # The base is then a machine of its own, and a booted machine has its loopback.
            reply = self._guest.agent.netlink(plan.BASE, rtnetlink.set_up(LOOPBACK_INDEX))
            self._ask(reply, "base", "its loopback")
            return
        if self._part.node is None:
            self._make_nodes()
        self._guest.mount_volumes()
        # Sent in this order, and done in this order; only then is anything waited for.
        replies = self._write_files()
        if self.spec.networks:
            replies.append(("base", "sysctl", self._sysctl(plan.BASE, BASE_SYSCTLS)))
        self.wiring.send(plan.cables(self.spec, self.pids))
        ports = self._take_ports()
        replies += self._set_sysctls()
        self.wiring.send(plan.interfaces(self.spec))
        self.wiring.send(ports)
        self.wiring.send(plan.cuts(self.spec))
        self.wiring.finish()
        for node, what, reply in replies:
            self._ask(reply, node, what)

    def make_base(self, view: HostView = HostView()) -> None:
        """Make the base node: the kernel's own network and processes, a root of its own."""
        node = self._part.node
        reply = self._guest.agent.add_node(
            plan.BASE,
            name="base" if node is None else node.name,
            namespaces=Namespaces.MOUNT,
            fails=node is not None,
            root=self.spec.root,
            layers=view.layers,
            shown=view.shown,
            writable=view.writable,
            top=[name for name in TOP_OF_TREE if os.path.lexists(f"/{name}")],
        )
        self._ask(reply, "base", "its namespaces")
        if node is not None:
            name = self._guest.agent.sysctl(plan.BASE, [("kernel/hostname", node.name)])
            self._ask(name, node.name, "sysctl")

    def _take_ports(self) -> plan.Round:
        """Give each port its place and name; returns what makes them ready."""
        indexes = [self._port_index(port.device) for port in self._part.ports]
        arrive: plan.Round = {}
        named: plan.Round = {}
        ready: plan.Round = {}
        for port, found in zip(self._part.ports, indexes, strict=True):
            end = port.endpoint
            number = self.numbers[end.node]
            index = found if port.index is None else port.index
            if port.index is not None:
                # The node may have an interface of the name that the kernel gave this one.
                card = f"card{port.device}"
                arrive.setdefault(plan.BASE, []).extend(
                    (
                        plan.port_named(found, card),
                        plan.port_arrives(card, self.pids[end.node], port.index),
                    )
                )
            # Two interfaces may want each other's names: first none has any of them.
            named.setdefault(number, []).append(plan.port_named(index, f"port{index}"))
            ready.setdefault(number, []).extend(plan.port_ready(end, index))
        for port, found in zip(self._part.ports, indexes, strict=True):
            index = found if port.index is None else port.index
            final = plan.port_named(index, port.endpoint.interface)
            named[self.numbers[port.endpoint.node]].append(final)
        self.wiring.send(arrive)
        self.wiring.send(named)
        return ready

    def _port_index(self, device: int) -> int:
        """The index that the guest's kernel gave a network device."""
        path = f"/sys/class/net/eth{device}/ifindex"
        reply = self._guest.agent.read_file(plan.BASE, path)
        self._waits.ask(reply, f"network device {device} of {self._part.name}")
        if reply.failure is not None:
            port = self._part.ports[device].endpoint
            raise GuestError(
                f"its kernel has no network device for the interface {port.interface}: "
                f"{reply.failure.text}: {os.strerror(reply.failure.errno)}",
                node=port.node,
                hint="it lacks CONFIG_VIRTIO_NET: windtunnel kernel build --with VIRTIO_NET=y",
            )
        return int(reply.data)

    def power_on(self, node: NodeSpec, cables: Sequence[Setting], *, wiped: bool) -> None:
        """Make a node anew that was powered off.

        Args:
            node: one of the lab's.
            cables: addresses and queues of its interfaces, and the interfaces up.
            wiped: whether it has lost its files.

        Raises:
            GuestError: the guest refused a part; the message names it.
        """
        number = self.numbers[node.name]
        reply = self._make_node(node)
        self._ask(reply, node.name, "its namespaces")
        pid, namespace = parse_node(reply.payload)
        self.namespaces[namespace] = node.name
        moves = plan.moves(self.spec, node.name, pid)
        moves += [_port_move(port, pid) for port in self._part.ports if _is_of(port, node)]
        self.wiring.hand_over(number, moves)
        replies = self._write_files_of(node) if wiped else []
        if _sysctls(node):
            replies.append((node.name, "sysctl", self._sysctl(number, _sysctls(node))))
        self.wiring.send({number: [*plan.loopback(node), *cables]})
        self.wiring.finish()
        for name, what, reply in replies:
            self._ask(reply, name, what)

    def _make_node(self, node: NodeSpec) -> Reply:
        return self._guest.agent.add_node(
            self.numbers[node.name],
            name=node.name,
            namespaces=ALL_NAMESPACES,
            root=self.spec.root,
        )

    def _make_nodes(self) -> None:
        replies = [(node.name, self._make_node(node)) for node in self.spec.nodes]
        # The agent answers in order: with the last answer, all have come.
        self._waits.ask(replies[-1][1], "the nodes' namespaces")
        for name, reply in replies:
            self._ask(reply, name, "its namespaces")
            self.pids[name], namespace = parse_node(reply.payload)
            self.namespaces[namespace] = name

    def _write_files(self) -> list[tuple[str, str, Reply]]:
        return [reply for node in self.spec.nodes for reply in self._write_files_of(node)]

    def _write_files_of(self, node: NodeSpec) -> list[tuple[str, str, Reply]]:
        agent, number = self._guest.agent, self.numbers[node.name]
        own = {file.path for file in node.files}
        replies = [
            agent.write_file(number, path, content)
            for path, content in (
                ("/etc/hosts", self._hosts),
                ("/etc/hostname", f"{node.name}\n".encode()),
            )
            if path not in own
        ]
        replies += [
            agent.write_file(number, file.path, file.content, mode=file.mode, owner=file.owner)
            for file in node.files
            if not self._guest.keeps_file(file.path)
        ]
        return [(node.name, "files", reply) for reply in replies]

    def _set_sysctls(self) -> list[tuple[str, str, Reply]]:
        return [
            (node.name, "sysctl", self._sysctl(self.numbers[node.name], _sysctls(node)))
            for node in self.spec.nodes
            if _sysctls(node)
        ]

    def _sysctl(self, number: int, settings: Iterable[tuple[str, str]]) -> Reply:
        return self._guest.agent.sysctl(number, list(settings))

    def _ask(self, reply: Reply, node: str, what: str) -> None:
        self._waits.ask(reply, f"{what} of node {node}")
        if reply.failure is not None:
            raise _refusal(reply.failure, node, what)


def _is_of(port: Port, node: NodeSpec) -> bool:
    return port.endpoint.node == node.name and port.index is not None


def _port_move(port: Port, pid: int) -> Setting:
    """Move a port into the new network of a node that is powered on again."""
    assert port.index is not None, "the caller looked"
    name = port.endpoint.interface
    interface = NewInterface(name, port.index, port.mac, port.mtu_bytes, namespace_pid=pid)
    what = f"interface {name}, moved into the node's new network"
    return Setting(what, rtnetlink.move_interface(interface))


def _refusal(failure: Failure, node: str, what: str) -> GuestError:
    """What the guest refused, in the words of the lab file."""
    why = os.strerror(failure.errno)
    missing = failure.errno == errno.ENOENT
    if what == "sysctl":
        name = failure.text.replace("/", ".")
        if missing:
            return GuestError(
                f"there is no sysctl {name}",
                node=node,
                hint="`sysctl -a` on the node lists those that it has; "
                "some come with a kernel option: windtunnel kernel build --with OPTION=y",
            )
        return GuestError(
            f"the kernel refuses the value of sysctl {name}: {why}",
            node=node,
            hint="the value must be one that `sysctl -w` would take",
        )
    if missing and failure.text.startswith("the owner of "):
        path, _, owner = failure.text.removeprefix("the owner of ").rpartition(": ")
        return GuestError(
            f"the owner of {path} is {owner!r}, whom the node's /etc/passwd or /etc/group lacks",
            node=node,
            hint="give a user that it has, USER:GROUP, or numbers",
        )
    return GuestError(f"{what}: {failure.text}: {why}", node=node)


def _sysctls(node: NodeSpec) -> list[tuple[str, str]]:
    settings = [(plan.sysctl_path(name), value) for name, value in node.sysctls]
    packet_ns = node.cpu.costs().packet_ns
    return [*settings, (PACKET_COST, str(packet_ns))] if packet_ns else settings
