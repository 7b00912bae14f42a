# SPDX-License-Identifier: Apache-2.0
"""A lab as tables for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from windtunnel.model.fault import Fault, LinkDegrade
from windtunnel.model.faultwords import fault_words
from windtunnel.model.impairment import Impairment
from windtunnel.model.impairtext import buffer_text, loss_text
from windtunnel.model.lab import Command, Endpoint, LabSpec, LinkChange, Step
from windtunnel.model.shorten import shortened
from windtunnel.model.units import duration_text, rate_text, share_text, size_text
from windtunnel.ui import screen
from windtunnel.ui.screen import Row, time_text

_COMMAND_COLUMNS_MAX = 60


def print_lab(spec: LabSpec) -> None:
    """Write what a lab consists of."""
    console = screen.out()
    stop = "" if spec.stop_ns is None else f", stops at {time_text(spec.stop_ns)}"
    console.print(
        Text(spec.name, "bold")
        + Text(f", seed {spec.seed}{stop}, memory {size_text(spec.memory_bytes)}", "not bold")
    )
    tables = (
        (("node", "interface", "addresses", "peer"), list(_interfaces(spec))),
        (("link", "does to packets", "and back", "state"), list(_links(spec))),
        (("process", "node", "start", "command"), list(_processes(spec))),
        (("at", "step", "node or link", "does"), [_step(step) for step in spec.steps]),
        (("at", "fault", "node or link", "does", "for"), [_fault(one) for one in spec.faults]),
        (("validation", "node", "command"), [_validation(step) for step in spec.validations]),
    )
    for headings, rows in tables:
        if rows:
            console.print()
            screen.print_table(headings, rows)


def _interfaces(spec: LabSpec) -> Iterable[Row]:
    ends: dict[str, list[tuple[Endpoint, str]]] = {node.name: [] for node in spec.nodes}
    for link in spec.links:
        for end, other in (link.ends, reversed(link.ends)):
            ends[end.node].append((end, f"{other.node}:{other.interface}"))
    for network in spec.networks:
        for end in network.members:
            ends[end.node].append((end, network.name))
    for node in spec.nodes:
        cells = [("lo", " ".join(node.addresses), "")] if node.addresses else []
        cells += [(end.interface, " ".join(end.addresses), peer) for end, peer in ends[node.name]]
        for at, (interface, addresses, peer) in enumerate(cells or [("", "", "")]):
            yield Row((node.name if at == 0 else "", interface, addresses, peer))


def _links(spec: LabSpec) -> Iterable[Row]:
    for link in spec.links:
        forward, backward = (impairment_text(end.impairment) for end in link.ends)
        back = "the same" if forward == backward else backward
        yield Row((link.name, forward, back, "up" if link.up else "down"))
    for network in spec.networks:
        what = sorted({impairment_text(end.impairment) for end in network.members})
        yield Row((network.name, "; ".join(what), f"{len(network.members)} members", "up"))


def _processes(spec: LabSpec) -> Iterable[Row]:
    for process in spec.processes:
        start = time_text(process.start_ns)
        yield Row((process.name, process.node, start, _short(process.command)))


def _step(step: Step) -> Row:
    at = time_text(step.at_ns)
    if isinstance(step.action, LinkChange):
        change = step.action
        parts = [] if change.up is None else ["up" if change.up else "down"]
        if change.impairment is not None:
            parts.append(impairment_text(change.impairment))
        return Row((at, step.name, change.link, ", ".join(parts)))
    return Row((at, step.name, step.action.node, _command(step.action)))


def _fault(fault: Fault) -> Row:
    target, what = fault_words(fault.action)
    if isinstance(fault.action, LinkDegrade):
        there, back = fault.action.impairment, fault.action.backward
        what = impairment_text(there) + ("" if back is None else f"; back {impairment_text(back)}")
    lasts = "" if fault.for_ns is None else time_text(fault.for_ns)
    return Row((time_text(fault.at_ns), fault.name, target, what, lasts))


def _validation(step: Step) -> Row:
    command = step.action
    assert isinstance(command, Command), "a validation is a command"
    return Row((step.name, command.node, _short(command.command)))


def _command(command: Command) -> str:
    text = _short(command.command)
    if command.within_ns is None:
        return text
    return f"{text}, until it succeeds, for at most {time_text(command.within_ns)}"


def impairment_text(impairment: Impairment) -> str:
    """Write what a link does to packets in one line; "nothing" when it does nothing."""
    parts = []
    if impairment.delay_ns:
        jitter = f" ± {duration_text(impairment.jitter_ns)}" if impairment.jitter_ns else ""
        parts.append(f"{duration_text(impairment.delay_ns)}{jitter}")
    if impairment.loss:
        parts.append(f"loss {loss_text(impairment.loss)}")
    for word in ("duplicate", "reorder", "corrupt"):
        share = getattr(impairment, word)
        if share:
            parts.append(f"{word} {share_text(share)}")
    if impairment.rate_bps is not None:
        parts.append(rate_text(impairment.rate_bps))
    if impairment.queue_packets is not None:
        parts.append(f"queue {impairment.queue_packets}")
    if impairment.buffer is not None:
        parts.append(f"queue {buffer_text(impairment.buffer)}")
    return ", ".join(parts) or "nothing"


def _short(command: str) -> str:
    return shortened(" ".join(command.split()), _COMMAND_COLUMNS_MAX)
