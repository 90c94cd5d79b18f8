"""What a target did, beside what it said: ends of turns, tool calls, audio, errors on purpose."""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from msgspec.structs import replace

from bench.corpus.energy import AUDIBLE_DBFS, WINDOW_MS
from bench.probe.findings import Row, told
from bench.probe.replies import Reply, is_padding, replies, silence_ms
from bench.probe.sittings import IDLE_S, NOT_KEPT
from bench.probe.talking import ASIDE
from bench.probe.tape import (
    NOT_SEEN,
    SEEN,
    Tape,
    error_code,
    error_text,
    find_ask,
    table,
)
from bench.probe.wishes import ALL, AUTO_TOOL, DETECTION, MODALITIES, TOOLS, wish_row
from bench.voice.audio import NS_PER_MS

AUDIO_OUT, ERRORS = "audio out", "errors"


def detection_rows(tapes: Sequence[Tape]) -> Iterator[Row]:
    """What was honoured and, where somebody spoke, when the turn was taken to be over."""
    ended = {"server_vad": "call", "semantic_vad high": "semantic"}
    for wish in ALL:
        if wish.group != DETECTION:
            continue
        row = wish_row(wish, tapes)
        tape = next((tape for tape in tapes if tape.name == ended.get(wish.name)), None)
        if tape is not None and tape.spoke_ns is not None and row.state == SEEN:
            row = replace(row, detail=_turn_end(tape, tape.spoke_ns))
        elif wish.name == "idle_timeout" and row.state == SEEN:
            fired = any(tape.of("input_audio_buffer.timeout_triggered") for tape in tapes)
            came = "timeout_triggered came" if fired else "no timeout_triggered"
            row = replace(row, detail=f"{came} within {IDLE_S:.0f} s of silence")
        yield row


def _turn_end(tape: Tape, spoke_ns: int) -> str:
    stopped = tape.of("input_audio_buffer.speech_stopped", "input_audio_buffer.committed")
    if not stopped:
        return "no end of the turn was declared"
    return f"the turn was over {_ms(stopped[0].at_ns - spoke_ns)} after the last word"


def modality_rows(tapes: Sequence[Tape]) -> Iterator[Row]:
    """What was honoured, and what a reply in these modalities streamed."""
    spoken = [reply for tape in tapes for reply in replies(tape) if reply.streams]
    for wish in ALL:
        if wish.group != MODALITIES:
            continue
        row = wish_row(wish, tapes)
        like = [reply for reply in spoken if reply.modalities == frozenset(wish.value)]
        if row.state == SEEN and like:
            row = replace(row, detail=f"a reply streamed {', '.join(like[0].streams)}")
        yield row


def tool_rows(tapes: Sequence[Tape]) -> Iterator[Row]:
    """Calls, calls at once, and whether the server goes on by itself."""
    asked = find_ask(tapes, "tools")
    no = asked.state if asked is not None and asked.state != SEEN else NOT_SEEN
    called = [reply for tape in tapes for reply in replies(tape) if reply.calls]
    most = max(called, key=lambda reply: len(reply.calls), default=None)
    for name, fewest in (("function calls", 1), ("parallel calls", 2)):
        got = most is not None and len(most.calls) >= fewest
        value = ", ".join(name for _, name in most.calls[: 2 * fewest]) if most and got else ""
        yield Row(group=TOOLS, name=name, state=SEEN if got else no, value=value)
    row = wish_row(AUTO_TOOL, tapes)
    alone = find_ask(tapes, "auto: output") is not None and not find_ask(tapes, "auto: go on")
    first = find_ask(tapes, "first: output") is not None
    untold = first and find_ask(tapes, "first: go on") is None
    detail = f"by default {'on' if untold else 'off'}" if first else row.detail
    value = row.value
    if row.state == SEEN and find_ask(tapes, "auto: output") is not None:
        value += ", a response came by itself" if alone else ", no response came by itself"
    yield Row(group=TOOLS, name=row.name, state=row.state, value=value, detail=detail)


def audio_rows(tapes: Sequence[Tape]) -> Iterator[Row]:
    """How speech arrives: pace, sizes, silence before the voice; of the longest reply."""
    usual = [tape for tape in tapes if tape.name not in ASIDE]
    spoken = [reply for tape in usual for reply in replies(tape) if len(reply.deltas) > 1]
    reply = max(spoken, key=lambda reply: len(reply.deltas), default=None)
    if reply is None:
        for name in ("pace", "delta size", "leading silence"):
            yield Row(group=AUDIO_OUT, name=name, state=NOT_SEEN, detail="no spoken reply")
        return
    kept = [delta for delta in reply.deltas if not is_padding(reply, delta)]
    sizes = [reply.format.duration_ns(len(delta.audio)) / NS_PER_MS for delta in kept]
    span_ns = kept[-1].at_ns - kept[0].at_ns
    # When the last delta arrived, all those before it had been delivered.
    before_ms = sum(sizes[:-1])
    pace = f"{before_ms * NS_PER_MS / span_ns:.1f}" if span_ns > NS_PER_MS else ""
    pace = f"{pace} × real time" if pace else "all at once"
    yield told(AUDIO_OUT, "pace", pace, f"{sum(sizes) / 1000:.1f} s of audio in {_ms(span_ns)}")
    counts = Counter(f"{size:.0f}" for size in sizes).most_common(6)
    every = ", ".join(f"{count} of {size} ms" for size, count in counts)
    yield told(AUDIO_OUT, "delta size", f"{median(sizes):.0f} ms", every)
    yield told(AUDIO_OUT, "leading silence", *_leading(reply))


def _leading(reply: Reply) -> tuple[str, str]:
    silent = silence_ms(reply.format, b"".join(delta.audio for delta in reply.deltas))
    if silent is None:
        return "", "nothing audible"
    return f"{silent} ms", f"to the first {WINDOW_MS} ms above {AUDIBLE_DBFS:.0f} dBFS"


def error_rows(tapes: Sequence[Tape]) -> Iterator[Row]:
    """How mistakes made on purpose are answered: the code is the value."""
    for label in ("unknown_event", "commit_empty", "cancel_idle", "invalid_update"):
        ask = find_ask(tapes, label)
        if ask is None or not ask.state.startswith("refused"):
            why = "not asked" if ask is None else "no answer"
            why = "taken without an error" if ask is not None and ask.state == SEEN else why
            yield Row(group=ERRORS, name=label, state=NOT_SEEN, detail=why)
            continue
        yield told(ERRORS, label, error_code(ask.answer), error_text(ask.answer))
    wrong = find_ask(tapes, "invalid_update")
    if wrong is not None and wrong.state.startswith("refused"):
        kept = [tape for tape in tapes if tape.ask("invalid_update") is not None]
        applied = any(
            table(frame.body, "session").get("instructions") == NOT_KEPT
            for frame in kept[0].of("session.updated")
        )
        whole = "" if applied else "nothing of a refused update was applied"
        yield told(ERRORS, "atomic update", whole, "part of it was applied" if applied else "")
    named = [
        ask
        for tape in tapes
        for ask in tape.asks
        if ask.state.startswith("refused") and table(ask.answer, "error").get("event_id")
    ]
    yield told(ERRORS, "event_id echoed", "yes" if named else "")


def _ms(value_ns: float) -> str:
    return f"{value_ns / NS_PER_MS:.0f} ms"
