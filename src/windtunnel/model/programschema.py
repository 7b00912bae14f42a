# SPDX-License-Identifier: Apache-2.0
"""The shape of a lab file's programs: what they are, read, and must print."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from windtunnel.model.fields import Duration, Mode, Part, ShortForm, Word, refuse


class MatchPart(Part):
    """What a text must look like; every part that is given must hold."""

    text: str | None = Field(default=None, description="Must occur in the text.")
    regex: str | None = Field(
        default=None, description="Must be found in the text (Python's re.search, multi-line)."
    )
    json_: Any = Field(
        default=None,
        alias="json",
        description="Must be contained in the text, read as JSON: mappings by subset.",
    )
    path: str = Field(
        default="",
        description="Where in the JSON document to look first.",
        examples=["neighbors", "routes[0].nexthops"],
    )


def _match(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


Match = Annotated[MatchPart, ShortForm(_match, {"type": "string"})]


class ExpectPart(Part):
    """How a process must have ended when the lab stops."""

    exited: int | None = Field(
        default=None, ge=0, le=255, description="It ended with this exit status."
    )
    running: Literal[True] | None = Field(default=None, description="It still runs.")
    killed: Literal[True] | None = Field(default=None, description="A signal ended it.")
    stdout: Match | None = Field(default=None, description="What it must have printed.")

    @model_validator(mode="after")
    def _has_one_end(self) -> ExpectPart:
        given = [
            name for name in ("exited", "running", "killed") if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise refuse(f"a process cannot end {' and '.join(given)}", "keep one of them")
        return self


_EXPECT = re.compile(r"exited\s+(\d{1,3})")


def _expect(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _EXPECT.fullmatch(value.strip())
    if match:
        return {"exited": int(match.group(1))}
    if value.strip() in {"running", "killed"}:
        return {value.strip(): True}
    raise refuse(
        f"{value!r} is no expectation",
        "write 'exited 0', 'running', 'killed', or {exited: 0, stdout: …}",
    )


Expect = Annotated[
    ExpectPart,
    ShortForm(
        _expect,
        {"type": "string", "pattern": r"^(exited \d+|running|killed)$", "examples": ["exited 0"]},
    ),
]


class FilePart(Part):
    """A file of a node; exactly one of content, template, template_file, source, base64."""

    content: str | None = Field(default=None, description="The text, as it is.")
    template: str | None = Field(default=None, description="The text, a jinja2 template.")
    template_file: str | None = Field(
        default=None, description="A file with a jinja2 template, relative to the lab file."
    )
    source: str | None = Field(
        default=None, description="A file (or directory) to copy, relative to the lab file."
    )
    base64: str | None = Field(default=None, description="The bytes, in base64.")
    mode: Mode = Field(default=0o644, description="Permission bits, in quotes.")
    owner: str = Field(default="root", description="user or user:group", examples=["frr:frr"])

    @model_validator(mode="after")
    def _has_one_origin(self) -> FilePart:
        origins = ("content", "template", "template_file", "source", "base64")
        given = [name for name in origins if getattr(self, name) is not None]
        if len(given) != 1:
            raise refuse(
                f"a file needs one of {', '.join(origins)}, and this one has "
                + (" and ".join(given) or "none")
            )
        return self


def _file(value: Any) -> Any:
    return {"content": value} if isinstance(value, str) else value


File = Annotated[FilePart, ShortForm(_file, {"type": "string"})]


# `files: ./h1` is all that lies below that directory.
def _files(value: Any) -> Any:
    return {"/": {"source": value}} if isinstance(value, str) else value


Files = Annotated[dict[str, File], ShortForm(_files, {"type": "string", "examples": ["./h1"]})]


class ProcessPart(Part):
    """A program that runs beside the steps."""

    name: str | None = Field(
        default=None,
        description="Unique in its node; names its output. Default: the program's name.",
    )
    cmd: str = Field(description="A shell command line; may use {{ … }}.")
    start: Duration = Field(default=0, description="When, in virtual time.")
    env: dict[str, Word] = Field(default={}, description="Added to the node's environment.")
    timeout: Duration | None = Field(default=None, description="Killed after so long.")
    expect: Expect | None = Field(
        default=None, description="How it must end; nothing: any end is right."
    )


class RunPart(ProcessPart):
    """A program, and the node that it runs in."""

    node: str = Field(description="Where.")
