# SPDX-License-Identifier: Apache-2.0
"""Write results in a format that a person, or a CI system, asked for by its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from windtunnel.model.result import CellResult
from windtunnel.report.document import json_document
from windtunnel.report.formats import ResultsFormat
from windtunnel.report.junit import junit_xml
from windtunnel.report.page import html_page
from windtunnel.report.tap import ktap, tap13, tap14
from windtunnel.store.layout import host_errors
from windtunnel.store.results import Results

_WRITERS: Mapping[ResultsFormat, Callable[[Mapping[str, Any], Iterable[CellResult]], str]] = {
    ResultsFormat.JUNIT: junit_xml,
    ResultsFormat.JSON: json_document,
    ResultsFormat.KTAP: ktap,
    ResultsFormat.TAP: tap14,
    ResultsFormat.TAP13: tap13,
}


def results_text(
    results: Results,
    format_: ResultsFormat,
    *,
    folder: Path | None = None,
    with_page: Collection[str] = (),
) -> str:
    """Give results as a text, to be written in UTF-8.

    Args:
        results: what `read_results` gave.
        format_: which format.
        folder: where the text will lie, for the links of a page to the runs; None: in
            the folder of the results.
        with_page: the runs that have a page of their own, for the links of a page.
    """
    header = {**results.header, "state": results.state}
    if format_ is not ResultsFormat.HTML:
        return _WRITERS[format_](header, results.results)
    relative = "." if folder is None else os.path.relpath(results.path, folder)
    return html_page(
        header, results.results, base_url=quote(os.fsencode(relative)), with_page=with_page
    )


def write_results(
    results: Results, format_: ResultsFormat, path: Path, *, with_page: Collection[str] = ()
) -> None:
    """Write results into a file; arguments and errors as for `results_text` and `write_text`."""
    write_text(results_text(results, format_, folder=path.parent, with_page=with_page), path)


def write_text(text: str, path: Path) -> None:
    """Write a text into a file in UTF-8, which is replaced whole; its folder is made.

    Raises:
        HostError: it cannot be written.
    """
    with host_errors(path.parent, f"write {path.name}", hint="name another file with -o FILE"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # a device or a pipe must stay one
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        new = path.with_name(f".{path.name}.new")
        try:
            new.write_text(text, encoding="utf-8", newline="\n")
            new.replace(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
