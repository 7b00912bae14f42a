# SPDX-License-Identifier: Apache-2.0
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.errors import LabFileError
from windtunnel.model import units
from windtunnel.model.clock import clock_text, parse_clock


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("10 ms", 10_000_000),
        ("1.5 s", 1_500_000_000),
        ("2 min", 120_000_000_000),
        ("1 h", 3_600_000_000_000),
        ("250 us", 250_000),
        ("250 µs", 250_000),
        ("40 ns", 40),
        ("10ms", 10_000_000),
        ("1 h 30 min", 5_400_000_000_000),
        ("0.000000001 s", 1),
        ("0 s", 0),
    ],
)
def test_a_duration_is_exact_nanoseconds(text, duration_ns):
    assert units.parse_duration(text) == duration_ns


@pytest.mark.parametrize(
    ("text", "rate_bps"),
    [
        ("100 Mbit", 100_000_000),
        ("1 Gbit", 1_000_000_000),
        ("56 kbit", 56_000),
        ("100 mbit", 100_000_000),
        ("1 Mbit/s", 1_000_000),
        ("10 MB/s", 80_000_000),
        ("1.5 Mbit", 1_500_000),
        ("1 Kibit", 1024),
    ],
)
def test_a_rate_is_bits_a_second(text, rate_bps):
    assert units.parse_rate(text) == rate_bps


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("64 MB", 64_000_000), ("1 GiB", 1 << 30), ("512 B", 512)]
)
def test_a_size_is_bytes(text, size_bytes):
    assert units.parse_size(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "share"), [("5%", 0.05), ("0.1 %", 0.001), ("100%", 1.0), ("0%", 0.0)]
)
def test_a_share_is_a_part_of_one(text, share):
    assert units.parse_share(text) == share


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (units.parse_duration, "10", "the duration '10' has no unit\n  write for example '10 ms'"),
        (units.parse_duration, "-5 s", "the duration '-5 s' is negative"),
        (units.parse_duration, "10 mz", "unknown unit 'mz' in the duration '10 mz'"),
        (units.parse_duration, "0.1 ns", "the duration '0.1 ns' is finer than a nanosecond"),
        (units.parse_duration, "900000 h", "the duration '900000 h' is more than 100 years"),
        (units.parse_duration, "5 s 1 h", "does not go from large units to small ones"),
        (units.parse_duration, "soon", "'soon' is not a duration"),
        (units.parse_duration, "", "'' is not a duration"),
        (units.parse_duration, "1" * 99, "is too long for a duration"),
        (units.parse_rate, "100", "the rate '100' has no unit\n  write for example '100 Mbit'"),
        (units.parse_rate, "100 Mbps", "write 'Mbit' for bits a second, or 'MB/s' for bytes"),
        (units.parse_rate, "0 Mbit", "the rate '0 Mbit' is zero: nothing would ever pass"),
        (units.parse_rate, "99 Tbit", "the rate '99 Tbit' is more than 10 Tbit"),
        (units.parse_rate, "0.5 bit", "the rate '0.5 bit' is finer than a bit a second"),
        (units.parse_rate, "1 Mbit 2 kbit", "has more than one unit"),
        (units.parse_size, "64", "the size '64' has no unit\n  write for example '64 MiB'"),
        (units.parse_size, "99999 TiB", "the size '99999 TiB' is more than 1024 TiB"),
        (units.parse_share, "0.05", "has no percent sign\n  write '0.05%' or '5%'"),
        (units.parse_share, "101%", "the share '101%' is more than 100%"),
        (units.parse_share, "some", "'some' is not a share"),
        (parse_clock, "2030", "'2030' is not a point in time"),
        (parse_clock, "2030-02-30", "'2030-02-30' is not a point in time: day is out of range"),
        (parse_clock, "1960-01-01", "the year of '1960-01-01' is not 1970 to 2160"),
    ],
)
def test_a_wrong_quantity_says_how_to_write_it(parse, text, message):
    with pytest.raises(LabFileError) as caught:
        parse(text)
    assert message in str(caught.value)


@given(st.integers(0, units.DURATION_NS_MAX))
def test_a_duration_written_and_read_is_the_same(duration_ns):
    assert units.parse_duration(units.duration_text(duration_ns)) == duration_ns


@given(st.integers(1, units.RATE_BPS_MAX))
def test_a_rate_written_and_read_is_the_same(rate_bps):
    assert units.parse_rate(units.rate_text(rate_bps)) == rate_bps


@given(st.integers(0, units.SIZE_BYTES_MAX))
def test_a_size_written_and_read_is_the_same(size_bytes):
    assert units.parse_size(units.size_text(size_bytes)) == size_bytes


@given(st.floats(1e-12, 1.0))
def test_a_share_written_and_read_is_the_same(share):
    assert units.parse_share(units.share_text(share)) == share


@given(st.integers(0, 6_000_000_000 * 10**9))
def test_a_clock_written_and_read_is_the_same(clock_ns):
    assert parse_clock(clock_text(clock_ns)) == clock_ns


@given(st.text(max_size=20))
def test_any_text_is_a_quantity_or_a_lab_file_error(text):
    for parse in (units.parse_duration, units.parse_rate, units.parse_size, units.parse_share):
        try:
            assert parse(text) >= 0
        except LabFileError as error:
            assert error.message != ""


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (40, "40 ns"),
        (250_000, "250.000 us"),
        (20_000_000, "20.000 ms"),
        (1_500_000_000, "1.500 s"),
        (65_000_000_000, "1 min 05 s"),
        (3_620_000_000_000, "1 h 00 min 20 s"),
        (-1_500_000_000, "-1.500 s"),
    ],
)
def test_people_read_durations_in_the_unit_that_fits(duration_ns, text):
    assert units.format_duration(duration_ns) == text


def test_a_clock_may_have_nine_digits_of_fraction():
    assert parse_clock("2030-01-01T00:00:00.123456789Z") == 1_893_456_000_123_456_789


@pytest.mark.parametrize(
    ("text", "expected"),
    [("+5 s", 5_000_000_000), (" - 1 h 30 min", -5_400_000_000_000), ("+0 s", 0)],
)
def test_a_shift_is_read_with_its_direction(text, expected):
    assert units.parse_shift(text) == expected


@given(st.integers(-units.DURATION_NS_MAX, units.DURATION_NS_MAX))
def test_a_shift_is_read_as_it_is_written(shift_ns):
    assert units.parse_shift(units.shift_text(shift_ns)) == shift_ns


@pytest.mark.parametrize(
    ("text", "expected"), [("200 ppm", 200), ("-50ppm", -50), ("+1 ppm", 1), ("0 ppm", 0)]
)
def test_a_drift_is_read_in_parts_in_a_million(text, expected):
    assert units.parse_drift(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6/min", 10_000_000_000),
        ("0.5 / s", 2_000_000_000),
        ("1/10 s", 10_000_000_000),
        ("7/h", 514_285_714_285),
        ("1/ns", 1),
    ],
)
def test_a_frequency_is_read_as_the_time_between_two(text, expected):
    assert units.parse_frequency(text) == expected


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (units.parse_shift, "5 s", "'5 s' does not say in which direction"),
        (units.parse_shift, "+5", "the duration '5' has no unit"),
        (units.parse_drift, "1.5 ppm", "'1.5 ppm' is not a drift"),
        (units.parse_drift, "5 %", "'5 %' is not a drift"),
        (units.parse_frequency, "6", "'6' is not a frequency"),
        (units.parse_frequency, "6/mn", "unknown unit 'mn'"),
        (units.parse_frequency, "0/s", "'0/s' is never"),
        (units.parse_frequency, "2/ns", "'2/ns' is more than once in a nanosecond"),
        (units.parse_frequency, "1" * 65 + "/s", "is not a frequency"),
    ],
)
def test_a_shift_drift_or_frequency_that_is_none_is_an_error(parse, text, message):
    with pytest.raises(LabFileError, match=re.escape(message)):
        parse(text)
