# SPDX-License-Identifier: Apache-2.0
"""Reports by hand: their names, what is left out of them, and what makes them doubtful."""

from __future__ import annotations

import pytest

from windtunnel.logs.report import Kind, find_reports, scan
from windtunnel.logs.report.kind import kind_of
from windtunnel.logs.report.title import TITLE_MAX_CHARACTERS, clean_title

FAULT = """\
general protection fault, probably for non-canonical address 0xdffffc0000000000: 0000 [#1]
RIP: 0010:ring_rx+0x10/0x40
Call Trace:
 ring_poll+0x1/0x20
 ret_from_fork+0x1/0x20
"""


def only(text):
    (report,) = find_reports(text)
    return report


def owned(owner, text, start=0):
    return "".join(
        f"[    1.{start + at:06}][{owner:>6}] {line}\n" for at, line in enumerate(text.splitlines())
    )


@pytest.mark.parametrize(
    ("title", "cleaned"),
    [
        ("kernel panic: bad at 0xffff8880a0ee3c54", "kernel panic: bad at ADDR"),
        ("a 10.0.0.1 b", "a IP b"),
        ("BUG in foo.c:77:9", "BUG in foo.c:LINE"),
        ("x in ip6_fragment+0x1052/0x2d80", "x in ip6_fragment"),
        ("stuck CPU#3 for 1,2,3 s", "stuck CPU for NUM,NUM,NUM s"),
        ("in cfg80211_rx not v123456789x", "in cfg80211_rx not vNUMx"),
        ("syz-executor.12/34 and syzkaller9", "syz-executor and syzkaller"),
        ("a\t\tb\x00c\u20ac  d ", "a bc d"),
        ("x" * 200, "x" * TITLE_MAX_CHARACTERS),
    ],
)
def test_a_title_has_nothing_that_differs_from_crash_to_crash(title, cleaned):
    assert clean_title(title) == cleaned


def test_a_kind_is_told_by_the_longest_beginning():
    assert kind_of("KASAN: use-after-free Write in x") is Kind.KASAN_FREED_WRITE
    assert kind_of("KASAN: use-after-free in x") is Kind.KASAN_FREED_READ
    assert kind_of("KASAN: new words in x") is Kind.KASAN_UNKNOWN
    assert kind_of("something else") is Kind.UNKNOWN


def test_a_fault_is_named_after_where_the_processor_was():
    report = only(FAULT)
    assert report.title == "general protection fault in ring_rx"
    assert (report.frame, report.corrupted, report.line) == ("ring_rx", "", 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (FAULT.replace("RIP", "xx"), "no frame names it"),
        (FAULT.partition("Call")[0] + "Call Trace:\n", "it ends with the beginning of a trace"),
        (FAULT.partition(" ring_poll")[0] + "a\nb\nc\n", "a trace without frames"),
        (FAULT.partition(" ring_poll")[0] + "Freed:\na\nb\n", "a trace without frames"),
        (FAULT.partition("Call")[0], "no trace"),
        ("kernel BUG at [    1.5]\n", "no frame names it"),
        ("Kernel BUG a [    1.5] b\n", "another line is in its title"),
        ("Kernel panic - not syncing: Fatal exception\n", "its beginning is lost"),
        ("UBSAN: nonsense\n", "only its headline is as it should be"),
        (FAULT + "serialport: VM disconnected.\n", "the console was disconnected"),
    ],
)
def test_a_report_that_is_not_whole_says_why(text, why):
    assert only(text).corrupted == why


def test_a_stack_that_cannot_be_had_is_no_sign_of_corruption():
    text = FAULT + "Freed by task 9:\n(stack is not available)\n\n"
    assert only(text).corrupted == ""


def test_risc_v_prints_no_trace_after_its_registers():
    registers = f"status: {'0' * 16} badaddr: {'0' * 16} cause: {'0' * 16}\n"
    assert only(FAULT + registers + "a\nb\nc\n").corrupted == ""


def test_fault_injection_in_the_middle_makes_a_report_doubtful():
    for place in ("RIP", " ring_poll"):
        text = FAULT.replace(place, f" should_failslab.part.3+0x1/0x2\n{place}")
        assert only(text).corrupted == "no frame names it"


def test_a_path_may_have_a_second_way():
    warning = "WARNING: CPU: 0 PID: 1 at a/b.c:7 ring_grow+0x1/0x2\n"
    text = warning + "Call Trace:\n __warn+0x1/0x2\n ring_grow+0x1/0x2\n do_one+0x1/0x2\n"
    assert only(text).title == "WARNING in ring_grow"


def test_what_both_ends_of_a_use_are_called_is_found():
    text = (
        "BUG: KMSAN: kernel-usb-infoleak in usb_submit_urb+0x1/0x2\n usb_submit_urb+0x1/0x2\n"
        " ring_send+0x1/0x2\n\nUninit was created at:\n kmalloc_trace+0x1/0x2\n ring_new+0x1/0x2\n"
    )
    report = only(text)
    assert report.title == "KMSAN: kernel-usb-infoleak in ring_send"
    assert report.aliases == ("KMSAN origin in ring_new",)


def test_old_arm_traces_name_both_ends_of_a_call():
    text = (
        "Unable to handle kernel NULL pointer dereference at virtual address 00000008\n"
        "PC is at memcpy+0x1/0x2\nBacktrace: \n"
        "[<80112233>] (memcpy) from [<80112244>] (ring_copy+0x1/0x2)\n"
        "[<80112233>] (ring_copy) from [<80112244>] (ring_main+0x1/0x2)\n"
    )
    report = only(text)
    assert report.title == "BUG: unable to handle kernel NULL pointer dereference in ring_copy"


@pytest.mark.parametrize(
    ("frames", "name"),
    [
        ("smp_call_function_single on_each_cpu", "smp_call_function"),
        ("ring_spin ring_ioctl vfs_ioctl", "ring_ioctl"),
        ("vfs_write do_syscall_64", "vfs_write"),
        ("ring_spin ring_loop", "corrupted"),
    ],
)
def test_a_stall_is_named_after_what_was_asked_for(frames, name):
    trace = "".join(f" {frame}+0x1/0x2\n" for frame in frames.split())
    text = f"BUG: soft lockup - CPU#0 stuck\nRIP: 0010:{frames.split()[0]}+0x1/0x2\nCall Trace:\n"
    assert only(text + trace).title == f"BUG: soft lockup in {name}"


@pytest.mark.parametrize(
    ("frames", "name"),
    [
        ("__schedule rtnl_lock ring_open", "rtnl_lock"),
        ("__schedule synchronize_srcu ring_open", "synchronize_rcu"),
        ("__schedule down_write ring_open", "ring_open"),
        ("__schedule wait_here", "corrupted"),
    ],
)
def test_a_hung_task_is_named_after_what_it_waits_in(frames, name):
    trace = "".join(f" {frame}+0x1/0x2\n" for frame in frames.split())
    text = "INFO: task a:7 blocked for more than 143 seconds.\nCall Trace:\n" + trace
    assert only(text).title == f"INFO: task hung in {name}"


def test_system_calls_have_the_names_of_all_architectures_as_aliases():
    text = FAULT.replace("ring_rx", "__do_sys_ring").replace("ring_poll", "x")
    assert only(text).title == "general protection fault in ring"
    assert "general protection fault in __do_sys_ring" in only(text).aliases


def test_a_headline_that_fits_nothing_is_its_own_title():
    assert only("INFO: no such words\n").title == "INFO: no such words"
    later = "WARNING: nothing known\nWARNING: CPU: 0 at a/b.c:1 f+0x1/0x2\n"
    assert next(report.title for report in find_reports(later)) == "WARNING: nothing known"


def test_a_clue_may_be_wanted_in_the_headline_itself():
    assert only("BUG: KASAN: odd words\n").title == "KASAN: odd words"


def test_harmless_lines_are_no_reports():
    text = "INFO: lockdep is turned off\nWARNING: The mand mount option is being deprecated\n"
    assert list(find_reports(text)) == []
    assert list(find_reports("")) == []


def test_a_headline_that_is_printed_again_counts_once():
    text = "BUG: soft lock\n** replaying previous printk message **\nBUG: soft lockup - CPU#0\n"
    assert [report.line for report in find_reports(text)] == [3]


def test_lines_of_others_are_left_out_where_lines_have_owners():
    mine = owned("T1", FAULT).splitlines(keepends=True)
    others = owned("T2", "hello\n" * len(mine)).splitlines(keepends=True)
    text = "".join(line for pair in zip(mine, others, strict=True) for line in pair)
    assert only(text).extract == FAULT


def test_two_owners_reports_are_told_apart():
    mine = owned("T1", FAULT).splitlines(keepends=True)
    others = owned("T2", FAULT.replace("ring", "disk")).splitlines(keepends=True)
    text = "".join(line for pair in zip(mine, others, strict=True) for line in pair)
    assert [(report.owner, report.title) for report in find_reports(text)] == [
        ("T1", "general protection fault in ring_rx"),
        ("T2", "general protection fault in disk_rx"),
    ]


def test_a_panic_goes_on_with_the_report_before_it():
    report = only(owned("T1", FAULT + "Kernel panic - not syncing: Fatal exception\n"))
    assert report.panicked
    assert [found.panicked for found in find_reports(FAULT)] == [False]


def test_a_long_report_is_not_followed_by_the_trace_of_its_panic():
    registers = "".join(f"R{number:02}: 0\n" for number in range(30))
    text = owned("T1", FAULT + registers + "Kernel panic - not syncing: Fatal exception\nmore\n")
    assert only(text).extract.endswith("R29: 0\n")
    taint = "Disabling lock debugging due to kernel taint\n"
    assert taint not in only(owned("T1", FAULT + taint + "end\n")).extract


def test_the_traces_of_all_processors_belong_to_a_stall():
    text = owned("T1", FAULT + "Sending NMI from CPU 1 to CPUs 0:\n") + owned(
        "C0", "NMI backtrace\n"
    )
    assert only(text).extract.endswith("NMI backtrace\n")


def test_a_foreign_trace_ends_a_report_without_owners():
    text = FAULT + "FAULT_INJECTION: forcing a failure\nx\n"
    assert only(text).extract == FAULT
    assert only("FAULT_INJECTION: forcing a failure\n" + FAULT).extract.endswith(FAULT)


def test_uncertain_frames_are_left_out_unless_there_are_no_others():
    power = (
        FAULT + " ring_idle+0x1/0x2 (unreliable)\n ? ring_old+0x1/0x2\n <EOI> ? ring_kept+0x1/0x2\n"
    )
    kept = only(owned("T1", power)).extract
    assert "ring_idle" not in kept
    assert "ring_old" not in kept
    assert "ring_kept" in kept
    uml = "Kernel panic - not syncing: Kernel mode fault at addr 0x0, ip 0x0\nCall Trace:\n"
    uml += " [<60033afe>] ? _printk+0x0/0x61\n [<60081111>] ? segv+0x26c/0x3d0\n"
    uml += " [<60081111>] ? ring_rx+0x26c/0x3d0\n"
    report = only(owned("T1", uml))
    assert "_printk" not in report.extract
    assert report.title == "kernel mode fault in segv"


def test_what_the_owner_said_before_is_a_part_of_the_extract():
    before = owned("T1", "CPU features: x\n\nlist_add corruption.\n") + owned("T2", "no\n")
    assert only(before + owned("T1", FAULT)).extract.startswith("CPU features: x\nlist_add")
    many = owned("C1", "".join(f"line {number}\n" for number in range(9)))
    assert only(many + owned("C1", FAULT)).extract.startswith("line 4\n")


def test_a_silent_owner_has_no_more_to_say(monkeypatch):
    monkeypatch.setattr(scan, "SILENT_LINES", 3)
    text = owned("T1", FAULT) + owned("T2", "x\n" * 3) + owned("T1", "late\n")
    assert "late" not in only(text).extract


def test_a_report_has_an_end(monkeypatch):
    monkeypatch.setattr(scan, "REPORT_MAX_LINES", 10)
    assert only(FAULT + "x\n" * 100).extract.count("\n") == 11
    assert len(list(find_reports(FAULT * 30))) == 30
    assert only(FAULT + "x").extract.endswith("x\n")


def test_a_mishap_is_not_the_kernels_fault():
    report = only("Out of memory: Killed process 29 (python3) total-vm:108408kB\n")
    assert (report.title, report.mishap) == ("out of memory: killed python3", True)
    assert report.to_json()["kind"] == "OUT_OF_MEMORY"
