"""What one probing session saw, as plain values: frames, asks, the link; and how to read them.

Theory of operation
-------------------
A session writes a tape and draws no conclusion. A *frame* is one WebSocket message as it went or
came, with its body as JSON gave it (absent stays absent: that is a finding). An *ask* is a client
message, the answers that were waited for, and what came of it. Everything that a probe claims is
computed from tapes, so what a set of recorded frames says can be proved without a socket.

What it refuses to know: sockets, clocks, and what a finding is called.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, get_args

import msgspec

from bench.errors import ProtocolError
from bench.protocol.codec import decode_server, read_server
from bench.protocol.objects import WireFormat
from bench.protocol.repair import Oddity
from bench.protocol.server import AnyServerMessage
from bench.voice.audio import AudioFormat
from bench.voice.effective import format_of

SEEN: Final = "seen"
NOT_SEEN: Final = "not seen"
NOT_JSON: Final = "(not JSON)"
BINARY: Final = "(binary)"
UPGRADED: Final = "101"
APPEND: Final = "input_audio_buffer.append"


def refused(code: str) -> str:
    """The state of what was answered by an error."""
    return f"refused ({code})"


class Frame(NamedTuple):
    """One message that crossed the wire.

    `type` is the wire's own word, or one in brackets where it has none; the body of an append is
    left out. `odd` is what had to be borne to read it.
    """

    at_ns: int
    out: bool
    type: str
    body: dict[str, Any]
    nbytes: int = 0
    odd: tuple[Oddity, ...] = ()


class Ask(NamedTuple):
    """A client message and what came of it. `state` is `seen`, `refused (code)` or `not seen`.

    `provoking`: an error is what was hoped for, so a refusal says nothing against the message.
    """

    label: str
    type: str
    sent: dict[str, Any]
    state: str
    answer: dict[str, Any]
    took_ns: int = 0
    provoking: bool = False


class Link(NamedTuple):
    """How the connection came about: ns of each stage (None: not reached), and what was agreed.

    `hops` are the URLs of redirects that were followed.
    """

    dns_ns: int | None = None
    tcp_ns: int | None = None
    tls_ns: int | None = None
    tls: str = ""
    upgrade_ns: int | None = None
    status: str = ""
    server: str = ""
    alpn: str = ""
    compression_offered: bool = False
    extensions: str = ""
    subprotocol_offered: str = ""
    subprotocol: str = ""
    hops: tuple[str, ...] = ()
    created_ns: int | None = None
    ready_ns: int | None = None


class Tape(NamedTuple):
    """One session. `trouble` says in a sentence why it ended early, "" where it did not.

    `spoke_ns` is when the speech that was sent truly ended (ns on the frames' clock), or None.
    """

    name: str
    frames: tuple[Frame, ...]
    asks: tuple[Ask, ...] = ()
    link: Link = Link()
    trouble: str = ""
    spoke_ns: int | None = None

    @property
    def heard(self) -> Iterator[Frame]:
        """What the server sent."""
        return (frame for frame in self.frames if not frame.out)

    def of(self, *types: str) -> list[Frame]:
        """What the server sent of these types, beta spellings included."""
        return [frame for frame in self.heard if ga(frame.type) in types]

    def ask(self, label: str) -> Ask | None:
        """The first ask of that label, None where it was never made."""
        return next((ask for ask in self.asks if ask.label == label), None)


def find_ask(tapes: Iterable[Tape], label: str) -> Ask | None:
    """The first ask of that label on any tape."""
    return next((ask for tape in tapes if (ask := tape.ask(label)) is not None), None)


def _tag(kind: Any) -> str:
    return str(kind.__struct_config__.tag)


_KINDS: Final = get_args(AnyServerMessage)
GA_NAMES: Final = {
    _tag(kind): _tag(kind.__mro__[1]) for kind in _KINDS if kind.__mro__[1] in _KINDS
}
"""Beta spelling → the seed's spelling: the beta structs are subclasses of what they mean."""


def ga(kind: str) -> str:
    """The seed's name of a message type, whichever way it was spelt."""
    return GA_NAMES.get(kind, kind)


def read_frame(at_ns: int, data: str | bytes) -> Frame:
    """What came in a frame; anything is readable, at worst as `(not JSON)` or `(binary)`."""
    binary, odd = isinstance(data, bytes), list[Oddity]()
    try:
        body = read_server(data, odd)
        decode_server(data, odd)
    except ProtocolError:
        kind = BINARY if binary else NOT_JSON
        return Frame(at_ns, out=False, type=kind, body={}, nbytes=len(data))
    said, code = body.get("type"), body.get("errorType")
    kind = f"errorType:{code}" if isinstance(code, str) else "(no type)"
    kind = said if isinstance(said, str) else kind
    if binary:
        odd.append(Oddity("binary_frames", kind))
    return Frame(at_ns, out=False, type=kind, body=body, nbytes=len(data), odd=tuple(odd))


def placed(frame: Frame, before: Sequence[Frame]) -> Frame:
    """A frame of a response that does not say which, with the names of the last that began."""
    if all(one.quirk != "missing_ids" for one in frame.odd):
        return frame
    for earlier in reversed(before):
        began = table(earlier.body, "response").get("id")
        if response := began or earlier.body.get("response_id"):
            item = earlier.body.get("item_id") or table(earlier.body, "item").get("id")
            named = {"response_id": response, **({"item_id": item} if item else {})}
            return frame._replace(body={**named, **frame.body})
    return frame


def table(value: Any, *names: str) -> dict[str, Any]:
    """The table that `names` lead to inside `value`, or {} where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def error_code(body: dict[str, Any]) -> str:
    """An error's code, else its type, else "error"."""
    error = table(body, "error")
    return str(error.get("code") or error.get("type") or body.get("code") or "error")


def error_text(body: dict[str, Any]) -> str:
    """An error in the server's words, or ""."""
    error = body.get("error")
    if isinstance(error, str):
        return error
    return str(table(body, "error").get("message") or body.get("message") or "")


# ── the session object, in both shapes ───────────────────────────────────────────────────────

_FLAT: Final = {
    "output_modalities": "modalities",
    "max_output_tokens": "max_response_output_tokens",
    "audio.input.format": "input_audio_format",
    "audio.input.transcription": "input_audio_transcription",
    "audio.input.turn_detection": "turn_detection",
    "audio.output.format": "output_audio_format",
    "audio.output.voice": "voice",
    "audio.output.speed": "speed",
}
ABSENT: Final = msgspec.UNSET


def look(session: dict[str, Any], path: str) -> Any:
    """What a session object says at a dotted path, where beta puts it otherwise; or ABSENT."""
    *tables, last = path.split(".")
    held = table(session, *tables)
    if last in held:
        return held[last]
    return session.get(_FLAT.get(path, path), ABSENT)


def format_at(session: dict[str, Any], side: str) -> AudioFormat | None:
    """The audio format of `side` (input, output) in a session object; None where unreadable."""
    wire = look(session, f"audio.{side}.format")
    if isinstance(wire, dict):
        try:
            wire = msgspec.convert(wire, WireFormat)
        except msgspec.ValidationError:
            return None
    unknown = AudioFormat("?", 1)
    found = format_of(wire, unknown)
    return None if found is unknown else found


def effective(frames: Iterable[Frame]) -> dict[str, Any]:
    """The newest session object among frames, {} where there is none."""
    held: dict[str, Any] = {}
    for frame in frames:
        if not frame.out and frame.type in {"session.created", "session.updated"}:
            held = table(frame.body, "session")
    return held
