# SPDX-License-Identifier: Apache-2.0
"""The cells of a lab file: which there are, what they are called, and what is wrong with them."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.engine.cells import MISTAKES_TOLD_MAX, read_cells, read_labs
from windtunnel.errors import LabFileError, LabFileErrors, MatrixFileError, UsageError

LAB = """\
name: pair
seed: 3
{params}
nodes: {{a: {{}}, b: {{}}}}
links:
  - {{endpoints: [a, b], delay: "${{ms}} ms", loss: "${{loss}}"}}
steps:
  - {{name: "ping ${{loss}}", node: a, at: 3 s, cmd: 'ping -c 1 b; echo ${{HOME}} $${{loss}}'}}
"""

PARAMS = """\
params:
  loss: [0%, 20%]
  size: {small: {ms: 5}, big: {ms: 50}}
exclude: [{loss: 20%, size: big}]
include: [{loss: 50%, size: small}]
"""


@pytest.fixture
def lab(tmp_path):
    """A function that writes a lab file with these parameters."""

    def write(params=PARAMS, text=LAB):
        path = tmp_path / "lab.yaml"
        path.write_text(text.format(params=params))
        return path

    return write


def names(path, **filters):
    return [cell.name for cell in read_cells(path, **filters)]


def wrong(path):
    with pytest.raises(LabFileErrors) as caught:
        read_cells(path)
    return [str(error) for error in caught.value.errors]


def test_cells_are_the_product_less_what_is_excluded_and_what_is_included_besides(lab):
    cells = read_cells(lab())
    assert [(cell.index, cell.name) for cell in cells] == [
        (0, "loss=0%,size=small"),
        (1, "loss=0%,size=big"),
        (2, "loss=20%,size=small"),
        (4, "loss=50%,size=small"),
    ]
    assert cells.count() == 4
    assert cells.has_params
    assert dict(cells.cell(1).params) == {"loss": "0%", "size": "big", "ms": "50"}
    for cell in cells:
        assert cells.named(cell.name) == cells.numbered(cell.index) == cell
    for number in (3, 5):
        with pytest.raises(UsageError):
            cells.numbered(number)


def test_what_a_cell_has_stands_everywhere_in_its_lab(lab):
    cells = read_cells(lab())
    spec = cells.spec(cells.named("loss=20%,size=small"))
    [link] = spec.links
    assert link.ends[0].impairment.delay_ns == 5_000_000
    assert link.ends[0].impairment.loss == pytest.approx(0.2)
    [step] = spec.steps
    assert step.name == "ping 20%"
    # a variable of the shell's stays, and so does what is written with two dollars
    assert step.action.command == "ping -c 1 b; echo ${HOME} ${loss}"


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"only": ["big"]}, ["loss=0%,size=big"]),
        ({"only": ["loss=?%"]}, ["loss=0%,size=small", "loss=0%,size=big"]),
        ({"only": ["loss=50%"]}, ["loss=50%,size=small"]),
        ({"no": ["small"]}, ["loss=0%,size=big"]),
        ({"only": ["loss=0%", "size=small"]}, ["loss=0%,size=small"]),
        ({"only": ["loss=20%,size=small"]}, ["loss=20%,size=small"]),
        ({"no": ["loss=0%,size=*", "loss=50%"]}, ["loss=20%,size=small"]),
    ],
)
def test_filters_leave_what_they_say(lab, filters, left):
    assert names(lab(), **filters) == left


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("los=0%", "there is no axis 'los'"),
        ("loss=21%", "the axis 'loss' has no value '21%'"),
        ("smal", "no axis has a value 'smal'"),
    ],
)
def test_a_filter_that_means_nothing_is_an_error_with_the_near_miss(lab, text, said):
    for option in ("only", "no"):
        with pytest.raises(UsageError, match=said) as caught:
            read_cells(lab(), **{option: [text]})
        assert "did you mean" in caught.value.hint


def test_filters_that_leave_nothing_are_named(lab):
    cells = read_cells(lab(), only=["loss=20%", "size=big"])
    assert cells.count() == 0
    with pytest.raises(UsageError, match="no cell is left after --only 'size=big'"):
        cells.require_some()
    path = lab("params: {ms: [1], loss: [0%]}\nexclude: [{ms: 1}]")
    with pytest.raises(LabFileError, match="every cell is excluded"):
        read_cells(path).require_some()


def test_a_cell_that_is_excluded_or_unknown_has_no_name(lab):
    cells = read_cells(lab())
    with pytest.raises(UsageError, match="is dropped") as caught:
        cells.named("loss=20%,size=big")
    assert "lab.yaml:6:11" in caught.value.hint
    assert cells.dropped_by("loss=0%,size=big") == []
    filtered = read_cells(lab(), only=["small"], no=["loss=0%"])
    assert filtered.dropped_by("loss=0%,size=big") == ["--only 'small'", "--no 'loss=0%'"]
    with pytest.raises(UsageError, match="no axis has a value 'nothing'"):
        cells.named("nothing")
    with pytest.raises(UsageError, match="there is no cell 4"):
        cells.cell(4)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("params: [1, 2]", "lab.yaml:3:9: params must be a mapping of axes"),
        ("params: {loss: []}", "lab.yaml:3:16: the axis 'loss' has no values"),
        ("params: {loss: 3}", "lab.yaml:3:16: the axis 'loss' must be a list of values"),
        ("params: {loss: [1%, 1%]}", "lab.yaml:3:21: the axis 'loss' has '1%' twice"),
        ("params: {'a b': [1]}", "lab.yaml:3:10: an axis cannot be called 'a b'"),
        ("params: {loss: ['']}", "'' cannot be the name of a value"),
        ("params: {loss: [[1]]}", "a value of the axis 'loss' must be a text or a number"),
        ("params: {size: {a: {ms: 1}, b: {}}}", "'ms' is set by some values of the axis 'size'"),
        ("params: {ms: [1], size: {a: {ms: 1}}}", "'ms' is set by the axes 'ms' and 'size'"),
        ("params: {loss: [1%]}\nexclude: [{los: 1%}]", "exclude names an axis 'los'"),
        ("params: {loss: [1%]}\nexclude: [{loss: 2%}]", "the axis 'loss' has no value '2%'"),
        ("params: {loss: [1%]}\nexclude: [7]", "a rule of exclude must name axes and values"),
        ("params: {loss: [1%]}\nmatrix: a.cfg", "a lab has either 'params' or 'matrix'"),
        ("matrix: [1]", "matrix must be the name of a file"),
    ],
)
def test_what_is_wrong_with_parameters_is_said_with_its_place(lab, params, said):
    assert any(said in error for error in wrong(lab(params))), wrong(lab(params))


def test_a_value_that_is_wrong_in_one_cell_names_the_cell_and_the_place(lab):
    cells = read_cells(lab("params: {ms: [1], loss: [0%, 120%]}"))
    cells.spec(cells.cell(0))
    with pytest.raises(LabFileErrors, match=r"lab\.yaml:6:.*\(in the cell ms=1,loss=120%\)"):
        cells.spec(cells.cell(1))


def test_a_parameter_that_there_is_not_is_an_error_where_no_shell_reads(lab):
    cells = read_cells(lab("params: {los: [0%], ms: [1]}"))
    with pytest.raises(LabFileError, match=r"lab\.yaml:6:.*'loss' is no parameter") as caught:
        cells.spec(cells.cell(0))
    assert "did you mean 'los'?" in caught.value.hint


def test_no_value_can_change_the_structure_of_the_file(lab):
    evil = "1%, endpoints: [b, b]}] #"
    cells = read_cells(lab(f"params: {{ms: [1], loss: ['{evil}']}}"))
    with pytest.raises(LabFileErrors, match="endpoints"):
        cells.spec(cells.cell(0))  # as a loss, which it is not


def test_a_lab_without_parameters_is_one_cell_and_keeps_its_dollars(tmp_path):
    path = tmp_path / "lab.yaml"
    path.write_text("name: one\nnodes: {a: {run: [{cmd: 'echo ${x} $${y}'}]}}\n")
    cells = read_cells(path)
    assert (cells.count(), cells.has_params, [cell.name for cell in cells]) == (1, False, ["one"])
    assert cells.spec(cells.named("one")).processes[0].command == "echo ${x} $${y}"
    assert [cell.name for cell in cells.cover(2, 0)] == ["one"]
    with pytest.raises(UsageError, match="has no parameters to filter"):
        read_cells(path, only=["x=1"])


def test_a_lab_with_parameters_is_no_lab_by_itself(lab):
    from windtunnel.engine.labfile import read_spec  # noqa: PLC0415

    with pytest.raises(LabFileError, match="it is several labs") as caught:
        read_spec(lab())
    assert "matrix list" in caught.value.hint


def test_a_cartesian_configuration_gives_cells_too(lab, tmp_path):
    (tmp_path / "tests.cfg").write_text(
        "variants loss:\n    - none:\n        loss = 0%\n    - some:\n        loss = 20%\n"
        "variants:\n    - @near:\n        ms = 1\n    - far:\n        ms = 100\n"
    )
    path = lab("matrix: tests.cfg")
    assert names(path) == ["near.none", "near.some", "far.none", "far.some"]
    cells = read_cells(path, no=["far..some"])
    assert [cell.name for cell in cells] == ["near.none", "near.some", "far.none"]
    spec = cells.spec(cells.named("far.none"))
    assert spec.links[0].ends[0].impairment.delay_ns == 100_000_000
    assert len(list(read_cells(path).cover(1, 0))) == 2
    assert tmp_path / "tests.cfg" in cells.files
    with pytest.raises(UsageError, match="the filters drop it"):
        cells.named("far.some")


def test_a_matrix_that_is_missing_or_empty_says_so(lab, tmp_path):
    path = lab("matrix: tests.cfg")
    with pytest.raises(LabFileError, match=r"lab\.yaml:3:9: there is no file"):
        read_cells(path)
    (tmp_path / "tests.cfg").write_text("variants:\n    - a:\n    - b:\nonly c\n")
    with pytest.raises(LabFileError, match="the matrix is empty"):
        read_cells(path).require_some()


def test_many_millions_of_cells_are_counted_and_picked_without_expanding_them(lab):
    axes = ", ".join(f"x{number}: [{', '.join(map(str, range(10)))}]" for number in range(12))
    path = lab(f"params: {{{axes}}}\nexclude: [{{x0: 3, x11: [4, 5]}}]")
    cells = read_cells(path)
    assert cells.count() == 10**12 - 2 * 10**10
    assert cells.cell(10**11).name.startswith("x0=1,x1=0")
    some = list(cells.sample(3, 7))
    assert some == list(cells.sample(3, 7))
    assert [cells.named(cell.name) for cell in some] == some
    shard = iter(cells.shard(2, 4))
    assert next(shard).name.startswith("x0=2,")


axes = st.lists(st.integers(1, 4), min_size=1, max_size=3)


@given(axes, st.data())
def test_cells_are_those_of_a_product_by_hand(sizes, data):
    from windtunnel.engine.paramspace import ParamSpace  # noqa: PLC0415
    from windtunnel.errors import Where  # noqa: PLC0415
    from windtunnel.model.params import ParamAxis, ParamRule, Params, ParamValue  # noqa: PLC0415

    where = Where("lab.yaml", 1, 1)
    values = [[f"v{number}" for number in range(size)] for size in sizes]
    by_name = {f"x{at}": some for at, some in enumerate(values)}
    picks = st.dictionaries(
        st.sampled_from(sorted(by_name)), st.just(None), min_size=1, max_size=len(sizes)
    ).flatmap(
        lambda chosen: st.fixed_dictionaries(
            {
                name: st.lists(st.sampled_from(by_name[name]), min_size=1, unique=True)
                for name in chosen
            }
        )
    )
    excluded = data.draw(st.lists(picks, max_size=3))
    kept = data.draw(st.lists(picks, max_size=1))
    params = Params(
        axes=tuple(
            ParamAxis(name, tuple(map(ParamValue, some)), where) for name, some in by_name.items()
        ),
        exclude=tuple(
            ParamRule(tuple((name, tuple(some)) for name, some in rule.items()), where)
            for rule in excluded
        ),
    )
    only = [f"{name}={some[0]}" for rule in kept for name, some in rule.items()]

    def agrees(row, rule):
        return all(row[name] in some for name, some in rule.items())

    wanted = [
        ",".join(f"{name}={label}" for name, label in row.items())
        for row in (
            dict(zip(by_name, labels, strict=True)) for labels in itertools.product(*values)
        )
        if not any(agrees(row, rule) for rule in excluded)
        and all(row[name] == some[0] for rule in kept for name, some in rule.items())
    ]
    space = ParamSpace(params, only=only, no=[])
    assert [cell.name for cell in space.cells()] == wanted
    assert space.count() == len(wanted)
    assert [space.at(position).name for position in range(len(wanted))] == wanted
    assert {cell.name for cell in space.cover(2, 0)} <= set(wanted)
    unnamed = ParamSpace(params, only=[], no=[])
    total = 1
    for size in sizes:
        total *= size
    assert all(0 <= cell.index < total for cell in unnamed.cells())


def test_an_excluded_cell_that_is_included_is_there_again(lab):
    path = lab(
        "params: {loss: [0%, 1%], size: [small, big], ms: [1]}\n"
        "exclude: [{size: big}]\ninclude: [{loss: 1%}, {loss: 9%, size: big}]"
    )
    cells = read_cells(path)
    assert [(cell.index, cell.name) for cell in cells] == [
        (0, "loss=0%,size=small,ms=1"),
        (2, "loss=1%,size=small,ms=1"),
        (4, "loss=1%,size=big,ms=1"),
        (5, "loss=9%,size=big,ms=1"),
    ]
    assert cells.named("loss=1%,size=big,ms=1").index == 4
    assert cells.numbered(4).name == "loss=1%,size=big,ms=1"
    with pytest.raises(UsageError, match="is dropped"):
        cells.named("loss=0%,size=big,ms=1")


def test_rules_that_do_nothing_and_slips_of_the_pen_are_doubted(lab):
    cells = read_cells(
        lab(
            "params: {loss: [0%, 10%], cc: [cubic, reno], ms: [1]}\n"
            "exclude: [{loss: 0%}, {loss: 0%, cc: reno}]\n"
            "include: [{loss: 10%}, {loss: 1O%}, {cc: cubci}, {loss: 20%}]"
        )
    )
    doubts = [str(one) for one in cells.doubts()]
    assert len(doubts) == 4
    assert "4:23: this rule excludes nothing" in doubts[0]
    assert "includes nothing" in doubts[1]
    assert re.search(r"'1O%'.*\n.*did you mean '10%'\?", doubts[2])
    assert re.search(r"'cubci'.*\n.*did you mean 'cubic'\?", doubts[3])
    assert read_cells(lab("params: {loss: [0%], ms: [1]}")).doubts() == []


def test_rules_with_many_values_are_counted_by_axis_and_not_by_combination(lab):
    values = ", ".join(f"v{number}" for number in range(100))
    path = lab(
        f"params: {{a: [{values}], b: [{values}], c: [{values}], d: [{values}]}}\n"
        f"exclude: [{{a: [{values}], b: [{values}], c: [{values}], d: [v1, v2]}}]\n"
        "include: [{a: v7, b: new, c: v1, d: v1}, {d: v1, a: v1, b: v1, c: v1}]"
    )
    cells = read_cells(path, only=["a=v*,b=v*,c=v*"], no=["a=v1*,b=v1*,c=v1*,d=v1*"])
    assert cells.count() == 98 * 10**6 - 11**3 * 10  # v1 and v10 to v19; of d, v1 is excluded
    whole = read_cells(path)
    assert whole.count() == 98 * 10**6 + 2
    assert cells.named("a=v2,b=v3,c=v4,d=v5").index == 2 * 10**6 + 3 * 10**4 + 4 * 100 + 5


def test_a_rule_that_names_one_axis_of_many_is_no_walk_through_all(lab):
    axes = ", ".join(f"x{number}: [{', '.join(map(str, range(10)))}]" for number in range(12))
    cells = read_cells(lab(f"params: {{{axes}}}\ninclude: [{{x0: 3}}]"))
    assert cells.count() == 10**12
    assert len(cells.doubts()) == 1
    with pytest.raises(LabFileError, match="more than 10000 cells are included"):
        read_cells(lab(f"params: {{{axes}}}\ninclude: [{{x0: 11}}]"))


HUGE = "".join(
    f"variants a{axis}:\n"
    + "".join(f"    - v{axis}_{value}:\n        k{axis} = {value}\n" for value in range(10))
    for axis in range(12)
)


def test_a_configuration_of_a_million_millions_is_used_cell_by_cell(lab, tmp_path):
    (tmp_path / "tests.cfg").write_text(f"{HUGE}no v3_4..v7_5\n")
    path = lab("matrix: tests.cfg")
    cells = read_cells(path)
    assert cells.count() == 99 * 10**10
    some = cells.cell(123_456_789_012)
    assert cells.named(some.name) == some == cells.numbered(some.index)
    kept = read_cells(path, only=[some.name.split(".")[3]])
    assert kept.named(some.name) == some
    first = kept.cell(0)
    assert cells.numbered(first.index) == first
    rows = list(cells.cover(2, 0))
    assert 100 < len(rows) < 300
    assert [row.index for row in rows] == sorted(row.index for row in rows)
    assert [cells.named(row.name).index for row in rows] == [row.index for row in rows]
    with pytest.raises(UsageError, match=r"the filters drop it: 'no v3_4\.\.v7_5'"):
        cells.named(
            ".".join(f"v{axis}_{ {3: 4, 7: 5}.get(axis, 0) }" for axis in reversed(range(12)))
        )
    with pytest.raises(UsageError, match="there is no cell") as caught:
        cells.named("v11_0.v10_x")
    assert "v10_" in caught.value.hint


def test_indexes_and_names_are_the_same_whatever_filters_are_given(lab, tmp_path):
    (tmp_path / "tests.cfg").write_text(
        "variants:\n    - a:\n    - b:\n        variants:\n            - c:\n            - d:\n"
        "variants:\n    - x:\n    - y:\nno b.c..x, x..b.c\n"
    )
    path = lab("matrix: tests.cfg")
    every = {cell.name: cell for cell in read_cells(path)}
    assert list(every) == ["x.a", "x.b.d", "y.a", "y.b.c", "y.b.d"]
    assert [cell.index for cell in every.values()] == [0, 1, 2, 3, 4]
    for only, no in ((["y"], []), ([], ["a"]), (["b..d"], ["x"])):
        kept = read_cells(path, only=only, no=no)
        found = list(kept)
        assert found == [every[cell.name] for cell in found]
        assert found == [kept.cell(position) for position in range(kept.count())]
        assert list(kept.cover(2, 0)) == [kept.named(cell.name) for cell in kept.cover(2, 0)]
    with pytest.raises(UsageError, match=r"number 0, 'x\.a', is dropped"):
        read_cells(path, only=["y"]).numbered(0)


def test_variants_of_one_name_are_told_apart_by_their_numbers(lab, tmp_path):
    (tmp_path / "tests.cfg").write_text(
        "variants:\n    - a:\n        ms = 1\n    - a:\n        ms = 2\n    - b:\n        ms = 3\n"
        "variants:\n    - x:\n    - y:\n"
    )
    path = lab("matrix: tests.cfg")
    names_ = [cell.name for cell in read_cells(path)]
    assert names_ == ["x.a#0", "x.a#1", "x.b", "y.a#3", "y.a#4", "y.b"]
    cells = read_cells(path, only=["y"])
    assert [cell.name for cell in cells] == names_[3:]
    assert cells.named("y.a#4").params["ms"] == "2"
    with pytest.raises(UsageError, match=r"several cells are called 'y\.a'") as caught:
        cells.named("y.a")
    assert "'y.a#3'" in caught.value.hint


def test_cells_of_a_join_have_stable_numbers_too(lab, tmp_path):
    (tmp_path / "tests.cfg").write_text(
        "variants:\n    - a:\n    - b:\n    - c:\nvariants:\n    - x:\n    - y:\njoin a b\n"
    )
    path = lab("matrix: tests.cfg")
    every = list(read_cells(path))
    assert len({cell.name for cell in every}) == len(every) == 4
    kept = list(read_cells(path, only=["x"]))
    assert [every[cell.index] for cell in kept] == kept != []


def test_cells_of_a_join_are_covered_part_by_part(lab, tmp_path):
    axes = "".join(
        "variants:\n"
        + "".join(f"    - {axis}{value}:\n        {axis} = {value}\n" for value in range(4))
        for axis in "abc"
    )
    parts = "".join(f"    - {part}:\n        suffix _{part}\n" for part in "pq")
    (tmp_path / "tests.cfg").write_text(f"{axes}variants:\n{parts}join p q\n")
    cells = read_cells(lab("matrix: tests.cfg"), no=["p..a3"])
    every = {cell.name: cell for cell in cells}
    assert len(every) == cells.count() == 48 * 64
    rows = list(cells.cover(2, 0))
    assert rows == list(cells.cover(2, 0))
    assert rows == [every[row.name] for row in rows] == [cells.numbered(row.index) for row in rows]
    # Each value of a part stands with each value of an axis of the other part.
    whole = read_cells(lab("matrix: tests.cfg"))
    assert [whole.numbered(row.index).name for row in rows] == [row.name for row in rows]
    # What is the same in both parts is a key without suffix.
    pairs = {
        tuple(row.params.get(key, row.params.get("a")) for key in ("a_p", "a_q")) for row in rows
    }
    assert pairs == {(str(one), str(other)) for one in range(3) for other in range(4)}
    assert 16 <= len(rows) <= 40
    (tmp_path / "tests.cfg").write_text(
        "variants:\n - a:\n - b:\nvariants:\n - x:\n    join a b\n - y:\n"
    )
    with pytest.raises(MatrixFileError, match="'join' inside a variant"):
        read_cells(lab("matrix: tests.cfg")).cover(2, 0)


def test_a_lab_whose_name_has_parameters_is_called_by_its_file(lab):
    path = lab("params: {ms: [1, 2], loss: [0%]}")
    path.write_text(path.read_text().replace("name: ", "name: x-${ms}-", 1))
    cells = read_cells(path)
    assert cells.lab == path.stem
    assert cells.spec(cells.cell(1)).name.startswith("x-2-")


def test_an_empty_mapping_of_parameters_is_an_error(lab):
    with pytest.raises(LabFileErrors, match="params has no axes"):
        read_cells(lab("params: {}"))


def test_each_mistake_is_told_once_with_the_cells_that_have_it(lab):
    cells = read_cells(lab("params: {ms: [1, -1, x], loss: [0%, 120%]}"))
    with pytest.raises(LabFileErrors) as caught:
        cells.check(cells)
    texts = [error.message for error in caught.value.errors]
    assert len(texts) == len(set(texts)) == 3
    assert sum("in the cells" in text for text in texts) == 3
    right = read_cells(lab("params: {ms: [1, 2], loss: [0%]}"))
    assert right.check(right) == right.spec(right.cell(0))


def test_a_name_may_have_its_parts_in_another_order_or_fewer_if_one_cell_has_them(lab):
    cells = read_cells(lab())
    small = cells.named("loss=20%,size=small")
    for text in ("size=small,loss=20%", "20%", "loss=20%", " small , 20%"):
        assert cells.named(text) == small
    with pytest.raises(UsageError, match="'small' is 3 cells") as caught:
        cells.named("small")
    assert "'loss=0%,size=small'" in caught.value.hint
    with pytest.raises(UsageError, match="'loss=20%,size=big' is dropped"):
        cells.named("size=big,loss=20%")
    with pytest.raises(UsageError, match="no axis has a value 'tiny'"):
        cells.named("tiny")


def test_parts_of_a_name_in_a_configuration_mean_the_only_cell_that_has_them(lab, tmp_path):
    (tmp_path / "huge.cfg").write_text(HUGE + "no v0_1..v1_2\n")
    path = lab("matrix: huge.cfg")
    cells = read_cells(path)
    parts = [f"v{axis}_7" for axis in range(11)]
    wanted = ".".join(["v11_0", *reversed(parts)])
    assert cells.named(".".join([*parts, "v11_0"])).name == wanted
    assert cells.named(", ".join([*parts, "a11=v11_0"])).name == wanted
    with pytest.raises(UsageError, match=r"'v0_7\.v1_7' is 10000000000 cells") as caught:
        cells.named("v0_7.v1_7")
    assert caught.value.hint.count(".v1_7.v0_7'") == 3
    assert read_cells(path, only=parts).named("v11_0").name == wanted
    with pytest.raises(UsageError, match="no cell has all of 'v0_1', 'v1_2'"):
        cells.named("v0_1.v1_2")
    with pytest.raises(UsageError, match=r"there is no cell 'v0_1\.v1_12'") as caught:
        cells.named("v0_1.v1_12")
    assert "did you mean" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        read_cells(path, no=["v2_2"]).named("v2_2.v3_3")
    assert "the filters drop all" in caught.value.hint


def test_a_number_says_what_drops_its_cell(lab, tmp_path):
    assert read_cells(lab(), only=["small"]).dropped_by("1") == ["--only 'small'"]
    [why] = read_cells(lab()).dropped_by("3")
    assert "exclude" in why
    assert read_cells(lab()).dropped_by("4") == []
    assert read_cells(lab(), no=["small"]).dropped_by("small,20%") == ["--no 'small'"]
    with pytest.raises(UsageError, match="'small' names no single cell"):
        read_cells(lab()).dropped_by("small")
    with pytest.raises(UsageError, match="no cell number 5"):
        read_cells(lab()).dropped_by("5")
    (tmp_path / "a.cfg").write_text("variants:\n    - a:\n    - a:\n    - b:\n")
    [why] = read_cells(lab("matrix: a.cfg"), no=["a"]).dropped_by("1")
    assert "'no a'" in why


@pytest.mark.parametrize(
    ("new", "meant"),
    [("cubbic", "cubic"), ("10 mbit", "10Mbit"), ("10Mbti", "10Mbit"), ("Cubic", "cubic")],
)
def test_a_new_value_that_is_nearly_an_old_one_is_doubted(lab, new, meant):
    cells = read_cells(
        lab(f"params: {{v: [cubic, bbr, 10Mbit], ms: [1]}}\ninclude: [{{v: {new}}}]")
    )
    [doubt] = cells.doubts()
    assert doubt.hint == f"did you mean {meant!r}?"


@pytest.mark.parametrize("new", ["reno", "20Mbit", "bbr2", "100Mbit", "bic"])
def test_a_new_value_of_its_own_is_not_doubted(lab, new):
    params = f"params: {{v: [cubic, bbr, 10Mbit], ms: [1]}}\ninclude: [{{v: {new}}}]"
    assert read_cells(lab(params)).doubts() == []


def test_very_many_mistakes_are_counted(lab):
    numbers = ", ".join(f"{101 + number}%" for number in range(MISTAKES_TOLD_MAX + 3))
    cells = read_cells(lab(f"params: {{ms: [1], loss: [{numbers}]}}"))
    with pytest.raises(LabFileErrors) as caught:
        cells.check(cells)
    errors = caught.value.errors
    assert len(errors) == MISTAKES_TOLD_MAX + 1
    assert errors[-1].message == "and 3 more mistakes in cells"


def test_a_configuration_without_variants_gives_no_cells(lab, tmp_path):
    (tmp_path / "none.cfg").write_text("loss = 0%\n")
    with pytest.raises(LabFileError, match=r"lab\.yaml:3:9: none\.cfg has no variants"):
        read_cells(lab("matrix: none.cfg"))


def test_the_filter_that_drops_the_last_included_cell_is_named(lab):
    path = lab("params: {ms: [1], loss: [0%]}\nexclude: [{ms: 1}]\ninclude: [{loss: 5%}]")
    assert names(path) == ["ms=1,loss=5%"]
    with pytest.raises(UsageError, match="no cell is left after --no 'loss=5%'"):
        read_cells(path, only=["ms=1"], no=["loss=5%"]).require_some()


def test_rules_that_overlap_on_many_axes_are_counted_as_names_are(lab):
    axes = ", ".join(f"x{number}: [{', '.join(map(str, range(10)))}]" for number in range(12))
    rules = ", ".join(
        "{"
        + ", ".join(
            f"x{(number * 5 + step) % 12}: [{step}, {number}, 9]" for step in range(0, 9, 3)
        )
        + "}"
        for number in range(9)
    )
    cells = read_cells(lab(f"params: {{{axes}}}\nexclude: [{rules}, {{x0: [0, 9], x3: 3, x6: 9}}]"))
    # Walked from name to name, which is another way to count.
    assert cells.count() == cells._space._matrix.count() > 10**11
    assert cells.named(cells.cell(5 * 10**11).name) == cells.cell(5 * 10**11)
    [doubt] = cells.doubts()
    assert "excludes nothing" in doubt.message


def test_a_lab_for_many_seeds_is_read_once_and_keeps_its_dollars_without_parameters(tmp_path):
    path = tmp_path / "lab.yaml"
    path.write_text("name: one\nnodes: {a: {run: [{cmd: 'echo ${x}'}]}}\n")
    lab_of = read_labs(path, cell="one", stop_ns=7)
    path.unlink()
    assert [(lab_of(seed).seed, lab_of(seed).stop_ns) for seed in (1, 2)] == [(1, 7), (2, 7)]
    assert lab_of(1).processes[0].command == "echo ${x}"
