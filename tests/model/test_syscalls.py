# SPDX-License-Identifier: Apache-2.0
"""Names of syscalls. Numbers from arch/x86/entry/syscalls/syscall_64.tbl."""

from __future__ import annotations

import pytest

from windtunnel.model.syscalls import syscall_name, syscall_names, syscall_number


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "read"),
        (7, "poll"),
        (35, "nanosleep"),
        (57, "fork"),
        (100, "times"),
        (156, "_sysctl"),
        (186, "gettid"),
        (202, "futex"),
        (228, "clock_gettime"),
        (231, "exit_group"),
        (281, "epoll_pwait"),
        (318, "getrandom"),
        (334, "rseq"),
        (335, "syscall 335"),
        (423, "syscall 423"),
        (424, "pidfd_send_signal"),
        (435, "clone3"),
        (450, "set_mempolicy_home_node"),
        (451, "cachestat"),
        (472, "fchroot"),
        (473, "syscall 473"),
        (-1, "syscall -1"),
    ],
)
def test_a_syscall_has_the_name_of_the_kernels_table(number, expected):
    assert syscall_name(number) == expected


def test_a_name_has_its_number_again():
    for name in syscall_names():
        assert syscall_name(syscall_number(name)) == name
    assert syscall_number("openatt") is None
