"""A recording as one mono signal of 16 bit on disk, of which parts are read back.

An hour at 48 kHz has 345 MB of samples, so they are kept in a file, and in memory only while they
are few. Above 48 kHz it is resampled on the way (soxr HQ, which keeps the time of every sample).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Final, NamedTuple

import numpy as np
import soxr  # type: ignore[import-untyped]  # it ships no types
from numpy.typing import NDArray

from bench.corpus.channels import Take
from bench.corpus.decode import to_int16
from bench.corpus.recording import Recording
from bench.corpus.sample_codec import Samples
from bench.corpus.stream import BLOCK

HIGHEST_RATE: Final = 48_000
_IN_MEMORY: Final = 1 << 23


class Tape(NamedTuple):
    """Mono int16 samples at `rate` Hz, `frames` of them."""

    file: "SpooledTemporaryFile[bytes]"
    rate: int
    frames: int

    def samples(self, first: int, last: int) -> Samples:
        """The samples from frame `first` up to `last`."""
        self.file.seek(2 * first)
        return np.frombuffer(self.file.read(2 * (last - first)), np.int16)

    def blocks(self) -> Iterator[Samples]:
        """All samples in order, a block at a time."""
        for first in range(0, self.frames, BLOCK):
            yield self.samples(first, min(first + BLOCK, self.frames))


@contextmanager
def taped(recording: Recording, take: Take, folder: Path) -> Iterator[Tape]:
    """One signal of a recording on a tape in `folder`, which is gone afterwards."""
    weights = take.weights * np.float32(recording.gain)
    rate = min(recording.rate, HIGHEST_RATE)
    with SpooledTemporaryFile(max_size=_IN_MEMORY, dir=str(folder)) as file:
        frames = 0
        # Not `@`: for float32 OpenBLAS now and then tells of an invalid value where there is none.
        waves = (np.einsum("ij,j->i", block, weights) for block in recording.blocks())
        for wave in resampled(waves, recording.rate, rate):
            file.write(to_int16(wave).tobytes())
            frames += len(wave)
        yield Tape(file, rate, frames)


def resampled(
    waves: Iterator[NDArray[np.float32]], rate: int, to: int
) -> Iterator[NDArray[np.float32]]:
    """Blocks of one mono signal at another rate, the same as if it had been one block."""
    if rate == to:
        yield from waves
        return
    stream = soxr.ResampleStream(rate, to, 1, dtype="float32", quality="HQ")
    for wave in waves:
        yield stream.resample_chunk(wave)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
