# SPDX-License-Identifier: Apache-2.0
"""What `@pytest.mark.lab(…)` says, read and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from windtunnel.errors import UsageError
from windtunnel.model.nearmiss import hint_for
from windtunnel.model.seeds import SEED_MAX


@dataclass(frozen=True, slots=True)
class LabMark:
    """Which lab a test is about.

    Attributes:
        file: the lab file; None for a lab that the test describes itself.
        seed: in place of the lab's.
        only: filters that cells have to pass.
        no: filters that throw cells away.
        cover: 1 to 6: few cells that have every choice of so many values; None is all.
        kernel: to boot, as `--kernel` takes it.
        stop: ends the lab's schedule at this virtual time, in place of the lab's.
        schedule: whether the lab's processes, faults and steps happen.
    """

    file: Path | None = None
    seed: int | None = None
    only: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    cover: int | None = None
    kernel: str | None = None
    stop: str | None = None
    schedule: bool = True


def lab_mark(item: pytest.Item) -> LabMark:
    """Read the marker that is nearest to a test; without one, all is as by default.

    Raises:
        UsageError: it is wrong.
    """
    mark = item.get_closest_marker("lab")
    if mark is None:
        return LabMark()
    if len(mark.args) > 1:
        raise UsageError(
            f"it has {len(mark.args)} arguments without a name; the only one is the lab file",
            hint='write @pytest.mark.lab("lab.yaml", seed=7)',
        )
    values = dict(mark.kwargs)
    read = LabMark(**{name: _value(name, value) for name, value in values.items()})
    if mark.args:
        read = replace(read, file=_file(mark.args[0], item.path.parent))
    elif read.only or read.no or read.cover or read.stop:
        raise UsageError("only, no, cover and stop are about a lab file, and none is named")
    return read


def _file(name: Any, folder: Path) -> Path:
    if not isinstance(name, str | Path):
        raise UsageError(f"the lab file is {name!r}, which is no text")
    path = folder / name
    if path.is_file():
        return path
    beside = [str(one.relative_to(folder)) for one in sorted(folder.glob("*.yaml"))]
    hint = hint_for(str(name), beside, what="lab files there")
    raise UsageError(f"there is no file {str(name)!r} in {folder}", hint=hint)


def _value(name: str, value: Any) -> Any:
    if name not in _CHECKS:
        raise UsageError(
            f"there is no option {name!r}", hint=hint_for(name, _CHECKS, what="options")
        )
    if value is None:
        return _DEFAULTS[name]
    return _CHECKS[name](name, value)


def _seed(name: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= SEED_MAX:
        raise UsageError(f"{name}={value!r}; a seed is a whole number from 0 to 2^64 - 1")
    return value


def _cover(name: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 6:
        raise UsageError(f"{name}={value!r}; it is a whole number from 1 to 6")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str | Path):
        raise UsageError(f"{name}={value!r} is no text")
    return str(value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name}={value!r}; it is True or False")
    return value


def _filters(name: str, value: Any) -> tuple[str, ...]:
    several = (value,) if isinstance(value, str) else value
    if not isinstance(several, list | tuple) or not all(isinstance(one, str) for one in several):
        raise UsageError(f"{name}={value!r}; it is a filter, or a list of filters")
    return tuple(several)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "seed": _seed,
    "only": _filters,
    "no": _filters,
    "cover": _cover,
    "kernel": _text,
    "stop": _text,
    "schedule": _flag,
}
_DEFAULTS = {field.name: field.default for field in fields(LabMark)}
