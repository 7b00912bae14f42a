# SPDX-License-Identifier: Apache-2.0
"""A matrix: counting, picking, cells, warnings and explanations."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from itertools import pairwise

import pytest

from matrix_oracle import no_files
from repository import REPOSITORY
from windtunnel.errors import MatrixFileError, UsageError
from windtunnel.matrix import ABSENT, ANY, Matrix, Parser
from windtunnel.matrix.expand import Expansion
from windtunnel.matrix.grammar import parse
from windtunnel.matrix.indexes import sample_indexes, shard_bounds
from windtunnel.matrix.names import join_names
from windtunnel.matrix.plan import make_plan
from windtunnel.matrix.states import States

TEXT = """\
mem = 512
cmd = boot ${mem}
variants os:
    - @linux:
        mem = 1024
        variants:
            - fedora.40:
            - debian.12:
    - windows: linux
        no virtio
variants disk:
    - ide:
    - virtio:
        mem += 1
windows: mem = 4096
"""
NAMES = [
    "(disk=ide).(os=linux).fedora.40",
    "(disk=ide).(os=linux).debian.12",
    "(disk=ide).(os=windows)",
    "(disk=virtio).(os=linux).fedora.40",
    "(disk=virtio).(os=linux).debian.12",
]
HUGE = "".join(
    f"variants a{axis}:\n"
    + "".join(f"  - v{axis}_{value}:\n      k{axis} = {value}\n" for value in range(10))
    for axis in range(12)
)


def matrix(text, **options):
    return Matrix.read(text, file="m.cfg", read=no_files, **options)


def test_variants_come_in_order_and_each_can_be_had_by_its_number():
    found = matrix(TEXT)
    assert [one.name for one in found.variants()] == NAMES
    assert [found.variant(at).name for at in range(5)] == NAMES
    assert found.count() == 5
    assert found.variant(2).needs == ("(disk=ide).linux",)
    assert found.variant(2).params == {
        "mem": "4096", "cmd": "boot 512", "os": "windows", "disk": "ide",
    }  # fmt: skip
    with pytest.raises(UsageError, match="no variant 5: the matrix has 5"):
        found.variant(5)


def test_shards_are_the_whole_in_parts():
    found = matrix(TEXT)
    parts = [found.shard(at, 3) for at in (1, 2, 3)]
    assert [begin for begin, _ in parts] == [0, 1, 3]
    assert [one.name for _, ones in parts for one in ones] == NAMES
    assert list(found.shard(1, 9)[1]) == []
    for at in (0, 4):
        with pytest.raises(UsageError, match="no shard"):
            found.shard(at, 3)


def test_bounds_of_shards_meet():
    bounds = [shard_bounds(10**12, at, 7) for at in range(1, 8)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == 10**12
    assert all(one[1] == two[0] for one, two in pairwise(bounds))


def test_a_sample_has_different_numbers_and_depends_on_its_seed_alone():
    one = sample_indexes(10**30, 50, 1)
    assert len(set(one)) == 50
    assert one == sorted(one) == sample_indexes(10**30, 50, 1) != sample_indexes(10**30, 50, 2)
    assert max(one) > 10**28
    assert sample_indexes(3, 5, 0) == [0, 1, 2]
    assert sorted({at for seed in range(60) for at in sample_indexes(5, 1, seed)}) == [
        0,
        1,
        2,
        3,
        4,
    ]


def test_a_matrix_of_10_to_the_12_is_counted_and_picked_from_by_states():
    found = matrix(HUGE, no=["v0_1..v11_3", "v3_4..v7_5", "v5_1..v6_2..v7_3"], only=["v1_0, v1_1"])
    everything, one = 2 * 10**11, 10**11
    pair, triple = 2 * 10**9, 2 * 10**8
    both = 2 * 10**7  # the two pairs; the triple and a pair: one third of v7 differs
    assert everything - 2 * pair - triple + both + 2 * 10**6 == found.count()
    assert one < found.count()
    assert len(found._states._known) < 200
    last = found.variant(found.count() - 1)
    assert last.name.startswith("(a11=v11_9).")
    assert len(list(found.sample(5, 3))) == 5
    assert len(list(found.shard(10**9, 10**10)[1])) in (19, 20)


def test_cells_are_choices_and_what_is_inside_a_value_may_be_absent():
    found = matrix(TEXT)
    cells = found.cells()
    assert [(one.name, one.values, one.inside) for one in cells.axes] == [
        ("disk", ("ide", "virtio"), None),
        ("os", ("linux", "windows"), None),
        ("variants:6", ("fedora.40", "debian.12"), (1, 0)),
    ]
    every = list(cells.cells())
    assert every == [(0, 0, 0), (0, 0, 1), (0, 1, ABSENT), (1, 0, 0), (1, 0, 1)]
    assert all(one in cells for one in every)
    assert (1, 1, ABSENT) not in cells
    assert (0, 0, ANY) not in cells
    assert cells.complete((1, ANY, ANY)) == (1, 0, 0)
    assert cells.allows((ANY, 1, ANY))
    assert not cells.allows((1, 1, ANY))
    assert not cells.allows((0, 1, 0))
    assert not cells.allows((0, 0, ABSENT))
    assert not cells.allows((0, 9, ANY))
    assert not cells.allows((0, 0))
    assert matrix(TEXT, only=["nobody"]).cells().complete((ANY, ANY, ANY)) is None
    assert list(matrix(TEXT, only=["nobody"]).cells().cells()) == []


def test_axes_of_one_name_are_told_apart():
    text = "variants x:\n - a:\nvariants x:\n - b:\n"
    assert [one.name for one in matrix(text).cells().axes] == ["x", "x:1"]


JOINED = """\
variants disk:
    - ide:
    - scsi:
        variants bus:
            - fast:
            - slow:
variants:
    - one:
    - two:
    - none:
no ide..two
join one two
variants:
    - x:
    - y:
"""


def test_behind_a_join_each_part_has_all_axes_for_itself():
    found = matrix(JOINED)
    cells = found.cells()
    assert [(one.name, one.inside) for one in cells.axes] == [
        ("variants:13", None),
        ("one/variants:7", None),
        ("one/disk", None),
        ("one/bus", (2, 1)),
        ("two/variants:7", None),
        ("two/disk", None),
        ("two/bus", (5, 1)),
    ]
    every = list(cells.cells())
    assert len(set(every)) == len(every) == found.count() == 12
    assert every[:2] == [(0, 0, 0, ABSENT, 1, 1, 0), (0, 0, 0, ABSENT, 1, 1, 1)]
    assert all(one in cells for one in every)
    assert (0, 0, 0, ABSENT, 1, 0, ABSENT) not in cells
    assert cells.complete((ANY, ANY, 1, 1, ANY, ANY, 1)) == (0, 0, 1, 1, 1, 1, 1)
    assert not cells.allows((ANY, 1, *[ANY] * 5))
    assert list(matrix(JOINED, no=["two"]).cells().cells()) == []


def test_a_join_that_only_some_variants_have_has_no_cells():
    text = "variants:\n - a:\n - b:\nvariants:\n - x:\n    join a b\n - y:\n"
    with pytest.raises(MatrixFileError, match="a 'join' inside a variant") as caught:
        matrix(text).cells()
    assert caught.value.where.line == 6
    assert matrix("variants:\n - x:\n - y:\n    variants:\n     - a:\njoin x y").cells().axes


def test_parts_of_a_join_that_are_called_alike_have_axes_of_their_own():
    names = [one.name for one in matrix("variants v:\n - a:\n - b:\njoin a a a").cells().axes]
    assert names == ["a/v", "a/v:1", "a/v:1#2"]


def test_joined_variants_are_counted_and_picked_like_others():
    found = matrix("variants:\n - a:\n - b:\n - c:\nvariants:\n - d:\n - e:\njoin a b c\n")
    names = [one.name for one in found.variants()]
    assert len(set(names)) == found.count() == 8
    assert [found.variant(at).name for at in range(8)] == names
    assert [
        one.name for _, ones in (found.shard(at, 3) for at in (1, 2, 3)) for one in ones
    ] == names
    assert matrix("variants:\n - a:\n - b:\njoin a q").count() == 0
    assert [one.name for one in found.find("d.a.nobody")] == []
    assert [one.name for one in found.find(names[3])] == [names[3]]


def test_references_find_keys_that_come_by_a_suffix_or_a_join():
    text = (
        "variants:\n - one:\n    key = Hello\n    suffix _v1\n - two:\n    key = Bye\n"
        "    suffix _v2\njoin one two\nboth = ${key_v1} ${key_v2}\n"
    )
    (found,) = matrix(text, strict=True).variants()
    assert found.params == {"key_v1": "Hello", "key_v2": "Bye", "both": "Hello Bye"}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a = ${mem}\nmem = 1", "m.cfg:1:1"),
        ("men = 1\nx: a = 1\nvariants:\n  - x:\n     a = ${mem}\n", "m.cfg:5:6"),
        ("b ~= 2\n!y: b = ${mem}\nvariants:\n  - x:\n", "m.cfg:2:5"),
        ("b = 2\nb ?= ${mem}", "m.cfg:2:1"),
        ("b = 2\n.* ?= ${mem}", "m.cfg:2:1"),
    ],
)
def test_a_reference_to_nothing_is_an_error_when_strict(text, where):
    text = text.replace("\nmem = 1", "\nx = 1")
    assert list(matrix(text).variants())
    with pytest.raises(MatrixFileError, match="refers to 'mem'") as caught:
        list(matrix(text, strict=True).variants())
    assert str(caught.value.where) == where


def test_limits_that_are_no_numbers_are_an_error_with_their_place():
    with pytest.raises(MatrixFileError, match="'x' is 'a' and 'x_max' is '4'") as caught:
        list(matrix("x_max = 4\nx = a\n").variants())
    assert str(caught.value.where) == "m.cfg:1:1"


@pytest.mark.parametrize(
    ("line", "says", "hint"),
    [
        ("no linx", "no variant is called 'linx'", "did you mean 'linux'?"),
        ("only (os=linx), ide", "no variant is called '(os=linx)'", "did you mean '(os=linux)'?"),
        ("only linux.ide", "'linux' immediately before 'ide'", "did you mean 'ide.linux'?"),
        ("no fedora.ide", "'fedora' immediately before 'ide'", "'fedora..ide' is both"),
        ("(os=linux): k = 1", "'(os' becomes a key", "use the bare label"),
        ("join linx ide", "no variant is called 'linx'", "did you mean 'linux'?"),
    ],
)
def test_what_matches_nothing_is_warned_about_with_the_near_miss(line, says, hint):
    (found,) = matrix(TEXT + line).doubts()
    assert says in found.message
    assert hint in found.hint
    assert str(found.where) == "m.cfg:16:1"
    assert str(found).startswith("m.cfg:16:1: ")


def test_what_is_right_is_not_warned_about():
    assert matrix(TEXT + "linux:\n  no 12\nonly ide.linux, virtio..40, fedora.40\n").doubts() == []


def test_an_explanation_names_filters_and_lines():
    (found,) = matrix(TEXT).explain("virtio.windows")
    assert [(one.text, str(one.where)) for one in found.removed] == [("no virtio", "m.cfg:10:9")]
    (found,) = matrix(TEXT).explain("(disk=virtio).fedora.40")
    assert found.removed == ()
    assert [(one.value, one.where.line) for one in found.keys["mem"]] == [
        ("512", 1), ("1024", 5), ("10241", 14),
    ]  # fmt: skip
    assert (
        matrix("k = 1\nk_b = 2\ndel k\nl ~= 3\nl ~= 4").explain("")[0].keys["k"][-1].value is None
    )


def test_an_explanation_follows_suffixes_joins_and_defaults():
    text = "variants:\n - a:\n    k = 1\n    suffix _s\n - b:\n - c:\njoin a b\n"
    found = matrix(text)
    assert list(found.explain("a")[0].keys) == ["k_s"]
    assert found.explain("a")[0].joined
    assert [one.text for one in found.explain("c")[0].removed] == ["join a b"]
    (found,) = matrix(TEXT, defaults=True).explain("ide.windows")
    assert [one.text for one in found.removed] == ["defaults mode: '- linux' is taken"]
    assert matrix(TEXT, defaults=True).explain("ide.debian.12")[0].removed == ()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("virto.linux", "did you mean 'virtio'"),
        ("linux.ide", "the last variants block comes first"),
    ],
)
def test_a_name_that_no_variant_has_is_an_error(name, hint):
    with pytest.raises(UsageError, match="no variant has the name") as caught:
        matrix(TEXT).explain(name)
    assert hint in caught.value.hint


def test_an_empty_matrix_says_which_filter_emptied_it():
    error = matrix(TEXT + "no ide\n", only=["windows"]).why_empty()
    assert (error.message.split(": ")[1], str(error.where)) == (
        "nothing is left after 'only windows'", "--only:1:1",
    )  # fmt: skip
    assert "joins leave nothing" in matrix("variants:\n - a:\njoin a b").why_empty().message


def test_a_variant_is_found_by_both_names():
    for name in (NAMES[1], "ide.debian.12"):
        assert [one.name for one in matrix(TEXT).find(name)] == [NAMES[1]]
    assert list(matrix(TEXT).find("virtio.windows")) == []
    assert [one.params for one in matrix("k = 1").find("")] == [{"k": "1"}]


def test_the_parser_reads_files_beside_each_other_and_counts_names_by_file(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "main.cfg").write_text("include sub/os.cfg\nvariants:\n  - x:\n  - y:\n")
    (tmp_path / "sub" / "os.cfg").write_text("variants os:\n  - a:\n    suffix _q\n")
    parser = Parser(str(tmp_path / "main.cfg"))
    parser.only_filter("x, y")
    parser.no_filter("y")
    parser.assign("k", " '1' ")
    (found,) = parser.get_dicts()
    assert found == {
        "name": "x.(os=a)", "shortname": "x.a", "dep": [], "os": "a", "k": "1",
        "_name_map_file": {"main.cfg": "x", "os.cfg": "(os=a)"},
        "_short_name_map_file": {"main.cfg": "x", "os.cfg": "a"},
    }  # fmt: skip
    assert (parser.only_filters, parser.no_filters) == (["only x, y"], ["no y"])
    assert list(Parser().get_dicts()) == [{"name": "", "shortname": "", "dep": []}]


def test_names_of_joins_are_as_programs_know_them():
    parser = Parser()
    parser.parse_string("variants n:\n - q:\n - r:\njoin q r\nvariants m:\n - x:\n")
    assert [one["name"] for one in parser.get_dicts()] == ["(m=x)(m=x).(n=q)(m=x).(n=r)"]
    assert list(Parser(filename=None, defaults=True).get_dicts())
    parser = Parser()
    parser.parse_string("variants:\n - q:\njoin q q\n")
    assert [one["name"] for one in parser.get_dicts()] == ["q"]


def test_forgetting_states_changes_nothing():
    plan = make_plan(parse(TEXT, file="m.cfg", read=no_files))
    found = Expansion(plan, States(plan, keep=0), join_names=join_names).all()
    assert [one["name"] for one in found] == NAMES


PROGRAM = """
import sys, json
sys.path[:0] = sys.argv[1:3]
from matrix_configs import write
import random
from windtunnel.matrix import Parser
for seed in range(60):
    text, defaults, axes = write(random.Random(seed).randrange)
    parser = Parser(defaults=defaults, expand_defaults=axes)
    parser.parse_string(text)
    try:
        print(json.dumps(list(parser.get_dicts())))
    except ValueError as error:
        print(error)
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_the_same_bytes_come_whatever_python_s_hashes_are():
    outputs = {
        hashlib.sha256(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, str(REPOSITORY / "src"), str(REPOSITORY / "tests")],
                env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
                check=True,
                capture_output=True,
                timeout=120,
            ).stdout
        ).hexdigest()
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("limit", "value", "found"),
    [
        ("x_max = 256", "512", "256"),
        ("x_max = 3M", "4K", "4K"),
        ("x_max = 1G", "1024M", "1024M"),
        ("x_max = 1.5G", "2G", "1.5G"),
        ("x_max = 10B", "11", "10B"),
        ("x_max = 2K", "1500", "2K"),
        ("x_min = 4", "1", "4"),
        ("x_min = 1T", "1G", "1T"),
        ("x_fixed = abc", "7", "abc"),
        ("x_min = 5\nx_max = 3", "4", "3"),
        ("x_max = 3\nx_min = 5", "4", "5"),
    ],
)
def test_limits_change_values_as_they_always_did(limit, value, found):
    (one,) = matrix(f"{limit}\nx = {value}\n").variants()
    assert one.params["x"] == found
    assert next(matrix(limit).variants()).params["x"] == limit.split()[-1]


def test_values_can_refer_to_names():
    (one,) = matrix(
        "variants os:\n  - @a: q\n  - b:\nonly a\nk = ${name} ${shortname}-${dep}"
    ).variants()
    assert one.params["k"] == "(os=a) -['q']"


def test_a_reference_that_is_known_is_no_error_when_strict_whatever_else_is_in_the_value():
    (one,) = matrix("a = ${}-\nb = ${a}$\n", strict=True).variants()
    assert one.params["b"] == "${}-$"
    late = (
        "variants:\n - x:\n    k = ${k_x}\n    suffix _x\n - y:\n    k = 4\n    suffix _y\njoin x y"
    )
    (one,) = matrix(late, strict=True).variants()
    assert one.params["k_x"] == "${k_x}"


def test_the_last_of_an_empty_matrix_is_nothing():
    def later(text, index):
        plan = make_plan(parse(text, file="m.cfg", read=no_files))
        return list(Expansion(plan, States(plan), join_names=join_names).from_index(index))

    assert later("variants:\n  - a:\nonly b\n", 0) == []
    assert later("variants:\n  - a:\njoin a b\n", 1) == []


def test_a_default_at_the_end_is_taken_alone():
    found = matrix("variants x:\n - a:\n - @b:\nvariants y:\n - c:\n - d:\n", defaults=True)
    assert [one.name for one in found.variants()] == ["(y=c).(x=b)", "(y=d).(x=b)"]
    found = matrix("variants x:\n - a:\n - @b:\n", defaults=True, expand=["x"])
    assert [one.name for one in found.variants()] == ["(x=a)", "(x=b)"]


def test_axes_of_one_name_and_line_are_told_apart():
    files = {"x.cfg": "variants x:\n - a:\n"}
    text = "include x.cfg\n" * 4
    found = Matrix.read(text, file="m.cfg", read=lambda path, _: (path, files[path]))
    assert [one.name for one in found.cells().axes] == ["x", "x:1", "x:1#2", "x:1#3"]


def test_cells_answer_the_same_when_they_forget(monkeypatch):
    monkeypatch.setattr("windtunnel.matrix.cellspace._ANSWERS_MAX", 1)
    cells = matrix(TEXT).cells()
    assert [one in cells for one in [(0, 0, 0), (1, 1, ABSENT), (1, 0, 1)]] == [True, False, True]


def test_cells_know_defaults_that_come_to_nothing():
    text = (
        "variants x:\n - @a:\n    variants:\n      - p:\n          only q\n - b:\n"
        "variants:\n - r:\n"
    )
    cells = matrix(text, defaults=True).cells()
    assert list(cells.cells()) == [(0, 1, ABSENT)]
