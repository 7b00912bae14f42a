# SPDX-License-Identifier: Apache-2.0
"""All runs as tables that SQL can ask: `open_runs("runs").sql("select …")`."""

from windtunnel.store.tables.database import Rows, Runs, open_runs

__all__ = ["Rows", "Runs", "open_runs"]
