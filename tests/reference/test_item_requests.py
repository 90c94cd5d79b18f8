"""The conversation as a client edits it: items put in place, truncated, deleted, retrieved."""

import json

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol.codec import decode_client, encode
from bench.voice.audio import PCM16_24K, ms
from tests.reference.stage import LINES, Caller, code, user_text


def test_truncate_is_checked_against_what_was_produced_and_drops_the_transcript():
    caller = Caller().spoken_turn()
    item_id = caller.last(say.ResponseDone).response.output[0].id
    nbytes = sum(len(d.message.delta) for d in caller.every(say.ResponseOutputAudioDelta))
    whole_ms = PCM16_24K.duration_ns(nbytes) // ms(1)
    too_far = ask.ConversationItemTruncate(item_id=item_id, audio_end_ms=whole_ms + 1)
    assert code(caller.ask(too_far)) == "invalid_value"
    caller.ask(ask.ConversationItemTruncate(item_id=item_id, audio_end_ms=500))
    assert caller.only(say.ConversationItemTruncated).message.audio_end_ms == 500
    caller.ask(ask.ConversationItemRetrieve(item_id=item_id))
    part = caller.last(say.ConversationItemRetrieved).item.content[0]
    assert part.transcript is None
    assert len(part.audio) == PCM16_24K.nbytes(ms(500)) * 4 // 3
    again = ask.ConversationItemTruncate(item_id=item_id, audio_end_ms=501)
    assert code(caller.ask(again)) == "invalid_value"


def test_only_the_agents_audio_can_be_truncated():
    caller = Caller().spoken_turn()
    item_id = caller.only(say.InputAudioBufferCommitted).message.item_id
    answers = caller.ask(ask.ConversationItemTruncate(item_id=item_id, audio_end_ms=0))
    assert code(answers) == "invalid_value"


def test_retrieve_gives_the_callers_audio_back():
    caller = Caller()
    caller.detect(None)
    caller.say(LINES[0].audio)
    caller.ask(ask.InputAudioBufferCommit())
    item_id = caller.only(say.InputAudioBufferCommitted).message.item_id
    caller.wait(500)
    caller.ask(ask.ConversationItemRetrieve(item_id=item_id))
    wire = json.loads(encode(caller.last(say.ConversationItemRetrieved)))
    part = wire["item"]["content"][0]
    assert part["transcript"] == LINES[0].text
    assert part["format"] == {"type": "audio/pcm", "rate": 24000}
    again = decode_client(json.dumps({"type": "input_audio_buffer.append", "audio": part["audio"]}))
    assert again.audio[: len(LINES[0].audio)] == LINES[0].audio


def test_items_go_where_previous_item_id_says():
    caller = Caller()
    caller.ask(user_text("b", id="b"))
    caller.ask(user_text("c", id="c"))
    front = user_text("a", id="a")
    front.previous_item_id = "root"
    caller.ask(front)
    between = user_text("bb", id="bb")
    between.previous_item_id = "b"
    caller.ask(between)
    previous = [d.message.previous_item_id for d in caller.every(say.ConversationItemAdded)]
    assert previous == [None, "b", None, "b"]
    stray = user_text("z", id="z")
    stray.previous_item_id = "nowhere"
    answers = caller.ask(stray)
    assert code(answers) == "invalid_value"
    assert answers[0].message.error.param == "previous_item_id"
    caller.ask(ask.ConversationItemDelete(item_id="b"))
    last = caller.ask(user_text("d", id="d"))[0].message
    assert last.previous_item_id == "c"
    assert code(caller.ask(user_text("d", id="d"))) == "invalid_value"


def test_what_is_truncated_or_deleted_while_it_is_spoken_stays_so():
    caller = Caller()
    caller.typed_turn(reply_ms=400)
    item_id = caller.every(say.ResponseOutputItemAdded)[0].message.item.id
    caller.ask(ask.ConversationItemTruncate(item_id=item_id, audio_end_ms=100))
    assert caller.every(say.ConversationItemTruncated)
    caller.wait(4000)
    caller.ask(ask.ConversationItemRetrieve(item_id=item_id))
    part = caller.last(say.ConversationItemRetrieved).item.content[0]
    assert part.transcript is None
    assert len(part.audio) * 3 // 4 == PCM16_24K.nbytes(ms(100))

    caller.respond(400)
    item_id = caller.every(say.ResponseOutputItemAdded)[1].message.item.id
    caller.ask(ask.ConversationItemDelete(item_id=item_id))
    caller.wait(4000)
    answers = caller.ask(ask.ConversationItemRetrieve(item_id=item_id))
    assert code(answers) == "item_retrieve_invalid_item_id"
    assert caller.every(say.ResponseDone)[1].message.response.status == "completed"
