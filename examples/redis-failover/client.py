#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of Redis that finds the primary by Sentinel and records all that it does.

    client.py NAME SENTINEL… --until 40 --read-at 55 [--wait N]

Until a time it appends numbers that nobody else uses to the list `journal`, and
writes and reads the key `register`, one operation every 50 ms. Later it reads the
whole journal, and then hands its history to everybody who connects to port 7000.

Each operation is two lines of JSON, `invoke` and how it ended:

    ok    it was done, as Redis said
    fail  it was certainly not done: nothing was sent, or Redis refused it
    info  nobody knows: sent, but no answer, or no replica that confirmed it in time

With `--wait N` an operation is done only when N replicas have confirmed it (WAIT).
A read is then confirmed by a write that follows it on the same connection: what is
read from a primary that has lost its replicas is not believed.
"""

import argparse
import json
import socket
import time
from typing import Any, NoReturn

EPOCH_S = 1893456000  # 2030-01-01: the lab's wall clock at virtual time zero
PAUSE_S = 0.05
SENTINEL_TIMEOUT_S = 0.2
ANSWER_TIMEOUT_S = 1.0
WAIT_MS = 500
HISTORY_PORT = 7000


class RefusedError(Exception):
    """Redis answered with an error: the command was not carried out."""


class Connection:
    """One connection that speaks RESP2 (https://redis.io/docs/reference/protocol-spec)."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._socket = socket.create_connection((host, port), timeout_s)
        self._reader = self._socket.makefile("rb")

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def ask(self, *commands: tuple[object, ...]) -> list[Any]:
        """Send commands at once; return their answers.

        Raises:
            RefusedError: the first command was answered with an error.
            OSError: nobody knows what was carried out.
        """
        self._socket.sendall(b"".join(encode(command) for command in commands))
        answers = [self._answer() for _ in commands]
        if isinstance(answers[0], RefusedError):
            raise answers[0]
        for answer in answers:
            if isinstance(answer, RefusedError):  # such as WAIT, when the primary is deposed
                raise ConnectionError(str(answer))
        return answers

    def _answer(self) -> Any:
        line = self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection was closed")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            return RefusedError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._reader.read(size + 2)[:-2].decode()
        if kind == b"*":
            return None if int(rest) < 0 else [self._answer() for _ in range(int(rest))]
        return rest


def encode(command: tuple[object, ...]) -> bytes:
    """A command as an array of bulk strings."""
    words = [str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def ask_sentinel(host: str) -> tuple[str, str]:
    """The address of the primary as this sentinel knows it."""
    sentinel = Connection(host, 26379, SENTINEL_TIMEOUT_S)
    try:
        address = sentinel.ask(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"))[0]
    finally:
        sentinel.close()
    if address is None:
        raise ConnectionError("this sentinel knows no primary")
    return address


def find_primary(sentinels: list[str]) -> Connection:
    """Connect to whom the first sentinel that answers takes for the primary."""
    for sentinel in sentinels:
        try:
            host, port = ask_sentinel(sentinel)
            return Connection(host, int(port), ANSWER_TIMEOUT_S)
        except (OSError, RefusedError):
            continue
    raise ConnectionError("no sentinel leads to a primary")


class Client:
    """Does operations one after the other, and records them."""

    def __init__(self, name: str, sentinels: list[str], confirmations: int) -> None:
        self.name = name
        self.lines: list[str] = []
        self._sentinels = sentinels
        self._confirmations = confirmations
        self._primary: Connection | None = None
        self._count = 0

    def do(self, kind: str, value: int | None = None) -> str:
        """Do one operation and record it; return how it ended."""
        self._count += 1
        self._record("invoke", kind, value)
        try:
            if self._primary is None:
                self._primary = find_primary(self._sentinels)
        except OSError as error:
            return self._record("fail", kind, value, error)
        try:
            return self._record("ok", kind, self._attempt(kind, value))
        except RefusedError as error:
            outcome, reason = "fail", error
        except OSError as error:
            outcome, reason = "info", error
        self._primary.close()
        self._primary = None
        return self._record(outcome, kind, value, reason)

    def _attempt(self, kind: str, value: int | None) -> Any:
        commands = {
            "add": [("RPUSH", "journal", value)],
            "write": [("SET", "register", value)],
            "read": [("GET", "register")],
            "journal": [("LRANGE", "journal", 0, -1)],
        }[kind]
        reads = kind in ("read", "journal")
        if self._confirmations:
            fence = [("INCR", f"fence-{self.name}")] if reads else []
            commands = [*commands, *fence, ("WAIT", self._confirmations, WAIT_MS)]
        answers = self._primary.ask(*commands)
        if self._confirmations and answers[-1] < self._confirmations:
            raise TimeoutError(f"{answers[-1]} replicas confirmed it")
        found = answers[0] if reads else value
        if kind == "journal":
            return [int(number) for number in found]
        return None if found is None else int(found)

    def _record(self, phase: str, kind: str, value: Any, reason: Exception | None = None) -> str:
        entry = {
            "time_ns": time.time_ns() - EPOCH_S * 1_000_000_000,
            "client": self.name,
            "operation": self._count,
            "phase": phase,
            "do": kind,
            "value": value,
        }
        if reason is not None:
            entry["reason"] = str(reason) or type(reason).__name__
        self.lines.append(json.dumps(entry))
        print(self.lines[-1], flush=True)
        return phase


def sleep_until(time_s: float) -> None:
    """Sleep until a time of the lab."""
    time.sleep(max(0, time_s + EPOCH_S - time.time()))


def serve(text: str) -> NoReturn:
    """Give a text to everybody who connects; never return."""
    with socket.create_server(("", HISTORY_PORT)) as server:
        while True:
            peer, _ = server.accept()
            with peer:
                peer.sendall(text.encode())


def main() -> None:
    """Do operations, read the journal, hand out the history."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("sentinels", nargs="+")
    parser.add_argument("--number", type=int, required=True, help="first number to use")
    parser.add_argument("--until", type=float, required=True)
    parser.add_argument("--read-at", type=float, required=True)
    parser.add_argument("--wait", type=int, default=0)
    arguments = parser.parse_args()
    client = Client(arguments.name, arguments.sentinels, arguments.wait)
    number = arguments.number
    while time.time() - EPOCH_S < arguments.until:
        for kind in ("add", "write", "add", "read"):
            number += 1
            client.do(kind, None if kind == "read" else number)
            time.sleep(PAUSE_S)
    sleep_until(arguments.read_at)
    for _ in range(20):
        if client.do("journal") == "ok":
            break
        time.sleep(10 * PAUSE_S)
    serve("".join(f"{line}\n" for line in client.lines))


if __name__ == "__main__":
    main()
