# SPDX-License-Identifier: Apache-2.0
"""Templates of node files and commands: jinja2, strict and sandboxed.

A template sees `node`, `vars` (the node's), `lab`, `nodes` (by name) and
`links`. In commands only `{{ … }}` is special, because shells use `{%` and
`{#` for themselves. What would differ between two runs (jinja's random filter
and lipsum) is taken out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from windtunnel.errors import LabFileError, Where
from windtunnel.model.lab import Endpoint, LinkSpec, NetworkSpec
from windtunnel.model.nearmiss import near_miss

_UNDEFINED = re.compile(r"'([^']*)' (?:is undefined|has no attribute '([^']*)')")


class InterfaceView:
    """An interface, as templates see it.

    Attributes:
        node: its node's name.
        name: "eth0".
        mac: None while the engine has not drawn it.
        addresses: all, with prefix length.
        link: the link's name; "" on a network.
        network: the network's name; "" on a link.
        mtu: in bytes.
        peers: the other interfaces on the link or network.
    """

    def __init__(self, end: Endpoint, link: LinkSpec | NetworkSpec) -> None:
        self.node = end.node
        self.name = end.interface
        self.mac = end.mac
        self.addresses = list(end.addresses)
        self.link = link.name if isinstance(link, LinkSpec) else ""
        self.network = link.name if isinstance(link, NetworkSpec) else ""
        self.mtu = link.mtu_bytes
        self.peers: list[InterfaceView] = []

    @property
    def peer(self) -> InterfaceView | None:
        """The other end of a link; None on a network."""
        return self.peers[0] if self.link and self.peers else None

    @property
    def ip(self) -> str | None:
        """The first IPv4 address with its prefix length, "10.0.0.1/30"."""
        return next((text for text in self.addresses if ":" not in text), None)

    @property
    def ip6(self) -> str | None:
        """The first IPv6 address with its prefix length."""
        return next((text for text in self.addresses if ":" in text), None)

    @property
    def address(self) -> str | None:
        """The first IPv4 address alone, "10.0.0.1"."""
        return None if self.ip is None else self.ip.partition("/")[0]

    @property
    def address6(self) -> str | None:
        """The first IPv6 address alone."""
        return None if self.ip6 is None else self.ip6.partition("/")[0]

    @property
    def subnet(self) -> str | None:
        """The network of the first IPv4 address, "10.0.0.0/30"."""
        return None if self.ip is None else str(ipaddress.ip_interface(self.ip).network)

    @property
    def subnet6(self) -> str | None:
        """The network of the first IPv6 address."""
        return None if self.ip6 is None else str(ipaddress.ip_interface(self.ip6).network)


@dataclass
class NodeView:
    """A node, as templates see it.

    Attributes:
        name: of the node.
        number: 1 for the first node of the lab, 2 for the second …
        vars: its merged variables.
        addresses: on its loopback interface, with prefix length.
        interfaces: those of networks, then those of links.
    """

    name: str
    number: int
    vars: Mapping[str, Any]
    addresses: list[str]
    interfaces: list[InterfaceView]

    @cached_property
    def interface(self) -> dict[str, InterfaceView]:
        """Its interfaces by name: node.interface.eth0.ip."""
        return {interface.name: interface for interface in self.interfaces}

    @property
    def loopback(self) -> str | None:
        """The first IPv4 address of its loopback interface, alone."""
        return next((a.partition("/")[0] for a in self.addresses if ":" not in a), None)

    @property
    def loopback6(self) -> str | None:
        """The first IPv6 address of its loopback interface, alone."""
        return next((a.partition("/")[0] for a in self.addresses if ":" in a), None)


@dataclass(frozen=True, slots=True)
class LabView:
    """The lab, as templates see it."""

    name: str
    seed: int


@dataclass(frozen=True, slots=True)
class Scope:
    """Everything that templates of a lab can see."""

    lab: LabView
    nodes: Mapping[str, NodeView]
    links: list[LinkSpec]

    def render(self, source: str, node: str, where: Where, *, is_file: bool) -> str:
        """Fill a file's template for one node.

        Args:
            source: the template.
            node: the node's name.
            where: the template's place, for messages.
            is_file: whether `where` is the template's own file, so that line
                numbers of the template are line numbers of that file.

        Raises:
            LabFileError: a syntax error, an unknown variable or another error
                of the template; names line, variable and near miss.
        """
        return self._render(_file_template, source, node, where, is_file=is_file)

    def render_command(self, source: str, node: str, where: Where) -> str:
        """Fill the `{{ … }}` of a command line."""
        if "{{" not in source:
            return source
        return self._render(_command_template, source, node, where, is_file=False)

    def _render(self, compile_: Any, source: str, node: str, where: Where, *, is_file: bool) -> str:
        view = self.nodes[node]
        try:
            template: Template = compile_(source)
            return template.render(
                node=view, vars=view.vars, lab=self.lab, nodes=self.nodes, links=self.links
            )
        except Exception as error:
            # A template can fail with anything that an expression of Python can.
            line = error.lineno if isinstance(error, TemplateSyntaxError) else _line_of(error)
            raise self._explain(error, view, where, line, is_file=is_file) from error

    def _explain(
        self, error: Exception, view: NodeView, where: Where, line: int, *, is_file: bool
    ) -> LabFileError:
        if is_file:
            where = Where(where.file, line)
        place = "" if is_file else f" in line {line}"
        message = f"the template fails for node {view.name!r}{place}: {error}"
        hint = "" if isinstance(error, TemplateError) else f"({type(error).__name__})"
        match = _UNDEFINED.search(str(error))
        if match is not None:
            name = match.group(2) or match.group(1)
            nearest = near_miss(name, sorted(self._names(view)))
            message = f"unknown variable {name!r} in the template of node {view.name!r}{place}"
            hint = f"did you mean {nearest!r}?" if nearest else str(error)
        return LabFileError(message, where=where, hint=hint)

    # All names that could have been meant.
    def _names(self, view: NodeView) -> set[str]:
        names = {"node", "vars", "lab", "nodes", "links", *map(str, view.vars), *self.nodes}
        for kind in (NodeView, InterfaceView, LabView, LinkSpec):
            names |= {name for name in vars(kind) if not name.startswith("_")}
        if view.interfaces:
            names |= {name for name in vars(view.interfaces[0]) if not name.startswith("_")}
        names |= {"name", "number", "vars", "addresses", "interfaces"}
        return names


def _environment(**options: Any) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # these are configuration files, not HTML
        **options,
    )
    del environment.filters["random"]
    del environment.globals["lipsum"]
    return environment


_FILES = _environment()
_COMMANDS = _environment(block_start_string="{{%", comment_start_string="{{#")


@lru_cache(maxsize=256)
def _file_template(source: str) -> Template:
    return _FILES.from_string(source)


@lru_cache(maxsize=256)
def _command_template(source: str) -> Template:
    return _COMMANDS.from_string(source)


# The line of the template where an error of rendering was raised: jinja2 puts
# frames named "<template>" into the traceback.
def _line_of(error: Exception) -> int:
    line = 0
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
