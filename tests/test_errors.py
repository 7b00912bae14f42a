# SPDX-License-Identifier: Apache-2.0
"""What errors say, and what the program exits with because of them."""

from __future__ import annotations

import pickle

import pytest

from windtunnel import errors
from windtunnel.errors import (
    GuestError,
    HostError,
    LabFileError,
    LabFileErrors,
    StateError,
    Where,
)


def test_the_hint_stands_below_the_message():
    assert str(HostError("disk full", hint="remove old runs")) == "disk full\n  remove old runs"
    assert str(HostError("disk full")) == "disk full"


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (Where("lab.yaml", 3, 7), "lab.yaml:3:7"),
        (Where("lab.yaml", 3), "lab.yaml:3"),
        (Where("lab.yaml"), "lab.yaml"),
    ],
)
def test_a_place_names_only_what_is_known_of_it(where, text):
    assert str(where) == text


def test_an_error_in_a_lab_file_begins_with_its_place():
    error = LabFileError("no node 'routr'", where=Where("lab.yaml", 3, 7), hint="'router'?")
    assert str(error) == "lab.yaml:3:7: no node 'routr'\n  'router'?"


def test_an_error_in_a_lab_that_was_built_by_calls_has_no_place():
    assert str(LabFileError("no node 'routr'")) == "no node 'routr'"


def test_several_errors_are_counted_and_listed_and_a_single_one_speaks_for_itself():
    first = LabFileError("one", where=Where("lab.yaml", 1, 1))
    second = LabFileError("two", where=Where("lab.yaml", 2, 1))
    both = LabFileErrors([first, second])
    assert str(both) == "2 errors in the lab:\nlab.yaml:1:1: one\nlab.yaml:2:1: two"
    assert both.where == Where("lab.yaml", 1, 1)
    assert both.errors == (first, second)
    assert str(LabFileErrors([first])) == "lab.yaml:1:1: one"


def test_an_empty_list_of_errors_is_our_own_bug():
    with pytest.raises(AssertionError):
        LabFileErrors([])


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (GuestError("no answer"), "no answer"),
        (GuestError("no answer", node="r1"), "node r1: no answer"),
        (GuestError("no answer", time_ns=1_500_000_000), "at 1.500000000 s: no answer"),
        (
            GuestError("no answer", node="r1", time_ns=-1, hint="look at its console"),
            "node r1, at -0.000000001 s: no answer\n  look at its console",
        ),
    ],
)
def test_an_error_in_a_guest_says_where_and_when_as_far_as_it_is_known(error, text):
    assert str(error) == text


def test_an_error_of_state_keeps_both_states():
    error = StateError("the world has ended", state="ended", required="running")
    assert (error.state, error.required) == ("ended", "running")


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("WindtunnelError", 70),
        ("LabFileError", 2),
        ("UsageError", 2),
        ("HostError", 3),
        ("GuestError", 4),
        ("GuestLostError", 4),
        ("GuestStuckError", 4),
        ("ProtocolError", 4),
        ("StateError", 2),
        ("ReplayError", 1),
        ("InternalError", 70),
    ],
)
def test_the_exit_status_says_whose_fault_it_is(name, status):
    assert getattr(errors, name)("something").exit_status == status


def test_errors_of_a_lab_pass_from_process_to_process():
    errors = LabFileErrors(
        [LabFileError("one", where=Where("lab.yaml", 1, 1)), LabFileError("two")]
    )
    again = pickle.loads(pickle.dumps(errors))
    assert str(again) == str(errors)
    assert [one.message for one in again.errors] == ["one", "two"]
