# SPDX-License-Identifier: Apache-2.0
"""Kernel sources: which there are, and a private copy of one to patch and build.

A source is either a Debian package (`linux-source-7.3`, exactly one version) or
a tree of the user's own. A user's tree is read, and never changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from windtunnel.errors import HostError, UsageError
from windtunnel.images.apt import Apt
from windtunnel.images.cache import cache_folder, locked, make_folder
from windtunnel.images.kernels import (
    NEWEST,
    SECCOMP_SINCE,
    Phase,
    Progress,
    ProgressCallback,
    ignore_progress,
    version_numbers,
)

OLDEST = "6.12"
"""What "newest" means where nothing with seccomp mode is offered, and the oldest that we test."""


@dataclass(frozen=True, slots=True)
class DebianSource:
    """A source package.

    Attributes:
        package: such as "linux-source-7.3".
        version: Debian's, such as "7.3.4-1~bpo13+1".
    """

    package: str
    version: str

    @property
    def identity(self) -> str:
        """What names this source's content, for keys and for people."""
        return f"debian {self.package} {self.version}"


@dataclass(frozen=True, slots=True)
class TreeSource:
    """A source tree of the user's own.

    Attributes:
        path: absolute.
        digest: of its content, see tree_digest.
    """

    path: Path
    digest: str

    @property
    def identity(self) -> str:
        """What names this source's content, for keys and for people."""
        return f"tree {self.path} {self.digest}"


Source = DebianSource | TreeSource


def find_source(name: str, progress: ProgressCallback = ignore_progress) -> Source:
    """Find the source that a user means.

    Args:
        name: "newest" (the newest package with UML seccomp mode, else 6.12), a
            version such as "6.12", or a path with a slash.
        progress: called when the package lists are fetched.

    Raises:
        UsageError: the path is no kernel tree, or the version is not on offer.
        HostError: the package lists cannot be read.
    """
    if "/" in name:
        return tree_source(Path(name))
    progress(Progress(Phase.LOOK_UP, "reading the lists of kernel source packages"))
    apt = Apt(cache_folder("apt"))
    with locked(cache_folder("apt", "lock"), lambda: None):
        apt.update()
        offered = apt.kernel_sources()
    package = choose_package(name, offered)
    return DebianSource(package, offered[package])


def choose_package(name: str, offered: Mapping[str, str]) -> str:
    """Choose among the packages on offer.

    Args:
        name: "newest" or a version, "6.12".
        offered: from package to Debian version.

    Raises:
        UsageError: it is not on offer; the message lists what is.
    """
    versions = {package.removeprefix("linux-source-"): package for package in offered}
    if name == NEWEST:
        newest = max(versions, key=version_numbers, default="")
        if version_numbers(newest) >= SECCOMP_SINCE:
            return versions[newest]
        name = OLDEST
    if name not in versions:
        known = ", ".join(sorted(versions, key=version_numbers)) or "none at all"
        raise UsageError(
            f"no kernel source {name!r} is on offer; there are: {known}",
            hint="name one of them, say newest, or give the path of a tree (with a slash)",
        )
    return versions[name]


def tree_source(path: Path) -> TreeSource:
    """Take a user's own tree.

    Raises:
        UsageError: it is no Linux source tree with User Mode Linux.
    """
    path = path.expanduser().resolve()
    if not (path / "arch" / "um").is_dir() or not (path / "Makefile").is_file():
        raise UsageError(
            f"{path} is no Linux source tree: it has no Makefile or no arch/um",
            hint="give the folder that holds MAINTAINERS, arch/ and net/",
        )
    return TreeSource(path, tree_digest(path))


def tree_digest(tree: Path) -> str:
    """Take the digest of a tree's content.

    In a git tree: the commit, the difference to it and the untracked files; so
    a touched file changes nothing. Elsewhere: every file's name, size and time
    of change, for reading a gigabyte takes longer than building is worth.
    """
    content = hashlib.sha256()
    if (tree / ".git").exists():
        content.update(_git(tree, "rev-parse", "HEAD"))
        content.update(_git(tree, "diff", "--binary", "HEAD"))
        for name in _names(_git(tree, "ls-files", "-z", "--others", "--exclude-standard")):
            content.update(name.encode() + b"\0" + _content(tree / name))
    else:
        for name in _walk(tree):
            status = (tree / name).lstat()
            content.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return content.hexdigest()[:12]


def makefile_version(makefile: str) -> str:
    """Read the version from the head of a kernel's Makefile: "7.3.4", "7.4.0-rc2"."""
    pattern = r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(\S*)"
    found: dict[str, str] = dict(re.findall(pattern, makefile, re.MULTILINE))
    numbers = ".".join(found.get(name, "0") for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL"))
    return numbers + found.get("EXTRAVERSION", "")


def copy_source(source: Source, target: Path, progress: ProgressCallback) -> None:
    """Make a private copy of a source, to be patched.

    Args:
        source: what to copy.
        target: a folder that does not exist yet.
        progress: called with each step.

    Raises:
        HostError: download, disk or permissions failed.
    """
    make_folder(target)
    if isinstance(source, DebianSource):
        _unpack(_archive(source, progress), target, progress)
        return
    progress(Progress(Phase.EXTRACT, f"linking the files of {source.path}"))
    if (source.path / ".git").exists():
        listed = _git(source.path, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        _link_files(source.path, _names(listed), target)
    else:
        _link_files(source.path, _walk(source.path), target)


def source_of(identity: str) -> Source | None:
    """Find the source that a Kernel's `source` names; None when it names none.

    Raises:
        UsageError: it was a tree of the user's own, which is there no more.
    """
    if identity.startswith("tree "):
        return tree_source(Path(identity.removeprefix("tree ").rpartition(" ")[0]))
    if identity.startswith("debian "):
        return DebianSource(*identity.split()[1:3])
    return None


def source_tree(name: str = NEWEST, progress: ProgressCallback = ignore_progress) -> Path:
    """Return an unpacked, unpatched source tree; the kernel's selftests are in it.

    Args:
        name: as for find_source; or a Kernel's `source`, for exactly what that
            kernel was built from.
        progress: called with each step.

    Returns:
        For a package a folder in the cache, made once and kept; for a tree of
        the user's own that tree.

    Raises:
        UsageError: there is no such source.
        HostError: it cannot be fetched or unpacked.
    """
    source = source_of(name) or find_source(name, progress)
    if isinstance(source, TreeSource):
        return source.path
    folder = _package_folder(source)
    tree = folder / "tree"
    archive = None if tree.exists() else _archive(source, progress)
    with locked(folder / "lock", lambda: progress(_waiting(folder))):
        if archive and not tree.exists():
            half = folder / "tree.half"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            _unpack(archive, half, progress)
            half.rename(tree)
    return tree


def _package_folder(source: DebianSource) -> Path:
    return cache_folder("sources", f"{source.package}_{source.version}")


def _archive(source: DebianSource, progress: ProgressCallback) -> Path:
    """The package's tar file, downloaded once."""
    folder = _package_folder(source)
    archive = folder / f"{source.package}.tar.xz"
    with locked(folder / "lock", lambda: progress(_waiting(folder))):
        if not archive.exists():
            progress(Progress(Phase.DOWNLOAD, f"{source.package} {source.version}, about 150 MB"))
            half = folder / "download"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            package = Apt(cache_folder("apt")).download(source.package, source.version, half)
            run_step(["dpkg-deb", "-x", str(package), str(half / "package")], "unpacking")
            (half / "package" / "usr" / "src" / archive.name).rename(archive)
            shutil.rmtree(half)
    return archive


def _unpack(archive: Path, target: Path, progress: ProgressCallback) -> None:
    progress(Progress(Phase.EXTRACT, archive.name))
    run_step(
        ["tar", "-xJf", str(archive), "-C", str(target), "--strip-components=1", "--no-same-owner"],
        f"unpacking {archive.name}",
    )


def run_step(command: list[str], what: str, *, folder: Path | None = None) -> None:
    """Run a program that must succeed.

    Args:
        command: the words.
        what: what it is for, for the message.
        folder: its working directory.

    Raises:
        HostError: it is missing or fails; the message has its last lines.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise HostError(
            f"{what} failed: {command[0]} is missing",
            hint="`windtunnel doctor` says which packages to install",
        ) from error
    if done.returncode != 0:
        lines = "\n".join(f"    {line}" for line in done.stdout.splitlines()[-8:])
        raise HostError(f"{what} failed, exit status {done.returncode}:\n{lines}")


def _waiting(folder: Path) -> Progress:
    return Progress(Phase.WAIT, f"another process is preparing {folder.name}; waiting for it")


def _link_files(tree: Path, names: Iterable[str], target: Path) -> None:
    # Hard links: seconds instead of a gigabyte. They are safe because the two
    # programs that change files of the copy, patch and rm, put new files in the
    # place of old ones; the build itself writes elsewhere.
    made: set[Path] = set()
    for name in names:
        place = target / name
        if place.parent not in made:
            place.parent.mkdir(parents=True, exist_ok=True)
            made.add(place.parent)
        try:
            os.link(tree / name, place, follow_symlinks=False)
        except FileNotFoundError:
            continue  # tracked by git, and deleted
        except OSError:  # another file system, or another user's file
            shutil.copy2(tree / name, place, follow_symlinks=False)


def _walk(tree: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(tree):
        folders[:] = sorted(name for name in folders if name != ".git")
        links = [name for name in folders if Path(folder, name).is_symlink()]
        inside = Path(folder).relative_to(tree)
        yield from (str(inside / name) for name in sorted(files + links))


def _names(listing: bytes) -> list[str]:
    return [os.fsdecode(name) for name in listing.split(b"\0") if name]


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return os.fsencode(path.readlink())
    return path.read_bytes() if path.is_file() else b""


def _git(tree: Path, *words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(tree), *words], capture_output=True, check=False)
    if done.returncode != 0:
        raise HostError(
            f"git cannot read {tree}: {done.stderr.decode(errors='replace').strip()}",
            hint="mend the repository, or give a tree without .git",
        )
    return done.stdout
