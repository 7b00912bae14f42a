# SPDX-License-Identifier: Apache-2.0
"""What a provider of labs says of itself, as YAML or as the ini files of virt-test.

    uri: https://example.org/routing-labs.git
    ref: v1.4                       # a tag, a branch or a commit; or "branch: main"
    labs: ["ospf/**/*.yaml"]        # which files are labs
    needs: [vtysh, iperf3]          # programs

    [provider]                      # the same as an ini file
    uri: https://example.org/routing-labs.git
    ref: v1.4
    needs: vtysh iperf3
    [ospf]                          # any other section is a folder of labs
    subdir: ospf/

A tree of labs may have such a file itself (`windtunnel-provider.yaml` or `.ini`),
which says what its labs are and need; where it comes from only its user knows.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from windtunnel.errors import LabFileError, Where
from windtunnel.model.nearmiss import hint_for
from windtunnel.model.yamltree import Marked, parse_yaml

_TEXTS = ("uri", "branch", "ref", "description")
_LISTS = ("labs", "needs")
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+@-]*")


@dataclass(frozen=True, slots=True)
class Description:
    """What a description says.

    Attributes:
        uri: a folder, or what `git clone` takes; empty where nothing is said.
        ref: a tag, branch or commit; empty for whatever the source has as its default.
        labs: patterns of paths, relative to the tree; empty for all files that look like labs.
        needs: programs without which its labs do not run.
        description: one line for people.
    """

    uri: str = ""
    ref: str = ""
    labs: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    description: str = ""


def read_description(text: str, *, file: str) -> Description:
    """Read a description; a name that ends in .ini is one of those, any other is YAML.

    Raises:
        LabFileError: it is wrong; with its place.
    """
    found = _of_ini(text, file) if file.endswith(".ini") else _of_yaml(text, file)
    _check(found, file)
    return found


def write_description(description: Description) -> str:
    """Write a description as YAML, which `read_description` reads."""
    lines = [
        f"{key}: {_quoted(value)}"
        for key, value in (
            ("description", description.description),
            ("uri", description.uri),
            ("ref", description.ref),
        )
        if value
    ]
    for key, values in (("labs", description.labs), ("needs", description.needs)):
        if values:
            lines.append(f"{key}: [{', '.join(map(_quoted, values))}]")
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _check(found: Description, file: str) -> None:
    if found.ref and (not _REF.fullmatch(found.ref) or ".." in found.ref):
        raise LabFileError(
            f"{found.ref!r} is no tag, branch or commit", where=Where(file), hint="ref: v1.4"
        )
    for pattern in found.labs:
        if pattern.startswith("/") or ".." in pattern.split("/"):
            raise LabFileError(
                f"{pattern!r} leads out of the provider's tree",
                where=Where(file),
                hint="a pattern such as 'labs/**/*.yaml'",
            )


def _of_yaml(text: str, file: str) -> Description:
    document = parse_yaml(text, file=file)
    children = document.root.children
    if not isinstance(children, dict):
        raise LabFileError(
            "a provider is described by a mapping", where=Where(file, 1, 1), hint="uri: PATH"
        )
    texts: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for key, child in children.items():
        where = document.where((key,), key=True)
        if key in _TEXTS and child.children is None:
            texts[key] = child.text
        elif key in _LISTS and isinstance(child.children, list) and _plain(child.children):
            lists[key] = tuple(one.text for one in child.children)
        elif key in _TEXTS or key in _LISTS:
            what = "a text" if key in _TEXTS else "a list of texts"
            raise LabFileError(f"{key} must be {what}", where=where)
        else:
            raise _unknown(key, where)
    return _made(texts, lists)


def _plain(children: Iterable[Marked]) -> bool:
    return all(one.children is None for one in children)


def _of_ini(text: str, file: str) -> Description:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    try:
        parser.read_string(text, source=file)
    except configparser.Error as error:
        line = getattr(error, "lineno", None) or next(iter(getattr(error, "errors", [])), (0,))[0]
        raise LabFileError(
            error.message.partition("\n")[0], where=Where(file, line, 1 if line else 0)
        ) from error
    if not parser.has_section("provider"):
        raise LabFileError("there is no [provider]", where=Where(file, 1, 1), hint="[provider]")
    texts: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for key, value in parser["provider"].items():
        if key in _TEXTS:
            texts[key] = value
        elif key in _LISTS:
            lists[key] = tuple(value.split())
        else:
            raise _unknown(key, _ini_place(text, file, key))
    folders = []
    for name in parser.sections():
        if name != "provider":
            folder = parser[name].get("subdir", "").strip().rstrip("/")
            if not folder:
                raise LabFileError(
                    f"[{name}] has no subdir", where=_ini_place(text, file, f"[{name}]")
                )
            folders += [f"{folder}/**/*.yaml", f"{folder}/**/*.yml"]
    lists["labs"] = (*lists.get("labs", ()), *folders)
    return _made(texts, lists)


def _made(texts: Mapping[str, str], lists: Mapping[str, tuple[str, ...]]) -> Description:
    return Description(
        uri=texts.get("uri", ""),
        ref=texts.get("ref") or texts.get("branch", ""),
        labs=lists.get("labs", ()),
        needs=lists.get("needs", ()),
        description=texts.get("description", ""),
    )


def _unknown(key: str, where: Where) -> LabFileError:
    if key == "pubkey":
        return LabFileError(
            "signatures of commits are not checked, so 'pubkey' would promise what nobody keeps",
            where=where,
            hint="pin a commit with 'ref', and leave it out",
        )
    return LabFileError(
        f"a provider has no key {key!r}",
        where=where,
        hint=hint_for(key, (*_TEXTS, *_LISTS), what="keys"),
    )


def _ini_place(text: str, file: str, word: str) -> Where:
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().lower().startswith(word.lower()):
            return Where(file, number, len(line) - len(line.lstrip()) + 1)
    return Where(file)
