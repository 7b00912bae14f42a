# SPDX-License-Identifier: Apache-2.0
"""The Parquet files of one run: their names, whether they are whole, and who wins.

A file is made under a name of its own and renamed when it is whole. Its final name
says what it was made from, so whoever makes it makes the same: two writers at once
do each other no harm, and to make a file again changes nothing.

    <run>/.store/events.1.<begin>-<end>.parquet   bytes begin to end of events.jsonl
    <run>/.store/<table>.1.<digest>.parquet       all of the files that it is read from

The number is `schema.SCHEMA`. Files of other versions are left alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from windtunnel.store.tables.schema import SCHEMA

FOLDER = ".store"
"""No lab, cell or number is called so: names of files of ours do not begin with a dot."""

_MAGIC = b"PAR1"
_FOOTER_BYTES = 8  # u32 size of the metadata, magic
_SUFFIX = ".parquet"
_RANGE = re.compile(r"(\d+)-(\d+)")
_DIGEST_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Part:
    """A file with some of a stream's events.

    Attributes:
        path: of it.
        begin, end: the bytes of the stream that are in it; `end` is not.
    """

    path: Path
    begin: int
    end: int


def part_name(table: str, what: str) -> str:
    """Name a file by what it was made from."""
    return f"{table}.{SCHEMA}.{what}{_SUFFIX}"


def digest_of(files: Iterable[Path]) -> str:
    """Name the present state of files that only grow: their names and sizes."""
    state = "".join(f"{file.name}\0{file.stat().st_size}\0" for file in files)
    return hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGEST_CHARACTERS]


def is_whole(path: Path) -> bool:
    """Whether a Parquet file has its beginning and its end; a cut one has not."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < len(_MAGIC) + _FOOTER_BYTES or file.read(4) != _MAGIC:
                return False
            file.seek(size - _FOOTER_BYTES)
            footer = file.read(_FOOTER_BYTES)
    except OSError:
        return False
    metadata_bytes = int.from_bytes(footer[:4], "little")
    return footer[4:] == _MAGIC and metadata_bytes <= size - len(_MAGIC) - _FOOTER_BYTES


def chain(folder: Path, table: str, size: int) -> tuple[Part, ...]:
    """Choose files that hold a stream from its beginning, without a gap and without an overlap.

    Of several that begin at one byte the longest counts: two writers may have read
    a growing stream at different moments.

    Args:
        folder: of the files.
        table: whose.
        size: of the stream now, in bytes; a file that goes further is of another stream.
    """
    longest: dict[int, Part] = {}
    prefix = f"{table}.{SCHEMA}."
    for path in _listed(folder):
        found = _RANGE.fullmatch(path.name.removeprefix(prefix).removesuffix(_SUFFIX))
        if not path.name.startswith(prefix) or found is None:
            continue
        part = Part(path, int(found[1]), int(found[2]))
        known = longest.get(part.begin)
        better = known is None or part.end > known.end
        if better and part.begin < part.end <= size and is_whole(path):
            longest[part.begin] = part
    parts: list[Part] = []
    while (at := parts[-1].end if parts else 0) in longest:
        parts.append(longest[at])
    return tuple(parts)


def drop_others(folder: Path, table: str, keep: Iterable[Path]) -> None:
    """Remove the files of a table that are not needed any more, of our version only."""
    kept = set(keep)
    for path in _listed(folder):
        if path.name.startswith(f"{table}.{SCHEMA}.") and path not in kept:
            with suppress(OSError):
                path.unlink()


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Give a place to write a file to; when the block ends well, it is at `target`.

    Raises:
        OSError: it cannot be put there.
    """
    handle, name = tempfile.mkstemp(prefix=".making-", suffix=_SUFFIX, dir=target.parent)
    os.close(handle)
    new = Path(name)
    try:
        yield new
        new.chmod(0o644)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def store_folder(run: Path, instead: Callable[[], Path]) -> Path:
    """Give the folder for a run's files; made when it is missing.

    Args:
        run: the run's folder.
        instead: gives one where the run's own cannot be used: it lies on something
            that we may not write, or somebody has put a symlink in its place.
    """
    folder = run / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        usable = not folder.is_symlink() and os.access(folder, os.W_OK)
    except OSError:
        usable = False
    if usable:
        return folder
    # One folder for each run, so that names of files stay their own.
    name = hashlib.sha256(str(run).encode("utf-8", "surrogateescape")).hexdigest()
    folder = instead() / name
    folder.mkdir(exist_ok=True)
    return folder


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))
