"""The sessions of a probe: what each asks, and in which order.

Theory of operation
-------------------
Every session plays one script and does what belongs together; none needs another. What is found is
not said here: it is read off what the session left behind (`bench.probe.checks`).

* `call`: connection and defaults; one spoken turn with server_vad; items; changes; a cancel
* `settings`: formats, detectors, modalities; errors on purpose; a turn in manual mode; silence
* `interjections`: one long spoken turn, fillers and backchannels on
* `tools`: calls, outputs, and whether the server goes on by itself
* `semantic`: one spoken turn with semantic_vad
* `interrupt`: the caller talks into a reply, and it is cut (or not)
* `g711`: a reply in mu-law, and where it may be truncated

Every session begins with server_vad. The microphone of a caller is always open: what is streamed
beside speech is silence, but in manual mode, where nothing is. So a session that only writes turns
the detection off first.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from bench.probe.answers import ABSENT, Exchange, format_at, look
from bench.probe.dialogue import (
    ADDED,
    ANSWER_S,
    REPLY_S,
    STRAGGLERS,
    Dialogue,
    NoSuchMessage,
    Step,
)
from bench.probe.findings import SEEN
from bench.probe.setting_checks import (
    AUDIO,
    AUTO_TOOL,
    BACKCHANNELS,
    BOTH,
    CHANGE_CHECKS,
    DETECTION_CHECKS,
    FILLERS,
    FORMATS,
    IDLE_TIMEOUT,
    MANUAL,
    SEMANTIC_HIGH,
    SERVER_VAD,
    TEXT,
    format_checks,
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
from bench.tracker.event import table
from bench.voice.audio import NS_PER_MS, ms
from bench.voice.directions import Direction, HearOut, Pause, Reply, Say

CHUNK_NS: Final = ms(100)
TURN_S: Final = 10.0
"""From the end of speech to the end of the turn: semantic_vad may wait 8 s (`protocol.md` 2.3)."""
TRANSCRIPTION_S: Final = 3.0
IDLE_S: Final = 8.0
_STARTED_S: Final = 2.0
_TRANSCRIPTION: Final = "audio.input.transcription"
_TRANSCRIBERS: Final = {"inworld": "inworld/inworld-stt-1", "openai": "gpt-4o-mini-transcribe"}
_TRANSCRIBED: Final = "conversation.item.input_audio_transcription.completed"
_LONG_REQUEST: Final = "Please count slowly from one to thirty."


# ── call ─────────────────────────────────────────────────────────────────────────────────────


def call(dialogue: Dialogue) -> Iterator[Direction]:
    """One spoken turn with all that comes of it, then its items, changes, and a cancel."""
    if look(dialogue.session, _TRANSCRIPTION) in (None, ABSENT):
        model = {"model": _TRANSCRIBERS[dialogue.dialect.name]}
        yield from dialogue.change("transcription", (_TRANSCRIPTION, model))
    since = len(dialogue.received)
    yield Say(dialogue.utterance)
    yield from _answered(dialogue, since)
    yield from dialogue.wait(_TRANSCRIBED, within_s=TRANSCRIPTION_S, since=since)
    yield STRAGGLERS
    yield from _quiet(dialogue)
    yield from _items(dialogue)
    for check in CHANGE_CHECKS[dialogue.dialect.name]:
        yield from dialogue.check(check)
    yield from _cancel(dialogue)


def _quiet(dialogue: Dialogue) -> Step[Exchange]:
    """Stream no more silence."""
    return dialogue.change("quiet", (MANUAL.path, MANUAL.value))


def _answered(dialogue: Dialogue, since: int) -> Step[None]:
    """Wait until what was said has been answered whole."""
    if (yield from dialogue.wait("response.created", within_s=TURN_S, since=since)) is not None:
        yield from dialogue.wait("response.done", within_s=REPLY_S, since=since)


def _items(dialogue: Dialogue) -> Step[None]:
    committed = yield from dialogue.wait("input_audio_buffer.committed", within_s=0)
    said = str(committed.body.get("item_id")) if committed is not None else ""
    if said:
        retrieve = ConversationItemRetrieve(item_id=said)
        yield from dialogue.ask("retrieve", retrieve, "conversation.item.retrieved")
    item_id, length_ns = dialogue.spoken()
    if item_id:
        yield from _truncate(dialogue, "truncate", item_id, length_ns // 2)
    if said:
        delete = ConversationItemDelete(item_id=said)
        yield from dialogue.ask("delete", delete, "conversation.item.deleted")


def _truncate(
    dialogue: Dialogue, label: str, item_id: str, length_ns: int, *, provoking: bool = False
) -> Step[None]:
    truncate = ConversationItemTruncate(item_id=item_id, audio_end_ms=length_ns // NS_PER_MS)
    yield from dialogue.ask(label, truncate, "conversation.item.truncated", provoking=provoking)


def _cancel(dialogue: Dialogue) -> Step[None]:
    """Have a response begun and cancel it by name."""
    since = len(dialogue.received)
    created = yield from dialogue.request("written", _LONG_REQUEST)
    if created.state != SEEN:
        return
    first = ("response.output_audio.delta", "response.output_text.delta")
    yield from dialogue.wait(*first, within_s=ANSWER_S, since=since)
    named = ResponseCancel(response_id=str(table(created.answer, "response").get("id")))
    yield from dialogue.ask("cancel", named, "response.done")


# ── settings ─────────────────────────────────────────────────────────────────────────────────

KEPT: Final = "Answer in one short sentence."
NOT_KEPT: Final = "This must not be applied."


def settings(dialogue: Dialogue) -> Iterator[Direction]:
    """All that can be asked of the session object, errors on purpose, a manual turn, silence.

    It begins in manual mode: silence in one format may be noise in the next.
    """
    yield from dialogue.change("begin", ("instructions", KEPT))
    yield from _quiet(dialogue)
    # What both services refuse: Inworld overlooks other words (protocol.md 2.1, live.md 11).
    wrong = (("instructions", NOT_KEPT), (_TRANSCRIPTION, {"model": "no-such-model"}))
    yield from dialogue.provoke("invalid_update", dialogue.update(*wrong), "session.updated")
    for check in (*format_checks(), *DETECTION_CHECKS, AUDIO, BOTH, TEXT):
        yield from dialogue.check(check)
    cleared = "input_audio_buffer.cleared"
    yield from dialogue.ask("clear", InputAudioBufferClear(), cleared)
    committed = "input_audio_buffer.committed"
    yield from dialogue.provoke("unknown_event", NoSuchMessage(), "no answer is known")
    yield from dialogue.provoke("commit_empty", InputAudioBufferCommit(), committed)
    yield from dialogue.provoke("cancel_idle", ResponseCancel(), "response.done")
    yield from _manual_turn(dialogue)
    yield from _idle(dialogue)


def _manual_turn(dialogue: Dialogue) -> Step[None]:
    since = len(dialogue.received)
    yield Say(dialogue.utterance)
    yield Pause(CHUNK_NS)  # the last of it leaves a chunk later
    committed = "input_audio_buffer.committed"
    if (yield from dialogue.ask("commit", InputAudioBufferCommit(), committed)).state == SEEN:
        yield from dialogue.wait(_TRANSCRIBED, within_s=TRANSCRIPTION_S, since=since)


def _idle(dialogue: Dialogue) -> Step[None]:
    """Have the turn answered, and say nothing: the wait starts when the reply has been heard."""
    idle = yield from dialogue.check(IDLE_TIMEOUT)
    since = len(dialogue.received)
    created = yield from dialogue.ask("respond", ResponseCreate(), "response.created")
    if created.state == SEEN:
        yield from dialogue.wait("response.done", within_s=REPLY_S, since=since)
    if idle.state == SEEN:
        yield from dialogue.wait("input_audio_buffer.timeout_triggered", within_s=IDLE_S)


# ── interjections, interrupt ─────────────────────────────────────────────────────────────────

CUT_S: Final = 4.0
"""From the first word said into a reply to its end; a reply that goes on longer is not cut."""
INTO: Final = "into"
_TRIES: Final = 3
_SPEED: Final = 0.5
"""Slow replies are longer in coming, so that there is something to cut."""
ASIDE: Final = frozenset({"interrupt", "interjections"})
"""Sessions whose replies are slowed, cut or filled: they do not show how speech usually comes."""


def interjections(dialogue: Dialogue) -> Iterator[Direction]:
    """One long spoken turn and its reply, fillers and backchannels on."""
    fillers = yield from dialogue.check(FILLERS)
    backchannels = yield from dialogue.check(BACKCHANNELS)
    if SEEN not in {fillers.state, backchannels.state}:
        return
    since = len(dialogue.received)
    # In one breath: backchannels are considered after 0.8 s of speech (`protocol.md` 2.4).
    yield Say(dialogue.utterance)
    yield Say(dialogue.utterance)
    yield from _answered(dialogue, since)


def interrupt(dialogue: Dialogue) -> Iterator[Direction]:
    """Talk into replies until one was not all there yet; what is said is not answered."""
    heed = {**SERVER_VAD.value, "create_response": False, "interrupt_response": True}
    yield from dialogue.change("heed", (SERVER_VAD.path, heed))
    yield from dialogue.change("slower", ("audio.output.speed", _SPEED))
    for _ in range(_TRIES):
        since = len(dialogue.received)
        created = yield from dialogue.request(INTO, _LONG_REQUEST)
        if created.state != SEEN:
            return
        sound = "response.output_audio.delta"
        if (yield from dialogue.wait(sound, within_s=ANSWER_S, since=since)) is None:
            return
        yield Say(dialogue.utterance, role="interruption")
        done = yield from dialogue.wait("response.done", within_s=CUT_S, since=since)
        stopped = "input_audio_buffer.speech_stopped"
        yield from dialogue.wait(stopped, within_s=ANSWER_S, since=since)
        if done is None or table(done.body, "response").get("status") != "completed":
            break
    yield STRAGGLERS


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


def tools(dialogue: Dialogue) -> Iterator[Direction]:
    """Two tools, one question that needs both; outputs; then again, the server going on alone."""
    yield from _quiet(dialogue)
    yield from dialogue.change("tools", ("tools", _TOOLS))
    yield from dialogue.check(TEXT)
    calls = [(yield from _round(dialogue, "first"))]
    if (yield from dialogue.check(AUTO_TOOL)).state == SEEN:
        calls.append((yield from _round(dialogue, "auto")))
    for _ in range(_MORE_QUESTIONS):
        if max(calls) != 1:
            return
        reply = yield from _called(dialogue, "again")
        calls.append(len(reply.calls))


def _called(dialogue: Dialogue, label: str) -> Step[Reply]:
    """Ask the question that needs tools; the reply with its calls."""
    params = ResponseParams(tool_choice="required")
    created = yield from dialogue.request(label, _REQUEST, params)
    if created.state != SEEN:
        return Reply()
    reply: Reply = yield HearOut()
    return reply


def _round(dialogue: Dialogue, label: str) -> Step[int]:
    """Ask, answer the calls and hear what becomes of it; how many calls there were."""
    reply = yield from _called(dialogue, label)
    calls = [one for one in reply.calls if one.call_id]
    if not calls:
        return 0
    since = len(dialogue.received)
    for one in calls:
        output = Item(type="function_call_output", call_id=one.call_id, output='{"answer": "fine"}')
        yield from dialogue.ask(f"{label}: output", ConversationItemCreate(item=output), *ADDED)
    created = "response.created"
    alone = yield from dialogue.wait(created, within_s=_STARTED_S, since=since)
    if alone is None:
        yield from dialogue.ask(f"{label}: go on", ResponseCreate(), created)
    yield from dialogue.wait("response.done", within_s=REPLY_S, since=since)
    return len(reply.calls)


# ── semantic, g711 ───────────────────────────────────────────────────────────────────────────


def semantic(dialogue: Dialogue) -> Iterator[Direction]:
    """One spoken turn, up to where semantic_vad says that it is over."""
    yield from dialogue.check(SEMANTIC_HIGH)
    since = len(dialogue.received)
    yield Say(dialogue.utterance)
    ended = ("input_audio_buffer.speech_stopped", "input_audio_buffer.committed")
    yield from dialogue.wait(*ended, within_s=TURN_S, since=since)


def g711(dialogue: Dialogue) -> Iterator[Direction]:
    """A reply in mu-law; truncated beyond and before a third of its length."""
    yield from _quiet(dialogue)
    yield from dialogue.change("mu-law", ("audio.output.format", {"type": "audio/pcmu"}))
    if format_at(dialogue.session, "output") != FORMATS["G.711 mu-law"]:
        return
    yield from dialogue.check(AUDIO)
    since = len(dialogue.received)
    created = yield from dialogue.request("mu-law", "Please count from one to ten.")
    if created.state == SEEN:
        yield from dialogue.wait("response.done", within_s=REPLY_S, since=since)
    item_id, length_ns = dialogue.spoken()
    if not item_id:
        return
    # A clock of 24 000 bytes a second ends at a third of the true length (`protocol.md` 13.10).
    for label, share in (("beyond a third", 0.66), ("before a third", 0.3)):
        until_ns = int(length_ns * share)
        yield from _truncate(dialogue, label, item_id, until_ns, provoking=True)


# ── the sessions and their cost ──────────────────────────────────────────────────────────────


class ProbeScript(NamedTuple):
    """One session of a probe. `says`: how often the utterance is said.

    `silence_s`: how long silence is streamed beside it; `messages`: those beside the appends;
    `vendor`: it is about Inworld's own keys of the session, which are refused elsewhere.
    """

    play: Callable[[Dialogue], Iterator[Direction]]
    says: int
    silence_s: float
    messages: int
    responses: int
    vendor: bool = False


PROBE_SCRIPTS: Final = {
    "call": ProbeScript(call, 1, 10.0, 14, 2),
    "settings": ProbeScript(settings, 1, IDLE_S + 4.0, 31, 2),
    "interjections": ProbeScript(interjections, 2, 9.0, 4, 1, vendor=True),
    "tools": ProbeScript(tools, 0, 1.0, 23, 7),
    "semantic": ProbeScript(semantic, 1, 4.0, 3, 1),
    "interrupt": ProbeScript(interrupt, 3, 12.0, 10, 3),
    "g711": ProbeScript(g711, 0, 1.0, 10, 1),
}
"""By name, the first first."""


def scripts_for(dialect: Dialect) -> tuple[str, ...]:
    """The names of those that have something to ask of a target of this dialect."""
    known = PROBE_SCRIPTS.items()
    return tuple(name for name, one in known if dialect.provider_data or not one.vendor)
