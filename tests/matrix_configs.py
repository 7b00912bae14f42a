# SPDX-License-Identifier: Apache-2.0
"""Random Cartesian configurations, small enough to be expanded by brute force."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

Pick = Callable[[int], int]
"""A whole number from 0 to below the argument."""

LABELS = ("a", "b", "c", "d", "x", "y", "a.b", "b.c", "x.a")
AXES = ("os", "net", "disk")
KEYS = ("k", "l", "m", "k_l", "n_max", "n", "n_min", "os")
VALUES = ("1", "2", "", "z", "${k}", "${l}-${m}", "${nope}${k}", "q${os}q", '"4"', "'", "5 # no")
PATTERNS = ("k", "k.*", ".*", "[kl]", "k_.", "(k|m)(_s)?", "n.*")
NUMBERS = ("1", "2", "3")


@dataclass
class Writer:
    """Writes one configuration.

    Attributes:
        pick: the source of all choices.
        joins: how many joins may still be written; more than one in a configuration,
            and more than two parts, is where others lose variants.
    """

    pick: Pick
    joins: int = 1
    numbers: bool = False
    lines: list[str] = field(default_factory=list)

    def one(self, choices: Sequence[str]) -> str:
        return choices[self.pick(len(choices))]

    def chance(self, of: int) -> bool:
        return self.pick(of) == 0

    def label(self) -> str:
        if self.chance(6):
            return f"({self.one(AXES)}={self.one(LABELS[:6])})"
        if self.chance(20):
            return "unknown"
        return self.one(LABELS[:6])

    def run(self) -> str:
        return ".".join(self.label() for _ in range(1 + self.chance(3) + self.chance(9)))

    def filter(self, *, condition: bool = False) -> str:
        either = ", " if condition or self.chance(2) else " "
        found = either.join(
            "..".join(self.run() for _ in range(1 + self.chance(3)))
            for _ in range(1 + self.chance(3) + self.chance(6))
        )
        return found.replace("(", "").replace(")", "").replace("=", "") if condition else found

    def put(self, indent: int, text: str) -> None:
        self.lines.append(" " * indent + text)
        if self.chance(15):
            self.lines.append(self.one(["", "  # only nothing", "// k = 4", "\t"]))

    def body(self, indent: int, depth: int, *, condition: bool = False) -> None:
        """Some statements, and in between variants blocks."""
        blocks = 0 if condition else (1 + self.pick(3)) if depth == 0 else self.chance(4)
        for _ in range(blocks):
            self.statements(indent, depth, condition=condition)
            self.variants(indent, depth)
        self.statements(indent, depth, condition=condition)

    def statements(self, indent: int, depth: int, *, condition: bool) -> None:
        for _ in range(self.pick(4)):
            self.statement(indent, depth, condition=condition)

    def statement(self, indent: int, depth: int, *, condition: bool) -> None:
        kind = self.pick(20)
        if kind < 8:
            self.put(indent, self.assignment())
        elif kind < 10:
            self.put(
                indent, f"{self.one(PATTERNS)} {self.one(['?=', '?+=', '?<='])} {self.value()}"
            )
        elif kind < 11:
            self.put(indent, f"del {self.one(KEYS)}")
        elif kind < 12:
            self.put(indent, f"only {self.filter()}" + self.one(["", " # k = 1"]))
        elif kind < 14:
            self.put(indent, f"no {self.filter()}")
        elif kind < 17:
            self.condition(indent, depth)
        elif kind < 18:
            self.put(indent, f"suffix {self.one(['_s', '_t'])}")
        elif kind < 19 and self.joins and not condition:
            self.joins -= 1
            self.put(indent, f"join {self.run()} {self.run()}")

    def value(self) -> str:
        return self.one(VALUES)

    def assignment(self) -> str:
        key = self.one(KEYS)
        if key.startswith("n"):
            return f"{key} = {self.one(NUMBERS)}"
        return f"{key} {self.one(['=', '=', '=', '+=', '<=', '~='])} {self.value()}"

    def condition(self, indent: int, depth: int) -> None:
        head = "!" * self.chance(3) + self.filter(condition=True) + ":"
        if self.chance(3):
            self.put(indent, f"{head} {self.assignment()}")
            return
        self.put(indent, head)
        if depth < 3:
            self.body(indent + 2, depth + 1, condition=True)

    def variants(self, indent: int, depth: int) -> None:
        name = self.one(AXES) if self.chance(2) else ""
        self.put(indent, f"variants {name}:" if name else "variants:")
        for _ in range(1 + self.pick(3)):
            needs = f" {self.filter()}" if self.chance(5) else ""
            self.put(indent + 2, f"- {'@' * self.chance(5)}{self.one(LABELS)}:{needs}")
            if depth < 2:
                self.body(indent + 5, depth + 1)


def write(pick: Pick) -> tuple[str, bool, tuple[str, ...]]:
    """A configuration, whether defaults mode is on, and what is expanded even so."""
    writer = Writer(pick)
    writer.body(0, 0)
    defaults = writer.chance(4)
    expand = (writer.one(AXES),) if defaults and writer.chance(2) else ()
    return "\n".join(writer.lines) + "\n", defaults, expand


@st.composite
def configurations(draw):
    """As `write`, for Hypothesis."""
    return write(lambda below: draw(st.integers(0, below - 1)))
