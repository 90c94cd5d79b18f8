"""A script of a probe in virtual time: what it takes for an answer, and how long it waits."""

import pytest

from bench.probe.answers import Received
from bench.probe.dialogue import Dialogue
from bench.protocol.client import InputAudioBufferClear
from bench.protocol.dialects import INWORLD
from bench.voice.audio import NS_PER_S
from bench.voice.directions import Pause, Send
from tests.probe.recorded import created, done, error, session

CLEARED = {"type": "input_audio_buffer.cleared"}


def held(script, *told, replies=()):
    """The dialogue of a script that was `told` all that at once, and how many seconds it took.

    Each message that it sends is answered at once by the next of `replies`, which may be a function
    of the message's event_id (None: by nothing).
    """
    dialogue, now_ns, replies = Dialogue("x", INWORLD, None), 0, iter(replies)
    dialogue.received += [Received(0, body["type"], body) for body in told]
    for direction in dialogue.play(script):
        if isinstance(direction, Pause):
            now_ns += direction.duration_ns
        elif isinstance(direction, Send) and (reply := next(replies, None)) is not None:
            body = reply(direction.message.event_id) if callable(reply) else reply
            dialogue.received.append(Received(now_ns, body["type"], body))
    return dialogue, now_ns / NS_PER_S


def clear(dialogue):
    yield from dialogue.ask("clear", InputAudioBufferClear(), CLEARED["type"])


def told_of(event_id):
    body = error("no")
    return {**body, "error": {**body["error"], "event_id": event_id}}


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (CLEARED, "seen"),
        (told_of, "refused (no)"),
        (told_of(None), "refused (no)"),  # no other message is open
        (told_of("other"), "not seen"),
        (session(), "not seen"),
        (None, "not seen"),
    ],
)
def test_an_answer_is_what_was_waited_for_or_an_error_that_names_the_message_or_none(reply, state):
    dialogue, seconds = held(clear, session(), replies=[reply])
    assert [one.state for one in dialogue.exchanges] == ["seen", state]
    assert seconds == (4.0 if state == "not seen" else 0.0)


def changes(count):
    def script(dialogue):
        for _ in range(count):
            yield from dialogue.change("voice", ("audio.output.voice", "Sarah"))

    return script


def test_a_server_that_acknowledges_no_update_is_not_waited_for_so_long_again():
    greeted, answered = session("session.created"), [{"type": "ping"}] * 5
    dialogue, seconds = held(changes(5), greeted, replies=answered)
    assert seconds == 5.0  # the first update of the session was not acknowledged either
    assert dialogue.trouble == ""
    _, seconds = held(changes(3), session(), replies=answered)
    assert seconds == 4.0 + 2 * 1.0


def test_a_server_that_leaves_three_messages_unanswered_and_says_nothing_is_given_up():
    def script(dialogue):
        for _ in range(9):
            yield from clear(dialogue)

    dialogue, seconds = held(script, session())
    assert (seconds, dialogue.trouble[:11]) == (12.0, "fell silent")
    dialogue, _ = held(script, session(), replies=[None, None, CLEARED, None, None, CLEARED])
    assert len(dialogue.exchanges) == 1 + 9
    talking, _ = held(script, session(), replies=[{"type": "ping"}] * 9)
    assert talking.trouble == ""


def test_a_mistake_on_purpose_that_is_not_answered_is_no_silence():
    def script(dialogue):
        for _ in range(5):
            yield from dialogue.provoke("odd", InputAudioBufferClear(), CLEARED["type"])

    dialogue, seconds = held(script, session())
    assert (seconds, dialogue.trouble) == (10.0, "")


def test_an_agent_that_is_speaking_is_heard_out_before_it_is_asked():
    def script(dialogue):
        yield from dialogue.request("ask", "What time is it?")

    added = {"type": "conversation.item.added"}
    _, seconds = held(script, session(), created(), replies=[added, created("r2")])
    assert seconds == 4.0
    _, seconds = held(script, session(), created(), done(), replies=[added, created("r2")])
    assert seconds == 0.0


def test_an_opening_that_was_refused_is_noted_once():
    dialogue, _ = held(clear, error("no_vad"), replies=[CLEARED])
    dialogue.note_opening()
    assert [(one.label, one.state) for one in dialogue.exchanges] == [
        ("turn detection/server_vad", "refused (no_vad)"),
        ("clear", "seen"),
    ]
