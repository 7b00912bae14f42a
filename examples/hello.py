# SPDX-License-Identifier: Apache-2.0
"""Two machines, one cable, and an hour that is over at once."""

from windtunnel import Lab

lab = Lab("hello", seed=42)
lab.link(lab.node("alice"), lab.node("bob"), delay="10 ms", rate="1 Mbit")

with lab.start() as world:
    alice, link = world.node("alice"), world.link("alice-bob")
    print(alice.run("ping -c 2 bob").stdout)
    link.set(delay="300 ms")
    world.sleep("1 h")
    print(alice.run("date && ping -c 1 bob | tail -1").stdout)
    print(f"{world.now_ns / 1e9:.1f} s have passed")
