import json
from pathlib import Path

import pytest

from bench.errors import RunFolderError
from bench.runs.folder import RunFolder
from bench.runs.history_record import record
from bench.runs.job import describe, make_job
from bench.runs.target import read_target

ROOT = Path(__file__).parents[2]
ROWS = [
    {"metric": "first_audio_latency", "filter": "", "statistic": "p50", "value": 918.1,
     "low": 861.4, "high": None, "n": 18, "unit": "ms"},
    {"metric": "first_audio_latency", "filter": "", "statistic": "p99", "value": None,
     "low": 900.0, "high": None, "n": 18, "unit": "ms"},
    {"metric": "barge_in_silence", "filter": "", "statistic": "p50", "value": None,
     "low": None, "high": None, "n": 0, "unit": "ms"},
]  # fmt: skip


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A judged run as `bench run` leaves it, of the demo scenario with some `--set`."""
    monkeypatch.chdir(ROOT)

    def make(name="run", *assignments, verdict="pass", metric_version=2, **facts):
        scenario = ROOT / "scenarios" / "demo.toml"
        job = make_job(scenario, read_target("reference", None), assignments=assignments)
        folder = RunFolder.create(tmp_path / name)
        run = {**describe(job, 1), "digests": {"0": "d1" * 32}, **facts}
        folder.write(run)
        folder.summary.write_text(json.dumps({"metric_version": metric_version, "rows": ROWS}))
        folder.verdict.write_text(json.dumps({"verdict": verdict}))
        return folder.path

    return make


def test_a_record_says_all_that_two_runs_of_a_line_must_share(make):
    entry, figures = record(make(), "abc123", "main")
    assert (entry.scenario, entry.corpus, entry.target) == ("demo", "everyday", "reference")
    assert (entry.dialect, entry.concurrency) == ("inworld", "20 sessions")
    assert (entry.commit, entry.branch, entry.verdict) == ("abc123", "main", "pass")
    assert len(entry.scenario_sha256) == len(entry.corpus_sha256) == len(entry.workload) == 64
    assert "cores" in entry.host
    assert figures[0][1:] == ("first_audio_latency", "", "p50", 918.1, 861.4, None, 18, "ms")


def test_rows_beyond_every_wait_are_kept_and_rows_without_a_sample_are_not(make):
    _, figures = record(make(), "", "")
    assert [(one.metric, one.statistic) for one in figures] == [
        ("first_audio_latency", "p50"),
        ("first_audio_latency", "p99"),
    ]


def test_open_arrivals_are_a_concurrency_of_their_own(make):
    path = make("run", "load.sessions=2")
    run = RunFolder(path)
    said = run.read()["scenario"]
    said["effective"]["load"].update(sessions=None, arrivals="poisson", rate=2.0)
    run.update(scenario=said)
    assert record(path, "", "").entry.concurrency == "poisson 2/s"


def test_a_run_is_the_same_run_when_it_is_judged_again(make):
    path = make(verdict="inconclusive")
    before = record(path, "", "").entry
    RunFolder(path).update(gates=["count(errors) == 0"], rows_sealed=12)
    RunFolder(path).verdict.write_text(json.dumps({"verdict": "pass"}))
    after = record(path, "", "").entry
    assert after.key == before.key
    assert (before.verdict, after.verdict) == ("inconclusive", "pass")


def test_another_run_and_other_definitions_of_its_figures_are_another_key(make):
    one = record(make("a", created="2026-09-01T09:00:00+00:00"), "", "").entry
    two = record(make("b", created="2026-09-01T09:00:30+00:00"), "", "").entry
    old = record(make("c", created="2026-09-01T09:00:00+00:00", metric_version=1), "", "").entry
    assert len({one.key, two.key, old.key}) == 3


@pytest.mark.parametrize("option", ["turns=2", "chunk_ms=20", "load.sessions=7"])
def test_an_option_that_changes_what_is_measured_is_another_workload(make, option):
    assert (
        record(make("a"), "", "").entry.workload != record(make("b", option), "", "").entry.workload
    )


@pytest.mark.parametrize(
    "option",
    [
        "about='Better words.'",
        "seeds.utterances=9",
        "health.share=7.0",
        "gate_profile='smoke'",
        "load.duration='60s'",
        "load.warmup='1s'",
        "load.drain='20s'",
    ],
)
def test_what_changes_no_figure_is_the_same_workload(make, option):
    assert (
        record(make("a"), "", "").entry.workload == record(make("b", option), "", "").entry.workload
    )


def test_a_run_that_was_not_judged_is_refused_with_the_remedy(make):
    path = make()
    RunFolder(path).verdict.unlink()
    with pytest.raises(RunFolderError, match=r"verdict\.json: no such file.*bench report"):
        record(path, "", "")


@pytest.mark.parametrize("text", ["{", "[]", '{"metric_version": 2}', '{"rows": [{"metric": 3}]}'])
def test_a_summary_that_is_none_is_refused_by_name(make, text):
    path = make()
    RunFolder(path).summary.write_text(text)
    with pytest.raises(RunFolderError, match=r"run/summary\.json: .*bench report"):
        record(path, "", "")


def test_a_run_json_without_its_identity_is_refused_by_name(make):
    path = make()
    run = RunFolder(path).read()
    del run["corpus"]
    RunFolder(path).write(run)
    with pytest.raises(RunFolderError, match=r"run\.json: lacks 'corpus'"):
        record(path, "", "")
