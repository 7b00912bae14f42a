# SPDX-License-Identifier: Apache-2.0
"""Quantities as people write them: "10 ms", "100 Mbit", "1 GiB", "5 %".

Text becomes an exact integer (nanoseconds, bits a second, bytes) or a share
from 0 to 1. Arithmetic is in fractions, so nothing is rounded on the way. A
number without a unit is an error: guessing is how a lab waits 10 hours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from windtunnel.errors import LabFileError

DURATION_NS: Mapping[str, int] = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
RATE_BPS: Mapping[str, int] = {
    "bit": 1,
    "kbit": 10**3,
    "Mbit": 10**6,
    "Gbit": 10**9,
    "Tbit": 10**12,
    "Kibit": 1 << 10,
    "Mibit": 1 << 20,
    "Gibit": 1 << 30,
    "B/s": 8,
    "kB/s": 8 * 10**3,
    "MB/s": 8 * 10**6,
    "GB/s": 8 * 10**9,
}
SIZE_BYTES: Mapping[str, int] = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}

# A kernel's clock holds 292 years from 1970 (ktime_t); a century of lab time
# after 2030 is well inside, and more is a slip of the unit.
DURATION_NS_MAX = 100 * 365 * DURATION_NS["d"]
# The fastest interface that Linux names is 800 Gbit; ten times that is a slip.
RATE_BPS_MAX = 10 * RATE_BPS["Tbit"]
# Nothing in a lab is larger than a petabyte.
SIZE_BYTES_MAX = 1 << 50
# Longer text is not a quantity; the limit keeps Fraction from huge exponents.
TEXT_LENGTH_MAX = 64

_NUMBER = r"\d+(?:\.\d+)?|\.\d+"
_PART = re.compile(rf"({_NUMBER})\s*([A-Za-zµ/]+)\s*")
_BARE = re.compile(rf"(?:{_NUMBER})\s*")
_DRIFT = re.compile(r"([+-]?\d{1,9})\s*ppm")
_FREQUENCY = re.compile(rf"({_NUMBER})\s*/\s*(.+)")
_SHARE = re.compile(rf"({_NUMBER})\s*%")


def parse_duration(text: str) -> int:
    """Read a duration, "1.5 s" or "1 h 30 min".

    Returns:
        Nanoseconds, 0 to `DURATION_NS_MAX`.

    Raises:
        LabFileError: no number with a unit of time, negative, finer than a
            nanosecond, or more than a century.
    """
    parts = _split(text, "duration", DURATION_NS, example="ms")
    total = sum((number * DURATION_NS[unit] for number, unit in parts), start=Fraction(0))
    scales = [DURATION_NS[unit] for _, unit in parts]
    if any(left <= right for left, right in pairwise(scales)):
        raise LabFileError(
            f"the duration {text!r} does not go from large units to small ones",
            hint="write it like '1 h 30 min'",
        )
    return _whole(text, total, "duration", limit=DURATION_NS_MAX, limit_text="100 years")


def parse_rate(text: str) -> int:
    """Read a rate, "100 Mbit" (bits, as `tc` writes it) or "10 MB/s".

    Returns:
        Bits a second, 1 to `RATE_BPS_MAX`.

    Raises:
        LabFileError: no number with a unit of rate, zero, or absurdly fast.
    """
    number, unit = _single(text, "rate", RATE_BPS, example="Mbit")
    value = _whole(text, number * RATE_BPS[unit], "rate", limit=RATE_BPS_MAX, limit_text="10 Tbit")
    if value == 0:
        raise LabFileError(
            f"the rate {text!r} is zero: nothing would ever pass",
            hint="take the link down instead, or leave the rate out for no limit",
        )
    return value


def parse_size(text: str) -> int:
    """Read a size, "64 MB" or "1 GiB".

    Returns:
        Bytes, 0 to `SIZE_BYTES_MAX`.

    Raises:
        LabFileError: no number with a unit of size, or absurdly large.
    """
    number, unit = _single(text, "size", SIZE_BYTES, example="MiB")
    return _whole(
        text, number * SIZE_BYTES[unit], "size", limit=SIZE_BYTES_MAX, limit_text="1024 TiB"
    )


def parse_share(text: str) -> float:
    """Read a share, "5%" or "0.1 %".

    Returns:
        0.0 to 1.0.

    Raises:
        LabFileError: no percentage, or outside of 0 % to 100 %.
    """
    stripped = _checked_text(text, "share")
    match = _SHARE.fullmatch(stripped)
    if match is None:
        if _BARE.fullmatch(stripped):
            hint = f"write '{stripped}%'"
            if Fraction(stripped) < 1:
                hint += f" or '{_plain(Decimal(stripped) * 100)}%'"
            raise LabFileError(f"the share {text!r} has no percent sign", hint=hint)
        raise LabFileError(f"{text!r} is not a share", hint="write it like '5%' or '0.1 %'")
    percent = Fraction(match.group(1))
    if percent > 100:
        raise LabFileError(f"the share {text!r} is more than 100%", hint="shares are 0% to 100%")
    return float(percent / 100)


def parse_shift(text: str) -> int:
    """Read how far a clock is set forward or back, "+5 s" or "-1 s".

    Returns:
        Nanoseconds, negative for back.

    Raises:
        LabFileError: no sign, or no duration behind it.
    """
    stripped = text.strip()
    if not stripped.startswith(("+", "-")):
        raise LabFileError(
            f"{text!r} does not say in which direction",
            hint=f"write '+{stripped}' for forward or '-{stripped}' for back",
        )
    shift = parse_duration(stripped[1:])
    return -shift if stripped.startswith("-") else shift


def parse_drift(text: str) -> int:
    """Read a drift in parts in a million, "200 ppm" or "-50 ppm".

    Raises:
        LabFileError: no whole number with the unit ppm.
    """
    match = _DRIFT.fullmatch(text.strip())
    if match is None:
        raise LabFileError(
            f"{text!r} is not a drift",
            hint="write a whole number of parts in a million: '200 ppm' is too fast by 17 s a day",
        )
    return int(match.group(1))


def parse_frequency(text: str) -> int:
    """Read how often something happens, "6/min" or "1/10 s".

    Returns:
        Nanoseconds between two, rounded down; 1 or more.

    Raises:
        LabFileError: no number, slash and time; or never, or more often than
            once in a nanosecond.
    """
    match = _FREQUENCY.fullmatch(text.strip()) if len(text) <= TEXT_LENGTH_MAX else None
    if match is None:
        raise LabFileError(f"{text!r} is not a frequency", hint="write it like '6/min'")
    times, per = Fraction(match.group(1)), match.group(2)
    period_ns = parse_duration(per if per[0] in ".0123456789" else f"1 {per}")
    if times == 0 or period_ns < times:
        raise LabFileError(
            f"{text!r} is never" if times == 0 else f"{text!r} is more than once in a nanosecond",
            hint="write it like '6/min'",
        )
    return int(period_ns / times)


def format_duration(duration_ns: int) -> str:
    """Write a duration for people, rounded down: "1 h 00 min 20 s", "20.000 ms"."""
    if duration_ns < 0:
        return "-" + format_duration(-duration_ns)
    if duration_ns < 1_000:
        return f"{duration_ns} ns"
    for unit, below in (("us", "ms"), ("ms", "s"), ("s", "min")):
        if duration_ns < DURATION_NS[below]:
            whole, rest = divmod(duration_ns, DURATION_NS[unit])
            return f"{whole}.{rest * 1000 // DURATION_NS[unit]:03d} {unit}"
    seconds = duration_ns // DURATION_NS["s"]
    minutes, second = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {second:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min {second:02d} s"


def duration_text(duration_ns: int) -> str:
    """Write a duration exactly, in its largest whole unit: "90 s", "1500 us"."""
    return _exact(duration_ns, DURATION_NS, zero="s")


def shift_text(shift_ns: int) -> str:
    """Write exactly how far a clock is set: "+5 s"."""
    return f"{'-' if shift_ns < 0 else '+'}{duration_text(abs(shift_ns))}"


def rate_text(rate_bps: int) -> str:
    """Write a rate exactly: "100 Mbit"."""
    bits = {unit: scale for unit, scale in RATE_BPS.items() if unit.endswith("bit")}
    return _exact(rate_bps, bits, zero="bit")


def size_text(size_bytes: int) -> str:
    """Write a size exactly: "1 GiB"."""
    return _exact(size_bytes, SIZE_BYTES, zero="B")


def share_text(share: float) -> str:
    """Write a share exactly: "0.1%"."""
    return f"{_plain(Decimal(repr(float(share))) * 100)}%"


# The text without outer space; an error for what cannot be a quantity at all.
def _checked_text(text: str, what: str) -> str:
    stripped = text.strip()
    if len(stripped) > TEXT_LENGTH_MAX:
        raise LabFileError(f"{stripped[:20]!r}… is too long for a {what}")
    if stripped.startswith("-"):
        raise LabFileError(f"the {what} {text!r} is negative", hint=f"a {what} is 0 or more")
    return stripped


def _split(
    text: str, what: str, units: Mapping[str, int], *, example: str
) -> list[tuple[Fraction, str]]:
    stripped = _checked_text(text, what)
    if _BARE.fullmatch(stripped):
        raise LabFileError(
            f"the {what} {text!r} has no unit",
            hint=f"write for example '{stripped} {example}'; the units are {', '.join(units)}",
        )
    position = 0
    parts = []
    while match := _PART.match(stripped, position):
        parts.append((Fraction(match.group(1)), _unit(match.group(2), text, what, units)))
        position = match.end()
    if not parts or position != len(stripped):
        raise LabFileError(
            f"{text!r} is not a {what}",
            hint=f"write it like '10 {example}'; the units are {', '.join(units)}",
        )
    return parts


def _single(
    text: str, what: str, units: Mapping[str, int], *, example: str
) -> tuple[Fraction, str]:
    parts = _split(text, what, units, example=example)
    if len(parts) > 1:
        raise LabFileError(f"the {what} {text!r} has more than one unit", hint="use one")
    return parts[0]


# The unit with its right capitals. "mbit" is taken for "Mbit"; "Mbps" is an
# error, because tc means bytes by it and everybody else means bits.
def _unit(word: str, text: str, what: str, units: Mapping[str, int]) -> str:
    if word in units:
        return word
    wanted = word.lower()
    bit_word = wanted.removesuffix("/s")
    for unit in units:
        if unit.lower() == wanted or (unit.endswith("bit") and unit.lower() == bit_word):
            return unit
    hint = f"the units of a {what} are {', '.join(units)}"
    if wanted.endswith("bps") and "bit" in units:
        prefix = wanted[0].replace("m", "M").replace("g", "G") if wanted != "bps" else ""
        hint = f"write '{prefix}bit' for bits a second, or '{prefix}B/s' for bytes a second"
    raise LabFileError(f"unknown unit {word!r} in the {what} {text!r}", hint=hint)


def _whole(text: str, value: Fraction, what: str, *, limit: int, limit_text: str) -> int:
    if value.denominator != 1:
        smallest = {"duration": "a nanosecond", "rate": "a bit a second", "size": "a byte"}[what]
        raise LabFileError(
            f"the {what} {text!r} is finer than {smallest}", hint=f"round it to {smallest}"
        )
    if value > limit:
        raise LabFileError(
            f"the {what} {text!r} is more than {limit_text}", hint="is the unit right?"
        )
    return int(value)


def _exact(value: int, units: Mapping[str, int], *, zero: str) -> str:
    if value == 0:
        return f"0 {zero}"
    unit = max((unit for unit in units if value % units[unit] == 0), key=lambda unit: units[unit])
    return f"{value // units[unit]} {unit}"


# A decimal without exponent and without trailing zeros.
def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
