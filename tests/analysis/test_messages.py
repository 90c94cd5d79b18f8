"""Every message of the table is counted, and what is not in it too."""

from bench.protocol.codec import message_table
from bench.protocol.error_codes import PROVOKED
from tests.analysis.story import ORIGIN_NS, Story, analysed, conversation


def test_every_message_of_the_table_is_counted_also_those_that_never_came(tmp_path):
    story = conversation(0, 1)
    story.hear(100, "never.heard.of", detail={"reason": "no such type", "text": "{}"})
    _, _, rows, summary = analysed(tmp_path, story)
    counted = {(row["direction"], row["type"]): row for row in summary["messages"]}
    assert list(counted)[:-1] == [(entry.direction, entry.type) for entry in message_table()]
    assert counted["client", "input_audio_buffer.append"]["count"] == 40
    assert counted["server", "response.output_audio.delta"]["count"] == 4
    assert counted["server", "conversation.item.deleted"]["count"] == 0
    assert counted["server", "never.heard.of"] == summary["messages"][-1]
    assert not summary["messages"][-1]["in_seed"]
    seen = sum(bool(row["count"]) for row in summary["messages"] if row["in_seed"])
    assert rows["unseen_messages", "count"]["value"] == 39 - seen - 1  # rate_limits.updated apart


def test_a_message_is_counted_in_the_direction_that_it_has(tmp_path):
    story = conversation(0, 1).send(100, "session.update")
    story.hear(200, "session.update", detail={"reason": "not a server's", "text": "{}"})
    _, _, _, summary = analysed(tmp_path, story)
    found = [row for row in summary["messages"] if row["type"] == "session.update"]
    assert [(row["direction"], row["in_seed"], row["count"]) for row in found] == [
        ("client", True, 1), ("server", False, 1),
    ]  # fmt: skip


def test_errors_are_shown_by_code_and_those_that_are_nobodys_fault_are_not_counted(tmp_path):
    story = conversation(0, 1)
    story.error(100, "invalid_value").error(200, "invalid_value").error(300, None)
    story.error(400, "response_cancel_not_active")
    story.error(500, "item_retrieve_invalid_item_id", f"s0-7{PROVOKED}")
    _, _, rows, summary = analysed(tmp_path, story)
    assert list(summary["errors_by_code"].items()) == [
        ("invalid_value", 2), ("(no code)", 1), ("item_retrieve_invalid_item_id (provoked)", 1),
        ("response_cancel_not_active", 1),
    ]  # fmt: skip
    assert rows["errors", "count"]["value"] == 3


def test_an_error_without_a_type_is_an_error(tmp_path):
    """Inworld's way of saying that resources are exhausted."""
    story = conversation(0, 1).error(100, "invalid_value")
    story.hear(200, "errorType:SESSION_RESOURCES_EXHAUSTED")
    _, _, rows, summary = analysed(tmp_path, story)
    assert summary["errors_by_code"] == {
        "errorType:SESSION_RESOURCES_EXHAUSTED": 1, "invalid_value": 1,
    }  # fmt: skip
    assert rows["errors", "count"]["value"] == 2


def test_errors_by_code_are_those_of_the_whole_run_and_are_said_to_be(tmp_path):
    story = conversation(0, 2, opens=0).error(100, "early").error(5000, "later")
    plan = {"measured_from_ns": ORIGIN_NS + 4_000_000_000}
    _, _, rows, summary = analysed(tmp_path, story, plan=plan)
    assert summary["errors_by_code"] == {"early": 1, "later": 1}
    assert "errors_by_code" in summary["about"]["whole_run"]
    assert rows["errors", "count"]["value"] == 1  # of the measured phase


def test_a_refusal_of_what_no_answer_hangs_on_is_no_reason_of_the_turn(tmp_path):
    story = Story().begin().microphone().say(0)
    story.ear()
    story.send(2000, "conversation.item.retrieve", item_id="x")
    story.error(2010, "item_retrieve_invalid_item_id", "conversation.item.retrieve@2000")
    turns, _, rows, _ = analysed(tmp_path, story.gave_up(11_200).finish())
    assert turns.loc[0, "outcome"] == "timeout"
    assert rows["errors", "count"]["value"] == 1


def test_a_provoked_error_is_no_reason_of_the_turn(tmp_path):
    story = Story().begin().microphone().say(0)
    story.ear()
    story.error(2010, "invalid_value", f"s0-7{PROVOKED}")
    turns, _, _, _ = analysed(tmp_path, story.gave_up(11_200).finish())
    assert turns.loc[0, "outcome"] == "timeout"
