# SPDX-License-Identifier: Apache-2.0
"""Build a kernel: copy the source, patch, configure, compile, put into the cache.

One build of a key runs at a time, under a lock that its compilers hold as well;
it works in `.building-<name>`, a fixed place, so that nothing of the place can
make two builds differ, and appears in the cache by one rename. Whatever finds
that folder while holding the lock knows that it is a dead builder's.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from windtunnel.errors import HostError, UsageError
from windtunnel.images.cache import cannot_write, locked, make_folder
from windtunnel.images.config import merge_config, parse_config, parse_options, unhonoured
from windtunnel.images.coverage import keep_coverage
from windtunnel.images.doctor import require_programs
from windtunnel.images.kernels import (
    NEWEST,
    SECCOMP_SINCE,
    Kernel,
    Phase,
    Progress,
    ProgressCallback,
    Recipe,
    digest,
    ignore_progress,
    is_for,
    kernel_cache,
    list_kernels,
    load_recipe,
    read_kernel,
    remember_newest,
    version_numbers,
    write_kernel,
)
from windtunnel.images.modules import write_module_lists
from windtunnel.images.sources import (
    DebianSource,
    Source,
    copy_source,
    find_source,
    makefile_version,
    run_step,
)
from windtunnel.images.variant import ORDINARY, Variant, check_paths

OBJECTS_EXPECTED = 1590
"""Objects of 7.3 with our fragment: the estimate for a machine's first build."""

_WHOLE = "whole"
"""In a tree that is kept: for which recipe it was prepared. It is not there while make works,
so that after a builder was killed nothing in the tree is believed."""

_FREE_BYTES_MIN = {True: 4 << 30, False: 1 << 30}  # of a package (1.8 GB unpacked), of a tree
_LINES_KEPT = 4000  # of a failing log; the first error of a parallel build may stand far up
_LINES_SHOWN = 20
_OBJECT = re.compile(r"  (?:CC|AS)(?: \[M\])? +(\S+)")
_FAULT = re.compile(
    r"error:|Error \d|undefined reference|\*\*\*|No space left|cannot find -l|Killed|not found"
)


def build_kernel(
    source: str = NEWEST,
    options: Sequence[str] = (),
    progress: ProgressCallback = ignore_progress,
    *,
    keep_tree: bool = False,
    variant: Variant = ORDINARY,
) -> Kernel:
    """Find the source, and build it unless exactly that is cached.

    Args:
        source: "newest", a version such as "6.12", or the path (with a slash)
            of a kernel source tree.
        options: extra settings, such as "DEBUG_FS=n".
        progress: called with each step, from this thread.
        keep_tree: keep `source/` (patched) and `objects/` beside the kernel
            (2.5 GB); builds even what is cached.
        variant: in what the kernel is special.

    Raises:
        UsageError: the source or an option is wrong, the kernel does not honour an
            option, or its source or its configuration lacks what is to be covered.
        HostError: it cannot be built here; the message has the compiler's last
            lines, and names the log.
    """
    recipe = load_recipe(options, variant)
    require_programs("build")
    found = find_source(source, progress)
    kernel = build_source(found, recipe, progress, keep_tree=keep_tree)
    is_old = version_numbers(kernel.version) < SECCOMP_SINCE
    if source == NEWEST and is_old and variant == ORDINARY:
        remember_newest(kernel)
    return kernel


def build_source(
    source: Source,
    recipe: Recipe,
    progress: ProgressCallback = ignore_progress,
    *,
    keep_tree: bool = False,
) -> Kernel:
    """Build one source with one recipe, unless that is cached.

    Raises:
        UsageError: an option is not honoured, or a patch does not apply.
        HostError: it cannot be built here.
    """
    compiler = compiler_version()
    key = digest([source.identity], [recipe.digest], [compiler])
    cache = make_folder(kernel_cache())
    # All coverage kernels of a source are built in one place, of the same objects.
    tree = None
    place = key
    if recipe.variant.coverage and not keep_tree:
        place = digest([source.identity], [compiler])
        tree = cache / f".tree-{place}"
    with locked_build(place, progress) as held:
        cached = next((one for one in list_kernels() if one.key == key), None)
        if cached and not keep_tree:
            progress(Progress(Phase.DONE, f"{cached.name} is cached"))
            return cached
        with build_folder(place, source) as work:
            kernel = Build(source, recipe, progress, work, held, tree=tree).run(key, compiler)
            folder = _publish(work, cache / kernel.name, keep_tree=keep_tree)
    published = read_kernel(folder)
    assert published, "what was just published can be read"
    progress(Progress(Phase.DONE, f"{published.name} is built"))
    return published


@contextmanager
def locked_build(key: str, progress: ProgressCallback) -> Iterator[int]:
    """Hold the lock of a key's builds; yields its descriptor, for those who compile."""

    def say_waiting() -> None:
        progress(Progress(Phase.WAIT, "another process is building this kernel; waiting for it"))

    with locked(kernel_cache() / ".locks" / key, say_waiting) as held:
        yield held


@contextmanager
def build_folder(key: str, source: Source) -> Iterator[Path]:
    """Give a key's place to build in, empty, and remove it afterwards; its lock is held.

    Raises:
        HostError: there is not enough space, or it cannot be written.
    """
    cache = kernel_cache()
    sweep_dead_builds()
    work = cache / f".building-{key}"
    shutil.rmtree(work, ignore_errors=True)
    _require_space(cache, source)
    try:
        yield work
    except OSError as error:
        raise cannot_write(work, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def compiler_version() -> str:
    """Ask the compiler for its version, one line.

    Raises:
        HostError: there is no compiler.
    """
    try:
        done = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise HostError(
            "gcc is missing or does not work", hint="sudo apt-get install -y gcc libc6-dev"
        ) from error
    return done.stdout.partition("\n")[0]


def failure_lines(log: Iterable[str]) -> list[str]:
    """Pick the lines of a build log that say why it failed.

    Args:
        log: its lines.

    Returns:
        At most 20: from the first that reports an error, or the last ones when
        none does.
    """
    kept = deque((line.rstrip() for line in log), maxlen=_LINES_KEPT)
    faults = [line for line in kept if _FAULT.search(line)]
    return faults[:_LINES_SHOWN] or list(kept)[-_LINES_SHOWN:]


def sweep_dead_builds() -> None:
    """Remove the work of builders that were killed: folders whose lock nobody holds."""
    cache = kernel_cache()
    for folder in cache.glob(".building-*"):
        lock = cache / ".locks" / folder.name.removeprefix(".building-")
        try:
            with lock.open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # being built, right now


class Build:
    """One build in one folder: `source/`, `objects/` and the files to be kept.

    Attributes:
        tree: the folder of the patched source.
        objects: the folder of what the compiler makes.
    """

    def __init__(
        self,
        source: Source,
        recipe: Recipe,
        progress: ProgressCallback,
        work: Path,
        held: int,
        *,
        flags: str = "",
        tree: Path | None = None,
    ) -> None:
        self._source = source
        self._flags = flags  # of the compiler, beyond those of the kernel's own Makefiles
        self._recipe = recipe
        self._progress = progress
        self._work = work
        self._held = held  # the lock's descriptor: whoever compiles holds it too
        kept = tree or work
        self.tree = kept / "source"
        self.objects = kept / "objects"
        self._whole = None if tree is None else tree / _WHOLE
        self._log = work / "build.log"
        self._compiled = 0

    def compile(self) -> tuple[str, tuple[str, ...]]:
        """Compile; returns the version, and the settings that its source does not honour."""
        make_folder(self._work)
        if not self._is_prepared():
            self._prepare()
        version = self._version()
        check_paths(self._recipe.variant, self.tree)
        unavailable = self._unavailable(version)
        if self._whole is not None:
            self._whole.unlink(missing_ok=True)  # until make has come to its end
        self._make(version, "linux")
        self._note_whole()
        return version, unavailable

    def _is_prepared(self) -> bool:
        """Whether the tree was kept, and is one for this recipe."""
        return (
            self._whole is not None
            and self._whole.exists()
            and self._whole.read_text() == self._recipe.base
        )

    def _note_whole(self) -> None:
        if self._whole is not None:
            self._whole.write_text(self._recipe.base)

    def _prepare(self) -> None:
        """Make the patched source, and the configuration."""
        if self._whole is not None:
            self._whole.unlink(missing_ok=True)
        for folder in (self.tree, self.objects):
            shutil.rmtree(folder, ignore_errors=True)
        make_folder(self.objects)
        copy_source(self._source, self.tree, self._progress)
        version = self._version()
        self._progress(Progress(Phase.PATCH, f"{len(self._recipe.patches)} patches"))
        for patch in self._recipe.patches:
            if is_for(patch, version):
                _apply(patch, self.tree)
        self._progress(Progress(Phase.CONFIGURE, f"Linux {version}"))
        self._configure(version)
        self._note_whole()

    def _version(self) -> str:
        return makefile_version((self.tree / "Makefile").read_text())

    def run(self, key: str, compiler: str) -> Kernel:
        """Build, and leave the files of a finished kernel in the work folder."""
        start = os.times()
        version, unavailable = self.compile()
        end = os.times()
        program = self._work / "linux"
        for name, kept in (("linux", program), (".config", self._work / "config")):
            shutil.copy2(self.objects / name, kept)
        if (self.objects / "System.map").exists():
            shutil.copy2(self.objects / "System.map", self._work / "System.map")
        if (self.objects / "modules.builtin").exists():
            listing = (self.objects / "modules.builtin").read_text()
            write_module_lists(listing, version, self._work)
        if self._recipe.variant.coverage:
            keep_coverage(self._recipe.variant, self.tree, self.objects, self._work)
        content = program.read_bytes()
        kernel = Kernel(
            version=version,
            key=key,
            path=program,
            source=self._source.identity,
            options=self._recipe.options,
            recipe=self._recipe.digest,
            compiler=compiler,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            objects=self._compiled,
            built=datetime.fromtimestamp(program.stat().st_mtime, UTC).isoformat("T", "seconds"),
            build_host_s=round(end.elapsed - start.elapsed, 1),
            build_cpu_s=round(
                end.children_user
                + end.children_system
                - start.children_user
                - start.children_system,
                1,
            ),
            unavailable=unavailable,
            variant=self._recipe.variant,
        )
        write_kernel(kernel, self._work)
        return kernel

    def _configure(self, version: str) -> None:
        # A tree that was once built in place refuses to be built elsewhere.
        if any((self.tree / name).exists() for name in (".config", "include/config")):
            self._make(version, "mrproper", in_tree=True)
        self._make(version, "allnoconfig")
        config = self.objects / ".config"
        fragment = parse_config("\n".join(self._recipe.fragment))
        options = parse_options(self._recipe.options)
        config.write_text(merge_config(config.read_text(), fragment | options))
        self._make(version, "olddefconfig")
        required = parse_config("\n".join(self._recipe.required))
        refused = unhonoured(required | options, config.read_text())
        if refused:
            raise UsageError(
                f"Linux {version} does not honour {', '.join(refused)}",
                hint="the option does not exist there, or another option that it depends on "
                "is off: look it up in the source's Kconfig files (windtunnel kernel source)",
            )

    def _unavailable(self, version: str) -> tuple[str, ...]:
        """The settings of the fragment that the source does not honour."""
        options = parse_options(self._recipe.options)
        fragment = parse_config("\n".join(self._recipe.fragment))
        kept = {name: value for name, value in fragment.items() if name not in options}
        unavailable = unhonoured(kept, (self.objects / ".config").read_text())
        if unavailable:
            self._progress(
                Progress(Phase.WARNING, f"Linux {version} does without {', '.join(unavailable)}")
            )
        return unavailable

    def _make(self, version: str, target: str, *, in_tree: bool = False) -> None:
        """Run make to the end; its output goes to the log, its objects to progress."""
        jobs = (os.cpu_count() or 1) + 1
        command = ["nice", "-n", "10", "make", "-C", str(self.tree), "ARCH=um", f"-j{jobs}"]
        command += [target] if in_tree else [f"O={self.objects}", target]
        command += self._recipe.variant.make_words()
        if self._flags:
            command.append(f"KCFLAGS={self._flags}")
        with (
            self._log.open("a") as log,
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=_environment(),
                start_new_session=True,
                pass_fds=(self._held,),
            ) as make,
            _killed_with_us(make),
        ):
            assert make.stdout, "a pipe was asked for"
            total = _objects_expected()
            for line in make.stdout:
                log.write(line)
                compiled = _OBJECT.match(line)
                if compiled and target == "linux":
                    self._compiled += 1
                    total = max(total, self._compiled)
                    self._progress(
                        Progress(Phase.COMPILE, compiled[1], done=self._compiled, total=total)
                    )
        if make.returncode != 0:
            self._fail(version, target, make.returncode)

    def _fail(self, version: str, target: str, status: int) -> None:
        kept = self._work.parent / f"failed-{self._work.name.removeprefix('.building-')}.log"
        shutil.copyfile(self._log, kept)
        with kept.open(errors="replace") as log:
            lines = "\n".join(f"    {line}" for line in failure_lines(log))
        raise HostError(
            f"Linux {version} does not build: `make {target}` ended with status {status}\n{lines}",
            hint=f"the whole log: {kept}",
        )


@contextmanager
def _killed_with_us(make: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # Ctrl-C reaches only us: make has a session of its own, so that we can
        # end it with all its compilers.
        os.killpg(make.pid, signal.SIGTERM)
        raise


def _environment() -> dict[str, str]:
    """An environment in which nothing of this machine reaches the kernel's bytes."""
    # kbuild listens to dozens of variables; a compiler needs none of the user's
    kept = ("PATH", "HOME", "TMPDIR", "USER", "LOGNAME")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "LC_ALL": "C",
        "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
        "KBUILD_BUILD_USER": "windtunnel",
        "KBUILD_BUILD_HOST": "windtunnel",
        "KBUILD_BUILD_VERSION": "1",
    }


def _apply(patch: Path, tree: Path) -> None:
    command = ["patch", "-p1", "--batch", "--no-backup-if-mismatch", "-i", str(patch)]

    def would_apply(*words: str) -> bool:
        trial = subprocess.run(
            [*command, "--dry-run", *words], cwd=tree, capture_output=True, check=False
        )
        return trial.returncode == 0

    if would_apply("--forward"):
        run_step([*command, "--forward"], f"applying {patch.name}", folder=tree)
    elif not would_apply("--reverse"):
        raise UsageError(
            f"the patch {patch.name} does not apply to this kernel source",
            hint="the series is made for 6.12 up to the newest packaged kernel; "
            "a tree with changes in the same places needs the patch merged into it first",
        )


def _objects_expected() -> int:
    whole = (one for one in list_kernels() if not one.variant.coverage)
    return next((one.objects for one in whole if one.objects), OBJECTS_EXPECTED)


def _require_space(cache: Path, source: Source) -> None:
    free = shutil.disk_usage(cache).free
    needed = _FREE_BYTES_MIN[isinstance(source, DebianSource)]
    if free < needed:
        raise HostError(
            f"{cache} has {free / 1e9:.1f} GB free; a build needs {needed / 1e9:.1f} GB",
            hint="free some space, or set XDG_CACHE_HOME to a larger disk",
        )


def _publish(work: Path, folder: Path, *, keep_tree: bool) -> Path:
    """Rename a finished build into the cache. The lock is held."""
    if not keep_tree:
        for name in ("source", "objects"):
            shutil.rmtree(work / name, ignore_errors=True)  # they may be elsewhere
    if folder.exists():
        # built again to keep its tree; a world that runs the old one holds its file
        shutil.rmtree(folder)
    work.rename(folder)
    return folder
