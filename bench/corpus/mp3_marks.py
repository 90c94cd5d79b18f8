"""What an MP3 says of itself between its frames: its length, if any, and where others begin.

Theory of operation
-------------------
An MP3 is frames one after the other; its length stands, if at all, in a frame of its own at the
beginning (`Xing`, `Info` or `VBRI`: so many frames, so many bytes). Files that were joined have
such frames and tags (ID3) in the middle, too. All of them are found by their marks and by what has
to stand around them, so each part's length is compared with the bytes that it has, and a decoder
can be shown the audio alone (`AudioOnly`).

What it refuses to know: the samples.
"""

import io
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

_BLOCK: Final = 1 << 20
_REACH: Final = 64  # bytes before and behind a mark that are looked at
_MARK: Final = re.compile(rb"Xing|Info|VBRI|ID3[\x02-\x04][\x00-\xff]{2}[\x00-\x7f]{4}")
_RATES: Final = (44_100, 48_000, 32_000)
_BITRATES: Final = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG 2 and 2.5
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG 1
)
_VBRI: Final = 4 + 32  # bytes from a frame's beginning to that mark, whatever the frame
_ID3V1: Final = 128
_PART: Final = 2_048  # bytes: fewer behind the stated ones are a tag, or less than two frames
_MOST_PARTS: Final = 10_000


class Mp3Marks(NamedTuple):
    """`parts` files are joined, of which the first says its length or not (`has_length`).

    Of what all of them state `missing_s` seconds are not there; `audio` are the (first, last) bytes
    without what stands between parts.
    """

    parts: int
    has_length: bool
    missing_s: float
    audio: tuple[tuple[int, int], ...]


class _Mark(NamedTuple):
    """Bytes `first` up to `last` that are no audio; of a Xing frame what it states, else 0."""

    first: int
    last: int
    stated_bytes: int = 0
    stated_s: float = 0.0


def mp3_marks(raw: BinaryIO, size: int) -> Mp3Marks:
    """The marks of an open MP3 of `size` bytes."""
    heads = _heads(raw, size)
    missing_s, parts = 0.0, len(heads)
    for at, marks in enumerate(heads):
        frame = marks[-1]
        if frame.stated_bytes:
            end = heads[at + 1][0].first if at + 1 < len(heads) else size
            left = end - frame.first - frame.stated_bytes
            missing_s += max(0, -left) / frame.stated_bytes * frame.stated_s
            parts += left > _PART + tag_bytes(raw, end)
    starts_at_once = bool(heads) and heads[0][0].first < _PART
    has_length = starts_at_once and heads[0][-1].stated_s > 0
    audio, first = [], 0
    for marks in heads[starts_at_once:]:
        start = marks[0].first
        audio.append((first, max(first, start - tag_bytes(raw, start))))
        first = marks[-1].last
    audio.append((first, max(first, size - tag_bytes(raw, size))))
    return Mp3Marks(parts + (not starts_at_once), has_length, missing_s, tuple(audio))


def tag_bytes(raw: BinaryIO, end: int) -> int:
    """Bytes before `end` that are an ID3v1 tag or an APE tag, and no audio."""
    found = 0
    raw.seek(max(end - _ID3V1, 0))
    if end >= _ID3V1 and raw.read(3) == b"TAG":
        found = _ID3V1
    raw.seek(max(end - found - 32, 0))
    foot = raw.read(32)
    if foot[:8] == b"APETAGEX" and len(foot) == 32:
        found += struct.unpack("<I", foot[12:16])[0] + 32
    return int(min(found, end))


class AudioOnly(io.RawIOBase):
    """An open file of which only some spans of bytes are shown, as if they were all."""

    def __init__(self, file: BinaryIO, spans: tuple[tuple[int, int], ...]) -> None:
        self._file, self._spans, self._at = file, spans, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        size = sum(last - first for first, last in self._spans)
        self._at = max(0, offset + (0, self._at, size)[whence])
        return self._at

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        before = 0
        for first, last in self._spans:
            if self._at < before + last - first:
                self._file.seek(first + self._at - before)
                data = self._file.read(min(len(buffer), before + last - first - self._at))
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
            before += last - first
        return 0


def _marks(raw: BinaryIO, size: int) -> Iterator[_Mark]:
    """Xing frames and ID3 tags in order, with some of which the bytes lie inside a tag."""
    for start in range(0, size, _BLOCK):
        raw.seek(max(0, start - _REACH))
        block = raw.read(_BLOCK + min(start, _REACH) + _REACH)
        base = max(0, start - _REACH)
        for found in _MARK.finditer(block):
            if not start <= base + found.start() < start + _BLOCK:
                continue
            if found[0].startswith(b"ID3"):
                length = 10 + _syncsafe(found[0][6:10]) + (10 if found[0][5] & 0x10 else 0)
                mark = _Mark(base + found.start(), base + found.start() + length)
                if _goes_on(raw, mark.last, size):
                    yield mark
            elif frame := _xing(block, found.start(), base):
                yield frame


def _goes_on(raw: BinaryIO, at: int, size: int) -> bool:
    """Whether a frame stands at a byte, or, behind padding, soon after it."""
    raw.seek(at)
    head = raw.read(4_096).lstrip(b"\0")[:4]
    return at < size and len(head) == 4 and _frame(head) is not None


def _syncsafe(word: bytes) -> int:
    return word[0] << 21 | word[1] << 14 | word[2] << 7 | word[3]


def _frame(head: bytes) -> tuple[int, int, float] | None:
    """Bytes of a layer III frame, bytes up to its Xing mark, its seconds, or None for no frame."""
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    index, rate = head[2] >> 4, head[2] >> 2 & 3
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or version == 1 or layer != 1:
        return None
    if index in {0, 15} or rate == 3:
        return None
    first, mono = version == 3, head[3] >> 6 == 3
    hertz = _RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    samples = 1152 if first else 576
    length = samples // 8 * _BITRATES[first][index] * 1000 // hertz + (head[2] >> 1 & 1)
    side = (17 if mono else 32) if first else (9 if mono else 17)
    return length, 4 + side, samples / hertz


def _xing(block: bytes, at: int, base: int) -> _Mark | None:
    """The frame that a mark of a length stands in, None where there is none around it."""
    is_vbri = block[at : at + 4] == b"VBRI"
    for side in (_VBRI,) if is_vbri else (4 + 32, 4 + 17, 4 + 9):
        head = block[at - side : at - side + 4] if at >= side else b""
        frame = _frame(head) if len(head) == 4 else None
        if frame is None or not (is_vbri or frame[1] == side) or len(block) < at + 18:
            continue
        if is_vbri:
            length, frames = struct.unpack(">II", block[at + 10 : at + 18])
        else:  # each number stands there only if its flag does
            flags, *numbers = struct.unpack(">III", block[at + 4 : at + 16])
            frames = numbers[0] if flags & 1 else 0
            length = numbers[flags & 1] if flags & 2 else 0
        first = base + at - side
        return _Mark(first, first + frame[0], length, frames * frame[2])
    return None


def _heads(raw: BinaryIO, size: int) -> list[list[_Mark]]:
    """The marks that each part begins with: a tag, a Xing frame, or the one and then the other."""
    heads: list[list[_Mark]] = []
    last = -1
    for mark in _marks(raw, size):
        if mark.first < last:  # inside a tag
            continue
        if heads and mark.first - last < _PART and not heads[-1][-1].stated_s:
            heads[-1].append(mark)
        elif len(heads) < _MOST_PARTS:
            heads.append([mark])
        last = mark.last
    return heads
