"""Responses put together from the frames of a tape: what was streamed, called and said, and how.

A response takes the output format that was in force when it was first heard of, by what the server
said, never by what was asked.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from bench.probe.tape import Frame, Tape, format_at, ga, table
from bench.voice.audio import PCM16_24K, AudioFormat, ms


class Delta(NamedTuple):
    """One audio delta: arrival and sound."""

    at_ns: int
    audio: bytes


class Reply(NamedTuple):
    """One response put together from its frames. `done` is {} where it never ended."""

    id: str
    item_id: str
    format: AudioFormat
    created: dict[str, Any]
    done: dict[str, Any]
    deltas: tuple[Delta, ...]
    streams: tuple[str, ...]
    calls: tuple[tuple[str, str], ...]

    @property
    def modalities(self) -> frozenset[str]:
        """What it says that it speaks in."""
        said = self.created.get("output_modalities") or self.created.get("modalities")
        return frozenset(map(str, said)) if isinstance(said, list) else frozenset()

    @property
    def nbytes(self) -> int:
        return sum(len(delta.audio) for delta in self.deltas)


_STREAMS: Final = {
    "response.output_audio.delta": "audio",
    "response.output_audio_transcript.delta": "transcript",
    "response.output_text.delta": "text",
    "response.function_call_arguments.delta": "arguments",
    "response.function_call_arguments.done": "arguments",
}


def replies(tape: Tape) -> list[Reply]:
    """The responses of a session, in the order of their first frame."""
    parts: dict[str, list[Frame]] = {}
    formats: dict[str, AudioFormat] = {}
    fmt = PCM16_24K
    for frame in tape.heard:
        if frame.type in {"session.created", "session.updated"}:
            fmt = format_at(table(frame.body, "session"), "output") or fmt
        owner = frame.body.get("response_id") or table(frame.body, "response").get("id")
        if isinstance(owner, str) and owner:
            parts.setdefault(owner, []).append(frame)
            formats.setdefault(owner, fmt)
    return [_reply(owner, frames, formats[owner]) for owner, frames in parts.items()]


def _reply(owner: str, frames: list[Frame], fmt: AudioFormat) -> Reply:
    bodies: dict[str, dict[str, Any]] = {}
    deltas, streams, item_id = [], [], ""
    for frame in frames:
        kind = ga(frame.type)
        if kind in {"response.created", "response.done"}:
            bodies[kind] = table(frame.body, "response")
        if (stream := _STREAMS.get(kind)) and stream not in streams:
            streams.append(stream)
        if kind == "response.output_audio.delta":
            deltas.append(Delta(frame.at_ns, _sound(frame.body.get("delta"))))
            item_id = item_id or str(frame.body.get("item_id") or "")
    return Reply(
        owner,
        item_id,
        fmt,
        bodies.get("response.created", {}),
        bodies.get("response.done", {}),
        tuple(deltas),
        tuple(streams),
        tuple(_calls(frames)),
    )


def _sound(delta: Any) -> bytes:
    try:
        return base64.b64decode(delta) if isinstance(delta, str) else b""
    except (binascii.Error, ValueError):
        return b""


def _calls(frames: list[Frame]) -> Iterator[tuple[str, str]]:
    """(call_id, name) of each function call, once, wherever it was first said in full."""
    named: dict[str, str] = {}
    for frame in frames:
        item = table(frame.body, "item")
        called = item if item.get("type") == "function_call" else frame.body
        call_id = called.get("call_id")
        if isinstance(call_id, str) and call_id:
            named[call_id] = named.get(call_id) or str(called.get("name") or "")
    yield from named.items()


_PADDING_NS: Final = ms(60)
"""Longest delta that counts as padding: as long as the shortest chunks of clients."""


def is_padding(reply: Reply, delta: Delta) -> bool:
    """Whether a delta is a tiny one of nothing but silence."""
    size = len(delta.audio)
    tiny = 0 < reply.format.duration_ns(size) <= _PADDING_NS
    return tiny and delta.audio == reply.format.silence(size)
