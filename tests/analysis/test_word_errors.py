"""Word errors: how texts are compared, which turns count, and how sure the pooled rate is."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.remarks import word_remarks
from bench.analysis.word_errors import (
    COUNTS,
    WORST,
    pooled,
    spoken,
    tally,
    word_errors,
    worst,
)
from bench.verdict.verdict import judge_run
from tests.analysis.story import analysed, conversation


def turn(said="hello there", heard="hello there", session=0, number=1, **facts):
    return {
        "session": session, "turn": number, "role": "line", "outcome": "ok", "text": said,
        "transcript": heard, "speech_onset_ns": 1, "speech_started_ns": 2, "committed_ns": 3,
        **facts,
    }  # fmt: skip


def measured(*turns):
    table = pd.DataFrame(turns)
    for name in ("speech_onset_ns", "speech_started_ns", "committed_ns"):
        table[name] = table[name].astype("Int64")
    return table.join(word_errors(table))


def counts(*turns):
    return (
        measured(*turns)[list(COUNTS)]
        .astype(object)
        .where(lambda t: t.notna(), None)
        .to_numpy()
        .tolist()
    )


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("Don't --stop, ROVER!", "don't stop rover"),
        ("It’s  'quoted'\n and dogs' twenty-one", "it's quoted and dogs twenty one"),
        ("snake_case; a.m.", "snake case a m"),
        ("¿Qué tal? Ünter", "qué tal ünter"),
        ("... '' !", ""),
    ],
)
def test_texts_are_compared_as_words(text, compared):
    assert spoken(text) == compared


@given(st.text())
def test_what_is_compared_is_compared_as_itself(text):
    assert spoken(spoken(text)) == spoken(text)


def test_errors_are_counted_by_kind():
    assert counts(
        turn("Hello, there!", "hello THERE"),
        turn("one two three", "one too three"),
        turn("one two three", "one three"),
        turn("one two", "one and two"),
        turn("one", "and two"),
    ) == [[2, 0, 0, 0, 0], [3, 1, 1, 0, 0], [3, 1, 0, 1, 0], [2, 1, 0, 0, 1], [1, 2, 1, 0, 1]]


def test_a_corpus_without_text_has_no_errors():
    assert counts(turn(""), turn("?!"), turn(None)) == [[None] * 5] * 3


def test_only_what_was_spoken_counts():
    assert counts(turn(role="sound"), turn(speech_onset_ns=None)) == [[None] * 5] * 2


def test_a_transcription_that_was_owed_and_never_came_is_all_deletions():
    assert counts(turn("one two", "one two"), turn("one two", "")) == [
        [2, 0, 0, 0, 0],
        [2, 2, 0, 2, 0],
    ]
    by_commit = turn("one two", "", speech_started_ns=None)
    assert counts(turn(), by_commit)[1] == [2, 2, 0, 2, 0]


def test_no_transcription_is_owed_by_a_server_that_never_transcribes():
    assert counts(turn(heard=""), turn(heard=""), turn(session=1)) == [
        [None] * 5, [None] * 5, [2, 0, 0, 0, 0],
    ]  # fmt: skip


def test_no_transcription_is_owed_for_what_was_not_heard():
    missed = turn(heard="", speech_started_ns=None, committed_ns=None, outcome="missed")
    assert counts(turn(), missed)[1] == [None] * 5


@pytest.mark.parametrize("outcome", ["cut", "dropped", "rejected"])
def test_no_transcription_is_owed_by_a_session_that_was_cut(outcome):
    assert counts(turn(), turn(heard="", outcome=outcome))[1] == [None] * 5
    assert counts(turn(), turn(outcome=outcome))[1] == [2, 0, 0, 0, 0]


def test_no_turns_have_no_errors():
    turns = measured(turn()).iloc[:0]
    assert word_errors(turns.drop(columns=list(COUNTS))).empty
    assert pooled(turns).value is None
    assert tally(turns)["words"] == 0
    assert worst(turns) == []


def test_the_pooled_rate_weighs_words_and_not_turns():
    turns = measured(turn("a b c d e f g h", "a b c d e f g h"), turn("a b", "x y", session=1))
    found = pooled(turns)
    assert (found.value, found.n) == (20, 10)


def test_a_rate_may_pass_a_hundred():
    assert pooled(measured(turn("a", "b c d"))).value == 300


def test_no_error_in_few_words_is_no_proof():
    few = pooled(measured(*[turn(session=n) for n in range(5)]))
    many = pooled(measured(*[turn(session=n) for n in range(500)]))
    assert (few.value, few.low, many.low) == (0, 0, 0)
    assert few.high == pytest.approx(100 * 3.689 / 10, rel=1e-3)  # Garwood: 3.689 errors at none
    assert many.high < 0.4


def test_errors_that_cluster_in_sessions_widen_the_interval():
    spread = [turn("a b c d", "a b c x", session=n) for n in range(40)]
    lumped = [turn("a b c d", "w x y z" if n < 10 else "a b c d", session=n) for n in range(40)]
    apart, together = pooled(measured(*spread)), pooled(measured(*lumped))
    assert apart.value == together.value == 25
    assert together.high - together.low > 1.3 * (apart.high - apart.low)
    assert together == pooled(measured(*lumped))  # seeded


def test_one_session_has_the_exact_interval():
    found = pooled(measured(turn("a b", "a x")))
    assert found.low == pytest.approx(50 * 0.02532, rel=1e-3)
    assert found.high == pytest.approx(50 * 5.5716, rel=1e-3)


def test_the_worst_turns_come_first_and_are_few():
    bad = [turn("a b c", "x y z", number=n) for n in range(3)]
    turns = measured(turn(), turn("a b", "x y", number=7), *bad, turn("q", "a b c d", number=9))
    assert [one["turn"] for one in worst(turns)] == [9, 0, 1, 2, 7]
    assert worst(turns)[0] == {
        "session": 0, "turn": 9, "said": "q", "heard": "a b c d", "errors": 4,
    }  # fmt: skip
    assert len(worst(measured(*bad * 9))) == WORST
    assert tally(turns) == {
        "words": 14, "errors": 15, "substitutions": 12, "deletions": 0, "insertions": 3, "turns": 6,
        "by_unit": {"word": {"words": 14, "errors": 15, "turns": 6}}, "unread": None,
    }  # fmt: skip


# ── scripts without blanks, numbers ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "heard", "count", "wrong"),
    [
        ("今天天气很好我们去公园", "今天天汽很好我们去花园", 11, 2),
        ("今天天气很好，我们去公园。", "今天天气很好我们去公园", 11, 0),  # noqa: RUF001
        ("わたしは学生です", "わたしは先生です", 8, 1),
        ("สวัสดีครับ", "สวัสดีครัป", 7, 1),
        ("ＡＢＣ 今天", "abc今天", 3, 0),  # noqa: RUF001
        ("傳統", "传统", 2, 2),
    ],
)
def test_a_script_without_blanks_is_compared_by_characters(said, heard, count, wrong):
    turns = measured(turn(said, heard))
    assert turns["unit"].tolist() == ["character"]
    assert counts(turn(said, heard))[0][:2] == [count, wrong]


def test_two_wrong_characters_of_eleven_are_18_percent_and_not_all_of_it():
    found = pooled(measured(turn("今天天气很好我们去公园", "今天天汽很好我们去花园")))
    assert (found.value, found.n) == (pytest.approx(18.18, abs=0.01), 11)


def test_words_and_characters_are_never_added_in_silence():
    turns = measured(turn("one two", "one too"), turn("你好吗", "你好"), turn("한국 말", "한국 말"))
    assert turns["unit"].tolist() == ["word", "character", "word"]
    told = tally(turns)
    assert told["by_unit"] == {
        "character": {"words": 3, "errors": 1, "turns": 1},
        "word": {"words": 4, "errors": 1, "turns": 2},
    }
    (remark,) = word_remarks(told)
    assert "1 of 3 characters (33.3 %, 1 turn) and 1 of 4 words (25 %, 2 turns)" in remark
    assert list(word_remarks(tally(measured(turn())))) == []


def test_what_is_not_compared_has_no_unit():
    assert measured(turn("?!"))["unit"].tolist() == [""]


@pytest.mark.parametrize(
    ("said", "heard", "wrong"),
    [
        ("Order twenty of them", "order 20 of them", 0),
        ("Order 20 of them", "order twenty of them", 0),
        ("Order 20 of them", "Order 20 of them.", 0),
        ("At three p.m.", "at 3 PM", 0),
        ("That's $5 or 50%", "that's five dollars or fifty percent", 0),
        ("In 1999 and 2005", "in nineteen ninety-nine and two thousand five", 0),
        ("It's four seven one", "It's 471", 0),
        ("Order 20 of them", "order thirty of them", 1),
        ("Order twenty of them", "order 30 of them", 1),
        ("Order 20 of 30", "order 20 of 40", 1),
        ("Costs $5", "costs 5", 1),
    ],
)
def test_a_number_in_digits_is_as_it_is_said(said, heard, wrong):
    assert counts(turn(said, heard))[0][1] == wrong


def test_a_number_that_fits_no_reading_is_remarked_with_an_example():
    """Nobody knows whether "zwanzig" is how 20 was said."""
    turns = measured(
        turn("Ich nehme zwanzig", "ich nehme 20"), turn("二十块", "20块"),
        turn("Take 20", "take 20"), turn("Take twenty now", "take 20 no"),
    )  # fmt: skip
    assert turns["unread"].tolist() == [True, True, False, True]
    *_, remark = word_remarks(tally(turns))
    assert "in 3 turns with a number in digits" in remark
    assert "said 'Ich nehme zwanzig', heard 'ich nehme 20'" in remark


def test_a_run_tells_the_remark_with_its_verdict(tmp_path):
    story = conversation(0, 1)
    story.rows = [_in_chinese(row) for row in story.rows]
    analysed(tmp_path, story)
    verdict = judge_run(tmp_path, [], None)
    assert any("compared by characters" in remark for remark in verdict["remarks"])


def _in_chinese(row):
    if row.type == "bench.say":
        return row._replace(detail=json.dumps({**json.loads(row.detail), "text": "今天天气很好"}))
    spoken_ = row.type == "conversation.item.input_audio_transcription.completed"
    return row._replace(detail="今天天汽很好") if spoken_ else row
