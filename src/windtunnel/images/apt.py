# SPDX-License-Identifier: Apache-2.0
"""Debian's package archive, read through a private apt configuration.

The machine's own apt is left alone: its sources are only *read* (for the mirror
and the key that vouches for it); our lists and downloads have a folder of their
own. No mirror is written down here, and no root is needed.

Source: sources.list(5), apt.conf(5), apt_preferences(5)
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from windtunnel.errors import HostError
from windtunnel.images.cache import make_folder

EXTRA_SUITES = ("trixie", "trixie-backports")
"""Suites that offer newer kernel sources than Debian 12 does itself."""

_SUITE_NAMES = ("stable", "oldstable", "testing", "unstable", "sid")
_LAST_LINES = 8


@dataclass(frozen=True, slots=True)
class AptSource:
    """One suite of one archive.

    Attributes:
        uri: the archive's root.
        suite: such as "bookworm-updates".
        components: such as ("main", "contrib").
        signed_by: a keyring's path, or a key's own text; empty when apt's
            common keyring vouches.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


def parse_one_line(text: str) -> list[AptSource]:
    """Read the one-line style: `deb [signed-by=KEY] URI SUITE COMPONENT...`."""
    found = []
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        match = re.fullmatch(r"deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)", line)
        if match:
            options = dict(
                word.split("=", 1) for word in (match[1] or "").split() if word.count("=") == 1
            )
            components = tuple(match[4].split())
            found.append(AptSource(match[2], match[3], components, options.get("signed-by", "")))
    return found


def parse_deb822(text: str) -> list[AptSource]:
    """Read the deb822 style: stanzas of `Field: value`, with continued lines."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0", "off")
        if not enabled or "deb" not in fields.get("types", "").split():
            continue
        components = tuple(fields.get("components", "").split())
        found += [
            AptSource(uri, suite, components, fields.get("signed-by", ""))
            for uri in fields.get("uris", "").split()
            for suite in fields.get("suites", "").split()
        ]
    return found


def choose_sources(known: Iterable[AptSource], codename: str) -> list[AptSource]:
    """Choose where to look for kernel sources.

    Args:
        known: the machine's own sources.
        codename: of the machine's release, such as "bookworm".

    Returns:
        The machine's own suites of its release (with main only), then
        EXTRA_SUITES of the same mirror as far as they are not there already.
        Empty when no source serves the release.
    """
    releases = (codename, *_SUITE_NAMES)
    own = [
        replace(source, components=("main",))
        for source in known
        if "main" in source.components and re.split(r"[-/]", source.suite)[0] in releases
    ]
    mirror = next((source for source in own if source.suite in releases), None)
    if mirror is None:
        return []
    present = {source.suite for source in own}
    extra = [replace(mirror, suite=suite) for suite in EXTRA_SUITES if suite not in present]
    return [*own, *extra]


def format_deb822(sources: Iterable[AptSource]) -> str:
    """Write sources in deb822 style, package lists only."""
    stanzas = []
    for source in sources:
        lines = [
            "Types: deb",
            f"URIs: {source.uri}",
            f"Suites: {source.suite}",
            f"Components: {' '.join(source.components)}",
            "Targets: Packages",
        ]
        if source.signed_by:
            lines.append(f"Signed-By: {source.signed_by}")
        stanzas.append("\n".join(lines) + "\n")
    return "\n".join(stanzas)


def parse_candidates(policy: str) -> dict[str, str]:
    """Read `apt-cache policy NAME...`: from package to the version it would install."""
    pattern = re.compile(r"^(\S+):\n(?:  .*\n)*?  Candidate: (\S+)", re.MULTILINE)
    return {name: version for name, version in pattern.findall(policy) if version != "(none)"}


class Apt:
    """A private view of the archive: own lists, own downloads.

    Args:
        folder: where lists and caches are kept; created.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("lists/partial", "cache/archives/partial"):
            make_folder(folder / name)

    def update(self) -> None:
        """Fetch the package lists.

        Raises:
            HostError: this is no Debian, or the mirror cannot be reached; a
                kernel tree of your own can be given instead.
        """
        codename = _os_release().get("VERSION_CODENAME", "")
        sources = choose_sources(_machine_sources(), codename)
        if not sources:
            raise HostError(
                f"no apt source of this machine serves {codename or 'a Debian release'!r}",
                hint="give a kernel source tree: windtunnel kernel build --source PATH",
            )
        (self._folder / "windtunnel.sources").write_text(format_deb822(sources))
        done = self._run("apt-get", "update", "-q")
        if done.returncode != 0:
            raise HostError(
                f"cannot read the package lists:\n{_tail(done.stdout)}",
                hint="check the network and `apt-get update`, "
                "or give a kernel source tree with --source PATH",
            )

    def kernel_sources(self) -> dict[str, str]:
        """List the linux-source-X.Y packages on offer, with their versions. Needs update()."""
        names = self._run("apt-cache", "pkgnames", "linux-source-").stdout.split()
        wanted = sorted(name for name in names if re.fullmatch(r"linux-source-\d+\.\d+", name))
        return parse_candidates(self._run("apt-cache", "policy", *wanted).stdout) if wanted else {}

    def download(self, package: str, version: str, folder: Path) -> Path:
        """Download one package; apt checks signature and digest.

        Args:
            package: its name.
            version: exactly this one.
            folder: an existing, empty folder.

        Returns:
            The .deb file.

        Raises:
            HostError: the download failed.
        """
        done = self._run("apt-get", "download", "-q", f"{package}={version}", folder=folder)
        files = list(folder.glob("*.deb"))
        if done.returncode != 0 or len(files) != 1:
            raise HostError(
                f"cannot download {package} {version}:\n{_tail(done.stdout)}",
                hint="check the network and the free space, then try again",
            )
        return files[0]

    def _run(self, *command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        program, *words = command
        options = {
            "Dir::Etc::sourcelist": str(self._folder / "windtunnel.sources"),
            "Dir::Etc::sourceparts": "-",
            "Dir::State::lists": str(self._folder / "lists"),
            "Dir::Cache": str(self._folder / "cache"),
            "Acquire::Languages": "none",
            # root's apt would hand the work to a user who cannot read our folder
            "APT::Sandbox::User": "",
        }
        settings = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        try:
            return subprocess.run(
                [program, *settings, *words],
                cwd=folder or self._folder,
                env=os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
        except FileNotFoundError as error:
            raise HostError(
                f"{program} is missing: kernel sources come from Debian packages",
                hint="give a kernel source tree: windtunnel kernel build --source PATH",
            ) from error


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t") and name:
            # the lines of a key keep their shape, " ." stands for an empty one
            fields[name] += "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _machine_sources() -> list[AptSource]:
    etc = Path("/etc/apt")
    one_line = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    found: list[AptSource] = []
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        found += parse_deb822(_read(path))
    for path in one_line:
        found += parse_one_line(_read(path))
    return found


def _os_release() -> dict[str, str]:
    pairs = (line.partition("=") for line in _read(Path("/etc/os-release")).splitlines())
    return {name: value.strip('"') for name, _, value in pairs}


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _tail(output: str) -> str:
    lines: Sequence[str] = [line for line in output.splitlines() if line.strip()]
    return "\n".join(f"    {line}" for line in lines[-_LAST_LINES:])
