"""Every scenario that is shipped, whole and as it stands: it must pass by all of its own gates."""

import json
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from bench.cli.run_job import job_of
from bench.cli.speech import speech_of
from bench.cli.verbs import RunOptions
from bench.plan.forecast import forecast
from tests.virtual_run import virtual_run

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.toml"))
DRAWN = {"hesitation", "mixed", "reconfigure", "text_chat", "tool_call"}
"""Whose pages have panels that those of others have not."""


def foreseen(path):
    """What is expected of it before it starts."""
    job = job_of(RunOptions(path))
    return forecast(job.scenario, job.slots, speech_of(job))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_passes_by_its_own_gates_and_loses_nothing(path, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    smoke = tuple(tomllib.loads(path.read_text())["gates"]["smoke"])
    folder, verdict, code = virtual_run(
        path, tmp_path / "run", gates=smoke, drawn=path.stem in DRAWN
    )
    assert (code, verdict["verdict"]) == (0, "pass"), verdict["reasons"]
    run = folder.read()
    assert run["rows_sealed"] == sum(run["rows_written"].values()) > 0
    summary = json.loads(folder.summary.read_text())
    assert summary["checks"]["identity_breaches"] == 0
    assert summary["unhonoured"] == []
    sessions = pd.read_parquet(folder.sessions)
    assert set(sessions.outcome) <= {"finished", "drained"}
    expected, attempted = foreseen(path), summary["outcomes"]
    assert expected.turns == pytest.approx(sum(attempted.values()) - attempted["cut"], rel=0.2)
    assert expected.sessions == pytest.approx(len(sessions), rel=0.3)
    assert path.stem not in DRAWN or folder.report.stat().st_size > 100_000


def test_a_run_is_the_same_every_time_and_on_any_number_of_workers(scenario, tmp_path):
    """Instants and utterances depend on seeds and slots, and not on which worker holds a slot."""
    told = []
    for name, workers in (("once", 1), ("again", 1), ("split", 2)):
        folder = virtual_run(scenario(), tmp_path / name, drawn=False, workers=workers).folder
        turns = pd.read_parquet(folder.turns)
        told.append(turns.sort_values(["speech_onset_ns", "session"], ignore_index=True))
    once, again, split = told
    pd.testing.assert_frame_equal(once, again)
    assert set(split.worker) == {0, 1}
    assert list(split.utterance) == list(once.utterance)
    assert list(split.speech_onset_ns) == list(once.speech_onset_ns)


def test_a_session_is_one_by_its_number_whatever_the_number_of_workers(scenario, tmp_path):
    folder = virtual_run(scenario(), tmp_path / "run", drawn=False, workers=2).folder
    sessions = pd.read_parquet(folder.sessions)
    assert sessions.session.is_unique
    assert (sessions.session % 2 == sessions.worker).all()
