# SPDX-License-Identifier: Apache-2.0
"""Lines of consoles by hand, after info_print_prefix(), dmesg(1) and syslog."""

from __future__ import annotations

import pytest

from windtunnel.logs.printk import ConsoleParser, Lost, Record, Replay
from windtunnel.logs.printk.prefix import Prefix, caller_of, parse_prefix


def parse(text):
    parser = ConsoleParser()
    return parser.feed(text.encode()) + parser.finish()


@pytest.mark.parametrize(
    ("line", "prefix"),
    [
        ("[    0.000000] x", Prefix(15, None, 0, "")),
        ("[12345.678901][T12345] x", Prefix(23, None, 12345678901, "T12345")),
        ("<6>[    1.000000][    C0] x", Prefix(26, 6, 1_000_000, "C0")),
        ("[    T7] x", Prefix(9, None, None, "T7")),
        ("<30>x", Prefix(4, 30, None, "")),
        ("[    1.000000]", Prefix(14, None, 1_000_000, "")),
        ("[1.5] x", None),
        ("x", None),
        ("", None),
    ],
)
def test_a_prefix_may_lack_any_part(line, prefix):
    assert parse_prefix(line) == prefix


@pytest.mark.parametrize(
    ("line", "owner", "text"),
    [
        ("[    1.000000][    T1] a", "T1", "a"),
        ("[    1.000000] a", "", "a"),
        ("db1 login: [    1.000000][    T1] a", "T1", "a"),
        ("** 3 printk messages dropped ** [    1.000000] a", "", "a"),
        ("a [b] c", None, "a [b] c"),
        ("x login: [123.4] y", None, "x login: [123.4] y"),
        ("a", None, "a"),
    ],
)
def test_the_owner_of_a_line_is_found_behind_what_others_printed(line, owner, text):
    assert caller_of(line) == (owner, text)


@pytest.mark.parametrize(
    ("line", "record"),
    [
        ("[    1.000000][    T1]  a", Record(" a", None, 1_000_000, None, "T1")),
        (
            "Nov 26 00:44:10 host kernel: [    2.000000] a",
            Record("a", None, 2_000_000, when="Nov 26 00:44:10"),
        ),
        ("<4>Nov  6 00:44:10 host kernel: a", Record("a", None, None, 4, when="Nov  6 00:44:10")),
        (
            "2026-11-26T00:44:10.123+00:00 host kernel[1]: a",
            Record("a", when="2026-11-26T00:44:10.123+00:00"),
        ),
        ("kern  :warn  : [    2.000000] a", Record("a", None, 2_000_000, 4)),
        ("daemon:info  : a", Record("a", None, None, 30)),
        ("[Thu Nov 26 00:44:10 2026] a", Record("a", when="Thu Nov 26 00:44:10 2026")),
        (
            "Nov 26 00:44:10 host sshd[7]: a",
            Record("Nov 26 00:44:10 host sshd[7]: a", is_kernel=False),
        ),
    ],
)
def test_what_daemons_and_dmesg_put_before_is_understood(line, record):
    assert parse(line + "\n") == [record]


def test_a_line_in_a_line_is_taken_out():
    assert parse("starting[    1.000000] a\n<5>[    2.000000] b <6>[    3.000000] c\n") == [
        Record("starting", is_kernel=False),
        Record("a", None, 1_000_000, cut_in=True),
        Record("b ", None, 2_000_000, 5),
        Record("c", None, 3_000_000, 6, cut_in=True),
    ]


def test_losses_and_replays_are_told():
    assert parse("** 1 printk messages dropped **\n") == [Lost(1, "the console dropped 1 record")]
    assert parse("** 7 printk messages dropped ** [    1.000000] a\n") == [
        Lost(7, "the console dropped 7 records"), Record("a", None, 1_000_000),
    ]  # fmt: skip
    assert parse("half** 7 printk messages dropped **\n")[0] == Record("half", is_kernel=False)
    assert parse("half** replaying previous printk message **\n") == [
        Record("half", is_kernel=False), Replay(),
    ]  # fmt: skip
    assert parse("** replaying previous printk message **x\n") == [
        Replay(), Record("x", is_kernel=False),
    ]  # fmt: skip


def test_time_that_goes_back_is_another_boot_or_a_replay():
    back = Lost(None, "time goes back: another boot, or the log again from its beginning")
    assert [type(item) for item in parse("[    9.000000] a\n[    8.500000] b\n")] == [Record] * 2
    assert parse("[    9.000000] a\n[    7.000000] b\n")[1] == back
    assert parse("[    0.100000] a\n[    0.000000] Linux version 6\n")[1] == back


def test_the_last_line_without_its_newline_is_not_whole():
    assert [item.lacks for item in parse("a\nb")] == ["", "the log ends within it"]
    assert parse("a\n** 1 printk messages dropped **")[-1].count == 1
    assert parse("") == []
