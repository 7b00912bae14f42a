# SPDX-License-Identifier: Apache-2.0
"""Whether texts and processes are as the lab expects. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from windtunnel.engine.process import Result
from windtunnel.model.lab import Expectation, Outcome, TextMatch

NOT_FOUND_STATUS = 127
"""What a shell exits with when it does not find a program."""

SHOWN_CHARACTERS = 400
"""How much of a text a message shows; the run folder has all of it."""


def mismatch(text: str, match: TextMatch) -> str | None:
    """Say why `text` does not match; None when it does."""
    if match.text is not None and match.text not in text:
        return f"{match.text!r} is not in {_shown(text)}"
    if match.regex is not None and not re.search(match.regex, text, re.MULTILINE):
        return f"the expression {match.regex!r} is not found in {_shown(text)}"
    if match.json is not None or match.path:
        return _json_mismatch(text, match)
    return None


def _shown(text: str) -> str:
    short = text.strip()
    cut = "…" if len(short) > SHOWN_CHARACTERS else ""
    return f"{short[:SHOWN_CHARACTERS]!r}{cut}"


def _json_mismatch(text: str, match: TextMatch) -> str | None:
    try:
        document = json.loads(text)
    except ValueError as error:
        return f"it is no JSON ({error}): {_shown(text)}"
    try:
        found = _at(document, match.path)
    except LookupError as error:
        return f"the JSON has no {match.path!r}: {error}"
    if match.json is None or is_subset(match.json, found):
        return None
    where = f"at {match.path!r} " if match.path else ""
    return f"{where}expected {_shown(json.dumps(match.json))}, found {_shown(json.dumps(found))}"


def _at(document: Any, path: str) -> Any:
    """The part of a JSON document at "a.b[0].c"; quoted keys as in a["b.c"]."""
    found = document
    for key, index, quoted in re.findall(r'([^.\[\]"]+)|\[(-?\d+)\]|\["([^"]*)"\]', path):
        if index:
            if not isinstance(found, list):
                raise LookupError(f"no list before [{index}]")
            found = found[int(index)]
        else:
            name = key or quoted
            if not isinstance(found, dict) or name not in found:
                raise LookupError(f"no key {name!r}")
            found = found[name]
    return found


def is_subset(expected: Any, found: Any) -> bool:
    """Whether mappings of `expected` are contained in `found`, and all else is equal."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            key in found and is_subset(value, found[key]) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(expected) == len(found)
            and all(is_subset(e, f) for e, f in zip(expected, found, strict=True))
        )
    return bool(expected == found)


def process_mismatch(
    result: Result | None, stdout: str, expected: Expectation, *, down_by: str = ""
) -> str | None:
    """Say why a process is not as expected when the lab stops; None when it is.

    A process that a fault keeps down is as good as running: it is the lab that
    killed it. It has not exited, and if it had begun, it was killed.

    Args:
        result: None while it runs, or if it has never begun.
        stdout: what it has printed.
        expected: of it.
        down_by: the fault that keeps it down, if one does.
    """
    found = _describe(result, down_by)
    match expected.outcome:
        case Outcome.RUNNING if result is not None and not down_by:
            return f"expected it to be running, but it {found}"
        case Outcome.KILLED if result is None or result.signal is None:
            return f"expected it to be killed, but it {found}"
        case Outcome.EXITED if (
            result is None or result.signal is not None or result.exit_status != expected.status
        ):
            return f"expected it to exit with {expected.status}, but it {found}"
        case _:
            pass
    if expected.stdout is not None:
        return mismatch(stdout, expected.stdout)
    return None


def _describe(result: Result | None, down_by: str) -> str:
    if down_by:
        what = "has not begun:" if result is None else "has ended:"
        return f"{what} the fault {down_by!r} keeps it down"
    if result is None:
        return "is still running"
    if result.timed_out:
        return "was killed because its time was up"
    if result.signal is not None:
        return f"was killed by signal {result.signal}"
    said = result.stderr.strip() or result.stdout.strip()
    tail = f": {_shown(said[-SHOWN_CHARACTERS:])}" if said and result.exit_status else ""
    return f"exited with {result.exit_status}{tail}{not_found(result)}"


def not_found(result: Result) -> str:
    """What to do about a command that the shell did not find; empty for any other end."""
    if result.exit_status != NOT_FOUND_STATUS or result.signal is not None:
        return ""
    return "\nis the program installed, and in a folder that guests may read (--read DIR)?"
