# SPDX-License-Identifier: Apache-2.0
"""Coverage as pages for a browser: a table of files, and each file with its lines' counts.

Each page is whole in itself, needs neither script nor network, and is a function of what
was counted. `page.html` here is the form of both kinds.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from windtunnel.model.coverage import FileCoverage, functions_of, lines_of, percent
from windtunnel.report.coverage.gather import Gathered
from windtunnel.report.text import shown, shown_line, shown_name
from windtunnel.report.write import write_text

INDEX = "index.html"

WITHOUT_MAX = 20
"""Runs without counts that the page names; more are counted."""

LINE_CHARACTERS_MAX = 1_000
"""Of a line of source in a page."""


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    link: str
    width: int | None
    lines: str
    functions: str


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    count: str
    kind: str
    text: str


def write_pages(gathered: Gathered, files: tuple[FileCoverage, ...], folder: Path) -> None:
    """Write the table of files, and a page for each file, below a folder.

    Args:
        gathered: what was counted.
        files: those to be shown.
        folder: made where it is missing.

    Raises:
        HostError: it cannot be written.
    """
    form = _Form()
    write_text(_index(form, gathered, files), folder / INDEX)
    for file in files:
        write_text(_page(form, file, gathered.source_text(file.path)), folder / _name(file.path))


class _Form:
    """The one form of all pages, read once."""

    def __init__(self) -> None:
        common = resources("windtunnel.report").joinpath("page.css").read_text(encoding="utf-8")
        own = resources(__package__ or "")
        # A policy that forbids styles in attributes is worth a hundred rules.
        widths = "".join(f".w{share} {{ width: {share}%; }}\n" for share in range(101))
        self._css = f"\n{common}{own.joinpath('page.css').read_text(encoding='utf-8')}{widths}"
        digest = hashlib.sha256(self._css.encode()).digest()
        self._hash = "sha256-" + base64.b64encode(digest).decode()
        self._template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
            own.joinpath("page.html").read_text(encoding="utf-8")
        )

    def fill(
        self,
        *,
        title: str,
        up: str,
        facts: list[tuple[str, str]],
        what: str,
        rows: list[_Row],
        listing: list[_Line],
        notes: list[str],
    ) -> str:
        return self._template.render(
            css=self._css,
            style_hash=self._hash,
            title=title,
            up=up,
            facts=facts,
            what=what,
            rows=rows,
            listing=listing,
            notes=notes,
        )


def _index(form: _Form, gathered: Gathered, files: tuple[FileCoverage, ...]) -> str:
    return form.fill(
        title=f"{shown_line(gathered.lab) or 'a lab'}: which lines of the kernel ran",
        up="",
        facts=[
            ("lines", _lines(*files)),
            ("functions", _functions(*files)),
            ("files", str(len(files))),
            ("runs", str(gathered.runs)),
            ("covered", ", ".join(gathered.asked)),
            ("kernel", ", ".join(sorted({one.kernel.version for one in gathered.notes}))),
        ],
        what="file",
        rows=[
            _Row(
                shown_name(file.path),
                quote(_name(file.path)),
                _width(file),
                _lines(file),
                _functions(file),
            )
            for file in files
        ],
        listing=[],
        notes=list(_without(gathered)),
    )


def _without(gathered: Gathered) -> Iterator[str]:
    for text in gathered.without[:WITHOUT_MAX]:
        yield f"no counts of {shown_line(text)}"
    if len(gathered.without) > WITHOUT_MAX:
        yield f"and of {len(gathered.without) - WITHOUT_MAX} more runs"


def _page(form: _Form, file: FileCoverage, source: str) -> str:
    up = "../" * (len(PurePosixPath(file.path).parts) - 1) + INDEX
    functions = [
        _Row(shown_name(name), f"#L{line}", None, str(count), "")
        for (line, name), count in file.functions.items()
    ]
    return form.fill(
        title=shown_name(file.path),
        up=up,
        facts=[("lines", _lines(file)), ("functions", _functions(file))],
        what="function",
        rows=functions,
        listing=_listing(file, source),
        notes=[] if source else ["its source was not kept"],
    )


def _listing(file: FileCoverage, source: str) -> list[_Line]:
    found = []
    for number, text in enumerate(source.split("\n"), start=1):
        count = file.lines.get(number)
        kind = "" if count is None else "hit" if count else "missed"
        said = "" if count is None else str(count) if count else "- 0"
        found.append(_Line(number, said, kind, shown(text, characters_max=LINE_CHARACTERS_MAX)))
    return found


def _name(path: str) -> str:
    """The page of a file, from the folder of all: what is odd in a header's path stays below."""
    return "/".join(part for part in path.split("/") if part not in ("", ".", "..")) + ".html"


def _width(file: FileCoverage) -> int:
    return file.lines_hit * 100 // len(file.lines) if file.lines else 0


def _lines(*files: FileCoverage) -> str:
    hit, found = lines_of(files)
    return f"{percent(hit, found)} ({hit} of {found})"


def _functions(*files: FileCoverage) -> str:
    hit, found = functions_of(files)
    return f"{percent(hit, found)} ({hit} of {found})"
