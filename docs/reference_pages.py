# SPDX-License-Identifier: Apache-2.0
"""Write the generated pages of the reference: the lab file, and the command line.

`python docs/reference_pages.py` writes them; a test compares them with what the
program says. Run it after changing the schema or the help of a command.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import windtunnel
from windtunnel.model.schema import json_schema
from windtunnel.store.tables import schema

FOLDER = Path(__file__).parent / "reference"
MADE = "<!-- made by docs/reference_pages.py; do not edit -->\n"
ENVIRONMENT = {
    "COLUMNS": "80",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "PYTHONPATH": str(Path(windtunnel.__file__).parents[1]),
}

# The parts of a lab file in the order in which one meets them: name, heading.
PARTS = (
    ("LabPart", "The lab"),
    ("HooksPart", "Hooks of the lab: `hooks`"),
    ("BeforePart", "A hook before: `before_lab`, `before_cell`, `before`"),
    ("AfterPart", "A hook afterwards: `after_lab`, `after_cell`"),
    ("NodePart", "A node: `nodes`"),
    ("NodeAfterPart", "A node's hook afterwards: `after`"),
    ("KindPart", "A kind: `kinds`"),
    ("NodeBody", "Defaults and groups: `defaults`, `groups`"),
    ("LinkPart", "A link: `links`"),
    ("LinkBody", "Defaults of links: `link-defaults`"),
    ("NetworkPart", "A network: `networks`"),
    ("MemberPart", "A member of a network: `members`"),
    ("ImpairmentPart", "One direction of a link: `forward`, `backward`"),
    ("LossPart", "Losses in bursts: `loss`"),
    ("DistributionPart", "How a jitter is spread: `distribution`"),
    ("QueuePart", "A buffer before the rate: `queue`"),
    ("FilePart", "A file: `files`"),
    ("CpuPart", "The cost of computing: `cpu`"),
    ("VolumePart", "A volume: `volumes`"),
    ("ProcessPart", "A program of a node: `run` in a node or kind"),
    ("RunPart", "A program: `run`"),
    ("ExpectPart", "How a program ends: `expect`"),
    ("StepPart", "A step: `steps`"),
    ("LinkSet", "A link's change: `set`, `degrade`"),
    ("FaultPart", "A fault: `faults`"),
    ("FlapPart", "A cable that goes out and in: `flap`"),
    ("RandomPart", "Random faults: `random`"),
    ("RandomKind", "A kind of random fault: `kinds`"),
    ("ValidatePart", "A check at the end: `validate`"),
    ("MatchPart", "What a text must look like: `match`, `stdout`"),
    ("CapturePart", "A capture: `capture`"),
)


def lab_file_page() -> str:
    """The page of the lab file's keys, from the JSON Schema."""
    schema = json_schema()
    parts = {"LabPart": schema, **schema["$defs"]}
    assert set(parts) == {name for name, _ in PARTS}, "name every part of the schema in PARTS"
    text = MADE + (
        "# Lab file\n\n"
        "A lab file is YAML 1.2.\n"
        "Quantities are written with their unit; a bare number is an error.\n"
        "An unknown key is an error, except keys that begin with `x-`, which are ignored.\n"
        "Merging goes from `defaults` over `kinds` and `groups` to the node itself.\n"
        "`windtunnel lab show --flat` prints what comes of it.\n"
    )
    return text + "".join(_part(parts[name], heading) for name, heading in PARTS)


def _part(schema: dict[str, Any], heading: str) -> str:
    rows = [
        f"| `{key}` | {_kind(value)} | {_default(key, value, schema)} | {_meaning(value)} |\n"
        for key, value in schema["properties"].items()
    ]
    head = "| Key | Value | Default | Meaning |\n| --- | --- | --- | --- |\n"
    return f"\n## {heading}\n\n{schema['description']}\n\n{head}{''.join(rows)}"


def _kind(schema: dict[str, Any]) -> str:
    """What kind of value it takes, in a few words."""
    if "const" in schema:
        return f"`{str(schema['const']).lower()}`"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if "anyOf" in schema:
        words = [_kind(choice) for choice in schema["anyOf"] if choice.get("type") != "null"]
        return " or ".join(dict.fromkeys(word for word in words if word))
    if "$ref" in schema:
        return _part_link(schema["$ref"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"mapping to {_kind(schema['additionalProperties'])}"
    if kind == "string" and "pattern" in schema and "examples" in schema:
        return f"text like `{schema['examples'][0]}`"
    if isinstance(kind, list):
        return " or ".join(_word(one) for one in kind if one != "null")
    return _word(kind)


def _word(kind: str) -> str:
    return {"string": "text", "integer": "whole number", "object": "mapping"}.get(kind, kind)


def _part_link(reference: str) -> str:
    name = reference.rsplit("/", 1)[-1]
    heading = dict(PARTS)[name]
    anchor = re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")
    return f"[{heading.partition(':')[0].lower()}](#{anchor})"


def _default(key: str, value: dict[str, Any], schema: dict[str, Any]) -> str:
    if key in schema.get("required", ()):
        return "must be given"
    default = value.get("default")
    if default in (None, [], {}, "") or isinstance(default, dict):
        return ""
    # Durations and sizes are whole numbers inside; show what one would write.
    shown = {1_000_000_000: "1 s", 1 << 30: "1 GiB", 1_893_456_000_000_000_000: "2030-01-01"}
    shown |= {120_000_000_000: "2 min"}
    shown |= {5_000_000: "5 ms", 100_000_000: "100 ms", 100_000: "100 us"}
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        text = f"{default:.0%}" if isinstance(default, float) else shown.get(default, str(default))
        return "0644" if key == "mode" else f"`{text}`"
    return f"`{str(default).lower()}`"


def _meaning(value: dict[str, Any]) -> str:
    text = str(value.get("description", "")).replace("|", "\\|")
    examples = value.get("examples", ())
    has_own = "pattern" not in value
    shown = ", ".join(f"`{_yaml(example)}`" for example in examples) if has_own else ""
    return f"{text} For example {shown}." if shown else text


def _yaml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(one)}" for key, one in value.items()) + "}"
    return str(value).replace("\n", "\\n")


def commands_page() -> str:
    """The page of the command line, from what --help says."""
    text = MADE + (
        "# Command line\n\n"
        "[Exit statuses](errors.md) are the same for all commands.\n"
        "`WINDTUNNEL_KERNEL` in the environment names a kernel as `--kernel` does.\n"
    )
    return text + "".join(_command(words) for words in _commands(()))


def _commands(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """A command and those below it, in the order of its help."""
    listed = re.search(r"^Commands:\n((?:  .*\n|\n)*)", _help(words), re.MULTILINE)
    names = re.findall(r"^  (\w+)  ", listed.group(1), re.MULTILINE) if listed else []
    return [words] + [found for name in names for found in _commands((*words, name))]


def _command(words: tuple[str, ...]) -> str:
    name = " ".join(("windtunnel", *words))
    return f"\n## {name}\n\n```text\n{_help(words).rstrip()}\n```\n"


@functools.cache
def _help(words: tuple[str, ...]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "windtunnel", *words, "--help"],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=True,
    )
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def tables_page() -> str:
    """The page of the tables that SQL can ask, from their schema."""
    text = MADE + (
        "# Tables\n\n"
        "[`windtunnel sql`](../howto/sql.md) and `windtunnel.open_runs` ask these.\n"
        "The key of a table names a row; with `ORDER BY` it gives the rows an order.\n"
        "All times are virtual, in integer nanoseconds; what the host decided has `host` in "
        "its name.\n"
        "A view is a query over other tables.\n"
    )
    return text + "".join(_table(table) for table in schema.TABLES)


def _table(table: schema.Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.key)
    kind = "A view" if table.query else "Read from run folders"
    rows = "".join(f"| `{one.name}` | {one.type} | {one.meaning} |\n" for one in table.columns)
    head = "| Column | Type | Meaning |\n| --- | --- | --- |\n"
    return f"\n## {table.name}\n\n{table.meaning}\n{kind}; key: {key}.\n\n{head}{rows}"


PAGES = {"lab-file.md": lab_file_page, "commands.md": commands_page, "tables.md": tables_page}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
