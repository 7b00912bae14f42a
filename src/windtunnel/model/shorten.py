# SPDX-License-Identifier: Apache-2.0
"""Texts that have to fit somewhere."""

from __future__ import annotations


def shortened(text: str, characters_max: int) -> str:
    """Give a text, and of one that is too long its beginning, with "…" for the rest."""
    return text if len(text) <= characters_max else f"{text[: characters_max - 1]}…"
