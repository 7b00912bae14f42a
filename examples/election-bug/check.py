# SPDX-License-Identifier: Apache-2.0
"""Judge the client's history: check.py leaders | reads | writes."""

import sys
import time

HISTORY = "/tmp/history"
WRITES_MIN = 10


# The wall clock shows midnight when the lab begins.
LAB_TIME = (time.time() - time.monotonic()) % 86400


def leaders(reads, _writes):
    """Two replicas must not lead at the same time."""
    until = {}  # when the latest lease that each replica told of ends
    for node, _, _, begin, end in sorted(reads, key=lambda read: read[3]):
        for other, other_end in until.items():
            if other != node and begin < other_end:
                return f"{other} led until {other_end:.3f} s, and {node} from {begin:.3f} s on"
        until[node] = end
    return None


def reads(reads, writes):
    """Who reads must see every write that was acknowledged before he asked."""
    for node, sent, number, begin, _ in reads:
        known = max((written for written, at in writes if at <= sent), default=0)
        if number < known:
            return f"{node} said {number} at {begin:.3f} s, after {known} was acknowledged"
    return None


def writes(_reads, writes):
    """A service that does nothing does nothing wrong."""
    return f"only {len(writes)} writes" if len(writes) < WRITES_MIN else None


def main():
    found_reads, found_writes = [], []
    with open(HISTORY) as lines:
        for word, *rest in map(str.split, lines):
            if word == "read":
                node, sent, number, begin, end = rest
                times = [float(at) + LAB_TIME for at in (sent, begin, end)]
                found_reads.append((node, times[0], int(number), times[1], times[2]))
            else:
                found_writes.append((int(rest[0]), float(rest[1]) + LAB_TIME))
    wrong = {"leaders": leaders, "reads": reads, "writes": writes}[sys.argv[1]](
        found_reads, found_writes
    )
    if wrong:
        print(wrong)
        sys.exit(1)
    print(f"{len(found_reads)} reads, {len(found_writes)} writes")


main()
