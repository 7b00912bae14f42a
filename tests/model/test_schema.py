# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys

import jsonschema
import pytest

from model.conftest import load_text
from repository import REPOSITORY
from windtunnel.model.editorschema import editor_schema
from windtunnel.model.flatten import lab_to_yaml
from windtunnel.model.graph import lab_to_svg
from windtunnel.model.load import load_lab
from windtunnel.model.yamltree import parse_yaml

SHIPPED = REPOSITORY / "src/windtunnel/model/lab.schema.json"
EXAMPLES = sorted((REPOSITORY / "examples").glob("*/lab.yaml"))
LABS = [path for path in EXAMPLES if path.parent.name != "tcp-matrix"]  # that one is several


def test_the_shipped_schema_is_that_of_the_models():
    mend = (
        "write it anew: windtunnel lab schema > schema, "
        "and move that to src/windtunnel/model/lab.schema.json"
    )
    assert json.loads(SHIPPED.read_text()) == editor_schema(), mend


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_fits_the_schema(path):
    lab = parse_yaml(path.read_text(), file=str(path)).root.value
    jsonschema.Draft202012Validator(editor_schema()).validate(lab)


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.parent.name)
def test_every_example_loads_and_so_does_its_flat_form(path):
    def list_directory(name):
        root = path.parent / name
        return [str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()]

    def read(name):
        return (path.parent / name).read_bytes()

    lab = load_lab(path.read_text(), file=str(path), read=read, list_directory=list_directory)
    assert load_text(lab_to_yaml(lab)) == lab
    assert lab_to_svg(lab).startswith("<svg")


def test_the_schema_refuses_what_the_loader_refuses():
    validator = jsonschema.Draft202012Validator(editor_schema())
    assert validator.is_valid({"name": "x", "links": [["a", "b"]], "x-mine": {}})
    assert not validator.is_valid({"name": "x", "stop": 10})
    assert validator.is_valid({"name": "x", "stop": "${end} s", "links": [["a", "b"]]})
    assert not validator.is_valid({"name": "x", "stop": "{end} s"})
    assert not validator.is_valid({"name": "x", "nods": {}})
    assert not validator.is_valid({"name": "x", "links": [{"endpoints": ["a"]}]})


def test_every_key_of_the_schema_is_described():
    def keys(node, path):
        for name, inner in node.get("properties", {}).items():
            yield f"{path}.{name}", inner

    schema = editor_schema()
    parts = {"lab": schema, **schema["$defs"]}
    found = [key for name, part in parts.items() for key in keys(part, name)]
    assert [name for name, inner in found if not inner.get("description")] == []


def test_the_data_of_a_lab_is_imported_without_pydantic_or_yaml():
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY / 'src')!r})\n"
        "import windtunnel.model.check, windtunnel.model.flatten, windtunnel.model.graph\n"
        "print([m for m in ('pydantic', 'yaml', 'jinja2') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
