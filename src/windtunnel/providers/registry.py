# SPDX-License-Identifier: Apache-2.0
"""The providers that a user has named: a file for each in `providers.d`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from windtunnel.errors import HostError, UsageError
from windtunnel.images.cache import user_folder
from windtunnel.model.nearmiss import hint_for
from windtunnel.providers.description import Description, read_description, write_description

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SUFFIXES = (".yaml", ".ini")


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider, as its user described it.

    Attributes:
        name: what the user calls it.
        file: its description.
        description: what stands there; its `uri` is set.
    """

    name: str
    file: Path
    description: Description


def providers_folder() -> Path:
    """Name the folder of descriptions; nothing is created.

    Returns:
        `$XDG_CONFIG_HOME/windtunnel/providers.d`; `~/.config` stands in where the
        variable is unset or not absolute (XDG Base Directory 0.8).
    """
    return user_folder("XDG_CONFIG_HOME", ".config") / "providers.d"


def list_providers() -> list[Provider]:
    """Read all providers, by name.

    Raises:
        LabFileError: a description is wrong.
        HostError: one cannot be read.
    """
    try:
        files = sorted(providers_folder().iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HostError(f"cannot read {providers_folder()}: {error.strerror}") from error
    return [_read(file) for file in files if file.suffix in _SUFFIXES]


def find_provider(name: str) -> Provider:
    """Read one provider.

    Raises:
        UsageError: there is none of that name.
        LabFileError: its description is wrong.
        HostError: it cannot be read.
    """
    for suffix in _SUFFIXES:
        file = providers_folder() / f"{name}{suffix}"
        if _NAME.fullmatch(name) and file.is_file():
            return _read(file)
    known = [one.name for one in list_providers()]
    hint = hint_for(name, known, what="providers") if known else "windtunnel provider add NAME URI"
    raise UsageError(f"there is no provider {name!r}", hint=hint)


def add_provider(name: str, description: Description) -> Provider:
    """Write down a provider.

    Raises:
        UsageError: the name is wrong or taken.
        LabFileError: the description is wrong.
        HostError: it cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a provider", hint="use letters, digits, '-', '_' and '.'"
        )
    folder = providers_folder()
    taken = next(
        (file for suffix in _SUFFIXES if (file := folder / f"{name}{suffix}").exists()), None
    )
    if taken is not None:
        raise UsageError(
            f"there is a provider {name!r} already: {taken}",
            hint=f"windtunnel provider remove {name}",
        )
    file = folder / f"{name}.yaml"
    text = write_description(description)
    read_description(text, file=str(file))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise HostError(f"cannot write {file}: {error.strerror}") from error
    return Provider(name, file, description)


def remove_provider(provider: Provider) -> None:
    """Forget a provider; what was cloned is the caller's to remove.

    Raises:
        HostError: its description cannot be removed.
    """
    try:
        provider.file.unlink()
    except OSError as error:
        raise HostError(f"cannot remove {provider.file}: {error.strerror}") from error


def _read(file: Path) -> Provider:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(f"cannot read {file}: {error}") from error
    description = read_description(text, file=str(file))
    if not description.uri:
        raise UsageError(f"{file} says no uri", hint="uri: a folder, or what git clone takes")
    return Provider(file.stem, file, description)
