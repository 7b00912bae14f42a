# SPDX-License-Identifier: Apache-2.0
"""Streams of any form: cut anywhere they give the same, and nothing in them raises."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strategies import pieces_of
from windtunnel.logs.printk import Line, Lost, parse_log, reassemble
from windtunnel.logs.printk.framing import LINE_MAX_BYTES, Lines
from windtunnel.logs.printk.parse import SAMPLE_BYTES, Form, form_of
from windtunnel.logs.reading import read_log

KMSG = (
    b"6,1,100,-,caller=T1;one\n SUBSYSTEM=net\n DEVICE=n2\n12,2,200,c;two\\x0athree\n"
    b"garbage\n13,3,300,-,ncfrag=0/12;abcdef13,3,300,-,ncfrag=6/12;ghijk\n6,9,400,-;nine"
)
CONSOLE = (
    b"[    1.000000][    T1] one\r\n<6>[    2.000000] two\r\n** 2 printk messages dropped **\r\n"
    b"cron[    3.000000][    C0] three\nkern  :warn  : [    4.000000] four\n"
    b"Nov 26 00:44:10 host kernel: [    5.000000] five\n\xff\x00\x1b[2J\n"
    b"** replaying previous printk message **\n[    5.000000] five and all\nsix"
)
# What logs are made of, so that garbage comes near to the real thing.
words = st.sampled_from(
    [
        b"6,1,100,-,caller=T1;", b"12,2,9,c;", b"ncfrag=0/12", b"ncfrag=99999/4", b"\n", b"\r\n",
        b" KEY=1\n", b"[    1.000000]", b"[   C0]", b"[    T7] ",
        b"** 3 printk messages dropped **",
        b"** replaying previous printk message **", b"<6>", b"BUG: KASAN: ", b"Call Trace:\n",
        b" foo+0x1/0x2\n", b"\\x0a", b"\\x", b"INFO: task ", b"WARNING: ", b" in ", b"\0", b"\xff",
    ]
)  # fmt: skip
garbage = st.lists(words | st.binary(max_size=6), max_size=40).map(b"".join)


@given(st.data(), st.sampled_from([KMSG, CONSOLE]) | garbage)
def test_any_split_of_the_stream_gives_the_same_records(data, stream):
    pieces = data.draw(pieces_of(stream))
    assert list(parse_log(pieces)) == list(parse_log([stream]))


@given(garbage)
def test_garbage_never_raises_and_its_lines_can_be_shown(stream):
    log = read_log([stream])
    for entry in log.entries:
        if isinstance(entry, Line):
            text = entry.text.replace("\n", "").replace("\t", "")
            assert text.isprintable() or not any(ord(sign) < 32 for sign in text)
    for found in log.reports:
        assert found.to_json()["title"] == found.report.title


@given(st.data(), st.binary(max_size=50))
def test_lines_come_out_the_same_however_the_stream_is_cut(data, stream):
    lines = Lines()
    found = [line for piece in data.draw(pieces_of(stream)) for line in lines.feed(piece)]
    found += lines.finish()
    *whole, last = stream.split(b"\n")
    assert found == [line.removesuffix(b"\r") for line in [*whole, *([last] if last else [])]]


def test_a_line_without_end_is_cut_where_it_would_fill_the_memory():
    stream = b"x" * (2 * LINE_MAX_BYTES + 5) + b"\nshort\n"
    for size in (1000, len(stream)):
        lines = Lines()
        found = [
            line
            for at in range(0, len(stream), size)
            for line in lines.feed(stream[at : at + size])
        ]
        assert [len(line) for line in found + lines.finish()] == [
            LINE_MAX_BYTES, LINE_MAX_BYTES, 5, 5,
        ]  # fmt: skip


def test_the_form_is_what_most_lines_are():
    assert form_of(KMSG) is Form.KMSG
    assert form_of(CONSOLE) is Form.CONSOLE
    assert form_of(b"") is Form.CONSOLE
    assert form_of(b"\n# a note\n\n6,1,100,-;one\n SUBSYSTEM=x\n") is Form.KMSG


def test_a_form_is_told_from_the_beginning_and_all_is_read():
    count = SAMPLE_BYTES // 10
    stream = b"".join(b"6,%d,100,-;x\n" % number for number in range(count))
    for pieces in (
        [stream],
        [stream[:100], stream[100:]],
        [stream[:SAMPLE_BYTES], stream[SAMPLE_BYTES:]],
    ):
        assert len(list(parse_log(pieces))) == count


def test_a_gap_is_never_joined_across():
    stream = b"6,1,100,-,caller=T1;head\n6,2,100,-,caller=T2;x\n12,4,100,c,caller=T1; rest\n"
    entries = list(reassemble(parse_log([stream])))
    lines = [entry for entry in entries if isinstance(entry, Line)]
    assert [line.text for line in lines] == ["head", "x", " rest"]
    assert [entry.count for entry in entries if isinstance(entry, Lost)] == [1]
    assert [line.doubts for line in lines] == [
        ("its end may be lost",),
        ("its end may be lost",),
        ("its beginning may be lost",),
    ]
