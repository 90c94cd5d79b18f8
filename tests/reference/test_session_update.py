"""session.update in mid-call: acknowledged at once, effective from the next response, atomic."""

import json
from itertools import pairwise

import msgspec
import pytest

from bench.corpus.sample_codec import decode
from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol.codec import encode, type_of
from bench.protocol.objects import ResponseParams
from bench.voice.audio import PCM16_24K, AudioFormat, ms
from tests.reference.stage import LINES, REPLIES, ROUND, Caller, stage_voices, user_text


def audio_of(caller, response_id):
    return b"".join(
        due.message.delta
        for due in caller.every(say.ResponseOutputAudioDelta)
        if due.message.response_id == response_id
    )


def responses(caller):
    return [due.message.response for due in caller.every(say.ResponseDone)]


def test_a_response_says_which_voice_format_and_modalities_it_has():
    caller = Caller()
    caller.typed_turn()
    pcmu = {"type": "audio/pcmu"}
    caller.update(output_modalities=["text"], audio={"output": {"voice": "Ash", "format": pcmu}})
    caller.typed_turn()
    first, second = responses(caller)
    assert (first.voice, first.output_modalities) == ("Dennis", ["audio", "text"])
    assert first.audio["output"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert (second.voice, second.output_modalities) == ("Ash", ["text"])
    assert second.audio["output"]["format"] == pcmu


def test_an_update_leaves_a_response_under_way_as_it_is():
    caller, plain = Caller(), Caller()
    for one in (caller, plain):
        one.typed_turn(reply_ms=350)
    caller.update(
        output_modalities=["text"],
        audio={"output": {"voice": "Ash", "speed": 1.5, "format": "g711_ulaw"}},
    )
    for one in (caller, plain):
        one.wait(4000)

    def said(one):
        wires = [
            (due.due_ns, json.loads(encode(due.message)))
            for due in one.heard
            if due.cause == "response"
        ]
        return [(at, {k: w[k] for k in w if k != "event_id"}) for at, w in wires]

    assert said(caller) == said(plain)


def test_each_change_is_acknowledged_whole_and_effective_from_the_next_response():
    caller = Caller()
    (answer,) = caller.update(
        model="openai/other",
        instructions="Be brief.",
        output_modalities=["text"],
        audio={"output": {"voice": "Ash"}, "input": {"turn_detection": None}},
    )
    session = answer.message.session
    assert (session.model, session.instructions) == ("openai/other", "Be brief.")
    assert session.audio.input.turn_detection is None
    caller.typed_turn()
    assert caller.every(say.ResponseOutputTextDelta)
    caller.say(LINES[0].audio)
    caller.silence(1500)
    assert not caller.every(say.InputAudioBufferSpeechStarted)
    caller.detect({"type": "server_vad"})
    caller.spoken_turn()
    assert caller.every(say.InputAudioBufferSpeechStarted)


def test_an_invalid_update_changes_nothing_of_what_follows():
    caller, plain = Caller(), Caller()
    answers = caller.update(
        output_modalities=["text"], audio={"output": {"voice": "Ash", "speed": 9}}
    )
    assert answers[0].message.error.param == "session.audio.output.speed"
    caller.typed_turn()
    plain.typed_turn()
    kinds = [type_of(due.message) for due in caller.heard]
    assert kinds[2:] == [type_of(due.message) for due in plain.heard][1:]
    assert responses(caller)[0].voice == "Dennis"


@pytest.mark.parametrize("speed", [0.25, 0.8, 1.25, 1.5])
@pytest.mark.parametrize("fmt", [PCM16_24K, AudioFormat("audio/pcmu", 8_000)])
def test_speed_changes_the_length_of_what_is_said_and_not_its_words(speed, fmt):
    wire = {"type": fmt.type} | ({"rate": fmt.rate} if fmt.type == "audio/pcm" else {})
    lengths, words = [], []
    for wanted in (1.0, speed):
        caller = Caller()
        (answer,) = caller.update(audio={"output": {"speed": wanted, "format": wire}})
        assert answer.message.session.audio.output.speed == wanted
        caller.typed_turn(reply_ms=12_000)
        audio = audio_of(caller, responses(caller)[0].id)
        lengths.append(fmt.duration_ns(len(audio)) - ms(40))
        words.append(caller.last(say.ResponseOutputAudioTranscriptDone).transcript)
        assert abs(decode(audio, fmt.type).astype(int)).max() > 1000
    assert lengths[1] == pytest.approx(lengths[0] / speed, rel=0.01)
    assert words[0] == words[1]


def test_a_reply_at_another_speed_is_made_once_and_the_rest_stay_bounded():
    voices = stage_voices()
    assert voices.reply(PCM16_24K, 0, 1.1) is voices.reply(PCM16_24K, 0, 1.1)
    for step in range(400):
        voices.reply(AudioFormat("audio/pcm", 8_000), step % len(REPLIES), 1.0 + step / 1000)
    assert len(voices._paced) <= 256


def test_history_makes_the_first_delta_later_by_so_much_an_item():
    slow = msgspec.structs.replace(
        ROUND, response=msgspec.structs.replace(ROUND.response, history_ms=7)
    )
    caller = Caller(slow)
    waits = []
    for _ in range(4):
        caller.ask(user_text("hello"))
        at = caller.now_ns
        caller.respond(4000)
        response_id = responses(caller)[-1].id
        first = next(
            due
            for due in caller.every(say.ResponseOutputAudioDelta)
            if due.message.response_id == response_id
        )
        waits.append(first.due_ns - at)
    assert waits[0] == ms(300 + 7)
    assert {later - earlier for earlier, later in pairwise(waits)} == {ms(14)}


def test_overrides_are_of_one_response_alone():
    caller = Caller()
    params = ResponseParams(output_modalities=["text"], voice="Ash", metadata={"a": "b"})
    caller.ask(ask.ResponseCreate(response=params))
    caller.wait(4000)
    caller.respond(4000)
    first, second = responses(caller)
    assert (first.voice, first.output_modalities, first.metadata) == ("Ash", ["text"], {"a": "b"})
    assert (second.voice, second.output_modalities) == ("Dennis", ["audio", "text"])
