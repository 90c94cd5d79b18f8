"""A sound that is not there yet is made beside the loop: who asked waits, the others do not."""

import asyncio
import json

import pytest

from bench.protocol.codec import decode_client
from bench.reference.connection import SoundMaker
from bench.reference.voices import Sound, Voices
from bench.voice.audio import PCM16_24K, AudioFormat
from tests.reference.stage import LINES, REPLIES, Caller

PCMU = AudioFormat("audio/pcmu", 8_000)
WIDE = AudioFormat("audio/pcm", 16_000)


def stage_voices(before):
    """The voices of the stage; `before` is called when a format is loaded."""
    made = Voices.of(*LINES, *REPLIES)
    load = made._load

    def loading(fmt):
        before(fmt)
        return load(fmt)

    made._load = loading
    made.make(Sound(PCM16_24K))
    return made


def needs(caller, message):
    return set(caller.server.needs(decode_client(json.dumps(message))))


def updating(**audio):
    return {"type": "session.update", "session": {"audio": audio}}


@pytest.mark.parametrize(
    ("message", "sounds"),
    [
        (updating(input={"format": "g711_ulaw"}), {Sound(PCMU), Sound(PCM16_24K)}),
        (updating(output={"format": {"type": "audio/pcm", "rate": 16_000}}),
         {Sound(WIDE), Sound(PCM16_24K)}),
        (updating(output={"speed": 1.5}), {Sound(PCM16_24K), Sound(PCM16_24K, 1.5)}),
        (updating(output={"speed": 9}), set()),
        ({"type": "response.create"}, {Sound(PCM16_24K)}),
        ({"type": "response.create",
          "response": {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}}, {Sound(PCMU)}),
        ({"type": "response.create", "response": {"max_output_tokens": 0}}, set()),
        ({"type": "input_audio_buffer.append", "audio": "AAAA"}, set()),
        ({"type": "nonsense"}, set()),
    ],
)  # fmt: skip
def test_a_message_says_which_sounds_it_asks_for_and_changes_nothing_by_that(message, sounds):
    caller = Caller()
    before = caller.server._context.settings.effective
    assert needs(caller, message) == sounds
    assert caller.server._context.settings.effective == before


def test_a_response_at_the_speed_of_its_session_asks_for_that():
    caller = Caller()
    caller.update(audio={"output": {"speed": 1.25}})
    assert needs(caller, {"type": "response.create"}) == {Sound(PCM16_24K, 1.25)}


@pytest.mark.parametrize("sound", [Sound(PCMU), Sound(PCM16_24K, 1.25), Sound(PCMU, 0.8)])
def test_what_was_made_is_there_and_speaking_makes_nothing_more(sound):
    voices = stage_voices([].append)
    assert not voices.has(sound)
    voices.make(sound)
    assert voices.has(sound)
    paced = dict(voices._paced)
    caller = Caller(voices=voices)
    wire = {"format": sound.format.wire, "speed": sound.speed}
    caller.update(audio={"input": {"format": sound.format.wire}, "output": wire})
    caller.typed_turn(reply_ms=6000)
    assert voices._paced == paced


def test_two_who_want_the_same_find_it_made_once():
    loaded = []
    voices = stage_voices(loaded.append)

    async def both():
        sounds = SoundMaker(voices)
        await asyncio.gather(*(sounds.ready([Sound(PCMU)]) for _ in range(2)))
        sounds.close()

    asyncio.run(both())
    assert loaded == [PCM16_24K, PCMU]
