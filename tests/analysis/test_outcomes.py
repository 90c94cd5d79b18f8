"""Every attempt has one outcome, for the reason that it says."""

import pytest

from bench.tracker.outcomes import FAILED, OUTCOMES
from tests.analysis.story import ORIGIN_NS, Answer, Story, analysed, conversation


def only(tmp_path, story):
    turns, _, rows, summary = analysed(tmp_path, story)
    return turns.loc[len(turns) - 1], rows, summary


def test_an_audible_answer_in_time_is_ok(tmp_path):
    turn, _, _ = only(tmp_path, conversation(0, 1))
    assert (turn["outcome"], turn["reason"], turn["answered"]) == ("ok", "", True)


def test_an_answer_after_the_caller_gave_up_is_late_and_keeps_its_latency(tmp_path):
    story = Story().begin().microphone().say(0)
    story.ear()
    story.gave_up(11200).created(11500).delta(12000).done(12010)
    turn, rows, _ = only(tmp_path, story.finish())
    assert (turn["outcome"], turn["answered"]) == ("late", False)
    assert turn["reason"] == "answered 800 ms after the caller gave up"
    assert rows["first_audio_latency", "p50"]["value"] == 10800


def test_speech_that_the_server_never_heard_is_missed(tmp_path):
    story = Story().begin().microphone().say(0).gave_up(11200)
    turn, rows, _ = only(tmp_path, story.finish())
    assert (turn["outcome"], turn["missed"]) == ("missed", True)
    assert rows["missed", "share"]["value"] == 100


def test_speech_that_was_heard_and_never_answered_is_a_timeout(tmp_path):
    story = Story().begin().microphone().say(0)
    story.ear()
    turn, _, _ = only(tmp_path, story.gave_up(11200).finish())
    assert (turn["outcome"], turn["reason"]) == ("timeout", "no audio before the caller gave up")


def test_a_reply_of_nothing_but_silence_is_no_answer(tmp_path):
    """Flaw F11: packets are not sound."""
    story = Story().begin().microphone().say(0)
    at = story.ear()
    story.created(at + 20).delta(at + 300, silence=100).done(at + 310).heard_out(at + 400)
    turn, rows, _ = only(tmp_path, story.finish())
    assert (turn["outcome"], turn["reason"]) == ("error", "audio came, and none of it was heard")
    assert turn["first_audio_latency"] == at + 300 - 1200
    assert rows["answered", "share"]["value"] == 0


@pytest.mark.parametrize("status", ["failed", "incomplete"])
def test_a_response_that_failed_is_an_error_even_where_some_of_it_was_heard(tmp_path, status):
    turn, _, _ = only(tmp_path, conversation(0, 1, Answer(status=status, reason="server_error")))
    assert (turn["outcome"], turn["reason"]) == ("error", f"response {status}: server_error")


def test_an_error_message_instead_of_audio_is_an_error(tmp_path):
    story = Story().begin().microphone().say(0)
    at = story.ear()
    story.hear(at + 5, "error", detail={"code": "server_error", "message": "went wrong"})
    turn, rows, _ = only(tmp_path, story.gave_up(11200).finish())
    assert (turn["outcome"], turn["reason"]) == ("error", "server_error: went wrong")
    assert rows["errors", "count"]["value"] == 1


def test_an_error_that_has_no_type_is_one_of_its_turn_too(tmp_path):
    story = Story().begin().microphone().say(0)
    at = story.ear()
    story.hear(at + 5, "errorType:SESSION_GONE")
    turn, rows, _ = only(tmp_path, story.gave_up(11200).finish())
    assert (turn["outcome"], turn["reason"]) == ("error", "errorType:SESSION_GONE")
    assert rows["errors", "count"]["value"] == 1


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("error", {"code": "server_error", "message": "The model is at capacity."}),
        ("error", {"code": "ResourceExhausted", "message": ""}),
        ("error", {"code": "error", "message": "temporarily unavailable", "flat": True}),
        ("errorType:SESSION_RESOURCES_EXHAUSTED", {}),
    ],
)
def test_an_error_that_says_that_the_service_is_full_is_an_outcome_of_its_own(
    tmp_path, kind, detail
):
    story = Story().begin().microphone().say(0)
    at = story.ear()
    story.hear(at + 5, kind, detail=detail)
    turn, rows, _ = only(tmp_path, story.gave_up(at + 5).finish())
    assert turn["outcome"] == "overloaded"
    assert rows["failed_turns", "count"]["value"] == 1


def test_a_response_that_failed_for_want_of_capacity_is_overloaded_and_no_other(tmp_path):
    reason = "server_error: no capacity left"
    turn, _, _ = only(tmp_path, conversation(0, 1, Answer(status="failed", reason=reason)))
    assert (turn["outcome"], turn["reason"]) == ("overloaded", f"response failed: {reason}")


def test_words_of_overload_in_a_turn_that_was_answered_change_nothing(tmp_path):
    story = Story().begin().microphone().say(200).answered()
    story.hear(2000, "error", detail={"code": "", "message": "temporarily unavailable"})
    turn, _, _ = only(tmp_path, story.finish())
    assert turn["outcome"] == "ok"


def test_a_cancel_that_came_too_late_is_no_failure(tmp_path):
    story = Story().begin().microphone().say(0)
    at = story.ear()
    story.hear(at + 5, "error", detail={"code": "response_cancel_not_active", "message": ""})
    turn, _, _ = only(tmp_path, story.gave_up(11200).finish())
    assert turn["outcome"] == "timeout"


def test_an_error_message_in_a_turn_that_was_answered_changes_nothing(tmp_path):
    story = Story().begin().microphone().say(200).answered()
    story.hear(2000, "error", detail={"code": "invalid_value", "message": ""})
    turn, _, _ = only(tmp_path, story.finish())
    assert turn["outcome"] == "ok"


def test_a_response_cancelled_before_any_audio_is_an_error(tmp_path):
    story = Story().begin().microphone().say(0)
    at = story.ear()
    story.created(at).done(at + 50, status="cancelled", reason="turn_detected").heard_out(at + 60)
    turn, _, _ = only(tmp_path, story.finish())
    assert turn["outcome"] == "error"
    assert turn["reason"] == "response cancelled: turn_detected, without audio"


def test_a_session_lost_in_mid_turn_drops_it_and_what_nobody_came_to_is_counted_apart(tmp_path):
    """Flaw F13: a clean close in mid-turn is a failure too; one, however long the script."""
    outcomes = ["closed", "broken", "malformed", "too_big", "crashed"]
    stories = []
    for number, outcome in enumerate(outcomes):
        story = Story(number).begin(turns=3).microphone().say(0)
        story.ear()
        stories.append(story.end(2000, outcome, "going away", 1001))
    turns, _, rows, _ = analysed(tmp_path, *stories)
    assert turns["outcome"].tolist() == ["dropped"] * 5
    assert turns["turn"].tolist() == [1] * 5
    assert turns["reason"].tolist() == [f"session {outcome}: going away" for outcome in outcomes]
    assert turns["measured"].all()
    assert rows["answered", "share"]["n"] == 5
    assert rows["unreached_turns", "count"]["value"] == 10


def test_a_session_lost_between_turns_drops_only_what_it_never_came_to(tmp_path):
    story = Story().begin(turns=4).microphone().say(200).answered().end(4000, "closed")
    turns, sessions, _, _ = analysed(tmp_path, story)
    assert turns["outcome"].tolist() == ["ok", "dropped"]
    assert sessions["unreached_turns"].tolist() == [2]


def test_a_session_that_never_came_to_talk_rejects_its_first_turn(tmp_path):
    outcomes = ["refused", "unreachable", "silent", "malformed", "closed"]
    stories = []
    for number, outcome in enumerate(outcomes):
        story = Story(number).begin(turns=2)
        story.rows = story.rows[:1]
        stories.append(story.end(-30, outcome, "HTTP 429"))
    turns, sessions, rows, summary = analysed(tmp_path, *stories)
    assert turns["outcome"].tolist() == ["rejected"] * 5
    assert turns["reason"].tolist() == [f"session {outcome}: HTTP 429" for outcome in outcomes]
    assert rows["failed_turns", "count"]["value"] == 5
    assert rows["unreached_turns", "count"]["value"] == 5
    assert summary["sessions"] == {"started": 5, **dict.fromkeys(outcomes, 1)}
    assert sessions["connect_time"].isna().all()


def test_rejected_turns_are_measured_by_the_start_of_their_session(tmp_path):
    stories = []
    for number, opens in enumerate((1000, 6000)):
        story = Story(number, opens).begin()
        story.rows = story.rows[:1]
        stories.append(story.end(-30, "refused"))
    plan = {"measured_from_ns": ORIGIN_NS + 5_000_000_000}
    turns, _, _, _ = analysed(tmp_path, *stories, plan=plan)
    assert turns["measured"].tolist() == [False, True]


@pytest.mark.parametrize("until", [900, 2000])
def test_a_turn_that_the_run_itself_ended_is_cut_and_in_no_denominator(tmp_path, until):
    """Also where the worker died: a session without an end was ended by nobody else."""
    drained = Story(0).begin(3).microphone().say(0)
    drained.ear()
    drained.rows = [row for row in drained.rows if row.at_ns <= drained.zero + until * 1_000_000]
    lost = Story(1).begin(3).microphone().say(0)
    turns, sessions, rows, _ = analysed(
        tmp_path, drained.end(until, "drained"), lost, conversation(2, 1)
    )
    assert turns["outcome"].tolist() == ["cut", "cut", "ok"]
    assert sessions["outcome"].tolist() == ["drained", "lost", "finished"]
    assert rows["answered", "share"]["value"] == 100
    assert rows["answered", "share"]["n"] == 1
    assert rows["turns", "count"]["value"] == 3


def test_a_whole_answer_before_the_drain_is_ok_though_it_was_not_heard_out(tmp_path):
    story = conversation(0, 1)
    story.rows = [row for row in story.rows if row.type not in {"bench.heard_out", "bench.end"}]
    turn, _, _ = only(tmp_path, story.end(4500, "drained"))
    assert turn["outcome"] == "ok"


def test_turns_never_begun_because_the_run_ended_in_order_are_no_attempts(tmp_path):
    story = Story().begin(turns=5).microphone().say(200).answered().end(4000, "drained")
    turns, _, _, _ = analysed(tmp_path, story)
    assert len(turns) == 1


def test_giving_up_on_a_sound_says_nothing_about_the_turn_before_it(tmp_path):
    story = Story().begin().microphone().say(200).answered().say(4000, onset=None).gave_up(15000)
    turn, _, _ = only(tmp_path, story.finish())
    assert turn["outcome"] == "ok"


def test_failures_stay_in_the_denominator_and_the_quantiles(tmp_path):
    """Flaw F12: nine fast answers and one that never came have no fast p99."""
    silent = Story(9).begin().microphone().say(0)
    silent.ear()
    stories = [conversation(n, 1) for n in range(9)]
    _, _, rows, summary = analysed(tmp_path, *stories, silent.gave_up(11200).finish())
    assert rows["answered", "share"]["value"] == 90
    assert rows["voice_to_voice_latency", "p50"]["value"] == 850
    p99 = rows["voice_to_voice_latency", "p99"]
    assert (p99["value"], p99["n"]) == (None, 10)
    assert rows["voice_to_voice_latency", "mean"]["value"] is None
    assert summary["outcomes"] == {**dict.fromkeys(OUTCOMES, 0), "ok": 9, "timeout": 1}


def test_every_outcome_is_failed_ok_or_cut():
    assert set(FAILED) == set(OUTCOMES) - {"ok", "cut"}
