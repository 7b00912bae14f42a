# SPDX-License-Identifier: Apache-2.0
"""`windtunnel matrix …`: look at matrices of tests, and choose from them."""

from __future__ import annotations

import typer

from windtunnel.ui import cover_command


def commands() -> typer.Typer:
    """Put the group together."""
    group = typer.Typer(
        help="Choose from all combinations of parameters.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.callback()(_group)  # with one command only, typer would make no group
    group.command("cover", epilog=cover_command.EPILOG)(cover_command.cover)
    return group


def _group() -> None:
    pass
