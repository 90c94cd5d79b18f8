"""Which messages a target knows: the client's by their acknowledgement, the server's by sight.

A message that was never heard is `refused (code)` where the client message that brings it was
refused, else `not seen`: nothing can be said of what did not come.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from bench.probe.findings import Row
from bench.probe.tape import APPEND, GA_NAMES, NOT_SEEN, SEEN, Ask, Tape, ga, table
from bench.protocol.codec import message_table

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


def message_states(tapes: Sequence[Tape]) -> dict[str, str]:
    """The state of every message of the seed, and of whatever else was heard."""
    client = _client_states(tapes)
    heard = {frame.type for tape in tapes for frame in tape.heard}
    by_ga = {ga(kind) for kind in heard}
    states: dict[str, str] = {}
    for entry in message_table():
        if entry.in_seed and entry.direction == "client":
            states[entry.type] = client.get(entry.type, NOT_SEEN)
        elif entry.in_seed:
            why = states.get(_PROVOKED_BY.get(entry.type, ""), "")
            unheard = why if why.startswith("refused") else NOT_SEEN
            states[entry.type] = SEEN if entry.type in by_ga else unheard
    return states | {kind: SEEN for kind in sorted(heard) if kind not in states}


def _client_states(tapes: Sequence[Tape]) -> dict[str, str]:
    states: dict[str, str] = {}
    for tape in tapes:
        for ask in tape.asks:
            state = _state(ask)
            if ask.provoking or states.get(ask.type) == SEEN:
                continue
            if states.get(ask.type, NOT_SEEN) == NOT_SEEN or state == SEEN:
                states[ask.type] = state
        if any(f.out and f.type == APPEND for f in tape.frames) and tape.of(*_HEARD):
            states[APPEND] = SEEN
    return states


def _state(ask: Ask) -> str:
    """What an ask says of its message; a response that was cancelled too late was not cancelled."""
    ended = table(ask.answer, "response").get("status")
    too_late = ask.type == "response.cancel" and ended != "cancelled"
    return NOT_SEEN if ask.state == SEEN and too_late else ask.state


def message_rows(tapes: Sequence[Tape]) -> Iterator[Row]:
    """The seed's messages, and whatever else was heard."""
    known = {entry.type: entry for entry in message_table()}
    heard = {frame.type for tape in tapes for frame in tape.heard}
    for kind, state in message_states(tapes).items():
        beta = [name for name, meant in GA_NAMES.items() if meant == kind and name in heard]
        detail = f"as {beta[0]}" if beta else ""
        if kind not in known or not known[kind].in_seed:
            detail = "not in the seed"
        yield Row(group=MESSAGES, name=kind, state=state, detail=detail)
