"""From a run's events to its violations: what is kept of them, counted and shown."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.sessions import sessions_table
from bench.analysis.tables import read_events
from bench.analysis.told import tell
from bench.runs.rows import Row
from bench.runs.seal import EVENTS
from bench.tracker.protocol_rules import RULES
from tests.analysis.story import MS, ORIGIN_NS, conversation
from tests.tracker.test_protocol_rules import (
    LEGAL,
    OPEN,
    REPLY,
    WRONG,
    Legal,
    append,
    delta,
    hear,
    violations,
)  # fmt: skip

PCM = {"type": "audio/pcm", "rate": 24000}


def is_chunk(fact):
    return fact.type == "input_audio_buffer.append" and fact.audio_ns is not None


def rows_of(facts, session=0, outcome="finished", spacing=1, end=0):
    """Facts as rows of the log, `spacing` ms apart."""
    at = ORIGIN_NS
    rows = []

    def note(kind, **detail):
        rows.append(Row(session, at, 0, None, "note", f"bench.{kind}", detail=json.dumps(detail)))

    note("start", worker=0, slot=session, script="s", turns=1)
    note("microphone", input=PCM, output=PCM)
    for number, fact in enumerate(facts):
        at += spacing * MS
        nbytes = fact.nbytes or 100 + number // 2 % 2  # of text: the message's
        media_ns = number * spacing * MS if is_chunk(fact) else None
        rows.append(
            Row(
                session, at, 0, None, fact.direction, fact.type, item_id=fact.item_id,
                response_id=fact.response_id, media_ns=media_ns, audio_ms=fact.audio_ms,
                audio_ns=fact.audio_ns, nbytes=nbytes, detail=fact.detail,
                output_index=fact.output_index, content_index=fact.content_index,
                previous_id=fact.previous_id, call_id=fact.call_id,
            )
        )  # fmt: skip
    at += end * MS
    note("end", outcome=outcome, reason="", close_code=None)
    return rows


def tables(folder: Path, rows: list[Row]):
    columns = list(zip(*rows, strict=True))
    arrays = [pa.array(list(c), f.type) for c, f in zip(columns, EVENTS, strict=True)]
    pq.write_table(pa.table(arrays, schema=EVENTS), folder / "events.parquet")
    return read_events(folder / "events.parquet")


def broken_in(events, start_ns=None):
    """The rules that a table of events breaks, as its summary tells them."""
    told = tell([events], len(events), sessions_table(events, {}), {"plan": {}})
    return told.broken.told(int(events["at_ns"].min()) if start_ns is None else start_ns)


def found(folder, *sessions, **how):
    rows = [row for n, facts in enumerate(sessions) for row in rows_of(facts, n, **how)]
    return broken_in(tables(folder, rows))


def counts(result):
    return {rule["rule"]: rule["count"] for rule in result}


def test_an_ordinary_run_breaks_nothing(tmp_path):
    stories = [conversation(n, 3) for n in range(3)]
    rows = [row for s in stories for row in sorted(s.rows, key=lambda row: row.at_ns)]
    assert broken_in(tables(tmp_path, rows)) == []


def test_all_legal_sessions_in_one_run_break_nothing(tmp_path):
    assert found(tmp_path, *([*OPEN, *facts] for facts in LEGAL.values())) == []


@pytest.mark.parametrize(
    ("rule", "how", "facts"), WRONG, ids=lambda one: one if isinstance(one, str) else ""
)
def test_told_in_runs_a_session_hides_no_violation(tmp_path, rule, how, facts):
    spacing = 10_001 // len(facts) if how == "and time went by" else 1
    end = 10_001 if how == "and time went by" else 0
    result = found(tmp_path, [*OPEN, *facts], [*OPEN, *REPLY], spacing=spacing, end=end)
    assert counts(result) == {rule: 1}, how


@settings(max_examples=40)
@given(st.data())
def test_told_in_runs_or_row_by_row_a_session_breaks_the_same_rules(tmp_path_factory, data):
    """Legal sessions, and the same with messages lost, doubled and swapped."""
    told = Legal(data.draw).session()
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(told) - 1))
        act = data.draw(st.sampled_from(["lose", "double", "swap"]))
        if act == "lose" and len(told) > 1:
            del told[place]
        elif act == "double":
            told.insert(place, told[place])
        else:
            told[place - 1], told[place] = told[place], told[place - 1]
    whole = [one.rule for one in violations(*told)]
    expected = {rule: whole.count(rule) for rule in RULES if rule in whole}
    folder = tmp_path_factory.getbasetemp()
    assert counts(found(folder, told)) == expected


def test_a_session_that_was_cut_misses_nothing(tmp_path):
    facts = [*OPEN, *REPLY[:-1]]
    assert counts(found(tmp_path, facts, end=20_000)) == {"response_never_done": 1}
    for outcome in ("closed", "broken", "lost", "crashed"):
        assert found(tmp_path, facts, outcome=outcome, end=20_000) == []


def test_an_example_shows_the_culprit_among_the_events_around_it(tmp_path):
    late = [delta("r1", "a1", "response.output_audio") for _ in range(3)]
    (rule,) = found(tmp_path, [*OPEN, append(), *REPLY, append(), *late])
    assert rule["rule"] == "audio_after_done"
    assert rule["about"] == RULES["audio_after_done"].about
    (example,) = rule["examples"]
    assert example["session"] == 0
    assert example["text"] == "response.output_audio.delta after response.done of r1"
    place = (len(OPEN) + len(REPLY) + 3) / 1000  # the first of the three
    assert example["at_s"] == pytest.approx(place)
    shown = [
        (e["type"], e["direction"], e["ids"], e["note"], e["culprit"]) for e in example["events"]
    ]
    assert shown == [
        (
            "response.output_item.done", "in", "response r1, item a1",
            "role assistant, type message, status completed", False,
        ),
        ("response.done", "in", "response r1", "status completed", False),
        (
            "response.output_audio.delta", "in", "response r1, item a1",
            "3 messages, 300 ms of audio", True,
        ),
    ]  # fmt: skip


def test_examples_come_from_as_many_sessions_as_there_are(tmp_path):
    wrong = [*OPEN, *[fact for n in range(3) for fact in legal_but_unasked(n)]]
    (rule,) = found(tmp_path, *[wrong] * 2)
    assert rule["count"] == 6
    assert [example["session"] for example in rule["examples"]] == [0, 1, 0]


def legal_but_unasked(n):
    return [hear("conversation.item.deleted", f"i{n}")]


def test_seconds_count_from_the_start_of_the_run(tmp_path):
    events = tables(tmp_path, rows_of([*OPEN, *legal_but_unasked(0)]))
    (rule,) = broken_in(events, start_ns=ORIGIN_NS - 1000 * MS)
    assert rule["examples"][0]["at_s"] == pytest.approx(1.004)


def test_an_answer_that_came_before_the_call_returned_was_asked_for(tmp_path):
    asked, answer = LEGAL["7.2 a manual turn"][:2]
    rows = rows_of([*OPEN, answer, asked])
    sent = next(n for n, row in enumerate(rows) if row.type == "input_audio_buffer.clear")
    assert counts(broken_in(tables(tmp_path, rows))) == {"unasked": 1}
    rows[sent] = rows[sent]._replace(at_err_ns=2 * MS)  # it began to leave before
    assert broken_in(tables(tmp_path, rows)) == []


def test_halves_of_samples_are_counted_in_pcm_alone(tmp_path):
    odd = [fact._replace(nbytes=fact.nbytes + fact.nbytes % 2 + 1) if fact.audio_ns else fact
           for fact in REPLY]  # fmt: skip
    assert counts(found(tmp_path, [*OPEN, *odd])) == {"whole_samples": 1}
    assert found(tmp_path, [*[fact._replace(detail="{}") for fact in OPEN], *odd]) == []


def test_two_halves_are_not_one_whole(tmp_path):
    one = delta("r1", "a1", "response.output_audio")
    halves = [*OPEN, *REPLY[:4], one._replace(nbytes=3), one._replace(nbytes=3), *REPLY[4:]]
    assert counts(found(tmp_path, halves)) == {"whole_samples": 1}


def test_the_length_of_a_message_of_text_parts_no_deltas(tmp_path):
    words = [delta("r1", "a1", "response.output_text", word) for word in "abcdefgh"]
    done = REPLY[0]._replace(type="response.output_text.done", item_id="a1", detail="abcdefgh")
    told = [*OPEN, *REPLY[:1], *words, done, REPLY[-1]]
    events = tables(tmp_path, rows_of(told))
    assert set(events.loc[events["type"] == "response.output_text.delta", "nbytes"]) == {100, 101}
    assert broken_in(events) == []


def test_logs_without_places_of_parts_are_judged_by_what_they_have(tmp_path):
    events = tables(tmp_path, rows_of([*OPEN, *REPLY]))
    for column in ("output_index", "content_index", "previous_id", "call_id"):
        events[column] = pd.Series(pd.NA, events.index, events[column].dtype)
    assert broken_in(events) == []
