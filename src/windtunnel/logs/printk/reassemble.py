# SPDX-License-Identifier: Apache-2.0
"""Put lines together again that several contexts printed at the same time.

A line that is printed in several calls is one record as long as nobody else prints
meanwhile. Otherwise each rest is a record of its own. Two questions then: who
printed it (the owner), and which line is it the rest of (the reconstruction)?

* With callers, a rest belongs to the last line of its caller. But when it comes right
  after that, the kernel had put the two together if the line had not ended: it begins
  a line of its own, as a pr_cont() after a newline does.
* Without callers, it does not belong to the record right before it, except when that
  one was full: else the kernel had put the two together. So it is a rest of
  one of the lines before; which one is a guess.
* On a console nothing says that a record is a rest. Then only what looks like one is
  joined, and only to a line of the same caller that looks unfinished.

Nothing is joined across a gap: what may be lost there may belong to the line.

Source: kernel/printk/printk.c, vprintk_store(), and printk_ringbuffer.c,
prb_reserve_in_last(): the last record is extended only by its own caller.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from windtunnel.logs.printk.line import Confidence, Entry, Line
from windtunnel.logs.printk.owners import Owners
from windtunnel.logs.printk.record import Item, Lost, Record, Replay

# Others' records after which a line is taken to be complete. A rest follows its line within
# microseconds; so many records in between would be a flood.
OPEN_RECORDS = 256
# Pieces of one line are printed one right after the other, whatever the machine does.
_NEAR_MICROS = 1_000_000
# Without callers, a rest may belong to any of so many lines before it.
_GUESSED_LINES = 16
# A record has 1 KiB, and rarely many lines.
_REPLAYED_LINES = 16
# No line of the kernel's has so many; where looks decide, an end must be.
_PIECES_MAX = 32
# A record so long had no room for the rest: PRINTKRB_RECORD_MAX is 1024 bytes.
_FULL_BYTES = 900

# What pr_cont() prints mostly begins so: one blank and a word or number, or punctuation.
_REST = re.compile(r" [\w'\"+-]|[,;:.)\]}=]", re.ASCII)
# But lines of dumps begin with a blank, too: frames, registers, tables of locks.
_DUMP = re.compile(r"\+0x[0-9a-f]+/0x|^ [0-9a-f]{8,}\b|^ #\d+:|^ [*<?]", re.ASCII)
_FINISHED = re.compile(r"[.!?)\]}]\s*$|^\W*$|^\s|\+0x[0-9a-f]+/0x", re.ASCII)
_PAIRS = (("(", ")"), ("[", "]"), ("{", "}"))

_IN_INTERRUPTS = "interrupts on one processor have one name"
_BEGINNING = "its beginning may be lost"
_END = "its end may be lost"
_LATE = "its pieces are far apart in time"
_BY_LOOKS = "joined by its looks: the console does not say which records are rests"
_NO_CALLER = "joined by a guess: the log does not say who printed it"
_LONE = "the rest of a line that is not known"
_APART = "its rest may be another line"
_CUT_IN = "it began in the middle of another line"
_CUT = "another line was printed into it"


@dataclass(slots=True)
class _Open:
    """A line that may still grow."""

    pieces: list[Record]
    last_number: int
    confidence: Confidence = Confidence.SURE
    doubts: list[str] = field(default_factory=list)

    def doubt(self, reason: str, confidence: Confidence) -> None:
        if reason not in self.doubts:
            self.doubts.append(reason)
        self.confidence = min(self.confidence, confidence)

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def last(self) -> Record:
        return self.pieces[-1]


def reassemble(
    items: Iterable[Item],
    owners: Owners | None = None,
    *,
    join_from: Confidence = Confidence.GUESS,
) -> Iterator[Entry]:
    """Put lines together.

    Args:
        items: the records of one log, in their order.
        owners: what is known of tasks; learns from the log's own lines.
        join_from: join nothing that is less sure than this.

    Returns:
        Lines in the order of their first records, and the gaps between them.
    """
    reassembler = _Reassembler(Owners() if owners is None else owners, join_from)
    for item in items:
        yield from reassembler.take(item)
    yield from reassembler.finish()


class _Reassembler:
    def __init__(self, owners: Owners, join_from: Confidence) -> None:
        self._owners = owners
        self._join_from = join_from
        self._held: deque[_Open] = deque()
        self._of_caller: dict[str, _Open] = {}
        self._number = 0  # of the record that comes next
        self._after_gap = -_GUESSED_LINES  # the number of the last record before it
        self._callers_after_gap: set[str] = set()
        self._replay = False

    def take(self, item: Item) -> Iterator[Entry]:
        match item:
            case Lost(count=0):
                yield from self._give(0)
                yield item
            case Lost():
                self._mark_ends()
                yield from self._give(0)
                yield item
                self._after_gap = self._number
                self._callers_after_gap = set()
            case Replay():
                self._replay = True
            case Record():
                self._number += 1
                self._owners.learn_from(item.text, item.micros or 0)
                if self._replay:
                    self._drop_replayed(item)
                    self._replay = False
                self._place(item)
                yield from self._give(OPEN_RECORDS)

    def finish(self) -> Iterator[Entry]:
        yield from self._give(0)

    def _give(self, hold: int) -> Iterator[Entry]:
        """Give the lines that cannot grow any more, in their order."""
        while self._held and self._held[0].last_number <= self._number - hold:
            line = self._held.popleft()
            if self._of_caller.get(line.pieces[0].caller) is line:
                del self._of_caller[line.pieces[0].caller]
            yield self._to_line(line)

    def _place(self, record: Record) -> None:
        if record.is_rest:
            head = self._head_of_rest(record)
        elif record.cut_in or not record.is_kernel or record.sequence is not None:
            head = None
        else:
            head = self._head_by_looks(record)
        if head is None:
            self._begin(record)
        elif head.confidence < self._join_from:
            head.line.doubt(_APART, Confidence.GUESS)
            self._begin(record).doubt(_LONE, Confidence.GUESS)
        else:
            head.line.pieces.append(record)
            head.line.last_number = self._number
            self._judge_piece(head.line, record)
            for doubt in head.doubts:
                head.line.doubt(doubt, head.confidence)

    def _begin(self, record: Record) -> _Open:
        line = _Open([record], self._number)
        is_lone = record.is_rest and record.caller not in self._of_caller
        if is_lone or self._may_be_rest_after_gap(record):
            line.doubt(_BEGINNING if self._is_first_after_gap(record) else _LONE, Confidence.GUESS)
        if record.cut_in:
            line.doubt(_CUT_IN, Confidence.LIKELY)
            if self._held and not self._held[-1].last.is_kernel:
                self._held[-1].doubt(_CUT, Confidence.LIKELY)
        self._judge_piece(line, record)
        self._held.append(line)
        if record.is_kernel:
            self._of_caller[record.caller] = line
            self._callers_after_gap.add(record.caller)
        return line

    def _is_first_after_gap(self, record: Record) -> bool:
        if not record.caller:
            return self._after_gap > self._number - _GUESSED_LINES
        return self._after_gap >= 0 and record.caller not in self._callers_after_gap

    def _may_be_rest_after_gap(self, record: Record) -> bool:
        """On a console: it looks like a rest, and its line may be what was lost."""
        if record.sequence is not None or not record.is_kernel:
            return False
        return self._is_first_after_gap(record) and _looks_like_rest(record)

    def _judge_piece(self, line: _Open, record: Record) -> None:
        if record.lacks:
            line.doubt(record.lacks, Confidence.GUESS)

    def _head_of_rest(self, record: Record) -> _Head | None:
        """Find the line of a record that the kernel calls a rest."""
        if not record.caller:
            return self._head_without_caller(record)
        line = self._of_caller.get(record.caller)
        if line is None or self._has_ended(line):
            return None
        head = _Head(line, Confidence.SURE, [])
        if record.caller.startswith("C"):
            head.doubt(_IN_INTERRUPTS, Confidence.LIKELY)
            for other in self._recent():
                if other is not line and other.last.caller == record.caller:
                    other.doubt(_APART, Confidence.LIKELY)
        if not _is_near(line.last, record):
            head.doubt(_LATE, Confidence.GUESS)
        return head

    def _recent(self) -> list[_Open]:
        """Give the last lines, the oldest first."""
        return [*islice(reversed(self._held), _GUESSED_LINES)][::-1]

    def _has_ended(self, line: _Open) -> bool:
        """The kernel had put the present record to it otherwise: it is right before."""
        is_previous = line.last_number == self._number - 1
        return is_previous and len(line.last.text.encode()) < _FULL_BYTES

    def _head_without_caller(self, record: Record) -> _Head | None:
        """Guess the line of a rest: the one that looks most like its beginning."""
        lines = [
            line
            for line in self._recent()
            if line.last.is_kernel
            and _is_near(line.last, record)
            and len(line.pieces) < _PIECES_MAX
            and (
                line.last_number != self._number - 1 or len(line.last.text.encode()) >= _FULL_BYTES
            )
        ]
        return _guess(lines) if lines else None

    def _head_by_looks(self, record: Record) -> _Head | None:
        """Find the line of a console's record that looks like a rest."""
        if not _looks_like_rest(record):
            return None
        if record.caller:
            line = self._of_caller.get(record.caller)
            lines = [] if line is None else [line]
        else:
            lines = self._recent()
        # The kernel itself puts a rest to the record right before it.
        lines = [
            line
            for line in lines
            if line.last_number != self._number - 1
            and line.last.is_kernel
            and _is_near(line.last, record)
            and len(line.pieces) < _PIECES_MAX
            and _looks_unfinished(line)
        ]
        if not lines:
            return None
        if record.caller:
            line = lines[0]
            is_likely = len(line.pieces) > 1 or _has_open_bracket(line.text)
            return _Head(line, Confidence.LIKELY if is_likely else Confidence.GUESS, [_BY_LOOKS])
        return _guess(lines)

    def _mark_ends(self) -> None:
        """Before a gap: what a caller printed last may go on in it."""
        newest = max((line.last.micros or 0 for line in self._held), default=0)
        lines = self._recent()
        nameless = [line for line in lines if line.last.is_kernel and not line.last.caller]
        for line in (*self._of_caller.values(), *nameless):
            micros = line.last.micros
            if micros is None or newest - micros <= _NEAR_MICROS:
                line.doubt(_END, Confidence.GUESS)

    def _drop_replayed(self, record: Record) -> None:
        """Take back the beginning of a record that now comes in full."""
        key = (record.micros, record.caller)
        lines = list(self._held)[-_REPLAYED_LINES:]
        for at, line in enumerate(lines):
            replayed = lines[at:]
            if record.text.startswith(line.last.text) and all(
                (again.last.micros, again.last.caller) == key and len(again.pieces) == 1
                for again in replayed
            ):
                for again in replayed:
                    self._held.remove(again)
                self._of_caller.pop(record.caller, None)
                return

    def _to_line(self, line: _Open) -> Line:
        first, last = line.pieces[0], line.last
        named = next((tags for piece in line.pieces if (tags := piece.tags.get("taskname"))), "")
        return Line(
            text=line.text,
            pieces=tuple(piece.text for piece in line.pieces),
            sequences=tuple(piece.sequence for piece in line.pieces if piece.sequence is not None),
            level=first.level,
            facility=first.facility,
            first_micros=first.micros,
            last_micros=last.micros,
            owner=first.caller,
            owner_name=named or self._owners.name(first.caller, first.micros or 0),
            is_kernel=first.is_kernel,
            confidence=line.confidence,
            doubts=tuple(line.doubts),
            when=first.when,
        )


@dataclass(slots=True)
class _Head:
    """A line that a record may be joined to, and how sure that is."""

    line: _Open
    confidence: Confidence
    doubts: list[str]

    def doubt(self, reason: str, confidence: Confidence) -> None:
        self.doubts.append(reason)
        self.confidence = min(self.confidence, confidence)


def _is_near(earlier: Record, later: Record) -> bool:
    if earlier.micros is None or later.micros is None:
        return True
    return abs(later.micros - earlier.micros) <= _NEAR_MICROS


def _has_open_bracket(text: str) -> bool:
    return any(text.count(opening) > text.count(closing) for opening, closing in _PAIRS)


def _guess(lines: list[_Open]) -> _Head:
    """Choose the line that a rest without caller belongs to, as far as looks tell.

    One that looks unfinished, and of those the one that was printed to last: contexts
    that interrupt each other take turns. But any of them may be meant.
    """
    for line in lines:
        line.doubt(_APART, Confidence.GUESS)
    best = max(lines, key=lambda line: (_looks_unfinished(line), line.last_number))
    return _Head(best, Confidence.GUESS, [_NO_CALLER])


def _looks_like_rest(record: Record) -> bool:
    return _REST.match(record.text) is not None and _DUMP.search(record.text) is None


def _looks_unfinished(line: _Open) -> bool:
    if line.doubts and _looks_like_rest(line.pieces[0]):
        return True  # its beginning is lost, and more of it may come
    return _has_open_bracket(line.text) or not _FINISHED.search(line.text)
