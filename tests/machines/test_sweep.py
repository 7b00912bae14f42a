# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
from pathlib import Path

import pytest

from machines.confined import ORDINARY_USER
from windtunnel.errors import HostError
from windtunnel.machines import sweep
from windtunnel.machines.launch import ENVIRONMENT


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path.resolve() / "base"
    monkeypatch.setattr(sweep, "_bases", lambda: [folder])
    return folder


def scratch_of_a_dead_process() -> Path:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, str(sweep.new_scratch().path).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    path = Path(os.read(reader, 4096).decode())
    os.close(reader)
    return path


def test_a_scratch_directory_is_for_its_user_alone_and_goes_by_close(base: Path) -> None:
    scratch = sweep.new_scratch()
    assert (scratch.path.stat().st_mode & 0o777, base.stat().st_mode & 0o777) == (0o700, 0o700)
    assert scratch.path.name.startswith(f"{os.getpid()}-")
    scratch.close()
    assert list(base.iterdir()) == []


def test_one_process_may_have_several(base: Path) -> None:
    first, second = sweep.new_scratch(), sweep.new_scratch()
    assert first.path != second.path
    assert sweep.sweep() == []
    first.close()
    second.close()


def test_what_a_dead_process_left_is_swept(base: Path) -> None:
    path = scratch_of_a_dead_process()
    (path / "mem").write_text("x")
    assert sweep.sweep() == [path]
    assert list(base.iterdir()) == []


def test_a_pid_that_lives_again_does_not_protect_a_leftover(base: Path) -> None:
    path = scratch_of_a_dead_process()
    # The same pid, but another start: as if the number had been given again.
    reborn = path.with_name(f"{os.getpid()}-1")
    path.rename(reborn)
    (base / f"{path.name}.lock").rename(base / f"{reborn.name}.lock")
    assert sweep.sweep() == [reborn]


def test_a_locked_directory_is_left_alone(base: Path) -> None:
    path = scratch_of_a_dead_process()
    holder = subprocess.Popen(["flock", base / f"{path.name}.lock", "sh", "-c", "echo; sleep 60"],
                              stdout=subprocess.PIPE, start_new_session=True)  # fmt: skip
    assert holder.stdout is not None
    holder.stdout.readline()
    assert sweep.sweep() == []
    os.killpg(holder.pid, signal.SIGKILL)
    holder.stdout.read()  # to the end: now all that held it are gone
    holder.stdout.close()
    holder.wait()
    assert sweep.sweep() == [path]


def test_a_leftover_guest_is_killed_and_a_visitor_is_not(base: Path) -> None:
    path = scratch_of_a_dead_process()
    guest = subprocess.Popen(["/bin/sleep", "60"], cwd=path, env=ENVIRONMENT)
    visitor = subprocess.Popen(["/bin/sleep", "60"], cwd=path)
    neighbour = subprocess.Popen(["/bin/sleep", "60"], cwd="/", env=ENVIRONMENT)
    assert sweep.sweep() == [path]
    assert guest.wait(timeout=5) == -signal.SIGKILL
    assert (visitor.poll(), neighbour.poll()) == (None, None)
    for process in (visitor, neighbour):
        process.kill()
        process.wait()


def test_links_in_a_leftover_are_not_followed(base: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("mine")
    path = scratch_of_a_dead_process()
    (path / "link").symlink_to(kept)
    (base / "1-1").symlink_to(kept)  # a whole directory as a link
    sweep.sweep()
    assert (kept / "file").read_text() == "mine"


def test_names_that_are_not_ours_are_left_alone(base: Path) -> None:
    base.mkdir(mode=0o700)
    (base / "notes").mkdir()
    assert sweep.sweep() == []
    assert (base / "notes").is_dir()


def test_a_base_that_is_a_link_is_refused(base: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    base.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError, match="others may change it"):
        sweep.new_scratch()
    assert sweep.sweep() == []


def test_a_base_that_others_may_enter_is_refused(base: Path) -> None:
    base.mkdir()
    base.chmod(0o755)
    with pytest.raises(HostError, match="others may change it"):
        sweep.new_scratch()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_base_of_another_user_is_refused(base: Path) -> None:
    base.mkdir(mode=0o700)
    os.chown(base, ORDINARY_USER, ORDINARY_USER)
    with pytest.raises(HostError, match="others may change it"):
        sweep.new_scratch()
    assert sweep.sweep() == []


def test_too_little_space_is_the_hosts_error_and_says_how_much_is_needed(base: Path) -> None:
    with pytest.raises(HostError, match="less than 1099511627776 MiB free"):
        sweep.new_scratch(need_bytes=2**60)
