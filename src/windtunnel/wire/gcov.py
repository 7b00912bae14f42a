# SPDX-License-Identifier: Apache-2.0
"""What `gcov --json-format --stdout` prints: a document a line, one for each object.

Source: gcc's manual, "Invoking Gcov", --json-format; gcc/gcov.cc, output_json_intermediate_file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from windtunnel.errors import ProtocolError
from windtunnel.model.coverage import FileCoverage


def parse_gcov(text: str) -> Iterator[FileCoverage]:
    """Read what gcov says of some objects.

    Args:
        text: a document a line.

    Yields:
        The files of each object, with the paths that the compiler was given; a file that
        several objects use comes several times.

    Raises:
        ProtocolError: it is not what gcov prints; names the line.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            for file in json.loads(line)["files"]:
                yield _file(file)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProtocolError(f"line {number} is no document of gcov: {error!r}") from error


def _file(said: dict[str, Any]) -> FileCoverage:
    lines: Counter[int] = Counter()
    functions: Counter[tuple[int, str]] = Counter()
    # a line may come once for each function that has code in it
    for line in said["lines"]:
        lines[int(line["line_number"])] += int(line["count"])
    for function in said["functions"]:
        key = int(function["start_line"]), str(function["name"])
        functions[key] += int(function["execution_count"])
    return FileCoverage(
        str(said["file"]), dict(sorted(lines.items())), dict(sorted(functions.items()))
    )
