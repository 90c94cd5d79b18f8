from dataclasses import replace

import pandas as pd
import pytest

from bench.report.charts import strips
from bench.report.interruption_panels import BARGE_IN, CANCELS


def yielding(run, yielded, silence, phases):
    """Interruptions with these figures and no others."""
    mine = run.turns[(run.turns["role"] == "interruption") & run.turns["measured"]]
    turns = mine.head(len(yielded)).assign(
        outcome="ok",
        yielded=pd.array(yielded, "boolean"),
        barge_in_silence=pd.array(silence, "Float64"),
        interrupted_while=phases,
    )
    return replace(run, turns=turns)


def test_what_shows_nothing_of_yielding_is_in_no_share_of_it(runs):
    run = yielding(
        runs["rich"],
        [True, None, None, False],
        [200.0, 900.0, 800.0, None],
        ["generating", "finished", "generating", "generating"],
    )
    panel = BARGE_IN(run)
    assert (
        "The agent yielded at 1 of 2 interruptions (50\u202f%); at 2 more the reply ran out by "
        "itself, which shows nothing; 1 never fell silent and is not on the curve."
    ) in panel.answer
    (table,) = panel.tables
    assert [row[1:3] for row in table.rows] == [["3", "1 of 2 (50\u202f%)"], ["1", "–"]]


def test_an_agent_that_was_not_speaking_is_told_from_a_reply_that_ran_out(runs):
    run = yielding(
        runs["rich"], [True, None, None], [200.0, None, 700.0], ["finished", None, "finished"]
    )
    assert (
        "yielded at 1 of 1 interruption (100\u202f%); at 1 more it was not speaking when the "
        "caller began; at 1 more the reply ran out by itself, which shows nothing."
    ) in BARGE_IN(run).answer


def test_interruptions_are_told_apart_by_what_the_server_was_doing(runs):
    run = runs["rich"]
    (table,) = BARGE_IN(run).tables
    part = run.counted[run.counted["interrupted_while"] == "finished"]
    assert [row[0] for row in table.rows] == [
        "while the reply was being generated",
        "after its generation had finished: only playout had to stop",
    ]
    assert table.rows[1][1] == str(len(part))
    assert table.rows[1][4].startswith(f"{part['stale_audio'].median():.1f}"[:3])


def test_what_is_no_interruption_and_silenced_the_agent_is_counted(runs):
    said = "Of 24 backchannels and other sounds said into a reply, 8.3\u202f% [1, 27] silenced it"
    assert said in BARGE_IN(runs["rich"]).answer
    calm = runs["rich"].turns.assign(role="line")
    panel = BARGE_IN(replace(runs["rich"], turns=calm))
    assert said in panel.answer
    assert not panel.figures


def test_late_audio_of_interrupted_replies_is_told(runs):
    assert any("of audio still came at p50" in note for note in BARGE_IN(runs["rich"]).notes)


def test_cancels_are_timed_and_races_are_no_failures(runs):
    run = runs["rich"]
    panel = CANCELS(run)
    times, stale = (figure for _, figure in panel.figures)
    drawn = [trace for trace in times.data if trace.name]
    for metric, trace in zip(
        ("cancel_delay", "cancel_last_audio", "truncate_ack"), drawn, strict=True
    ):
        assert sorted(trace.x) == pytest.approx(sorted(run.counted[metric].dropna()))
    assert sorted(stale.data[0].x) == pytest.approx(sorted(run.counted["stale_audio"].dropna()))
    assert "4 cancels came when the reply was already over" in panel.answer
    assert CANCELS(runs["whole"]) is None


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
    panel = CANCELS(run)
    number = run.counted["cancel_sent_ns"].notna().sum()
    assert f"{number} of {number} cancels did nothing: the reply was still open" in panel.answer
    assert "Most cancelled replies never ended" in panel.answer
    assert not panel.figures


def test_a_cancel_after_the_end_of_its_reply_is_not_said_to_have_done_nothing(runs):
    assert "did nothing" not in CANCELS(without_effect(runs["rich"], vain=False)).answer
    assert "did nothing" not in CANCELS(runs["rich"]).answer


def test_a_strip_whose_p50_is_beyond_every_wait_says_so(runs):
    figure, _ = strips("", {"cancel_delay": "until done"}, "ms").draw(censored(runs["rich"]))
    assert "p50 not reached · p95 not reached" in figure.layout.annotations[0].text


def test_cancels_before_any_of_the_reply_was_heard_are_told_though_their_turns_are_cut(runs):
    run = runs["rich"]
    cut = run.turns["outcome"].mask(run.turns["cancel_sent_ns"].notna(), "cut")
    run = replace(run, turns=run.turns.assign(outcome=cut))
    number = run.measured["cancel_sent_ns"].notna().sum()
    said = f"{number} of {number} cancels came before any of the reply was heard: such turns are"
    assert said in CANCELS(run).answer
