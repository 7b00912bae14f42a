# SPDX-License-Identifier: Apache-2.0
"""Windtunnel: real Linux systems under controlled, repeatable conditions."""

from windtunnel.engine.lab import Lab, LabNode, load_lab_file
from windtunnel.engine.link import Link
from windtunnel.engine.node import Node
from windtunnel.engine.process import Process, Result
from windtunnel.engine.world import World
from windtunnel.version import VERSION

__version__ = VERSION

__all__ = [
    "Lab",
    "LabNode",
    "Link",
    "Node",
    "Process",
    "Result",
    "World",
    "__version__",
    "load_lab_file",
]
