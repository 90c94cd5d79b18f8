"""What `session.updated` says is what holds."""

import msgspec
import pytest

from bench.protocol.objects import Session, WireFormat
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
