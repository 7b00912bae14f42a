# SPDX-License-Identifier: Apache-2.0
"""The values of a lab file as pydantic types: short forms, quantities, words.

Short forms become long ones here, quantities become integers; a message of our
own travels in the error's context, from which `windtunnel.model.shape` takes it.
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
from windtunnel.model import units
from windtunnel.model.clock import parse_clock

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
    """Make a validator of a parser of `windtunnel.model.units`, with its messages."""

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
    """Make the error that refuses a value with our own words."""
    return PydanticCustomError("lab", "{message}", {"message": message, "hint": hint})


def text_schema(pattern: str, *examples: str) -> WithJsonSchema:
    """Make the JSON Schema of a text."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


def _mode(value: Any) -> Any:
    # YAML 1.2 reads 0644 as the number 644, and 0o644 as 420. Both mean rw-r--r--,
    # and only the first can be told from its digits: so quotes are demanded.
    if isinstance(value, str) and re.fullmatch(r"(0o?)?[0-7]{3,4}", value):
        return int(value.removeprefix("0o"), 8)
    raise refuse(f"{value!r} is not a file mode", "write it in quotes: mode: '0644'")


def _rate(text: str) -> int | None:
    return None if text.strip() == "unlimited" else units.parse_rate(text)


def number_or(word: str) -> BeforeValidator:
    """Make a validator of a number, or the word that stands for none."""

    def validate(value: Any) -> Any:
        if value == word:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise refuse(f"{value!r} is neither a whole number nor {word!r}")
        return value

    return BeforeValidator(validate)


# Digits stay as they are; what YAML would change (1.10, 0x10, true) must be quoted.
def _word(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, float):
        words: dict[Any, str] = {True: "true", False: "false", None: "null"}
        shown = repr(value) if isinstance(value, float) else words[value]
        raise refuse(f"{shown} is not text", f"put it in quotes: '{shown}'")
    return str(value) if isinstance(value, int) else value


Duration = Annotated[
    int,
    quantity(units.parse_duration, "duration"),
    text_schema(r"^\s*([0-9.]+\s*(ns|us|µs|ms|s|min|h|d)\s*)+$", "10 ms", "1.5 s", "1 h 30 min"),
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
