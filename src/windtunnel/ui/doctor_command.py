# SPDX-License-Identifier: Apache-2.0
"""`windtunnel doctor`."""

from __future__ import annotations

from dataclasses import asdict

from windtunnel.errors import ExitStatus
from windtunnel.ui.options import JsonOption, examples

_INSTALL = "sudo apt-get install"  # said once, for all packages together

EPILOG = examples("windtunnel doctor")


def doctor(*, json: JsonOption = False) -> int:
    """Say what this machine lacks, and how to mend it.

    The exit status is 3 when something is missing without which nothing works.
    """
    # Imported here, so that other commands do not wait for it.
    from rich.text import Text  # noqa: PLC0415

    from windtunnel.images.doctor import check_machine, combined_remedy  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    checks = check_machine()
    healthy = all(check.ok or not check.required for check in checks)
    status = ExitStatus.PASSED if healthy else ExitStatus.HOST
    install = combined_remedy()
    if json:
        screen.print_json(
            {"ok": healthy, "install": install, "checks": [asdict(check) for check in checks]}
        )
        return status
    words = {
        (True, True): Text("✓ ok", "green"),
        (True, False): Text("✓ ok", "green"),
        (False, True): Text("✗ missing", "bold red"),
        (False, False): Text("- optional", "yellow"),
    }
    screen.print_table(
        ("check", "", "found", "needed for"),
        [
            screen.Row((check.name, words[check.ok, check.required], check.found, check.needed_for))
            for check in checks
        ],
    )
    console = screen.out()
    console.print()
    remedies = [install] if install else []
    remedies += [
        check.remedy
        for check in checks
        if not check.ok and check.remedy and not check.remedy.startswith(_INSTALL)
    ]
    if remedies:
        console.print("to mend it:")
        for remedy in remedies:
            console.print(f"  {remedy}")
    if not healthy:
        console.print(Text("something that is required is missing", "bold red"))
    elif remedies:
        console.print(Text("nothing that is required is missing", "bold green"))
    else:
        console.print(Text("nothing is missing", "bold green"))
    return status
