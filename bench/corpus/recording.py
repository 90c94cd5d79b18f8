"""An audio file as somebody kept it: what it is by its content, and its samples block by block.

Theory of operation
-------------------
A file is what its first bytes say, whatever its name ends in. It is decoded twice, a block at a
time: once to know it (`survey`: true length, peak, how its channels are related), once to be used
(`blocks`). So memory follows neither the length of a file nor the length that it claims, and what
a header says is compared with what there is. Two decoders stand behind that: libsndfile, and
FFmpeg by the extra `formats` for what libsndfile cannot read, or cannot read to its end.

Whatever was assumed or repaired is a remark of the recording; what cannot be trusted is `Refused`.

What it refuses to know: which channel is wanted, and where speech is.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from math import log10
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.corpus.ffmpeg_decoder import ffmpeg_stream
from bench.corpus.sndfile_decoder import sndfile_stream
from bench.corpus.stream import Refused, ShortReadError, Stream

_RATES: Final = (4_000, 768_000)
_MOST_CHANNELS: Final = 8
_FULL_SCALE: Final = 32_766 / 32_768
_CLIPPED: Final = 3  # samples at full scale: one or two may be an honest peak
_LEAST_OF_SNIFF: Final = 4

_Open = Callable[[Path], AbstractContextManager[Stream]]

_HEADS: Final = (
    (b"riff", "W64"), (b"fLaC", "FLAC"), (b"OggS", "OGG"), (b"ID3", "MP3"), (b".snd", "AU"),
    (b"NIST_1A", "SPH"), (b"caff", "CAF"), (b"\x1a\x45\xdf\xa3", "WebM"), (b"#!AMR", "AMR"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
)  # fmt: skip
_FORMS: Final = {
    (b"RIFF", b"WAVE"): "WAV", (b"RIFX", b"WAVE"): "WAV", (b"RF64", b"WAVE"): "WAV",
    (b"FORM", b"AIFF"): "AIFF", (b"FORM", b"AIFC"): "AIFF",
}  # fmt: skip
_OF_FFMPEG: Final = frozenset({"WebM", "M4A", "AAC", "AMR", "WMA"})


class Recording(NamedTuple):
    """A file that was decoded to its end once.

    `frames` were decoded, of `channels` samples each; `peak` is the largest magnitude, 1 is full
    scale; `covariance` is that of the channels. `remarks` say what was assumed or repaired.
    """

    path: Path
    kind: str
    rate: int
    channels: int
    frames: int
    peak: float
    covariance: NDArray[np.float64]
    remarks: tuple[str, ...]
    open: _Open

    @property
    def gain(self) -> float:
        """What brings the peak back to full scale; 1 where it is not beyond."""
        return 1 / self.peak if self.peak > 1 else 1.0

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The samples again, as arrays of (frames, channels)."""
        with _costing_one_file(), self.open(self.path) as stream:
            yield from stream.blocks


def audio_kind(head: bytes) -> str | None:
    """What a file is that begins with `head`; None where that is no audio known here."""
    for magic, kind in _HEADS:
        if head.startswith(magic):
            return kind
    if form := _FORMS.get((head[:4], head[8:12])):
        return form
    if head[4:8] == b"ftyp":
        return "M4A"
    if len(head) < _LEAST_OF_SNIFF or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "AAC"
    layer, bitrate, rate = head[1] & 0x06, head[2] >> 4, head[2] & 0x0C
    return "MP3" if layer in {2, 4} and bitrate not in {0, 15} and rate != 0x0C else None


def survey(path: Path, longest_s: float) -> Recording:
    """Decode a file to its end, keeping nothing of it but what it is.

    `Refused` where it cannot be read whole, or is longer than `longest_s`.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise Refused(f"cannot be read ({error.strerror})") from None
    if not head:
        raise Refused("is empty")
    kind = audio_kind(head)
    if kind is None:
        raise Refused("is not audio: its first bytes are of no known format")
    if kind in _OF_FFMPEG:
        return _survey(path, ffmpeg_stream, longest_s)
    try:
        return _survey(path, sndfile_stream, longest_s)
    except ShortReadError as short:
        why = str(short)
    try:
        found = _survey(path, ffmpeg_stream, longest_s)
    except Refused as error:
        raise Refused(f"{why}; {error}") from None
    return found._replace(remarks=(f"{why}: read by FFmpeg", *found.remarks))


@contextmanager
def _costing_one_file() -> Iterator[None]:
    """Make `Refused` of whatever a file that is damaged, or gone, does to its decoder."""
    try:
        yield
    except Refused:
        raise
    except OSError as error:
        raise Refused(f"cannot be read ({error.strerror})") from None
    except Exception as error:  # noqa: BLE001 - what damage does to a decoder costs one file only
        raise Refused(f"is damaged ({type(error).__name__}: {error})") from None


def _survey(path: Path, opened: _Open, longest_s: float) -> Recording:
    with _costing_one_file():
        return _known(path, opened, longest_s)


def _known(path: Path, opened: _Open, longest_s: float) -> Recording:
    with opened(path) as stream:
        rate, channels = stream.rate, stream.channels
        if not _RATES[0] <= rate <= _RATES[1]:
            raise Refused(f"has {rate} Hz; from {_RATES[0]} to {_RATES[1]} Hz are read")
        if not 1 <= channels <= _MOST_CHANNELS:
            raise Refused(f"has {channels} channels; 1 to {_MOST_CHANNELS} are read")
        frames, peak, clipped = 0, 0.0, 0
        total, products = np.zeros(channels), np.zeros((channels, channels))
        for block in stream.blocks:
            bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
            if len(bad):
                at = (frames + int(bad[0])) / rate
                raise Refused(
                    f"holds samples that are no finite numbers, first at {at:.3f} s; export it anew"
                )
            frames += len(block)
            if frames > longest_s * rate:
                _refuse_length(stream, longest_s)
            magnitude = np.abs(block)
            peak = max(peak, float(magnitude.max(initial=0.0)))
            clipped += int(np.count_nonzero(magnitude >= _FULL_SCALE))
            total += block.sum(axis=0, dtype=np.float64)
            products += np.einsum("ij,ik->jk", block, block)
        remarks = list(stream.remarks)
    if not frames:
        raise Refused("is empty")
    if peak > 1:
        remarks.append(
            f"samples reach {peak:.3g} times full scale: scaled down by {20 * log10(peak):.1f} dB"
        )
    elif clipped >= _CLIPPED:
        remarks.append(f"{clipped} samples are at full scale: it was clipped before")
    mean = total / frames
    covariance = products / frames - np.outer(mean, mean)
    return Recording(
        path, stream.kind, rate, channels, frames, peak, covariance, tuple(remarks), opened
    )


def _refuse_length(stream: Stream, longest_s: float) -> None:
    stated = (stream.stated or 0) / stream.rate
    long = f"{stated:.1f} s" if stated > longest_s else f"more than {longest_s:g} s"
    remedy = "cut it up" if longest_s > 60 else "cut it up, or let --split do it"
    raise Refused(f"is too long: {long}, the most is {longest_s:g} s; {remedy}")
