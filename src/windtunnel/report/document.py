# SPDX-License-Identifier: Apache-2.0
"""Results as one JSON document: nothing is left out, and nothing has to be put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from windtunnel.model.result import CellResult
from windtunnel.report.overview import Cell, overview_of
from windtunnel.report.text import json_text

SCHEMA_VERSION = 1
"""Of the document; raised when a program that reads today's would misread it."""


def json_document(header: Mapping[str, Any], results: Iterable[CellResult]) -> str:
    """Write results as one JSON document, with a newline at its end.

    Its keys: `schema` (int), `lab`, `state`, `counts` (of cells by state, and how
    many of those that passed are flaky; how many were planned and have no
    result), `header` (what `results.json` says) and `cells`. A cell has `cell`,
    `index`, `state`, `flaky`, `params` and `tries`, each with the fields of
    `CellResult` in the order of the tries; the last one decides.
    """
    overview = overview_of(header, results)
    document = {
        "schema": SCHEMA_VERSION,
        "lab": overview.lab,
        "state": overview.state,
        "counts": overview.counts(),
        "header": dict(header),
        "cells": [_cell(cell) for cell in overview.cells],
    }
    return json_text(document, indent=1) + "\n"


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "cell": cell.name,
        "index": cell.last.index,
        "state": cell.state.value,
        "flaky": cell.flaky,
        "params": dict(cell.last.params),
        "tries": [one.to_json() for one in (*cell.earlier, cell.last)],
    }
