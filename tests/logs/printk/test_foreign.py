# SPDX-License-Identifier: Apache-2.0
"""What other programs put before the kernel's text, after RFC 3164 and 5424 and by hand
after journalctl, dmesg, ts, minicom and build servers."""

from __future__ import annotations

import pytest

from windtunnel.logs.printk import ConsoleParser, Line, Lost, Record, parse_log, reassemble


def parse(text):
    parser = ConsoleParser()
    return parser.feed(text.encode()) + parser.finish()


@pytest.mark.parametrize(
    ("line", "record"),
    [
        ("Nov  6 00:44:10 web1 kernel: a", Record("a", when="Nov  6 00:44:10")),
        ("Nov 26 00:44:10 kernel: a", Record("a", when="Nov 26 00:44:10")),
        ("2026-11-26T00:44:10+0000 web1 kernel: a", Record("a", when="2026-11-26T00:44:10+0000")),
        (
            "Thu 2026-11-26 00:44:10 UTC web1 kernel: a",
            Record("a", when="Thu 2026-11-26 00:44:10 UTC"),
        ),
        ("1795567870.123456 web1 kernel: a", Record("a", when="1795567870.123456")),
        ("[12345.678901] web1 kernel: a", Record("a", None, 12_345_678_901)),
        ("[12345.678901 <    0.000010 >] web1 kernel: a", Record("a", None, 12_345_678_901)),
        ("[   12.678901 <    0.000010>]  a", Record(" a", None, 12_678_901)),
        ("[<    0.000010>] a", Record("a")),
        ("[Nov26 00:44] a", Record("a", when="Nov26 00:44")),
        ("[  +0.000010]  a", Record(" a", when="+0.000010")),
        (
            "2026-11-26T00:44:10,123456+00:00 a",
            Record("a", when="2026-11-26T00:44:10,123456+00:00"),
        ),
        (
            "kern  :warn  : [Thu Nov 26 00:44:10 2026] [    T7] a",
            Record("a", None, None, 4, "T7", when="Thu Nov 26 00:44:10 2026"),
        ),
        ("[    2.000000] [    T7] a", Record("a", None, 2_000_000, None, "T7")),
        (
            '<4>1 2026-11-26T00:44:10.1Z web1 kernel - - [x y="z"] \ufeffa',
            Record("a", None, None, 4, when="2026-11-26T00:44:10.1Z"),
        ),
        (
            "2026-11-26 00:44:10  [    2.000000][    T7]  a",
            Record(" a", None, 2_000_000, None, "T7", when="2026-11-26 00:44:10"),
        ),
        (
            "[2026-11-26 00:44:10.123] <4>[    2.000000] a",
            Record("a", None, 2_000_000, 4, when="2026-11-26 00:44:10.123"),
        ),
        (
            "2026-11-26T00:44:10.1234567Z \x1b[32m[    2.000000] \x1b[0m\x1b[1;31ma\x1b[0m",
            Record("a", None, 2_000_000, when="2026-11-26T00:44:10.1234567Z"),
        ),
        ("> > [    2.000000] a", Record("a", None, 2_000_000)),
        ("    [    2.000000]  a", Record(" a", None, 2_000_000)),
        ("\x1b]0;title\x07\x1b[2J\x1b(B[    2.000000] a", Record("a", None, 2_000_000)),
    ],
)
def test_what_others_put_before_a_line_is_no_part_of_it(line, record):
    assert parse(line + "\n") == [record]


@pytest.mark.parametrize(
    "line",
    [
        "Nov 26 00:44:10 web1 sshd[12]: a",
        "2026-11-26 00:44:10 a",
        "2026-11-26T00:44:10 a",
        "> a",
        "    a",
        "[OK] a kernel: b",
        "a kernel: b",
    ],
)
def test_what_is_no_line_of_a_kernel_stays_as_it_is(line):
    assert parse(line + "\n") == [Record(line, is_kernel=False)]


def test_journalctl_tells_of_another_boot():
    for between in ("-- Boot 4f5c9a1d2b3c4d5e6f708192a3b4c5d6 --", "-- Reboot --"):
        items = parse(f"Nov 26 00:44:10 h kernel: a\n{between}\nNov 26 00:53:10 h kernel: b\n")
        assert [type(item) for item in items] == [Record, Lost, Record]


def test_pieces_are_joined_behind_foreign_prefixes_as_well():
    text = (
        "> [    1.000000][    T7] a (b\n> [    1.000001][    T8] c\n> [    1.000002][    T7]  d)\n"
    )
    lines = [one.text for one in reassemble(parse_log([text.encode()])) if isinstance(one, Line)]
    assert lines == ["a (b d)", "c"]


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_mark_of_the_byte_order_is_understood(coding, size):
    text = "[    1.000000] Grüße\r\n[    2.000000] a\r\n"
    data = ("\ufeff" + text if coding == "utf-16-be" else text).encode(coding)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert list(parse_log(pieces)) == [
        Record("Grüße", micros=1_000_000),
        Record("a", micros=2_000_000),
    ]
