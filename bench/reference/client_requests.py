"""What a client may ask for: frames read, rules for sessions and responses, and the errors.

Theory of operation
-------------------
A binary frame, and text that is no JSON object, are messages of no type. OpenAI knows every field
of a message and takes none besides; Inworld skips what it does not know.

A rule looks at one value and answers with a complaint or with nothing. Only paths that are present
are looked at, in the order of the table; the first complaint is the answer, with the path as the
`param` and the code that OpenAI gives. Ranges and enumerations are those of `protocol.md`,
section 2. A service that is not strict overlooks a word that it does not know, as if it had not
been said, and has one code for all the rest.

Errors have the API's own shape: what was wrong, where, and which client message was at fault.
"""

import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final, NamedTuple

import msgspec

from bench.errors import ProtocolError
from bench.protocol.client import ClientMessage
from bench.protocol.codec import UnknownMessage, client_object, decode_client, message_table
from bench.protocol.objects import ErrorDetail, ResponseParams
from bench.protocol.parameters import unknown_parameter
from bench.protocol.server import ErrorMessage
from bench.reference.vendor import ServiceProfile
from bench.voice.audio import FORMATS

Incoming = ClientMessage | UnknownMessage

NOT_JSON: Final = "(no JSON)"
"""The type of a frame that holds no JSON object."""
LONGEST_EVENT_ID: Final = 512
MAX_TOKENS: Final = 4096

_CLIENT_TYPES: Final = frozenset(
    entry.type for entry in message_table() if entry.direction == "client"
)
_PLACE: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`")
_UNKNOWN: Final = re.compile(r"Unknown parameter: '(?P<path>[^']*)'")
_MISSING: Final = re.compile(r"missing required field `(?P<field>[^`]*)`")


class Invalid(NamedTuple):
    """A value that is refused: its path as real servers give it, a sentence, and a code."""

    param: str
    message: str
    code: str = "invalid_value"


class Complaint(NamedTuple):
    """What a rule objects to in a value. `at`: the field of the value that is meant.

    `word`: it is a word that the service does not know, which not every service minds.
    """

    text: str
    code: str = "invalid_value"
    at: str = ""
    word: bool = False


Rule = Callable[[Any], Complaint | None]


def one_of(*words: str) -> Rule:
    """A rule: one of these words."""
    listed = ", ".join(repr(word) for word in words)
    unknown = f"Supported values are: {listed}."
    return lambda value: None if value in words else Complaint(f"{value!r}. {unknown}", word=True)


def between(low: float, high: float) -> Rule:
    """A rule: a number from `low` to `high`, both included."""

    def rule(value: Any) -> Complaint | None:
        kind = "integer" if isinstance(low, int) else "decimal"
        if value < low:
            text = (
                f"{kind} below minimum value. Expected a value >= {low}, but got {value} instead."
            )
            return Complaint(text, f"{kind}_below_min_value")
        if value > high:
            text = (
                f"{kind} above maximum value. Expected a value <= {high}, but got {value} instead."
            )
            return Complaint(text, f"{kind}_above_max_value")
        return None

    return rule


def each(*words: str) -> Rule:
    """A rule: a list of at least one of these words, none twice."""

    def rule(value: Any) -> Complaint | None:
        if value and len(set(value)) == len(value) and set(value) <= set(words):
            return None
        return Complaint(f"{value!r} is no list of {' and '.join(words)}.", word=True)

    return rule


def tokens(value: Any) -> Complaint | None:
    """Check a limit on output tokens."""
    if isinstance(value, int):
        return between(1, MAX_TOKENS)(value)
    return one_of("inf")(value)


def format_of(rates: tuple[int, ...], value: Any) -> Complaint | None:
    """Check an audio format, as an object or a word."""
    kind, rate = (value, None) if isinstance(value, str) else (value["type"], value.get("rate"))
    named = FORMATS.get(kind)
    if named is None:
        return one_of("audio/pcm", "audio/pcmu", "audio/pcma")(kind)
    if named.type != "audio/pcm":
        wrong = f"{kind} has 8000 samples a second, not {rate}."
        return None if rate in {None, 8_000} else Complaint(wrong, at="rate")
    if (rate or 24_000) in rates:
        return None
    outside = between(min(rates), max(rates))(rate or 24_000)
    complaint = outside or Complaint(f"{rate} is none of {', '.join(map(str, rates))}.")
    return complaint._replace(at="rate")


def tools(value: Any) -> Complaint | None:
    """Check a list of tools: a function has a name, and parameters are an object."""
    for number, tool in enumerate(value):
        if not isinstance(tool.get("type"), str):
            return Complaint(f"tool {number} has no type.")
        named = isinstance(tool.get("name"), str) and tool["name"]
        if tool["type"] == "function" and not named:
            return Complaint(f"tool {number} is a function without a name.")
        if not isinstance(tool.get("parameters"), dict | None):
            return Complaint(f"tool {number} has parameters that are no object.")
    return None


def tool_choice(value: Any) -> Complaint | None:
    """Check whether tools are to be called, or which."""
    if isinstance(value, dict):
        if value.get("type") == "function" and not isinstance(value.get("name"), str):
            return Complaint("a function to call needs a name.")
        return one_of("function", "mcp")(value.get("type"))
    return one_of("auto", "none", "required")(value)


def truncation(value: Any) -> Complaint | None:
    """Check what is to be done when the conversation outgrows the model."""
    if isinstance(value, str):
        return one_of("auto", "disabled")(value)
    ratio = value.get("retention_ratio")
    if value.get("type") != "retention_ratio" or not isinstance(ratio, int | float):
        return Complaint("an object must be {type: retention_ratio, retention_ratio: 0…1}.")
    outside = between(0.0, 1.0)(ratio)
    return None if outside is None else outside._replace(at="retention_ratio")


def transcription(models: frozenset[str], value: Any) -> Complaint | None:
    """Check the transcription model: the one unknown word that no service overlooks."""
    listed = ", ".join(sorted(models))
    known = isinstance(value, str) and value in models
    return None if known else Complaint(f"Unknown model {value!r}; known: {listed}.")


def noise_reduction(value: Any) -> Complaint | None:
    """Check the kind of noise reduction."""
    return one_of("near_field", "far_field")(value.get("type"))


def metadata(value: dict[str, str]) -> Complaint | None:
    """Check metadata: at most 16 pairs, keys up to 64 and values up to 512 characters."""
    fits = len(value) <= 16 and all(len(k) <= 64 and len(v) <= 512 for k, v in value.items())
    text = "at most 16 pairs, keys of 64 and values of 512 characters."
    return None if fits else Complaint(text)


def response_audio(value: dict[str, Any]) -> Complaint | None:
    """Check `{output: {format, voice}}`; the format is an object or a word."""
    output = value.get("output", {})
    if not isinstance(output, dict):
        return Complaint("audio.output must be an object.")
    wire = output.get("format")
    if wire is None or isinstance(wire, str):
        return None
    shaped = isinstance(wire, dict) and isinstance(wire.get("type"), str)
    whole = shaped and isinstance(wire.get("rate"), int | None)
    return None if whole else Complaint("audio.output.format must be a word or {type, rate}.")


_INPUT: Final = "session.audio.input"
_TURN: Final = f"{_INPUT}.turn_detection"


@cache
def _rules(service: ServiceProfile) -> tuple[tuple[str, Rule], ...]:
    """Every path of a session and of a response that has a rule."""
    formats = partial(format_of, service.rates)
    return (
        ("session.type", one_of("realtime")),
        ("session.output_modalities", each("text", "audio")),
        ("session.temperature", between(0.0, 2.0)),
        ("session.max_output_tokens", tokens),
        ("session.tools", tools),
        ("session.tool_choice", tool_choice),
        ("session.truncation", truncation),
        (f"{_INPUT}.noise_reduction", noise_reduction),
        (f"{_TURN}.type", one_of("server_vad", "semantic_vad")),
        (f"{_TURN}.threshold", between(0.0, 1.0)),
        (f"{_TURN}.prefix_padding_ms", between(0, 60_000)),
        (f"{_TURN}.silence_duration_ms", between(0, 60_000)),
        (f"{_TURN}.idle_timeout_ms", between(5_000, 30_000)),
        (f"{_TURN}.eagerness", one_of("low", "medium", "high", "auto")),
        ("session.reasoning.effort", one_of("minimal", "low", "medium", "high", "xhigh")),
        ("session.audio.output.speed", between(0.25, 1.5)),
        (f"{_INPUT}.format", formats),
        (f"{_INPUT}.transcription.model", partial(transcription, service.stt_models)),
        ("session.audio.output.format", formats),
        ("response.conversation", one_of("auto", "none")),
        ("response.output_modalities", each("text", "audio")),
        ("response.max_output_tokens", tokens),
        ("response.tools", tools),
        ("response.tool_choice", tool_choice),
        ("response.metadata", metadata),
        ("response.audio", response_audio),
        ("response.audio.output.format", formats),
    )


def check_session(change: dict[str, Any], service: ServiceProfile) -> Invalid | None:
    """The first thing wrong with a `session.update`, or None. A null is never wrong here.

    Takes out of `change` what this service overlooks.
    """
    return _check({"session": change}, service)


def check_response(params: ResponseParams, service: ServiceProfile) -> ResponseParams | Invalid:
    """The body of a `response.create` without what is overlooked, or the first thing wrong."""
    change: dict[str, Any] = msgspec.to_builtins(params)
    return _check({"response": change}, service) or msgspec.convert(change, ResponseParams)


def _check(whole: dict[str, Any], service: ServiceProfile) -> Invalid | None:
    """The first broken rule; a service that is not strict has unknown words taken out instead."""
    for path, rule in _rules(service):
        *tables, name = path.split(".")
        place: Any = whole
        for table in tables:
            place = place.get(table) if isinstance(place, dict) else None
        value = place.get(name) if isinstance(place, dict) else None
        if value is None or (complaint := rule(value)) is None:
            continue
        if complaint.word and not service.strict:
            del place[name]
            continue
        param = ".".join(filter(None, (path, complaint.at)))
        what = "Invalid value" if complaint.word else f"Invalid '{param}'"
        code = complaint.code if service.strict else "invalid_value"
        return Invalid(param, f"{what}: {complaint.text}", code)
    return None


def read_message(frame: str | bytes, *, strict: bool) -> Incoming:
    """Decode a frame. `strict`: a message with a field that OpenAI does not know is refused."""
    if isinstance(frame, bytes):
        return UnknownMessage(type=NOT_JSON, reason="Binary frames carry no message here.", text="")
    try:
        message = decode_client(frame)
        if not strict or isinstance(message, UnknownMessage):
            return message
        whole = client_object(frame)
    except ProtocolError as error:
        return UnknownMessage(type=NOT_JSON, reason=str(error), text="")
    if not (stranger := unknown_parameter(whole)):
        return message
    return UnknownMessage(
        type=whole["type"],
        event_id=whole.get("event_id", ""),
        reason=f"Unknown parameter: '{stranger}'.",
        text=frame,
    )


def error(message: Incoming | None, invalid: Invalid, code: str = "") -> ErrorMessage:
    """An error message about `message`, or with None about what the server did by itself."""
    event_id = None if message is None else message.event_id
    detail = ErrorDetail(
        type="invalid_request_error",
        code=code or invalid.code,
        message=invalid.message,
        param=invalid.param or None,
        event_id=event_id[:LONGEST_EVENT_ID] if isinstance(event_id, str) and event_id else None,
    )
    return ErrorMessage(error=detail)


def refusal(message: UnknownMessage, service: ServiceProfile) -> ErrorMessage:
    """The error for a frame that is no message: no JSON, no type, unknown type, wrong field."""
    if message.type == NOT_JSON:
        return error(message, Invalid("", message.reason), service.not_json)
    if message.type in _CLIENT_TYPES:
        return error(message, _misshapen(message, strict=service.strict))
    if message.type.startswith(("(no type)", "errorType:")):
        return error(message, Invalid("type", message.reason), "invalid_event")
    code, param = service.unknown_type
    supported = ", ".join(f"'{name}'" for name in sorted(_CLIENT_TYPES))
    text = f"Invalid value: '{message.type}'. Supported values are: {supported}."
    return error(message, Invalid(param, text), code)


def _misshapen(message: UnknownMessage, *, strict: bool) -> Invalid:
    """What is wrong with a message of a known type; `strict`: in OpenAI's codes and words."""
    if unknown := _UNKNOWN.match(message.reason):
        return Invalid(unknown["path"], message.reason, "unknown_parameter")
    place, missing = _PLACE.search(message.reason), _MISSING.search(message.reason)
    path = [place["path"] if place else "", missing["field"] if missing else ""]
    param = ".".join(filter(None, path))
    if not strict:
        return Invalid(param, f"Invalid {message.type}: {message.reason}")
    if missing:
        text = f"Missing required parameter: '{param}'."
        return Invalid(param, text, "missing_required_parameter")
    reason = _PLACE.sub("", message.reason)
    return Invalid(param, f"Invalid type for '{param}': {reason}.", "invalid_type")
