# SPDX-License-Identifier: Apache-2.0
"""All commands but `exec`, put together.

Each file of commands has its functions and their examples; here they get their
names. A command returns its exit status, None for 0, or raises.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from windtunnel.ui import (
    coverage_command,
    debug_command,
    diff_command,
    doctor_command,
    exec_command,
    export_command,
    inspect_command,
    kernel_commands,
    lab_commands,
    logs_command,
    matrix_commands,
    provider_commands,
    replay_command,
    report_command,
    results_commands,
    run_command,
    runs_commands,
    search_command,
    shell_command,
    sql_command,
    trace_command,
    verify_command,
)
from windtunnel.ui.options import examples
from windtunnel.version import VERSION

_PROGRAM = "windtunnel"
# ClickException, the root of what the parser says of a wrong command line;
# typer has no public name for it.
_WrongCommandLine: Any = typer.BadParameter.__mro__[2]


def build() -> typer.Typer:
    """Put the program together."""
    app = typer.Typer(
        name=_PROGRAM,
        help="Real Linux systems under controlled, repeatable conditions.",
        epilog=examples("windtunnel run examples/ospf-ring/lab.yaml", "windtunnel doctor"),
        rich_markup_mode=None,
        context_settings={"help_option_names": ["--help", "-h"]},
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    app.command("run", epilog=run_command.EPILOG)(run_command.run)
    app.command(
        "exec",
        help=exec_command.SUMMARY,
        # its own parser does all, --help too
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
    )(_exec)
    app.command("verify", epilog=verify_command.EPILOG)(verify_command.verify)
    app.command("search", epilog=search_command.EPILOG)(search_command.search)
    app.command("shell", epilog=shell_command.EPILOG)(shell_command.shell)
    app.command("debug", epilog=debug_command.EPILOG)(debug_command.debug)
    app.command("inspect", epilog=inspect_command.EPILOG)(inspect_command.inspect)
    app.command("replay", epilog=replay_command.EPILOG)(replay_command.replay)
    app.command("diff", epilog=diff_command.EPILOG)(diff_command.diff)
    app.command("logs", epilog=logs_command.EPILOG)(logs_command.logs)
    app.command("trace", epilog=trace_command.EPILOG)(trace_command.trace)
    app.command("sql", epilog=sql_command.EPILOG)(sql_command.sql)
    app.command("report", epilog=report_command.EPILOG)(report_command.report)
    app.command("coverage", epilog=coverage_command.EPILOG)(coverage_command.coverage)
    app.command("export", epilog=export_command.EPILOG)(export_command.export)
    app.add_typer(lab_commands.commands(), name="lab")
    app.add_typer(matrix_commands.commands(), name="matrix")
    app.add_typer(provider_commands.commands(), name="provider")
    app.add_typer(kernel_commands.commands(), name="kernel")
    app.add_typer(runs_commands.commands(), name="runs")
    app.add_typer(results_commands.commands(), name="results")
    app.command("doctor", epilog=doctor_command.EPILOG)(doctor_command.doctor)
    return app


def run(arguments: list[str]) -> int:
    """Run one command.

    Args:
        arguments: without the program's name.

    Returns:
        The exit status.

    Raises:
        WindtunnelError: the command failed.
    """
    app = build()
    if f"_{_PROGRAM.upper()}_COMPLETE" in os.environ:
        app(prog_name=_PROGRAM)  # writes completions and exits
    command = typer.main.get_command(app)
    # Not command.main(): it would end the process, and swallow Ctrl-C.
    try:
        with command.make_context(_PROGRAM, arguments) as context:
            status = command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except _WrongCommandLine as error:
        error.show()
        return int(error.exit_code)
    return status if isinstance(status, int) else 0


def _exec(arguments: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> int:
    return exec_command.run(arguments or [])


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{_PROGRAM} {VERSION}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass
