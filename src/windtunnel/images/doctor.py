# SPDX-License-Identifier: Apache-2.0
"""What this machine has and lacks, as data; the user interface prints it.

Every check says what it is for and the exact command that mends it. The
packages stand in one list, packages.txt, which set-up scripts read as well.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from windtunnel.errors import HostError
from windtunnel.images.cache import cache_folder
from windtunnel.images.kernels import NEWEST, find_kernel, list_kernels
from windtunnel.images.shipped import packages_file
from windtunnel.machines import landlock, namespaces, seccomp

_PURPOSES = {
    "build": "building kernels and the guest agent",
    "labs": "programs that nodes run",
    "debug": "looking into kernels and processes (windtunnel debug)",
    "tests": "our own tests",
    "bench": "other people's test suites (make yardsticks)",
    "setup": "installing from a checkout",
}
_MEMORY_BYTES_MIN = 1 << 30  # a guest's memory is a file; a lab takes some hundred megabytes
_BUILD_BYTES_MIN = 4 << 30  # a kernel's source and objects, while it is built
SYSTEM_FOLDERS = ":/usr/sbin:/sbin"
"""Where daemons live, and an ordinary user's PATH does not lead."""
_PTRACE_FORBIDDEN = "3"  # Documentation/admin-guide/LSM/Yama.rst


@dataclass(frozen=True, slots=True)
class Check:
    """One question about this machine, answered.

    Attributes:
        name: what was looked at.
        ok: whether it is as it should be.
        found: what was seen.
        needed_for: what does not work without it.
        remedy: the exact command or act that mends it; empty when ok.
        required: False for what only some labs or tests need.
    """

    name: str
    ok: bool
    found: str
    needed_for: str
    remedy: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True)
class Package:
    """One line of packages.txt.

    Attributes:
        name: Debian's.
        program: a program of it that must be found; "-" when it has none.
        purpose: "build", "labs", "debug", "tests", "bench" or "setup".
        required: whether that purpose fails without it.
    """

    name: str
    program: str
    purpose: str
    required: bool


def parse_packages(text: str) -> tuple[Package, ...]:
    """Read packages.txt: four columns, "#" begins a comment."""
    rows = (line.partition("#")[0].split() for line in text.splitlines())
    return tuple(
        Package(name, program, purpose, need == "required")
        for name, program, purpose, need in (row for row in rows if row)
    )


def missing_packages(packages: Iterable[Package]) -> list[Package]:
    """Choose the packages that this machine lacks."""
    return [package for package in packages if not _is_there(package)]


def install_command(packages: Sequence[Package]) -> str:
    """Write the one command that installs packages; empty for none."""
    names = " ".join(sorted({package.name for package in packages}))
    return f"sudo apt-get install -y {names}" if names else ""


def require_programs(purpose: str) -> None:
    """Insist on the required packages of one purpose.

    Raises:
        HostError: some are missing; the hint is the command that installs them.
    """
    wanted = [
        package
        for package in parse_packages(packages_file().read_text())
        if package.purpose == purpose and package.required
    ]
    missing = missing_packages(wanted)
    if missing:
        names = ", ".join(package.name for package in missing)
        raise HostError(f"missing for {purpose}: {names}", hint=install_command(missing))


def check_machine() -> list[Check]:
    """Look at everything that we need of this machine; changes nothing.

    Raises:
        HostError: our own installation is incomplete.
    """
    return [
        _check_architecture(),
        _check_confinement(),
        _check_ptrace(),
        _check_cores(),
        _check_memory_files(),
        _check_cache_space(),
        _check_kernel(),
        *check_packages(parse_packages(packages_file().read_text())),
    ]


def check_packages(packages: Iterable[Package]) -> list[Check]:
    """Look for the program of each package."""
    checks = []
    for package in packages:
        ok = _is_there(package)
        checks.append(
            Check(
                name=package.name,
                ok=ok,
                found="installed" if ok else "not installed",
                needed_for=_PURPOSES.get(package.purpose, package.purpose),
                remedy="" if ok else install_command([package]),
                required=package.required,
            )
        )
    return checks


def combined_remedy() -> str:
    """Write one command that installs all that is missing; empty when nothing is."""
    return install_command(missing_packages(parse_packages(packages_file().read_text())))


def _check_architecture() -> Check:
    machine = platform.machine()
    ok = machine == "x86_64"
    return Check(
        "processor", ok, machine, "User Mode Linux", "" if ok else "use a machine with x86_64"
    )


def _check_confinement() -> Check:
    abi = landlock.abi()
    ok = abi > 0 or namespaces.available()
    if abi > 0:
        found = f"Landlock, ABI {abi}"
    else:
        found = "user namespaces" if ok else "neither Landlock nor user namespaces"
    remedy = "boot with lsm=landlock,... or: sudo sysctl -w kernel.unprivileged_userns_clone=1"
    return Check(
        "confinement",
        ok,
        found,
        "keeping guests away from your files (else every run needs --trust-guest)",
        "" if ok else remedy,
    )


def _check_ptrace() -> Check:
    scope = _first_line(Path("/proc/sys/kernel/yama/ptrace_scope")) or "no restriction"
    ok = scope != _PTRACE_FORBIDDEN
    return Check(
        "ptrace",
        ok,
        f"ptrace_scope {scope}" if scope.isdigit() else scope,
        "User Mode Linux",
        "" if ok else "set kernel.yama.ptrace_scope to 2 or less in /etc/sysctl.d, and boot again",
    )


def _check_cores() -> Check:
    ok = seccomp.can_listen()
    return Check(
        "cores",
        ok,
        "seccomp tells of a panic" if ok else "nothing tells of a panic in time",
        "the cores of kernels that panic (windtunnel inspect)",
        "" if ok else "use Linux 5.0 or newer, and no seccomp listener around us (a container's)",
        required=False,
    )


def _check_memory_files() -> Check:
    folder = Path("/dev/shm")  # noqa: S108 - looked at, not written
    place = folder if folder.is_dir() else Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108
    return _check_space(
        "guest memory",
        place,
        _MEMORY_BYTES_MIN,
        "guests' memory",
        f"sudo mount -o remount,size=50% {place}",
    )


def _check_cache_space() -> Check:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    return _check_space(
        "disk",
        folder,
        _BUILD_BYTES_MIN,
        "building a kernel",
        "free some space, or set XDG_CACHE_HOME to a larger disk",
    )


def _check_space(name: str, place: Path, least_bytes: int, needed_for: str, remedy: str) -> Check:
    free = shutil.disk_usage(place).free
    ok = free >= least_bytes
    found = f"{free / 1e9:.1f} GB free in {place}"
    if not ok:
        found += f", {least_bytes / 1e9:.1f} GB needed"
    return Check(name, ok, found, needed_for, "" if ok else remedy)


def _check_kernel() -> Check:
    default = find_kernel(NEWEST)
    others = len(list_kernels()) - (default is not None)
    found = f"{default.name}" if default else "none that fits this version of windtunnel"
    if others:
        found += f", and {others} more"
    # not required: the first run builds it
    return Check(
        "kernel",
        default is not None,
        found,
        "running labs at once",
        "" if default else "windtunnel kernel build",
        required=False,
    )


def _first_line(path: Path) -> str:
    try:
        return path.read_text().partition("\n")[0]
    except OSError:
        return ""


def _is_there(package: Package) -> bool:
    if package.program == "-":
        return Path(f"/var/lib/dpkg/info/{package.name}.list").exists() or any(
            Path("/var/lib/dpkg/info").glob(f"{package.name}:*.list")
        )
    return find_program(package.program) is not None


def find_program(name: str) -> str | None:
    """Find a program where a user's PATH leads, and where daemons live; None: it is missing."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + SYSTEM_FOLDERS)
