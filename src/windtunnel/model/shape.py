# SPDX-License-Identifier: Apache-2.0
"""Check the shape of a lab file, and say in our words what is wrong with it.

pydantic finds the errors; here each gets its place in the text, and an unknown
key its near miss, found by walking the JSON Schema to where the key stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from windtunnel.errors import LabFileError, LabFileErrors
from windtunnel.model.check import PROBLEMS_MAX
from windtunnel.model.nearmiss import hint_for
from windtunnel.model.schema import LabPart, json_schema
from windtunnel.model.yamltree import Document

_TYPE_NAMES = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


def read_shape(document: Document) -> LabPart:
    """Turn a document into the models of the lab file.

    Raises:
        LabFileErrors: unknown or missing keys, values of the wrong kind.
    """
    value = document.root.value
    if not isinstance(value, dict):
        raise LabFileErrors(
            [
                LabFileError(
                    "a lab file is a mapping with name, nodes, links …",
                    where=document.where(()),
                    hint="begin with 'name: my-lab'",
                )
            ]
        )
    try:
        return LabPart.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False)[:PROBLEMS_MAX]
        errors = [_explain(detail, document) for detail in details]
        errors.sort(key=lambda one: (one.where.line, one.where.column) if one.where else (0, 0))
        raise LabFileErrors(errors) from error


def _explain(detail: Mapping[str, Any], document: Document) -> LabFileError:
    path = detail["loc"]
    kind = detail["type"]
    if kind == "lab":
        context = detail["ctx"]
        return LabFileError(context["message"], where=document.where(path), hint=context["hint"])
    name = ".".join(str(part) for part in path)
    if kind == "extra_forbidden":
        return LabFileError(
            f"unknown key {path[-1]!r}" + _inside(path[:-1]),
            where=document.where(path, key=True),
            hint=hint_for(str(path[-1]), _keys_at(path[:-1]), what="keys"),
        )
    if kind == "missing":
        return LabFileError(
            f"the key {path[-1]!r} is missing" + _inside(path[:-1]),
            where=document.where(path[:-1]),
            hint=f"add '{path[-1]}: …'",
        )
    if kind in _TYPE_NAMES:
        message = f"{name} must be {_TYPE_NAMES[kind]}, not {_shown(detail['input'])}"
        hint = "put it in quotes" if kind == "string_type" and _is_scalar(detail["input"]) else ""
        return LabFileError(message, where=document.where(path), hint=hint)
    message = detail["msg"].removeprefix("Input ")
    return LabFileError(
        f"{name}: {message}, and it is {_shown(detail['input'])}", where=document.where(path)
    )


def _inside(path: Sequence[str | int]) -> str:
    return f" in {'.'.join(str(part) for part in path)}" if path else ""


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, (dict, list)) and value is not None


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…'"


# The keys that the JSON Schema allows at a path.
def _keys_at(path: Sequence[str | int]) -> list[str]:
    schema = json_schema()
    nodes = [schema]
    for element in path:
        nodes = [
            inner for node in nodes for one in _forms(node, schema) for inner in _step(one, element)
        ]
    return [
        key for node in nodes for one in _forms(node, schema) for key in one.get("properties", {})
    ]


# A schema's alternatives, references resolved.
def _forms(node: Any, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if not isinstance(node, dict):
        return
    if "$ref" in node:
        yield from _forms(schema["$defs"][node["$ref"].rpartition("/")[2]], schema)
    for one in node.get("anyOf", ()):
        yield from _forms(one, schema)
    yield node


def _step(node: Mapping[str, Any], element: str | int) -> Iterator[Any]:
    if isinstance(element, int):
        if "items" in node:
            yield node["items"]
    elif element in node.get("properties", {}):
        yield node["properties"][element]
    elif "additionalProperties" in node:
        yield node["additionalProperties"]
