"""Each quirk alone changes exactly what it says, and nothing where its rate is 0.

A conversation is held twice, with the quirk and without, and what was said is compared message by
message. Ids of events are left out: they count what was said before.
"""

import json

import pytest

from bench.corpus.energy import AUDIBLE_DBFS, dbfs, envelope
from bench.corpus.sample_codec import decode
from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol import server_extras
from bench.protocol.codec import decode_client, encode, type_of
from bench.reference.draws import Chance
from bench.reference.profile import SESSION_QUIRKS
from bench.voice.audio import PCM16_24K, AudioFormat, ms
from tests.reference.stage import LINES, ROUND, Caller, code, odd, quiet, voiced
from tests.reference.test_tool_calls import TOOL, tool_output


def conversation(profile, **session):
    """Two spoken turns, the second with a barge-in, a call, a truncation and an error."""
    caller = Caller(profile)
    caller.update(**session)
    caller.spoken_turn()
    caller.say(LINES[1].audio)
    caller.silence(500)
    while len(caller.every(say.ResponseOutputAudioDelta)) < 30 and not caller.silence(100):
        if len(caller.every(say.ResponseCreated)) == 2:
            break
    caller.wait(350)
    caller.say(voiced(400))
    caller.silence(1500)
    caller.wait(3000)
    caller.update(tools=[TOOL])
    caller.typed_turn()
    caller.ask(ask.ResponseCancel())
    return caller


def wires(caller):
    """Everything said, as the wire has it, without ids of events."""
    said = []
    for due in caller.heard:
        if isinstance(due.message, say.ServerMessage):
            wire = json.loads(encode(due.message))
            del wire["event_id"]
            said.append((due.due_ns, wire))
    return said


def renamed(old, new):
    return lambda wire: {**wire, "type": new} if wire["type"] == old else wire


def without(kind, *path):
    def leave_out(wire):
        if wire["type"] != kind:
            return wire
        wire = json.loads(json.dumps(wire))
        inner = wire
        for name in path[:-1]:
            inner = inner[name]
        inner.pop(path[-1])
        return wire

    return leave_out


def null_before_agents(wire):
    item = wire.get("item", {})
    agents = item.get("role") == "assistant" or item.get("type") == "function_call"
    changed = wire["type"] == "conversation.item.done" and agents
    return {**wire, "previous_item_id": None} if changed else wire


def beta(wire):
    if wire["type"] == "conversation.item.done":
        return None
    names = {
        "response.output_audio.delta": "response.audio.delta",
        "response.output_audio.done": "response.audio.done",
        "response.output_audio_transcript.delta": "response.audio_transcript.delta",
        "response.output_audio_transcript.done": "response.audio_transcript.done",
        "conversation.item.added": "conversation.item.created",
    }
    return {**wire, "type": names.get(wire["type"], wire["type"])}


def flat(wire):
    if wire["type"] != "error":
        return wire
    return {"type": "error", "message": wire["error"]["message"]}


COMPLETED = "conversation.item.input_audio_transcription.completed"
# What each of these quirks makes of every message: itself, another, or none.
CHANGES = {
    "missing_name": [without("response.function_call_arguments.done", "name")],
    "missing_ms": [
        without("input_audio_buffer.speech_started", "audio_start_ms"),
        without("input_audio_buffer.speech_stopped", "audio_end_ms"),
    ],
    "missing_usage": [without("response.done", "response", "usage"), without(COMPLETED, "usage")],
    "previous_null": [null_before_agents],
    "beta_names": [beta],
    "flat_error": [flat],
}


@pytest.mark.parametrize("quirk", CHANGES)
def test_a_quirk_of_a_session_changes_these_messages_so_and_no_others(quirk):
    expected = wires(conversation(ROUND))
    for change in CHANGES[quirk]:
        expected = [(at, changed) for at, wire in expected if (changed := change(wire))]
    said = wires(conversation(odd(**{quirk: 1.0})))
    assert said == expected
    assert said != wires(conversation(ROUND))


# What each of these adds, and in which kind of message; everything else stays as it was.
ADDITIONS = {
    "rate_limits": "rate_limits.updated",
    "conversation_created": "conversation.created",
    "ping": "ping",
    "both_streams": ("response.output_text.delta", "response.output_text.done"),
    "turn_suggestion": "input_audio_buffer.turn_suggestion",
}


@pytest.mark.parametrize("quirk", ADDITIONS)
def test_an_addition_leaves_everything_else_as_it_was(quirk):
    said = wires(conversation(odd(**{quirk: 1.0})))
    added = [wire["type"] for _, wire in said if wire["type"].startswith(ADDITIONS[quirk])]
    assert added
    kept = [(at, wire) for at, wire in said if not wire["type"].startswith(ADDITIONS[quirk])]
    assert kept == wires(conversation(ROUND))


def test_limits_follow_every_response_and_name_tokens():
    caller = conversation(odd(rate_limits=1.0))
    for n, due in enumerate(caller.heard):
        if isinstance(due.message, say.ResponseDone):
            (entry,) = caller.heard[n + 1].message.rate_limits
            assert entry["name"] == "tokens"
            assert 0 <= entry["remaining"] <= entry["limit"]


def test_the_conversation_is_created_right_after_the_session():
    assert Caller(odd(conversation_created=1.0)).types() == [
        "session.created",
        "conversation.created",
    ]


def test_pings_come_after_a_second_and_every_ten():
    caller = Caller(odd(ping=1.0), opened_s=5)
    caller.wait(25_000)
    pings = caller.every(server_extras.Ping)
    assert [due.due_ns for due in pings] == [ms(1_000), ms(11_000), ms(21_000)]
    assert [due.message.timestamp for due in pings] == [6_000, 16_000, 26_000]


def test_both_streams_say_the_same_words_and_only_where_both_are_wanted():
    caller = conversation(odd(both_streams=1.0))
    words = [due.message.delta for due in caller.every(say.ResponseOutputAudioTranscriptDelta)]
    assert [due.message.delta for due in caller.every(say.ResponseOutputTextDelta)] == words
    alone = conversation(odd(both_streams=1.0), output_modalities=["audio"])
    assert not alone.every(say.ResponseOutputTextDelta)


def test_cumulative_deltas_each_hold_all_words_so_far():
    caller = conversation(odd(cumulative_deltas=1.0))
    deltas = [d.message for d in caller.every(say.InputAudioTranscriptionDelta)]
    first = [one.delta for one in deltas if one.item_id == deltas[0].item_id]
    assert first == ["this is", "this is what", "this is what line0", LINES[0].text]
    others = [(at, w) for at, w in wires(caller) if not w["type"].endswith("transcription.delta")]
    plain = wires(conversation(ROUND))
    assert others == [(at, w) for at, w in plain if not w["type"].endswith("transcription.delta")]


@pytest.mark.parametrize(
    ("detection", "answered"),
    [
        ({"type": "semantic_vad", "eagerness": "high"}, False),
        ({"type": "semantic_vad", "eagerness": "high", "create_response": True}, True),
        ({"type": "server_vad"}, True),
    ],
)
def test_semantic_vad_that_leaves_create_response_out_is_never_answered(detection, answered):
    caller = Caller(odd(semantic_unanswered=1.0))
    caller.detect(detection)
    caller.spoken_turn()
    caller.wait(5000)
    assert caller.every(say.InputAudioBufferSpeechStarted)
    assert bool(caller.every(say.ResponseCreated)) == answered


@pytest.mark.parametrize(("data", "responses"), [(None, 2), ({"auto_tool_response": False}, 1)])
def test_a_server_goes_on_after_tools_unless_it_is_told_not_to(data, responses):
    caller = Caller(odd(auto_tools=1.0))
    caller.update(tools=[TOOL], **({} if data is None else {"providerData": data}))
    caller.typed_turn(reply_ms=3000)
    call_id = caller.last(say.ResponseFunctionCallArgumentsDone).call_id
    caller.ask(tool_output(call_id))
    caller.wait(3000)
    assert len(caller.every(say.ResponseCreated)) == responses


@pytest.mark.parametrize("side", ["input", "output"])
def test_a_format_object_in_old_words_is_taken_and_no_audio_ever_comes(side):
    def heard(quirks, asked):
        caller = Caller(odd(**quirks))
        caller.update(audio={side: {"format": asked}})
        assert caller.every(say.SessionUpdated)
        caller.respond(4000)
        assert caller.every(say.ResponseDone)
        assert caller.every(say.ResponseOutputAudioTranscriptDone)
        return bool(caller.every(say.ResponseOutputAudioDelta))

    mute = {"mute_shorthand": 1.0}
    assert not heard(mute, {"type": "pcm16"})
    assert not heard(mute, {"type": "g711_ulaw"})
    assert heard(mute, {"type": "audio/pcm", "rate": 24_000})
    assert heard(mute, "pcm16")
    assert heard({}, {"type": "pcm16"})


def test_g711_is_silently_turned_into_pcm():
    caller = Caller(odd(refuse_g711=1.0))
    (answer,) = caller.update(
        audio={"input": {"format": "g711_ulaw"}, "output": {"format": {"type": "audio/pcma"}}}
    )
    audio = answer.message.session.audio
    for side in (audio.input, audio.output):
        assert (side.format.type, side.format.rate) == ("audio/pcm", 24_000)
    caller.spoken_turn()
    assert caller.last(say.InputAudioTranscriptionCompleted).transcript == LINES[0].text
    other = {"type": "audio/pcm", "rate": 16_000}
    (answer,) = caller.update(audio={"input": {"format": other}})
    assert answer.message.session.audio.input.format.rate == 16_000


@pytest.mark.parametrize(("rate", "bound"), [(0.0, 1), (1.0, 3)])
def test_truncation_of_g711_counts_thirds(rate, bound):
    fmt = AudioFormat("audio/pcmu", 8_000)
    caller = Caller(odd(g711_truncate_thirds=rate))
    caller.update(audio={"output": {"format": "g711_ulaw"}})
    caller.typed_turn()
    item_id = caller.last(say.ResponseDone).response.output[0].id
    nbytes = sum(len(due.message.delta) for due in caller.every(say.ResponseOutputAudioDelta))
    length = fmt.duration_ns(nbytes) // ms(1) // bound
    too_far = ask.ConversationItemTruncate(item_id=item_id, audio_end_ms=length + 1)
    assert code(caller.ask(too_far)) == "invalid_value"
    caller.ask(ask.ConversationItemTruncate(item_id=item_id, audio_end_ms=length // 2))
    caller.ask(ask.ConversationItemRetrieve(item_id=item_id))
    part = caller.last(say.ConversationItemRetrieved).item.content[0]
    assert len(part.audio) * 3 // 4 == pytest.approx(length // 2 * 8 * bound, abs=3)


def test_thirds_leave_pcm_alone():
    caller = Caller(odd(g711_truncate_thirds=1.0)).typed_turn()
    item_id = caller.last(say.ResponseDone).response.output[0].id
    assert caller.ask(ask.ConversationItemTruncate(item_id=item_id, audio_end_ms=1500))
    assert not caller.every(say.ErrorMessage)


def test_zero_padding_ends_the_reply_with_a_tiny_silent_delta():
    plain, padded = Caller(ROUND).typed_turn(), Caller(odd(zero_padding=1.0)).typed_turn()
    deltas = [
        [due.message.delta for due in caller.every(say.ResponseOutputAudioDelta)]
        for caller in (plain, padded)
    ]
    assert deltas[1][:-1] == deltas[0]
    assert deltas[1][-1] == bytes(PCM16_24K.nbytes(ms(10)))
    assert padded.types()[-6] == "response.output_audio.done"


@pytest.mark.parametrize(
    ("enabled", "rate", "expected"), [(True, 1.0, True), (False, 1.0, False), (True, 0.0, False)]
)
def test_a_filler_is_audible_before_the_first_word_where_it_is_wanted(enabled, rate, expected):
    caller = Caller(odd(filler=rate))
    caller.update(providerData={"responsiveness": {"enabled": enabled}})
    caller.typed_turn()
    first = next(
        due.message
        for due in caller.heard
        if isinstance(
            due.message, say.ResponseOutputAudioDelta | say.ResponseOutputAudioTranscriptDelta
        )
    )
    assert isinstance(first, say.ResponseOutputAudioDelta) == expected
    if expected:
        levels = envelope(decode(first.delta, "audio/pcm"), 24_000)
        assert sum(dbfs(code) > AUDIBLE_DBFS for code in levels) >= 38
        assert PCM16_24K.duration_ns(len(first.delta)) == ms(400)


def test_a_filler_waits_as_it_is_told_and_moves_no_delta_of_the_answer():
    plain, filled = Caller(ROUND), Caller(ROUND)
    for caller, wait in ((plain, 900), (filled, 150)):
        caller.update(
            providerData={"responsiveness": {"enabled": True, "initial_wait_timeout_ms": wait}}
        )
        caller.typed_turn()
    due = [d.due_ns for d in plain.every(say.ResponseOutputAudioDelta)]
    assert due[0] == ms(300)  # the answer was quicker than the filler
    assert [d.due_ns for d in filled.every(say.ResponseOutputAudioDelta)] == [ms(150), *due]
    done = [caller.last(say.ResponseOutputAudioTranscriptDone) for caller in (plain, filled)]
    assert done[0].transcript == done[1].transcript


def cut_by_speech(profile):
    caller = Caller(profile)
    caller.say(LINES[0].audio)
    caller.silence(500)
    while not caller.every(say.ResponseOutputAudioDelta):
        caller.silence(100)
    caller.say(voiced(300))
    cut = next(
        n
        for n, due in enumerate(caller.heard)
        if isinstance(due.message, say.InputAudioBufferSpeechStarted) and n > 5
    )
    return caller, [type_of(due.message) for due in caller.heard[cut + 1 :]]


def test_late_audio_comes_after_the_speech_that_cuts_it_and_before_the_done():
    _, plain = cut_by_speech(ROUND)
    _, late = cut_by_speech(odd(late_audio=1.0))
    audio = "response.output_audio.delta"
    assert plain[0] == "response.output_audio.done"
    assert audio not in plain
    assert late.count(audio) == 3
    assert late[-len(plain) :] == plain
    assert set(late[: -len(plain)]) <= {audio, "response.output_audio_transcript.delta"}


def test_a_suggestion_is_revoked_where_the_caller_goes_on_and_stands_where_not():
    caller = Caller(odd(turn_suggestion=1.0))
    caller.say(voiced(500))
    caller.say(quiet(400))
    caller.say(voiced(500, seed=3))
    caller.silence(800)
    first, second = (due.message for due in caller.every(server_extras.TurnSuggestion))
    revoked = caller.only(server_extras.TurnSuggestionRevoked).message
    item_id = caller.only(say.InputAudioBufferSpeechStarted).message.item_id
    assert {first.item_id, second.item_id, revoked.item_id} == {item_id}
    assert (first.utterance_index, second.utterance_index) == (0, 1)
    assert revoked.utterance_index == first.utterance_index
    assert 0.5 <= first.probability <= 1.0
    assert first.trailing_silence_ms == 200
    assert second.audio_duration_ms == pytest.approx(500 + 400 + 500 + 200, abs=20)
    kinds = caller.types()
    assert kinds.index("input_audio_buffer.turn_suggestion_revoked") < kinds.index(
        "input_audio_buffer.speech_stopped"
    )


def test_every_quirk_of_a_session_is_drawn_when_it_begins_and_the_draw_is_kept():
    for quirk in SESSION_QUIRKS:
        caller = Caller(odd(**{quirk: 1.0}))
        assert (quirk, 0, 1.0) in caller.server.draws.drawn


def test_a_rate_is_a_share_of_sessions_with_a_seed_of_its_own():
    def sessions(rate):
        return [
            n
            for n in range(200)
            if len(Caller(odd(conversation_created=rate), number=n).heard) == 2
        ]

    some = sessions(0.3)
    assert 40 < len(some) < 80
    assert sessions(Chance(rate=0.3, seed=7)) == some  # the profile's seed is 7
    assert sessions(Chance(rate=0.3, seed=8)) != some


def test_a_share_of_turns_is_drawn_turn_by_turn():
    caller = Caller(odd(transcription_failed=0.5))
    for _ in range(12):
        caller.spoken_turn()
    failed = len(caller.every(server_extras.InputAudioTranscriptionFailed))
    assert 2 <= failed <= 10
    drawn = [one.value for one in caller.server.draws.drawn if one.name == "transcription_failed"]
    assert sum(drawn) == failed


@pytest.mark.parametrize("quirk", SESSION_QUIRKS)
def test_an_answer_to_an_error_survives_every_quirk_of_a_session(quirk):
    caller = Caller(odd(**{quirk: 1.0}))
    caller.wait(3000)
    (answer,) = caller.ask(decode_client('{"type":"nonsense"}'))
    assert answer.message.text.startswith("Invalid value: 'nonsense'.")
