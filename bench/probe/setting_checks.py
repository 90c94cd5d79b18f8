"""Checks of the session object: one thing is asked of it at a time, and the answer compared.

Theory of operation
-------------------
A check is a `session.update` that changes one thing, and where in `session.updated` to look for
it. Acknowledged is not honoured: a server that answers and does otherwise is believed in what it
does, so the row says `changed to …`. Two names of one format are one format.

Voices and models are data of the dialect, chosen among those that its documents name
(`protocol.md` section 2), so that a refusal says something about the target.
"""

from typing import Any, Final, NamedTuple

import msgspec

from bench.probe.answers import ABSENT, Exchange, error_text, format_at, look
from bench.probe.findings import NOT_SEEN, SEEN, Finding
from bench.protocol.client import SessionUpdate
from bench.protocol.objects import Session
from bench.tracker.event import table
from bench.voice.audio import AudioFormat


class SettingCheck(NamedTuple):
    """One change of the session: `path` is set to `value`; found in `group` under `name`."""

    group: str
    name: str
    path: str
    value: Any

    @property
    def label(self) -> str:
        return f"{self.group}/{self.name}"


def update(session_type: str | None, *changes: tuple[str, Any]) -> SessionUpdate:
    """The `session.update` that sets each dotted path to its value."""
    whole: dict[str, Any] = {} if session_type is None else {"type": session_type}
    for path, value in changes:
        *tables, last = path.split(".")
        into = whole
        for name in tables:
            into = into.setdefault(name, {})
        into[last] = value
    return SessionUpdate(session=msgspec.convert(whole, Session))


FORMATS: Final = {
    "PCM16 8 kHz": AudioFormat("audio/pcm", 8_000),
    "PCM16 16 kHz": AudioFormat("audio/pcm", 16_000),
    "PCM16 24 kHz": AudioFormat("audio/pcm", 24_000),
    "PCM16 48 kHz": AudioFormat("audio/pcm", 48_000),
    "G.711 mu-law": AudioFormat("audio/pcmu", 8_000),
    "G.711 A-law": AudioFormat("audio/pcma", 8_000),
}
INPUT, OUTPUT, DETECTION = "input formats", "output formats", "turn detection"
MODALITIES, TOOLS, CHANGES = "modalities", "tools", "changes in mid-session"
INTERJECTIONS: Final = "interjections"


def format_checks() -> list[SettingCheck]:
    """Every format each way, PCM16 at 24 kHz last, so that the session goes on in it."""
    order = sorted(FORMATS.items(), key=lambda pair: pair[0] == "PCM16 24 kHz")
    return [
        SettingCheck(group, name, f"audio.{side}.format", fmt.wire)
        for group, side in ((INPUT, "input"), (OUTPUT, "output"))
        for name, fmt in order
    ]


def _detector(name: str, **detector: Any) -> SettingCheck:
    return SettingCheck(DETECTION, name, "audio.input.turn_detection", detector or None)


SERVER_VAD: Final = _detector("server_vad", type="server_vad", silence_duration_ms=500)
IDLE_TIMEOUT: Final = _detector("idle_timeout", type="server_vad", idle_timeout_ms=5000)
MANUAL: Final = _detector("null (manual)")
_SEMANTIC: Final = {
    word: _detector(f"semantic_vad {word}", type="semantic_vad", eagerness=word)
    for word in ("low", "medium", "high", "auto")
}
SEMANTIC_HIGH: Final = _SEMANTIC["high"]
DETECTION_CHECKS: Final = (_SEMANTIC["low"], _SEMANTIC["medium"], _SEMANTIC["auto"], MANUAL)
"""Those that nobody speaks to, manual mode last."""
TEXT: Final = SettingCheck(MODALITIES, "text", "output_modalities", ["text"])
AUDIO: Final = SettingCheck(MODALITIES, "audio", "output_modalities", ["audio"])
BOTH: Final = SettingCheck(MODALITIES, "audio and text", "output_modalities", ["audio", "text"])
AUTO_TOOL: Final = SettingCheck(
    TOOLS, "auto_tool_response", "providerData.auto_tool_response", value=True
)
FILLERS: Final = SettingCheck(
    INTERJECTIONS,
    "fillers",
    "providerData.responsiveness",
    # The wait is stated, so that it is known which replies owe a filler.
    {
        "enabled": True,
        "initial_wait_timeout_ms": 100,
        "enable_filler_on_first_assistant_reply": True,
    },
)
BACKCHANNELS: Final = SettingCheck(
    INTERJECTIONS, "backchannels", "providerData.backchannel", {"enabled": True}
)
CHANGE_CHECKS: Final = {
    dialect: (
        SettingCheck(CHANGES, "voice", "audio.output.voice", voice),
        SettingCheck(CHANGES, "model", "model", model),
        SettingCheck(CHANGES, "speed", "audio.output.speed", 1.1),
        SettingCheck(CHANGES, "instructions", "instructions", "Answer in one short sentence."),
    )
    for dialect, voice, model in (
        ("inworld", "Sarah", "google-ai-studio/gemini-2.5-flash-lite"),
        ("openai", "cedar", "gpt-realtime-mini"),
    )
}
ALL: Final = (
    *format_checks(), SERVER_VAD, *_SEMANTIC.values(), MANUAL, IDLE_TIMEOUT, AUDIO, TEXT, BOTH,
)  # fmt: skip


def setting_row(check: SettingCheck, ask: Exchange | None) -> Finding:
    """What became of a setting; None: it was not asked for."""
    return Finding(check.group, check.name, *_outcome(check, ask))


def _outcome(check: SettingCheck, ask: Exchange | None) -> tuple[str, str, str]:
    """State, value and detail of the row."""
    if ask is None:
        return NOT_SEEN, "", "not asked"
    if ask.state == NOT_SEEN:
        return NOT_SEEN, "", "no answer"
    if ask.state != SEEN:
        return ask.state, "", error_text(ask.answer)
    session = table(ask.answer, "session")
    given = look(session, check.path)
    if given is ABSENT:
        return NOT_SEEN, "acknowledged", "session.updated does not say it"
    if _same(check, session, given):
        chosen = check.group == CHANGES
        return SEEN, "honoured", f"asked for {short(check.value)}" if chosen else ""
    return NOT_SEEN, f"changed to {short(given)}", f"asked for {short(check.value)}"


def _same(check: SettingCheck, session: dict[str, Any], given: Any) -> bool:
    if check.group in {INPUT, OUTPUT}:
        side = "input" if check.group == INPUT else "output"
        return format_at(session, side) == FORMATS[check.name]
    if check.group == MODALITIES:
        return isinstance(given, list) and set(map(str, given)) == set(check.value)
    if isinstance(check.value, dict) and isinstance(given, dict):
        return all(given.get(key) == value for key, value in check.value.items())
    return bool(given == check.value)


def short(value: Any) -> str:
    """A value of a session object in a few characters; what is null in a table is left out."""
    if isinstance(value, dict):
        return " ".join(
            f"{key}={short(held)}" if key != "type" else str(held)
            for key, held in value.items()
            if held is not None
        )
    if isinstance(value, list):
        return ", ".join(map(short, value))
    if value is None or isinstance(value, bool):
        return msgspec.json.encode(value).decode()
    return str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}…"
