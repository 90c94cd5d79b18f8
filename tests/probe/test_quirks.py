"""What a set of recorded frames says about quirks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.probe.quirks import DETECTORS, quirk_rows
from bench.probe.replies import replies
from bench.probe.tape import BINARY, NOT_JSON, Frame, Link, Tape, placed, read_frame
from bench.protocol.codec import message_table
from bench.voice.session_setup import UNGREETED_NS
from tests.probe.tapes import (
    AUDIBLE,
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
    tape,
    transcribed,
    word,
)

VOICE = b"\x11\x22" * 2400
ADDED = {"type": "conversation.item.added", "item": {"id": "a1"}, "previous_item_id": "u1"}
DONE = {"type": "conversation.item.done", "item": {"id": "a1"}, "previous_item_id": "u1"}
STARTED = started()
STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "u1", "audio_end_ms": 2500}
CALL = {"type": "response.function_call_arguments.done", "response_id": "r1", "call_id": "c1",
        "item_id": "f1", "name": "get_weather", "arguments": "{}"}  # fmt: skip
TEXT = {"type": "response.output_text.delta", "response_id": "r1", "delta": "Fine."}
WORDS = word()
LATE = "late_session_created"
PCMU = {"type": "audio/pcmu"}


def output_item(response="r1", **item):
    return {"type": "response.output_item.added", "response_id": response,
            "item": {"id": "f1", **item}}  # fmt: skip


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
    session("session.created", audio={"output": {"format": PCM}}),
    session(),
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
UPDATE = Frame(0, out=True, type="session.update", body={})
CASES = {
    "cumulative_deltas": [transcribed("Hello"), transcribed("Hello there."),
                          completed("Hello there.")],
    "transcription_late": [committed(), done(), completed("Hello.")],
    "transcription_duplicate": [completed("Hello."), completed("Hello there.")],
    "missing_usage": [done(usage=None)],
    "usage_at_top": [{**done(), "usage": {"total_tokens": 3}}],
    "missing_ms": [{"type": "input_audio_buffer.speech_started", "item_id": "u1"}],
    "missing_name": [{name: value for name, value in CALL.items() if name != "name"}],
    "previous_null": [ADDED, {**DONE, "previous_item_id": None}],
    "flat_error": [{"type": "error", "message": "No."}],
    "both_streams": [WORDS, TEXT],
    "zero_padding": [audio_delta(VOICE), audio_delta(bytes(480))],
    "filler": [fillers_on(0), created(), WORDS, audio_delta(VOICE), audio_delta(VOICE), done()],
    "late_audio": [created(), WORDS, audio_delta(VOICE), STARTED, audio_delta(VOICE),
                   done("cancelled")],
    "backchannel_skipped": [skipped("no_phrase")],
    "beta_names": [audio_delta(VOICE, kind="response.audio.delta")],
    "transcription_failed": [
        {"type": "conversation.item.input_audio_transcription.failed", "item_id": "u1"}
    ],
    "turn_suggestion": [{"type": "input_audio_buffer.turn_suggestion", "probability": 0.9}],
    "rate_limits": [{"type": "rate_limits.updated", "rate_limits": []}],
    "ping": [{"type": "ping", "timestamp": 1}],
    "conversation_created": [{"type": "conversation.created"}],
    "updated_unasked": [session(), session()],
    "error_type": [{"type": "errorType:SESSION_RESOURCES_EXHAUSTED"}],
    "unknown_types": [{"type": "session.dreamt"}],
    "untyped": [{"type": "(no type)"}],
    "malformed": [{"type": NOT_JSON}],
    "binary": [{"type": BINARY}],
    "updated_as_created": [session("session.created"), session("session.created")],
    "no_response_created": [created(), output_item("r2")],
    "repeated_response_created": [created(), created("r2"), created()],
    "repeated_speech_stopped": [STARTED, STOPPED, STOPPED],
    "greeting": [created("r0"), {"type": "input_audio_buffer.committed"}, created("r2")],
    "stray_speech_started": [STARTED, STOPPED, started("u2"), done()],
    "nameless_calls": [created(), output_item(type="function_call", call_id="c1"), unnamed(CALL)],
    "idless_calls": [created(), output_item(type="function_call", name="get_weather")],
}  # fmt: skip
WIRES = {
    "binary_frames": b'{"type":"ping"}',
    "lone_surrogates": r'{"type":"ping","x":"\ud83d"}',
    "odd_numbers": '{"type":"ping","x":[NaN]}',
    "deep_nesting": '{"type":"ping","x":' + "[" * 2000 + "]" * 2000 + "}",
    "loose_json": '\ufeff{"type":"ping"}',
    "loose_base64": json.dumps({**audio_delta(VOICE), "delta": sound(VOICE[:-1]).rstrip("=")}),
    "float_positions": json.dumps({**STARTED, "audio_start_ms": 3.5}),
    "error_string": '{"type":"error","error":"No."}',
    "integer_code": '{"type":"error","error":{"code":7,"message":"No."}}',
    "untyped_error": '{"error":{"code":"c","message":"No."}}',
    "missing_ids": '{"type":"response.output_text.delta","delta":"hm"}',
}
ASKED = {
    "refuse_g711": [mu_law(PCM)],
    "g711_truncate_thirds": truncated("refused (invalid_value)", "seen"),
    "no_session_updated": [ask("begin", "session.update", "not seen")],
}


def seen(recorded):
    return {row.name for row in quirk_rows([recorded]) if row.state == "seen"}


def test_a_plain_session_has_no_quirk():
    plain = tape(*PLAIN, asks=[mu_law(PCMU), *truncated("seen", "seen")])
    assert seen(plain._replace(frames=(UPDATE, *plain.frames))) == set()


@pytest.mark.parametrize("quirk", CASES)
def test_the_frames_of_one_quirk_show_that_quirk_alone(quirk):
    recorded = tape(*CASES[quirk])
    assert seen(recorded._replace(frames=(UPDATE, *recorded.frames))) == {quirk}


@pytest.mark.parametrize("quirk", ASKED)
def test_the_answers_of_one_quirk_show_that_quirk_alone(quirk):
    assert seen(tape(session("session.created"), asks=ASKED[quirk])) == {quirk}


@pytest.mark.parametrize("quirk", WIRES)
def test_what_had_to_be_borne_to_read_a_frame_is_that_quirk_alone(quirk):
    frame = read_frame(7, WIRES[quirk])
    assert seen(Tape("call", (UPDATE, frame))) - {"ping"} == {quirk}


def test_audio_in_loose_base64_is_the_sound_that_it_is():
    told = [read_frame(n, json.dumps(body)) for n, body in enumerate(
        [created(), {**audio_delta(VOICE), "delta": sound(VOICE).rstrip("=")}, done()]
    )]  # fmt: skip
    assert [delta.audio for delta in replies(Tape("call", tuple(told)))[0].deltas] == [VOICE]


def test_a_greeting_after_a_caller_has_begun_without_it_is_late():
    link = Link(dns_ns=5, tcp_ns=5, upgrade_ns=5, created_ns=UNGREETED_NS + 15)
    late = tape(session("session.created"), link=link)
    assert seen(late) == set()
    assert seen(late._replace(link=link._replace(created_ns=UNGREETED_NS + 16))) == {LATE}


def test_every_detector_has_its_case():
    assert {*CASES, *ASKED, *WIRES, LATE} == set(DETECTORS)


def test_missing_usage_says_where():
    rows = {row.name: row for row in quirk_rows([tape(done(usage=None), completed("x", usage={}))])}
    assert rows["missing_usage"].value == "response, transcription"


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_a_response_that_did_not_end_well_owes_no_usage(status):
    assert seen(tape(done(status, usage=None))) == set()


def test_a_refused_g711_is_a_refusal_and_no_silent_change():
    refused = ask("input formats/G.711 A-law", "session.update", "refused (x)", error("x"))
    assert seen(tape(asks=[refused])) == set()


def test_truncation_refused_altogether_is_no_question_of_time_base():
    assert seen(tape(asks=truncated("refused (x)", "refused (x)"))) == set()


@pytest.mark.parametrize(
    "last",
    [
        audio_delta(bytes(2 * 24 * 100)),  # a pause as long as a chunk
        audio_delta(VOICE[:480]),
    ],
)
def test_a_last_delta_that_is_long_or_not_silent_is_no_padding(last):
    assert seen(tape(audio_delta(VOICE), last)) == set()


def test_padding_in_g711_is_the_silence_of_its_law():
    recorded = tape(output(PCMU), audio_delta(b"\x11" * 800), audio_delta(b"\xff" * 80))
    recorded = recorded._replace(frames=(UPDATE, *recorded.frames))
    assert seen(recorded) == {"zero_padding"}


def test_a_repeated_transcript_is_a_duplicate_and_not_late():
    recorded = tape(committed(), completed("Hello."), done(), completed("Hello there."))
    assert seen(recorded) == {"transcription_duplicate"}


@pytest.mark.parametrize(
    "told",
    [
        [created(), audio_delta(AUDIBLE), WORDS, audio_delta(VOICE), done()],  # it began with one
        [created(), WORDS, done()],  # nothing was spoken
        [created(), audio_delta(VOICE), done()],  # no word says where the answer begins
    ],
)
def test_a_reply_that_has_its_filler_or_owes_none_is_no_quirk(told):
    recorded = tape(fillers_on(0), *told)
    assert seen(recorded._replace(frames=(UPDATE, *recorded.frames))) == set()


def test_a_reply_that_came_before_a_filler_was_due_owes_none():
    recorded = tape(fillers_on(100), created(), WORDS, audio_delta(VOICE), done())
    assert seen(recorded._replace(frames=(UPDATE, *recorded.frames))) == set()


def test_silence_before_the_first_word_is_no_filler():
    told = [created(), audio_delta(bytes(4800)), WORDS, audio_delta(VOICE), done()]
    recorded = tape(fillers_on(0), *told)
    assert seen(recorded._replace(frames=(UPDATE, *recorded.frames))) == {"filler"}


def test_sound_before_words_is_no_matter_where_fillers_are_off():
    assert seen(tape(created(), audio_delta(AUDIBLE), WORDS, audio_delta(VOICE), done())) == set()


def test_audio_after_the_end_of_a_cut_reply_is_late_too():
    told = [created(), audio_delta(VOICE), STARTED, done("cancelled"), audio_delta(VOICE)]
    assert seen(tape(*told)) == {"late_audio"}


@pytest.mark.parametrize(
    "told",
    [
        [STARTED, created(), audio_delta(VOICE), done("cancelled")],  # by the client
        [created(), STARTED, audio_delta(VOICE), done()],  # it was let finish
        [created(), audio_delta(VOICE), STARTED, done("cancelled"), audio_delta(VOICE, "r2")],
    ],
)
def test_audio_that_no_speech_has_cut_is_not_late(told):
    assert seen(tape(*told)) == set()


def test_an_interjection_too_soon_after_the_last_is_rightly_skipped():
    assert seen(tape(skipped("min_gap_not_elapsed"))) == set()


def test_text_and_transcript_of_two_responses_are_not_both_streams():
    assert seen(tape(WORDS, {**TEXT, "response_id": "r2"})) == set()


def test_a_rewritten_hypothesis_is_cumulative_too():
    deltas = map(transcribed, ("Fourteen", "Four to", "Four two one.", "Four two one."))
    assert seen(tape(*deltas, completed("Four, two, one."))) == {"cumulative_deltas"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["item_id", "delta", "transcript", "usage", "response", "item", "previous_item_id", "error",
     "response_id", "session", "name", "call_id", "audio_start_ms", "message"]
)  # fmt: skip
BODIES = st.dictionaries(FIELDS, JSON, max_size=6)
TYPES = st.sampled_from([entry.type for entry in message_table()])


@given(st.lists(st.tuples(TYPES, BODIES), max_size=12))
def test_any_frames_at_all_have_rows(recorded):
    frames = tuple(Frame(n, out=False, type=t, body=b) for n, (t, b) in enumerate(recorded))
    rows = list(quirk_rows([Tape("call", frames)]))
    assert [row.name for row in rows] == list(DETECTORS)
    assert {row.state for row in rows} <= {"seen", "not seen"}


def test_what_names_no_response_is_of_the_last_that_began():
    frames = []
    for at, body in enumerate((
        {"type": "response.created", "response": {"id": "r1"}},
        {"type": "response.created", "response": {"id": "r2"}},
        {"type": "response.output_item.added", "item": {"id": "i2", "type": "message"}},
        {"type": "response.output_text.delta", "delta": "hm"},
    )):  # fmt: skip
        frames.append(placed(read_frame(at, json.dumps(body)), frames))
    assert [frame.body.get("response_id") for frame in frames] == [None, None, "r2", "r2"]
    assert frames[-1].body["item_id"] == "i2"
    named = read_frame(9, json.dumps({"type": "response.output_item.added", "response_id": "r1",
                                      "item": {"id": "i1"}}))  # fmt: skip
    assert placed(named, frames) is named
