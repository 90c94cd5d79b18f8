"""The conversation machine against messages written by hand, at instants written by hand."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.protocol import client, server, server_extras
from bench.protocol.codec import UnknownMessage, decode_client, decode_server
from bench.protocol.error_codes import ALREADY_ACTIVE
from bench.protocol.objects import ErrorDetail, Item, Response, Session
from bench.protocol.refusals import is_overload
from bench.voice.audio import PCM16_24K, AudioFormat, ms
from bench.voice.backoff import backoff_ns
from bench.voice.caller_config import CallerConfig
from bench.voice.conversation import Conversation
from bench.voice.directions import Await, HearOut, Part, Pause, Reply, Say, Send
from bench.voice.microphone import record
from bench.voice.outbox import Note, Outgoing
from bench.voice.script_player import OVERLOADED_MOST_NS
from bench.voice.scripts import SCRIPTS, barge_in, tool_call, turn_taking
from bench.voice.session_setup import UNANSWERED_NS
from bench.voice.utterance import Utterance
from tests.examples import examples


def utterance(name="u", length=ms(400), onset=ms(100), offset=ms(300), fmt=PCM16_24K):
    return Utterance(name, b"\x01\x00" * (fmt.nbytes(length) // 2), fmt, onset, offset, "hello")


def session(**audio):
    return msgspec.convert({"audio": audio}, Session)


def conversation(script, config=CallerConfig(), recorded=None):
    def recorder(said, fmt):
        if recorded is not None:
            recorded.append(fmt)
        return record(said._replace(format=fmt), config.chunk_ns)

    return Conversation(script, Session(type="realtime"), recorder, config)


def opened(script, config=CallerConfig(), at=0):
    talk = conversation(script, config)
    talk.open(at)
    talk.receive(server.SessionCreated(session=Session()), at)
    assert [said.type for said in talk.poll(at)] == ["session.update"]
    talk.receive(server.SessionUpdated(session=session()), at)
    return talk


def run_until(talk, until):
    """Poll at every due instant up to `until`."""
    said = []
    while (due := talk.next_due()) is not None and due <= until:
        said += talk.poll(due)
    return said


def notes(said):
    return [note.type for note in said if isinstance(note, Note)]


def reply(talk, at, response="r1", item="a1", audio_ms=500):
    talk.receive(server.InputAudioBufferCommitted(item_id="i"), at)
    talk.receive(server.ResponseCreated(response=Response(id=response)), at)
    audio = b"\x00" * PCM16_24K.nbytes(ms(audio_ms))
    talk.receive(
        server.ResponseOutputAudioDelta(response_id=response, item_id=item, delta=audio), at
    )


def done(talk, at, response="r1"):
    talk.receive(server.ResponseDone(response=Response(id=response, status="completed")), at)


def test_the_microphone_opens_when_the_session_is_updated_and_not_before():
    talk = conversation(turn_taking(Part((utterance(),))))
    talk.open(0)
    assert run_until(talk, ms(100)) == []
    talk.receive(server.SessionCreated(session=Session()), ms(150))
    update = talk.poll(ms(150))
    assert isinstance(decode_client(update[0].payload), client.SessionUpdate)
    assert run_until(talk, ms(300)) == []
    talk.receive(server.SessionUpdated(session=session()), ms(350))
    said = run_until(talk, ms(600))
    assert said[0].type == "bench.microphone"
    assert said[0].at_ns == ms(350)
    assert [out.due_ns for out in said if isinstance(out, Outgoing)] == [ms(450), ms(550)]


def test_a_server_that_says_nothing_ends_the_session_as_silent():
    talk = conversation(turn_taking(Part((utterance(),))))
    talk.open(0)
    said = run_until(talk, ms(20_000))
    assert [out.type for out in said] == ["session.update"]  # an older server waits for it
    assert (talk.outcome, talk.over_ns) == ("silent", ms(10_000))


def test_an_error_before_the_session_is_ready_refuses_it_by_its_code():
    talk = conversation(turn_taking(Part((utterance(),))))
    talk.open(0)
    detail = {"type": "invalid_request_error", "code": "invalid_value", "message": "no"}
    error = msgspec.convert({"type": "error", "error": detail}, server.ErrorMessage)
    talk.receive(error, ms(5))
    assert (talk.outcome, talk.reason) == ("refused", "invalid_value: no")


FULL = [
    {"type": "error", "error": {"code": "x", "message": "The model is AT CAPACITY."}},
    {"type": "error", "error": {"type": "ResourceExhausted"}},
    {"type": "error", "message": "temporarily unavailable"},
    {"error": {"code": 8, "message": "resources exhausted"}},
    {"errorType": "SESSION_RESOURCES_EXHAUSTED"},
]
"""What full servers say, in every shape of an error."""


def full(wire):
    return decode_server(msgspec.json.encode(wire))


@pytest.mark.parametrize("wire", FULL)
def test_words_of_overload_before_the_session_is_ready_are_an_outcome_of_their_own(wire):
    talk = conversation(turn_taking(Part((utterance(),))))
    talk.open(0)
    talk.receive(full(wire), ms(5))
    assert talk.outcome == "overloaded"
    assert is_overload(talk.reason)


def backoffs(said):
    return [note for note in said if isinstance(note, Note) and note.type == "bench.backoff"]


def turned_away(talk, wire, at):
    """The caller's line is heard, and the server says that it is full; until the next line."""
    talk.receive(server.InputAudioBufferCommitted(item_id="i"), at - 1)
    talk.receive(full(wire), at)
    said = talk.poll(at)
    while "bench.say" not in notes(said) and talk.outcome is None:
        said += talk.poll(talk.next_due())
    return said


@pytest.mark.parametrize("wire", FULL)
def test_a_caller_that_was_turned_away_waits_longer_each_time_and_says_why(wire):
    talk = opened(turn_taking(Part((utterance(),) * 6, gap_ns=ms(300))))
    at, pauses = ms(1000), []
    run_until(talk, at - 1)
    for turn in range(1, 7):
        said = turned_away(talk, wire, at)
        assert notes(said)[0] == "bench.gave_up"  # at once: nothing will come
        [note] = backoffs(said)
        last = turn == 6
        # The script's own pause is part of it; before the end there is none.
        assert (note.at_ns, note.detail["turn"]) == (at if last else at + ms(300), turn)
        assert note.due_ns == at + backoff_ns(turn, "s0", OVERLOADED_MOST_NS)
        assert note.detail["pause_ms"] == (note.due_ns - note.at_ns) / 1e6
        pauses.append((note.due_ns - at) / 1e9)
        if last:
            assert (talk.outcome, talk.over_ns) == ("finished", note.due_ns)
        else:
            [line] = [one for one in said if one.type == "bench.say"]
            assert 0 <= line.at_ns - note.due_ns <= ms(100)  # at its place in the microphone
            at = line.at_ns + ms(1000)
            run_until(talk, at - 1)
    expected = [1, 2, 4, 8, 8, 8]
    assert all(0.75 * n <= pause <= 1.25 * n for n, pause in zip(expected, pauses, strict=True))


def test_a_turn_that_is_answered_ends_the_waiting():
    talk = opened(turn_taking(Part((utterance(),) * 4)))
    run_until(talk, ms(999))
    first = turned_away(talk, FULL[0], ms(1000))
    at = first[-1].at_ns + ms(1000)
    run_until(talk, at - 1)
    reply(talk, at)
    done(talk, at + ms(10))
    assert not backoffs(run_until(talk, at + ms(3000)))
    [note] = backoffs(turned_away(talk, FULL[0], at + ms(3001)))
    assert note.detail["overloads"] == 1


def test_a_response_that_failed_for_want_of_capacity_makes_the_caller_wait_too():
    talk = opened(turn_taking(Part((utterance(), utterance()))))
    run_until(talk, ms(999))
    talk.receive(server.InputAudioBufferCommitted(item_id="i"), ms(1000))
    error = {"code": "server_error", "message": "No capacity left, try again later."}
    failed = Response(id="r", status="failed", status_details={"type": "failed", "error": error})
    talk.receive(server.ResponseDone(response=failed), ms(1100))
    said = run_until(talk, ms(1600))
    assert notes(said)[-2:] == ["bench.heard_out", "bench.backoff"]


def test_words_of_overload_about_what_no_answer_hangs_on_turn_nobody_away():
    def script(part):
        yield Say(part.lines[0])
        yield Send(server_told)
        yield HearOut()

    server_told = client.ConversationItemDelete(item_id="old")
    talk = opened(script(Part((utterance(),))))
    said = run_until(talk, ms(999))
    talk.receive(server.InputAudioBufferCommitted(item_id="i"), ms(1000))
    told = ErrorDetail(message="temporarily unavailable", event_id=server_told.event_id)
    talk.receive(server.ErrorMessage(error=told), ms(1010))
    reply(talk, ms(1500))
    done(talk, ms(1510))
    said += run_until(talk, ms(3000))
    assert notes(said)[-1] == "bench.heard_out"


def test_words_of_overload_do_not_end_a_reply_that_has_begun():
    talk = opened(turn_taking(Part((utterance(),))))
    said = run_until(talk, ms(999))
    reply(talk, ms(1000))
    talk.receive(full(FULL[0]), ms(1010))
    done(talk, ms(1020))
    said += run_until(talk, ms(3000))
    assert notes(said)[-1] == "bench.heard_out"


def test_silence_is_streamed_without_a_gap_between_and_after_turns():
    talk = opened(turn_taking(Part((utterance(), utterance()), gap_ns=ms(300))))
    said = run_until(talk, ms(700))
    reply(talk, ms(750))
    done(talk, ms(760))
    said += run_until(talk, ms(5000))
    appends = [out for out in said if isinstance(out, Outgoing)]
    assert [out.media_ns for out in appends] == [ms(100) * n for n in range(len(appends))]
    assert [out.due_ns for out in appends] == [ms(100) * (n + 1) for n in range(len(appends))]


def test_a_turn_ends_when_its_reply_has_been_heard_and_the_next_begins_a_gap_later():
    talk = opened(turn_taking(Part((utterance(), utterance()), gap_ns=ms(300))))
    said = run_until(talk, ms(700))
    reply(talk, ms(750))  # plays 750 to 1250
    done(talk, ms(760))
    said += run_until(talk, ms(2000))
    heard = next(note for note in said if note.type == "bench.heard_out")
    says = [note for note in said if note.type == "bench.say"]
    assert heard.at_ns == ms(1250)
    assert says[1].at_ns == ms(1550)
    assert says[1].due_ns == ms(1600)  # the first chunk boundary that has not begun


def test_a_late_poll_changes_no_instant():
    def instants(step):
        talk = opened(turn_taking(Part((utterance(), utterance()))))
        said = []
        for at in range(0, ms(700), step):
            said += talk.poll(at)
        said += talk.poll(ms(700))
        reply(talk, ms(750))
        done(talk, ms(760))
        for at in range(ms(760), ms(3000), step):
            said += talk.poll(at)
        said += talk.poll(ms(3000))
        return [
            (entry.type, entry.at_ns if isinstance(entry, Note) else entry.due_ns) for entry in said
        ]

    assert instants(ms(1)) == instants(ms(333))


def test_a_caller_without_an_answer_gives_up_after_its_patience_and_goes_on():
    talk = opened(
        turn_taking(Part((utterance(), utterance()))), CallerConfig(answer_timeout_ns=ms(2000))
    )
    said = run_until(talk, ms(9000))
    gave_up = [note for note in said if note.type == "bench.gave_up"]
    says = [note for note in said if note.type == "bench.say"]
    assert len(gave_up) == 2
    assert gave_up[0].at_ns == says[0].due_ns + ms(300) + ms(2000)
    assert talk.outcome == "finished"


def test_an_interruption_empties_the_player_and_truncates_to_what_was_heard():
    part = Part((utterance(),), (utterance("stop"),), hear_ns=ms(200))
    talk = opened(barge_in(part), CallerConfig(truncate=True))
    said = run_until(talk, ms(700))
    reply(talk, ms(750), audio_ms=3000)
    said += run_until(talk, ms(1100))
    interruption = [note for note in said if note.type == "bench.say"][1]
    assert interruption.at_ns == ms(950)  # 200 ms of the reply heard
    assert interruption.detail["role"] == "interruption"
    talk.receive(server.InputAudioBufferSpeechStarted(item_id="i2", audio_start_ms=900), ms(1250))
    said = talk.poll(ms(1250))
    flush = next(entry for entry in said if entry.type == "bench.flush")
    assert flush.detail == {"heard_ms": 500, "cause": "server"}
    truncate = next(
        entry for entry in said if isinstance(entry, Outgoing) and "trunc" in entry.type
    )
    assert decode_client(truncate.payload).audio_end_ms == 500
    assert truncate.item_id == "a1"


def test_late_audio_of_an_interrupted_reply_is_not_heard():
    part = Part((utterance(),), (utterance("stop"),), hear_ns=ms(200))
    talk = opened(barge_in(part), CallerConfig(answer_timeout_ns=ms(1000)))
    run_until(talk, ms(700))
    reply(talk, ms(750), audio_ms=3000)
    run_until(talk, ms(1100))
    talk.receive(server.InputAudioBufferSpeechStarted(item_id="i2"), ms(1250))
    late = server.ResponseOutputAudioDelta(
        response_id="r1", item_id="a1", delta=b"\x00" * PCM16_24K.nbytes(ms(9000))
    )
    talk.receive(late, ms(1260))
    said = run_until(talk, ms(4000))
    assert "bench.gave_up" in notes(said)
    assert talk.outcome == "finished"


def test_a_reply_that_is_cut_before_it_plays_is_silenced_and_noted():
    talk = opened(turn_taking(Part((utterance(length=ms(2000), offset=ms(1900)),))))
    run_until(talk, ms(900))
    talk.receive(server.InputAudioBufferCommitted(item_id="i"), ms(900))
    talk.receive(server.ResponseCreated(response=Response(id="r1")), ms(900))
    talk.receive(server.InputAudioBufferSpeechStarted(item_id="i2"), ms(950))
    flush = next(note for note in talk.poll(ms(950)) if note.type == "bench.flush")
    assert (flush.item_id, flush.detail) == (None, {"heard_ms": 0, "cause": "server"})
    late = server.ResponseOutputAudioDelta(response_id="r1", item_id="a1", delta=b"\x00" * 48_000)
    talk.receive(late, ms(960))
    assert not talk._listener._player.playing(ms(960))


def test_a_server_that_does_not_interrupt_leaves_the_player_alone():
    part = Part((utterance(),), (utterance("stop"),), hear_ns=ms(200))
    talk = conversation(barge_in(part))
    talk.open(0)
    talk.receive(server.SessionCreated(session=Session()), 0)
    talk.poll(0)
    detection = {"type": "server_vad", "interrupt_response": False}
    talk.receive(server.SessionUpdated(session=session(input={"turn_detection": detection})), 0)
    run_until(talk, ms(700))
    reply(talk, ms(750), audio_ms=3000)
    run_until(talk, ms(1100))
    talk.receive(server.InputAudioBufferSpeechStarted(item_id="i2"), ms(1250))
    assert "bench.flush" not in notes(talk.poll(ms(1250)))


def test_what_the_server_says_the_format_is_gets_obeyed():
    recorded = []
    talk = conversation(turn_taking(Part((utterance(),))), recorded=recorded)
    talk.open(0)
    talk.receive(server.SessionCreated(session=Session()), 0)
    talk.poll(0)
    g711 = session(input={"format": {"type": "audio/pcmu"}}, output={"format": "g711_alaw"})
    talk.receive(server.SessionUpdated(session=g711), 0)
    said = run_until(talk, ms(400))
    assert recorded == [AudioFormat("audio/pcmu", 8000)]
    assert said[0].detail["output"] == {"type": "audio/pcma", "rate": 8000}
    assert {out.nbytes for out in said if isinstance(out, Outgoing)} == {800}


def test_a_split_turn_is_waited_for_to_its_second_answer():
    talk = opened(turn_taking(Part((utterance(length=ms(2000), offset=ms(1900)),))))
    run_until(talk, ms(1000))
    reply(talk, ms(1000), response="r1", audio_ms=200)
    done(talk, ms(1010), response="r1")
    talk.receive(server.InputAudioBufferSpeechStarted(item_id="i2"), ms(1500))
    said = run_until(talk, ms(3000))
    assert "bench.heard_out" not in notes(said)
    reply(talk, ms(3100), response="r2", audio_ms=200)
    talk.receive(server.InputAudioBufferCommitted(item_id="i2"), ms(3100))
    talk.receive(server.ResponseCreated(response=Response(id="r3")), ms(3100))
    done(talk, ms(3150), response="r2")
    done(talk, ms(3160), response="r3")
    said = run_until(talk, ms(4000))
    assert "bench.heard_out" in notes(said)


def test_a_server_that_leaves_committed_or_speech_stopped_out_still_gets_its_turn_over():
    for left_out in ("committed", "speech_stopped", "both"):
        talk = opened(turn_taking(Part((utterance(),))))
        run_until(talk, ms(500))
        talk.receive(server.InputAudioBufferSpeechStarted(item_id="i"), ms(500))
        if left_out == "committed":
            talk.receive(server.InputAudioBufferSpeechStopped(item_id="i"), ms(800))
        if left_out == "speech_stopped":
            talk.receive(server.InputAudioBufferCommitted(item_id="i"), ms(800))
        talk.receive(server.ResponseCreated(response=Response(id="r1")), ms(850))
        audio = b"\x00" * PCM16_24K.nbytes(ms(500))
        delta = server.ResponseOutputAudioDelta(response_id="r1", item_id="a", delta=audio)
        talk.receive(delta, ms(900))
        done(talk, ms(910))
        said = run_until(talk, ms(3000))
        heard = [note.at_ns for note in said if note.type == "bench.heard_out"]
        assert heard == [ms(1400)], left_out


def test_a_commit_that_is_told_after_the_answer_began_owes_no_second_answer():
    talk = opened(turn_taking(Part((utterance(),))))
    run_until(talk, ms(700))
    talk.receive(server.InputAudioBufferSpeechStarted(item_id="i"), ms(700))
    talk.receive(server.InputAudioBufferSpeechStopped(item_id="i"), ms(800))
    talk.receive(server.ResponseCreated(response=Response(id="r1")), ms(850))
    talk.receive(server.InputAudioBufferCommitted(item_id="i"), ms(860))
    delta = server.ResponseOutputAudioDelta(response_id="r1", item_id="a", delta=b"\x00" * 4800)
    talk.receive(delta, ms(900))
    done(talk, ms(910))
    heard = [note.at_ns for note in run_until(talk, ms(3000)) if note.type == "bench.heard_out"]
    assert heard == [ms(1000)]


def test_a_done_that_never_comes_spoils_no_later_turn():
    talk = opened(
        turn_taking(Part((utterance(), utterance()))), CallerConfig(answer_timeout_ns=ms(1000))
    )
    run_until(talk, ms(700))
    reply(talk, ms(750), audio_ms=100)  # and no response.done
    said = run_until(talk, ms(2600))
    assert "bench.gave_up" in notes(said)
    reply(talk, ms(2650), response="r2", item="a2", audio_ms=100)
    done(talk, ms(2660), response="r2")
    assert "bench.heard_out" in notes(run_until(talk, ms(4000)))


def test_winding_down_finishes_the_turn_and_begins_no_other():
    talk = opened(turn_taking(Part((utterance(), utterance()))))
    run_until(talk, ms(700))
    talk.wind_down()
    reply(talk, ms(750))
    done(talk, ms(760))
    said = run_until(talk, ms(5000))
    assert "bench.heard_out" in notes(said)
    assert "bench.say" not in notes(said)
    assert talk.outcome == "drained"


def test_send_and_await_serve_scripts_of_other_kinds():
    def push_to_talk(_part):
        yield Say(utterance())
        yield Send(client.InputAudioBufferCommit())
        yield Await("input_audio_buffer.committed")
        yield Send(client.ResponseCreate())
        yield HearOut()

    talk = opened(push_to_talk(None))
    said = run_until(talk, ms(500))
    commit = next(out for out in said if out.type == "input_audio_buffer.commit")
    assert commit.due_ns == ms(400)
    talk.receive(server.InputAudioBufferCommitted(item_id="i"), ms(480))
    create = next(out for out in talk.poll(ms(480)) if out.type == "response.create")
    assert create.due_ns == ms(480)


def test_a_script_that_raises_ends_its_session_and_says_how():
    def broken(_part):
        yield Pause(ms(10))
        raise ValueError("oops")

    talk = opened(broken(None))
    run_until(talk, ms(100))
    assert talk.outcome == "crashed"
    assert "oops" in talk.reason


def test_a_format_that_changes_in_mid_call_is_obeyed_from_the_next_chunk_on():
    recorded = []
    talk = conversation(turn_taking(Part((utterance(), utterance()))), recorded=recorded)
    talk.open(0)
    talk.receive(server.SessionCreated(session=Session()), 0)
    talk.receive(server.SessionUpdated(session=session()), 0)
    run_until(talk, ms(150))
    talk.receive(server.SessionUpdated(session=session(input={"format": "g711_ulaw"})), ms(150))
    said = [out for out in run_until(talk, ms(400)) if isinstance(out, Outgoing)]
    assert {out.nbytes for out in said} == {800}
    assert {len(decode_client(out.payload).audio) for out in said} == {800}
    assert [out.media_ns for out in said] == [ms(100), ms(200), ms(300)]


def test_an_answer_that_the_server_could_not_begin_costs_no_patience():
    talk = opened(turn_taking(Part((utterance(),))))
    run_until(talk, ms(700))
    reply(talk, ms(750), audio_ms=2000)
    talk.receive(server.InputAudioBufferSpeechStarted(item_id="i2"), ms(800))
    talk.receive(server.InputAudioBufferSpeechStopped(item_id="i2"), ms(900))
    refusal = ErrorDetail(type="invalid_request_error", code=ALREADY_ACTIVE)  # of nobody's message
    talk.receive(server.ErrorMessage(error=refusal), ms(900))
    done(talk, ms(1000))
    said = run_until(talk, ms(9000))
    assert "bench.gave_up" not in notes(said)
    assert "bench.heard_out" in notes(said)


def test_an_error_that_names_no_message_takes_no_answer_away_that_nobody_asked_for():
    config = CallerConfig(answer_timeout_ns=ms(2000))
    talk = opened(turn_taking(Part((utterance(),))), config)
    said = run_until(talk, ms(700))
    talk.receive(server.InputAudioBufferSpeechStarted(item_id="i"), ms(710))
    talk.receive(server.InputAudioBufferCommitted(item_id="i"), ms(720))
    reply(talk, ms(1000), response="earlier")
    talk.receive(server.InputAudioBufferSpeechStarted(item_id="j"), ms(1010))
    talk.receive(server.InputAudioBufferCommitted(item_id="j"), ms(1020))
    talk.receive(server.ErrorMessage(error=ErrorDetail(type="server_error")), ms(1100))
    done(talk, ms(1200), response="earlier")
    said += run_until(talk, ms(2500))
    assert "bench.heard_out" not in notes(said)  # the answer to the second is still owed
    reply(talk, ms(2600))
    done(talk, ms(2610))
    said += run_until(talk, ms(5000))
    assert notes(said)[-1] == "bench.heard_out"


def test_what_is_awaited_may_come_in_the_spelling_of_the_beta_or_be_refused_or_be_another():
    given = []

    def script(_):
        for awaited in (
            Await("conversation.item.added"),
            Await("error", instead="session.updated"),
            Await("response.output_audio.delta"),
        ):
            message = yield awaited
            given.append(message)

    talk = opened(script(None))
    talk.receive(server_extras.ConversationItemCreated(item=Item(type="message", id="i")), ms(100))
    talk.receive(server.SessionUpdated(session=session()), ms(200))
    talk.receive(server_extras.BetaAudioDelta(response_id="r", item_id="a", delta=b"\0\0"), ms(300))
    run_until(talk, ms(310))
    assert talk.outcome == "finished"
    assert [type(message).__name__ for message in given] == [
        "ConversationItemCreated", "SessionUpdated", "BetaAudioDelta",
    ]  # fmt: skip


CALL = {"type": "function_call", "id": "f", "call_id": "c", "name": "look", "arguments": "{}"}
ANY_MESSAGE = st.sampled_from(
    [
        server.SessionCreated(session=Session()),
        server.SessionUpdated(session=session()),
        server.SessionUpdated(session=session(input={"turn_detection": None})),
        server.SessionUpdated(
            session=msgspec.convert({"providerData": {"auto_tool_response": True}}, Session)
        ),
        server.InputAudioBufferSpeechStarted(item_id="i", audio_start_ms=3),
        server.InputAudioBufferSpeechStopped(item_id="i", audio_end_ms=9),
        server.InputAudioBufferCommitted(item_id="i"),
        server.InputAudioBufferCleared(),
        server.ConversationItemAdded(item=Item(type="message", id="i")),
        server.ConversationItemRetrieved(item=Item(type="message", id="i")),
        server.ConversationItemDeleted(item_id="note_1"),
        server.ResponseCreated(response=Response(id="r")),
        server.ResponseCreated(response=Response(id="q")),
        server.ResponseOutputItemAdded(response_id="r", item=msgspec.convert(CALL, Item)),
        server.ResponseFunctionCallArgumentsDelta(response_id="r", item_id="f", delta="{"),
        server.ResponseFunctionCallArgumentsDone(response_id="r", item_id="f", arguments="{}"),
        server.ResponseOutputTextDelta(response_id="r", item_id="a", delta="word"),
        server.ResponseOutputAudioDelta(response_id="r", item_id="a", delta=b"\0" * 4800),
        server_extras.BetaAudioDelta(response_id="q", item_id="b", delta=b"\0" * 4801),
        server.ResponseOutputAudioDone(response_id="r", item_id="a"),
        server.ResponseDone(response=Response(id="r", output=[msgspec.convert(CALL, Item)])),
        server.ResponseDone(response=Response(id="q")),
        server.ErrorMessage(),
        server.ErrorMessage(error=ErrorDetail(event_id="s0-3")),
        server_extras.Ping(),
        UnknownMessage(type="x", reason="?", text="{}"),
    ]
)


@examples(300)
@given(
    st.sampled_from(sorted(SCRIPTS)),
    st.lists(st.tuples(ANY_MESSAGE, st.integers(0, ms(800))), max_size=60),
)
def test_any_messages_in_any_order_leave_any_script_total_and_finite(name, messages):
    part = Part((utterance(), utterance()), (utterance("s"), utterance("s")))
    talk = conversation(
        SCRIPTS[name].play(part), CallerConfig(answer_timeout_ns=ms(3000), truncate=True)
    )
    talk.open(0)
    at, said = 0, []
    for message, gap in messages:
        at += gap
        said += run_until(talk, at)
        talk.receive(message, at)
    said += run_until(talk, at + ms(180_000))
    assert talk.outcome is not None
    assert talk.next_due() is None
    dues = [out.due_ns for out in said if isinstance(out, Outgoing)]
    assert dues == sorted(dues)
    assert all(decode_client(out.payload) for out in said if isinstance(out, Outgoing))


def greet(talk, at):
    """The agent speaks first, for half a second."""
    talk.receive(server.ResponseCreated(response=Response(id="g")), at)
    audio = b"\x00" * PCM16_24K.nbytes(ms(500))
    delta = server.ResponseOutputAudioDelta(response_id="g", item_id="g1", delta=audio)
    talk.receive(delta, at)
    done(talk, at, "g")


def test_a_greeting_is_heard_out_before_the_script_begins_and_is_no_reply():
    given = []

    def listens(_part):
        given.append((yield HearOut()))

    talk = opened(listens(None), CallerConfig(answer_timeout_ns=ms(2000), greeting=True))
    assert "bench.greeted" not in notes(run_until(talk, ms(900)))
    greet(talk, ms(1000))
    said = run_until(talk, ms(5000))
    assert [(one.type, one.at_ns) for one in said if isinstance(one, Note)] == [
        ("bench.greeted", ms(1500)), ("bench.gave_up", ms(3500)),
    ]  # fmt: skip
    assert given == [Reply()]
    assert talk.outcome == "finished"


def test_a_greeting_may_come_before_the_session_is_updated():
    talk = conversation(turn_taking(Part((utterance(),))), CallerConfig(greeting=True))
    talk.open(0)
    talk.receive(server.SessionCreated(session=Session()), 0)
    greet(talk, ms(50))
    talk.receive(server.SessionUpdated(session=session()), ms(100))
    said = run_until(talk, ms(1000))
    heard = [note for note in said if isinstance(note, Note)]
    assert [note.type for note in heard] == ["bench.microphone", "bench.greeted", "bench.say"]
    assert heard[1].at_ns == ms(550)


def test_a_greeting_that_breaks_off_is_waited_for_as_long_as_patience_lasts():
    config = CallerConfig(answer_timeout_ns=ms(2000), greeting=True)
    talk = opened(turn_taking(Part((utterance(),))), config)
    talk.receive(server.ResponseCreated(response=Response(id="g")), ms(500))
    said = run_until(talk, ms(4000))
    left = [(note.type, note.at_ns) for note in said if isinstance(note, Note)][1:]
    assert left[0] == ("bench.ungreeted", ms(2500))
    assert left[1][0] == "bench.say"


def greeted(script):
    talk = conversation(script)
    talk.open(0)
    talk.receive(server.SessionCreated(session=Session()), ms(10))
    assert [said.type for said in talk.poll(ms(10))] == ["session.update"]
    return talk


def test_a_server_that_never_acknowledges_the_update_is_talked_to_as_was_asked():
    asked = session(input={"format": {"type": "audio/pcmu"}})
    recorded = []
    talk = conversation(turn_taking(Part((utterance(),))), recorded=recorded)
    talk._asked = asked
    talk.open(0)
    talk.receive(server.SessionCreated(session=Session()), ms(10))
    said = run_until(talk, ms(10) + UNANSWERED_NS + ms(400))
    [opening] = [note for note in said if note.type == "bench.microphone"]
    assert opening.at_ns == ms(10) + UNANSWERED_NS
    assert opening.detail["answer"] == "nothing"
    assert recorded == [AudioFormat("audio/pcmu", 8000)]
    talk.receive(server.SessionUpdated(session=session(input={"format": "pcm16"})), ms(8000))
    assert talk.outcome is None
    assert talk.next_due() is not None


def test_a_server_that_first_speaks_late_is_talked_to_at_once():
    talk = conversation(turn_taking(Part((utterance(),))))
    talk.open(0)
    run_until(talk, ms(8000))
    talk.receive(server_extras.Ping(), ms(9000))
    [opening] = [note for note in run_until(talk, ms(9050)) if note.type == "bench.microphone"]
    assert opening.at_ns == ms(9000)


def test_an_update_that_is_answered_by_another_created_opens_the_microphone():
    talk = greeted(turn_taking(Part((utterance(),))))
    talk.receive(server.SessionCreated(session=session(input={"format": "g711_ulaw"})), ms(80))
    [opening] = talk.poll(ms(80))
    assert (opening.type, opening.at_ns) == ("bench.microphone", ms(80))
    assert opening.detail["answer"] == "session.created"
    assert opening.detail["input"]["type"] == "audio/pcmu"


def test_a_late_greeting_has_the_early_update_sent_again_and_only_once():
    talk = conversation(turn_taking(Part((utterance(),))))
    talk.open(0)
    assert [said.type for said in run_until(talk, ms(2400))] == ["session.update"]
    talk.receive(server.SessionCreated(session=Session()), ms(2500))
    assert [said.type for said in run_until(talk, ms(2500))] == ["session.update"]
    talk.receive(server.SessionUpdated(session=session()), ms(2600))
    [opening] = [note for note in run_until(talk, ms(2650)) if note.type == "bench.microphone"]
    assert opening.at_ns == ms(2600)
    talk.receive(server.SessionCreated(session=Session()), ms(2660))
    assert "session.update" not in {said.type for said in run_until(talk, ms(4000))}


def test_a_stray_start_before_the_first_sound_silences_nothing_and_costs_no_wait():
    talk = opened(turn_taking(Part((utterance(),))))
    run_until(talk, ms(700))
    talk.receive(server.InputAudioBufferCommitted(item_id="i"), ms(700))
    talk.receive(server.ResponseCreated(response=Response(id="r1")), ms(720))
    talk.receive(server.InputAudioBufferSpeechStarted(item_id="stray"), ms(730))
    audio = b"\x00" * PCM16_24K.nbytes(ms(500))
    delta = server.ResponseOutputAudioDelta(response_id="r1", item_id="a", delta=audio)
    talk.receive(delta, ms(750))
    done(talk, ms(760))
    said = run_until(talk, ms(3000))
    assert "bench.flush" not in notes(said)
    assert [note.at_ns for note in said if note.type == "bench.heard_out"] == [ms(1250)]


def test_a_stray_start_into_a_reply_that_plays_is_obeyed_and_costs_no_wait():
    """Whoever hears it cannot know that nobody spoke: a client falls silent, and goes on."""
    talk = opened(turn_taking(Part((utterance(),))))
    run_until(talk, ms(700))
    reply(talk, ms(750), audio_ms=2000)
    talk.receive(server.InputAudioBufferSpeechStarted(item_id="stray"), ms(900))
    done(talk, ms(1000))
    said = run_until(talk, ms(3000))
    assert "bench.flush" in notes(said)
    assert [note.at_ns for note in said if note.type == "bench.heard_out"] == [ms(1000)]


def test_a_call_without_an_id_is_noted_and_never_answered_with_an_empty_one():
    talk = opened(tool_call(Part((utterance(),), tool_ns=ms(100))))
    run_until(talk, ms(700))
    talk.receive(server.ResponseCreated(response=Response(id="r1")), ms(750))
    for n, fields in enumerate(({"call_id": "c1"}, {"name": "look"}, {"name": "look"})):
        item = msgspec.convert({"type": "function_call", "arguments": "{}", **fields}, Item)
        message = server.ResponseOutputItemDone(response_id="r1", output_index=n, item=item)
        talk.receive(message, ms(760))
    done(talk, ms(800))
    said = run_until(talk, ms(2000))
    [odd] = [note for note in said if note.type == "bench.odd_calls"]
    assert odd.detail == {"turn": 1, "nameless": 1, "idless": 2}
    assert [out.call_id for out in said if out.type == "conversation.item.create"] == ["c1"]
