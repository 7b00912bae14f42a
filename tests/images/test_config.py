# SPDX-License-Identifier: Apache-2.0
"""Kernel configurations as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.errors import UsageError
from windtunnel.images.config import (
    merge_config,
    normal_form,
    parse_config,
    parse_options,
    unhonoured,
)

SYMBOLS = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
SETTINGS = st.dictionaries(SYMBOLS, st.sampled_from(["y", "n", "m", "32", '"null"']))


def test_a_fragment_has_settings_comments_and_things_that_are_off():
    text = '# why\nCONFIG_NET=y\n\n# CONFIG_WLAN is not set\nCONFIG_CON_CHAN="null"\nNET=n\n'
    assert parse_config(text) == {"NET": "y", "WLAN": "n", "CON_CHAN": '"null"'}


def test_the_last_setting_of_a_symbol_counts():
    assert parse_config("CONFIG_NET=y\nCONFIG_NET=n\n") == {"NET": "n"}


def test_comments_and_order_do_not_change_the_normal_form():
    one = parse_config("# two groups\nCONFIG_B=y\n\n# and why\nCONFIG_A=n\n")
    other = parse_config("# CONFIG_A is not set\nCONFIG_B=y\n")
    assert normal_form(one) == normal_form(other) == ("CONFIG_A=n", "CONFIG_B=y")


@given(SETTINGS)
def test_the_normal_form_can_be_read_back(settings):
    assert parse_config("\n".join(normal_form(settings))) == settings


def test_options_are_taken_with_and_without_their_prefix():
    assert parse_options(["BTRFS_FS=y", "CONFIG_NR_CPUS=4"]) == {"BTRFS_FS": "y", "NR_CPUS": "4"}


@pytest.mark.parametrize("option", ["BTRFS_FS", "=y", "BTRFS_FS=", "-j8=3", "a b=y"])
def test_what_is_no_option_is_named_in_the_error(option):
    with pytest.raises(UsageError) as caught:
        parse_options(["NET=y", option])
    assert caught.value.message == f"{option!r} is not a kernel option"


def test_merging_says_each_symbol_once():
    base = "# Automatically generated\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=3\n"
    merged = merge_config(base, {"B": "y", "C": "4"})
    assert merged == "# Automatically generated\nCONFIG_A=y\nCONFIG_B=y\nCONFIG_C=4\n"


@given(SETTINGS, SETTINGS)
def test_merging_keeps_the_rest_and_takes_what_is_wanted(base, wanted):
    merged = parse_config(merge_config("\n".join(normal_form(base)), wanted))
    assert merged == base | wanted


def test_what_is_lost_is_reported_and_what_is_off_anyway_is_not():
    wanted = {"A": "y", "B": "n", "C": "3", "GONE": "n", "MISSING": "y"}
    final = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=4\n"
    assert unhonoured(wanted, final) == ("CONFIG_C=3", "CONFIG_MISSING=y")
