"""The event row: one timestamped fact. This is the one shape that load writes and analysis reads.

Directions: `in` and `out` are messages that crossed the wire; `note` is what the caller did or
found out without a message, and its type begins with `bench.`.

====================  ===========================================================================
note                  what it says (`detail` is JSON)
====================  ===========================================================================
bench.start           the session starts; due_ns is its schedule; detail: worker, slot, script,
                      turns (planned), setting (of the sweep, or ""), marker (words that only this
                      session says, or ""), address (number and port of the target)
bench.proxied         TCP established to the proxy that is on the way, where there is one
bench.connected       TCP established (by a proxy: its tunnel)   bench.secured   TLS established
bench.redirected      the server is elsewhere, and the next two come again; detail: status, url
bench.upgraded        WebSocket established
bench.microphone      the microphone opens: at_ns is media position 0; detail: input and output
                      format as {type, rate}, chunk_ms, jitter_buffer_ms, prefix_padding_ms
                      (null: the server did not say), assumed (whose format it never said:
                      input, output), answer (to session.update: the message, or "nothing")
bench.greeted         the caller has heard out what the agent said first; its script begins
bench.ungreeted       the caller stopped waiting for that; its script begins
bench.say             an utterance was placed: media_ns is where it starts, due_ns its instant;
                      detail: utterance, turn (from 1), role (line, interruption, backchannel,
                      sound), text, duration_ms, onset_ms, offset_ms (inside the utterance; null:
                      no speech)
bench.write           a turn is typed, and its item follows; detail: turn, text
bench.flush           the caller emptied its player; detail: heard_ms of the item, cause: "server"
                      (it heard an interruption) or "caller" (who stopped the agent)
bench.gave_up         the caller stopped waiting for an answer; detail: turn
bench.heard_out       the caller has heard the answer to the end; detail: turn
bench.backoff         the caller was told that the server is full, and waits until due_ns before it
                      says its next line or ends; detail: turn (the one that was turned away),
                      overloads (turns in a row), pause_ms
bench.odd_calls       the reply that was heard out calls tools in a way that is none; detail: turn,
                      nameless (how many have no name), idless (no call_id: never answered)
bench.unknown         a message of an unknown type came; detail: type, reason
bench.unknown_fields  the session's first message of a known type had fields that are unknown or
                      misshapen; detail: type, fields (dotted names)
bench.quirk           the first message of the session that was odd in this way came; detail: quirk,
                      example (what was borne, shortened)
bench.end             the session's last row; detail: outcome, reason, close_code, reads, stamped,
                      quirks (how many messages were odd in each way)
====================  ===========================================================================

A session's outcome: `finished` (the script ran to its end), `drained` (the run ended it),
`refused` (the upgrade was refused, or an error came before the session was ready), `overloaded`
(such an error says that the service is full), `unreachable`, `silent` (connected, and nothing
came), `malformed`, `binary`, `too_big` (what came was no message; JSON in binary frames is one),
`flooded` (it sent, or asked for, more than one peer may),
`closed` (the server closed), `broken` (the connection died), `stalled` (writes made no progress),
`crashed` (the script raised, or this program failed, which is also a fault of the run).
"""

from typing import NamedTuple


class Row(NamedTuple):
    """One fact.

    session:      number of the session, unique in the run
    at_ns:        monotonic instant; `in`: kernel receive stamp where there is one; `out`: after
                  the bytes were handed to the kernel
    at_err_ns:    the fact happened in [at_ns - at_err_ns, at_ns]
    read_ns:      `in`: the program's own stamp, on the line after the socket read; else None
    direction:    in, out, note
    type:         the API's own name, or bench.…
    due_ns:       when it was due; None where nothing was
    media_ns:     position on the microphone's timeline: of a chunk's first sample, of an utterance
    audio_ms:     `audio_start_ms` or `audio_end_ms`, as the server said
    audio_ns:     length of the audio carried
    nbytes:       bytes of audio carried, or of text where there is none
    envelope:     level of the audio carried, a byte per 10 ms (`bench.corpus.energy`)
    detail:       text that belongs to the type: transcript, delta, status and reason, error code;
                  of a message sent, appends excepted, its whole JSON
    output_index, content_index:  as the server said
    previous_id:  previous_item_id, as said
    call_id:      of a tool call or its output
    """

    session: int
    at_ns: int
    at_err_ns: int
    read_ns: int | None
    direction: str
    type: str
    event_id: str | None = None
    item_id: str | None = None
    response_id: str | None = None
    due_ns: int | None = None
    media_ns: int | None = None
    audio_ms: int | None = None
    audio_ns: int | None = None
    nbytes: int = 0
    envelope: bytes | None = None
    detail: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    previous_id: str | None = None
    call_id: str | None = None
