"""The session object of one session: defaults, what may be asked, and the atomic merge.

Theory of operation
-------------------
The effective session is a plain nested dict in the key order of recorded servers, nulls present
(`protocol.md` section 2.5). An update is checked whole by a table of rules, field by field, before
a single key changes: the first rule that is broken is the one error, and nothing is applied. Then
it is laid over what there was: dicts merge into dicts, anything else replaces, `null` too (one
that means absence is not there any more: `bench.protocol.client`). A few things are one value
though they look like dicts. Another kind of detector starts from its own defaults and has its own
keys.

Where the two services differ (models that can change, rates, modalities together, whether
transcription is intrinsic) the difference is a value in `bench.reference.vendor`.

Stated simplifications: `model`, `voice` and `instructions` are echoed and change no sound and no
word; `prompt`, `tracing`, `truncation` and most of `providerData` change nothing at all. Prefix and
silence have no documented limits; up to a minute is taken.
"""

from collections.abc import Collection
from copy import copy, deepcopy
from typing import Any, Final, NamedTuple

import msgspec

from bench.protocol.objects import ResponseParams, Session
from bench.reference.client_requests import Invalid, check_session
from bench.reference.vendor import ServiceProfile, auto_tool_response
from bench.reference.voices import Sound
from bench.voice.audio import FORMATS, AudioFormat

LIFETIME_S: Final = 3600

_SEMANTIC_THRESHOLD: Final = 0.5
_SEMANTIC_PREFIX_MS: Final = 300


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
# Paths whose value is one thing and is replaced whole, not merged into what was there.
_WHOLE: Final = frozenset({"format", "tool_choice", "truncation", "tracing", "prompt", "voice"})


class Detection(NamedTuple):
    """Turn detection in force. `eagerness` (`low`, `medium`, `high`): of semantic_vad alone.

    `silence_ms` is the wait of server_vad; semantic_vad, which waits as it judges, has 0.
    """

    threshold: float
    prefix_ms: int
    silence_ms: int
    create_response: bool
    interrupt_response: bool
    eagerness: str | None = None
    idle_timeout_ms: int | None = None


class ResponseSettings(NamedTuple):
    """The settings of one response: those of the session, less what the response overrides."""

    modalities: list[str]
    format: AudioFormat
    voice: Any
    max_output_tokens: int | str
    tools: list[dict[str, Any]]
    tool_choice: str | dict[str, Any]

    @property
    def most_tokens(self) -> int | None:
        """The limit on output tokens, or None."""
        return self.max_output_tokens if isinstance(self.max_output_tokens, int) else None


class SessionSettings:
    """The effective session of one session. Reading gives values; `update` is all or nothing.

    `quirks` are those that the session has (`bench.reference.profile.SESSION_QUIRKS`).
    `voiceless`: its agent makes no sound any more.
    """

    def __init__(
        self,
        service: ServiceProfile,
        *,
        session_id: str,
        model: str,
        opened_s: int,
        lifetime_s: int = LIFETIME_S,
        quirks: Collection[str] = (),
    ) -> None:
        self.service = service
        self.voiceless = False
        self._quirks = quirks
        self._unanswered = False
        stt = service.transcription
        self._session: dict[str, Any] = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model or service.model,
            "output_modalities": list(service.modalities),
            "instructions": "",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "expires_at": opened_s + lifetime_s,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "transcription": None if stt is None else _transcription({"model": stt}),
                    "noise_reduction": None,
                    "turn_detection": dict(_DETECTION["server_vad"]),
                },
                "output": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "voice": service.voice,
                    "speed": 1.0,
                },
            },
            "include": None,
        }
        if service.dialect == "inworld":
            self._session |= {"temperature": 0.8, "providerData": None}

    @property
    def effective(self) -> Session:
        """The whole session object as it goes over the wire."""
        return msgspec.convert(self._session, Session)

    @property
    def speed(self) -> float:
        return float(self._session["audio"]["output"]["speed"])

    @property
    def provider_data(self) -> dict[str, Any] | None:
        return self._session.get("providerData")

    @property
    def answers_tools(self) -> bool:
        """Whether the server answers by itself once all tool outputs are there."""
        said = auto_tool_response(self.provider_data)
        by_itself = "auto_tools" in self._quirks and self.service.dialect == "inworld"
        return by_itself if said is None else said

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
        """The turn detection in force; None in manual mode."""
        asked = self._session["audio"]["input"]["turn_detection"]
        if asked is None:
            return None
        create = asked["create_response"] and not self._unanswered
        interrupt = asked["interrupt_response"]
        if asked["type"] == "semantic_vad":
            eagerness = "medium" if asked["eagerness"] == "auto" else asked["eagerness"]
            return Detection(
                _SEMANTIC_THRESHOLD, _SEMANTIC_PREFIX_MS, 0, create, interrupt, eagerness
            )
        return Detection(
            threshold=asked["threshold"],
            prefix_ms=asked["prefix_padding_ms"],
            silence_ms=asked["silence_duration_ms"],
            create_response=create,
            interrupt_response=interrupt,
            idle_timeout_ms=asked["idle_timeout_ms"] if create else None,
        )

    def for_response(self, params: ResponseParams) -> ResponseSettings:
        """The settings of one response with these checked parameters."""
        own = msgspec.to_builtins(params)
        audio = (own.get("audio") or {}).get("output") or {}
        output = self._session["audio"]["output"]

        def chosen(name: str) -> Any:
            return self._session[name] if own.get(name) is None else own[name]

        return ResponseSettings(
            modalities=chosen("output_modalities"),
            format=audio_format(audio.get("format") or output["format"]),
            voice=own.get("voice", audio.get("voice") or output["voice"]),
            max_output_tokens=chosen("max_output_tokens"),
            tools=chosen("tools"),
            tool_choice=chosen("tool_choice"),
        )

    def update(self, asked: Session, *, spoken: bool = False) -> Invalid | None:
        """Apply `asked` whole, or nothing and say why. `spoken`: the agent has made a sound."""
        change: dict[str, Any] = msgspec.to_builtins(asked)
        invalid = check_session(change, self.service) or self._refused(change, spoken=spoken)
        if invalid is not None:
            return invalid
        detection = change.get("audio", {}).get("input", {}).get("turn_detection")
        if isinstance(detection, dict):
            left_open = (
                detection.get("type") == "semantic_vad" and "create_response" not in detection
            )
            self._unanswered = left_open and "semantic_unanswered" in self._quirks
        for name in ("object", "id", "expires_at"):
            change.pop(name, None)
        self._session = _merged(self._session, self._normal(change))
        return None

    def sounds_after(self, asked: Session) -> tuple[Sound, ...]:
        """The sounds of this session after an update; none if that would be refused."""
        after = copy(self)  # an update replaces what it changes
        if after.update(asked) is not None:
            return ()
        return Sound(after.input_format), Sound(after.output_format, after.speed)

    def _normal(self, change: dict[str, Any]) -> dict[str, Any]:
        """A checked change in the words that servers echo: formats as objects."""
        change = deepcopy(change)
        for side in change.get("audio", {}).values():
            if "format" in side:
                asked, fmt = side["format"], audio_format(side["format"])
                in_old_words = isinstance(asked, dict) and asked["type"] != fmt.type
                self.voiceless |= "mute_shorthand" in self._quirks and in_old_words
                refused = "refuse_g711" in self._quirks and fmt.type != "audio/pcm"
                side["format"] = (AudioFormat() if refused else fmt).wire
        return change

    def _refused(self, change: dict[str, Any], *, spoken: bool) -> Invalid | None:
        """What is well formed and yet refused by OpenAI; Inworld takes it all."""
        if not self.service.strict:
            return None
        if "type" not in change:
            text = "Missing required parameter: 'session.type'."
            return Invalid("session.type", text, "missing_required_parameter")
        if len(change.get("output_modalities", ())) > 1:
            return Invalid("session.output_modalities", "One modality at a time: text or audio.")
        if change.get("model", self._session["model"]) != self._session["model"]:
            return Invalid("session.model", "The model of a session cannot be changed.")
        voice = self._session["audio"]["output"]["voice"]
        if spoken and change.get("audio", {}).get("output", {}).get("voice", voice) != voice:
            return Invalid("session.audio.output.voice", "The voice is fixed once it has spoken.")
        return None


def audio_format(wire: dict[str, Any] | str) -> AudioFormat:
    """The format that a checked wire value means: an object, or a word of Inworld's samples."""
    if isinstance(wire, str):
        return FORMATS[wire]
    named = FORMATS[wire["type"]]
    rate = wire.get("rate")
    return named._replace(rate=rate) if rate and named.type == "audio/pcm" else named


def _transcription(asked: dict[str, Any]) -> dict[str, Any]:
    """A transcription object with every key that servers echo."""
    return {"model": None, "language": None, "prompt": None} | asked


def _merged(old: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`change` laid over `old`: a new dict; `old` stays as it was."""
    new = dict(old)
    for name, value in change.items():
        before = old.get(name)
        if name == "turn_detection" and value is not None:
            new[name] = _detection(before, value)
        elif name == "transcription" and value is not None:
            new[name] = _transcription((before or {}) | value)
        elif isinstance(value, dict) and isinstance(before, dict) and name not in _WHOLE:
            new[name] = _merged(before, value)
        else:
            new[name] = value
    return new


def _detection(before: dict[str, Any] | None, change: dict[str, Any]) -> dict[str, Any]:
    """Turn detection merged: another type starts from its own defaults, and has its own keys."""
    kind = change.get("type") or (before or _DETECTION["server_vad"])["type"]
    known = _DETECTION[kind]
    start = before if before is not None and before["type"] == kind else known
    return start | {key: given for key, given in change.items() if key in known}
