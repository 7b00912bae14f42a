# SPDX-License-Identifier: Apache-2.0
"""The parameters of a lab file: axes, and rules that leave combinations out or add some.

    params:
      loss: [0%, 1%, 5%]                       # an axis: each value is one cell more
      size: {small: {rate: 10 Mbit}, big: {rate: 1 Gbit}}   # a value that sets more keys
    exclude: [{loss: 5%, size: big}]
    include: [{loss: 20%, size: [small, big]}]

A value is the text that stands in the file, so 1.0 and 1 are two values and `yes`
is no truth. What it means is decided where `${loss}` stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from windtunnel.errors import LabFileError, LabFileErrors, Where
from windtunnel.model.nearmiss import hint_for
from windtunnel.model.yamltree import Document, Marked

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class ParamValue:
    """One value of an axis.

    Attributes:
        label: what it is called, in names of cells too.
        keys: what else it sets, by key.
    """

    label: str
    keys: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ParamAxis:
    """One dimension.

    Attributes:
        name: of its own key.
        values: one or more, in their order.
        where: its place in the lab file.
    """

    name: str
    values: tuple[ParamValue, ...]
    where: Where


@dataclass(frozen=True, slots=True)
class ParamRule:
    """Some combinations.

    Attributes:
        picks: axes and which of their values; what is not named may be anything.
        where: its place in the lab file.
    """

    picks: tuple[tuple[str, tuple[str, ...]], ...]
    where: Where


@dataclass(frozen=True, slots=True)
class Params:
    """What a lab file says about its cells.

    Attributes:
        axes: in their order; the first one changes slowest.
        exclude: combinations that are left out.
        include: combinations besides, of values that axes need not have.
        matrix: a file of Cartesian configuration instead; None for none.
        matrix_where: where it is named.
    """

    axes: tuple[ParamAxis, ...] = ()
    exclude: tuple[ParamRule, ...] = ()
    include: tuple[ParamRule, ...] = ()
    matrix: str | None = None
    matrix_where: Where | None = None


def read_params(document: Document) -> Params:
    """Read the parameters of a lab file.

    Args:
        document: of the lab file, with nothing replaced in it.

    Raises:
        LabFileErrors: they are wrong; each mistake with its place.
    """
    reader = _Reader(document)
    params = reader.read()
    if reader.errors:
        raise LabFileErrors(reader.errors)
    return params


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self.errors: list[LabFileError] = []

    def read(self) -> Params:
        children = self._document.root.children
        root = children if isinstance(children, dict) else {}
        axes = tuple(self._axes(root["params"])) if "params" in root else ()
        self._check_keys(axes)
        rules = {
            key: tuple(self._rules(root[key], key, axes)) if key in root else ()
            for key in ("exclude", "include")
        }
        matrix = root.get("matrix")
        if matrix is None:
            return Params(axes, rules["exclude"], rules["include"])
        where = self._where(matrix)
        for key in ("params", "exclude", "include"):
            if key in root:
                self._error(
                    f"a lab has either {key!r} or 'matrix'",
                    self._document.where((key,), key=True),
                    "move the axes into the file of the matrix",
                )
        if not isinstance(matrix.value, str) or not matrix.value:
            self._error("matrix must be the name of a file", where, "write matrix: tests.cfg")
            return Params()
        return Params(matrix=matrix.value, matrix_where=where)

    # ---- axes ----

    def _axes(self, node: Marked) -> Iterator[ParamAxis]:
        if not isinstance(node.children, dict):
            self._error("params must be a mapping of axes", self._where(node), "loss: [0%, 1%]")
            return
        if not node.children:
            self._error("params has no axes", self._where(node), "name one, or leave out 'params'")
        for name, child in node.children.items():
            where = self._document.where(("params", name), key=True)
            if not _NAME.fullmatch(name):
                self._error(
                    f"an axis cannot be called {name!r}", where, "use letters, digits and _"
                )
            elif values := tuple(self._values(name, child)):
                yield ParamAxis(name, values, where)

    def _values(self, axis: str, node: Marked) -> Iterator[ParamValue]:
        seen: set[str] = set()
        for place, value in self._written(axis, node):
            if value.label in seen:
                self._error(f"the axis {axis!r} has {value.label!r} twice", place, "leave one out")
            elif not value.label or any(not sign.isprintable() for sign in value.label):
                self._error(
                    f"{value.label!r} cannot be the name of a value",
                    place,
                    "give it a name: {nothing: {KEY: ''}}",
                )
            else:
                seen.add(value.label)
                yield value
        if not node.children:
            self._error(f"the axis {axis!r} has no values", self._where(node), "list one or more")

    def _written(self, axis: str, node: Marked) -> Iterator[tuple[Where, ParamValue]]:
        if isinstance(node.children, list):
            for child in node.children:
                if child.children is None:
                    yield self._where(child), ParamValue(child.text)
                else:
                    self._error(
                        f"a value of the axis {axis!r} must be a text or a number",
                        self._where(child),
                        f"a value that sets keys has a name: {axis}: {{fast: {{rate: 1 Gbit}}}}",
                    )
        elif isinstance(node.children, dict):
            for label, child in node.children.items():
                yield self._where(child), ParamValue(label, tuple(self._keys(label, child)))
        else:
            self._error(
                f"the axis {axis!r} must be a list of values", self._where(node), "[0%, 1%]"
            )

    def _keys(self, label: str, node: Marked) -> Iterator[tuple[str, str]]:
        if not isinstance(node.children, dict):
            self._error(
                f"the value {label!r} must say which keys it sets",
                self._where(node),
                "{rate: 1 Gbit}",
            )
            return
        for key, child in node.children.items():
            if not _NAME.fullmatch(key) or child.children is not None:
                self._error(
                    f"the value {label!r} cannot set {key!r} to that",
                    self._where(child),
                    "a key of letters, digits and _, and a text or a number",
                )
            else:
                yield key, child.text

    def _check_keys(self, axes: tuple[ParamAxis, ...]) -> None:
        """No key is set by two axes; and all values of an axis set the same keys."""
        owner = {axis.name: axis.name for axis in axes}
        for axis in axes:
            wanted = [key for key, _ in axis.values[0].keys]
            for value in axis.values:
                keys = [key for key, _ in value.keys]
                if sorted(keys) != sorted(wanted):
                    odd = min(set(keys) ^ set(wanted))
                    self._error(
                        f"{odd!r} is set by some values of the axis {axis.name!r} only",
                        axis.where,
                        "let each of them set it",
                    )
                    break
            for key in wanted:
                if owner.setdefault(key, axis.name) != axis.name or key == axis.name:
                    self._error(
                        f"{key!r} is set by the axes {owner[key]!r} and {axis.name!r}",
                        axis.where,
                        "call one of the two otherwise",
                    )

    # ---- rules ----

    def _rules(self, node: Marked, what: str, axes: tuple[ParamAxis, ...]) -> Iterator[ParamRule]:
        if not isinstance(node.children, list):
            self._error(f"{what} must be a list of rules", self._where(node), "[{loss: 5%}]")
            return
        for child in node.children:
            if not isinstance(child.children, dict) or not child.children:
                self._error(
                    f"a rule of {what} must name axes and values", self._where(child), "{loss: 5%}"
                )
                continue
            picks = tuple(
                self._pick(name, value, what, axes) for name, value in child.children.items()
            )
            found = [pick for pick in picks if pick is not None]
            if len(found) == len(picks):
                yield ParamRule(tuple(found), self._where(child))

    def _pick(
        self, name: str, node: Marked, what: str, axes: tuple[ParamAxis, ...]
    ) -> tuple[str, tuple[str, ...]] | None:
        known = {axis.name: axis for axis in axes}
        axis = known.get(name)
        if axis is None:
            self._error(
                f"{what} names an axis {name!r} that there is not",
                self._where(node),
                hint_for(name, known, what="axes"),
            )
            return None
        nodes = node.children if isinstance(node.children, list) else [node]
        labels = [value.label for value in axis.values]
        sets_keys = bool(axis.values[0].keys)
        good = True
        for one in nodes:
            unknown = one.children is not None or one.text not in labels
            if unknown and (what == "exclude" or sets_keys or one.children is not None):
                self._error(
                    f"the axis {name!r} has no value {one.text!r}",
                    self._where(one),
                    hint_for(one.text, labels, what="values"),
                )
                good = False
        return (name, tuple(one.text for one in nodes)) if good and nodes else None

    def _where(self, node: Marked) -> Where:
        return Where(self._document.file, node.line, node.column)

    def _error(self, message: str, where: Where, hint: str) -> None:
        self.errors.append(LabFileError(message, where=where, hint=hint))
