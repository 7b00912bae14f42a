# SPDX-License-Identifier: Apache-2.0
"""What `modprobe` reads of a kernel that has everything built in.

Our kernels have no module files, yet test suites call `modprobe veth` and take
"not found" for a kernel that lacks it. On any machine modprobe knows of what is
built in from `/lib/modules/<release>/modules.builtin.bin`: the list
`modules.builtin` of the kernel's build as an index, which depmod writes, and we
without depmod. The format is libkmod's (kmod, libkmod/libkmod-index.c): a trie,
big-endian, whose nodes are found by offsets from the start of the file; the
upper four bits of an offset say what the node has.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path, PurePosixPath

FOLDER = "guest-root"
"""Beside the program of a kernel: the tree to lay over a guest's root."""

_MAGIC = 0xB007F457
_VERSION = 0x00020001  # major 2, minor 1
_HEADER_BYTES = 12  # magic, version, offset of the root
_HAS_CHILDREN = 0x20000000
_HAS_VALUES = 0x40000000


def builtin_names(listing: str) -> list[str]:
    """Read the names in a kernel's modules.builtin, as modprobe compares them.

    Args:
        listing: a line for each, such as "kernel/drivers/net/veth.ko".

    Returns:
        Sorted, each once; "-" is "_" in the names of modules.
    """
    paths = (PurePosixPath(line.strip()) for line in listing.splitlines())
    return sorted({path.stem.replace("-", "_") for path in paths if path.suffix == ".ko"})


def builtin_index(names: Iterable[str]) -> bytes:
    """Encode names as modules.builtin.bin.

    Args:
        names: ASCII, in any order.

    Raises:
        UnicodeEncodeError: a name is not ASCII.
    """
    keys = sorted({name.encode("ascii") for name in names})
    file = bytearray(_HEADER_BYTES)
    root = _append_node(file, keys)
    file[:_HEADER_BYTES] = b"".join(number.to_bytes(4) for number in (_MAGIC, _VERSION, root))
    return bytes(file)


def _append_node(file: bytearray, keys: list[bytes]) -> int:
    """Append the node of keys that begin alike, what they share cut off; returns its offset."""
    children = {
        first: _append_node(file, [key[1:] for key in alike])
        for first, alike in groupby((key for key in keys if key), key=lambda key: key[0])
    }
    offset = len(file)
    if children:
        offset |= _HAS_CHILDREN
        low, high = min(children), max(children)
        file += bytes((low, high))
        for first in range(low, high + 1):
            file += children.get(first, 0).to_bytes(4)
    if b"" in keys:
        offset |= _HAS_VALUES
        # one value, of priority 0, which is empty
        file += (1).to_bytes(4) + (0).to_bytes(4) + b"\0"
    return offset


def write_module_lists(listing: str, version: str, folder: Path) -> None:
    """Write what modprobe looks for, below the folder of a kernel.

    Args:
        listing: the build's modules.builtin.
        version: what `uname -r` will say.
        folder: of the kernel; FOLDER appears in it.
    """
    # Where /lib is a link to usr/lib, which it is wherever systemd is of this decade, a
    # folder of that name would hide the link.
    place = folder / FOLDER / "usr/lib/modules" / version
    place.mkdir(parents=True)
    (place / "modules.builtin").write_text(listing)
    (place / "modules.builtin.bin").write_bytes(builtin_index(builtin_names(listing)))
    # depmod writes this one for a kernel without modules too; some scripts look for it
    (place / "modules.dep").write_text("")
