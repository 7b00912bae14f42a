# SPDX-License-Identifier: Apache-2.0
"""The agent's counters, as its source writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.errors import ProtocolError
from windtunnel.wire.counters import (
    InterfaceCounters,
    NodeCounters,
    ProcessCounters,
    parse_counters,
)

TOLD = b"""\
n 1
i 1 2 3 4 5 6 7 8 eth0
p 33 2 3 10 7 8 a b) c
n 4
"""


def test_counters_have_names_and_units():
    assert parse_counters(TOLD) == (
        NodeCounters(
            1,
            (InterfaceCounters("eth0", 1, 2, 3, 4, 5, 6, 7, 8),),
            (
                ProcessCounters(
                    "a b) c",
                    33,
                    user_ns=20_000_000,
                    system_ns=30_000_000,
                    rss_bytes=40960,
                    waits=7,
                    preemptions=8,
                ),
            ),
        ),
        NodeCounters(4, (), ()),
    )
    assert parse_counters(b"") == ()


@pytest.mark.parametrize(
    "line", ["x 1", "n one", "i 1 2 3 eth0", "p 1 2 3 4 5", "n 1\ni 1 2 3 4 5 6 7 x eth0", ""]
)
def test_a_line_of_another_form_is_a_broken_protocol(line):
    with pytest.raises(ProtocolError, match="agent: a counter"):
        parse_counters(f"{line}\n".encode())


def test_what_belongs_to_no_node_is_a_broken_protocol():
    with pytest.raises(ProtocolError):
        parse_counters(b"p 33 2 3 10 7 8 a\n")


@given(garbage=st.binary(max_size=64))
def test_garbage_raises_nothing_but_a_protocol_error(garbage):
    try:
        parse_counters(garbage)
    except ProtocolError as error:
        assert str(error).startswith("agent: ")
