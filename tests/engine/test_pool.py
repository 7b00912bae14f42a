# SPDX-License-Identifier: Apache-2.0
# Processes of the host are waited for by the host's clock:
# ruff: noqa: TID251
"""Forks that do one piece of work: what they return, how they end, and how they are ended."""

from __future__ import annotations

import os
import signal
import time

import pytest

from windtunnel.engine.child import Child, ChildLostError, wait_for
from windtunnel.engine.pool import Pool
from windtunnel.errors import InternalError


def finish(pool):
    """Wait for all; what each came to, by its key."""
    found = {}
    while pool.running:
        for one in pool.wait():
            try:
                found[one.key] = pool.result(one)
            except ChildLostError as error:
                found[one.key] = error.message
    return found


def deaf():
    """Take no notice of anything but SIGKILL."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    while True:
        signal.pause()


def test_each_piece_of_work_gives_its_own_result_and_no_more_run_than_there_is_room_for():
    with Pool(2) as pool:
        pool.begin("a", lambda: {"pid": os.getpid()})
        assert pool.has_room
        pool.begin("b", lambda: [1, "two"])
        assert not pool.has_room
        found = finish(pool)
    assert found["b"] == [1, "two"]
    assert found["a"]["pid"] != os.getpid()
    assert pool.has_room


def test_what_takes_too_long_is_told_to_end_and_then_ended():
    with Pool(2, end_host_s=0.3) as pool:
        pool.begin("polite", signal.pause, limit_host_s=0.1)
        pool.begin("deaf", deaf, limit_host_s=0.1)
        overdue = {one.key: one for one in pool.running}
        found = finish(pool)
    assert all(one.overdue for one in overdue.values())
    assert "status 130 and without a word" in found["polite"]
    assert "status -9 and without a word" in found["deaf"]


def test_what_is_not_wanted_is_ended_and_the_rest_goes_on():
    with Pool(3, end_host_s=0.3) as pool:
        pool.begin(1, signal.pause)
        pool.begin(2, lambda: "done")
        pool.begin(3, deaf)
        pids = [one.child.pid for one in pool.running]
        pool.stop([one for one in pool.running if one.key != 2])
        assert finish(pool) == {2: "done"}
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_still_runs_when_the_pool_is_left_is_ended():
    with Pool(1) as pool:
        pool.begin(1, signal.pause)
        pid = pool.running[0].child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_second_signal_does_not_interrupt_the_good_order_of_ending(tmp_path):
    def work():
        try:
            (tmp_path / "begun").touch()
            signal.pause()
        finally:
            (tmp_path / "ending").touch()
            time.sleep(0.3)
            (tmp_path / "ended").touch()

    child = Child(work)
    for sign in ("begun", "ending"):
        while not (tmp_path / sign).exists():
            time.sleep(0.01)
        child.interrupt()
    assert wait_for([child], 60)
    child.reap()
    assert (tmp_path / "ended").exists()


def test_a_bug_in_a_child_is_raised_with_its_traceback():
    child = Child(lambda: 1 // 0)
    wait_for([child], 60)
    with pytest.raises(InternalError) as caught:
        child.result()
    assert "ZeroDivisionError" in caught.value.__notes__[0]


def test_a_child_that_is_killed_is_an_error_of_the_host():
    child = Child(lambda: os.kill(os.getpid(), signal.SIGKILL))
    wait_for([child], 60)
    with pytest.raises(ChildLostError, match="status -9 and without a word"):
        child.result()
