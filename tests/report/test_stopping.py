from dataclasses import replace

import pandas as pd
import pytest

from bench.report.charts import strips
from bench.report.interruption_panels import STOPPING


def test_cancels_are_timed_and_races_are_no_failures(runs):
    run = runs["rich"]
    panel = STOPPING(run)
    times, stale = (figure for _, figure in panel.figures)
    drawn = [trace for trace in times.data if trace.name]
    for metric, trace in zip(
        ("cancel_delay", "cancel_last_audio", "truncate_ack"), drawn, strict=True
    ):
        assert sorted(trace.x) == pytest.approx(sorted(run.counted[metric].dropna()))
    assert sorted(stale.data[0].x) == pytest.approx(sorted(run.counted["stale_audio"].dropna()))
    assert "4 cancels came when the reply was already over" in panel.answer
    assert STOPPING(runs["whole"]) is None


def without_effect(run, *, vain):
    """The same run with no reply cancelled: all were still open (`vain`), or over before."""
    turns = run.turns.copy()
    turns["cancel_waited_ns"] = turns["cancel_sent_ns"] + 500_000_000 if vain else pd.NA
    for column in ("cancelled_ns", "cancelled_last_audio_ns"):
        turns[column] = pd.array([pd.NA] * len(turns), "Int64")
    nothing = ("cancel_delay", "cancel_last_audio", "truncate_ack", "stale_audio")
    return replace(run, turns=turns.assign(**dict.fromkeys(nothing, float("nan"))))


def censored(run):
    """The rows of a summary in which every cancel waited in vain."""
    rows = [row for row in run.summary["rows"] if row["metric"] != "cancel_delay"]
    row = {"metric": "cancel_delay", "filter": "", "value": None, "low": 900.0, "high": None,
           "n": 9, "unit": "ms"}  # fmt: skip
    rows += [row | {"statistic": word} for word in ("p50", "p95")]
    return replace(run, summary=run.summary | {"rows": rows})


def test_cancels_that_did_nothing_are_counted_though_there_is_no_time_to_draw(runs):
    run = censored(without_effect(runs["rich"], vain=True))
    panel = STOPPING(run)
    number = run.counted["cancel_sent_ns"].notna().sum()
    assert f"{number} of {number} cancels did nothing: the reply was still open" in panel.answer
    assert "Most cancelled replies never ended" in panel.answer
    assert not panel.figures


def test_a_cancel_after_the_end_of_its_reply_is_not_said_to_have_done_nothing(runs):
    assert "did nothing" not in STOPPING(without_effect(runs["rich"], vain=False)).answer
    assert "did nothing" not in STOPPING(runs["rich"]).answer


def test_a_strip_whose_p50_is_beyond_every_wait_says_so(runs):
    figure, _ = strips("", {"cancel_delay": "until done"}, "ms").draw(censored(runs["rich"]))
    assert "p50 not reached · p95 not reached" in figure.layout.annotations[0].text


def test_cancels_before_any_of_the_reply_was_heard_are_told_though_their_turns_are_cut(runs):
    run = runs["rich"]
    cut = run.turns["outcome"].mask(run.turns["cancel_sent_ns"].notna(), "cut")
    run = replace(run, turns=run.turns.assign(outcome=cut))
    number = run.measured["cancel_sent_ns"].notna().sum()
    said = f"{number} of {number} cancels came before any of the reply was heard: such turns are"
    assert said in STOPPING(run).answer
