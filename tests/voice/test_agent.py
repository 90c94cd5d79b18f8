"""What the agent is known to be doing, from what its server says."""

import msgspec
import pytest

from bench.protocol import server
from bench.protocol.objects import Item, Response
from bench.voice.agent import HEARS_NS, Agent
from bench.voice.audio import ms
from bench.voice.directions import Call


def called(**fields):
    return msgspec.convert({"type": "function_call", **fields}, Item)


def created(agent, response="r", at=0):
    agent.receive(server.ResponseCreated(response=Response(id=response)), at)


def test_a_call_is_known_by_its_item_however_the_server_spreads_it_over_messages():
    whole = Call("c1", "look", '{"a":1}')
    ids = {"response_id": "r", "item_id": "f1"}
    added = server.ResponseOutputItemAdded(
        response_id="r", item=called(id="f1", call_id="c1", name="look", arguments="")
    )
    arguments = server.ResponseFunctionCallArgumentsDone(**ids, arguments='{"a":1}')  # no name
    done = server.ResponseOutputItemDone(
        response_id="r", item=called(id="f1", call_id="c1", name="look", arguments='{"a":1}')
    )
    ended = server.ResponseDone(response=Response(id="r", output=[done.item]))
    for messages in ([added, arguments], [added, done], [done], [arguments, done], [ended]):
        agent = Agent()
        created(agent)
        for message in messages:
            agent.receive(message, 1)
        assert agent.calls == (whole,), messages


def test_two_calls_of_one_response_are_two_and_those_of_another_response_are_not_its_own():
    agent = Agent()
    created(agent)
    for n in (1, 2):
        item = called(id=f"f{n}", call_id=f"c{n}", name="look", arguments="{}")
        agent.receive(server.ResponseOutputItemDone(response_id="r", item=item), 1)
    assert [call.call_id for call in agent.calls] == ["c1", "c2"]
    created(agent, "r2")
    assert agent.calls == ()


def test_an_answer_that_was_asked_for_is_owed_until_a_response_begins_or_it_is_refused():
    agent = Agent()
    created(agent)
    agent.receive(server.ResponseDone(response=Response(id="r")), 1)
    assert agent.answered
    agent.asked(2)
    assert not agent.answered
    agent.refused()
    assert agent.answered
    agent.asked(3)
    created(agent, "r2", 4)
    assert not agent.answered
    agent.receive(server.ResponseDone(response=Response(id="r2")), 5)
    assert agent.answered


@pytest.mark.parametrize("opens_turn", [True, False])
def test_what_opens_no_turn_leaves_the_reply_what_it_was(opens_turn):
    agent = Agent()
    created(agent)
    agent.receive(server.ResponseDone(response=Response(id="r")), 1)
    agent.spoken_to(ms(5), opens_turn=opens_turn)
    assert agent.answered != opens_turn


def test_words_of_the_answer_keep_the_caller_patient():
    agent = Agent()
    created(agent, "old")
    created(agent, at=10)
    agent.receive(server.ResponseOutputTextDelta(response_id="r", item_id="a", delta="x"), 500)
    assert agent.progress_ns == 500
    agent.receive(server.ResponseOutputTextDelta(response_id="old", item_id="a", delta="x"), 900)
    assert agent.progress_ns == 500


def started(item="i"):
    return server.InputAudioBufferSpeechStarted(item_id=item)


def stopped(item="i"):
    return server.InputAudioBufferSpeechStopped(item_id=item)


def done(response="r", status="completed"):
    return server.ResponseDone(response=Response(id=response, status=status))


def heard(*messages, offset=100, step=10):
    """An agent that was spoken to until `offset` ms and then said these, 10 ms apart."""
    agent = Agent()
    agent.spoken_to(ms(offset), opens_turn=True)
    for place, message in enumerate(messages):
        agent.receive(message, ms(offset + step * (place + 1)))
    return agent


CREATED = server.ResponseCreated(response=Response(id="r"))


@pytest.mark.parametrize(
    "messages",
    [
        (started(), stopped(), started("x"), CREATED, done()),
        (started(), stopped(), CREATED, started("x"), done()),
        (started(), stopped(), CREATED, done(), started("x")),
        (started(), stopped(), CREATED, started(""), done(), started("")),
        (started(), stopped(), started(), CREATED, started(), done(), started()),
        (started(), stopped(), stopped(), CREATED, stopped(), done(), stopped()),
    ],
)
def test_a_start_that_nothing_follows_keeps_no_answer_from_being_whole(messages):
    assert heard(*messages).answered


def test_a_start_long_after_the_last_word_is_not_of_it():
    words = (started(), stopped(), CREATED, done())
    agent = heard(*words)
    agent.spoken_to(ms(1000), opens_turn=False)  # an mm-hmm into the reply
    agent.receive(started("x"), ms(1000) + HEARS_NS + 1)
    assert agent.answered
    agent.receive(started("y"), ms(1000) + HEARS_NS)
    assert not agent.answered


def test_a_start_that_cut_its_reply_is_waited_for():
    agent = heard(started(), stopped(), CREATED, started("x"), done(status="cancelled"))
    assert not agent.answered
    agent.receive(stopped("x"), ms(500))
    assert not agent.answered
    agent.receive(server.ResponseCreated(response=Response(id="r2")), ms(520))
    agent.receive(done("r2"), ms(540))
    assert agent.answered


IDS = {"response_id": "r", "item_id": "a"}
SPOKEN = msgspec.convert({"type": "message", "id": "a"}, Item)


@pytest.mark.parametrize(
    "first",
    [
        server.ResponseOutputItemAdded(response_id="r", item=SPOKEN),
        server.ResponseOutputAudioDelta(**IDS, delta=b"\x00\x01"),
        server.ResponseOutputAudioTranscriptDelta(**IDS, delta="hi"),
        server.ResponseOutputTextDelta(**IDS, delta="hi"),
        done(),
    ],
)
def test_a_response_begins_with_whatever_names_it_first_and_once(first):
    agent = Agent()
    agent.asked(1)
    agent.receive(first, 2)
    assert agent.replies == ["r"]
    agent.receive(CREATED, 3)
    agent.receive(CREATED, 4)
    agent.receive(done(), 5)
    assert agent.replies == ["r"]
    assert agent.answered
    agent.receive(server.ResponseOutputAudioDelta(**IDS, delta=b"\x00\x01"), 6)
    agent.receive(CREATED, 7)
    assert agent.answered


def test_a_call_without_any_id_is_a_call_all_the_same():
    bare = called(arguments="{}")
    ids = [
        server.ResponseOutputItemDone(response_id="r", output_index=n, item=bare) for n in (0, 1)
    ]
    agent = heard(CREATED, *ids, done())
    assert agent.calls == (Call("", "", "{}"), Call("", "", "{}"))
