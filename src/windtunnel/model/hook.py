# SPDX-License-Identifier: Apache-2.0
"""What is done around a lab and its cells: plain data.

Hooks on the host run as the user, unconfined, and outside of virtual time.
"""

from __future__ import annotations

from dataclasses import dataclass

from windtunnel.model.shorten import shortened

NAME_CHARACTERS_MAX = 50
"""A hook's text makes its name with at most so many characters."""

HOOK_LIMIT_HOST_S = 600.0
"""How long a hook on the host may take unless it says otherwise: long enough to fetch and build."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One thing to do before or after.

    Attributes:
        name: for people; its text unless the lab file gives one.
        host: a shell command line of the host; empty for another kind.
        python: "file.py:function", relative to the lab file; empty for another kind.
        command: a shell command line in the node that the hook belongs to; empty
            for another kind.
        limit_host_s: how long it may take on the host.
        keep: leave it out when something went wrong before it (only after a cell or lab).
    """

    name: str
    host: str = ""
    python: str = ""
    command: str = ""
    limit_host_s: float = HOOK_LIMIT_HOST_S
    keep: bool = False

    @property
    def on_host(self) -> bool:
        """Whether it runs on the host."""
        return not self.command


@dataclass(frozen=True, slots=True)
class NodeHooks:
    """What is done around a node.

    Attributes:
        before: on the host, before the kernel boots, in order.
        after: in the node when the lab has ended, then on the host; the last one first.
    """

    before: tuple[Hook, ...] = ()
    after: tuple[Hook, ...] = ()


@dataclass(frozen=True, slots=True)
class LabHooks:
    """What is done around a lab and around each of its cells, all on the host.

    Attributes:
        before_lab: once, before the first cell, in order.
        before_cell: before each try of each cell, in order.
        after_cell: after each try, whatever came of it; the last one first.
        after_lab: once, at the end, whatever came of it; the last one first.
    """

    before_lab: tuple[Hook, ...] = ()
    before_cell: tuple[Hook, ...] = ()
    after_cell: tuple[Hook, ...] = ()
    after_lab: tuple[Hook, ...] = ()


def hook_name(text: str) -> str:
    """Name a hook by what it does: the beginning of its first line."""
    line = (text.strip().splitlines() or [""])[0]
    return shortened(line, NAME_CHARACTERS_MAX)


NO_HOOKS = LabHooks()
NO_NODE_HOOKS = NodeHooks()


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a cell may take; longer ends it with the state "timeout".

    Attributes:
        virtual_ns: lab time; None is for ever.
        host_s: host time, with its hooks; None is for ever.
    """

    virtual_ns: int | None = None
    host_s: float | None = None


NO_LIMITS = Limits()
