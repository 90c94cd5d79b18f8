"""What tapes say about everything but quirks, and the rows that it becomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.probe.messages import message_states
from bench.probe.rows import all_rows
from bench.probe.tape import Frame, Link, Tape, format_at, read_frame
from bench.probe.wishes import (
    ALL,
    BACKCHANNELS,
    CHANGE_WISHES,
    FILLERS,
    SERVER_VAD,
    Wish,
    update,
    wish_row,
)
from bench.protocol.codec import encode, message_table
from bench.voice.audio import AudioFormat
from tests.probe.tapes import (
    AUDIBLE,
    ask,
    audio_delta,
    completed,
    created,
    done,
    error,
    heard,
    session,
    skipped,
    started,
    tape,
    word,
)

FORMAT = Wish("output formats", "G.711 mu-law", "audio.output.format", {"type": "audio/pcmu"})
TEXT = next(wish for wish in ALL if wish.label == "modalities/text")
BOTH = next(wish for wish in ALL if wish.label == "modalities/audio and text")


def rows(*tapes, dialect="inworld"):
    return {(row.group, row.name): row for row in all_rows(tapes, dialect, 1000.0)}


def row_of(wish, state, answer=None):
    return wish_row(wish, [tape(asks=[ask(wish.label, "session.update", state, answer)])])


def output(fmt):
    return session(audio={"output": {"format": fmt}})


# ── wishes ───────────────────────────────────────────────────────────────────────────────────


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
    assert wish_row(FORMAT, [tape()]).detail == "not asked"


@pytest.mark.parametrize(
    ("wish", "said", "value"),
    [
        (TEXT, ["text"], "honoured"),
        (BOTH, ["text", "audio"], "honoured"),
        (BOTH, ["audio"], "changed to audio"),
    ],
)
def test_modalities_are_a_set(wish, said, value):
    assert row_of(wish, "seen", session(output_modalities=said)).value == value


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


# ── the other groups ─────────────────────────────────────────────────────────────────────────


def test_the_connection_is_told_stage_by_stage():
    link = Link(
        dns_ns=1_500_000,
        tls_ns=3_000_000,
        tls="TLSv1.3 AES",
        status="101",
        server="nginx",
        extensions="permessage-deflate",
        ready_ns=12_000_000,
    )
    found = rows(Tape("call", (), link=link))
    assert found["connection", "DNS"].value == "1.5 ms"
    assert found["connection", "TLS"].detail == "TLSv1.3 AES"
    assert found["connection", "compression"].value == "permessage-deflate"
    assert found["connection", "server"].value == "nginx"
    assert found["connection", "ready"].value == "12.0 ms"


def test_a_refused_upgrade_is_a_state_and_its_words():
    row = rows(Tape("call", (), link=Link(status="HTTP 401: no", upgrade_ns=1)))[
        "connection", "upgrade"
    ]
    assert (row.state, row.detail) == ("refused (HTTP 401)", "HTTP 401: no")


def test_defaults_come_from_session_created_alone():
    audio = {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": None}}}
    created = session("session.created", model="m", expires_at=4600, instructions="", audio=audio)
    found = rows(tape(created, session(model="other")))
    assert found["defaults", "model"].value == "m"
    assert found["defaults", "turn detection"].value == "server_vad"
    assert found["defaults", "expires_at"].value == "3600 s"
    assert found["defaults", "instructions"].value == '""'
    assert found["defaults", "voice"].state == "not seen"


def test_pace_counts_what_was_delivered_when_the_last_delta_came():
    frames = [audio_delta(b"\x00\x20" * 2400) for _ in range(4)] + [audio_delta(b"\x00\x20" * 1200)]
    recorded = Tape("call", tuple(f._replace(at_ns=n * 25_000_000) for n, f in
                                  enumerate(heard(*frames))))  # fmt: skip
    found = rows(recorded)
    assert found["audio out", "pace"].value == "4.0 × real time"
    assert found["audio out", "delta size"].value == "100 ms"
    assert found["audio out", "delta size"].detail == "4 of 100 ms, 1 of 50 ms"


def test_leading_silence_ends_where_something_is_heard():
    found = rows(tape(audio_delta(bytes(2 * 24 * 150)), audio_delta(AUDIBLE)))
    assert found["audio out", "leading silence"].value == "150 ms"


def test_padding_is_no_delta_size():
    loud = b"\x00\x30" * 2400
    found = rows(tape(audio_delta(loud), audio_delta(loud), audio_delta(bytes(480))))
    assert found["audio out", "delta size"].detail == "2 of 100 ms"


def call(call_id, name):
    item = {"type": "function_call", "call_id": call_id, "name": name}
    return {"type": "response.output_item.done", "response_id": "r1", "item": item}


def test_two_calls_of_one_response_are_parallel_and_one_is_not():
    both = rows(tape(call("c1", "get_weather"), call("c2", "get_time")))
    assert both["tools", "parallel calls"].value == "get_weather, get_time"
    one = rows(tape(call("c1", "get_weather")))
    assert one["tools", "function calls"].state == "seen"
    assert one["tools", "parallel calls"].state == "not seen"


def test_tools_that_were_refused_are_refused():
    asked = ask("tools", "session.update", "refused (plan)", error("plan"))
    assert rows(tape(asks=[asked]))["tools", "function calls"].state == "refused (plan)"


def auto(*labels):
    granted = session(providerData={"auto_tool_response": True})
    asks = [ask("tools/auto_tool_response", "session.update", "seen", granted)]
    asks += [ask(label, "conversation.item.create", "seen") for label in labels]
    return rows(tape(asks=asks))["tools", "auto_tool_response"]


def test_going_on_alone_is_what_happens_without_being_asked_to():
    row = auto("first: output", "first: go on", "auto: output")
    assert row.value == "honoured, a response came by itself"
    assert row.detail == "by default off"
    row = auto("first: output", "auto: output", "auto: go on")
    assert row.value == "honoured, no response came by itself"
    assert row.detail == "by default on"


def test_an_error_on_purpose_gives_its_code_and_taking_it_is_told_apart():
    refused = ask("commit_empty", "input_audio_buffer.commit", "refused (empty)", error("empty"),
                  provoking=True)  # fmt: skip
    taken = ask("cancel_idle", "response.cancel", "seen", provoking=True)
    found = rows(tape(asks=[refused, taken]))
    assert found["errors", "commit_empty"].value == "empty"
    assert found["errors", "cancel_idle"].detail == "taken without an error"
    assert found["errors", "unknown_event"].detail == "not asked"


def test_a_part_of_a_refused_update_that_was_applied_is_found_out():
    asked = ask("invalid_update", "session.update", "refused (x)", error("x"), provoking=True)
    kept = rows(tape(session(instructions="other"), asks=[asked]))["errors", "atomic update"]
    assert kept.state == "seen"
    broken = tape(session(instructions="This must not be applied."), asks=[asked])
    assert rows(broken)["errors", "atomic update"].state == "not seen"


# ── both at once ─────────────────────────────────────────────────────────────────────────────


def test_a_reply_that_speech_ends_is_an_interruption_and_how_fast():
    found = rows(tape(created(), audio_delta(b"\x00\x20"), started(), done("cancelled")))
    row = found["turn detection", "interruption"]
    assert (row.state, row.value) == ("seen", "the reply was cut")
    assert row.detail == "response.done 1 ms after speech_started"


def test_talking_into_replies_in_vain_is_told_from_not_talking():
    into = ask("into: response", "response.create", "seen")
    row = rows(tape(asks=[into, into]))["turn detection", "interruption"]
    assert (row.state, row.detail) == ("not seen", "2 × talked into a reply, none was cut")
    assert rows(tape())["turn detection", "interruption"].detail == "not asked"


def granted(wish):
    *_, branch = wish.path.split(".")
    return ask(wish.label, "session.update", "seen", session(providerData={branch: wish.value}))


def test_a_filler_that_was_asked_for_is_a_wish_honoured():
    on = session(providerData={"responsiveness": FILLERS.value})
    told = [on, created(), audio_delta(AUDIBLE), word(), done()]
    row = rows(tape(*told, asks=[granted(FILLERS)]))["interjections", "fillers"]
    assert (row.state, row.value) == ("seen", "honoured")
    assert row.detail == "100 ms of sound before the first word; in 1 of 1 replies"


def test_fillers_that_are_granted_and_do_not_come_are_not_seen():
    on = session(providerData={"responsiveness": FILLERS.value})
    told = [on, created(), word(), audio_delta(AUDIBLE), done()]
    row = rows(tape(*told, asks=[granted(FILLERS)]))["interjections", "fillers"]
    assert (row.state, row.value) == ("not seen", "granted, and none came")
    assert row.detail == "in 0 of 1 replies"


@pytest.mark.parametrize("answer", [None, session()])
def test_backchannels_that_are_heard_are_believed_whatever_was_said_of_them(answer):
    asked = ask(BACKCHANNELS.label, "session.update", "seen", answer)
    asked = granted(BACKCHANNELS) if answer is None else asked
    heard_ = {"type": "response.backchannel.audio.done", "phrase": "mm-hmm"}
    found = rows(tape(heard_, skipped("min_gap_not_elapsed"), asks=[asked]))
    row = found["interjections", "backchannels"]
    assert (row.state, row.value) == ("seen", "honoured")
    assert row.detail == "1 × mm-hmm; skipped 1 × (min_gap_not_elapsed)"


def test_backchannels_that_are_only_skipped_are_not_seen_and_say_why():
    found = rows(tape(skipped("no_phrase"), asks=[granted(BACKCHANNELS)]))
    row = found["interjections", "backchannels"]
    assert (row.state, row.detail) == ("not seen", "skipped 1 × (no_phrase)")


def test_interjections_that_were_refused_are_refused():
    asked = ask(FILLERS.label, "session.update", "refused (plan)", error("plan"))
    assert rows(tape(asks=[asked]))["interjections", "fillers"].state == "refused (plan)"
    assert rows(tape())["interjections", "backchannels"].detail == "not asked"


def test_slowed_cut_and_filled_replies_do_not_show_how_speech_comes():
    deltas = [audio_delta(b"\x00\x30" * 2400)] * 2
    assert rows(tape(*deltas))["audio out", "pace"].state == "seen"
    for name in ("interrupt", "interjections"):
        assert rows(tape(*deltas, name=name))["audio out", "pace"].detail == "no spoken reply"


# ── messages ─────────────────────────────────────────────────────────────────────────────────


def test_every_message_of_the_seed_has_a_state():
    states = message_states([tape()])
    assert len(states) == 39
    assert set(states.values()) == {"not seen"}


def test_a_client_message_is_seen_once_it_was_acknowledged_anywhere():
    kind = "session.update"
    first = tape(asks=[ask("a", kind, "refused (x)", error("x")), ask("b", kind, "seen")])
    assert message_states([first])[kind] == "seen"
    only = tape(asks=[ask("a", kind, "refused (x)", error("x")), ask("b", kind, "not seen")])
    assert message_states([only])[kind] == "refused (x)"


def test_what_a_refused_message_would_have_brought_is_refused_as_well():
    asked = ask("truncate", "conversation.item.truncate", "refused (x)", error("x"))
    states = message_states([tape(asks=[asked])])
    assert states["conversation.item.truncated"] == "refused (x)"
    assert states["conversation.item.deleted"] == "not seen"


def test_an_error_on_purpose_says_nothing_against_its_message():
    asked = ask("cancel_idle", "response.cancel", "refused (x)", error("x"), provoking=True)
    assert message_states([tape(asks=[asked])])["response.cancel"] == "not seen"


def test_a_response_that_was_complete_before_its_cancel_was_not_cancelled():
    for status, state in (("cancelled", "seen"), ("completed", "not seen")):
        asked = ask("cancel", "response.cancel", "seen", done(status))
        assert message_states([tape(asks=[asked])])["response.cancel"] == state


def test_audio_was_taken_where_the_server_said_that_it_heard_something():
    append = Frame(0, out=True, type="input_audio_buffer.append", body={})
    started = heard({"type": "input_audio_buffer.speech_started"})
    states = message_states([Tape("call", (append, *started))])
    assert states["input_audio_buffer.append"] == "seen"
    assert message_states([Tape("call", (append,))])["input_audio_buffer.append"] == "not seen"


def test_a_beta_spelling_counts_for_its_message_and_is_listed_itself():
    found = rows(tape(audio_delta(b"\x00\x00", kind="response.audio.delta")))
    assert found["messages", "response.output_audio.delta"].state == "seen"
    assert found["messages", "response.output_audio.delta"].detail == "as response.audio.delta"
    assert found["messages", "response.audio.delta"].detail == "not in the seed"


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
    assert read_frame(0, text).type == kind


@pytest.mark.parametrize("wire", [{"rate": 24_000}, {"type": "audio/opus"}, "float32", 7])
def test_a_format_that_cannot_be_is_no_format(wire):
    assert format_at(output(wire)["session"], "output") is None


def test_a_format_keeps_its_rate():
    held = output({"type": "audio/pcm", "rate": 8_000})["session"]
    assert format_at(held, "output") == AudioFormat("audio/pcm", 8_000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**40) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "rate", "format", "audio", "input", "output", "id", "call_id"]
            ),
            inner,
        )
    ),
    max_leaves=8,
)
FIELDS = ("session", "response", "item", "error", "delta", "response_id", "item_id")
BODIES = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON))
TYPES = st.sampled_from([entry.type for entry in message_table()])


@given(st.lists(st.tuples(TYPES, BODIES), max_size=10))
def test_whatever_a_server_sends_there_is_a_result(recorded):
    frames = tuple(Frame(n, out=False, type=t, body=b) for n, (t, b) in enumerate(recorded))
    asks = [ask(wish.label, "session.update", "seen", b) for wish, (_, b) in zip(ALL, recorded)]  # noqa: B905 - as many as there are
    found = all_rows([Tape("call", frames, tuple(asks))], "openai", 0.0)
    assert {("changes in mid-session", wish.name) for wish in CHANGE_WISHES["openai"]} <= {
        (row.group, row.name) for row in found
    }
    assert all(r.state in {"seen", "not seen"} or r.state.startswith("refused (") for r in found)


def test_completed_transcripts_need_no_detail():
    assert rows(tape(completed("Hello.")))["quirks", "missing_usage"].state == "not seen"
