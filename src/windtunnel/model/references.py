# SPDX-License-Identifier: Apache-2.0
"""`${key}` in the scalars of a lab file: replaced by what the parameter is in a cell.

One scalar at a time, after YAML has found where it begins and ends, so no value
can change the structure of the file. What is put in is not looked at again.
`$${` stands for a `${` that stays. Shells have a `${…}` of their own: in texts
that a shell may read (`SHELL_KEYS`), one that is no parameter is left to it,
unless it is nearly one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from windtunnel.model.nearmiss import hint_for, near_miss

PARAMETER_KEYS = ("params", "exclude", "include", "matrix")
"""Keys of the lab that say which cells there are; nothing is replaced in them."""

SHELL_KEYS = frozenset({"cmd", "exec", "wait_for", "files", "content", "template"})
"""What stands below these may be a shell's, or a program's own file."""

_REFERENCE = re.compile(r"\$(?P<literal>\$\{)|\$\{(?P<key>[^${}]*)\}")
_NAME = re.compile(r"[A-Za-z_]\w*")


class UnknownReferenceError(Exception):
    """A reference to what is no parameter.

    Attributes:
        text: as it is written: "${los}".
        message: what is wrong.
        hint: how to mend it.
    """

    def __init__(self, text: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.text = text
        self.message = message
        self.hint = hint


def fill(text: str, params: Mapping[str, str], *, shell: bool) -> str:
    """Replace the references in a scalar.

    Args:
        text: of the scalar.
        params: of the cell.
        shell: whether a shell may read it.

    Raises:
        UnknownReferenceError: one of them is no parameter, and nobody else's either.
    """

    def value(match: re.Match[str]) -> str:
        if match["literal"]:
            return match["literal"]
        key = match["key"]
        if key in params:
            return params[key]
        if shell and not _is_slip(key, params):
            return match[0]
        raise UnknownReferenceError(
            match[0],
            f"{key!r} is no parameter of the lab",
            f"{hint_for(key, params, what='parameters')}\n"
            f"write '${match[0]}' for a text that keeps its '{match[0]}'",
        )

    return _REFERENCE.sub(value, text)


def has_reference(text: str) -> bool:
    """Whether a text has anything that `fill` would look at."""
    return _REFERENCE.search(text) is not None


# A shell's variable that is most likely meant to be a parameter. RATE beside a
# parameter `rate` is not: environment variables are often named after one.
def _is_slip(key: str, params: Mapping[str, str]) -> bool:
    if not _NAME.fullmatch(key):
        return False
    nearest = near_miss(key, params)
    return nearest is not None and nearest.lower() != key.lower()
