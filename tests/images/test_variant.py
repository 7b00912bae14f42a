# SPDX-License-Identifier: Apache-2.0
"""Special kernels: what may be asked for, and that ordinary ones stay what they are."""

import pytest

from windtunnel.errors import UsageError
from windtunnel.images.kernels import find_kernel, find_variant, load_recipe
from windtunnel.images.variant import ORDINARY, Sanitizer, check_paths, near_paths, parse_variant


def test_paths_are_sorted_and_none_is_below_another():
    variant = parse_variant(["net/ipv4/tcp.c", "net/ipv4/", "./kernel/time/hrtimer.c", "net/ipv4"])
    assert variant.coverage == ("kernel/time/hrtimer.c", "net/ipv4")
    assert variant.make_words() == ["GCOV_OBJECTS=kernel/time/hrtimer.o net/ipv4/%"]
    assert variant.covers("net/ipv4/netfilter/nf_nat_h323.c")
    assert not variant.covers("net/ipv4x/tcp.c")
    assert not variant.covers("kernel/time/hrtimer.ch")


def test_sanitizers_are_sorted_and_said_as_options():
    variant = parse_variant((), ["ubsan", "kasan", "ubsan"])
    assert variant.sanitizers == (Sanitizer.KASAN, Sanitizer.UBSAN)
    assert variant.describe() == "--sanitize kasan --sanitize ubsan"
    assert variant.make_words() == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/usr/src/net", "no path in a kernel's source"),
        ("net/../kernel", "no path in a kernel's source"),
        ("net/ipv4 net/ipv6", "no path in a kernel's source"),
        ("net/%", "no path in a kernel's source"),
        ("$(shell id)", "no path in a kernel's source"),
        ("", "no path in a kernel's source"),
        (".", "the whole kernel"),
        ("include/net/tcp.h", "only C files"),
    ],
)
def test_what_is_no_code_of_a_source_is_refused(path, why):
    with pytest.raises(UsageError, match=why):
        parse_variant([path])


def test_an_unknown_sanitizer_is_refused_and_a_near_one_offered():
    with pytest.raises(UsageError, match="'kasam'") as caught:
        parse_variant((), ["kasam"])
    assert caught.value.hint == "did you mean 'kasan'?"


def test_coverage_and_sanitizers_do_not_go_together_and_the_reason_is_said():
    with pytest.raises(UsageError, match="before the kernel's first line, where lockdep"):
        parse_variant(["net/ipv4"], ["lockdep"])


def test_an_ordinary_recipe_does_not_know_of_variants(ingredients):
    before = load_recipe(folder=ingredients)
    place = ingredients / "variants" / "kasan"
    place.mkdir(parents=True)
    (place / "config.fragment").write_text("CONFIG_KASAN=y\n")
    (place / "0001-more.patch").write_text("a patch")
    assert load_recipe(folder=ingredients) == before
    special = load_recipe((), parse_variant((), ["kasan"]), folder=ingredients)
    assert special.digest != before.digest
    assert special.required == ("CONFIG_KASAN=y",)
    assert [patch.name for patch in special.patches] == ["0001-greet.patch", "0001-more.patch"]


def test_each_shipped_variant_has_settings_and_a_recipe_of_its_own():
    variants = [parse_variant((), [name]) for name in Sanitizer]
    variants += [parse_variant(["net/ipv4"]), parse_variant(["net/ipv6"])]
    recipes = [load_recipe((), variant) for variant in variants]
    assert len({load_recipe().digest, *(recipe.digest for recipe in recipes)}) == 7
    assert all(recipe.required for recipe in recipes)
    assert recipes[-1].base == recipes[-2].base


def test_a_special_kernel_is_found_by_what_is_special_and_never_by_default(put_kernel):
    variant = parse_variant(["net/ipv4"])
    special = put_kernel(
        "7.3.4", "00aa00aa00aa", variant=variant, recipe=load_recipe((), variant).digest
    )
    assert find_kernel() is None
    assert find_kernel("00aa") == special
    assert find_variant("newest", variant) == find_variant("7.3", variant) == special
    assert find_variant("newest", parse_variant(["net/ipv6"])) is None
    assert find_variant("newest", ORDINARY) is None


def test_a_path_that_is_not_there_is_an_error_that_names_near_ones(tmp_path):
    for name in ("net/ipv4/tcp_input.c", "net/ipv6/udp.c", "net/ipv4/udp.c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    check_paths(parse_variant(["net", "net/ipv6/udp.c"]), tmp_path)
    for wrong, hint in (
        ("net/tcp_input.c", "did you mean net/ipv4/tcp_input.c?"),
        ("net/ipv4/tcp_inptu.c", "did you mean net/ipv4/tcp_input.c?"),
        ("ipv6", "did you mean net/ipv6?"),
        ("udp.c", "did you mean net/ipv4/udp.c or net/ipv6/udp.c?"),
    ):
        with pytest.raises(UsageError, match="no such folder or file") as caught:
            check_paths(parse_variant([wrong]), tmp_path)
        assert caught.value.hint == hint


def test_names_without_a_suffix_find_their_file():
    assert near_paths("net/tcp_input", ["net/ipv4", "net/ipv4/tcp_input.c"]) == [
        "net/ipv4/tcp_input.c"
    ]
