# SPDX-License-Identifier: Apache-2.0
"""Descriptions of providers, right and wrong ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.errors import LabFileError
from windtunnel.providers.description import Description, read_description, write_description

YAML = """\
description: OSPF and BGP
uri: https://example.org/labs.git
branch: main
labs: [ "ospf/**/*.yaml", bgp/*.yaml ]
needs: [vtysh]
"""
INI = """\
[provider]
description: OSPF and BGP
uri: https://example.org/labs.git
branch: main
needs: vtysh
[ospf]
subdir: ospf/
"""


def test_yaml_and_ini_say_the_same_things():
    found = read_description(YAML, file="a.yaml")
    assert found == Description(
        uri="https://example.org/labs.git",
        ref="main",
        labs=("ospf/**/*.yaml", "bgp/*.yaml"),
        needs=("vtysh",),
        description="OSPF and BGP",
    )
    ini = read_description(INI, file="a.ini")
    assert ini.labs == ("ospf/**/*.yaml", "ospf/**/*.yml")
    assert (ini.uri, ini.ref, ini.needs) == (found.uri, found.ref, found.needs)


def test_the_ini_files_of_virt_test_are_read():
    text = (
        "[provider]\nuri: https://github.com/autotest/tp-qemu.git\nbranch: master\n"
        "[generic]\nsubdir: generic/\n[qemu]\nsubdir: qemu/\n"
    )
    found = read_description(text, file="io-github-autotest-qemu.ini")
    assert found.ref == "master"
    assert found.labs[::2] == ("generic/**/*.yaml", "qemu/**/*.yaml")


@pytest.mark.parametrize(
    ("file", "text", "place", "message"),
    [
        ("a.yaml", "urii: x\n", "a.yaml:1:1", "did you mean 'uri'?"),
        ("a.yaml", "uri: [x]\n", "a.yaml:1:1", "uri must be a text"),
        ("a.yaml", "labs: x\n", "a.yaml:1:1", "labs must be a list"),
        ("a.yaml", "- x\n", "a.yaml:1:1", "by a mapping"),
        ("a.yaml", "uri: 'x\n", "a.yaml:", "quote"),
        ("a.yaml", "uri: x\nref: --upload-pack=evil\n", "a.yaml", "no tag, branch or commit"),
        ("a.yaml", "uri: x\nlabs: ['../*.yaml']\n", "a.yaml", "leads out of"),
        ("a.yaml", "uri: x\nlabs: [/etc/*.yaml]\n", "a.yaml", "leads out of"),
        ("a.ini", "uri: x\n", "a.ini:1:1", "no section headers"),
        ("a.ini", "[provider]\nuri: x\n[provider]\n", "a.ini:3:1", "already exists"),
        ("a.ini", "[other]\nsubdir: x\n", "a.ini:1:1", "no [provider]"),
        ("a.ini", "[provider]\nuri: x\n pubkey\n[a]\nfolder: b\n", "a.ini:4:1", "no subdir"),
        ("a.ini", "[provider]\nuri: x\npubkey: k\n", "a.ini:3:1", "signatures"),
        ("a.ini", "[provider]\nuri: x\nbrunch: k\n", "a.ini:3:1", "did you mean 'branch'?"),
        ("a.ini", "[provider\nuri: x\n", "a.ini:1:1", "no section headers"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(file, text, place, message):
    with pytest.raises(LabFileError) as caught:
        read_description(text, file=file)
    assert str(caught.value).startswith(place)
    assert message in str(caught.value)


words = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1)


@given(words, st.lists(words.filter(lambda one: "/" not in one and ".." not in one)))
def test_what_is_written_is_read(uri, labs):
    one = Description(uri=uri, labs=tuple(labs), description=uri)
    assert read_description(write_description(one), file="x.yaml") == one
