"""What a set of recorded frames says about quirks."""

import json
import struct

import pytest

from bench.probe.quirk_checks import DETECTORS, quirk_rows
from bench.voice.directions import HearOut
from tests.probe.recorded import (
    ASKED,
    AUDIBLE,
    GREETED,
    PCM,
    ask,
    audio_delta,
    committed,
    completed,
    created,
    done,
    error,
    fillers_on,
    session,
    skipped,
    sound,
    started,
    told,
    transcribed,
    word,
)

VOICE = b"\x11\x22" * 2400
WAV = b"RIFF" + b"\xff" * 4 + b"WAVEfmt " + struct.pack("<IHHIIHH4sI", 16, 1, 1, 24_000, 48_000,
                                                        2, 16, b"data", len(VOICE))  # fmt: skip
ITEM = {"item": {"id": "a1", "type": "message"}, "previous_item_id": "u1"}
ADDED, DONE = ({"type": f"conversation.item.{kind}", **ITEM} for kind in ("added", "done"))
STARTED = started()
STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "u1", "audio_end_ms": 2500}
CALL = {"type": "response.function_call_arguments.done", "response_id": "r1", "call_id": "c1",
        "item_id": "f1", "name": "get_weather", "arguments": "{}"}  # fmt: skip
TEXT = {"type": "response.output_text.delta", "response_id": "r1", "item_id": "a1", "delta": "Hm."}
WORDS = word()
PCMU = {"type": "audio/pcmu"}


def output_item(response="r1", **item):
    return {"type": "response.output_item.added", "response_id": response,
            "item": {"id": "f1", "type": "message", **item}}  # fmt: skip


def unnamed(call):
    return {name: value for name, value in call.items() if name != "name"}


def output(fmt):
    return session(audio={"output": {"format": fmt}})


def mu_law(given):
    return ask("output formats/G.711 mu-law", "session.update", "seen", output(given))


def truncated(beyond, before):
    kind = "conversation.item.truncate"
    answer = error("invalid_value", "already shorter")
    return [ask("beyond a third", kind, beyond, answer), ask("before a third", kind, before)]


PLAIN = [
    STARTED,
    STOPPED,
    committed(),
    ADDED,
    DONE,
    transcribed("Hello"),
    transcribed(" there."),
    completed("Hello there."),
    created(),
    WORDS,
    audio_delta(VOICE),
    audio_delta(VOICE[:3000]),
    CALL,
    done(),
    error("invalid_value"),
]
CASES = {
    "cumulative_deltas": [transcribed("Hello"), transcribed("Hello there."),
                          completed("Hello there.")],
    "transcription_late": [committed(), created(), done(), completed("Hello.")],
    "transcription_duplicate": [completed("Hello."), completed("Hello there.")],
    "missing_usage": [created(), done(usage=None)],
    "usage_at_top": [created(), {**done(), "usage": {"total_tokens": 3}}],
    "missing_ms": [{"type": "input_audio_buffer.speech_started", "item_id": "u1"}],
    "missing_name": [created(), output_item(type="function_call", call_id="c1", name="get_weather"),
                     unnamed(CALL)],
    "previous_null": [ADDED, {**DONE, "previous_item_id": None}],
    "flat_error": [{"type": "error", "message": "No."}],
    "both_streams": [created(), WORDS, TEXT],
    "zero_padding": [created(), audio_delta(VOICE), audio_delta(bytes(480))],
    "late_audio": [created(), WORDS, audio_delta(VOICE), STARTED, audio_delta(VOICE),
                   done("cancelled")],
    "backchannel_skipped": [skipped("no_phrase")],
    "beta_names": [created(), audio_delta(VOICE, kind="response.audio.delta")],
    "transcription_failed": [
        {"type": "conversation.item.input_audio_transcription.failed", "item_id": "u1"}
    ],
    "turn_suggestion": [{"type": "input_audio_buffer.turn_suggestion", "probability": 0.9}],
    "rate_limits": [{"type": "rate_limits.updated", "rate_limits": []}],
    "ping": [{"type": "ping", "timestamp": 1}],
    "conversation_created": [{"type": "conversation.created"}],
    "updated_unasked": [session()],
    "error_type": [{"errorType": "SESSION_EXPIRED"}],
    "unknown_types": [{"type": "session.dreamt"}],
    "untyped": [{"event_id": "e1"}],
    "malformed": ["{"],
    "binary": [b"{"],
    "no_response_created": [created(), output_item("r2")],
    "repeated_response_created": [created(), created("r2"), created()],
    "repeated_speech_stopped": [STARTED, STOPPED, STOPPED],
    "stray_speech_started": [STARTED, STOPPED, started("u2"), created(), done()],
}  # fmt: skip
BEGINNINGS = {
    "updated_as_created": [GREETED[0], GREETED[0]],
    "no_session_updated": [GREETED[0], {"type": "conversation.item.deleted", "item_id": "x"}],
    "late_session_created": GREETED,
    "filler": [GREETED[0], fillers_on(0), ASKED, created(), WORDS, audio_delta(VOICE), done()],
    "greeting": [*GREETED, created(), ASKED, created("r2")],
}
ODD = {
    "binary_frames": b'{"type":"ping"}',
    "lone_surrogates": r'{"type":"ping","x":"\ud83d"}',
    "odd_numbers": '{"type":"ping","x":[NaN]}',
    "deep_nesting": '{"type":"ping","x":' + "[" * 2000 + "]" * 2000 + "}",
    "loose_json": '\ufeff{"type":"ping"}',
    "loose_base64": json.dumps({**audio_delta(VOICE), "delta": sound(VOICE[:-2]).rstrip("=")}),
    "float_positions": json.dumps({**STARTED, "audio_start_ms": 3.5}),
    "error_string": '{"type":"error","error":"No."}',
    "integer_code": '{"type":"error","error":{"code":7,"message":"No."}}',
    "untyped_error": '{"error":{"code":"c","message":"No."}}',
    "missing_ids": '{"type":"response.output_text.delta","delta":"hm"}',
    "invalid_utf8": '{"type":"ping","x":"\udcff"}',  # a byte that is none of UTF-8
    "odd_deltas": json.dumps(audio_delta(VOICE[:-1])),
    "wav_header": json.dumps(audio_delta(WAV + VOICE)),
}
ANSWERS = {
    "refuse_g711": [mu_law(PCM)],
    "g711_truncate_thirds": truncated("refused (invalid_value)", "seen"),
}


def seen(recorded):
    return {row.name for row in quirk_rows([recorded]) if row.state == "seen"}


def test_a_plain_session_has_no_quirk():
    assert seen(told(*PLAIN, asked=[mu_law(PCMU), *truncated("seen", "seen")])) == set()


@pytest.mark.parametrize("quirk", CASES)
def test_the_messages_of_one_quirk_show_that_quirk_alone(quirk):
    assert seen(told(*CASES[quirk])) == {quirk}


@pytest.mark.parametrize("quirk", ANSWERS)
def test_the_answers_of_one_quirk_show_that_quirk_alone(quirk):
    assert seen(told(asked=ANSWERS[quirk])) == {quirk}


@pytest.mark.parametrize("quirk", ODD)
def test_what_had_to_be_borne_to_read_a_message_is_that_quirk_alone(quirk):
    assert seen(told(created(), ODD[quirk])) - {"ping"} == {quirk}


@pytest.mark.parametrize(("quirk", "begun"), BEGINNINGS.items())
def test_a_session_that_begins_in_another_way_shows_that_quirk_alone(quirk, begun):
    late = {"quiet_ms": 2001} if quirk == "late_session_created" else {"apart_ms": 5001}
    assert seen(told(begun=begun, **late)) == {quirk}


@pytest.mark.parametrize(("quirk", "given"), [
    ("nameless_calls", {"call_id": "c1"}),
    ("idless_calls", {"name": "get_weather"}),
])  # fmt: skip
def test_calls_that_nobody_can_answer_show_that_quirk_alone(quirk, given):
    call = output_item(type="function_call", **given)
    recorded = told(created(), call, done(), plays=(HearOut(),))
    assert seen(recorded) == {quirk}
    (row,) = (row for row in quirk_rows([recorded]) if row.name == quirk)
    assert (row.value, row.detail.endswith("; in call")) == ("1 ×", True)


def test_every_detector_has_its_case():
    counted = {"nameless_calls", "idless_calls", *BEGINNINGS}
    known = {*CASES, *ANSWERS, *ODD, *counted}
    # Those are the report's: tests/analysis/test_server_quirks.py.
    assert set(DETECTORS) - known == {"unread_header", "two_channels", "other_format"}
    assert known <= set(DETECTORS)


def test_missing_usage_says_where():
    recorded = told(done(usage=None), completed("x", usage={}))
    rows = {row.name: row for row in quirk_rows([recorded])}
    assert rows["missing_usage"].value == "response, transcription"


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_a_response_that_did_not_end_well_owes_no_usage(status):
    assert seen(told(created(), done(status, usage=None))) == set()


def test_a_refused_g711_is_a_refusal_and_no_silent_change():
    refused = ask("input formats/G.711 A-law", "session.update", "refused (x)", error("x"))
    assert seen(told(asked=[refused])) == set()


def test_truncation_refused_altogether_is_no_question_of_time_base():
    assert seen(told(asked=truncated("refused (x)", "refused (x)"))) == set()


@pytest.mark.parametrize(
    "last",
    [
        bytes(2 * 24 * 110),  # a pause longer than a chunk
        VOICE[:480],
        bytes(240) + b"\x01" + bytes(239),  # too soft to be heard
    ],
)
def test_a_last_delta_that_is_long_or_not_silent_is_no_padding(last):
    assert seen(told(created(), audio_delta(VOICE), audio_delta(last))) == set()


def test_padding_in_g711_is_the_silence_of_its_law():
    deltas = audio_delta(b"\x11" * 800), audio_delta(b"\xff" * 80)
    begun = (GREETED[0], output(PCMU), ASKED)
    assert seen(told(created(), *deltas, begun=begun)) == {"zero_padding"}


def test_a_repeated_transcript_is_a_duplicate_and_not_late():
    texts = committed(), completed("Hello."), created(), done(), completed("Hello there.")
    assert seen(told(*texts)) == {"transcription_duplicate"}


FILLED = (GREETED[0], fillers_on(0), ASKED)
"""The beginning of a session that is to fill every wait."""


@pytest.mark.parametrize(
    "texts",
    [
        [created(), audio_delta(AUDIBLE), WORDS, audio_delta(VOICE), done()],  # it began with one
        [created(), WORDS, done()],  # nothing was spoken
        [created(), audio_delta(VOICE), done()],  # no word says where the answer begins
    ],
)
def test_a_reply_that_has_its_filler_or_owes_none_is_no_quirk(texts):
    assert seen(told(*texts, begun=FILLED)) == set()


def test_a_reply_that_came_before_a_filler_was_due_owes_none():
    texts = created(), WORDS, audio_delta(VOICE), done()
    assert seen(told(*texts, begun=(GREETED[0], fillers_on(100), ASKED))) == set()


def test_silence_before_the_first_word_is_no_filler():
    texts = created(), audio_delta(bytes(4800)), WORDS, audio_delta(VOICE), done()
    assert seen(told(*texts, begun=FILLED)) == {"filler"}


def test_sound_before_words_is_no_matter_where_fillers_are_off():
    assert seen(told(created(), audio_delta(AUDIBLE), WORDS, audio_delta(VOICE), done())) == set()


def test_audio_after_the_end_of_a_cut_reply_is_late_too():
    texts = created(), audio_delta(VOICE), STARTED, done("cancelled"), audio_delta(VOICE)
    assert seen(told(*texts)) == {"late_audio"}


@pytest.mark.parametrize(
    "texts",
    [
        [STARTED, created(), audio_delta(VOICE), done("cancelled")],  # by the client
        [created(), STARTED, audio_delta(VOICE), STOPPED, done()],  # it was let finish
        [created(), audio_delta(VOICE), STARTED, done("cancelled"), created("r2"),
         audio_delta(VOICE, "r2")],
    ],
)  # fmt: skip
def test_audio_that_no_speech_has_cut_is_not_late(texts):
    assert seen(told(*texts)) == set()


def test_an_interjection_too_soon_after_the_last_is_rightly_skipped():
    assert seen(told(skipped("min_gap_not_elapsed"))) == set()


def test_text_and_transcript_of_two_responses_are_not_both_streams():
    texts = created(), WORDS, created("r2"), {**TEXT, "response_id": "r2"}
    assert seen(told(*texts)) == set()


def test_a_rewritten_hypothesis_is_cumulative_too():
    deltas = map(transcribed, ("Fourteen", "Four to", "Four two one.", "Four two one."))
    assert seen(told(*deltas, completed("Four, two, one."))) == {"cumulative_deltas"}
