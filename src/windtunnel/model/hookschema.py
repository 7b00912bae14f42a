# SPDX-License-Identifier: Apache-2.0
"""The shape of a lab file's hooks: what is done around the lab, its cells and its nodes."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from windtunnel.model.fields import Duration, Part, ShortForm, refuse
from windtunnel.model.hook import HOOK_LIMIT_HOST_S, Hook, LabHooks, hook_name

_PYTHON = re.compile(r"[^:]+\.py:[A-Za-z_]\w*")
_LIMIT_NS = round(HOOK_LIMIT_HOST_S * 1e9)

OnError = Literal["clean", "keep"]


class _HookBody(Part):
    """What all hooks have in common."""

    host: str | None = Field(
        default=None, description="A shell command line of the host, run as you; not confined."
    )
    python: str | None = Field(
        default=None,
        description="A function of the host, file.py:function, relative to the lab file.",
        examples=["prepare.py:build"],
    )
    name: str | None = Field(default=None, description="For people. Default: its text.")
    limit: Duration = Field(
        default=_LIMIT_NS, description="How long it may take, in host time.", examples=["30 s"]
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> _HookBody:
        given = [word for word in self._words() if getattr(self, word) is not None]
        if len(given) != 1:
            raise refuse(
                f"a hook needs one of {', '.join(self._words())}, and this one has "
                + (" and ".join(given) or "none")
            )
        if self.python is not None and not _PYTHON.fullmatch(self.python):
            raise refuse(
                f"{self.python!r} names no function", "write file.py:function, such as prep.py:main"
            )
        return self

    @classmethod
    def _words(cls) -> tuple[str, ...]:
        return tuple(word for word in ("cmd", "host", "python") if word in cls.model_fields)

    def hook(self, *, keep: bool = False) -> Hook:
        """Make the plain data of it."""
        command = getattr(self, "cmd", None) or ""
        return Hook(
            name=self.name or hook_name(command or self.host or self.python or ""),
            host=self.host or "",
            python=self.python or "",
            command=command,
            limit_host_s=self.limit / 1e9,
            keep=keep,
        )


class _AfterBody(_HookBody):
    on_error: OnError = Field(
        default="clean",
        description="keep leaves it out when something went wrong, so that one can look.",
    )

    def after(self) -> Hook:
        """Make the plain data of it."""
        return self.hook(keep=self.on_error == "keep")


class BeforePart(_HookBody):
    """Something to do on the host before."""


class AfterPart(_AfterBody):
    """Something to do on the host afterwards."""


class NodeAfterPart(_AfterBody):
    """Something to do afterwards, in the node or on the host."""

    cmd: str | None = Field(
        default=None, description="A shell command line in the node, when the lab has ended."
    )


def _host(value: Any) -> Any:
    return {"host": value} if isinstance(value, str) else value


def _cmd(value: Any) -> Any:
    return {"cmd": value} if isinstance(value, str) else value


Before = Annotated[BeforePart, ShortForm(_host, {"type": "string"})]
After = Annotated[AfterPart, ShortForm(_host, {"type": "string"})]
NodeAfter = Annotated[NodeAfterPart, ShortForm(_cmd, {"type": "string"})]


class HooksPart(Part):
    """What is done on the host around the lab and each cell; needs `run --hooks`."""

    before_lab: list[Before] = Field(default=[], description="Once, before the first cell.")
    before_cell: list[Before] = Field(default=[], description="Before each try of each cell.")
    after_cell: list[After] = Field(
        default=[], description="After each try, whatever came of it; the last one first."
    )
    after_lab: list[After] = Field(
        default=[], description="Once, at the end, whatever came of it; the last one first."
    )

    def hooks(self) -> LabHooks:
        """Make the plain data of it."""
        return LabHooks(
            before_lab=tuple(part.hook() for part in self.before_lab),
            before_cell=tuple(part.hook() for part in self.before_cell),
            after_cell=tuple(part.after() for part in self.after_cell),
            after_lab=tuple(part.after() for part in self.after_lab),
        )


NO_HOOKS_PART = HooksPart()
