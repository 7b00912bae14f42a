# SPDX-License-Identifier: Apache-2.0
# The words of the system calls, on the start path of every command:
# ruff: noqa: PTH111
"""What a guest's host process may do: the whole of the host's safety, in one place.

Guest root owns its kernel (it can mount hostfs again, load modules, write to its
memory), so treat the process that runs the kernel as hostile code with our user's
rights. Before it starts, the child gives up, for good: files (Landlock, else a user
namespace), the network and dangerous system calls (seccomp), capabilities.
"""

import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from windtunnel.errors import HostError, UsageError
from windtunnel.machines import landlock, namespaces, seccomp
from windtunnel.machines.syscalls import CAPSET, PR_SET_NO_NEW_PRIVS, prctl, syscall

# Top-level directories that a guest does not see: people's data, the state of the
# machine, devices, and what other programs share.
_NOT_READ = frozenset(
    ("home", "root", "proc", "run", "sys", "tmp", "dev", "boot", "lost+found", "mnt", "media")
)
# The same, below directories that are readable.
_HIDDEN_BELOW = ("/var/tmp", "/var/mail", "/var/spool", "/var/backups", "/var/lib/private")  # noqa: S108
# For root, whom file modes do not stop: how deep to look for private entries.
_DEPTH_OF_PRIVATE = {"etc": 8, "var": 2, "opt": 1, "srv": 1}

# What User Mode Linux itself opens outside its scratch directory (seen by strace):
# its processor's features at boot, and /dev/null for `con=null`.
_KERNEL_READS = ("/proc/cpuinfo", "/proc/meminfo")
_KERNEL_WRITES = ("/dev/null",)

_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_LINUX_CAPABILITY_VERSION_3 = 0x20080522


class Method(Enum):
    """How a guest's process is kept from the host's files."""

    LANDLOCK = "landlock"
    NAMESPACE = "namespace"
    NONE = "none"


_EFFECTS = {
    Method.LANDLOCK: (
        "The host's top-level directory seems empty or can not be listed; its content is there.",
        "In the host's writable directories, modes, owners and times of files can not be changed.",
    ),
    Method.NAMESPACE: (
        "Other users' files seem to belong to nobody (65534); setuid programs run as nobody.",
    ),
    Method.NONE: (),
}


@dataclass(frozen=True, slots=True)
class Report:
    """How a guest is confined, for the manifest of a run.

    Attributes:
        method: what guards the files.
        landlock_abi: the version of Landlock that is in force, 0 for none.
        gaps: what the guest could still do to the host, one sentence each.
        effects: what the guest's programs may notice of it, one sentence each.
    """

    method: Method
    landlock_abi: int
    gaps: tuple[str, ...]
    effects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Confinement:
    """What one guest may reach on the host.

    Attributes:
        read: files and directories (with all below) that it may read and execute.
        write: directories that it may change; reading is implied.
        hide: paths below `read` that it may not read all the same.
        trust_guest: confine no files and no system calls at all.
        method: the way to use; None chooses the best that this machine has.
    """

    read: tuple[Path, ...]
    write: tuple[Path, ...]
    hide: tuple[Path, ...] = ()
    trust_guest: bool = False
    method: Method | None = None

    def report(self) -> Report:
        """Say how a guest will be confined on this machine.

        Raises:
            HostError: there is no way to confine it, and it is not trusted.
        """
        method = self.method or choose_method(trust_guest=self.trust_guest)
        version = landlock.abi() if method is Method.LANDLOCK else 0
        return Report(method, version, gaps(method, version), _EFFECTS[method])


def for_project(
    project: Path,
    *,
    read: Iterable[Path] = (),
    write: Iterable[Path] = (),
    trust_guest: bool = False,
    method: Method | None = None,
) -> Confinement:
    """Return the confinement that a command uses.

    Args:
        project: the current directory; see `default_read_paths`.
        read: what the user named with `--read`: wins over all that is hidden by default.
        write: what the user named with `--writable`.
        trust_guest: the user's `--trust-guest`.
        method: the way to use; None chooses.

    Raises:
        UsageError: a named path does not exist, or is not a directory where one is needed.
    """
    named_read = tuple(_existing(path, "--read") for path in read)
    named_write = tuple(_existing(path, "--writable") for path in write)
    for path in named_write:
        if not path.is_dir():
            raise UsageError(
                f"--writable {path} is not a directory",
                hint="Name the directory that holds it.",
            )
    defaults = default_read_paths(project)
    own = tuple(path for path in defaults if path.parent != Path("/"))
    hide = default_hidden_paths(keep=(*named_read, *named_write, *own))
    return Confinement(
        read=(*defaults, *named_read),
        write=named_write,
        hide=hide,
        trust_guest=trust_guest,
        method=method,
    )


def default_read_paths(project: Path) -> tuple[Path, ...]:
    """Return what a guest may read when nobody says otherwise.

    Programs, libraries, configuration, and the project: the top-level directories
    of the host without people's data and the machine's state, as far as every user
    of the machine may read them, and `project` itself, unless that is a home
    directory, something above it, or a directory that everybody shares.
    """
    paths = []
    with os.scandir("/") as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name in _NOT_READ or not entry.is_dir(follow_symlinks=False):
                continue
            if entry.stat().st_mode & 0o005 == 0o005:
                paths.append(Path(entry.path))
    project = Path(os.path.realpath(project))
    too_wide = {Path("/"), Path("/var"), Path("/var/tmp")}  # noqa: S108
    too_wide |= {Path("/") / name for name in _NOT_READ}
    for home in _homes():
        too_wide |= {home, *home.parents}
    if project not in too_wide and project not in paths:
        paths.append(project)
    return tuple(paths)


def default_hidden_paths(keep: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Return what stays unreadable below the default read paths.

    Homes that lie in unusual places, mail, spools, backups; and when root runs us,
    whatever other users may not read below /etc (all of it), /var, /opt and /srv
    (the upper levels): /etc/shadow, private keys, sudoers and the like.

    Args:
        keep: what the user named; it is not hidden, nor is anything below it.
    """
    hidden = {os.path.realpath(f"/{name}") for name in _NOT_READ}
    hidden |= {os.path.realpath(path) for path in _HIDDEN_BELOW}
    hidden |= {str(home) for home in _homes()}
    if os.geteuid() == 0:
        for name, depth in _DEPTH_OF_PRIVATE.items():
            hidden |= set(_private_entries(f"/{name}", depth))
    kept = [str(path) for path in keep]
    return tuple(
        Path(path)
        for path in sorted(hidden)
        if not any(_is_below(path, root) for root in kept) and os.path.lexists(path)
    )


def choose_method(*, trust_guest: bool = False) -> Method:
    """Return the best way of this machine to guard its files from a guest.

    Raises:
        HostError: there is none, and the guest is not trusted.
    """
    if trust_guest:
        return Method.NONE
    if landlock.abi() >= 1:
        return Method.LANDLOCK
    if namespaces.available():
        return Method.NAMESPACE
    raise HostError(
        "this machine has no way to keep a guest from your files: "
        "its kernel has neither Landlock nor user namespaces for ordinary users",
        hint="Boot with 'lsm=landlock,...' on the kernel's command line, or allow user namespaces "
        "(sysctl user.max_user_namespaces); or say --trust-guest if you trust what the guest runs.",
    )


def gaps(method: Method, version: int) -> tuple[str, ...]:
    """Return what a guest could still do to the host, one sentence each.

    Where a sentence speaks of code that took over the guest's kernel, ordinary
    programs of the guest can not do it, not even as its root.
    """
    if method is Method.NONE:
        return ("The guest is trusted: it can do all that you can do.",)
    taken = "Code that took over the guest's kernel could "
    common = f"{taken}use up memory and processes, as any program of yours can."
    if method is Method.NAMESPACE:
        return (common, f"{taken}send signals to the user's other processes.")
    known_path = (
        "Who knows the path of a hidden file can see that it exists, its size, owner and times, "
        "and what a symbolic link says; files that may be read may be locked with flock."
    )
    missing = (
        f"{taken}{deed} (Landlock ABI {version}; {first} prevents it)."
        for first, deed in landlock.MISSING_BEFORE
        if version < first
    )
    return (common, known_path, *missing)


def enter(confinement: Confinement, report: Report) -> int | None:
    """Confine the calling process for good. Only for the child that becomes the guest.

    A signal at the parent's death is lost on the way: set it afterwards.

    Returns:
        The descriptor of `abort.AbortListener`; None where the host has no such thing.

    Raises:
        OSError: the kernel refused a step; do not start the guest.
    """
    if report.method is Method.NONE:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        _drop_capabilities()
        with suppress(OSError):
            return seccomp.install(seccomp.only_abort(), listen=True)
        return None
    read = [*map(str, confinement.read), *_KERNEL_READS]
    hide = [*map(str, confinement.hide)]
    write = [*map(str, confinement.write)]
    version = report.landlock_abi
    if report.method is Method.NAMESPACE:
        # A device may be written through a read-only mount, but its mode may not be changed.
        namespaces.enter([*read, *_KERNEL_WRITES], hide, write)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    if report.method is Method.LANDLOCK:
        landlock.restrict(landlock_rules(read, hide, write), version)
    _drop_capabilities()
    by_landlock = report.method is Method.LANDLOCK
    denied = seccomp.denied_numbers(metadata=by_landlock, truncate=by_landlock and version < 3)
    with suppress(OSError):  # the filter alone is what safety needs
        return seccomp.install(seccomp.program(denied, tell_abort=True), listen=True)
    return seccomp.install(seccomp.program(denied))


def landlock_rules(
    read: Iterable[str], hide: Iterable[str], write: Iterable[str]
) -> list[tuple[str, int]]:
    """Return (path, rights) rules. Rules only allow, so a hidden path splits its directory.

    A directory that holds something hidden may be listed, and each other entry of it
    may be read. Symbolic links get no rule: a rule would allow what they point to.
    """
    hidden = set(hide)
    ancestors = {parent for path in hidden for parent in _parents(path)}
    rules = []
    todo = list(read)
    while todo:
        path = todo.pop()
        if path not in ancestors:
            rules.append((path, landlock.READ))
            continue
        rules.append((path, landlock.READ_DIR))
        try:
            with os.scandir(path) as entries:
                todo += [e.path for e in entries if not e.is_symlink() and e.path not in hidden]
        except OSError:
            continue  # whom we may not ask what is there, the guest may not either
    rules += [(path, landlock.WRITE) for path in write]
    rules += [(path, landlock.READ_FILE | landlock.WRITE_FILE) for path in _KERNEL_WRITES]
    return rules


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) or "/" for count in range(1, len(parts))]


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _homes() -> tuple[Path, ...]:
    # Of the user, and of root: wherever they are.
    homes = {os.path.realpath(os.path.expanduser(name)) for name in ("~", "~root")}
    return tuple(Path(home) for home in sorted(homes) if home != "/")


def _existing(path: Path, option: str) -> Path:
    real = Path(os.path.realpath(path))
    try:
        real.stat()
    except OSError as error:
        raise UsageError(
            f"{option} {path}: {error.strerror}", hint="Name something that is there and is yours."
        ) from error
    return real


def _private_entries(directory: str, depth: int) -> list[str]:
    # What the owner may read and others may not; symbolic links are judged by their targets.
    private = []
    try:
        with os.scandir(directory) as scan:
            entries = list(scan)
    except OSError:
        return [directory]
    for entry in entries:
        if entry.is_symlink():
            continue
        is_directory = entry.is_dir(follow_symlinks=False)
        needed = 0o005 if is_directory else 0o004
        if entry.stat(follow_symlinks=False).st_mode & needed != needed:
            private.append(entry.path)
        elif is_directory and depth > 1:
            private += _private_entries(entry.path, depth - 1)
    return private


def _drop_capabilities() -> None:
    # The bounding set first: dropping from it needs a capability. Who has none can
    # not drop from it, and does not need to: no_new_privs is set.
    for capability in range(64):
        try:
            prctl(_PR_CAPBSET_DROP, capability)
        except OSError:
            break
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    syscall(CAPSET, header, bytes(24))
