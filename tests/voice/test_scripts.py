"""The stock scripts, played to the reference server in virtual time: what is said, in order."""

import json

import pytest

from bench.plan.session import session_object
from bench.protocol.client import ConversationItemRetrieve, ResponseCreate
from bench.protocol.codec import message_table
from bench.protocol.error_codes import PROVOKED
from bench.reference.profile import Profile, ResponseProfile, TranscriptionProfile, VadProfile
from bench.voice.audio import ms
from bench.voice.caller_config import CallerConfig
from bench.voice.directions import Await, HearOut, Part, Reply, Send, Write
from bench.voice.scripts import SCRIPTS, marked, turn_taking
from tests.world import World, voice

PROFILE = Profile(
    vad=VadProfile(lag_ms=10),
    response=ResponseProfile(created_ms=20, first_delta_ms=200, leading_silence_ms=0, pace=4.0),
    transcription=TranscriptionProfile(delay_ms=50),
)
TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]


def played(script, part, **options):
    """The rows of one call, and its outcome."""
    world = World(
        PROFILE, up_ns=1000, down_ns=1000, replies=(voice("r", 0, 3000, 0, tags=["reply"]),)
    )
    call = world.call(script, part, **options)
    world.run(ms(240_000))
    assert call.caller.outcome == "finished", call.caller.reason
    return call.rows


def sent(rows):
    return [row for row in rows if row.direction == "out" and "append" not in row.type]


def types(rows):
    return [row.type for row in rows]


def received(rows, kind):
    return [row for row in rows if row.direction == "in" and row.type == kind]


def errors(rows):
    return [json.loads(row.detail)["code"] for row in received(rows, "error")]


LINES = (voice("one", 100, 800), voice("two", 100, 600))


def test_push_to_talk_clears_speaks_commits_and_asks_and_sends_no_silence():
    rows = played("push_to_talk", (LINES,), detection="none", config=CallerConfig())
    asked = types(sent(rows))[1:]
    assert asked == ["input_audio_buffer.clear", "input_audio_buffer.commit", "response.create"] * 2
    appends = [row for row in rows if row.direction == "out" and "append" in row.type]
    spoken = -(-1100 // 100) + -(-900 // 100)  # whole chunks of the two recordings, nothing else
    assert len(appends) == spoken
    commits = [row for row in sent(rows) if "commit" in row.type]
    before = [row for row in appends if row.at_ns <= commits[0].at_ns]
    assert len(before) == 11  # the last chunk is on its way before the key is released
    assert commits[0].at_ns - before[-1].at_ns == 1
    assert not errors(rows)
    assert len(received(rows, "response.done")) == 2


def test_a_text_chat_types_its_lines_and_asks_for_answers():
    session = {"output_modalities": ["text"]}
    rows = played("text_chat", (LINES,), detection="none", session=session)
    assert types(sent(rows))[1:] == ["conversation.item.create", "response.create"] * 2
    notes = [row for row in rows if row.type == "bench.write"]
    assert [json.loads(row.detail) for row in notes] == [
        {"turn": 1, "text": "words of one"}, {"turn": 2, "text": "words of two"},
    ]  # fmt: skip
    assert received(rows, "response.output_text.done")
    assert not received(rows, "response.output_audio.delta")
    assert types(rows).count("bench.heard_out") == 2


def test_tools_are_called_for_their_time_and_their_outputs_sent_under_their_call_ids():
    rows = played("tool_call", (LINES,), session={"tools": TOOLS, "tool_choice": "required"})
    outputs = [row for row in sent(rows) if row.call_id]
    calls = {row.call_id: row for row in received(rows, "response.function_call_arguments.done")}
    assert outputs
    assert {row.call_id for row in outputs} <= set(calls)
    first = outputs[0]
    ended = next(
        row for row in received(rows, "response.done")
        if row.response_id == calls[first.call_id].response_id
    )  # fmt: skip
    assert first.at_ns >= ended.at_ns + ms(500)
    assert not errors(rows)


def test_where_the_server_goes_on_by_itself_no_response_is_asked_for():
    session = {
        "tools": TOOLS, "tool_choice": "auto", "providerData": {"auto_tool_response": True},
    }  # fmt: skip
    rows = played("tool_call", (LINES,), session=session)
    assert [row for row in sent(rows) if row.call_id]
    assert "response.create" not in types(sent(rows))
    assert not errors(rows)
    spoken = received(rows, "response.output_audio_transcript.done")
    assert len(spoken) >= 2


def test_a_caller_stops_the_agent_with_and_without_its_name():
    part = (LINES, (), ms(300), ms(200))
    rows = played("interrupt_client", part)
    cancels = [row for row in sent(rows) if row.type == "response.cancel"]
    assert [row.response_id is not None for row in cancels] == [True, False]
    flushes = [json.loads(row.detail) for row in rows if row.type == "bench.flush"]
    assert flushes[:2] == [{"heard_ms": 200, "cause": "caller"}] * 2
    truncates = [row for row in sent(rows) if row.type == "conversation.item.truncate"]
    assert [json.loads(row.detail)["audio_end_ms"] for row in truncates] == [200, 200]
    done = [json.loads(row.detail)["status"] for row in received(rows, "response.done")]
    assert done == ["cancelled", "cancelled"]
    assert len(received(rows, "conversation.item.truncated")) == 2


def test_a_cancel_that_comes_too_late_is_a_race_and_no_failure():
    fast = PROFILE.__class__(
        vad=PROFILE.vad, response=ResponseProfile(first_delta_ms=100, pace=1000), seed=1
    )
    world = World(fast, replies=(voice("r", 0, 2000, 0, tags=["reply"]),))
    call = world.call("interrupt_client", (LINES[:1], (), ms(300), ms(500)))
    world.run(ms(60_000))
    assert errors(call.rows) == ["response_cancel_not_active"]
    assert call.caller.outcome == "finished"
    assert received(call.rows, "conversation.item.truncated")


def test_a_backchannel_said_into_a_reply_opens_no_turn():
    murmur = voice("mhm", 50, 400, tags=["backchannel"])
    cough = voice("cough", 50, 400, tags=["nonspeech"])._replace(onset_ns=None, offset_ns=None)
    wait = voice("wait", 50, 400, tags=["interruption"])
    rows = played("barge_in", ((*LINES, LINES[0]), (murmur, cough, wait), ms(300), ms(400)))
    says = [json.loads(row.detail) for row in rows if row.type == "bench.say"]
    assert [(say["role"], say["turn"]) for say in says] == [
        ("line", 1), ("backchannel", 1), ("line", 2), ("sound", 2), ("line", 3),
        ("interruption", 4),
    ]  # fmt: skip
    part = Part((*LINES, LINES[0]), (murmur, cough, wait))
    assert SCRIPTS["barge_in"].turns(part) == 4


def test_a_long_call_keeps_house_and_errs_only_where_it_means_to():
    rows = played("long_call", ([voice(f"v{n}", 100, 500) for n in range(6)],))
    asked = types(sent(rows))[1:]
    assert {
        "conversation.item.retrieve",
        "conversation.item.create",
        "conversation.item.delete",
    } == set(asked)
    after = [row.previous_id for row in sent(rows) if row.type == "conversation.item.create"]
    assert after[0] == "root"
    assert after[1] not in {None, "root"}
    assert after[2] == "item_unknown"
    complaints = [json.loads(row.detail) for row in received(rows, "error")]
    assert len(complaints) == 1
    assert complaints[0]["event_id"].endswith(PROVOKED)
    assert json.loads(received(rows, "conversation.item.retrieved")[0].detail)["audio_bytes"] > 0


def test_a_session_is_changed_in_mid_call_and_what_must_be_refused_changes_nothing():
    changes = tuple(map(session_object, ({"voice": "Sarah"}, {"output_modalities": ["text"]})))
    refused = (session_object({"speed": 9.0}),)
    part = ([*LINES, LINES[0]], (), ms(300), ms(300), ms(300), changes, refused)
    rows = played("reconfigure", part, session={"output_modalities": ["audio"]})
    effective = [json.loads(row.detail) for row in received(rows, "session.updated")]
    voices = [session["audio"]["output"]["voice"] for session in effective]
    assert voices[1:] == ["Sarah"] * len(voices[1:])
    assert {session["audio"]["output"]["speed"] for session in effective} == {1.0}
    assert all(code == "invalid_value" for code in errors(rows))
    created = [json.loads(row.detail) for row in received(rows, "response.created")]
    assert [response["modalities"] for response in created] == [["audio"], ["audio"], ["text"]]
    assert [response["voice"] for response in created][1:] == ["Sarah", "Sarah"]


def test_the_tour_sends_all_ten_and_is_sent_all_but_the_rate_limits():
    rows = played("tour", (LINES[:1],), session={"output_modalities": ["audio"]})
    seen = {row.type for row in rows}
    missing = {entry.type for entry in message_table() if entry.in_seed} - seen
    assert missing == {"rate_limits.updated"}
    assert len(errors(rows)) == 1  # the one that it provokes


def test_a_marked_call_puts_its_words_in_and_fetches_them_at_the_end():
    script = marked(turn_taking(Part(LINES)), "brimbo7", "mark_7")
    rows = played(lambda _: script, (LINES,))
    assert types(rows).count("bench.heard_out") == 2
    [created] = [row for row in sent(rows) if row.type == "conversation.item.create"]
    assert created.item_id == "mark_7"
    [fetched] = received(rows, "conversation.item.retrieved")
    assert "brimbo7" in json.loads(fetched.detail)["text"]


def test_listening_gives_what_was_heard_and_awaiting_gives_the_message():
    given = []

    def script(_):
        yield Write("hello")
        yield Send(ResponseCreate())
        reply = yield HearOut()
        given.append(reply)
        yield Send(ConversationItemRetrieve(item_id=reply.item_id))
        given.append((yield Await("conversation.item.retrieved", reply.item_id)))
        yield Send(ConversationItemRetrieve(item_id="nowhere"), provokes=True)
        given.append((yield Await("conversation.item.retrieved")))

    played(script, (LINES,))
    reply, fetched, refused = given
    assert isinstance(reply, Reply)
    assert reply.heard_ns == ms(3000)
    assert fetched.item.id == reply.item_id
    assert refused.code == "item_retrieve_invalid_item_id"


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_script_says_how_many_turns_it_makes(name):
    murmur = voice("w", 50, 400, tags=["interruption"])
    detection = "none" if SCRIPTS[name].detection == "manual" else None
    part = Part(LINES, (murmur, murmur), ms(300), ms(200))
    options = {} if detection is None else {"detection": detection}
    rows = played(name, part, session={"output_modalities": ["audio"]}, **options)
    turns = [
        json.loads(row.detail)["turn"] for row in rows if row.type in {"bench.say", "bench.write"}
    ]
    assert max(turns) == SCRIPTS[name].turns(part)


def test_what_a_marked_caller_types_carries_its_words_and_listening_still_gives_a_reply():
    given = []

    def script(_):
        yield Write("hello")
        yield Send(ResponseCreate())
        given.append((yield HearOut()))

    rows = played(lambda part: marked(script(part), "brimbo7", "mark_7"), (LINES,))
    [note] = [row for row in rows if row.type == "bench.write"]
    assert json.loads(note.detail)["text"] == "hello (call brimbo7)"
    assert given[0].heard_ns == ms(3000)
