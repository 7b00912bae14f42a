# SPDX-License-Identifier: Apache-2.0
# The words of the system calls, on the start path of every command:
# ruff: noqa: PTH123, PTH208
"""Start a guest's process, confined, and make sure that nothing of it outlives us.

Between us and the guest stands a supervisor, a fork of ours that only waits:

    windtunnel --SIGTERM at our death--> supervisor --SIGKILL at its death--> guest, stubs

It adopts whatever the guest leaves behind (PR_SET_CHILD_SUBREAPER), kills it all when
the guest ends or when we do, and then tells us the guest's exit status.
"""

import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from windtunnel.errors import HostError, InternalError
from windtunnel.machines import confine
from windtunnel.machines.abort import AbortListener
from windtunnel.machines.confine import Confinement, Report
from windtunnel.machines.syscalls import CLOSE_RANGE, PR_SET_PDEATHSIG, prctl, syscall

ENVIRONMENT = {
    # Otherwise glibc's restartable-sequence area, unmapped in the stub, kills it.
    "GLIBC_TUNABLES": "glibc.pthread.rseq=0",
    # The guest's memory and its pid file go to the scratch directory, by a name
    # that is the same in every run.
    "HOME": ".",
    "PATH": "/usr/bin:/bin",
    "TMPDIR": ".",
}
"""All that a guest's process gets: nothing of the user's own environment."""

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_PTRACER = 0x59616D61
_ADDR_NO_RANDOMIZE = 0x0040000
_PERSONALITY = 135
_CLOSE_RANGE_LAST = 0xFFFFFFFF
_WAKE = (signal.SIGCHLD, signal.SIGTERM)
_STACK_BYTES = 8 << 20  # what Linux gives by itself
# A guest's kernel does not resist SIGKILL; this much is for a machine that swaps.
_KILL_LIMIT_HOST_S = 10.0


@dataclass(slots=True)
class Guest:
    """A guest's process. Close it by `kill` or by `wait`.

    Attributes:
        pid: of the guest's kernel.
        supervisor_pid: of the process that stands between it and us.
        report: how it is confined.
        abort: tells when its kernel is about to abort; None where the host cannot. Whoever
            started the guest closes it.
        returncode: the exit status, or minus the signal that ended it; None while it runs.
    """

    pid: int
    supervisor_pid: int
    report: Report
    abort: AbortListener | None
    _status_fd: int
    returncode: int | None = None

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when the guest has ended."""
        return self._status_fd

    def poll(self) -> int | None:
        """Return `returncode`, after a look whether the guest has ended and all of it is gone."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int:
        """Wait until the guest has ended and nothing of it is left; return `returncode`."""
        code = self._reap(0)
        if code is None:
            raise InternalError("waiting for a guest's supervisor returned without its status")
        return code

    def kill(self) -> None:
        """End the guest at once, with all its processes. Does nothing when it has ended."""
        if self.poll() is not None:
            return
        os.kill(self.supervisor_pid, signal.SIGTERM)
        # The supervisor kills and reaps; if it is stuck, its death kills the guest.
        handle = os.pidfd_open(self.supervisor_pid)
        try:
            if not _becomes_readable(handle, _KILL_LIMIT_HOST_S):
                os.kill(self.supervisor_pid, signal.SIGKILL)
        finally:
            os.close(handle)
        self.wait()

    def _reap(self, flags: int) -> int | None:
        if self.returncode is not None:
            return self.returncode
        try:
            pid, own_status = os.waitpid(self.supervisor_pid, flags)
        except ChildProcessError:  # a caller that ignores SIGCHLD: it is gone all the same
            pid, own_status = self.supervisor_pid, int(signal.SIGKILL)
        if pid == 0:
            return None
        text = os.read(self._status_fd, 64)
        os.close(self._status_fd)
        self._status_fd = -1
        # No text: somebody killed the supervisor, and with it the guest.
        status = int(text) if text else own_status
        self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def launch(
    argv: Sequence[str],
    *,
    cwd: Path,
    confinement: Confinement,
    stdout_fd: int,
    stderr_fd: int | None = None,
    cpu: int | None = None,
    pass_fds: Sequence[int] = (),
) -> Guest:
    """Start a guest and return when its program has been executed.

    The guest has a session of its own, so that a Ctrl-C in the terminal does not reach
    it, and dies with the calling thread. Call it from the thread that lives longest.

    Args:
        argv: the program (a path) and its arguments. The program may be read by the guest.
        cwd: the scratch directory, which the guest may always write.
        confinement: what else it may reach.
        stdout_fd: gets its output; its input is empty.
        stderr_fd: gets its errors; None sends them to `stdout_fd`.
        cpu: the processor that all its processes are pinned to; None leaves it free.
        pass_fds: further descriptors to keep open, under the same numbers.

    Raises:
        HostError: the machine can not confine the guest, or can not start the program.
    """
    program = os.path.realpath(argv[0])
    scratch = Path(os.path.realpath(cwd))
    confinement = replace(
        confinement,
        read=(*confinement.read, Path(program)),
        write=(scratch, *confinement.write),
    )
    report = confinement.report()
    our_pid = os.getpid()
    hello, hello_child = socket.socketpair()
    status_read, status_write = os.pipe()

    def become_guest(supervisor_pid: int) -> None:
        hello_child.sendall(b"%d\n" % os.getpid())
        os.chdir(scratch)
        _let_us_look_into_it(our_pid)
        _point_standard_streams(stdout_fd, stdout_fd if stderr_fd is None else stderr_fd)
        _forget_our_process(cpu)
        listener = confine.enter(confinement, report)
        if listener is not None:
            socket.send_fds(hello_child, [b"\n"], [listener])
        _tie_to(supervisor_pid)
        _keep_only({0, 1, 2}, pass_fds, until_exec=hello_child.fileno())
        os.execve(program, list(argv), ENVIRONMENT)  # noqa: S606

    # Blocked before the fork, so that the supervisor misses no signal.
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        supervisor_pid = os.fork()
        if supervisor_pid == 0:
            _supervise(our_pid, hello_child.fileno(), status_write, become_guest)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
        hello_child.close()
        os.close(status_write)
    return _guest_of(program, supervisor_pid, report, hello, status_read)


def _guest_of(
    program: str, supervisor_pid: int, report: Report, hello: socket.socket, status_fd: int
) -> Guest:
    """The guest that a supervisor has started, once its program runs."""
    first, error, abort = _hear_hello(hello)
    guest = Guest(int(first or 0), supervisor_pid, report, abort, status_fd)
    if error or not first:
        guest.kill()
        if abort is not None:
            abort.close()
        raise HostError(
            f"can not start the guest {program}: {error or 'its supervisor died'}",
            hint="Run 'windtunnel doctor'.",
        )
    return guest


def _supervise(
    parent_pid: int, hello_fd: int, status_fd: int, become_guest: Callable[[int], None]
) -> None:
    # Never returns: whatever happens, this fork must not run our caller's code.
    status = b""
    try:
        gc.disable()
        for number in _WAKE:
            signal.signal(number, signal.SIG_DFL)
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        prctl(_PR_SET_CHILD_SUBREAPER, 1)
        prctl(_PR_SET_NAME, b"wt-supervisor")
        os.setsid()
        own_pid = os.getpid()
        if os.getppid() != parent_pid:
            os._exit(1)
        guest_pid = os.fork()
        if guest_pid == 0:
            try:
                become_guest(own_pid)
            except BaseException as error:  # noqa: BLE001 - reported to the parent, then the end
                os.write(hello_fd, f"{type(error).__name__}: {error}".encode())
            os._exit(127)
        _close_all_but({status_fd})
        status = b"%d" % _wait_for_the_end(guest_pid)
    finally:
        try:
            if status:
                os.write(status_fd, status)  # fails when our parent has ended
        finally:
            os._exit(0)


def _wait_for_the_end(guest_pid: int) -> int:
    # Until the guest has ended, or our parent has; then nothing is left. Returns
    # the guest's wait status.
    guest_status: int | None = None
    ending = False
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return guest_status if guest_status is not None else signal.SIGKILL
        if pid == guest_pid:
            guest_status = status
            ending = True
        elif pid == 0:
            if ending:
                # Children of what we kill become our own, so this comes to an end.
                _kill_children()
            if signal.sigwait(_WAKE) == signal.SIGTERM:
                ending = True
                _kill_children()


def _kill_children() -> None:
    own_pid = os.getpid()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # pid (name) state ppid ...; the name may hold spaces and brackets.
                parent = int(file.read().rpartition(b")")[2].split()[1])
            if parent == own_pid:
                os.kill(int(name), signal.SIGKILL)
        except OSError:
            continue  # it ended just now


def _let_us_look_into_it(our_pid: int) -> None:
    # `windtunnel debug` has a debugger of ours attach; where Yama rules (ptrace_scope 1) only
    # an ancestor may, or whom the process names, with all below. It holds beyond the exec:
    # security/yama/yama_lsm.c keeps it until one of the two has ended.
    with suppress(OSError):  # this kernel has no Yama
        prctl(_PR_SET_PTRACER, our_pid)


def _point_standard_streams(stdout_fd: int, stderr_fd: int) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    out, err = os.dup(stdout_fd), os.dup(stderr_fd)
    for source, target in ((null, 0), (out, 1), (err, 2)):
        os.dup2(source, target)


def _forget_our_process(cpu: int | None) -> None:
    # What a child inherits and a guest must not depend on.
    for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGHUP, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # hostfs holds a descriptor for each file that the guest knows: with the usual 1024 a
    # guest that looks at many would see "Too many open files", and on another host not.
    _, files_max = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))
    # The size of the stack shifts where the kernel lays out its memory.
    _, stack_max = resource.getrlimit(resource.RLIMIT_STACK)
    stack_bytes = _STACK_BYTES if stack_max < 0 else min(_STACK_BYTES, stack_max)
    resource.setrlimit(resource.RLIMIT_STACK, (stack_bytes, stack_max))
    os.setsid()
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    # User Mode Linux wants it, and would execute itself again through /proc.
    syscall(_PERSONALITY, _ADDR_NO_RANDOMIZE)


def _tie_to(supervisor_pid: int) -> None:
    # After the change of capabilities, which clears the signal at the parent's death.
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor_pid:
        os._exit(1)


def _keep_only(standard: set[int], passed: Sequence[int], *, until_exec: int) -> None:
    for fd in passed:
        os.set_inheritable(fd, True)
    _close_all_but({*standard, *passed, until_exec})


def _close_all_but(kept: set[int]) -> None:
    first = 0
    for fd in sorted(kept):
        if first < fd:
            syscall(CLOSE_RANGE, first, fd - 1, 0)
        first = fd + 1
    syscall(CLOSE_RANGE, first, _CLOSE_RANGE_LAST, 0)


def _hear_hello(hello: socket.socket) -> tuple[str, str, AbortListener | None]:
    """Hear what a guest's child says until it is the guest: its pid, its trouble if it has any."""
    text, abort = b"", None
    with hello:
        while True:
            data, files, _, _ = socket.recv_fds(hello, 4096, 1)
            for file in files:
                os.set_inheritable(file, False)
                abort = AbortListener(file)
            if not data:
                break
            text += data
    first, _, error = text.decode(errors="replace").partition("\n")
    return first, error.strip(), abort


def _becomes_readable(fd: int, limit_host_s: float) -> bool:
    import select  # noqa: PLC0415 - rarely needed

    return bool(select.select([fd], [], [], limit_host_s)[0])
