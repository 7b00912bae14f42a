# SPDX-License-Identifier: Apache-2.0
"""Coverage of runs and of cells: added up, and written for people and programs.

The "kernel" is a program of two files; it leaves counts as a guest would, and is run once
for each run. Runs and results are written by their real writers.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from windtunnel.errors import HostError, UsageError
from windtunnel.images.coverage import FOLDER, keep_coverage
from windtunnel.images.kernels import Kernel, write_kernel
from windtunnel.images.variant import parse_variant
from windtunnel.model.coverage import FileCoverage
from windtunnel.model.result import CellResult, CellState
from windtunnel.report.coverage.gather import gather
from windtunnel.report.coverage.page import write_pages
from windtunnel.store.results_writer import ResultsWriter
from windtunnel.store.run_dir import RunWriter
from windtunnel.ui.app import run as main

SOURCES = {
    "net/a.c": '#include "../include/half.h"\nint a(int n)\n{\n\tif (n > 9)\n'
    '\t\treturn 0; /* </script> & "x" */\n\treturn half(n);\n}\n',
    "include/half.h": "static inline int half(int n)\n{\n\treturn n / 2;\n}\n",
    "init/main.c": "int a(int);\nint main(int count, char **words)\n"
    "{\n\treturn a(count * 4) < 0 && words;\n}\n",
}
KEYS = {"net": "0123456789ab", "net/a.c": "ba9876543210"}


@pytest.fixture
def make_kernel(tmp_path, monkeypatch, need_program):
    """A function that puts a kernel into an empty cache which counts in a path."""
    need_program("gcc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(path, sources=SOURCES, key=None):
        tree, objects = tmp_path / f"tree{key}", tmp_path / f"objects{key}"
        for name, text in sources.items():
            for top in (tree, objects):
                (top / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
        compile_ = ["gcc", "-frandom-seed=1", "-O0"]
        for name, flags in (("net/a", ["--coverage"]), ("init/main", [])):
            source = [str(tree / f"{name}.c"), "-c", "-o", f"{name}.o"]
            subprocess.run([*compile_, *flags, *source], cwd=objects, check=True)
        folder = tmp_path / "cache/windtunnel/kernels" / f"7.9.1-{key or KEYS[path]}"
        folder.mkdir(parents=True)
        link = ["gcc", "--coverage", "-o", str(folder / "linux"), "net/a.o", "init/main.o"]
        subprocess.run(link, cwd=objects, check=True)
        variant = parse_variant([path])
        keep_coverage(variant, tree, objects, folder)
        content = (folder / "linux").read_bytes()
        kernel = Kernel(
            "7.9.1", key or KEYS[path], folder / "linux", variant=variant,
            sha256=hashlib.sha256(content).hexdigest(),
        )  # fmt: skip
        write_kernel(kernel, folder)
        return kernel

    return make


@pytest.fixture
def counts(tmp_path):
    """A function that runs a kernel, and gives its counts by their objects' names."""

    def run(kernel, *words):
        place = tmp_path / "left"
        subprocess.run([kernel.path, *words], env={**os.environ, "GCOV_PREFIX": place}, check=True)
        objects = json.loads((kernel.path.parent / FOLDER / "build.json").read_text())["objects"]
        found = {"net/a.gcda": (place / objects.lstrip("/") / "net/a.gcda").read_bytes()}
        shutil.rmtree(place)
        return found

    return run


def write_run(path, kernel, files=None, *, own=None, state="passed"):
    """Write a run; `own` is a kernel and its counts, of the node r1."""

    def facts(one):
        return {"release": one.version, "key": one.key, "sha256": one.sha256}

    manifest = {"kernel": facts(kernel), "node_kernels": {"r1": facts(own[0])} if own else None}
    with RunWriter.create_at(
        path, lab="ring", lab_text="name: ring\n", source_text=None, manifest=manifest
    ) as writer:
        for name, data in (files or {}).items():
            writer.coverage_file("", name, data)
        for name, data in (own[1] if own else {}).items():
            writer.coverage_file("r1", name, data)
        writer.finish(state, summary={})
    return path


def test_a_run_without_counts_is_refused_and_says_why(make_kernel, tmp_path):
    kernel = make_kernel("net")
    lost = write_run(tmp_path / "lost", kernel, state="error")
    with pytest.raises(UsageError, match=r"ended before its counts were read \(state error"):
        gather(lost)
    plain = write_run(tmp_path / "plain", kernel)
    with pytest.raises(UsageError, match="its kernel did not count lines"):
        gather(plain)


def test_kernels_of_a_run_are_added_up(make_kernel, counts, tmp_path):
    one, other = make_kernel("net"), make_kernel("net/a.c", key=KEYS["net/a.c"])
    run = write_run(tmp_path / "run", one, counts(one), own=(other, counts(other, "x", "y")))
    found = gather(run)
    assert found.files == (
        FileCoverage("include/half.h", {1: 1, 3: 1}, {(1, "half"): 1}),
        FileCoverage("net/a.c", {2: 2, 4: 2, 5: 1, 6: 1}, {(2, "a"): 2}),
    )
    assert [file.path for file in found.covered_files()] == ["net/a.c"]
    assert found.asked == ("net", "net/a.c")


def test_a_kernel_that_is_gone_or_another_is_an_error(make_kernel, counts, tmp_path):
    kernel = make_kernel("net")
    run = write_run(tmp_path / "run", kernel, counts(kernel))
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["kernel"]["sha256"] = "0" * 64
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(HostError, match="is another one on this machine"):
        gather(run)
    shutil.rmtree(kernel.path.parent)
    with pytest.raises(HostError, match="is not on this machine"):
        gather(run)


def test_counts_of_different_sources_are_not_added_up(make_kernel, counts, tmp_path):
    one = make_kernel("net")
    changed = SOURCES | {"net/a.c": "int a(int n)\n{\n\treturn n;\n}\n"}
    other = make_kernel("net", changed, key="00aa00aa00aa")
    run = write_run(tmp_path / "run", one, counts(one), own=(other, counts(other)))
    with pytest.raises(UsageError, match=r"have different net/a\.c"):
        gather(run)


@pytest.fixture
def results(make_kernel, counts, tmp_path):
    """Results of three cells: of one the second try counts, and one was lost."""
    kernel = make_kernel("net")
    path = tmp_path / "results"
    cells = [("n=1", 1, counts(kernel)), ("n=1", 2, counts(kernel)), ("n=3", 1, None)]
    cells.append(("n=2", 1, counts(kernel, "x", "y")))
    writer = ResultsWriter.create_at(path, lab="ring", header={}, source_text=None)
    with writer:
        for at, (cell, attempt, files) in enumerate(cells):
            state = CellState.PASSED if files else CellState.ERROR
            run = f"cells/{at}"
            write_run(path / run, kernel, files, state="passed" if files else "error")
            writer.append(CellResult(cell, int(cell[-1]), attempt, state, run=run))
        writer.finish("failed", summary={})
    return path


def test_cells_are_added_up_and_of_each_its_last_try(results):
    steps = []
    found = gather(results, progress=lambda at, of: steps.append((at, of)))
    assert found.files[1].lines == {2: 2, 4: 2, 5: 1, 6: 1}
    assert (found.runs, found.without) == (
        2,
        ("n=3: it ended before its counts were read (state error)",),
    )
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_the_command_shows_a_table_and_says_what_is_missing(results, capsys):
    assert main(["coverage", str(results)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["file", "lines", "hit", "share", "functions", "called"],
        ["net/a.c", "4", "4", "100.0", "%", "1", "1"],
        ["all", "4", "4", "100.0", "%", "1", "1"],
        "no counts of n=3: it ended before its counts were read (state error)".split(),
        ["added", "up", "2", "runs"],
    ]


def test_the_command_writes_json_lcov_and_pages(results, tmp_path, capsys):
    info, pages = tmp_path / "out.info", tmp_path / "pages"
    words = ["--json", "--headers", "--lcov", str(info), "--html", str(pages)]
    assert main(["coverage", str(results), *words]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["lines"], document["lines_hit"], document["runs"]) == (6, 6, 2)
    assert document["files"][1]["counts"] == {"2": 2, "4": 2, "5": 1, "6": 1}
    assert "SF:net/a.c\nFN:2,a\nFNDA:2,a\n" in info.read_text()
    assert sorted(str(path.relative_to(pages)) for path in pages.rglob("*.html")) == [
        "include/half.h.html",
        "index.html",
        "net/a.c.html",
    ]


def test_the_pages_show_each_line_with_its_count(make_kernel, counts, tmp_path):
    kernel = make_kernel("net")
    found = gather(write_run(tmp_path / "run", kernel, counts(kernel)))
    write_pages(found, found.covered_files(), tmp_path / "pages")
    index = (tmp_path / "pages/index.html").read_text()
    assert '<a href="net/a.c.html">net/a.c</a>' in index
    assert "75.0 % (3 of 4)" in index
    page = (tmp_path / "pages/net/a.c.html").read_text()
    assert '<a href="../index.html">' in page
    assert re.search(
        r'id="L4" class="hit"><td class="number">4</td><td class="number">1</td>', page
    )
    missed = re.search(r'id="L5" class="missed">.*</tr>', page)
    assert "- 0" in missed[0]
    assert "return 0; /* &lt;/script&gt; &amp; &#34;x&#34; */" in missed[0]
    assert 'id="L7"><td' in page
    for text in (index, page):
        assert "<script" not in text
        assert "http" not in text.replace("http-equiv", "")


def test_pages_and_lcov_are_the_same_in_any_process(results, tmp_path, capsys):
    outputs = []
    for seed in ("1", "2"):
        place = tmp_path / f"out{seed}"
        subprocess.run(
            [sys.executable, "-m", "windtunnel", "coverage", str(results), "--html", str(place),
             "--lcov", str(place / "x.info")],
            env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True,
        )  # fmt: skip
        files = sorted(path for path in place.rglob("*") if path.is_file())
        outputs.append([(str(path.relative_to(place)), path.read_bytes()) for path in files])
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 3
