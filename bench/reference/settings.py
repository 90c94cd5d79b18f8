"""The session object of one session: defaults, what may be asked, and the atomic merge.

Theory of operation
-------------------
The effective session is a plain nested dict in the key order of recorded servers, nulls present
(`protocol.md` section 2.5). An update is checked whole by a table of rules, field by field, before
a single key changes: the first rule that is broken is the one error, and nothing is applied. Then
dicts merge into dicts, anything else replaces, `null` clears what may be null, and is ignored
where there is nothing to clear to.

Where the two services differ (models that can change, rates, modalities together, whether
transcription is intrinsic) the difference is a value in `bench.reference.manners`.

Stated simplifications: `speed` is echoed and does not change the speech; `tools`, `prompt`,
`tracing`, `truncation`, `idle_timeout_ms` and `providerData` are kept and echoed and change
nothing. Prefix and silence have no documented limits; up to a minute is taken.
"""

from copy import deepcopy
from typing import Any, Final, NamedTuple

import msgspec

from bench.protocol.objects import Session
from bench.reference.manners import Manners
from bench.reference.rules import Invalid, check
from bench.voice.audio import AudioFormat

LIFETIME_S: Final = 3600

# The longest wait of semantic_vad by eagerness is 8, 4 or 2 s. A model would end most turns far
# sooner; this server has none and waits a quarter of the longest, whatever was said.
_SEMANTIC_WAIT_MS: Final = {"low": 2000, "medium": 1000, "auto": 1000, "high": 500}
_SEMANTIC_THRESHOLD: Final = 0.5
_SEMANTIC_PREFIX_MS: Final = 300

_FORMAT_WORDS: Final = {
    "pcm16": "audio/pcm",
    "audio/pcm": "audio/pcm",
    "g711_ulaw": "audio/pcmu",
    "audio/pcmu": "audio/pcmu",
    "g711_alaw": "audio/pcma",
    "audio/pcma": "audio/pcma",
}
_DETECTION: Final[dict[str, dict[str, Any]]] = {
    "server_vad": {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    },
    "semantic_vad": {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    },
}


class Detection(NamedTuple):
    """Turn detection in force, with semantic_vad already translated into a wait."""

    threshold: float
    prefix_ms: int
    silence_ms: int
    create_response: bool
    interrupt_response: bool


class Settings:
    """The effective session of one session. Reading gives values; `update` is all or nothing."""

    def __init__(self, manners: Manners, *, session_id: str, model: str, opened_s: int) -> None:
        self.manners = manners
        stt = manners.transcription
        self._session: dict[str, Any] = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model or manners.model,
            "output_modalities": list(manners.modalities),
            "instructions": "",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "expires_at": opened_s + LIFETIME_S,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "transcription": None if stt is None else _transcription({"model": stt}),
                    "noise_reduction": None,
                    "turn_detection": dict(_DETECTION["server_vad"]),
                },
                "output": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "voice": manners.voice,
                    "speed": 1.0,
                },
            },
            "include": None,
        }
        if manners.dialect == "inworld":
            self._session |= {"temperature": 0.8, "providerData": None}

    @property
    def effective(self) -> Session:
        """The whole session object as it goes over the wire."""
        return msgspec.convert(self._session, Session)

    @property
    def model(self) -> str:
        return str(self._session["model"])

    @property
    def modalities(self) -> list[str]:
        return list(self._session["output_modalities"])

    @property
    def max_output_tokens(self) -> int | str:
        limit: int | str | None = self._session["max_output_tokens"]
        return "inf" if limit is None else limit

    @property
    def voice(self) -> Any:
        return self._session["audio"]["output"]["voice"]

    @property
    def input_format(self) -> AudioFormat:
        return audio_format(self._session["audio"]["input"]["format"])

    @property
    def output_format(self) -> AudioFormat:
        return audio_format(self._session["audio"]["output"]["format"])

    @property
    def transcribes(self) -> bool:
        return self._session["audio"]["input"]["transcription"] is not None

    @property
    def detection(self) -> Detection | None:
        """None in manual mode."""
        asked = self._session["audio"]["input"]["turn_detection"]
        if asked is None:
            return None
        semantic = asked["type"] == "semantic_vad"
        return Detection(
            threshold=_SEMANTIC_THRESHOLD if semantic else asked["threshold"],
            prefix_ms=_SEMANTIC_PREFIX_MS if semantic else asked["prefix_padding_ms"],
            silence_ms=_SEMANTIC_WAIT_MS[asked["eagerness"]]
            if semantic
            else asked["silence_duration_ms"],
            create_response=asked["create_response"],
            interrupt_response=asked["interrupt_response"],
        )

    def update(self, asked: Session, *, spoken: bool = False) -> Invalid | None:
        """Apply `asked` whole, or nothing and say why. `spoken`: the agent has made a sound."""
        change: dict[str, Any] = msgspec.to_builtins(asked)
        invalid = check(change, self.manners.rates, self.manners.stt_models)
        invalid = invalid or self._refused(change, spoken=spoken)
        if invalid is not None:
            return invalid
        for name in ("object", "id", "expires_at"):
            change.pop(name, None)
        self._session = _merge(self._session, _normal(change))
        return None

    def _refused(self, change: dict[str, Any], *, spoken: bool) -> Invalid | None:
        """What is well formed and yet not to be had of OpenAI; Inworld takes it all."""
        if self.manners.model_changes:
            return None
        if len(change.get("output_modalities", ())) > 1:
            return Invalid("session.output_modalities", "One modality at a time: text or audio.")
        if change.get("model", self.model) != self.model:
            return Invalid("session.model", "The model of a session cannot be changed.")
        voice = change.get("audio", {}).get("output", {}).get("voice", self.voice)
        if spoken and voice != self.voice:
            return Invalid("session.audio.output.voice", "The voice is fixed once it has spoken.")
        return None


def audio_format(wire: dict[str, Any] | str | None) -> AudioFormat:
    """The format that a checked wire value means; null is the default, PCM16 at 24 kHz."""
    if wire is None:
        return AudioFormat()
    if isinstance(wire, str):
        wire = {"type": wire}
    word = _FORMAT_WORDS[wire["type"]]
    return AudioFormat(word, (wire.get("rate") or 24_000) if word == "audio/pcm" else 8_000)


def wire_format(fmt: AudioFormat) -> dict[str, Any]:
    """A format as servers write it: G.711 carries no rate."""
    return {"type": fmt.type, "rate": fmt.rate} if fmt.type == "audio/pcm" else {"type": fmt.type}


def _transcription(asked: dict[str, Any]) -> dict[str, Any]:
    return {"model": None, "language": None, "prompt": None} | asked


def _normal(change: dict[str, Any]) -> dict[str, Any]:
    """A checked change in the words that servers echo: format objects, whole transcription."""
    change = deepcopy(change)
    for side in change.get("audio", {}).values():
        if "format" in side:
            side["format"] = wire_format(audio_format(side["format"]))
    return change


# Paths whose value is one thing and is replaced whole, not merged into what was there.
_WHOLE: Final = frozenset({"format", "tool_choice", "truncation", "tracing", "prompt", "voice"})
_NULLABLE: Final = frozenset(
    {
        "transcription",
        "noise_reduction",
        "turn_detection",
        "idle_timeout_ms",
        "tracing",
        "prompt",
        "include",
        "providerData",
        "language",
    }
)


def _merge(old: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`change` laid over `old`: a new dict; `old` stays as it was."""
    merged = dict(old)
    for name, value in change.items():
        before = old.get(name)
        if value is None:
            merged[name] = None if name in _NULLABLE or name not in old else before
        elif name == "turn_detection":
            merged[name] = _detection(before, value)
        elif name == "transcription":
            merged[name] = _transcription((before or {}) | value)
        elif isinstance(value, dict) and isinstance(before, dict) and name not in _WHOLE:
            merged[name] = _merge(before, value)
        else:
            merged[name] = value
    return merged


def _detection(before: dict[str, Any] | None, change: dict[str, Any]) -> dict[str, Any]:
    """Turn detection merged: another type starts from its own defaults, and has its own keys."""
    known = _DETECTION[change["type"]]
    start = before if before is not None and before["type"] == change["type"] else known
    return start | {key: given for key, given in change.items() if key in known}
