# SPDX-License-Identifier: Apache-2.0
"""Telling the networks of nodes what to do, and hearing whether they did it.

Everything of a round is sent before anything is waited for: a guest then does
it all in one go.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from windtunnel.engine.plan import Round, Setting
from windtunnel.errors import GuestError
from windtunnel.machines.agent import AgentChannel, Reply
from windtunnel.wire.agent import Failure, parse_refusal

REQUEST_MAX_BYTES = 256 * 1024
"""How much goes in one request; below a frame's limit, and a jitter table is 8 KiB."""

_SHOWN_MAX = 10
"""How many settings an error shows of those that went well before."""

_SHOWN_MAX_BYTES = 256
"""How much of a message an error shows: all but a jitter table."""


@dataclass(frozen=True, slots=True)
class _Request:
    """Settings on their way."""

    node: int
    settings: Sequence[Setting]
    reply: Reply


class Wiring:
    """The networks of one guest's nodes."""

    def __init__(
        self,
        agent: AgentChannel,
        wait: Callable[[Callable[[], bool], str], None],
        names: Mapping[int, str],
    ) -> None:
        """Create.

        Args:
            agent: of the guest.
            wait: lets virtual time pass until a condition holds.
            names: each node's name by its number.
        """
        self._agent = agent
        self._wait = wait
        self._names = names
        self._under_way: list[_Request] = []

    def send(self, told: Round) -> None:
        """Send settings, in order in each node; what the kernel says comes with `finish`."""
        for node, settings in told.items():
            for piece in _pieces(settings):
                reply = self._agent.netlink(node, b"".join(one.message for one in piece))
                self._under_way.append(_Request(node, piece, reply))

    def hand_over(self, node: int, settings: Sequence[Setting]) -> None:
        """Tell settings to the network that a node had before it was powered on again."""
        reply = self._agent.hand_over(node, b"".join(one.message for one in settings))
        self._under_way.append(_Request(node, settings, reply))

    def finish(self, *, time_ns: int | None = None) -> None:
        """Wait until all that was sent is done.

        Args:
            time_ns: lab time, for an error's message; None while there is none.

        Raises:
            GuestError: a kernel refused a setting; the message names node,
                interface and setting.
        """
        requests, self._under_way = self._under_way, []
        if requests:
            # The agent answers in order: with the last answer, all have come.
            self._wait(lambda: requests[-1].reply.done, "the network to be set up")
        for request in requests:
            if request.reply.failure is not None:
                raise self._refused(request, request.reply.failure, time_ns)

    def _refused(self, request: _Request, failure: Failure, time_ns: int | None) -> GuestError:
        at, why = parse_refusal(failure)
        node = self._names[request.node]
        if at is None or at >= len(request.settings):
            return GuestError(f"{why}: {os.strerror(failure.errno)}", node=node, time_ns=time_ns)
        refused = request.settings[at]
        shown = request.settings[max(at - _SHOWN_MAX, 0) : at]
        lines = [f"  {one.what}" for one in shown]
        before = "" if at <= _SHOWN_MAX else f"  … {at - _SHOWN_MAX} settings …\n"
        return GuestError(
            f"{refused.what}: {why}",
            node=node,
            time_ns=time_ns,
            hint="the kernel was told, and refused the last:\n"
            + before
            + "\n".join([*lines, f"  {refused.what}  ({_readable(refused.message)})"]),
        )


def _pieces(settings: Sequence[Setting]) -> Iterator[list[Setting]]:
    """The settings in order, in pieces that fit into requests."""
    piece: list[Setting] = []
    size_bytes = 0
    for one in settings:
        if piece and size_bytes + len(one.message) > REQUEST_MAX_BYTES:
            yield piece
            piece, size_bytes = [], 0
        piece.append(one)
        size_bytes += len(one.message)
    if piece:
        yield piece


def _readable(message: bytes) -> str:
    """A message in hexadecimal; a jitter table at its end is left out."""
    more = "…" if len(message) > _SHOWN_MAX_BYTES else ""
    return message[:_SHOWN_MAX_BYTES].hex() + more
