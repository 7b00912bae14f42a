# SPDX-License-Identifier: Apache-2.0
"""A `LabSpec` back to lab text with nothing left to be worked out.

No kinds, no defaults, no templates; every interface, address and impairment is
written down. Loading the text gives an equal spec.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from windtunnel.model.clock import clock_text
from windtunnel.model.cpu import NOTHING_SAID, CpuSpec
from windtunnel.model.fault import (
    ClockDrift,
    ClockStep,
    Fault,
    FaultAction,
    LinkCut,
    LinkDegrade,
    LinkFlap,
    MemoryLimit,
    NodeOff,
    NodePause,
    OneWayLoss,
    Partition,
    ProcessFault,
    VolumeFault,
)
from windtunnel.model.hook import NO_HOOKS, Hook
from windtunnel.model.impairment import (
    CoDel,
    DelayTable,
    Distribution,
    GilbertElliott,
    Impairment,
    Red,
)
from windtunnel.model.lab import (
    COUNTERS_AT_END,
    COUNTERS_NS,
    VOLUME_LATENCY_NS,
    CaptureSpec,
    Command,
    Endpoint,
    Expectation,
    FileSpec,
    LabSpec,
    LinkChange,
    LinkSpec,
    NetworkSpec,
    NodeSpec,
    Outcome,
    ProcessSpec,
    Step,
    TextMatch,
    VolumeSpec,
)
from windtunnel.model.units import duration_text, rate_text, share_text, shift_text, size_text
from windtunnel.model.yamltext import yaml_text

Part = dict[str, Any]


def lab_to_yaml(spec: LabSpec) -> str:
    """Write a lab as a flat lab file.

    Args:
        spec: a lab that `check_spec` accepts.

    Returns:
        Text that `load_lab` turns into an equal spec.
    """
    lab: Part = {"name": spec.name, "seed": spec.seed}
    if spec.stop_ns is not None:
        lab["stop"] = duration_text(spec.stop_ns)
    if spec.limits.virtual_ns is not None:
        lab["cell-timeout"] = duration_text(spec.limits.virtual_ns)
    if spec.limits.host_s is not None:
        lab["cell-timeout-host"] = duration_text(round(spec.limits.host_s * 1e9))
    if spec.hooks != NO_HOOKS:
        lab["hooks"] = {
            "before_lab": [_hook(hook) for hook in spec.hooks.before_lab],
            "before_cell": [_hook(hook) for hook in spec.hooks.before_cell],
            "after_cell": [_hook(hook) for hook in spec.hooks.after_cell],
            "after_lab": [_hook(hook) for hook in spec.hooks.after_lab],
        }
    lab["memory"] = size_text(spec.memory_bytes)
    lab["clock"] = clock_text(spec.clock_ns)
    if spec.counters_ns != COUNTERS_NS:
        lab["counters"] = _counters(spec.counters_ns)
    if spec.trace:
        lab["trace"] = list(spec.trace)
    if spec.root != "/":
        lab["root"] = spec.root
    lab["addressing"] = "none"
    lab["nodes"] = {node.name: _node(node) for node in spec.nodes}
    lab["networks"] = {network.name: _network(network) for network in spec.networks}
    lab["links"] = [_link(link) for link in spec.links]
    lab["run"] = [_process(process) for process in spec.processes]
    lab["steps"] = [_step(step) for step in spec.steps]
    lab["faults"] = [_fault(fault) for fault in spec.faults]
    lab["validate"] = [_validation(step) for step in spec.validations]
    lab["capture"] = [_capture(capture) for capture in spec.captures]
    return yaml_text({key: value for key, value in lab.items() if value not in ([], {})})


def _counters(every_ns: int | None) -> str:
    if every_ns is None:
        return "never"
    return "end" if every_ns == COUNTERS_AT_END else duration_text(every_ns)


def _node(node: NodeSpec) -> Part:
    part: Part = {}
    if node.addresses:
        part["addresses"] = list(node.addresses)
    if node.sysctls:
        part["sysctls"] = dict(node.sysctls)
    if node.env:
        part["env"] = dict(node.env)
    if node.exec:
        part["exec"] = [literal_command(command) for command in node.exec]
    if node.hooks.before:
        part["before"] = [_hook(hook) for hook in node.hooks.before]
    if node.hooks.after:
        part["after"] = [_hook(hook) for hook in node.hooks.after]
    if node.files:
        part["files"] = {file.path: _file(file) for file in node.files}
    if node.cpu != NOTHING_SAID:
        part["cpu"] = _cpu(node.cpu)
    if node.kernel is not None:
        part["kernel"] = node.kernel
    if node.memory_bytes is not None:
        part["memory"] = size_text(node.memory_bytes)
    if node.kernel_words:
        part["kernel-words"] = list(node.kernel_words)
    if node.volumes:
        part["volumes"] = {volume.name: _volume(volume) for volume in node.volumes}
    return part


def _hook(hook: Hook) -> Part:
    part: Part = {}
    if hook.command:
        part["cmd"] = literal_command(hook.command)
    if hook.host:
        part["host"] = hook.host
    if hook.python:
        part["python"] = hook.python
    part["name"] = hook.name
    part["limit"] = duration_text(round(hook.limit_host_s * 1e9))
    if hook.keep:
        part["on_error"] = "keep"
    return part


def _cpu(cpu: CpuSpec) -> Part:
    part: Part = {}
    if cpu.syscall_cost_ns is not None:
        part["syscall_cost"] = duration_text(cpu.syscall_cost_ns)
    if cpu.packet_cost_ns is not None:
        part["packet_cost"] = duration_text(cpu.packet_cost_ns)
    if cpu.speed is not None:
        part["speed"] = cpu.speed
    return part


def _volume(volume: VolumeSpec) -> Part:
    part: Part = {"size": size_text(volume.size_bytes), "path": volume.path}
    if volume.filesystem != "ext4":
        part["filesystem"] = volume.filesystem
    if volume.latency_ns != VOLUME_LATENCY_NS:
        part["latency"] = duration_text(volume.latency_ns)
    return part


def _file(file: FileSpec) -> Part | str:
    part: Part = {}
    if file.mode != 0o644:
        part["mode"] = f"{file.mode:04o}"
    if file.owner != "root":
        part["owner"] = file.owner
    try:
        text = file.content.decode()
    except UnicodeDecodeError:
        part["base64"] = base64.b64encode(file.content).decode()
        return part
    if not part:
        return text
    return {**part, "content": text}


def _network(network: NetworkSpec) -> Part:
    part: Part = {"mtu": network.mtu_bytes} if network.mtu_bytes != 1500 else {}
    part["members"] = [_member(end) for end in network.members]
    return part


def _member(end: Endpoint) -> Part:
    part: Part = {"endpoint": f"{end.node}:{end.interface}", "ip": list(end.addresses)}
    if end.mac is not None:
        part["mac"] = end.mac
    return {**part, **_impairment(end.impairment)}


def _link(link: LinkSpec) -> Part:
    first, second = link.ends
    part: Part = {
        "endpoints": [f"{end.node}:{end.interface}" for end in link.ends],
        "name": link.name,
        "ip": [_one_or_all(end.addresses) for end in link.ends],
    }
    if first.mac is not None or second.mac is not None:
        part["mac"] = [first.mac, second.mac]
    if link.mtu_bytes != 1500:
        part["mtu"] = link.mtu_bytes
    if not link.up:
        part["up"] = False
    return {**part, **_directions(first.impairment, second.impairment)}


def _one_or_all(addresses: Sequence[str]) -> str | list[str]:
    return addresses[0] if len(addresses) == 1 else list(addresses)


def _directions(forward: Impairment, backward: Impairment) -> Part:
    if forward == backward:
        return _impairment(forward)
    part: Part = {}
    if forward != Impairment():
        part["forward"] = _impairment(forward)
    if backward != Impairment():
        part["backward"] = _impairment(backward)
    return part


# All fields that are not netem's defaults; with `complete`, all fields.
def _impairment(impairment: Impairment, *, complete: bool = False) -> Part:
    rate = impairment.rate_bps
    part: Part = {
        "delay": duration_text(impairment.delay_ns),
        "jitter": duration_text(impairment.jitter_ns),
        "distribution": _distribution(impairment.distribution),
        "loss": _loss(impairment.loss),
        "duplicate": share_text(impairment.duplicate),
        "reorder": share_text(impairment.reorder),
        "corrupt": share_text(impairment.corrupt),
        "rate": "unlimited" if rate is None else rate_text(rate),
        "queue": _queue(impairment),
    }
    if complete:
        return part
    return {key: value for key, value in part.items() if value != _DEFAULTS[key]}


def _distribution(distribution: Distribution | DelayTable) -> Part | str:
    if isinstance(distribution, DelayTable):
        return {"values": list(distribution.values)}
    return distribution.value


def _loss(loss: float | GilbertElliott) -> Part | str:
    if not isinstance(loss, GilbertElliott):
        return share_text(loss)
    shares = {"p": loss.p, "r": loss.r, "bad": loss.bad, "good": loss.good}
    return {word: share_text(share) for word, share in shares.items()}


def _queue(impairment: Impairment) -> Part | str | int:
    buffer = impairment.buffer
    if buffer is None:
        return "default" if impairment.queue_packets is None else impairment.queue_packets
    size = buffer.limit_bytes
    limit = buffer.limit_packets if size is None else size_text(size)
    match buffer.discipline:
        case Red(least, most, probability):
            return {
                "limit": limit,
                "discipline": "red",
                "min": size_text(least),
                "max": size_text(most),
                "probability": share_text(probability),
            }
        case CoDel(target_ns, interval_ns):
            return {
                "limit": limit,
                "discipline": "codel",
                "target": duration_text(target_ns),
                "interval": duration_text(interval_ns),
            }
        case None:
            return {"limit": limit, "discipline": "droptail"}


_DEFAULTS = _impairment(Impairment(), complete=True)


def _process(process: ProcessSpec) -> Part:
    part: Part = {
        "node": process.node,
        "name": process.name,
        "cmd": literal_command(process.command),
    }
    if process.start_ns:
        part["start"] = duration_text(process.start_ns)
    if process.env:
        part["env"] = dict(process.env)
    if process.timeout_ns is not None:
        part["timeout"] = duration_text(process.timeout_ns)
    if process.expect != Expectation():
        part["expect"] = _expectation(process.expect)
    return part


def _expectation(expect: Expectation) -> Part | str:
    if expect.stdout is None and expect.outcome is not None:
        is_exit = expect.outcome is Outcome.EXITED
        return f"exited {expect.status}" if is_exit else expect.outcome.value
    part: Part = {}
    if expect.outcome is Outcome.EXITED:
        part["exited"] = expect.status
    elif expect.outcome is not None:
        part[expect.outcome.value] = True
    if expect.stdout is not None:
        part["stdout"] = _match(expect.stdout)
    return part


def _match(match: TextMatch) -> Part:
    part: Part = {}
    if match.text is not None:
        part["text"] = match.text
    if match.regex is not None:
        part["regex"] = match.regex
    if match.json is not None:
        part["json"] = match.json
    if match.path:
        part["path"] = match.path
    return part


def _step(step: Step) -> Part:
    part: Part = {"at": duration_text(step.at_ns), "name": step.name}
    if isinstance(step.action, LinkChange):
        part["link"] = step.action.link
        part.update(_link_change(step.action))
    else:
        key = "cmd" if step.action.within_ns is None else "wait_for"
        part.update(_command(step.action, key))
        if step.action.match is not None:
            part["match"] = _match(step.action.match)
    if not step.check:
        part["check"] = False
    return part


def _link_change(change: LinkChange) -> Part:
    if change.impairment is None:
        return {"up" if change.up else "down": True}
    return {"set": _changed(change.impairment, change.backward)}


# What replaces all that a link did to packets before.
def _changed(forward: Impairment, backward: Impairment | None) -> Part:
    if backward is None:
        return _impairment(forward, complete=True)
    return {
        "forward": _impairment(forward, complete=True),
        "backward": _impairment(backward, complete=True),
    }


def _fault(fault: Fault) -> Part:
    part: Part = {"at": duration_text(fault.at_ns), "name": fault.name}
    part.update(_fault_action(fault.action))
    if fault.for_ns is not None:
        part["for"] = duration_text(fault.for_ns)
    return part


def _fault_action(action: FaultAction) -> Part:
    match action:
        case LinkCut(link=link):
            return {"link": link, "down": True}
        case LinkFlap(link=link, down_ns=down_ns, up_ns=up_ns):
            flap = {"down": duration_text(down_ns), "up": duration_text(up_ns)}
            return {"link": link, "flap": flap}
        case LinkDegrade(link=link, impairment=impairment, backward=backward):
            return {"link": link, "degrade": _changed(impairment, backward)}
        case OneWayLoss(link=link, sender=sender):
            return {"link": link, "one_way": sender}
        case Partition(groups=groups):
            return {"partition": [list(group) for group in groups]}
        case NodePause(node=node):
            return {"node": node, "pause": True}
        case NodeOff(node=node, wipe=wipe):
            return {"node": node, "off": True, **({"wipe": True} if wipe else {})}
        case ProcessFault(node=node, process=process, action=what):
            return {"node": node, what.value: process}
        case MemoryLimit(node=node, limit_bytes=limit_bytes):
            return {"node": node, "memory": size_text(limit_bytes)}
        case VolumeFault(node=node, volume=volume, mode=mode):
            return {"node": node, mode.value: volume}
        case ClockStep(node=node, step_ns=step_ns):
            return {"node": node, "clock": shift_text(step_ns)}
        case ClockDrift(node=node, drift_ppm=drift_ppm):
            return {"node": node, "drift": f"{drift_ppm} ppm"}


def _command(command: Command, key: str) -> Part:
    part: Part = {"node": command.node, key: literal_command(command.command)}
    if command.status != 0:
        part["exited"] = "any" if command.status is None else command.status
    if command.within_ns is not None:
        part["within"] = duration_text(command.within_ns)
    if command.every_ns != 1_000_000_000:
        part["every"] = duration_text(command.every_ns)
    if command.junit:
        part["junit"] = command.junit
    return part


def _validation(step: Step) -> Part:
    assert isinstance(step.action, Command), "a validation is a command"
    part: Part = {"name": step.name, **_command(step.action, "cmd")}
    return part if step.action.match is None else {**part, **_match(step.action.match)}


def _capture(capture: CaptureSpec) -> Part | str:
    chosen = {"filter": capture.filter} if capture.filter else {}
    if capture.link:
        return {"link": capture.link, **chosen}
    if not chosen:
        return f"{capture.node}:{capture.interface}"
    return {"node": capture.node, "interface": capture.interface, **chosen}


def literal_command(command: str) -> str:
    """Write a command so that a `{{` in it reaches the shell, and no template."""
    return command.replace("{{", "{{ '{{' }}")
