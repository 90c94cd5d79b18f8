"""Which messages a target knows: the client's by their acknowledgement, the server's by sight.

A message that was never heard is `refused (code)` where the client message that brings it was
refused, else `not seen`: nothing can be said of what did not come.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from bench.probe.answers import CURRENT_NAMES, Exchange, current_name
from bench.probe.findings import NOT_SEEN, SEEN, Finding
from bench.probe.probed_session import ProbedSession
from bench.protocol.codec import message_table
from bench.tracker.event import table
from bench.voice.microphone import APPEND

MESSAGES: Final = "messages"
_PROVOKED_BY: Final = {
    "session.updated": "session.update",
    "input_audio_buffer.cleared": "input_audio_buffer.clear",
    "input_audio_buffer.committed": "input_audio_buffer.commit",
    "conversation.item.truncated": "conversation.item.truncate",
    "conversation.item.deleted": "conversation.item.delete",
    "conversation.item.retrieved": "conversation.item.retrieve",
    "response.created": "response.create",
    "response.done": "response.create",
}
_HEARD: Final = (
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
)


def message_states(sessions: Sequence[ProbedSession]) -> dict[str, str]:
    """The state of every message of the seed, and of whatever else was heard."""
    client = _client_states(sessions)
    heard = {said.type for session in sessions for said in session.received}
    current = {current_name(kind) for kind in heard}
    states: dict[str, str] = {}
    for entry in message_table():
        if entry.in_seed and entry.direction == "client":
            states[entry.type] = client.get(entry.type, NOT_SEEN)
        elif entry.in_seed:
            why = states.get(_PROVOKED_BY.get(entry.type, ""), "")
            unheard = why if why.startswith("refused") else NOT_SEEN
            states[entry.type] = SEEN if entry.type in current else unheard
    return states | {kind: SEEN for kind in sorted(heard) if kind not in states}


def _client_states(sessions: Sequence[ProbedSession]) -> dict[str, str]:
    states: dict[str, str] = {}
    for session in sessions:
        for ask in session.exchanges:
            state = _state(ask)
            if ask.provoking or states.get(ask.type) == SEEN:
                continue
            if states.get(ask.type, NOT_SEEN) == NOT_SEEN or state == SEEN:
                states[ask.type] = state
        if session.first_ns(APPEND) is not None and session.of(*_HEARD):
            states[APPEND] = SEEN
    return states


def _state(ask: Exchange) -> str:
    """What an ask says of its message; a response that was cancelled too late was not cancelled."""
    ended = table(ask.answer, "response").get("status")
    too_late = ask.type == "response.cancel" and ended != "cancelled"
    return NOT_SEEN if ask.state == SEEN and too_late else ask.state


def message_rows(sessions: Sequence[ProbedSession]) -> Iterator[Finding]:
    """The seed's messages, and whatever else was heard."""
    known = {entry.type: entry for entry in message_table()}
    heard = {said.type for session in sessions for said in session.received}
    for kind, state in message_states(sessions).items():
        beta = [name for name, meant in CURRENT_NAMES.items() if meant == kind and name in heard]
        detail = f"as {beta[0]}" if beta else ""
        if kind not in known or not known[kind].in_seed:
            detail = "not in the seed"
        yield Finding(MESSAGES, kind, state, detail=detail)
