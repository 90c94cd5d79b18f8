"""`compare` and `baseline accept`: what they print, refuse and exit with."""

import io
import json
import shutil

import msgspec
import numpy as np
import pytest
from rich.console import Console

from bench.cli.comparisons import print_comparison
from bench.compare.run_sample import SummaryFigure
from bench.compare.sides import Side, compare
from tests.compare.chance import World, side
from tests.compare.test_run_sample import folder_of


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    made = {
        name: folder_of(root / name, late=late, turns=2)
        for name, late in (("new-1", 300), ("new-2", 304), ("old-1", 0), ("old-2", 3))
    }
    void = shutil.copytree(made["old-1"], root / "void")
    verdict = json.loads((void / "verdict.json").read_text())
    (void / "verdict.json").write_text(json.dumps(verdict | {"verdict": "invalid"}))
    unlike = shutil.copytree(made["old-1"], root / "unlike")
    run = msgspec.json.decode((unlike / "run.json").read_bytes())
    run["scenario"]["effective"]["chunk_ms"] = 20
    (unlike / "run.json").write_bytes(msgspec.json.encode(run))
    for place in made.values():  # what the story's own clock makes of validity is not asked here
        verdict = json.loads((place / "verdict.json").read_text())
        (place / "verdict.json").write_text(json.dumps(verdict | {"verdict": "pass"}))
    verdict = json.loads((unlike / "verdict.json").read_text())
    (unlike / "verdict.json").write_text(json.dumps(verdict | {"verdict": "pass"}))
    return made | {"void": void, "unlike": unlike}


@pytest.fixture
def sides(folders):
    return (folders["new-1"], folders["new-2"], "--against", folders["old-1"], folders["old-2"])


def test_against_takes_several_runs_and_the_worse_is_exit_1(bench, sides, tmp_path):
    code, out, err = bench("compare", *sides, "--out", tmp_path / "cmp", "--json")
    assert code == 1, err
    found = json.loads(out)
    assert found["verdict"] == "regressed"
    assert [run["name"] for run in found["sides"]["a"]["runs"]] == ["new-1", "new-2"]
    assert [run["name"] for run in found["sides"]["b"]["runs"]] == ["old-1", "old-2"]
    assert json.loads((tmp_path / "cmp" / "comparison.json").read_text()) == found
    assert (tmp_path / "cmp" / "comparison.html").exists()


def test_options_may_follow_the_runs_after_against(bench, folders):
    words = ("compare", folders["old-1"], "--against", folders["old-2"], "--margin", "5", "--json")
    code, out, _ = bench(*words)
    assert code in {0, 4}
    assert json.loads(out)["margin"]["percent"] == 5


def test_what_follows_against_with_an_equals_sign_is_no_candidate(bench, folders):
    words = ("compare", folders["new-1"], f"--against={folders['old-1']}", folders["old-2"])
    _, out, _ = bench(*words, "--json")
    sides = json.loads(out)["sides"]
    assert [len(sides[name]["runs"]) for name in ("a", "b")] == [1, 2]


def test_a_run_is_not_compared_with_a_baseline_that_it_is_in(bench, folders, tmp_path):
    file = tmp_path / "demo.json"
    bench("baseline", "accept", folders["old-1"], folders["old-2"], "--out", file)
    code, _, err = bench("compare", folders["old-1"], "--against", file)
    assert code == 2
    assert "old-1: stands on both sides" in err


def test_a_baseline_is_accepted_from_different_runs_and_from_no_file(bench, folders, tmp_path):
    file = tmp_path / "demo.json"
    code, _, err = bench("baseline", "accept", folders["old-1"], folders["old-1"], "--out", file)
    assert (code, file.exists()) == (2, False)
    assert "old-1: is given twice" in err
    bench("baseline", "accept", folders["old-1"], "--out", file)
    code, _, err = bench("baseline", "accept", file, "--out", tmp_path / "again.json")
    assert code == 2
    assert "demo.json: is a file" in err


def test_a_baseline_stands_for_its_runs(bench, folders, tmp_path):
    file = tmp_path / "demo.json"
    code, out, err = bench(
        "baseline", "accept", folders["old-1"], folders["old-2"], "--name", "demo", "--out", file
    )
    assert code == 0, err
    assert "2 runs, 16 turns" in out
    code, out, _ = bench("compare", folders["new-1"], "--against", file, "--json")
    found = json.loads(out)
    assert found["sides"]["b"]["name"] == "baseline demo"
    assert found["runs_seen"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("new-1", "--against", "void"), ["void is invalid", "--allow"]),
        (("new-1", "--against", "unlike"), ["the chunk size in ms: 100 and 20", "--allow"]),
        (("new-1", "--against", "new-1"), ["new-1: stands on both sides"]),
        (("nowhere", "--against", "new-1"), ["nowhere: no such file"]),
        (("new-1", "new-1", "--against", "old-1"), ["new-1: is given twice"]),
        (("new-1", "--against=old-1", "old-1"), ["old-1: is given twice"]),
        (
            ("new-1", "--against", "old-1", "--margin", "inf"),
            ["'--margin'", "give a number, 0 or more"],
        ),
        (("new-1", "--against", "old-1", "--points", "nan"), ["'--points'"]),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(bench, folders, arguments, words):
    paths = [word.replace("old-1", str(folders["old-1"])) if "=" in word
             else folders.get(word, word) for word in arguments]  # fmt: skip
    code, out, err = bench("compare", *paths)
    assert (code, out) == (2, "")
    assert err.strip().splitlines()[-1].startswith("bench: ")
    assert "Traceback" not in err
    for word in words:
        assert word in err


def test_what_is_allowed_is_said(bench, folders):
    code, out, _ = bench("compare", folders["new-1"], "--against", folders["unlike"], "--allow")
    assert code in {0, 1, 4}
    assert "note  new-1 and unlike differ in the chunk size in ms: 100 and 20" in out


def test_an_invalid_run_is_accepted_as_no_baseline(bench, folders, tmp_path):
    file = tmp_path / "demo.json"
    code, _, err = bench("baseline", "accept", folders["void"], "--out", file)
    assert code == 2
    assert "void is invalid" in err
    assert not file.exists()


def test_the_table_fits_a_terminal_and_says_what_would_have_been_seen():
    rng = np.random.default_rng(8)
    small = World(sessions=30, turns=6)
    a = side(rng, 3, "new", world=small, slower={"generation": 1.5})
    out = io.StringIO()
    print_comparison(
        compare(a, side(rng, 3, world=small), resamples=50), Console(file=out, width=80)
    )
    text = out.getvalue()
    assert "…" not in text
    for words in ("voice_to_voice_latency", "sees", "REGRESSED", "generation", "of all"):
        assert words in text


def test_what_changed_beside_what_decides_is_named_on_the_terminal():
    rng = np.random.default_rng(9)
    small = World(sessions=30, turns=6)
    sides = [side(rng, 3, name, world=small) for name in ("new", "old")]
    counts = ((7, 9, 8), (0, 0, 0))
    a, b = (
        Side(one.name, tuple(
            run._replace(figures={"violations": {"count": SummaryFigure(n, np.nan, np.nan, 30)}})
            for run, n in zip(one.runs, found, strict=True)
        ))
        for one, found in zip(sides, counts, strict=True)
    )  # fmt: skip
    out = io.StringIO()
    print_comparison(compare(a, b, resamples=50), Console(file=out, width=80))
    assert "aside  regressed too, and decides nothing: count(violations)" in out.getvalue()


def test_what_is_not_there_is_no_run_and_no_baseline(bench):
    code, _, err = bench("compare", "nowhere", "--against", "nope.json")
    assert (code, err.count("\n")) == (2, 1)
    assert "nowhere: no such file; give a run folder, or a baseline" in err


@pytest.mark.parametrize("words", [("compare", "{}", "--against", "{}"), ("judge", "{}")])
def test_a_name_that_no_file_can_have_is_one_line_too(bench, words):
    code, _, err = bench(*(word.format("a" * 300) for word in words))
    assert (code, err.count("\n")) == (2, 1)
    assert "Traceback" not in err
