# SPDX-License-Identifier: Apache-2.0
"""Logs as JSON, as journalctl and dmesg write them."""

from __future__ import annotations

import json

import pytest

from windtunnel.logs.printk import Form, Lost, Record, form_of, parse_log

JOURNAL = {
    "__REALTIME_TIMESTAMP": "1795567870123456",
    "_BOOT_ID": "b1",
    "_TRANSPORT": "kernel",
    "PRIORITY": "4",
    "SYSLOG_FACILITY": "0",
    "_SOURCE_MONOTONIC_TIMESTAMP": "12345678901",
    "MESSAGE": "a",
}
WHEN = "2026-11-25T00:51:10.123456+00:00"
RECORD = Record("a", None, 12_345_678_901, 4, when=WHEN)


def lines(*objects):
    return "".join(json.dumps(one) + "\n" for one in objects).encode()


def test_an_object_of_the_journal_is_a_record():
    data = lines(JOURNAL)
    assert form_of(data) is Form.JOURNAL
    assert list(parse_log([data])) == [RECORD]


def test_programs_other_boots_and_bytes_are_told_apart():
    program = {"SYSLOG_IDENTIFIER": "sshd", "_PID": "12", "MESSAGE": "x\ny", "_BOOT_ID": "b1"}
    data = lines(JOURNAL, program, {**JOURNAL, "_BOOT_ID": "b2", "MESSAGE": [27, 97, 255]})
    first, other, gap, last = parse_log([data])
    assert first == RECORD
    assert other == Record("sshd[12]: x\ny", is_kernel=False)
    assert gap == Lost(None, "another boot")
    assert last.text == "\\x1ba\\xff"


@pytest.mark.parametrize("cut", ['{"MESSAGE": "a', "[1]", "{" * 5_000, '{"MESSAGE": 1e999, "a": '])
def test_a_line_that_is_no_object_stays_as_it_is(cut):
    first, last = parse_log([lines(JOURNAL), cut.encode()])
    assert (first, last.is_kernel, last.lacks) == (RECORD, False, "the log ends within it")
    assert last.text == cut


DMESG = """{
   "dmesg": [
      {
         "pri": 4,
         "time":     0.000001,
         "msg": "a"
      },{
         "pri": 30,
         "time": 12345.678901,
         "caller": "T7",
         "msg": " b"
      }
   ]
}
"""


def test_the_object_of_dmesg_is_its_records():
    assert form_of(DMESG.encode()) is Form.DMESG
    found = [Record("a", None, 1, 4), Record(" b", None, 12_345_678_901, 30, "T7")]
    for size in (1, 7, 10_000):
        data = DMESG.encode()
        assert list(parse_log([data[at : at + size] for at in range(0, len(data), size)])) == found
    assert list(parse_log([DMESG.encode()[:-60]])) == [
        found[0],
        Lost(None, "the log ends within it"),
    ]


@pytest.mark.parametrize("time", ["Infinity", "NaN", "-1.0", "1e300", '"x"', "null"])
def test_a_time_that_is_none_is_left_out(time):
    (record,) = parse_log([f'{{"dmesg": [{{"time": {time}, "msg": null}}]}}'.encode()])
    assert record == Record("")
