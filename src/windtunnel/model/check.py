# SPDX-License-Identifier: Apache-2.0
"""Everything that can be wrong with a lab, whoever wrote it.

`find_problems` walks a `LabSpec` and yields each problem with its path in the
spec; a loader turns paths into places of its file, the Python API raises them
as they are. It is quick (10,000 nodes in about a second) and imports neither
pydantic nor a YAML reader.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from windtunnel.errors import LabFileError, LabFileErrors
from windtunnel.model.addresscheck import (
    AddressUse,
    address_problems,
    mac_problems,
)
from windtunnel.model.fault import LinkDegrade
from windtunnel.model.faultcheck import fault_problems
from windtunnel.model.impairmentcheck import impairment_problems
from windtunnel.model.kernelcheck import (
    MEMORY_BYTES_MIN,
    kernel_problems,
    volume_problems,
)
from windtunnel.model.lab import (
    Command,
    Endpoint,
    LabSpec,
    LinkChange,
    NodeSpec,
    ProcessSpec,
    Step,
    TextMatch,
)
from windtunnel.model.nearmiss import hint_for, link_hint, near_miss
from windtunnel.model.problem import Path, Problem
from windtunnel.model.units import duration_text

__all__ = ["Path", "Problem", "check_spec", "find_problems"]

# More would not be read, and finding 10,000 near misses takes minutes.
PROBLEMS_MAX = 100
SEED_MAX = (1 << 64) - 1
# Linux: IFNAMSIZ is 16 with the closing zero (include/uapi/linux/if.h).
INTERFACE_BYTES_MAX = 15
COUNTERS_NS_MIN = 1_000_000  # each sample wakes a kernel and costs about a millisecond
MTU_BYTES_MIN = 68  # RFC 791
MTU_BYTES_MAX = 65535  # the largest that veth takes

_NODE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
_SYSCTL_NAME = re.compile(r"[a-z0-9_]+([./][A-Za-z0-9_@-]+)+")
_SYSCTL_ROOTS = ("abi", "debug", "dev", "fs", "kernel", "net", "user", "vm")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWNER = re.compile(r"[a-z0-9_][a-z0-9_-]*(:[a-z0-9_][a-z0-9_-]*)?", re.IGNORECASE)
_JSON_PATH = re.compile(r'(\.?[^.\[\]"]+|\[-?\d+\]|\["[^"]*"\])*')
# "all" and "default" are not interfaces but sysctl directories, "lo" is always there.
_RESERVED_INTERFACES = {"lo", "all", "default", ".", ".."}


def check_spec(spec: LabSpec) -> None:
    """Check a whole lab.

    Raises:
        LabFileErrors: what was found, the first `PROBLEMS_MAX` at most; mend the lab.
    """
    errors = [
        LabFileError(problem.message, where=problem.where, hint=problem.hint)
        for problem in islice(find_problems(spec), PROBLEMS_MAX)
    ]
    if errors:
        raise LabFileErrors(errors)


def find_problems(spec: LabSpec) -> Iterator[Problem]:
    """Find everything that is wrong with a lab, in the order of its parts."""
    yield from _lab(spec)
    nodes = {node.name for node in spec.nodes}
    yield from _duplicates(((("nodes", n.name), n.name) for n in spec.nodes), "node")
    for node in spec.nodes:
        yield from _node(node)
    yield from _wiring(spec, nodes)
    yield from _addresses(spec)
    interfaces: dict[str, list[str]] = {}
    for _, end in _endpoints(spec):
        interfaces.setdefault(end.node, []).append(end.interface)
    yield from _processes(spec, nodes)
    yield from _steps(spec, nodes)
    yield from fault_problems(spec)
    yield from _degradations(spec)
    yield from _captures(spec, nodes, interfaces)


def _captures(
    spec: LabSpec, nodes: Collection[str], interfaces: Mapping[str, Sequence[str]]
) -> Iterator[Problem]:
    links = [link.name for link in spec.links]
    for index, capture in enumerate(spec.captures):
        path: Path = ("captures", index)
        if capture.link:
            if capture.node or capture.interface:
                yield Problem(path, "a capture has a link, or a node and its interface, not both")
            if capture.link not in links:
                hint = link_hint(capture.link, links)
                yield Problem((*path, "link"), f"no link {capture.link!r}", hint)
        elif capture.node not in nodes:
            yield _no_node(capture.node, nodes, (*path, "node"))
        elif capture.interface not in (known := [*interfaces.get(capture.node, ()), "lo"]):
            yield Problem(
                (*path, "interface"),
                f"the node {capture.node!r} has no interface {capture.interface!r}",
                hint_for(capture.interface, known, what="interfaces"),
            )


def _lab(spec: LabSpec) -> Iterator[Problem]:
    if not _FILE_NAME.fullmatch(spec.name):
        yield Problem(
            ("name",),
            f"{spec.name!r} cannot name a lab",
            "use letters, digits, '-', '_' and '.'; a folder gets this name",
        )
    if not 0 <= spec.seed <= SEED_MAX:
        yield Problem(("seed",), f"the seed {spec.seed} is not 0 to 2**64 - 1")
    if spec.memory_bytes < MEMORY_BYTES_MIN:
        yield Problem(
            ("memory_bytes",),
            f"{spec.memory_bytes} bytes of memory are too few for a kernel",
            f"give at least {MEMORY_BYTES_MIN >> 20} MiB",
        )
    if spec.stop_ns is not None and spec.stop_ns <= 0:
        yield Problem(("stop_ns",), "the lab stops before it begins", "give a later stop")
    if spec.counters_ns is not None and 0 < spec.counters_ns < COUNTERS_NS_MIN:
        yield Problem(
            ("counters_ns",),
            f"counters every {_shown(spec.counters_ns)}",
            f"sample every {_shown(COUNTERS_NS_MIN)} at most: it wakes the kernels each time",
        )
    if not spec.root.startswith("/"):
        yield Problem(("root",), f"the root {spec.root!r} is not an absolute path")


def _node(node: NodeSpec) -> Iterator[Problem]:
    path: Path = ("nodes", node.name)
    if not _NODE_NAME.fullmatch(node.name) or node.name == "localhost":
        yield Problem(
            path,
            f"{node.name!r} cannot be a host name",
            "use 1 to 63 letters, digits, '-', '_' and '.', a letter or digit at both ends",
            key=True,
        )
    yield from kernel_problems(node, path)
    yield from volume_problems(node, path)
    for key, what, hint in node.cpu.problems():
        yield Problem((*path, "cpu", key), what, hint)
    for name, value in node.sysctls:
        yield from _sysctl(name, value, (*path, "sysctls", name))
    yield from _environment(node.env, (*path, "env"))
    for index, command in enumerate(node.exec):
        yield from _command_line(command, (*path, "exec", index))
    yield from _duplicates(
        (((*path, "files", file.path), file.path) for file in node.files), "file"
    )
    for file in node.files:
        parts = file.path.split("/")
        where: Path = (*path, "files", file.path)
        if parts[0] or not parts[-1] or {".", ".."} & set(parts) or "\0" in file.path:
            yield Problem(
                where,
                f"{file.path!r} is not an absolute path of a file",
                "write it like '/etc/frr/frr.conf', without '..'",
                key=True,
            )
        if not 0 <= file.mode <= 0o7777:
            yield Problem((*where, "mode"), f"the mode {file.mode:o} is not 0 to 7777")
        if not _OWNER.fullmatch(file.owner):
            yield Problem(
                (*where, "owner"), f"{file.owner!r} is no owner", "write 'user' or 'user:group'"
            )


def _sysctl(name: str, value: str, path: Path) -> Iterator[Problem]:
    root = re.split(r"[./]", name, maxsplit=1)[0]
    if not _SYSCTL_NAME.fullmatch(name) or ".." in name:
        yield Problem(
            path,
            f"{name!r} is not the name of a sysctl",
            "write it like 'net.ipv4.ip_forward'",
            key=True,
        )
    elif root not in _SYSCTL_ROOTS:
        nearest = near_miss(root, _SYSCTL_ROOTS)
        hint = f"did you mean '{nearest}{name[len(root) :]}'?" if nearest else ""
        yield Problem(
            path,
            f"no sysctl begins with {root!r}",
            hint or f"they begin with {', '.join(_SYSCTL_ROOTS)}",
            key=True,
        )
    if "\n" in value or "\0" in value:
        yield Problem(path, f"the value of {name} is more than a line")


def _environment(pairs: Iterable[tuple[str, str]], path: Path) -> Iterator[Problem]:
    for name, value in pairs:
        if not _ENV_NAME.fullmatch(name):
            yield Problem(
                (*path, name),
                f"{name!r} cannot name an environment variable",
                "use letters, digits and '_', no digit in front",
                key=True,
            )
        if "\0" in value:
            yield Problem((*path, name), f"the value of {name} has a zero byte")


def _command_line(command: str, path: Path) -> Iterator[Problem]:
    if not command.strip():
        yield Problem(path, "the command is empty", "write a shell command line")
    elif "\0" in command:
        yield Problem(path, "the command has a zero byte")


# Every interface of the lab with its path: those of networks, then of links.
def _endpoints(spec: LabSpec) -> Iterator[tuple[Path, Endpoint]]:
    for number, network in enumerate(spec.networks):
        for index, end in enumerate(network.members):
            yield ("networks", number, "members", index), end
    for number, link in enumerate(spec.links):
        for index, end in enumerate(link.ends):
            yield ("links", number, "ends", index), end


def _wiring(spec: LabSpec, nodes: set[str]) -> Iterator[Problem]:
    yield from _segments("links", [(link.name, link.mtu_bytes) for link in spec.links])
    yield from _segments("networks", [(net.name, net.mtu_bytes) for net in spec.networks])
    modelled = _modelled(spec)
    seen: dict[tuple[str, str], Path] = {}
    for path, end in _endpoints(spec):
        if end.node not in nodes:
            yield _no_node(end.node, nodes, (*path, "node"))
        else:
            yield from _interface_name(end, path)
            key = (end.node, end.interface)
            if key in seen:
                yield Problem(
                    (*path, "interface"),
                    f"the node {end.node!r} has two interfaces {end.interface!r}",
                    "give one of them another name",
                    first=(*seen[key], "interface"),
                )
            seen.setdefault(key, path)
        yield from impairment_problems(
            end.impairment, (*path, "impairment"), is_modelled=path[:2] in modelled
        )


def _degradations(spec: LabSpec) -> Iterator[Problem]:
    modelled = _modelled(spec)
    names = {link.name for at, link in enumerate(spec.links) if ("links", at) in modelled}
    for index, fault in enumerate(spec.faults):
        if isinstance(fault.action, LinkDegrade):
            for part in (fault.action.impairment, fault.action.backward):
                if part is not None:
                    yield from impairment_problems(
                        part,
                        ("faults", index, "impairment"),
                        is_modelled=fault.action.link in names,
                    )


# The links and networks that join kernels: those are modelled by us, others by netem.
def _modelled(spec: LabSpec) -> set[Path]:
    own = {node.name for node in spec.nodes if node.kernel is not None}
    if not own:
        return set()
    ends: list[tuple[Path, Sequence[Endpoint]]] = [
        (("links", at), link.ends) for at, link in enumerate(spec.links)
    ]
    ends += [(("networks", at), network.members) for at, network in enumerate(spec.networks)]
    return {path for path, some in ends if any(end.node in own for end in some)}


# Names and sizes of links, or of networks.
def _segments(what: str, segments: Sequence[tuple[str, int]]) -> Iterator[Problem]:
    named: Iterator[tuple[Path, str]] = (
        ((what, number, "name"), name) for number, (name, _) in enumerate(segments)
    )
    yield from _duplicates(named, what[:-1])
    for number, (name, mtu_bytes) in enumerate(segments):
        if not _FILE_NAME.fullmatch(name):
            yield Problem(
                (what, number, "name"),
                f"{name!r} cannot name a {what[:-1]}",
                "use letters, digits, '-', '_' and '.'",
                key=what == "networks",
            )
        if not MTU_BYTES_MIN <= mtu_bytes <= MTU_BYTES_MAX:
            yield Problem(
                (what, number, "mtu_bytes"),
                f"the mtu {mtu_bytes} is not {MTU_BYTES_MIN} to {MTU_BYTES_MAX}",
            )


def _interface_name(end: Endpoint, path: Path) -> Iterator[Problem]:
    name = end.interface
    size = len(name.encode())
    reason = ""
    if size > INTERFACE_BYTES_MAX:
        reason = f"it has {size} bytes, and Linux takes {INTERFACE_BYTES_MAX}"
    elif name in _RESERVED_INTERFACES:
        reason = "Linux has its own use for that name"
    elif not name or any(c.isspace() or c in "/:%" or not c.isprintable() for c in name):
        reason = "use letters, digits, '-', '_' and '.'"
    if reason:
        yield Problem((*path, "interface"), f"{name!r} cannot name an interface", reason)


def _shown(duration_ns: int) -> str:
    return f"{duration_ns} ns" if duration_ns < 0 else duration_text(duration_ns)


def _addresses(spec: LabSpec) -> Iterator[Problem]:
    uses: list[AddressUse] = []
    macs: list[tuple[Path, str]] = []
    for node in spec.nodes:
        path: Path = ("nodes", node.name, "addresses")
        uses += [
            AddressUse((*path, i), text, "", f"the loopback of {node.name}")
            for i, text in enumerate(node.addresses)
        ]
    for where, end in _endpoints(spec):
        number = where[1]
        assert isinstance(number, int), "endpoints are counted"
        group = spec.links if where[0] == "links" else spec.networks
        segment = f"{str(where[0])[:-1]} {group[number].name}"
        for i, text in enumerate(end.addresses):
            holder = f"{end.node}:{end.interface}"
            uses.append(AddressUse((*where, "addresses", i), text, segment, holder))
            if ":" in text and group[number].mtu_bytes < 1280:
                yield Problem(
                    (*where, "addresses", i),
                    f"{text} on an mtu of {group[number].mtu_bytes}",
                    "IPv6 needs an mtu of 1280 (RFC 8200): raise it, or leave the address out",
                )
        if end.mac is not None:
            macs.append(((*where, "mac"), end.mac))
    yield from address_problems(uses)
    yield from mac_problems(macs)


def _processes(spec: LabSpec, nodes: set[str]) -> Iterator[Problem]:
    names: list[tuple[Path, str]] = [
        (("processes", i, "name"), f"{process.name} of node {process.node}")
        for i, process in enumerate(spec.processes)
    ]
    yield from _duplicates(iter(names), "process")
    for index, process in enumerate(spec.processes):
        yield from _process(process, ("processes", index), spec, nodes)


def _process(process: ProcessSpec, path: Path, spec: LabSpec, nodes: set[str]) -> Iterator[Problem]:
    if process.node not in nodes:
        yield _no_node(process.node, nodes, (*path, "node"))
    if not _FILE_NAME.fullmatch(process.name):
        yield Problem(
            (*path, "name"),
            f"{process.name!r} cannot name a process",
            "use letters, digits, '-', '_' and '.'; files get this name",
        )
    yield from _command_line(process.command, (*path, "command"))
    yield from _environment(process.env, (*path, "env"))
    yield from _within_lab(process.start_ns, spec, (*path, "start_ns"), "the start")
    if process.timeout_ns is not None and process.timeout_ns <= 0:
        yield Problem((*path, "timeout_ns"), "a timeout of no time", "give a longer one")
    if not 0 <= process.expect.status <= 255:
        yield Problem(
            (*path, "expect"), f"no exit status is {process.expect.status}", "they are 0 to 255"
        )
    if process.expect.stdout is not None:
        yield from _match(process.expect.stdout, (*path, "expect", "stdout"))


def _steps(spec: LabSpec, nodes: set[str]) -> Iterator[Problem]:
    links = [link.name for link in spec.links]
    known_links = set(links)
    modelled = _modelled(spec)
    modelled_links = {link.name for at, link in enumerate(spec.links) if ("links", at) in modelled}
    named: list[tuple[Path, str]] = []
    for section, steps in (("steps", spec.steps), ("validations", spec.validations)):
        named += [((section, i, "name"), step.name) for i, step in enumerate(steps)]
    yield from _duplicates(iter(named), "step")
    for index, step in enumerate(spec.steps):
        path: Path = ("steps", index)
        yield from _within_lab(step.at_ns, spec, (*path, "at_ns"), "the step")
        match step.action:
            case Command():
                yield from _command(step, step.action, path, nodes)
                yield from _wait_fits(step, step.action, path, spec)
            case LinkChange(link=link):
                if link not in known_links:
                    yield Problem((*path, "link"), f"no link {link!r}", link_hint(link, links))
                if (step.action.up is None) == (step.action.impairment is None):
                    yield Problem(
                        path,
                        "a change of a link is either up or down, or new impairments",
                        "make two steps of it",
                    )
                for part in (step.action.impairment, step.action.backward):
                    if part is not None:
                        yield from impairment_problems(
                            part, (*path, "impairment"), is_modelled=link in modelled_links
                        )
    for index, step in enumerate(spec.validations):
        assert isinstance(step.action, Command), "a validation is a command"
        yield from _command(step, step.action, ("validations", index), nodes)


def _command(step: Step, action: Command, path: Path, nodes: set[str]) -> Iterator[Problem]:
    if not step.name.strip():
        yield Problem((*path, "name"), "the name is empty")
    if action.node not in nodes:
        yield _no_node(action.node, nodes, (*path, "node"))
    yield from _command_line(action.command, (*path, "command"))
    if action.status is not None and not 0 <= action.status <= 255:
        yield Problem((*path, "status"), f"no exit status is {action.status}", "they are 0 to 255")
    if action.every_ns <= 0:
        yield Problem((*path, "every_ns"), "no pause between two tries", "give at least 1 us")
    if action.within_ns is not None and action.within_ns < 0:
        yield Problem((*path, "within_ns"), "the wait is negative", "give 0 or more")
    if action.match is not None:
        yield from _match(action.match, (*path, "match"))
    if action.junit and (not action.junit.startswith("/") or "\0" in action.junit):
        yield Problem(
            (*path, "junit"),
            f"{action.junit!r} is not an absolute path of a file",
            "write it like '/tmp/results.xml'",
        )
    if action.junit and action.within_ns is not None:
        yield Problem(
            (*path, "junit"),
            "junit is about the tests of one try, and with `within` there may be many",
            "leave out within",
        )


def _wait_fits(step: Step, action: Command, path: Path, spec: LabSpec) -> Iterator[Problem]:
    if spec.stop_ns is None or action.within_ns is None or step.at_ns > spec.stop_ns:
        return
    end_ns = step.at_ns + action.within_ns
    if end_ns > spec.stop_ns:
        yield Problem(
            (*path, "within_ns"),
            f"the wait may last until {_shown(end_ns)}, and the lab stops at "
            f"{_shown(spec.stop_ns)}",
            f"wait at most {_shown(spec.stop_ns - step.at_ns)}, or stop the lab later",
        )


def _within_lab(time_ns: int, spec: LabSpec, path: Path, what: str) -> Iterator[Problem]:
    if time_ns < 0:
        yield Problem(path, f"{what} is at {time_ns} ns", "the lab begins at 0 s")
    elif spec.stop_ns is not None and time_ns > spec.stop_ns:
        yield Problem(
            path,
            f"{what} is at {_shown(time_ns)}, and the lab stops at {_shown(spec.stop_ns)}",
            "make it earlier, or stop the lab later",
        )


def _match(match: TextMatch, path: Path) -> Iterator[Problem]:
    if match == TextMatch():
        yield Problem(path, "nothing to match", "give text, regex, json or path")
    if match.regex is not None:
        try:
            re.compile(match.regex, re.MULTILINE)
        except re.error as error:
            yield Problem(
                (*path, "regex"),
                f"{match.regex!r} is not a regular expression: {error}",
                "the syntax is that of Python's re",
            )
    if not _JSON_PATH.fullmatch(match.path):
        yield Problem(
            (*path, "path"),
            f"{match.path!r} is not a path",
            "write it like 'a.b[0].c', and odd names like 'a[\"10.0.0.0/8\"]'",
        )


def _no_node(name: str, nodes: Iterable[str], path: Path) -> Problem:
    return Problem(path, f"no node {name!r}", hint_for(name, sorted(nodes), what="nodes"))


def _duplicates(named: Iterator[tuple[Path, str]], what: str) -> Iterator[Problem]:
    seen: dict[str, Path] = {}
    for path, name in named:
        if name in seen:
            yield Problem(
                path, f"there are two of the {what} {name!r}", "rename one", first=seen[name]
            )
        else:
            seen[name] = path
