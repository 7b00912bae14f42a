# SPDX-License-Identifier: Apache-2.0
"""Which labs are in the tree of a provider, and what the tree says of itself."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from windtunnel.errors import HostError, UsageError
from windtunnel.images.doctor import find_program
from windtunnel.model.nearmiss import hint_for
from windtunnel.providers.description import Description, read_description

OWN = ("windtunnel-provider.yaml", "windtunnel-provider.ini")
"""How a description in the tree itself is called."""

_SUFFIXES = (".yaml", ".yml")
# What no other YAML file begins a line with.
_LAB = re.compile(r"^(?:nodes|kinds)\s*:", re.MULTILINE)
_LOOKED_AT_BYTES = 1 << 20


def own_description(tree: Path) -> Description:
    """Read what a tree says of itself; nothing if it does not.

    Raises:
        LabFileError: it is wrong.
        HostError: it cannot be read.
    """
    for name in OWN:
        file = tree / name
        try:
            return read_description(file.read_text(encoding="utf-8"), file=str(file))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise HostError(f"cannot read {file}: {error}") from error
    return Description()


def find_labs(tree: Path, patterns: Sequence[str]) -> list[str]:
    """Find the labs of a tree.

    Args:
        tree: its folder.
        patterns: of paths, "**" for any folders; none for all YAML files with nodes.

    Returns:
        Their paths, relative to the tree, sorted.

    Raises:
        UsageError: a lab is a link that leads out of the tree.
    """
    root = tree.resolve()
    found = []
    for path in _files(tree):
        matches = any(_matches(path, pattern) for pattern in patterns)
        if matches or (not patterns and _looks_like_a_lab(tree / path)):
            if not (tree / path).resolve().is_relative_to(root):
                raise UsageError(
                    f"{path} leads out of {tree}", hint="a provider's labs lie in its own tree"
                )
            found.append(path)
    return found


def choose_labs(labs: Sequence[str], wanted: str) -> list[str]:
    """Choose the labs that a user names: by pattern, path, folder, or path without suffix.

    Raises:
        UsageError: none is meant.
    """
    wanted = wanted.strip("/")
    if not wanted:
        return list(labs)
    chosen = [
        lab
        for lab in labs
        if lab.startswith(f"{wanted}/")
        or any(fnmatchcase(name, wanted) for name in (lab, lab.rpartition(".")[0]))
    ]
    if not chosen:
        names = [lab.rpartition(".")[0] for lab in labs]
        raise UsageError(f"no lab is called {wanted!r}", hint=hint_for(wanted, names, what="labs"))
    return chosen


def missing_programs(needs: Sequence[str]) -> list[str]:
    """Say which programs this machine lacks."""
    return [name for name in needs if find_program(name) is None]


def _files(tree: Path) -> list[str]:
    """All YAML files, hidden folders left out, sorted by path."""
    found = []
    for folder, folders, names in os.walk(tree):
        folders[:] = [name for name in folders if not name.startswith(".")]
        relative = PurePosixPath(os.path.relpath(folder, tree))
        found += [str(relative / name) for name in names if name.endswith(_SUFFIXES)]
    return sorted(set(found) - set(OWN))


def _matches(path: str, pattern: str) -> bool:
    """Whether a path fits a pattern in which "**/" is any folders, or none."""
    parts = [re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
             for part in pattern.split("**/")]  # fmt: skip
    return re.fullmatch("(?:.*/)?".join(parts), path) is not None


def _looks_like_a_lab(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _LAB.search(file.read(_LOOKED_AT_BYTES).decode("utf-8", "replace")) is not None
    except OSError:
        return False
