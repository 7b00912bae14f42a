# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.conftest import load_text
from windtunnel.errors import LabFileError
from windtunnel.model.clab import import_clab
from windtunnel.model.yamltext import yaml_text

TOPOLOGY = """
name: frr01
prefix: ""
mgmt: {network: custom}
topology:
  defaults: {kind: linux, env: {A: 1}}
  kinds: {linux: {sysctls: {net.ipv6.conf.all.disable_ipv6: 0}}}
  groups: {pcs: {exec: ["echo {{.x}}"]}}
  nodes:
    router1:
      image: quay.io/frrouting/frr:${FRR:=8.4.1}
      binds:
        - router1/daemons:/etc/frr/daemons
        - "__clabNodeName__/frr.conf:/etc/frr/frr.conf:ro"
        - /lib/modules:/lib/modules
      exec: [ip link set eth1 mtu 1400, vtysh -c 'show version']
    router2: {image: frrouting/frr, startup-config: router2/frr.conf, memory: 1Gb}
    pc1:
      {group: pcs, image: network-multitool, binds: [www:/srv/www],
       exec: [ip addr add 192.168.11.2/24 dev eth1]}
    pc2: {image: network-multitool, cmd: sleep 5}
    srl1: {kind: nokia_srlinux, startup-config: x.cfg}
    br0: {kind: bridge}
  links:
    - endpoints: ["router1:eth1", "router2:eth1"]
    - type: veth
      mtu: 1400
      endpoints:
        - {node: router1, interface: eth3, mac: "02:00:00:00:00:01"}
        - {node: pc1, interface: eth1}
    - endpoints: ["pc2:eth1", "br0:p1"]
    - endpoints: ["pc1:eth2", "br0:p2"]
    - {type: vxlan, endpoint: {node: pc1, interface: eth9}}
    - endpoints: ["pc1:eth7", "host:veth0"]
"""
FILES = {
    "router1/daemons": b"zebra=yes\nbgpd=no\nospfd=yes\n#ripd=yes\n",
    "router1/frr.conf": b"hostname router1\n",
    "router2/frr.conf": b"hostname router2\n",
    "www/index.html": b"hello",
}


def read(path):
    if path == "www":
        raise IsADirectoryError(21, "Is a directory")
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory")
    return FILES[path]


@pytest.fixture(scope="module")
def imported():
    return import_clab(TOPOLOGY, file="/x/frr01.clab.yml", read=read)


@pytest.fixture(scope="module")
def lab(imported):
    return load_text(imported.text, FILES)


def node(lab, name):
    return next(node for node in lab.nodes if node.name == name)


def test_an_imported_topology_is_a_lab_that_loads(lab):
    assert lab.name == "frr01"
    assert [node.name for node in lab.nodes] == ["router1", "router2", "pc1", "pc2", "srl1"]


def test_links_of_both_forms_keep_their_interfaces(lab):
    ends = [[f"{end.node}:{end.interface}" for end in link.ends] for link in lab.links]
    assert ends == [["router1:eth1", "router2:eth1"], ["router1:eth3", "pc1:eth1"]]
    assert lab.links[1].mtu_bytes == 1400
    assert lab.links[1].ends[0].mac == "02:00:00:00:00:01"
    assert lab.links[0].ends[0].addresses == ()


def test_a_bridge_becomes_a_network(lab):
    members = [f"{end.node}:{end.interface}" for end in lab.networks[0].members]
    assert (lab.networks[0].name, members) == ("br0", ["pc2:eth1", "pc1:eth2"])


def test_an_frr_node_runs_the_daemons_that_its_file_enables(lab):
    run = [
        (process.name, process.command, process.start_ns)
        for process in lab.processes
        if process.node == "router1"
    ]
    assert run == [
        ("zebra", "/usr/lib/frr/zebra -A 127.0.0.1", 0),
        ("ospfd", "/usr/lib/frr/ospfd -A 127.0.0.1", 100_000_000),
        ("staticd", "/usr/lib/frr/staticd -A 127.0.0.1", 100_000_000),
        ("vtysh", "vtysh -b", 1_000_000_000),
        ("exec-1", "vtysh -c 'show version'", 2_000_000_000),
    ]
    assert node(lab, "router1").exec == (
        "install -d -o frr -g frr -m 755 /run/frr",
        "ip link set eth1 mtu 1400",
    )


def test_binds_and_startup_config_become_files(lab):
    files = {file.path: (file.content, file.owner) for file in node(lab, "router1").files}
    assert files == {
        "/etc/frr/daemons": (FILES["router1/daemons"], "frr:frr"),
        "/etc/frr/frr.conf": (b"hostname router1\n", "frr:frr"),
    }
    assert [file.path for file in node(lab, "router2").files] == ["/etc/frr/frr.conf"]
    assert [file.path for file in node(lab, "pc1").files] == ["/srv/www/index.html"]


def test_layers_are_kept(lab):
    assert node(lab, "pc1").exec == ("echo {{.x}}", "ip addr add 192.168.11.2/24 dev eth1")
    assert dict(node(lab, "pc1").sysctls) == {
        "net.ipv4.ip_forward": "1",
        "net.ipv6.conf.all.disable_ipv6": "0",
    }
    assert dict(node(lab, "router1").sysctls) == {
        "net.ipv4.ip_forward": "1",
        "net.ipv6.conf.all.disable_ipv6": "0",
        "net.ipv6.conf.all.forwarding": "1",
    }
    assert node(lab, "pc2").env == (("A", "1"),)


IMAGES = (
    "images are not used (frrouting/frr, network-multitool, quay.io/frrouting/frr:8.4.1): "
    "programs come from this machine"
)


def test_what_has_no_equivalent_is_a_warning(imported):
    assert imported.warnings == (
        "mgmt: there is no management network",
        "node router1: /lib/modules of the host is left out (bind to /lib/modules)",
        "node router1: commands with vtysh run at 2 s, when FRR's daemons do",
        "node router2: memory has no equivalent",
        "node router2: no daemons file; only zebra, staticd run",
        "node srl1: kind nokia_srlinux has no equivalent; it becomes a Linux node",
        "node srl1: startup-config is for a system that is not there",
        "link 5: type vxlan has no equivalent",
        "link 6: host is no node of the lab",
        IMAGES,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x", "x.yml:1:1: this is no containerlab topology: it has no mapping 'topology'"),
        ("topology: {nodes: [a]}", "x.yml:1:19: topology.nodes must be a mapping"),
        ("topology: {nodes: {a: 3}}", "x.yml:1:23: topology.nodes.a must be a mapping"),
        ("topology: {links: {}}\nname: [", "x.yml:3:1: not YAML"),
        ("topology: {links: [3]}", "x.yml:1:20: topology.links.0 must be a mapping"),
        (
            "topology: {links: [{endpoints: [3, 4]}]}",
            'x.yml:1:32: topology.links.0.endpoints must be like "node:eth1"',
        ),
    ],
)
def test_what_is_no_topology_is_an_error_with_its_place(text, message):
    with pytest.raises(LabFileError) as caught:
        import_clab(text, file="x.yml", read=read)
    assert message in str(caught.value)


values = st.recursive(
    st.none() | st.integers() | st.sampled_from(["", "linux", "bridge", "frr", "a:b", "a:/b"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                "defaults kinds groups nodes links kind group image exec binds env linux a".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(values)
def test_any_topology_is_imported_or_a_lab_file_error(topology):
    try:
        imported = import_clab(yaml_text({"topology": topology}), file="x", read=read)
        assert imported.text.startswith("# Imported from x")
    except LabFileError as error:
        assert error.where is not None
