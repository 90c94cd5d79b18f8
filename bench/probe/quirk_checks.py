"""Where a server does otherwise than the seed says: one row per quirk.

Theory of operation
-------------------
Most quirks are those of the report (`bench.analysis.server_quirks`), found in the same rows by the
same code. The others are here: a detector looks at one session and gives what it saw, or nothing.
`seen` means that it was observed, `not seen` that it was not, and never that it is not there. The
quirks are those of `protocol.md` sections 5, 12 and 13.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from bench.probe.answers import BINARY, CURRENT_NAMES, NOT_JSON, UNTYPED, Received, error_text
from bench.probe.findings import NOT_SEEN, SEEN, Finding, Occurrence, duration
from bench.probe.probed_session import ProbedSession
from bench.probe.setting_checks import FORMATS, INPUT, OUTPUT, format_checks, setting_row
from bench.protocol.codec import BARE, message_table
from bench.tracker.event import table, word

QUIRKS: Final = "quirks"
_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"
_TRANSCRIBED: Final = f"{_TRANSCRIPTION}.completed"
_ADDED: Final = "conversation.item.added"
_TOO_SOON: Final = "min_gap_not_elapsed"
_KNOWN: Final = frozenset(entry.type for entry in message_table())

Detector = Callable[[ProbedSession], Occurrence | None]


def _times(found: Iterable[Received], detail: str = "") -> Occurrence | None:
    seen = list(found)
    return Occurrence(f"{len(seen)} ×", detail or seen[0].type) if seen else None


def _of(*types: str) -> Detector:
    """A quirk that is a message of one of these types."""
    return lambda one: _times(said for said in one.received if said.type in types)


def reported(name: str) -> Detector:
    """A quirk that the report knows by that name."""

    def detect(one: ProbedSession) -> Occurrence | None:
        found = one.quirks.get(name)
        if found is None:
            return None
        example = found["example"].partition(": ")[2]  # what is before it numbers the session
        first = "" if example.startswith("bench.") else f", first {example}"
        return Occurrence(f"{found['count']} ×", found["about"] + first)

    return detect


REPORTED: Final = (
    "transcription_late", "transcription_duplicate", "missing_ms", "no_session_updated",
    "updated_as_created", "late_session_created", "no_response_created",
    "repeated_response_created", "repeated_speech_stopped", "stray_speech_started",
    "nameless_calls", "idless_calls", "binary_frames", "lone_surrogates", "odd_numbers",
    "deep_nesting", "loose_json", "loose_base64", "float_positions", "error_string",
    "integer_code", "untyped_error", "missing_ids", "invalid_utf8", "odd_deltas", "wav_header",
    "unread_header", "two_channels", "other_format",
)  # fmt: skip
"""Quirks that the report finds, by its names."""


# ── transcription and usage ──────────────────────────────────────────────────────────────────


def cumulative_deltas(one: ProbedSession) -> Occurrence | None:
    """Each transcription delta is the whole hypothesis so far: the last one is the transcript."""
    told: dict[str | None, list[str]] = {}
    finals: dict[str | None, str] = {}
    for row in one.rows:
        said = (row.detail or "").strip()
        if row.type == f"{_TRANSCRIPTION}.delta" and said:
            told.setdefault(row.item_id, []).append(said)
        elif row.type == _TRANSCRIBED:
            finals[row.item_id] = said
    for item_id, deltas in told.items():
        if len(deltas) < 2:
            continue
        final = finals.get(item_id) or max(deltas, key=len)
        whole = len(" ".join(deltas))
        if abs(len(deltas[-1]) - len(final)) < abs(whole - len(final)):
            return Occurrence(f"{len(deltas)} deltas", f"the last: {deltas[-1]!r}")
    return None


def missing_usage(one: ProbedSession) -> Occurrence | None:
    """A response that was not cut, or a transcription, says no usage; the value names which."""
    whole = [
        said.body["response"]
        for said in one.of("response.done")
        if word(said.body, "response", "status") in {"completed", "incomplete"}
    ]
    transcriptions = [said.body for said in one.of(_TRANSCRIBED)]
    spoken = {"response": whole, "transcription": transcriptions}
    places = [
        name for name, bodies in spoken.items() if any(not table(body, "usage") for body in bodies)
    ]
    return Occurrence(", ".join(places)) if places else None


def usage_at_top(one: ProbedSession) -> Occurrence | None:
    """`response.done` carries usage beside the response, not only in it."""
    return _times(said for said in one.of("response.done") if table(said.body, "usage"))


# ── what is left out, or comes twice ─────────────────────────────────────────────────────────


def missing_name(one: ProbedSession) -> Occurrence | None:
    """`function_call_arguments.done` does not name the function, which its item does."""
    named = {call_id for call_id, name in one.call_names.items() if name}
    return _times(
        said
        for said in one.of("response.function_call_arguments.done")
        if not said.body.get("name") and word(said.body, "call_id") in named
    )


def previous_null(one: ProbedSession) -> Occurrence | None:
    """An item's `done` has previous_item_id null where its `added` had one."""
    added = {row.item_id for row in one.rows if row.type == _ADDED and row.previous_id}
    return _times(
        said
        for said in one.of("conversation.item.done")
        if said.body.get("previous_item_id") is None and word(said.body, "item", "id") in added
    )


def both_streams(one: ProbedSession) -> Occurrence | None:
    """One response streams its words as text and as transcript."""
    streamed = map(one.streams, one.responses)
    both = [streams for streams in streamed if {"text", "transcript"} <= set(streams)]
    return Occurrence(f"{len(both)} responses", ", ".join(both[0])) if both else None


def zero_padding(one: ProbedSession) -> Occurrence | None:
    """A reply's audio ends with a tiny delta of nothing but zeros."""
    for response in one.responses:
        if one.ends_in_zeros(response):
            length = duration(response.deltas[-1].audio_ns)
            return Occurrence(length, f"the last of {len(response.deltas)} deltas")
    return None


def updated_unasked(one: ProbedSession) -> Occurrence | None:
    """`session.updated` comes more often than session.update was sent."""
    sent = sum(row.type == "session.update" for row in one.rows)
    said = len(one.of("session.updated"))
    return Occurrence(f"{said - sent} ×") if said > sent else None


def greeting(one: ProbedSession) -> Occurrence | None:
    """The agent speaks first: a response before anybody could have asked for one."""
    created = one.of("response.created")
    return _times(created[:1]) if one.tracker.spoke_first else None


def beta_names(one: ProbedSession) -> Occurrence | None:
    """Messages are spelt as the beta spelt them."""
    heard = {said.type for said in one.received}
    beta = sorted(heard & {*CURRENT_NAMES, "conversation.item.created"})
    return Occurrence(f"{len(beta)} types", ", ".join(beta)) if beta else None


def flat_error(one: ProbedSession) -> Occurrence | None:
    """An error says a flat `message` and has no `error` object."""
    flat = [e for e in one.of("error") if not isinstance(e.body.get("error"), dict | str)]
    return Occurrence(f"{len(flat)} ×", error_text(flat[0].body)) if flat else None


def unknown_types(one: ProbedSession) -> Occurrence | None:
    """Messages of types that this program has never heard of."""
    strange = {
        said.type
        for said in one.received
        if said.type not in _KNOWN and not said.type.startswith(("(", BARE))
    }
    return Occurrence(", ".join(sorted(strange))) if strange else None


def error_type(one: ProbedSession) -> Occurrence | None:
    """A message with no type but an `errorType`."""
    return _times(said for said in one.received if said.type.startswith(BARE))


# ── both at once ─────────────────────────────────────────────────────────────────────────────


def filler(one: ProbedSession) -> Occurrence | None:
    """Fillers are on, replies came later than these are due, and none began with one."""
    owed = [reply for reply in one.responses if one.unfilled_ns(reply) is not None]
    if not owed or any(reply.filler_ns is not None for reply in owed):
        return None
    latest = max(one.unfilled_ns(reply) or 0 for reply in owed)
    words = f"the first word {duration(latest)} after response.created"
    return Occurrence("on, and none came", words)


def late_audio(one: ProbedSession) -> Occurrence | None:
    """Audio of a reply still comes after the speech_started that cut it."""
    late = [cut.late for cut in one.cuts if cut.late]
    return Occurrence(f"{late[0]} deltas", "after speech_started") if late else None


def backchannel_skipped(one: ProbedSession) -> Occurrence | None:
    """An interjection was due and skipped, and not because the last was too near."""
    reasons = one.skip_reasons.copy()
    del reasons[_TOO_SOON]
    return Occurrence(f"{reasons.total()} ×", ", ".join(reasons)) if reasons else None


# ── what was asked, and not done ─────────────────────────────────────────────────────────────


def refuse_g711(one: ProbedSession) -> Occurrence | None:
    """G.711 was asked for, not refused, and the session has something else."""
    rows = [
        setting_row(check, one.exchange(check.label))
        for check in format_checks()
        if check.group in {INPUT, OUTPUT} and FORMATS[check.name].type != "audio/pcm"
    ]
    changed = [row for row in rows if row.value.startswith("changed")]
    if not changed:
        return None
    return Occurrence(changed[0].value, ", ".join(f"{row.group}: {row.name}" for row in changed))


def g711_truncate_thirds(one: ProbedSession) -> Occurrence | None:
    """A reply in G.711 may be truncated before a third of its length and not beyond."""
    beyond, before = one.exchange("beyond a third"), one.exchange("before a third")
    if beyond is None or before is None or before.state != SEEN or not beyond.refused:
        return None
    return Occurrence("a third of the true length", error_text(beyond.answer))


DETECTORS: Final[dict[str, Detector]] = {
    "cumulative_deltas": cumulative_deltas,
    "missing_usage": missing_usage,
    "usage_at_top": usage_at_top,
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
    "transcription_failed": _of(f"{_TRANSCRIPTION}.failed"),
    "turn_suggestion": _of(
        "input_audio_buffer.turn_suggestion", "input_audio_buffer.turn_suggestion_revoked"
    ),
    "rate_limits": _of("rate_limits.updated"),
    "ping": _of("ping"),
    "conversation_created": _of("conversation.created"),
    "updated_unasked": updated_unasked,
    "greeting": greeting,
    "error_type": error_type,
    "unknown_types": unknown_types,
    "untyped": _of(UNTYPED),
    "malformed": _of(NOT_JSON),
    "binary": _of(BINARY),
    **{name: reported(name) for name in REPORTED},
}


def quirk_rows(sessions: Sequence[ProbedSession]) -> Iterator[Finding]:
    """One row per quirk: `seen` where any session showed it."""
    for name, detect in DETECTORS.items():
        found = ((one.name, seen) for one in sessions if (seen := detect(one)) is not None)
        where, first = next(found, ("", None))
        if first is None:
            yield Finding(QUIRKS, name, NOT_SEEN)
        else:
            detail = "; ".join(filter(None, (first.detail, f"in {where}")))
            yield Finding(QUIRKS, name, SEEN, first.value, detail)
