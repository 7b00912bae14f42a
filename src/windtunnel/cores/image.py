# SPDX-License-Identifier: Apache-2.0
"""A core opened with the symbols of its kernel, by drgn.

To drgn a User Mode Linux is an ordinary program. So its helpers for kernels work as
far as they only read types and memory, and a task's stack is found from the registers
that the kernel saved when it switched away from it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import drgn
from drgn.helpers.linux.pid import for_each_task

from windtunnel.errors import HostError, UsageError

READING = (drgn.FaultError, LookupError, ValueError, TypeError, AttributeError)
"""What reading a broken kernel, or one of another version, may raise."""

# struct pt_regs as ptrace has it, by which drgn learns of registers: arch/x86/include/asm/ptrace.h
_REGISTERS = (
    *("r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax"),
    *("cx", "dx", "si", "di", "orig_ax", "ip", "cs", "flags", "sp", "ss"),
)
# In the jmp_buf that a task left: arch/x86/um/shared/sysdep/archsetjmp_64.h
_SAVED = {
    "bx": "__rbx",
    "sp": "__rsp",
    "bp": "__rbp",
    "r12": "__r12",
    "r13": "__r13",
    "r14": "__r14",
    "r15": "__r15",
    "ip": "__rip",
}


class Image:
    """The memory of a kernel that is no more.

    Attributes:
        program: drgn's view of it, for its helpers.
        has_symbols: whether types and source lines are known.
    """

    def __init__(self, core: Path, program: Path, symbols: Path | None) -> None:
        """Open it.

        Args:
            core: as `machines.core` writes it.
            program: the kernel's, by which stacks are found.
            symbols: its debug information; without them only the stack of who crashed
                can be told, with no source lines.

        Raises:
            UsageError: the file is no core.
            HostError: it cannot be read.
        """
        # It says of each variable that gcc describes in a way that is new to it.
        logging.getLogger("drgn").setLevel(logging.CRITICAL)
        self.program = drgn.Program()
        try:
            self.program.set_core_dump(core)
            self.program.create_loaded_modules()
            module = self.program.main_module()
            module.try_file(program)
            if symbols is not None:
                module.try_file(symbols, force=True)  # a twin of the program, of another id
        except OSError as error:
            raise HostError(f"cannot read {error.filename or core}: {error.strerror}") from error
        except (ValueError, LookupError, drgn.FaultError) as error:
            raise UsageError(
                f"{core} is not the core of a kernel: {error}",
                hint="'windtunnel inspect' reads the file `core` of a run's folder",
            ) from error
        self.has_symbols = module.debug_file_status == drgn.ModuleFileStatus.HAVE
        self._registers = self._registers_type() if self.has_symbols else None

    def tasks(self) -> Iterator[Any]:
        """Give all tasks, `struct task_struct *`, by their numbers."""
        return for_each_task(self.program)

    def current(self) -> Any:
        """Give the task that ran at the end."""
        running = self.program["cpu_tasks"][0]
        # struct cpu_task until 6.12, a pointer since
        return running.task if running.type_.kind == drgn.TypeKind.STRUCT else running

    def stack(self, task: Any) -> drgn.StackTrace:
        """Give the calls that a task is in: of one that has been switched away from."""
        saved = task.thread.switch_buf[0]
        values = {name: int(saved.member_(member)) for name, member in _SAVED.items()}
        data = b"".join(values.get(name, 0).to_bytes(8, "little") for name in _REGISTERS)
        assert self._registers is not None, "there are symbols"
        registers = drgn.Object.from_bytes_(self.program, self._registers, data)
        return self.program.stack_trace(registers)

    def crashed_stack(self) -> drgn.StackTrace:
        """Give the calls that the kernel is in."""
        return self.program.stack_trace(self.program.crashed_thread().tid)

    def _registers_type(self) -> drgn.Type:
        word = self.program.type("unsigned long")
        members = [drgn.TypeMember(word, name, 64 * at) for at, name in enumerate(_REGISTERS)]
        return self.program.struct_type("pt_regs", 8 * len(_REGISTERS), members)


def text_of(value: Any) -> str:
    """A string of the kernel's, whatever bytes are in it."""
    return bytes(value.string_()).decode("utf-8", "backslashreplace")
