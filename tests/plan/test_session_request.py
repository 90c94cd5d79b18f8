"""What goes over the wire at the beginning of a session and at every change: nothing left open."""

from itertools import product
from pathlib import Path

import msgspec
import pytest

from bench.load.session_plan import SessionPlanner
from bench.plan.session_request import changed_sessions, first_session, session_object
from bench.protocol.dialects import DIALECTS, INWORLD, OPENAI
from bench.runs.job import make_job
from bench.runs.target import read_target
from bench.voice.audio import PCM16_24K
from tests.virtual_run import utterances

STOCK = sorted(path.stem for path in Path("scenarios").glob("*.toml"))
VAD = {"type": "server_vad", "silence_duration_ms": 500}
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


def wire(session):
    """What a session is on the wire."""
    return msgspec.json.decode(msgspec.json.encode(session))


def detection_of(sent):
    return sent.get("audio", {}).get("input", {}).get("turn_detection")


@pytest.mark.parametrize(("name", "dialect"), list(product(STOCK, DIALECTS)))
def test_no_shipped_scenario_leaves_to_the_service_what_it_means(name, dialect):
    job = make_job(Path(f"scenarios/{name}.toml"), read_target("reference", dialect))
    spoken = utterances(job.corpus.folder, PCM16_24K)
    for role in SessionPlanner(job, spoken, "run").every():
        whole = {**role.setting.session, **role.kind.session}
        first = wire(role.asked)
        later = [wire(change) for change in (*role.part.changes, *role.part.refused)]
        asked = session_object(whole).audio
        assert bool(detection_of(first)) == bool(asked and asked.input.turn_detection)
        for sent in (first, *later):
            if detection := detection_of(sent):
                assert isinstance(detection["create_response"], bool)
                assert isinstance(detection["interrupt_response"], bool)
            for side in sent.get("audio", {}).values():
                assert isinstance(side.get("format", {}), dict)
            if dialect == "openai":
                assert "providerData" not in sent
            elif sent.get("tools"):
                assert sent["providerData"]["auto_tool_response"] is False
        if whole.get("tools") and dialect == "inworld":
            assert first["tools"]


@pytest.mark.parametrize("kind", [VAD, {"type": "semantic_vad", "eagerness": "low"}])
@pytest.mark.parametrize("dialect", [INWORLD, OPENAI])
def test_turn_detection_says_what_follows_from_it_and_keeps_what_the_scenario_says(kind, dialect):
    plain = detection_of(wire(first_session({"turn_detection": kind}, dialect)))
    assert plain == {**kind, "create_response": True, "interrupt_response": True}
    told = {**kind, "create_response": False}
    nested = {"audio": {"input": {"turn_detection": told}}}
    kept = detection_of(wire(first_session(nested, dialect)))
    assert kept == {**told, "interrupt_response": True}
    assert told == {**kind, "create_response": False}  # the scenario's own table stays as it was


@pytest.mark.parametrize("session", [{"turn_detection": "none"}, {"instructions": "be brief"}])
def test_a_session_without_turn_detection_is_given_none(session):
    sent = wire(first_session(session, INWORLD))
    assert not detection_of(sent)
    assert "providerData" not in sent


def test_a_change_leaves_as_it_is_what_it_does_not_name():
    session = {"turn_detection": {**VAD, "interrupt_response": False}, "tools": [TOOL]}
    session["providerData"] = {"auto_tool_response": True}
    changes = (
        {"turn_detection": {**VAD, "silence_duration_ms": 300}},
        {"turn_detection": {**VAD, "create_response": False}},
        {"voice": "Other"},
        {"turn_detection": VAD, "tools": [TOOL]},
    )
    first, second, third, last = map(wire, changed_sessions(changes, session, INWORLD))
    told = [
        tuple(detection_of(sent)[name] for name in ("create_response", "interrupt_response"))
        for sent in (first, second, last)
    ]
    assert told == [(True, False), (False, False), (False, False)]
    assert third == {"audio": {"output": {"voice": "Other"}}}
    assert last["providerData"] == {"auto_tool_response": True}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, {"auto_tool_response": False}),
        ({"user_id": "u"}, {"user_id": "u", "auto_tool_response": False}),
        ({"auto_tool_response": True}, {"auto_tool_response": True}),
    ],
)
def test_tools_go_with_auto_tool_response_to_inworld_and_never_to_openai(data, expected):
    session = {"tools": [TOOL]} | ({} if data is None else {"providerData": data})
    assert wire(first_session(session, INWORLD))["providerData"] == expected
    assert "providerData" not in wire(first_session(session, OPENAI))


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("pcm16", {"type": "audio/pcm", "rate": 24_000}),
        ({"type": "pcm16"}, {"type": "audio/pcm", "rate": 24_000}),
        ({"type": "pcm16", "rate": 16_000}, {"type": "audio/pcm", "rate": 16_000}),
        ({"type": "audio/pcm", "rate": 16_000}, {"type": "audio/pcm", "rate": 16_000}),
        ("audio/pcm", {"type": "audio/pcm", "rate": 24_000}),
        ("g711_ulaw", {"type": "audio/pcmu"}),
        ({"type": "g711_ulaw"}, {"type": "audio/pcmu"}),
        ("g711_alaw", {"type": "audio/pcma"}),
        ("opus", {"type": "opus"}),
    ],
)
def test_a_format_is_sent_as_an_object_in_todays_words_however_it_is_written(written, sent):
    for session in (
        {"input_format": written, "output_format": written},
        {"audio": {"input": {"format": written}, "output": {"format": written}}},
    ):
        [change] = changed_sessions([session], {}, INWORLD)
        for update in (first_session(session, OPENAI), change):
            audio = wire(update)["audio"]
            assert (audio["input"]["format"], audio["output"]["format"]) == (sent, sent)
