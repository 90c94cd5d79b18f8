"""Backchannels and sounds said into a reply: they are no turns, and must not silence the agent."""

import pytest

from tests.analysis.story import Answer, Story, analysed


def disturbed(role="backchannel", at=2500):
    """A reply that plays from 2050 to 4050, and something said into it (200 … 500 in)."""
    story = Story().begin().microphone().say(0)
    story.ear()
    story.created(1750)
    for index in range(20):
        story.delta(2050 + index * 25)
    if role == "sound":
        return story.say(at, onset=None)
    return story.say(at, 200, 500, role)


@pytest.mark.parametrize("role", ["backchannel", "sound"])
def test_a_disturbance_that_nobody_minds_is_no_false_barge_in(tmp_path, role):
    story = disturbed(role).done(2900).heard_out(4100)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert len(turns) == 1
    assert turns.loc[0, "outcome"] == "ok"
    row = rows["false_barge_in", "share"]
    assert (row["value"], row["n"]) == (0, 1)


@pytest.mark.parametrize("role", ["backchannel", "sound"])
def test_a_player_that_is_emptied_for_it_is_a_false_barge_in(tmp_path, role):
    story = disturbed(role).started(2850, "mm", 2400).flush(2850).done(2900).heard_out(4100)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert rows["false_barge_in", "share"]["value"] == 100
    assert turns.loc[0, "outcome"] == "ok"
    assert not turns.loc[0, "split_turn"]
    assert turns.loc[0, "spurious"] == (role == "sound")  # somebody spoke, or nobody did


def test_a_reply_that_the_server_cancels_for_it_is_a_false_barge_in(tmp_path):
    story = disturbed().started(2850, "mm", 2400)
    story.done(2870, "resp1", "cancelled", "turn_detected").heard_out(4100)
    _, _, rows, _ = analysed(tmp_path, story.finish())
    assert rows["false_barge_in", "share"]["value"] == 100


@pytest.mark.parametrize("cause", ["caller", "server"])
def test_what_silences_the_agent_for_another_reason_is_no_false_barge_in(tmp_path, cause):
    story = disturbed()
    if cause == "caller":
        story.flush(2850, "caller").done(2900)
    else:
        story.say(3000, 200, 700, "interruption")
        story.ear(Answer(start=100))
        story.flush(3300)
    _, _, rows, _ = analysed(tmp_path, story.gave_up(9000).finish())
    assert rows["false_barge_in", "share"]["value"] == 0


def test_what_is_said_into_silence_is_no_sample(tmp_path):
    story = disturbed(at=6000).done(2900).heard_out(4100).started(6300, "mm", 5900)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert rows["false_barge_in", "share"]["n"] == 0
    assert turns.loc[0, "spurious"] == 0


def test_a_response_to_a_backchannel_answers_nobody(tmp_path):
    story = disturbed().started(2850, "mm", 2400).stopped(3300, "mm", 3200).committed(3310, "mm")
    story.done(2900).created(3330, "r2").delta(3600, response="r2").done(3610, "r2")
    turns, _, _, _ = analysed(tmp_path, story.heard_out(4200).finish())
    assert turns.loc[0, ["response_id", "commit_delay"]].tolist() == ["resp1", 10]
    assert turns.loc[0, "endpointing_delay"] == 520


def test_a_turn_goes_on_while_somebody_coughs(tmp_path):
    """What a disturbance is said into is not over: a session lost there drops it."""
    story = Story().begin().microphone().say(0)
    story.ear()
    story.created(1750).say(1800, onset=None).end(1900, "broken")
    turns, _, _, _ = analysed(tmp_path, story)
    assert turns["outcome"].tolist() == ["dropped"]


def test_without_positions_a_start_in_a_backchannel_is_the_backchannels(tmp_path):
    story = disturbed().started(2850, "mm").flush(2850).done(2900).heard_out(4100)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert rows["false_barge_in", "share"]["value"] == 100
    assert not turns.loc[0, "split_turn"]
