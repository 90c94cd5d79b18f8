"""What `session.updated` says is what holds, and else what was asked for."""

import msgspec
import pytest

from bench.protocol.objects import ServerSession, Session, WireFormat
from bench.voice.audio import AudioFormat
from bench.voice.effective import Effective, format_of


def told(**session):
    effective = Effective()
    effective.obey(msgspec.convert(session, Session))
    return effective


@pytest.mark.parametrize(
    ("wire", "found"),
    [
        (WireFormat(type="audio/pcm", rate=16_000), AudioFormat("audio/pcm", 16_000)),
        (WireFormat(type="audio/pcm"), AudioFormat("audio/pcm", 48_000)),
        ("pcm16", AudioFormat("audio/pcm", 48_000)),
        (WireFormat(type="audio/pcm", rate=0), AudioFormat("audio/pcm", 48_000)),
        (WireFormat(type="audio/pcm", rate=2**60), AudioFormat("audio/pcm", 48_000)),
        (WireFormat(type="audio/pcmu"), AudioFormat("audio/pcmu", 8_000)),
        ("g711_alaw", AudioFormat("audio/pcma", 8_000)),
        ("audio/opus", AudioFormat("audio/pcm", 48_000)),
        (None, AudioFormat("audio/pcm", 48_000)),
    ],
)
def test_a_format_is_what_the_server_names_or_stays_what_it_was(wire, found):
    assert format_of(wire, AudioFormat("audio/pcm", 48_000)) == found


def test_no_turn_detection_is_manual_mode_and_silence_about_it_changes_nothing():
    effective = told(audio={"input": {"turn_detection": None}})
    assert effective.manual
    assert not effective.answers
    effective.obey(msgspec.convert({"audio": {"output": {"voice": "Ashley"}}}, Session))
    assert effective.manual
    vad = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
    effective.obey(msgspec.convert(vad, Session))
    assert not effective.manual
    assert effective.answers


def test_a_server_that_goes_on_by_itself_after_tools_says_so():
    assert told(providerData={"auto_tool_response": True}).continues
    assert not told(providerData={"auto_tool_response": False}).continues
    assert not told(providerData=None).continues


PCM16K = {"type": "audio/pcm", "rate": 16_000}
MANUAL_16K = {"input": {"format": PCM16K, "turn_detection": None}, "output": {"format": PCM16K}}


def granted(asked, **answer):
    """What holds where this was asked, and the server answered so."""
    effective = Effective()
    effective.grant(msgspec.convert({"audio": asked}, Session))
    effective.obey(msgspec.convert(answer, ServerSession))
    return effective


def test_what_was_asked_and_is_not_contradicted_holds_and_is_assumed():
    effective = granted(MANUAL_16K)
    assert effective.input == effective.output == AudioFormat("audio/pcm", 16_000)
    assert effective.manual
    assert effective.assumed == {"input", "output"}
    assert effective.facts()["assumed"] == ["input", "output"]


def test_a_format_that_the_server_says_is_not_assumed_whether_it_grants_or_contradicts():
    effective = granted(MANUAL_16K, audio={"input": {"format": PCM16K}})
    assert (effective.input.rate, effective.assumed) == (16_000, {"output"})
    effective = granted(MANUAL_16K, audio={"output": {"format": {**PCM16K, "rate": 24_000}}})
    assert (effective.input.rate, effective.output.rate) == (16_000, 24_000)
    assert effective.assumed == {"input"}


@pytest.mark.parametrize(
    ("word", "held", "assumed"),
    [
        ("pcm16", AudioFormat("audio/pcm", 16_000), {"input", "output"}),  # it names no rate
        ("g711_ulaw", AudioFormat("audio/pcmu", 8_000), {"output"}),
        (PCM16K, AudioFormat("audio/pcm", 16_000), {"output"}),
        ({"type": "audio/pcm", "rate": 48_000}, AudioFormat("audio/pcm", 48_000), {"output"}),
        (None, AudioFormat("audio/pcm", 16_000), {"input", "output"}),
        ("audio/opus", AudioFormat("audio/pcm", 16_000), {"input", "output"}),
    ],
)
def test_the_flat_words_of_the_beta_are_obeyed(word, held, assumed):
    effective = granted(MANUAL_16K, input_audio_format=word)
    assert (effective.input, effective.assumed) == (held, assumed)
    assert effective.output == AudioFormat("audio/pcm", 16_000)


def test_flat_turn_detection_holds_unless_it_is_said_in_its_place_too():
    spoken = {"type": "server_vad", "create_response": False, "prefix_padding_ms": 200}
    effective = granted(MANUAL_16K, turn_detection=spoken)
    assert not effective.manual
    assert not effective.answers
    assert effective.facts()["prefix_padding_ms"] == 200
    assert granted(MANUAL_16K, turn_detection=None).manual
    both = granted(MANUAL_16K, turn_detection=None, audio={"input": {"turn_detection": spoken}})
    assert not both.manual


def test_pcm16_without_a_rate_says_all_where_the_usual_rate_was_asked():
    usual = {"input": {"format": {"type": "audio/pcm", "rate": 24_000}}}
    assert granted(usual, input_audio_format="pcm16").assumed == {"output"}


def test_a_format_that_changes_later_is_assumed_again_until_the_server_says_it():
    effective = told(audio={"input": {"format": PCM16K}, "output": {"format": PCM16K}})
    assert effective.assumed == set()
    effective.grant(msgspec.convert({"audio": {"input": {"format": PCM16K}}}, Session))
    assert effective.assumed == set()  # nothing changed
    g711 = {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}
    effective.grant(msgspec.convert(g711, Session))
    assert (effective.input, effective.assumed) == (AudioFormat("audio/pcmu", 8_000), {"input"})
    effective.obey(msgspec.convert(g711, ServerSession))
    assert effective.assumed == set()
