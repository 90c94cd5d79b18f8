"""What a client may ask of a session: one table of rules, a path and what may stand there.

Theory of operation
-------------------
A rule looks at one value and answers with a complaint or with nothing. Only paths that are present
are looked at, in the order of the table; the first complaint is the answer, with the path as the
`param` that real servers name. Ranges and enumerations are those of `protocol.md` section 2.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from bench.protocol.objects import ResponseParams
from bench.voice.audio import FORMATS

MAX_TOKENS: Final = 4096


class Invalid(NamedTuple):
    """A value that cannot be: the path that real servers give as `param`, a sentence, a code."""

    param: str
    message: str
    code: str = "invalid_value"


Rule = Callable[[Any], str | None]


def one_of(*words: str) -> Rule:
    """One of these words."""
    listed = ", ".join(repr(word) for word in words)
    return lambda value: None if value in words else f"{value!r} is none of {listed}."


def between(low: float, high: float) -> Rule:
    """A number from `low` to `high`, both included."""
    return lambda value: (
        None if low <= value <= high else f"{value} is not between {low:g} and {high:g}."
    )


def each(*words: str) -> Rule:
    """A list in which every entry is one of these words, at least one, none twice."""

    def rule(value: Any) -> str | None:
        if value and len(set(value)) == len(value) and set(value) <= set(words):
            return None
        return f"{value!r} is no list of {' and '.join(words)}."

    return rule


def tokens(value: Any) -> str | None:
    """A limit on output tokens."""
    fits = value is None or value == "inf" or (isinstance(value, int) and 1 <= value <= MAX_TOKENS)
    return None if fits else f"{value!r} is neither 'inf' nor from 1 to {MAX_TOKENS}."


def format_of(rates: tuple[int, ...], value: Any) -> str | None:
    """An audio format, as an object or a word."""
    kind, rate = (value, None) if isinstance(value, str) else (value["type"], value.get("rate"))
    named = FORMATS.get(kind)
    if named is None:
        return f"{kind!r} is none of 'audio/pcm', 'audio/pcmu', 'audio/pcma'."
    if named.type != "audio/pcm":
        return None if rate in {None, 8_000} else f"{kind} has 8000 samples a second, not {rate}."
    return None if (rate or 24_000) in rates else f"Rate {rate} is none of {rates}."


def tools(value: Any) -> str | None:
    """A list of tools; a function has a name, and parameters are a schema."""
    for number, tool in enumerate(value):
        if not isinstance(tool.get("type"), str):
            return f"tool {number} has no type."
        named = isinstance(tool.get("name"), str) and tool["name"]
        if tool["type"] == "function" and not named:
            return f"tool {number} is a function without a name."
        if not isinstance(tool.get("parameters"), dict | None):
            return f"tool {number} has parameters that are no object."
    return None


def tool_choice(value: Any) -> str | None:
    """When to call tools, or which."""
    if isinstance(value, dict):
        if value.get("type") == "function" and not isinstance(value.get("name"), str):
            return "a function to call needs a name."
        return one_of("function", "mcp")(value.get("type"))
    return one_of("auto", "none", "required")(value)


def truncation(value: Any) -> str | None:
    """What to do when the conversation outgrows the model."""
    if isinstance(value, str):
        return one_of("auto", "disabled")(value)
    ratio = value.get("retention_ratio")
    if value.get("type") != "retention_ratio" or not isinstance(ratio, int | float):
        return "an object must be {type: retention_ratio, retention_ratio: 0…1}."
    return between(0, 1)(ratio)


def transcription(models: frozenset[str], value: Any) -> str | None:
    """A model that can transcribe."""
    listed = ", ".join(sorted(models))
    known = isinstance(value, str) and value in models
    return None if known else f"Unknown transcription model {value!r}; known: {listed}."


def noise_reduction(value: Any) -> str | None:
    """Where the microphone is."""
    return one_of("near_field", "far_field")(value.get("type"))


_INPUT: Final = "session.audio.input"
_TURN: Final = f"{_INPUT}.turn_detection"
_RULES: Final[tuple[tuple[str, Rule], ...]] = (
    ("session.type", one_of("realtime")),
    ("session.output_modalities", each("text", "audio")),
    ("session.temperature", between(0, 2)),
    ("session.max_output_tokens", tokens),
    ("session.tools", tools),
    ("session.tool_choice", tool_choice),
    ("session.truncation", truncation),
    (f"{_INPUT}.noise_reduction", noise_reduction),
    (f"{_TURN}.type", one_of("server_vad", "semantic_vad")),
    (f"{_TURN}.threshold", between(0, 1)),
    (f"{_TURN}.prefix_padding_ms", between(0, 60_000)),
    (f"{_TURN}.silence_duration_ms", between(0, 60_000)),
    (f"{_TURN}.idle_timeout_ms", between(5_000, 30_000)),
    (f"{_TURN}.eagerness", one_of("low", "medium", "high", "auto")),
    ("session.audio.output.speed", between(0.25, 1.5)),
)


def check(
    change: dict[str, Any], rates: tuple[int, ...], stt_models: frozenset[str]
) -> Invalid | None:
    """The first thing wrong with a `session.update`, or None. A null is never wrong here."""
    formats = partial(format_of, rates)
    rules: tuple[tuple[str, Rule], ...] = (
        *_RULES,
        (f"{_INPUT}.format", formats),
        (f"{_INPUT}.transcription.model", partial(transcription, stt_models)),
        ("session.audio.output.format", formats),
    )
    return next(_broken({"session": change}, rules), None)


def _broken(whole: dict[str, Any], rules: tuple[tuple[str, Rule], ...]) -> Iterator[Invalid]:
    for path, rule in rules:
        value: Any = whole
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None and (complaint := rule(value)) is not None:
            yield Invalid(path, f"Invalid value for {path}: {complaint}")


def check_response(params: ResponseParams, rates: tuple[int, ...]) -> Invalid | None:
    """The first thing wrong with the body of a `response.create`, or None."""
    change: dict[str, Any] = msgspec.to_builtins(params)
    rules: tuple[tuple[str, Rule], ...] = (
        ("response.conversation", one_of("auto", "none")),
        ("response.output_modalities", each("text", "audio")),
        ("response.max_output_tokens", tokens),
        ("response.tools", tools),
        ("response.tool_choice", tool_choice),
        ("response.metadata", metadata),
        ("response.audio", audio),
        ("response.audio.output.format", partial(format_of, rates)),
    )
    return next(_broken({"response": change}, rules), None)


def metadata(value: dict[str, str]) -> str | None:
    """At most 16 pairs, keys up to 64 and values up to 512 characters."""
    fits = len(value) <= 16 and all(len(k) <= 64 and len(v) <= 512 for k, v in value.items())
    return None if fits else "at most 16 pairs, keys of 64 and values of 512 characters."


def audio(value: dict[str, Any]) -> str | None:
    """`{output: {format, voice}}`; format as an object or a word."""
    output = value.get("output", {})
    if not isinstance(output, dict):
        return "audio.output must be an object."
    wire = output.get("format")
    if wire is None or isinstance(wire, str):
        return None
    shaped = isinstance(wire, dict) and isinstance(wire.get("type"), str)
    whole = shaped and isinstance(wire.get("rate"), int | None)
    return None if whole else "audio.output.format must be a word or {type, rate}."
