# SPDX-License-Identifier: Apache-2.0
"""The kernel's log as it is in its memory: complete, with the exact owner of each record."""

from __future__ import annotations

from collections.abc import Mapping

from drgn.helpers.linux.printk import get_printk_records

from windtunnel.cores.facts import Record
from windtunnel.cores.image import Image

_NS_PER_MICRO = 1_000


def records(image: Image, names: Mapping[int, str]) -> list[Record]:
    """Read all records.

    Args:
        image: of the kernel.
        names: of its tasks, by their numbers.
    """
    return [
        Record(
            micros=one.timestamp // _NS_PER_MICRO,
            level=one.level,
            owner=_owner(one.caller_tid, names),
            text=one.text.decode("utf-8", "backslashreplace"),
        )
        for one in get_printk_records(image.program)
    ]


def _owner(pid: int | None, names: Mapping[int, str]) -> str:
    if pid is None:
        return "interrupt"
    return f"{names[pid]}[{pid}]" if pid in names else f"T{pid}"
