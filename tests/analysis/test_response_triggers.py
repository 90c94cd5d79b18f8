"""Who asked for an answer: manual and written turns, and which turn a response answers."""

import pytest

from tests.analysis.story import IN_TEXT, MANUAL, Story, analysed


def pushed(story, at=0, *, answer=True):
    """A push-to-talk turn: speech at +200…+1200, commit at +1400, create at +1430."""
    story.say(at).commit(at + 1400).create(at + 1430)
    if answer:
        story.committed(at + 1420).created(at + 1450)
        story.delta(at + 1700).done(at + 1710).heard_out(at + 1800)
    return story


def test_a_manual_turn_is_timed_from_its_commit_and_its_response_create(tmp_path):
    story = pushed(Story().begin(session=MANUAL).microphone(padding=0))
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    expected = {
        "commit_delay": 20, "response_start_delay": 20, "response_latency": 300,
        "first_audio_latency": 500, "generation_delay": 250,
    }  # fmt: skip
    assert {name: turns.loc[0, name] for name in expected} == expected
    assert turns.loc[0, ["outcome", "manual"]].tolist() == ["ok", True]
    assert turns.loc[0, ["speech_start_delay", "endpointing_delay"]].isna().all()
    assert rows["missed", "share"]["n"] == 0


def test_without_a_vad_nothing_is_missed_and_what_is_not_answered_is_a_timeout(tmp_path):
    story = pushed(Story().begin(session=MANUAL).microphone(), answer=False).gave_up(11_200)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, "outcome"] == "timeout"
    assert rows["speech_start_delay", "p50"]["n"] == 0  # nobody waited for that
    assert rows["first_audio_latency", "p50"]["n"] == 1  # but for that


def test_what_is_in_force_when_a_turn_is_said_decides_whether_it_can_be_missed(tmp_path):
    story = Story().begin(2).microphone().say(0).gave_up(11_200)
    story.updated(12_000, MANUAL)
    pushed(story, 13_000, answer=False).gave_up(25_000)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns["outcome"].tolist() == ["missed", "timeout"]
    assert turns["manual"].tolist() == [False, True]


def test_commits_of_the_caller_are_answered_in_their_order(tmp_path):
    """The first committed comes only when the second turn is being said already."""
    story = Story().begin(2, session=MANUAL).microphone()
    story.say(0).commit(1400).say(2000).commit(3400)
    story.committed(2500, "a").committed(3410, "b")
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns["commit_delay"].tolist() == [1100, 10]
    assert turns["item_id"].tolist() == ["a", "b"]


def test_a_commit_that_an_error_names_is_answered_by_it(tmp_path):
    story = Story().begin(2, session=MANUAL).microphone()
    story.say(0).commit(1400).error(1420, "input_audio_buffer_commit_empty", _id(1400))
    story.say(2000).commit(3400).committed(3410)
    turns, _, _, _ = analysed(tmp_path, story.gave_up(14_000).finish())
    assert turns["committed_ns"].notna().tolist() == [False, True]
    assert turns["commit_delay"].tolist()[1] == 10


def _id(at):
    return f"input_audio_buffer.commit@{at}"


def test_an_answer_that_comes_before_the_send_returns_is_an_answer_to_it(tmp_path):
    story = Story().begin(session=MANUAL).microphone().say(0).commit(1400).committed(1410)
    story.send(1440, "response.create", at_err_ns=10_000_000)
    story.created(1435).delta(1700).done(1710).heard_out(1800)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, "response_start_delay"] == 5


def test_a_written_turn_is_timed_from_the_response_create_that_asks_for_its_answer(tmp_path):
    story = Story().begin(session=IN_TEXT).microphone().write(1000, "two words")
    story.created(1050).text(1200).text(1300, "").text(1400).text(1700).done(1710).heard_out(1720)
    turns, _, rows, summary = analysed(tmp_path, story.finish())
    expected = {"first_text_latency": 200, "response_start_delay": 50, "text_rate": 4}
    assert {name: turns.loc[0, name] for name in expected} == expected
    assert turns.loc[0, ["role", "text", "outcome", "textual"]].tolist() == [
        "text", "two words", "ok", True,
    ]  # fmt: skip
    assert turns.loc[0, ["speech_onset_ns", "heard_ns", "voice_to_voice_latency"]].isna().all()
    assert rows["answered", "share"]["value"] == 100
    assert rows["voice_to_voice_latency", "p50"]["n"] == 0
    assert rows["talked_over", "share"]["n"] == 0
    assert summary["outcomes"]["ok"] == 1


def test_a_written_turn_that_is_answered_aloud_has_to_be_heard(tmp_path):
    story = Story().begin().microphone().write(1000)
    story.created(1050).delta(1300, silence=100).delta(1350).done(1360).heard_out(1500)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["outcome", "first_audio_latency"]].tolist() == ["ok", 300]
    assert turns.loc[0, "voice_to_voice_latency"] == 400
    assert turns.loc[0, "response_latency"] == 300


def test_text_that_comes_after_the_caller_gave_up_is_late_and_none_is_a_timeout(tmp_path):
    story = Story().begin(2, session=IN_TEXT).microphone()
    story.write(1000).gave_up(11_000).created(11_500).text(11_900).done(12_000)
    story.write(20_000).gave_up(30_000)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns["outcome"].tolist() == ["late", "timeout"]
    assert turns["reason"].tolist() == [
        "answered 900 ms after the caller gave up", "no text before the caller gave up",
    ]  # fmt: skip
    assert (rows["first_text_latency", "p99"]["n"], rows["missed", "share"]["n"]) == (2, 0)


def test_text_where_audio_was_due_is_no_answer(tmp_path):
    both = {"output_modalities": ["audio", "text"]}
    story = Story().begin(session=both).microphone().write(1000)
    story.created(1050).text(1200).done(1300).heard_out(1310)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["outcome", "reason"]].tolist() == [
        "error", "response completed, without audio",
    ]  # fmt: skip


@pytest.mark.parametrize("told", [True, False])
def test_a_single_response_may_be_asked_for_in_text(tmp_path, told):
    story = Story().begin(session={"output_modalities": ["audio"]}).microphone()
    story.write(1000, create=False).create(1010, output_modalities=["text"])
    story.created(1050, modalities=["text"] if told else None).text(1200).done(1300)
    turns, _, _, _ = analysed(tmp_path, story.heard_out(1310).finish())
    assert turns.loc[0, ["outcome", "textual"]].tolist() == ["ok", True]


def test_a_reply_of_text_alone_is_an_answer_where_nobody_says_that_it_should_be_heard(tmp_path):
    story = Story().begin().microphone().write(1000).created(1050).text(1200).done(1300)
    turns, _, _, _ = analysed(tmp_path, story.heard_out(1310).finish())
    assert turns.loc[0, "outcome"] == "ok"


def test_spoken_and_written_turns_are_numbered_and_answered_in_one_order(tmp_path):
    story = Story().begin(3).microphone().say(0).answered()
    story.write(4000).created(4050).delta(4300).done(4310).heard_out(4400)
    story.say(5000).answered()
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns["role"].tolist() == ["line", "text", "line"]
    assert turns["response_id"].tolist() == ["resp1", "resp2", "resp3"]
    assert turns["first_audio_latency"].tolist() == [850, 300, 850]
    assert turns["waited_until_ns"].tolist()[1] == turns["speech_onset_ns"].tolist()[2]


def test_a_late_response_to_what_was_said_before_is_not_an_answer_to_what_is_being_written(
    tmp_path,
):
    story = Story().begin(2).microphone().say(0)
    story.ear()
    story.write(2000, create=False).created(2010, "late").delta(2300, response="late")
    story.done(2310, "late").create(2400).created(2450).delta(2700).done(2710).heard_out(2900)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns["response_id"].tolist() == ["late", "resp2"]


def test_a_response_create_in_mid_speech_belongs_to_the_turn_before(tmp_path):
    """The output of a tool, sent while the caller is already speaking again."""
    story = Story().begin(2).microphone().say(0)
    story.ear()
    story.created(1750, "calls").call(1800, "c1", "calls").done(1810, "calls")
    story.say(2000).output(2500, "c1").create(2510)  # speech 2200…3200
    story.created(2530, "late").delta(2700, response="late").done(2710, "late")
    story.ear()
    story.created(3800).delta(4000).done(4010).heard_out(4200)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns["response_id"].tolist() == ["late", "resp2"]
    assert turns.loc[0, "tool_answer_latency"] == 200
    assert turns["create_sent_ns"].isna().tolist() == [False, True]


def test_where_the_server_does_not_answer_by_itself_an_answer_is_owed_from_response_create(
    tmp_path,
):
    vad = {"type": "server_vad", "create_response": False, "prefix_padding_ms": 300}
    asking = {"audio": {"input": {"turn_detection": vad}}}
    story = Story().begin(session=asking).microphone().say(0)
    at = story.ear()  # stopped 10 ms before
    story.create(at + 100).created(at + 130).delta(at + 300).done(at + 310).heard_out(at + 500)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["response_start_delay", "response_latency"]].tolist() == [30, 310]
    assert not turns.loc[0, "manual"]


def test_a_response_outside_of_the_conversation_answers_nobody(tmp_path):
    story = Story().begin().microphone().say(0)
    at = story.ear()
    story.create(at + 10, conversation="none").created(at + 20, "apart", conversation="none")
    story.text(at + 50, response="apart").done(at + 60, "apart")
    story.created(at + 70).delta(at + 300).done(at + 310).heard_out(at + 400)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, "response_id"] == "resp1"
    assert turns["first_text_latency"].isna().all()


def test_a_server_that_names_no_conversation_is_in_it_all_the_same(tmp_path):
    story = Story().begin().microphone().say(0)
    at = story.ear()
    story.created(at, conversation="none").delta(at + 300).done(at + 310).heard_out(at + 400)
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, "outcome"] == "ok"


def test_what_the_servers_idle_timer_commits_is_nobodys(tmp_path):
    story = Story().begin().microphone().say(200).answered()
    story.hear(9000, "input_audio_buffer.timeout_triggered", item_id="idle")
    story.committed(9010, "idle").created(9020, "r2").delta(9300, response="r2").done(9310, "r2")
    turns, _, _, _ = analysed(tmp_path, story.finish())
    assert turns.loc[0, ["response_id", "commit_delay"]].tolist() == ["resp1", 10]
