# SPDX-License-Identifier: Apache-2.0
"""Making a lab inside a booted guest, in as few conversations as possible.

The order matters: nodes, their files and cables, sysctls (IPv6 reads them when
an interface goes up), then addresses and interfaces, then impairments.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from windtunnel.engine import plan
from windtunnel.engine.guest import Guest
from windtunnel.errors import GuestError
from windtunnel.machines.agent import RemoteProcess, Reply
from windtunnel.model.addressing import hosts_lines
from windtunnel.model.lab import Impairment, LabSpec, NodeSpec
from windtunnel.wire.agent import ALL_NAMESPACES, Namespaces, SpawnFlag, parse_node

_BATCH_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}

BASE_SYSCTLS = (
    # The base node only switches: it must not speak on the networks itself.
    ("net/ipv6/conf/all/disable_ipv6", "1"),
    ("net/ipv6/conf/default/disable_ipv6", "1"),
)


@dataclass(frozen=True, slots=True)
class BaseView:
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
    """

    def __init__(self, guest: Guest, spec: LabSpec) -> None:
        self._guest = guest
        self._spec = spec
        self._numbers = plan.node_numbers(spec)
        self._pids: dict[str, int] = {}
        self.namespaces: dict[int, str] = {}

    def make(self, view: BaseView = BaseView()) -> None:
        """Do all of it.

        Args:
            view: what the base node sees beside the lab's root.

        Raises:
            GuestError: the guest refused a part; the message names it.
        """
        self.make_base(view)
        if not self._spec.nodes:
            return
        self._make_nodes()
        replies = self._write_files()
        if self._spec.networks:
            self._ask(self._sysctl(plan.BASE, BASE_SYSCTLS), "the base node", "sysctls")
        self._batch({plan.BASE: ("the base node", plan.base_batch(self._spec, self._pids))}, "ip")
        for node, reply in replies:
            self._ask(reply, node, "files")
        self._set_sysctls()
        self._batch(self._by_number(plan.node_batches(self._spec)), "ip")
        self._batch(self._by_number(plan.tc_batches(self._spec)), "tc")
        self._impair_ports()

    def make_base(self, view: BaseView = BaseView()) -> None:
        """Make the base node: the kernel's own network and processes, a root of its own."""
        reply = self._guest.agent.add_node(
            plan.BASE,
            name="base",
            namespaces=Namespaces.MOUNT,
            root=self._spec.root,
            layers=view.layers,
            shown=view.shown,
            writable=view.writable,
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
        for name, reply in replies:
            self._ask(reply, name, "its namespaces")
            self._pids[name], namespace = parse_node(reply.payload)
            self.namespaces[namespace] = name

    def _write_files(self) -> list[tuple[str, Reply]]:
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
                    replies.append((node.name, agent.write_file(number, path, content)))
            for file in node.files:
                reply = agent.write_file(
                    number, file.path, file.content, mode=file.mode, owner=file.owner
                )
                replies.append((node.name, reply))
        return replies

    def _set_sysctls(self) -> None:
        replies = [
            (node, self._sysctl(self._numbers[node.name], _sysctls(node)))
            for node in self._spec.nodes
            if node.sysctls
        ]
        for node, reply in replies:
            self._ask(reply, node.name, "sysctl")

    def _sysctl(self, number: int, settings: Iterable[tuple[str, str]]) -> Reply:
        return self._guest.agent.sysctl(number, list(settings))

    def _by_number(self, batches: Mapping[str, str]) -> dict[int, tuple[str, str]]:
        return {self._numbers[name]: (name, text) for name, text in batches.items() if text}

    def _impair_ports(self) -> None:
        """Impair what networks send to their members, in the base node."""
        lines = [
            plan.netem_command(port.name, port.endpoint.impairment, verb="add")
            for members in plan.ports(self._spec)
            for port in members
            if port.endpoint.impairment != Impairment()
        ]
        if lines:
            text = "".join(f"{line}\n" for line in lines)
            self._batch({plan.BASE: ("the base node", text)}, "tc")

    def _batch(self, batches: Mapping[int, tuple[str, str]], program: str) -> None:
        """Run `ip` or `tc` with a batch in each of many nodes, all at once."""
        running: list[tuple[str, str, RemoteProcess, bytearray]] = []
        for number, (name, text) in batches.items():
            if not text:
                continue
            printed = bytearray()
            process = self._guest.agent.spawn(
                number,
                [program, "-batch", "-"],
                env=_BATCH_ENVIRONMENT,
                output=_collector(printed),
                flags=SpawnFlag.INPUT,
            )
            self._guest.agent.feed(process, text.encode())
            self._guest.agent.end_input(process)
            running.append((name, text, process, printed))
        self._guest.wait(lambda: all(entry[2].ended for entry in running), f"{program} -batch")
        for name, text, process, printed in running:
            if process.started.failure is not None:
                raise GuestError(
                    f"cannot run {program}: {os.strerror(process.started.failure.errno)}",
                    node=name,
                    hint="is the package iproute2 installed? See 'windtunnel doctor'",
                )
            if process.exit is not None and process.exit.status != 0:
                said = printed.decode(errors="replace").strip()
                raise GuestError(
                    f"{program} refused a part of the set-up: {said}",
                    node=name,
                    hint=f"the commands were:\n{text}",
                )

    def _ask(self, reply: Reply, node: str, what: str) -> None:
        self._guest.ask(reply, f"{what} of node {node}")
        if reply.failure is not None:
            raise GuestError(
                f"{what}: {reply.failure.text}: {os.strerror(reply.failure.errno)}", node=node
            )




def _collector(into: bytearray) -> Callable[[bytes, bool], None]:
    def collect(data: bytes, _stderr: bool) -> None:  # noqa: FBT001 - the agent's callback
        into.extend(data)

    return collect


def _sysctls(node: NodeSpec) -> list[tuple[str, str]]:
    return [(plan.sysctl_path(name), value) for name, value in node.sysctls]
