# SPDX-License-Identifier: Apache-2.0
"""Commands that the manual and the README tell people to type exist, with their options."""

import re
import shlex

import pytest

from repository import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
REFERENCE = (REPOSITORY / "docs" / "reference" / "commands.md").read_text()
HELP = dict(
    re.findall(r"^## (windtunnel[ \w]*)\n\n```text\n(.*?)^```", REFERENCE, re.MULTILINE | re.DOTALL)
)


def typed_commands(text):
    """Every command line of ours in a console block, or in backquotes."""
    shell_lines = re.findall(r"^\$ .*?(windtunnel .*)$", text, re.MULTILINE)
    return shell_lines + re.findall(r"`(windtunnel (?!\[)[^`]+)`", text)


def words_before_options(words):
    """The longest name of a command at the beginning of a command line."""
    names = [" ".join(words[:count]) for count in range(1, 4)]
    return max((name for name in names if name in HELP), key=len)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_command_that_a_page_tells_to_type_exists(page):
    if page.name == "commands.md":
        return
    for line in typed_commands(page.read_text()):
        own = re.split(r" -- | \| |;", line)[0]
        words = shlex.split(own, comments=True)
        name = words_before_options(words)
        assert name != "windtunnel" or len(words) == 1 or words[1].startswith("-"), line
        known = re.findall(r"(?<![\w-])--?[a-z][\w-]*", HELP[name])
        assert [word for word in words if word.startswith("-") and word not in known] == [], line
