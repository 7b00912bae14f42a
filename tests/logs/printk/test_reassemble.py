# SPDX-License-Identifier: Apache-2.0
"""Lines of several contexts, against a model of the kernel, and by hand."""

from __future__ import annotations

import random  # noqa: TID251 - a seeded model of scheduling

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_printing import SELF_CHECKING, as_console, as_kmsg, print_all
from windtunnel.logs.printk import (
    Confidence,
    Line,
    Lost,
    Owners,
    Record,
    Replay,
    parse_log,
    reassemble,
    to_console,
)

DROPPED = b"** 1 printk messages dropped **\r\n"


def lines_of(records, **options):
    return [entry for entry in reassemble(parse_log(records), **options) if isinstance(entry, Line)]


def wrong_of(lines, whole):
    right = set(whole)
    return [line for line in lines if line.text not in right]


def printed(seed, contexts, *, lines=600, callers=None):
    drawn = random.Random(seed)
    return print_all(drawn.randrange, contexts, lines // contexts, callers=callers)


@pytest.mark.parametrize("contexts", [2, 3, 5])
def test_with_callers_every_line_is_right_and_sure(contexts):
    stored, whole = printed(contexts, contexts)
    assert len(stored) > len(whole) * 3 // 2  # many lines were interrupted
    lines = lines_of(as_kmsg(stored))
    assert [line.text for line in lines] == whole
    assert {line.confidence for line in lines} == {Confidence.SURE}
    assert all(SELF_CHECKING.fullmatch(line.text) for line in lines)
    assert all(line.owner == f"T{100 + int(line.text[1])}" for line in lines)


@pytest.mark.parametrize("contexts", [2, 3, 5])
@pytest.mark.parametrize("form", ["kmsg", "netconsole", "console"])
def test_with_losses_every_wrong_line_is_flagged(contexts, form):
    stored, whole = printed(contexts, contexts)
    drawn = random.Random(1)
    records = (as_console if form == "console" else as_kmsg)(stored)
    lost = [drawn.randrange(100) < 2 for _ in records]
    kept = [
        (DROPPED if form == "console" else b"") if is_lost else record
        for record, is_lost in zip(records, lost, strict=True)
    ]
    if form == "netconsole":
        for at in range(0, len(kept) - 3, 3):
            kept[at : at + 3] = drawn.choices(kept[at : at + 3], k=1) + drawn.sample(
                kept[at : at + 3], 3
            )
    lines = lines_of(kept, join_from=Confidence.GUESS)
    wrong = wrong_of(lines, whole)
    assert 0 < len(wrong) < len(whole) // 2
    assert [line for line in wrong if line.confidence is Confidence.SURE] == []


@pytest.mark.parametrize("contexts", [2, 3, 5])
def test_on_a_console_with_callers_lines_are_right_but_not_sure(contexts):
    stored, whole = printed(contexts, contexts)
    lines = lines_of(as_console(stored))
    assert [line.text for line in lines] == whole
    assert all((len(line.pieces) == 1) == (line.confidence is Confidence.SURE) for line in lines)


@pytest.mark.parametrize("form", [as_kmsg, as_console])
@pytest.mark.parametrize("join_from", list(Confidence))
def test_without_callers_every_wrong_line_is_flagged(form, join_from):
    stored, whole = printed(3, 3)
    lines = lines_of(form(stored, with_caller=False), join_from=join_from)
    wrong = wrong_of(lines, whole)
    assert wrong
    assert [line for line in wrong if line.confidence is Confidence.SURE] == []


def test_what_is_wrong_is_only_of_interrupts_that_share_a_name():
    # The kernel itself cannot tell two interrupts on one processor apart.
    stored, whole = printed(4, 3, callers={0: "T9", 1: "C0", 2: "C0"})
    lines = lines_of(as_kmsg(stored))
    assert {line.owner for line in wrong_of(lines, whole)} == {"C0"}
    assert all(
        line.confidence < Confidence.SURE
        for line in lines
        if line.owner == "C0" and len(line.pieces) > 1
    )


@given(st.data())
def test_nothing_is_lost_or_made_up(data):
    drawn = random.Random(data.draw(st.integers(0, 10**6)))
    stored, _ = print_all(drawn.randrange, 3, 5)
    form = data.draw(st.sampled_from([as_kmsg, as_console]))
    with_caller = data.draw(st.booleans())
    kept = [record for record in form(stored, with_caller=with_caller) if drawn.randrange(5)]
    join_from = data.draw(st.sampled_from(Confidence))
    items = list(parse_log(kept))
    lines = [x for x in reassemble(items, join_from=join_from) if isinstance(x, Line)]
    pieces = [piece for line in lines for piece in line.pieces]
    assert sorted(pieces) == sorted(item.text for item in items if isinstance(item, Record))
    assert all(line.text == "".join(line.pieces) for line in lines)


@given(st.data())
def test_no_line_has_pieces_from_both_sides_of_a_gap(data):
    drawn = random.Random(data.draw(st.integers(0, 10**6)))
    stored, _ = print_all(drawn.randrange, 3, 6)
    kept = [record for record in as_kmsg(stored) if drawn.randrange(4)]
    for line in lines_of(kept):
        known = {int(record.split(b",")[1]) for record in kept}
        first, last = line.sequences[0], line.sequences[-1]
        assert set(range(first, last + 1)) <= known


def rest(text, sequence, **more):
    return Record(text, sequence, more.pop("micros", 0), 4, is_rest=True, **more)


def head(text, sequence, **more):
    return Record(text, sequence, more.pop("micros", 0), 6, **more)


def texts(*items, **options):
    return [
        entry.text if isinstance(entry, Line) else entry.why
        for entry in reassemble(items, **options)
    ]


def test_a_rest_right_after_its_callers_line_begins_a_line_of_its_own():
    # printk("Stack:\n"); pr_cont(" 60edf72f\n"); as User Mode Linux prints it.
    items = [head("Stack:", 1, caller="T1"), rest(" 60edf72f", 2, caller="T1")]
    lines = list(reassemble(items))
    assert [line.text for line in lines] == ["Stack:", " 60edf72f"]
    assert [line.confidence for line in lines] == [Confidence.SURE] * 2


def test_a_rest_right_after_a_full_record_belongs_to_it():
    full = "x" * 1000
    assert texts(head(full, 1, caller="T1"), rest("y", 2, caller="T1")) == [full + "y"]
    assert texts(head(full, 1), rest("y", 2)) == [full + "y"]


def test_a_rest_that_comes_a_second_later_is_doubted():
    items = [
        head("a", 1, caller="T1"), head("b", 2, caller="T2"),
        rest(" c", 3, caller="T1", micros=2_000_000),
    ]  # fmt: skip
    lines = list(reassemble(items))
    assert [line.text for line in lines] == ["a c", "b"]
    assert lines[0].doubts == ("its pieces are far apart in time",)
    assert lines[0].last_micros == 2_000_000


def test_a_rest_whose_line_is_not_known_stands_alone():
    (line,) = reassemble([rest(" c", 3, caller="T1")])
    assert line.doubts == ("the rest of a line that is not known",)
    (line,) = reassemble([rest(" c", 3)])
    assert line.confidence is Confidence.GUESS


def test_without_callers_a_rest_goes_to_an_open_bracket():
    items = [head("a (", 1), head("done.", 2), head("c", 3), rest("b)", 4)]
    lines = list(reassemble(items))
    assert [line.text for line in lines] == ["a (b)", "done.", "c"]
    assert {line.confidence for line in lines[:2]} == {Confidence.GUESS}
    assert texts(*items, join_from=Confidence.LIKELY) == ["a (", "done.", "c", "b)"]


def test_a_line_of_a_dump_is_no_rest_by_its_looks():
    for text in (" foo+0x1/0x20", " <TASK>", " #0: ffff", " 60edf72f 60edf72f", "  two"):
        items = [Record("a:", caller="T1"), Record("b", caller="T2"), Record(text, caller="T1")]
        assert texts(*items) == ["a:", "b", text]


def test_by_its_looks_a_rest_needs_a_line_that_looks_unfinished():
    for text in ("a.", "---", " a", "a+0x1/0x2"):
        items = [Record(text, caller="T1"), Record("b", caller="T2"), Record(" c", caller="T1")]
        assert texts(*items) == [text, "b", " c"]
    items = [Record("a (", caller="T1"), Record("b", caller="T2"), Record(" c)", caller="T1")]
    (line, _) = reassemble(items)
    assert (line.text, line.confidence) == ("a ( c)", Confidence.LIKELY)
    assert texts(Record(" c", caller="T1")) == [" c"]


def test_a_replay_takes_the_place_of_what_it_repeats():
    one = Record("one", caller="T1", micros=1)
    assert texts(Record("on", caller="T1", micros=1), Replay(), one) == ["one"]
    assert texts(Record("x", caller="T1", micros=1), Replay(), one) == ["x", "one"]
    assert texts(Record("on", caller="T1", micros=2), Replay(), one) == ["on", "one"]
    assert texts(
        one, Record("tw", caller="T1", micros=1), Replay(), one,
        Record("two", caller="T1", micros=1),
    ) == ["one", "two"]  # fmt: skip


def test_lines_of_programs_are_nobodys_heads():
    items = [Record("a (", is_kernel=False), Record("b"), Record("x"), Record(" c)")]
    assert texts(*items)[0] == "a ("


def test_a_duplicate_is_no_gap():
    items = [
        head("a", 1, caller="T1"), Lost(0, "again"), head("b", 2, caller="T2"),
        rest(" c", 3, caller="T1"),
    ]  # fmt: skip
    lines = [entry for entry in reassemble(items) if isinstance(entry, Line)]
    assert {line.doubts for line in lines[:2]} == {()}


def test_long_ago_lines_are_complete():
    others = [head("x", number, caller="T2") for number in range(2, 300)]
    found = texts(head("a", 1, caller="T1"), *others, rest(" c", 300, caller="T1"))
    assert (found[0], found[-1]) == ("a", " c")


def test_far_from_a_gap_nothing_is_doubted():
    items = [
        head("old", 1, caller="T1"), head("new", 2, caller="T2", micros=5_000_000),
        Lost(1, "gone"), head("later", 4, caller="T1", micros=5_000_001),
    ]  # fmt: skip
    doubts = [entry.doubts for entry in reassemble(items) if isinstance(entry, Line)]
    assert doubts == [(), ("its end may be lost",), ()]


def test_owners_have_names_from_the_log_from_tags_and_from_what_is_known():
    owners = Owners()
    owners.learn(7, "sh", 0)
    owners.learn(7, "make", 1_000)
    items = [
        head("a", 1, caller="T7", micros=10), head("b", 2, caller="T7", micros=2_000),
        head("CPU: 0 UID: 0 PID: 9 Comm: ip link Not tainted", 3, caller="T9"),
        head("c", 4, caller="C0", tags={"taskname": "iperf3"}), head("d", 5, caller="T0"),
        head("e", 6, caller="T55"), head("f", 7, caller="C1"),
    ]  # fmt: skip
    names = [line.owner_name for line in reassemble(items, owners)]
    assert names == ["sh", "make", "ip link", "iperf3", "swapper", "", ""]
    assert owners.name("T9", 0) == "ip link"  # better late than never


def test_a_line_can_be_written_as_a_console_does_and_as_json():
    lines = list(
        reassemble([head("a\nb", 1, caller="T7", micros=1_500_000), Record("c", is_kernel=False)])
    )
    assert list(to_console([*lines, Lost(1, "x")])) == [
        "[    1.500000][    T7] a", "[    1.500000][    T7] b", "c",
    ]  # fmt: skip
    assert lines[0].to_json() == {
        "text": "a\nb", "pieces": ["a\nb"], "sequences": [1], "level": 6, "facility": 0,
        "first_us": 1_500_000, "last_us": 1_500_000, "when": "", "owner": "T7", "owner_name": "",
        "kernel": True, "confidence": "sure", "doubts": [],
    }  # fmt: skip
