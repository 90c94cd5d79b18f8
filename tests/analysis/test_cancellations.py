"""Replies that the caller stops: cancels, races, truncations, stragglers."""

import pytest

from tests.analysis.story import Answer, Story, analysed


def speaking(until=2700, session=None):
    """A turn whose reply (created 1750) arrives every 25 ms from 2050, and plays for 2 s."""
    story = Story().begin(2, session=session).microphone().say(0)
    story.ear()
    story.created(1750)
    for index in range(20):
        story.delta(2050 + index * 25) if 2050 + index * 25 < until else None
    return story


def cancelled(story, at, response="resp1", reason="client_cancelled"):
    return story.done(at, response, "cancelled", reason)


@pytest.mark.parametrize("named", ["resp1", None])
def test_a_cancel_is_timed_to_the_end_of_the_reply_and_to_its_last_audio(tmp_path, named):
    story = cancelled(speaking(2200).flush(2200, "caller").cancel(2200, named), 2260)
    story.delta(2240).delta(2250, 50)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    expected = {"cancel_delay": 60, "cancel_last_audio": 50, "stale_audio": 150}
    assert {name: turns.loc[0, name] for name in expected} == expected
    assert turns.loc[0, "outcome"] == "ok"  # it was heard before
    assert rows["cancel_delay", "p50"]["n"] == 1


def test_a_cancel_that_comes_too_late_was_sent_and_cancelled_nothing(tmp_path):
    story = speaking().done(2600, "resp1").flush(2700, "caller").cancel(2700)
    story.error(2720, "response_cancel_not_active", "response.cancel@2700")
    turns, _, rows, summary = analysed(tmp_path, story.finish())
    assert turns.loc[0, "outcome"] == "ok"
    assert turns.loc[0, ["cancel_delay", "cancel_last_audio", "stale_audio"]].isna().all()
    assert turns["cancel_sent_ns"].notna().tolist() == [True]
    assert rows["errors", "count"]["value"] == 0
    assert summary["errors_by_code"] == {"response_cancel_not_active": 1}


def test_a_reply_that_was_complete_when_the_cancel_came_was_not_cancelled(tmp_path):
    story = speaking().cancel(2590).done(2600, "resp1").heard_out(4100)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns["cancel_delay"].isna().all()
    assert turns.loc[0, "stale_audio"] == 0
    assert rows["cancel_delay", "p50"]["low"] == 10  # so long it waited, and it was not cancelled


def test_what_the_server_cancelled_because_it_heard_somebody_is_not_the_cancels(tmp_path):
    story = cancelled(speaking(2200).cancel(2200), 2260, reason="turn_detected")
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns["cancel_delay"].isna().all()
    assert rows["cancel_delay", "p50"]["n"] == 0


@pytest.mark.parametrize("ends", [True, False])
def test_a_server_that_ignores_cancels_has_no_fast_median(tmp_path, ends):
    """Flaw F12: one cancel in three is heeded, in 60 ms; the others are waited for in vain."""
    stories = [cancelled(speaking(2200).cancel(2200), 2260).finish()]
    for number in (1, 2):
        story = speaking().cancel(2200)
        story.done(2700, "resp1") if ends else None
        story.rows = [row._replace(session=number) for row in story.rows]
        story.number = number
        stories.append(story.finish())
    gates = ("p95(cancel_delay) < 1 s",)
    turns, _, rows, _ = analysed(tmp_path, *stories, gates=gates)
    assert turns["cancel_delay"].dropna().tolist() == [60]
    ended = stories[1].rows[-1].at_ns if not ends else stories[1].zero + 2_700_000_000
    assert turns["cancel_waited_ns"].dropna().tolist() == [ended] * 2
    row = rows["cancel_delay", "p50"]
    assert (row["value"], row["n"]) == (None, 3)
    assert turns["cancel_last_audio"].tolist()[1:] == [325, 325]  # 2525, all the same
    assert turns["good_turn"].tolist() == [True, False, False]


def test_a_cancel_before_its_response_is_created_is_of_that_response(tmp_path):
    """Protocol 7.6; the reply to the turn before was over."""
    story = Story().begin(2).microphone().say(200).answered()
    story.write(5000).cancel(5020).created(5050)
    turns, _, _, _ = analysed(tmp_path, cancelled(story, 5100, "resp2").finish())
    assert turns["cancel_delay"].isna().tolist() == [True, False]
    assert turns.loc[1, "cancel_delay"] == 80


def test_a_cancel_that_came_too_late_is_not_of_the_next_turns_reply(tmp_path):
    story = speaking().done(2600, "resp1").cancel(2700)
    story.write(5000).created(5050).delta(5200).cancel(5300)
    turns, _, _, _ = analysed(tmp_path, cancelled(story, 5350, "resp2").finish())
    assert turns["cancel_delay"].isna().tolist() == [True, False]
    assert turns.loc[1, "cancel_delay"] == 50


def test_a_server_that_talks_on_shows_in_the_audio_that_came_after(tmp_path):
    story = speaking().flush(2100, "caller").cancel(2100).done(2700, "resp1")
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, "stale_audio"] == 17 * 100  # 2125 … 2525


def test_a_truncation_after_a_stop_belongs_to_the_turn_that_was_stopped(tmp_path):
    story = cancelled(speaking(2200).flush(2200, "caller").cancel(2200), 2260)
    story.send(2201, "conversation.item.truncate", item_id="a-resp1")
    story.hear(2270, "conversation.item.truncated", item_id="a-resp1")
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, "truncate_ack"] == 69
    assert rows["truncate_ack", "p50"]["n"] == 1


def test_truncations_of_one_item_are_acknowledged_in_their_order(tmp_path):
    story = speaking().done(2600, "resp1").heard_out(4100)
    for at in (4200, 4300):
        story.send(at, "conversation.item.truncate", item_id="a-resp1")
        story.hear(at + 30, "conversation.item.truncated", item_id="a-resp1")
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, "truncate_ack"] == 30


def test_stopping_a_reply_before_any_of_it_is_heard_is_the_callers_own_doing(tmp_path):
    story = Story().begin().microphone().write(1000).created(1050)
    cancelled(story.flush(1060, "caller").cancel(1060), 1100)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, "outcome"] == "cut"
    assert turns.loc[0, "cancel_delay"] == 40
    assert rows["answered", "share"]["n"] == 0


def test_a_turn_that_was_stopped_is_over_when_the_session_is_lost_after_it(tmp_path):
    story = cancelled(speaking(2200).flush(2200, "caller").cancel(2200), 2260)
    turns, _, _, _ = analysed(tmp_path, story.end(3000, "closed"))
    assert turns["outcome"].tolist() == ["ok", "dropped"]


def test_stragglers_after_an_interruption_are_the_interrupting_turns(tmp_path):
    story = speaking(3300).delta(3100).say(3000, 200, 700, "interruption")
    story.ear(Answer(start=200, stop=500))  # heard at 3400
    story.flush(3400).delta(3410, 30, "resp1").delta(3450, 50, "resp1")
    cancelled(story, 3460, reason="turn_detected")
    story.created(4230).delta(4500).done(4510).heard_out(4800)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns["stale_audio"].isna().tolist() == [True, False]
    assert turns.loc[1, "stale_audio"] == 80
    assert turns.loc[1, "interrupted_while"] == "generating"
    assert rows["stale_audio", "max"]["value"] == 80


def test_an_interruption_of_what_was_generated_already_is_told_apart(tmp_path):
    story = speaking().done(2700, "resp1").say(3000, 200, 700, "interruption")
    story.ear(Answer(start=200, stop=500))
    story.flush(3400).created(4230).delta(4500).done(4510).heard_out(4800)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns["interrupted_while"].isna().tolist() == [True, False]
    assert turns.loc[1, "interrupted_while"] == "finished"
    assert rows["stale_audio", "p50"]["n"] == 0  # all of it had come: there was nothing to stop


@pytest.mark.parametrize(("interrupts", "stale"), [(True, 100), (False, None)])
def test_a_server_that_is_not_to_be_interrupted_has_no_stale_audio(tmp_path, interrupts, stale):
    detection = {"type": "server_vad", "interrupt_response": interrupts, "prefix_padding_ms": 300}
    session = {"audio": {"input": {"turn_detection": detection}}}
    story = speaking(3300, session).delta(3100).say(3000, 200, 700, "interruption")
    story.ear(Answer(start=200, stop=500))  # heard at 3400
    story.delta(3450, 100, "resp1").done(3460, "resp1")
    story.created(4230).delta(4500).done(4510).heard_out(4800)
    _, _, rows, _ = analysed(tmp_path, story.finish())
    assert rows["stale_audio", "max"]["value"] == stale


def test_a_truncation_that_is_never_acknowledged_waits_until_the_session_ends(tmp_path):
    story = speaking().done(2600, "resp1").heard_out(4100)
    story.send(4200, "conversation.item.truncate", item_id="a-resp1").end(5200)
    turns, _, rows, _ = analysed(tmp_path, story)
    assert turns["truncate_ack"].isna().all()
    row = rows["truncate_ack", "p50"]
    assert (row["value"], row["low"], row["n"]) == (None, 1000, 1)


def test_a_good_turn_is_bound_by_an_objective_on_cancels_only_where_it_was_cancelled(tmp_path):
    story = cancelled(speaking(2200).flush(2200, "caller").cancel(2200), 2260)
    story.say(5000).answered()
    turns, _, _, _ = analysed(tmp_path, story.finish(), gates=("p95(cancel_delay) < 50 ms",))
    assert turns["good_turn"].tolist() == [False, True]
