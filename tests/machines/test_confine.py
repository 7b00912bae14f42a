# SPDX-License-Identifier: Apache-2.0
"""What hostile code could do if it took over a guest's process: a Python program in its place."""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from machines.confined import ORDINARY_USER, OWN_HOME, in_a_fork, run_confined, users
from windtunnel.errors import HostError, UsageError
from windtunnel.machines import confine, landlock, namespaces
from windtunnel.machines.confine import Confinement, Method

PYTHON = "/usr/bin/python3"
METHODS = [Method.LANDLOCK, Method.NAMESPACE]

PRELUDE = """
import ctypes, os, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *values):
    result = libc.syscall(ctypes.c_long(number), *values)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
S, R, W, P, PID = {S!r}, {R!r}, {W!r}, {P!r}, {PID!r}
OWN_HOME = {OWN_HOME!r}
"""

# name -> program. Each must fail; S is a secret folder, R a readable one, W a
# writable one, P a TCP port of the host, PID a process of the same user.
ATTACKS = {
    "read a secret": "open(S + '/key').read()",
    "list a secret folder": "os.listdir(S)",
    "read through a link": "os.symlink(S + '/key', W + '/a'); open(W + '/a').read()",
    "read beside the writable folder": "open(W + '/../secret/key').read()",
    "read the environment of a process": "open(f'/proc/{PID}/environ').read()",
    "read the memory of a process": "open(f'/proc/{PID}/mem', 'rb')",
    "list the processes": "os.listdir('/proc/1')",
    "list homes": "[name for name in os.listdir('/home') if name != OWN_HOME][0]",
    "read devices": "os.open('/dev/vda', os.O_RDONLY)",
    "read the kernel's memory": "os.open('/proc/kcore', os.O_RDONLY)",
    "open a terminal": "os.open('/dev/tty', os.O_RDWR)",
    "write": "open(R + '/file', 'w')",
    "append": "open(R + '/file', 'a')",
    "truncate": "os.truncate(R + '/file', 0)",
    "create": "open(R + '/new', 'x')",
    "create at the top": "open('/windtunnel-was-here', 'x')",
    "create in the home of temporary files": "open('/var/tmp/windtunnel-was-here', 'x')",
    "unlink": "os.unlink(R + '/file')",
    "rename": "os.rename(R + '/file', R + '/file2')",
    "move out": "open(W + '/b', 'x'); os.rename(W + '/b', R + '/b')",
    "move in": "os.rename(R + '/file', W + '/file')",
    "hard link in": "os.link(R + '/file', W + '/c')",
    "hard link out": "open(W + '/d', 'x'); os.link(W + '/d', R + '/d')",
    "symlink": "os.symlink('/', R + '/link')",
    "write through a link": "os.symlink(R + '/file', W + '/e'); open(W + '/e', 'w')",
    "make a directory": "os.mkdir(R + '/new')",
    "remove a directory": "os.rmdir(R + '/empty')",
    "make a pipe": "os.mkfifo(R + '/pipe')",
    "make a device": "os.mknod(W + '/null', 0o20666, os.makedev(1, 3))",
    "change a mode": "os.chmod(R + '/file', 0o777)",
    "change a mode by descriptor": "os.fchmod(os.open(R + '/file', os.O_RDONLY), 0o777)",
    "change the mode of a device": "os.chmod('/dev/null', 0o666)",
    "change an owner": "os.chown(R + '/file', os.getuid(), os.getgid())",
    "change times": "os.utime(R + '/file', (1, 1))",
    "set an attribute": "os.setxattr(R + '/file', 'user.a', b'b')",
    "mount": "libc.mount(b'none', W.encode(), b'tmpfs', 0, None) and 1/0",
    "enter a new namespace": "libc.unshare(0x10000000) and 1/0",
    "clone into a new namespace": "call(56, 0x10000000 | 17, 0, 0, 0, 0) or os._exit(0)",
    "change the root": "os.chroot(W)",
    "use the internet": "socket.socket(socket.AF_INET)",
    "use the internet, version 6": "socket.socket(socket.AF_INET6)",
    "use netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "connect to a port of the host": "socket.create_connection(('127.0.0.1', P))",
    "set up io_uring": "call(425, 8, ctypes.create_string_buffer(120))",
    "load a BPF program": "call(321, 0, ctypes.create_string_buffer(128), 128)",
    "watch performance": "call(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)",
    "use keys": "call(250, 0, -3, 0)",
    "load a module": "call(175, 0, 0, b'')",
    "trace a process": "call(101, 16, PID, 0, 0)",
    "take a descriptor of a process": "call(438, os.pidfd_open(PID), 0, 0)",
    "read the memory of a process by call": "call(310, PID, 0, 0, 0, 0, 0)",
    "change the limits of a process": "call(302, PID, 7, 0, 0)",
    "slow a process down": "os.setpriority(os.PRIO_PROCESS, PID, 19)",
    "shared memory": "call(29, 0, 4096, 0o1600)",
    "regain a capability": "call(126, (ctypes.c_uint * 2)(0x20080522, 0), "
    "(ctypes.c_uint * 6)(1, 1))",
}
# Landlock only: the other method has gaps here, and says so.
ATTACKS_ON_PROCESSES = {
    "kill a process": "os.kill(PID, signal.SIGTERM)",
    "use an abstract socket": "socket.socket(socket.AF_UNIX).connect('\\0' + R)",
}
# What Landlock can not deny, and `gaps` says; should one fail some day, that is good news.
GAPS = {
    "look at a secret whose path one knows": "assert os.stat(S + '/key').st_size == 6",
    "read a symbolic link": "os.readlink(S + '/link')",
    "lock a file": "import fcntl; fcntl.flock(os.open(R + '/file', os.O_RDONLY), fcntl.LOCK_EX)",
}
# And what a guest's process needs.
NEEDS = {
    "read a file": "assert open(R + '/file').read() == 'canary'",
    "write its own": "open(W + '/own', 'x').write('x'); open(W + '/own', 'a').write('y')",
    "make, rename, remove": "os.mkdir(W + '/f'); os.rename(W + '/f', W + '/g'); os.rmdir(W + '/g')",
    "link between its folders": "os.mkdir(W + '/h'); open(W + '/i', 'x'); "
    "os.link(W + '/i', W + '/h/i')",
    "use a socket in its folder": "a = socket.socket(socket.AF_UNIX); a.bind('s'); a.listen(); "
    "socket.socket(socket.AF_UNIX).connect('s')",
    "use a pair of sockets": "socket.socketpair()",
    "use the null device": "open('/dev/null', 'r+b', buffering=0).write(b'x')",
    "read the processor's features": "open('/proc/cpuinfo').read(10)",
    "trace its child": "p = os.fork()\nif p == 0:\n    call(101, 0, 0, 0, 0)\n"
    "    os.kill(os.getpid(), 19); os._exit(0)\n"
    "os.waitpid(p, 0x40000000); call(101, 7, p, 0, 0); os.waitpid(p, 0)",
    "kill its child": "p = os.fork()\nif p == 0: signal.pause()\nos.kill(p, 9); os.waitpid(p, 0)",
    "run a program of the host": "assert os.system('/bin/true') == 0",
}


@dataclass(frozen=True, slots=True)
class Stage:
    root: Path
    user: int | None
    method: Method

    def confinement(self) -> Confinement:
        return confine.for_project(
            self.root / "project",
            read=[self.root / "shown"],
            write=[self.root / "writable"],
            method=self.method,
        )


def require(method: Method) -> None:
    if method is Method.LANDLOCK and landlock.abi() < 6:
        pytest.skip("this kernel's Landlock is older than ABI 6")
    if not Path(PYTHON).exists():
        pytest.skip(f"{PYTHON} is not there, and ours may lie in a home")
    if method is Method.NAMESPACE and not namespaces.available():
        pytest.skip("user namespaces are not to be had here")


@pytest.fixture(params=[(method, user) for method in METHODS for user in users()], ids=str)
def stage(request: pytest.FixtureRequest, open_folder: Path) -> Stage:
    method, user = request.param
    require(method)
    for name in ("secret", "shown", "shown/empty", "writable", "project", "run"):
        (open_folder / name).mkdir()
    (open_folder / "secret" / "key").write_text("SECRET")
    (open_folder / "secret" / "link").symlink_to("key")
    (open_folder / "shown" / "file").write_text("canary")
    if user is not None:
        for path in (open_folder, *open_folder.rglob("*")):
            os.chown(path, user, user, follow_symlinks=False)
    (open_folder / "run" / "scratch").mkdir()
    for path in (open_folder / "run", open_folder / "run" / "scratch"):
        os.chown(path, user or os.geteuid(), user or os.geteuid())
    return Stage(open_folder, user, method)


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def outcomes(stage: Stage, port: int, programs: dict[str, str]) -> dict[str, str]:
    """Run each program in a confined process; say how each ended."""

    def work() -> str:
        victim = subprocess.Popen(["/bin/sleep", "60"], env={"TOKEN": "SECRET"})
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind("\0" + str(stage.root / "shown"))
        abstract.listen()
        variables = {
            "S": str(stage.root / "secret"), "R": str(stage.root / "shown"),
            "W": str(stage.root / "writable"), "P": port, "PID": victim.pid,
        }  # fmt: skip
        driver = PRELUDE.format(OWN_HOME=OWN_HOME, **variables) + f"programs = {programs!r}\n"
        driver += (
            "import json\nresults = {}\n"
            "for name, program in programs.items():\n"
            "    try:\n        exec(program)\n        results[name] = 'done'\n"
            "    except BaseException as error:\n        results[name] = repr(error)\n"
            "print(json.dumps(results))\n"
        )
        try:
            code, output = run_confined(
                [PYTHON, "-I", "-S", "-c", driver],
                stage.root / "run" / "scratch",
                stage.confinement(),
            )
            assert (code, victim.poll()) == (0, None), output
            return output
        finally:
            victim.kill()
            victim.wait()

    found: dict[str, str] = json.loads(in_a_fork(work, stage.user))
    return found


def test_code_that_took_over_the_process_is_refused(stage: Stage, port: int) -> None:
    found = outcomes(stage, port, ATTACKS)
    assert {name: end for name, end in found.items() if "Error" not in end} == {}
    assert (stage.root / "shown" / "file").read_text() == "canary"
    assert sorted(path.name for path in (stage.root / "shown").iterdir()) == ["empty", "file"]


def test_without_confinement_the_same_attacks_succeed(open_folder: Path, port: int) -> None:
    # Otherwise the test above could pass for the wrong reason.
    for name in ("secret", "shown", "shown/empty", "writable", "project", "run", "run/scratch"):
        (open_folder / name).mkdir()
    (open_folder / "secret" / "key").write_text("SECRET")
    (open_folder / "shown" / "file").write_text("canary")
    stage = Stage(open_folder, None, Method.NONE)
    names = ["read a secret", "change a mode", "hard link in", "append", "use the internet"]
    found = outcomes(stage, port, {name: ATTACKS[name] for name in names})
    assert found == dict.fromkeys(names, "done")


def test_other_processes_can_not_be_reached_under_landlock(stage: Stage, port: int) -> None:
    if stage.method is not Method.LANDLOCK:
        assert "signals" in stage.confinement().report().gaps[1]
        return
    found = outcomes(stage, port, ATTACKS_ON_PROCESSES)
    assert {name: end for name, end in found.items() if "PermissionError" not in end} == {}


def test_the_gaps_of_landlock_are_those_that_we_name(stage: Stage, port: int) -> None:
    if stage.method is Method.LANDLOCK:
        assert "size, owner and times" in stage.confinement().report().gaps[1]
        assert outcomes(stage, port, GAPS) == dict.fromkeys(GAPS, "done")


def test_what_a_guest_needs_still_works(stage: Stage, port: int) -> None:
    assert outcomes(stage, port, NEEDS) == dict.fromkeys(NEEDS, "done")


def test_no_capability_and_no_new_privilege_is_left(stage: Stage, port: int) -> None:
    # prctl: PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_CAPBSET_READ(CAP_DAC_OVERRIDE), PDEATHSIG
    program = (
        "state = (libc.prctl(39, 0, 0, 0, 0), libc.prctl(21), libc.prctl(23, 1)); "
        "caps = (ctypes.c_uint * 6)(); call(125, (ctypes.c_uint * 2)(0x20080522, 0), caps); "
        "sig = ctypes.c_int(); libc.prctl(2, ctypes.byref(sig)); "
        "found = (state[:2], list(caps), sig.value); "
        "assert found == ((1, 2), [0] * 6, 9), found; "
        "assert state[2] == 0 or os.getuid() != 0"
    )
    assert outcomes(stage, port, {"state": program}) == {"state": "done"}


def test_a_guest_gets_no_variable_and_no_descriptor_of_the_user(stage: Stage, port: int) -> None:
    # Python sets LC_CTYPE itself when it starts without a locale.
    program = (
        "for fd in range(3, 200):\n"
        "    try: os.fstat(fd)\n"
        "    except OSError: continue\n"
        "    assert False, f'descriptor {fd} is open'\n"
        "environment = {k: v for k, v in os.environ.items() if k != 'LC_CTYPE'}\n"
        "assert environment == {'GLIBC_TUNABLES': 'glibc.pthread.rseq=0', 'HOME': '.', "
        "'PATH': '/usr/bin:/bin', 'TMPDIR': '.'}, environment"
    )
    assert outcomes(stage, port, {"state": program}) == {"state": "done"}


def test_a_hidden_path_splits_its_directory_into_rules(tmp_path: Path) -> None:
    for name in ("a/b/secret", "a/b/plain", "a/c", "a/.d"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a" / "link").symlink_to("b/secret")
    top = str(tmp_path / "a")
    rules = confine.landlock_rules([top], [f"{top}/b/secret"], ["/w"])
    assert sorted(rules) == sorted(
        [
            (top, landlock.READ_DIR),
            (f"{top}/b", landlock.READ_DIR),
            (f"{top}/b/plain", landlock.READ),
            (f"{top}/c", landlock.READ),
            (f"{top}/.d", landlock.READ),
            ("/w", landlock.WRITE),
            ("/dev/null", landlock.READ_FILE | landlock.WRITE_FILE),
        ]
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who may not list it")
def test_a_directory_that_can_not_be_listed_is_not_readable_either(open_folder: Path) -> None:
    (open_folder / "people" / "ann").mkdir(parents=True)
    (open_folder / "people").chmod(0o711)
    top, home = str(open_folder), str(open_folder / "people" / "ann")
    rules = in_a_fork(lambda: repr(confine.landlock_rules([top], [home], [])[:-1]), ORDINARY_USER)
    assert rules == repr([(top, landlock.READ_DIR), (f"{top}/people", landlock.READ_DIR)])


def test_homes_and_the_state_of_the_machine_are_not_read_by_default(tmp_path: Path) -> None:
    paths = {str(path) for path in confine.default_read_paths(tmp_path)}
    assert {"/usr", "/etc", str(tmp_path)} <= paths
    assert paths.isdisjoint(
        {"/", "/home", "/root", "/proc", "/run", "/sys", "/tmp", "/dev", "/boot", "/mnt", "/media"}
    )


@pytest.mark.parametrize("folder", ["/", "/home", "/root", "/tmp", "/var/tmp", "/var", "/run"])
def test_a_project_that_is_too_wide_is_not_read(folder: str) -> None:
    assert Path(folder) not in {
        path for path in confine.default_read_paths(Path(folder)) if path != Path("/var")
    }


def test_the_home_of_the_user_is_never_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/srv/people/ann")
    for folder in ("/srv/people/ann", "/srv/people"):
        assert Path(folder) not in confine.default_read_paths(Path(folder))
    assert Path("/srv/people/ann/lab") in confine.default_read_paths(Path("/srv/people/ann/lab"))
    assert Path("/srv/people/ann") not in confine.default_hidden_paths(keep=[Path("/srv")])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files that others may not read")
def test_root_hides_the_password_hashes() -> None:
    assert Path("/etc/shadow") in confine.default_hidden_paths()
    assert Path("/etc/passwd") not in confine.default_hidden_paths()


def test_what_the_user_named_is_not_hidden(tmp_path: Path) -> None:
    hidden = confine.for_project(tmp_path, read=[Path("/root")]).hide
    assert Path("/root") not in hidden


@pytest.mark.parametrize("named", [{"read": [Path("/no/such")]}, {"write": [Path("/no/such")]}])
def test_a_named_path_that_does_not_exist_is_the_users_error(named: dict[str, list[Path]]) -> None:
    with pytest.raises(UsageError, match="/no/such: No such file"):
        confine.for_project(Path("/"), read=named.get("read", ()), write=named.get("write", ()))


def test_a_file_can_not_be_the_writable_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is not a directory"):
        confine.for_project(tmp_path, write=[tmp_path / "file"])


def test_a_machine_without_any_way_refuses_unless_the_guest_is_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no: Callable[[], bool] = lambda: False  # noqa: E731
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    monkeypatch.setattr(namespaces, "available", no)
    with pytest.raises(HostError, match="neither Landlock nor user namespaces") as caught:
        confine.choose_method()
    assert "--trust-guest" in caught.value.hint
    assert confine.choose_method(trust_guest=True) is Method.NONE


@pytest.mark.parametrize(
    ("version", "size", "rights"),
    [(1, 8, 0x1FFF), (2, 8, 0x3FFF), (3, 8, 0x7FFF), (4, 16, 0x7FFF), (5, 16, 0xFFFF),
     (6, 24, 0xFFFF), (7, 24, 0xFFFF), (9, 24, 0x1FFFF), (11, 24, 0x1FFFF)],
)  # fmt: skip
def test_a_ruleset_handles_all_that_its_version_knows(version: int, size: int, rights: int) -> None:
    attribute = landlock.ruleset_attribute(version)
    assert (len(attribute), int.from_bytes(attribute[:8], "little")) == (size, rights)


def test_old_landlocks_name_their_gaps() -> None:
    assert len(confine.gaps(Method.LANDLOCK, 9)) == 2
    assert [text for text in confine.gaps(Method.LANDLOCK, 6) if "unix socket" in text] == [
        (
            "Code that took over the guest's kernel could connect to a unix socket whose path it "
            "knows (Landlock ABI 6; 9 prevents it)."
        )
    ]
    assert "send signals" in confine.gaps(Method.LANDLOCK, 5)[2]
    assert confine.gaps(Method.NONE, 0) == ("The guest is trusted: it can do all that you can do.",)
