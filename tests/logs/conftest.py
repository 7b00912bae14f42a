# SPDX-License-Identifier: Apache-2.0
"""Golden files: what a log must read as."""

from __future__ import annotations

import pytest


@pytest.fixture
def update_golden(request) -> bool:
    """Write what is read, rather than compare it."""
    return request.config.getoption("--update-golden")
