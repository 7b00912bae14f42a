# SPDX-License-Identifier: Apache-2.0
"""`windtunnel shell`: the host's end of a terminal in a node."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.errors import ExitStatus, UsageError
from windtunnel.ui import failures
from windtunnel.ui.options import (
    CellOption,
    KernelOption,
    LabArgument,
    ReadOption,
    SeedOption,
    TrustOption,
    WritableOption,
    examples,
)

if TYPE_CHECKING:
    from windtunnel.engine.shell import LabShell, Outcome

EPILOG = examples(
    "windtunnel shell lab.yaml",
    "windtunnel shell lab.yaml r2",
    r"printf 'ip -br a\n:sleep 5 s\nip route\n' | windtunnel shell lab.yaml r1",
)

_SLICE_NS = 20_000_000
_SLICE_MAX_NS = 1_000_000_000
_SLICE_HOST_S = 0.02
"""How long a key may wait for its echo: what the host's clock and ours share is this."""

_KEYS_MAX_BYTES = 4096


def shell(
    lab: LabArgument,
    node: Annotated[str | None, typer.Argument(help="Where; the first node by default.")] = None,
    *,
    cell: CellOption = None,
    kernel: KernelOption = None,
    seed: SeedOption = None,
    read: ReadOption = None,
    writable: WritableOption = None,
    trust_guest: TrustOption = False,
) -> int:
    """Open a terminal in a node of a lab.

    Virtual time stands still at the prompt and passes while a command runs;
    the prompt shows node and lab time. Processes and steps of the lab happen at
    their times. Lines that begin with ":" are for windtunnel; :help lists them:
    :break 12.5 s, for one, lets time stand still there, whatever runs.

    Lines may come from a pipe as well; then all output is the same each time, and
    the exit status is that of the last command.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.engine.shell import LabShell  # noqa: PLC0415
    from windtunnel.engine.world import WorldOptions  # noqa: PLC0415
    from windtunnel.ui.build_progress import kernel_to_boot  # noqa: PLC0415
    from windtunnel.ui.run_command import read_lab  # noqa: PLC0415

    spec = read_lab(lab, seed=seed, cell=cell)
    options = WorldOptions(
        kernel=kernel_to_boot(kernel),
        read=tuple(read or ()),
        write=tuple(writable or ()),
        trust_guest=trust_guest,
    )
    if not _on_terminal():
        with LabShell(spec, options, node=node) as session:
            return _Pipe(session).run()
    size = shutil.get_terminal_size()
    with LabShell(
        spec,
        options,
        node=node,
        terminal=os.environ.get("TERM", "dumb"),
        size=(size.lines, size.columns),
    ) as session:
        return run_on_terminal(session)


def run_on_terminal(session: LabShell) -> int:
    """Let the user type to a node, or have lines from a pipe done; gives the exit status."""
    return (_Terminal(session) if _on_terminal() else _Pipe(session)).run()


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


class _Pipe:
    """Lines from a pipe, one command after the other, each to its end."""

    def __init__(self, session: LabShell) -> None:
        self._session = session

    def run(self) -> int:
        session = self._session
        for line in sys.stdin:
            outcome = session.enter(line.rstrip("\n"))
            if outcome.text:
                self._write(f"{outcome.text}\n".encode())
            if outcome.leave:
                break
            ended = session.finish() if outcome.runs else True
            self._show()
            if not ended:
                raise UsageError(
                    f"{line.strip()!r} on {session.node} has not ended within four hours of "
                    "virtual time",
                    hint="give it a time limit ('timeout 10 …'), or put it into the background",
                )
            if session.ended:
                break
        return session.status

    def _show(self) -> None:
        # A terminal ends lines with \r\n; files and pipes do not.
        self._write(self._session.take_output().replace(b"\r\n", b"\n"))
        for line in self._session.take_news():
            sys.stderr.write(f"{line}\n")

    def _write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


class _Terminal:
    """The user's own terminal."""

    def __init__(self, session: LabShell) -> None:
        self._session = session
        self._resized = False

    def run(self) -> int:
        session = self._session
        _complete(session.words)
        signal.signal(signal.SIGWINCH, self._note_size)
        sys.stdout.write("time stands still until you enter a command; ':help' says more\n")
        while not session.ended:
            self._show()
            try:
                line = input(session.prompt)
            except EOFError:
                sys.stdout.write("\n")
                break
            except KeyboardInterrupt:
                _handle_interrupts_again()
                sys.stdout.write("\n")
                if session.prompt == "> ":
                    session.type(b"\x03")
                    session.finish()
                continue
            try:
                if self._do(line):
                    break
            except UsageError as error:
                failures.print_error(error)
        self._show()
        return ExitStatus.PASSED

    def _do(self, line: str) -> bool:
        """Do a line; whether the user wants to leave."""
        outcome = self._enter(line)
        if outcome.text:
            sys.stdout.write(f"{outcome.text}\n")
        if outcome.runs:
            sys.stdout.flush()
            with _raw_terminal():
                self._pass_time()
        return outcome.leave

    def _enter(self, line: str) -> Outcome:
        """Give a line to the session; Ctrl-C lets time stand still meanwhile."""
        before = signal.signal(signal.SIGINT, lambda _number, _frame: self._session.interrupt())
        try:
            return self._session.enter(line)
        finally:
            signal.signal(signal.SIGINT, before)

    def _pass_time(self) -> None:
        """Let time pass while the command runs, and carry keys and output."""
        from windtunnel.engine.hostclock import monotonic_host_s  # noqa: PLC0415

        session = self._session
        slice_ns, typed = _SLICE_NS, False
        while session.busy and not session.stopped:
            began_host_s = monotonic_host_s()
            paced = typed or session.owns_screen
            self._tell_size()
            session.advance(_SLICE_NS if paced else slice_ns)
            self._write(session.take_output())
            left_host_s = _SLICE_HOST_S - (monotonic_host_s() - began_host_s)
            # Slices as long as a key may wait, however fast time passes.
            slice_ns = slice_ns * 2 if left_host_s > _SLICE_HOST_S / 2 else slice_ns // 2
            slice_ns = min(max(slice_ns, _SLICE_NS), _SLICE_MAX_NS)
            keys = _read_keys(max(left_host_s, 0.0) if paced and session.busy else 0.0)
            if keys:
                typed = typed or keys != b"\x03"
                session.type(keys)

    def _show(self) -> None:
        self._write(self._session.take_output())
        for line in self._session.take_news():
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def _write(self, data: bytes) -> None:
        if data:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def _note_size(self, _number: int, _frame: object) -> None:
        self._resized = True

    def _tell_size(self) -> None:
        if self._resized:
            self._resized = False
            size = shutil.get_terminal_size()
            self._session.resize(rows=size.lines, columns=size.columns)


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Let every key reach us as it is typed, Ctrl-C too."""
    old = termios.tcgetattr(0)
    try:
        # TCSADRAIN: what the user has typed ahead is not thrown away.
        tty.setraw(0, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, old)


def _read_keys(wait_host_s: float) -> bytes:
    ready, _, _ = select.select([0], [], [], wait_host_s)
    return os.read(0, _KEYS_MAX_BYTES) if ready else b""


def _complete(words: tuple[str, ...]) -> None:
    """Give the line editor, where Python has one, our words for the Tab key."""
    with suppress(ImportError):
        import readline  # noqa: PLC0415 - editing, history

        def complete(text: str, index: int) -> str | None:
            found = [word for word in words if word.startswith(text)]
            return found[index] if text.startswith(":") and index < len(found) else None

        readline.set_completer_delims("")
        readline.set_completer(complete)
        readline.parse_and_bind("tab: complete")


def _handle_interrupts_again() -> None:
    # The second Ctrl-C ends a command at once; here each one only ends a line.
    from windtunnel.ui import interrupts  # noqa: PLC0415

    interrupts.install()
