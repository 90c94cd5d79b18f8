from dataclasses import replace

import pandas as pd
import pytest

from bench.report.time_panels import AGEING, by_turn


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
    ((_, figure),) = AGEING(run).figures
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
    assert AGEING(drifting(runs["rich"], *interval)).answer.startswith(answer)


def test_short_calls_have_no_panel(runs):
    run = runs["rich"]
    assert AGEING(replace(run, turns=run.turns[run.turns["turn"] < 5])) is None
    assert AGEING(runs["written"]) is None
