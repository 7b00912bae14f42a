# SPDX-License-Identifier: Apache-2.0
"""How a command that fails ends: one message on stderr and a status, never a traceback.

What the user did, this machine and guests do wrong is said in a few lines. Our
own bugs leave their traceback in a file that the user can send.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

from windtunnel.errors import (
    ExitStatus,
    InternalError,
    LabFileError,
    LabFileErrors,
    Where,
    WindtunnelError,
)

BROKEN_PIPE_STATUS = 141
"""128 + SIGPIPE: what a shell shows of a program whose reader has gone."""

TRACEBACK = "traceback.txt"
EXCERPT_COLUMNS_MAX = 100

_run_folder: ContextVar[Path | None] = ContextVar("run_folder", default=None)
_lab_folder: ContextVar[Path] = ContextVar("lab_folder", default=Path())


def remember_run(path: Path) -> None:
    """Note where the present run is recorded, for the message if it ends badly."""
    _run_folder.set(path)


def remember_lab(path: Path) -> None:
    """Note which lab file is read: the files that it names lie beside it."""
    _lab_folder.set(path.parent)


def guard(body: Callable[[], int]) -> int:
    """Run a command, and say what went wrong.

    Args:
        body: the command; returns its exit status.

    Returns:
        The status to exit with.
    """
    try:
        return body()
    except KeyboardInterrupt:
        say_interrupted()
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        close_stdout()
        return BROKEN_PIPE_STATUS
    except InternalError as error:
        return _bug(error)
    except WindtunnelError as error:
        print_error(error)
        return error.exit_status
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets no traceback
        return _bug(error)


def say_interrupted() -> None:
    """Say on stderr that Ctrl-C ended the command, and where its record is if it has one."""
    say_on_stderr(f"\n{_headline('interrupted')}{_recorded()}")


def close_stdout() -> None:
    """Send what is still written to stdout nowhere: its reader has gone."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def print_error(error: WindtunnelError) -> None:
    """Say on stderr what happened and how to mend it."""
    say_on_stderr(error_text(error))


def error_text(error: WindtunnelError) -> str:
    """Word an error for people: the message, the place in the file, the remedy."""
    if isinstance(error, LabFileErrors):
        parts = [error_text(one) for one in error.errors]
        if len(parts) > 1:
            file = f" ({error.where.file})" if error.where else ""
            parts.append(_headline(f"{error.message}{file}"))
        return "\n\n".join(parts)
    if isinstance(error, LabFileError) and error.where is not None:
        lines = [f"{_bold(str(error.where))}: {error.message}", *_excerpt(error.where)]
        lines += _indented(error.hint)
        return "\n".join(lines)
    message = str(error).removesuffix(f"\n  {error.hint}") if error.hint else str(error)
    notes = "\n".join(getattr(error, "__notes__", ()))
    return "\n".join([_headline(message), *_indented(error.hint), *_indented(notes)])


def _bug(error: BaseException) -> int:
    import traceback  # noqa: PLC0415 - nobody should ever need it

    text = "".join(traceback.format_exception(error))
    place = _write_traceback(text)
    lines = [
        _headline(f"this is our bug, not yours: {type(error).__name__}: {error}".rstrip(": ")),
        f"  the traceback is in {place}" if place else text,
        "  please send it to us with the lab"
        + (f", or the whole folder {_run_folder.get()}" if _run_folder.get() else ""),
    ]
    say_on_stderr("\n".join(lines))
    return ExitStatus.INTERNAL


def _write_traceback(text: str) -> Path | None:
    import tempfile  # noqa: PLC0415 - nor this

    try:
        folder = _run_folder.get()
        if folder is not None and folder.is_dir():
            path = folder / TRACEBACK
            path.write_text(text)
            return path
        with tempfile.NamedTemporaryFile(
            "w", prefix="windtunnel-", suffix="-traceback.txt", delete=False
        ) as file:
            file.write(text)
        return Path(file.name)
    except OSError:
        return None  # a full disk must not hide the bug: it is printed instead


def _recorded() -> str:
    path = _run_folder.get()
    if path is None:
        return ""
    shown = os.path.relpath(path)
    shown = str(path) if shown.startswith("..") else shown
    return f"\n  what was recorded until then: windtunnel runs show {shown}"


def _excerpt(where: Where) -> list[str]:
    """The line of the file, and a caret below the place."""
    line = _source_line(where)
    if line is None:
        return []
    column = max(where.column, 1) - 1
    # A long line is cut so that the place stays in view.
    cut = max(0, column - EXCERPT_COLUMNS_MAX // 2)
    shown = line[cut : cut + EXCERPT_COLUMNS_MAX]
    before = "".join("\t" if char == "\t" else " " for char in line[cut:column])
    margin = f"{where.line:5}"
    lines = [f"{margin} | {shown}"]
    if where.column:
        lines.append(f"{' ' * len(margin)} | {before}{_red('^')}")
    return lines


def _source_line(where: Where) -> str | None:
    for place in (Path(where.file), _lab_folder.get() / where.file):
        try:
            lines = place.read_text(errors="replace").splitlines()
        except OSError:
            continue
        if 1 <= where.line <= len(lines):
            return lines[where.line - 1]
    return None


def _indented(hint: str) -> list[str]:
    return [f"  {line}" for line in hint.splitlines()]


def _headline(text: str) -> str:
    return f"{_red('windtunnel:')} {text}"


def _red(text: str) -> str:
    return f"\x1b[1;31m{text}\x1b[0m" if _colours() else text


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if _colours() else text


def _colours() -> bool:
    # By hand, because the library that does it for tables is slow to import.
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def say_on_stderr(text: str) -> None:
    """Write a line that is no result."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except BrokenPipeError:
        pass  # nobody listens; the status still tells
