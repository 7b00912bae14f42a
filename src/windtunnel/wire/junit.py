# SPDX-License-Identifier: Apache-2.0
"""Test results of programs in a guest: JUnit XML, as pytest and many others write it.

Source: no standard exists; the schema of Jenkins' xunit plugin, and what pytest,
gtest, Surefire, ctest and `go-junit-report` write.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from windtunnel.errors import ProtocolError

CASES_MAX = 10_000
"""More test cases than any suite has that is run as one command."""

MESSAGE_CHARACTERS_MAX = 4000
"""What people read of one failure; the whole file stays in the guest."""

DURATION_MAX_S = 10**9
"""Longer than any lab; what claims more is not a duration."""

_FAILED = ("failure", "error")


@dataclass(frozen=True, slots=True)
class JUnitCase:
    """One test case.

    Attributes:
        name: "class::name", or its name alone.
        took_ns: how long it says that it took; 0 when it does not.
        passed: False after a failure or an error.
        skipped: whether it was not run.
        message: of the failure, error or skip; may have many lines.
    """

    name: str
    took_ns: int
    passed: bool
    skipped: bool
    message: str


def parse_junit(data: bytes) -> tuple[JUnitCase, ...]:
    """Read a file of JUnit XML.

    Args:
        data: from a guest, so it may be anything. Expat fetches nothing from outside
            and limits what entities may grow to; a document that declares any is
            refused all the same, since no test framework does.

    Raises:
        ProtocolError: it is no such file, or has more than `CASES_MAX` cases.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ProtocolError("the JUnit XML has a document type, which no test framework writes")
    try:
        root = ET.fromstring(data)  # noqa: S314 - as above
    except (ET.ParseError, ValueError, LookupError) as error:
        raise ProtocolError(f"it is no XML: {error}") from error
    if root.tag not in ("testsuites", "testsuite"):
        raise ProtocolError(f"it is no JUnit XML: it begins with <{root.tag[:80]}>")
    found: list[JUnitCase] = []
    for case in root.iter("testcase"):
        if len(found) == CASES_MAX:
            raise ProtocolError(f"the JUnit XML has more than {CASES_MAX} test cases")
        found.append(_case(case))
    return tuple(found)


def _case(case: ET.Element) -> JUnitCase:
    parts = [case.get("classname", ""), case.get("name", "")]
    bad = next((child for child in case if child.tag in _FAILED), None)
    skipped = case.find("skipped")
    said = skipped if bad is None else bad
    return JUnitCase(
        name="::".join(part for part in parts if part) or "test",
        took_ns=_duration_ns(case.get("time", "")),
        passed=bad is None,
        skipped=bad is None and skipped is not None,
        message="" if said is None else _message(said),
    )


def _message(said: ET.Element) -> str:
    # The text often begins with the message, and has the traceback.
    message, text = said.get("message", "").strip(), (said.text or "").strip()
    whole = text if message in text else f"{message}\n{text}".strip()
    return whole[:MESSAGE_CHARACTERS_MAX]


def _duration_ns(text: str) -> int:
    try:
        seconds = Decimal(text.replace(",", ""))  # Surefire groups thousands
    except InvalidOperation:
        return 0
    if not seconds.is_finite() or not 0 <= seconds <= DURATION_MAX_S:
        return 0
    return int(seconds * 10**9)
