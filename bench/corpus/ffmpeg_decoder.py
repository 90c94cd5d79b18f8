"""Audio files by FFmpeg, for what libsndfile cannot read: M4A, WebM, AMR, WMA, odd MP3.

It comes with PyAV, the extra `formats`: FFmpeg's libraries inside a wheel, maintained by those who
use them, so that nothing has to be installed beside Python. It is an extra because the wheel is
larger than all else that the program needs.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.corpus.mp3_marks import AudioOnly, mp3_marks
from bench.corpus.stream import BLOCK, Refused, Stream, refuse_missing

if TYPE_CHECKING:
    from fractions import Fraction

_GAP_S: Final = 0.05  # longer than what encoders round a packet's time to
_EXTRA: Final = "pip install 'realtime-voice-bench[formats]'"
_UNSURE: Final = frozenset({"mp3", "aac"})  # the length is FFmpeg's own estimate


@contextmanager
def ffmpeg_stream(path: Path) -> Iterator[Stream]:
    """`path` opened by FFmpeg. `Refused` where it is not installed or cannot read the file."""
    try:
        import av  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise Refused(f"is read by FFmpeg alone, which is not installed: {_EXTRA}") from None
    try:
        with _shown(path) as file, av.open(file) as container:
            tracks = container.streams.audio
            if not tracks:
                raise Refused("holds no audio")
            track = tracks[0]
            codec = track.codec_context
            if codec is None:
                raise Refused("is of a codec that FFmpeg does not decode")
            stated = _stated(container, track)
            remarks = [f"first of {len(tracks)} audio tracks"] if len(tracks) > 1 else []
            kind = f"{container.format.name.split(',')[0]} {codec.name}"
            rate, channels = int(codec.sample_rate or 0), int(codec.channels)
            blocks = _blocks(container, track, stated, remarks)
            yield Stream(kind, rate, channels, stated, blocks, remarks)
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Refused(f"is cut short or damaged ({reason})") from None


@contextmanager
def _shown(path: Path) -> Iterator[str | AudioOnly]:
    """What FFmpeg is given of a file: of joined MP3s no tag in the middle, at which it gives up."""
    with path.open("rb") as raw:
        if raw.read(3).startswith((b"ID3", b"\xff")):
            marks = mp3_marks(raw, raw.seek(0, io.SEEK_END))
            if len(marks.audio) > 1:
                yield AudioOnly(raw, marks.audio)
                return
    yield str(path)


def _stated(container: Any, track: Any) -> int | None:
    """Frames by the header, None where FFmpeg only estimates."""
    if container.format.name in _UNSURE or not track.codec_context.sample_rate:
        return None
    length: Fraction | float | None = None
    if track.duration and track.time_base:
        length = track.duration * track.time_base
    elif container.duration:
        length = container.duration / 1_000_000
    return None if length is None else round(length * track.codec_context.sample_rate)


def _blocks(
    container: Any, track: Any, stated: int | None, remarks: list[str]
) -> Iterator[NDArray[np.float32]]:
    from av import AudioResampler  # noqa: PLC0415 - as above

    codec = track.codec_context
    rate, frames = codec.sample_rate, 0
    length = max(1, BLOCK // codec.channels)
    plain = AudioResampler(format="fltp", layout=codec.layout, rate=rate)
    gaps: list[float] = []
    expected: float | None = None
    for frame in container.decode(track):
        at = None if frame.pts is None else float(frame.pts * frame.time_base)
        if at is not None and expected is not None and at - expected > _GAP_S:
            gaps.append(at - expected)
        expected = None if at is None else at + frame.samples / frame.sample_rate
        for one in plain.resample(frame):
            wave: NDArray[np.float32] = one.to_ndarray().T
            frames += len(wave)
            for start in range(0, len(wave), length):
                yield wave[start : start + length]
    if gaps:
        remarks.append(f"{len(gaps)} gaps in its time stamps, {sum(gaps):.1f} s in all, are closed")
    if stated is not None:
        refuse_missing(frames + round(sum(gaps) * rate), stated, rate)
