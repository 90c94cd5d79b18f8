"""All rows of a probe, group by group, from the tapes of its sessions.

Here are the connection and the defaults; the other groups have files of their own. `seen` is never
a guess: what was not looked at says `not seen`, and why.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from bench.probe.findings import Row, told
from bench.probe.messages import message_rows
from bench.probe.observed import audio_rows, detection_rows, error_rows, modality_rows, tool_rows
from bench.probe.overlap import interjection_rows, interruption_row
from bench.probe.quirks import quirk_rows
from bench.probe.tape import ABSENT, NOT_SEEN, SEEN, UPGRADED, Tape, look, refused, table
from bench.probe.wishes import ALL, CHANGE_WISHES, INPUT, OUTPUT, short, wish_row
from bench.voice.audio import NS_PER_MS

CONNECTION, DEFAULTS = "connection", "defaults"


def all_rows(tapes: Sequence[Tape], dialect: str, opened_s: float) -> tuple[Row, ...]:
    """Every row, group by group. `opened_s`: epoch seconds of the first connection."""
    return (
        *connection_rows(tapes[0]),
        *default_rows(tapes[0], opened_s),
        *(wish_row(wish, tapes) for wish in ALL if wish.group in {INPUT, OUTPUT}),
        *modality_rows(tapes),
        *detection_rows(tapes),
        interruption_row(tapes),
        *interjection_rows(tapes),
        *tool_rows(tapes),
        *(wish_row(wish, tapes) for wish in CHANGE_WISHES[dialect]),
        *audio_rows(tapes),
        *error_rows(tapes),
        *message_rows(tapes),
        *quirk_rows(tapes),
    )


def connection_rows(tape: Tape) -> Iterator[Row]:
    """How the first session's connection came about."""
    link = tape.link
    yield told(CONNECTION, "DNS", _ms(link.dns_ns))
    yield told(CONNECTION, "TCP", _ms(link.tcp_ns))
    yield told(CONNECTION, "TLS", _ms(link.tls_ns), link.tls or "none")
    taken = link.status == UPGRADED
    code = link.status.partition(":")[0]
    yield Row(
        group=CONNECTION,
        name="upgrade",
        state=SEEN if taken else refused(code) if code.startswith("HTTP") else NOT_SEEN,
        value=_ms(link.upgrade_ns) if taken else "",
        detail="" if taken else link.status,
    )
    for number, url in enumerate(link.hops, 1):
        yield told(CONNECTION, f"redirect {number}", url, "followed")
    if link.subprotocol_offered:
        offered = f"{link.subprotocol_offered} was offered"
        yield told(CONNECTION, "subprotocol", link.subprotocol, offered)
    # WebSocket over HTTP/2 would be another request; this client makes that of HTTP/1.1.
    yield told(CONNECTION, "HTTP version", "1.1" if taken else "", link.alpn and "by ALPN")
    deflate = link.extensions if "permessage-deflate" in link.extensions else ""
    offered = "" if deflate else "offered, not taken" if link.compression_offered else "not offered"
    yield told(CONNECTION, "compression", deflate, offered)
    yield told(CONNECTION, "server", link.server)
    yield told(CONNECTION, "created", _ms(link.created_ns), "from before DNS to session.created")
    yield told(CONNECTION, "ready", _ms(link.ready_ns), "from before DNS to session.updated")


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


def default_rows(tape: Tape, opened_s: float) -> Iterator[Row]:
    """What `session.created` says before anything was asked."""
    created = next(iter(tape.of("session.created")), None)
    session = {} if created is None else table(created.body, "session")
    for name, path in _DEFAULTS.items():
        value = look(session, path)
        yield told(DEFAULTS, name, "" if value is ABSENT else short(value) or '""')
    expires = session.get("expires_at")
    lasts = f"{expires - opened_s:.0f} s" if isinstance(expires, int | float) else ""
    yield told(DEFAULTS, "expires_at", lasts, "after connecting" if lasts else "")


def _ms(value_ns: int | None) -> str:
    return "" if value_ns is None else f"{value_ns / NS_PER_MS:.1f} ms"
