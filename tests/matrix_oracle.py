# SPDX-License-Identifier: Apache-2.0
"""What a configuration means, by brute force: expand everything, then test each leaf.

Shares the syntax tree with the engine and nothing else: names are matched run
by run, statements are applied one by one in the order of the text, and nothing
is pruned, merged or remembered.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from windtunnel.matrix.grammar import parse
from windtunnel.matrix.syntax import (
    Assign,
    Condition,
    Delete,
    Join,
    Only,
    Suffix,
    Variants,
)

UNITS = "BKMGT"


def no_files(path, file):
    raise FileNotFoundError(2, "No such file", path)


@dataclass(frozen=True)
class Leaf:
    """One way through: labels, whether each is default, statements in their order."""

    labels: tuple = ()
    defaults: tuple = ()
    needs: tuple = ()
    steps: tuple = ()


def matches(filter_, labels):
    def occurs(run):
        spans = (labels[at : at + len(run)] for at in range(len(labels) - len(run) + 1))
        return any(
            all(
                one.value == label.value and one.axis in (None, label.axis)
                for one, label in zip(run, span, strict=True)
            )
            for span in spans
        )

    return any(all(occurs(run) for run in runs) for runs in filter_.alternatives)


def splits(statements):
    """A block as its last variants block (or None), what is before it and what behind."""
    blocks = [at for at, one in enumerate(statements) if isinstance(one, Variants) and one.variants]
    if not blocks:
        return (), None, statements
    return statements[: blocks[-1]], statements[blocks[-1]], statements[blocks[-1] + 1 :]


def before_labels(outer):
    return "".join(f"{label}." for label in outer.labels)


class Oracle:
    def __init__(self, defaults, expand):
        self.defaults = defaults
        self.expand = expand

    def walk(self, todo, outer):
        """Whole leaves, as dicts.

        Args:
            todo: pairs of statements and the name of the axis that they are a value of;
                the walk goes from the last pair to the first.
            outer: the leaf so far; its steps stand behind all that is to come.
        """
        if not todo:
            return self.finish(outer)
        *rest, (statements, axis) = todo
        before, block, behind = splits(tuple(statements))
        words = [word for one in behind if isinstance(one, Join) for word in one.words]
        behind = tuple(one for one in behind if not isinstance(one, Join))
        if words:
            parts = [
                self.choose(
                    rest, before, block, axis, self.stepped(outer, (*behind, self.only(word)))
                )
                for word in words
            ]
            return [self.merge(list(one)) for one in itertools.product(*parts)]
        return self.choose(rest, before, block, axis, self.stepped(outer, behind))

    @staticmethod
    def only(word):
        return Only(word, False, None)

    @staticmethod
    def stepped(leaf, steps):
        return Leaf(leaf.labels, leaf.defaults, leaf.needs, (*steps, *leaf.steps))

    def choose(self, rest, before, block, axis, outer):
        if block is None:
            return self.walk(rest, outer)
        variants = list(block.variants)
        marked = [one for one in variants if one.default]
        reordered = self.defaults and marked and block.name not in self.expand
        if reordered:
            variants.remove(marked[0])
            variants.insert(0, marked[0])
        found = []
        for at, one in enumerate(variants):
            if at == 1 and found and reordered and axis not in self.expand:
                break  # the default came to something
            here = Leaf(
                (*outer.labels, *one.labels),
                (*outer.defaults, *(one.default for _ in one.labels)),
                (
                    *outer.needs,
                    *(before_labels(outer) + ".".join(map(str, run)) for run in one.needs),
                ),
                outer.steps,
            )
            key = [([Assign(block.name, "=", one.text, None)], None)] if block.name else []
            todo = [*rest, *([(before, None)] if before else []), *key, (one.body, block.name)]
            found += self.walk(todo, here)
        return found

    def finish(self, leaf):
        if not self.allowed(leaf.steps, leaf.labels):
            return []
        name = ".".join(map(str, leaf.labels))
        shown = [
            x.value for x, default in zip(leaf.labels, leaf.defaults, strict=True) if not default
        ]
        given = {"name": name, "shortname": ".".join(shown), "dep": list(leaf.needs)}
        keys = {}
        for one in self.applying(leaf.steps, leaf.labels):
            self.apply(one, keys, given)
        self.limit(keys)
        maps = {}
        if leaf.labels:
            maps = {
                "_name_map_file": {"<string>": name},
                "_short_name_map_file": {"<string>": ".".join(x.value for x in leaf.labels)},
            }
        return [{**keys, **given, **maps}]

    def allowed(self, steps, labels):
        for one in steps:
            if isinstance(one, Only) and matches(one.filter, labels) == one.negative:
                return False
            if (
                isinstance(one, Condition)
                and matches(one.filter, labels) != one.negative
                and not self.allowed(one.body, labels)
            ):
                return False
        return True

    def applying(self, steps, labels):
        for one in steps:
            if isinstance(one, Condition):
                if matches(one.filter, labels) != one.negative:
                    yield from self.applying(one.body, labels)
            elif isinstance(one, Assign | Delete | Suffix):
                yield one

    def apply(self, one, keys, given):
        if isinstance(one, Suffix):
            old = dict(keys)
            keys.clear()
            for key, value in old.items():
                keys[(*((key,) if isinstance(key, str) else key), one.suffix)] = value
            return
        if isinstance(one, Delete):
            for key in [key for key in keys if re.match(one.pattern + "$", flat(key))]:
                del keys[key]
            return
        if one.operator == "~=" and one.key in keys:
            return
        value = self.fill(one.value, keys, given)
        targets = [one.key]
        if one.operator.startswith("?"):
            targets = [key for key in keys if re.match(one.key + "$", flat(key))]
        for key in targets:
            old = keys.get(key, "")
            kind = one.operator.lstrip("?~")
            keys[key] = {"=": value, "+=": old + value, "<=": value + old}[kind]

    @staticmethod
    def fill(text, keys, given):
        view = {**given, **without_suffixes(keys)}
        done, at = "", 0
        for found in re.finditer(r"\$\{(.+?)\}", text):
            if found[1] not in view:
                break
            done += text[at : found.start()] + str(view[found[1]])
            at = found.end()
        return done + text[at:]

    @staticmethod
    def limit(keys):
        before = dict(keys)
        for key, bound in before.items():
            found = re.fullmatch("(.*)_(max|min|fixed)", key) if isinstance(key, str) else None
            if found is None:
                continue
            value = before.get(found[1])
            if value is None or found[2] == "fixed":
                keys[found[1]] = bound
                continue
            units = any(text[-1:].upper() in UNITS and text for text in (value, bound))
            here, there = (size(text) if units else int(text) for text in (value, bound))
            if here > there if found[2] == "max" else here < there:
                keys[found[1]] = bound

    @staticmethod
    def merge(parts):
        *first, last = parts
        for one in reversed(first):
            both = {**one, **last}
            for key in ("name", "shortname"):
                both[key] = joined(one[key], last[key])
            last = both
        return last


def size(text):
    unit = UNITS.find(text[-1:].upper())
    return float(text if unit < 0 else text[:-1]) * 1024 ** (2 if unit < 0 else unit)


def joined(one, other):
    """As the engine's `join_names`: what both begin with, then both rests."""
    first, second = one.split("."), other.split(".")
    same = len(list(itertools.takewhile(lambda x: x[0] == x[1], zip(first, second, strict=False))))
    return ".".join([*first, *second[same:]])


def flat(key):
    return key if isinstance(key, str) else key[0] + "".join(reversed(key[1:]))


def without_suffixes(keys):
    done = {key: value for key, value in keys.items() if isinstance(key, str)}
    for plain in {key[0] for key in keys if not isinstance(key, str)}:
        group = {
            key: value
            for key, value in keys.items()
            if not isinstance(key, str) and key[0] == plain
        }
        values = set(group.values())
        if plain not in keys and len(values) == 1:
            done[plain] = values.pop()
        else:
            done |= {flat(key): value for key, value in group.items() if keys.get(plain) != value}
    return done


def expand(text, defaults=False, expand=()):
    """All variants of a text, or the ValueError of a limit that is no number."""
    statements = parse(text, file="<string>", read=no_files)
    found = Oracle(defaults, set(expand)).walk([(statements, None)], Leaf())
    return [without_suffixes(one) for one in found]
