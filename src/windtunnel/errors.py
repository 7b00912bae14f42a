# SPDX-License-Identifier: Apache-2.0
"""The exception tree, by whose fault it is.

::

    WindtunnelError
      LabFileError    the description is wrong            exit 2
        LabFileErrors   all that is wrong with it, together
        MatrixFileError   a matrix in the Cartesian configuration
          MatrixWordError     a character that cannot stand there
          MatrixIncludeError  a file that it includes cannot be read
      UsageError      the command or call is wrong        exit 2
      HostError       this machine lacks or refuses       exit 3
      GuestError      a kernel, service or the agent      exit 4
        GuestLostError  the kernel panicked or died
        GuestStuckError a process spins, time stands still
        IdleError       nothing is left to happen
        OverdueError    a lab takes longer than it may
        ImpossibleFaultError  a fault that this kind of node cannot have
      ProtocolError   a peer's bytes break a protocol     exit 4
      StateError      a call at the wrong time            exit 2
      PausedError     somebody paused the world           exit 130
      ReplayError     two equal runs differ               exit 1
      InternalError   our own bug                         exit 70

A check of a lab that fails is an event and a verdict, not an exception.
Every message says what happened, the value, where, and how to mend it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ExitStatus:
    """What the program's exit statuses mean."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    HOST = 3
    GUEST = 4
    INTERNAL = 70
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a text that a person wrote.

    Attributes:
        file: the name as the user gave it, "<string>" for text without a file.
        line: from 1; 0 when only the file is known.
        column: from 1; 0 when only the line is known.
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file]
        parts += [str(number) for number in (self.line, self.column) if number]
        return ":".join(parts)


class WindtunnelError(Exception):
    """Any error that we raise on purpose.

    Attributes:
        message: what happened, and the value.
        hint: how to mend it; empty when there is nothing to do.
        exit_status: what the program exits with.
    """

    exit_status: int = ExitStatus.INTERNAL

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class LabFileError(WindtunnelError):
    """The lab file (or a file that it names) is wrong.

    Attributes:
        where: the place; None when the lab was built by calls.
    """

    exit_status = ExitStatus.USAGE

    def __init__(self, message: str, *, where: Where | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {super().__str__()}" if self.where else super().__str__()


class LabFileErrors(LabFileError):  # noqa: N818 - it is several
    """Everything that is wrong with a lab, in the order of the file.

    Attributes:
        errors: one or more; each has its own place and hint.
    """

    def __init__(self, errors: Sequence[LabFileError]) -> None:
        assert errors, "no errors are no exception"
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        super().__init__(f"{count} in the lab", where=errors[0].where)
        self.errors = tuple(errors)

    def __reduce__(self) -> tuple[type[LabFileErrors], tuple[tuple[LabFileError, ...]]]:
        # Between processes an exception is made anew from its text, which is not what we take.
        return type(self), (self.errors,)

    def __str__(self) -> str:
        if len(self.errors) == 1:
            return str(self.errors[0])
        return "\n".join([f"{self.message}:", *map(str, self.errors)])


class MatrixFileError(LabFileError):
    """A matrix in the Cartesian configuration is wrong.

    Attributes:
        block: what the place lies in, "variant 'a' (line 3)"; empty at the top.
    """

    def __init__(
        self, message: str, *, where: Where | None = None, hint: str = "", block: str = ""
    ) -> None:
        super().__init__(f"{message}, in {block}" if block else message, where=where, hint=hint)
        self.block = block


class MatrixWordError(MatrixFileError):
    """A character stands where none of its kind can."""


class MatrixIncludeError(MatrixFileError):
    """A file that is included cannot be read."""


class UsageError(WindtunnelError):
    """The command line or the arguments of a call are wrong."""

    exit_status = ExitStatus.USAGE


class HostError(WindtunnelError):
    """This machine lacks something, or refuses it."""

    exit_status = ExitStatus.HOST


class GuestError(WindtunnelError):
    """Something inside a guest failed that the engine itself needs.

    Attributes:
        node: the node, or the guest's name; None when it is not known.
        time_ns: the virtual instant in lab time; None before the world began.
    """

    exit_status = ExitStatus.GUEST

    def __init__(
        self,
        message: str,
        *,
        node: str | None = None,
        time_ns: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.node = node
        self.time_ns = time_ns

    def __str__(self) -> str:
        place = [] if self.node is None else [f"node {self.node}"]
        if self.time_ns is not None:
            place.append(f"at {self.time_ns / 1e9:.9f} s")
        head = f"{', '.join(place)}: " if place else ""
        return head + super().__str__()


class GuestLostError(GuestError):
    """A guest's kernel panicked, or its process died."""


class GuestStuckError(GuestError):
    """A process computes for ever: virtual time cannot go on."""


class IdleError(GuestError):
    """Somebody waits for what can never happen: everything sleeps for ever."""


class OverdueError(GuestError):
    """A lab was not done when the virtual time that it may take was over."""


class ImpossibleFaultError(GuestError):
    """A fault was asked for that this kind of node cannot have; another kind can."""


class ProtocolError(WindtunnelError):
    """A peer's bytes break a protocol. Drop the connection; nothing can be trusted after it."""

    exit_status = ExitStatus.GUEST


class StateError(WindtunnelError):
    """A call came at the wrong time.

    Attributes:
        state: the state that the object is in.
        required: the state that the call needs.
    """

    exit_status = ExitStatus.USAGE

    def __init__(
        self, message: str, *, state: str = "", required: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.state = state
        self.required = required


class PausedError(WindtunnelError):
    """Somebody called `World.pause` while time passed; wait again, and it goes on.

    Attributes:
        time_ns: the virtual instant in lab time.
    """

    exit_status = ExitStatus.INTERRUPTED

    def __init__(self, message: str, *, time_ns: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.time_ns = time_ns


class ReplayError(WindtunnelError):
    """Two runs that must be equal differ."""

    exit_status = ExitStatus.FAILED


class InternalError(WindtunnelError):
    """Our own bug. The message asks the user to send the run folder."""

    exit_status = ExitStatus.INTERNAL
