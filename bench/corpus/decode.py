"""Recordings on disk as utterances in a wire format.

Theory of operation
-------------------
A recording is read once, mixed down to mono, resampled at most once (soxr HQ, which keeps the
time of every sample), rounded to 16 bit and encoded. The truth of the manifest is in time, not in
samples, so it holds at every rate. A recording whose hash is not the manifest's is refused:
truth about another recording is worse than none.

What it refuses to know: where speech is. That is read from the manifest (`annotate` finds it).
"""

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr  # type: ignore[import-untyped]  # it ships no types
from numpy.typing import NDArray

from bench.corpus.manifest import Corpus, Entry
from bench.corpus.sample_codec import Samples, encode
from bench.data_file import MIB, DataError, read_bytes
from bench.errors import CorpusError
from bench.voice.audio import AudioFormat, ms
from bench.voice.utterance import Utterance

MOST_RECORDING: Final = 256 * MIB
"""The largest file of a corpus."""
_MOST_SAMPLES: Final = 600 * 2 * 48_000
"""Of one recording, all channels together: ten minutes of stereo. As numbers they take 230 MB."""


def load_utterances(
    corpus: Corpus, entries: Iterable[Entry], fmt: AudioFormat
) -> tuple[Utterance, ...]:
    """The utterances of `entries` in `fmt`, each file's hash verified before it is decoded."""
    return tuple(utterance(corpus, entry, fmt) for entry in entries)


def utterance(corpus: Corpus, entry: Entry, fmt: AudioFormat) -> Utterance:
    """One recording in `fmt` with the truth of the manifest.

    Raises `CorpusError` for a file that is missing, is not the one that was annotated, is cut
    short or is no audio.
    """
    samples, rate = read_samples(verified(corpus, entry), corpus.folder / entry.file)
    return Utterance(
        id=entry.id,
        audio=encode(resample(samples, rate, fmt.rate), fmt.type),
        format=fmt,
        onset_ns=None if entry.onset_ms is None else ms(entry.onset_ms),
        offset_ns=None if entry.offset_ms is None else ms(entry.offset_ms),
        text=entry.text,
        voice=entry.voice,
        tags=frozenset(entry.tags),
    )


def verified(corpus: Corpus, entry: Entry) -> bytes:
    """The bytes of a recording, if they are those that the manifest speaks of."""
    path = corpus.folder / entry.file
    try:
        raw = read_bytes(path, MOST_RECORDING)
    except DataError as error:
        raise CorpusError(
            f"{path}: utterance {entry.id!r}: {error}; restore the file, "
            f"`bench corpus check {corpus.folder}` says what else is amiss"
        ) from None
    if hashlib.sha256(raw).hexdigest() == entry.sha256:
        return raw
    read_samples(raw, path)  # no audio, or cut short: the more telling error first
    raise CorpusError(
        f"{path}: utterance {entry.id!r}: sha256: not the file that was annotated; restore it, "
        f"`bench corpus check {corpus.folder}` says what else is amiss"
    )


def read_samples(raw: bytes, path: Path) -> tuple[Samples, int]:
    """Mono int16 samples and rate of an audio file's bytes; `path` is for the error alone.

    Reads WAV, FLAC, OGG and MP3. Raises `CorpusError` if the bytes are no audio, end too soon, or
    promise more than `_MOST_SAMPLES`: room for what they promise is made before it is read.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(raw)) as file:
            rate, promised = int(file.samplerate), int(file.frames)
            if (size := promised * file.channels) > _MOST_SAMPLES:
                raise CorpusError(
                    f"{path}: is too long: {size} samples, the most are {_MOST_SAMPLES} (ten "
                    "minutes of stereo at 48 kHz); cut it up with `bench corpus add --split`"
                )
            data = file.read(dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        kind = "is cut short or damaged" if raw.startswith(_MAGIC) else "is not audio"
        reason = error.error_string.removeprefix("Error : ").rstrip(".")
        raise CorpusError(f"{path}: {kind} ({reason}); restore or remove it") from None
    if len(data) < promised:
        raise CorpusError(
            f"{path}: is cut short or damaged: {len(data)} of {promised} samples; "
            "restore or remove it"
        )
    return to_int16(data.mean(axis=1)), rate


# How WAV, FLAC, OGG and MP3 begin.
_MAGIC = (b"RIFF", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3")


def to_int16(samples: NDArray[np.float32]) -> Samples:
    """Samples in -1…1 rounded to 16 bit, clipped where a filter overshot."""
    steps = np.rint(samples * np.float32(32_768))
    rounded: Samples = np.clip(steps, -32_768, 32_767).astype(np.int16)
    return rounded


def resample(samples: Samples, rate: int, to: int) -> Samples:
    """Samples at another rate, by soxr's HQ quality; the time of every sample is kept."""
    if rate == to:
        return samples
    wave = samples.astype(np.float32) / np.float32(32_768)
    resampled: NDArray[np.float32] = soxr.resample(wave, rate, to, quality="HQ")
    return to_int16(resampled)
