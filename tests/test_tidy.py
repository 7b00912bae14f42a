# SPDX-License-Identifier: Apache-2.0
"""The style as a test: what ruff cannot say, with file and line.

`CONTRIBUTING.md` gives the reasons. Where a rule hurts clarity, add the place to
the exceptions here and say why beside it.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository import REPOSITORY

MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 70

# Not ours to style: made by tools, other people's texts, or what a run left.
SKIPPED_FOLDERS = {"_build", "__pycache__", "golden", "patches", "runs", "dist"}
HIDDEN = {".ci", ".editorconfig", ".gitattributes", ".gitignore"}  # other such are tools' own
TEXT_SUFFIXES = {".py", ".sh", ".c", ".h", ".md", ".toml", ".txt", ".yaml", ".yml", ".fragment", ""}
CODE_SUFFIXES = {".py", ".sh", ".c", ".h"}

# A word here says nothing about what a thing does.
EMPTY_WORDS = {"manager", "helper", "helpers", "util", "utils", "base", "misc", "common"}
EMPTY_WORD_EXCEPTIONS = {"src/windtunnel/machines/base.py"}  # the Protocols of a machine

# Written in pieces, so that this file does not hold what it forbids.
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b(?!: \w+(?: \S+){2})")
HOME_PATH = re.compile(r"(?<![\w.])/(?:ho" r"me|Us" r"ers|ro" r"ot)/(?!user\b|you\b|\.)\w+")
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "npmjs" + ".org",
    "deb.debian" + ".org",
    "ftp.debian" + ".org",
    "security.debian" + ".org",
    "snapshot.debian" + ".org",
    "proxy.golang" + ".org",
    "index-url" + "=",
    "index-url" + " http",
]


def repository_files() -> list[Path]:
    """Every text file of ours, whether git knows it yet or not."""
    found: list[Path] = []
    folders = [REPOSITORY]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if path.is_symlink() or (path.name.startswith(".") and path.name not in HIDDEN):
                continue
            if path.is_dir() and path.name not in SKIPPED_FOLDERS:
                folders.append(path)
            elif path.is_file() and path.suffix in TEXT_SUFFIXES:
                found.append(path)
    return found


FILES = repository_files()
PYTHON_FILES = [path for path in FILES if path.suffix == ".py"]
PACKAGE_FILES = [path for path in PYTHON_FILES if REPOSITORY / "src" in path.parents]


def name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def lines_that_match(pattern: re.Pattern[str]) -> list[str]:
    """Every "file:line: text" in which the pattern is found."""
    return [
        f"{name(path)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if pattern.search(line)
    ]


def definitions(kind: type | tuple[type, ...]) -> Iterator[tuple[Path, ast.AST]]:
    for path in PYTHON_FILES:
        for node in ast.walk(ast.parse(path.read_text(), filename=name(path))):
            if isinstance(node, kind):
                yield path, node


def words_of(identifier: str) -> set[str]:
    """The words of a CamelCase or snake_case name, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)}


def test_the_walk_finds_the_package_the_tests_and_the_scripts():
    found = {name(path) for path in FILES}
    assert {"src/windtunnel/errors.py", "tests/test_tidy.py", "Makefile", ".ci/run"} <= found


def test_no_file_is_longer_than_a_reader_can_hold():
    too_long = [
        f"{name(path)}: {count} lines"
        for path in FILES
        if path.suffix in CODE_SUFFIXES
        and (count := len(path.read_text().splitlines())) > MAX_FILE_LINES
    ]
    assert not too_long, "\n".join(too_long)


def test_no_function_is_longer_than_a_screen():
    too_long = [
        f"{name(path)}:{node.lineno}: {node.name} has {count} lines"
        for path, node in definitions((ast.FunctionDef, ast.AsyncFunctionDef))
        if (count := node.end_lineno - node.lineno + 1) > MAX_FUNCTION_LINES
    ]
    assert not too_long, "\n".join(too_long)


def test_every_source_file_begins_with_its_licence():
    bare = []
    for path in FILES:
        lines = path.read_text().splitlines() or [""]
        is_script = lines[0].startswith("#!")
        if path.suffix in CODE_SUFFIXES or path.name == "Makefile" or is_script:
            first = (lines[1:] or [""])[0] if is_script else lines[0]
            if "SPDX-License-Identifier: " not in first:
                bare.append(name(path))
    assert not bare, "\n".join(bare)


def test_no_class_and_no_module_has_a_word_in_its_name_that_says_nothing():
    named = [(f"{name(path)}:{node.lineno}", node.name) for path, node in definitions(ast.ClassDef)]
    named += [(name(path), path.stem) for path in PYTHON_FILES]
    empty = [
        f"{place}: {identifier}"
        for place, identifier in named
        if words_of(identifier) & EMPTY_WORDS
        and place.partition(":")[0] not in EMPTY_WORD_EXCEPTIONS
    ]
    assert not empty, "\n".join(empty)


def test_what_is_left_unfinished_says_why():
    found = lines_that_match(UNFINISHED)
    assert not found, "\n".join(found)


def test_no_file_names_a_place_on_somebodys_machine():
    here = re.compile(rf"{re.escape(str(REPOSITORY))}\b")
    found = lines_that_match(HOME_PATH) + lines_that_match(here)
    assert not found, "\n".join(found)


def test_no_file_names_the_host_of_a_package_registry():
    hosts = re.compile("|".join(re.escape(host) for host in REGISTRY_HOSTS))
    found = lines_that_match(hosts)
    assert not found, "\n".join(found)


def test_every_public_module_says_what_it_is():
    silent = [
        name(path)
        for path in PACKAGE_FILES
        if not any(part.startswith("_") and part != "__init__.py" for part in path.parts)
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent, "\n".join(silent)


@pytest.mark.parametrize("file", sorted(REPOSITORY.glob("requirements*.txt")), ids=name)
def test_every_requirement_is_pinned_and_hashed_and_comes_from_nowhere_in_particular(file):
    text = file.read_text()
    pins = re.findall(
        r"^[a-z0-9._-]+==[^ ]+[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE
    )
    starts = re.findall(r"^[^\s#].*", text, re.MULTILINE)
    assert len(pins) == len(starts) > 0
    assert "://" not in text


def test_the_pinned_requirements_are_what_the_project_asks_for():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    for file, wanted in {
        "requirements.txt": project["dependency-groups"]["build"],
        "requirements-dev.txt": project["dependency-groups"]["dev"],
        "requirements-docs.txt": project["dependency-groups"]["docs"],
    }.items():
        pinned = set(re.findall(r"(?m)^([a-z0-9._-]+)==", (REPOSITORY / file).read_text()))
        for requirement in [*project["project"]["dependencies"], *wanted]:
            asked = re.split(r"[<>=~! \[]", requirement)[0].lower().replace(".", "-")
            assert asked in {pin.replace(".", "-") for pin in pinned}, f"make requirements: {file}"


def test_every_line_of_packages_txt_has_its_four_columns():
    lines = (REPOSITORY / "packages.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    assert [row for row in rows if len(row) != 4] == []
    assert {row[2] for row in rows} <= {"setup", "build", "debug", "labs", "tests", "bench"}
    assert {row[3] for row in rows} == {"required", "optional"}
    assert len({row[0] for row in rows}) == len(rows)


@pytest.mark.parametrize("script", ["scripts/packages", "scripts/test-as-user", ".ci/run"])
def test_every_script_can_be_started(script):
    path = REPOSITORY / script
    assert path.stat().st_mode & 0o111 == 0o111
    assert path.read_text().startswith("#!/bin/sh\n")
