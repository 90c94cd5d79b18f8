"""How a session with quirks says its messages: other messages, other frames, the same meaning.

Theory of operation
-------------------
Two tables. `_MESSAGE_VARIANTS` has for a quirk a table from message type to a function from one
message to the messages said in its place: none, one or several. They are applied one after another,
beta names last, to whatever the server says, at the instant at which it says it. `_FRAME_VARIANTS`
change fields of the JSON in which a message goes, or add unknown fields that no strict reader
takes; one puts the text into a binary frame. Without such quirks a message is encoded and nothing
else, at no cost.
"""

import json
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET

from bench.protocol import server as say
from bench.protocol import server_extras
from bench.protocol.codec import encode
from bench.protocol.server import ServerMessage

MessageTable = dict[type, Callable[[Any], Iterable[ServerMessage]]]
Variants = Callable[[ServerMessage], Iterable[ServerMessage]]
Framing = Callable[[ServerMessage], str | bytes]

_HYPOTHESES: Final = 4
_TOKENS_A_MINUTE: Final = 100_000
_LINE: Final = 76
"""Letters a line of base64, as MIME has it."""
_INEXACT_MS: Final = 0.4
_URL_SAFE: Final = str.maketrans("+/", "-_")
_GRPC_INVALID: Final = 3


def variants_of(quirks: frozenset[str]) -> Variants | None:
    """A function from a message to those said in its place; None if these quirks change none."""
    tables = [
        table() if callable(table) else table
        for quirk, table in _MESSAGE_VARIANTS.items()
        if quirk in quirks
    ]
    if not tables:
        return None

    def variants(message: ServerMessage) -> list[ServerMessage]:
        messages = [message]
        for table in tables:
            messages = [
                said
                for one in messages
                for said in (table[type(one)](one) if type(one) in table else (one,))
            ]
        return messages

    return variants


def framing_of(quirks: frozenset[str]) -> Framing:
    """A function from a message to its frame under these quirks: text, or bytes for binary."""
    changes = [change for quirk, change in _FRAME_VARIANTS.items() if quirk in quirks]
    unknown = "".join(field for quirk, field in _UNKNOWN_FIELDS.items() if quirk in quirks)
    deep = _DEEP if "deep_nesting" in quirks else ""
    head = "\ufeff" if "loose_json" in quirks else ""
    binary = "binary_frames" in quirks

    def plain(message: ServerMessage) -> str | bytes:
        return encode(message) if binary else encode(message).decode()

    def odd(message: ServerMessage) -> str | bytes:
        whole = msgspec.to_builtins(message)
        for change in changes:
            change(whole)
        added = unknown if whole.get("type", "").endswith(".delta") else unknown + deep
        text = f"{head}{json.dumps(whole)[:-1]}{added}}}"
        return text.encode() if binary else text

    return odd if changes or unknown or deep or head else plain


def _hypotheses(one: say.InputAudioTranscriptionDelta) -> list[ServerMessage]:
    """Split a transcript into up to four deltas, each with all of the words so far."""
    words = one.delta.split(" ")
    count = min(_HYPOTHESES, len(words))
    ends = [-(-len(words) * part // count) for part in range(1, count + 1)]
    return [msgspec.structs.replace(one, delta=" ".join(words[:end])) for end in ends]


def _without(**fields: Any) -> Callable[[Any], tuple[ServerMessage, ...]]:
    """A variant that sets these fields: UNSET leaves them out."""
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
    return one, server_extras.ConversationCreated(conversation=conversation)


def _agents_previous_null(one: say.ConversationItemDone) -> tuple[ServerMessage, ...]:
    agents = one.item.role == "assistant" or one.item.type == "function_call"
    return (msgspec.structs.replace(one, previous_item_id=None) if agents else one,)


def _without_in_calls(name: str) -> MessageTable:
    """Variants that leave a field out of tool calls in every message that has them."""

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

    messages: MessageTable = {say.ResponseFunctionCallArgumentsDone: _without(**{name: UNSET})}
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


def _strays() -> MessageTable:
    """Variants that add a speech_started after every response.created, at the last end heard."""
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
    """A message of a type that no documentation lists."""

    state: str


def _repeated(times: int) -> Callable[[Any], list[ServerMessage]]:
    """A variant that says a message so many times, each with an event id of its own."""
    return lambda one: [one, *(msgspec.structs.replace(one) for _ in range(times - 1))]


def _with_state(state: str) -> Callable[[Any], tuple[ServerMessage, ...]]:
    return lambda one: (_VadState(state=state), one)


def _renamed(kind: type[ServerMessage]) -> Callable[[Any], tuple[ServerMessage, ...]]:
    """A variant that says the same fields under the name of another type."""

    def renamed(one: ServerMessage) -> tuple[ServerMessage, ...]:
        return (kind(**{name: getattr(one, name) for name in one.__struct_fields__}),)

    return renamed


_MESSAGE_VARIANTS: Final[dict[str, MessageTable | Callable[[], MessageTable]]] = {
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
        say.ResponseOutputAudioDelta: _renamed(server_extras.BetaAudioDelta),
        say.ResponseOutputAudioDone: _renamed(server_extras.BetaAudioDone),
        say.ResponseOutputAudioTranscriptDelta: _renamed(server_extras.BetaTranscriptDelta),
        say.ResponseOutputAudioTranscriptDone: _renamed(server_extras.BetaTranscriptDone),
        say.ResponseOutputTextDelta: _renamed(server_extras.BetaTextDelta),
        say.ResponseOutputTextDone: _renamed(server_extras.BetaTextDone),
        say.ConversationItemAdded: _renamed(server_extras.ConversationItemCreated),
        say.ConversationItemDone: lambda _: (),
    },
}


def _loosen(whole: dict[str, Any]) -> None:
    """Write base64 in lines, with the letters of URLs, without padding."""
    if whole["type"].endswith("audio.delta"):
        letters = whole["delta"].rstrip("=").translate(_URL_SAFE)
        whole["delta"] = "\r\n".join(textwrap.wrap(letters, _LINE))


def _unround(whole: dict[str, Any]) -> None:
    """Write positions as floats that are not whole, and indexes as strings."""
    for name in ("audio_start_ms", "audio_end_ms"):
        if isinstance(whole.get(name), int):
            whole[name] += _INEXACT_MS
    for name in ("output_index", "content_index"):
        if name in whole:
            whole[name] = str(whole[name])


def _say_error(whole: dict[str, Any]) -> None:
    if isinstance(whole.get("error"), dict) and whole["type"] == "error":
        whole["error"] = whole["error"]["message"]


def _number_code(whole: dict[str, Any]) -> None:
    if isinstance(whole.get("error"), dict) and whole["type"] == "error":
        whole["error"]["code"] = _GRPC_INVALID


def _untype_error(whole: dict[str, Any]) -> None:
    if whole["type"] == "error":
        del whole["type"]


def _drop_ids(whole: dict[str, Any]) -> None:
    if whole["type"].startswith("response."):
        whole.pop("response_id", None)
        whole.pop("item_id", None)


_FRAME_VARIANTS: Final[dict[str, Callable[[dict[str, Any]], None]]] = {
    "loose_base64": _loosen,
    "float_positions": _unround,
    "error_string": _say_error,
    "integer_code": _number_code,
    "missing_ids": _drop_ids,
    # The last: the others look at the type.
    "untyped_error": _untype_error,
}
_UNKNOWN_FIELDS: Final = {
    "lone_surrogates": r',"mood":"\ud83d"',
    "odd_numbers": f',"load":NaN,"left":1e999,"serial":{"9" * 400}',
    "loose_json": ',"note":"two\nlines"',
}
_DEEP: Final = f',"trace":{"[" * 2000}{"]" * 2000}'
"""In all but deltas, which are many."""
