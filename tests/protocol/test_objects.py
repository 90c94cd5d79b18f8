"""What a session object may hold, and what no server can mean."""

import json

import pytest

from bench.protocol import server
from bench.protocol.codec import decode_server, oddities

DETECTION = "session.audio.input.turn_detection"


def updated(session):
    text = json.dumps({"type": "session.updated", "event_id": "e", "session": session})
    message = decode_server(text)
    assert isinstance(message, server.SessionUpdated)
    return message.session, oddities(text, message)


@pytest.mark.parametrize("value", [2**41, -(2**41), 2**63, 10**30, "300"])
@pytest.mark.parametrize("key", ["prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms"])
def test_a_length_that_no_session_has_is_left_out_and_said_to_be_odd(key, value):
    detection = {"type": "server_vad", "threshold": 0.5, key: value}
    session, odd = updated({"id": "s", "audio": {"input": {"turn_detection": detection}}})
    assert (session.id, session.audio.input.turn_detection.threshold) == ("s", 0.5)
    assert odd == [f"{DETECTION}.{key}"]


def test_all_that_is_odd_of_one_turn_detection_is_left_out():
    detection = {"type": "server_vad", "threshold": "high", "prefix_padding_ms": 2**50,
                 "silence_duration_ms": 2**50, "eagerness": "low"}  # fmt: skip
    session, odd = updated({"audio": {"input": {"turn_detection": detection}}})
    assert session.audio.input.turn_detection.eagerness == "low"
    names = ("prefix_padding_ms", "silence_duration_ms", "threshold")
    assert odd == [f"{DETECTION}.{name}" for name in names]


def test_counts_beyond_what_a_float_holds_are_odd_too():
    form = {"type": "audio/pcm", "rate": 10**20}
    session, odd = updated({"expires_at": 10**20, "audio": {"output": {"format": form}}})
    assert session.audio.output.format.type == "audio/pcm"
    assert odd == ["session.audio.output.format.rate", "session.expires_at"]
