# SPDX-License-Identifier: Apache-2.0
"""Windtunnel: real Linux systems under controlled, repeatable conditions."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from windtunnel.version import VERSION

if TYPE_CHECKING:
    from windtunnel.engine.cell import LabCell
    from windtunnel.engine.lab import Lab, LabNode, load_lab_file
    from windtunnel.engine.link import Link
    from windtunnel.engine.node import Node
    from windtunnel.engine.process import Process, Result
    from windtunnel.engine.session import Session
    from windtunnel.engine.world import World
    from windtunnel.model.impairment import Buffer, CoDel, DelayTable, GilbertElliott, Red
    from windtunnel.store.tables import open_runs

__version__ = VERSION

__all__ = [
    "Buffer",
    "CoDel",
    "DelayTable",
    "GilbertElliott",
    "Lab",
    "LabCell",
    "LabNode",
    "Link",
    "Node",
    "Process",
    "Red",
    "Result",
    "Session",
    "World",
    "__version__",
    "load_lab_file",
    "open_runs",
]

# Imported when first asked for: whoever wants one module of the package, such
# as the command line, does not wait for all of it.
_HOMES = {
    "Buffer": "windtunnel.model.impairment",
    "CoDel": "windtunnel.model.impairment",
    "DelayTable": "windtunnel.model.impairment",
    "GilbertElliott": "windtunnel.model.impairment",
    "Lab": "windtunnel.engine.lab",
    "LabCell": "windtunnel.engine.cell",
    "LabNode": "windtunnel.engine.lab",
    "Link": "windtunnel.engine.link",
    "Node": "windtunnel.engine.node",
    "Process": "windtunnel.engine.process",
    "Red": "windtunnel.model.impairment",
    "Result": "windtunnel.engine.process",
    "Session": "windtunnel.engine.session",
    "World": "windtunnel.engine.world",
    "load_lab_file": "windtunnel.engine.lab",
    "open_runs": "windtunnel.store.tables",
}


def __getattr__(name: str) -> Any:
    """Find a public name in its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
