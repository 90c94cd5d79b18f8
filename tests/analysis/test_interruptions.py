"""Interruptions: silence is where the caller's player is last audible, flushed and not."""

import pytest

from tests.analysis.story import LOUD, SOFT, Answer, Story, analysed

# The line is said at 0 (speech 200…1200) and answered from 2050 on (Answer: created 1750, +300);
# the interruption is said at 3000: speech 3200…3700, heard at 3400.
ONSET = 3200


def interrupted(*, deltas=20, every=25, flush=3400, levels=None, told=True):
    """A reply of `deltas` of 100 ms each, sent every `every` ms, and an interruption into it."""
    story = Story().begin(2).microphone().say(0)
    story.ear()
    story.created(1750)
    for index in range(deltas):
        story.delta(2050 + index * every, levels=levels)
    story.say(3000, 200, 700, "interruption")
    if told:
        story.ear(Answer(start=200, stop=500))  # 3400; 4200, commits at 4210
    if flush is not None:
        story.note(flush, "flush", item_id="a-resp1", detail={"heard_ms": flush - 2050})
    return story


def second_answer(story):
    story.created(4230, "r2").delta(4500, response="r2").done(4510, "r2").heard_out(7000)
    return story.finish()


def test_a_reply_sent_whole_stops_in_the_past_and_plays_on_until_the_player_is_emptied(tmp_path):
    """Flaw F17: the last packet is no silence."""
    turns, _, rows, _ = analysed(tmp_path, second_answer(interrupted().done(2700, "resp1")))
    cut = turns.loc[1]
    assert cut["role"] == "interruption"
    assert cut["barge_in_detection"] == 200
    assert cut["barge_in_last_audio"] == 2050 + 19 * 25 - ONSET  # -675: long before
    assert cut["barge_in_silence"] == 3400 - ONSET
    assert cut["barge_in_silence_unflushed"] == 2050 + 2000 - ONSET
    assert cut["yielded"]
    assert turns["outcome"].tolist() == ["ok", "ok"]
    assert turns["interrupted_by_caller"].tolist() == [True, False]
    assert rows["yielded", "share"]["n"] == 1


def test_only_interruptions_have_barge_in_figures(tmp_path):
    turns, _, _, _ = analysed(tmp_path, second_answer(interrupted()))
    columns = [name for name in turns if name.startswith("barge_in")]
    assert len(columns) == 4
    assert turns.loc[0, [*columns, "yielded", "truncate_ack"]].isna().all()


def test_a_delta_after_the_flush_for_the_reply_that_was_cut_is_never_played(tmp_path):
    story = interrupted(deltas=15, every=100)  # the last at 3450, after the flush
    turns, _, _, _ = analysed(tmp_path, second_answer(story))
    assert turns.loc[1, "barge_in_last_audio"] == 250
    assert turns.loc[1, "barge_in_silence"] == 200
    assert turns.loc[1, "barge_in_silence_unflushed"] == 350


def test_silence_is_the_end_of_the_last_audible_window_not_of_the_last_sample(tmp_path):
    story = interrupted(deltas=15, every=100, flush=None, levels=[LOUD] * 4 + [SOFT] * 6)
    turns, _, _, _ = analysed(tmp_path, second_answer(story))
    assert turns.loc[1, "barge_in_silence"] == 3450 + 40 - ONSET


def test_an_agent_that_talks_on_for_two_seconds_after_it_noticed_does_not_yield(tmp_path):
    for name, deltas, yields in (("a", 33, True), ("b", 34, False)):  # silent at 5350, at 5450
        story = interrupted(deltas=deltas, every=20, flush=None)
        story.done(3410, "resp1", "cancelled", "turn_detected")
        turns, _, rows, _ = analysed(tmp_path / name, second_answer(story))
        assert turns.loc[1, "yielded"] == yields
        assert rows["yielded", "share"]["value"] == 100 * yields


def test_an_agent_that_never_noticed_does_not_yield(tmp_path):
    story = interrupted(flush=None, told=False).done(2700, "resp1").gave_up(15000)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[1, ["outcome", "yielded"]].tolist() == ["missed", False]
    assert turns.loc[1, "barge_in_silence"] == 4050 - ONSET


@pytest.mark.parametrize("deltas", [0, 5])
def test_talking_into_silence_interrupts_nobody(tmp_path, deltas):
    """No reply at all, or one that was over at 2550."""
    story = second_answer(interrupted(deltas=deltas, flush=None))
    turns, _, rows, _ = analysed(tmp_path, story)
    assert turns.loc[1, ["yielded", "barge_in_silence"]].isna().all()
    assert not turns["interrupted_by_caller"].any()
    assert turns.loc[1, "barge_in_detection"] == 200
    assert rows["yielded", "share"]["value"] is None


def test_a_reply_that_was_emptied_before_was_not_interrupted(tmp_path):
    story = interrupted(flush=2800)  # a cough, say
    turns, _, _, _ = analysed(tmp_path, second_answer(story))
    assert turns.loc[1, ["yielded", "barge_in_silence"]].isna().all()


def test_a_detector_that_is_early_still_interrupts(tmp_path):
    story = interrupted(told=False, flush=3150)
    story.started(3150, position=2850).stopped(4200, position=4200).committed(4210)
    turns, _, _, _ = analysed(tmp_path, second_answer(story))
    assert turns.loc[1, "barge_in_detection"] == -50
    assert turns.loc[1, "barge_in_silence"] == -50
    assert turns.loc[1, "yielded"]


def test_an_agent_still_audible_when_the_session_ended_never_fell_silent(tmp_path):
    story = interrupted(deltas=40, flush=None).end(5000, "closed")  # would play to 6050
    turns, _, rows, _ = analysed(tmp_path, story)
    assert turns.loc[1, ["outcome", "yielded"]].tolist() == ["dropped", False]
    assert turns["barge_in_silence"].isna().all()
    assert rows["yielded", "share"]["value"] == 0


def test_a_truncation_is_timed_from_its_send_to_its_acknowledgement(tmp_path):
    story = interrupted()
    story.row(3402, "out", "conversation.item.truncate", item_id="a-resp1")
    story.hear(3440, "conversation.item.truncated", item_id="a-resp1")
    turns, _, rows, _ = analysed(tmp_path, second_answer(story))
    assert turns.loc[1, "truncate_ack"] == 38
    assert rows["truncate_ack", "p50"]["n"] == 1


def test_an_answer_that_comes_before_the_send_returns_is_timed_from_before_the_send(tmp_path):
    story = interrupted()
    sent = {"item_id": "a-resp1", "at_err_ns": 3_000_000}
    story.row(3405, "out", "conversation.item.truncate", **sent)
    story.hear(3404, "conversation.item.truncated", item_id="a-resp1")
    turns, _, _, _ = analysed(tmp_path, second_answer(story))
    assert turns.loc[1, "truncate_ack"] == 2


def test_a_reply_that_ran_out_by_itself_shows_nothing_of_yielding(tmp_path):
    """Neither emptied nor cancelled: it was over soon because it was short."""
    story = interrupted(deltas=15, every=100, flush=None)  # plays until 3550, heard at 3400
    turns, _, rows, _ = analysed(tmp_path, second_answer(story.done(3520, "resp1")))
    assert turns["yielded"].isna().all()
    assert rows["yielded", "share"]["n"] == 0
    assert turns.loc[1, "barge_in_silence"] == 350  # it fell silent all the same
