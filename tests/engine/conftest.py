# SPDX-License-Identifier: Apache-2.0
"""What tests of the engine share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@pytest.fixture
def one_processor():
    """A context in which all that this process starts shares one processor with it."""

    @contextmanager
    def stay() -> Iterator[None]:
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(allowed)})
        try:
            yield
        finally:
            os.sched_setaffinity(0, allowed)

    return stay
