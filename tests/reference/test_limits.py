"""Session expiry and the limits of an packets, each breach shown as configured."""

import msgspec
import pytest

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol.codec import decode_server
from bench.reference.profile import LimitsProfile
from bench.reference.schedule import Close, Raw
from bench.reference.server_state import ServerState
from bench.voice.audio import ms
from tests.reference.stage import ROUND, Caller, code, user_text


def limited(**limits):
    return msgspec.structs.replace(ROUND, limits=LimitsProfile(**limits))


def test_a_session_ends_at_its_age_with_an_error_and_1001_and_the_reason():
    caller = Caller(limited(session_s=90))
    caller.wait(89_999)
    assert caller.types() == ["session.created"]
    caller.wait(1)
    error, close = caller.heard[-2:]
    assert error.message.error.code == "session_expired"
    assert (close.due_ns, close.message.code) == (ms(90_000), 1001)
    assert close.message.reason == "Your session hit the maximum duration of 1.5 minutes."
    assert not caller.ask(ask.ResponseCreate())


def test_expiry_in_mid_turn_says_nothing_more():
    caller = Caller(limited(session_s=0.4))
    caller.respond(4000)
    assert caller.every(say.ResponseOutputAudioDelta)
    assert isinstance(caller.heard[-1].message, Close)
    assert not caller.every(say.ResponseDone)


def test_expires_at_says_when():
    caller = Caller(limited(session_s=90), opened_s=1000)
    assert caller.only(say.SessionCreated).message.session.expires_at == 1090
    caller = Caller(ROUND, opened_s=1000)
    assert caller.only(say.SessionCreated).message.session.expires_at == 4600


@pytest.mark.parametrize(
    ("breach", "expected"),
    [
        ("error", say.ErrorMessage),
        ("at_capacity", say.ErrorMessage),
        ("errortype", Raw),
        ("close", None),
    ],
)
def test_a_session_over_the_limit_is_told_and_closed(breach, expected):
    caller = Caller(limited(sessions=1, breach=breach), over_limit=True)
    said = [type(due.message) for due in caller.heard]
    assert said == [kind for kind in (expected, Close) if kind]
    assert caller.heard[-1].message.code == 1013
    if breach == "error":
        assert code(caller.heard[:1]) == "session_limit_reached"
    if breach == "at_capacity":
        detail = caller.heard[0].message.error
        assert detail.message == "The model is at capacity, temporarily unavailable."
        assert detail.code is None
    caller.wait(5000)
    assert caller.server.next_due() is None


def test_packets_of_all_sessions_count_together_and_are_heard_again_later():
    profile = limited(packets_per_second=3, breach="error")
    state = ServerState(profile)
    one, two = (Caller(profile, number=n, state=state) for n in (1, 2))
    for _ in range(2):
        assert one.ask(user_text("a"))
    assert two.ask(user_text("b"))
    refused = two.ask(user_text("c"))
    assert code(refused) == "rate_limit_exceeded"
    assert code(one.ask(user_text("d"))) == "rate_limit_exceeded"
    one.wait(1000)
    (added, _) = one.ask(user_text("e"))
    assert added.message.item.content[0].text == "e"


@pytest.mark.parametrize("breach", ["429", "error", "errortype", "close", "at_capacity"])
def test_a_packet_too_many_is_not_heard_and_shown_as_configured(breach):
    caller = Caller(limited(packets_per_second=1, breach=breach))
    caller.ask(user_text("a", id="a"))
    (answer,) = caller.ask(ask.ConversationItemDelete(item_id="a", event_id="e"))
    if breach == "close":
        assert answer.message.code == 1013
        return
    if breach == "at_capacity":
        assert "at capacity" in answer.message.error.message
    elif breach == "errortype":
        assert decode_server(answer.message.payload).type.startswith("errorType:")
    else:
        assert answer.message.error.code == "rate_limit_exceeded"
        assert answer.message.error.event_id == "e"
    caller.wait(1000)
    caller.ask(ask.ConversationItemRetrieve(item_id="a"))
    assert caller.every(say.ConversationItemRetrieved)
