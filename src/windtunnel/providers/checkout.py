# SPDX-License-Identifier: Apache-2.0
"""The tree of a provider on this machine: a folder as it is, or a commit from Git.

A commit is cloned beside its place and put there by one rename, so a clone that is cut
short leaves nothing that looks whole. Which commit is used is a file of its own, replaced
at once; runs that use an older one keep it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from windtunnel.errors import HostError, UsageError
from windtunnel.images.cache import cache_folder, cannot_write, locked, make_folder
from windtunnel.providers.registry import Provider

_CURRENT = "current"
_LINES_SHOWN = 5  # of what git says when it fails


@dataclass(frozen=True, slots=True)
class Tree:
    """A provider's files.

    Attributes:
        path: their folder.
        commit: 40 hexadecimal digits; empty for a folder that is under no Git.
        changed: whether files differ from the commit.
    """

    path: Path
    commit: str = ""
    changed: bool = False

    @property
    def version(self) -> str:
        """The commit for people."""
        if not self.commit:
            return "a folder"
        return f"{self.commit[:12]}{' and changes' if self.changed else ''}"


def is_folder(provider: Provider) -> bool:
    """Whether a provider is a folder that is used as it is: no commit of it is asked for."""
    return not provider.description.ref and local_path(provider.description.uri).is_dir()


def find_tree(provider: Provider) -> Tree:
    """Find a provider's files, which may have to be fetched first.

    Raises:
        UsageError: nobody has fetched them.
    """
    if is_folder(provider):
        return _folder(local_path(provider.description.uri))
    place = _place(provider)
    try:
        commit = (place / _CURRENT).read_text().strip()
    except OSError:
        commit = ""
    if not commit or not (place / commit).is_dir():
        raise UsageError(
            f"the provider {provider.name!r} is not here yet",
            hint=f"windtunnel provider bootstrap {provider.name}",
        )
    return Tree(place / commit, commit)


def fetch_tree(provider: Provider, progress: Callable[[str], None]) -> Tree:
    """Bring the commit of a provider here, if it is not; a folder is used as it is.

    Args:
        provider: which.
        progress: told what goes on.

    Raises:
        UsageError: git does not know the source or the ref.
        HostError: git is missing, or nothing can be written.
    """
    if is_folder(provider):
        return find_tree(provider)
    if shutil.which("git") is None:
        raise HostError("git is missing", hint="sudo apt-get install -y git")
    place = make_folder(_place(provider))

    def say_waiting() -> None:
        progress("another process fetches it; waiting")

    with locked(place / ".lock", say_waiting):
        for dead in place.glob(".new-*"):
            shutil.rmtree(dead, ignore_errors=True)
        try:
            return _clone(provider, place, progress)
        except OSError as error:
            raise cannot_write(place, error) from error


def remove_trees(provider: Provider) -> None:
    """Remove what was fetched of a provider."""
    shutil.rmtree(_place(provider), ignore_errors=True)


def _clone(provider: Provider, place: Path, progress: Callable[[str], None]) -> Tree:
    description = provider.description
    local = local_path(description.uri)
    uri = str(local) if local.exists() else description.uri
    with tempfile.TemporaryDirectory(prefix=".new-", dir=place, ignore_cleanup_errors=True) as name:
        new = Path(name) / "tree"
        progress(f"cloning {description.uri}")
        _git(["clone", "--quiet", "--no-checkout", "--", uri, str(new)], f"cannot clone {uri}")
        commit = _commit(new, description.ref)
        target = place / commit
        if not target.is_dir():
            progress(f"checking out {commit[:12]}")
            _git(
                ["-C", str(new), "checkout", "--quiet", "--detach", commit],
                f"cannot check out {commit}",
            )
            new.rename(target)
        pointer = Path(name) / _CURRENT
        pointer.write_text(f"{commit}\n")
        pointer.replace(place / _CURRENT)
    return Tree(target, commit)


def _commit(clone: Path, ref: str) -> str:
    """The commit that a ref means: of the source's branches first, for ours are none."""
    for name in (f"refs/remotes/origin/{ref}", ref) if ref else ("refs/remotes/origin/HEAD",):
        done = _run(["-C", str(clone), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"])
        if done.returncode == 0:
            return done.stdout.strip()
    found = _run(
        ["-C", str(clone), "for-each-ref", "--format=%(refname:lstrip=-1)", "refs/"]
    ).stdout.split()
    names = ", ".join(dict.fromkeys(name for name in found if name != "HEAD")) or "none"
    raise UsageError(
        f"the source has no tag, branch or commit {ref!r}" if ref else "the source is empty",
        hint=f"it has: {names[:200]}",
    )


def _folder(path: Path) -> Tree:
    if shutil.which("git") is None:
        return Tree(path)
    done = _run(["-C", str(path), "rev-parse", "--verify", "--quiet", "HEAD"])
    if done.returncode != 0:
        return Tree(path)
    status = _run(["-C", str(path), "status", "--porcelain", "--", "."])
    return Tree(path, done.stdout.strip(), changed=bool(status.stdout.strip()))


def _git(words: list[str], what: str) -> None:
    done = _run(words)
    if done.returncode != 0:
        lines = "\n".join(done.stderr.strip().splitlines()[-_LINES_SHOWN:])
        raise UsageError(f"{what}: git says\n{lines}", hint="try the same with git by hand")


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    # A repository of somebody else's has no say in what git does here.
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    return subprocess.run(
        ["git", "-c", "core.hooksPath=/dev/null", *words],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        env={**environment, "LC_ALL": "C"},
    )


def _place(provider: Provider) -> Path:
    """Where commits of this source lie; another source of the same name has another place."""
    source = hashlib.sha256(provider.description.uri.encode()).hexdigest()[:12]
    return cache_folder("providers", f"{provider.name}-{source}")


def local_path(uri: str) -> Path:
    """Give the path that a URI is, if it is one of this machine; nothing need be there."""
    return Path(uri.removeprefix("file://")).expanduser()
