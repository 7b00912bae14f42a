# SPDX-License-Identifier: Apache-2.0
"""From a path in a `LabSpec` to the place in the lab file that it came from.

Only needed when something is wrong, so nothing is kept while loading but the
order of things; a value that was merged is looked up in its layers, the
strongest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from windtunnel.errors import LabFileError, Where
from windtunnel.model.merge import Settings
from windtunnel.model.problem import Path, Problem
from windtunnel.model.yamltree import Document

_KEYS = {
    "at_ns": "at",
    "buffer": "queue",
    "clock_ns": "clock",
    "counters_ns": "counters",
    "command": "cmd",
    "delay_ns": "delay",
    "down_ns": "down",
    "every_ns": "every",
    "for_ns": "for",
    "impairment": "set",
    "jitter_ns": "jitter",
    "kernel_words": "kernel-words",
    "memory_bytes": "memory",
    "mtu_bytes": "mtu",
    "packet_cost_ns": "packet_cost",
    "queue_packets": "queue",
    "rate_bps": "rate",
    "size_bytes": "size",
    "start_ns": "start",
    "status": "exited",
    "stop_ns": "stop",
    "syscall_cost_ns": "syscall_cost",
    "timeout_ns": "timeout",
    "within_ns": "within",
}


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the parts of a spec come from.

    Attributes:
        document: the lab file.
        settings: of each node.
        files: of each node, from a path in the node to the path in the lab file.
        networks: their names.
        processes: the path of each; so are `steps` and `faults`.
    """

    document: Document
    settings: Mapping[str, Settings]
    files: Mapping[str, Mapping[str, Path]]
    networks: Sequence[str]
    processes: Sequence[Path]
    steps: Sequence[Path]
    faults: Sequence[Path]

    def explain(self, problem: Problem) -> LabFileError:
        """Turn a problem of the spec into an error with its place."""
        hint = problem.hint
        if problem.first is not None:
            first = self._where(problem.first, key=problem.key)
            hint = f"the other one is at {first}; {hint}"
        where = problem.where or self._where(problem.path, key=problem.key)
        return LabFileError(problem.message, where=where, hint=hint)

    def _where(self, path: Path, *, key: bool) -> Where:
        candidates = list(self._candidates(path))
        for candidate in candidates:
            if self.document.has(candidate):
                return self.document.where(candidate, key=key)
        return self.document.where(candidates[0], key=key)

    # The paths in the file where the culprit can stand, the likeliest first;
    # the first is also the one that says most when none exists.
    def _candidates(self, path: Path) -> Iterable[Path]:
        match path:
            case ("nodes", str(name), *rest):
                yield from self._in_node(name, rest)
            case ("links", int(number), *rest):
                yield from self._in_link(("links", number), rest)
            case ("networks", int(number), *rest):
                yield from self._in_network(("networks", self.networks[number]), rest)
            case ("processes", int(number), *rest):
                yield (*self.processes[number], *_file_keys(rest))
            case ("steps", int(number), "command"):
                yield (*self.steps[number], "cmd")
                yield (*self.steps[number], "wait_for")
            case ("steps", int(number), *rest):
                yield (*self.steps[number], *_file_keys(rest))
            case ("faults", int(number), *rest):
                yield from self._in_fault(self.faults[number], rest)
            case ("validations", int(number), "match", *rest):
                yield ("validate", number, *rest)
            case ("validations", int(number), *rest):
                yield ("validate", number, *_file_keys(rest))
            case ("captures", *rest):
                yield ("capture", *rest)
            case _:
                yield _file_keys(path)

    def _in_fault(self, fault: Path, rest: Sequence[str | int]) -> Iterable[Path]:
        match rest:
            case ("for_ns",):
                for key in ("for", "down", "pause", "off"):  # the short form says it there
                    yield (*fault, key)
            case ("impairment", *field):
                yield (*fault, "degrade", *_file_keys(field))
                yield (*fault, "degrade")
            case _:
                yield (*fault, *_file_keys(rest))

    def _in_node(self, name: str, rest: Sequence[str | int]) -> Iterable[Path]:
        settings = self.settings.get(name)
        match rest:
            case ("exec", int(index)) if settings is not None:
                yield settings.exec[index][1]
            case ("files", str(target), *more):
                origin = self.files.get(name, {}).get(target, ("nodes", name, "files", target))
                yield (*origin, *more)
                yield origin
            case _:
                # Deeper keys may be names: only what is ours is put into the file's words.
                keys = _file_keys(rest) if rest[:1] != ["env"] else tuple(rest)
                for layer in reversed(settings.layers if settings is not None else ()):
                    yield (*layer, *keys)
                yield ("nodes", name, *keys)

    def _in_link(self, link: Path, rest: Sequence[str | int]) -> Iterable[Path]:
        match rest:
            case ("ends", int(end), "node" | "interface"):
                yield (*link, "endpoints", end)
                yield (*link, end)  # the short form
            case ("ends", int(end), "addresses", int(index)):
                yield (*link, "ip", end, index)
                yield (*link, "ip", end)
                yield (*link, "subnet")
            case ("ends", int(end), "mac"):
                yield (*link, "mac", end)
            case ("ends", int(end), "impairment", *field):
                keys = _file_keys(field)
                yield (*link, ("forward", "backward")[end], *keys)
                yield (*link, *keys)
                yield ("link-defaults", *keys)
            case _:
                yield (*link, *_file_keys(rest))
                yield ("link-defaults", *_file_keys(rest))

    def _in_network(self, network: Path, rest: Sequence[str | int]) -> Iterable[Path]:
        match rest:
            case ("name",):
                yield network
            case ("members", int(member), "node" | "interface"):
                yield (*network, "members", member, "endpoint")
                yield (*network, "members", member)
            case ("members", int(member), "addresses", int(index)):
                yield (*network, "members", member, "ip", index)
                yield (*network, "members", member, "ip")
                yield (*network, "subnet")
            case ("members", int(member), "impairment", *field):
                keys = _file_keys(field)
                yield (*network, "members", member, *keys)
                yield (*network, *keys)
                yield ("link-defaults", *keys)
            case _:
                yield (*network, *_file_keys(rest))
                yield ("link-defaults", *_file_keys(rest))


def _file_keys(path: Sequence[str | int]) -> Path:
    return tuple(_KEYS.get(part, part) if isinstance(part, str) else part for part in path)
