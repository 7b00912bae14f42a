# SPDX-License-Identifier: Apache-2.0
import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.machines import seccomp
from windtunnel.machines.seccomp import ALLOW, AUDIT_ARCH_X86_64, ERRNO, Instruction

EPERM = ERRNO | errno.EPERM
ENOSYS = ERRNO | errno.ENOSYS
FILTER = seccomp.program(seccomp.denied_numbers(metadata=True, truncate=False))


def verdict(
    number: int,
    arguments: tuple[int, ...] = (),
    *,
    arch: int = AUDIT_ARCH_X86_64,
    program: list[Instruction] = FILTER,
) -> int:
    """Interpret a filter as the kernel does, for the instructions that it may hold."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    words = {0: number, 4: arch} | {
        16 + 8 * i: value & 0xFFFFFFFF for i, value in enumerate(padded)
    }
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, constant = program[at]
        at += 1
        match code:
            case 0x20:
                accumulator = words[constant]
            case 0x15:
                at += if_true if accumulator == constant else if_false
            case 0x35:
                at += if_true if accumulator >= constant else if_false
            case 0x45:
                at += if_true if accumulator & constant else if_false
            case 0x06:
                return constant
            case _:
                pytest.fail(f"instruction {code:#x} is not one of ours")


def test_every_listed_call_is_refused_with_eperm() -> None:
    listed = seccomp.DENIED_ALWAYS | seccomp.DENIED_METADATA
    assert {name for name, number in listed.items() if verdict(number) != EPERM} == set()


@pytest.mark.parametrize(
    ("family", "expected"),
    [(1, ALLOW), (2, EPERM), (10, EPERM), (16, EPERM), (17, EPERM), (38, EPERM), (40, EPERM)],
    ids=["unix", "inet", "inet6", "netlink", "packet", "alg", "vsock"],
)
def test_only_unix_sockets_may_be_made(family: int, expected: int) -> None:
    assert verdict(seccomp.SOCKET, (family, 1, 0)) == expected
    assert verdict(seccomp.SOCKETPAIR, (family, 1, 0)) == expected


def test_the_high_half_of_an_argument_does_not_hide_a_family() -> None:
    # The kernel takes the family as an int: it ignores the upper 32 bits, and so must we.
    assert verdict(seccomp.SOCKET, (1 << 32 | 2,)) == EPERM
    assert verdict(seccomp.SOCKET, (1 << 32 | 1,)) == ALLOW


@pytest.mark.parametrize("bit", [17, 25, 26, 27, 28, 29, 30])
def test_a_clone_with_a_new_namespace_is_refused(bit: int) -> None:
    assert verdict(seccomp.CLONE, (1 << bit | 17,)) == EPERM


def test_the_clones_of_user_mode_linux_are_allowed() -> None:
    assert verdict(seccomp.CLONE, (0x4111,)) == ALLOW  # CLONE_VM | CLONE_VFORK | SIGCHLD


def test_limits_of_other_processes_are_refused_and_our_own_are_not() -> None:
    assert verdict(seccomp.PRLIMIT64, (0, 3)) == ALLOW
    assert verdict(seccomp.PRLIMIT64, (1, 3)) == EPERM


def test_a_terminal_can_not_be_typed_into() -> None:
    assert verdict(seccomp.IOCTL, (0, 0x5412)) == EPERM
    assert verdict(seccomp.IOCTL, (0, 0x5401)) == ALLOW  # TCGETS


def test_other_architectures_see_no_system_call_at_all() -> None:
    assert verdict(0, arch=0x40000003) == ENOSYS  # i386
    assert verdict(0x40000000 | 41) == ENOSYS  # x32


def test_clone3_is_absent_so_that_libraries_use_clone() -> None:
    assert verdict(seccomp.CLONE3) == ENOSYS


@pytest.mark.parametrize(
    ("name", "number"),
    [("read", 0), ("mmap", 9), ("ptrace", 101), ("kill", 62), ("execveat", 322), ("futex", 202),
     ("recvmsg", 47), ("connect", 42), ("seccomp", 317), ("memfd_create", 319), ("open", 2)],
)  # fmt: skip
def test_what_user_mode_linux_needs_is_allowed(name: str, number: int) -> None:
    assert verdict(number) == ALLOW, name


def test_metadata_and_truncate_are_denied_only_when_asked() -> None:
    free = seccomp.program(seccomp.denied_numbers(metadata=False, truncate=False))
    strict = seccomp.program(seccomp.denied_numbers(metadata=True, truncate=True))
    assert verdict(90, program=free) == ALLOW  # chmod
    assert verdict(76, program=free) == ALLOW  # truncate
    assert verdict(90, program=strict) == EPERM
    assert verdict(76, program=strict) == EPERM


@given(number=st.integers(0, 2**32 - 1), arguments=st.tuples(*[st.integers(0, 2**64 - 1)] * 6))
def test_every_call_gets_one_of_three_answers(number: int, arguments: tuple[int, ...]) -> None:
    assert verdict(number, arguments) in (ALLOW, EPERM, ENOSYS)


def test_the_filter_fits_the_kernel() -> None:
    assert len(FILTER) <= 4096  # BPF_MAXINSNS
    assert all(0 <= jump <= 255 for _, *jumps, _ in FILTER for jump in jumps)


def test_an_abort_is_told_where_somebody_listens_and_other_signals_are_not() -> None:
    telling = seccomp.program(
        seccomp.denied_numbers(metadata=True, truncate=False), tell_abort=True
    )
    for program in (telling, seccomp.only_abort()):
        assert verdict(seccomp.KILL, (4711, 6), program=program) == seccomp.USER_NOTIF
        assert verdict(seccomp.KILL, (0, 15), program=program) == ALLOW
        assert verdict(0, (4711, 6), program=program) == ALLOW
    assert verdict(seccomp.KILL, (4711, 6)) == ALLOW
    assert verdict(seccomp.KILL, (4711, 6), arch=3, program=seccomp.only_abort()) == ALLOW
