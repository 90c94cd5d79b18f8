"""Where a server does otherwise than the seed says: one detector per quirk, over tapes alone.

Theory of operation
-------------------
A detector looks at one session and gives a sighting or nothing: `seen` means that it was
observed, `not seen` that it was not, and never that it is not there. What each looks for is in
its first line; the quirks are those of `protocol.md` sections 5, 12 and 13.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from bench.probe.findings import Row, Sighting
from bench.probe.overlap import backchannel_skipped, filler, late_audio
from bench.probe.replies import is_padding, replies
from bench.probe.tape import (
    BINARY,
    GA_NAMES,
    NOT_JSON,
    NOT_SEEN,
    SEEN,
    Frame,
    Tape,
    error_text,
    table,
)
from bench.probe.wishes import FORMATS, INPUT, OUTPUT, format_wishes, wish_row
from bench.protocol.codec import message_table
from bench.voice.audio import NS_PER_MS
from bench.voice.session_setup import UNGREETED_NS

QUIRKS: Final = "quirks"
_INPUT_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"


def _field(frame: Frame, name: str) -> str:
    return str(frame.body.get(name) or "")


def _first(frames: Iterable[Frame], detail: str = "") -> Sighting | None:
    seen = list(frames)
    return Sighting(f"{len(seen)} ×", detail or seen[0].type) if seen else None


# ── transcription of the caller ──────────────────────────────────────────────────────────────


def cumulative_deltas(tape: Tape) -> Sighting | None:
    """Each transcription delta is the whole hypothesis so far: the last one is the transcript."""
    told: dict[str, list[str]] = {}
    for frame in tape.of(f"{_INPUT_TRANSCRIPTION}.delta"):
        if delta := _field(frame, "delta").strip():
            told.setdefault(_field(frame, "item_id"), []).append(delta)
    finals = {
        _field(frame, "item_id"): _field(frame, "transcript").strip()
        for frame in tape.of(f"{_INPUT_TRANSCRIPTION}.completed")
    }
    for item_id, deltas in told.items():
        if len(deltas) < 2:
            continue
        final = finals.get(item_id, "") or max(deltas, key=len)
        whole = len(" ".join(deltas))
        if abs(len(deltas[-1]) - len(final)) < abs(whole - len(final)):
            return Sighting(f"{len(deltas)} deltas", f"the last: {deltas[-1]!r}")
    return None


def transcription_late(tape: Tape) -> Sighting | None:
    """The transcript of a turn comes after the response to it has ended."""
    heard = list(tape.heard)
    for at, frame in enumerate(heard):
        if frame.type != f"{_INPUT_TRANSCRIPTION}.completed":
            continue
        item_id = _field(frame, "item_id")
        begun = next(
            (
                n
                for n, other in enumerate(heard)
                if other.type == "input_audio_buffer.committed"
                and _field(other, "item_id") == item_id
            ),
            at,
        )
        done = next((other for other in heard[begun:at] if other.type == "response.done"), None)
        if done is not None and not _repeated(heard[:at], item_id):
            return Sighting(f"{_ms(frame.at_ns - done.at_ns)} after response.done")
    return None


def _repeated(before: list[Frame], item_id: str) -> bool:
    return any(
        frame.type == f"{_INPUT_TRANSCRIPTION}.completed" and _field(frame, "item_id") == item_id
        for frame in before
    )


def transcription_duplicate(tape: Tape) -> Sighting | None:
    """`transcription.completed` comes more than once for one item."""
    items = [_field(f, "item_id") for f in tape.of(f"{_INPUT_TRANSCRIPTION}.completed")]
    most = max((items.count(item) for item in items), default=0)
    return Sighting(f"{most} times for one item") if most > 1 else None


# ── what is left out ─────────────────────────────────────────────────────────────────────────


def missing_usage(tape: Tape) -> Sighting | None:
    """A completed response or a transcription says no usage; the value names which."""
    places = []
    done = [frame for frame in tape.of("response.done") if _response(frame, "status") in _SPOKE]
    if any(not table(frame.body, "response", "usage") for frame in done):
        places.append("response")
    if any(not table(f.body, "usage") for f in tape.of(f"{_INPUT_TRANSCRIPTION}.completed")):
        places.append("transcription")
    return Sighting(", ".join(places)) if places else None


_SPOKE: Final = {"completed", "incomplete"}


def _response(frame: Frame, name: str) -> Any:
    return table(frame.body, "response").get(name)


def usage_at_top(tape: Tape) -> Sighting | None:
    """`response.done` carries usage beside the response, not only in it."""
    return _first((f for f in tape.of("response.done") if table(f.body, "usage")), "response.done")


def missing_ms(tape: Tape) -> Sighting | None:
    """Speech started or stopped, and the message does not say at which millisecond."""
    absent = [
        f"{frame.type.rpartition('.')[2]}: {name}"
        for kind, name in (
            ("input_audio_buffer.speech_started", "audio_start_ms"),
            ("input_audio_buffer.speech_stopped", "audio_end_ms"),
        )
        for frame in tape.of(kind)
        if not isinstance(frame.body.get(name), int | float)
    ]
    return Sighting(", ".join(dict.fromkeys(absent))) if absent else None


def missing_name(tape: Tape) -> Sighting | None:
    """`function_call_arguments.done` does not name the function, which its item does."""
    done, nameless = tape.of(_ARGUMENTS), _calls_without(tape, "name")
    return _first(
        frame
        for frame in done
        if not frame.body.get("name") and _field(frame, "item_id") not in nameless
    )


_ARGUMENTS: Final = "response.function_call_arguments.done"
_OUTPUT: Final = "response.output_item"


def _calls_without(tape: Tape, name: str) -> list[str]:
    """Items of tool calls that no message gives a field of, once each."""
    items = [f for f in tape.of(f"{_OUTPUT}.added", f"{_OUTPUT}.done") if _is_call(f)]
    known = {_item_id(f) for f in items if table(f.body, "item").get(name)}
    known |= {_field(f, "item_id") for f in tape.of(_ARGUMENTS) if f.body.get(name)}
    return list(dict.fromkeys(_item_id(f) for f in items if _item_id(f) not in known))


def _is_call(frame: Frame) -> bool:
    return table(frame.body, "item").get("type") == "function_call"


def nameless_calls(tape: Tape) -> Sighting | None:
    """Tool calls of which no message says the name."""
    return _some("calls", _calls_without(tape, "name"))


def idless_calls(tape: Tape) -> Sighting | None:
    """Tool calls of which no message says the call_id: they cannot be answered."""
    return _some("calls", _calls_without(tape, "call_id"))


def _some(what: str, ids: list[str]) -> Sighting | None:
    return Sighting(f"{len(ids)} {what}", ids[0]) if ids else None


def previous_null(tape: Tape) -> Sighting | None:
    """An item's `done` has previous_item_id null where its `added` had one."""
    added = {_item_id(f): f.body.get("previous_item_id") for f in tape.of(_ITEM_ADDED)}
    return _first(
        frame
        for frame in tape.of("conversation.item.done")
        if frame.body.get("previous_item_id") is None and added.get(_item_id(frame))
    )


_ITEM_ADDED: Final = "conversation.item.added"


def _item_id(frame: Frame) -> str:
    return str(table(frame.body, "item").get("id"))


def flat_error(tape: Tape) -> Sighting | None:
    """An error says a flat `message` and has no `error` object."""
    errors = tape.of("error")
    flat = [one for one in errors if not isinstance(one.body.get("error"), dict | str)]
    return Sighting(f"{len(flat)} ×", error_text(flat[0].body)) if flat else None


# ── what is sent beside or twice ─────────────────────────────────────────────────────────────


def both_streams(tape: Tape) -> Sighting | None:
    """One response streams its words as text and as transcript."""
    twice = [reply for reply in replies(tape) if {"text", "transcript"} <= set(reply.streams)]
    return Sighting(f"{len(twice)} responses", ", ".join(twice[0].streams)) if twice else None


def zero_padding(tape: Tape) -> Sighting | None:
    """A reply's audio ends with a tiny delta of nothing but zeros."""
    for reply in replies(tape):
        if len(reply.deltas) > 1 and is_padding(reply, reply.deltas[-1]):
            length_ns = reply.format.duration_ns(len(reply.deltas[-1].audio))
            return Sighting(_ms(length_ns), f"the last of {len(reply.deltas)} deltas")
    return None


def beta_names(tape: Tape) -> Sighting | None:
    """Messages are spelt as the beta spelt them."""
    beta = {f.type for f in tape.heard if f.type in GA_NAMES or f.type == _BETA_ITEM}
    return Sighting(f"{len(beta)} types", ", ".join(sorted(beta))) if beta else None


_BETA_ITEM: Final = "conversation.item.created"


def updated_unasked(tape: Tape) -> Sighting | None:
    """`session.updated` comes more often than session.update was sent."""
    sent = sum(frame.out and frame.type == "session.update" for frame in tape.frames)
    said = len(tape.of("session.updated"))
    return Sighting(f"{said - sent} ×") if said > sent else None


def no_session_updated(tape: Tape) -> Sighting | None:
    """session.update was sent, works or not, and is never acknowledged."""
    asks = [ask for ask in tape.asks if ask.type == "session.update" and not ask.provoking]
    deaf = [ask for ask in asks if ask.state == NOT_SEEN]
    if len(deaf) < len(asks) or not asks or not tape.of("session.created"):
        return None
    return Sighting(f"{len(deaf)} ×", "session.update")


def updated_as_created(tape: Tape) -> Sighting | None:
    """session.update is acknowledged by session.created, and never by session.updated."""
    return None if tape.of("session.updated") else _first(tape.of("session.created")[1:])


def late_session_created(tape: Tape) -> Sighting | None:
    """session.created comes so late that a caller has begun without it."""
    link = tape.link
    stages = (link.dns_ns, link.tcp_ns, link.tls_ns, link.upgrade_ns)
    took_ns = (link.created_ns or 0) - sum(filter(None, stages))
    return Sighting(f"{_ms(took_ns)} after the upgrade") if took_ns > UNGREETED_NS else None


def no_response_created(tape: Tape) -> Sighting | None:
    """A response has an output item and no response.created."""
    known = {_response(frame, "id") for frame in tape.of("response.created")}
    items = tape.of(f"{_OUTPUT}.added")
    return _first(f for f in items if _field(f, "response_id") not in known)


def repeated_response_created(tape: Tape) -> Sighting | None:
    """response.created comes again for the same response."""
    return _again([(f, _response(f, "id")) for f in tape.of("response.created")])


def repeated_speech_stopped(tape: Tape) -> Sighting | None:
    """speech_stopped comes again for the same item."""
    return _again([(f, f.body.get("item_id")) for f in tape.of(_STOPPED)])


def _again(named: list[tuple[Frame, Any]]) -> Sighting | None:
    ids = [name for _, name in named]
    return _first(f for n, (f, name) in enumerate(named) if name and name in ids[:n])


_STARTED: Final = "input_audio_buffer.speech_started"
_STOPPED: Final = "input_audio_buffer.speech_stopped"


def greeting(tape: Tape) -> Sighting | None:
    """The agent speaks first: a response before anybody could have asked for one."""
    owed = (
        f.at_ns for f in tape.frames
        if (f.out and f.type == "response.create") or f.type == "input_audio_buffer.committed"
    )  # fmt: skip
    first_ns = min(owed, default=None)
    created = tape.of("response.created")
    return _first(f for f in created if first_ns is not None and f.at_ns < first_ns)


def stray_speech_started(tape: Tape) -> Sighting | None:
    """speech_started of an item that nothing follows, though a response is completed after it."""
    ends = tape.of(_STOPPED, "input_audio_buffer.committed", f"{_INPUT_TRANSCRIPTION}.completed")
    ended = {_field(frame, "item_id") for frame in ends}
    done = [f for f in tape.of("response.done") if _response(f, "status") == "completed"]
    if not ended or not done:
        return None
    last_ns = done[-1].at_ns
    starts = (f for f in tape.of(_STARTED) if f.at_ns < last_ns)
    return _first(f for f in starts if _field(f, "item_id") not in {"", *ended})


def _borne(quirk: str) -> Callable[[Tape], Sighting | None]:
    """A quirk that shows where a message is read."""

    def detect(tape: Tape) -> Sighting | None:
        found = [next((o for o in f.odd if o.quirk == quirk), None) for f in tape.heard]
        odd = [one for one in found if one is not None]
        return Sighting(f"{len(odd)} ×", odd[0].example) if odd else None

    return detect


_KNOWN: Final = {entry.type for entry in message_table()}


def unknown_types(tape: Tape) -> Sighting | None:
    """Messages of types that this program has never heard of."""
    strange = {f.type for f in tape.heard if f.type not in _KNOWN and not _named(f.type)}
    return Sighting(", ".join(sorted(strange))) if strange else None


def _named(kind: str) -> bool:
    """Whether another row speaks of it."""
    return kind.startswith(("(", "errorType:"))


def _of(*types: str) -> Callable[[Tape], Sighting | None]:
    """A quirk that is a message of one of these types."""
    return lambda tape: _first(frame for frame in tape.heard if frame.type in types)


def error_type(tape: Tape) -> Sighting | None:
    """A frame with no type but an `errorType`."""
    return _first(frame for frame in tape.heard if frame.type.startswith("errorType:"))


def refuse_g711(tape: Tape) -> Sighting | None:
    """G.711 was asked for, not refused, and the session has something else."""
    rows = [
        wish_row(wish, [tape])
        for wish in format_wishes()
        if wish.group in {INPUT, OUTPUT} and FORMATS[wish.name].type != "audio/pcm"
    ]
    changed = [row for row in rows if row.value.startswith("changed")]
    if not changed:
        return None
    return Sighting(changed[0].value, ", ".join(f"{row.group}: {row.name}" for row in changed))


def g711_truncate_thirds(tape: Tape) -> Sighting | None:
    """A reply in G.711 may be truncated before a third of its length and not beyond."""
    beyond, before = tape.ask("beyond a third"), tape.ask("before a third")
    if beyond is None or before is None or before.state != SEEN:
        return None
    if not beyond.state.startswith("refused"):
        return None
    return Sighting("a third of the true length", error_text(beyond.answer))


DETECTORS: Final[dict[str, Callable[[Tape], Sighting | None]]] = {
    "cumulative_deltas": cumulative_deltas,
    "transcription_late": transcription_late,
    "transcription_duplicate": transcription_duplicate,
    "missing_usage": missing_usage,
    "usage_at_top": usage_at_top,
    "missing_ms": missing_ms,
    "missing_name": missing_name,
    "previous_null": previous_null,
    "flat_error": flat_error,
    "both_streams": both_streams,
    "zero_padding": zero_padding,
    "filler": filler,
    "late_audio": late_audio,
    "backchannel_skipped": backchannel_skipped,
    "beta_names": beta_names,
    "refuse_g711": refuse_g711,
    "g711_truncate_thirds": g711_truncate_thirds,
    "transcription_failed": _of(f"{_INPUT_TRANSCRIPTION}.failed"),
    "turn_suggestion": _of(
        "input_audio_buffer.turn_suggestion", "input_audio_buffer.turn_suggestion_revoked"
    ),
    "rate_limits": _of("rate_limits.updated"),
    "ping": _of("ping"),
    "conversation_created": _of("conversation.created"),
    "updated_unasked": updated_unasked,
    "error_type": error_type,
    "unknown_types": unknown_types,
    "untyped": _of("(no type)"),
    "malformed": _of(NOT_JSON),
    "binary": _of(BINARY),
    "no_session_updated": no_session_updated,
    "updated_as_created": updated_as_created,
    "late_session_created": late_session_created,
    "no_response_created": no_response_created,
    "repeated_response_created": repeated_response_created,
    "repeated_speech_stopped": repeated_speech_stopped,
    "greeting": greeting,
    "stray_speech_started": stray_speech_started,
    "nameless_calls": nameless_calls,
    "idless_calls": idless_calls,
    **{
        name: _borne(name)
        for name in (
            "binary_frames",
            "lone_surrogates",
            "odd_numbers",
            "deep_nesting",
            "loose_json",
            "loose_base64",
            "float_positions",
            "error_string",
            "integer_code",
            "untyped_error",
            "missing_ids",
        )
    },
}


def quirk_rows(tapes: Iterable[Tape]) -> Iterator[Row]:
    """One row per quirk: `seen` where any session showed it."""
    tapes = tuple(tapes)
    for name, detect in DETECTORS.items():
        found = [(tape.name, sight) for tape in tapes if (sight := detect(tape)) is not None]
        if found:
            where, sighting = found[0]
            detail = "; ".join(filter(None, (sighting.detail, f"in {where}")))
            yield Row(group=QUIRKS, name=name, state=SEEN, value=sighting.value, detail=detail)
        else:
            yield Row(group=QUIRKS, name=name, state=NOT_SEEN)


def _ms(value_ns: float) -> str:
    return f"{value_ns / NS_PER_MS:.0f} ms"
