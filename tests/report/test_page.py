# SPDX-License-Identifier: Apache-2.0
"""The page: whole in itself, harmless whatever guests print, and usable in a real browser."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given

from cell_results import HEADER, any_results, cell, check, nasty_results, six_cells, thousand_cells
from html_pages import CONTRAST_MIN, Elements, contrast
from windtunnel.model.result import CellState
from windtunnel.report.overview import cells_of, failure_groups
from windtunnel.report.page import KINDS, html_page

OPEN_HOST_MS_MAX = 5_000
"""For a thousand cells, on a busy machine; an idle one needs a tenth."""


@given(any_results())
@example(nasty_results())
def test_no_text_of_a_guest_becomes_markup(drawn):
    header, results = drawn
    page = Elements(html_page(header, results))
    assert page.tags.count("script") == 2
    assert not set("<>&") & set(page.data)
    assert page.tags.count("b") == len(failure_groups(cells_of(results)))
    assert len(json.loads(page.data)["cells"]) == len({one.cell for one in results})
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    links = [value for name, value in page.attributes if name == "href"]
    assert all(link == "data:," or link.startswith("./") for link in links)


def test_the_same_results_give_the_same_bytes_and_a_thousand_cells_are_small():
    page = html_page(HEADER, thousand_cells())
    assert page == html_page(HEADER, thousand_cells())
    assert len(page.encode()) < 600_000
    assert len(html_page(HEADER, six_cells())) < 40_000


def test_failures_are_grouped_and_linked_without_the_script():
    page = html_page(HEADER, thousand_cells(), base_url="../runs/transport/0001")
    found = re.findall(r"<summary><b>(.*?)</b> (.*?)</summary>", page)
    assert found == [
        ("150 cells", "throughput on r1: 3 Mbit is less than 20"),
        ("10 cells", "took more than 60 s"),
        ("1 cell", "its worker died by signal 9"),
    ]
    assert (
        '<a href="../runs/transport/0001/cells/cc%3Dcc7%2Closs%3D7%25%2Cdelay%3D0ms/">'
        "cc=cc7,loss=7%,delay=0ms</a> lost"
    ) in page
    assert "839 passed, 150 failed, 10 timeout, 1 lost" in page
    assert "In all cells: kernel = newest" in page


def test_every_text_has_contrast_in_light_and_in_dark():
    style = html_page(HEADER, [])
    themes = re.findall(r":root \{\n(.*?)\}", style, re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", theme))
        for behind in ("paper", "panel", *KINDS):
            assert contrast(colours["ink"], colours[behind]) >= CONTRAST_MIN, behind
        for text in ("quiet", "link"):
            assert contrast(colours[text], colours["paper"]) >= CONTRAST_MIN, text


# ---- in a browser ----


@pytest.fixture
def show(browser, tmp_path):
    """A function that opens a page of results, as wide as it is told."""

    def show(results, *, header=HEADER, width=1280, address=""):
        file = tmp_path / "page.html"
        file.write_text(html_page(header, results), encoding="utf-8")
        browser.size(width, 900)
        browser.open("about:blank")
        browser.open(f"{file.as_uri()}{address}")
        assert browser.complaints() == []
        return browser

    return show


ROWS = """[...document.querySelectorAll('.map tr')].map(row => [...row.cells].map(cell =>
    cell.textContent))"""
LISTED = "[...document.querySelectorAll('details.cell')].map(cell => cell.textContent.trim())"
NOTE = "document.getElementById('cells-note').textContent"
FOCUS = "document.activeElement.getAttribute('aria-label')"


def test_the_map_has_two_axes_and_marks_what_was_retried(show):
    browser = show(six_cells())
    assert browser.ask(ROWS) == [
        ["cc \\ loss", "0%", "1%", "5%"],
        ["cubic", "✓", "✓", "✗"],
        ["bbr", "✓", "↻", "✓"],
    ]
    assert browser.ask(LISTED)[4] == "↻ flaky cc=bbr,loss=1% ↻ 2 tries"


def test_axes_can_be_chosen_and_the_others_are_folded_to_the_worst_state(show):
    browser = show(thousand_cells(), address="#rows=delay&columns=")
    rows = browser.ask(ROWS)
    assert rows[0] == ["delay", ""]
    assert rows[1] == ["0ms", "? 1/100"]
    assert rows[3] == ["20ms", "◔ 10/100"]
    assert rows[10] == ["90ms", "✗ 30/100"]
    browser.ask(
        "(() => { const box = document.getElementById('columns'); box.value = 'cc';"
        "box.dispatchEvent(new Event('change')); })()"
    )
    assert browser.ask(ROWS)[3][4] == "◔ 10/10"
    assert "columns=cc" in browser.ask("location.hash")


def test_the_list_can_be_filtered_by_state_text_group_and_field(show):
    assert len(show(thousand_cells()).ask(LISTED)) == 1000
    browser = show(thousand_cells(), address="#rows=cc&columns=loss&state=timeout,lost")
    assert browser.ask(NOTE) == "11 of 1000 cells"
    browser = show(thousand_cells(), address="#text=WORKER+died")
    assert [text.split()[2] for text in browser.ask(LISTED)] == ["cc=cc7,loss=7%,delay=0ms"]
    browser = show(thousand_cells())
    browser.ask("document.querySelectorAll('.group button')[1].click()")
    assert browser.ask(NOTE) == "10 of 1000 cells: one group of failures"
    browser.press("Escape")
    assert browser.ask(NOTE) == "All 1000 cells"
    browser.ask("document.querySelector('.map td button').click()")
    assert browser.ask(NOTE) == "10 of 1000 cells: cc0, 0%"


def test_keys_move_in_the_map_and_choose_a_field(show):
    browser = show(six_cells())
    browser.ask("document.querySelector('.map td button').focus()")
    assert browser.ask(FOCUS) == "cubic, 0%: passed"
    for key in ("ArrowRight", "ArrowDown", "ArrowRight"):
        browser.press(key)
    assert browser.ask(FOCUS) == "bbr, 5%: passed"
    browser.press("Enter")
    assert browser.ask(NOTE) == "1 of 6 cells: bbr, 5%"
    assert browser.ask(FOCUS) == "bbr, 5%: passed"
    assert browser.ask("document.querySelectorAll('.map [tabindex=\"0\"]').length") == 1
    browser.press("/")
    assert browser.ask("document.activeElement.id") == "text"


def test_an_opened_cell_shows_each_try_its_checks_and_its_files(show):
    bad = (check("a", passed=False, message="</pre><img src=x onerror=alert(1)>\x1b[31m"),)
    tries = [
        cell(0, CellState.TIMEOUT, finding="too long"),
        cell(0, CellState.FAILED, attempt=2, checks=bad, run="cells/x=0~2", finding="a: </pre>"),
    ]
    browser = show(tries)
    browser.ask("document.querySelector('details.cell').open = true")
    browser.ask("new Promise(done => setTimeout(done, 100))")
    text = browser.ask("document.querySelector('details.cell').innerText")
    assert "try 1: timeout" in text
    assert "</pre><img src=x onerror=alert(1)>\\x1b[31m" in text
    links = browser.ask("[...document.querySelectorAll('.try a')].map(a => a.getAttribute('href'))")
    assert links[5:7] == ["./cells/x%3D0~2/", "./cells/x%3D0~2/events.jsonl"]
    assert browser.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
def test_at_400_percent_zoom_nothing_but_the_map_scrolls_sideways(show, dark):
    browser = show(thousand_cells(), width=320)
    browser.dark(dark)
    browser.ask("document.querySelector('details.cell').open = true")
    assert browser.ask("document.documentElement.scrollWidth") == 320
    behind = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert behind == ("rgb(22, 24, 27)" if dark else "rgb(255, 255, 255)")


def test_a_thousand_cells_are_quick(show):
    browser = show(thousand_cells())
    took_ms = browser.ask("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert took_ms < OPEN_HOST_MS_MAX
    again_ms = browser.ask(
        "(() => { const began = performance.now(); change({rows: 'delay'});"
        "document.body.offsetHeight; return performance.now() - began; })()"
    )
    assert again_ms < OPEN_HOST_MS_MAX


def test_a_browser_shows_every_nasty_text_as_text(show):
    header, results = nasty_results()
    browser = show(results, header=header)
    assert browser.ask("document.querySelectorAll('details.cell').length") == len(results)
    assert browser.ask("document.querySelectorAll('.cell b, .cell script').length") == 0
    assert browser.ask("document.querySelectorAll('.map tr').length") == len(results) + 1


def test_results_without_axes_and_without_cells_are_shown_too(show):
    browser = show([cell(0, params={}, run=".")])
    assert browser.ask("document.getElementById('map-section').hidden") is True
    assert len(browser.ask(LISTED)) == 1
    browser = show([], header={})
    assert browser.ask("document.querySelector('.verdict').textContent") == "no cells"
