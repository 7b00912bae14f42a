# SPDX-License-Identifier: Apache-2.0
"""Writes ever larger numbers and asks every replica for them: client.py PEER=ADDRESS...

What it sees goes to HISTORY, a line each:

    written NUMBER TIME             acknowledged at TIME
    read NODE SENT NUMBER TIME END  NODE led from TIME to END, and said NUMBER
"""

import sys
import time

from lines import Lines

HISTORY = "/tmp/history"
EVERY = 0.1  # seconds
PATIENCE = 1.0


def run(peers):
    lines = Lines(peers)
    begin = time.monotonic()
    sent = []  # when each read was sent
    leader, writing, deadline, turn = "", 0, 0.0, begin
    with open(HISTORY, "w", buffering=1) as history:
        while True:
            now = time.monotonic()
            if now >= turn:
                turn += EVERY
                sent.append(now)
                for peer in peers:
                    lines.send(peer, "read", len(sent) - 1)
                if leader and now >= deadline:
                    writing, deadline = writing + 1, now + PATIENCE
                    lines.send(leader, "write", writing)
            for _, (word, node, number, *rest) in lines.wait(turn - now):
                if word == "written":
                    print(word, number, time.monotonic(), file=history)
                    deadline = 0.0
                elif word == "value":
                    print("read", node, sent[int(number)], *rest, file=history)
                    leader = node


if __name__ == "__main__":
    run(dict(peer.split("=") for peer in sys.argv[1:]))
