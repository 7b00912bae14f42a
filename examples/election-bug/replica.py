# SPDX-License-Identifier: Apache-2.0
"""One of three replicas of a number: replica.py NAME LEASE_FROM PEER=ADDRESS...

A replica leads while it holds the lease. It asks all for it; each grants it to
one at a time, for LEASE seconds; with two grants of three it has it. The leader
asks again long before the lease ends. Only the leader answers reads, from its
own memory: that nobody else leads is all that makes them right. A write is
acknowledged when two of three have stored it.
"""

import sys
import time

from lines import Lines

LEASE = 1.0  # seconds
RENEW = 0.25  # at every quarter of a second
POLITE = 0.3  # between the first tries of two replicas
MAJORITY = 2


class Replica:
    def __init__(self, name, lease_from, peers):
        self.name = name
        self.lease_from = lease_from
        self.lines = Lines(peers, listen=True)
        self.number = 0  # what is replicated
        self.granted_to, self.granted_until = "", 0.0  # what we have promised
        self.lease_until = 0.0  # what we were promised
        self.rounds = []  # of asking: when it began, and who granted
        self.next_round = 0.0
        self.writes = {}  # number -> (the client's connection, who has stored it)

    def run(self):
        turn = POLITE * int(self.name[-1])
        while True:
            now = time.monotonic()
            leads = now < self.lease_until
            if now >= self.next_round:
                if leads or now >= self.granted_until + turn:
                    self.ask(now)
                    self.next_round = (now // RENEW + 1) * RENEW
                else:
                    self.next_round = self.granted_until + turn
            for connection, (word, *rest) in self.lines.wait(self.next_round - now):
                getattr(self, f"on_{word}")(connection, *rest)

    # ---- the lease ----

    def ask(self, now):
        self.rounds.append((now, set()))
        for peer in self.lines.addresses:
            self.lines.send(peer, "ask", self.name, len(self.rounds) - 1)
        if self.grant(self.name):
            self.on_granted(None, self.name, len(self.rounds) - 1, self.number)

    def grant(self, to):
        now = time.monotonic()
        if self.granted_to != to and now < self.granted_until:
            return False
        self.granted_to, self.granted_until = to, now + LEASE
        return True

    def on_ask(self, connection, who, number):
        if self.grant(who):
            connection.send("granted", self.name, number, self.number)

    def on_granted(self, _connection, who, number, stored):
        asked, grants = self.rounds[int(number)]
        grants.add(who)
        self.number = max(self.number, int(stored))  # what a majority has stored is known to us
        if len(grants) >= MAJORITY:
            # The bug: an answer may have been on its way for long, and what it promises
            # is over LEASE seconds after it was written. To count from the asking is right.
            begin = asked if self.lease_from == "asking" else time.monotonic()
            self.lease_until = max(self.lease_until, begin + LEASE)

    # ---- the number ----

    def on_read(self, connection, number):
        now = time.monotonic()
        if now < self.lease_until:
            connection.send("value", self.name, number, self.number, now, self.lease_until)
        else:
            connection.send("follows", self.name, number)

    def on_write(self, connection, number):
        if time.monotonic() >= self.lease_until or int(number) <= self.number:
            return
        self.number = int(number)
        self.writes[number] = (connection, {self.name})
        for peer in self.lines.addresses:
            self.lines.send(peer, "store", self.name, number)

    def on_store(self, connection, leader, number):
        if self.granted_to == leader and time.monotonic() < self.granted_until:
            self.number = max(self.number, int(number))
            connection.send("stored", self.name, number)

    def on_stored(self, _connection, who, number):
        connection, stored = self.writes[number]
        stored.add(who)
        if len(stored) == MAJORITY:
            connection.send("written", self.name, number)


if __name__ == "__main__":
    name, lease_from, *peers = sys.argv[1:]
    Replica(name, lease_from, dict(peer.split("=") for peer in peers)).run()
