"""The two services that this server can be: what differs between them, and Inworld's additions.

Theory of operation
-------------------
A `ServiceProfile` is a row of values (`protocol.md` sections 1, 2 and 13). What is not documented
is chosen here: both start with server_vad, as it is the one detector whose default settings are
written down; Inworld transcribes unless told `null`, as its transcription is part of the cascade.

`providerData` holds Inworld's additions to a session. Clients put what they like there and it is
echoed; only what this server acts on is read, branch by branch, and a value of the wrong kind
counts as left out. Defaults are those of `protocol.md` section 2.4 where it knows them.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, NamedTuple

from bench.reference.profile import PCM_RATES

# Not readable in Inworld's documents: how long a caller waits before a filler.
_FILLER_WAIT_MS: Final = 100.0


class ServiceProfile(NamedTuple):
    """The values in which one service differs from the other."""

    dialect: str
    model: str
    modalities: tuple[str, ...]
    voice: str
    transcription: str | None
    stt_models: frozenset[str]
    rates: tuple[int, ...]
    unknown_type: tuple[str, str]
    """Code and param of the error for a message of unknown type."""
    not_json: str
    """Code of the error for what is no JSON object."""
    strict: bool
    """Whether an unknown field or word is refused, else overlooked (`live.md` 11), and whether the
    model, the voice once heard, and one modality at a time are fixed."""


SERVICES: Final = {
    "inworld": ServiceProfile(
        dialect="inworld",
        model="google-ai-studio/gemini-2.5-flash",
        modalities=("audio", "text"),
        voice="Dennis",
        transcription="inworld/inworld-stt-1",
        stt_models=frozenset(
            {
                "inworld/inworld-stt-1",
                "assemblyai/u3-rt-pro",
                "assemblyai/universal-streaming-multilingual",
                "assemblyai/universal-streaming-english",
                "soniox/stt-rt-v4",
            }
        ),
        rates=PCM_RATES,
        unknown_type=("unknown_event_type", ""),
        not_json="invalid_event",
        strict=False,
    ),
    "openai": ServiceProfile(
        dialect="openai",
        model="gpt-realtime",
        modalities=("audio",),
        voice="marin",
        transcription=None,
        stt_models=frozenset(
            {
                "whisper-1",
                "gpt-transcribe",
                "gpt-live-transcribe",
                "gpt-4o-transcribe",
                "gpt-4o-mini-transcribe",
                "gpt-4o-mini-transcribe-2025-12-15",
                "gpt-4o-transcribe-diarize",
                "gpt-realtime-whisper",
            }
        ),
        rates=(24_000,),
        unknown_type=("invalid_value", "type"),
        not_json="invalid_json",
        strict=True,
    ),
}


class BackchannelSettings(NamedTuple):
    """Interjections while the caller talks."""

    eval_interval_ms: float
    min_speech_ms: float
    min_gap_ms: float
    max_per_turn: float
    volume_gain: float
    fire_probability: float
    phrases: tuple[str, ...]


def backchannel_settings(data: Mapping[str, Any] | None) -> BackchannelSettings | None:
    """Read the branch `backchannel`; None where it is not enabled."""
    branch = _branch(data, "backchannel")
    if branch.get("enabled") is not True:
        return None
    phrases = branch.get("allowed_phrases")
    words = [one for one in phrases if isinstance(one, str)] if isinstance(phrases, list) else []
    by_rule = branch.get("decider_kind") == "rule"
    return BackchannelSettings(
        eval_interval_ms=max(10.0, _number(branch, "eval_interval_ms", 800.0)),
        min_speech_ms=_number(branch, "min_speech_ms", 800.0),
        min_gap_ms=_number(branch, "min_gap_ms", 4000.0),
        max_per_turn=_number(branch, "max_per_turn", 3.0),
        volume_gain=min(1.0, _number(branch, "volume_gain", 0.6)),
        fire_probability=_number(branch, "rule_fire_probability", 1.0) if by_rule else 1.0,
        phrases=tuple(words) or ("mm-hmm",),
    )


def filler_wait_ms(data: Mapping[str, Any] | None) -> float | None:
    """Read how long after its cause a response says "hmm"; None where fillers are off."""
    branch = _branch(data, "responsiveness")
    if branch.get("enabled") is not True:
        return None
    return _number(branch, "initial_wait_timeout_ms", _FILLER_WAIT_MS)


def auto_tool_response(data: Mapping[str, Any] | None) -> bool | None:
    """Read whether the server answers tool outputs by itself; None where that is not said."""
    said = data.get("auto_tool_response") if isinstance(data, Mapping) else None
    return said if isinstance(said, bool) else None


def _branch(data: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    branch = data.get(name) if isinstance(data, Mapping) else None
    return branch if isinstance(branch, Mapping) else {}


def _number(branch: Mapping[str, Any], name: str, default: float) -> float:
    """Read a number from 0 to 600 000, or the default."""
    value: Any = branch.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return default
    return float(value) if 0 <= value <= 600_000 else default
