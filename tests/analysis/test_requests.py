"""What the caller asked for and the server acknowledged, each with each."""

import numpy as np
import pytest

from bench.analysis.samples import request_samples
from bench.analysis.sessions import sessions_table
from bench.analysis.told import tell
from bench.tracker.event import ALWAYS, NEVER
from tests.analysis.story import ORIGIN_NS, Story, analysed, events_of


def talk():
    return Story().begin().microphone().say(200).answered()


def waited(tmp_path, *stories):
    """By metric: the ms of each request, those that waited in vain negative."""
    events = events_of(tmp_path, *stories)
    sessions = sessions_table(events, {})
    told = tell([events], len(events), sessions, {"plan": {}})
    found = request_samples(told.acks, sessions, ALWAYS, NEVER)
    return {
        name: np.where(sample.censored, -sample.values, sample.values).tolist()
        for name, sample in found.items()
    }


def value(rows, name):
    return rows[name, "max"]["value"], rows[name, "max"]["n"]


def test_every_kind_of_request_is_timed_to_its_own_answer(tmp_path):
    story = talk().update(4000, {}).updated(4020)
    story.send(4100, "input_audio_buffer.clear").hear(4130, "input_audio_buffer.cleared")
    story.item(4200, {"type": "message", "role": "user"}, item_id="n")
    added(story, 4240, "n")
    for at, verb, took in ((4300, "retrieve", 50), (4400, "delete", 60)):
        story.send(at, f"conversation.item.{verb}", item_id="n")
        story.hear(at + took, f"conversation.item.{verb}d", item_id="n")
    assert waited(tmp_path, story.finish()) == {
        "update_ack": [20], "clear_ack": [30], "item_ack": [40], "retrieve_ack": [50],
        "delete_ack": [60],
    }  # fmt: skip


def added(story, at, item, kind="message", role="user"):
    detail = {"type": kind, **({"role": role} if role else {})}
    story.hear(at, "conversation.item.added", item_id=item, detail=detail)
    story.hear(at + 1, "conversation.item.done", item_id=item, detail=detail)


def test_answers_are_taken_in_the_order_of_the_requests(tmp_path):
    story = talk().update(4000, {}).update(4010, {}).updated(4100).updated(4200)
    assert waited(tmp_path, story.finish())["update_ack"] == [100, 190]


def test_what_the_server_says_of_its_own_accord_acknowledges_nothing(tmp_path):
    story = talk().updated(3900).update(4000, {}).updated(4020).updated(4500)
    assert waited(tmp_path, story.finish())["update_ack"] == [20]


def test_an_error_that_names_a_request_answers_it(tmp_path):
    story = talk().update(4000, {}, "bad").update(4010, {}).error(4020, "invalid_value", "bad")
    assert waited(tmp_path, story.updated(4100).finish())["update_ack"] == [90]


def test_items_that_the_server_made_acknowledge_no_item_of_the_caller(tmp_path):
    """Its own turn, its own reply, and last what was asked for: a tool's output, without an id."""
    story = talk().output(1900, "c1")
    added(story, 1960, "item1")  # committed by the server
    story.hear(2000, "response.output_item.added", response_id="resp1", item_id="reply")
    added(story, 2010, "reply", role="assistant")
    added(story, 2020, "other")  # of another kind than what was asked for
    added(story, 2100, "mine", "function_call_output", None)
    assert waited(tmp_path, story.finish())["item_ack"] == [200]


def test_retrievals_are_told_apart_by_their_item(tmp_path):
    story = talk()
    for at, item in ((4000, "a"), (4010, "b")):
        story.send(at, "conversation.item.retrieve", item_id=item)
    for at, item in ((4050, "b"), (4100, "a")):
        story.hear(at, "conversation.item.retrieved", item_id=item)
    assert waited(tmp_path, story.finish())["retrieve_ack"] == [100, 40]


def test_requests_of_the_measured_phase_are_measured(tmp_path):
    story = talk().update(100, {}).updated(150).update(4000, {}).updated(4020)
    plan = {"measured_from_ns": ORIGIN_NS + 3_000_000_000}
    _, _, rows, _ = analysed(tmp_path, story.finish(), plan=plan)
    assert value(rows, "update_ack") == (20, 1)


def test_an_error_that_names_nothing_answers_the_newest_request_that_is_open(tmp_path):
    story = talk().update(4000, {}).send(4010, "input_audio_buffer.clear")
    story.error(4020, "invalid_value").updated(4030).update(4100, {}).updated(4150)
    found = waited(tmp_path, story.finish())
    assert (found["update_ack"], found["clear_ack"]) == ([30, 50], [])


def test_of_two_alike_the_newer_was_refused_by_an_error_that_names_nothing(tmp_path):
    story = talk().update(4000, {}).update(4010, {}).error(4020, "invalid_value")
    story.updated(4030).update(4100, {}).updated(4150)
    assert waited(tmp_path, story.finish())["update_ack"] == [30, 50]


@pytest.mark.parametrize(
    ("code", "at"),
    [
        ("response_cancel_not_active", 4010),
        ("conversation_already_has_active_response", 4010),
        ("server_error", 14_001),
    ],
)
def test_races_and_errors_long_after_answer_no_request(tmp_path, code, at):
    story = talk().update(4000, {}).error(at, code).updated(14_020)
    assert waited(tmp_path, story.finish())["update_ack"] == [10_020]


def test_an_answer_to_what_was_asked_again_is_to_the_later_request(tmp_path):
    """The caller waited ten seconds and asked again: the first was never answered."""
    story = talk().update(4000, {}).update(14_001, {}).updated(14_050)
    story.update(15_000, {}).updated(15_020).update(16_000, {}).updated(16_030)
    assert waited(tmp_path, story.finish())["update_ack"] == [-(16_130 - 4000), 49, 20, 30]


def test_an_answer_within_patience_is_to_the_oldest_and_a_lone_one_may_be_slow(tmp_path):
    story = talk().update(4000, {}).update(9000, {}).updated(13_900).updated(13_950)
    story.update(20_000, {}).updated(35_000)
    assert waited(tmp_path, story.finish())["update_ack"] == [9900, 4950, 15_000]


def test_a_request_that_nothing_answers_waits_until_the_end_of_its_session(tmp_path):
    story = talk().update(4000, {}).item(4100, {"type": "message", "role": "user"})
    for at, verb in ((4200, "retrieve"), (4300, "delete")):
        story.send(at, f"conversation.item.{verb}", item_id="n")
    story.send(4400, "input_audio_buffer.clear").end(5000)
    assert waited(tmp_path, story) == {
        "update_ack": [-1000], "item_ack": [-900], "retrieve_ack": [-800], "delete_ack": [-700],
        "clear_ack": [-600],
    }  # fmt: skip


def test_what_a_session_would_have_answered_whose_end_was_not_seen_nobody_knows(tmp_path):
    stories = [talk().update(4000, {}).end(5000, outcome) for outcome in ("closed", "drained")]
    lost = talk().update(4000, {})
    for number, story in enumerate((*stories, lost)):
        story.rows = [row._replace(session=number) for row in story.rows]
    assert waited(tmp_path, *stories, lost)["update_ack"] == [-1000]


def test_a_server_that_answers_one_request_in_a_hundred_has_no_fast_p95(tmp_path):
    story = talk()
    for number in range(100):
        story.send(4000 + number, "conversation.item.retrieve", item_id=f"i{number}")
    story.hear(4020, "conversation.item.retrieved", item_id="i0")
    _, _, rows, _ = analysed(tmp_path, story.finish())
    row = rows["retrieve_ack", "p95"]
    assert (row["value"], row["n"]) == (None, 100)
    assert value(rows, "retrieve_ack") == (None, 100)
