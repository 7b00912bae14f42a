# SPDX-License-Identifier: Apache-2.0
"""Where the program starts.

`exec` has to be fast, so it goes its own way: the parser of all other commands
takes longer to import than a kernel takes to boot.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

from windtunnel.ui import failures, interrupts
from windtunnel.version import VERSION

PROGRAM = "windtunnel"
_COMPLETE = "_WINDTUNNEL_COMPLETE"  # set by the shell when it asks for completions


def main() -> NoReturn:
    """Run the command line of this process and exit with its status."""
    arguments = sys.argv[1:]
    # Collecting garbage while modules are imported finds none and takes a third
    # of the time; what a run makes afterwards is freed by counting references.
    gc.disable()
    # A name that the terminal's encoding lacks must not end a run with an error.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    interrupts.install()
    sys.exit(failures.guard(lambda: dispatch(arguments)))


def dispatch(arguments: list[str]) -> int:
    """Run one command.

    Args:
        arguments: without the program's name.

    Returns:
        The exit status.
    """
    if _COMPLETE not in os.environ:
        if arguments[:1] == ["exec"]:
            # only here, so that no other command pays for it
            from windtunnel.ui import exec_command  # noqa: PLC0415

            return exec_command.run(arguments[1:])
        if arguments == ["--version"]:
            sys.stdout.write(f"{PROGRAM} {VERSION}\n")
            return 0
    from windtunnel.ui import app  # noqa: PLC0415 - the slow way

    return app.run(arguments)
