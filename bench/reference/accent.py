"""How one session spells its messages where it has habits: same meaning, other words.

Theory of operation
-------------------
A spelling is a table from message type to a function from one message to the messages said in its
place: none, one or several. Habits are applied one after another, beta names last, to whatever the
server says, at the instant at which it says it. Without habits there is no accent, and no cost.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET

from bench.protocol import server as say
from bench.protocol.server import ServerMessage

Spelling = dict[type, Callable[[Any], Iterable[ServerMessage]]]
Accent = Callable[[ServerMessage], Iterable[ServerMessage]]

_HYPOTHESES: Final = 4
_TOKENS_A_MINUTE: Final = 100_000


def accent_of(habits: frozenset[str]) -> Accent | None:
    """What becomes of each message in a session with these habits; None if nothing."""
    spellings = [
        spelling() if callable(spelling) else spelling
        for habit, spelling in _SPELLINGS.items()
        if habit in habits
    ]
    if not spellings:
        return None

    def accent(message: ServerMessage) -> list[ServerMessage]:
        messages = [message]
        for spelling in spellings:
            messages = [
                spelt
                for one in messages
                for spelt in (spelling[type(one)](one) if type(one) in spelling else (one,))
            ]
        return messages

    return accent


def _hypotheses(one: say.InputAudioTranscriptionDelta) -> list[ServerMessage]:
    """The transcript in up to four deltas, each with all of the words so far."""
    words = one.delta.split(" ")
    count = min(_HYPOTHESES, len(words))
    ends = [-(-len(words) * part // count) for part in range(1, count + 1)]
    return [msgspec.structs.replace(one, delta=" ".join(words[:end])) for end in ends]


def _without(**fields: Any) -> Callable[[Any], tuple[ServerMessage, ...]]:
    """A function that gives a message with these fields set instead: UNSET leaves them out."""
    return lambda one: (msgspec.structs.replace(one, **fields),)


def _without_usage(one: say.ResponseDone) -> tuple[ServerMessage, ...]:
    response = msgspec.structs.replace(one.response, usage=UNSET)
    return (msgspec.structs.replace(one, response=response),)


def _limited(one: say.ResponseDone) -> tuple[ServerMessage, ...]:
    usage = one.response.usage
    spent = usage["total_tokens"] if isinstance(usage, dict) else 0
    left = max(0, _TOKENS_A_MINUTE - spent)
    entry = {"name": "tokens", "limit": _TOKENS_A_MINUTE, "remaining": left, "reset_seconds": 0.1}
    return one, say.RateLimitsUpdated(rate_limits=[entry])


def _flat(one: say.ErrorMessage) -> tuple[ServerMessage, ...]:
    return (say.ErrorMessage(message=one.text),)


def _with_conversation(one: say.SessionCreated) -> tuple[ServerMessage, ...]:
    name = str(one.session.id).removeprefix("sess_")
    conversation = {"id": f"conv_{name}", "object": "realtime.conversation"}
    return one, say.ConversationCreated(conversation=conversation)


def _agents_previous_null(one: say.ConversationItemDone) -> tuple[ServerMessage, ...]:
    agents = one.item.role == "assistant" or one.item.type == "function_call"
    return (msgspec.structs.replace(one, previous_item_id=None) if agents else one,)


def _without_in_calls(name: str) -> Spelling:
    """Tool calls without a field, wherever they are said."""

    def bare(one: Any) -> Any:
        calls = one.type == "function_call"
        return msgspec.structs.replace(one, **{name: UNSET}) if calls else one

    def items(one: Any) -> tuple[ServerMessage, ...]:
        return (msgspec.structs.replace(one, item=bare(one.item)),)

    def done(one: say.ResponseDone) -> tuple[ServerMessage, ...]:
        output = one.response.output
        if not isinstance(output, list):
            return (one,)
        response = msgspec.structs.replace(one.response, output=[bare(item) for item in output])
        return (msgspec.structs.replace(one, response=response),)

    messages: Spelling = {say.ResponseFunctionCallArgumentsDone: _without(**{name: UNSET})}
    if name == "call_id":
        messages[say.ResponseFunctionCallArgumentsDelta] = _without(call_id=UNSET)
    return {
        **messages,
        say.ResponseOutputItemAdded: items,
        say.ResponseOutputItemDone: items,
        say.ConversationItemAdded: items,
        say.ConversationItemDone: items,
        say.ResponseDone: done,
    }


def _strays() -> Spelling:
    """A start of speech after every response.created, where the server heard the last one end."""
    ended_ms = 0

    def stopped(one: say.InputAudioBufferSpeechStopped) -> tuple[ServerMessage, ...]:
        nonlocal ended_ms
        ended_ms = one.audio_end_ms or ended_ms
        return (one,)

    def created(one: say.ResponseCreated) -> tuple[ServerMessage, ...]:
        item_id = f"stray_{one.response.id}"
        return one, say.InputAudioBufferSpeechStarted(item_id=item_id, audio_start_ms=ended_ms)

    return {say.InputAudioBufferSpeechStopped: stopped, say.ResponseCreated: created}


class _VadState(ServerMessage, tag="input_audio_buffer.vad_state", kw_only=True):
    """A type that is in nobody's list."""

    state: str


def _repeated(times: int) -> Callable[[Any], list[ServerMessage]]:
    """A function that gives a message so many times, each with an event id of its own."""
    return lambda one: [one, *(msgspec.structs.replace(one) for _ in range(times - 1))]


def _with_state(state: str) -> Callable[[Any], tuple[ServerMessage, ...]]:
    return lambda one: (_VadState(state=state), one)


def _renamed(kind: type[ServerMessage]) -> Callable[[Any], tuple[ServerMessage, ...]]:
    """A function that gives the same fields under the name of another type."""

    def renamed(one: ServerMessage) -> tuple[ServerMessage, ...]:
        return (kind(**{name: getattr(one, name) for name in one.__struct_fields__}),)

    return renamed


_SPELLINGS: Final[dict[str, Spelling | Callable[[], Spelling]]] = {
    "cumulative_deltas": {say.InputAudioTranscriptionDelta: _hypotheses},
    # Before usage is left out: what remains is counted from it.
    "rate_limits": {say.ResponseDone: _limited},
    "missing_usage": {
        say.ResponseDone: _without_usage,
        say.InputAudioTranscriptionCompleted: _without(usage=UNSET),
    },
    "missing_name": {say.ResponseFunctionCallArgumentsDone: _without(name=UNSET)},
    "missing_ms": {
        say.InputAudioBufferSpeechStarted: _without(audio_start_ms=UNSET),
        say.InputAudioBufferSpeechStopped: _without(audio_end_ms=UNSET),
    },
    "conversation_created": {say.SessionCreated: _with_conversation},
    "flat_error": {say.ErrorMessage: _flat},
    "previous_null": {say.ConversationItemDone: _agents_previous_null},
    "no_session_updated": {say.SessionUpdated: lambda _: ()},
    "updated_as_created": {
        say.SessionUpdated: lambda one: (say.SessionCreated(session=one.session),)
    },
    "nameless_calls": _without_in_calls("name"),
    "idless_calls": _without_in_calls("call_id"),
    "stray_speech_started": _strays,
    "repeated_response_created": {say.ResponseCreated: _repeated(2)},
    "no_response_created": {say.ResponseCreated: lambda _: ()},
    "repeated_speech_stopped": {say.InputAudioBufferSpeechStopped: _repeated(3)},
    "unknown_types": {
        say.InputAudioBufferSpeechStarted: _with_state("speaking"),
        say.InputAudioBufferSpeechStopped: _with_state("quiet"),
    },
    "beta_names": {
        say.ResponseOutputAudioDelta: _renamed(say.BetaAudioDelta),
        say.ResponseOutputAudioDone: _renamed(say.BetaAudioDone),
        say.ResponseOutputAudioTranscriptDelta: _renamed(say.BetaTranscriptDelta),
        say.ResponseOutputAudioTranscriptDone: _renamed(say.BetaTranscriptDone),
        say.ResponseOutputTextDelta: _renamed(say.BetaTextDelta),
        say.ResponseOutputTextDone: _renamed(say.BetaTextDone),
        say.ConversationItemAdded: _renamed(say.ConversationItemCreated),
        say.ConversationItemDone: lambda _: (),
    },
}
