# SPDX-License-Identifier: Apache-2.0
"""Who waits for which lock, and who has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import drgn
from drgn.helpers.linux.locking import mutex_owner, rwsem_owner

from windtunnel.cores.facts import Lock
from windtunnel.cores.image import READING, Image
from windtunnel.cores.tasks import label

# The function that waits begins so; the lock is its argument of this name.
_WAITS: tuple[tuple[str, str, str, Callable[[Any], Any]], ...] = (
    ("__mutex_lock", "mutex", "lock", mutex_owner),
    ("mutex_lock", "mutex", "lock", mutex_owner),
    ("rwsem_down_", "rwsem", "sem", rwsem_owner),
    ("down_read", "rwsem", "sem", rwsem_owner),
    ("down_write", "rwsem", "sem", rwsem_owner),
)


def lock_of(image: Image, task: Any) -> Lock | None:
    """Say which lock a sleeping task waits for; None when it waits for none that we know."""
    for frame in image.stack(task):
        for begin, kind, argument, owner_of in _WAITS:
            if (frame.function_name or "").startswith(begin):
                lock = _argument(frame, argument)
                if lock is not None:
                    return Lock(kind, _name(image, lock), _owner(lock, owner_of), label(task))
    return None


def locks(image: Image, tasks: Iterator[Any]) -> Iterator[Lock]:
    """Find the locks that these tasks wait for."""
    for task in tasks:
        try:
            found = lock_of(image, task)
        except READING:
            continue  # its stack cannot be read, which its own lines say
        if found is not None:
            yield found


def _argument(frame: drgn.StackFrame, name: str) -> Any | None:
    try:
        value = frame[name]
        known = not value.absent_ and bool(value)
    except READING:
        return None
    return value if known else None


def _name(image: Image, lock: Any) -> str:
    try:
        return str(image.program.symbol(int(lock)).name)
    except READING:
        return f"{int(lock):#x}"


def _owner(lock: Any, owner_of: Callable[[Any], Any]) -> str:
    try:
        owner = owner_of(lock)
        return label(owner) if owner else ""
    except READING:
        return ""
