# SPDX-License-Identifier: Apache-2.0
"""User Mode Linux: what a guest's command line says.

Everything on the command line is the same on every host: the kernel mixes it
into its random numbers, so one path with a random name in it would change every
one of them. Paths are relative to the guest's scratch directory, which is the
working directory of its process.

Source: Documentation/virt/uml/, arch/um/kernel/um_arch.c, and our own patches
(kernel/README.md) for `um_seed` and `um_spin_max`.
"""

from __future__ import annotations

from dataclasses import dataclass

CALENDAR_SOCKET = "calendar"
CONSOLE_SOCKET = "console"
INITRD = "initrd"

SPIN_MAX_NS = 65536
"""Default bound of the absorption rule: how late a spinning task may see the time."""


# What drivers make at boot because somebody may want it; `ip link add` still does.
_NO_EXTRA_INTERFACES = ("bonding.max_bonds=0", "dummy.numdummies=0", "ifb.numifbs=0")


@dataclass(frozen=True, slots=True)
class UmlOptions:
    """What makes one guest different from another.

    Attributes:
        seed: of all of its randomness, 64 bits.
        memory_bytes: 32 MiB or more.
        spin_max_ns: see `SPIN_MAX_NS`; 0 switches the absorption rule off.
        net_devices: how many network devices it has.
        block_devices: how many disks it has.
        machine: whether it is one machine: then it has no interfaces that nobody gave it.
        extra: further words for the kernel, for those who know.
    """

    seed: int
    memory_bytes: int
    spin_max_ns: int = SPIN_MAX_NS
    net_devices: int = 0
    block_devices: int = 0
    machine: bool = False
    extra: tuple[str, ...] = ()


def net_socket(device: int) -> str:
    """The name of a network device's socket."""
    return f"net{device}"


def block_socket(device: int) -> str:
    """The name of a disk's socket."""
    return f"disk{device}"


def arguments(options: UmlOptions) -> list[str]:
    """The words behind the kernel's own path."""
    return [
        f"mem={options.memory_bytes >> 10}K",
        f"time-travel=ext:1:{CALENDAR_SOCKET}",
        f"um_seed={options.seed:#x}",
        f"um_spin_max={options.spin_max_ns}",
        f"initrd={INITRD}",
        "rdinit=/init",
        f"virtio_uml.device={CONSOLE_SOCKET}:3",
        *_net_words(options.net_devices),
        *(f"virtio_uml.device={block_socket(one)}:2" for one in range(options.block_devices)),
        "con=null",
        "con0=null,fd:1",
        "seccomp=on",
        # Up to 6.12 ESP brings the jitter generator, which measures the time that
        # computing takes until it varies: for ever, where computing takes none.
        "initcall_blacklist=jent_mod_init" + (",teql_init" if options.machine else ""),
        *(_NO_EXTRA_INTERFACES if options.machine else ()),
        # Tunnels that nobody asked for would stand in every node.
        "fb_tunnels=none",
        "umid=guest",
        "uml_dir=uml",
        "panic=-1",
        # User Mode Linux itself says nothing of what it tries; the kernel's warnings, and the
        # stacks below its reports, come as warnings, which `quiet` alone would hide.
        "quiet",
        "loglevel=5",
        *options.extra,
    ]


def _net_words(devices: int) -> list[str]:
    if not devices:
        return []
    # Sent frames are taken at once: an interrupt for each of them would tell nothing.
    words = ["virtio_net.napi_tx=0"]
    return words + [f"virtio_uml.device={net_socket(device)}:1" for device in range(devices)]
