"""Each failure alone does what it says: responses in trouble, and servers that are wrong."""

import json

import pytest

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol.codec import decode_server, encode, type_of
from bench.protocol.refusals import is_overload
from bench.reference.schedule import Close, Raw
from bench.reference.server_state import ServerState
from bench.voice.audio import ms
from tests.reference.stage import LINES, ROUND, Caller, failing, user_text
from tests.reference.test_tool_calls import TOOL


def wires(caller):
    said = [json.loads(encode(d.message)) for d in caller.heard if not isinstance(d.message, Raw)]
    return [{name: wire[name] for name in wire if name != "event_id"} for wire in said]


def test_resources_exhausted_stand_in_place_of_the_response():
    caller = Caller(failing(errortype=1.0))
    caller.respond(4000)
    assert [type(due.message) for due in caller.heard] == [say.SessionCreated, Raw]
    frame = decode_server(caller.heard[-1].message.payload)
    assert frame.type == "errorType:SESSION_RESOURCES_EXHAUSTED"
    caller.ask(ask.ResponseCreate())
    assert not caller.every(say.ErrorMessage)  # nothing is under way


def test_a_full_server_says_so_in_an_ordinary_error_in_place_of_the_response():
    caller = Caller(failing(overloaded=1.0))
    caller.respond(4000)
    assert [type(due.message) for due in caller.heard] == [say.SessionCreated, say.ErrorMessage]
    assert is_overload(caller.heard[-1].message.text)


def test_a_full_server_takes_no_session_and_says_so_in_an_ordinary_error():
    caller = Caller(failing(overloaded_at_once=1.0))
    error, close = (due.message for due in caller.heard)
    assert is_overload(error.text)
    assert (error.code, close.code) == ("server_error", 1013)


def test_a_response_that_would_have_exhausted_resources_can_be_cancelled_before():
    caller = Caller(failing(errortype=1.0))
    caller.ask(ask.ResponseCreate())
    answers = caller.ask(ask.ResponseCancel())
    assert [type(due.message) for due in answers] == [say.ResponseCreated, say.ResponseDone]


def test_half_an_object_in_mid_turn_changes_nothing_else():
    caller = Caller(failing(malformed_mid_turn=1.0)).typed_turn()
    (raw,) = (n for n, due in enumerate(caller.heard) if isinstance(due.message, Raw))
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(caller.heard[raw].message.payload)
    around = [type_of(caller.heard[n].message) for n in (raw - 1, raw + 1)]
    assert all("response.output_audio" in kind for kind in around)
    assert wires(caller) == wires(Caller(ROUND).typed_turn())


def test_a_done_that_is_said_twice_is_the_only_change():
    twice, plain = Caller(failing(duplicate_done=1.0)).typed_turn(), Caller(ROUND).typed_turn()
    assert wires(twice) == [*wires(plain), wires(plain)[-1]]
    ids = [due.message.event_id for due in twice.heard]
    assert len(set(ids)) == len(ids)


def disorder(caller):
    """The name of what is out of order: a delta after its done, or a part after its delta."""
    kinds = caller.types()
    deltas = [n for n, kind in enumerate(kinds) if kind.endswith(("audio.delta", "text.delta"))]
    ends = ("output_audio.done", "output_text.done")
    done = next(n for n, kind in enumerate(kinds) if kind.endswith(ends))
    part = kinds.index("response.content_part.added")
    return [
        name
        for name, wrong in (("late_delta", deltas[-1] > done), ("late_part", part > deltas[0]))
        if wrong
    ]


@pytest.mark.parametrize("modalities", [["audio"], ["text"]])
def test_a_violation_of_order_is_one_of_two_kinds_by_draw(modalities):
    seen = set()
    for number in range(12):
        caller = Caller(failing(order_violation=1.0), number=number)
        caller.update(output_modalities=modalities)
        caller.typed_turn()
        plain = Caller(ROUND, number=number)
        plain.update(output_modalities=modalities)
        plain.typed_turn()
        (kind,) = disorder(caller)
        seen.add(kind)
        assert disorder(plain) == []
        assert wires(caller)[-1] == wires(plain)[-1]
        assert ("order_violation", 0, 1.0) in caller.server.draws.drawn
    assert seen == {"late_delta", "late_part"}


def test_a_call_out_of_order_has_a_delta_after_its_done():
    caller = Caller(failing(order_violation=1.0))
    caller.update(tools=[TOOL])
    caller.typed_turn()
    kinds = caller.types()
    done = kinds.index("response.function_call_arguments.done")
    assert kinds[done + 1] == "response.function_call_arguments.delta"


def test_a_late_part_is_announced_even_when_the_response_is_cut_before_its_first_delta():
    for number in range(12):
        caller = Caller(failing(order_violation=1.0), number=number)
        caller.respond(250)
        caller.ask(ask.ResponseCancel())
        assert len(caller.every(say.ResponseContentPartAdded)) == 1


def test_a_leak_tells_anothers_words_for_what_this_caller_said():
    state = ServerState(ROUND)
    other = Caller(failing(leak=1.0), number=1, state=state)
    other.spoken_turn(line=1)
    assert other.last(say.InputAudioTranscriptionCompleted).transcript == LINES[1].text
    leaky = Caller(failing(leak=1.0), number=2, state=state).spoken_turn(line=0)
    assert leaky.last(say.InputAudioTranscriptionCompleted).transcript == LINES[1].text
    assert LINES[1].text not in leaky.last(say.ResponseOutputAudioTranscriptDone).transcript
    assert ("leak", 0, 1.0) in leaky.server.draws.drawn


@pytest.mark.parametrize("modalities", [["audio"], ["text"]])
def test_a_leak_into_an_answer_that_was_asked_for_is_in_its_words(modalities):
    state = ServerState(ROUND)
    Caller(number=1, state=state).ask(user_text("the code is purple seven"))
    leaky = Caller(failing(leak=1.0), number=2, state=state)
    leaky.update(output_modalities=modalities)
    leaky.typed_turn("good morning")
    part = leaky.last(say.ResponseDone).response.output[0].content[0]
    assert part.words == "the code is purple seven"


def test_without_the_failure_nobody_hears_of_anybody():
    state = ServerState(ROUND)
    Caller(number=1, state=state).spoken_turn(line=1)
    alone = Caller(number=2).spoken_turn(line=0)
    beside = Caller(number=2, state=state).spoken_turn(line=0)
    assert wires(alone) == wires(beside)


def failed(caller):
    return [due for due in caller.every(say.ResponseDone) if due.message.response.reason]


SIGNS = {
    "response_failed": lambda caller: len(failed(caller)),
    "errortype": lambda caller: len(caller.every(Raw)),
    "overloaded": lambda caller: len(caller.every(say.ErrorMessage)),
    "malformed_mid_turn": lambda caller: len(caller.every(Raw)),
    "duplicate_done": lambda caller: (
        len(caller.every(say.ResponseDone)) - len(caller.every(say.ResponseCreated))
    ),
}


@pytest.mark.parametrize("failure", SIGNS)
def test_a_share_of_responses_is_befallen_and_every_one_is_in_the_draws(failure):
    caller = Caller(failing(**{failure: 0.4}))
    for _ in range(15):
        caller.respond(3000)
    signs = SIGNS[failure](caller)
    name = "failed" if failure == "response_failed" else failure
    befallen = sum(one.value for one in caller.server.draws.drawn if one.name == name)
    assert 2 <= signs <= 11
    assert signs == befallen


def test_a_response_told_to_fail_says_so_in_place_of_its_reply():
    caller = Caller(failing(response_failed=1.0))
    caller.respond(1000)
    assert caller.types() == ["session.created", "response.created", "response.done"]
    done = caller.only(say.ResponseDone)
    assert (done.due_ns, done.message.response.status) == (ms(300), "failed")
    assert done.message.response.reason == "server_error: Told to fail."


def test_a_session_told_to_close_in_mid_turn_says_nothing_more():
    caller = Caller(failing(close_mid_turn=1.0, close_code=1001))
    caller.respond(5000)
    assert caller.heard[-1].message == Close(1001)
    assert caller.every(say.ResponseOutputAudioDelta)
    assert not caller.ask(ask.ResponseCreate())


def test_a_session_told_to_stall_goes_silent_and_stays_open():
    caller = Caller(failing(stall=1.0))
    caller.respond(5000)
    assert caller.every(say.ResponseOutputAudioDelta)
    assert not caller.every(say.ResponseDone)
    assert not caller.every(Close)
    assert not caller.update(instructions="anybody?")


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ("mute", []),
        ("close_at_once", [Close]),
        ("malformed", [say.SessionCreated, Raw]),
        ("binary", [say.SessionCreated, Raw]),
        ("huge", [say.SessionCreated, Raw]),
    ],
)
def test_failures_of_a_session_happen_when_it_opens(failure, expected):
    caller = Caller(failing(**{failure: 1.0}))
    assert [type(due.message) for due in caller.heard] == expected
    if failure == "huge":
        assert len(caller.heard[-1].message.payload) > 20_000_000
