"""An accepted baseline: the same comparison as with its runs, and a yardstick for gates."""

import json

import numpy as np
import pytest

from bench.compare.baseline import accept, read_baseline, write_baseline
from bench.compare.run_sample import SummaryFigure, read_sample
from bench.compare.sides import Side, compare
from bench.errors import RunFolderError, UsageError
from bench.plan.gates import parse_gate
from bench.verdict.verdict import judge_run
from tests.compare.chance import World, side
from tests.compare.test_run_sample import folder_of

SMALL = World(sessions=30, turns=6)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "demo.json"


def test_a_comparison_with_the_file_is_one_with_the_runs(file):
    rng = np.random.default_rng(1)
    a, b = side(rng, 3, world=SMALL, answered=0.97), side(rng, 3, world=SMALL)
    write_baseline(accept(b.runs, "demo"), file)
    name, runs = read_baseline(file)
    assert name == "demo"
    direct, kept = (compare(a, Side("b", tuple(r)), resamples=100) for r in (b.runs, runs))
    for one, other in zip(direct["rows"], kept["rows"], strict=True):
        assert one["verdict"] == other["verdict"]
        for key in ("a", "b", "difference", "low", "high"):
            assert one[key] is None or one[key] == pytest.approx(other[key], abs=0.02)
    for one, other in zip(direct["attribution"], kept["attribution"], strict=True):
        assert one["difference"] == pytest.approx(other["difference"], abs=0.02)


def test_waits_without_an_end_are_kept_as_such(file):
    rng = np.random.default_rng(2)
    run = side(rng, 1, world=SMALL, answered=0.9).runs[0]
    wait = run.waits["voice_to_voice_latency"]
    wait.values[np.flatnonzero(wait.censored)[0]] = np.inf
    ready = run.once["session_ready_time"]
    ready.values[:2], ready.censored[:2] = np.inf, True
    write_baseline(accept([run], "demo"), file)
    once = read_baseline(file)[1][0].once["session_ready_time"]
    assert np.isinf(once.values).tolist() == once.censored.tolist() == ready.censored.tolist()
    kept = read_baseline(file)[1][0].waits["voice_to_voice_latency"]
    assert (kept.censored == wait.censored).all()
    assert np.isinf(kept.values).sum() == 1
    assert kept.values == pytest.approx(wait.values, abs=0.006)
    assert read_baseline(file)[1][0].facts == run.facts


def test_figures_without_samples_are_kept_with_their_intervals(file):
    run = side(np.random.default_rng(5), 1, world=SMALL).runs[0]
    figures = {
        "send_lateness": {"p50": SummaryFigure(0.123456, 0.1, np.nan, 5000)},
        "update_ack": {"p99": SummaryFigure(np.inf, 3.0, np.nan, 20)},
    }
    write_baseline(accept([run._replace(figures=figures)], "demo"), file)
    kept = read_baseline(file)[1][0].figures
    assert kept["send_lateness"]["p50"] == pytest.approx((0.1235, 0.1, np.nan, 5000), nan_ok=True)
    assert kept["update_ack"]["p99"] == pytest.approx((np.inf, 3.0, np.nan, 20), nan_ok=True)


def test_the_file_keeps_no_figure_without_samples_and_no_digit_that_nobody_can_read(tmp_path, file):
    run = read_sample(folder_of(tmp_path / "run"))
    write_baseline(accept([run], "demo"), file)
    rows = json.loads(file.read_text())["rows"]
    assert all(row["n"] and "error_p50" not in row for row in rows)
    told = {(row["metric"], row["statistic"]): row for row in rows}["send_lateness", "p50"]
    (whole,) = (row for row in run.rows if (row["metric"], row["statistic"]) ==
                ("send_lateness", "p50"))  # fmt: skip
    assert (told["low"], told["n"]) == (pytest.approx(whole["low"], abs=6e-5), whole["n"])


def test_gates_against_the_baseline_read_the_file_as_they_read_a_summary(tmp_path, file):
    usual = [folder_of(tmp_path / f"usual-{n}", late=2 * n) for n in range(2)]
    write_baseline(accept([read_sample(folder) for folder in usual], "demo"), file)
    rows = {(row["metric"], row["statistic"]): row for row in json.loads(file.read_text())["rows"]}
    summaries = [json.loads((folder / "summary.json").read_text())["rows"] for folder in usual]
    values = [
        row["value"] for rows_ in summaries for row in rows_
        if (row["metric"], row["statistic"], row["filter"]) == ("first_audio_latency", "p50", "")
    ]  # fmt: skip
    assert rows["first_audio_latency", "p50"]["value"] == pytest.approx(np.sqrt(np.prod(values)))
    assert rows["first_audio_latency", "p50"]["n"] == 24
    later = folder_of(tmp_path / "later", late=400, sessions=8)
    gate = parse_gate("p50(first_audio_latency) <= baseline + 10 %")
    verdict = judge_run(later, [gate], file)
    assert verdict["gates"][0]["verdict"] == "fail"
    assert "baseline" in verdict["gates"][0]["reason"]
    looser = parse_gate("p50(first_audio_latency) <= baseline + 90 %")
    assert judge_run(later, [looser], file)["gates"][0]["verdict"] == "pass"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"verdict": "invalid", "why": ["hub lag"]}, "side-1 is invalid"),
        ({"interrupted": True}, "side-1 was interrupted"),
        ({"aborted": True}, "side-1 was ended early for a gate that failed"),
        ({"chunk_ms": 20}, "side-1 and side-0 differ in the chunk size"),
    ],
)
def test_what_is_no_yardstick_is_not_accepted(facts, words):
    runs = side(np.random.default_rng(3), 2, world=SMALL).runs
    odd = runs[1]._replace(facts=runs[1].facts | facts)
    with pytest.raises(UsageError, match="no baseline can be made") as refused:
        accept([runs[0], odd], "demo")
    assert words in str(refused.value)


def test_a_run_that_measured_no_turn_is_not_accepted():
    run = side(np.random.default_rng(4), 1, world=SMALL).runs[0]
    empty = run._replace(session=run.session[:0], said=())
    with pytest.raises(UsageError, match="side-0 measured no turn; run it longer"):
        accept([empty], "demo")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no baseline"),
        ("[]", "is no baseline"),
        ("{}", "is no baseline"),
        ('{"kind": "baseline", "format": 9}', "of format 9"),
        ('{"kind": "baseline", "format": 1, "name": "x", "runs": [{}]}', "is no baseline"),
        ('{"kind": "baseline", "format": 1, "name": "x", "runs": []}', "is no baseline"),
    ],
)
def test_a_file_that_is_no_baseline_is_an_error_in_one_line(file, text, words):
    file.write_text(text)
    with pytest.raises(RunFolderError) as refused:
        read_baseline(file)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def shorten(run):
    run["waits"]["voice_to_voice_latency"]["values"].pop()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda run: run["facts"].pop("chunk_ms"), "chunk_ms"),
        (shorten, "the lists of turns of side-0 are not of one length"),
        (lambda run: run["once"]["session_ready_time"].pop(), "the lists of sessions of side-0"),
        (
            lambda run: run["seats"].clear() or run["once"].clear(),
            "a session that is not among its seats",
        ),
    ],
)
def test_a_file_that_somebody_spoiled_is_an_error_in_one_line(file, spoil, words):
    write_baseline(accept(side(np.random.default_rng(6), 1, world=SMALL).runs, "demo"), file)
    found = json.loads(file.read_text())
    spoil(found["runs"][0])
    file.write_text(json.dumps(found))
    with pytest.raises(RunFolderError, match="is no baseline") as refused:
        read_baseline(file)
    assert words in str(refused.value)


def test_where_the_file_cannot_be_written_is_an_error_in_one_line(tmp_path):
    (tmp_path / "demo.json").mkdir()  # whatever the draft is called
    with pytest.raises(UsageError, match="cannot be written"):
        write_baseline({"format": 1}, tmp_path / "demo.json")
