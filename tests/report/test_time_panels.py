from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.report.time_panels import BY_TURN, SLOW_TURNS, by_turn


def drifting(run, low, value, high):
    row = {"metric": "latency_drift", "filter": "", "statistic": "p50", "value": value, "low": low,
           "high": high, "n": 20, "unit": "ms"}  # fmt: skip
    rows = [row for row in run.summary["rows"] if row["metric"] != "latency_drift"]
    return replace(run, summary=run.summary | {"rows": [*rows, row]})


def test_the_median_and_the_middle_half_are_of_the_turns_with_that_number():
    turns = pd.DataFrame(
        {"turn": [1, 1, 1, 1, 1, 2], "value": [100.0, 200, 300, 400, 500, 900], "session": range(6)}
    )
    table = by_turn(turns)
    assert table.to_dict("list") == {
        "turn": [1, 2], "low": [200.0, 900.0], "middle": [300.0, 900.0], "high": [400.0, 900.0],
        "n": [5, 1],
    }  # fmt: skip


def test_every_answer_is_a_point_at_its_turn(runs):
    run = runs["rich"]
    ((_, figure),) = BY_TURN(run).figures
    dots, band, line = figure.data
    turns = run.counted[run.counted["first_audio_latency"].notna()]
    assert sorted(dots.y) == pytest.approx(sorted(turns["first_audio_latency"]))
    assert {round(x) for x in dots.x} == set(turns["turn"])
    medians = turns.groupby("turn")["first_audio_latency"].median()
    assert list(line.y) == pytest.approx(medians.tolist())
    assert len(band.x) == 2 * len(line.x)


@pytest.mark.parametrize(
    ("interval", "answer"),
    [
        ((2.0, 5.0, 9.0), "Yes: it grows by 5\u202fms [2, 9] a turn in the median session"),
        ((-2.0, 1.0, 4.0), "No drift is shown: 1\u202fms [\u22122, 4] a turn"),
        ((-9.0, -5.0, -2.0), "No: it gets quicker, by \u22125\u202fms"),
        ((None, 5.0, None), "It changes by 5\u202fms a turn"),
        ((None, None, None), "The median first audio is "),
    ],
)
def test_the_answer_is_no_bolder_than_its_interval(runs, interval, answer):
    assert BY_TURN(drifting(runs["rich"], *interval)).answer.startswith(answer)


def test_short_calls_have_no_panel(runs):
    run = runs["rich"]
    assert BY_TURN(replace(run, turns=run.turns[run.turns["turn"] < 5])) is None
    assert BY_TURN(runs["written"]) is None


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
