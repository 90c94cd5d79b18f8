from dataclasses import replace

import pandas as pd

from bench.report.interruption_panels import BARGE_IN


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
