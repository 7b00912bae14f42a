# SPDX-License-Identifier: Apache-2.0
"""What only a lab made by calls can have wrong: no text could say it."""

from dataclasses import replace

import pytest

from windtunnel.errors import LabFileErrors
from windtunnel.model.check import check_spec
from windtunnel.model.cpu import CpuSpec
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import (
    CaptureSpec,
    Command,
    Endpoint,
    Expectation,
    FileSpec,
    LabSpec,
    LinkChange,
    LinkSpec,
    NetworkSpec,
    NodeSpec,
    Outcome,
    ProcessSpec,
    Step,
)

LINK = LinkSpec("l", (Endpoint("a", "eth0"), Endpoint("b", "eth0")))
LAB = LabSpec(
    "x",
    nodes=(NodeSpec("a"), NodeSpec("b")),
    links=(LINK,),
    steps=(Step(0, "s", Command("a", "true")), Step(0, "t", LinkChange("l", up=False))),
    captures=(CaptureSpec("a", "lo"),),
)


def test_a_good_lab_is_no_error():
    check_spec(LAB)


def with_node(**changes):
    return replace(LAB, nodes=(NodeSpec("a", **changes), NodeSpec("b")))


def with_process(**changes):
    return replace(LAB, processes=(ProcessSpec("p", "a", "true", **changes),))


def with_command(**changes):
    return replace(LAB, steps=(Step(0, "s", replace(Command("a", "true"), **changes)),))


def with_cpu(**changes):
    return with_node(cpu=CpuSpec(**changes))


def with_impairment(**changes):
    first = replace(LINK.ends[0], impairment=Impairment(**changes))
    return replace(LAB, links=(replace(LINK, ends=(first, LINK.ends[1])),))


@pytest.mark.parametrize(
    ("lab", "message"),
    [
        (replace(LAB, seed=-1), "the seed -1 is not 0 to 2**64 - 1"),
        (
            replace(LAB, counters_ns=999_999),
            "counters every 999999 ns\n  sample every 1 ms at most",
        ),
        (replace(LAB, steps=(Step(-1, "s", Command("a", "x")),)), "the step is at -1 ns"),
        (replace(LAB, steps=(Step(0, " ", Command("a", "x")),)), "the name is empty"),
        (with_node(sysctls=(("net.x", "1\n2"),)), "the value of net.x is more than a line"),
        (with_node(env=(("A", "\0"),)), "the value of A has a zero byte"),
        (with_node(exec=("a\0b",)), "the command has a zero byte"),
        (with_node(files=(FileSpec("/x", b"", 0o10000),)), "the mode 10000 is not 0 to 7777"),
        (
            with_node(files=(FileSpec("/x", b""), FileSpec("/x", b""))),
            "there are two of the file '/x'",
        ),
        (with_process(timeout_ns=0), "a timeout of no time"),
        (
            with_process(expect=Expectation(Outcome.EXITED, 300)),
            "no exit status is 300\n  they are 0 to 255",
        ),
        (with_command(status=-1), "no exit status is -1"),
        (with_command(every_ns=0), "no pause between two tries"),
        (with_command(within_ns=-1), "the wait is negative"),
        (with_command(junit="a.xml"), "'a.xml' is not an absolute path of a file"),
        (with_command(junit="/a.xml", within_ns=1), "junit is about the tests of one try"),
        (with_cpu(syscall_cost_ns=-1), "-1 ns for each syscall\n  give 0 ns to 1 ms"),
        (with_cpu(packet_cost_ns=-5), "-5 ns for each packet\n  give 0 ns to 1 ms"),
        (with_cpu(speed=float("nan")), "the speed is nan"),
        (with_cpu(speed=0.0), "the speed is 0\n  give 0.01 to 100"),
        (with_impairment(delay_ns=-1), "the delay is negative"),
        (with_impairment(jitter_ns=-1), "the jitter -1 ns is more than the delay 0 s"),
        (with_impairment(loss=1.5), "loss is 1.5\n  a share is 0.0 to 1.0"),
        (with_impairment(rate_bps=1), "the rate is 1 bits a second"),
        (
            replace(LAB, steps=(Step(0, "s", LinkChange("l")),)),
            "a change of a link is either up or down, or new impairments",
        ),
        (
            replace(
                LAB, steps=(Step(0, "s", LinkChange("l", impairment=Impairment(reorder=0.1))),)
            ),
            "reorder without delay changes nothing",
        ),
        (
            replace(LAB, networks=(NetworkSpec("n", (Endpoint("c", "eth0"),)),)),
            "no node 'c'\n  the nodes are a, b",
        ),
        (
            with_node(addresses=("1.1.1.1/x",)),
            "'1.1.1.1/x' is not an address: 'x' is no prefix length",
        ),
        (with_node(addresses=("1.1.1.1/33",)), "a prefix length is at most 32"),
        (with_node(addresses=("fe80::1%eth0/64",)), "has a zone"),
        (with_node(addresses=("::1",)), "write it like ::1/64"),
    ],
)
def test_a_wrong_lab_is_an_error_without_place(lab, message):
    with pytest.raises(LabFileErrors) as caught:
        check_spec(lab)
    (error,) = caught.value.errors
    assert message in str(error)
    assert error.where is None


def test_link_local_addresses_may_be_the_same_on_every_link():
    ends = (Endpoint("a", "eth1", addresses=("fe80::1/64",)), Endpoint("b", "eth1"))
    first = replace(LINK.ends[0], addresses=("fe80::1/64",))
    check_spec(replace(LAB, links=(replace(LINK, ends=(first, LINK.ends[1])), LinkSpec("m", ends))))


def test_several_errors_are_printed_one_after_the_other():
    with pytest.raises(LabFileErrors) as caught:
        check_spec(LabSpec(" ", seed=-1))
    assert str(caught.value) == (
        "2 errors in the lab:\n"
        "' ' cannot name a lab\n"
        "  use letters, digits, '-', '_' and '.'; a folder gets this name\n"
        "the seed -1 is not 0 to 2**64 - 1"
    )
    assert caught.value.exit_status == 2
