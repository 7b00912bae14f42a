# SPDX-License-Identifier: Apache-2.0
"""A browser for all pages."""

from __future__ import annotations

import pytest

from chromium import Chromium


@pytest.fixture(scope="module")
def browser(need_program, tmp_path_factory):
    program = need_program("chromium")
    with Chromium(program, tmp_path_factory.mktemp("chromium")) as browser:
        yield browser
