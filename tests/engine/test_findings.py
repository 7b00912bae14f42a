# SPDX-License-Identifier: Apache-2.0
"""What kmemleak says, read; and which kernel a sanitizer's test needs."""

from windtunnel.engine.findings import LEAKS_MAX, leaks_in

# as Linux 7.3 prints it (mm/kmemleak.c, print_unreferenced)
LEAK = """\
unreferenced object 0x000000006123a{number:x}00 (size 64):
  comm "insmod", pid 71, jiffies 4294938{number}
  hex dump (first 32 bytes):
    6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b  kkkkkkkkkkkkkkkk
    6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b  kkkkkkkkkkkkkkkk
  backtrace (crc 5a1e8d6c):
    kmemleak_alloc+0x2c/0x40
    __kmalloc_cache_noprof+0x1c5/0x2a0
    {function}+0x45/0x90
    do_one_initcall+0x5a/0x210
"""


def test_each_leaking_function_is_one_finding_however_often_it_leaks():
    text = "".join(
        LEAK.format(number=number, function=name)
        for number, name in enumerate(["test_init", "other_init", "test_init"], start=1)
    )
    found = list(leaks_in(text, "r1"))
    assert [one.title for one in found] == ["memory leak in test_init", "memory leak in other_init"]
    assert found[0].text.startswith("2 blocks; the first:\nunreferenced object 0x000000006123a100")
    assert found[1].text.startswith("unreferenced object 0x000000006123a200 (size 64):\n  comm")
    assert {(one.kernel, one.time_ns, one.blames) for one in found} == {("r1", None, True)}


def test_no_leaks_are_no_findings():
    assert list(leaks_in("")) == []
    assert list(leaks_in("kmemleak: something else\n")) == []


def test_there_are_not_more_findings_than_anybody_reads():
    text = "".join(
        LEAK.format(number=number, function=f"leak_{chr(97 + number)}_init") for number in range(25)
    )
    assert len(list(leaks_in(text))) == LEAKS_MAX
