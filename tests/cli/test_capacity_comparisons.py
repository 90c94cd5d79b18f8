"""`bench compare` with capacity results: exit codes, files, refusals."""

import json

import pytest

from bench.capacity.document import NAME, write_capacity
from tests.capacity.found import capacity_result, tier

BETTER = tier(capacity=57.0, low=55.0, high=59.0)
USUAL = tier(capacity=50.0, low=49.0, high=51.0)


def kept(folder, one, **facts):
    folder.mkdir(parents=True)
    write_capacity(folder / NAME, capacity_result(one, **facts))
    return folder


@pytest.fixture
def new(tmp_path):
    return kept(tmp_path / "new", BETTER)


@pytest.fixture
def old(tmp_path):
    return kept(tmp_path / "old", USUAL)


def words(text):
    return " ".join(text.split())


def test_the_better_candidate_is_exit_0_and_said_with_its_interval(bench, new, old):
    code, out, err = bench("compare", new, "--against", old)
    assert code == 0, err
    assert "IMPROVED tier gold improved: A holds 14 % more [9, 19]" in words(out)


def test_two_capacities_need_no_against(bench, new, old):
    for pair in ((new, old), (new / NAME, old / NAME), (new, old / NAME)):
        code, out, err = bench("compare", *pair, "--json")
        assert code == 0, err
        assert json.loads(out)["sides"]["b"]["name"] == "old"


@pytest.mark.parametrize(
    ("a", "b", "margin", "code"),
    [
        (BETTER, USUAL, 5, 0),
        (USUAL, BETTER, 5, 1),
        (USUAL, tier(capacity=50.0, low=49.2, high=51.0), 5, 0),
        (USUAL, tier(capacity=50.0, low=40.0, high=60.0), 5, 4),
        (USUAL, BETTER, 50, 0),
    ],
)
def test_exit_codes_are_those_of_compared_runs(bench, tmp_path, a, b, margin, code):
    one = kept(tmp_path / "a", a)
    other = kept(tmp_path / "b", b)
    assert bench("compare", one, "--against", other, "--margin", margin)[0] == code


def test_out_has_the_document_and_a_page(bench, new, old, tmp_path):
    place = tmp_path / "deep" / "cmp"
    code, out, _ = bench("compare", new, old, "--out", place)
    assert code == 0
    assert str(place / "comparison.html") in out
    _, printed, _ = bench("compare", new, old, "--json")
    assert json.loads((place / "comparison.json").read_text()) == json.loads(printed)
    assert "A holds 14 % more [9, 19]" in (place / "comparison.html").read_text()


def test_a_file_under_another_name_is_a_capacity_too(bench, new, old, tmp_path):
    moved = tmp_path / "main.json"
    (old / NAME).rename(moved)
    assert bench("compare", new, "--against", moved)[0] == 0


def test_an_out_that_cannot_be_written_is_one_line(bench, new, old, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = bench("compare", new, old, "--out", tmp_path / "file")
    assert code == 2
    assert "--out" in err


def test_a_capacity_is_not_compared_with_a_run(bench, new, old, tmp_path):
    (tmp_path / "run").mkdir()
    for options in ((), ("--allow",)):
        code, _, err = bench("compare", new, "--against", tmp_path / "run", *options)
        assert code == 2
        assert "is a capacity and" in words(err)
    code, _, err = bench("compare", new, old, "--against", old)
    assert code == 2
    assert "give one candidate and one to compare it with" in words(err)
    assert bench("compare", new)[0] == 2


def test_unlike_capacities_are_refused_unless_allowed(bench, new, tmp_path):
    other = kept(tmp_path / "other", USUAL, metric_version=3)
    code, _, err = bench("compare", new, other)
    assert code == 2
    assert "differ in the version of metric definitions: 4 and 3" in words(err)
    code, out, _ = bench("compare", new, other, "--allow")
    assert code == 0
    assert "differ in the version of metric definitions" in words(out)


def test_a_capacity_that_cannot_be_read_is_one_line_with_its_file(bench, new, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / NAME).write_text("{")
    code, _, err = bench("compare", new, broken)
    assert code == 2
    assert f"{NAME}: cannot be read (no JSON: " in words(err)


def test_runs_need_something_to_be_compared_with(bench, tmp_path):
    (tmp_path / "run").mkdir()
    code, _, err = bench("compare", tmp_path / "run")
    assert code == 2
    assert "--against" in err
