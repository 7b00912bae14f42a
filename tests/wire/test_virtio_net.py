# SPDX-License-Identifier: Apache-2.0
"""A network device's bytes, from include/uapi/linux/virtio_net.h, Linux 7.3."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given

from strategies import u16
from windtunnel.wire import virtio_net
from windtunnel.wire.virtio_net import configuration, features, merged_header

MAC = bytes.fromhex("020000000001")


def test_the_numbers_are_those_of_the_kernels_header():
    assert virtio_net.DEVICE_ID == 1  # VIRTIO_ID_NET
    assert virtio_net.FEATURE_MTU == 1 << 3
    assert virtio_net.FEATURE_MAC == 1 << 5
    assert virtio_net.FEATURE_MERGEABLE_BUFFERS == 1 << 15
    assert virtio_net.FEATURE_STATUS == 1 << 16


@pytest.mark.parametrize(
    ("mtu_bytes", "expected"), [(68, 0x10028), (1500, 0x10028), (1501, 0x18028), (65535, 0x18028)]
)
def test_large_frames_need_buffers_that_are_merged(mtu_bytes, expected):
    assert features(mtu_bytes) == expected


@pytest.mark.parametrize(
    ("mtu_bytes", "link_up", "expected"),
    [
        (1500, True, "020000000001 0100 0100 dc05"),
        (1500, False, "020000000001 0000 0100 dc05"),
        (65535, True, "020000000001 0100 0100 ffff"),
    ],
)
def test_the_configuration_has_the_bytes_of_the_header(mtu_bytes, link_up, expected):
    assert configuration(MAC, mtu_bytes, link_up=link_up) == bytes.fromhex(expected)


def test_the_header_says_nothing_but_the_number_of_buffers():
    assert bytes.fromhex("00000000000000000000 0100") == virtio_net.HEADER
    assert merged_header(1) == virtio_net.HEADER
    assert merged_header(258) == bytes.fromhex("00000000000000000000 0201")


@given(buffers=u16)
def test_every_header_has_the_same_size(buffers):
    header = merged_header(buffers)
    assert len(header) == virtio_net.HEADER_SIZE_BYTES
    assert struct.unpack("<BBHHHHH", header) == (0, 0, 0, 0, 0, 0, buffers)
