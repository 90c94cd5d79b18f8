"""What lies behind the audio of a file: other chunks, or audio that its header does not know.

Theory of operation
-------------------
A recorder that writes its header early, and never again, states a part of what it recorded. What
lies behind the stated audio is either chunks (each a name, a length, and that many bytes, up to the
end of the file), a tag, zeros, or it is speech. Chunks that follow such speech are found by their
names, if a chain of them ends where the file ends.

What it refuses to know: how the samples are coded.
"""

import re
import struct
from typing import BinaryIO, Final, NamedTuple

# The first chunk's place, how the head of a chunk is packed, and the chunk that is the audio.
_FORMS: Final = {
    b"RIFF": (12, "<4sI", b"data"), b"RIFX": (12, ">4sI", b"data"), b"RF64": (12, "<4sI", b"data"),
    b"FORM": (12, ">4sI", b"SSND"), b"caff": (8, ">4sq", b"data"),
}  # fmt: skip
_OTHERS: Final = (*_FORMS, b".snd")
_KINDS: Final = (b"WAVE", b"AIFF", b"AIFC")
_BLOCK: Final = 1 << 20
# From here on a length means "not known", or is no true one.
_UNKNOWN: Final = {"I": 0x7FFFF000, "Q": 1 << 62}
_NAME: Final = re.compile(rb"[ -~]{4}")
_FAMILIAR: Final = re.compile(
    rb"LIST|list|id3 |ID3 |bext|fact|cue |smpl|inst|iXML|axml|chna|_PMX|aXML|PEAK|plst|labl|note"
    rb"|DISP|afsp|JUNK|junk|PAD |FLLR|filr|acid|strc|cart|levl|link|SNDM|LGWV|ResU|umid|minf|elm1"
    rb"|regn|AFAn|Fake|slnt|wavl|CSET"
    rb"|COMM|MARK|INST|COMT|NAME|AUTH|ANNO|\(c\) |APPL|MIDI|AESD|FVER"  # of AIFF
    rb"|info|pakt|free|strg|mark|chan|edct|midi|ovvw|peak|umcl|uuid|kuki|desc"  # of CAF
)
_TAGS: Final = (b"TAG", b"ID3", b"APETAGEX")
_MOST_CHUNKS: Final = 1_000
_MOST_GUESSES: Final = 1_000


class Tail(NamedTuple):
    """A file states `stated` bytes of audio and has `there` of them.

    `patch` is what ought to stand at byte `place`; b"" where one number does not mend it.
    """

    stated: int
    there: int
    place: int
    patch: bytes


class _Audio(NamedTuple):
    """The audio of a file by its header: from byte `start` up to `end`.

    Its length stands at `place`, packed as `number`; `chunk` is how the head of a chunk is packed.
    """

    start: int
    end: int
    place: int
    number: str
    chunk: str


def unstated_audio(raw: BinaryIO, size: int) -> Tail | None:
    """What a file has more than it states; None where all is stated, or its kind says no length."""
    audio = _stated_audio(raw)
    if audio is None:
        return None
    stated = audio.end - audio.start
    unknown = stated <= 0 or stated >= _UNKNOWN[audio.number[1:]]
    if unknown or _is_known(raw, audio.end, size, audio.chunk):
        return None
    there = _last_of_audio(raw, audio.end, size, audio.chunk) - audio.start
    patch = struct.pack(audio.number, there) if audio.place else b""
    return Tail(stated, there, audio.place, patch)


def _stated_audio(raw: BinaryIO) -> _Audio | None:
    """Where the audio of a file lies by its header, None for files without such a header."""
    raw.seek(0)
    head = raw.read(36)
    if len(head) < 36:
        return None
    if head[:4] == b".snd":
        start, length = struct.unpack(">II", head[4:12])
        return _Audio(start, start + length, 8, ">I", ">4sI")
    form = next((form for magic, form in _FORMS.items() if head.startswith(magic)), None)
    found = form and (head[:4] == b"caff" or head[8:12] in _KINDS) and _chunk(raw, *form)
    if not found:
        return None
    if head[:4] == b"FORM":  # its frames are stated elsewhere, too
        return found._replace(place=0)
    if head.startswith(b"RF64"):  # the chunk says that its length stands here
        length = struct.unpack("<Q", head[28:36])[0] if head[12:16] == b"ds64" else 0
        return found._replace(end=found.start + length, place=28, number="<Q")
    return found


def _chunk(raw: BinaryIO, at: int, chunk: str, wanted: bytes) -> _Audio | None:
    """The chunk of a name, of those that follow each other from a byte on."""
    width = struct.calcsize(chunk)
    for _ in range(_MOST_CHUNKS):
        raw.seek(at)
        head = raw.read(width)
        if len(head) < width:
            return None
        name, length = struct.unpack(chunk, head)
        start = at + width
        if name == wanted:
            return _Audio(start, start + length, at + 4, chunk[0] + chunk[-1].upper(), chunk)
        if length < 0:
            return None
        at = start + length + (length % 2 if chunk[-1] == "I" else 0)
    return None


def _is_known(raw: BinaryIO, end: int, size: int, chunk: str) -> bool:
    """Whether nothing behind the audio can be audio."""
    if size - end < 8:
        return True
    raw.seek(end)
    head = raw.read(16)
    if head.startswith(_OTHERS):  # another file, which others refuse
        return True
    for first in {end, end + end % 2}:
        behind = head[first - end :]
        if behind.startswith(_TAGS) or _FAMILIAR.match(behind) or _chain(raw, first, size, chunk):
            return True
    return _is_zero(raw, end, size)


def _chain(raw: BinaryIO, at: int, size: int, chunk: str) -> bool:
    """Whether chunks, one behind the other, fill the file from a byte up to its end."""
    width = struct.calcsize(chunk)
    for _ in range(_MOST_CHUNKS):
        if size - at < width:
            return size - at >= -1  # the last one's padding may not be there
        raw.seek(at)
        name, length = struct.unpack(chunk, raw.read(width))
        if not _NAME.match(name) or name in {b"data", b"SSND"} or length < 0:
            return False
        at += width + length + (length % 2 if width == 8 else 0)
    return False


def _is_zero(raw: BinaryIO, at: int, size: int) -> bool:
    """Whether a file has nothing but zeros from a byte on: padding, or silence."""
    raw.seek(at)
    while at < size:
        block = raw.read(min(_BLOCK, size - at))
        if not block or block.strip(b"\0"):
            return False
        at += len(block)
    return True


def _last_of_audio(raw: BinaryIO, end: int, size: int, chunk: str) -> int:
    """Where the audio ends that begins before `end`: before the chunks at the end of the file."""
    first = max(end, size - _BLOCK)
    raw.seek(first)
    tail = raw.read(size - first)
    for count, found in enumerate(_FAMILIAR.finditer(tail)):
        if count >= _MOST_GUESSES:
            break
        if _chain(raw, first + found.start(), size, chunk):
            return first + found.start()
    return size
