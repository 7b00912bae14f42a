# SPDX-License-Identifier: Apache-2.0
"""The formats of results, by the names that a command line takes.

By itself, because a command line needs the names and none of what writes them.
"""

from __future__ import annotations

from enum import StrEnum


class ResultsFormat(StrEnum):
    """A format of results."""

    JUNIT = "junit"
    HTML = "html"
    JSON = "json"
    KTAP = "ktap"
    TAP = "tap"
    TAP13 = "tap13"
