"""Tool calls: the call, its output, and the reply to that."""

import pytest

from tests.analysis.story import IN_TEXT, NOTHING, Story, analysed


def called(*calls):
    """A turn (speech 200…1200) whose response (created 1750) makes calls from 1800 on."""
    story = Story().begin().microphone().say(0)
    story.ear()
    story.created(1750, "r1")
    for number, call in enumerate(calls):
        story.call(1800 + 100 * number, call, "r1")
    return story


def test_a_call_its_output_and_its_reply_are_timed(tmp_path):
    story = called("c1").done(1900, "r1").output(2400, "c1").create(2410)
    story.created(2450, "r2").delta(2700, response="r2").done(2710, "r2").heard_out(2900)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["tool_call_latency", "tool_answer_latency"]].tolist() == [600, 300]
    assert turns.loc[0, ["outcome", "response_id", "first_audio_latency"]].tolist() == [
        "ok", "r2", 1500,
    ]  # fmt: skip
    assert rows["tool_call_latency", "p50"]["n"] == 1


def test_of_parallel_calls_the_first_and_of_their_outputs_the_last_counts(tmp_path):
    story = called("c1", "c2").done(2000, "r1").output(2400, "c1").output(2500, "c2").create(2510)
    story.created(2550, "r2").delta(2800, response="r2").done(2810, "r2").heard_out(2900)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["tool_call_latency", "tool_answer_latency"]].tolist() == [600, 300]


def test_of_several_rounds_the_first_is_timed_and_the_last_answers(tmp_path):
    story = called("c1").done(1900, "r1").output(2000, "c1").create(2000)
    story.created(2050, "r2").call(2100, "c2", "r2").done(2110, "r2").output(2500, "c2")
    story.create(2500).created(2550, "r3").delta(2800, response="r3").done(2810, "r3")
    turns, _, _, _ = analysed(tmp_path, story.heard_out(2900).finish())
    assert turns.loc[0, ["tool_call_latency", "tool_answer_latency"]].tolist() == [600, 800]
    assert turns.loc[0, "response_id"] == "r3"


def test_a_message_beside_the_call_is_the_answer_and_audio_of_its_response_is_no_reply(tmp_path):
    story = called("c1").delta(1850, response="r1").output(1900, "c1")
    story.delta(1950, response="r1").done(1960, "r1").create(1970)
    story.created(2050, "r2").delta(2300, response="r2").done(2310, "r2").heard_out(2500)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["response_id", "first_audio_latency"]].tolist() == ["r1", 650]
    assert turns.loc[0, "tool_answer_latency"] == 400


def test_a_server_that_goes_on_by_itself_is_timed_alike(tmp_path):
    story = called("c1").done(1900, "r1").output(2400, "c1")
    story.created(2450, "r2").delta(2700, response="r2").done(2710, "r2").heard_out(2900)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, "tool_answer_latency"] == 300


def test_outputs_that_nothing_answers_are_a_timeout_whatever_was_heard_out_before(tmp_path):
    story = called("c1").done(1900, "r1").heard_out(1950).output(2400, "c1").create(2410)
    turns, _, rows, _ = analysed(tmp_path, story.gave_up(12_400).finish())
    assert turns.loc[0, ["outcome", "reason"]].tolist() == [
        "timeout", "tools were called, and nothing answered their outputs",
    ]  # fmt: skip
    row = rows["tool_answer_latency", "p50"]
    assert (row["n"], row["value"]) == (1, None)  # it waited, and for longer than can be told


def test_outputs_that_are_refused_are_an_error(tmp_path):
    story = called("c1").done(1900, "r1").output(2400, "c1").create(2410)
    story.error(2420, "server_error").gave_up(12_400)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["outcome", "reason"]].tolist() == ["error", "server_error"]


def test_padding_of_a_response_that_only_calls_is_no_audio(tmp_path):
    story = called("c1").delta(1850, 10, "r1", levels=[NOTHING]).done(1900, "r1").output(2400, "c1")
    story.create(2410).created(2450, "r2").delta(2700, response="r2").done(2710, "r2")
    turns, _, _, _ = analysed(tmp_path, story.heard_out(2900).finish())
    assert turns.loc[0, ["response_id", "first_audio_latency"]].tolist() == ["r2", 1500]
    assert turns.loc[0, "tool_answer_latency"] == 300


def mixed(session=None):
    """A turn whose reply is a message and a call, heard out before the output is sent."""
    story = Story().begin(session=session).microphone().say(0)
    story.ear()
    story.created(1750, "r1").call(1800, "c1", "r1")
    story.text(1850, response="r1") if session else story.delta(1850, response="r1")
    return story.done(1900, "r1").heard_out(1990).output(2400, "c1").create(2410)


def test_a_message_beside_the_call_does_not_answer_the_outputs_of_the_tool(tmp_path):
    turns, _, rows, _ = analysed(tmp_path, mixed().gave_up(12_400).finish())
    assert turns.loc[0, ["outcome", "reason"]].tolist() == [
        "timeout", "tools were called, and nothing answered their outputs",
    ]  # fmt: skip
    row = rows["tool_answer_latency", "p50"]
    assert (row["value"], row["low"], row["n"]) == (None, 10_000, 1)


@pytest.mark.parametrize(("answered", "outcome"), [(True, "ok"), (False, "timeout")])
def test_in_writing_the_outputs_are_answered_by_text_and_nobody_waits_for_audio(
    tmp_path, answered, outcome
):
    story = mixed(IN_TEXT)
    if answered:
        story.created(2450, "r2").text(2700, response="r2").done(2710, "r2")
    turns, _, rows, _ = analysed(tmp_path, story.gave_up(12_400).finish())
    assert turns.loc[0, "outcome"] == outcome
    assert rows["tool_answer_latency", "p50"]["n"] == 0


def test_the_error_that_came_instead_of_an_answer_to_outputs_is_the_reason(tmp_path):
    story = mixed().error(2420, "server_error").gave_up(12_400)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["outcome", "reason"]].tolist() == ["error", "server_error"]


def test_where_the_time_goes_is_told_without_the_tools_own_time(tmp_path):
    """Stopped 1720, committed 1730, created 1750; the answer to the outputs: 2450, audio 2700."""
    story = called("c1").done(1900, "r1").output(2400, "c1").create(2410)
    story.created(2450, "r2").delta(2700, response="r2").done(2710, "r2").heard_out(2900)
    turns, _, rows, _ = analysed(tmp_path, story.finish(), gates=("p95(response_latency) < 1 s",))
    assert turns.loc[0, ["response_start_delay", "generation_delay"]].tolist() == [20, 250]
    assert rows["response_latency", "p50"]["n"] == 0
    assert turns.loc[0, "good_turn"]


def test_a_message_beside_the_call_has_the_latency_of_its_own_response(tmp_path):
    story = mixed().created(2450, "r2").delta(2700, response="r2").done(2710, "r2")
    turns, _, _, _ = analysed(tmp_path, story.heard_out(2900).finish())
    assert turns.loc[0, ["response_start_delay", "response_latency"]].tolist() == [20, 130]


def test_a_turn_that_fails_after_its_tools_waited_for_no_response_of_its_own(tmp_path):
    story = called("c1").done(1900, "r1").output(2400, "c1").create(2410)
    _, _, rows, _ = analysed(tmp_path, story.gave_up(12_400).finish())
    names = ("response_latency", "generation_delay", "first_audio_latency")
    assert [rows[name, "p50"]["n"] for name in names] == [0, 0, 1]
