# SPDX-License-Identifier: Apache-2.0
"""Packet filters as tcpdump compiles them: classic BPF, read and run.

`tcpdump -ddd EXPRESSION` prints the number of instructions and then, one a line,
operation, two jump distances and a constant. A filter only jumps forward, so it
ends; reading beyond the frame rejects it.

Source: S. McCanne, V. Jacobson, "The BSD Packet Filter"; bpf(4);
include/uapi/linux/bpf_common.h and filter.h.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from windtunnel.errors import ProtocolError

INSTRUCTIONS_MAX = 4096
"""BPF_MAXINSNS of linux/bpf_common.h."""

_LD, _LDX, _ST, _STX, _ALU, _JMP, _RET, _MISC = range(8)
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1}
_IMM, _ABS, _IND, _MEM, _LEN, _MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
_JA, _JEQ, _JGT, _JGE, _JSET = 0x00, 0x10, 0x20, 0x30, 0x40
_FROM_X = 0x08
_RET_A = 0x10
_TXA = 0x80
_NEG = 0x80
_CELLS = 16
_WORD = 2**32

_ALU_OPERATIONS: Mapping[int, Callable[[int, int], int]] = {
    0x00: operator.add,
    0x10: operator.sub,
    0x20: operator.mul,
    0x30: operator.floordiv,
    0x40: operator.or_,
    0x50: operator.and_,
    0x60: lambda a, b: a << b if b < 32 else 0,
    0x70: operator.rshift,
    0x90: operator.mod,
    0xA0: operator.xor,
}
_CONDITIONS: Mapping[int, Callable[[int, int], bool]] = {
    _JEQ: operator.eq,
    _JGT: operator.gt,
    _JGE: operator.ge,
    _JSET: lambda a, b: a & b != 0,
}


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: operation, where to go on if true or false, constant."""

    code: int
    jump_true: int
    jump_false: int
    k: int


Program = tuple[Instruction, ...]


def parse_program(text: str) -> Program:
    """Read what `tcpdump -ddd` prints.

    Raises:
        ProtocolError: it is no filter, or one that could not end well.
    """
    try:
        count, *rows = [[int(word) for word in line.split()] for line in text.splitlines()]
        program = tuple(Instruction(*row) for row in rows)
    except (ValueError, TypeError):
        raise ProtocolError(f"no packet filter: {text[:80]!r}") from None
    if count != [len(program)] or not 0 < len(program) <= INSTRUCTIONS_MAX:
        raise ProtocolError(f"a packet filter of {len(program)} instructions, said {count}")
    for at, one in enumerate(program):
        _check(program, at, one)
    return program


def _check(program: Program, at: int, one: Instruction) -> None:
    kind, operation = one.code & 7, one.code & 0xF0
    fine = min(one.jump_true, one.jump_false, one.code, one.k) >= 0 and one.k < _WORD
    if kind in (_LD, _LDX):
        fine &= one.code & 0x18 in _SIZES and one.code & 0xE0 <= _MSH
    if kind in (_ST, _STX) or (kind in (_LD, _LDX) and one.code & 0xE0 == _MEM):
        fine &= one.k < _CELLS
    if kind == _ALU:
        fine &= operation in _ALU_OPERATIONS or operation == _NEG
        fine &= one.k != 0 or operation not in (0x30, 0x90) or bool(one.code & _FROM_X)
    if kind == _JMP:
        furthest = one.k if operation == _JA else max(one.jump_true, one.jump_false)
        fine &= operation == _JA or operation in _CONDITIONS
        fine &= at + 1 + furthest < len(program)
    elif kind != _RET:
        fine &= at + 1 < len(program)
    if not fine:
        raise ProtocolError(f"a packet filter with the instruction {one} at {at}")


class _Rejected(Exception):  # noqa: N818 - it is no error
    """The filter read beyond the frame, or divided by zero: it does not match."""


def matches(program: Program, frame: bytes, size_bytes: int | None = None) -> bool:
    """Run a filter over a frame.

    Args:
        program: as `parse_program` made it.
        frame: what there is of it, from its link layer header on.
        size_bytes: its size on the link; None is that of `frame`.
    """
    machine = _Machine(frame, len(frame) if size_bytes is None else size_bytes)
    try:
        return machine.run(program)
    except _Rejected:
        return False


class _Machine:
    """The accumulator, the index register and the memory of one run."""

    def __init__(self, frame: bytes, size_bytes: int) -> None:
        self._frame = frame
        self._size_bytes = size_bytes
        self._a = self._x = 0
        self._cells = [0] * _CELLS

    def run(self, program: Program) -> bool:
        at = 0
        while True:
            one = program[at]
            kind = one.code & 7
            at += 1
            if kind == _RET:
                return bool(self._a if one.code & 0x18 == _RET_A else one.k)
            if kind == _JMP:
                at += self._jump(one)
            else:
                self._compute(kind, one)

    def _compute(self, kind: int, one: Instruction) -> None:
        if kind == _LD:
            self._a = self._load(one)
        elif kind == _LDX:
            self._x = self._load(one)
        elif kind == _ST:
            self._cells[one.k] = self._a
        elif kind == _STX:
            self._cells[one.k] = self._x
        elif kind == _ALU:
            self._a = self._alu(one) % _WORD
        elif one.code & 0xF8 == _TXA:
            self._a = self._x
        else:
            self._x = self._a

    def _jump(self, one: Instruction) -> int:
        operation = one.code & 0xF0
        if operation == _JA:
            return one.k
        right = self._x if one.code & _FROM_X else one.k
        return one.jump_true if _CONDITIONS[operation](self._a, right) else one.jump_false

    def _alu(self, one: Instruction) -> int:
        operation = one.code & 0xF0
        if operation == _NEG:
            return -self._a
        right = self._x if one.code & _FROM_X else one.k
        if not right and operation in (0x30, 0x90):
            raise _Rejected
        return _ALU_OPERATIONS[operation](self._a, right)

    def _load(self, one: Instruction) -> int:
        mode = one.code & 0xE0
        if mode == _IMM:
            return one.k
        if mode == _MEM:
            return self._cells[one.k]
        if mode == _LEN:
            return self._size_bytes
        if mode == _MSH:  # the length of an IPv4 header
            return (self._take(one.k, 1) & 0xF) * 4
        offset = one.k + (self._x if mode == _IND else 0)
        return self._take(offset, _SIZES[one.code & 0x18])

    def _take(self, offset: int, size: int) -> int:
        if offset + size > len(self._frame):
            raise _Rejected
        return int.from_bytes(self._frame[offset : offset + size], "big")
