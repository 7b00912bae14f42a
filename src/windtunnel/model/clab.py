# SPDX-License-Identifier: Apache-2.0
"""A containerlab topology as a lab file of ours.

Taken over: nodes of kind linux, FRR nodes (by their image), bridges, links in
both forms, exec, cmd, env, sysctls, binds and startup-config as files, and the
layers of defaults, kinds and groups. What has no equivalent becomes a warning:
an import never drops anything in silence. Programs come from this machine, not
from an image.

Source: https://containerlab.dev/manual/topo-def-file/, /manual/nodes/, /manual/links/.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from windtunnel.errors import LabFileError
from windtunnel.model.flatten import literal_command
from windtunnel.model.yamltext import yaml_text
from windtunnel.model.yamltree import Document, parse_yaml

Part = dict[str, Any]

_LINUX_KINDS = {"linux", ""}
_BRIDGE_KINDS = {"bridge", "ovs-bridge"}
# Said about the container, its image or the management network: nothing that a
# lab of ours could do wrong by not having it.
_NEEDLESS = {
    "image", "image-pull-policy", "kind", "group", "labels", "mgmt-ipv4", "mgmt-ipv6",
    "network-mode", "ports", "position", "restart-policy", "runtime", "user", "auto-remove",
}  # fmt: skip
_TAKEN = {"exec", "cmd", "env", "sysctls", "binds", "startup-config"}
_FRR_DIRECTORY = "/usr/lib/frr"
# What FRR starts when its daemons file says nothing.
_FRR_ALWAYS = ("zebra", "staticd")
_FRR_DAEMONS = (
    "zebra", "mgmtd", "bgpd", "ospfd", "ospf6d", "ripd", "ripngd", "isisd", "pimd", "pim6d",
    "ldpd", "nhrpd", "eigrpd", "babeld", "sharpd", "pbrd", "bfdd", "fabricd", "vrrpd",
    "pathd", "staticd",
)  # fmt: skip
_VARIABLE = re.compile(r"\$\{(\w+)(?::?[-=]([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class ClabImport:
    """What became of a topology.

    Attributes:
        text: the lab file.
        warnings: what has no equivalent, one sentence each.
    """

    text: str
    warnings: tuple[str, ...]


def import_clab(text: str, *, file: str, read: Callable[[str], bytes]) -> ClabImport:
    """Turn a containerlab topology into a lab file.

    Args:
        text: of the topology file.
        file: its name, for messages.
        read: returns the bytes of a file that the topology names, relative to
            it; raises OSError (IsADirectoryError for a directory).

    Raises:
        LabFileError: not YAML, or not a topology.
    """
    importer = _Importer(parse_yaml(_with_defaults(text), file=file), read)
    lab = importer.lab()
    head = f"# Imported from {posixpath.basename(file)}, a containerlab topology.\n"
    return ClabImport(head + yaml_text(lab), tuple(dict.fromkeys(importer.warnings)))


class _Importer:
    """One import; collects warnings on its way."""

    def __init__(self, document: Document, read: Callable[[str], bytes]) -> None:
        self._document = document
        self._read = read
        self.warnings: list[str] = []
        root = document.root.value
        topology = root.get("topology") if isinstance(root, dict) else None
        if not isinstance(root, dict) or not isinstance(topology, dict):
            raise LabFileError(
                "this is no containerlab topology: it has no mapping 'topology'",
                where=document.where(()),
                hint="give a file like topo.clab.yml",
            )
        self._root = root
        self._defaults = self._mapping(topology, "defaults", ("topology",))
        self._kinds = self._bodies_of(topology, "kinds")
        self._groups = self._bodies_of(topology, "groups")
        self._nodes = self._bodies_of(topology, "nodes")
        links = topology.get("links") or []
        if not isinstance(links, list):
            raise self._wrong(("topology", "links"), "a list")
        self._links = links

    def lab(self) -> Part:
        """Make the lab file's data."""
        for key in ("mgmt", "settings"):
            if key in self._root:
                self._warn(f"{key}: there is no management network")
        networks: Part = {
            name: {"members": []}
            for name in self._nodes
            if str(self._setting(name, "kind")) in _BRIDGE_KINDS
        }
        nodes = {name: self._node(name) for name in self._nodes if name not in networks}
        links = self._import_links(networks)
        images = sorted({str(self._setting(name, "image")) for name in nodes} - {"None"})
        if images:
            self._warn(
                f"images are not used ({', '.join(images)}): programs come from this machine"
            )
        lab: Part = {
            "name": str(self._root.get("name", "imported")),
            # Such a topology addresses its interfaces by itself.
            "addressing": "none",
            # Containers forward IPv4 unless told otherwise.
            "defaults": {
                **self._shared(self._defaults, "defaults"),
                "sysctls": {
                    "net.ipv4.ip_forward": "1",
                    **self._texts(self._defaults.get("sysctls"), "sysctls"),
                },
            },
            "kinds": self._import_kinds(nodes),
            "groups": {
                name: self._shared(body, f"group {name}") for name, body in self._groups.items()
            },
            "nodes": nodes,
            "networks": networks,
            "links": links,
        }
        return {key: value for key, value in lab.items() if value not in ({}, [])}

    def _import_kinds(self, nodes: Mapping[str, Part]) -> Part:
        kinds = {
            name: self._shared(body, f"kind {name}")
            for name, body in self._kinds.items()
            if any(node.get("kind") == name for node in nodes.values())
        }
        for kind in sorted({node["kind"] for node in nodes.values() if "kind" in node}):
            if kind.startswith("frr"):
                base = kind.removeprefix("frr").removeprefix("-") or "linux"
                extends = {}
                if base in self._kinds:
                    kinds[base] = self._shared(self._kinds[base], f"kind {base}")
                    extends = {"extends": base}
                kinds[kind] = {
                    **extends,
                    "sysctls": {"net.ipv6.conf.all.forwarding": "1"},
                    "exec": ["install -d -o frr -g frr -m 755 /run/frr"],
                }
        return kinds

    # One node, with its files: those may depend on its name, so no layer shares them.
    def _node(self, name: str) -> Part:
        body = self._nodes[name]
        kind = str(self._setting(name, "kind") or "linux")
        is_frr = "frr" in str(self._setting(name, "image") or "").lower()
        if kind not in _LINUX_KINDS and not is_frr:
            self._warn(f"node {name}: kind {kind} has no equivalent; it becomes a Linux node")
        part: Part = {}
        if is_frr:
            part["kind"] = "frr" if kind == "linux" else f"frr-{kind}"
        elif kind in self._kinds:
            part["kind"] = kind
        group = str(self._setting(name, "group"))
        if group in self._groups:
            part["groups"] = [group]
        part.update(self._shared(body, f"node {name}"))
        files = self._files(name, is_frr=is_frr)
        if files:
            part["files"] = files
        run = self._frr_processes(name, files) if is_frr else []
        command = self._setting(name, "cmd")
        if command is not None:
            run.append({"name": "cmd", "cmd": literal_command(str(command))})
        if is_frr:
            run += self._late_commands(name, part)
        if run:
            part["run"] = run
        return part

    # Commands that talk to FRR's daemons can only run when those run.
    def _late_commands(self, name: str, part: Part) -> list[Part]:
        commands = part.get("exec", [])
        late = [command for command in commands if "vtysh" in command]
        early = [command for command in commands if "vtysh" not in command]
        if not late:
            return []
        self._warn(f"node {name}: commands with vtysh run at 2 s, when FRR's daemons do")
        part.pop("exec")
        if early:
            part["exec"] = early
        return [
            {"name": f"exec-{number}", "cmd": command, "start": "2 s", "expect": "exited 0"}
            for number, command in enumerate(late, start=1)
        ]

    # exec, env and sysctls; a warning for each key that is not taken over.
    def _shared(self, body: Part, what: str) -> Part:
        part: Part = {}
        for key in body:
            if key not in _TAKEN | _NEEDLESS:
                self._warn(f"{what}: {key} has no equivalent")
        sysctls = self._texts(body.get("sysctls"), f"{what}: sysctls")
        if sysctls:
            part["sysctls"] = sysctls
        env = self._texts(body.get("env"), f"{what}: env")
        if env:
            part["env"] = env
        commands = [text for text in self._list(body, "exec", what) if text.strip()]
        if commands:
            part["exec"] = [literal_command(command) for command in commands]
        return part

    def _texts(self, value: Any, what: str) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._warn(f"{what} is no mapping and is left out")
            return {}
        words = {True: "true", False: "false", None: ""}
        return {
            key: words[item] if item is None or isinstance(item, bool) else str(item)
            for key, item in value.items()
        }

    def _files(self, name: str, *, is_frr: bool) -> Part:
        files: Part = {}
        what = f"node {name}"
        binds = [bind for body in self._bodies(name) for bind in self._list(body, "binds", what)]
        for bind in binds:
            source, _, rest = self._filled(bind, name).partition(":")
            target = rest.partition(":")[0]
            if not target.startswith("/"):
                self._warn(f"node {name}: the volume {source} has no equivalent")
            elif source.startswith(("/", "~", "$")):
                self._warn(f"node {name}: {source} of the host is left out (bind to {target})")
            else:
                files.update(self._file(name, source, target, is_frr=is_frr))
        config = self._setting(name, "startup-config")
        if config is not None and is_frr:
            source = self._filled(str(config), name)
            files.update(self._file(name, source, "/etc/frr/frr.conf", is_frr=True))
        elif config is not None:
            self._warn(f"node {name}: startup-config is for a system that is not there")
        return files

    def _file(self, name: str, source: str, target: str, *, is_frr: bool) -> Part:
        part: Part = {"source": posixpath.normpath(source)}
        if is_frr and target.startswith("/etc/frr"):
            part.update({"owner": "frr:frr", "mode": "0640"})
        try:
            self._read(part["source"])
        except IsADirectoryError:
            return {target.rstrip("/") + "/": part}
        except OSError as error:
            self._warn(f"node {name}: {source} cannot be read ({error.strerror}), left out")
            return {}
        return {target: part}

    # FRR as its start script does it: the daemons, then the integrated configuration.
    def _frr_processes(self, name: str, files: Part) -> list[Part]:
        wanted = set(_FRR_ALWAYS)
        daemons = files.get("/etc/frr/daemons")
        if daemons is not None:
            wanted |= self._enabled(daemons["source"])
        elif "/etc/frr/" in files:
            source = posixpath.join(files["/etc/frr/"]["source"], "daemons")
            wanted |= self._enabled(source)
        else:
            self._warn(f"node {name}: no daemons file; only {', '.join(_FRR_ALWAYS)} run")
        run: list[Part] = []
        for daemon in _FRR_DAEMONS:
            if daemon in wanted:
                start = {} if daemon in {"zebra", "mgmtd"} else {"start": "100 ms"}
                command = f"{_FRR_DIRECTORY}/{daemon} -A 127.0.0.1"
                run.append({"name": daemon, "cmd": command, **start, "expect": "running"})
        if "/etc/frr/frr.conf" in files or "/etc/frr/" in files:
            run.append({"name": "vtysh", "cmd": "vtysh -b", "start": "1 s", "expect": "exited 0"})
        return run

    def _enabled(self, source: str) -> set[str]:
        try:
            text = self._read(source).decode(errors="replace")
        except OSError as error:
            self._warn(f"{source} cannot be read ({error.strerror})")
            return set()
        found = re.findall(r"^\s*(\w+)\s*=\s*[\"']?yes\b", text, re.MULTILINE)
        return set(found) & set(_FRR_DAEMONS)

    def _import_links(self, networks: Part) -> list[Part]:
        links = []
        for index, link in enumerate(self._links):
            path = ("topology", "links", index)
            if not isinstance(link, dict):
                raise self._wrong(path, "a mapping with endpoints")
            kind = str(link.get("type", "veth"))
            ends = link.get("endpoints")
            if kind != "veth" or not isinstance(ends, list) or len(ends) != 2:
                self._warn(f"link {index + 1}: type {kind} has no equivalent")
                continue
            names = [self._endpoint(end, path) for end in ends]
            nodes = [name.partition(":")[0] for name in names]
            strangers = [node for node in nodes if node not in self._nodes]
            bridged = [node in networks for node in nodes]
            if strangers:
                self._warn(f"link {index + 1}: {strangers[0]} is no node of the lab")
            elif all(bridged):
                self._warn(f"link {index + 1}: two bridges cannot be linked")
            elif any(bridged):
                member = names[bridged.index(False)]
                networks[nodes[bridged.index(True)]]["members"].append(member)
            else:
                links.append(self._link(link, names, ends))
            for key in set(link) - {"type", "endpoints", "mtu", "labels", "vars"}:
                self._warn(f"link {index + 1}: {key} has no equivalent")
        return links

    def _link(self, link: Part, names: list[str], ends: list[Any]) -> Part:
        part: Part = {"endpoints": names}
        macs = [end.get("mac") if isinstance(end, dict) else None for end in ends]
        if any(macs):
            part["mac"] = macs
        if "mtu" in link:
            part["mtu"] = link["mtu"]
        return part

    def _endpoint(self, end: Any, path: tuple[str | int, ...]) -> str:
        if isinstance(end, dict) and "node" in end:
            interface = end.get("interface")
            return f"{end['node']}:{interface}" if interface else str(end["node"])
        if isinstance(end, str):
            return end
        raise self._wrong((*path, "endpoints"), 'like "node:eth1"')

    # The layers of a node, the weakest first.
    def _bodies(self, name: str) -> list[Part]:
        node = self._nodes[name]
        group = self._groups.get(str(node.get("group")), {})
        kind = node.get("kind") or group.get("kind") or self._defaults.get("kind")
        return [self._defaults, self._kinds.get(str(kind), {}), group, node]

    def _setting(self, name: str, key: str) -> Any:
        found = [body[key] for body in self._bodies(name) if body.get(key) is not None]
        return found[-1] if found else None

    def _filled(self, text: str, name: str) -> str:
        filled = text.replace("__clabNodeName__", name)
        if "__clab" in filled:
            self._warn(f"node {name}: {text} names a folder that only containerlab makes")
        return filled

    def _mapping(self, part: Part, key: str, path: tuple[str, ...]) -> Part:
        value = part.get(key) or {}
        if not isinstance(value, dict):
            raise self._wrong((*path, key), "a mapping")
        return value

    # A mapping of mappings; nothing behind a name is an empty one.
    def _bodies_of(self, topology: Part, key: str) -> dict[str, Part]:
        bodies = {}
        for name, body in self._mapping(topology, key, ("topology",)).items():
            if not isinstance(body, dict | None):
                raise self._wrong(("topology", key, name), "a mapping")
            bodies[name] = body or {}
        return bodies

    def _list(self, part: Part, key: str, what: str) -> list[str]:
        value = part.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self._warn(f"{what}: {key} is no list and is left out")
            return []
        return [str(item) for item in value]

    def _wrong(self, path: tuple[str | int, ...], wanted: str) -> LabFileError:
        name = ".".join(str(element) for element in path)
        return LabFileError(f"{name} must be {wanted}", where=self._document.where(path))

    def _warn(self, message: str) -> None:
        self.warnings.append(message)


# "${NAME:=value}" becomes its value; our environment must not reach a lab.
def _with_defaults(text: str) -> str:
    return _VARIABLE.sub(
        lambda match: match.group(2) if match.group(2) is not None else match.group(0), text
    )
