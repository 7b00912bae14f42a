# SPDX-License-Identifier: Apache-2.0
"""The variants of a matrix, one at a time.

The walk meets content against the order of the text. So what it carries is what
is done last: a patch (a dict of final values, which earlier assignments cannot
change any more) and after it whatever is no assignment. Content that comes
later in the walk goes below the patch. Most variants are then one copy of a
dict, and the keys of one edge more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from windtunnel.errors import MatrixFileError, Where
from windtunnel.matrix.content import Content, Item, apply
from windtunnel.matrix.operations import Keys, Names, exceeds, fill_late, join_suffixes
from windtunnel.matrix.plan import Edge, Plan, Stop
from windtunnel.matrix.states import State, States, Way

Dict = dict[Any, Any]
"""A variant: its keys, name, shortname, dep, _name_map_file, _short_name_map_file."""

_NOTHING: dict[str, str] = {}


class Place:
    """A place in the walk, and all that the way there brought.

    Attributes:
        edge: the edge that led here.
        before: the place before; None at the start.
        state: what the filters know.
        found, reached: of all runs.
        name, short, plain: the names so far; `plain` is short without omissions.
        needs: names on which the variant depends.
        names, plains: by file, where there are several.
        patch: the keys that are final.
        rest: what is done after the patch; a `Content` is not decided yet.
        undecided: whether there is such a one.
        live: the edges to take; at: how many are done; yielded: whether one gave a variant.
    """

    __slots__ = (
        "at", "before", "edge", "found", "live", "name", "names", "needs", "patch", "plain",
        "plains", "reached", "rest", "short", "state", "undecided", "yielded",
    )  # fmt: skip

    edge: Edge
    before: Place | None
    state: State
    found: int
    reached: int
    name: str
    short: str
    plain: str
    needs: tuple[str, ...]
    names: dict[str, str]
    plains: dict[str, str]
    patch: dict[str, str]
    rest: tuple[Item | Content, ...]
    undecided: bool
    live: list[Way]
    at: int
    yielded: bool

    def path(self) -> list[Edge]:
        """All edges from the start."""
        place: Place | None = self
        edges = []
        while place is not None:
            edges.append(place.edge)
            place = place.before
        return edges[::-1]


class Expansion:
    """The walk, with its options.

    Args:
        plan: the matrix.
        states: of the same plan; shared, so that nothing is worked out twice.
        late: whether references also find keys that come to be with a suffix or a join.
        join_names: makes one name of the names of two parts of a join.
    """

    def __init__(
        self,
        plan: Plan,
        states: States,
        *,
        join_names: Callable[[str, str], str],
        late: bool = False,
    ) -> None:
        self._plan = plan
        self._states = states
        self._late = late and (plan.suffixes or plan.joins)
        self._join_names = join_names
        self._limit_keys = frozenset(key for key, _, _ in plan.limits)

    def all(self) -> Iterator[Dict]:
        """All variants, in the order of the matrix."""
        start = self.start()
        if start is None:
            return
        if not self._plan.suffixes and not self._late:
            yield from self.behind(start)
            return
        for one in self.behind(start):
            yield self.complete(one)

    def from_index(self, index: int) -> Iterator[Dict]:
        """The variants from the one with this number on, counted from 0."""
        start = self.start()
        if start is not None:
            for one in self._later(start, index):
                yield self.complete(one)

    def complete(self, variant: Dict) -> Dict:
        """Make suffixes part of the keys, and give late references what they mean."""
        if self._plan.suffixes:
            variant = join_suffixes(variant)
        return fill_late(variant) if self._late else variant

    def _later(self, place: Place, skip: int) -> Iterator[Dict]:
        """As `behind`, without the first ones, which are not even looked at."""
        state = place.state
        if not skip or not state.stop.number:
            yield from self.behind(place)
        elif state.stop.joins:
            yield from self._joined(place, self._states.parts(state), skip)
        else:
            for edge, next_, count in self._states.counts(state):
                if skip < count:
                    yield from self._later(self.enter(place, edge, next_), skip)
                skip = max(0, skip - count)

    def start(self) -> Place | None:
        """The place where the walk begins; None when the filters leave nothing."""
        state = self._states.start
        if state is None:
            return None
        place = Place()
        place.before = None
        place.found = place.reached = 0
        place.name = place.short = place.plain = ""
        place.needs = ()
        place.names = {}
        place.plains = {}
        place.patch = _NOTHING
        place.rest = ()
        place.undecided = False
        return self.enter(place, self._plan.start, state, first=True)

    def enter(self, here: Place, edge: Edge, state: State, *, first: bool = False) -> Place:
        """Go along an edge to a state."""
        place = Place()
        place.edge = edge
        place.before = None if first else here
        place.state = state
        plan = self._plan
        possible = 0
        if plan.conditions:
            place.found, place.reached = plan.patterns.step(edge.masks, here.found, here.reached)
            possible = state.stop.whole
            if place.reached & ~plan.patterns.ends:
                possible |= plan.patterns.unfinished(place.reached, state.stop.labels)[0]
        else:
            place.found = place.reached = 0
        self._names(here, edge, place)
        place.undecided = here.undecided
        _put_below(place, edge, possible & ~place.found, here)
        if place.undecided and len(state.stop.edges) > 1:
            _settle(place, possible & ~place.found)
        place.live = self._states.live(state)
        place.at = 0
        place.yielded = False
        return place

    def _names(self, here: Place, edge: Edge, place: Place) -> None:
        if not edge.labels:
            place.name, place.short, place.plain = here.name, here.short, here.plain
            place.needs, place.names, place.plains = here.needs, here.names, here.plains
            return
        name = here.name
        place.needs = here.needs
        if edge.needs:
            place.needs += tuple(f"{name}.{one}" if name else one for one in edge.needs)
        place.name = f"{name}.{edge.name}" if name else edge.name
        place.short = here.short
        if edge.short:
            place.short = f"{here.short}.{edge.short}" if here.short else edge.short
        place.plain = f"{here.plain}.{edge.plain}" if here.plain else edge.plain
        place.names, place.plains = here.names, here.plains
        if self._plan.file is None:
            file = edge.file
            names = place.names = here.names.copy()
            plains = place.plains = here.plains.copy()
            known = file in names
            names[file] = f"{names[file]}.{edge.name}" if known else edge.name
            plains[file] = f"{plains[file]}.{edge.plain}" if known else edge.plain

    def behind(self, first: Place) -> Iterator[Dict]:
        """All variants behind a place; suffixes are not part of the keys yet."""
        if self._is_end(first.state.stop):
            yield from self._ends(first)
            return
        stack = [first]
        while stack:
            place = stack[-1]
            stop = place.state.stop
            if place.at == len(place.live) or (place.at and _enough(place)):
                stack.pop()
                if not place.yielded:
                    place.state.empty = True
                elif stack:
                    stack[-1].yielded = True
                continue
            if stop.last and not place.at and self._is_plain(place):
                place.at = len(place.live)
                place.yielded = bool(place.live)
                yield from self._plain_ends(place)
                continue
            edge, state = place.live[place.at]
            place.at += 1
            if state.empty:
                continue
            next_ = self.enter(place, edge, state)
            if self._is_end(state.stop):
                for one in self._ends(next_):
                    place.yielded = True
                    yield one
            else:
                stack.append(next_)
                self._states.forget()

    def _is_plain(self, place: Place) -> bool:
        """Whether all that is left is to put one more patch below what there is."""
        if place.rest or self._plan.file is None:
            return False
        limits = self._limit_keys
        stop = place.state.stop
        return not limits or (
            place.patch.keys().isdisjoint(limits) and stop.keys.isdisjoint(limits)
        )

    def _plain_ends(self, place: Place) -> Iterator[Dict]:
        """As `variant` for every edge of the last stop, without what it need not do."""
        stop = place.state.stop
        live = place.live
        if stop.preferred and live and live[0][0] is stop.edges[0]:
            live = live[:1]
        patch: Dict = place.patch
        disjoint = patch.keys().isdisjoint(stop.keys)
        file = self._plan.file
        name = f"{place.name}." if place.name else ""
        short = f"{place.short}." if place.short else ""
        plain = f"{place.plain}." if place.plain else ""
        for edge, state in live:
            own = edge.patch
            if own is None:
                yield self.variant(self.enter(place, edge, state))
                continue
            keys = patch.copy()
            if disjoint:
                keys.update(own)
            else:
                for key, value in own.items():
                    keys.setdefault(key, value)
            full = name + edge.name
            keys["name"] = full
            keys["shortname"] = short + edge.short if edge.short else place.short
            needs = list(place.needs)
            if edge.needs:
                needs += [name + one for one in edge.needs]
            keys["dep"] = needs
            keys["_name_map_file"] = {file: full}
            keys["_short_name_map_file"] = {file: plain + edge.plain}
            yield keys

    def _is_end(self, stop: Stop) -> bool:
        return not stop.number or bool(stop.joins)

    def _ends(self, place: Place) -> Iterator[Dict]:
        if place.state.stop.joins:
            yield from self._joined(place, self._states.parts(place.state))
        else:
            yield self.variant(place)

    def _joined(
        self, place: Place, states: tuple[State | None, ...], skip: int = 0
    ) -> Iterator[Dict]:
        """Every combination of one variant of each part, without the first ones."""
        first, others = states[0], states[1:]
        if first is None:
            return
        per_one = 1
        if skip:
            for other in others:
                per_one *= self._states.count(other)
            if not per_one:
                return
        begin, skip = divmod(skip, per_one)
        edge = place.state.stop.edges[0]
        for one in self._later(self.enter(place, edge, first), begin):
            if not others:
                yield one
                continue
            for two in self._joined(place, others, skip):
                yield self.join(one, two)
            skip = 0

    def join(self, one: Dict, other: Dict) -> Dict:
        """Make one variant of two."""
        both = {**one, **other}
        both["name"] = self._join_names(one["name"], other["name"])
        both["shortname"] = self._join_names(one["shortname"], other["shortname"])
        return both

    def variant(self, place: Place) -> Dict:
        """The variant at the end of a walk. Takes the place's patch: ask once."""
        keys: Dict = place.patch
        plan = self._plan
        needs = list(place.needs)
        if place.rest:
            self._apply_rest(place, keys, needs)
        if plan.limits:
            self._limit(place, keys)
        keys["name"] = place.name
        keys["shortname"] = place.short
        keys["dep"] = needs
        if plan.file is not None:
            keys["_name_map_file"] = {plan.file: place.name}
            keys["_short_name_map_file"] = {plan.file: place.plain}
        elif place.names:
            keys["_name_map_file"] = place.names
            keys["_short_name_map_file"] = place.plains
        return keys

    def _apply_rest(self, place: Place, keys: Keys, needs: list[str]) -> None:
        names = Names(
            {"name": place.name, "shortname": place.short, "dep": needs},
            tuples=self._plan.suffixes,
            suffixed=self._late,
        )
        found = place.found
        for item in place.rest:
            if type(item) is dict:
                keys.update(item)
            elif type(item) is Content:
                apply(item.items(found), keys, names)
            else:
                item.apply(keys, names)  # type: ignore[union-attr]

    def _limit(self, place: Place, keys: Keys) -> None:
        limits = [one for one in self._plan.limits if one[0] in keys]
        if not limits:
            return
        if len(limits) > 1:
            limits = self._ordered(place, limits)
        # A limit meets the value as it was before all limits; the last one that acts wins.
        values = keys.copy()
        for key, other, kind in limits:
            value, limit = values.get(other), values[key]
            try:
                if value is None or exceeds(value, limit, kind):
                    keys[other] = limit
            except ValueError as error:
                raise MatrixFileError(
                    f"variant {place.name!r}: {other!r} is {value!r} and "
                    f"{key!r} is {limit!r}, which cannot be compared",
                    hint="write whole numbers, or numbers with B, K, M, G or T",
                    where=_last_set(place, key),
                ) from error

    def _ordered(
        self, place: Place, limits: list[tuple[str, str, str]]
    ) -> list[tuple[str, str, str]]:
        """Limits apply in the order in which their keys were first set."""
        keys: Keys = {}
        names = Names({"name": place.name, "shortname": place.short, "dep": list(place.needs)})
        for content in contents_of(place):
            apply(content.items(place.found), keys, names)
        order = {key: at for at, key in enumerate(keys)}
        return sorted(limits, key=lambda one: order[one[0]])


def contents_of(place: Place) -> list[Content]:
    """All contents of a walk, in the order of the text."""
    return [content for edge in reversed(place.path()) for content in edge.contents]


def _last_set(place: Place, key: str) -> Where | None:
    where = None
    for content in contents_of(place):
        for one in content.applying(place.found):
            if getattr(one, "key", None) == key:
                where = one.where
    return where


def _enough(place: Place) -> bool:
    """Whether the first edge was the preferred one, and came to something."""
    stop = place.state.stop
    return stop.preferred and place.at == 1 and place.yielded and place.live[0][0] is stop.edges[0]


def _put_below(place: Place, edge: Edge, undecided: int, here: Place) -> None:
    """Put what an edge does before what is done later. The place's patch is its own."""
    rest = here.rest
    own = edge.patch
    if own is not None:
        place.patch = _under(own, here.patch)
        place.rest = rest
        return
    patch = here.patch
    for content in reversed(edge.contents):
        if content.runs & undecided:
            rest = (content, patch, *rest) if patch else (content, *rest)
            patch = _NOTHING
            place.undecided = True
            continue
        for item in reversed(content.items(place.found)):
            if type(item) is dict:
                patch = _under(item, patch)
            else:
                rest = (item, patch, *rest) if patch else (item, *rest)
                patch = _NOTHING
    place.patch = patch.copy() if patch is here.patch or not patch else patch
    place.rest = rest


def _under(own: dict[str, str], patch: dict[str, str]) -> dict[str, str]:
    """A new dict: what `own` says about keys of which `patch` says nothing, and that."""
    if len(own) > len(patch):
        new = own.copy()
        new.update(patch)
        return new
    new = patch.copy()
    if own.keys().isdisjoint(patch.keys()):
        new.update(own)
    else:
        for key, value in own.items():
            new.setdefault(key, value)
    return new


def _settle(place: Place, undecided: int) -> None:
    """Decide what can be decided by now, and put neighbours together."""
    items: list[Item | Content] = [place.patch]
    place.undecided = False
    for one in place.rest:
        new: tuple[Item | Content, ...] = (one,)
        if type(one) is Content:
            if one.runs & undecided:
                place.undecided = True
            else:
                new = one.items(place.found)
        for item in new:
            last = items[-1]
            if type(item) is dict and type(last) is dict:
                items[-1] = {**last, **item}
            else:
                items.append(item)
    first = items[0]
    assert isinstance(first, dict), "it begins with the patch"
    place.patch = first
    place.rest = tuple(items[1:])
