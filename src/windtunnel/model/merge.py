# SPDX-License-Identifier: Apache-2.0
"""What a node is made of: defaults < kinds < groups < node.

A kind's own chain of `extends` comes first to last, groups in the order in
which the node names them. Mappings merge (a later key replaces an earlier
one; in `vars` also inside of nested mappings), lists append (the earliest
layer's items first), scalars replace. Two kinds need no definition: `host`,
and `router`, which forwards IPv4 and IPv6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from windtunnel.model.cpu import NOTHING_SAID, CpuSpec
from windtunnel.model.hook import Hook
from windtunnel.model.nearmiss import hint_for
from windtunnel.model.problem import Path, Problem
from windtunnel.model.programschema import FilePart, ProcessPart
from windtunnel.model.schema import CpuPart, KindPart, LabPart, NodeBody, VolumePart

BUILT_IN_KINDS: Mapping[str, KindPart] = {
    "host": KindPart(),
    "router": KindPart(
        sysctls={"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"},
    ),
}


@dataclass(slots=True)
class Settings:
    """The merged layers of one node. Each item of a list knows its path in the file.

    Attributes:
        layers: where the layers stand in the file, the weakest first.
        cpu: what is said about its processor.
        kernel: as in `NodeSpec`; a layer that says "shared" takes away `memory_bytes`
            and `kernel_words` of weaker ones, which no shared kernel can have.
    """

    layers: tuple[Path, ...] = ()
    sysctls: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    exec: list[tuple[str, Path]] = field(default_factory=list)
    before: list[Hook] = field(default_factory=list)
    after: list[tuple[Hook, Path]] = field(default_factory=list)
    files: list[tuple[str, FilePart, Path]] = field(default_factory=list)
    run: list[tuple[ProcessPart, Path]] = field(default_factory=list)
    vars: dict[str, Any] = field(default_factory=dict)
    cpu: CpuSpec = NOTHING_SAID
    kernel: str | None = None
    memory_bytes: int | None = None
    kernel_words: list[str] = field(default_factory=list)
    volumes: dict[str, VolumePart] = field(default_factory=dict)

    def add(self, body: NodeBody, path: Path) -> None:
        """Put one more layer on top."""
        self.layers = (*self.layers, path)
        self.sysctls.update(body.sysctls)
        self.env.update(body.env)
        self.exec += [(text, (*path, "exec", i)) for i, text in enumerate(body.exec)]
        self.before += [part.hook() for part in body.before]
        self.after += [(part.after(), (*path, "after", i)) for i, part in enumerate(body.after)]
        self.files += [(name, part, (*path, "files", name)) for name, part in body.files.items()]
        self.run += [(part, (*path, "run", i)) for i, part in enumerate(body.run)]
        self.vars = _merged(self.vars, body.vars)
        self.cpu = _over(self.cpu, body.cpu)
        self._add_kernel(body)
        self.volumes.update(body.volumes)

    def _add_kernel(self, body: NodeBody) -> None:
        if body.kernel == "shared":
            self.kernel = self.memory_bytes = None
            self.kernel_words = []
        elif body.kernel is not None:
            self.kernel = body.kernel
        if body.memory is not None:
            self.memory_bytes = body.memory
        self.kernel_words += body.kernel_words

    def copy(self) -> Settings:
        """Make a copy to which layers can be added."""
        return Settings(
            layers=self.layers,
            sysctls=dict(self.sysctls),
            env=dict(self.env),
            exec=list(self.exec),
            before=list(self.before),
            after=list(self.after),
            files=list(self.files),
            run=list(self.run),
            vars=self.vars,
            cpu=self.cpu,
            kernel=self.kernel,
            memory_bytes=self.memory_bytes,
            kernel_words=list(self.kernel_words),
            volumes=dict(self.volumes),
        )


def merge_nodes(lab: LabPart, problems: list[Problem]) -> dict[str, Settings]:
    """Merge the layers of every node, in the order of the file.

    Args:
        lab: the lab file.
        problems: unknown kinds and groups and cycles are added here.
    """
    problems += _cycles(lab)
    # Nodes of the same kind and groups begin with the same layers.
    begun: dict[tuple[str | None, tuple[str, ...]], Settings] = {}
    merged = {}
    for name, node in lab.nodes.items():
        path: Path = ("nodes", name)
        problems += _unknown(node.kind, [*lab.kinds, *BUILT_IN_KINDS], "kind", (*path, "kind"))
        for index, group in enumerate(node.groups):
            problems += _unknown(group, lab.groups, "group", (*path, "groups", index))
        key = (node.kind, tuple(node.groups))
        if key not in begun:
            begun[key] = _shared_layers(lab, *key)
        settings = begun[key].copy()
        settings.add(node, path)
        merged[name] = settings
    return merged


def _shared_layers(lab: LabPart, kind: str | None, groups: tuple[str, ...]) -> Settings:
    settings = Settings()
    settings.add(lab.defaults, ("defaults",))
    for name in reversed(_chain(lab, kind)):
        body = lab.kinds.get(name) or BUILT_IN_KINDS[name]
        settings.add(body, ("kinds", name))
    for name in groups:
        if name in lab.groups:
            settings.add(lab.groups[name], ("groups", name))
    return settings


# The kind and what it builds upon, as far as it is known and no circle.
def _chain(lab: LabPart, kind: str | None) -> list[str]:
    chain: list[str] = []
    while kind is not None and kind not in chain:
        if kind in lab.kinds:
            chain.append(kind)
            kind = lab.kinds[kind].extends
        else:
            if kind in BUILT_IN_KINDS:
                chain.append(kind)
            kind = None
    return chain


def _cycles(lab: LabPart) -> Iterable[Problem]:
    reported: set[str] = set()
    for name, part in lab.kinds.items():
        path: Path = ("kinds", name, "extends")
        known = [kind for kind in (*lab.kinds, *BUILT_IN_KINDS) if kind != name]
        if part.extends != name:
            yield from _unknown(part.extends, known, "kind", path)
        trail = [name]
        following = part.extends
        while following is not None and following not in trail:
            trail.append(following)
            parent = lab.kinds.get(following)
            following = parent.extends if parent is not None else None
        if following == name and not reported & set(trail):
            reported |= set(trail)
            circle = " -> ".join([*trail, name])
            yield Problem(
                path, f"the kinds extend each other in a circle: {circle}", "remove one extends"
            )


def _unknown(name: str | None, known: Iterable[str], what: str, path: Path) -> Iterable[Problem]:
    if name is not None and name not in known:
        yield Problem(path, f"no {what} {name!r}", hint_for(name, known, what=f"{what}s"))


def _over(under: CpuSpec, part: CpuPart) -> CpuSpec:
    syscall_ns, packet_ns = part.syscall_cost, part.packet_cost
    return CpuSpec(
        syscall_cost_ns=under.syscall_cost_ns if syscall_ns is None else syscall_ns,
        packet_cost_ns=under.packet_cost_ns if packet_ns is None else packet_ns,
        speed=under.speed if part.speed is None else part.speed,
    )


# Mappings merge, lists append, the rest is replaced.
def _merged(under: Any, over: Any) -> Any:
    if isinstance(under, dict) and isinstance(over, dict):
        keys = {**under, **over}
        return {
            key: _merged(under[key], over[key]) if key in under and key in over else value
            for key, value in keys.items()
        }
    if isinstance(under, list) and isinstance(over, list):
        return [*under, *over]
    return over
