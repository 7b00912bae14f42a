# SPDX-License-Identifier: Apache-2.0
"""Which source is meant, and a copy that leaves the original alone."""

import os
import subprocess

import pytest

from windtunnel.errors import UsageError
from windtunnel.images.kernels import ignore_progress
from windtunnel.images.sources import (
    choose_package,
    copy_source,
    makefile_version,
    source_tree,
    tree_digest,
    tree_source,
)

OFFERED = {
    "linux-source-6.1": "6.1.150-1",
    "linux-source-6.12": "6.12.117-1~deb12u1",
    "linux-source-7.2": "7.2.9-1~bpo13+1",
    "linux-source-7.10": "7.10.1-1~bpo13+1",
}


def commit(tree):
    git = ["git", "-C", str(tree), "-c", "user.name=a", "-c", "user.email=a@mail.example"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "tree"], check=True)


def files_of(tree):
    return sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file())


def test_newest_is_the_highest_number_and_not_the_last_word():
    assert choose_package("newest", OFFERED) == "linux-source-7.10"


def test_newest_is_6_12_where_nothing_with_seccomp_mode_is_offered():
    old = {"linux-source-6.1": "6.1.150-1", "linux-source-6.12": "6.12.1-1"}
    assert choose_package("newest", old | {"linux-source-6.15": "6.15.1-1"}) == "linux-source-6.12"


def test_6_16_is_new_enough():
    assert choose_package("newest", {"linux-source-6.16": "6.16.3-1"}) == "linux-source-6.16"


def test_a_version_is_found_by_its_number():
    assert choose_package("6.12", OFFERED) == "linux-source-6.12"


def test_a_version_that_is_not_offered_is_an_error_that_lists_what_is():
    with pytest.raises(UsageError) as caught:
        choose_package("7.1", OFFERED)
    assert caught.value.message == (
        "no kernel source '7.1' is on offer; there are: 6.1, 6.12, 7.2, 7.10"
    )


def test_newest_where_nothing_at_all_is_offered_says_so():
    with pytest.raises(UsageError, match="there are: none at all"):
        choose_package("newest", {})


@pytest.mark.parametrize(
    ("makefile", "version"),
    [
        ("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\nNAME = A B\n", "7.3.4"),
        ("VERSION = 7\nPATCHLEVEL = 4\nSUBLEVEL = 0\nEXTRAVERSION = -rc2\n", "7.4.0-rc2"),
    ],
)
def test_the_version_stands_at_the_head_of_the_makefile(makefile, version):
    assert makefile_version(makefile) == version


def test_a_folder_that_is_no_kernel_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="is no Linux source tree"):
        tree_source(tmp_path)


def test_a_tree_has_another_digest_when_a_file_changes(tree):
    before = tree_digest(tree)
    assert tree_digest(tree) == before
    (tree / "net/greeting").write_text("good night, and a longer line\n")
    assert tree_digest(tree) != before


def test_touching_a_file_of_a_git_tree_changes_nothing(tree):
    commit(tree)
    before = tree_digest(tree)
    os.utime(tree / "net/greeting", (1, 1))
    assert tree_digest(tree) == before


@pytest.mark.parametrize("name", ["net/greeting", "net/new.c"])
def test_edits_and_new_files_of_a_git_tree_change_its_digest(tree, name):
    commit(tree)
    before = tree_digest(tree)
    (tree / name).write_text("one\n")
    first = tree_digest(tree)
    (tree / name).write_text("two\n")
    assert len({before, first, tree_digest(tree)}) == 3


def test_a_copy_has_the_same_files_and_links(tree, tmp_path):
    copy_source(tree_source(tree), tmp_path / "copy", ignore_progress)
    assert files_of(tmp_path / "copy") == [".config", "Makefile", "net/greeting", "net/link"]
    assert (tmp_path / "copy/net/link").is_symlink()


def test_a_copy_of_a_git_tree_leaves_ignored_and_deleted_files_behind(tree, tmp_path):
    (tree / ".gitignore").write_text(".config\n*.o\n")
    (tree / "net/old.c").write_text("int old;\n")
    commit(tree)
    (tree / "net/old.c").unlink()
    (tree / "net/a.o").write_text("object")
    (tree / "net/new.c").write_text("int new;\n")
    copy_source(tree_source(tree), tmp_path / "copy", ignore_progress)
    assert files_of(tmp_path / "copy") == [
        ".gitignore",
        "Makefile",
        "net/greeting",
        "net/link",
        "net/new.c",
    ]


def test_the_source_of_a_users_tree_is_that_tree(tree):
    assert source_tree(str(tree)) == tree
    assert source_tree(tree_source(tree).identity) == tree
