"""A run folder as comparisons see it: the samples of the summary, by turn and session."""

import json
import shutil

import numpy as np
import pytest

from bench.analysis.pipeline import analyse
from bench.compare.run_sample import read_sample, replayed
from bench.compare.sides import Side, compare
from bench.errors import RunFolderError
from bench.runs.folder import RunFolder
from bench.verdict.verdict import judge_run
from tests.analysis.story import Answer, Story, conversation, write_run

EFFECTIVE = {"chunk_ms": 100, "turns": 3, "load": {"sessions": 3, "duration": 30_000_000_000}}
FACTS = {
    "scenario": {"name": "demo", "sha256": "0", "effective": EFFECTIVE},
    "corpus": {"name": "everyday", "sha256": "1"},
    "target": {"name": "reference", "url": "", "dialect": "inworld"},
}


def folder_of(place, *, late=0.0, sessions=4, turns=3, **facts):
    """An analysed and judged run; every session answers a little later than the one before."""
    stories = []
    for number in range(sessions):
        wait = 300 + late + 7 * number
        deltas = tuple(wait + 25 * step for step in range(4))
        stories.append(conversation(number, turns, Answer(deltas=deltas)))
    write_run(place, *stories, **{**FACTS, **facts})
    analyse(place)
    judge_run(place, (), None)
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return folder_of(tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="module")
def run(folder):
    return read_sample(folder)


def test_samples_are_those_of_the_summary(folder, run):
    summary = json.loads((folder / "summary.json").read_text())
    rows = {(row["metric"], row["statistic"]): row for row in summary["rows"] if not row["filter"]}
    for name, wait in (run.waits | run.once).items():
        assert (~np.isnan(wait.values)).sum() == rows[name, "p50"]["n"]
        if not wait.censored.any():
            assert np.nanquantile(wait.values, 0.5) == pytest.approx(rows[name, "p50"]["value"])
    assert run.shares["answered"].of.sum() == rows["answered", "share"]["n"]
    assert run.shares["answered"].hits.mean() * 100 == rows["answered", "share"]["value"]


def test_sessions_that_were_turned_away_wait_for_ever(tmp_path):
    """Flaw F12: a comparison must not see the sessions alone that were let in."""
    refused = [Story(number).begin(1) for number in (1, 2, 3)]
    for story in refused:
        story.rows = story.rows[:3]  # TCP and TLS, and then no upgrade
        story.end(20, "refused", "HTTP 429")
    write_run(tmp_path, conversation(0, 2), *refused, **FACTS)
    analyse(tmp_path)
    judge_run(tmp_path, (), None)
    wait = read_sample(tmp_path).once["session_ready_time"]
    assert wait.values.tolist() == [60, np.inf, np.inf, np.inf]
    assert wait.censored.tolist() == [False, True, True, True]


def test_every_turn_has_its_session_and_its_words(run):
    assert run.keys == ((0, 0), (1, 0), (2, 0), (3, 0))
    assert run.session.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert run.said[:3] == ((1, "u1"), (2, "u2"), (3, "u3"))


def test_every_metric_that_the_summary_has_samples_of_has_a_row(folder, run):
    summary = json.loads((folder / "summary.json").read_text())
    sampled = {row["metric"] for row in summary["rows"] if row["n"]}
    assert {"good_turns", "send_lateness", "client_lag", "errors"} <= sampled
    found = compare(Side("a", (run,)), Side("b", (run,)), allow=True, resamples=50)
    assert {row["metric"] for row in found["rows"]} == sampled


def test_figures_that_no_table_tells_are_those_of_the_summary(folder, run):
    summary = json.loads((folder / "summary.json").read_text())
    rows = {(row["metric"], row["statistic"]): row for row in summary["rows"] if not row["filter"]}
    row, figure = rows["send_lateness", "p95"], run.figures["send_lateness"]["p95"]
    assert figure == (row["value"], row["low"], row["high"], row["n"])
    assert "clear_ack" not in run.figures  # nobody asked for it


def test_the_profile_of_the_reference_server_is_told_and_parts_no_runs(folder, run, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    scenario = FACTS["scenario"]
    effective = EFFECTIVE | {"reference": {"profile": "slower.toml"}}
    RunFolder(other).update(scenario={**scenario, "effective": effective}, interrupted=False)
    slower = read_sample(other)
    fit = [sample._replace(facts=sample.facts | {"verdict": "pass"}) for sample in (slower, run)]
    found = compare(Side("a", (fit[0],)), Side("b", (fit[1],)), resamples=50)
    assert found["sides"]["a"]["profile"] == "slower.toml"
    assert found["sides"]["b"]["profile"] is None


def test_stages_add_up_to_the_wait_in_every_turn(run):
    total = sum(np.nan_to_num(stage) for stage in run.stages.values())
    assert total == pytest.approx(run.waits["voice_to_voice_latency"].values)


def test_turns_that_the_run_cut_are_left_out_and_failed_waits_are_censored(tmp_path):
    waiting = Story(0).begin(2).microphone()
    waiting.say(200).answered()
    waiting.say(4200).ear()
    waiting.gave_up(15_000).appends(15_000).finish()
    write_run(tmp_path / "run", waiting, conversation(1, 2), **FACTS)
    analyse(tmp_path / "run")
    judge_run(tmp_path / "run", (), None)
    wait = read_sample(tmp_path / "run").waits["voice_to_voice_latency"]
    assert wait.censored.sum() == 1
    assert wait.values[wait.censored][0] > 5000


def test_folders_are_compared_as_they_stand(run, tmp_path):
    late = [read_sample(folder_of(tmp_path / f"late-{n}", late=200 + n)) for n in range(2)]
    usual = [run, read_sample(folder_of(tmp_path / "usual", late=1))]
    found = compare(Side("late", tuple(late)), Side("usual", tuple(usual)), allow=True)
    assert found["replayed"]
    stages = {entry["stage"]: entry for entry in found["attribution"]}
    assert stages["generation"]["difference"] == pytest.approx(200)
    assert stages["endpointing"]["difference"] == pytest.approx(0)


def test_runs_that_say_the_same_at_the_same_places_replay_each_other(run):
    assert replayed(run, run)
    other = run._replace(said=tuple((turn, f"x{word}") for turn, word in run.said))
    assert not replayed(run, other)
    fewer = run._replace(keys=tuple((slot + 3, lap) for slot, lap in run.keys))
    assert not replayed(run, fewer)  # one session in common is no plan


@pytest.mark.parametrize("name", ["summary.json", "verdict.json"])
def test_a_run_that_was_not_judged_is_an_error_with_a_remedy(tmp_path, name):
    place = folder_of(tmp_path / "run", sessions=2)
    (place / name).unlink()
    with pytest.raises(RunFolderError, match=rf"run/{name}: no such file; .*bench report"):
        read_sample(place)
    (place / name).write_text("[]")
    with pytest.raises(RunFolderError, match="no JSON object"):
        read_sample(place)
    (place / name).write_text("{")
    with pytest.raises(RunFolderError, match="cannot be read"):
        read_sample(place)
