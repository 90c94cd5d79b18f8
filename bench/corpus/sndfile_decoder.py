"""Audio files by libsndfile, with what it does not say found out.

Theory of operation
-------------------
libsndfile trusts no header: where one states more than there is it reads what there is, and says so
in its log alone, which is read here (`_CLAIM`). Of a stream of MP3, OGG or FLAC it reads what it
takes for all: where bytes are left over, more audio lies in them (no length in the header, or files
joined), and another decoder has to read it. WAV and AU that state a length of 0, as programs do
that write to a pipe, are given the length that means "to the end of the file"; WAV that states less
than there is, as recorders do that write their header early, the true one (`riff_tail`).
"""

import io
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from bench.corpus.mp3_marks import Mp3Marks, mp3_marks, tag_bytes
from bench.corpus.riff_tail import unstated_audio
from bench.corpus.stream import (
    BLOCK,
    MISSING_S,
    Refused,
    ShortReadError,
    Stream,
    refuse_missing,
)

_CLAIM: Final = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (-1|\d+(?= \())(?: \(should be (\d+)\))?",
    re.MULTILINE,
)
_ENDLESS: Final = 0x7FFFF000  # what is written for "not known yet", or more than a file can have
_MALFORMED: Final = 3  # libsndfile's SF_ERR_MALFORMED_FILE
_STREAMS: Final = frozenset({"MP3", "OGG", "FLAC"})
_TAIL: Final = 2_048  # bytes: a tag at the end, and less than two frames of MP3
_CHUNKED: Final = {b"RIFF": "<I", b"RIFX": ">I", b"FORM": ">I"}
_FOLLOWERS: Final = (b"RIFF", b"RIFX", b"RF64", b"riff", b".snd", b"caff", b"NIST", b"FORM")
_LAST_PAGE: Final = 0x04  # of an OGG stream, in its page's header


class _Patched(io.RawIOBase):
    """A file with some bytes at one place shown as others."""

    def __init__(self, file: BinaryIO, at: int, patch: bytes) -> None:
        self._file, self._at, self._patch = file, at, patch

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        at = self._file.tell()
        data = bytearray(self._file.read(len(buffer)))
        for place, byte in enumerate(self._patch, self._at - at):
            if 0 <= place < len(data):
                data[place] = byte
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def sndfile_stream(path: Path) -> Iterator[Stream]:
    """`path` opened by libsndfile. `ShortReadError` where another decoder may do better."""
    with path.open("rb") as raw:
        size = raw.seek(0, io.SEEK_END)
        _refuse_joined(raw, size)
        marks = _marks(raw, size)
        file, more = _lengthened(raw, size)
        file.seek(0)
        try:
            sound = soundfile.SoundFile(file)
        except soundfile.LibsndfileError as error:
            if error.code == _MALFORMED:  # FFmpeg would read a part of it, and say nothing
                raise Refused(f"is cut short or damaged ({_reason(error)})") from None
            raise ShortReadError(f"libsndfile cannot read it ({_reason(error)})") from None
        with sound:
            kind, stated = f"{sound.format} {sound.subtype}", int(sound.frames)
            claims = [] if more else _claims(sound, raw, size)
            remarks = [f"{more}: {stated / sound.samplerate:.2f} s in all"] if more else claims
            blocks = _blocks(sound, file, raw, size, remarks, marks)
            yield Stream(kind, int(sound.samplerate), int(sound.channels), stated, blocks, remarks)


def _blocks(
    sound: soundfile.SoundFile,
    file: BinaryIO | _Patched,
    raw: BinaryIO,
    size: int,
    remarks: list[str],
    marks: Mp3Marks,
) -> Iterator[NDArray[np.float32]]:
    rate, length = int(sound.samplerate), max(1, BLOCK // int(sound.channels))
    frames, promised = 0, int(sound.frames)
    # An MP3 without a length has one by libsndfile's guess; a joined one is read up to its seam.
    guessed = sound.format == "MP3" and (marks.parts > 1 or not marks.has_length)
    while True:
        try:
            block = sound.read(length, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            kind = ShortReadError if guessed else Refused
            raise kind(f"is cut short or damaged ({_reason(error)})") from None
        if not len(block):
            break
        frames += len(block)
        yield block
    if not guessed:
        refuse_missing(frames, promised, rate)
    end = file.tell()
    if sound.format in _STREAMS:
        short = guessed and (marks.parts > 1 or promised - frames > MISSING_S * rate)
        if short or size - tag_bytes(raw, size) - end > _TAIL:
            raise ShortReadError(
                f"its header states no length, or another: libsndfile reads {frames / rate:.1f} s "
                f"and leaves {size - end} of {size} bytes"
            )
        if sound.format == "OGG" and not _ends(raw, size):
            remarks.append("the last page of its stream is missing: it may be cut short")
        return
    raw.seek(end)
    if raw.read(8).startswith(_FOLLOWERS):
        raise Refused(f"holds another recording behind the first {frames / rate:.1f} s; part them")


def _claims(sound: soundfile.SoundFile, raw: BinaryIO, size: int) -> list[str]:
    """What a header states of its length that is not so: `Refused`, or remarks."""
    if sound.format == "NIST":
        raw.seek(0)
        said = re.search(rb"sample_count -i (\d+)", raw.read(1024))
        if said and (stated := int(said[1])):
            refuse_missing(int(sound.frames), stated, int(sound.samplerate))
            _refuse_more(int(sound.frames), stated, int(sound.samplerate))
    for stated, there in ((int(a), int(b or 0)) for a, b in _CLAIM.findall(sound.extra_info)):
        if stated < 0 or stated >= _ENDLESS:
            return ["its header states no length: read to the end of the file"]
        if stated > there:
            raise Refused(f"is cut short: its header states {stated} bytes, {there} are there")
        if there == size or there == size - 8:
            raise Refused(f"holds {there - stated} bytes behind its audio; part them")
    return []


def _refuse_more(frames: int, stated: int, rate: int) -> None:
    """`Refused` where a file without marks inside goes on behind what its header states."""
    if frames > stated:
        raise Refused(
            f"holds {(frames - stated) / rate:.3f} s behind the {stated / rate:.1f} s that its "
            "header states; part them"
        )


def _refuse_joined(raw: BinaryIO, size: int) -> None:
    """`Refused` for a WAV or AIFF file with another behind it, which no decoder reads."""
    raw.seek(0)
    head = raw.read(8)
    order = _CHUNKED.get(head[:4])
    if order is None or len(head) < 8:
        return
    end = 8 + struct.unpack(order, head[4:8])[0]
    raw.seek(end)
    if end + 12 < size and raw.read(4) == head[:4]:
        raise Refused(f"is several recordings joined, the second from byte {end} on; part them")


def _marks(raw: BinaryIO, size: int) -> Mp3Marks:
    """The marks of an MP3, none of another file. `Refused` where less is there than they state."""
    raw.seek(0)
    if not raw.read(3).startswith((b"ID3", b"\xff")):
        return Mp3Marks(1, has_length=True, missing_s=0.0, audio=())
    marks = mp3_marks(raw, size)
    if marks.missing_s > MISSING_S:
        raise Refused(f"is cut short: {marks.missing_s:.1f} s of what its header states are gone")
    return marks


def _lengthened(raw: BinaryIO, size: int) -> tuple[BinaryIO | _Patched, str]:
    """The file as it is, or with the length that its audio has where a smaller one is stated.

    And what is to be said of that, "" for nothing.
    """
    at = _zero_length(raw, size)
    if at is not None:
        return _Patched(raw, at, b"\xff\xff\xff\xff"), ""
    tail = unstated_audio(raw, size)
    if tail is None:
        return raw, ""
    about = f"its header states {tail.stated} bytes of audio, {tail.there} are there"
    if not tail.patch:
        raise Refused(f"{about}; export it anew")
    about = f"{about}, all read"
    return _Patched(raw, tail.place, tail.patch), about


def _zero_length(raw: BinaryIO, size: int) -> int | None:
    """Where a WAV or AU file states that its audio has no bytes, though bytes follow.

    Of AU also where it states more than can be: libsndfile knows one such number alone.
    """
    raw.seek(0)
    head = raw.read(12)
    if head[:4] == b".snd" and len(head) == 12:
        start, length = struct.unpack(">II", head[4:])
        return 8 if size > start and (length == 0 or length >= _ENDLESS) else None
    order = _CHUNKED.get(head[:4])
    if order is None or head[8:12] != b"WAVE":
        return None
    at = 12
    while at + 8 <= size:
        raw.seek(at)
        name, length = struct.unpack(f"{order[0]}4sI", raw.read(8))
        if name == b"data":
            # Other chunks behind it would be heard as noise: then it is empty indeed.
            empty = at + 8 >= size or raw.read(4) in {b"LIST", b"fact", b"id3 ", b"bext"}
            return None if length or empty else at + 4
        at += 8 + length + length % 2
    return None


def _ends(raw: BinaryIO, size: int) -> bool:
    """Whether the last page of an OGG file says that it is the last, and is whole."""
    raw.seek(max(size - (1 << 17), 0))
    tail = raw.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27 or not tail[at + 5] & _LAST_PAGE:
        return False
    table = tail[at + 27 : at + 27 + tail[at + 26]]
    return len(table) == tail[at + 26] and at + 27 + len(table) + sum(table) <= len(tail)


def _reason(error: soundfile.LibsndfileError) -> str:
    reason: str = error.error_string
    return reason.removeprefix("Error : ").rstrip(".")
