# SPDX-License-Identifier: Apache-2.0
"""JUnit XML as several test frameworks write it, and what is none."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.errors import ProtocolError
from windtunnel.wire.junit import CASES_MAX, MESSAGE_CHARACTERS_MAX, JUnitCase, parse_junit

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1"
 tests="4" time="1.5" timestamp="2030-01-01T00:00:00" hostname="a">
<testcase classname="test_x.TestX" name="test_ok" time="0.250" />
<testcase classname="test_x" name="test_no[1]" time="1.000000001"
><failure message="assert 1 == 2">def test_no():
&gt;       assert 1 == 2
E       assert 1 == 2</failure></testcase>
<testcase classname="test_x" name="test_fixture" time="0"
><error message="failed on setup with &quot;OSError&quot;">OSError</error></testcase>
<testcase classname="test_x" name="test_later" time="0.000"
><skipped type="pytest.skip" message="not today">test_x.py:9: not today</skipped></testcase>
</testsuite></testsuites>"""


def test_what_pytest_writes_is_read_case_by_case():
    assert parse_junit(PYTEST) == (
        JUnitCase("test_x.TestX::test_ok", 250_000_000, True, False, ""),
        JUnitCase(
            "test_x::test_no[1]",
            1_000_000_001,
            False,
            False,
            "def test_no():\n>       assert 1 == 2\nE       assert 1 == 2",
        ),
        JUnitCase(
            "test_x::test_fixture", 0, False, False, 'failed on setup with "OSError"\nOSError'
        ),
        JUnitCase("test_x::test_later", 0, True, True, "test_x.py:9: not today"),
    )


def test_a_suite_by_itself_suites_in_suites_and_grouped_thousands_are_read():
    text = (
        b'<testsuite><testsuite><testcase name="a" time="1,234.5"/></testsuite>'
        b'<testcase classname="C"/><testcase time="nan"/></testsuite>'
    )
    assert [(case.name, case.took_ns) for case in parse_junit(text)] == [
        ("a", 1_234_500_000_000),
        ("C", 0),
        ("test", 0),
    ]


@pytest.mark.parametrize("time", ["", "-1", "inf", "1e99", "soon", "0x10"])
def test_a_duration_that_is_none_is_nothing(time):
    text = f'<testsuite><testcase name="a" time="{time}"/></testsuite>'
    assert parse_junit(text.encode())[0].took_ns == 0


def test_a_long_message_is_cut():
    text = f'<testsuite><testcase name="a"><failure>{"x" * 9999}</failure></testcase></testsuite>'
    assert parse_junit(text.encode())[0].message == "x" * MESSAGE_CHARACTERS_MAX


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is no XML"),
        (b"<testsuite>", "it is no XML"),
        (b"<html/>", "it is no JUnit XML: it begins with <html>"),
        (b'<?xml version="1.0" encoding="klingon"?><testsuite/>', "it is no XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><testsuite/>', "has a document type"),
        (b"<testsuite>" + b"<testcase/>" * (CASES_MAX + 1) + b"</testsuite>", "more than 10000"),
    ],
)
def test_what_is_no_such_file_is_refused_with_the_reason(data, words):
    with pytest.raises(ProtocolError, match=words):
        parse_junit(data)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_garbage_raises_nothing_but_a_protocol_error(data):
    for text in (data, b"<testsuite>" + data + b"</testsuite>"):
        with suppress(ProtocolError):
            parse_junit(text)
