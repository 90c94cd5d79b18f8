"""How the reference server behaves: one small TOML file, validated whole before anything starts.

Theory of operation
-------------------
A profile is truth by decree. Whatever it says the server takes (a think time, a silence before
the voice, a share of failures) is what the server does, to the nanosecond on its schedule; what a
real clock and a real socket add is in the truth log. Durations are distributions and shares are
rates (`bench.reference.draws`).

A *quirk* is what some server is known to do (`protocol.md` sections 5, 12 and 13), and a client
must bear it. A *failure* is a server in trouble, or a wrong one, and a client must notice. Each
is one key with one rate: the share of sessions, responses, turns or pauses that it befalls. What
each does is said in `default.toml`, once; what befell whom is in the truth log among the draws of
the session, under the key's name.

What it refuses to know: how a draw is made, and what the server does with it.
"""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from bench.data_file import read_toml, reading
from bench.errors import UsageError
from bench.plan.random_duration import Discrete, Distribution, Lognormal, Ms, Share, Uniform
from bench.reference.draws import Chance, Rate
from bench.shelves import shipped_or_here

PCM_RATES: Final = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
REFUSALS: Final = (401, 402, 403, 404, 429, 500)
CLOSE_CODES: Final = (1000, 1001, 1006, 1011, 1012, 1013)


class VadProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`lag_ms`: from the arrival of the deciding audio to what is said about it."""

    lag_ms: Distribution = 15.0


class ByEagerness(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A number for each eagerness of semantic_vad; `auto` is `medium`."""

    low: Ms
    medium: Ms
    high: Ms


class SharesByEagerness(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
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
    mistake: SharesByEagerness = SharesByEagerness(low=0.02, medium=0.1, high=0.3)


class ResponseProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The timing of a reply. Both delays count from committed, or from response.create if sent.

    `history_ms` is added to the first delta for every item in the conversation. `jitter_ms` delays
    every delta but the first by up to so much, never past its successor's turn.
    """

    created_ms: Distribution = 20.0
    first_delta_ms: Distribution = Lognormal(median_ms=350.0, sigma=0.25)
    history_ms: Ms = 0.0
    leading_silence_ms: Distribution = Uniform(low_ms=0.0, high_ms=60.0)
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
    first_ms: Distribution = Lognormal(median_ms=250.0, sigma=0.25)
    stagger_ms: Ms = 40.0
    delta_ms: Ms = 10.0
    letters: Annotated[int, Meta(ge=1, le=1000)] = 4

    def __post_init__(self) -> None:
        if self.one + self.parallel + self.mixed > 1.0 + 1e-9:
            raise ValueError("one, parallel and mixed are more than 1 together")


class TranscriptionProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`delay_ms`: committed to completed, but never before response.created."""

    delay_ms: Distribution = 120.0


class LimitsProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a session and the account may use; 0 is no limit. `breach`: how excess is shown."""

    session_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    sessions: Annotated[int, Meta(ge=0)] = 0
    packets_per_second: Annotated[int, Meta(ge=0)] = 0
    breach: Literal["429", "error", "errortype", "close", "at_capacity"] = "429"


class CapacityProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the server can carry; 0 is no limit. How many sessions it takes: see `LimitsProfile`.

    slots:             responses generated at once; others wait, in order
    service_ms:        how long a response holds its slot
    pace_slots:        replies spoken at once at full pace; more of them share it
    wear_ms:           what every response adds to the delay of each later one
    wear_heals_s:      and the time constant with which that fades; 0: never
    collapse_sessions: with more of them open the service collapses: all that it does takes
                       `collapse_factor` times as long, until no more than `recover_sessions` are
    """

    slots: Annotated[int, Meta(ge=0, le=100_000)] = 0
    service_ms: Distribution = 1_000.0
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


class SessionQuirks(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Quirks that a session has from its first message to its last, or never.

    They are drawn when a session begins, in this order.
    """

    cumulative_deltas: Rate = 0.0
    missing_usage: Rate = 0.0
    missing_name: Rate = 0.0
    missing_ms: Rate = 0.0
    both_streams: Rate = 0.0
    rate_limits: Rate = 0.0
    conversation_created: Rate = 0.0
    ping: Rate = 0.0
    beta_names: Rate = 0.0
    flat_error: Rate = 0.0
    previous_null: Rate = 0.0
    refuse_g711: Rate = 0.0
    mute_shorthand: Rate = 0.0
    semantic_unanswered: Rate = 0.0
    auto_tools: Rate = 0.0
    g711_truncate_thirds: Rate = 0.0
    binary_frames: Rate = 0.0
    lone_surrogates: Rate = 0.0
    odd_numbers: Rate = 0.0
    deep_nesting: Rate = 0.0
    loose_json: Rate = 0.0
    loose_base64: Rate = 0.0
    float_positions: Rate = 0.0
    error_string: Rate = 0.0
    integer_code: Rate = 0.0
    untyped_error: Rate = 0.0
    missing_ids: Rate = 0.0
    no_session_updated: Rate = 0.0
    updated_as_created: Rate = 0.0
    late_session_created: Rate = 0.0
    no_response_created: Rate = 0.0
    repeated_response_created: Rate = 0.0
    repeated_speech_stopped: Rate = 0.0
    stray_speech_started: Rate = 0.0
    unknown_types: Rate = 0.0
    nameless_calls: Rate = 0.0
    idless_calls: Rate = 0.0
    greeting: Rate = 0.0


class Quirks(SessionQuirks, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Oddities of known servers: of sessions, then of responses, turns, pauses, interjections."""

    filler: Rate = 1.0
    zero_padding: Rate = 0.0
    late_audio: Rate = 0.0
    transcription_late: Rate = 0.0
    transcription_duplicate: Rate = 0.0
    transcription_failed: Rate = 0.0
    turn_suggestion: Rate = 0.0
    backchannel_skipped: Rate = 0.0


SESSION_QUIRKS: Final = SessionQuirks.__struct_fields__


class Failures(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What goes wrong on purpose: shares of sessions, then of responses."""

    refuse: Rate = 0.0
    refuse_status: int = 429
    close_at_once: Rate = 0.0
    mute: Rate = 0.0
    malformed: Rate = 0.0
    binary: Rate = 0.0
    huge: Rate = 0.0
    overloaded_at_once: Rate = 0.0

    response_failed: Rate = 0.0
    errortype: Rate = 0.0
    overloaded: Rate = 0.0
    close_mid_turn: Rate = 0.0
    close_code: int = 1011
    stall: Rate = 0.0
    malformed_mid_turn: Rate = 0.0
    leak: Rate = 0.0
    order_violation: Rate = 0.0
    duplicate_done: Rate = 0.0

    def __post_init__(self) -> None:
        if self.refuse_status not in REFUSALS:
            raise ValueError(f"refuse_status must be one of {', '.join(map(str, REFUSALS))}")
        if self.close_code not in CLOSE_CODES:
            raise ValueError(f"close_code must be one of {', '.join(map(str, CLOSE_CODES))}")


class Profile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole behaviour of the reference server. Every key has a default."""

    seed: int = 1
    authorization: Literal["any", "required"] = "any"
    rates: tuple[int, ...] = (24_000,)
    vad: VadProfile = VadProfile()
    semantic: SemanticProfile = SemanticProfile()
    response: ResponseProfile = ResponseProfile()
    tools: ToolsProfile = ToolsProfile()
    transcription: TranscriptionProfile = TranscriptionProfile()
    limits: LimitsProfile = LimitsProfile()
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
    "choice": Discrete.__struct_fields__,
}
_UNKNOWN: Final = re.compile(r"unknown field `(?P<key>[^`]*)`")
_TAG: Final = re.compile(r"Invalid value '(?P<key>[^']*)'.*`\$\.(?P<path>.*)\.kind`")
_PLACE: Final = re.compile(r"(?P<what>.*?) - at `\$\.(?P<path>[^`]*)`")


def load_profile(path: Path | None) -> Profile:
    """The profile in the file at `path`, or the shipped one. UsageError names file, key, remedy.

    A file that is not there may come with this program, as `scenarios/servers/slots.toml` does.
    """
    shipped = Path(__file__).with_name("default.toml")
    source = shipped if path is None else shipped_or_here(path)
    with reading(source, UsageError, "give a profile as docs/reference-server.md has it"):
        table = read_toml(source)
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
    """The valid keys of the table at a dotted path: of a rate, a distribution, an eagerness."""
    for name in where.split("."):
        table = table.get(name, {})
    if where.startswith("semantic."):
        return ByEagerness.__struct_fields__
    if where.startswith(("quirks.", "failures.")):
        return Chance.__struct_fields__
    return _KINDS.get(str(table.get("kind")), ("kind",))
