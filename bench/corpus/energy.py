"""Loudness over time: one byte per 10 ms of audio.

Theory of operation
-------------------
An envelope is a byte per 10 ms window; a shorter last window counts as one. A byte is the RMS of
its window with the window's own mean (DC) removed, in half-decibel steps below full scale:
``dBFS = code / 2 - 127.5``, so 255 is a full-scale square wave and 0 is digital silence.

The load generator calls `envelope` once per received audio delta, so it is written for one
100 ms chunk: a sum and a sum of squares per window, both exact in float64 because the samples are
whole numbers, then one search in a table of 255 powers instead of logarithms. Exact sums make the
result the same on every machine. A 10 ms window at 24 kHz costs about half a microsecond.

What it refuses to know: where the audio came from, and what counts as speech.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW_MS: Final = 10

# Nominal active speech is -26 dBFS (ITU-T P.56 practice); its softest syllables lie some 20 dB
# below. The idle noise of 8 bit G.711 and a quiet line's comfort noise stay below -55 dBFS.
AUDIBLE_DBFS: Final = -50.0

_FLOOR_DBFS: Final = -127.5
_FULL_SCALE: Final = 32768.0


@cache
def _edges(length: int) -> NDArray[np.float64]:
    """The 255 lowest values of `length² · variance` that earn the codes 1…255."""
    dbfs_edges = (np.arange(1, 256) - 0.5) / 2 + _FLOOR_DBFS
    return 10.0 ** (dbfs_edges / 10) * (_FULL_SCALE * length) ** 2


@cache
def _ones(length: int) -> NDArray[np.float64]:
    return np.ones(length)


def _codes(windows: NDArray[np.float64]) -> bytes:
    """One byte per row of a table of whole-numbered samples."""
    length = windows.shape[1]
    power = np.einsum("ij,ij->i", windows, windows)
    total = windows @ _ones(length)
    power *= length
    total *= total
    power -= total  # length² · variance, exact: every term is a whole number below 2**53
    codes: NDArray[np.uint8] = _edges(length).searchsorted(power, "right").astype(np.uint8)
    return codes.tobytes()


def envelope(samples: NDArray[np.int16], rate: int) -> bytes:
    """One byte per 10 ms of mono int16 `samples` at `rate` Hz; see the module for the code.

    Where 10 ms is not a whole number of samples (22 050 Hz, 11 025 Hz) the window is rounded
    down, so that the answer for a chunk never depends on where the chunk lay.
    """
    length = rate * WINDOW_MS // 1000
    whole = len(samples) // length * length
    codes = _codes(samples[:whole].reshape(-1, length).astype(np.float64)) if whole else b""
    if whole == len(samples):
        return codes
    return codes + _codes(samples[whole:].reshape(1, -1).astype(np.float64))


def dbfs(code: int) -> float:
    """Loudness in dBFS that a byte of an envelope stands for. Digital silence reads -127.5."""
    return code / 2 + _FLOOR_DBFS


def first_audible(env: bytes, threshold_dbfs: float = AUDIBLE_DBFS) -> int | None:
    """Index of the first 10 ms window at or above `threshold_dbfs`, or None if all are below."""
    threshold = 2 * (threshold_dbfs - _FLOOR_DBFS)
    return next((index for index, code in enumerate(env) if code >= threshold), None)
