"""What tapes say of both talking at once: interruption, fillers, backchannels; rows and quirks.

Theory of operation
-------------------
Fillers and backchannels are asked for, so to hear them is the target's word kept and a row of
`interjections`. Their quirks are where it is not kept: fillers are on and a reply that was long
enough in coming had none; an interjection was due and skipped. Not every skip is that one: too soon
after the last is as documented (`protocol.md` 2.4, `min_gap_ms`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from bench.probe.findings import Row, Sighting
from bench.probe.replies import Reply, cuts, replies
from bench.probe.talking import INTO
from bench.probe.tape import NOT_SEEN, SEEN, Tape, find_ask
from bench.probe.wishes import BACKCHANNELS, DETECTION, FILLERS, wish_row
from bench.voice.audio import NS_PER_MS, ms

_DELTA = "response.backchannel.audio.delta"
_DONE = "response.backchannel.audio.done"
_SKIPPED = "response.backchannel.skipped"
_TOO_SOON = "min_gap_not_elapsed"


def interruption_row(tapes: Sequence[Tape]) -> Row:
    """Whether speech cuts a reply that is still coming, and how fast."""
    found = [cut for tape in tapes for cut in cuts(tape)]
    if found:
        took = _ms(found[0].done_ns - found[0].started_ns)
        value, detail = "the reply was cut", f"response.done {took} after speech_started"
        return Row(group=DETECTION, name="interruption", state=SEEN, value=value, detail=detail)
    tried = sum(ask.label == f"{INTO}: response" for tape in tapes for ask in tape.asks)
    detail = f"{tried} × talked into a reply, none was cut" if tried else "not asked"
    return Row(group=DETECTION, name="interruption", state=NOT_SEEN, detail=detail)


def interjection_rows(tapes: Sequence[Tape]) -> Iterator[Row]:
    """Fillers and backchannels: asked for, granted, and then heard or not."""
    for wish, heard in ((FILLERS, _fillers(tapes)), (BACKCHANNELS, _backchannels(tapes))):
        row, ask = wish_row(wish, tapes), find_ask(tapes, wish.label)
        if ask is not None and ask.state == SEEN and heard.value:
            row = replace(row, state=SEEN, value="honoured", detail=heard.detail)
        elif row.state == SEEN:
            row = replace(row, state=NOT_SEEN, value="granted, and none came", detail=heard.detail)
        yield row


def _fillers(tapes: Sequence[Tape]) -> Sighting:
    asked = [reply for tape in tapes for reply in replies(tape) if reply.responsive]
    filled = [reply for reply in asked if reply.filler]
    if not filled:
        return Sighting("", f"in 0 of {len(asked)} replies")
    first = filled[0]
    length = _ms(first.format.duration_ns(len(first.filler)))
    of = f"{len(filled)} of {len(asked)} replies"
    return Sighting("heard", f"{length} of sound before the first word; in {of}")


def _backchannels(tapes: Sequence[Tape]) -> Sighting:
    said = [frame for tape in tapes for frame in tape.of(_DONE)]
    skipped = Counter(_reason(frame.body) for tape in tapes for frame in tape.of(_SKIPPED))
    told = [f"skipped {count} × ({reason})" for reason, count in skipped.items()]
    if said or any(tape.of(_DELTA) for tape in tapes):
        phrases = dict.fromkeys(str(frame.body.get("phrase") or "?") for frame in said)
        return Sighting("heard", "; ".join((f"{len(said)} × {', '.join(phrases)}", *told)))
    return Sighting("", "; ".join(told))


def _reason(body: dict[str, object]) -> str:
    return str(body.get("reason") or "no reason")


# ── quirks ───────────────────────────────────────────────────────────────────────────────────


def filler(tape: Tape) -> Sighting | None:
    """Fillers are on, replies came later than these are due, and none began with one."""
    owed = [reply for reply in replies(tape) if _owes_filler(reply)]
    if not owed or any(reply.filler for reply in owed):
        return None
    latest = max(reply.waited_ns or 0 for reply in owed)
    return Sighting("on, and none came", f"the first word {_ms(latest)} after response.created")


def _owes_filler(reply: Reply) -> bool:
    """Whether the session says when fillers are due, and the words came after that."""
    due_ms = reply.responsive.get("initial_wait_timeout_ms")
    if isinstance(due_ms, bool) or not isinstance(due_ms, int | float) or not reply.deltas:
        return False
    return reply.waited_ns is not None and reply.waited_ns > ms(due_ms)


def late_audio(tape: Tape) -> Sighting | None:
    """Audio of a reply still comes after the speech_started that cut it."""
    late = [cut.late for cut in cuts(tape) if cut.late]
    return Sighting(f"{len(late[0])} deltas", "after speech_started") if late else None


def backchannel_skipped(tape: Tape) -> Sighting | None:
    """An interjection was due and skipped, and not because the last was too near."""
    reasons = Counter(_reason(frame.body) for frame in tape.of(_SKIPPED))
    del reasons[_TOO_SOON]
    if not reasons:
        return None
    return Sighting(f"{reasons.total()} ×", ", ".join(reasons))


def _ms(value_ns: float) -> str:
    return f"{value_ns / NS_PER_MS:.0f} ms"
