# SPDX-License-Identifier: Apache-2.0
"""What a virtio network device and its driver say to each other.

A frame in a queue stands behind a header of 12 bytes, all of it zero here: we
offer neither checksums nor segmentation, so that every frame on a cable is as
large as its MTU allows and carries a checksum that a flipped bit breaks.

Source: VIRTIO 1.2, section 5.1; include/uapi/linux/virtio_net.h.
"""

from __future__ import annotations

import struct

DEVICE_ID = 1
RECEIVE_QUEUE, TRANSMIT_QUEUE = 0, 1

FEATURE_MTU = 1 << 3
FEATURE_MAC = 1 << 5
FEATURE_MERGEABLE_BUFFERS = 1 << 15
FEATURE_STATUS = 1 << 16

HEADER = bytes(10) + b"\x01\x00"
"""In front of what the driver receives: nothing special, one buffer."""

HEADER_SIZE_BYTES = 12

MTU_SMALL_BYTES = 1500
"""Up to this MTU a driver's buffers hold a frame each."""

_CONFIGURATION = struct.Struct("<6sHHH")  # mac, status, max_virtqueue_pairs, mtu
_STATUS_LINK_UP = 1


def features(mtu_bytes: int) -> int:
    """The features of a device for an MTU."""
    wanted = FEATURE_MTU | FEATURE_MAC | FEATURE_STATUS
    return wanted if mtu_bytes <= MTU_SMALL_BYTES else wanted | FEATURE_MERGEABLE_BUFFERS


def configuration(mac: bytes, mtu_bytes: int, *, link_up: bool) -> bytes:
    """The configuration space: u8[6] mac, u16 status, u16 queue pairs, u16 mtu."""
    return _CONFIGURATION.pack(mac, _STATUS_LINK_UP if link_up else 0, 1, mtu_bytes)


def merged_header(buffers: int) -> bytes:
    """The header of a frame that fills several mergeable buffers."""
    return bytes(10) + struct.pack("<H", buffers)
