# SPDX-License-Identifier: Apache-2.0
"""All heads, in the order in which they name a line that holds two of them."""

from __future__ import annotations

from windtunnel.logs.report import programs, sanitizers, traps
from windtunnel.logs.report.bugs import BUGS, INFOS
from windtunnel.logs.report.family import Head, one_of
from windtunnel.logs.report.warnings import WARNINGS

HEADS: tuple[Head, ...] = (
    BUGS,
    WARNINGS,
    INFOS,
    traps.UNABLE,
    traps.PROTECTION,
    traps.STACK_SEGMENT,
    traps.PANICS,
    traps.DOUBLE_FAULT,
    traps.RUST,
    traps.KERNEL_BUG,
    traps.OTHER_KERNEL_BUG,
    traps.SLUB,
    traps.DIVIDE,
    traps.DIVIDE_MISSPELT,
    traps.INVALID_OPCODE,
    traps.BREAKPOINT,
    traps.HARD_LOCKUP,
    sanitizers.UBSAN,
    traps.REBOOT,
    traps.NETDEVICE,
    traps.FILE_COUNT,
    traps.BUSY_INODES,
    traps.INTERNAL_ERROR,
    traps.UNHANDLED_FAULT,
    traps.ALIGNMENT,
    programs.TRUSTY,
    programs.GO_RUNTIME,
    *programs.FUZZER,
    programs.GO_PANIC,
    *programs.MISHAPS,
)

# Headlines that go on with the report before them, rather than beginning one.
FOLLOW_UPS = one_of(
    "invalid opcode: 0000",
    "Kernel panic - not syncing",
    "unregister_netdevice: waiting for",
    # Handling a fault faults again where memory is broken.
    "PANIC: double fault",
    "Internal error:",
)
# No reports, but their traces can be taken for those of the report before them.
FOREIGN_TRACES = (
    "vmalloc: allocation failure:",
    "FAULT_INJECTION: forcing a failure",
    "FAULT_FLAG_ALLOW_RETRY missing",
)
# A connection that ended here took the rest of the report with it.
HANGUPS = ("serialport: VM disconnected.",)
