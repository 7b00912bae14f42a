# SPDX-License-Identifier: Apache-2.0
"""The grammar of the Cartesian configuration: text to a syntax tree.

Blocks are made by indentation alone: a line that is deeper than the line which
opens a block belongs to it. A line is, in this order: the head of a variants
block, one that begins with a word and a space (only, no, join, suffix, del,
include), an assignment when an operator comes before any colon, else a condition.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

from windtunnel.errors import MatrixFileError, MatrixIncludeError, MatrixWordError, Where
from windtunnel.matrix.filtertext import parse_filter
from windtunnel.matrix.syntax import (
    Assign,
    Condition,
    Delete,
    Filter,
    Join,
    Label,
    Only,
    Run,
    Statement,
    Suffix,
    Variant,
    Variants,
)
from windtunnel.matrix.text import Line, lines_of
from windtunnel.model.nearmiss import hint_for

Read = Callable[[str, str], tuple[str, str]]
"""Reads an included file.

Is given the path as it is written, and the name of the file that includes it;
returns the included file's name and text. Raises OSError, ValueError.
"""

# What these words give cannot be assigned; it is dropped without a word, as ever.
RESERVED = frozenset({"name", "shortname", "dep", "_name_map_file", "_short_name_map_file"})
# Deeper than this is a mistake, such as conditions made by a program gone wild.
DEPTH_MAX = 100

_OPERATOR = re.compile(r"\?\+=|\?<=|\?=|\+=|<=|~=|=")
_WORD = re.compile(r"(only|no|join|suffix|del|include) +")
_HEAD = re.compile(r"variants(?=[ :])\s*(?P<name>[\w-]+)?\s*(?P<meta>.*)")
_META = re.compile(r"\[\s*(?P<key>[\w-]+)\s*(?:=\s*(?P<value>[^\]]*?)\s*)?\]\s*")
_VARIANT = re.compile(r"-\s*(?P<default>@?)(?P<name>[\w-][\w.-]*):(?P<needs>[^#]*)")
_SUFFIX = re.compile(r"[\w-]+")


def parse(text: str, *, file: str, read: Read) -> tuple[Statement, ...]:
    """Read a text.

    Args:
        text: the whole of it.
        file: its name, as the user gave it.
        read: reads what it includes.

    Raises:
        MatrixFileError: it is wrong.
    """
    return _Text(text, file, read, ()).whole()


@dataclass(frozen=True, slots=True)
class _Context:
    """Where in the tree a line stands.

    Attributes:
        place: for messages: "variant 'a' (line 3)".
        conditional: whether inside a condition, where there can be no variants.
        depth: how many blocks are around it.
    """

    place: str = ""
    conditional: bool = False
    depth: int = 0

    def inside(self, place: str, *, conditional: bool = False) -> _Context:
        return _Context(place, self.conditional or conditional, self.depth + 1)


@dataclass(slots=True)
class _Block:
    """A block as it is being read; a suffix waits until its end."""

    statements: list[Statement] = field(default_factory=list)
    suffix: Suffix | None = None

    def add(self, one: Statement) -> None:
        if isinstance(one, Suffix):
            self.suffix = one
        else:
            self.statements.append(one)

    def whole(self) -> tuple[Statement, ...]:
        end = () if self.suffix is None else (self.suffix,)
        return (*self.statements, *end)


class _Text:
    """One text, and where in it we are."""

    def __init__(self, text: str, file: str, read: Read, parents: tuple[str, ...]) -> None:
        self._lines = list(lines_of(text))
        self._at = 0
        self._file = file
        self._read = read
        self._files = (*parents, file)

    def whole(self, context: _Context | None = None) -> tuple[Statement, ...]:
        block = _Block()
        self._block(-1, context or _Context(), block)
        return block.whole()

    def _block(self, indent: int, context: _Context, block: _Block) -> None:
        """Read all lines that are deeper than `indent`."""
        while self._at < len(self._lines) and self._lines[self._at].indent > indent:
            line = self._lines[self._at]
            self._at += 1
            self._statement(line, 0, context, block)

    def _statement(self, line: Line, start: int, context: _Context, block: _Block) -> None:
        """Read the statement that begins at a character of a line, and what lies in it."""
        text = line.text[start:]
        if text.startswith(("variants:", "variants ")):
            block.add(self._variants(line, start, context))
            return
        word = _WORD.match(text)
        if word and word[1] == "include":
            # As it is: a suffix in a file ends with the file.
            block.statements += self._include(line, start + word.end(), context)
            return
        if word:
            block.add(self._word(line, start, word, context))
            return
        operator = _OPERATOR.search(text)
        colon = text.find(":")
        if operator and not 0 <= colon < operator.start():
            key = text[: operator.start()].rstrip()
            if operator[0].startswith("?") or key not in RESERVED:
                block.add(self._assign(line, start, key, operator, context))
            return
        if text.startswith("-"):
            hint = 'a variant ("- NAME:") belongs deeper than the head of a variants block'
            self._fail(line, start, context, f"{text!r} is no statement", hint)
        if colon < 0:
            hint = 'write "KEY = VALUE", or "FILTER:" for a conditional block'
            self._fail(line, start, context, f"{text!r} is no statement", hint)
        block.add(self._condition(line, start, colon, context))

    def _word(self, line: Line, start: int, match: re.Match[str], context: _Context) -> Statement:
        word = match[1]
        begin = start + match.end()
        rest = line.text[begin:].partition("#")[0].rstrip()
        where = self._where(line, start)
        if word in ("only", "no"):
            return Only(self._filter(line, begin, rest, context), word == "no", where)
        if word == "join":
            if context.conditional:
                hint = "put it into a variant"
                message = "'join' cannot stand in a conditional block"
                self._fail(line, start, context, message, hint)
            whole = self._filter(line, begin, rest, context)
            words = (
                Filter((one,), "..".join(".".join(map(str, run)) for run in one))
                for one in whole.alternatives
            )
            return Join(tuple(words), where)
        if word == "suffix":
            if not _SUFFIX.fullmatch(rest):
                hint = 'a suffix has letters, digits, "_" and "-"'
                self._fail(line, begin, context, f"{rest!r} cannot be a suffix", hint)
            return Suffix(rest, where)
        self._check_pattern(line, begin, rest, context)
        return Delete(rest, where)

    def _include(self, line: Line, begin: int, context: _Context) -> tuple[Statement, ...]:
        path = line.text[begin:]
        where = self._where(line, begin)
        try:
            file, text = self._read(path, self._file)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            hint = "a comment cannot follow the path" if "#" in path else ""
            raise MatrixIncludeError(
                f"cannot include {path!r}: {reason}",
                where=where, hint=hint or "a path begins at the file that includes it",
                block=context.place,
            ) from error  # fmt: skip
        if file in self._files:
            circle = " includes ".join((*self._files[self._files.index(file) :], file))
            raise MatrixIncludeError(
                f"a circle of includes: {circle}", where=where, block=context.place,
                hint="leave out one of them",
            )  # fmt: skip
        inner = _Text(text, file, self._read, self._files)
        return inner.whole(context)

    def _assign(
        self, line: Line, start: int, key: str, operator: re.Match[str], context: _Context
    ) -> Assign:
        value = line.text[start + operator.end() :].strip()
        if value[:1] in ("'", '"') and value[0] == value[-1]:
            value = value[1:-1]
        if operator[0].startswith("?"):
            self._check_pattern(line, start, key, context)
        return Assign(key, operator[0], value, self._where(line, start))

    def _condition(self, line: Line, start: int, colon: int, context: _Context) -> Condition:
        text = line.text[start : start + colon]
        negative = text.startswith("!")
        found = self._filter(line, start + negative, text[negative:], context, condition=True)
        place = f"condition {found.text!r} (line {line.number})"
        inside = context.inside(place, conditional=True)
        self._check_depth(line, start, inside)
        block = _Block()
        rest = line.text[start + colon + 1 :]
        first = start + colon + 1 + len(rest) - len(rest.lstrip())
        if rest.strip():
            self._statement(line, first, inside, block)
        self._block(line.indent, inside, block)
        return Condition(found, negative, block.whole(), self._where(line, start))

    def _variants(self, line: Line, start: int, context: _Context) -> Variants:
        if context.conditional:
            self._fail(
                line, start, context, "'variants' cannot stand in a conditional block",
                "put the condition into the variants, or use 'only' and 'no' in them",
            )  # fmt: skip
        name, meta, default = self._head(line, start, context)
        where = self._where(line, start)
        place = f"variants {name}" if name else "variants"
        inside = context.inside(f"{place} (line {line.number})")
        self._check_depth(line, start, inside)
        found: list[Variant] = []
        # The first variant may stand as deep as the head; always so, if not by design.
        least = line.indent - 1
        while self._at < len(self._lines) and self._lines[self._at].indent > least:
            least = line.indent
            one = self._lines[self._at]
            self._at += 1
            found.append(self._variant(one, name, default, inside))
        if default is not None and not any(one.text == default for one in found):
            self._fail(
                line, start, context, f"no variant is called {default!r}, the default",
                hint_for(default, [one.text for one in found], what="variants"),
            )  # fmt: skip
        return Variants(name, tuple(found), where, meta)

    def _head(
        self, line: Line, start: int, context: _Context
    ) -> tuple[str | None, tuple[tuple[str, str], ...], str | None]:
        """The name, what is in brackets, and the default."""
        match = _HEAD.match(line.text, start)
        assert match, "the line begins with the word"
        fail = partial(self._fail, line, context=context)
        at = match.start("meta")
        meta: list[tuple[str, str]] = []
        while one := _META.match(line.text, at):
            if one["key"] == "default" and not one["value"]:
                fail(at, message="'default' has no value", hint='write "[default=VARIANT]"')
            meta.append((one["key"], one["value"] or ""))
            at = one.end()
        rest = line.text[at:]
        if not rest.startswith(":"):
            odd = re.search(r"[^\w\s\[\]=:#-]", rest)
            if odd:
                raise MatrixWordError(
                    f"{odd[0]!r} cannot stand in the head of a variants block",
                    where=self._where(line, at + odd.start()), block=context.place,
                    hint='names have letters, digits, "_" and "-"',
                )  # fmt: skip
            fail(
                at, message=f"a ':' is missing{' before ' + repr(rest) if rest else ''}",
                hint='write "variants NAME [KEY=VALUE]:"; NAME and brackets may be left out',
            )  # fmt: skip
        after = rest[1:].partition("#")[0].strip()
        if after:
            fail(
                at + 1, message=f"{after!r} follows the colon",
                hint='each variant has a line of its own, "- NAME:"',
            )  # fmt: skip
        defaults = [value for key, value in meta if key == "default"]
        return match["name"], tuple(meta), defaults[-1] if defaults else None

    def _variant(
        self, line: Line, axis: str | None, default: str | None, context: _Context
    ) -> Variant:
        match = _VARIANT.match(line.text)
        if match is None:
            self._fail(
                line, 0, context, f"{line.text!r} is no variant",
                'write "- NAME:", what it depends on after the colon; '
                "what is not a variant stands less deep",
            )  # fmt: skip
        text = match["name"]
        needs: tuple[Run, ...] = ()
        if match["needs"].strip():
            found = self._filter(line, match.start("needs"), match["needs"], context)
            needs = tuple(run for one in found.alternatives for run in one)
        inside = context.inside(f"variant {text!r} (line {line.number})")
        self._check_depth(line, 0, inside)
        block = _Block()
        self._block(line.indent, inside, block)
        return Variant(
            labels=tuple(Label(part, axis) for part in text.split(".") if part),
            text=text,
            default=bool(match["default"]) or text == default,
            needs=needs,
            body=block.whole(),
            where=self._where(line, 0),
        )

    def _filter(
        self, line: Line, begin: int, text: str, context: _Context, *, condition: bool = False
    ) -> Filter:
        def fail(message: str, at: int, hint: str) -> NoReturn:
            self._fail(line, begin + at, context, message, hint)

        found = parse_filter(text, fail, condition=condition)
        if not found.alternatives:
            self._fail(line, begin, context, "a filter is missing", 'write labels: "a..b, c"')
        return found

    def _check_pattern(self, line: Line, at: int, pattern: str, context: _Context) -> None:
        try:
            re.compile(pattern)
        except re.error as error:
            self._fail(
                line, at, context, f"{pattern!r} is no regular expression: {error}",
                "it is matched with whole keys",
            )  # fmt: skip

    def _check_depth(self, line: Line, at: int, context: _Context) -> None:
        if context.depth > DEPTH_MAX:
            self._fail(
                line, at, context, f"blocks are nested more than {DEPTH_MAX} deep", "nest them less"
            )

    def _where(self, line: Line, at: int) -> Where:
        return Where(self._file, line.number, line.column + at)

    def _fail(self, line: Line, at: int, context: _Context, message: str, hint: str) -> NoReturn:
        raise MatrixFileError(message, where=self._where(line, at), hint=hint, block=context.place)
