# SPDX-License-Identifier: Apache-2.0
"""What statements do to the keys of a variant.

A key is text, or after a suffix a tuple: the key and its suffixes, the first
one given first. Suffixes become part of keys when a variant is complete, in the
opposite order, and only where the values differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from typing import Any

from windtunnel.matrix.syntax import Assign, Delete, Suffix

Key = str | tuple[str, ...]
Keys = dict[Key, str]
Given = dict[str, object]
"""What a value can refer to besides keys: name, shortname, dep."""
_REFERENCE = re.compile(r"\$\{(.+?)\}")


def flat(key: Key) -> str:
    """The text of a key: of ("k", "_a", "_b") it is "k_b_a"."""
    if isinstance(key, str):
        return key
    return key[0] + "".join(reversed(key[1:]))


class Names:
    """What a value may refer to besides plain keys.

    Attributes:
        given: the names of the variant.
        tuples: whether there may be keys with suffixes.
        suffixed: whether "${k_a}" finds the key k with the suffix _a.
    """

    __slots__ = ("given", "suffixed", "tuples")

    def __init__(self, given: Given, *, tuples: bool = True, suffixed: bool = False) -> None:
        self.given = given
        self.tuples = tuples
        self.suffixed = suffixed


class Value:
    """A value that may refer to keys.

    The first reference to a key that does not exist ends it: the rest stays as
    it is written.
    """

    __slots__ = ("_parts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = [(found[1], *found.span()) for found in _REFERENCE.finditer(text)]

    def needs(self) -> list[str]:
        """What it refers to."""
        return [key for key, _, _ in self._parts]

    def fill(self, keys: Keys, names: Names) -> str:
        """The value with what it refers to."""
        view: Keys | dict[str, str] = keys
        if names.tuples and any(isinstance(key, tuple) for key in keys):
            view = join_suffixes(keys)
        done = []
        at = 0
        for key, start, end in self._parts:
            value = view.get(key)
            if value is None:
                value = _look_up(key, keys, names)
                if value is None:
                    break
            done += [self.text[at:start], value]
            at = end
        return "".join([*done, self.text[at:]]) if done else self.text


def _look_up(key: str, keys: Keys, names: Names) -> str | None:
    """Find what is no key: a name, or a key with a suffix that would be dropped."""
    if key in names.given:
        return str(names.given[key])
    if names.suffixed:
        for one, value in keys.items():
            if isinstance(one, tuple) and flat(one) == key:
                return value
    return None


class Set:
    """`k = v`, where the value refers to keys; others are patches."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: Value) -> None:
        self.key = key
        self.value = value

    def apply(self, keys: Keys, names: Names) -> None:
        """Change the keys."""
        keys[self.key] = self.value.fill(keys, names)


class SetLazily(Set):
    """`k ~= v`: set it unless it is set."""

    __slots__ = ()

    def apply(self, keys: Keys, names: Names) -> None:
        """Change the keys."""
        if self.key not in keys:
            keys[self.key] = self.value.fill(keys, names)


class Append(Set):
    """`k += v`."""

    __slots__ = ()

    def apply(self, keys: Keys, names: Names) -> None:
        """Change the keys."""
        keys[self.key] = keys.get(self.key, "") + self.value.fill(keys, names)


class Prepend(Set):
    """`k <= v`."""

    __slots__ = ()

    def apply(self, keys: Keys, names: Names) -> None:
        """Change the keys."""
        keys[self.key] = self.value.fill(keys, names) + keys.get(self.key, "")


class _Matching:
    """Whatever is done to all keys that match a regular expression wholly."""

    __slots__ = ("_matches", "_plain", "value")

    def __init__(self, pattern: str, value: Value) -> None:
        self.value = value
        self._plain = pattern if re.fullmatch(r"[\w-]+", pattern) else None
        self._matches = re.compile(f"{pattern}$").match

    def found(self, keys: Keys) -> list[Key]:
        """The keys that match."""
        plain, matches = self._plain, self._matches
        if plain is not None:
            found: list[Key] = [plain] if plain in keys else []
            found += [key for key in keys if isinstance(key, tuple) and flat(key) == plain]
            return found
        return [key for key in keys if matches(key if isinstance(key, str) else flat(key))]


class SetMatching(_Matching):
    """`re ?= v`."""

    __slots__ = ()

    def apply(self, keys: Keys, names: Names) -> None:
        """Change the keys."""
        found = self.found(keys)
        if found:
            keys.update(dict.fromkeys(found, self.value.fill(keys, names)))


class AppendMatching(_Matching):
    """`re ?+= v`."""

    __slots__ = ()

    def apply(self, keys: Keys, names: Names) -> None:
        """Change the keys."""
        found = self.found(keys)
        value = self.value.fill(keys, names) if found else ""
        for key in found:
            keys[key] += value


class PrependMatching(_Matching):
    """`re ?<= v`."""

    __slots__ = ()

    def apply(self, keys: Keys, names: Names) -> None:
        """Change the keys."""
        found = self.found(keys)
        value = self.value.fill(keys, names) if found else ""
        for key in found:
            keys[key] = value + keys[key]


class DeleteMatching(_Matching):
    """`del re`."""

    __slots__ = ()

    def apply(self, keys: Keys, names: Names) -> None:  # noqa: ARG002 - as all of them
        """Change the keys."""
        for key in self.found(keys):
            del keys[key]


class AddSuffix:
    """`suffix s`: all keys have it from now on."""

    __slots__ = ("suffix",)

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix

    def apply(self, keys: Keys, names: Names) -> None:  # noqa: ARG002 - as all of them
        """Change the keys."""
        changed: Keys = {
            (*key, self.suffix) if isinstance(key, tuple) else (key, self.suffix): value
            for key, value in keys.items()
        }
        keys.clear()
        keys.update(changed)


Operation = Set | SetMatching | AppendMatching | PrependMatching | DeleteMatching | AddSuffix
_OPERATIONS: dict[str, Callable[[str, Value], Operation]] = {
    "=": Set,
    "~=": SetLazily,
    "+=": Append,
    "<=": Prepend,
    "?=": SetMatching,
    "?+=": AppendMatching,
    "?<=": PrependMatching,
}


def operation_of(statement: Assign | Delete | Suffix) -> Operation:
    """Make what a statement does."""
    if isinstance(statement, Suffix):
        return AddSuffix(statement.suffix)
    if isinstance(statement, Delete):
        return DeleteMatching(statement.pattern, Value(""))
    return _OPERATIONS[statement.operator](statement.key, Value(statement.value))


def join_suffixes(keys: Keys) -> dict[str, str]:
    """Make suffixes part of the keys, where they make a difference.

    Where a key has the same value with every suffix, or the value which it has
    without any, the suffix is dropped.
    """
    groups: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    done: dict[str, str] = {}
    for key, value in keys.items():
        if isinstance(key, tuple):
            groups.setdefault(key[0], []).append((key, value))
        else:
            done[key] = value
    for plain, group in groups.items():
        if plain not in keys and len({value for _, value in group}) == 1:
            done[plain] = group[0][1]
            continue
        for key, value in group:
            if keys.get(plain) != value:
                done[flat(key)] = value
    return done


def fill_late(variant: dict[Any, Any]) -> dict[Any, Any]:
    """Give values what they refer to and what came to be only with a suffix or a join.

    A reference to what there is not even then stays.
    """

    def meaning(found: re.Match[str]) -> str:
        return str(variant.get(found[1], found[0]))

    return {
        key: _REFERENCE.sub(meaning, value) if isinstance(value, str) else value
        for key, value in variant.items()
    }


def unknown_reference(value: str, known: Container[str]) -> str | None:
    """The first key that a value refers to and that is not known."""
    for found in _REFERENCE.finditer(value):
        if found[1] not in known:
            return found[1]
    return None


_LIMIT = re.compile(r"(.*)_(max|min|fixed)")


def limits_in(keys: Iterator[str]) -> list[tuple[str, str, str]]:
    """Those keys that limit others: (key, the other, "max" or "min" or "fixed")."""
    found = []
    for key in keys:
        match = _LIMIT.fullmatch(key)
        if match:
            found.append((key, match[1], match[2]))
    return found


_UNITS = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _size(text: str) -> float:
    unit = text[-1:].upper()
    if unit in _UNITS:
        return float(text[:-1]) * _UNITS[unit]
    return float(text) * _UNITS["M"]


def exceeds(value: str, limit: str, kind: str) -> bool:
    """Whether a limit takes the place of a value: always, when it is "fixed".

    Both are whole numbers, or sizes when one has a unit: B, K, M, G or T, or M where
    it has none.

    Raises:
        ValueError: they are no numbers.
    """
    if kind == "fixed":
        return True
    units = value[-1:].upper() in (*_UNITS,) or limit[-1:].upper() in (*_UNITS,)
    number: Callable[[str], float] = _size if units else int
    here, there = number(value), number(limit)
    return here > there if kind == "max" else here < there
