"""How the reference server behaves: one small TOML file, validated whole before anything starts.

Theory of operation
-------------------
A profile is truth by decree. Whatever it says the server takes (a think time, a silence before
the voice, a share of failures) is what the server does, to the nanosecond on its schedule; what a
real clock and a real socket add is in the truth log. Durations are *spreads* and shares are
*rates* (`bench.reference.spread`); quirks and failures have a file of their own
(`bench.reference.misbehaviour`).

What it refuses to know: how a draw is made, and what the server does with it.
"""

import re
import tomllib
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from bench.errors import UsageError
from bench.reference.misbehaviour import Failures, Quirks
from bench.reference.spread import Chance, Choice, Lognormal, Ms, Share, Spread, Uniform

PCM_RATES: Final = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)


class VadProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`lag_ms`: from the arrival of the deciding audio to what is said about it."""

    lag_ms: Spread = 15.0


class ByEagerness(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A number for each eagerness of semantic_vad; `auto` is `medium`."""

    low: Ms
    medium: Ms
    high: Ms


class Mistaken(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A share for each eagerness."""

    low: Share
    medium: Share
    high: Share


class SemanticProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """semantic_vad: how long a quiet must last, by what was judged `judge_ms` into it.

    `complete_ms` where the caller is judged to have said all, `incomplete_ms` where not (the caps
    of the API), `unknown_ms` where the words are not known; `mistake` is the share of inner pauses
    that are judged complete.
    """

    judge_ms: Annotated[int, Meta(ge=50, le=2_000)] = 200
    complete_ms: ByEagerness = ByEagerness(low=800.0, medium=500.0, high=300.0)
    incomplete_ms: ByEagerness = ByEagerness(low=8_000.0, medium=4_000.0, high=2_000.0)
    unknown_ms: ByEagerness = ByEagerness(low=2_000.0, medium=1_000.0, high=500.0)
    mistake: Mistaken = Mistaken(low=0.02, medium=0.1, high=0.3)


class ResponseProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A reply in time. Both delays count from committed, or from response.create where sent.

    `history_ms` is added to the first delta for every item in the conversation. `jitter_ms` delays
    every delta but the first by up to so much, never past its successor's turn.
    """

    created_ms: Spread = 20.0
    first_delta_ms: Spread = Lognormal(median_ms=350.0, sigma=0.25)
    history_ms: Ms = 0.0
    leading_silence_ms: Spread = Uniform(low_ms=0.0, high_ms=60.0)
    delta_ms: Annotated[int, Meta(ge=10, le=10_000)] = 100
    pace: Annotated[float, Meta(ge=0.1, le=1000)] = 4.0
    jitter_ms: Ms = 0.0
    word_ms: Ms = 40.0


class ToolsProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Tool calls, where a session has tools: shares of the first responses after a user's turn.

    `one` call, two in `parallel`, or `mixed`: a message and a call; what is left speaks. Where a
    call is wanted (`tool_choice`) nothing is left: they keep their shares of each other.
    `first_ms` counts as `first_delta_ms` does, to the first arguments; each further output begins
    `stagger_ms` after the one before; `letters` of arguments come every `delta_ms`.
    """

    one: Share = 0.25
    parallel: Share = 0.125
    mixed: Share = 0.125
    first_ms: Spread = Lognormal(median_ms=250.0, sigma=0.25)
    stagger_ms: Ms = 40.0
    delta_ms: Ms = 10.0
    letters: Annotated[int, Meta(ge=1, le=1000)] = 4

    def __post_init__(self) -> None:
        if self.one + self.parallel + self.mixed > 1.0 + 1e-9:
            raise ValueError("one, parallel and mixed are more than 1 together")


class TranscriptionProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`delay_ms`: committed to completed, but never before response.created."""

    delay_ms: Spread = 120.0


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a session and the account may use; 0 is no limit. `breach`: how too much shows."""

    session_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    sessions: Annotated[int, Meta(ge=0)] = 0
    packets_per_second: Annotated[int, Meta(ge=0)] = 0
    breach: Literal["429", "error", "errortype", "close", "at_capacity"] = "429"


class CapacityProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the server can carry; 0 is without limit. How many sessions it takes is in `Limits`.

    slots:             responses generated at once; others wait, in order
    service_ms:        how long a response holds its slot
    pace_slots:        replies spoken at once at full pace; more of them share it
    wear_ms:           what every response adds to the delay of each later one
    wear_heals_s:      and the time constant with which that fades; 0: never
    collapse_sessions: with more of them open the service collapses: all that it does takes
                       `collapse_factor` times as long, until no more than `recover_sessions` are
    """

    slots: Annotated[int, Meta(ge=0, le=100_000)] = 0
    service_ms: Spread = 1_000.0
    pace_slots: Annotated[int, Meta(ge=0, le=100_000)] = 0
    wear_ms: Ms = 0.0
    wear_heals_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    collapse_sessions: Annotated[int, Meta(ge=0)] = 0
    recover_sessions: Annotated[int, Meta(ge=0)] = 0
    collapse_factor: Annotated[float, Meta(ge=1, le=1000)] = 4.0

    def __post_init__(self) -> None:
        if self.recover_sessions > self.collapse_sessions:
            raise ValueError(
                f"recover_sessions is {self.recover_sessions}, above collapse_sessions "
                f"({self.collapse_sessions}); write at most {self.collapse_sessions}, or "
                f"collapse_sessions of at least {self.recover_sessions}"
            )


class Profile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that the reference server is told about itself. Every key has a default."""

    seed: int = 1
    authorization: Literal["any", "required"] = "any"
    rates: tuple[int, ...] = (24_000,)
    vad: VadProfile = VadProfile()
    semantic: SemanticProfile = SemanticProfile()
    response: ResponseProfile = ResponseProfile()
    tools: ToolsProfile = ToolsProfile()
    transcription: TranscriptionProfile = TranscriptionProfile()
    limits: Limits = Limits()
    capacity: CapacityProfile = CapacityProfile()
    quirks: Quirks = Quirks()
    failures: Failures = Failures()

    def __post_init__(self) -> None:
        for rate in self.rates:
            if rate not in PCM_RATES:
                raise ValueError(f"rates: {rate} is none of {', '.join(map(str, PCM_RATES))}")


_TABLES: Final[dict[str, tuple[str, ...]]] = {
    "": Profile.__struct_fields__,
    **{
        name: type(default).__struct_fields__
        for name, default in zip(
            Profile.__struct_fields__, Profile.__struct_defaults__, strict=True
        )
        if isinstance(default, Struct)
    },
}
_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "lognormal": Lognormal.__struct_fields__,
    "uniform": Uniform.__struct_fields__,
    "choice": Choice.__struct_fields__,
}
_UNKNOWN: Final = re.compile(r"unknown field `(?P<key>[^`]*)`")
_TAG: Final = re.compile(r"Invalid value '(?P<key>[^']*)'.*`\$\.(?P<path>.*)\.kind`")
_PLACE: Final = re.compile(r"(?P<what>.*?) - at `\$\.(?P<path>[^`]*)`")


def load_profile(path: Path | None) -> Profile:
    """The profile in the file at `path`, or the shipped one. UsageError names file, key, remedy."""
    if path is None:
        source: Any = resources.files("bench.reference") / "default.toml"
    else:
        source = path
    try:
        table = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot read this profile: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from None
    try:
        # TOML knows 1 from 1.0; a duration does not.
        return msgspec.convert(table, Profile, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: {_explain(str(error), table)}") from None


def _explain(text: str, table: dict[str, Any]) -> str:
    """The validator's complaint with the key as TOML writes it, and the nearest valid word."""
    if tagged := _TAG.search(text):
        return f"{tagged['path']}.kind = {tagged['key']!r}; write one of {', '.join(_KINDS)}"
    if not (unknown := _UNKNOWN.search(text)):
        place = _PLACE.match(text)
        return f"{place['path']}: {place['what']}" if place else text
    key = unknown["key"]
    place = _PLACE.match(text)
    where = place["path"] if place else ""
    valid = _TABLES.get(where) or _keys_of_value(where, table)
    near = get_close_matches(key, valid, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"write one of {', '.join(valid)}"
    return f"unknown key {f'{where}.{key}' if where else key!r}; {hint}"


def _keys_of_value(where: str, table: dict[str, Any]) -> tuple[str, ...]:
    """The keys that the table at a dotted path may have: a rate, a spread, or by eagerness."""
    for name in where.split("."):
        table = table.get(name, {})
    if where.startswith("semantic."):
        return ByEagerness.__struct_fields__
    if where.startswith(("quirks.", "failures.")):
        return Chance.__struct_fields__
    return _KINDS.get(str(table.get("kind")), ("kind",))
