# SPDX-License-Identifier: Apache-2.0
"""Control messages of a console. Bytes from include/uapi/linux/virtio_console.h, Linux 7.3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import u16, u32
from windtunnel.errors import ProtocolError
from windtunnel.wire.virtio_console import Control, ControlEvent, configuration

controls = st.builds(Control, u32, st.sampled_from(ControlEvent), u16)


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (Control(0, ControlEvent.DEVICE_READY, 1), "00000000 0000 0100"),
        (Control(1, ControlEvent.PORT_ADD, 1), "01000000 0100 0100"),
        (Control(2, ControlEvent.PORT_REMOVE, 0), "02000000 0200 0000"),
        (Control(0, ControlEvent.PORT_READY, 1), "00000000 0300 0100"),
        (Control(0, ControlEvent.CONSOLE_PORT, 1), "00000000 0400 0100"),
        (Control(0, ControlEvent.RESIZE, 0), "00000000 0500 0000"),
        (Control(0, ControlEvent.PORT_OPEN, 1), "00000000 0600 0100"),
        (Control(2**32 - 1, ControlEvent.PORT_NAME, 1), "ffffffff 0700 0100"),
    ],
)
def test_a_control_message_has_the_bytes_of_the_kernels_header(control, expected):
    assert control.to_bytes() == bytes.fromhex(expected)


@given(control=controls, tail=st.binary(max_size=8))
def test_a_control_message_survives_and_what_follows_is_left_alone(control, tail):
    assert Control.from_bytes(control.to_bytes() + tail) == control


@given(garbage=st.binary(max_size=16))
def test_garbage_raises_nothing_but_a_protocol_error(garbage):
    try:
        control = Control.from_bytes(garbage)
    except ProtocolError:
        return
    assert control.to_bytes() == garbage[:8]


def test_a_control_message_that_is_cut_short_says_so():
    with pytest.raises(ProtocolError, match="control message of 7 bytes"):
        Control.from_bytes(bytes(7))


def test_an_unknown_event_is_named():
    with pytest.raises(ProtocolError, match="unknown control event 8"):
        Control.from_bytes(bytes.fromhex("00000000 0800 0000"))


def test_the_configuration_tells_the_number_of_ports():
    assert configuration(3) == bytes.fromhex("0000 0000 03000000 00000000")
