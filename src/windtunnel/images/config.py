# SPDX-License-Identifier: Apache-2.0
"""Kernel configurations as text: pure functions, no files.

A setting is `CONFIG_NAME=value`; "not set" is written `CONFIG_NAME=n` here and
`# CONFIG_NAME is not set` in a .config. Symbols that a kernel does not have and
symbols that are off look alike, in Kconfig as well as here.

Source: Documentation/kbuild/kconfig-language.rst, scripts/kconfig/confdata.c
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from windtunnel.errors import UsageError

_SETTING = re.compile(r"(?:CONFIG_)?([A-Z0-9][A-Za-z0-9_]*)=(.*)")
_UNSET = re.compile(r"# CONFIG_([A-Z0-9][A-Za-z0-9_]*) is not set")


def parse_config(text: str) -> dict[str, str]:
    """Read a fragment or a .config; the last setting of a symbol counts.

    Returns:
        From symbol (without CONFIG_) to value; "n" where it is said to be off.
    """
    settings: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.strip()
        unset = _UNSET.fullmatch(line)
        setting = _SETTING.fullmatch(line) if line.startswith("CONFIG_") else None
        if unset:
            settings[unset[1]] = "n"
        elif setting:
            settings[setting[1]] = setting[2].strip()
    return settings


def parse_options(options: Iterable[str]) -> dict[str, str]:
    """Read options as people type them: `BTRFS_FS=y`, `CONFIG_FOO=n`.

    Raises:
        UsageError: one of them is no setting; it names that one.
    """
    settings: dict[str, str] = {}
    for option in options:
        match = _SETTING.fullmatch(option.strip())
        if not match or not match[2].strip():
            raise UsageError(
                f"{option!r} is not a kernel option",
                hint="write NAME=value, for example BTRFS_FS=y or CONFIG_DEBUG_FS=n",
            )
        settings[match[1]] = match[2].strip()
    return settings


def normal_form(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Write settings in the one form that digests are taken of: sorted, bare."""
    return tuple(f"CONFIG_{name}={settings[name]}" for name in sorted(settings))


def merge_config(base: str, wanted: Mapping[str, str]) -> str:
    """Lay settings over a .config, so that each symbol is said once.

    Kconfig takes the last of two settings as well, but warns for each of them.
    """
    kept = [
        line for line in base.splitlines() if not any(name in wanted for name in parse_config(line))
    ]
    return "\n".join([*kept, *normal_form(wanted), ""])


def unhonoured(wanted: Mapping[str, str], config: str) -> tuple[str, ...]:
    """Compare what was asked for with what Kconfig made of it.

    Args:
        wanted: settings from a fragment or from options.
        config: the text of the final .config.

    Returns:
        The settings that did not come out as asked, in normal form, sorted: the
        kernel does not know them, or their dependencies are off.
    """
    final = parse_config(config)
    lost = {name: value for name, value in wanted.items() if final.get(name, "n") != value}
    return normal_form(lost)
