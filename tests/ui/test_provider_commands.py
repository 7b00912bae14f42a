# SPDX-License-Identifier: Apache-2.0
"""`windtunnel provider`, as a user types it, on folders and real Git repositories."""

from __future__ import annotations

import json
import subprocess

import pytest

LAB = "name: {name}\nnodes: {{a: {{run: [{{cmd: '{cmd}'}}]}}}}\nstop: 1 s\n"


@pytest.fixture
def labs(program, tmp_path):
    """A folder with labs, and a user with a home of his own."""
    home = tmp_path / "home"
    home.mkdir()
    program.environment |= {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    folder = tmp_path / "labs"
    (folder / "good").mkdir(parents=True)
    (folder / "good" / "one.yaml").write_text(LAB.format(name="one", cmd="true"))
    (folder / "good" / "two.yaml").write_text(
        "params: {n: [1, 2]}\n" + LAB.format(name="two", cmd="exit 0")
    )
    (folder / "bad.yaml").write_text("nodes: {a: {rum: []}}\n")
    (folder / "notes.yaml").write_text("just: notes\n")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "three.yaml").write_text(LAB.format(name="three", cmd="true"))
    return folder


def git(folder, *words):
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(labs):
    git(labs, "init", "-q", "-b", "main")
    git(labs, "add", ".")
    git(labs, "commit", "-q", "-m", "first")
    git(labs, "tag", "v1")
    return labs


def test_a_folder_is_used_as_it_is(program, labs):
    assert program("provider", "add", "mine", str(labs)).returncode == 0
    listed = json.loads(program("provider", "list", "mine", "--json").stdout)
    assert listed["commit"] is None
    assert [(one["lab"], one["cells"]) for one in listed["labs"]] == [
        ("bad.yaml", 1),
        ("good/one.yaml", 1),
        ("good/two.yaml", 2),
    ]
    table = program("provider", "list").stdout.splitlines()
    assert table[0].split() == ["provider", "source", "ref", "version"]
    assert table[1].split()[0] == "mine"
    again = program("provider", "add", "mine", str(labs))
    assert again.returncode == 2
    assert "already" in again.stderr
    assert program("provider", "remove", "mine").returncode == 0
    assert "there is no provider 'mine'" in program("provider", "remove", "mine").stderr
    assert (labs / "bad.yaml").exists()


def test_of_a_repository_one_commit_is_used_until_the_next_bootstrap(program, repository):
    first = git(repository, "rev-parse", "HEAD")
    assert program("provider", "add", "far", str(repository), "--ref", "main").returncode == 0
    early = program("provider", "list", "far")
    assert early.returncode == 2
    assert "windtunnel provider bootstrap far" in early.stderr
    assert program("provider", "bootstrap").returncode == 0
    (repository / "good" / "one.yaml").unlink()
    git(repository, "commit", "-qam", "second")
    listed = json.loads(program("provider", "list", "far", "--json").stdout)
    assert listed["commit"] == first
    assert len(listed["labs"]) == 3
    told = json.loads(program("provider", "bootstrap", "far", "--json").stdout)
    assert told[0]["commit"] == git(repository, "rev-parse", "HEAD") != first
    assert told[0]["labs"] == ["bad.yaml", "good/two.yaml"]


def test_a_tag_and_a_commit_pin_what_is_used(program, repository):
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    for name, ref in (("tag", "v1"), ("commit", first), ("short", first[:10])):
        program("provider", "add", name, f"file://{repository}", "--ref", ref)
        told = json.loads(program("provider", "bootstrap", name, "--json").stdout)
        assert told[0]["commit"] == first
    program("provider", "add", "none", str(repository), "--ref", "v9")
    wrong = program("provider", "bootstrap", "none")
    assert wrong.returncode == 2
    assert "no tag, branch or commit 'v9'" in wrong.stderr
    assert "v1" in wrong.stderr


def test_changes_in_a_folder_under_git_are_told(program, repository):
    program("provider", "add", "mine", str(repository))
    assert " and changes" not in program("provider", "list").stdout
    (repository / "bad.yaml").write_text("nodes: {}\n")
    assert " and changes" in program("provider", "list").stdout


def test_a_tree_says_itself_which_labs_it_has_and_what_they_need(program, labs):
    (labs / "windtunnel-provider.ini").write_text(
        "[provider]\nneeds: sh no-such-program\n[good]\nsubdir: good\n"
    )
    program("provider", "add", "mine", str(labs))
    done = program("provider", "bootstrap", "mine", "--json")
    assert done.returncode == 3
    told = json.loads(done.stdout)[0]
    assert told["labs"] == ["good/one.yaml", "good/two.yaml"]
    assert told["missing_programs"] == ["no-such-program"]


def test_a_clone_that_was_cut_short_is_no_tree(program, repository, tmp_path):
    program("provider", "add", "far", str(repository), "--ref", "main")
    program("provider", "bootstrap", "far")
    place = next((tmp_path / "home/cache/windtunnel/providers").iterdir())
    (place / ".new-dead").mkdir()
    (place / "current").unlink()
    assert "not here yet" in program("provider", "list").stdout
    assert program("provider", "bootstrap", "far").returncode == 0
    assert not (place / ".new-dead").exists()
    assert "not here yet" not in program("provider", "list").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("add", "-x", "."), "No such option"),
        (("add", "a/b", "."), "cannot name a provider"),
        (("add", "x", "nowhere"), "there is no folder 'nowhere'"),
        (("add", "x", ".", "--ref=--evil"), "no tag, branch or commit"),
        (("bootstrap",), "there are no providers"),
        (("run", "x"), "there is no provider 'x'"),
    ],
)
def test_wrong_commands_say_so(program, labs, words, message):
    done = program("provider", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_what_git_says_is_passed_on(program, labs, tmp_path):
    program("provider", "add", "far", f"file://{tmp_path}/nowhere")
    done = program("provider", "bootstrap", "far")
    assert done.returncode == 2
    assert "git says" in done.stderr


def test_a_lab_that_leads_out_of_the_tree_is_refused(program, labs, tmp_path):
    (tmp_path / "outside.yaml").write_text(LAB.format(name="out", cmd="true"))
    (labs / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    program("provider", "add", "mine", str(labs))
    done = program("provider", "list", "mine")
    assert done.returncode == 2
    assert "link.yaml leads out of" in done.stderr


@pytest.mark.needs_uml
def test_labs_are_run_in_order_with_the_options_of_run(program, labs):
    from windtunnel.engine.kernel import default_kernel  # noqa: PLC0415

    program("provider", "add", "mine", str(labs))
    kernel = str(default_kernel().path)
    done = program("provider", "run", "mine", "--kernel", kernel, "--quiet")
    assert done.returncode == 2  # bad.yaml
    rows = [line.split()[0] for line in done.stdout.splitlines() if ".yaml" in line]
    assert rows == ["bad.yaml", "good/one.yaml", "good/two.yaml"]
    done = program("provider", "run", "mine/good", "--kernel", kernel, "--report", "junit=out.xml")
    assert done.returncode == 0, done.stderr
    assert "passed" in done.stdout
    assert 'tests="' in (program.folder / "out.xml").read_text()
    one = program("provider", "run", "mine/good/t*", "--kernel", kernel, "--only", "n=2")
    assert [line.split()[0] for line in one.stdout.splitlines() if ".yaml" in line] == [
        "good/two.yaml"
    ]
    assert (program.folder / "runs/two").is_dir()
