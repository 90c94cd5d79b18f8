"""A short fuzz, the same inputs each time: `make fuzz` is the long one."""

from random import Random

import pytest

from bench.analysis.calibration import read_calibration
from bench.capacity.document import read_capacity
from bench.compare.baseline import read_baseline_figures
from bench.compare.run_sample import read_sample
from bench.errors import UsageError
from bench.plan.gates import parse_gate
from bench.runs.folder import RunFolder
from bench.verdict.verdict import judge_run
from tests.fuzz.engine import Target, attempt, fuzz
from tests.fuzz.mutation import bytes_of, document_of
from tests.fuzz.targets import SEEDS, targets

INPUTS = {"decode": 1_000, "gate": 500, "run folder": 2}
OTHERS = 12
SECONDS = 20.0


def test_bad_inputs_raise_nothing_but_our_own_error_in_one_line(tmp_path):
    told = {}
    for target in targets(tmp_path):
        slow = target.name.endswith((" in a report", " analysed"))
        most = INPUTS.get(target.name, 2 if slow else OTHERS)
        found = fuzz(target, seed=1, most=most, seconds=SECONDS, keep=False)
        assert found.inputs
        told[target.name] = found.failures
    assert {name: failures for name, failures in told.items() if failures} == {}


def _reader(work):
    return Target("x", lambda random: bytes_of(b"a", random), work, 1, ())


def test_our_error_is_a_good_answer_and_any_other_is_told():
    def refuse(_):
        raise UsageError("x: wrong; mend it")

    def break_down(_):
        raise KeyError("lost")

    assert attempt(_reader(refuse), b"") == ""
    assert "KeyError: 'lost'" in attempt(_reader(break_down), b"")


def test_an_error_of_several_lines_and_an_input_without_end_are_failures(monkeypatch):
    def refuse(_):
        raise UsageError("one\ntwo")

    def hang(_):
        while True:
            pass

    assert attempt(_reader(refuse), b"").startswith("of several lines")
    monkeypatch.setattr("tests.fuzz.engine.MOST_S", 0.05)
    assert "TooLongError" in attempt(_reader(hang), b"")


@pytest.mark.parametrize("make", [bytes_of, lambda _, random: document_of({"a": [1, {}]}, random)])
def test_the_same_seed_makes_the_same_inputs(make):
    assert make(b"abc", Random(3)) == make(b"abc", Random(3))


def test_what_bad_inputs_are_made_of_is_good(tmp_path):
    # Else all would be refused for one and the same reason, and nothing be tried.
    for target in targets(tmp_path):
        for path in sorted((SEEDS / target.name).glob("good*")):
            target.read(path.read_bytes())
        if target.name in {"scenario", "manifest", "profile"}:
            target.read(target.seeds[0])
    work = RunFolder(tmp_path / "work")
    judge_run(work.path, [parse_gate(text) for text in work.read_whole()["gates"]], None)
    assert read_sample(work.path).rows
    assert read_baseline_figures(tmp_path / "baseline.json").rows
    assert read_calibration(tmp_path / "calibration.json")["results"]
    assert read_capacity(tmp_path / "capacity.json").tiers
