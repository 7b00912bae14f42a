# SPDX-License-Identifier: Apache-2.0
"""What a link does to packets, as a lab file writes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from windtunnel.errors import LabFileError
from windtunnel.model import units
from windtunnel.model.fields import (
    SHARE_PATTERN,
    Duration,
    Part,
    Rate,
    Share,
    ShortForm,
    Size,
    refuse,
)


class DistributionPart(Part):
    """How a jitter is distributed: by a name, or by a table."""

    name: Literal["uniform", "normal", "pareto", "paretonormal"] = Field(
        default="uniform", description="One that everybody knows."
    )
    table: str | None = Field(
        default=None,
        description="A file of whole numbers as tc has them (.dist), relative to the lab file.",
    )
    values: list[int] = Field(
        default=[],
        description="Each as likely as the others: the deviation in jitters, times 8192; "
        "-32768 to 32767.",
    )

    @model_validator(mode="after")
    def _is_one(self) -> DistributionPart:
        if len(self.model_fields_set) != 1:
            raise refuse("a distribution is one of name, table and values", "give one of them")
        return self


DISTRIBUTIONS = ("uniform", "normal", "pareto", "paretonormal")


def _distribution(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    if value not in DISTRIBUTIONS:
        raise refuse(
            f"no distribution is called {value!r}",
            f"they are {', '.join(DISTRIBUTIONS)}, and {{table: FILE}}",
        )
    return {"name": value}


class LossPart(Part):
    """Losses in bursts: a link that is now good and now bad (Gilbert-Elliott)."""

    share: Share | None = Field(default=None, description="No bursts: the share of packets lost.")
    p: Share | None = Field(
        default=None, description="Chance, for each packet, that a good link becomes bad."
    )
    r: Share | None = Field(
        default=None, description="Chance that a bad one becomes good again; without it 100% - p."
    )
    bad: Share = Field(default=1.0, description="Share that a bad link loses.")
    good: Share = Field(default=0.0, description="Share that a good link loses.")

    @model_validator(mode="after")
    def _is_one(self) -> LossPart:
        if self.share is None and self.p is None:
            raise refuse("losses in bursts need p", "write {p: 1%, r: 30%}, or a share like 1%")
        if self.share is not None and len(self.model_fields_set) > 1:
            raise refuse("a share has no bursts", "give either share, or p and r")
        return self


def _loss(value: Any) -> Any:
    return value if isinstance(value, dict) else {"share": value}


# (packets, bytes), one of them None.
def _limit(value: Any) -> tuple[int | None, int | None]:
    if isinstance(value, int) and not isinstance(value, bool):
        return value, None
    if not isinstance(value, str):
        raise refuse(f"{value!r} is neither a number of packets nor a size")
    try:
        return None, units.parse_size(value)
    except LabFileError as error:
        raise refuse(error.message, "write a number of packets, or a size like '64 kB'") from error


_SHARE_SCHEMA = {"type": "string", "pattern": SHARE_PATTERN, "examples": ["1%"]}
_SIZE_SCHEMA = {"type": "string", "pattern": r"^\s*[0-9.]+\s*([kKMGT]i?)?B\s*$"}
_OF_DISCIPLINE = {"min": "red", "max": "red", "probability": "red"} | {
    "target": "codel",
    "interval": "codel",
}


class QueuePart(Part):
    """What may wait for its turn at the rate; only between two kernels."""

    packets: int | None = Field(
        default=None, description="Instead of all below: what netem counts, as by a bare number."
    )
    limit: Annotated[
        tuple[int | None, int | None] | None,
        BeforeValidator(_limit),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, _SIZE_SCHEMA]}),
    ] = Field(default=None, description="In packets or in bytes; for codel 1000 if none is given.")
    discipline: Literal["droptail", "red", "codel"] = Field(
        default="droptail", description="What drops packets: the limit alone, or sooner."
    )
    min: Size | None = Field(
        default=None, description="red: the average below which nothing is dropped; max / 3."
    )
    max: Size | None = Field(
        default=None, description="red: the average that drops everything; min * 3, or limit / 4."
    )
    probability: Share = Field(default=0.02, description="red: of a drop just below max.")
    target: Duration = Field(default=5_000_000, description="codel: the wait that is acceptable.")
    interval: Duration = Field(
        default=100_000_000, description="codel: how long it may be more than that."
    )

    @model_validator(mode="after")
    def _fits(self) -> QueuePart:
        given = self.model_fields_set
        if "packets" in given and len(given) > 1:
            raise refuse("packets stands alone", "use limit, or nothing beside packets")
        for word, discipline in _OF_DISCIPLINE.items():
            if word in given and self.discipline != discipline:
                raise refuse(f"{word} belongs to {discipline}", f"add 'discipline: {discipline}'")
        if self.limit is None and (given & {"discipline"}) and self.discipline != "codel":
            raise refuse(f"{self.discipline} needs a limit", "add one like 'limit: 64 kB'")
        return self


# A number is what netem counts; a size, and all in a mapping, waits for the rate.
def _queue(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    if value == "default":
        return {}
    if isinstance(value, str):
        return {"limit": value}
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse(
            f"{value!r} is neither a whole number nor 'default'", "or write a size like '64 kB'"
        )
    return {"packets": value}


# Shared, because pydantic would copy a default for each of 10,000 links.
_UNIFORM, _NO_LOSS, _NETEM_QUEUE = (
    DistributionPart(name="uniform"),
    LossPart.model_validate({"share": "0%"}),
    QueuePart(),
)
_QUEUE_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "default"}, _SIZE_SCHEMA]}


class ImpairmentPart(Part):
    """What a link does to packets (tc-netem)."""

    delay: Duration = Field(default=0, description="Added to each packet.")
    jitter: Duration = Field(default=0, description="Spread around the delay, at most the delay.")
    distribution: Annotated[
        DistributionPart, ShortForm(_distribution, {"enum": list(DISTRIBUTIONS)})
    ] = Field(default_factory=lambda: _UNIFORM, description="Of the jitter.")
    loss: Annotated[LossPart, ShortForm(_loss, _SHARE_SCHEMA)] = Field(
        default_factory=lambda: _NO_LOSS, description="Share of packets lost, or losses in bursts."
    )
    duplicate: Share = Field(default=0.0, description="Share of packets sent twice.")
    reorder: Share = Field(
        default=0.0, description="Share sent at once instead of after the delay."
    )
    corrupt: Share = Field(default=0.0, description="Share with one bit flipped.")
    rate: Rate = Field(default=None, description="Bits a second, or unlimited.")
    queue: Annotated[QueuePart, ShortForm(_queue, _QUEUE_SCHEMA)] = Field(
        default_factory=lambda: _NETEM_QUEUE,
        description="Packets that may wait; netem's default is 1000. Or what may wait for the "
        "rate, in bytes or with a discipline.",
    )


NO_IMPAIRMENT = ImpairmentPart()
