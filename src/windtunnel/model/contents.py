# SPDX-License-Identifier: Apache-2.0
"""The files of nodes: read, filled from templates, merged by path.

A layer (defaults, kind, group, node) may name a directory; its files come from
that layer, so a node's single file replaces the same one of a kind's directory.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import replace

from windtunnel.errors import LabFileError, Where
from windtunnel.model.disttable import tables_of, values_in
from windtunnel.model.lab import FileSpec
from windtunnel.model.problem import Path, Problem
from windtunnel.model.programschema import FilePart
from windtunnel.model.schema import LabPart
from windtunnel.model.templates import Scope
from windtunnel.model.yamltree import Document

Read = Callable[[str], bytes]
ListDirectory = Callable[[str], Sequence[str]]


class Contents:
    """Make the files of nodes. Each file of the host is read once.

    Args:
        document: the lab file, for the places of errors.
        read: reads a file that the lab file names.
        list_directory: lists all files below a directory.
        problems: what is wrong is added here.
    """

    def __init__(
        self,
        document: Document,
        read: Read,
        list_directory: ListDirectory,
        problems: list[Problem],
    ) -> None:
        self._document = document
        self._read_file = read
        self._list_directory = list_directory
        self._problems = problems
        self._bytes: dict[str, bytes | None] = {}
        self._listings: dict[str, Sequence[str]] = {}

    def files_of(
        self, node: str, parts: Sequence[tuple[str, FilePart, Path]], scope: Scope
    ) -> tuple[tuple[FileSpec, ...], dict[str, Path]]:
        """Make all files of a node.

        Args:
            node: its name.
            parts: path in the node, description and path in the lab file, the
                strongest layer last.
            scope: what templates see.

        Returns:
            The files in the order of their first mention, and for each path in
            the node its path in the lab file.
        """
        files: dict[str, FileSpec] = {}
        origins: dict[str, Path] = {}
        for target, part, path in parts:
            made = (
                self._overlay(target, part, path)
                if target.endswith("/")
                else self._single(node, target, part, path, scope)
            )
            for file in made:
                files[file.path] = file
                origins[file.path] = path
        return tuple(files.values()), origins

    def read_tables(self, lab: LabPart, text: str) -> None:
        """Read the tables of jitter that a lab file names, into the lab file's models."""
        if "table" not in text:  # looking at every link takes time, and few labs have one
            return
        parts = {
            "link-defaults": lab.link_defaults,
            "links": lab.links,
            "networks": lab.networks,
            "steps": lab.steps,
        }
        for distribution, where in tables_of(parts, ()):
            assert distribution.table is not None, "tables_of looked"
            content = self._bytes_of(posixpath.normpath(distribution.table), where)
            if content is None:
                continue
            try:
                distribution.values = list(values_in(content))
            except LabFileError as error:
                place = self._document.where(where)
                self._problems.append(Problem(where, error.message, error.hint, where=place))

    # Every file below a directory of the host.
    def _overlay(self, target: str, part: FilePart, path: Path) -> list[FileSpec]:
        if part.source is None:
            self._problems.append(
                Problem(path, f"{target!r} is a directory", "give a source, or a path of a file")
            )
            return []
        directory = posixpath.normpath(part.source)
        if directory not in self._listings:
            self._listings[directory] = ()
            try:
                self._listings[directory] = sorted(self._list_directory(directory))
            except OSError as error:
                self._problems.append(_unreadable("directory", part.source, path, error))
        files = []
        for name in self._listings[directory]:
            content = self._bytes_of(posixpath.join(directory, name), path)
            if content is not None:
                mode = part.mode
                # Only contents reach us: a script that says so may be executed.
                if "mode" not in part.model_fields_set and content.startswith(b"#!"):
                    mode = 0o755
                files.append(FileSpec(target + name, content, mode, part.owner))
        return files

    def _single(
        self, node: str, target: str, part: FilePart, path: Path, scope: Scope
    ) -> list[FileSpec]:
        try:
            content = self._content(node, part, path, scope)
        except LabFileError as error:
            self._problems.append(Problem(path, error.message, error.hint, where=error.where))
            return []
        return [] if content is None else [FileSpec(target, content, part.mode, part.owner)]

    def _content(self, node: str, part: FilePart, path: Path, scope: Scope) -> bytes | None:
        if part.content is not None:
            return part.content.encode()
        if part.template is not None:
            where = self._document.where((*path, "template"))
            return scope.render(part.template, node, where, is_file=False).encode()
        if part.base64 is not None:
            try:
                return base64.b64decode("".join(part.base64.split()), validate=True)
            except binascii.Error as error:
                raise LabFileError(
                    f"not base64: {error}", where=self._document.where((*path, "base64"))
                ) from error
        if part.source is not None:
            return self._bytes_of(posixpath.normpath(part.source), (*path, "source"))
        assert part.template_file is not None, "the schema demands one origin"
        name = posixpath.normpath(part.template_file)
        source = self._bytes_of(name, (*path, "template_file"))
        if source is None:
            return None
        try:
            text = source.decode()
        except UnicodeDecodeError as error:
            raise LabFileError(
                f"the template {name} is not UTF-8 text: {error.reason} at byte {error.start}",
                where=self._document.where((*path, "template_file")),
                hint="use source: for a file without template",
            ) from error
        return scope.render(text, node, Where(name), is_file=True).encode()

    # None when it cannot be read; that is reported once.
    def _bytes_of(self, name: str, path: Path) -> bytes | None:
        if name not in self._bytes:
            self._bytes[name] = None
            try:
                self._bytes[name] = self._read_file(name)
            except OSError as error:
                problem = _unreadable("file", name, path, error)
                self._problems.append(replace(problem, where=self._document.where(path)))
        return self._bytes[name]


def _unreadable(what: str, name: str, path: Path, error: OSError) -> Problem:
    return Problem(
        path,
        f"cannot read the {what} {name!r}: {error.strerror or error}",
        "paths are relative to the lab file",
    )
