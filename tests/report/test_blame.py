from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.report.time_panels import SLOW_TURNS


def answers(run, who):
    """The waits of a run's answers by who is blamed, set aside or not."""
    turns = run.turns[run.turns["measured"] | run.turns["set_aside"]]
    mine = turns[turns["slowed_by"] == who][run.wait].dropna()
    return sorted(mine.astype(float))


def test_every_answer_has_the_colour_of_who_may_have_made_it_slow(runs):
    run = runs["rich"]
    panel = SLOW_TURNS(run)
    [(_, figure)] = panel.figures
    drawn = {trace.name.split("'")[0]: trace for trace in figure.data}
    assert set(drawn) == {"the server", "the network", "the generator"}
    for who in ("server", "network", "generator"):
        assert sorted(drawn[f"the {who}"].y) == pytest.approx(answers(run, who))
    assert len({trace.marker.color for trace in figure.data}) == 3
    assert list(drawn["the generator"].customdata[0][-3:]) == [31.5, 0.25, 0]


def test_the_slowest_one_in_twenty_are_counted_by_whose_they_are(runs):
    run = runs["rich"]
    turns = run.turns[run.turns["measured"] | run.turns["set_aside"]]
    waits = turns[run.wait].astype(float)
    slow = turns[waits >= np.quantile(waits.dropna(), 0.95)]
    counts = slow["slowed_by"].value_counts()
    answer = SLOW_TURNS(run).answer
    for who in ("server", "network", "generator"):
        assert f"{counts.get(who, 0) or 'none'} the {who}'s" in answer
    assert "0.9" in answer  # how late the reference server itself was


def test_turns_that_were_set_aside_are_drawn_and_said_to_be_in_no_figure(runs):
    run = runs["rich"]
    summary = run.summary | {"set_aside": {"turns": 1, "seconds": 2, "spans": []}}
    [note] = SLOW_TURNS(replace(run, summary=summary)).notes
    assert note.startswith("1 turn that 2 bad seconds of the generator touched")
    assert SLOW_TURNS(run).notes == []


def test_a_run_that_did_not_look_asks_no_such_question(runs):
    assert SLOW_TURNS(runs["whole"]) is None


def test_a_run_without_an_answer_has_none_that_was_slow(runs):
    run = runs["rich"]
    nothing = run.turns.assign(**{run.wait: pd.Series(float("nan"), run.turns.index)})
    empty = replace(run, turns=nothing)
    waits = ("voice_to_voice_latency", "first_audio_latency", "first_text_latency",
             "first_transcript_latency")  # fmt: skip
    empty = replace(empty, turns=nothing.assign(**dict.fromkeys(waits, float("nan"))))
    assert "so none was slow" in SLOW_TURNS(empty).answer
