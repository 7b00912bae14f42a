# SPDX-License-Identifier: Apache-2.0
"""What a lab file says is to be done around it, and how long it may take."""

from __future__ import annotations

import pytest

from windtunnel.errors import LabFileErrors
from windtunnel.model.flatten import lab_to_yaml
from windtunnel.model.hook import Hook, LabHooks, Limits, NodeHooks
from windtunnel.model.load import flat_spec

LAB = """\
name: hooked
cell-timeout: 10 min
cell-timeout-host: 90 s
hooks:
  before_lab: [make fixtures]
  before_cell:
    - {python: "prep.py:build", name: build, limit: 30 s}
  after_cell:
    - {host: "umount x\\nrm -r x", on_error: keep}
  after_lab: [make clean]
kinds:
  logged: {after: ["echo {{ node.name }}"]}
nodes:
  a:
    kind: logged
    before: [ip tuntap add t0]
    after: [{host: ip link del t0}]
"""


def lab(text):
    return flat_spec(text, file="lab.yaml")


def test_hooks_and_limits_are_read_in_order_with_kinds_first():
    spec = lab(LAB)
    assert spec.limits == Limits(virtual_ns=600_000_000_000, host_s=90.0)
    assert spec.hooks == LabHooks(
        before_lab=(Hook("make fixtures", host="make fixtures"),),
        before_cell=(Hook("build", python="prep.py:build", limit_host_s=30.0),),
        after_cell=(Hook("umount x", host="umount x\nrm -r x", keep=True),),
        after_lab=(Hook("make clean", host="make clean"),),
    )
    assert spec.nodes[0].hooks == NodeHooks(
        before=(Hook("ip tuntap add t0", host="ip tuntap add t0"),),
        after=(
            Hook("echo a", command="echo a"),
            Hook("ip link del t0", host="ip link del t0"),
        ),
    )


def test_a_flattened_lab_has_them_still():
    spec = lab(LAB)
    assert lab(lab_to_yaml(spec)) == spec


def test_a_lab_without_them_has_none_and_says_nothing_of_them_when_it_is_flattened():
    spec = lab("name: plain\nnodes: {a: {}}\n")
    assert (spec.hooks, spec.limits, spec.nodes[0].hooks) == (LabHooks(), Limits(), NodeHooks())
    text = lab_to_yaml(spec)
    assert "hooks" not in text
    assert "cell-timeout" not in text


def test_the_name_of_a_hook_is_cut_where_its_text_is_long():
    spec = lab(f"name: x\nhooks: {{after_lab: [echo {'y' * 100}]}}\n")
    assert spec.hooks.after_lab[0].name == f"echo {'y' * 44}…"


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("{name: nothing}", "a hook needs one of host, python, and this one has none"),
        ("{host: ls, python: 'a.py:b'}", "and this one has host and python"),
        ("{python: prep.py}", "'prep.py' names no function"),
        ("{host: ls, on_error: keep}", "unknown key 'on_error'"),
        ("{cmd: ls}", "unknown key 'cmd'"),
        ("{host: ls, limit: long}", "'long' is not a duration"),
        ("[]", "must be a mapping, not a list of 0"),
    ],
)
def test_a_hook_that_is_none_is_an_error_with_its_place(hook, message):
    with pytest.raises(LabFileErrors) as caught:
        lab(f"name: x\nhooks:\n  before_lab:\n    - {hook}\n")
    (error,) = caught.value.errors
    assert message in error.message
    assert (error.where.line, error.where.file) == (4, "lab.yaml")
