# SPDX-License-Identifier: Apache-2.0
"""What the filters still want to know, and how many variants that leaves.

The part of a name that has been walked matters to the rest only by what it says
about undecided filters. Two beginnings that say the same are one `State`, so a
matrix of 10^12 variants has a few hundred states, and counting is one addition
for each way from a state to another.
"""

from __future__ import annotations

from windtunnel.matrix.patterns import FALSE, TRUE
from windtunnel.matrix.plan import Constraint, Edge, Literals, Plan, Stop

# So many states are kept; they use some 500 bytes each.
STATES_MAX = 200_000


class State:
    """A stop, and what the filters know there.

    Attributes:
        stop: where the walk is.
        open: filters that are not decided, each reduced to what is not.
        found, reached: of the runs that matter to `open`, and to filters that begin later.
        live: the edges that are no dead ends, and where they lead; None when nobody asked.
        parts: at a join the state of each part; empty when nobody asked.
        count: how many variants there are; None when nobody asked.
        empty: whether a walk came back from here without a variant.
    """

    __slots__ = ("count", "empty", "found", "live", "open", "parts", "reached", "stop")

    def __init__(self, stop: Stop, open_: tuple[Literals, ...], found: int, reached: int) -> None:
        self.stop = stop
        self.open = open_
        self.found = found
        self.reached = reached
        self.live: list[Way] | None = None
        self.parts: tuple[State | None, ...] = ()
        self.count: int | None = None
        self.empty = False


Way = tuple[Edge, State]


class States:
    """All states of a plan that somebody came to."""

    def __init__(
        self,
        plan: Plan,
        *,
        keep: int = STATES_MAX,
        without: frozenset[Constraint] = frozenset(),
    ) -> None:
        """Begin with none.

        Args:
            plan: the matrix.
            keep: how many are kept.
            without: filters that do not count.
        """
        self.plan = plan
        self._without = without
        self._keep = keep
        self._known: dict[tuple[object, ...], State] = {}
        self.start = self._arrive(plan.start, (), 0, 0)

    def forget(self) -> None:
        """Let most states go when they have become too many; the walk finds them again."""
        if len(self._known) > self._keep:
            for state in self._known.values():
                state.live = None
                state.parts = ()
            self._known.clear()

    def live(self, state: State) -> list[Way]:
        """The edges along which the filters may leave something, and where they lead."""
        ways = state.live
        if ways is None:
            stop = state.stop
            known: list[State | bool | None] = [True] * stop.kinds
            ways = []
            for edge in stop.edges:
                next_ = known[edge.kind]
                if next_ is True:
                    found, reached = self.plan.patterns.step(edge.masks, state.found, state.reached)
                    next_ = known[edge.kind] = self._arrive(edge, state.open, found, reached)
                if isinstance(next_, State):
                    ways.append((edge, next_))
            state.live = ways
        return ways

    def parts(self, state: State) -> tuple[State | None, ...]:
        """The states in which the parts of a join begin."""
        if not state.parts:
            edge = state.stop.edges[0]
            state.parts = tuple(
                self._arrive(edge, (*state.open, one.literals), state.found, state.reached)
                for one in state.stop.joins
            )
        return state.parts

    def _arrive(
        self, edge: Edge, open_: tuple[Literals, ...], found: int, reached: int
    ) -> State | None:
        """The state behind an edge, as simple as it can be said."""
        stop = edge.target
        patterns = self.plan.patterns
        possible = found | stop.whole
        begun = reached & ~patterns.ends
        if begun:
            ends, begun = patterns.unfinished(begun, stop.labels)
            possible |= ends
        matters = stop.runs
        left: list[Literals] = []
        for literals in open_:
            outcome = _reduced(literals, found, possible)
            if outcome is None:
                return None
            if outcome[1]:
                matters |= outcome[0]
                left.append(outcome[1])
        for constraint in edge.constraints:
            if constraint in self._without:
                continue
            outcome = _reduced(constraint.literals, found, possible)
            if outcome is None:
                return None
            if outcome[1]:
                matters |= outcome[0]
                left.append(outcome[1])
        return self._state(stop, tuple(dict.fromkeys(left)), found & matters, begun, matters)

    def _state(
        self, stop: Stop, open_: tuple[Literals, ...], found: int, begun: int, matters: int
    ) -> State:
        if begun:
            begun = self.plan.patterns.reached_by(begun, matters & ~found)
        key = (stop.number, open_, found, begun)
        state = self._known.get(key)
        if state is None:
            state = self._known[key] = State(stop, open_, found, begun)
        return state

    def count(self, state: State | None) -> int:
        """How many variants there are behind a state."""
        if state is None:
            return 0
        todo = [state]
        while todo:
            one = todo[-1]
            if one.count is not None:
                todo.pop()
                continue
            missing = [next_ for next_ in self._behind(one) if next_ and next_.count is None]
            if missing:
                todo += missing
            else:
                one.count = self._sum(one)
                todo.pop()
        assert state.count is not None, "just counted"
        return state.count

    def leaves_something(self, state: State | None) -> bool:
        """Whether there is any variant behind a state: faster than to count them."""
        if state is None:
            return False
        dead: set[State] = set()
        path = [(state, iter(self._ways(state)))]
        while path:
            here, ways = path[-1]
            if self._is_end(here):
                return True
            next_ = next((to for _, to in ways if to not in dead), None)
            if next_ is None:
                dead.add(here)
                path.pop()
            else:
                path.append((next_, iter(self._ways(next_))))
        return False

    def _ways(self, state: State) -> list[Way]:
        return [] if state.stop.joins else self.live(state)

    def _is_end(self, state: State) -> bool:
        """Whether a variant ends here: at the end, or at a join of which each part leaves some."""
        if state.stop.joins:
            return all(self.leaves_something(part) for part in self.parts(state))
        return not state.stop.number

    def _behind(self, state: State) -> list[State | None]:
        if state.stop.joins:
            return list(self.parts(state))
        return [next_ for _, next_ in self.live(state)]

    def _sum(self, state: State) -> int:
        """Count from the counts of the states behind."""
        if not state.stop.number:
            return 1
        if state.stop.joins:
            product = 1
            for part in self.parts(state):
                product *= part.count or 0 if part else 0
            return product
        return sum(count for _, _, count in self.counts(state))

    def counts(self, state: State) -> list[tuple[Edge, State, int]]:
        """For each edge that is taken, where it leads, and how many variants are behind it.

        In defaults mode that is the preferred one alone, if it comes to anything.
        """
        found = [(edge, next_, self.count(next_)) for edge, next_ in self.live(state)]
        stop = state.stop
        if stop.preferred and found and found[0][0] is stop.edges[0] and found[0][2]:
            return found[:1]
        return found


def _reduced(literals: Literals, found: int, possible: int) -> tuple[int, Literals] | None:
    """What is left to ask of a filter.

    Returns:
        The runs that matter to it, and the literals that are not decided: none when it
        is content. None when it leaves nothing.
    """
    asked = 0
    rest = []
    for literal in literals:
        test, value = literal
        outlook = test.outlook(found, possible)
        if outlook in (TRUE, FALSE):
            if (outlook == TRUE) != value:
                return _CONTENT
        else:
            rest.append(literal)
            asked |= outlook
    if not rest:
        return None
    return asked, literals if len(rest) == len(literals) else tuple(rest)


_CONTENT: tuple[int, Literals] = (0, ())


def fulfilled(constraint: Constraint, found: int) -> bool:
    """Whether a filter leaves a name in which these runs are found."""
    return any(test.holds(found) != value for test, value in constraint.literals)


def first_that_empties(plan: Plan) -> Constraint | None:
    """Of filters in the order of the text the first after which nothing is left.

    Returns:
        None when all of them leave something, or nothing is left without any: a `join`
        asks for what there is not.
    """
    found = dict.fromkeys(
        one
        for edge in (plan.start, *(edge for stop in plan.stops for edge in stop.edges))
        for one in edge.constraints
    )
    filters = sorted(found, key=lambda one: one.number)

    def leaves(count: int) -> bool:
        states = States(plan, without=frozenset(filters[count:]))
        return states.leaves_something(states.start)

    if leaves(len(filters)) or not leaves(0):
        return None
    some, none = 0, len(filters)
    while none - some > 1:
        middle = (some + none) // 2
        if leaves(middle):
            some = middle
        else:
            none = middle
    return filters[some]
