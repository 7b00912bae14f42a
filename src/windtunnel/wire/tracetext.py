# SPDX-License-Identifier: Apache-2.0
"""Events of a trace as text: for people, and as `trace-cmd report` writes them.

The second is what other programs read: comm-pid, the processor in brackets, seconds, the
event, and what the kernel itself would print (include/trace/events/sched.h); fields that
we do not know stand in the order of their names. Before all of it is the node, as where
trace-cmd reads several files. A kernel has one processor, so its number is the kernel's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from errno import errorcode
from typing import Any

from windtunnel.model.event import Event
from windtunnel.model.eventtext import seconds_text
from windtunnel.wire.traceflow import address_text

_NS_PER_SECOND = 1_000_000_000
# TASK_REPORT and TASK_REPORT_IDLE: what of a state is told (include/linux/sched.h).
_STATES = {1: "S", 2: "D", 4: "T", 8: "t", 16: "X", 32: "Z", 64: "P", 128: "I"}
_PREEMPTED = 0x100
_ADDRESS = re.compile(r"^[sd]addr(_v6)?$")
ADDED = frozenset(("common_pid", "task", "syscall", "next_node"))
"""Fields that are not the tracepoint's own, but say whose an event is, or what in words."""

_OURS = ADDED | {"lost_before"}
_ERRNO_MAX = 4095
# Of memory that was asked for; numbers of bytes and the like are smaller.
_POINTER_MIN = 1 << 32


def people_line(event: Event) -> str:
    """Write an event for people: time, node, task, and all fields; of a syscall as strace does."""
    who = f"{event.fields['task']}-{event.fields['common_pid']}"
    said = f"{event.kind}: {_FOR_PEOPLE.get(event.kind, _named)(event.fields)}"
    time = seconds_text(event.time_ns)
    return f"{time:>16} {event.node or '-':<8} {who:>22}  {said}".rstrip()


def trace_cmd_line(event: Event, processor: int) -> str:
    """Write an event as `trace-cmd report` does.

    Args:
        event: of a trace.
        processor: the number to give its kernel.
    """
    who = f"{event.fields['task']:>16}-{event.fields['common_pid']:<6}"
    seconds, rest_ns = divmod(event.time_ns, _NS_PER_SECOND)
    said = _AS_THE_KERNEL.get(event.kind, _named)(event.fields)
    return (
        f"{event.node + ':' if event.node else '':<9}{who} [{processor:03d}] "
        f"{seconds:6d}.{rest_ns:09d}: {event.kind + ':':<21} {said}"
    ).rstrip()


def _named(fields: Mapping[str, Any]) -> str:
    return " ".join(
        f"{key}={value_text(key, value)}"
        for key, value in sorted(fields.items())
        if key not in _OURS
    )


def value_text(key: str, value: Any) -> str:
    """Write a field's value: addresses and a syscall's arguments as such, other rows with dots."""
    if not isinstance(value, (list, tuple)):
        return str(value)
    if key == "args":
        return _hexadecimal(value)
    known = address_text(bytes(value)) if _ADDRESS.search(key) else None
    return known or ".".join(map(str, value))


def _switch(fields: Mapping[str, Any]) -> str:
    state = int(fields["prev_state"])
    letters = "|".join(letter for bit, letter in _STATES.items() if state & bit) or "R"
    letters += "+" if state & _PREEMPTED else ""
    return (
        f"prev_comm={fields['prev_comm']} prev_pid={fields['prev_pid']} "
        f"prev_prio={fields['prev_prio']} prev_state={letters} ==> "
        f"next_comm={fields['next_comm']} next_pid={fields['next_pid']} "
        f"next_prio={fields['next_prio']}"
    )


def _wake(fields: Mapping[str, Any]) -> str:
    return (
        f"comm={fields['comm']} pid={fields['pid']} prio={fields['prio']} "
        f"target_cpu={fields['target_cpu']:03d}"
    )


def _enters(fields: Mapping[str, Any]) -> str:
    return f"NR {fields['id']} ({_hexadecimal(fields['args'])})"


def _exits(fields: Mapping[str, Any]) -> str:
    return f"NR {fields['id']} = {fields['ret']}"


def _calls(fields: Mapping[str, Any]) -> str:
    return f"{fields['syscall']}({_hexadecimal(fields['args'])})"


def _returns(fields: Mapping[str, Any]) -> str:
    result = int(fields["ret"])
    if -_ERRNO_MAX <= result < 0:
        return f"{fields['syscall']} = {result} ({errorcode.get(-result, 'restarted')})"
    return f"{fields['syscall']} = {result if abs(result) < _POINTER_MIN else hex(result)}"


def _hexadecimal(numbers: Sequence[int]) -> str:
    return ", ".join(f"{number:x}" for number in numbers)


_FOR_PEOPLE: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "sys_enter": _calls,
    "sys_exit": _returns,
}
_AS_THE_KERNEL: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "sched_switch": _switch,
    "sched_waking": _wake,
    "sched_wakeup": _wake,
    "sched_wakeup_new": _wake,
    "sys_enter": _enters,
    "sys_exit": _exits,
}
