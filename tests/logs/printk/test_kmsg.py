# SPDX-License-Identifier: Apache-2.0
"""Records by hand, from Documentation/ABI/testing/dev-kmsg and drivers/net/netconsole.c."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.logs.printk import Lost, Record, parse_header, parse_log
from windtunnel.logs.printk.kmsg import parse_tag, split_datagrams, unescape
from windtunnel.logs.printk.netconsole import BODY_MAX_BYTES, WAITING_RECORDS


def records(*pieces):
    return list(parse_log(pieces))


def test_a_record_has_all_its_fields():
    (record,) = records(
        b"30,339,5140900,c,caller=T617,later=x;a\\x5cb\\x0ac\n SUBSYSTEM=net\n DEVICE=n3\n"
    )
    assert record == Record(
        "a\\b\nc", 339, 5140900, 30, "T617", is_rest=True,
        tags={"SUBSYSTEM": "net", "DEVICE": "n3"},
    )  # fmt: skip
    assert (record.level, record.facility) == (6, 3)
    assert (Record("x").level, Record("x").facility) == (None, None)


@pytest.mark.parametrize(
    ("line", "caller"),
    [(b"4,1,2,-,caller=C3;x", "C3"), (b"4,1,2,+,caller=who;x", ""), (b"4,1,2,-;x", "")],
)
def test_a_caller_is_a_task_or_a_processor(line, caller):
    header, text = parse_header(line)
    assert (header.record.caller, text) == (caller, b"x")
    assert header.record.is_rest == (b"+" in line)


def test_a_release_before_the_header_is_kept():
    header, _ = parse_header(b"6.12.5-cloud,4,1,2,-;x")
    assert header.record.tags == {"release": "6.12.5-cloud"}


@pytest.mark.parametrize(
    "line", [b"", b"x", b"4,1,2;x", b"4,1,2,x;y", b"4,1,2,-,a", b"12345,1,2,-;x"]
)
def test_another_line_is_no_record(line):
    assert parse_header(line) is None


@given(st.binary(max_size=30))
def test_escaping_as_the_kernel_does_and_back_shows_the_same(raw):
    escaped = b"".join(
        b"\\x%02x" % byte if byte < 32 or byte >= 127 or byte == 0x5C else bytes([byte])
        for byte in raw
    )
    shown = unescape(escaped)
    printable = raw.decode("utf-8", "ignore")
    if all(sign == "\n" or (sign.isprintable() and ord(sign) < 127) for sign in printable) and all(
        byte < 128 for byte in raw
    ):
        assert shown == printable
    assert all(sign >= " " or sign in "\n\t" for sign in shown)


def test_tags_are_lines_with_a_blank_and_an_equals_sign():
    assert parse_tag(b" A=b=\\x41") == ("A", "b=A")
    assert parse_tag(b"A=b") is None
    assert parse_tag(b" no") is None


def test_records_out_of_order_and_twice_come_in_order_and_once():
    found = records(b"6,2,1,-;two\n6,1,1,-;one\n6,2,1,-;two\n6,3,1,-;three\n6,1,1,-;one\n")
    assert [record.text for record in found[:-1]] == ["one", "two", "three"]
    assert found[-1] == Lost(0, "2 datagrams came again, or too late, and were left out")


def test_a_record_that_is_too_late_is_counted():
    stream = b"6,1,1,-;1\n" + b"".join(
        b"6,%d,1,-;x\n" % number for number in range(3, 4 + WAITING_RECORDS)
    )
    found = records(stream + b"6,2,1,-;late\n")
    assert found[1] == Lost(1, "1 record is missing")
    assert found[-1] == Lost(0, "1 datagrams came again, or too late, and were left out")
    assert "late" not in [getattr(item, "text", "") for item in found]


def test_fragments_are_put_together_in_any_order():
    parts = [
        b"6,5,9,-,ncfrag=0/20;0123456789",
        b"6,5,9,-,ncfrag=10/20;ab\n K=v\n L=w\n",
    ]
    for stream in (b"".join(parts), parts[1] + parts[0] + b"\n", parts[0] + parts[0] + parts[1]):
        record = next(item for item in records(stream) if isinstance(item, Record))
        assert (record.text, record.tags, record.lacks) == (
            "0123456789ab", {"K": "v", "L": "w"}, "",
        )  # fmt: skip


def test_what_is_missing_of_a_record_is_said():
    (record,) = records(b"6,5,9,-,ncfrag=10/40;abc\n")
    assert record.text == "[... 10 bytes are missing ...]abc[... 27 bytes are missing ...]"
    assert record.lacks == "37 of 40 bytes are missing"


def test_fragments_may_overlap_but_not_fill_the_memory():
    found = records(
        b"6,5,9,-,ncfrag=0/9;abcdef\n6,5,9,-,ncfrag=3/9;defghi\n"
        b"6,5,9,-,ncfrag=%d/9;no\n" % (BODY_MAX_BYTES + 1)
    )
    assert found[0].text == "abcdefghi"


def test_a_file_of_glued_datagrams_is_cut_at_headers_of_records_nearby():
    line = b"6,5,9,-,ncfrag=0/9;a 4,1,1,-; b6,6,9,-,ncfrag=0/9;c6,7,9,-;d"
    assert split_datagrams(line) == [
        b"6,5,9,-,ncfrag=0/9;a ", b"4,1,1,-; b6,6,9,-,ncfrag=0/9;c6,7,9,-;d",
    ]  # fmt: skip
    assert split_datagrams(b"6,500,9,-,ncfrag=0/9;a 4,1,1,-; b") == [
        b"6,500,9,-,ncfrag=0/9;a 4,1,1,-; b"
    ]
    assert split_datagrams(b"6,5,9,-;ncfrag=") == [b"6,5,9,-;ncfrag="]


def test_another_boot_begins_anew():
    first = b"6,0,5,-;boot\n6,1,6,-;first\n"
    found = records(first + b"6,0,5,-;boot\n6,1,7,-;second\n")
    assert [getattr(item, "text", item) for item in found] == [
        "boot", "first", Lost(0, "1 datagrams came again, or too late, and were left out"),
        Lost(None, "the sequence starts again: another boot"), "second",
    ]  # fmt: skip


def test_a_sequence_far_below_the_first_is_another_boot():
    found = records(
        b"".join(b"6,%d,5,-;x\n" % number for number in range(900, 1000)) + b"6,3,1,-;y\n"
    )
    assert found[-2:] == [
        Lost(None, "the sequence starts again: another boot"), Record("y", 3, 1, 6),
    ]  # fmt: skip


def test_other_lines_stay_where_they_are():
    found = records(b"# note\n6,1,1,-;one\nother\n6,2,1,-;two\n\n6,3,1,-;three\nlast")
    assert [(item.text, item.is_kernel) for item in found] == [
        ("# note", False), ("one", True), ("other", False), ("two", True),
        ("three", True), ("last", False),
    ]  # fmt: skip
    assert found[-1].lacks == ""


def test_a_record_in_which_the_log_ends_is_not_whole():
    found = records(b"6,1,1,-;one\n6,2,1,-;tw")
    assert [item.lacks for item in found] == ["", "the log ends within it"]


def test_a_replayed_log_is_known_again_for_as_long_as_it_is_remembered(monkeypatch):
    monkeypatch.setattr("windtunnel.logs.printk.netconsole.REMEMBERED_RECORDS", 10)
    log = b"".join(b"6,%d,5,-;x\n" % number for number in range(80))
    found = records(log + log)
    assert sum(isinstance(item, Record) for item in found) == 80
