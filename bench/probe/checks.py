"""All checks of a probe, group by group: what each session is looked at for, and the row of it.

`seen` is never a guess: what was not looked at says `not seen`, and why. Settings are in
`bench.probe.setting_checks`, quirks in `bench.probe.quirk_checks`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from msgspec.structs import replace

from bench.corpus.energy import AUDIBLE_DBFS, WINDOW_MS
from bench.probe.answers import ABSENT, error_code, error_text, look
from bench.probe.findings import NOT_SEEN, SEEN, Finding, Occurrence, duration, finding, refused
from bench.probe.message_checks import message_rows
from bench.probe.probe_scripts import ASIDE, IDLE_S, INTO, NOT_KEPT
from bench.probe.probed_session import ProbedSession, find_exchange
from bench.probe.quirk_checks import quirk_rows
from bench.probe.setting_checks import (
    ALL,
    AUTO_TOOL,
    BACKCHANNELS,
    CHANGE_CHECKS,
    DETECTION,
    FILLERS,
    INPUT,
    MODALITIES,
    OUTPUT,
    TOOLS,
    SettingCheck,
    setting_row,
    short,
)
from bench.tracker.event import NEVER, body_of, table
from bench.voice.audio import NS_PER_MS

CONNECTION, DEFAULTS, AUDIO_OUT, ERRORS = "connection", "defaults", "audio out", "errors"


def all_rows(
    sessions: Sequence[ProbedSession], dialect: str, opened_s: float
) -> tuple[Finding, ...]:
    """Every row, group by group. `opened_s`: epoch seconds of the first connection."""

    def settings(*groups: str) -> Iterator[Finding]:
        return (_setting(check, sessions) for check in ALL if check.group in groups)

    return (
        *connection_rows(sessions[0]),
        *default_rows(sessions[0], opened_s),
        *settings(INPUT, OUTPUT),
        *(_with_reply(row, sessions) for row in settings(MODALITIES)),
        *(_with_turn_end(row, sessions) for row in settings(DETECTION)),
        interruption_row(sessions),
        *interjection_rows(sessions),
        *tool_rows(sessions),
        *(_setting(check, sessions) for check in CHANGE_CHECKS[dialect]),
        *audio_rows(sessions),
        *error_rows(sessions),
        *message_rows(sessions),
        *quirk_rows(sessions),
    )


# ── connection and defaults ──────────────────────────────────────────────────────────────────


def connection_rows(session: ProbedSession) -> Iterator[Finding]:
    """How the first session's connection came about."""
    dns_ns, offer, compress, agreed = session.connection
    # The last of each: where it was redirected, the connection that was upgraded counts.
    at_ns = {row.type: row.at_ns for row in session.rows if row.direction == "note"}
    start, tcp, tls, upgraded, ready = (
        at_ns.get(f"bench.{stage}")
        for stage in ("start", "connected", "secured", "upgraded", "microphone")
    )
    yield finding(CONNECTION, "DNS", _ms(0, dns_ns))
    yield finding(CONNECTION, "TCP", _ms(at_ns.get("bench.redirected", start), tcp))
    yield finding(CONNECTION, "TLS", _ms(tcp, tls) if agreed.tls else "", agreed.tls or "none")
    yield _upgrade_row(session, _ms(tls, upgraded))
    hops = (row for row in session.rows if row.type == "bench.redirected")
    for number, row in enumerate(hops, 1):
        yield finding(
            CONNECTION, f"redirect {number}", body_of(row.detail or "")["url"], "followed"
        )
    if offer.subprotocol:
        offered = f"{offer.subprotocol} was offered"
        yield finding(CONNECTION, "subprotocol", agreed.subprotocol, offered)
    # WebSocket over HTTP/2 would be another request; this client makes that of HTTP/1.1.
    version = "" if upgraded is None else "1.1"
    yield finding(CONNECTION, "HTTP version", version, agreed.alpn and "by ALPN")
    deflate = agreed.extensions if "permessage-deflate" in agreed.extensions else ""
    offered = "" if deflate else "offered, not taken" if compress else "not offered"
    yield finding(CONNECTION, "compression", deflate, offered)
    yield finding(CONNECTION, "server", agreed.server)
    before = None if start is None else start - (dns_ns or 0)
    created = _ms(before, session.first_ns("session.created"))
    yield finding(CONNECTION, "created", created, "from before DNS to session.created")
    acknowledged = bool(session.exchanges) and session.exchanges[0].state != NOT_SEEN
    took = _ms(before, ready) if acknowledged else ""
    yield finding(CONNECTION, "ready", took, "from before DNS to session.updated")


def _upgrade_row(session: ProbedSession, took: str) -> Finding:
    state = SEEN if took else NOT_SEEN
    if not took and session.reason.startswith("HTTP "):
        state = refused(" ".join(session.reason.replace(":", " ").split()[:2]))
    reason = "" if took else session.reason
    return Finding(CONNECTION, "upgrade", state, took, reason)


def _ms(begun_ns: int | None, ended_ns: int | None) -> str:
    if begun_ns is None or ended_ns is None:
        return ""
    return f"{(ended_ns - begun_ns) / NS_PER_MS:.1f} ms"


_DEFAULTS: Final = {
    "model": "model",
    "voice": "audio.output.voice",
    "TTS model": "audio.output.model",
    "speed": "audio.output.speed",
    "modalities": "output_modalities",
    "input format": "audio.input.format",
    "output format": "audio.output.format",
    "turn detection": "audio.input.turn_detection",
    "transcription": "audio.input.transcription",
    "noise reduction": "audio.input.noise_reduction",
    "instructions": "instructions",
    "temperature": "temperature",
    "max output tokens": "max_output_tokens",
    "tool choice": "tool_choice",
    "truncation": "truncation",
    "providerData": "providerData",
}


def default_rows(session: ProbedSession, opened_s: float) -> Iterator[Finding]:
    """What `session.created` says before anything was asked."""
    created = next(iter(session.of("session.created")), None)
    held = {} if created is None else table(created.body, "session")
    for name, path in _DEFAULTS.items():
        value = look(held, path)
        yield finding(DEFAULTS, name, "" if value is ABSENT else short(value) or '""')
    expires = held.get("expires_at")
    lasts = f"{expires - opened_s:.0f} s" if isinstance(expires, int | float) else ""
    yield finding(DEFAULTS, "expires_at", lasts, "after connecting" if lasts else "")


# ── settings, beside what was done ───────────────────────────────────────────────────────────


def _setting(check: SettingCheck, sessions: Sequence[ProbedSession]) -> Finding:
    return setting_row(check, find_exchange(sessions, check.label))


def _with_reply(row: Finding, sessions: Sequence[ProbedSession]) -> Finding:
    """The row of a modality, with what a reply in it streamed."""
    wanted = next(
        check.value for check in ALL if (check.group, check.name) == (row.group, row.name)
    )
    for one in sessions:
        for response in one.responses:
            said = response.modalities
            like = isinstance(said, list) and set(map(str, said)) == set(wanted)
            if row.state == SEEN and like and (streamed := one.streams(response)):
                return replace(row, detail=f"a reply streamed {', '.join(streamed)}")
    return row


_TURNS: Final = {"server_vad": "call", "semantic_vad high": "semantic"}
"""The sessions in which somebody spoke to a detector."""


def _with_turn_end(row: Finding, sessions: Sequence[ProbedSession]) -> Finding:
    """The row of a detector and, where somebody spoke, when it took the turn to be over."""
    if row.state != SEEN:
        return row
    if row.name == "idle_timeout":
        fired = any(one.of("input_audio_buffer.timeout_triggered") for one in sessions)
        came = "timeout_triggered came" if fired else "no timeout_triggered"
        return replace(row, detail=f"{came} within {IDLE_S:.0f} s of silence")
    for one in sessions:
        if one.name == _TURNS.get(row.name) and one.tracker.said:
            ended = ("input_audio_buffer.speech_stopped", "input_audio_buffer.committed")
            stopped_ns = one.first_ns(*ended)
            detail = "no end of the turn was declared"
            if stopped_ns is not None:
                after = duration(stopped_ns - one.tracker.said[0].end_ns)
                detail = f"the turn was over {after} after the last word"
            return replace(row, detail=detail)
    return row


def interruption_row(sessions: Sequence[ProbedSession]) -> Finding:
    """Whether speech cuts a reply that is still coming, and how fast."""
    cuts = [cut for one in sessions for cut in one.cuts]
    if cuts:
        detail = f"response.done {duration(cuts[0].took_ns)} after speech_started"
        return finding(DETECTION, "interruption", "the reply was cut", detail)
    tried = sum(ask.label == f"{INTO}: response" for one in sessions for ask in one.exchanges)
    detail = f"{tried} × talked into a reply, none was cut" if tried else "not asked"
    return finding(DETECTION, "interruption", "", detail)


# ── interjections ────────────────────────────────────────────────────────────────────────────
# Fillers and backchannels are asked for, so to hear them is the target's word kept. Their quirks
# are where it is not kept; not every skip is one (`protocol.md` 2.4, `min_gap_ms`).


def interjection_rows(sessions: Sequence[ProbedSession]) -> Iterator[Finding]:
    """Fillers and backchannels: asked for, granted, and then heard or not."""
    yield _interjection_row(FILLERS, _fillers(sessions), sessions)
    yield _interjection_row(BACKCHANNELS, _backchannels(sessions), sessions)


def _interjection_row(
    check: SettingCheck, heard: Occurrence, sessions: Sequence[ProbedSession]
) -> Finding:
    ask = find_exchange(sessions, check.label)
    row = setting_row(check, ask)
    if ask is not None and ask.state == SEEN and heard.value:
        return replace(row, state=SEEN, value="honoured", detail=heard.detail)
    if row.state == SEEN:
        return replace(row, state=NOT_SEEN, value="granted, and none came", detail=heard.detail)
    return row


def _fillers(sessions: Sequence[ProbedSession]) -> Occurrence:
    asked = [response for one in sessions for response in one.responses if response.responsive]
    filled = [
        response
        for response in asked
        if response.filler_ns is not None and response.first_words_row < NEVER
    ]
    if not filled:
        return Occurrence("", f"in 0 of {len(asked)} replies")
    length_ns = sum(delta.audio_ns for delta in filled[0].deltas if delta.filler)
    of = f"{len(filled)} of {len(asked)} replies"
    return Occurrence("heard", f"{duration(length_ns)} of sound before the first word; in {of}")


def _backchannels(sessions: Sequence[ProbedSession]) -> Occurrence:
    rows = [row for one in sessions for row in one.rows]
    done = [row for row in rows if row.type == "response.backchannel.audio.done"]
    skipped = sum((one.skip_reasons for one in sessions), Counter[str]())
    why = [f"skipped {count} × ({reason})" for reason, count in skipped.items()]
    if done or any(row.type == "response.backchannel.audio.delta" for row in rows):
        phrases = dict.fromkeys(row.detail or "?" for row in done)
        return Occurrence("heard", "; ".join((f"{len(done)} × {', '.join(phrases)}", *why)))
    return Occurrence("", "; ".join(why))


# ── tools ────────────────────────────────────────────────────────────────────────────────────


def tool_rows(sessions: Sequence[ProbedSession]) -> Iterator[Finding]:
    """Calls, calls at once, and whether the server goes on by itself."""
    asked = find_exchange(sessions, "tools")
    no = asked.state if asked is not None and asked.state != SEEN else NOT_SEEN
    most = max((calls for one in sessions for calls in _calls(one)), key=len, default=[])
    for name, fewest in (("function calls", 1), ("parallel calls", 2)):
        got = len(most) >= fewest
        value = ", ".join(most[: 2 * fewest]) if got else ""
        yield Finding(TOOLS, name, SEEN if got else no, value)
    row = _setting(AUTO_TOOL, sessions)

    def sent(label: str) -> bool:
        return find_exchange(sessions, label) is not None

    if row.state == SEEN and sent("auto: output"):
        came = "no response" if sent("auto: go on") else "a response"
        row = replace(row, value=f"{row.value}, {came} came by itself")
    if sent("first: output"):
        row = replace(row, detail=f"by default {'off' if sent('first: go on') else 'on'}")
    yield row


def _calls(one: ProbedSession) -> Iterator[list[str]]:
    """The names of the tools that each response called."""
    names = one.call_names
    for response in one.responses:
        ids = dict.fromkeys(call.call_id for call in response.calls if call.call_id)
        yield [names.get(call_id, "") for call_id in ids]


# ── audio out ────────────────────────────────────────────────────────────────────────────────


def audio_rows(sessions: Sequence[ProbedSession]) -> Iterator[Finding]:
    """How speech arrives: pace, sizes, silence before the voice; of the longest reply."""
    replies = [
        (one, response)
        for one in sessions
        for response in one.responses
        if one.name not in ASIDE and len(response.deltas) > 1
    ]
    if not replies:
        for name in ("pace", "delta size", "leading silence"):
            yield finding(AUDIO_OUT, name, "", "no spoken reply")
        return
    longest, reply = max(replies, key=lambda reply: len(reply[1].deltas))
    kept = reply.deltas[:-1] if longest.ends_in_zeros(reply) else reply.deltas
    sizes = [delta.audio_ns / NS_PER_MS for delta in kept]
    span_ns = kept[-1].at_ns - kept[0].at_ns
    # When the last delta arrived, all those before it had been delivered.
    before_ms = sum(sizes[:-1])
    pace = f"{before_ms * NS_PER_MS / span_ns:.1f}" if span_ns > NS_PER_MS else ""
    pace = f"{pace} × real time" if pace else "all at once"
    whole = f"{sum(sizes) / 1000:.1f} s of audio in {duration(span_ns)}"
    yield finding(AUDIO_OUT, "pace", pace, whole)
    counts = Counter(f"{size:.0f}" for size in sizes).most_common(6)
    every = ", ".join(f"{count} of {size} ms" for size, count in counts)
    yield finding(AUDIO_OUT, "delta size", f"{median(sizes):.0f} ms", every)
    silent_ns = reply.answer.leading_silence_ns
    audible = f"to the first {WINDOW_MS} ms above {AUDIBLE_DBFS:.0f} dBFS"
    if silent_ns is None:
        yield finding(AUDIO_OUT, "leading silence", "", "nothing audible")
    else:
        yield finding(AUDIO_OUT, "leading silence", duration(silent_ns), audible)


# ── errors on purpose ────────────────────────────────────────────────────────────────────────


def error_rows(sessions: Sequence[ProbedSession]) -> Iterator[Finding]:
    """How mistakes made on purpose are answered: the code is the value."""
    for label in ("unknown_event", "commit_empty", "cancel_idle", "invalid_update"):
        ask = find_exchange(sessions, label)
        if ask is not None and ask.refused:
            yield finding(ERRORS, label, error_code(ask.answer), error_text(ask.answer))
            continue
        why = "no answer" if ask is not None else "not asked"
        why = "taken without an error" if ask is not None and ask.state == SEEN else why
        yield finding(ERRORS, label, "", why)
    wrong = find_exchange(sessions, "invalid_update")
    if wrong is not None and wrong.refused:
        applied = any(
            table(said.body, "session").get("instructions") == NOT_KEPT
            for session in sessions
            for said in session.of("session.updated")
        )
        whole = "" if applied else "nothing of a refused update was applied"
        yield finding(ERRORS, "atomic update", whole, "part of it was applied" if applied else "")
    named = any(
        ask.refused and table(ask.answer, "error").get("event_id")
        for session in sessions
        for ask in session.exchanges
    )
    yield finding(ERRORS, "event_id echoed", "yes" if named else "")
