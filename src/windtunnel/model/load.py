# SPDX-License-Identifier: Apache-2.0
"""Lab text to `LabSpec`: the whole way, in the order in which it is gone.

Text is read (positions kept), its shape is checked, nodes are merged from
their layers, links and networks are wired, templates are filled, and what came
out is checked as any lab is. Errors of shape end it, because nothing can be
said about a text that is no lab; all others are collected and raised together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

from windtunnel.errors import LabFileError, LabFileErrors
from windtunnel.model import actions
from windtunnel.model.addressing import wire
from windtunnel.model.check import PROBLEMS_MAX, find_problems
from windtunnel.model.contents import Contents, ListDirectory, Read
from windtunnel.model.faultplan import make_faults
from windtunnel.model.hook import Hook, Limits, NodeHooks, hook_name
from windtunnel.model.lab import LabSpec, LinkSpec, NetworkSpec, NodeSpec, VolumeSpec
from windtunnel.model.locate import Origins
from windtunnel.model.merge import Settings, merge_nodes
from windtunnel.model.problem import Path, Problem
from windtunnel.model.references import PARAMETER_KEYS
from windtunnel.model.schema import LabPart
from windtunnel.model.shape import read_shape
from windtunnel.model.templates import InterfaceView, LabView, NodeView, Scope
from windtunnel.model.wiring import draft_links, draft_networks
from windtunnel.model.yamltree import Document, parse_yaml


def load_lab(
    text: str,
    *,
    file: str,
    read: Read,
    list_directory: ListDirectory,
    seed: int | None = None,
    stop_ns: int | None = None,
    params: Mapping[str, str] | None = None,
) -> LabSpec:
    """Read a lab file.

    Args:
        text: its text.
        file: its name, for messages.
        read: returns the bytes of a file that the lab file names. Paths come as
            they are written there ("./h1/x" as "h1/x"): relative ones are
            relative to the lab file. Raises OSError.
        list_directory: returns the paths of all regular files below a directory, from there.
        seed: used instead of the file's, 0 to 2**64 - 1.
        stop_ns: used instead of the file's.
        params: of the cell, for a lab with parameters.

    Returns:
        The lab, complete and checked; its `source` is `text`.

    Raises:
        LabFileErrors: everything that is wrong (the first hundred), with its place.
        LabFileError: the text is not YAML, refers to an unknown parameter, or has
            parameters and `params` is None.
    """
    document = _document(text, file, params)
    lab = _shape(document, seed=seed, stop=stop_ns)
    problems: list[Problem] = []
    contents = Contents(document, read, list_directory, problems)
    contents.read_tables(lab, text)
    settings = merge_nodes(lab, problems)
    links, networks = _wire(lab, document, problems)
    scope = _scope(lab, settings, links, networks)
    render = _renderer(scope, document, problems)
    nodes, files = _nodes(lab, settings, scope, contents, render)
    processes, process_paths = actions.make_processes(lab, settings, render)
    steps, step_paths = actions.make_steps(lab, links, render)
    spec = LabSpec(
        name=lab.name,
        seed=lab.seed,
        stop_ns=lab.stop,
        memory_bytes=lab.memory,
        clock_ns=lab.clock,
        nodes=nodes,
        links=links,
        networks=networks,
        processes=processes,
        steps=steps,
        validations=actions.make_validations(lab, (step.name for step in steps), render),
        captures=actions.make_captures(lab),
        root=lab.root,
        counters_ns=lab.counters,
        trace=tuple(dict.fromkeys(lab.trace)),
        hooks=lab.hooks.hooks(),
        limits=_limits(lab),
        source=text,
    )
    faults, fault_paths = make_faults(lab, spec, document.where, problems)
    spec = replace(spec, faults=faults)
    origins = Origins(
        document, settings, files, list(lab.networks), process_paths, step_paths, fault_paths
    )
    _raise_all(spec, problems, origins)
    return spec


def flat_spec(text: str, *, file: str) -> LabSpec:
    """Read a flattened lab, as a run's folder keeps it; it names no other files.

    Args:
        text: of the lab.
        file: its name, for messages.

    Raises:
        LabFileErrors, LabFileError: see `load_lab`.
    """

    def read(name: str) -> bytes:
        raise FileNotFoundError(2, "a flattened lab names no files", name)

    def list_directory(name: str) -> Sequence[str]:
        raise FileNotFoundError(2, "a flattened lab names no folders", name)

    return load_lab(text, file=file, read=read, list_directory=list_directory)


def _limits(lab: LabPart) -> Limits:
    host_ns = lab.cell_timeout_host
    return Limits(lab.cell_timeout, None if host_ns is None else host_ns / 1e9)


def _document(text: str, file: str, params: Mapping[str, str] | None) -> Document:
    document = parse_yaml(text, file=file, params=params)
    root = document.root.children
    for key in PARAMETER_KEYS:
        if params is None and isinstance(root, dict) and key in root:
            raise LabFileError(
                "this lab has parameters, so it is several labs",
                where=document.where((key,), key=True),
                hint=f"'windtunnel matrix list {document.file}' lists its cells, 'windtunnel run' "
                "runs them, and other commands take one: --cell NAME",
            )
    return document


def _renderer(scope: Scope, document: Document, problems: list[Problem]) -> actions.RenderCommand:
    def render(command: str, node: str, path: Path) -> str:
        if "{{" not in command or node not in scope.nodes:
            return command
        try:
            return scope.render_command(command, node, document.where(path))
        except LabFileError as error:
            problems.append(Problem(path, error.message, error.hint, where=error.where))
            return command

    return render


# The file's models; what the caller gives comes before what the file says.
def _shape(document: Document, **given: int | None) -> LabPart:
    update = {key: value for key, value in given.items() if value is not None}
    return read_shape(document).model_copy(update=update)


def _wire(
    lab: LabPart, document: Document, problems: list[Problem]
) -> tuple[tuple[LinkSpec, ...], tuple[NetworkSpec, ...]]:
    links = draft_links(lab, problems)
    networks = draft_networks(lab, problems)
    loopbacks = [text for node in lab.nodes.values() for text in node.addresses]
    try:
        return wire(links, networks, loopbacks=loopbacks)
    except LabFileError as error:
        # No room for automatic addresses: the whole lab is the culprit.
        error.where = document.where(("links",))
        raise


def _scope(
    lab: LabPart,
    settings: Mapping[str, Settings],
    links: Sequence[LinkSpec],
    networks: Sequence[NetworkSpec],
) -> Scope:
    interfaces: dict[str, list[InterfaceView]] = {name: [] for name in settings}
    groups: list[LinkSpec | NetworkSpec] = [*networks, *links]
    for group in groups:
        ends = group.members if isinstance(group, NetworkSpec) else group.ends
        views = [InterfaceView(end, group) for end in ends]
        for view in views:
            view.peers = [other for other in views if other is not view]
            interfaces.setdefault(view.node, []).append(view)
    nodes = {
        name: NodeView(
            name=name,
            number=number,
            vars=merged.vars,
            addresses=lab.nodes[name].addresses,
            interfaces=interfaces[name],
        )
        for number, (name, merged) in enumerate(settings.items(), start=1)
    }
    return Scope(lab=LabView(lab.name, lab.seed), nodes=nodes, links=list(links))


def _nodes(
    lab: LabPart,
    settings: Mapping[str, Settings],
    scope: Scope,
    contents: Contents,
    render: actions.RenderCommand,
) -> tuple[tuple[NodeSpec, ...], dict[str, dict[str, Path]]]:
    nodes = []
    origins = {}
    for name, merged in settings.items():
        files, origins[name] = contents.files_of(name, merged.files, scope)
        nodes.append(
            NodeSpec(
                name=name,
                sysctls=tuple(merged.sysctls.items()),
                env=tuple(merged.env.items()),
                exec=tuple(render(text, name, path) for text, path in merged.exec),
                files=files,
                cpu=merged.cpu,
                addresses=tuple(lab.nodes[name].addresses),
                kernel=merged.kernel,
                memory_bytes=merged.memory_bytes,
                kernel_words=tuple(merged.kernel_words),
                volumes=tuple(
                    VolumeSpec(volume, part.path, part.size, part.filesystem, part.latency)
                    for volume, part in merged.volumes.items()
                ),
                hooks=NodeHooks(
                    before=tuple(merged.before),
                    after=tuple(
                        _rendered(hook, render(hook.command, name, (*path, "cmd")))
                        for hook, path in merged.after
                    ),
                ),
            )
        )
    return tuple(nodes), origins


def _rendered(hook: Hook, command: str) -> Hook:
    named = hook.name if hook.name != hook_name(hook.command) else hook_name(command)
    return replace(hook, command=command, name=named) if command else hook


# All that is wrong, in the order of the file; the same thing found twice (by a
# kind that many nodes share) is said once.
def _raise_all(spec: LabSpec, problems: list[Problem], origins: Origins) -> None:
    found = [*problems, *islice(find_problems(spec), PROBLEMS_MAX)][:PROBLEMS_MAX]
    if not found:
        return
    errors = {str(error): error for error in map(origins.explain, found)}
    in_order = sorted(
        errors.values(),
        key=lambda error: (error.where.line, error.where.column) if error.where else (0, 0),
    )
    raise LabFileErrors(in_order)
