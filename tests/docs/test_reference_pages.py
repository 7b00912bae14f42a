# SPDX-License-Identifier: Apache-2.0
"""The generated pages of the reference say what the program says."""

import runpy

import pytest

from repository import REPOSITORY

PAGES = runpy.run_path(str(REPOSITORY / "docs" / "reference_pages.py"))["PAGES"]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_is_up_to_date(name):
    text = (REPOSITORY / "docs" / "reference" / name).read_text()
    assert text == PAGES[name](), "make it anew: python docs/reference_pages.py"
