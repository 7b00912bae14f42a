# SPDX-License-Identifier: Apache-2.0
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.conftest import load_text
from model.labs import labs, words
from windtunnel.model.check import check_spec
from windtunnel.model.flatten import lab_to_yaml
from windtunnel.model.yamltext import yaml_text
from windtunnel.model.yamltree import parse_yaml

plain_data = st.recursive(
    st.integers() | st.booleans() | st.none() | st.text() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(words, plain_data, min_size=1, max_size=4))
def test_data_written_as_yaml_is_read_again_the_same(data):
    assert parse_yaml(yaml_text(data), file="x").root.value == data


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(labs())
def test_a_flattened_lab_loads_to_an_equal_one(lab):
    check_spec(lab)
    assert load_text(lab_to_yaml(lab)) == lab


def test_a_flat_lab_names_everything_and_inherits_nothing():
    lab = load_text(
        """
name: small
kinds: {router: {extends: host, sysctls: {net.ipv4.ip_forward: 1}}}
nodes: {r1: {kind: router, vars: {x: 7}, exec: ["echo {{ vars.x }} '{{ '{{' }}.Names}}'"]}, h1: }
links: [{endpoints: [r1, h1], delay: 10 ms, backward: {loss: 1%}}]
"""
    )
    assert lab_to_yaml(lab) == (
        """\
name: small
seed: 0
memory: 1 GiB
clock: "2030-01-01T00:00:00Z"
addressing: none
nodes:
  r1:
    sysctls: {net.ipv4.ip_forward: "1"}
    exec: ["echo 7 '{{ '{{' }}.Names}}'"]
  h1: {}
links:
  - endpoints: ["r1:eth0", "h1:eth0"]
    name: r1-h1
    ip: [["10.0.0.1/30", "fd00:0:0:1::1/64"], ["10.0.0.2/30", "fd00:0:0:1::2/64"]]
    forward: {delay: 10 ms}
    backward: {delay: 10 ms, loss: 1%}
"""
    )
