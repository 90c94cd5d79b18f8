"""How the reference server behaves: one small TOML file, validated whole before anything starts.

Theory of operation
-------------------
A profile is truth by decree. Whatever it says the server takes (a think time, a silence before
the voice, a share of failures) is what the server does, to the nanosecond on its schedule; what a
real clock and a real socket add is in the truth log. Durations are *spreads*: a constant, or a
named distribution from which `bench.reference.draws` draws.

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

Ms = Annotated[float, Meta(ge=0, le=600_000)]
Share = Annotated[float, Meta(ge=0, le=1)]

REFUSALS: Final = (401, 402, 403, 404, 429, 500)
CLOSE_CODES: Final = (1000, 1001, 1006, 1011, 1012, 1013)
PCM_RATES: Final = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)


class Lognormal(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="lognormal", tag_field="kind"
):
    """A long right tail: the logarithm is normal around that of `median_ms`."""

    median_ms: Annotated[float, Meta(gt=0, le=600_000)]
    sigma: Annotated[float, Meta(ge=0, le=5)]


class Uniform(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="uniform", tag_field="kind"
):
    """Anything from `low_ms` to `high_ms`, all alike."""

    low_ms: Ms
    high_ms: Ms

    def __post_init__(self) -> None:
        if self.low_ms > self.high_ms:
            raise ValueError("low_ms is above high_ms")


class Choice(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="choice", tag_field="kind"
):
    """One of the values listed, all alike; list one twice to make it likelier."""

    of_ms: Annotated[tuple[Ms, ...], Meta(min_length=1)]


Spread = Ms | Lognormal | Uniform | Choice


class VadProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`lag_ms`: from the arrival of the deciding audio to what is said about it."""

    lag_ms: Spread = 15.0


class ResponseProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A reply in time. Both delays count from committed, or from response.create where sent.

    `jitter_ms` delays every delta but the first by up to so much, never past its successor's turn.
    """

    created_ms: Spread = 20.0
    first_delta_ms: Spread = Lognormal(median_ms=350.0, sigma=0.25)
    leading_silence_ms: Spread = Uniform(low_ms=0.0, high_ms=60.0)
    delta_ms: Annotated[int, Meta(ge=10, le=10_000)] = 100
    pace: Annotated[float, Meta(ge=0.1, le=1000)] = 4.0
    jitter_ms: Ms = 0.0
    word_ms: Ms = 40.0


class TranscriptionProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`delay_ms`: committed to completed, but never before response.created."""

    delay_ms: Spread = 120.0


class Failures(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What goes wrong on purpose, as shares of sessions or, for the last four, of responses."""

    refuse: Share = 0.0
    refuse_status: int = 429
    max_sessions: Annotated[int, Meta(ge=0)] = 0
    close_at_once: Share = 0.0
    mute: Share = 0.0
    malformed: Share = 0.0
    binary: Share = 0.0
    huge: Share = 0.0
    response_failed: Share = 0.0
    close_mid_turn: Share = 0.0
    close_code: int = 1011
    stall: Share = 0.0

    def __post_init__(self) -> None:
        if self.refuse_status not in REFUSALS:
            raise ValueError(f"refuse_status must be one of {', '.join(map(str, REFUSALS))}")
        if self.close_code not in CLOSE_CODES:
            raise ValueError(f"close_code must be one of {', '.join(map(str, CLOSE_CODES))}")


class Profile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that the reference server is told about itself. Every key has a default."""

    seed: int = 1
    authorization: Literal["any", "required"] = "any"
    rates: tuple[int, ...] = (24_000,)
    vad: VadProfile = VadProfile()
    response: ResponseProfile = ResponseProfile()
    transcription: TranscriptionProfile = TranscriptionProfile()
    failures: Failures = Failures()

    def __post_init__(self) -> None:
        for rate in self.rates:
            if rate not in PCM_RATES:
                raise ValueError(f"rates: {rate} is none of {', '.join(map(str, PCM_RATES))}")


_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "": Profile.__struct_fields__,
    "vad": VadProfile.__struct_fields__,
    "response": ResponseProfile.__struct_fields__,
    "transcription": TranscriptionProfile.__struct_fields__,
    "failures": Failures.__struct_fields__,
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
    valid = _KEYS.get(where) or _keys_of_spread(where, table)
    near = get_close_matches(key, valid, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"write one of {', '.join(valid)}"
    return f"unknown key {f'{where}.{key}' if where else key!r}; {hint}"


def _keys_of_spread(where: str, table: dict[str, Any]) -> tuple[str, ...]:
    """The keys that the spread at a dotted path may have, by its kind."""
    for name in where.split("."):
        table = table.get(name, {})
    return _KINDS.get(str(table.get("kind")), ("kind",))
