# SPDX-License-Identifier: Apache-2.0
"""All captures of a run in one file: every interface, every packet by its time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from pathlib import Path

from windtunnel.errors import UsageError
from windtunnel.store.tables.make import capture_files
from windtunnel.store.tables.rows import read_blocks
from windtunnel.wire import pcapng

Warn = Callable[[str], None]


def write(run: Path, target: Path, warn: Warn) -> None:
    """Merge a run's captures into one file.

    Interfaces come file by file, with their places in it; packets that passed at the
    same instant in the order of the files.

    Args:
        run: its folder.
        target: the file to write.
        warn: told of a capture that cannot be read to its end.

    Raises:
        UsageError: the run has no captures.
        OSError: it cannot be written.
    """
    captures = list(capture_files(run))
    if not captures:
        raise UsageError(
            f"{run} has no captures",
            hint="name interfaces or links below `capture` in the lab file",
        )
    with target.open("wb") as file:
        file.write(pcapng.section_header())
        count = 0
        streams = []
        for path in captures:
            # A first look for interfaces, a second one for packets: none is kept in memory.
            for one in _interfaces(path):
                file.write(
                    pcapng.interface(
                        one.name,
                        one.description,
                        snap_bytes=one.snap_bytes,
                        link_type=one.link_type,
                    )
                )
            streams.append(_packets(path, count, warn))
            count += len(list(_interfaces(path)))
        for one_packet in heapq.merge(*streams, key=lambda packet: packet.time_ns):
            file.write(
                pcapng.packet(
                    one_packet.interface,
                    one_packet.time_ns,
                    one_packet.frame,
                    direction=one_packet.direction,
                    comment=one_packet.comment,
                    size_bytes=one_packet.size_bytes,
                    dropped=one_packet.dropped,
                )
            )


def _interfaces(path: Path) -> Iterator[pcapng.Interface]:
    for block in read_blocks(path, lambda _text: None):
        if isinstance(block, pcapng.Interface):
            yield block


def _packets(path: Path, first: int, warn: Warn) -> Iterator[pcapng.Packet]:
    """Give a file's packets, their interfaces numbered from `first` on."""
    for block in read_blocks(path, warn):
        if isinstance(block, pcapng.Packet):
            yield pcapng.Packet(
                first + block.interface,
                block.time_ns,
                block.frame,
                block.size_bytes,
                block.direction,
                block.comment,
                block.dropped,
            )
