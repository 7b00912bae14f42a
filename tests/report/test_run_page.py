# SPDX-License-Identifier: Apache-2.0
"""The page of a run: the same for equal runs, harmless whatever guests print, and usable."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil

import pytest

import page_runs
from html_pages import CONTRAST_MIN, Elements, contrast
from page_runs import MS, NASTY, PINGS, A, B, S, capture, check, counters, process, record, tcp
from windtunnel.errors import UsageError
from windtunnel.model.event import Event
from windtunnel.report.run.page import run_page
from windtunnel.store import layout

OPEN_HOST_MS_MAX = 5_000
"""Of a run of 20 nodes and an hour, on a busy machine; an idle one needs a tenth."""

PAGE_BYTES_MAX = 5_000_000


def a_run(base, **more):
    given = {"captures": {"a-b": capture(*PINGS)}, "outputs": {("a", "ready"): b"fine\n"}}
    return record(base, **given | more)


def nasty_run(base):
    """A run in which a guest says all that could become markup, wherever it can."""
    events = (
        *page_runs.EVENTS,
        *process("a", NASTY, S, 2 * S, status=1),
        check(9 * S, NASTY, False, message=NASTY),
        Event(13 * S, 0, "finding", NASTY, {"message": NASTY}),
        Event(14 * S, 0, "link", "", {"link": NASTY, "change": {NASTY: NASTY}}),
        Event(15 * S, 0, "partition", "", {"groups": [[NASTY]]}),
    )
    name = NASTY.encode()
    return record(
        base,
        events,
        captures={"a-b": capture(*PINGS, comment=NASTY)},
        outputs={("a", NASTY): name, ("b", "x"): name + b"\xff\0"},
        console=page_runs.CONSOLE + f"<3>[   12.000000][   T12] {NASTY}\n" + NASTY + "\n",
        finding=NASTY,
        state="error",
    )


def data_of(page):
    return json.loads(Elements(page).data)


# ---- a function of the run's folder ----


def test_equal_runs_have_equal_pages_wherever_they_lie(tmp_path):
    one, other = a_run(tmp_path / "one"), a_run(tmp_path / "x" / "other")
    again = a_run(tmp_path / "one")
    assert again != one
    pages = [run_page(run).text for run in (one, other, again)]
    assert pages[0] == pages[1] == pages[2]
    assert "windtunnel replay ." in pages[0]
    assert str(tmp_path) not in pages[0]


# ---- what failed ----


def text_of(page):
    return re.sub(r"<[^>]*>", "", page[page.index("<main>") : page.index('<section id="topology')])


def test_why_it_failed_is_on_top_and_needs_no_script(tmp_path):
    text = text_of(run_page(a_run(tmp_path)).text)
    assert "validate it answers on a" in text
    assert "Began at 12.000000 s" in text
    assert "no answer" in text
    assert "Kernel crash: BUG: unable to handle kernel NULL pointer dereference" in text
    assert "at 1.000000 s" in text
    assert "windtunnel replay ." in text


def test_a_run_that_was_ended_says_by_what(tmp_path):
    text = text_of(
        run_page(a_run(tmp_path, state="error", finding="the guest is lost\n  | x")).text
    )
    assert "the guest is lost\n  | x" in text


def test_the_first_difference_from_another_run_is_shown(tmp_path):
    run = a_run(tmp_path)
    equal = run_page(run, against=a_run(tmp_path)).text
    assert "Nothing that was recorded differs." in equal
    other = a_run(tmp_path, outputs={("a", "ready"): b"bad\n"})
    text = text_of(run_page(run, against=other).text)
    assert "output of ready on a, stdout, line 1:\n  other  bad\n  this   fine" in text
    assert "Where it parts from 0003, another run" in text
    assert "Where it parts" not in run_page(run).text


def test_another_seed_is_no_first_difference_and_what_is_left_out_is_counted(tmp_path):
    other_seed = Event(0, 0, "lab-begin", "", {"lab": "pair", "seed": 8, "kernel_ns": 10 * S})
    events = tuple(other_seed if one.kind == "lab-begin" else one for one in page_runs.EVENTS)
    outputs = {("a", f"p{number:02}"): b"x\n" for number in range(23)}
    run = a_run(tmp_path, outputs=outputs)
    other = record(tmp_path, events, outputs=dict.fromkeys(outputs, b"y\n"))
    text = text_of(run_page(run, against=other).text)
    assert "the first event that differs" not in text
    assert "output of p19" in text
    assert "output of p20" not in text
    assert "(3 more outputs that differ; `windtunnel diff --json` has all)" in text


def test_a_failed_run_is_compared_with_the_last_that_passed_by_itself(tmp_path):
    passed = a_run(tmp_path, state="passed", outputs={("a", "ready"): b"good\n"})
    failed = a_run(tmp_path)
    page = run_page(failed)
    assert "Where it parts from 0001, the nearest run that passed" in page.text
    assert "output of ready on a, stdout, line 1:\n  other  good\n  this   fine" in page.text
    assert page.warnings == ()
    assert "Where it parts" not in run_page(passed).text
    (passed / layout.EVENTS).write_text("no event\n")
    spoilt = run_page(failed)
    assert spoilt.warnings == ("no comparison with a run that passed: ProtocolError",)
    assert "Where it parts" not in spoilt.text
    assert "No run that passed was found" not in spoilt.text


def test_a_failed_run_that_is_alone_says_what_it_lacks(tmp_path):
    failed = a_run(tmp_path)
    alone = "No run that passed was found"
    text = run_page(failed).text
    assert alone in text
    assert "<code>windtunnel report . --against GOOD</code>" in text
    assert alone not in run_page(failed, against=a_run(tmp_path)).text
    passed = a_run(tmp_path, state="passed")
    assert alone not in run_page(passed).text


def test_a_kernel_that_died_can_be_looked_into(tmp_path):
    run = a_run(tmp_path)
    assert "windtunnel inspect" not in run_page(run).text
    (run / "core").write_bytes(b"")
    assert "<code>windtunnel inspect .</code>" in run_page(run).text
    (run / "core-r1").write_bytes(b"")
    (run / "core-r2.failed").write_text("no space")
    text = run_page(run).text
    assert "<code>windtunnel inspect .</code>, <code>windtunnel inspect . --node r1</code>" in text
    assert "r2" not in text


def test_a_table_that_is_too_long_says_how_much_is_left_out(tmp_path):
    events = [check(at * MS, f"check {at}", False) for at in range(1_003)]
    text = run_page(record(tmp_path, events)).text
    assert "3 later rows are left out of the table" in text
    assert "left out of the table" not in run_page(a_run(tmp_path)).text


# ---- what is not to be trusted ----


def test_no_text_of_a_guest_becomes_markup(tmp_path):
    page = run_page(nasty_run(tmp_path)).text
    plain = Elements(run_page(a_run(tmp_path)).text)
    found = Elements(page)
    assert found.tags.count("script") == 2
    assert not {"img", "b"} & set(found.tags)
    assert set(found.tags) <= set(plain.tags) | {"li", "ul"}
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert not set("<>&") & set(found.data)
    assert "49" not in text_of(page).replace("4909", "")  # no template in a template
    links = [value for name, value in found.attributes if name == "href"]
    assert all(link == "data:," or link.startswith("#") for link in links)


def test_the_policy_allows_this_script_and_this_style_only(tmp_path):
    page = run_page(nasty_run(tmp_path)).text
    policy = re.search(r'Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag, start in (("style", "<style>"), ("script", "<script>")):
        inside = page.split(start)[1].split(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


# ---- runs that are not whole ----


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="not the folder of a run"):
        run_page(tmp_path)


def cut_events(run):
    file = run / layout.EVENTS
    file.write_bytes(file.read_bytes()[:-30])


def spoil_events(run):
    lines = (run / layout.EVENTS).read_bytes().splitlines(keepends=True)
    (run / layout.EVENTS).write_bytes(b"".join([*lines[:9], b"nonsense\n", *lines[9:]]))


def spoil_capture(run):
    file = run / layout.FILES / "a-b.pcapng"
    file.write_bytes(file.read_bytes() + b"\xff" * 64)


def change_manifest(**changes):
    def change(run):
        manifest = json.loads((run / layout.MANIFEST).read_text())
        (run / layout.MANIFEST).write_text(json.dumps(manifest | changes))

    return change


BAD_RUNS = {
    "killed": (change_manifest(state="running"), "it has no end", 0),
    "without manifest": (lambda run: (run / layout.MANIFEST).unlink(), "it has no end", 0),
    "a spoilt manifest": (lambda run: (run / layout.MANIFEST).write_text("{"), "manifest.json", 1),
    "a newer version": (change_manifest(schema=99), "schema 99", 1),
    "a cut event": (cut_events, "no answer", 0),
    "spoilt events": (spoil_events, "events.jsonl:10", 1),
    "no events at all": (lambda run: (run / layout.EVENTS).write_bytes(b""), "Timeline", 0),
    "no lab": (lambda run: (run / layout.LAB).unlink(), "no topology", 1),
    "a lab of a newer version": (
        lambda run: (run / layout.LAB).write_text("name: x\nwarp: 9\n"),
        "no topology: lab.yaml:2:1",
        1,
    ),
    "a lab that is no text": (lambda run: (run / layout.LAB).write_bytes(b"\xff"), "not UTF-8", 1),
    "no captures": (lambda run: shutil.rmtree(run / layout.FILES), "Timeline", 0),
    "a spoilt capture": (spoil_capture, "files/a-b.pcapng: ", 1),
    "no console": (lambda run: (run / layout.CONSOLE).unlink(), "Timeline", 0),
    "no outputs": (lambda run: shutil.rmtree(run / layout.NODES), "Timeline", 0),
}


@pytest.mark.parametrize("name", BAD_RUNS)
def test_a_run_that_is_not_whole_has_a_page_that_says_what_is_missing(name, tmp_path, show):
    spoil, words, warnings = BAD_RUNS[name]
    run = a_run(tmp_path)
    spoil(run)
    page = run_page(run)
    assert words in page.text
    assert len(page.warnings) == warnings
    assert str(tmp_path) not in page.text
    show(run)


def test_a_symlink_among_captures_and_outputs_is_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a secret of the host")
    run = a_run(tmp_path)
    (run / layout.NODES / "a" / "link.stdout").symlink_to(secret)
    (run / layout.FILES / "x.pcapng").symlink_to(secret)
    page = run_page(run).text
    assert "a secret" not in page
    assert data_of(page)["outputs"][0]["text"] == "fine\n"


# ---- the size ----


def hour_of_twenty(base):
    """20 nodes, an hour: 60 interfaces, 1500 processes, 1000 checks, two full captures."""
    nodes = [f"n{at}" for at in range(20)]
    named = ", ".join(f"{node}: {{}}" for node in nodes)
    text = f"name: pair\nclock: '2030-01-01T00:00:00Z'\nnodes: {{{named}}}\n"
    text += "links:\n" + "".join(
        f"  - {{name: l{at}, endpoints: [n{at}:e{at}, n{(at + 1) % 20}:f{at}]}}\n"
        for at in range(20)
    )
    events = []
    for at in range(1500):
        events += process(nodes[at % 20], f"process {at}", at * 2 * S, at * 2 * S + S)
    for at in range(1000):
        events.append(check(at * 3 * S, f"check {at}", at % 10 != 0, message="it is not so " * 5))
        events.append(Event(at * 3 * S + 1, 0, "link", "", {"link": "l1", "change": "down"}))
    for at in range(0, 3600, 10):
        events += [counters(at * S, node, at * 10**6, at * 10**5) for node in nodes]
    seen = [(at * MS, at % 2, tcp(A, B, seq=at, size=100), True) for at in range(30_000)]
    console = "".join(f"<6>[ {at}.000000][    T1] {'a line ' * 12}\n" for at in range(20_000))
    outputs = {(node, f"p{at}"): b"what it says\n" * 2_000 for node in nodes for at in range(5)}
    return record(
        base, events, lab_text=text, captures={"l0": capture(*seen)}, console=console,
        outputs=outputs,
    )  # fmt: skip


def test_an_hour_of_twenty_nodes_is_small_quick_and_says_what_is_left_out(tmp_path, show):
    run = hour_of_twenty(tmp_path)
    page = run_page(run).text
    assert len(page.encode()) < PAGE_BYTES_MAX
    assert "moments are left out" in page
    assert "16000 lines in the middle are left out" in page
    assert "50 more failed" in page
    assert " bytes left out" in page
    browser = show(run)
    took_ms = browser.ask("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert took_ms < OPEN_HOST_MS_MAX


# ---- in a browser ----


@pytest.fixture
def show(browser, tmp_path):
    """A function that opens the page of a run, as wide as it is told."""

    def show(run, *, width=1280):
        file = tmp_path / "page.html"
        file.write_text(run_page(run).text, encoding="utf-8")
        browser.dark(False)
        browser.size(width, 900)
        browser.open("about:blank")
        browser.open(file.as_uri())
        assert browser.complaints() == []
        return browser

    return show


STATE = "document.querySelector('[data-key=\"link:a-b\"]').getAttribute('class')"
NOW = "document.getElementById('now').innerText"
SHOWN = "document.getElementById('shown').textContent"


def test_the_slider_goes_through_the_states_of_links(tmp_path, show):
    browser = show(a_run(tmp_path))
    assert "12.000000 s" in browser.ask(NOW)  # it begins where something failed
    browser.ask("document.getElementById('slider').focus()")
    browser.ask("goTo(0)")
    assert browser.ask(STATE) == "up"
    seen = []
    for _ in range(9):
        browser.press("ArrowRight")
        seen.append((browser.ask(NOW).split(" ")[0], browser.ask(STATE)))
    assert seen == [
        ("2.000000", "down"),
        ("2.000000", "down"),
        ("3.000000", "down"),
        ("4.000000", "down"),
        ("5.000000", "down"),
        ("6.000000", "down"),
        ("8.000000", "up"),
        ("12.000000", "up"),
        ("15.000000", "up"),
    ]
    assert browser.ask("document.getElementById('slider').ariaValueText") is not None


def test_a_failed_check_leads_to_its_moment(tmp_path, show):
    browser = show(a_run(tmp_path))
    browser.ask("goTo(0)")
    browser.ask("document.querySelectorAll('button.moment')[1].click()")
    assert "step" not in browser.ask(NOW)
    assert "validate it answers on a: failed" in browser.ask(NOW)


def test_play_goes_on_by_itself_and_stops_at_the_end(tmp_path, show):
    browser = show(a_run(tmp_path))
    browser.ask("goTo(data.moments.length - 2); play()")
    assert browser.ask("document.getElementById('play').getAttribute('aria-pressed')") == "true"
    browser.call(
        "Runtime.evaluate",
        expression="new Promise(done => setTimeout(done, 2500))",
        awaitPromise=True,
    )
    assert browser.ask("view.moment === data.moments.length - 1") is True
    assert browser.ask("document.getElementById('play').getAttribute('aria-pressed')") == "false"


def test_keys_zoom_and_move_the_timeline(tmp_path, show):
    browser = show(a_run(tmp_path))
    browser.ask("goTo(0); document.getElementById('bars').focus()")
    assert browser.ask(SHOWN) == "0.000000 s to 20.000000 s"
    browser.press("+")
    assert browser.ask(SHOWN) == "0.000000 s to 10.000000 s"
    browser.press("ArrowRight")
    assert browser.ask(SHOWN) == "2.500000 s to 12.500000 s"
    browser.press("0")
    assert browser.ask(SHOWN) == "0.000000 s to 20.000000 s"


def test_the_timeline_has_every_bar_and_the_table_has_the_same(tmp_path, show):
    browser = show(a_run(tmp_path))
    bars = browser.ask("document.querySelectorAll('#bars .bar').length")
    rows = browser.ask("document.querySelectorAll('#timeline tbody tr').length")
    assert bars == rows == 9


def test_a_flow_can_be_chosen_and_its_table_says_the_same(tmp_path, show):
    seen = [*PINGS, *[(at, 0, tcp(A, B, seq=at, size=1), True) for at in range(3)]]
    browser = show(a_run(tmp_path, captures={"a-b": capture(*seen)}))
    options = "[...document.querySelectorAll('#flow option')].map(one => one.textContent)"
    assert browser.ask(options) == [
        "tcp 10.0.0.1:4000 ↔ 10.0.0.2:80 (3)",
        "icmp 10.0.0.1 ↔ 10.0.0.2 (3)",
    ]
    browser.ask(
        "(() => { const box = document.getElementById('flow'); box.value = '1';"
        "box.dispatchEvent(new Event('change')); })()"
    )
    assert browser.ask("document.querySelectorAll('#ladder .arrow').length") == 3
    browser.ask("document.querySelector('[data-table=ladder]').open = true")
    browser.ask("fillTable(document.querySelector('[data-table=ladder]'))")
    cells = browser.ask(
        "[...document.querySelector('[data-table=ladder] tbody tr').cells].map(c => c.textContent)"
    )
    assert cells == [
        "1.000000 s", "1.005000 s", "a", "b", "echo request, id 1, seq 1", "took 5 ms",
    ]  # fmt: skip


def test_the_log_can_be_searched_and_filtered(tmp_path, show):
    browser = show(a_run(tmp_path))
    lines = "[...document.querySelectorAll('#lines .said')].map(one => one.textContent)"
    assert len(browser.ask(lines)) == 3
    browser.ask("document.activeElement.blur()")
    browser.press("/")
    assert browser.ask("document.activeElement.id") == "text"
    browser.ask(
        "(() => { const box = document.getElementById('text'); box.value = 'LINK up';"
        "box.dispatchEvent(new Event('input')); })()"
    )
    assert browser.ask(lines) == ["eth0: link up"]
    assert browser.ask("document.querySelector('#lines mark').textContent") == "link up"
    browser.press("Escape")
    assert len(browser.ask(lines)) == 3
    browser.ask(
        "(() => { const box = document.getElementById('level'); box.value = '4';"
        "box.dispatchEvent(new Event('change')); })()"
    )
    assert [line[:8] for line in browser.ask(lines)] == ["BUG: ker"]


def test_a_browser_shows_every_nasty_text_as_text(tmp_path, show):
    browser = show(nasty_run(tmp_path))
    browser.ask("goTo(data.moments.length - 1); [...document.querySelectorAll('details')]"
                ".forEach(one => { one.open = true; })")  # fmt: skip
    assert browser.ask("document.querySelectorAll('img, main script').length") == 0
    assert browser.complaints() == []


@pytest.mark.parametrize("make", [a_run, nasty_run])
@pytest.mark.parametrize("dark", [False, True])
def test_at_400_percent_zoom_only_boxes_of_their_own_scroll_sideways(tmp_path, show, make, dark):
    browser = show(make(tmp_path), width=320)
    browser.dark(dark)
    assert browser.ask("document.documentElement.scrollWidth") == 320
    behind = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert behind == ("rgb(22, 24, 27)" if dark else "rgb(255, 255, 255)")


def test_every_control_has_a_name_and_can_be_reached_by_keyboard(tmp_path, show):
    browser = show(a_run(tmp_path))
    nameless = browser.ask(
        "[...document.querySelectorAll('button, input, select, [tabindex], svg[role=img]')]"
        ".filter(one => !(one.ariaLabel || one.textContent.trim() || one.labels?.length"
        " || one.closest('label'))).map(one => one.outerHTML)"
    )
    assert nameless == []
    assert browser.ask("document.querySelectorAll('[tabindex]:not([tabindex=\"0\"])').length") == 0


def test_every_colour_has_contrast_in_light_and_in_dark(tmp_path):
    page = run_page(a_run(tmp_path)).text
    themes = re.findall(r":root \{\n(.*?)\}", page, re.DOTALL)
    assert len(themes) == 4
    for shared, own in ((themes[0], themes[2]), (themes[1], themes[3])):
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", shared + own))
        for text in ("good", "bad", "warn", "calm", "cool"):
            for behind in ("paper", "panel"):
                assert contrast(colours[text], colours[behind]) >= CONTRAST_MIN, (text, behind)


def test_a_print_shows_what_failed_without_the_controls(tmp_path, show):
    browser = show(a_run(tmp_path))
    browser.call("Emulation.setEmulatedMedia", media="print")
    seen = "getComputedStyle(document.querySelector('{}')).display"
    assert browser.ask(seen.format(".controls")) == "none"
    assert browser.ask(seen.format(".failure")) == "block"
    # The log, all of it that the screen has; of the outputs those that are open.
    assert browser.ask(seen.format("#log")) == "block"
    assert browser.ask(seen.format("#outputs details")) == "none"
    browser.ask("document.querySelector('#outputs details').open = true")
    assert browser.ask(seen.format("#outputs details")) == "block"
    lines = "document.getElementById('lines')"
    assert browser.ask(f"{lines}.scrollHeight > {lines}.clientHeight") is False
    browser.call("Emulation.setEmulatedMedia", media="")
