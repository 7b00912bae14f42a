# SPDX-License-Identifier: Apache-2.0
"""With which options a kernel's program was built, as it says itself (CONFIG_IKCONFIG).

Source: kernel/configs.c: a gzip stream between "IKCFG_ST" and "IKCFG_ED".
"""

from __future__ import annotations

import mmap
import zlib
from pathlib import Path

from windtunnel.images.config import parse_config

BEGIN = b"IKCFG_ST"
_GZIP = 16 + zlib.MAX_WBITS
_CONFIG_BYTES_MAX = 1 << 20


def embedded_config(program: Path) -> dict[str, str] | None:
    """Read the options of a kernel from its program.

    Args:
        program: an executable file.

    Returns:
        From symbol (without CONFIG_) to value; None when it says nothing.
    """
    try:
        with program.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
            at = data.find(BEGIN)
            if at < 0:
                return None
            at += len(BEGIN)
            packed = data[at : at + _CONFIG_BYTES_MAX]
        text = zlib.decompressobj(_GZIP).decompress(packed, _CONFIG_BYTES_MAX)
    except (OSError, ValueError, zlib.error):
        return None  # an empty file, or no such stream
    return parse_config(text.decode(errors="replace"))
