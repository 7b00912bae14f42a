# SPDX-License-Identifier: Apache-2.0
"""What tests of several rooms draw: numbers by width, names, and a stream cut anywhere."""

from __future__ import annotations

from hypothesis import strategies as st

u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)

words = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20
)
"""Text without a zero byte, as paths and arguments are."""


def pieces_of(stream: bytes):
    """The stream, cut into pieces at any places."""
    cuts = st.lists(st.integers(0, len(stream)), max_size=8).map(sorted)
    return cuts.map(
        lambda cuts: [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    )


def parse_in_pieces(parse, pieces):
    """Feed a parser piece by piece, as a connection does: (messages, what is left)."""
    messages, rest = [], b""
    for piece in pieces:
        found, rest = parse(rest + piece)
        messages += found
    return messages, rest
