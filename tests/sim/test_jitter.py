# SPDX-License-Identifier: Apache-2.0
"""The distributions of jitter, against the tables that tc(8) brings along."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from struct import pack

import pytest

from windtunnel.model.impairment import Distribution
from windtunnel.sim.jitter import delay_table


def table_of_iproute2(name):
    """The table as tc(8) reads it; None where iproute2 is not installed."""
    for path in sorted(Path("/usr/lib").glob(f"**/tc/{name}.dist")):
        lines = path.read_text().splitlines()
        return [int(word) for line in lines if not line.startswith("#") for word in line.split()]
    return None


@pytest.mark.parametrize(
    ("distribution", "tolerance"),
    # Theirs is made by stepping along the axis, which costs it less than one unit of 1/8192.
    [(Distribution.NORMAL, 1), (Distribution.PARETO, 0), (Distribution.PARETONORMAL, 1)],
)
def test_a_table_is_that_of_iproute2(distribution, tolerance):
    theirs = table_of_iproute2(distribution.value)
    if theirs is None:
        pytest.skip("iproute2's tables are not installed (package iproute2)")
    ours = delay_table(distribution)
    assert len(ours) == len(theirs) == 4096
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= tolerance


@pytest.mark.parametrize(
    ("distribution", "digest"),
    [
        (Distribution.UNIFORM, "ba8d09e3be861277"),
        (Distribution.NORMAL, "261f0acbbaff2596"),
        (Distribution.PARETO, "bb133e76721f7df4"),
        (Distribution.PARETONORMAL, "5c93226c0aee8e85"),
    ],
)
def test_a_table_is_the_same_on_every_machine(distribution, digest):
    assert sha256(pack("<4096h", *delay_table(distribution))).hexdigest()[:16] == digest


@pytest.mark.parametrize(
    ("distribution", "mean", "deviation"),
    [
        # of values between -1 and 1: deviation 1/sqrt(3)
        (Distribution.UNIFORM, 0.0, 0.5774),
        (Distribution.NORMAL, 0.0, 1.0),
        # X of density 3/x**4 from 1 on, (X - 3/2) * 4/3, cut off at 4 (X at 4.5):
        # the cut X has mean 1.4753 and mean square 2.5556
        (Distribution.PARETO, -0.0329, 0.8209),
    ],
)
def test_mean_and_deviation_are_those_of_the_distribution(distribution, mean, deviation):
    values = [value / 8192 for value in delay_table(distribution)]
    found = sum(values) / len(values)
    spread = (sum((value - found) ** 2 for value in values) / len(values)) ** 0.5
    assert (found, spread) == pytest.approx((mean, deviation), abs=0.002)


@pytest.mark.parametrize("distribution", Distribution)
def test_a_table_ascends_and_fits_into_16_bits(distribution):
    table = delay_table(distribution)
    assert list(table) == sorted(table)
    assert table[0] >= -32768
    assert table[-1] <= 32767
