# SPDX-License-Identifier: Apache-2.0
"""Kernels that are built and can be run: data, looking up, nothing slow.

A kernel lives in `kernels/<version>-<key>/` of the cache: `linux` (the
program), `config`, `System.map`, `build.log`, `guest-root` (what modprobe reads
in a guest) and `kernel.json` (this module's Kernel). The key is the digest of
everything that the build was made from; the *recipe* is the part of it that
comes from us (fragment, patches, options), so that the right kernel is found
without a look at any source or compiler.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path

from windtunnel.errors import HostError
from windtunnel.images.cache import cache_folder
from windtunnel.images.config import normal_form, parse_config, parse_options
from windtunnel.images.shipped import kernel_folder
from windtunnel.images.variant import ORDINARY, Sanitizer, Variant

NEWEST = "newest"
SECCOMP_SINCE = (6, 16)
"""The first version whose UML runs guests under seccomp, twice as fast as with ptrace."""

_HEAD_END = b"\n---\n"
_BEFORE = re.compile(rb"^Before: (\S+)$", re.MULTILINE)
_KEY_DIGITS = 12
_SHORTEST_KEY = 4


class Phase(Enum):
    """What a build is doing."""

    LOOK_UP = "looking up"
    WAIT = "waiting"
    DOWNLOAD = "downloading"
    EXTRACT = "extracting"
    PATCH = "patching"
    CONFIGURE = "configuring"
    COMPILE = "compiling"
    WARNING = "warning"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build has come.

    Attributes:
        phase: what it is doing.
        message: one line for people; for COMPILE the file being compiled.
        done: objects compiled so far; 0 outside COMPILE.
        total: objects expected, an estimate and never less than `done`; 0
            outside COMPILE.
    """

    phase: Phase
    message: str
    done: int = 0
    total: int = 0


ProgressCallback = Callable[[Progress], None]


def ignore_progress(_progress: Progress) -> None:
    """Do nothing: the callback for callers that draw nothing."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What we add to a kernel source.

    Attributes:
        fragment: the settings of config.fragment, in normal form.
        options: the settings asked for with `--with`, in normal form.
        patches: the patch files, in the order of applying.
        digest: of the settings and of what the patches change, and of the covered paths.
        variant: in what the kernel is special.
        required: settings of the variant, in normal form: a kernel without them is none.
        base: the digest without the covered paths; what compiles most objects alike.
    """

    fragment: tuple[str, ...]
    options: tuple[str, ...]
    patches: tuple[Path, ...]
    digest: str
    variant: Variant = ORDINARY
    required: tuple[str, ...] = ()
    base: str = ""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that can be run.

    Attributes:
        version: as the source's Makefile says it, such as "7.3.4".
        key: the digest of all ingredients; empty for a program of the user's own.
        path: the program.
        source: where the source came from, for people.
        options: extra settings, in normal form.
        recipe: digest of fragment, patches and options.
        compiler: the compiler's own words, one line.
        sha256: of the program.
        size_bytes: of the program.
        objects: how many files were compiled.
        built: host date of the build, ISO 8601 in UTC.
        build_host_s: how long it took.
        build_cpu_s: processor time that it took.
        unavailable: settings of the fragment that this source does not honour.
        variant: in what it is special.
    """

    version: str
    key: str
    path: Path
    source: str = ""
    options: tuple[str, ...] = ()
    recipe: str = ""
    compiler: str = ""
    sha256: str = ""
    size_bytes: int = 0
    objects: int = 0
    built: str = ""
    build_host_s: float = 0.0
    build_cpu_s: float = 0.0
    unavailable: tuple[str, ...] = ()
    variant: Variant = ORDINARY

    @property
    def name(self) -> str:
        """The name of its folder in the cache."""
        return f"{self.version}-{self.key}" if self.key else str(self.path)

    @property
    def has_seccomp(self) -> bool:
        """Say whether `seccomp=on` can be given to it."""
        return version_numbers(self.version) >= SECCOMP_SINCE


def version_numbers(version: str) -> tuple[int, ...]:
    """Read the numbers of a version, for comparing: "7.2.0-rc3" is (7, 2, 0)."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def kernel_cache() -> Path:
    """Name the folder that holds all kernels."""
    return cache_folder("kernels")


def load_recipe(
    options: Sequence[str] = (), variant: Variant = ORDINARY, *, folder: Path | None = None
) -> Recipe:
    """Read fragment and patches, and take their digest.

    Args:
        options: extra settings as people type them.
        variant: in what the kernel is to be special.
        folder: the folder with config.fragment, patches/ and variants/; ours by default.

    Raises:
        UsageError: an option is no setting.
        HostError: the files are missing; install the package again.
    """
    folder = folder or kernel_folder()
    special = [folder / "variants" / name for name in variant.folders]
    patches = tuple(
        patch for place in (folder / "patches", *special) for patch in sorted(place.glob("*.patch"))
    )
    try:
        settings = parse_config((folder / "config.fragment").read_text())
        more: dict[str, str] = {}
        for place in special:
            more |= parse_config((place / "config.fragment").read_text())
        contents = [hashlib.sha256(_changes(patch)).hexdigest() for patch in patches]
    except OSError as error:
        raise HostError(
            f"cannot read {error.filename}: {error.strerror}", hint="install windtunnel again"
        ) from error
    fragment, wanted = normal_form(settings | more), normal_form(parse_options(options))
    base = digest(fragment, wanted, contents)
    whole = digest([base], variant.coverage) if variant.coverage else base
    return Recipe(fragment, wanted, patches, whole, variant, normal_form(more), base)


def is_for(patch: Path, version: str) -> bool:
    """Say whether a patch is for kernels of a version.

    One that newer kernels do without says so above its "---" line: "Before: 6.13".
    """
    head, _, _ = patch.read_bytes().partition(_HEAD_END)
    before = _BEFORE.search(head)
    return before is None or version_numbers(version) < version_numbers(before[1].decode())


def _changes(patch: Path) -> bytes:
    # What else a patch says above its first "---" explains it, and changes no kernel.
    head, line, changes = patch.read_bytes().partition(_HEAD_END)
    before = _BEFORE.search(head)
    return (before[0] if before else b"") + changes if line else head


def digest(*parts: Sequence[str]) -> str:
    """Take the short digest that names things in the cache."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_KEY_DIGITS]


def read_kernel(folder: Path) -> Kernel | None:
    """Read a folder of the cache; None when no finished kernel is in it."""
    try:
        fields = json.loads((folder / "kernel.json").read_text())
        fields["path"] = folder / "linux"
        for name in ("options", "unavailable"):
            fields[name] = tuple(fields[name])
        special = fields.pop("variant", {})
        fields["variant"] = Variant(
            tuple(special.get("coverage", ())),
            tuple(Sanitizer(name) for name in special.get("sanitizers", ())),
        )
        kernel = Kernel(**fields)
    except (OSError, ValueError, KeyError, TypeError):
        # not ours, or of another version of us: for looking up it does not exist
        return None
    return kernel if kernel.path.exists() else None


def write_kernel(kernel: Kernel, folder: Path) -> None:
    """Write the record that read_kernel reads."""
    fields = asdict(kernel)
    del fields["path"]
    if kernel.variant == ORDINARY:
        del fields["variant"]  # so that older versions of us can read it as well
    (folder / "kernel.json").write_text(json.dumps(fields, indent=2) + "\n")


def list_kernels() -> list[Kernel]:
    """List all cached kernels: newest version first, then the latest build."""
    found = [read_kernel(folder) for folder in kernel_cache().glob("[!.]*/")]
    kernels = [kernel for kernel in found if kernel]
    return sorted(kernels, key=lambda one: (version_numbers(one.version), one.built), reverse=True)


def find_kernel(name: str | None = None) -> Kernel | None:
    """Find a cached kernel; touches no network and starts no program.

    Args:
        name: None or "newest": the newest version with seccomp mode that was
            built with the present fragment and patches and without extra
            options (an older version where no newer one is offered);
            "6.12" or "7.3.4": that version, equally;
            a key, or the start of one (at least 4 digits), or "version-key":
            exactly that build, whatever it was made with;
            a path (with a slash): that program.

    Returns:
        None when there is no such kernel: build it with ensure_kernel.

    Raises:
        HostError: the path does not exist.
    """
    if name is not None and "/" in name:
        return _kernel_at(Path(name))
    kernels = list_kernels()
    found = _select(kernels, name or NEWEST, load_recipe())
    if found is None and name and len(name) >= _SHORTEST_KEY:
        found = next((one for one in kernels if name in (one.name, one.key[: len(name)])), None)
    return found


def ensure_kernel(
    source: str = NEWEST,
    options: Sequence[str] = (),
    progress: ProgressCallback = ignore_progress,
    *,
    variant: Variant = ORDINARY,
) -> Kernel:
    """Return a cached kernel, or build it.

    Where a suitable one is cached this takes milliseconds and touches neither
    apt nor the network; so "newest" means the newest *cached* one. To look for
    newer ones call windtunnel.images.build.build_kernel.

    Args:
        source: "newest", a version such as "6.12", or the path (with a slash)
            of a kernel source tree.
        options: extra settings, such as "DEBUG_FS=n".
        progress: called with each step of a build.
        variant: in what it is special.

    Raises:
        UsageError: the source, an option or a path to be covered is wrong.
        HostError: it cannot be built here; the message says why.
    """
    found = find_variant(source, variant, options)
    if found:
        return found
    # only here: the builder needs subprocess and more, and most starts do not
    from windtunnel.images.build import build_kernel  # noqa: PLC0415

    return build_kernel(source, options, progress, variant=variant)


def find_variant(
    source: str = NEWEST, variant: Variant = ORDINARY, options: Sequence[str] = ()
) -> Kernel | None:
    """Find a cached kernel that is special in a way; touches no network.

    Args:
        source: "newest" or a version; for a path nothing is found.
        variant: in what it is special.
        options: extra settings.
    """
    if "/" in source:
        return None
    return _select(list_kernels(), source, load_recipe(options, variant))


def estimate_build_host_s() -> float:
    """Say how long a build will take here: as the last one did, else 9 minutes."""
    # one that counts lines may have been made of objects that were there
    whole = (one for one in list_kernels() if not one.variant.coverage)
    return next((one.build_host_s for one in whole if one.build_host_s), 540.0)


def remember_newest(kernel: Kernel) -> None:
    """Note which kernel answers "newest" where none with seccomp mode is offered."""
    (kernel_cache() / "newest").write_text(kernel.name + "\n")


def _select(kernels: Sequence[Kernel], source: str, recipe: Recipe) -> Kernel | None:
    fitting = [kernel for kernel in kernels if kernel.recipe == recipe.digest]
    if source == NEWEST:
        # trees of the user's own are never the default: they are named by path
        offered = [one for one in fitting if one.source.startswith("debian ")]
        newest = next((kernel for kernel in offered if kernel.has_seccomp), None)
        return newest or _remembered(offered)
    return next(
        (one for one in fitting if one.version == source or one.version.startswith(source + ".")),
        None,
    )


def _remembered(kernels: Sequence[Kernel]) -> Kernel | None:
    try:
        name = (kernel_cache() / "newest").read_text().strip()
    except OSError:
        return None
    version = name.rpartition("-")[0]
    for one in kernels:
        # of a special kernel it is the version that was offered
        if one.name == name or (one.variant != ORDINARY and one.version == version):
            return one
    return None


def _release_in(program: bytes) -> str:
    """The release that a kernel's banner tells; "unknown" if it has none."""
    banner = re.search(rb"Linux version (\d[\x21-\x7e]*) \(", program)
    return banner[1].decode() if banner else "unknown"


def _kernel_at(path: Path) -> Kernel:
    if path.is_dir():
        path = path / "linux"
    if not path.is_file():
        raise HostError(f"there is no kernel at {path}", hint="`windtunnel kernel list` lists them")
    cached = read_kernel(path.parent)
    if cached and path.name == "linux":
        return replace(cached, path=path.resolve())
    content = path.read_bytes()
    return Kernel(
        version=_release_in(content),
        key="",
        path=path.resolve(),
        source=f"program {path.resolve()}",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
    )
