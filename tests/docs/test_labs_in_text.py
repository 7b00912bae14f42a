# SPDX-License-Identifier: Apache-2.0
"""Every whole lab that the manual shows is one."""

from __future__ import annotations

import re

import pytest

from repository import REPOSITORY
from windtunnel.engine.cells import read_cells
from windtunnel.engine.labfile import read_spec

PAGES = [
    REPOSITORY / "README.md",
    *sorted(page for page in (REPOSITORY / "docs").rglob("*.md") if "_build" not in page.parts),
]
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def labs():
    for page in PAGES:
        text = page.read_text()
        for found in BLOCK.finditer(text):
            if re.search(r"^name:", found[1], re.MULTILINE) and "\nnodes:" in found[1]:
                line = text.count("\n", 0, found.start()) + 1
                yield pytest.param(found[1], id=f"{page.relative_to(REPOSITORY)}:{line}")


def test_there_are_some():
    assert len(list(labs())) >= 8


@pytest.mark.parametrize("text", list(labs()))
def test_a_lab_of_the_manual_can_be_read(text, tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text(text)
    if re.search(r"^params:", text, re.MULTILINE):
        cells = read_cells(file)
        assert all(cells.spec(cell).nodes for cell in cells)
    else:
        assert read_spec(file).nodes
