"""Responses put together from the frames of a tape: what was streamed, called and said, and how.

A response takes the output format, and the wish for fillers, that were in force when it was first
heard of, by what the server said, never by what was asked. A *filler* is audible and comes before
the first word of its reply; nothing else tells it from the answer (`protocol.md` 2.4). A *cut* is
a reply that the caller's speech ended.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from bench.corpus.codec import decode
from bench.corpus.energy import WINDOW_MS, envelope, first_audible
from bench.probe.tape import Frame, Tape, format_at, ga, table
from bench.protocol.repair import tidy_base64
from bench.voice.audio import PCM16_24K, AudioFormat, ms


class Delta(NamedTuple):
    """One audio delta: arrival and sound."""

    at_ns: int
    audio: bytes


class Reply(NamedTuple):
    """One response put together from its frames. `done` is {} where it never ended.

    `responsive` is `providerData.responsiveness` where the session has that on, else {}. `filler`
    is what was said before the first word, b"" where fillers are off or nothing was audible;
    `waited_ns` is from the creation to the first word, None where there is none.
    """

    id: str
    item_id: str
    format: AudioFormat
    created: dict[str, Any]
    done: dict[str, Any]
    deltas: tuple[Delta, ...]
    streams: tuple[str, ...]
    calls: tuple[tuple[str, str], ...]
    responsive: dict[str, Any]
    filler: bytes
    waited_ns: int | None

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
_WORDS: Final = frozenset({"transcript", "text"})


def replies(tape: Tape) -> list[Reply]:
    """The responses of a session, in the order of their first frame."""
    parts: dict[str, list[Frame]] = {}
    began_in: dict[str, tuple[AudioFormat, dict[str, Any]]] = {}
    fmt: AudioFormat = PCM16_24K
    responsive: dict[str, Any] = {}
    for frame in tape.heard:
        if frame.type in {"session.created", "session.updated"}:
            fmt = format_at(table(frame.body, "session"), "output") or fmt
            branch = table(frame.body, "session", "providerData", "responsiveness")
            responsive = branch if branch.get("enabled") is True else {}
        owner = frame.body.get("response_id") or table(frame.body, "response").get("id")
        if isinstance(owner, str) and owner:
            parts.setdefault(owner, []).append(frame)
            began_in.setdefault(owner, (fmt, responsive))
    return [_reply(owner, frames, *began_in[owner]) for owner, frames in parts.items()]


def _reply(owner: str, frames: list[Frame], fmt: AudioFormat, responsive: dict[str, Any]) -> Reply:
    bodies: dict[str, dict[str, Any]] = {}
    deltas: list[Delta] = []
    streams: list[str] = []
    item_id = ""
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
        responsive,
        _filler(frames, fmt) if responsive else b"",
        _waited_ns(frames),
    )


def _is_word(frame: Frame) -> bool:
    return _STREAMS.get(ga(frame.type)) in _WORDS and bool(frame.body.get("delta"))


def _waited_ns(frames: list[Frame]) -> int | None:
    created = next((f.at_ns for f in frames if f.type == "response.created"), None)
    word = next((f.at_ns for f in frames if _is_word(f)), None)
    return None if created is None or word is None else word - created


def _filler(frames: list[Frame], fmt: AudioFormat) -> bytes:
    """What was said before the first word; nothing where no word ever comes."""
    first = next((n for n, frame in enumerate(frames) if _is_word(frame)), 0)
    early = [frame for frame in frames[:first] if _STREAMS.get(ga(frame.type)) == "audio"]
    said = b"".join(_sound(frame.body.get("delta")) for frame in early)
    return said if silence_ms(fmt, said) is not None else b""


def _sound(delta: Any) -> bytes:
    try:
        return base64.b64decode(tidy_base64(delta) or delta) if isinstance(delta, str) else b""
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


def silence_ms(fmt: AudioFormat, audio: bytes) -> int | None:
    """How long it is until something is audible, in ms; None where nothing is."""
    heard = first_audible(envelope(decode(fmt.whole(audio), fmt.type), fmt.rate))
    return None if heard is None else heard * WINDOW_MS


class Cut(NamedTuple):
    """A reply that speech ended: when that was said to begin, and the deltas that still came."""

    started_ns: int
    done_ns: int
    late: tuple[Frame, ...]


def cuts(tape: Tape) -> list[Cut]:
    """The replies that were cancelled after the caller had begun to speak into them."""
    heard = list(tape.heard)
    born: dict[str, int] = {}
    found = []
    for at, frame in enumerate(heard):
        owner = str(table(frame.body, "response").get("id"))
        if frame.type == "response.created":
            born[owner] = at
        said = table(frame.body, "response").get("status")
        if frame.type != "response.done" or said != "cancelled" or owner not in born:
            continue
        spoke = [n for n in range(born[owner], at) if heard[n].type == _STARTED]
        details = table(frame.body, "response", "status_details")
        if spoke and details.get("reason") != "client_cancelled":
            late = tuple(f for f in heard[spoke[-1] :] if _sounds(f, owner))
            found.append(Cut(heard[spoke[-1]].at_ns, frame.at_ns, late))
    return found


_STARTED: Final = "input_audio_buffer.speech_started"


def _sounds(frame: Frame, owner: str) -> bool:
    return _STREAMS.get(ga(frame.type)) == "audio" and frame.body.get("response_id") == owner


_PADDING_NS: Final = ms(60)
"""Longest delta that counts as padding: as long as the shortest chunks of clients."""


def is_padding(reply: Reply, delta: Delta) -> bool:
    """Whether a delta is a tiny one of nothing but silence."""
    size = len(delta.audio)
    tiny = 0 < reply.format.duration_ns(size) <= _PADDING_NS
    return tiny and delta.audio == reply.format.silence(size)
