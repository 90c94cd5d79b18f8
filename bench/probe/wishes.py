"""What a probe asks of the session object, one thing at a time, and what the answer means.

Theory of operation
-------------------
A wish is a `session.update` that changes one thing, and where in `session.updated` to look for
it. Acknowledged is not honoured: a server that answers and does otherwise is believed in what it
does, so the row says `changed to …`. Two names of one format are one format.

Voices and models are data of the dialect, chosen among those that its documents name
(`protocol.md` section 2), so that a refusal says something about the target.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from bench.probe.findings import Row
from bench.probe.tape import (
    ABSENT,
    NOT_SEEN,
    SEEN,
    Ask,
    Tape,
    error_text,
    find_ask,
    format_at,
    look,
    table,
)
from bench.protocol.client import SessionUpdate
from bench.protocol.objects import Session
from bench.voice.audio import AudioFormat


class Wish(NamedTuple):
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
_TURN: Final = "audio.input.turn_detection"


def format_wishes() -> list[Wish]:
    """Every format each way, PCM16 at 24 kHz last, so that the session goes on in it."""
    order = sorted(FORMATS.items(), key=lambda pair: pair[0] == "PCM16 24 kHz")
    return [
        Wish(group, name, f"audio.{side}.format", fmt.wire)
        for group, side in ((INPUT, "input"), (OUTPUT, "output"))
        for name, fmt in order
    ]


SERVER_VAD: Final = Wish(
    DETECTION, "server_vad", _TURN, {"type": "server_vad", "silence_duration_ms": 500}
)
SEMANTIC_HIGH: Final = Wish(
    DETECTION, "semantic_vad high", _TURN, {"type": "semantic_vad", "eagerness": "high"}
)
IDLE_TIMEOUT: Final = Wish(
    DETECTION, "idle_timeout", _TURN, {"type": "server_vad", "idle_timeout_ms": 5000}
)
MANUAL: Final = Wish(DETECTION, "null (manual)", _TURN, None)
DETECTION_WISHES: Final = (
    *(
        Wish(DETECTION, f"semantic_vad {word}", _TURN, {"type": "semantic_vad", "eagerness": word})
        for word in ("low", "medium", "auto")
    ),
    MANUAL,
)
TEXT: Final = Wish(MODALITIES, "text", "output_modalities", ["text"])
AUDIO: Final = Wish(MODALITIES, "audio", "output_modalities", ["audio"])
BOTH: Final = Wish(MODALITIES, "audio and text", "output_modalities", ["audio", "text"])
AUTO_TOOL: Final = Wish(TOOLS, "auto_tool_response", "providerData.auto_tool_response", value=True)
FILLERS: Final = Wish(
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
BACKCHANNELS: Final = Wish(
    INTERJECTIONS, "backchannels", "providerData.backchannel", {"enabled": True}
)
CHANGE_WISHES: Final = {
    "inworld": (
        Wish(CHANGES, "voice", "audio.output.voice", "Sarah"),
        Wish(CHANGES, "model", "model", "google-ai-studio/gemini-2.5-flash-lite"),
        Wish(CHANGES, "speed", "audio.output.speed", 1.1),
        Wish(CHANGES, "instructions", "instructions", "Answer in one short sentence."),
    ),
    "openai": (
        Wish(CHANGES, "voice", "audio.output.voice", "cedar"),
        Wish(CHANGES, "model", "model", "gpt-realtime-mini"),
        Wish(CHANGES, "speed", "audio.output.speed", 1.1),
        Wish(CHANGES, "instructions", "instructions", "Answer in one short sentence."),
    ),
}
ALL: Final = (
    *format_wishes(),
    SERVER_VAD,
    *DETECTION_WISHES[:2],
    SEMANTIC_HIGH,
    *DETECTION_WISHES[2:],
    IDLE_TIMEOUT,
    AUDIO,
    TEXT,
    BOTH,
)


def wish_row(wish: Wish, tapes: Iterable[Tape]) -> Row:
    """What became of a wish."""
    ask = find_ask(tapes, wish.label)
    if ask is None:
        return Row(group=wish.group, name=wish.name, state=NOT_SEEN, detail="not asked")
    state, value, detail = _verdict(wish, ask)
    return Row(group=wish.group, name=wish.name, state=state, value=value, detail=detail)


def _verdict(wish: Wish, ask: Ask) -> tuple[str, str, str]:
    if ask.state == NOT_SEEN:
        return NOT_SEEN, "", "no answer"
    if ask.state != SEEN:
        return ask.state, "", error_text(ask.answer)
    session = table(ask.answer, "session")
    given = look(session, wish.path)
    if given is ABSENT:
        return NOT_SEEN, "acknowledged", "session.updated does not say it"
    if _same(wish, session, given):
        return SEEN, "honoured", f"asked for {short(wish.value)}" if _choice(wish) else ""
    return NOT_SEEN, f"changed to {short(given)}", f"asked for {short(wish.value)}"


def _choice(wish: Wish) -> bool:
    return wish.group == CHANGES


def _same(wish: Wish, session: dict[str, Any], given: Any) -> bool:
    if wish.group in {INPUT, OUTPUT}:
        side = "input" if wish.group == INPUT else "output"
        return format_at(session, side) == FORMATS[wish.name]
    if wish.group == MODALITIES:
        return isinstance(given, list) and set(map(str, given)) == set(wish.value)
    if isinstance(wish.value, dict) and isinstance(given, dict):
        return all(given.get(key) == value for key, value in wish.value.items())
    return bool(given == wish.value)


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
