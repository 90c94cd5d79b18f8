import json

import msgspec
import pytest

from bench.protocol.codec import encode
from bench.protocol.objects import Session
from bench.reference.settings import Detection, SessionSettings
from bench.reference.vendor import SERVICES
from bench.voice.audio import AudioFormat


def fresh(dialect="inworld"):
    return SessionSettings(SERVICES[dialect], session_id="sess_1", model="", opened_s=100)


def ask(settings, **session):
    return settings.update(msgspec.convert(session, Session))


def wire(settings):
    return json.loads(encode(settings.effective))


def test_the_session_has_the_keys_of_recorded_servers_in_their_order_nulls_present():
    session = wire(fresh("openai"))
    assert " ".join(session) == (
        "type object id model output_modalities instructions tools tool_choice max_output_tokens "
        "tracing truncation prompt expires_at audio include"
    )
    assert session["tracing"] is None
    assert " ".join(session["audio"]["input"]["turn_detection"]) == (
        "type threshold prefix_padding_ms silence_duration_ms idle_timeout_ms create_response "
        "interrupt_response"
    )
    assert session["audio"]["input"]["noise_reduction"] is None
    assert session["expires_at"] == 3700


def test_an_update_changes_what_is_present_and_nothing_else():
    settings = fresh()
    before = wire(settings)
    assert (
        ask(
            settings,
            audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}},
        )
        is None
    )
    after = wire(settings)
    assert after["audio"]["input"]["turn_detection"].pop("silence_duration_ms") == 300
    before["audio"]["input"]["turn_detection"].pop("silence_duration_ms")
    assert after == before


def test_null_clears_what_may_be_null_and_empty_clears_text_and_tools():
    settings = fresh()
    ask(settings, instructions="x", tools=[{"type": "function", "name": "f"}])
    ask(
        settings,
        instructions="",
        tools=[],
        audio={"input": {"turn_detection": None, "transcription": None}},
    )
    session = wire(settings)
    assert (session["instructions"], session["tools"]) == ("", [])
    assert session["audio"]["input"]["turn_detection"] is None
    assert settings.detection is None
    assert not settings.transcribes


def test_another_detector_starts_from_its_own_defaults():
    settings = fresh()
    ask(
        settings,
        audio={"input": {"turn_detection": {"type": "semantic_vad", "create_response": False}}},
    )
    assert wire(settings)["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": False,
        "interrupt_response": True,
    }
    assert settings.detection == Detection(
        0.5, 300, 0, create_response=False, interrupt_response=True, eagerness="medium"
    )


def test_a_transcription_object_is_filled_with_nulls():
    settings = fresh("openai")
    assert not settings.transcribes
    ask(settings, type="realtime", audio={"input": {"transcription": {"model": "whisper-1"}}})
    assert wire(settings)["audio"]["input"]["transcription"] == {
        "model": "whisper-1",
        "language": None,
        "prompt": None,
    }


def test_identity_and_expiry_are_the_servers():
    settings = fresh()
    ask(settings, id="mine", object="mine", expires_at=1)
    assert (settings.effective.id, settings.effective.expires_at) == ("sess_1", 3700)


NUMBERS = [
    ({"temperature": 3}, "session.temperature", "decimal_above_max_value"),
    ({"max_output_tokens": 0}, "session.max_output_tokens", "integer_below_min_value"),
    ({"max_output_tokens": 4097}, "session.max_output_tokens", "integer_above_max_value"),
    ({"truncation": {"type": "retention_ratio", "retention_ratio": 2}},
     "session.truncation.retention_ratio", "decimal_above_max_value"),
    ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 7}}}},
     "session.audio.output.format.rate", "integer_below_min_value"),
    ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 96_000}}}},
     "session.audio.input.format.rate", "integer_above_max_value"),
    ({"audio": {"input": {"format": {"type": "audio/pcmu", "rate": 16_000}}}},
     "session.audio.input.format.rate", "invalid_value"),
    ({"audio": {"output": {"speed": 2}}}, "session.audio.output.speed",
     "decimal_above_max_value"),
    *[
        ({"audio": {"input": {"turn_detection": {"type": "server_vad", name: value}}}},
         f"session.audio.input.turn_detection.{name}", code)
        for name, value, code in (
            ("threshold", 1.1, "decimal_above_max_value"),
            ("prefix_padding_ms", -1, "integer_below_min_value"),
            ("silence_duration_ms", -1, "integer_below_min_value"),
            ("idle_timeout_ms", 4999, "integer_below_min_value"),
        )
    ],
]  # fmt: skip
WORDS = [
    ({"type": "transcription"}, "session.type"),
    ({"output_modalities": ["video"]}, "session.output_modalities"),
    ({"output_modalities": []}, "session.output_modalities"),
    ({"max_output_tokens": "many"}, "session.max_output_tokens"),
    ({"tool_choice": "maybe"}, "session.tool_choice"),
    ({"tool_choice": {"type": "hammer"}}, "session.tool_choice"),
    ({"truncation": "sometimes"}, "session.truncation"),
    ({"reasoning": {"effort": "heroic"}}, "session.reasoning.effort"),
    ({"audio": {"input": {"format": "opus"}}}, "session.audio.input.format"),
    ({"audio": {"output": {"format": {"type": "opus"}}}}, "session.audio.output.format"),
    ({"audio": {"input": {"noise_reduction": {"type": "no_field"}}}},
     "session.audio.input.noise_reduction"),
    ({"audio": {"input": {"turn_detection": {"type": "magic"}}}},
     "session.audio.input.turn_detection.type"),
    ({"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "wild"}}}},
     "session.audio.input.turn_detection.eagerness"),
]  # fmt: skip
OBJECTS = [
    ({"tool_choice": {"type": "function"}}, "session.tool_choice"),
    ({"tools": [{"name": "f"}]}, "session.tools"),
    ({"tools": [{"type": "function"}]}, "session.tools"),
    ({"tools": [{"type": "function", "name": "f", "parameters": 3}]}, "session.tools"),
    ({"audio": {"input": {"transcription": {"model": "whisper-0"}}}},
     "session.audio.input.transcription.model"),
]  # fmt: skip


def refused(dialect, session):
    """What an update is refused for; nothing of it is applied then."""
    settings = fresh(dialect)
    before = wire(settings)
    invalid = ask(settings, **{"type": "realtime", "instructions": "changed", **session})
    assert invalid is not None
    assert wire(settings) == before
    return invalid.param, invalid.code


@pytest.mark.parametrize("dialect", ["inworld", "openai"])
@pytest.mark.parametrize(("session", "param", "code"), NUMBERS)
def test_a_number_out_of_range_is_refused_by_its_path_and_nothing_is_applied(
    dialect, session, param, code
):
    assert refused(dialect, session) == (param, code if dialect == "openai" else "invalid_value")


@pytest.mark.parametrize("dialect", ["inworld", "openai"])
@pytest.mark.parametrize(("session", "param"), OBJECTS)
def test_what_is_not_whole_is_refused_by_both_services(dialect, session, param):
    assert refused(dialect, session) == (param, "invalid_value")


@pytest.mark.parametrize(("session", "param"), WORDS)
def test_openai_refuses_a_word_that_it_does_not_know(session, param):
    assert refused("openai", session) == (param, "invalid_value")


@pytest.mark.parametrize(("session", "param"), WORDS)
def test_inworld_overlooks_it_and_takes_the_rest(session, param):
    settings = fresh()
    path = param.split(".")[1:]
    before = wire(settings)
    assert ask(settings, instructions="changed", **session) is None
    after = wire(settings)
    assert after.pop("instructions") == "changed"
    if path[-1] == "eagerness":  # the detector that was named is there, with its own default
        assert settings.detection.eagerness == "medium"
        return
    before.pop("instructions")
    assert {**after, "reasoning": {}} == {**before, "reasoning": {}}


def test_the_only_rate_of_openai_is_24000():
    rate = {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}}
    place = "session.audio.input.format.rate"
    assert refused("openai", rate) == (place, "integer_below_min_value")
    assert ask(fresh(), **rate) is None


def test_openai_fixes_the_model_one_modality_and_after_speech_the_voice():
    settings = fresh("openai")
    typed = {"type": "realtime"}
    assert ask(settings, **typed, model="gpt-other").param == "session.model"
    both = ask(settings, **typed, output_modalities=["audio", "text"])
    assert both.param == "session.output_modalities"
    voice = msgspec.convert({**typed, "audio": {"output": {"voice": "cedar"}}}, Session)
    assert settings.update(voice, spoken=True).param == "session.audio.output.voice"
    assert settings.update(voice) is None


def test_openai_refuses_an_update_without_a_type():
    change = {"instructions": "x"}
    invalid = ask(fresh("openai"), **change)
    assert (invalid.param, invalid.code) == ("session.type", "missing_required_parameter")
    assert ask(fresh(), **change) is None


def test_inworld_changes_model_voice_and_speech_model_at_any_time():
    settings = fresh()
    change = {"model": "openai/x", "audio": {"output": {"voice": "Sarah", "model": "tts-2"}}}
    assert settings.update(msgspec.convert(change, Session), spoken=True) is None
    session = wire(settings)
    assert session["model"] == "openai/x"
    assert (session["audio"]["output"]["voice"], session["audio"]["output"]["model"]) == (
        "Sarah",
        "tts-2",
    )


@pytest.mark.parametrize(
    ("word", "fmt"),
    [
        ("pcm16", AudioFormat("audio/pcm", 24_000)),
        ("g711_alaw", AudioFormat("audio/pcma", 8_000)),
        ({"type": "audio/pcm", "rate": 44_100}, AudioFormat("audio/pcm", 44_100)),
        ({"type": "audio/pcmu"}, AudioFormat("audio/pcmu", 8_000)),
    ],
)
def test_both_spellings_of_a_format_come_back_as_an_object(word, fmt):
    settings = fresh()
    assert ask(settings, audio={"input": {"format": word}}) is None
    assert settings.input_format == fmt
    echoed = wire(settings)["audio"]["input"]["format"]
    assert echoed["type"] == fmt.type
    assert ("rate" in echoed) == (fmt.type == "audio/pcm")


def test_provider_data_merges_branch_by_branch():
    settings = fresh()
    ask(settings, providerData={"stt": {"prompt": "a"}, "user_id": "u"})
    ask(settings, providerData={"stt": {"vad_threshold": 0.4}})
    assert wire(settings)["providerData"] == {
        "stt": {"prompt": "a", "vad_threshold": 0.4},
        "user_id": "u",
    }
