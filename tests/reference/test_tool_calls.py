"""Tool calls: one, two in parallel, mixed with a message; choices, outputs, going on by itself."""

import json

import msgspec
import pytest

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol.codec import type_of
from bench.protocol.objects import ResponseParams
from bench.reference.draws import SessionDraws
from bench.reference.profile import ToolsProfile
from bench.reference.tool_calls import arguments
from bench.voice.audio import ms
from tests.reference.stage import ROUND, Caller, code, tool_output, user_text, voiced

TOOL = {
    "type": "function",
    "name": "find_order",
    "parameters": {
        "type": "object",
        "properties": {
            "number": {"type": "integer", "minimum": 1000, "maximum": 1999},
            "where": {"type": "string", "enum": ["shop", "web"]},
            "urgent": {"type": "boolean"},
        },
        "required": ["number"],
    },
}
OTHER = {"type": "function", "name": "say_time", "parameters": {"type": "object"}}
CALL_7_4 = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


def calling(tools=(TOOL,), *, kind="one", **session):
    shares = {"one": 0.0, "parallel": 0.0, "mixed": 0.0, kind: 1.0}
    profile = msgspec.structs.replace(ROUND, tools=ToolsProfile(first_ms=200, **shares))
    caller = Caller(profile)
    caller.update(tools=list(tools), **session)
    return caller


def asked(caller):
    """The messages of the first response to a typed turn."""
    before = len(caller.heard)
    caller.typed_turn()
    return [due for due in caller.heard[before:] if due.cause == "response"]


def kinds(dues):
    names = [type_of(due.message) for due in dues]
    return [name for n, name in enumerate(names) if not n or name != names[n - 1]]


def of_output(dues, index):
    """Types of what is said of one output, as a state machine per output_index sees them."""
    mine = [due for due in dues if getattr(due.message, "output_index", None) == index]
    return kinds(mine)


def test_one_call_has_the_order_of_section_7_4():
    caller = calling()
    dues = asked(caller)
    assert kinds(dues) == CALL_7_4
    done = caller.only(say.ResponseFunctionCallArgumentsDone).message
    pieces = [due.message.delta for due in caller.every(say.ResponseFunctionCallArgumentsDelta)]
    assert "".join(pieces) == done.arguments
    assert max(map(len, pieces)) == 4
    assert done.name == "find_order"
    added = caller.only(say.ResponseOutputItemAdded).message.item
    assert (added.name, added.call_id, added.arguments) == ("find_order", done.call_id, "")
    (item,) = caller.only(say.ResponseDone).message.response.output
    assert (item.type, item.status) == ("function_call", "completed")
    assert (item.arguments, item.call_id) == (done.arguments, done.call_id)
    given = json.loads(done.arguments)
    assert 1000 <= given["number"] <= 1999
    assert given["where"] in {"shop", "web"}
    assert isinstance(given["urgent"], bool)


def test_arguments_come_to_the_nanosecond():
    caller = calling()
    caller.ask(user_text("hello"))
    start = caller.now_ns
    caller.respond(2000)
    assert caller.only(say.ResponseCreated).due_ns == start + ms(20)
    deltas = caller.every(say.ResponseFunctionCallArgumentsDelta)
    assert [d.due_ns - start for d in deltas] == [ms(200 + 10 * k) for k in range(len(deltas))]
    assert caller.only(say.ResponseDone).due_ns == deltas[-1].due_ns


def test_two_calls_in_parallel_each_have_their_order_and_their_deltas_interleave():
    caller = calling(kind="parallel")
    dues = asked(caller)
    one = [name for name in CALL_7_4[1:-1] if not name.startswith("conversation")]
    assert of_output(dues, 0) == of_output(dues, 1) == one
    indices = [
        due.message.output_index
        for due in dues
        if isinstance(due.message, say.ResponseFunctionCallArgumentsDelta)
    ]
    assert indices != sorted(indices)
    output = caller.only(say.ResponseDone).message.response.output
    assert [item.type for item in output] == ["function_call"] * 2
    assert len({item.call_id for item in output}) == 2
    added = [due.message for due in caller.every(say.ConversationItemAdded)]
    assert added[2].previous_item_id == added[1].item.id


def test_a_mixed_response_begins_its_call_before_its_message_is_done():
    caller = calling(kind="mixed")
    dues = asked(caller)
    assert of_output(dues, 0)[0] == "response.output_item.added"
    assert of_output(dues, 0)[-5:] == [
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
    ]
    assert of_output(dues, 1) == [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
    ]
    begun = next(n for n, due in enumerate(dues) if getattr(due.message, "output_index", 0) == 1)
    ended = next(
        n for n, due in enumerate(dues) if isinstance(due.message, say.ResponseOutputAudioDone)
    )
    assert begun < ended
    message, call = caller.only(say.ResponseDone).message.response.output
    assert (message.type, message.content[0].type) == ("message", "output_audio")
    assert call.type == "function_call"


def test_the_response_after_the_output_speaks_and_the_next_turn_calls_again():
    caller = calling()
    asked(caller)
    call_id = caller.only(say.ResponseFunctionCallArgumentsDone).message.call_id
    answers = caller.ask(tool_output(call_id))
    assert [type(due.message) for due in answers] == [
        say.ConversationItemAdded,
        say.ConversationItemDone,
    ]
    caller.respond(3000)
    assert caller.last(say.ResponseDone).response.output[0].type == "message"
    asked(caller)
    assert caller.last(say.ResponseDone).response.output[0].type == "function_call"


@pytest.mark.parametrize(
    ("session", "response", "expected"),
    [
        ({"tool_choice": "none"}, {}, "message"),
        ({"tool_choice": "required"}, {}, "function_call"),
        ({"tool_choice": {"type": "function", "name": "say_time"}}, {}, "say_time"),
        ({}, {"tool_choice": {"type": "function", "name": "say_time"}}, "say_time"),
        ({}, {"tool_choice": "none"}, "message"),
        ({}, {"tools": []}, "message"),
        ({"tool_choice": "none"}, {"tools": [OTHER], "tool_choice": "auto"}, "say_time"),
    ],
)
def test_the_choice_of_session_and_response_is_honoured(session, response, expected):
    caller = calling((TOOL, OTHER), **session)
    caller.ask(user_text("hello"))
    caller.ask(ask.ResponseCreate(response=msgspec.convert(response, ResponseParams)))
    caller.wait(3000)
    (item,) = caller.only(say.ResponseDone).message.response.output
    assert expected in {item.type, item.name}


def test_tools_left_to_auto_speak_in_half_of_the_turns_and_each_session_in_turns_of_its_own():
    def calls(number, **session):
        caller = Caller(msgspec.structs.replace(ROUND, tools=ToolsProfile()), number=number)
        caller.update(tools=[TOOL], **session)
        for _ in range(20):
            caller.typed_turn()
            for item in caller.last(say.ResponseDone).response.output:
                if item.type == "function_call":
                    caller.ask(tool_output(item.call_id))
        done = [due.message.response.output for due in caller.every(say.ResponseDone)]
        return [any(item.type == "function_call" for item in output) for output in done]

    some = [calls(number) for number in range(10)]
    assert 80 <= sum(map(sum, some)) <= 120  # of 200
    assert len(set(map(tuple, some))) == 10
    assert calls(3, tool_choice="auto") == some[3]
    assert not any(calls(3, tool_choice="none"))
    assert all(calls(3, tool_choice="required"))


def test_required_calls_even_where_nothing_was_said():
    caller = calling(tool_choice="required", kind="mixed")
    caller.respond(3000)
    output = caller.only(say.ResponseDone).message.response.output
    assert [item.type for item in output] == ["message", "function_call"]


def test_a_function_that_is_not_there_cannot_be_chosen():
    caller = calling()
    params = msgspec.convert({"tool_choice": {"type": "function", "name": "x"}}, ResponseParams)
    answers = caller.ask(ask.ResponseCreate(response=params))
    assert code(answers) == "invalid_value"
    assert answers[0].message.error.param == "response.tool_choice"


def test_without_a_users_turn_or_with_tools_of_the_server_alone_it_speaks():
    caller = calling()
    caller.respond(3000)
    caller.update(tools=[{"type": "web_search"}])
    caller.typed_turn()
    assert [due.message.response.output[0].type for due in caller.every(say.ResponseDone)] == [
        "message",
        "message",
    ]


def test_an_output_given_before_the_response_is_done_is_acknowledged_after_it():
    caller = calling(kind="mixed")
    caller.ask(user_text("hello"))
    caller.ask(ask.ResponseCreate())
    while not caller.every(say.ResponseFunctionCallArgumentsDone):
        caller.wait(10)
    call_id = caller.only(say.ResponseFunctionCallArgumentsDone).message.call_id
    assert not caller.every(say.ResponseDone)
    assert caller.ask(tool_output(call_id)) == []
    caller.wait(3000)
    done = caller.heard.index(caller.only(say.ResponseDone))
    after = [type(due.message) for due in caller.heard[done + 1 :]]
    assert after == [say.ConversationItemAdded, say.ConversationItemDone]


@pytest.mark.parametrize("early", [False, True])
def test_auto_tool_response_goes_on_by_itself_once_all_outputs_are_there(early):
    caller = calling(kind="parallel", providerData={"auto_tool_response": True})
    caller.ask(user_text("hello"))
    caller.ask(ask.ResponseCreate())
    while not caller.every(say.ResponseDone):
        if early and len(caller.every(say.ResponseFunctionCallArgumentsDone)) == 1:
            break
        caller.wait(10)
    caller.wait(0 if early else 1000)
    calls = [d.message.item for d in caller.every(say.ResponseOutputItemAdded)]
    assert len(calls) == 2
    caller.ask(tool_output(calls[0].call_id))
    if early:
        caller.wait(1000)
    assert len(caller.every(say.ResponseCreated)) == 1
    at = caller.now_ns
    caller.ask(tool_output(calls[1].call_id))
    collided = caller.ask(ask.ResponseCreate())
    assert code(collided) == "conversation_already_has_active_response"
    caller.wait(4000)
    assert caller.every(say.ResponseCreated)[1].due_ns == at + ms(20)
    assert caller.last(say.ResponseDone).response.output[0].type == "message"


def test_without_it_nothing_happens_after_the_output():
    caller = calling()
    asked(caller)
    caller.ask(tool_output(caller.only(say.ResponseFunctionCallArgumentsDone).message.call_id))
    caller.wait(4000)
    assert len(caller.every(say.ResponseCreated)) == 1


def test_a_call_that_is_cut_is_done_with_what_there_is_and_is_not_waited_for():
    caller = calling(providerData={"auto_tool_response": True})
    caller.typed_turn(reply_ms=225)
    answers = caller.ask(ask.ResponseCancel())
    assert kinds(answers) == CALL_7_4[4:]
    done = answers[-1].message.response
    assert (done.status, done.output[0].status) == ("cancelled", "incomplete")
    caller.ask(tool_output(done.output[0].call_id))
    caller.wait(3000)
    assert len(caller.every(say.ResponseCreated)) == 1


def test_a_spoken_turn_is_answered_by_a_call_too():
    caller = calling()
    caller.spoken_turn()
    assert caller.last(say.ResponseDone).response.output[0].type == "function_call"


def test_the_limit_on_tokens_cuts_arguments_short():
    caller = calling()
    caller.ask(user_text("hello"))
    caller.respond(3000, max_output_tokens=2)
    done = caller.only(say.ResponseDone).message.response
    assert (done.status, done.reason) == ("incomplete", "max_output_tokens")
    assert len(done.output[0].arguments) == 8
    assert done.usage["output_token_details"] == {"text_tokens": 2, "audio_tokens": 0}


def test_calls_and_outputs_count_as_input_of_what_follows():
    caller = calling()
    asked(caller)
    call = caller.only(say.ResponseDone).message.response
    caller.ask(tool_output(call.output[0].call_id, "three words here"))
    caller.respond(3000)
    usage = caller.last(say.ResponseDone).response.usage
    called = -(-len(call.output[0].arguments) // 4)
    assert call.usage["output_tokens"] == called
    assert usage["input_token_details"]["text_tokens"] == 1 + called + 3


def test_speech_cuts_a_mixed_response_output_by_output():
    slow = msgspec.structs.replace(
        ROUND,
        tools=ToolsProfile(one=0, parallel=0, mixed=1, first_ms=200, delta_ms=300),
        response=msgspec.structs.replace(ROUND.response, pace=1.0),
    )
    caller = Caller(slow)
    caller.update(tools=[TOOL])
    caller.typed_turn(reply_ms=300)
    caller.say(voiced(500))
    done = caller.only(say.ResponseDone).message.response
    assert done.status_details["reason"] == "turn_detected"
    assert [item.status for item in done.output] == ["incomplete", "incomplete"]
    assert len(caller.every(say.ResponseOutputItemDone)) == 2


@pytest.mark.parametrize(("speaks", "expected"), [(False, 2), (True, 1)])
def test_who_interrupts_has_the_word_and_nothing_goes_on_by_itself(speaks, expected):
    slow = msgspec.structs.replace(
        ROUND,
        tools=ToolsProfile(one=0, parallel=0, mixed=1, first_ms=200),
        response=msgspec.structs.replace(ROUND.response, pace=1.0),
    )
    caller = Caller(slow)
    caller.update(tools=[TOOL], providerData={"auto_tool_response": True})
    caller.ask(user_text("hello"))
    caller.ask(ask.ResponseCreate())
    while not caller.every(say.ResponseFunctionCallArgumentsDone):
        caller.wait(10)
    call_id = caller.only(say.ResponseFunctionCallArgumentsDone).message.call_id
    assert caller.ask(tool_output(call_id)) == []
    if speaks:
        caller.say(voiced(400))
    else:
        caller.ask(ask.ResponseCancel())
    caller.wait(100)
    assert len(caller.every(say.ResponseCreated)) == expected
    assert caller.every(say.ConversationItemDone)[-1].message.item.call_id == call_id


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        (None, lambda value: value == {}),
        ({"type": "object"}, lambda value: value == {}),
        ({"properties": {"a": {"const": 7}}}, lambda value: value == {"a": 7}),
        ({"properties": {"a": {"enum": [1, 2]}}}, lambda value: value["a"] in (1, 2)),
        ({"properties": {"a": {"type": ["null", "string"]}}}, lambda v: isinstance(v["a"], str)),
        ({"properties": {"a": {"type": "number", "maximum": -5}}}, lambda v: -15 <= v["a"] <= -5),
        ({"properties": {"a": {"type": "integer", "minimum": 99}}}, lambda v: 99 <= v["a"] <= 109),
        (
            {"properties": {"a": {"type": "array", "items": {"type": "boolean"}}}},
            lambda value: isinstance(value["a"][0], bool),
        ),
        (
            {"properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}}}},
            lambda value: isinstance(value["a"]["b"], str),
        ),
        ({"properties": {"a": {"type": "null"}, "b": 5}}, lambda value: value["a"] is None),
    ],
)
def test_arguments_fit_a_simple_schema(schema, fits):
    for n in range(20):
        assert fits(json.loads(arguments(schema, SessionDraws(1, 1), n)))
