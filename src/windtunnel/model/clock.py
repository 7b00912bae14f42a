# SPDX-License-Identifier: Apache-2.0
"""Points in wall-clock time as people write them, in integer nanoseconds.

Python's datetime ends at microseconds, so the fraction is handled apart.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from windtunnel.errors import LabFileError

ZERO_NS = 10_000_000_000
"""A kernel's time at lab time zero, unless setting up the lab took longer: `ping` takes
a clock near zero for "not set"."""

_CLOCK = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?[Zz]?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A kernel's clock (ktime_t) ends in 2262; a century of lab time must fit before.
_YEARS = range(1970, 2161)


def parse_clock(text: str) -> int:
    """Read "2030-01-01T00:00:00Z" (UTC; the time of day may be left out).

    Returns:
        Nanoseconds since 1970 UTC.

    Raises:
        LabFileError: no such point in time, or outside of 1970 to 2160.
    """
    match = _CLOCK.fullmatch(text.strip())
    hint = "write it in UTC, like '2030-01-01T00:00:00Z'"
    if match is None:
        raise LabFileError(f"{text!r} is not a point in time", hint=hint)
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    if year not in _YEARS:
        raise LabFileError(f"the year of {text!r} is not 1970 to 2160", hint=hint)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise LabFileError(f"{text!r} is not a point in time: {error}", hint=hint) from error
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    return seconds * 1_000_000_000 + int((match.group(7) or "").ljust(9, "0"))


def clock_text(clock_ns: int) -> str:
    """Write nanoseconds since 1970 exactly, as `parse_clock` reads it."""
    seconds, rest = divmod(clock_ns, 1_000_000_000)
    moment = _EPOCH + timedelta(seconds=seconds)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
