"""The sessions of a probe: for each, what is asked, in which order, and how long it may take.

Theory of operation
-------------------
Every sitting is one session and does what belongs together; none needs another. Each step waits
with a timeout of its own and goes on without its answer, so that one thing that a target does not
do costs seconds and not the rest. What is found is not said here: it is read off the tape.

* `call`: connection and defaults; one spoken turn with server_vad; items; changes; a cancel
* `settings`: formats, detectors, modalities; errors on purpose; a turn in manual mode; silence
* `tools`: calls, outputs, and whether the server goes on by itself
* `semantic`: one spoken turn with semantic_vad
* `g711`: a reply in mu-law, and where it may be truncated
* `interrupt`, `interjections`: both talk at once (`bench.probe.talking`)
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from bench.probe.line import ANSWER_S, Line, Unheard
from bench.probe.replies import replies
from bench.probe.steps import (
    ADDED,
    LONG_REQUEST,
    REPLY_S,
    STRAGGLERS_S,
    TURN_S,
    Kit,
    begin,
    grant,
    request,
    respond,
    speak,
)
from bench.probe.talking import interjections, interrupt
from bench.probe.tape import ABSENT, SEEN, format_at, look, table
from bench.probe.wishes import (
    AUDIO,
    AUTO_TOOL,
    BOTH,
    CHANGE_WISHES,
    DETECTION_WISHES,
    IDLE_TIMEOUT,
    SEMANTIC_HIGH,
    SERVER_VAD,
    TEXT,
    format_wishes,
    update,
)
from bench.protocol.client import (
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ConversationItemTruncate,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    ResponseCancel,
    ResponseCreate,
)
from bench.protocol.dialects import Dialect
from bench.protocol.objects import Item, ResponseParams
from bench.voice.audio import NS_PER_MS

TRANSCRIPTION_S: Final = 3.0
PROVOKED_S: Final = 2.0
IDLE_S: Final = 8.0
_STARTED: Final = 2.0

_TRANSCRIBERS: Final = {"inworld": "inworld/inworld-stt-1", "openai": "gpt-4o-mini-transcribe"}
_COMPLETED: Final = "conversation.item.input_audio_transcription.completed"


# ── call ─────────────────────────────────────────────────────────────────────────────────────


async def call(line: Line, kit: Kit) -> None:
    """One spoken turn with all that comes of it, then its items, changes, and a cancel."""
    await begin(line, kit, SERVER_VAD.label, (SERVER_VAD.path, SERVER_VAD.value))
    if look(line.session, "audio.input.transcription") in (None, ABSENT):
        model = {"model": _TRANSCRIBERS[kit.dialect.name]}
        asked = update(kit.dialect.session_type, ("audio.input.transcription", model))
        await line.ask("transcription", asked, "session.updated")
    since = len(line.frames)
    await speak(line, kit)
    if await line.hear("response.created", within_s=TURN_S, since=since) is not None:
        await line.hear("response.done", within_s=REPLY_S, since=since)
    await line.hear(_COMPLETED, within_s=TRANSCRIPTION_S, since=since)
    await line.until(lambda: None, STRAGGLERS_S)
    line.hush()
    await _items(line)
    for wish in CHANGE_WISHES[kit.dialect.name]:
        await grant(line, kit, wish)
    await _cancel(line)


async def _items(line: Line) -> None:
    committed = await line.hear("input_audio_buffer.committed", within_s=0)
    if committed is not None:
        said = str(committed.body.get("item_id"))
        await line.ask(
            "retrieve", ConversationItemRetrieve(item_id=said), "conversation.item.retrieved"
        )
    spoken = next((reply for reply in replies(line.tape()) if reply.item_id), None)
    if spoken is not None:
        half_ms = spoken.format.duration_ns(spoken.nbytes) // 2 // NS_PER_MS
        truncate = ConversationItemTruncate(item_id=spoken.item_id, audio_end_ms=half_ms)
        await line.ask("truncate", truncate, "conversation.item.truncated")
    if committed is not None:
        delete = ConversationItemDelete(item_id=said)
        await line.ask("delete", delete, "conversation.item.deleted")


async def _cancel(line: Line) -> None:
    """Have a response begun and cancel it by name."""
    since = len(line.frames)
    created = await request(line, "written", LONG_REQUEST)
    if created.state != SEEN:
        return
    first = ("response.output_audio.delta", "response.output_text.delta")
    await line.hear(*first, within_s=ANSWER_S, since=since)
    named = ResponseCancel(response_id=str(table(created.answer, "response").get("id")))
    await line.ask("cancel", named, "response.done")


# ── settings ─────────────────────────────────────────────────────────────────────────────────

KEPT: Final = "Answer in one short sentence."
NOT_KEPT: Final = "This must not be applied."


async def settings(line: Line, kit: Kit) -> None:
    """All that can be asked of the session object, errors on purpose, a manual turn, silence."""
    await begin(line, kit, "begin", ("instructions", KEPT))
    wrong = update(
        kit.dialect.session_type,
        ("instructions", NOT_KEPT),
        # What both services refuse: Inworld overlooks other words (protocol.md 2.1, live.md 11).
        ("audio.input.transcription", {"model": "no-such-model"}),
    )
    await line.ask("invalid_update", wrong, "session.updated", within_s=PROVOKED_S, provoking=True)
    for wish in (*format_wishes(), *DETECTION_WISHES, AUDIO, BOTH, TEXT):
        await grant(line, kit, wish)
    commit, cancel = InputAudioBufferCommit(), ResponseCancel()
    provoked: tuple[tuple[str, Any, str], ...] = (
        ("unknown_event", Unheard(), "no answer is known"),
        ("commit_empty", commit, "input_audio_buffer.committed"),
        ("cancel_idle", cancel, "response.done"),
    )
    for label, message, answer in provoked:
        await line.ask(label, message, answer, within_s=PROVOKED_S, provoking=True)
    await line.ask("clear", InputAudioBufferClear(), "input_audio_buffer.cleared")
    await _manual_turn(line, kit)
    await _idle(line, kit)


async def _manual_turn(line: Line, kit: Kit) -> None:
    since = len(line.frames)
    await speak(line, kit)
    line.hush()
    commit = await line.ask("commit", InputAudioBufferCommit(), "input_audio_buffer.committed")
    if commit.state == SEEN:
        await line.hear(_COMPLETED, within_s=TRANSCRIPTION_S, since=since)


async def _idle(line: Line, kit: Kit) -> None:
    """Have the turn answered, and say nothing: the wait starts when the reply has been heard."""
    idle = await grant(line, kit, IDLE_TIMEOUT)
    since = len(line.frames)
    created = await line.ask("respond", ResponseCreate(), "response.created")
    if created.state == SEEN:
        await line.hear("response.done", within_s=REPLY_S, since=since)
    if idle.state == SEEN:
        line.listen()
        await line.hear("input_audio_buffer.timeout_triggered", within_s=IDLE_S)
        line.hush()


# ── tools ────────────────────────────────────────────────────────────────────────────────────

_PLACE: Final = {
    "type": "object",
    "properties": {"place": {"type": "string"}},
    "required": ["place"],
}
TOOL_NAMES: Final = ("get_weather", "get_local_time")
_TOOLS: Final = [
    {
        "type": "function",
        "name": name,
        "description": f"{name.replace('_', ' ').capitalize()} of a place.",
        "parameters": _PLACE,
    }
    for name in TOOL_NAMES
]
_MORE_QUESTIONS: Final = 3
"""A model that calls one tool after the other may yet call both at once."""
_REQUEST: Final = "What are the weather and the local time in Paris? Call both tools at once."


async def tools(line: Line, kit: Kit) -> None:
    """Two tools, one question that needs both; outputs; then again, the server going on alone."""
    await begin(line, kit, "tools", ("tools", _TOOLS), ("audio.input.turn_detection", None))
    await grant(line, kit, TEXT)
    await _round(line, "first")
    if (await grant(line, kit, AUTO_TOOL)).state == SEEN:
        await _round(line, "auto")
    for _ in range(_MORE_QUESTIONS):
        told = replies(line.tape())
        if not any(reply.calls for reply in told) or any(len(reply.calls) > 1 for reply in told):
            return
        await respond(line, "again", _REQUEST, ResponseParams(tool_choice="required"))


async def _round(line: Line, label: str) -> None:
    reply = await respond(line, label, _REQUEST, ResponseParams(tool_choice="required"))
    if reply is None or not reply.calls:
        return
    since = len(line.frames)
    for call_id, _ in reply.calls:
        output = Item(type="function_call_output", call_id=call_id, output='{"answer": "fine"}')
        await line.ask(f"{label}: output", ConversationItemCreate(item=output), *ADDED)
    alone = await line.hear("response.created", within_s=_STARTED, since=since)
    if alone is None:
        await line.ask(f"{label}: go on", ResponseCreate(), "response.created")
    await line.hear("response.done", within_s=REPLY_S, since=since)


# ── semantic, g711 ───────────────────────────────────────────────────────────────────────────


async def semantic(line: Line, kit: Kit) -> None:
    """One spoken turn, up to where semantic_vad says that it is over."""
    await begin(line, kit, SEMANTIC_HIGH.label, (SEMANTIC_HIGH.path, SEMANTIC_HIGH.value))
    since = len(line.frames)
    await speak(line, kit)
    ended = ("input_audio_buffer.speech_stopped", "input_audio_buffer.committed")
    await line.hear(*ended, within_s=TURN_S, since=since)
    line.hush()


async def g711(line: Line, kit: Kit) -> None:
    """A reply in mu-law; truncated beyond and before a third of its length."""
    await begin(line, kit, "begin", ("audio.input.turn_detection", None))
    await line.ask(
        "mu-law",
        update(kit.dialect.session_type, ("audio.output.format", {"type": "audio/pcmu"})),
        "session.updated",
    )
    fmt = format_at(line.session, "output")
    if fmt is None or fmt.type != "audio/pcmu":
        return
    await grant(line, kit, AUDIO)
    reply = await respond(line, "mu-law", "Please count from one to ten.")
    if reply is None or not reply.item_id:
        return
    # A clock of 24 000 bytes a second ends at a third of the true length (`protocol.md` 13.10).
    whole_ms = reply.format.duration_ns(reply.nbytes) // NS_PER_MS
    for label, share in (("beyond a third", 0.66), ("before a third", 0.3)):
        truncate = ConversationItemTruncate(
            item_id=reply.item_id, audio_end_ms=int(whole_ms * share)
        )
        await line.ask(label, truncate, "conversation.item.truncated", provoking=True)


class Sitting(NamedTuple):
    """One session of a probe. `says`: how often the utterance is said; `silence_s`: beside it.

    `vendor`: it is about Inworld's own keys of the session, and refused elsewhere.
    """

    play: Callable[[Line, Kit], Awaitable[None]]
    says: int
    silence_s: float
    messages: int
    responses: int
    vendor: bool = False


SITTINGS: Final = {
    "call": Sitting(call, 1, 10.0, 12, 2),
    "settings": Sitting(settings, 1, IDLE_S, 28, 2),
    "interjections": Sitting(interjections, 2, 5.0, 3, 1, vendor=True),
    "tools": Sitting(tools, 0, 0.0, 20, 7),
    "semantic": Sitting(semantic, 1, 3.0, 1, 1),
    "interrupt": Sitting(interrupt, 3, 6.0, 8, 3),
    "g711": Sitting(g711, 0, 0.0, 7, 1),
}
"""By name, the first first. Messages are those beside the appends."""


def sittings_for(dialect: Dialect) -> tuple[str, ...]:
    """The names of those that have something to ask of a target of this dialect."""
    return tuple(n for n, s in SITTINGS.items() if dialect.provider_data or not s.vendor)
