# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a kernel of a node's own, and with a node's volumes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from windtunnel.model.lab import NodeSpec
from windtunnel.model.nearmiss import hint_for
from windtunnel.model.problem import Path, Problem

# A kernel of our configuration does not come up with less.
MEMORY_BYTES_MIN = 32 << 20
# The least that a file system fits into.
VOLUME_BYTES_MIN = 1 << 20
FILESYSTEMS = ("ext4",)
"""What a volume can be formatted with."""

_VOLUME_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}")


def kernel_problems(node: NodeSpec, path: Path) -> Iterator[Problem]:
    """Find what is wrong with a node's own kernel, or with the wish for none."""
    if node.kernel is None:
        for key, value in (
            ("memory_bytes", node.memory_bytes),
            ("kernel_words", node.kernel_words),
        ):
            if value:
                what = "memory" if key == "memory_bytes" else "kernel words"
                yield Problem(
                    (*path, key),
                    f"the node {node.name!r} has {what} of its own, and shares its kernel",
                    "give it 'kernel: own', or leave this out",
                )
        return
    if not node.kernel.strip() or node.kernel == "shared" or "\0" in node.kernel:
        yield Problem(
            (*path, "kernel"),
            f"{node.kernel!r} cannot name a kernel",
            "write own, a version in quotes, or a path",
        )
    if node.memory_bytes is not None and node.memory_bytes < MEMORY_BYTES_MIN:
        yield Problem(
            (*path, "memory_bytes"),
            f"{node.memory_bytes} bytes of memory are too few for a kernel",
            f"give at least {MEMORY_BYTES_MIN >> 20} MiB",
        )
    for index, word in enumerate(node.kernel_words):
        if not word or any(c.isspace() or not c.isprintable() for c in word):
            yield Problem(
                (*path, "kernel_words", index),
                f"{word!r} is not one word of a kernel's command line",
                "write each as an item of the list",
            )


def volume_problems(node: NodeSpec, path: Path) -> Iterator[Problem]:
    """Find what is wrong with a node's volumes."""
    if node.volumes and node.kernel is None:
        yield Problem(
            (*path, "volumes"),
            f"the node {node.name!r} has volumes, and shares its kernel",
            "give it 'kernel: own', or leave them out",
        )
    at: dict[str, Path] = {}
    for volume in node.volumes:
        where: Path = (*path, "volumes", volume.name)
        if not _VOLUME_NAME.fullmatch(volume.name):
            yield Problem(
                where,
                f"{volume.name!r} cannot name a volume",
                "use letters, digits, '-', '_' and '.', at most 32",
                key=True,
            )
        parts = volume.path.split("/")
        if parts[0] or not all(parts[1:]) or {".", ".."} & set(parts) or "\0" in volume.path:
            yield Problem(
                (*where, "path"),
                f"{volume.path!r} is not an absolute path of a folder",
                "write it like '/data', without '..' and '/' at its end",
            )
        elif volume.path in at:
            yield Problem(
                (*where, "path"),
                f"two volumes of the node {node.name!r} are at {volume.path}",
                "change one of the two",
                first=at[volume.path],
            )
        at.setdefault(volume.path, (*where, "path"))
        if volume.size_bytes < VOLUME_BYTES_MIN:
            yield Problem(
                (*where, "size_bytes"),
                f"{volume.size_bytes} bytes are too few for a file system",
                f"give at least {VOLUME_BYTES_MIN >> 20} MiB",
            )
        if volume.filesystem not in FILESYSTEMS:
            yield Problem(
                (*where, "filesystem"),
                f"no file system {volume.filesystem!r}",
                hint_for(volume.filesystem, FILESYSTEMS, what="file systems"),
            )
