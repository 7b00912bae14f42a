# SPDX-License-Identifier: Apache-2.0
"""What the machine has and lacks."""

import pytest

from windtunnel.errors import HostError
from windtunnel.images.doctor import (
    Package,
    check_machine,
    check_packages,
    combined_remedy,
    install_command,
    parse_packages,
    require_programs,
)

SHELL = Package("dash", "sh", "build", required=True)
NOTHING = Package("no-such-package", "no-such-program", "labs", required=False)


def test_the_list_of_packages_has_four_columns_and_comments():
    text = "# head\n\nfrr    vtysh  labs   optional  # routing\nlibc6-dev  -  build  required\n"
    assert parse_packages(text) == (
        Package("frr", "vtysh", "labs", required=False),
        Package("libc6-dev", "-", "build", required=True),
    )


def test_a_missing_program_names_the_command_that_installs_it():
    there, missing = check_packages([SHELL, NOTHING])
    assert (there.ok, there.found, there.remedy) == (True, "installed", "")
    assert (missing.ok, missing.found) == (False, "not installed")
    assert missing.remedy == "sudo apt-get install -y no-such-package"
    assert missing.required is False


def test_one_command_installs_everything_that_is_missing():
    packages = [
        Package("zsh", "zsh", "labs", required=True),
        Package("bc", "bc", "build", required=True),
        Package("bc", "bc", "tests", required=True),
    ]
    assert install_command(packages) == "sudo apt-get install -y bc zsh"
    assert install_command([]) == ""


def test_without_any_program_the_build_asks_for_its_packages(no_programs, monkeypatch):
    monkeypatch.setattr("windtunnel.images.doctor.SYSTEM_FOLDERS", "")
    with pytest.raises(HostError) as caught:
        require_programs("build")
    assert caught.value.message.startswith("missing for build: ")
    assert caught.value.hint.startswith("sudo apt-get install -y bc bison ")
    assert "frr" not in caught.value.hint
    assert "tshark" in combined_remedy()


def test_the_whole_check_runs_and_each_fault_has_a_remedy(cache):
    checks = check_machine()
    names = [check.name for check in checks]
    assert names[:4] == ["processor", "confinement", "ptrace", "cores"]
    assert names[4:7] == ["guest memory", "disk", "kernel"]
    assert {"gcc", "iproute2", "frr", "tshark"} <= set(names)
    assert all(check.ok != bool(check.remedy) for check in checks)


def test_a_kernel_that_is_not_cached_is_no_fault_of_the_machine(cache, put_kernel):
    def kernel_check():
        return next(check for check in check_machine() if check.name == "kernel")

    assert kernel_check().ok is False
    assert kernel_check().required is False
    assert kernel_check().remedy == "windtunnel kernel build"
    put_kernel("7.3.4", "0123456789ab")
    assert kernel_check().ok is True
    assert kernel_check().found == "7.3.4-0123456789ab"
