# SPDX-License-Identifier: Apache-2.0
"""How single values of a lab file are read: short forms, quantities, text.

pydantic does the work; the words are ours. A mapping of the lab file is a
`Part`, and what it may have as a value is an annotated type of this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from windtunnel.errors import LabFileError
from windtunnel.model import tracepoints, units
from windtunnel.model.clock import parse_clock
from windtunnel.model.lab import COUNTERS_AT_END

JsonSchema = dict[str, Any]


@dataclass(frozen=True, eq=False)
class ShortForm:
    """Accept a short form of a mapping.

    Attributes:
        expand: makes the mapping of it, and returns anything else unchanged.
        schema: the JSON Schema of the short form.
    """

    expand: Callable[[Any], Any]
    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        return {"anyOf": [handler(core), dict(self.schema)]}


def quantity(parse: Callable[[str], Any], what: str) -> BeforeValidator:
    """Make a parser of units.py a validator.

    Its message and hint travel in the error's context, from which
    `windtunnel.model.shape` takes them.
    """

    def validate(value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = repr(value)
        if not isinstance(value, str):
            raise refuse(f"{value!r} is not a {what}")
        try:
            return parse(value)
        except LabFileError as error:
            raise refuse(error.message, error.hint) from error

    return BeforeValidator(validate)


def refuse(message: str, hint: str = "") -> PydanticCustomError:
    """Make the error that refuses a value, in our own words."""
    return PydanticCustomError("lab", "{message}", {"message": message, "hint": hint})


def text_schema(pattern: str, *examples: str) -> WithJsonSchema:
    """Describe text with a pattern, for editors."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


def _mode(value: Any) -> Any:
    # YAML 1.2 reads 0644 as the number 644, and 0o644 as 420. Both mean rw-r--r--,
    # and only the first can be told from its digits: so quotes are demanded.
    if isinstance(value, str) and re.fullmatch(r"(0o?)?[0-7]{3,4}", value):
        return int(value.removeprefix("0o"), 8)
    raise refuse(f"{value!r} is not a file mode", "write it in quotes: mode: '0644'")


def _rate(text: str) -> int | None:
    return None if text.strip() == "unlimited" else units.parse_rate(text)


def _sampling(text: str) -> int | None:
    word = text.strip()
    if word in ("end", "never"):
        return COUNTERS_AT_END if word == "end" else None
    every_ns = units.parse_duration(text)
    if every_ns == 0:
        raise LabFileError(
            "counters cannot be sampled all the time", hint="give an interval, 'end' or 'never'"
        )
    return every_ns


def number_or(word: str) -> BeforeValidator:
    """Accept a whole number, or the word that stands for none."""

    def validate(value: Any) -> Any:
        if value == word:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise refuse(f"{value!r} is neither a whole number nor {word!r}")
        return value

    return BeforeValidator(validate)


def _yaml_word(value: Any) -> str:
    words = {"True": "true", "False": "false", "None": "null"}
    return words.get(repr(value), repr(value))


# Digits stay as they are; what YAML would change (1.10, 0x10, true) must be quoted.
def _word(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, float):
        shown = _yaml_word(value)
        raise refuse(f"{shown} is not text", f"put it in quotes: '{shown}'")
    return str(value) if isinstance(value, int) else value


# What goes on for good, or for so long.
def _lasting(value: Any) -> Any:
    if value is True:
        return value
    if not isinstance(value, str):
        raise refuse(f"{_yaml_word(value)} does not say how long", "write '5 s', or true for good")
    try:
        return units.parse_duration(value)
    except LabFileError as error:
        raise refuse(error.message, error.hint) from error


_DURATION = r"^\s*([0-9.]+\s*(ns|us|µs|ms|s|min|h|d)\s*)+$"
Duration = Annotated[
    int,
    quantity(units.parse_duration, "duration"),
    text_schema(_DURATION, "10 ms", "1.5 s", "1 h 30 min"),
]
Sampling = Annotated[
    int | None,
    quantity(_sampling, "interval"),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["end", "never"]},
                {"type": "string", "pattern": _DURATION, "examples": ["1 s"]},
            ]
        }
    ),
]
Tracepoint = Annotated[
    str,
    quantity(tracepoints.parse_tracepoint, "tracepoint"),
    text_schema(tracepoints.PATTERN, "tcp", "irq:irq_handler_entry"),
]
Shift = Annotated[
    int,
    quantity(units.parse_shift, "shift"),
    text_schema(r"^\s*[+-]\s*([0-9.]+\s*(ns|us|µs|ms|s|min|h|d)\s*)+$", "+5 s", "-1 h"),
]
Drift = Annotated[
    int,
    quantity(units.parse_drift, "drift"),
    text_schema(r"^\s*[+-]?[0-9]+\s*ppm\s*$", "200 ppm", "-50 ppm"),
]
Frequency = Annotated[
    int,
    quantity(units.parse_frequency, "frequency"),
    text_schema(r"^\s*[0-9.]+\s*/\s*([0-9.]+\s*)?(ns|us|µs|ms|s|min|h|d)\s*$", "6/min", "1/10 s"),
]
Lasting = Annotated[
    int | Literal[True],
    BeforeValidator(_lasting),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": True},
                {"type": "string", "pattern": _DURATION, "examples": ["5 s"]},
            ]
        }
    ),
]
Rate = Annotated[
    int | None,
    quantity(_rate, "rate"),
    text_schema(
        r"^\s*([0-9.]+\s*([kKMGTmgt]i?)?([bB]it|B/s|bit/s)|unlimited)\s*$",
        "100 Mbit",
        "56 kbit",
        "10 MB/s",
    ),
]
Status = Annotated[
    int | None,
    number_or("any"),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 255}, {"const": "any"}]}
    ),
]
Size = Annotated[
    int,
    quantity(units.parse_size, "size"),
    text_schema(r"^\s*[0-9.]+\s*([kKMGT]i?)?B\s*$", "64 MB", "1 GiB"),
]
SHARE_PATTERN = r"^\s*[0-9.]+\s*%\s*$"
Share = Annotated[
    float,
    quantity(units.parse_share, "share"),
    text_schema(SHARE_PATTERN, "1%", "0.1 %"),
]
Mode = Annotated[int, BeforeValidator(_mode), text_schema(r"^(0o?)?[0-7]{3,4}$", "0644", "0755")]
Clock = Annotated[
    int,
    quantity(parse_clock, "point in time"),
    text_schema(
        r"^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?[Zz]?)?$", "2030-01-01T00:00:00Z"
    ),
]
Word = Annotated[str, BeforeValidator(_word), WithJsonSchema({"type": ["string", "integer"]})]
Addressing = Literal["none", "ipv4", "ipv6", "both"]


class Part(BaseModel):
    """A mapping of the lab file: no unknown keys, except `x-…`, which are ignored."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        populate_by_name=True,
        json_schema_extra={"patternProperties": {"^x-": True}},
    )

    @model_validator(mode="before")
    @classmethod
    def _without_extensions(cls, data: Any) -> Any:
        if data is None:  # "r1:" with nothing behind it
            return {}
        if isinstance(data, dict) and any(key.startswith("x-") for key in data):
            return {key: value for key, value in data.items() if not key.startswith("x-")}
        return data
