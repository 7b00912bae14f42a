# SPDX-License-Identifier: Apache-2.0
"""Hear of a guest's kernel that is about to abort, while all of it is still there.

A User Mode Linux that panics ends by kill(getpid(), SIGABRT) (os_dump_core in
arch/um/os-Linux/util.c). Its seccomp filter hands exactly this call to us: the process
stands still in it until we let it go on. That costs nothing before, and no other way
is as sure: a host's own core dumps depend on its limits and settings.

Source: seccomp_unotify(2), include/uapi/linux/seccomp.h.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
from contextlib import suppress

_NOTIFICATION = struct.Struct("<QII64x")  # struct seccomp_notif: id, pid, flags, data
_ANSWER = struct.Struct("<QqiI")  # struct seccomp_notif_resp: id, val, error, flags
_RECEIVE = 0xC0502100  # SECCOMP_IOCTL_NOTIF_RECV
_SEND = 0xC0182101  # SECCOMP_IOCTL_NOTIF_SEND
_CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE


class AbortListener:
    """The end of a guest's filter that is ours. Close it when the guest has ended."""

    def __init__(self, file: int) -> None:
        """Take over the descriptor that seccomp gave."""
        self._file = file
        self._ids: list[int] = []

    def fileno(self) -> int:
        """Return the descriptor, which can be read when the guest aborts or has ended."""
        return self._file

    def receive(self) -> int | None:
        """Take the call of a process that aborts; it stands still until `let_go`.

        Returns:
            The process's number; None when there is none, as the guest has ended.
        """
        watched = select.poll()
        watched.register(self._file, select.POLLIN)
        if not any(events & select.POLLIN for _, events in watched.poll(0)):
            return None
        buffer = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self._file, _RECEIVE, buffer)
        except OSError:
            return None  # it was killed a moment ago
        number, pid, _ = _NOTIFICATION.unpack(buffer)
        self._ids.append(number)
        return int(pid)

    def let_go(self) -> None:
        """Let whoever stands still go on, which is to end."""
        for number in self._ids:
            # Gone, or on its way again: a tracer has interrupted it, and it calls anew.
            with suppress(OSError):
                fcntl.ioctl(self._file, _SEND, _ANSWER.pack(number, 0, 0, _CONTINUE))
        self._ids.clear()

    def close(self) -> None:
        """Close it; a call that is still waiting fails. May be called again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
