# SPDX-License-Identifier: Apache-2.0
"""The shape of a lab file: pydantic models, and the JSON Schema made from them.

The models say which keys exist and what kind of value each takes; short forms
become long ones, quantities become integers. What the values mean to each
other (does that node exist?) is for `windtunnel.model.check`. Which keys were
given at all is pydantic's `model_fields_set`: merging needs it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, model_validator

from windtunnel.model.fields import (
    Addressing,
    Clock,
    Drift,
    Duration,
    Frequency,
    JsonSchema,
    Lasting,
    Part,
    Sampling,
    Shift,
    ShortForm,
    Size,
    Status,
    Tracepoint,
    Word,
    refuse,
)
from windtunnel.model.hookschema import NO_HOOKS_PART, Before, HooksPart, NodeAfter
from windtunnel.model.lab import COUNTERS_NS
from windtunnel.model.linkschema import NO_IMPAIRMENT, ImpairmentPart
from windtunnel.model.nearmiss import hint_for
from windtunnel.model.programschema import Files, Match, MatchPart, ProcessPart, RunPart


class CpuPart(Part):
    """What computing costs in virtual time."""

    syscall_cost: Duration | None = Field(
        default=None,
        description="For each syscall, at most 1 ms. Default: 100 ns, or what `speed` gives.",
    )
    packet_cost: Duration | None = Field(
        default=None,
        description="For each packet that a network device of the node receives, at most 1 ms. "
        "Default: nothing, or what `speed` gives.",
    )
    speed: float | None = Field(
        default=None,
        description="Of the processor, 0.01 to 100. At 1 a syscall takes 200 ns, a page fault "
        "1 us, a switch between programs 2 us and a received packet 1 us; at 0.5 twice as long.",
        examples=[0.1],
    )


# Shared, because pydantic would copy a default for each of 10,000 nodes.
_NO_CPU = CpuPart()


class VolumePart(Part):
    """A block device of a node, with a file system that it finds mounted."""

    size: Size = Field(description="Of the device.")
    path: str = Field(description="Where it is mounted.", examples=["/data"])
    filesystem: str = Field(default="ext4", description="What is on it: ext4.")
    latency: Duration = Field(
        default=100_000, description="How long it takes to answer.", examples=["5 ms"]
    )


class NodeBody(Part):
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
    before: list[Before] = Field(
        default=[],
        description="On the host, before the kernel boots, in order; needs `run --hooks`.",
    )
    after: list[NodeAfter] = Field(
        default=[],
        description="When the lab has ended, whatever came of it: in the node, then on the host; "
        "the last one first.",
        examples=[["vtysh -c 'show ip route'"]],
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
    kernel: Word | None = Field(
        default=None,
        description="shared: the lab's, with other nodes; own: one of the same version for this "
        "node alone; anything else: a version, in quotes, or the path of a kernel of its own.",
        examples=["own", "'6.12'"],
    )
    memory: Size | None = Field(default=None, description="Of its own kernel; nothing is 128 MiB.")
    kernel_words: list[Word] = Field(
        default=[],
        alias="kernel-words",
        description="Further words for its own kernel's command line.",
        examples=[["mitigations=off"]],
    )
    volumes: dict[str, VolumePart] = Field(
        default={}, description="Block devices, by name; faults can fill and break them."
    )


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


class LinkBody(ImpairmentPart):
    """What link-defaults, links and networks have in common."""

    mtu: int = Field(default=1500, description="Bytes, 68 to 65535.")


def _addresses(value: Any) -> Any:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


Addresses = Annotated[
    list[str],
    ShortForm(_addresses, {"type": ["string", "null"], "examples": ["10.0.0.1/30"]}),
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
        default_factory=lambda: NO_IMPAIRMENT, description="Only from the first end to the second."
    )
    backward: ImpairmentPart = Field(
        default_factory=lambda: NO_IMPAIRMENT, description="Only from the second end to the first."
    )


def _link(value: Any) -> Any:
    return {"endpoints": value} if isinstance(value, list) else value


Link = Annotated[
    LinkPart,
    ShortForm(
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
    MemberPart, ShortForm(_member, {"type": "string", "examples": ["h1", "h1:eth0"]})
]


class NetworkPart(_WithSubnets):
    """A switch that many interfaces join."""

    members: list[Member] = Field(default=[], description="The interfaces on it.")


class LinkSet(ImpairmentPart):
    """New impairments of a link, for both directions or for one."""

    forward: ImpairmentPart = Field(
        default_factory=lambda: NO_IMPAIRMENT, description="Only from the first end to the second."
    )
    backward: ImpairmentPart = Field(
        default_factory=lambda: NO_IMPAIRMENT, description="Only from the second end to the first."
    )


_JUNIT = "The file in the node that cmd writes JUnit XML to: each test case in it is a check."
_JUNIT_EXAMPLES = ["/tmp/results.xml"]  # noqa: S108 - a node's /tmp is its own


class StepPart(Part):
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
    junit: str | None = Field(default=None, description=_JUNIT, examples=_JUNIT_EXAMPLES)
    check: bool = Field(
        default=True, description="false: a failure is recorded, and is no failed check."
    )

    @model_validator(mode="after")
    def _has_one_action(self) -> StepPart:
        actions = ("down", "up", "set", "cmd", "wait_for")
        given = [name for name in actions if getattr(self, name) is not None]
        if len(given) != 1:
            raise refuse(
                f"a step does one thing, and this one has {' and '.join(given) or 'none'}",
                "give one of " + ", ".join(actions),
            )
        target = "link" if given[0] in {"down", "up", "set"} else "node"
        other = "node" if target == "link" else "link"
        if getattr(self, target) is None or getattr(self, other) is not None:
            raise refuse(
                f"a step with {given[0]!r} needs the key {target!r}, and not {other!r}",
                f"write '{target}: …'",
            )
        if (given[0] == "wait_for") != (self.within is not None):
            raise refuse("wait_for and within belong together", "write 'wait_for: …, within: 30 s'")
        if self.junit is not None and given[0] != "cmd":
            raise refuse(
                f"junit is about the tests of a cmd, and this step has {given[0]!r}",
                "write 'cmd: …, junit: /tmp/results.xml'",
            )
        return self


class FlapPart(Part):
    """How a cable goes out and in, over and over."""

    down: Duration = Field(description="How long it is out.")
    up: Duration = Field(description="How long it is in.")


# What a fault can do to a link, to a node; the words that need a value even
# when the rest is drawn.
_TO_LINKS = ("down", "flap", "degrade", "one_way")
_TO_NODES = (
    "pause",
    "off",
    "kill",
    "stop",
    "restart",
    "memory",
    "full",
    "errors",
    "clock",
    "drift",
)
_FAULTS = (*_TO_LINKS, "partition", *_TO_NODES)
_WITH_VALUE = {
    "flap": "{flap: {down: 100 ms, up: 400 ms}}",
    "degrade": "{degrade: {loss: 10%}}",
    "memory": "{memory: 64 MB}",
    "clock": "{clock: +5 s}",
    "drift": "{drift: 200 ppm}",
}


class RandomKind(Part):
    """A kind of fault: what it does, but not to what, and not when."""

    down: Literal[True] | None = Field(default=None, description="A link's cable is out.")
    flap: FlapPart | None = Field(default=None, description="A link's cable goes out and in.")
    degrade: LinkSet | None = Field(default=None, description="A link has these impairments.")
    one_way: Literal[True] | None = Field(
        default=None, description="All that one end of a link sends is lost."
    )
    partition: Literal[True] | None = Field(
        default=None, description="Some nodes do not reach the others."
    )
    pause: Literal[True] | None = Field(default=None, description="A node is frozen.")
    off: Literal[True] | None = Field(default=None, description="A node has no power.")
    wipe: bool = Field(default=False, description="With off: it comes back as it first was.")
    kill: Literal[True] | None = Field(
        default=None, description="A process is killed, and started anew."
    )
    stop: Literal[True] | None = Field(default=None, description="A process is stopped.")
    restart: Literal[True] | None = Field(
        default=None, description="A process is killed and started anew at once."
    )
    memory: Size | None = Field(default=None, description="A node's processes get no more.")
    full: Literal[True] | None = Field(default=None, description="A volume is full.")
    errors: Literal[True] | None = Field(default=None, description="A volume fails (EIO).")
    clock: Shift | None = Field(default=None, description="A node's wall clock is set so far.")
    drift: Drift | None = Field(default=None, description="A node's clock is too fast.")

    @property
    def word(self) -> str:
        """What it does: the one key that is given."""
        return next(word for word in _FAULTS if getattr(self, word) is not None)

    @model_validator(mode="after")
    def _is_one_kind(self) -> RandomKind:
        _one_of(self, _FAULTS, "a kind of fault")
        if self.wipe and self.off is None:
            raise refuse("only a node that was off comes back wiped", "write {off: true, wipe: …}")
        return self


# Refuse what has none or many of some keys.
def _one_of(part: Part, words: tuple[str, ...], what: str) -> str:
    given = [word for word in words if getattr(part, word) is not None]
    if len(given) != 1:
        raise refuse(
            f"{what} does one thing, and this one has {' and '.join(given) or 'none'}",
            "give one of " + ", ".join(words),
        )
    return given[0]


def _kind(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value in _WITH_VALUE:
        raise refuse(f"{value!r} needs to know how", f"write {_WITH_VALUE[value]}")
    if value not in _FAULTS:
        raise refuse(f"no kind of fault {value!r}", hint_for(value, _FAULTS, what="kinds"))
    return {value: True}


Kind = Annotated[
    RandomKind,
    ShortForm(
        _kind, {"type": "string", "enum": [word for word in _FAULTS if word not in _WITH_VALUE]}
    ),
]


def _range(value: Any) -> Any:
    return [value, value] if isinstance(value, str) else value


class RandomPart(Part):
    """Faults that are drawn from the lab's seed."""

    kinds: list[Kind] = Field(
        description="What can happen, each as often as the others.",
        examples=[["down", "partition", {"memory": "64 MB"}]],
    )
    rate: Frequency = Field(description="How many on average (a Poisson process).")
    for_: Annotated[
        list[Duration],
        ShortForm(_range, {"type": "string", "examples": ["5 s"]}),
    ] = Field(
        alias="for",
        min_length=2,
        max_length=2,
        description="The shortest and the longest time that one lasts; all between are as likely.",
        examples=[["1 s", "10 s"]],
    )
    between: list[Duration] | None = Field(
        default=None,
        min_length=2,
        max_length=2,
        description="They begin from the first time on and before the second; nothing: all along.",
        examples=[["10 s", "2 min"]],
    )
    nodes: list[str] | None = Field(default=None, description="Only these; nothing: all.")
    links: list[str] | None = Field(default=None, description="Only these; nothing: all.")
    name: str = Field(
        default="random", description="Of what they are drawn from: another name, other faults."
    )


class FaultPart(Part):
    """Something that goes wrong: once, again and again, or at random."""

    at: Duration | None = Field(default=None, description="When it begins, in virtual time.")
    for_: Duration | None = Field(
        default=None, alias="for", description="How long it lasts; nothing: for good."
    )
    every: Duration | None = Field(default=None, description="Again after so long.")
    until: Duration | None = Field(
        default=None, description="With every: the last begins then at the latest."
    )
    name: str | None = Field(default=None, description="For people; unique.")
    link: str | None = Field(
        default=None, description="The link of down, flap, degrade and one_way."
    )
    down: Lasting | None = Field(
        default=None, description="Pull out its cable: true, or short for how long."
    )
    flap: FlapPart | None = Field(
        default=None,
        description="Pull it out and plug it in, over and over.",
        examples=[{"down": "100 ms", "up": "400 ms"}],
    )
    degrade: LinkSet | None = Field(
        default=None,
        description="Worse impairments; those that are not named stay.",
        examples=[{"loss": "10%"}],
    )
    one_way: str | None = Field(
        default=None, description="Lose all that this node sends over the link."
    )
    partition: list[list[str]] | None = Field(
        default=None,
        description="Groups of nodes that do not reach each other; the nodes that are in none "
        "form one more.",
        examples=[[["r1", "r2"], ["r3"]]],
    )
    node: str | None = Field(default=None, description="The node of all that follow.")
    pause: Lasting | None = Field(
        default=None, description="Freeze all that runs in it: true, or short for how long."
    )
    off: Lasting | None = Field(
        default=None, description="Cut its power, then boot it: true, or short for how long."
    )
    wipe: bool = Field(
        default=False, description="With off: it comes back with the files that it first had."
    )
    kill: str | None = Field(
        default=None, description="Kill this process; with for, it is started anew after that."
    )
    stop: str | None = Field(default=None, description="Stop this process (SIGSTOP).")
    restart: str | None = Field(
        default=None, description="Kill this process, and start it anew at once."
    )
    memory: Size | None = Field(default=None, description="Its processes get no more than this.")
    full: str | None = Field(default=None, description="This volume takes no more (ENOSPC).")
    errors: str | None = Field(default=None, description="This volume fails (EIO).")
    clock: Shift | None = Field(
        default=None,
        description="Set its wall clock forward or back, at most to 1970 or 2232; "
        "needs kernel: own.",
    )
    drift: Drift | None = Field(
        default=None,
        description="Its clocks go too fast, or too slowly: 1 to 100000 ppm, or as much with "
        "a minus; needs kernel: own.",
    )
    random: RandomPart | None = Field(
        default=None, description="Draw faults from the seed; stands alone."
    )

    @property
    def word(self) -> str:
        """What it does: the one key of `_FAULTS` that is given."""
        return next(word for word in _FAULTS if getattr(self, word) is not None)

    @model_validator(mode="after")
    def _is_one_fault(self) -> FaultPart:
        if self.random is not None:
            if self.model_fields_set != {"random"}:
                raise refuse("random stands alone", "give it an item of its own")
            return self
        word = _one_of(self, _FAULTS, "a fault")
        target = "link" if word in _TO_LINKS else "node" if word in _TO_NODES else None
        for key in ("link", "node"):
            if (key == target) != (getattr(self, key) is not None):
                needed = f"needs the key {target!r}" if target else "names its own nodes"
                raise refuse(f"a fault with {word!r} {needed}", f"write '{target or word}: …'")
        self._check_times(word)
        if self.wipe and word != "off":
            raise refuse("only a node that was off comes back wiped", "write 'off: 5 s, wipe: …'")
        return self

    def _check_times(self, word: str) -> None:
        if self.at is None:
            raise refuse("a fault begins at some time", "write 'at: 30 s'")
        if self.until is not None and self.every is None:
            raise refuse("until belongs to every", "write 'every: 30 s, until: …', or 'for: …'")
        if word == "restart" and self.for_ is not None:
            raise refuse("a restart takes no time", "leave 'for' out, or write 'kill: …, for: …'")
        if self.for_ is not None and getattr(self, word) is not True and word in _LASTING:
            raise refuse(f"{word!r} and 'for' both say how long", "keep one of them")


_LASTING = ("down", "pause", "off")


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
    junit: str | None = Field(default=None, description=_JUNIT, examples=_JUNIT_EXAMPLES)


class CapturePart(Part):
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
                raise refuse(
                    "a capture has a link, or a node and its interface, and this has both",
                    "write two captures",
                )
        elif self.node is None:
            raise refuse("a capture of nothing", "give it a link, or a node and its interface")
        elif self.interface is None:
            raise refuse(
                f"the capture names no interface of {self.node!r}",
                f"write '{self.node}:eth0'",
            )
        return self


def _capture(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    node, colon, interface = value.partition(":")
    if not colon:
        raise refuse(f"{value!r} names no interface", f"write '{value}:eth0'")
    return {"node": node, "interface": interface}


Capture = Annotated[
    CapturePart,
    ShortForm(_capture, {"type": "string", "pattern": "^[^:]+:[^:]+$", "examples": ["r1:eth1"]}),
]


# What the values may be is checked by `windtunnel.model.params`, which needs their text.
_SCALAR = {"type": ["string", "number", "boolean"]}
Axes = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
            "additionalProperties": {
                "anyOf": [
                    {"type": "array", "items": _SCALAR, "minItems": 1},
                    {
                        "type": "object",
                        "minProperties": 1,
                        "additionalProperties": {
                            "anyOf": [
                                _SCALAR,
                                {"type": "object", "additionalProperties": _SCALAR},
                            ]
                        },
                    },
                ]
            },
        }
    ),
]
Rule = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]
            },
        }
    ),
]


class LabPart(Part):
    """A lab: machines, links, and what happens to them."""

    name: str = Field(description="Of the lab, and of its folder of runs.")
    seed: int = Field(default=0, description="Every random choice derives from it.", examples=[42])
    stop: Duration | None = Field(
        default=None, description="Virtual time at which the lab ends; nothing: when all is done."
    )
    params: Axes = Field(
        default={},
        description="Each combination is a cell of its own; ${loss} stands for its value.",
        examples=[{"loss": ["0%", "1%"], "cc": ["cubic", "bbr"]}],
    )
    exclude: list[Rule] = Field(
        default=[],
        description="Combinations that are left out.",
        examples=[[{"loss": "1%", "cc": "bbr"}]],
    )
    include: list[Rule] = Field(
        default=[],
        description="Combinations besides; their values need not be in `params`.",
        examples=[[{"loss": "20%", "cc": ["cubic", "bbr"]}]],
    )
    matrix: str | None = Field(
        default=None,
        description="Instead of `params`: a file of Cartesian configuration; each variant is a "
        "cell, ${key} stands for its keys.",
        examples=["tests.cfg"],
    )
    cell_timeout: Duration | None = Field(
        default=None,
        alias="cell-timeout",
        description="Virtual time that a run may take; then it ends with the state timeout.",
    )
    cell_timeout_host: Duration | None = Field(
        default=None,
        alias="cell-timeout-host",
        description="The same in host time, with its hooks; depends on the machine.",
    )
    hooks: HooksPart = Field(
        default_factory=lambda: NO_HOOKS_PART,
        description="What is done on the host around the lab and its cells.",
    )
    memory: Size = Field(default=1 << 30, description="Of the shared kernel.")
    clock: Clock = Field(
        default=1_893_456_000_000_000_000, description="The wall clock at virtual time zero (UTC)."
    )
    counters: Sampling = Field(
        default=COUNTERS_NS,
        description="How often what interfaces and processes have used is sampled, and at the "
        "end too; end: only then; never: not at all. A lab without stop samples at its end.",
    )
    trace: list[Tracepoint] = Field(
        default=[],
        description="Tracepoints of the lab's kernels, recorded from lab time zero to the end: "
        "systems, and single events; syscalls are a system too.",
        examples=[["sched", "tcp", "irq:irq_handler_entry", "syscalls:openat"]],
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
    faults: list[FaultPart] = Field(default=[], description="What goes wrong, and when.")
    validate_: list[ValidatePart] = Field(
        default=[], alias="validate", description="Checks at the end of the lab."
    )
    capture: list[Capture] = Field(
        default=[], description="Interfaces and links to write to pcapng files."
    )


def json_schema() -> JsonSchema:
    """Make the JSON Schema of a lab file without parameters; editors get `editor_schema`."""
    schema = LabPart.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "windtunnel lab",
        **{key: value for key, value in schema.items() if key != "title"},
    }
