# SPDX-License-Identifier: Apache-2.0
"""YAML text to plain data that still knows line and column of every part.

The events of libyaml (by PyYAML; its pure Python parser where the C one is
missing) are composed here, because composing is where the rules are: the core
schema of YAML 1.2 (`no` is text, not false), no duplicate keys, `<<` merges,
and limits, so that a small hostile file cannot become a huge one.

Source: https://yaml.org/spec/1.2.2/, sections 10.3.2 (core schema) and 3.2.1.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from windtunnel.errors import LabFileError, Where
from windtunnel.model.references import PARAMETER_KEYS, SHELL_KEYS, UnknownReferenceError, fill

# 10,000 nodes with links take 2 MB; more than this is not written by people.
TEXT_CHARACTERS_MAX = 16 << 20
# The deepest place of the format is 8; a match on JSON output needs some more.
NESTING_MAX = 64
# What aliases and merges may add, in values: a "billion laughs" file is stopped
# here, and 10,000 nodes that share 20 values by an alias are not.
ALIASED_VALUES_MAX = 250_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_FLOAT_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TAGS = {"str", "int", "float", "bool", "null", "map", "seq"}
_TAG_PREFIX = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Marked:
    """A value with its place.

    Attributes:
        value: a dict with string keys, a list, or a scalar; plain data all down.
        line: from 1; so is `column`.
        children: the parts of a dict (by key) or list (by index), else None.
        keys: line and column of each key of a dict that is written there (not
            of merged ones).
        size: how many values this is, aliases counted as often as they are used.
        text: of a scalar, as it is written, without quotes.
    """

    value: Any
    line: int
    column: int
    children: dict[str, Marked] | list[Marked] | None = None
    keys: dict[str, tuple[int, int]] | None = None
    size: int = 1
    text: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document.

    Attributes:
        root: its outermost value.
        file: for messages.
    """

    root: Marked
    file: str

    def where(self, path: Sequence[str | int], *, key: bool = False) -> Where:
        """Find the place of the value at `path`, or of the deepest part of it that exists.

        Elements of the path that the text does not have (it may use a short
        form) are skipped.

        Args:
            path: keys and indexes from the root.
            key: the place of the last key instead of its value.
        """
        node = self.root
        place = (node.line, node.column)
        for element in path:
            child = _child(node, element)
            if child is None:
                continue
            place = (child.line, child.column)
            if key and node.keys is not None:
                place = node.keys.get(str(element), place)
            node = child
        return Where(self.file, *place)

    def has(self, path: Sequence[str | int]) -> bool:
        """Tell whether the text has a value at exactly this path."""
        node: Marked | None = self.root
        for element in path:
            node = None if node is None else _child(node, element)
        return node is not None


def parse_yaml(text: str, *, file: str, params: Mapping[str, str] | None = None) -> Document:
    """Read one YAML document.

    Args:
        text: the whole file.
        file: its name, for messages.
        params: replaces `${key}` in scalars, see `windtunnel.model.references`;
            None leaves them alone.

    Raises:
        LabFileError: a syntax error, a duplicate key, an unknown parameter, a
            limit passed; `where` is the place.
    """
    if len(text) > TEXT_CHARACTERS_MAX:
        raise LabFileError(
            f"the file has {len(text)} characters, more than {TEXT_CHARACTERS_MAX}",
            where=Where(file),
            hint="move large contents into files of their own (files: … source:)",
        )
    try:
        return Document(_Composer(text, file, params).compose(), file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Where(file, mark.line + 1, mark.column + 1) if mark else Where(file)
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise LabFileError(
            f"not YAML: {problem}",
            where=where,
            hint=_syntax_hint(text, where.line),
        ) from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise LabFileError(
            f"not YAML: {error}", where=Where(file), hint="the file must be UTF-8 text"
        ) from error


# A "${x}" without quotes between brackets is the likeliest mistake of a lab with parameters.
def _syntax_hint(text: str, line: int) -> str:
    lines = text.splitlines()
    if 1 <= line <= len(lines) and "${" in lines[line - 1]:
        return "between { } and [ ] a reference needs quotes: '\"${key}\"'"
    return "look at the indentation, and at quotes and brackets that are left open"


class _Composer:
    """Build the tree from the parser's events."""

    def __init__(self, text: str, file: str, params: Mapping[str, str] | None) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))
        self._text = text
        self._params = params
        self._shell = False  # whether what is read now may be a shell's
        self._file = file
        self._anchors: dict[str, Marked | None] = {}
        self._aliased = 0

    def compose(self) -> Marked:
        next(self._events)  # StreamStart
        first = next(self._events)
        if isinstance(first, yaml.StreamEndEvent):
            raise LabFileError("the file is empty", where=Where(self._file))
        root = self._value(next(self._events), 0)
        next(self._events)  # DocumentEnd
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._error("a second document begins here", after, "a file has one document")
        return root

    def _error(self, message: str, event: Any, hint: str = "") -> LabFileError:
        return LabFileError(message, where=self._where(event), hint=hint)

    def _where(self, event: Any) -> Where:
        return Where(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _value(self, event: Any, depth: int) -> Marked:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > NESTING_MAX:
            raise self._error(f"nested more than {NESTING_MAX} deep", event)
        anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None  # known, not complete: an alias now would be a circle
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: Any) -> Marked:
        if event.anchor not in self._anchors:
            raise self._error(f"no anchor &{event.anchor} before this alias", event)
        node = self._anchors[event.anchor]
        if node is None:
            raise self._error(f"*{event.anchor} contains itself", event, "use an anchor above it")
        self._count_aliased(node.size, event)
        return node

    def _count_aliased(self, size: int, event: Any) -> None:
        self._aliased += size
        if self._aliased > ALIASED_VALUES_MAX:
            raise self._error(
                f"aliases blow this file up to more than {ALIASED_VALUES_MAX} values",
                event,
                "use kinds or groups for what many nodes share",
            )

    def _scalar(self, event: Any) -> Marked:
        mark = event.start_mark
        tag = self._tag(event)
        text = self._filled(event)
        if tag is not None:
            value = self._tagged(event, text, tag)
        elif not event.style:  # plain; the C parser says "", the Python one None
            value = _core_scalar(text)
        else:
            value = text
        return Marked(value, mark.line + 1, mark.column + 1, text=text)

    # What is put in is text of this scalar, and its type is that of the whole.
    def _filled(self, event: Any) -> str:
        text: str = event.value
        if self._params is None or "${" not in text:
            return text
        try:
            return fill(text, self._params, shell=self._shell)
        except UnknownReferenceError as error:
            where = self._where_in(event, error.text)
            raise LabFileError(error.message, where=where, hint=error.hint) from error

    # The place of a text inside a scalar; the scalar's own when escapes hide it.
    def _where_in(self, event: Any, text: str) -> Where:
        begin = event.start_mark.index
        at = self._text.find(text, begin, event.end_mark.index)
        if at < 0:
            return self._where(event)
        line = self._text.count("\n", begin, at)
        column = (
            at - self._text.rfind("\n", 0, at) if line else event.start_mark.column + 1 + at - begin
        )
        return Where(self._file, event.start_mark.line + 1 + line, column)

    def _tag(self, event: Any) -> str | None:
        if event.tag in (None, "!"):
            return "str" if event.tag == "!" else None
        tag: str = event.tag.removeprefix(_TAG_PREFIX)
        if tag not in _TAGS:
            raise self._error(f"unknown tag {event.tag!r}", event, "leave it out")
        return tag

    def _tagged(self, event: Any, text: str, tag: str) -> Any:
        if tag == "str":
            return text
        value = _core_scalar(text)
        types: dict[str, Any] = {
            "int": int,
            "float": (int, float),
            "bool": bool,
            "null": type(None),
        }
        if tag not in types or not isinstance(value, types[tag]):
            raise self._error(f"{text!r} is not a !!{tag}", event)
        return float(value) if tag == "float" else value

    def _sequence(self, event: Any, depth: int) -> Marked:
        self._tag(event)
        mark = event.start_mark
        children: list[Marked] = []
        while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
            children.append(self._value(item, depth + 1))
        size = 1 + sum(child.size for child in children)
        values = [child.value for child in children]
        return Marked(values, mark.line + 1, mark.column + 1, children, None, size)

    def _mapping(self, event: Any, depth: int) -> Marked:
        self._tag(event)
        mark = event.start_mark
        children: dict[str, Marked] = {}
        keys: dict[str, tuple[int, int]] = {}
        merges: list[tuple[Any, Marked]] = []
        while not isinstance(item := next(self._events), yaml.MappingEndEvent):
            key = self._key(item)
            value = self._below(key, depth)
            if item.value == "<<" and not item.style:
                merges.append((item, value))
                continue
            if key in children:
                line, column = keys[key]
                raise self._error(
                    f"the key {key!r} is here a second time",
                    item,
                    f"the first is at {Where(self._file, line, column)}; remove one of the two",
                )
            keys[key] = (item.start_mark.line + 1, item.start_mark.column + 1)
            children[key] = value
        for item, value in merges:
            self._merge(children, value, item)
        size = 1 + sum(child.size for child in children.values())
        values = {key: child.value for key, child in children.items()}
        return Marked(values, mark.line + 1, mark.column + 1, children, keys, size)

    # The value of a key, in which it depends on the key what is replaced.
    def _below(self, key: str, depth: int) -> Marked:
        before = (self._params, self._shell)
        if not depth and key in PARAMETER_KEYS:
            self._params = None
        self._shell = self._shell or key in SHELL_KEYS
        value = self._value(next(self._events), depth + 1)
        self._params, self._shell = before
        return value

    def _key(self, event: Any) -> str:
        if isinstance(event, yaml.ScalarEvent):
            if event.anchor is not None:
                self._anchors[event.anchor] = self._scalar(event)
            return self._filled(event)
        raise self._error("a key must be plain text", event, "is a '{' or '[' one too many?")

    # `<<: *a` or `<<: [*a, *b]`: keys that are not there yet; earlier ones win.
    def _merge(self, children: dict[str, Marked], source: Marked, event: Any) -> None:
        sources = source.children if isinstance(source.children, list) else [source]
        for one in sources:
            if not isinstance(one.children, dict):
                raise self._error("<< needs a mapping, or a list of mappings", event)
            self._count_aliased(len(one.children), event)
            for key, child in one.children.items():
                children.setdefault(key, child)


def _child(node: Marked, element: str | int) -> Marked | None:
    children = node.children
    if isinstance(children, dict):
        return children.get(str(element))
    if isinstance(children, list) and isinstance(element, int) and 0 <= element < len(children):
        return children[element]
    return None


def _core_scalar(text: str) -> Any:
    first = text[:1]
    if first.isalpha() and first not in "nNtTfF":
        return text
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return _int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _FLOAT_SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text


# Python refuses int() of very long digits; such a scalar stays text and the
# schema says that it is no number.
def _int(text: str) -> int | str:
    if len(text) > 100:
        return text
    if text.startswith(("0o", "0x")):
        return int(text, 0)
    return int(text)
