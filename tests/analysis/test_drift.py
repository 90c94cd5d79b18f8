"""Drift is the slope of latency over a session's turns, which no single turn moves."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.analysis.measure import latency_drift
from tests.analysis.story import Answer, Story, analysed


def call(number, latencies, *, silent=()):
    """A session whose n-th reply begins that many ms after its turn was stopped."""
    story = Story(number).begin(len(latencies)).microphone()
    for turn, latency in enumerate(latencies):
        story.say(turn * 6000)
        if turn in silent:
            story.ear()
            story.gave_up(turn * 6000 + 5500)
        else:
            story.answered(Answer(deltas=(latency,)))
    return story.finish()


def test_a_latency_that_grows_by_ten_a_turn_drifts_by_ten(tmp_path):
    latencies = [300 + 10 * turn for turn in range(8)]
    latencies[3] = 2500
    _, sessions, rows, _ = analysed(tmp_path, call(0, latencies), call(1, [300] * 5))
    assert sessions["latency_drift"].tolist() == [10, 0]
    assert rows["latency_drift", "max"]["value"] == 10
    assert rows["latency_drift", "p50"]["n"] == 2


def test_it_is_the_slope_of_theil_and_sen_over_the_turns_own_numbers(tmp_path):
    latencies = [310, 290, 420, 380, 505, 390, 610]
    _, sessions, _, _ = analysed(tmp_path, call(0, latencies, silent={2}))
    answered = [turn for turn in range(7) if turn != 2]
    expected = stats.theilslopes(np.array(latencies)[answered], answered).slope
    assert sessions.loc[0, "latency_drift"] == pytest.approx(expected)


def test_fewer_than_five_answered_turns_say_nothing_of_a_trend(tmp_path):
    _, sessions, rows, _ = analysed(tmp_path, call(0, [300] * 5, silent={1}))
    assert sessions["latency_drift"].isna().all()
    assert rows["latency_drift", "p50"]["n"] == 0


def answered(session, count, slope):
    """A session of so many turns whose latency grows by `slope` a turn, every seventh slow."""
    turn = np.arange(1, count + 1)
    latency = 300 + slope * turn + np.where(turn % 7 == 0, 2000.0, 0.0)
    return pd.DataFrame(
        {"session": session, "turn": turn, "outcome": "ok", "first_audio_latency": latency}
    )


def test_a_call_of_thousands_of_turns_costs_no_square_of_them():
    turns = pd.concat([answered(n, 5000, 1 + n) for n in range(3)])
    tracemalloc.start()
    try:
        slopes = latency_drift(turns)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert slopes.tolist() == pytest.approx([1, 2, 3])
    assert most < 20_000_000


def test_sessions_of_different_lengths_have_each_its_own_slope():
    turns = pd.concat([answered(n, count, n) for n, count in enumerate((5, 300, 301, 4, 6))])
    assert latency_drift(turns).round(9).to_dict() == {0: 0, 1: 1, 2: 2, 4: 4}
