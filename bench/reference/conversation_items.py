"""The conversation so far: items in order, what was said in them, and the audio behind them.

Theory of operation
-------------------
Items are kept as they would be sent in `conversation.item.done`: whole, without audio. The audio
lies beside them, for `conversation.item.retrieve`: the caller's as bytes, the agent's as the
speech it was cut from and how much of it was produced, which is also what truncation is checked
against and what it shortens. What was truncated or deleted while it was still being said stays so.

A client may add items (`protocol.md` section 3): a message has a role, and each role its own kinds
of part; a call has a name, an id and arguments; a call's output has the id. Both spellings of
assistant parts are taken and the item form (`output_text`) is what comes back. `status` on the way
in has no effect.

Memory: of the caller's audio the newest 2 MiB are kept (44 s of PCM16 at 24 kHz), and the last
item whatever its size; an older item is retrieved with `audio: null`. Items themselves are small
and stay.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from bench.protocol.objects import Item, Part, WireFormat
from bench.reference.client_requests import Invalid
from bench.reference.voices import SpokenReply
from bench.voice.audio import NS_PER_MS, AudioFormat, ms

MOST_AUDIO: Final = 2 * 2**20
ROOT: Final = "root"
TOKEN_NS: Final = ms(50)
"""Audio that one output token stands for (20 tokens a second)."""
TOKEN_LETTERS: Final = 4
"""Letters of arguments that one token stands for."""

_INPUT_TOKEN_NS: Final = ms(100)
# A clock of 24 kHz used for bytes of 8 kHz (`protocol.md` 13.10).
_THIRDS: Final = AudioFormat("audio/pcmu", 24_000)


_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "user": ("input_text", "input_audio", "input_image"),
    "system": ("input_text",),
    "tool": ("input_text",),
    "assistant": ("output_text", "text"),
}
_FIELD: Final = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "input_audio": "audio",
    "input_image": "image_url",
}
_REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "message": ("role", "content"),
    "function_call": ("name", "call_id", "arguments"),
    "function_call_output": ("call_id", "output"),
}


class Recorded(NamedTuple):
    """Audio of a caller's item."""

    format: AudioFormat
    audio: bytes


class Spoken(NamedTuple):
    """Audio of an agent's item: so many bytes of a speech were produced and not cut away."""

    speech: SpokenReply
    nbytes: int


class ConversationItems:
    """The items of one conversation. `thirds`: truncation of G.711 counts 24 bytes a ms."""

    def __init__(self, *, thirds: bool = False) -> None:
        self._items: dict[str, Item] = {}
        self._recorded: dict[str, Recorded] = {}
        self._spoken: dict[str, Spoken] = {}
        self._truncated: set[str] = set()
        self._thirds = thirds

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and item_id in self._items

    def __len__(self) -> int:
        return len(self._items)

    def find(self, item_id: str) -> Item | None:
        return self._items.get(item_id)

    @property
    def last_id(self) -> str | None:
        return next(reversed(self._items), None)

    @property
    def is_users_turn(self) -> bool:
        """Whether the last item that is no instruction is a message of the user's."""
        spoken = (item for item in reversed(self._items.values()) if item.role != "system")
        last = next(spoken, None)
        return last is not None and last.type == "message" and last.role == "user"

    def tokens(self) -> tuple[int, int]:
        """Tokens of text and of audio in all items: a word or 4 letters of a call, and 100 ms."""
        text = sum(_text_tokens(item) for item in self._items.values())
        audio = sum(
            -(-one.format.duration_ns(len(one.audio)) // _INPUT_TOKEN_NS)
            for one in self._recorded.values()
        )
        return text, audio

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Insert behind `after` (a known id, "root" for the front, None for the end).

        Gives the id of the item before it, or None at the front.
        """
        item_id = str(item.id)
        if after is None:
            previous = self.last_id
            self._items[item_id] = item
            return previous
        names = list(self._items)
        place = 0 if after == ROOT else names.index(after) + 1
        later = {name: self._items.pop(name) for name in names[place:]}
        self._items[item_id] = item
        self._items |= later
        return names[place - 1] if place else None

    def finish(self, item: Item) -> None:
        """Replace an item by its final form, unless deleted; a truncated one has no transcript."""
        item_id = str(item.id)
        if item_id in self._items:
            self._items[item_id] = _mute(item) if item_id in self._truncated else item

    def delete(self, item_id: str) -> None:
        for kept in (self._items, self._recorded, self._spoken):
            kept.pop(item_id, None)
        self._truncated.discard(item_id)

    def record(self, item_id: str, audio: bytes, fmt: AudioFormat) -> None:
        """Keep a caller's audio, and forget the oldest beyond the bound."""
        self._recorded[item_id] = Recorded(fmt, audio)
        total = sum(len(one.audio) for one in self._recorded.values())
        for oldest in list(self._recorded)[:-1]:
            if total <= MOST_AUDIO:
                break
            total -= len(self._recorded.pop(oldest).audio)

    def speak(self, item_id: str, speech: SpokenReply, nbytes: int) -> None:
        """Note that `nbytes` of `speech` have been produced for this item."""
        if item_id in self._items and item_id not in self._truncated:
            self._spoken[item_id] = Spoken(speech, nbytes)

    def heard(self, item_id: str, transcript: str) -> None:
        """Set the transcript of a caller's item."""
        item = self.find(item_id)
        if item is not None and isinstance(item.content, list):
            parts = [msgspec.structs.replace(part, transcript=transcript) for part in item.content]
            self._items[item_id] = msgspec.structs.replace(item, content=parts)

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> Invalid | None:
        """Cut an agent's audio and drop its transcript, or say why not. The item must be known."""
        item, spoken = self.find(item_id), self._spoken.get(item_id)
        if item is None or spoken is None or not isinstance(item.content, list):
            return Invalid("item_id", "Only assistant messages with audio can be truncated.")
        if content_index != 0:
            return Invalid("content_index", f"Item {item_id} has no content {content_index}.")
        if audio_end_ms < 0:
            return Invalid("audio_end_ms", f"audio_end_ms is {audio_end_ms}, below 0.")
        fmt = spoken.speech.format
        clock = _THIRDS if self._thirds and fmt.type != "audio/pcm" else fmt
        duration_ns = clock.duration_ns(spoken.nbytes)
        if audio_end_ms * NS_PER_MS > duration_ns:
            return Invalid(
                "audio_end_ms",
                f"Audio content of {duration_ns / NS_PER_MS:.0f} ms is already shorter "
                f"than {audio_end_ms} ms.",
            )
        self._spoken[item_id] = Spoken(spoken.speech, clock.nbytes(audio_end_ms * NS_PER_MS))
        self._truncated.add(item_id)
        self._items[item_id] = _mute(item)
        return None

    def whole(self, item: Item) -> Item:
        """The item with its audio in it, as `conversation.item.retrieved` carries it."""
        recorded, spoken = self._recorded.get(str(item.id)), self._spoken.get(str(item.id))
        if spoken is not None:
            recorded = Recorded(spoken.speech.format, spoken.speech.part(0, spoken.nbytes))
        if not isinstance(item.content, list):
            return item
        return msgspec.structs.replace(
            item, content=[_with_audio(part, recorded) for part in item.content]
        )


def _mute(item: Item) -> Item:
    """The item without its transcripts."""
    if not isinstance(item.content, list):
        return item
    parts = [msgspec.structs.replace(part, transcript=None) for part in item.content]
    return msgspec.structs.replace(item, content=parts)


def _text_tokens(item: Item) -> int:
    parts = item.content if isinstance(item.content, list) else ()
    said = sum(len(part.text.split()) for part in parts if isinstance(part.text, str))
    called = len(item.arguments) if isinstance(item.arguments, str) else 0
    given = len(item.output.split()) if isinstance(item.output, str) else 0
    return said - (-called // TOKEN_LETTERS) + given


def _with_audio(part: Part, recorded: Recorded | None) -> Part:
    if part.type not in {"input_audio", "output_audio"}:
        return part
    if recorded is None:
        return msgspec.structs.replace(part, audio=None)
    wire = WireFormat(type=recorded.format.type)
    if recorded.format.type == "audio/pcm":
        wire.rate = recorded.format.rate
    return msgspec.structs.replace(
        part, audio=b64encode(recorded.audio).decode("ascii"), format=wire
    )


def check_item(item: Item) -> Invalid | None:
    """What is wrong with an item that a client wants to add, or None."""
    if item.type not in _REQUIRED:
        return Invalid("item.type", f"{item.type!r} is none of {', '.join(_REQUIRED)}.")
    for name in _REQUIRED[item.type]:
        if getattr(item, name) is UNSET:
            return Invalid(f"item.{name}", f"A {item.type} needs {name!r}.")
    if item.type != "message" or not isinstance(item.content, list):
        return None
    if item.role not in _PARTS:
        return Invalid("item.role", f"{item.role!r} is none of {', '.join(_PARTS)}.")
    checked = (_check_part(n, part, str(item.role)) for n, part in enumerate(item.content))
    return next(filter(None, checked), None)


def whole_item(item: Item, item_id: str) -> tuple[Item, bytes | None]:
    """A checked item as the conversation keeps it, and the audio that came inside, if any."""
    audio: bytes | None = None
    content = item.content
    if isinstance(content, list):
        for part in content:
            if part.type == "input_audio" and isinstance(part.audio, str):
                audio = (audio or b"") + b64decode(part.audio)
        content = [_kept(part) for part in content]
    status = UNSET if item.type == "function_call_output" else "completed"
    return msgspec.structs.replace(item, id=item_id, content=content, status=status), audio


def _check_part(number: int, part: Part, role: str) -> Invalid | None:
    where = f"item.content[{number}]"
    if part.type not in _PARTS[role]:
        return Invalid(
            f"{where}.type",
            f"{part.type!r} is no content of a {role} message; it takes {', '.join(_PARTS[role])}.",
        )
    field = _FIELD[part.type]
    value = getattr(part, field)
    if not isinstance(value, str):
        return Invalid(f"{where}.{field}", f"A part of type {part.type} needs {field!r}.")
    if field == "audio":
        try:
            b64decode(value, validate=True)
        except (Base64Error, ValueError):
            return Invalid(f"{where}.audio", "The audio is not base64.")
    return None


def _kept(part: Part) -> Part:
    """A part in the item form, without its audio, which added and done never carry."""
    if part.type == "input_audio":
        spoken = part.transcript if isinstance(part.transcript, str) else None
        return Part(type="input_audio", transcript=spoken)
    if part.type == "text":
        return msgspec.structs.replace(part, type="output_text")
    return part
