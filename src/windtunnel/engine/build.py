# SPDX-License-Identifier: Apache-2.0
"""Making a lab inside a booted guest, in as few conversations as possible.

The order matters: nodes, their files and cables, sysctls (IPv6 reads them when
an interface goes up), then addresses, impairments and interfaces.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from windtunnel.engine import plan
from windtunnel.engine.guest import Guest
from windtunnel.engine.wiring import Wiring
from windtunnel.errors import GuestError
from windtunnel.machines.agent import Reply
from windtunnel.model.addressing import hosts_lines
from windtunnel.model.lab import LabSpec, NodeSpec
from windtunnel.wire import rtnetlink
from windtunnel.wire.agent import ALL_NAMESPACES, Failure, Namespaces, parse_node

LOOPBACK_INDEX = 1

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
    """Makes the nodes and cables of one lab.

    Attributes:
        namespaces: of each node's processes: pid namespace number to node name.
        pids: the first process of each node, as the agent sees it.
    """

    def __init__(self, guest: Guest, spec: LabSpec) -> None:
        self._guest = guest
        self._spec = spec
        self._numbers = plan.node_numbers(spec)
        self.pids: dict[str, int] = {}
        self.namespaces: dict[int, str] = {}
        names = {number: name for name, number in self._numbers.items()}
        self._wiring = Wiring(guest.agent, guest.wait, {plan.BASE: "base", **names})

    def make(self, view: HostView = HostView()) -> None:
        """Do all of it.

        Args:
            view: what the base node sees beside the lab's root.

        Raises:
            GuestError: the guest refused a part; the message names it.
        """
        self.make_base(view)
        if not self._spec.nodes:
            # The base is then a machine of its own, and a booted machine has its loopback.
            reply = self._guest.agent.netlink(plan.BASE, rtnetlink.set_up(LOOPBACK_INDEX))
            self._ask(reply, "base", "its loopback")
            return
        self._make_nodes()
        # Sent in this order, and done in this order; only then is anything waited for.
        replies = self._write_files()
        if self._spec.networks:
            replies.append(("base", "sysctl", self._sysctl(plan.BASE, BASE_SYSCTLS)))
        self._wiring.send(plan.cables(self._spec, self.pids))
        replies += self._set_sysctls()
        self._wiring.send(plan.interfaces(self._spec))
        self._wiring.send(plan.cuts(self._spec))
        self._wiring.finish()
        for node, what, reply in replies:
            self._ask(reply, node, what)

    def make_base(self, view: HostView = HostView()) -> None:
        """Make the base node: the kernel's own network and processes, a root of its own."""
        reply = self._guest.agent.add_node(
            plan.BASE,
            name="base",
            namespaces=Namespaces.MOUNT,
            root=self._spec.root,
            layers=view.layers,
            shown=view.shown,
            writable=view.writable,
            top=sorted(path.name for path in Path("/").iterdir()),
        )
        self._ask(reply, "base", "its namespaces")

    def _make_nodes(self) -> None:
        agent = self._guest.agent
        replies = [
            (
                node.name,
                agent.add_node(
                    self._numbers[node.name],
                    name=node.name,
                    namespaces=ALL_NAMESPACES,
                    root=self._spec.root,
                ),
            )
            for node in self._spec.nodes
        ]
        # The agent answers in order: with the last answer, all have come.
        self._guest.ask(replies[-1][1], "the nodes' namespaces")
        for name, reply in replies:
            self._ask(reply, name, "its namespaces")
            self.pids[name], namespace = parse_node(reply.payload)
            self.namespaces[namespace] = name

    def _write_files(self) -> list[tuple[str, str, Reply]]:
        replies = []
        hosts = "".join(f"{line}\n" for line in hosts_lines(self._spec)).encode()
        agent = self._guest.agent
        for node in self._spec.nodes:
            number = self._numbers[node.name]
            own = {file.path for file in node.files}
            for path, content in (
                ("/etc/hosts", hosts),
                ("/etc/hostname", f"{node.name}\n".encode()),
            ):
                if path not in own:
                    replies.append((node.name, "files", agent.write_file(number, path, content)))
            for file in node.files:
                reply = agent.write_file(
                    number, file.path, file.content, mode=file.mode, owner=file.owner
                )
                replies.append((node.name, "files", reply))
        return replies

    def _set_sysctls(self) -> list[tuple[str, str, Reply]]:
        return [
            (node.name, "sysctl", self._sysctl(self._numbers[node.name], _sysctls(node)))
            for node in self._spec.nodes
            if node.sysctls
        ]

    def _sysctl(self, number: int, settings: Iterable[tuple[str, str]]) -> Reply:
        return self._guest.agent.sysctl(number, list(settings))

    def _ask(self, reply: Reply, node: str, what: str) -> None:
        self._guest.ask(reply, f"{what} of node {node}")
        if reply.failure is not None:
            raise _refusal(reply.failure, node, what)


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
    return [(plan.sysctl_path(name), value) for name, value in node.sysctls]
