"""What the caller asked for and the server acknowledged, each with each."""

from tests.analysis.story import ORIGIN_NS, Story, analysed


def talk():
    return Story().begin().microphone().say(200).answered()


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
    _, _, rows, _ = analysed(tmp_path, story.finish())
    names = ("update_ack", "clear_ack", "item_ack", "retrieve_ack", "delete_ack")
    assert [value(rows, name) for name in names] == [(20, 1), (30, 1), (40, 1), (50, 1), (60, 1)]


def added(story, at, item, kind="message", role="user"):
    detail = {"type": kind, **({"role": role} if role else {})}
    story.hear(at, "conversation.item.added", item_id=item, detail=detail)
    story.hear(at + 1, "conversation.item.done", item_id=item, detail=detail)


def test_answers_are_taken_in_the_order_of_the_requests(tmp_path):
    story = talk().update(4000, {}).update(4010, {}).updated(4100).updated(4200)
    _, _, rows, _ = analysed(tmp_path, story.finish())
    assert rows["update_ack", "min"]["value"] == 100
    assert rows["update_ack", "max"]["value"] == 190


def test_what_the_server_says_of_its_own_accord_acknowledges_nothing(tmp_path):
    story = talk().updated(3900).update(4000, {}).updated(4020).updated(4500)
    _, _, rows, _ = analysed(tmp_path, story.finish())
    assert value(rows, "update_ack") == (20, 1)


def test_an_error_that_names_a_request_answers_it(tmp_path):
    story = talk().update(4000, {}, "bad").update(4010, {}).error(4020, "invalid_value", "bad")
    _, _, rows, _ = analysed(tmp_path, story.updated(4100).finish())
    assert value(rows, "update_ack") == (90, 1)


def test_items_that_the_server_made_acknowledge_no_item_of_the_caller(tmp_path):
    """Its own turn, its own reply, and last what was asked for: a tool's output, without an id."""
    story = talk().output(1900, "c1")
    added(story, 1960, "item1")  # committed by the server
    story.hear(2000, "response.output_item.added", response_id="resp1", item_id="reply")
    added(story, 2010, "reply", role="assistant")
    added(story, 2020, "other")  # of another kind than what was asked for
    added(story, 2100, "mine", "function_call_output", None)
    _, _, rows, _ = analysed(tmp_path, story.finish())
    assert value(rows, "item_ack") == (200, 1)


def test_retrievals_are_told_apart_by_their_item(tmp_path):
    story = talk()
    for at, item in ((4000, "a"), (4010, "b")):
        story.send(at, "conversation.item.retrieve", item_id=item)
    for at, item in ((4050, "b"), (4100, "a")):
        story.hear(at, "conversation.item.retrieved", item_id=item)
    _, _, rows, _ = analysed(tmp_path, story.finish())
    assert [rows["retrieve_ack", s]["value"] for s in ("min", "max")] == [40, 100]


def test_requests_of_the_measured_phase_are_measured(tmp_path):
    story = talk().update(100, {}).updated(150).update(4000, {}).updated(4020)
    plan = {"measured_from_ns": ORIGIN_NS + 3_000_000_000}
    _, _, rows, _ = analysed(tmp_path, story.finish(), plan=plan)
    assert value(rows, "update_ack") == (20, 1)


def test_a_request_without_an_answer_is_no_sample(tmp_path):
    _, _, rows, _ = analysed(tmp_path, talk().update(4000, {}).finish())
    assert rows["update_ack", "p50"]["n"] == 0
