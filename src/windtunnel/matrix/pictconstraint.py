# SPDX-License-Identifier: Apache-2.0
"""The constraints of PICT's models, as predicates.

NOT binds more than AND, and AND more than OR. A parameter is numeric when the
first names of all its values are numbers; it is compared with numbers only, and
any other one with text only.
Source: the grammar at the end of doc/pict.md of github.com/microsoft/pict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from windtunnel.errors import LabFileError, Where
from windtunnel.matrix.covermodel import Constraint, Parameter, Value
from windtunnel.matrix.predicate import Among, Every, Not, Predicate, Some, constraints_of
from windtunnel.model.nearmiss import hint_for

NESTING_MAX = 100
"""Of parentheses and NOT, so that no text can exhaust the stack."""

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<name>\[[^\]\n]*\]) | (?P<text>"[^"\n]*") | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
    | (?P<word>[A-Za-z]+) | (?P<sign><>|<=|>=|[=<>(){},;])
    )""",  # noqa: E501 - one kind of token after the other
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": eq, "<>": ne, "<": lt, "<=": le, ">": gt, ">=": ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # name, text, number, word (in capitals), sign; "" at the end
    text: str  # without brackets and quotes
    start: int
    end: int


def read_constraints(
    text: str, *, first: Where, parameters: Sequence[Parameter], case_sensitive: bool
) -> tuple[list[Constraint], list[str]]:
    """Read constraints.

    Args:
        text: of all of them, without comments.
        first: the file, and the line on which the text begins.
        parameters: of the model.
        case_sensitive: whether names and values must be written as they were defined.

    Returns:
        The constraints, and warnings, each with its place.

    Raises:
        LabFileError: the first thing that is wrong, with its place.
    """
    parser = _Parser(text, first, parameters, case_sensitive=case_sensitive)
    return parser.constraints(), parser.warnings


class _Parser:
    def __init__(
        self, text: str, first: Where, parameters: Sequence[Parameter], *, case_sensitive: bool
    ) -> None:
        self._text = text
        self._first = first
        self._parameters = parameters
        self._fold: Callable[[str], str] = str if case_sensitive else str.lower
        self._tokens = list(self._split())
        self._at = 0
        self._depth = 0
        self.warnings: list[str] = []

    def _split(self) -> Iterator[_Token]:
        at = 0
        while match := _TOKEN.match(self._text, at):
            kind = match.lastgroup or ""
            start, at = match.span(kind)
            text = match[kind]
            if kind in ("name", "text"):
                text = text[1:-1]
            yield _Token(kind, text.upper() if kind == "word" else text, start, at)
        rest = self._text[at:].lstrip()
        at = len(self._text) - len(rest)
        if rest:
            raise LabFileError(
                f"this is not understood: {rest.splitlines()[0][:40]}",
                where=self._where(at),
                hint='parameters stand in [brackets], text in "quotes"',
            )
        yield _Token("", "the end of the file", len(self._text.rstrip()), len(self._text))

    def _where(self, at: int) -> Where:
        line = self._text.count("\n", 0, at)
        column = at - (self._text.rfind("\n", 0, at) + 1)
        return Where(self._first.file, self._first.line + line, column + 1)

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at += token.kind != ""
        return token

    def _is(self, *texts: str) -> bool:
        token = self._peek()
        return token.kind in ("word", "sign") and token.text in texts

    def _expect(self, text: str) -> None:
        if not self._is(text):
            raise self._wrong(f"{text} is expected")
        self._next()

    def _wrong(self, message: str, hint: str = "") -> LabFileError:
        token = self._peek()
        found = self._text[token.start : token.end].strip() if token.kind else token.text
        return LabFileError(
            f"{message}, not {found}",
            where=self._where(token.start),
            hint=hint or 'such as: IF [OS] = "Win10" THEN [RAM] >= 4;',
        )

    def constraints(self) -> list[Constraint]:
        """Read all of them."""
        found: list[Constraint] = []
        while self._peek().kind:
            start = self._peek().start
            predicate = self._constraint()
            text = " ".join(self._text[start : self._peek().start].split())
            self._expect(";")
            found += constraints_of(predicate, text, self._where(start))
        return found

    def _constraint(self) -> Predicate:
        if not self._is("IF"):
            return self._either()
        self._next()
        condition = self._either()
        self._expect("THEN")
        then: Predicate = Some((Not(condition), self._either()))
        if self._is("ELSE"):
            self._next()
            then = Every((then, Some((condition, self._either()))))
        return then

    def _either(self) -> Predicate:
        parts = [self._both()]
        while self._is("OR"):
            self._next()
            parts.append(self._both())
        return Some(tuple(parts)) if len(parts) > 1 else parts[0]

    def _both(self) -> Predicate:
        parts = [self._clause()]
        while self._is("AND"):
            self._next()
            parts.append(self._clause())
        return Every(tuple(parts)) if len(parts) > 1 else parts[0]

    def _clause(self) -> Predicate:
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise self._wrong(f"more than {NESTING_MAX} parentheses and NOTs lie in one another")
        if self._is("NOT"):
            self._next()
            found: Predicate = Not(self._clause())
        elif self._is("("):
            self._next()
            found = self._either()
            self._expect(")")
        elif self._is("ISNEGATIVE", "ISPOSITIVE"):
            found = self._sign()
        else:
            found = self._term()
        self._depth -= 1
        return found

    def _sign(self) -> Predicate:
        negative = self._next().text == "ISNEGATIVE"
        self._expect("(")
        number = self._parameter()
        self._expect(")")
        return self._those(number, lambda index: self._value(number, index).negative is negative)

    def _term(self) -> Predicate:
        number = self._parameter()
        negated = self._is("NOT")
        if negated:
            self._next()
        if self._is("IN"):
            found = self._in(number)
        elif self._is("LIKE"):
            found = self._like(number)
        elif not negated and self._is(*_COMPARE):
            return self._relation(number)
        else:
            raise self._wrong("a relation is expected (=, <>, <, <=, >, >=, IN, LIKE)")
        return Not(found) if negated else found

    def _parameter(self) -> int:
        token = self._peek()
        if token.kind != "name":
            raise self._wrong("a parameter in brackets is expected")
        self._next()
        wanted = self._fold(token.text.strip())
        for number, parameter in enumerate(self._parameters):
            if self._fold(parameter.name) == wanted:
                return number
        names = [parameter.name for parameter in self._parameters]
        raise LabFileError(
            f"there is no parameter {token.text!r}",
            where=self._where(token.start),
            hint=hint_for(token.text.strip(), names, what="parameters"),
        )

    def _relation(self, number: int) -> Predicate:
        sign = self._next().text
        compare = _COMPARE[sign]
        token = self._peek()
        if token.kind == "name":
            other = self._parameter()
            if self._numeric(number) != self._numeric(other):
                raise LabFileError(
                    f"{self._parameters[number].name!r} and {self._parameters[other].name!r} "
                    "cannot be compared: one has numbers, the other text",
                    where=self._where(token.start),
                    hint="compare each with values",
                )
            own, others = self._keys(number), self._keys(other)
            if number == other:
                return self._those(number, lambda index: compare(own[index], own[index]))
            return Among(
                (number, other),
                frozenset(
                    (left, right)
                    for left, left_key in enumerate(own)
                    for right, right_key in enumerate(others)
                    if compare(left_key, right_key)
                ),
            )
        wanted = self._constant(number, search=sign in ("=", "<>"))
        keys = self._keys(number)
        return self._those(number, lambda index: compare(keys[index], wanted))

    def _in(self, number: int) -> Predicate:
        self._next()
        self._expect("{")
        wanted = {self._constant(number, search=True)}
        while self._is(","):
            self._next()
            wanted.add(self._constant(number, search=True))
        self._expect("}")
        keys = self._keys(number)
        return self._those(number, lambda index: keys[index] in wanted)

    def _like(self, number: int) -> Predicate:
        self._next()
        token = self._peek()
        if token.kind != "text":
            raise self._wrong("a pattern in quotes is expected")
        self._next()
        # Only * and ? are special, as in PICT.
        pattern = re.compile(translate(self._fold(token.text).replace("[", "[[]")), re.DOTALL)
        found = self._those(
            number,
            lambda index: pattern.match(self._fold(self._value(number, index).text)) is not None,
        )
        if not found.allowed:
            self._warn(token, f"no value of {self._parameters[number].name!r} is like "
                              f"{token.text!r}", number)  # fmt: skip
        return found

    # A number or a text, as the parameter's values are.
    def _constant(self, number: int, *, search: bool) -> float | str:
        token = self._peek()
        numeric = self._numeric(number)
        kind, name = ("number", "a number") if numeric else ("text", "text in quotes")
        if token.kind != kind:
            values = "numbers" if numeric else "text"
            raise self._wrong(
                f"{name} is expected",
                f"the values of {self._parameters[number].name!r} are {values}",
            )
        self._next()
        key = float(token.text) if numeric else self._fold(token.text)
        if search and key not in self._keys(number):
            self._warn(
                token, f"{self._parameters[number].name!r} has no value {token.text!r}", number
            )
        return key

    def _warn(self, token: _Token, message: str, number: int) -> None:
        values = [value.text for value in self._parameters[number].values]
        hint = hint_for(token.text, values, what="values")
        self.warnings.append(f"{self._where(token.start)}: {message}; {hint}")

    def _value(self, number: int, index: int) -> Value:
        return self._parameters[number].values[index]

    def _those(self, number: int, holds: Callable[[int], bool]) -> Among:
        count = len(self._parameters[number].values)
        return Among((number,), frozenset((index,) for index in range(count) if holds(index)))

    def _numeric(self, number: int) -> bool:
        return all(_is_number(value.text) for value in self._parameters[number].values)

    # What the values are compared by.
    def _keys(self, number: int) -> list[float | str]:
        numeric = self._numeric(number)
        return [
            float(value.text) if numeric else self._fold(value.text)
            for value in self._parameters[number].values
        ]


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False
