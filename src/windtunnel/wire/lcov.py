# SPDX-License-Identifier: Apache-2.0
"""Counts of lines in lcov's format (`.info`), which editors, genhtml and services read.

Source: geninfo(1), "FILES": TN, SF, FN, FNDA, FNF, FNH, DA, LF, LH, end_of_record.
"""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.model.coverage import FileCoverage


def lcov_text(files: Iterable[FileCoverage], *, test: str = "") -> str:
    """Write counts as an .info file.

    Args:
        files: each once; paths stay as they are, from the top of the kernel's source.
        test: the name of the test; letters, digits and "_" of it are kept.
    """
    name = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in test)
    return "".join(_record(file, name) for file in files)


def _record(file: FileCoverage, test: str) -> str:
    names = _names(file)
    lines = [f"TN:{test}", f"SF:{file.path}"]
    lines += [f"FN:{line},{names[line, name]}" for line, name in file.functions]
    lines += [f"FNDA:{count},{names[key]}" for key, count in file.functions.items()]
    lines += [f"FNF:{len(file.functions)}", f"FNH:{file.functions_hit}"]
    lines += [f"DA:{line},{count}" for line, count in file.lines.items()]
    lines += [f"LF:{len(file.lines)}", f"LH:{file.lines_hit}", "end_of_record"]
    return "\n".join(lines) + "\n"


def _names(file: FileCoverage) -> dict[tuple[int, str], str]:
    """A name for each function: the format has no place for two of one name in a file."""
    names = [name for _, name in file.functions]
    return {
        (line, name): name if names.count(name) == 1 else f"{name}:{line}"
        for line, name in file.functions
    }
