# SPDX-License-Identifier: Apache-2.0
"""In what way a run failed, so that two failures can be compared."""

from __future__ import annotations

from dataclasses import dataclass

from windtunnel.engine.run import Check
from windtunnel.engine.session import Session


@dataclass(frozen=True, slots=True)
class Failure:
    """How a run failed. Two runs fail in the same way if these are equal.

    That is: exactly the same checks fail, or an error of the same kind ends both.
    What the checks say does not matter, for it has times and numbers in it; one
    check less or more is another way to fail, so that a smaller lab cannot
    change one bug for another.

    Attributes:
        checks: the checks that failed and count, sorted: names of steps and
            validations, "node/name" of processes.
        error: the kind of error that ended the run; empty when none did.
    """

    checks: tuple[str, ...] = ()
    error: str = ""

    def __str__(self) -> str:
        return ", ".join(self.checks) or self.error


def failure_of(session: Session) -> Failure | None:
    """Say in what way a run failed; None if it passed."""
    if session.error is not None:
        return Failure(error=type(session.error).__name__)
    failed = sorted({_name(check) for check in session.checks if check.judged and not check.passed})
    return Failure(tuple(failed)) if failed else None


def _name(check: Check) -> str:
    return f"{check.node}/{check.name}" if check.kind == "process" else check.name
