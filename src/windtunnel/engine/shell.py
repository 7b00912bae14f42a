# SPDX-License-Identifier: Apache-2.0
"""A terminal in a node of a lab: time stands still while one types.

A line is edited on the host while nothing runs. Then it goes to a shell in the
node, and time passes, with all that the lab does at its times, until that shell
is back at its prompt. The shell says so by a mark in its output that nobody
sees: it is the prompt.

While a command runs, what is typed reaches its terminal at the present instant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from windtunnel.engine.breakpoints import Breakpoints
from windtunnel.engine.node import PRIVATE
from windtunnel.engine.process import Process
from windtunnel.engine.recorder import Recorder
from windtunnel.engine.run import LabRun
from windtunnel.engine.timeline import Timeline
from windtunnel.engine.world import World, WorldOptions
from windtunnel.errors import UsageError, WindtunnelError
from windtunnel.model.event import Event
from windtunnel.model.lab import LabSpec
from windtunnel.model.nearmiss import near_miss
from windtunnel.model.units import format_duration, parse_duration

COMMAND_MAX_NS = 4 * 3_600_000_000_000
"""How long a command may take where nobody can press Ctrl-C."""

INTERRUPT = b"\x03"  # what the Ctrl-C key sends

_MARK = b"\x1b]7770;"
_MARK_END = b"\x07"
_PROMPT, _MORE = b"p", b"m"
_MARK_MAX_BYTES = 32

# PS1 says the exit status of the last command. The terminal echoes what a command is
# given, not the command line, which the host's terminal has shown already.
_SHELL_ENVIRONMENT = {
    "PS0": "$(stty echo)",
    "PS1": "\\[\\e]7770;p$?\\a\\]",
    "PS2": "\\[\\e]7770;m\\a\\]",
    "PROMPT_COMMAND": "stty -echo; export -n PS0 PS1 PS2 PROMPT_COMMAND",
    "HISTFILE": "",
}
MARK_OF_PROMPT = "\x1b]7770;p0\x07"
"""What a program prints in place of its prompt, so that we know that it waits."""


@dataclass(frozen=True, slots=True)
class ShellProgram:
    """What one types to in a node.

    Attributes:
        command: its command line.
        environment: further variables.
        prompt: what the host shows in place of its prompt.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    prompt: str


SHELL = ShellProgram(
    # --noediting: the line has been edited when it comes.
    ("bash", "--noprofile", "--norc", "--noediting", "-i"),
    _SHELL_ENVIRONMENT,
    prompt="#",
)

_WORDS = (
    *("sleep", "step", "at", "break", "breaks", "delete", "continue"),
    *("nodes", "node", "help", "quit"),
)

# What a program says that takes the screen over: the other screen, keys of its own.
_SCREEN = re.compile(rb"\x1b\[\?(?:1049|1047|47|1)h")

HELP = """\
:sleep TIME   let time pass, such as :sleep 10 s; :step 1 ns is the same
:at [TIME]    the lab's time; or let time pass until it is TIME
:break TIME   stand still at this time of the lab
:break event KIND [FIELD=VALUE]...
              stand still when this happens, such as :break event fault,
              or :break event process node=r1; KIND may be a first word
:breaks       all breakpoints
:delete N     remove the breakpoint with this number; all with :delete all
:continue     let time pass until the command ends, or to a breakpoint
:nodes        all nodes
:node NAME    go to another node; its shell stays as you left it
:help         this
:quit         leave; so does Ctrl-D

Time stands still at the prompt, and passes while a command runs, as fast as it
can; beside a program that takes over the screen (vi, less, top), or once you
type to a command, it goes at the pace of your clock. Processes and steps of the
lab happen at their times. Ctrl-C interrupts a command."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a line did.

    Attributes:
        text: to be shown at once; empty when there is nothing to say.
        leave: whether the user wants to leave.
        runs: whether a command runs now, and time is to pass until it has ended.
    """

    text: str = ""
    leave: bool = False
    runs: bool = False


class MarkFilter:
    """Takes the marks of the prompt out of a terminal's output, however it is split."""

    def __init__(self) -> None:
        self._held = b""
        self.at_prompt = False
        """Whether the last mark is the newest that was said."""
        self.wants_more = False
        """Whether the shell waits for the rest of a command."""
        self.status = 0
        """The exit status of the last command."""
        self.owns_screen = False
        """Whether the command has taken over the screen."""

    def begin_command(self) -> None:
        """Note that the shell has been given a line."""
        self.at_prompt = self.wants_more = self.owns_screen = False

    def feed(self, data: bytes) -> bytes:
        """Take output; return what of it is for the user."""
        shown = bytearray()
        rest = self._held + data
        while True:
            before, mark, after = rest.partition(_MARK)
            if not mark:
                break
            body, end, behind = after.partition(_MARK_END)
            if not end and len(after) <= _MARK_MAX_BYTES:
                break
            shown += before
            if not end:  # a program's own bytes that only look like ours
                shown += mark
                rest = after
                continue
            self._note(body)
            rest = behind
        keep = len(rest) - _held_from(rest)
        self._held = rest[len(rest) - keep :]
        shown += rest[: len(rest) - keep]
        if _SCREEN.search(shown):
            self.owns_screen = True
        return bytes(shown)

    def _note(self, body: bytes) -> None:
        self.at_prompt = True
        self.wants_more = body.startswith(_MORE)
        if body.startswith(_PROMPT) and body[1:].isdigit():
            self.status = int(body[1:])


def _held_from(rest: bytes) -> int:
    """Where a mark begins that may still become whole; the end if there is none."""
    at = rest.find(_MARK)
    if at >= 0:
        return at
    for length in range(min(len(_MARK) - 1, len(rest)), 0, -1):
        if rest.endswith(_MARK[:length]):
            return len(rest) - length
    return len(rest)


class NodeShell:
    """The shell of one node, on a terminal of its own."""

    def __init__(
        self,
        world: World,
        node: str,
        *,
        terminal: str,
        size: tuple[int, int],
        program: ShellProgram = SHELL,
    ) -> None:
        """Ask for it; it begins when time next passes.

        Args:
            world: that the node is in.
            node: its name.
            terminal: TERM for its programs.
            size: rows and columns.
            program: it, if it is no shell.
        """
        self.node = node
        self.prompt = program.prompt
        self.filter = MarkFilter()
        self._output = bytearray()
        self.process: Process = world.node(node).begin(
            program.command,
            env={**program.environment, "TERM": terminal},
            name=f"{PRIVATE}shell",  # no part of the lab, and no event
            terminal=True,
            sink=self._take,
        )
        self.process.resize(rows=size[0], columns=size[1])

    def _take(self, data: bytes, _stderr: bool) -> None:
        self._output += self.filter.feed(data)

    def take_output(self) -> bytes:
        """What is to be shown since this was last asked."""
        data = bytes(self._output)
        self._output.clear()
        return data

    @property
    def idle(self) -> bool:
        """Whether it waits for a line, or has ended."""
        return self.filter.at_prompt or not self.process.running


class ShellRecorder:
    """Keeps what the lab itself does, so that the user can be told."""

    def __init__(self, breakpoints: Breakpoints) -> None:
        self._lines: list[str] = []
        self._breakpoints = breakpoints

    def event(self, time_ns: int, kind: str, node: str = "", **fields: Any) -> None:
        """Note a step, a check, or the end of a process."""
        event = Event(time_ns, 0, kind, node, fields)
        self._breakpoints.note_event(event)
        text = _event_text(event)
        if text:
            self._lines.append(f"[{format_duration(time_ns)}] {text}")

    def output(self, node: str, process: str, data: bytes, *, stderr: bool) -> None:
        """Forget it: it would come in the middle of what is typed."""

    def take(self) -> list[str]:
        """What has happened since this was last asked, a line each."""
        lines, self._lines = self._lines, []
        return lines


def _event_text(event: Event) -> str:
    fields: Mapping[str, Any] = event.fields
    where = f"{event.node}: " if event.node else ""
    match event.kind:
        case "step":
            return f"{fields.get('name')}"
        case "check":
            verdict = "passed" if fields.get("passed") else f"failed: {fields.get('message')}"
            return f"{where}{fields.get('name')} {verdict}"
        case "process-exit":
            return (
                f"{where}{fields.get('process')} {fields.get('outcome')} ({fields.get('status')})"
            )
    return ""


class LabShell:
    """A lab that is run by hand. A context manager: leaving it ends the lab."""

    def __init__(
        self,
        spec: LabSpec,
        options: WorldOptions,
        *,
        node: str | None = None,
        terminal: str = "dumb",
        size: tuple[int, int] = (24, 80),
        at_ns: int = 0,
        program: Callable[[World, str], ShellProgram] | None = None,
    ) -> None:
        """Boot the lab, and let a shell begin in `node`, or in the first one.

        Args:
            spec: the lab; its stop time and validations do not count.
            options: how to run it.
            node: where to begin.
            terminal: TERM of programs in it.
            size: rows and columns of the terminal.
            at_ns: lab time at which the shell begins.
            program: says at that time what begins in place of a shell.

        Raises:
            UsageError: there is no such node.
            HostError, GuestError: as `World`.
        """
        self._names = [each.name for each in spec.nodes]
        name = self._known(node) if node is not None else (self._names or [""])[0]
        if not name:
            raise UsageError("the lab has no nodes")
        self._terminal = terminal
        self._size = size
        self._shells: dict[str, NodeShell] = {}
        self.breakpoints = Breakpoints()
        self._interrupted = False
        self._recorder = ShellRecorder(self.breakpoints)
        recorder: Recorder = self._recorder
        self.world = World(spec, options, recorder)
        try:
            run = LabRun(self.world, recorder, captures=_no_capture, progress=_say_nothing)
            self._timeline: Timeline = run.timeline()
            self._timeline.advance(lambda: False, until_ns=at_ns)
            if program is not None:
                self._begin(name, program(self.world, name))
            self._current = self._shell(name)
            self.finish()
        except BaseException:
            self.world.close()
            raise

    # ---- what it is in ----

    @property
    def node(self) -> str:
        """The present node."""
        return self._current.node

    @property
    def prompt(self) -> str:
        """What stands before a line: node and lab time."""
        if self._current.filter.wants_more:
            return "> "
        meanwhile = ", a command runs" if self.busy else ""
        time = format_duration(self.world.now_ns)
        return f"{self.node} {time}{meanwhile} {self._current.prompt} "

    @property
    def busy(self) -> bool:
        """Whether a command runs."""
        return not self._current.idle

    @property
    def ended(self) -> bool:
        """Whether the present node's shell has ended (`exit`)."""
        return not self._current.process.running

    @property
    def owns_screen(self) -> bool:
        """Whether the command has taken over the screen."""
        return self._current.filter.owns_screen

    @property
    def status(self) -> int:
        """The exit status of the last command, or of the shell once it has ended."""
        result = self._current.process.poll()
        return self._current.filter.status if result is None else result.exit_status

    @property
    def words(self) -> tuple[str, ...]:
        """What a line of ours may begin with, for completion."""
        return (
            ":sleep ",
            ":at ",
            ":step ",
            ":break ",
            ":break event ",
            ":breaks",
            ":delete ",
            ":continue",
            ":nodes",
            *(f":node {name}" for name in self._names),
            ":help",
            ":quit",
        )

    # ---- what the user does ----

    def enter(self, line: str) -> Outcome:
        """Take a line from the user.

        A line that begins with ":" is done at once. Any other is given to the
        shell: let time pass with `advance` or `finish`.

        Raises:
            WindtunnelError: the line is wrong, in the words of the error.
        """
        if line.startswith(":") and not self._current.filter.wants_more:
            return self._own(line)
        if self.busy:
            raise UsageError(
                f"a command still runs on {self.node}",
                hint="':continue' lets it go on; ':node NAME' goes to another node",
            )
        self._current.filter.begin_command()
        self._current.process.write(line + "\n")
        return Outcome(runs=True)

    def type(self, data: bytes) -> None:
        """Give bytes to the command's terminal, at the present instant."""
        self._current.process.write(data)

    def resize(self, *, rows: int, columns: int) -> None:
        """The user's terminal has another size now."""
        self._size = (rows, columns)
        for shell in self._shells.values():
            shell.process.resize(rows=rows, columns=columns)

    # ---- time ----

    @property
    def stopped(self) -> bool:
        """Whether a breakpoint has been hit, or an interrupt: time is to stand still."""
        return self.breakpoints.hit or self._interrupted

    def interrupt(self) -> None:
        """Let time stand still as soon as possible; for the handler of a signal."""
        self._interrupted = True

    def advance(self, slice_ns: int) -> None:
        """Let time pass until the command has ended or a breakpoint, for at most `slice_ns`."""
        self._pass_time(lambda: not self.busy, self.world.now_ns + slice_ns)

    def finish(self, limit_ns: int = COMMAND_MAX_NS) -> bool:
        """Let time pass until the command has ended or a breakpoint; whether within `limit_ns`."""
        self.advance(limit_ns)
        return not self.busy or self.stopped

    def _pass_time(self, condition: Callable[[], bool], until_ns: int) -> None:
        break_ns = self.breakpoints.next_ns()
        if break_ns is not None:
            until_ns = min(until_ns, break_ns)
        self._timeline.advance(lambda: condition() or self.stopped, until_ns=until_ns)
        self.breakpoints.note_time(self.world.now_ns)

    def take_output(self) -> bytes:
        """What the terminal is to show since this was last asked."""
        return self._current.take_output()

    def take_news(self) -> list[str]:
        """What the lab did by itself since this was last asked, a line each.

        Last come the breakpoints that were hit: once they are told, time may go on.
        """
        self._interrupted = False
        return [*self._recorder.take(), *self.breakpoints.take_hits()]

    def close(self) -> None:
        """End the lab."""
        self.world.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # ---- lines of ours ----

    def _own(self, line: str) -> Outcome:
        word, _, rest = line[1:].strip().partition(" ")
        rest = rest.strip()
        match word:
            case "sleep" | "step":
                self._sleep_until(self.world.now_ns + _duration(rest, line))
            case "continue":
                return self._continue()
            case "break":
                return Outcome(str(self.breakpoints.add(rest, now_ns=self.world.now_ns)))
            case "breaks":
                return Outcome(str(self.breakpoints))
            case "delete":
                self.breakpoints.delete(rest)
            case "at":
                if rest:
                    self._sleep_until(_duration(rest, line))
                return Outcome(f"{self.world.now_ns / 1e9:.9f} s")
            case "nodes":
                return Outcome("\n".join(self._names))
            case "node":
                self._current = self._shell(self._known(rest))
                self.finish()
            case "help" | "":
                return Outcome(HELP)
            case "quit" | "q" | "exit":
                return Outcome(leave=True)
            case _:
                near = near_miss(word, _WORDS)
                hint = f"did you mean ':{near}'?" if near else "':help' lists what there is"
                raise UsageError(f"there is no ':{word}'", hint=hint)
        return Outcome()

    def _sleep_until(self, time_ns: int) -> None:
        self._pass_time(lambda: False, time_ns)

    def _continue(self) -> Outcome:
        if self.busy:
            return Outcome(runs=True)
        if not self.breakpoints.any:
            raise UsageError(
                "nothing would stop it: no command runs, and there is no breakpoint",
                hint="':sleep 10 s' lets some time pass; ':break' sets a breakpoint",
            )
        self._pass_time(lambda: False, self.world.now_ns + COMMAND_MAX_NS)
        if not self.stopped:
            raise UsageError(
                "no breakpoint was hit within four hours of virtual time",
                hint="enter ':continue' again to go on",
            )
        return Outcome()

    def _shell(self, name: str) -> NodeShell:
        shell = self._shells.get(name)
        if shell is None or not shell.process.running:
            return self._begin(name, SHELL)
        return shell

    def _begin(self, name: str, program: ShellProgram) -> NodeShell:
        shell = NodeShell(
            self.world, name, terminal=self._terminal, size=self._size, program=program
        )
        self._shells[name] = shell
        return shell

    def _known(self, name: str) -> str:
        if name in self._names:
            return name
        near = near_miss(name, self._names)
        hint = f"did you mean {near!r}?" if near else f"the nodes are {', '.join(self._names)}"
        raise UsageError(f"there is no node {name!r}", hint=hint)


def _duration(text: str, line: str) -> int:
    try:
        return parse_duration(text)
    except WindtunnelError as error:
        raise UsageError(f"{line}: {error.message}", hint=error.hint) from error


def _no_capture(_name: str) -> Callable[[bytes], None]:
    return _say_nothing


def _say_nothing(_what: object) -> None:
    """A shell has no folder for it."""
