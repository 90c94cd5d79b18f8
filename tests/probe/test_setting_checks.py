"""What the answer to a setting that was asked for says of it; and how server messages are read."""

import pytest

from bench.probe.answers import format_at, read_message
from bench.probe.setting_checks import (
    ALL,
    SERVER_VAD,
    SettingCheck,
    setting_row,
    update,
)
from bench.protocol.codec import encode
from bench.voice.audio import AudioFormat
from tests.probe.recorded import (
    ask,
    error,
    session,
)

FORMAT = SettingCheck(
    "output formats", "G.711 mu-law", "audio.output.format", {"type": "audio/pcmu"}
)
TEXT = next(check for check in ALL if check.label == "modalities/text")
BOTH = next(check for check in ALL if check.label == "modalities/audio and text")


def row_of(check, state, answer=None):
    return setting_row(check, ask(check.label, "session.update", state, answer))


def output(fmt):
    return session(audio={"output": {"format": fmt}})


@pytest.mark.parametrize("said", [{"type": "audio/pcmu"}, "g711_ulaw", "audio/pcmu"])
def test_a_format_is_honoured_whichever_way_it_is_spelt(said):
    row = row_of(FORMAT, "seen", output(said))
    assert (row.state, row.value) == ("seen", "honoured")


def test_a_format_of_a_flat_beta_session_is_found_too():
    row = row_of(FORMAT, "seen", session(output_audio_format="g711_ulaw"))
    assert (row.state, row.value) == ("seen", "honoured")


def test_a_changed_format_is_not_seen_and_says_what_it_became():
    row = row_of(FORMAT, "seen", output({"type": "audio/pcm", "rate": 24_000}))
    assert (row.state, row.value) == ("not seen", "changed to audio/pcm rate=24000")


def test_a_refusal_names_its_code_and_its_words():
    row = row_of(FORMAT, "refused (invalid_value)", error("invalid_value", "No such format."))
    assert (row.state, row.detail) == ("refused (invalid_value)", "No such format.")


def test_what_was_acknowledged_and_not_said_is_not_called_honoured():
    row = row_of(FORMAT, "seen", session(model="m"))
    assert (row.state, row.value) == ("not seen", "acknowledged")


def test_what_was_not_answered_or_not_asked_is_not_seen():
    assert row_of(FORMAT, "not seen").detail == "no answer"
    assert setting_row(FORMAT, None).detail == "not asked"


@pytest.mark.parametrize(
    ("check", "said", "value"),
    [
        (TEXT, ["text"], "honoured"),
        (BOTH, ["text", "audio"], "honoured"),
        (BOTH, ["audio"], "changed to audio"),
    ],
)
def test_modalities_are_a_set(check, said, value):
    assert row_of(check, "seen", session(output_modalities=said)).value == value


def test_a_detector_is_honoured_with_the_keys_that_were_asked_for():
    given_ = {**SERVER_VAD.value, "threshold": 0.7}
    held = session(audio={"input": {"turn_detection": given_}})
    assert row_of(SERVER_VAD, "seen", held).value == "honoured"
    held["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"] = 200
    assert row_of(SERVER_VAD, "seen", held).state == "not seen"


def test_an_update_sets_its_paths_and_nothing_else():
    message = update("realtime", ("audio.input.turn_detection", None), ("model", "m"))
    assert encode(message) == (
        b'{"type":"session.update","session":{"type":"realtime","model":"m",'
        b'"audio":{"input":{"turn_detection":null}}}}'
    )


# ── reading ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"type":"ping"}', "ping"),
        ('{"errorType":"SESSION_EXPIRED"}', "errorType:SESSION_EXPIRED"),
        ("{}", "(no type)"),
        ("[1]", "(not JSON)"),
        ('{"type":', "(not JSON)"),
        ('{"type":3}', "(no type)"),
    ],
)
def test_any_text_has_a_type(text, kind):
    assert read_message(0, text.encode()).type == kind


@pytest.mark.parametrize("wire", [{"rate": 24_000}, {"type": "audio/opus"}, "float32", 7])
def test_a_format_that_cannot_be_is_no_format(wire):
    assert format_at(output(wire)["session"], "output") is None


def test_a_format_keeps_its_rate():
    held = output({"type": "audio/pcm", "rate": 8_000})["session"]
    assert format_at(held, "output") == AudioFormat("audio/pcm", 8_000)
