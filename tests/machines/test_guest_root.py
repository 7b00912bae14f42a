# SPDX-License-Identifier: Apache-2.0
"""Guest root tries to change and to read what is the host's: one boot, one assertion a try."""

import json
import os
import socket
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from machines.confined import BOOT, OWN_HOME, in_a_fork, run_confined, users
from windtunnel.machines import confine, landlock, namespaces
from windtunnel.machines.confine import Method

SECRET = "a-secret-of-the-user"

# name -> what guest root does, in a shell that stops at the first failure.
#   $H the host's root, mounted read-write; $C a folder of the host that may be read;
#   $W one that may be written; $S a secret folder; $PID, $PORT, $HOST of the host.
TRIES = {
    "remount the root and create": "mount -o remount,rw /; echo x > $SHOWN/new",
    "write": "echo x > $C/file",
    "append": "echo x >> $C/file",
    "truncate": "truncate -s 0 $C/file",
    "create": "echo x > $C/new",
    "chmod": "chmod 777 $C/file",
    "chmod a directory": "chmod 700 $C",
    "chown": "chown 12:12 $C/file",
    "unlink": "rm -f $C/file",
    "rename": "mv $C/file $C/file2",
    "rename over": "mv $C/other $C/file",
    "exchange with the writable folder": "echo x > $W/x; mv $W/x $C/file",
    "hard link": "ln $C/file $C/link",
    "symbolic link": "ln -s /etc/passwd $C/link",
    "make a pipe": "mkfifo $C/pipe",
    "make a device": "mknod $C/null c 1 3",
    "make a device where writing is allowed": "mknod $W/disk b 8 0",
    "set times": "touch -d 2001-01-01 $C/file",
    "set an attribute": "/usr/bin/python3 -c 'import os; "
    "os.setxattr(\"'$C/file'\", \"user.a\", b\"b\")'",
    "make a directory": "mkdir $C/new",
    "remove a directory": "rmdir $C/empty",
    "map and write": "dd if=/dev/zero of=$C/file bs=1 count=1 conv=notrunc",
    "write beside the writable folder": "echo x > $W/../../shown/new",
    "write above the writable folder": "echo x > $W/../../new",
    "write through a link": "ln -s $SHOWN/file $W/to; echo x > $W/to",
    "write through a hard link": "ln $C/file $W/hard; echo x > $W/hard",
    "move out of the writable folder": "echo x > $W/out; mv $W/out $C/out",
    "link out of the writable folder": "echo x > $W/own; ln $W/own $C/own",
    "mount the shown folder by itself": "mkdir /mnt/c; mount -t hostfs none /mnt/c -o $SHOWN; "
    "echo x > /mnt/c/new",
    "create in /var/tmp": "echo x > $H/var/tmp/windtunnel-was-here",
    "create in /etc": "echo x > $H/etc/windtunnel-was-here",
    "create at the top": "echo x > $H/windtunnel-was-here",
    "read a secret": "cat $S/key",
    "read a secret mounted by itself": "mkdir /mnt/s; mount -t hostfs none /mnt/s -o $SECRETS; "
    "cat /mnt/s/key",
    "read a secret through a link": "ln -s $H$SECRETS/key $W/key; cat $W/key",
    "read a secret by going up": "cat $W/../../secret/key",
    "hard link a secret": "ln $S/key $W/key2; cat $W/key2",
    "move a secret": "mv $S/key $W/key3; cat $W/key3",
    "read the secret as an overlay": "mkdir -p /mnt/u /mnt/w /mnt/o; mount -t overlay o /mnt/o "
    "-o lowerdir=$S,upperdir=/mnt/u,workdir=/mnt/w; cat /mnt/o/key",
    "list homes": 'test -n "$(ls $H/home | grep -vxF "$OWN_HOME")"',
    "list the home of root": 'test -n "$(ls -A $H/root)"',
    "list the secret folder": 'test -n "$(ls -A $S)"',
    "read the environment of a process": "cat $H/proc/$PID/environ | grep .",
    "mount /proc of the host": "mkdir /mnt/p; mount -t hostfs none /mnt/p -o /proc; "
    "cat /mnt/p/$PID/environ | grep .",
    "read password hashes": "cat $H/etc/shadow | grep .",
    "read the kernel's memory": "head -c 1 $H/proc/kcore | grep .",
    "read physical memory": "mknod /mnt/mem c 1 1; head -c 1 /mnt/mem | grep .",
    "load a module": "echo x > /mnt/m.ko; insmod /mnt/m.ko",
    "connect to a port of the host": "exec 3<>/dev/tcp/127.0.0.1/$PORT",
    "connect to the host's address": "exec 3<>/dev/tcp/$HOST/$PORT",
    "ping the host": "ping -c 1 -W 1 $HOST",
    "connect to a socket file": "/usr/bin/python3 -c 'import socket; "
    "socket.socket(socket.AF_UNIX).connect(\"'$C/socket'\")'",
}  # fmt: skip

# What must work: the guest is a whole Linux, whatever its host process may do.
NEEDS = {
    "read": 'test "$(cat $C/file)" = canary',
    "write": 'echo good > $W/good; test "$(cat $W/good)" = good',
    "append and rename": "echo a > $W/a; echo b >> $W/a; mv $W/a $W/b; test $(wc -l < $W/b) = 2",
    "make and remove a directory": "mkdir $W/d; rmdir $W/d",
    "shrink": "echo long > $W/long; truncate -s 1 $W/long; test $(wc -c < $W/long) = 1",
    "sockets of the guest": "ip link set lo up; ping -c 1 -W 1 127.0.0.1",
    "namespaces of the guest": "unshare -n -m -p -f /bin/true",
    "mounts of the guest": "mkdir /mnt/t; mount -t tmpfs t /mnt/t; mount --bind /mnt/t /mnt/t",
    "modes of the guest": "echo x > /mnt/f; chmod 4755 /mnt/f; chown 5:5 /mnt/f; "
    "touch -d 2001-01-01 /mnt/f",
    "devices of the guest": "mknod /mnt/null c 1 3; echo x > /mnt/null",
    "a new root in the guest": "chroot / /bin/true",
    "priorities of the guest": "nice -n -5 /bin/true",
    "shared memory of the guest": "ipcmk -M 4096",
}  # fmt: skip

INIT = """\
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# Debian's mount is setuid, which under the namespace method means: runs as nobody.
mount() {{ /bin/busybox mount "$@"; }}
export -f mount
mount -t proc proc /proc
mount -t tmpfs tmpfs /mnt
mkdir /mnt/h; mount -t hostfs none /mnt/h -o /
H=/mnt/h SHOWN={root}/shown SECRETS={root}/secret S=$H{root}/secret
PID={pid} PORT={port} HOST={host} OWN_HOME="{own_home}"
export H SHOWN SECRETS S PID PORT HOST OWN_HOME
attempt() {{
  export C=$H{root}/shown/$1 W=$H{root}/writable/$1
  output=$(timeout 20 bash -ec "$2" 2>&1); status=$?
  echo; echo "@@ $1 $status ${{output//$'\\n'/ }}"
}}
{attempts}
echo; echo @@ end 0
exec /bin/busybox poweroff -f
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one try did. `host` is how its part of the host looks afterwards."""

    status: int
    output: str
    host: str


def snapshot(folder: Path) -> str:
    lines = []
    for path in sorted([folder, *folder.rglob("*")]):
        facts = path.lstat()
        content = path.read_text() if path.is_file() and not path.is_symlink() else ""
        numbers = (
            facts.st_mode,
            facts.st_uid,
            facts.st_nlink,
            facts.st_mtime_ns,
            facts.st_ctime_ns,
        )
        lines.append(f"{path.name} {numbers} {os.listxattr(path, follow_symlinks=False)} {content}")
    return "\n".join(lines)


def build_host(root: Path, programs: list[str], owner: int) -> None:
    for name in ("secret", "run/scratch", "project", "shown", "writable"):
        (root / name).mkdir(parents=True)
    (root / "secret" / "key").write_text(SECRET)
    for index in range(len(programs)):
        (root / "writable" / str(index)).mkdir()
        canary = root / "shown" / str(index)
        (canary / "empty").mkdir(parents=True)
        (canary / "file").write_text("canary")
        (canary / "other").write_text("other")
    (root / "shown" / "file").write_text("canary")
    for path in (root, *root.rglob("*")):
        os.chown(path, owner, owner)


def boot(
    root: Path, kernel: Path, programs: list[str], method: Method, port: int, mode: str
) -> str:
    """Run all programs in one guest, by seccomp (mode "on") or ptrace; return the console."""
    victim = subprocess.Popen(["/bin/sleep", "100"], env={"TOKEN": SECRET})
    attempts = "\n".join(
        f"attempt {index} {json.dumps(program).replace('$', chr(92) + '$')}"
        for index, program in enumerate(programs)
    )
    init = root / "shown" / "init"
    init.write_text(
        INIT.format(
            root=root,
            pid=victim.pid,
            port=port,
            host=_host_address(),
            own_home=OWN_HOME,
            attempts=attempts,
        )
    )
    init.chmod(0o755)
    confinement = confine.for_project(
        root / "project", read=[root / "shown"], write=[root / "writable"], method=method
    )
    try:
        code, console = run_confined(
            [str(kernel), *BOOT, f"init={init}", f"seccomp={mode}"],
            root / "run" / "scratch",
            confinement,
        )
        assert (code, victim.poll()) == (0, None), console
        return console
    finally:
        victim.kill()
        victim.wait()


def _host_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "192.0.2.1"
        return str(probe.getsockname()[0])


@dataclass(frozen=True, slots=True)
class Stage:
    outcomes: dict[str, Outcome]
    before: dict[str, str]
    connections: int


def play(
    root: Path,
    kernel: Path,
    method: Method,
    user: int | None,
    tries: dict[str, str],
    mode: str = "off",
) -> Stage:
    named = {f"try: {name}": program for name, program in tries.items()}
    named |= {f"need: {name}": program for name, program in NEEDS.items()}
    programs = list(named.values())
    build_host(root, programs, os.geteuid() if user is None else user)
    (root / "shown" / "socket").touch()
    with socket.create_server(("0.0.0.0", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        before = [snapshot(root / "shown" / str(index)) for index in range(len(programs))]
        console = in_a_fork(lambda: boot(root, kernel, programs, method, port, mode), user)
        connections = 0
        try:
            server.accept()
            connections += 1
        except TimeoutError:
            pass
    lines = [line.split(" ", 3) for line in console.splitlines() if line.startswith("@@ ")]
    found = {words[1]: (int(words[2]), "".join(words[3:])) for words in lines}
    assert "end" in found, console
    outcomes = {
        name: Outcome(*found[str(index)], snapshot(root / "shown" / str(index)))
        for index, name in enumerate(named)
    }
    return Stage(outcomes, dict(zip(named, before, strict=True)), connections)


_METHODS = {"landlock": Method.LANDLOCK, "namespace": Method.NAMESPACE}
_STAGES = [
    ("landlock", "root", "on"),
    ("landlock", "root", "off"),
    ("landlock", "ordinary user", "on"),
    ("landlock", "ordinary user", "off"),
    ("namespace", "root", "on"),
    ("namespace", "ordinary user", "off"),
]


@pytest.fixture(scope="module", params=_STAGES, ids=lambda one: "{}, {}, seccomp={}".format(*one))
def stage(request: pytest.FixtureRequest, open_kernel: Path, open_folders: Iterator[Path]) -> Stage:
    method, user, mode = request.param
    if method == "landlock" and landlock.abi() < 3:
        pytest.skip("this kernel's Landlock is older than ABI 3")
    if method == "namespace" and not namespaces.available():
        pytest.skip("user namespaces are not to be had here")
    if user == "root" and os.geteuid() != 0:
        pytest.skip("we are not root")
    uid = users()[-1] if user == "ordinary user" else None
    return play(next(open_folders), open_kernel, _METHODS[method], uid, TRIES, mode)


@pytest.mark.needs_uml
@pytest.mark.parametrize("name", TRIES)
def test_guest_root_can_not(stage: Stage, name: str) -> None:
    outcome = stage.outcomes[f"try: {name}"]
    assert outcome.status != 0, outcome.output
    assert SECRET not in outcome.output
    assert outcome.host == stage.before[f"try: {name}"]


@pytest.mark.needs_uml
@pytest.mark.parametrize("name", NEEDS)
def test_guest_root_can(stage: Stage, name: str) -> None:
    outcome = stage.outcomes[f"need: {name}"]
    assert outcome.status == 0, outcome.output


@pytest.mark.needs_uml
def test_no_connection_reached_the_host(stage: Stage) -> None:
    assert stage.connections == 0


@pytest.mark.needs_uml
def test_nothing_was_made_outside(stage: Stage) -> None:
    places = [Path("/"), Path("/etc"), Path("/var/tmp")]
    assert [place for place in places if (place / "windtunnel-was-here").exists()] == []


@pytest.mark.needs_uml
def test_a_trusted_guest_does_what_the_others_can_not(
    open_kernel: Path, open_folders: Iterator[Path]
) -> None:
    # So the tests above do not pass for the wrong reason.
    names = textwrap.dedent("""\
        remount the root and create, write, append, truncate, create, chmod, unlink, rename,
        rename over, hard link, symbolic link, set times, make a directory, remove a directory,
        write through a link, write through a hard link, move out of the writable folder,
        read a secret, read a secret through a link, read a secret by going up""")
    tries = {name: TRIES[name] for name in names.replace("\n", " ").split(", ")}
    stage = play(next(open_folders), open_kernel, Method.NONE, users()[-1], tries)
    failed = {name: stage.outcomes[f"try: {name}"] for name in tries}
    assert {name: one.output for name, one in failed.items() if one.status != 0} == {}
