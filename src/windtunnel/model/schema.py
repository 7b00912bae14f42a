# SPDX-License-Identifier: Apache-2.0
"""The shape of a lab file: pydantic models, and the JSON Schema made from them.

The models say which keys exist and what kind of value each takes; short forms
become long ones here, quantities become integers. What the values mean to each
other (does that node exist?) is for `windtunnel.model.check`. Which keys were
given at all is pydantic's `model_fields_set`: merging needs it.
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
    Field,
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
class _ShortForm:
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


# A parser of units.py as a pydantic validator: its message and hint travel in
# the error's context, from which `windtunnel.model.shape` takes them.
def _quantity(parse: Callable[[str], Any], what: str) -> BeforeValidator:
    def validate(value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = repr(value)
        if not isinstance(value, str):
            raise _refuse(f"{value!r} is not a {what}")
        try:
            return parse(value)
        except LabFileError as error:
            raise _refuse(error.message, error.hint) from error

    return BeforeValidator(validate)


# Refuse a value with our own words.
def _refuse(message: str, hint: str = "") -> PydanticCustomError:
    return PydanticCustomError("lab", "{message}", {"message": message, "hint": hint})


def _text_schema(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


def _mode(value: Any) -> Any:
    # YAML 1.2 reads 0644 as the number 644, and 0o644 as 420. Both mean rw-r--r--,
    # and only the first can be told from its digits: so quotes are demanded.
    if isinstance(value, str) and re.fullmatch(r"(0o?)?[0-7]{3,4}", value):
        return int(value.removeprefix("0o"), 8)
    raise _refuse(f"{value!r} is not a file mode", "write it in quotes: mode: '0644'")


def _rate(text: str) -> int | None:
    return None if text.strip() == "unlimited" else units.parse_rate(text)


# A number, or the word that stands for none.
def _number_or(word: str) -> BeforeValidator:
    def validate(value: Any) -> Any:
        if value == word:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise _refuse(f"{value!r} is neither a whole number nor {word!r}")
        return value

    return BeforeValidator(validate)


# Digits stay as they are; what YAML would change (1.10, 0x10, true) must be quoted.
def _word(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, float):
        words: dict[Any, str] = {True: "true", False: "false", None: "null"}
        shown = repr(value) if isinstance(value, float) else words[value]
        raise _refuse(f"{shown} is not text", f"put it in quotes: '{shown}'")
    return str(value) if isinstance(value, int) else value


Duration = Annotated[
    int,
    _quantity(units.parse_duration, "duration"),
    _text_schema(r"^\s*([0-9.]+\s*(ns|us|µs|ms|s|min|h|d)\s*)+$", "10 ms", "1.5 s", "1 h 30 min"),
]
Rate = Annotated[
    int | None,
    _quantity(_rate, "rate"),
    _text_schema(
        r"^\s*([0-9.]+\s*([kKMGTmgt]i?)?([bB]it|B/s|bit/s)|unlimited)\s*$",
        "100 Mbit",
        "56 kbit",
        "10 MB/s",
    ),
]
Queue = Annotated[
    int | None,
    _number_or("default"),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "default"}]}),
]
Status = Annotated[
    int | None,
    _number_or("any"),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 255}, {"const": "any"}]}
    ),
]
Size = Annotated[
    int,
    _quantity(units.parse_size, "size"),
    _text_schema(r"^\s*[0-9.]+\s*([kKMGT]i?)?B\s*$", "64 MB", "1 GiB"),
]
Share = Annotated[
    float,
    _quantity(units.parse_share, "share"),
    _text_schema(r"^\s*[0-9.]+\s*%\s*$", "1%", "0.1 %"),
]
Mode = Annotated[int, BeforeValidator(_mode), _text_schema(r"^(0o?)?[0-7]{3,4}$", "0644", "0755")]
Clock = Annotated[
    int,
    _quantity(parse_clock, "point in time"),
    _text_schema(
        r"^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?[Zz]?)?$", "2030-01-01T00:00:00Z"
    ),
]
Word = Annotated[str, BeforeValidator(_word), WithJsonSchema({"type": ["string", "integer"]})]
Addressing = Literal["none", "ipv4", "ipv6", "both"]


class _Part(BaseModel):
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


class MatchPart(_Part):
    """What a text must look like; every part that is given must hold."""

    text: str | None = Field(default=None, description="Must occur in the text.")
    regex: str | None = Field(
        default=None, description="Must be found in the text (Python's re.search, multi-line)."
    )
    json_: Any = Field(
        default=None,
        alias="json",
        description="Must be contained in the text, read as JSON: mappings by subset.",
    )
    path: str = Field(
        default="",
        description="Where in the JSON document to look first.",
        examples=["neighbors", "routes[0].nexthops"],
    )


def _match(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


Match = Annotated[MatchPart, _ShortForm(_match, {"type": "string"})]


class ExpectPart(_Part):
    """How a process must have ended when the lab stops."""

    exited: int | None = Field(
        default=None, ge=0, le=255, description="It ended with this exit status."
    )
    running: Literal[True] | None = Field(default=None, description="It still runs.")
    killed: Literal[True] | None = Field(default=None, description="A signal ended it.")
    stdout: Match | None = Field(default=None, description="What it must have printed.")

    @model_validator(mode="after")
    def _has_one_end(self) -> ExpectPart:
        given = [
            name for name in ("exited", "running", "killed") if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise _refuse(f"a process cannot end {' and '.join(given)}", "keep one of them")
        return self


_EXPECT = re.compile(r"exited\s+(\d{1,3})")


def _expect(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _EXPECT.fullmatch(value.strip())
    if match:
        return {"exited": int(match.group(1))}
    if value.strip() in {"running", "killed"}:
        return {value.strip(): True}
    raise _refuse(
        f"{value!r} is no expectation",
        "write 'exited 0', 'running', 'killed', or {exited: 0, stdout: …}",
    )


Expect = Annotated[
    ExpectPart,
    _ShortForm(
        _expect,
        {"type": "string", "pattern": r"^(exited \d+|running|killed)$", "examples": ["exited 0"]},
    ),
]


class FilePart(_Part):
    """A file of a node; exactly one of content, template, template_file, source, base64."""

    content: str | None = Field(default=None, description="The text, as it is.")
    template: str | None = Field(default=None, description="The text, a jinja2 template.")
    template_file: str | None = Field(
        default=None, description="A file with a jinja2 template, relative to the lab file."
    )
    source: str | None = Field(
        default=None, description="A file (or directory) to copy, relative to the lab file."
    )
    base64: str | None = Field(default=None, description="The bytes, in base64.")
    mode: Mode = Field(default=0o644, description="Permission bits, in quotes.")
    owner: str = Field(default="root", description="user or user:group", examples=["frr:frr"])

    @model_validator(mode="after")
    def _has_one_origin(self) -> FilePart:
        origins = ("content", "template", "template_file", "source", "base64")
        given = [name for name in origins if getattr(self, name) is not None]
        if len(given) != 1:
            raise _refuse(
                f"a file needs one of {', '.join(origins)}, and this one has "
                + (" and ".join(given) or "none")
            )
        return self


def _file(value: Any) -> Any:
    return {"content": value} if isinstance(value, str) else value


File = Annotated[FilePart, _ShortForm(_file, {"type": "string"})]


# `files: ./h1` is all that lies below that directory.
def _files(value: Any) -> Any:
    return {"/": {"source": value}} if isinstance(value, str) else value


Files = Annotated[dict[str, File], _ShortForm(_files, {"type": "string", "examples": ["./h1"]})]


class ProcessPart(_Part):
    """A program that runs beside the steps."""

    name: str | None = Field(
        default=None,
        description="Unique in its node; names its output. Default: the program's name.",
    )
    cmd: str = Field(description="A shell command line; may use {{ … }}.")
    start: Duration = Field(default=0, description="When, in virtual time.")
    env: dict[str, Word] = Field(default={}, description="Added to the node's environment.")
    timeout: Duration | None = Field(default=None, description="Killed after so long.")
    expect: Expect | None = Field(
        default=None, description="How it must end; nothing: any end is right."
    )


class RunPart(ProcessPart):
    """A program, and the node that it runs in."""

    node: str = Field(description="Where.")


class CpuPart(_Part):
    """What computing costs in virtual time."""

    syscall_cost: Duration | None = Field(
        default=None, description="Virtual time for each syscall."
    )


# Shared, because pydantic would copy a default for each of 10,000 nodes.
_NO_CPU = CpuPart()


class NodeBody(_Part):
    """What defaults, kinds, groups and nodes have in common."""

    sysctls: dict[str, Word] = Field(
        default={},
        description="Set before the interfaces go up.",
        examples=[{"net.ipv4.ip_forward": 1}],
    )
    env: dict[str, Word] = Field(
        default={}, description="Environment of every process of the node."
    )
    exec: list[str] = Field(
        default=[],
        description="Shell command lines, run in order before time zero; may use {{ … }}.",
    )
    files: Files = Field(
        default={},
        description="Absolute path to content; a path that ends with / takes a directory as "
        "source. Short form: a directory, for /.",
        examples=[{"/etc/motd": "hello\n"}, "./h1"],
    )
    run: list[ProcessPart] = Field(default=[], description="Programs that run beside the steps.")
    vars: dict[str, Any] = Field(default={}, description="Values for templates: {{ vars.asn }}.")
    cpu: CpuPart = Field(default_factory=lambda: _NO_CPU, description="How long computing takes.")


class KindPart(NodeBody):
    """Settings that many nodes share."""

    extends: str | None = Field(default=None, description="The kind that this one builds upon.")


class NodePart(NodeBody):
    """A machine."""

    kind: str | None = Field(
        default=None, description="A kind of `kinds`, or the built-in host or router."
    )
    groups: list[str] = Field(default=[], description="Groups of `groups`, later ones win.")
    addresses: list[str] = Field(
        default=[], description="On its loopback interface.", examples=[["1.1.1.1/32"]]
    )


class ImpairmentPart(_Part):
    """What a link does to packets (tc-netem)."""

    delay: Duration = Field(default=0, description="Added to each packet.")
    jitter: Duration = Field(default=0, description="Spread around the delay, at most the delay.")
    distribution: Literal["uniform", "normal", "pareto", "paretonormal"] = Field(
        default="uniform", description="Of the jitter."
    )
    loss: Share = Field(default=0.0, description="Share of packets lost.")
    duplicate: Share = Field(default=0.0, description="Share of packets sent twice.")
    reorder: Share = Field(
        default=0.0, description="Share sent at once instead of after the delay."
    )
    corrupt: Share = Field(default=0.0, description="Share with one bit flipped.")
    rate: Rate = Field(default=None, description="Bits a second, or unlimited.")
    queue: Queue = Field(
        default=None, description="Packets that may wait; netem's default is 1000."
    )


_NO_IMPAIRMENT = ImpairmentPart()


class LinkBody(ImpairmentPart):
    """What link-defaults, links and networks have in common."""

    mtu: int = Field(default=1500, description="Bytes, 68 to 65535.")


def _addresses(value: Any) -> Any:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


Addresses = Annotated[
    list[str],
    _ShortForm(_addresses, {"type": ["string", "null"], "examples": ["10.0.0.1/30"]}),
]


class _WithSubnets(LinkBody):
    """What links and networks have in common."""

    subnet: str | None = Field(
        default=None, description="IPv4, for addresses in the order of the ends."
    )
    subnet6: str | None = Field(
        default=None, description="IPv6, for addresses in the order of the ends."
    )
    addressing: Addressing | None = Field(default=None, description="Instead of the lab's own.")


class LinkPart(_WithSubnets):
    """A cable between two interfaces."""

    endpoints: list[str] = Field(
        min_length=2, max_length=2, description='"node" or "node:interface", two of them.'
    )
    name: str | None = Field(default=None, description='Unique; default "r1-r2".')
    ip: list[Addresses] | None = Field(
        default=None,
        max_length=2,
        description="Addresses with prefix length, for each end one or a list; [] is none.",
        examples=[["10.0.0.1/30", "10.0.0.2/30"]],
    )
    mac: list[str | None] | None = Field(
        default=None, min_length=2, max_length=2, description="One for each end; null draws one."
    )
    up: bool = Field(default=True, description="Whether it carries packets when the lab begins.")
    forward: ImpairmentPart = Field(
        default_factory=lambda: _NO_IMPAIRMENT, description="Only from the first end to the second."
    )
    backward: ImpairmentPart = Field(
        default_factory=lambda: _NO_IMPAIRMENT, description="Only from the second end to the first."
    )


def _link(value: Any) -> Any:
    return {"endpoints": value} if isinstance(value, list) else value


Link = Annotated[
    LinkPart,
    _ShortForm(
        _link,
        {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
    ),
]


class MemberPart(ImpairmentPart):
    """An interface that joins a network; its impairments are on what it sends."""

    endpoint: str = Field(description='"node" or "node:interface".')
    ip: Addresses | None = Field(
        default=None, description="Addresses with prefix length; [] is none."
    )
    mac: str | None = Field(default=None, description="Nothing draws one.")


def _member(value: Any) -> Any:
    return {"endpoint": value} if isinstance(value, str) else value


Member = Annotated[
    MemberPart, _ShortForm(_member, {"type": "string", "examples": ["h1", "h1:eth0"]})
]


class NetworkPart(_WithSubnets):
    """A switch that many interfaces join."""

    members: list[Member] = Field(default=[], description="The interfaces on it.")


class LinkSet(ImpairmentPart):
    """New impairments of a link, for both directions or for one."""

    forward: ImpairmentPart = Field(
        default_factory=lambda: _NO_IMPAIRMENT, description="Only from the first end to the second."
    )
    backward: ImpairmentPart = Field(
        default_factory=lambda: _NO_IMPAIRMENT, description="Only from the second end to the first."
    )


class StepPart(_Part):
    """One thing at a virtual time: a link's change, a command, or a wait."""

    at: Duration = Field(description="When, in virtual time.")
    name: str | None = Field(default=None, description="For people; unique.")
    link: str | None = Field(default=None, description="The link to change: with down, up or set.")
    down: Literal[True] | None = Field(default=None, description="Take the link down.")
    up: Literal[True] | None = Field(default=None, description="Bring the link up.")
    set: LinkSet | None = Field(
        default=None, description="New impairments; those that are not named stay."
    )
    node: str | None = Field(default=None, description="Where to run cmd or wait_for.")
    cmd: str | None = Field(default=None, description="A shell command line; may use {{ … }}.")
    wait_for: str | None = Field(
        default=None, description="A shell command line, repeated until it fits, within `within`."
    )
    match: Match | None = Field(default=None, description="What its stdout must look like.")
    exited: Status = Field(default=0, description="The exit status that it must have.")
    within: Duration | None = Field(default=None, description="How long wait_for may take.")
    every: Duration = Field(default=1_000_000_000, description="The pause between two tries.")
    check: bool = Field(
        default=True, description="false: a failure is recorded, and is no failed check."
    )

    @model_validator(mode="after")
    def _has_one_action(self) -> StepPart:
        actions = ("down", "up", "set", "cmd", "wait_for")
        given = [name for name in actions if getattr(self, name) is not None]
        if len(given) != 1:
            raise _refuse(
                f"a step does one thing, and this one has {' and '.join(given) or 'none'}",
                "give one of " + ", ".join(actions),
            )
        target = "link" if given[0] in {"down", "up", "set"} else "node"
        other = "node" if target == "link" else "link"
        if getattr(self, target) is None or getattr(self, other) is not None:
            raise _refuse(
                f"a step with {given[0]!r} needs the key {target!r}, and not {other!r}",
                f"write '{target}: …'",
            )
        if (given[0] == "wait_for") != (self.within is not None):
            raise _refuse(
                "wait_for and within belong together", "write 'wait_for: …, within: 30 s'"
            )
        return self


class ValidatePart(MatchPart):
    """A check at the end of the lab."""

    name: str | None = Field(default=None, description="For people; unique.")
    node: str = Field(description="Where.")
    cmd: str = Field(description="A shell command line; may use {{ … }}.")
    exited: Status = Field(default=0, description="The exit status that it must have.")
    within: Duration | None = Field(
        default=None, description="Repeat it until it fits, at most so long."
    )
    every: Duration = Field(default=1_000_000_000, description="The pause between two tries.")


class CapturePart(_Part):
    """Write what passes an interface, or both ends of a link, to a pcapng file."""

    node: str | None = Field(default=None, description="Where; with `interface`.")
    interface: str | None = Field(default=None, description="Of the node; `lo` is its loopback.")
    link: str | None = Field(
        default=None, description="Both ends of this link, in one file.", examples=["r1-r2"]
    )
    filter: str = Field(
        default="", description="As tcpdump takes it.", examples=["ospf", "tcp port 80"]
    )

    @model_validator(mode="after")
    def _one_place(self) -> CapturePart:
        if self.link is not None:
            if self.node is not None or self.interface is not None:
                raise _refuse(
                    "a capture has a link, or a node and its interface, and this has both",
                    "write two captures",
                )
        elif self.node is None:
            raise _refuse("a capture of nothing", "give it a link, or a node and its interface")
        elif self.interface is None:
            raise _refuse(
                f"the capture names no interface of {self.node!r}",
                f"write '{self.node}:eth0'",
            )
        return self


def _capture(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    node, colon, interface = value.partition(":")
    if not colon:
        raise _refuse(f"{value!r} names no interface", f"write '{value}:eth0'")
    return {"node": node, "interface": interface}


Capture = Annotated[
    CapturePart,
    _ShortForm(_capture, {"type": "string", "pattern": "^[^:]+:[^:]+$", "examples": ["r1:eth1"]}),
]


class LabPart(_Part):
    """A lab: machines, links, and what happens to them."""

    name: str = Field(description="Of the lab, and of its folder of runs.")
    seed: int = Field(default=0, description="Every random choice derives from it.", examples=[42])
    stop: Duration | None = Field(
        default=None, description="Virtual time at which the lab ends; nothing: when all is done."
    )
    memory: Size = Field(default=1 << 30, description="Of the shared kernel.")
    clock: Clock = Field(
        default=1_893_456_000_000_000_000, description="The wall clock at virtual time zero (UTC)."
    )
    root: str = Field(
        default="/", description="The host directory that is the nodes' root file system."
    )
    addressing: Addressing = Field(
        default="both", description="Which addresses are given automatically."
    )
    defaults: NodeBody = Field(default=NodeBody(), description="For every node.")
    link_defaults: LinkBody = Field(
        default=LinkBody(), alias="link-defaults", description="For every link and network."
    )
    kinds: dict[str, KindPart] = Field(
        default={}, description="Settings that nodes share, by name."
    )
    groups: dict[str, NodeBody] = Field(default={}, description="More settings that nodes share.")
    nodes: dict[str, NodePart] = Field(default={}, description="The machines, by name.")
    networks: dict[str, NetworkPart] = Field(default={}, description="Switches, by name.")
    links: list[Link] = Field(default=[], description="Cables between two interfaces.")
    run: list[RunPart] = Field(default=[], description="Programs that run beside the steps.")
    steps: list[StepPart] = Field(default=[], description="What happens, at virtual times.")
    validate_: list[ValidatePart] = Field(
        default=[], alias="validate", description="Checks at the end of the lab."
    )
    capture: list[Capture] = Field(
        default=[], description="Interfaces and links to write to pcapng files."
    )


def json_schema() -> JsonSchema:
    """Make the JSON Schema of a lab file, as shipped in `lab.schema.json`."""
    schema = LabPart.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "windtunnel lab",
        **{key: value for key, value in schema.items() if key != "title"},
    }
