"""What the session before the load was told that it does not have."""

from bench.load.preflight import lacking
from bench.plan.session_request import session_object

ASKED = session_object(
    {
        "turn_detection": {"type": "server_vad"},
        "output_modalities": ["audio"],
        "tools": [{"type": "function", "name": "look"}],
    }
)


def test_sessions_lack_what_they_were_told_not_to_have():
    told = {
        "audio": {"input": {"turn_detection": {"type": "semantic_vad"}}},
        "tools": [],
        "output_modalities": ["text"],
    }
    assert lacking(ASKED, told) == [
        "turn detection is semantic_vad, server_vad was asked",
        "it has no tools, 1 were given",
        "it answers in text, audio was asked",
    ]


def test_a_vad_that_is_off_is_named():
    told = {"audio": {"input": {"turn_detection": None}}}
    assert lacking(ASKED, told) == ["turn detection is off, server_vad was asked"]


def test_what_a_server_does_not_say_is_not_held_against_it():
    assert lacking(ASKED, {}) == []
