# SPDX-License-Identifier: Apache-2.0
"""Random choices by name.

Every choice comes from (the lab's seed, a stable name), hashed: adding or
renaming one thing changes nobody else's numbers, and neither Python's hash
seed nor the order of calls matters. BLAKE2b is used as a keyed function.
"""

from __future__ import annotations

from hashlib import blake2b

SEED_MAX = 2**64 - 1


def derive(seed: int, *names: str) -> int:
    """A number of 64 bits that belongs to `names`.

    Args:
        seed: the lab's, 0 to 2**64 - 1.
        names: from the general to the particular: "mac", "r1", "eth0".
    """
    # Each name is preceded by its length, so that ("ab", "c") is not ("a", "bc").
    text = b"".join(
        len(encoded).to_bytes(4, "little") + encoded for encoded in (n.encode() for n in names)
    )
    digest = blake2b(text, digest_size=8, key=seed.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little")
