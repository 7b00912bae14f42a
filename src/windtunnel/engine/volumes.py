# SPDX-License-Identifier: Apache-2.0
"""Volumes of a node with a kernel of its own: they outlive its guests.

A guest that boots gets a device for each volume (`attach`), and has them mounted
before it gets files and programs (`mount`). When its power is cut, whoever has
ended the guest calls `power_cut`, and then perhaps `wipe`; the next guest is
given the same volumes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Hashable
from pathlib import Path
from uuid import UUID

from windtunnel.devices.backend import VhostUserBackend
from windtunnel.devices.block import BlockModel
from windtunnel.devices.disk import Disk, Losses
from windtunnel.engine import plan
from windtunnel.engine.loop import Calendar
from windtunnel.engine.seat import Seat
from windtunnel.engine.waits import Waits
from windtunnel.errors import GuestError
from windtunnel.machines import uml
from windtunnel.machines.agent import AgentChannel, Reply
from windtunnel.model.fault import VolumeFault, VolumeMode
from windtunnel.model.lab import NodeSpec, VolumeSpec
from windtunnel.sim.seeds import derive
from windtunnel.sim.streams import draws
from windtunnel.wire.virtio_blk import REQUEST_QUEUE

FORMAT_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class Volume:
    """One volume of a node.

    Attributes:
        spec: as the lab has it.
        device: its name in the node's kernel, such as "vda".
        disk: what it holds.
        formatted: whether there is a file system on it.
        fresh: whether that was made when it was last mounted.
        full_by: who keeps it full.
    """

    def __init__(self, seed: int, node: str, number: int, spec: VolumeSpec, folder: Path) -> None:
        """Make an empty one.

        Args:
            seed: the lab's.
            node: the node's name.
            number: of the volume in its node, from 0.
            spec: as the lab has it.
            folder: for its content, which takes as much room as was written.
        """
        self._seed = seed
        self._node = node
        self._cuts = 0
        self._failed_by: set[Hashable] = set()
        self.spec = spec
        self.device = device_name(number)
        self.disk = Disk(folder / f"volume-{node}-{spec.name}", spec.size_bytes)
        self.formatted = False
        self.fresh = False
        self.full_by: set[Hashable] = set()

    def fail(self, key: Hashable, *, on: bool) -> None:
        """Have its device answer every request with an error, as long as any key wants it."""
        (self._failed_by.add if on else self._failed_by.discard)(key)
        self.disk.failing = bool(self._failed_by)

    def power_cut(self) -> Losses:
        """Lose what was not flushed, or some of it; the guest has ended."""
        self._cuts += 1
        name = ("volume", self._node, self.spec.name, "power cut", str(self._cuts))
        return self.disk.power_cut(draws(self._seed, *name))

    def wipe(self) -> None:
        """Make it new: it is formatted again when it is next mounted."""
        self.disk.wipe()
        self.formatted = False

    def format_command(self) -> list[str]:
        """What makes its file system, the same one each time."""
        return [
            f"mkfs.{self.spec.filesystem}",
            "-q",
            "-F",
            "-e",
            "remount-ro",
            "-U",
            self._uuid("file system"),
            "-E",
            f"hash_seed={self._uuid('hashes')},lazy_itable_init=0,lazy_journal_init=0,nodiscard",
            f"/dev/{self.device}",
        ]

    def _uuid(self, what: str) -> str:
        high, low = (
            derive(self._seed, "volume", self._node, self.spec.name, what, half)
            for half in ("high", "low")
        )
        return str(UUID(int=high << 64 | low, version=4))


class _BlockPort:
    """The device of a volume in one guest, and its place in time."""

    def __init__(self, calendar: Calendar, seat: Seat, path: Path, volume: Volume) -> None:
        self._calendar = calendar
        self._seat = seat
        self._model = BlockModel(
            volume.disk,
            serial=volume.spec.name,
            latency_ns=volume.spec.latency_ns,
            now_ns=lambda: seat.now_ns,
            complete_at=self._complete_at,
        )
        self._device = VhostUserBackend(path, self._model)
        calendar.add_device(seat, self._device)

    def _complete_at(self, time_ns: int) -> None:
        self._seat.at(time_ns, self._complete)

    def _complete(self) -> None:
        if self._model.complete(self._device.queue(REQUEST_QUEUE)):
            self._calendar.interrupt(self._device, REQUEST_QUEUE)


class NodeVolumes:
    """All volumes of one node, in the order of the lab."""

    def __init__(self, seed: int, node: NodeSpec, folder: Path) -> None:
        """Make them, empty; `folder` gets their content."""
        self._node = node.name
        self._agent: AgentChannel | None = None
        self._waits: Waits | None = None
        self.volumes = tuple(
            Volume(seed, node.name, number, spec, folder)
            for number, spec in enumerate(node.volumes)
        )

    def attach(self, calendar: Calendar, seat: Seat, scratch: Path) -> None:
        """Give a guest that is about to start a device for each volume."""
        for number, volume in enumerate(self.volumes):
            _BlockPort(calendar, seat, scratch / uml.block_socket(number), volume)

    def mount(self, agent: AgentChannel, waits: Waits) -> None:
        """Have a guest that has booted find them mounted, and formatted where they are new.

        Raises:
            GuestError: its kernel or its root lacks what that needs, or a volume fails.
        """
        self._agent, self._waits = agent, waits
        for volume in self.volumes:
            self._ask(agent.device(plan.BASE, volume.device), volume, "its device")
            volume.fresh = not volume.formatted
            if volume.fresh:
                self._format(volume)
                volume.formatted = True
            source, kind = f"/dev/{volume.device}", volume.spec.filesystem
            reply = agent.mount(plan.BASE, source=source, path=volume.spec.path, filesystem=kind)
            self._ask(reply, volume, "mounting it")
            if volume.full_by:
                self._ask(agent.fill(plan.BASE, volume.spec.path, on=True), volume, "filling it")

    def keep(self, path: str) -> bool:
        """Whether a path of the node lies on a volume that has files of an earlier boot."""
        folders = [path[:at] for at, letter in enumerate(path) if letter == "/"]
        on = [volume for volume in self.volumes if volume.spec.path in folders]
        return bool(on) and not max(on, key=lambda one: len(one.spec.path)).fresh

    def begin(self, key: Hashable, fault: VolumeFault) -> None:
        """Have a volume fail.

        Args:
            key: whose fault it is; it fails until the last one ends.
            fault: which volume, and how.

        Raises:
            GuestError: the node is off, or cannot fill its file system.
        """
        volume = self._volume(fault.volume)
        if fault.mode is VolumeMode.ERRORS:
            volume.fail(key, on=True)
            return
        if not volume.full_by:
            self._fill(volume, on=True)
        volume.full_by.add(key)

    def end(self, key: Hashable, fault: VolumeFault) -> None:
        """Undo `begin`; nothing happens if the key has none."""
        volume = self._volume(fault.volume)
        if fault.mode is VolumeMode.ERRORS:
            volume.fail(key, on=False)
        elif key in volume.full_by:
            volume.full_by.discard(key)
            # Without power nothing fills it: it is not filled again at the next boot.
            if not volume.full_by and self._agent is not None:
                self._fill(volume, on=False)

    def power_cut(self) -> dict[str, Losses]:
        """Cut their power, when the guest has ended; what each has lost, by name."""
        self._agent = None
        return {volume.spec.name: volume.power_cut() for volume in self.volumes}

    def wipe(self) -> None:
        """Make them new."""
        for volume in self.volumes:
            volume.wipe()

    def close(self) -> None:
        """Give back the room that they take; may be called again."""
        for volume in self.volumes:
            volume.disk.close()

    def _volume(self, name: str) -> Volume:
        return next(volume for volume in self.volumes if volume.spec.name == name)

    def _fill(self, volume: Volume, *, on: bool) -> None:
        if self._agent is None:
            raise GuestError("it is off, and nothing fills its volume", node=self._node)
        reply = self._agent.fill(plan.BASE, volume.spec.path, on=on)
        self._ask(reply, volume, "filling it" if on else "emptying it")

    def _format(self, volume: Volume) -> None:
        """Make a volume's file system; lasting, since mkfs ends with a flush."""
        assert self._agent is not None, "mount has it"
        assert self._waits is not None, "mount has it"
        said = bytearray()
        command = volume.format_command()
        process = self._agent.spawn(
            plan.BASE,
            command,
            env=FORMAT_ENVIRONMENT,
            output=lambda data, _is_error: said.extend(data),
        )
        self._waits.wait(lambda: process.ended, f"the file system of {self._what(volume)}")
        if process.started.failure is not None:
            raise GuestError(
                f"the volume {volume.spec.name} cannot be formatted: "
                f"{os.strerror(process.started.failure.errno)}: {command[0]}",
                node=self._node,
                hint="its file system is made by the node: install e2fsprogs in its root",
            )
        if process.exit is not None and process.exit.status:
            raise GuestError(
                f"the volume {volume.spec.name} cannot be formatted: {command[0]} exited with "
                f"{process.exit.status}: {said.decode(errors='replace').strip()[-1000:]}",
                node=self._node,
            )

    def _ask(self, reply: Reply, volume: Volume, what: str) -> None:
        assert self._waits is not None, "mount has it"
        self._waits.ask(reply, f"{what}: {self._what(volume)}")
        failure = reply.failure
        if failure is None:
            return
        raise GuestError(
            f"the volume {volume.spec.name}: {failure.text}: {os.strerror(failure.errno)}",
            node=self._node,
            hint=_remedy(what, failure.errno, volume.spec.filesystem),
        )

    def _what(self, volume: Volume) -> str:
        return f"the volume {volume.spec.name} of node {self._node}"


def device_name(number: int) -> str:
    """The kernel's name of a virtio disk: vda to vdz, then vdaa (virtblk_name_format)."""
    letters = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return f"vd{letters}"


def _remedy(what: str, number: int, filesystem: str) -> str:
    """What helps when a kernel lacks an option, or its device has failed."""
    if what == "its device" and number == errno.ENOENT:
        return _build("VIRTIO_BLK")
    if what == "mounting it" and number == errno.ENODEV:
        return _build(f"{filesystem.upper()}_FS")
    if number == errno.EIO:
        return "its device fails; end that fault before the node boots"
    return ""


def _build(option: str) -> str:
    return f"this kernel lacks CONFIG_{option}: windtunnel kernel build --with {option}=y"
