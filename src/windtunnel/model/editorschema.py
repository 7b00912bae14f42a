# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema that editors get: that of the lab file, and `${key}` wherever a value stands.

What a reference comes to is known in a cell only, so an editor has to let it
pass; `windtunnel lab check` looks at each cell.
"""

from __future__ import annotations

from typing import Any

from windtunnel.model.references import PARAMETER_KEYS
from windtunnel.model.schema import json_schema

_REFERENCE = {"$ref": "#/$defs/Reference"}
_DEFINITION = {
    "type": "string",
    "pattern": r"\$\{[^${}]+\}",
    "description": "Has a ${key} in it that each cell of the lab replaces.",
}
_VALUES = {"string", "number", "integer", "boolean"}


def editor_schema() -> dict[str, Any]:
    """Make the JSON Schema of a lab file, as shipped in `lab.schema.json`."""
    schema = json_schema()
    properties = schema["properties"]
    kept = {key: properties[key] for key in PARAMETER_KEYS}
    return {
        **schema,
        "properties": {key: _with_references(value) for key, value in properties.items()} | kept,
        "$defs": {
            **{name: _with_references(part) for name, part in schema["$defs"].items()},
            "Reference": _DEFINITION,
        },
    }


def _with_references(schema: Any) -> Any:
    """Let a reference stand for each value that is not any text anyway."""
    if isinstance(schema, list):
        return [_with_references(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if _is_value(schema):
        about = {key: schema[key] for key in ("description", "default") if key in schema}
        rest = {key: value for key, value in schema.items() if key not in about}
        return {**about, "anyOf": [rest, _REFERENCE]}
    return {
        key: value if key in ("default", "examples", "propertyNames") else _with_references(value)
        for key, value in schema.items()
    }


def _is_value(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    kinds = set(kind) if isinstance(kind, list) else {kind}
    any_text = "string" in kinds and not schema.keys() & {"pattern", "enum", "const", "format"}
    return not any_text and (bool(kinds & _VALUES) or "enum" in schema or "const" in schema)
