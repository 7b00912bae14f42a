# SPDX-License-Identifier: Apache-2.0
"""What a lab file lets happen: processes, steps, validations, captures.

A link's `set` names what changes; what it does not name stays as the steps
before it left it. So steps are put into the order of time first.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import (
    CaptureSpec,
    Command,
    Expectation,
    LinkChange,
    LinkSpec,
    Outcome,
    ProcessSpec,
    Step,
    TextMatch,
)
from windtunnel.model.merge import Settings
from windtunnel.model.problem import Path
from windtunnel.model.programschema import ExpectPart, MatchPart, ProcessPart
from windtunnel.model.schema import (
    LabPart,
    StepPart,
    ValidatePart,
)
from windtunnel.model.shorten import shortened
from windtunnel.model.units import duration_text
from windtunnel.model.wiring import merge_impairment

# (the text of a command, its node, its path in the file) -> the command line.
RenderCommand = Callable[[str, str, Path], str]
# A command makes a step's name with at most so many characters.
NAME_CHARACTERS_MAX = 50


def make_processes(
    lab: LabPart, settings: Mapping[str, Settings], render: RenderCommand
) -> tuple[tuple[ProcessSpec, ...], list[Path]]:
    """Make all processes: those of each node's layers, then those of `run`.

    Returns:
        The processes, and for each its path in the lab file.
    """
    parts: list[tuple[str, ProcessPart, Path]] = [
        (node, part, path) for node, merged in settings.items() for part, path in merged.run
    ]
    parts += [(part.node, part, ("run", index)) for index, part in enumerate(lab.run)]
    taken: dict[str, set[str]] = {}
    for node, part, _ in parts:
        if part.name is not None:
            taken.setdefault(node, set()).add(part.name)
    processes = []
    for node, part, path in parts:
        name = part.name
        if name is None:
            others = taken.setdefault(node, set())
            name = free_name(_program(part.cmd), others, "-")
            others.add(name)
        processes.append(
            ProcessSpec(
                name=name,
                node=node,
                command=render(part.cmd, node, (*path, "cmd")),
                start_ns=part.start,
                env=tuple(part.env.items()),
                timeout_ns=part.timeout,
                expect=_expectation(part.expect),
            )
        )
    return tuple(processes), [path for _, _, path in parts]


def make_steps(
    lab: LabPart, links: Sequence[LinkSpec], render: RenderCommand
) -> tuple[tuple[Step, ...], list[Path]]:
    """Make all steps, in the order in which they are done.

    Returns:
        The steps, and for each its path in the lab file.
    """
    state = {link.name: tuple(end.impairment for end in link.ends) for link in links}
    order = sorted(range(len(lab.steps)), key=lambda index: lab.steps[index].at)
    names = _step_names([_step_name(part) for part in lab.steps], lab.steps)
    steps = []
    for index in order:
        part = lab.steps[index]
        action = (
            _link_change(part, state)
            if part.link is not None
            else _command(part, ("steps", index), render)
        )
        steps.append(Step(at_ns=part.at, name=names[index], action=action, check=part.check))
    return tuple(steps), [("steps", index) for index in order]


def make_validations(
    lab: LabPart, step_names: Iterable[str], render: RenderCommand
) -> tuple[Step, ...]:
    """Make the checks at the end, in the order of the file."""
    taken = {*step_names, *(part.name for part in lab.validate_ if part.name is not None)}
    steps = []
    for index, part in enumerate(lab.validate_):
        name = part.name
        if name is None:
            name = free_name(_shortened(f"{part.node}: {part.cmd}"), taken, " ")
            taken.add(name)
        action = Command(
            node=part.node,
            command=render(part.cmd, part.node, ("validate", index, "cmd")),
            match=_text_match(part),
            status=part.exited,
            within_ns=part.within,
            every_ns=part.every,
            junit=part.junit or "",
        )
        steps.append(Step(at_ns=0, name=name, action=action))
    return tuple(steps)


def make_captures(lab: LabPart) -> tuple[CaptureSpec, ...]:
    """Make the captures, in the order of the file."""
    return tuple(
        CaptureSpec(part.node or "", part.interface or "", part.filter, part.link or "")
        for part in lab.capture
    )


def _link_change(part: StepPart, state: dict[str, tuple[Impairment, ...]]) -> LinkChange:
    assert part.link is not None, "the caller looked"
    if part.set is None:
        return LinkChange(link=part.link, up=part.up is not None)
    before = state.get(part.link, (Impairment(), Impairment()))
    forward = merge_impairment((part.set, part.set.forward), before[0])
    backward = merge_impairment((part.set, part.set.backward), before[1])
    state[part.link] = (forward, backward)
    return LinkChange(
        link=part.link, impairment=forward, backward=None if backward == forward else backward
    )


def _command(part: StepPart, path: Path, render: RenderCommand) -> Command:
    key = "cmd" if part.cmd is not None else "wait_for"
    text = part.cmd if part.cmd is not None else part.wait_for
    assert text is not None, "the schema demands one"
    assert part.node is not None, "the schema demands it"
    return Command(
        node=part.node,
        command=render(text, part.node, (*path, key)),
        match=_text_match(part.match),
        status=part.exited,
        within_ns=part.within,
        every_ns=part.every,
        junit=part.junit or "",
    )


def _text_match(part: MatchPart | ValidatePart | None) -> TextMatch | None:
    if part is None:
        return None
    match = TextMatch(text=part.text, regex=part.regex, json=part.json_, path=part.path)
    # A validation may have nothing but its exit status.
    return None if match == TextMatch() and isinstance(part, ValidatePart) else match


def _expectation(part: ExpectPart | None) -> Expectation:
    if part is None:
        return Expectation()
    outcome = None
    if part.exited is not None:
        outcome = Outcome.EXITED
    elif part.running:
        outcome = Outcome.RUNNING
    elif part.killed:
        outcome = Outcome.KILLED
    return Expectation(outcome=outcome, status=part.exited or 0, stdout=_text_match(part.stdout))


# The program of a command line, as a name for its output's files.
def _program(command: str) -> str:
    for word in command.split():
        if "=" in word or word in {"exec", "sudo", "env", "nice"}:
            continue
        name = re.sub(r"[^A-Za-z0-9_.+-]", "", posixpath.basename(word)).lstrip(".-+")
        if name:
            return name[:50]
    return "process"


def _step_name(part: StepPart) -> str:
    if part.name is not None:
        return part.name
    if part.link is None:
        return _shortened(f"{part.node}: {part.cmd or part.wait_for}")
    if part.set is None:
        return f"{part.link} {'up' if part.up else 'down'}"
    changed = sorted(part.set.model_fields_set)
    if changed == ["delay"]:
        return f"{part.link} delay {duration_text(part.set.delay)}"
    return f"{part.link} set {' '.join(changed)}"


def _step_names(names: list[str], parts: Sequence[StepPart]) -> list[str]:
    taken = {part.name for part in parts if part.name is not None}
    unique = []
    for name, part in zip(names, parts, strict=True):
        if part.name is None:
            name = free_name(name, taken, " ")  # noqa: PLW2901 - the same thing
            taken.add(name)
        unique.append(name)
    return unique


def _shortened(text: str) -> str:
    return shortened(" ".join(text.split()), NAME_CHARACTERS_MAX)


def free_name(stem: str, taken: Container[str], separator: str) -> str:
    """Make a name that is not taken: the stem, or the stem with a number behind it."""
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}{separator}{number}"
    return name
