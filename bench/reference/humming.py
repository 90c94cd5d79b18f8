"""A hum: what the server says where it has nothing to say yet, or only listens.

A vowel of 140 Hz with a soft beginning and end, at -20 dBFS: audible, voiced, and in no corpus, so
that no recogniser takes it for words.
"""

from functools import lru_cache
from typing import Final

import numpy as np

from bench.corpus.codec import encode
from bench.voice.audio import AudioFormat

_PITCH_HZ: Final = 140
_LEVEL: Final = 6000
_SOFT_S: Final = 0.04


@lru_cache(maxsize=64)
def hum(fmt: AudioFormat, length_ms: int, gain: float = 1.0) -> bytes:
    """So many ms of it in one format; `gain` is linear."""
    count = fmt.rate * length_ms // 1000
    at = np.arange(count) / fmt.rate
    wave = sum(np.sin(2 * np.pi * _PITCH_HZ * n * at) / n**2 for n in range(1, 8))
    soft = np.minimum(1.0, np.minimum(at, at[::-1]) / _SOFT_S)
    return encode(np.rint(wave * soft * _LEVEL * gain).astype(np.int16), fmt.type)
