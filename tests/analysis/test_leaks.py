"""Leaks: each way in which a session shows up in another, and what is no leak."""

import json

import pandas as pd
import pytest

from bench.analysis.leaks import leaks
from bench.analysis.sessions import sessions_table
from bench.analysis.told import tell
from tests.analysis.story import ORIGIN_NS, Story, conversation
from tests.analysis.test_rule_violations import tables

ASR = "conversation.item.input_audio_transcription"


def found(folder, *stories):
    rows = [row for s in stories for row in sorted(s.rows, key=lambda row: row.at_ns)]
    events = tables(folder, rows)
    sessions = sessions_table(events, {})
    said = tell([events], len(events), sessions, {"plan": {}}).said
    return leaks(events, sessions, said, ORIGIN_NS)


def session(number, *says, marker="", opens=1000):
    """A session that says things from second 1 on, one a second, and ends at 60."""
    story = Story(number, opens).begin(len(says)).microphone()
    start = story.rows[0]
    story.rows[0] = start._replace(
        detail=json.dumps({**json.loads(start.detail), "marker": marker})
    )
    for n, text in enumerate(says):
        story.say(1000 + n * 1000)
        said = story.rows[-1]
        story.rows[-1] = said._replace(detail=json.dumps({**json.loads(said.detail), "text": text}))
    return story.end(60_000)


def transcribed(story, text, at=10_000, item="u1"):
    story.hear(at - 1, "input_audio_buffer.committed", item_id=f"{item}-{story.number}")
    story.hear(at, f"{ASR}.completed", item_id=f"{item}-{story.number}", detail=text)


def test_sessions_that_keep_to_themselves_leak_nothing(tmp_path):
    """Ids that a server numbers from 1 in every session are in all of them."""
    assert found(tmp_path, *[conversation(n, 3) for n in range(4)]) == []


def test_a_run_without_events_leaks_nothing():
    assert leaks(pd.DataFrame({"at_ns": []}), pd.DataFrame(), pd.DataFrame(), 0) == []


# ── ids ──────────────────────────────────────────────────────────────────────────────────────────


def owned(number, count=12):
    """A session whose ids are nobody else's."""
    story = session(number)
    for n in range(count):
        story.hear(n, "conversation.item.added", item_id=f"i{number}.{n}")
        story.hear(n, "response.created", response_id=f"r{number}.{n}")
    return story


@pytest.mark.parametrize(
    ("kind", "ids", "of"),
    [
        ("response.output_audio.delta", {"item_id": "i0.3"}, "item"),
        ("response.output_audio.delta", {"response_id": "r0.3"}, "response"),
        ("response.done", {"response_id": "r0.3"}, "response"),
        (f"{ASR}.completed", {"item_id": "i0.3"}, "item"),
        ("input_audio_buffer.committed", {"item_id": "i1.9", "previous_id": "i0.3"}, "item"),
        ("conversation.item.added", {"item_id": "i0.3"}, "item"),
        ("response.created", {"response_id": "r0.3"}, "response"),
    ],
)
def test_an_id_of_another_session_is_a_leak(tmp_path, kind, ids, of):
    other = owned(1)
    other.hear(9000, kind, **ids)
    assert found(tmp_path, owned(0), other, owned(2)) == [
        {
            "session": 1, "of_session": 0, "at_s": 10.0, "what": f"{of} id",
            "words": ids.get(f"{of}_id") if of == "response" else "i0.3",
        }
    ]  # fmt: skip


def test_among_numbered_ids_only_one_that_was_never_announced_is_a_leak(tmp_path):
    one, two = conversation(0, 3), conversation(1, 2)
    assert found(tmp_path, one, two) == []
    two.hear(5000, f"{ASR}.completed", item_id="item3", detail="hello")
    (leak,) = found(tmp_path, one, two)
    assert (leak["session"], leak["of_session"], leak["words"]) == (1, 0, "item3")


def test_a_server_that_announces_nothing_in_a_session_leaks_no_ids_into_it(tmp_path):
    mute = session(1)
    mute.hear(5000, f"{ASR}.completed", item_id="i0.3", detail="hello")
    assert found(tmp_path, owned(0), mute) == []


def test_ids_that_nobody_announces_are_nobodys(tmp_path):
    one, two = owned(0), owned(1)
    for story in (one, two):
        story.hear(5000, "response.output_audio.delta", item_id="a1")
    assert found(tmp_path, one, two) == []


def test_ids_that_the_caller_gave_are_its_own(tmp_path):
    stories = [owned(n) for n in range(3)]
    for story in stories:
        story.row(100, "out", "conversation.item.create", item_id="mine", detail={})
        story.hear(101, "conversation.item.added", item_id="mine")
    assert found(tmp_path, *stories) == []


def test_ids_that_callers_chose_alike_do_not_hide_a_leak_of_the_servers_own(tmp_path):
    """Every caller names its items alike, more often than the server names its own."""
    stories = [owned(n, 4) for n in range(3)]
    for story in stories:
        for n in range(10):
            story.row(100 + n, "out", "conversation.item.create", item_id=f"mine{n}", detail={})
            story.hear(110 + n, "conversation.item.added", item_id=f"mine{n}")
    assert found(tmp_path, *stories) == []
    stories[1].hear(9000, "conversation.item.added", item_id="i0.3")
    (leak,) = found(tmp_path, *stories)
    assert (leak["session"], leak["of_session"], leak["words"]) == (1, 0, "i0.3")


def test_an_id_that_another_caller_chose_is_a_leak_all_the_same(tmp_path):
    stories = [owned(n) for n in range(2)]
    stories[0].row(100, "out", "conversation.item.create", item_id="mine", detail={})
    stories[0].hear(101, "conversation.item.added", item_id="mine")
    stories[1].hear(9000, "conversation.item.retrieved", item_id="mine")
    (leak,) = found(tmp_path, *stories)
    assert (leak["session"], leak["of_session"], leak["words"]) == (1, 0, "mine")


# ── markers ──────────────────────────────────────────────────────────────────────────────────────


def marked():
    return (
        session(0, "My code is Amber Falcon.", marker="amber falcon"),
        session(1, "My code is amber otter.", marker="Amber Otter"),
    )


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        (f"{ASR}.completed", "so amber FALCON, right"),
        (f"{ASR}.delta", "amber falcon"),
        ("response.output_audio_transcript.done", "Hello, Amber Falcon!"),
        ("response.output_text.done", "Amber Falcon"),
        ("response.function_call_arguments.done", '{"code": "amber falcon"}'),
        ("conversation.item.retrieved", {"role": "user", "text": "it is amber falcon"}),
        ("conversation.item.done", {"type": "function_call", "arguments": '"amber falcon"'}),
        ("response.content_part.done", {"type": "audio", "text": "amber falcon"}),
    ],
)
def test_a_marker_of_another_session_is_a_leak_in_whatever_comes(tmp_path, kind, detail):
    one, two = marked()
    two.hear(9000, kind, item_id="i7", detail=detail)
    assert found(tmp_path, one, two) == [
        {
            "session": 1, "of_session": 0, "at_s": 10.0, "what": f"{kind} of i7",
            "words": "amber falcon",
        }
    ]  # fmt: skip


def test_a_marker_that_comes_word_by_word_is_a_leak(tmp_path):
    one, two = marked()
    for n, word in enumerate(("It is amb", "er fal", "con.")):
        two.hear(9000 + n, "response.output_audio_transcript.delta", item_id="i7",
                 response_id="r7", detail=word)  # fmt: skip
    (leak,) = found(tmp_path, one, two)
    assert (leak["words"], leak["what"]) == (
        "amber falcon",
        "response.output_audio_transcript.delta of i7",
    )


def test_words_that_are_like_a_marker_are_no_leak(tmp_path):
    one, two = marked()
    for text in ("amber", "falcon amber", "amber falcons", "chamber falcon", "amber otter"):
        two.hear(9000, "response.output_text.done", item_id="i7", detail=text)
    assert found(tmp_path, one, two) == []


def test_who_says_a_marker_himself_may_hear_it(tmp_path):
    one, two = marked()
    three = session(2, "I know amber falcon too", marker="jade lynx")
    three.hear(9000, "response.output_text.done", item_id="i7", detail="amber falcon it is")
    four = session(3, marker="opal heron")
    four.row(500, "out", "conversation.item.create", detail={"item": {"text": "amber falcon"}})
    four.hear(9000, "response.output_text.done", item_id="i7", detail="amber falcon it is")
    assert found(tmp_path, one, two, three, four) == []


# ── utterances ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["What time is it?", "um what time is it now"])
def test_an_utterance_of_another_session_is_a_leak(tmp_path, text):
    one, two = session(0, "What time is it?"), session(1, "Good morning to you.")
    transcribed(two, text)
    assert found(tmp_path, one, two) == [
        {
            "session": 1, "of_session": 0, "at_s": 11.0, "what": f"{ASR}.completed of u1-1",
            "words": "what time is it",
        }
    ]  # fmt: skip


def test_two_words_are_a_leak_where_they_are_all_and_one_never(tmp_path):
    one, two = session(0, "Good evening", "Stop"), session(1, "What time is it?")
    transcribed(two, "good evening everybody", 10_000)
    transcribed(two, "stop", 11_000, "u2")
    assert found(tmp_path, one, two) == []
    transcribed(two, "Good evening!", 12_000, "u3")
    (leak,) = found(tmp_path, one, two)
    assert leak["words"] == "good evening"


@pytest.mark.parametrize(
    "says", ["What time is it?", "Well, what time is it in Rome?", "I ask what time is it"]
)
def test_who_says_it_too_or_as_part_of_something_may_hear_it(tmp_path, says):
    one, two = session(0, "What time is it?"), session(1, says)
    transcribed(two, "what time is it")
    assert found(tmp_path, one, two) == []


def test_only_a_session_that_has_said_it_and_lives_can_be_the_source(tmp_path):
    late = session(0, *["Hm."] * 20, "What time is it?")  # says it at second 21
    two = session(2, "Good morning to you.", opens=61_500)
    transcribed(two, "what time is it")
    assert found(tmp_path, late, two) == []  # it is over
    three = session(3, "Good morning to you.")
    transcribed(three, "what time is it", 20_000)
    assert found(tmp_path, late, three) == []  # not yet
    transcribed(three, "what time is it", 30_000)
    (leak,) = found(tmp_path, late, three)
    assert (leak["session"], leak["of_session"]) == (3, 0)


def test_the_source_is_who_said_it_last(tmp_path):
    says = [session(n, *["Hm."] * n, "What time is it?") for n in range(3)]
    other = session(3, "Good morning to you.")
    transcribed(other, "what time is it")
    assert [leak["of_session"] for leak in found(tmp_path, *says, other)] == [2]


def test_a_typed_turn_may_leak_and_a_typed_turn_may_be_heard(tmp_path):
    one, two = session(0), session(1)
    one.note(1000, "write", detail={"turn": 1, "text": "What time is it?"})
    two.hear(9000, "conversation.item.added", item_id="i7",
             detail={"role": "user", "text": "What time is it?"})  # fmt: skip
    assert [leak["words"] for leak in found(tmp_path, one, two)] == ["what time is it"]
    two.note(2000, "write", detail={"turn": 1, "text": "What time is it?"})
    assert found(tmp_path, one, two) == []


def test_what_an_agent_says_is_no_utterance(tmp_path):
    one, two = session(0, "What time is it?"), session(1, "Good morning to you.")
    two.hear(9000, "conversation.item.done", item_id="i7",
             detail={"role": "assistant", "text": "You may ask: what time is it?"})  # fmt: skip
    assert found(tmp_path, one, two) == []


ADVICE = "The train to Rome leaves at nine"


@pytest.mark.parametrize(
    "kind",
    [
        "response.output_audio_transcript.done", "response.audio_transcript.done",
        "response.output_text.done", "response.text.done",
    ],
)  # fmt: skip
def test_a_reply_in_which_another_session_is_quoted_is_a_leak(tmp_path, kind):
    one, two = session(0, ADVICE), session(1, "Good morning to you.")
    two.hear(9000, kind, item_id="i7", detail=f"Well. {ADVICE}, I hear!")
    assert found(tmp_path, one, two) == [
        {
            "session": 1, "of_session": 0, "at_s": 10.0, "what": f"{kind} of i7",
            "words": "the train to rome leaves at nine",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "mine", "reply"),
    [
        ("What time is it?", "Good morning to you.", "What time is it?"),  # four words
        ("Good evening", "Good morning to you.", "Good evening"),
        (ADVICE, f"Is it true that {ADVICE}?", f"{ADVICE}, yes."),
        (ADVICE, "Good morning to you.", "The train to Rome leaves at ten"),
    ],
)
def test_what_an_agent_may_say_by_itself_is_no_leak(tmp_path, theirs, mine, reply):
    one, two = session(0, theirs), session(1, mine)
    two.hear(9000, "response.output_audio_transcript.done", item_id="i7", detail=reply)
    assert found(tmp_path, one, two) == []


def test_a_reply_quotes_only_who_has_spoken_and_is_still_there(tmp_path):
    late = session(0, *["Hm."] * 20, ADVICE)  # says it at second 21, and is over at 61
    for opens, at in ((1000, 9000), (62_000, 9000)):
        two = session(1, "Good morning to you.", opens=opens)
        two.hear(at, "response.output_text.done", item_id="i7", detail=ADVICE)
        assert found(tmp_path, late, two) == []


def test_a_leak_is_told_once_however_often_it_comes(tmp_path):
    one = session(0, "My code is amber falcon", marker="amber falcon")
    two = session(1, "Good morning to you.")
    for n in range(3):
        transcribed(two, "my code is amber falcon", 10_000 + n, f"u{n}")
    (leak,) = found(tmp_path, one, two)
    assert (leak["at_s"], leak["words"]) == (11.0, "amber falcon")


# ── scripts without blanks, numbers ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "heard", "words"),
    [
        ("我想订一张去北京的票。", "好的 我想订一张去北京的票", "我 想 订 一 张 去 北 京 的 票"),
        ("東京駅はどこですか", "東京駅はどこですか？", "東 京 駅 は ど こ で す か"),  # noqa: RUF001
        ("ขอตั๋วไปเชียงใหม่สองใบ", "ขอตั๋วไปเชียงใหม่สองใบ", None),
        ("Take me to gate 20", "take me to gate twenty", "take me to gate twenty"),
    ],
)
def test_an_utterance_of_another_session_is_seen_in_any_script(tmp_path, said, heard, words):
    one, other = session(0, said), session(1, "Please wait for me there")
    transcribed(other, heard)
    (leak,) = found(tmp_path, one, other)
    assert (leak["session"], leak["of_session"]) == (1, 0)
    assert words is None or leak["words"] == words


def test_a_reply_in_chinese_that_says_what_another_caller_said_is_a_leak(tmp_path):
    one, other = session(0, "我想订一张去北京的票"), session(1, "你好")
    other.hear(
        10_000,
        "response.output_audio_transcript.done",
        response_id="r1",
        detail="您说：我想订一张去北京的票。",  # noqa: RUF001
    )
    (leak,) = found(tmp_path, one, other)
    assert (leak["session"], leak["of_session"]) == (1, 0)


@pytest.mark.parametrize("heard", ["谢谢", "好的谢谢", "今天很好"])
def test_a_few_characters_that_anybody_says_are_no_leak(tmp_path, heard):
    """Two characters are about one word."""
    one, other = session(0, "谢谢", "今天"), session(1, "再见")
    transcribed(other, heard)
    assert found(tmp_path, one, other) == []


def test_a_marker_in_chinese_is_seen_within_a_sentence_without_blanks(tmp_path):
    one, other = session(0, "你好", marker="青龙白虎"), session(1, "再见", marker="朱雀玄武")
    other.hear(10_000, "response.output_text.done", response_id="r1", detail="编号是青龙白虎。")
    (leak,) = found(tmp_path, one, other)
    assert (leak["of_session"], leak["words"]) == (0, "青 龙 白 虎")
