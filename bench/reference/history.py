"""The conversation so far: items in order, what was said in them, and the audio behind them.

Theory of operation
-------------------
Items are kept as they would be sent in `conversation.item.done`: whole, without audio. The audio
lies beside them, for `conversation.item.retrieve`: the caller's as bytes, the agent's as the
speech it was cut from and how much of it was produced, which is also what truncation is checked
against and what it shortens.

Memory: of the caller's audio the newest 2 MiB are kept (44 s of PCM16 at 24 kHz), and the last
item whatever its size; an older item is retrieved with `audio: null`. Items themselves are small
and stay.
"""

from base64 import b64encode
from typing import Final, NamedTuple

import msgspec

from bench.protocol.objects import Item, Part, WireFormat
from bench.reference.rules import Invalid
from bench.reference.speech import Speech
from bench.voice.audio import NS_PER_MS, AudioFormat

MOST_AUDIO: Final = 2 * 2**20
ROOT: Final = "root"

_AUDIO_TOKEN_NS: Final = 100 * NS_PER_MS


class Recorded(NamedTuple):
    """Audio of a caller's item."""

    format: AudioFormat
    audio: bytes


class Spoken(NamedTuple):
    """Audio of an agent's item: so many bytes of a speech were produced and not cut away."""

    speech: Speech
    nbytes: int

    @property
    def duration_ns(self) -> int:
        return self.speech.format.duration_ns(self.nbytes)


class History:
    """The items of one conversation."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._recorded: dict[str, Recorded] = {}
        self._spoken: dict[str, Spoken] = {}

    def __contains__(self, item_id: object) -> bool:
        return any(item.id == item_id for item in self._items)

    def __len__(self) -> int:
        return len(self._items)

    def find(self, item_id: str) -> Item | None:
        return next((item for item in self._items if item.id == item_id), None)

    @property
    def last_id(self) -> str | None:
        return str(self._items[-1].id) if self._items else None

    def items(self) -> tuple[Item, ...]:
        """All items, oldest first."""
        return tuple(self._items)

    def tokens(self) -> tuple[int, int]:
        """Tokens of text and of audio in all items: a word each, and one for 100 ms."""
        text = sum(
            len(part.text.split())
            for item in self._items
            for part in (item.content if isinstance(item.content, list) else ())
            if isinstance(part.text, str)
        )
        audio = sum(
            -(-one.format.duration_ns(len(one.audio)) // _AUDIO_TOKEN_NS)
            for one in self._recorded.values()
        )
        return text, audio

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Insert behind `after` (a known id, "root" for the front, None for the end).

        Gives the id of the item before it, or None at the front.
        """
        place = len(self._items)
        if after == ROOT:
            place = 0
        elif after is not None:
            place = [one.id for one in self._items].index(after) + 1
        self._items.insert(place, item)
        return str(self._items[place - 1].id) if place else None

    def replace(self, item: Item) -> None:
        """`item` instead of the one with its id, if that is still there."""
        self._items = [item if one.id == item.id else one for one in self._items]

    def delete(self, item_id: str) -> None:
        self._items = [item for item in self._items if item.id != item_id]
        self._recorded.pop(item_id, None)
        self._spoken.pop(item_id, None)

    def record(self, item_id: str, audio: bytes, fmt: AudioFormat) -> None:
        """Keep a caller's audio, and forget the oldest beyond the bound."""
        self._recorded[item_id] = Recorded(fmt, audio)
        total = sum(len(one.audio) for one in self._recorded.values())
        for oldest in list(self._recorded)[:-1]:
            if total <= MOST_AUDIO:
                break
            total -= len(self._recorded.pop(oldest).audio)

    def speak(self, item_id: str, speech: Speech, nbytes: int) -> None:
        """Note that `nbytes` of `speech` have been produced for this item."""
        self._spoken[item_id] = Spoken(speech, nbytes)

    def heard(self, item_id: str, transcript: str) -> None:
        """Set what a caller's item says, once it is known."""
        item = self.find(item_id)
        if item is not None and isinstance(item.content, list):
            parts = [msgspec.structs.replace(part, transcript=transcript) for part in item.content]
            self.replace(msgspec.structs.replace(item, content=parts))

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> Invalid | None:
        """Cut an agent's audio and drop its transcript, or say why not. The item must be known."""
        item, spoken = self.find(item_id), self._spoken.get(item_id)
        if item is None or spoken is None or not isinstance(item.content, list):
            return Invalid("item_id", "Only assistant messages with audio can be truncated.")
        if content_index != 0:
            return Invalid("content_index", f"Item {item_id} has no content {content_index}.")
        if audio_end_ms < 0:
            return Invalid("audio_end_ms", f"audio_end_ms is {audio_end_ms}, below 0.")
        if audio_end_ms * NS_PER_MS > spoken.duration_ns:
            return Invalid(
                "audio_end_ms",
                f"Audio content of {spoken.duration_ns / NS_PER_MS:.0f} ms is already shorter "
                f"than {audio_end_ms} ms.",
            )
        kept = spoken.speech.format.nbytes(audio_end_ms * NS_PER_MS)
        self._spoken[item_id] = Spoken(spoken.speech, kept)
        parts = [msgspec.structs.replace(part, transcript=None) for part in item.content]
        self.replace(msgspec.structs.replace(item, content=parts))
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
