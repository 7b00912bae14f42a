# SPDX-License-Identifier: Apache-2.0
"""Looking kernels up."""

import subprocess
import sys

import pytest

from windtunnel.errors import HostError
from windtunnel.images.kernels import (
    ensure_kernel,
    estimate_build_host_s,
    find_kernel,
    list_kernels,
    load_recipe,
    read_kernel,
    remember_newest,
    version_numbers,
)
from windtunnel.images.variant import Variant

KEY = "0123456789ab"
OTHER_KEY = "ba9876543210"
THIRD_KEY = "00ff00ff00ff"


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("7.3.4", (7, 3, 4)), ("7.4.0-rc2", (7, 4, 0)), ("6.12", (6, 12)), ("unknown", ())],
)
def test_versions_compare_as_numbers(version, numbers):
    assert version_numbers(version) == numbers


def test_what_is_written_can_be_read(put_kernel, cache):
    kernel = put_kernel("7.3.4", KEY, options=("CONFIG_NET=y",), objects=1580, build_host_s=300.5)
    assert read_kernel(cache / "kernels" / f"7.3.4-{KEY}") == kernel


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"version": "7.3.4"}', '{"colour": "red"}'])
def test_a_folder_with_a_broken_record_is_no_kernel(put_kernel, record):
    kernel = put_kernel("7.3.4", KEY)
    (kernel.path.parent / "kernel.json").write_text(record)
    assert list_kernels() == []


def test_an_unfinished_build_is_no_kernel(put_kernel):
    kernel = put_kernel("7.3.4", KEY)
    kernel.path.parent.rename(kernel.path.parent.with_name(".building-" + KEY))
    assert list_kernels() == []


def test_an_empty_cache_has_nothing(cache):
    assert find_kernel() is None
    assert list_kernels() == []


def test_the_default_is_the_newest_version(put_kernel):
    put_kernel("7.3.4", KEY)
    newest = put_kernel("7.10.1", OTHER_KEY)
    put_kernel("6.12.117", THIRD_KEY)
    assert find_kernel() == find_kernel("newest") == newest


def test_of_equal_versions_the_latest_build_comes_first(put_kernel):
    put_kernel("7.3.4", KEY, built="2026-01-01T00:00:00+00:00")
    latest = put_kernel("7.3.4", OTHER_KEY, built="2026-02-01T00:00:00+00:00")
    assert find_kernel() == latest


def test_a_kernel_of_another_recipe_or_with_options_is_not_the_default(put_kernel):
    put_kernel("7.3.4", KEY, recipe="an old fragment")
    put_kernel("7.3.4", OTHER_KEY, options=("CONFIG_DEBUG_FS=n",))
    assert find_kernel() is None
    assert find_kernel("7.3") is None


def test_a_users_own_tree_is_not_the_default(put_kernel):
    put_kernel("7.9.0", KEY, source="tree /home/user/linux 0123")
    debian = put_kernel("7.3.4", OTHER_KEY)
    assert find_kernel() == debian


def test_an_old_version_is_the_default_only_when_nothing_newer_was_offered(put_kernel):
    old = put_kernel("6.12.117", KEY)
    assert find_kernel() is None
    remember_newest(old)
    assert find_kernel() == old
    newer = put_kernel("6.16.1", OTHER_KEY)
    assert find_kernel() == newer


def test_a_version_means_that_series_and_no_longer_number(put_kernel):
    put_kernel("6.120.1", KEY)
    wanted = put_kernel("6.12.117", OTHER_KEY)
    assert find_kernel("6.12") == find_kernel("6.12.117") == wanted
    assert find_kernel("6.1") is None


def test_a_key_names_any_build(put_kernel):
    kernel = put_kernel("7.3.4", KEY, recipe="an old fragment")
    assert find_kernel(KEY) == find_kernel("0123") == find_kernel(f"7.3.4-{KEY}") == kernel
    assert find_kernel("012") is None


def test_a_path_names_a_program(put_kernel, tmp_path):
    kernel = put_kernel("7.3.4", KEY)
    assert find_kernel(str(kernel.path)) == find_kernel(str(kernel.path.parent)) == kernel
    (tmp_path / "vmlinux").write_text("abc")
    own = find_kernel(str(tmp_path / "vmlinux"))
    assert own.version == "unknown"
    assert own.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_path_without_a_kernel_is_an_error(tmp_path):
    with pytest.raises(HostError, match="there is no kernel at"):
        find_kernel(str(tmp_path / "linux"))


def test_a_cached_kernel_is_found_without_starting_a_program(put_kernel, no_programs):
    kernel = put_kernel("7.3.4", KEY)
    with_option = put_kernel("7.3.4", OTHER_KEY, options=("CONFIG_DEBUG_FS=n",))
    assert ensure_kernel() == ensure_kernel("7.3") == kernel
    assert ensure_kernel("newest", ["DEBUG_FS=n"]) == with_option


def test_looking_up_imports_nothing_slow():
    script = (
        "import sys, windtunnel.images.kernels, windtunnel.images.agent\n"
        "slow = {'subprocess', 'rich', 'pydantic', 'asyncio', 'windtunnel.images.build'}\n"
        "print(sorted(slow & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_comments_and_order_of_the_fragment_do_not_make_a_new_recipe(ingredients):
    before = load_recipe(folder=ingredients)
    fragment = "# why\nCONFIG_NO_SUCH=y\n\n# and why\nCONFIG_NET=y\n"
    (ingredients / "config.fragment").write_text(fragment)
    assert load_recipe(folder=ingredients) == before


def test_what_a_patch_says_of_itself_does_not_make_a_new_recipe(ingredients):
    before = load_recipe(folder=ingredients)
    patch = ingredients / "patches" / "0001-greet.patch"
    patch.write_text("Subject: greet people\n\nBecause.\n" + patch.read_text())
    assert load_recipe(folder=ingredients) == before


def test_for_which_kernels_a_patch_is_makes_a_new_recipe(ingredients):
    patch = ingredients / "patches" / "0001-greet.patch"
    text = patch.read_text()
    digests = set()
    for before in ("", "Before: 7.9\n", "Before: 7.10\n"):
        patch.write_text(f"Subject: greet people\n{before}\n---\n{text}")
        digests.add(load_recipe(folder=ingredients).digest)
    assert len(digests) == 3


def test_settings_options_and_patches_make_a_new_recipe(ingredients):
    digests = [load_recipe(folder=ingredients).digest]
    digests.append(load_recipe(["DEBUG_FS=y"], folder=ingredients).digest)
    (ingredients / "config.fragment").write_text("CONFIG_NET=n\n")
    digests.append(load_recipe(folder=ingredients).digest)
    (ingredients / "patches" / "0001-greet.patch").write_text("another patch")
    digests.append(load_recipe(folder=ingredients).digest)
    assert len(set(digests)) == 4


def test_the_shipped_recipe_has_fragment_and_patches_in_order():
    recipe = load_recipe()
    assert "CONFIG_UML_TIME_TRAVEL_SUPPORT=y" in recipe.fragment
    assert [patch.name[:4] for patch in recipe.patches][:2] == ["0001", "0002"]


def test_a_build_is_expected_to_take_as_long_as_the_last_one(put_kernel):
    assert estimate_build_host_s() == 540.0
    put_kernel("7.3.4", KEY, build_host_s=321.0)
    assert estimate_build_host_s() == 321.0


def test_a_build_of_kept_objects_is_no_measure_for_the_next(put_kernel):
    put_kernel("7.3.4", KEY, build_host_s=321.0)
    variant = Variant(("net/ipv4",))
    put_kernel("7.3.4", OTHER_KEY, build_host_s=9.0, built="2030", variant=variant)
    assert estimate_build_host_s() == 321.0
