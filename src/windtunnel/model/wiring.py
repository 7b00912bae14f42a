# SPDX-License-Identifier: Apache-2.0
"""Links and networks of a lab file as drafts, ready to be wired.

The impairment of an end is merged field by field: link-defaults < the link or
network < `forward`, `backward` or the member.
"""

from __future__ import annotations

from collections.abc import Sequence

from windtunnel.errors import LabFileError
from windtunnel.model.addressing import Addressing, Draft, DraftEnd, subnet_range
from windtunnel.model.impairment import (
    Buffer,
    CoDel,
    DelayTable,
    Distribution,
    GilbertElliott,
    Impairment,
    Red,
)
from windtunnel.model.linkschema import DistributionPart, ImpairmentPart, LossPart, QueuePart
from windtunnel.model.problem import Path, Problem
from windtunnel.model.schema import LabPart, LinkBody, LinkPart, NetworkPart

CODEL_LIMIT_PACKETS = 1000
"""What tc-codel(8) takes for `limit` when none is given."""

# From the keys of the file to the fields of an impairment.
_FIELDS = {
    "delay": "delay_ns",
    "jitter": "jitter_ns",
    "distribution": "distribution",
    "loss": "loss",
    "duplicate": "duplicate",
    "reorder": "reorder",
    "corrupt": "corrupt",
    "rate": "rate_bps",
    "queue": "queue_packets",
}


def draft_links(lab: LabPart, problems: list[Problem]) -> list[Draft]:
    """Make the drafts of all links, in the order of the file."""
    return [_link(lab, part, ("links", i), problems) for i, part in enumerate(lab.links)]


def draft_networks(lab: LabPart, problems: list[Problem]) -> list[Draft]:
    """Make the drafts of all networks, in the order of the file."""
    return [
        _network(lab, name, part, ("networks", name), problems)
        for name, part in lab.networks.items()
    ]


def merge_impairment(parts: Sequence[ImpairmentPart], start: Impairment) -> Impairment:
    """Lay the fields that each part gives over `start`, the last part on top."""
    given = {
        _FIELDS[key]: getattr(part, key)
        for part in parts
        for key in part.model_fields_set
        if key in _FIELDS
    }
    if not given:
        return start
    if "distribution" in given:
        given["distribution"] = _distribution(given["distribution"])
    if "loss" in given:
        given["loss"] = _loss(given["loss"])
    if "queue_packets" in given:
        given["buffer"] = _buffer(given["queue_packets"])
        given["queue_packets"] = given["queue_packets"].packets
    # dataclasses.replace is four times slower, and a lab has many links.
    fields = {name: getattr(start, name) for name in (*_FIELDS.values(), "buffer")}
    return Impairment(**{**fields, **given})


def _distribution(part: DistributionPart) -> Distribution | DelayTable:
    # a file that cannot be read has no values, and is an error already
    return DelayTable(tuple(part.values)) if part.values else Distribution(part.name)


def _loss(part: LossPart) -> float | GilbertElliott:
    if part.p is None:
        return part.share or 0.0
    return GilbertElliott(
        p=part.p, r=1.0 - part.p if part.r is None else part.r, bad=part.bad, good=part.good
    )


# What waits for the rate, or None where netem's queue does it.
def _buffer(part: QueuePart) -> Buffer | None:
    packets, size = part.limit or (None, None)
    if part.discipline == "codel":
        limit = CODEL_LIMIT_PACKETS if part.limit is None else packets
        return Buffer(size, limit, CoDel(part.target, part.interval))
    if part.limit is None:
        return None
    if part.discipline == "droptail":
        return Buffer(size, packets)
    # as tc-red(8) has them where they are not given
    most = part.max or (part.min * 3 if part.min else (size or 0) // 4)
    least = most // 3 if part.min is None else part.min
    return Buffer(size, packets, Red(least, most, part.probability))


def _link(lab: LabPart, part: LinkPart, path: Path, problems: list[Problem]) -> Draft:
    if part.ip and len(part.ip) != 2:
        problems.append(
            Problem(
                (*path, "ip"),
                f"a link has two ends, and ip has {len(part.ip)} entry",
                "give two, [] for an end without addresses, or 'ip: []' for none at all",
            )
        )
    ends = []
    directions = (part.forward, part.backward)
    for index, text in enumerate(part.endpoints):
        node, interface = _endpoint(text, (*path, "endpoints", index), problems)
        addresses = None
        if part.ip is not None:
            addresses = tuple(part.ip[index]) if len(part.ip) > index else ()
        layers = (lab.link_defaults, part, directions[index])
        ends.append(
            DraftEnd(
                node=node,
                interface=interface,
                mac=part.mac[index] if part.mac else None,
                addresses=addresses,
                impairment=merge_impairment(layers, Impairment()),
            )
        )
    return Draft(
        ends=tuple(ends),
        name=part.name,
        subnet=_subnet(part.subnet, 4, len(ends), (*path, "subnet"), problems),
        subnet6=_subnet(part.subnet6, 6, len(ends), (*path, "subnet6"), problems),
        addressing=Addressing(part.addressing or lab.addressing),
        mtu_bytes=_mtu(lab, part),
        up=part.up,
    )


def _network(
    lab: LabPart, name: str, part: NetworkPart, path: Path, problems: list[Problem]
) -> Draft:
    ends = []
    for index, member in enumerate(part.members):
        node, interface = _endpoint(member.endpoint, (*path, "members", index), problems)
        layers = (lab.link_defaults, part, member)
        ends.append(
            DraftEnd(
                node=node,
                interface=interface,
                mac=member.mac,
                addresses=None if member.ip is None else tuple(member.ip),
                impairment=merge_impairment(layers, Impairment()),
            )
        )
    return Draft(
        ends=tuple(ends),
        name=name,
        subnet=_subnet(part.subnet, 4, len(ends), (*path, "subnet"), problems),
        subnet6=_subnet(part.subnet6, 6, len(ends), (*path, "subnet6"), problems),
        addressing=Addressing(part.addressing or lab.addressing),
        mtu_bytes=_mtu(lab, part),
    )


# A given subnet if it is any good, else None.
def _subnet(
    text: str | None, version: int, hosts: int, path: Path, problems: list[Problem]
) -> str | None:
    if text is None:
        return None
    try:
        subnet_range(text, version=version, hosts=hosts)
    except LabFileError as error:
        problems.append(Problem(path, error.message, error.hint))
        return None
    return text


def _mtu(lab: LabPart, part: LinkBody) -> int:
    return part.mtu if "mtu" in part.model_fields_set else lab.link_defaults.mtu


def _endpoint(text: str, path: Path, problems: list[Problem]) -> tuple[str, str | None]:
    node, colon, interface = text.partition(":")
    if colon and not interface:
        problems.append(
            Problem(path, f"{text!r} names no interface", f"write {node!r} or '{node}:eth0'")
        )
        return node, None
    return node, interface or None
