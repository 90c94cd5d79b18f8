"""Which messages a target is said to know."""

from bench.probe.answers import read_message
from bench.probe.message_checks import message_rows, message_states
from bench.probe.probed_session import ProbedSession
from bench.runs.rows import Row
from tests.probe.recorded import (
    ask,
    audio_delta,
    done,
    error,
    told,
)


def test_every_message_of_the_seed_has_a_state():
    states = message_states([ProbedSession("call")])
    assert len(states) == 39
    assert set(states.values()) == {"not seen"}


def test_a_client_message_is_seen_once_it_was_acknowledged_anywhere():
    kind = "session.update"
    first = told(asked=[ask("a", kind, "refused (x)", error("x")), ask("b", kind, "seen")])
    assert message_states([first])[kind] == "seen"
    only = told(asked=[ask("a", kind, "refused (x)", error("x")), ask("b", kind, "not seen")])
    assert message_states([only])[kind] == "refused (x)"


def test_what_a_refused_message_would_have_brought_is_refused_as_well():
    asked = ask("truncate", "conversation.item.truncate", "refused (x)", error("x"))
    states = message_states([told(asked=[asked])])
    assert states["conversation.item.truncated"] == "refused (x)"
    assert states["conversation.item.deleted"] == "not seen"


def test_an_error_on_purpose_says_nothing_against_its_message():
    asked = ask("cancel_idle", "response.cancel", "refused (x)", error("x"), provoking=True)
    assert message_states([told(asked=[asked])])["response.cancel"] == "not seen"


def test_a_response_that_was_complete_before_its_cancel_was_not_cancelled():
    for status, state in (("cancelled", "seen"), ("completed", "not seen")):
        asked = ask("cancel", "response.cancel", "seen", done(status))
        assert message_states([told(asked=[asked])])["response.cancel"] == state


def test_audio_was_taken_where_the_server_said_that_it_heard_something():
    append = Row(0, 0, 0, None, "out", "input_audio_buffer.append")
    assert message_states([ProbedSession("call", [append])])[append.type] == "not seen"
    heard = [read_message(0, b'{"type":"input_audio_buffer.speech_started"}')]
    assert message_states([ProbedSession("call", [append], heard)])[append.type] == "seen"


def test_a_beta_spelling_counts_for_its_message_and_is_listed_itself():
    heard = told(audio_delta(b"\x00\x00", kind="response.audio.delta"))
    found = {row.name: row for row in message_rows([heard])}
    assert found["response.output_audio.delta"].state == "seen"
    assert found["response.output_audio.delta"].detail == "as response.audio.delta"
    assert found["response.audio.delta"].detail == "not in the seed"
