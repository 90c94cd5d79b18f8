"""Samples to wire bytes and back: PCM16 and the two laws of G.711.

Theory of operation
-------------------
G.711 keeps a sign, a three-bit segment and a four-bit step, so that the error grows with the
loudness. Both directions are one table look-up per sample: 256 int16 values to decode, 65 536
bytes to encode, each built once from the formula of ITU-T G.711 (mu-law after adding the bias of
132, clipped at 32 635; A-law on magnitudes without bias, every second bit inverted).

Decoding and encoding again gives the same byte, but for mu-law's negative zero, which comes back
as positive zero: both sound the same.

What it refuses to know: rates. A codec maps one sample to one code, whatever the rate.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

_ULAW_BIAS: Final = 132
_ULAW_CLIP: Final = 32_635


def _every_sample() -> NDArray[np.int32]:
    """All int16 values, in the order of their bits read as uint16."""
    return np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _segment(magnitude: NDArray[np.int32]) -> NDArray[np.int32]:
    """Segment 0…7 of a magnitude: the place of its highest bit above bit 7."""
    highest: NDArray[np.int32] = np.frexp(magnitude.astype(np.float64))[1]
    return np.maximum(highest - 8, 0)


def _ulaw_encoder() -> NDArray[np.uint8]:
    sample = _every_sample()
    magnitude = np.minimum(np.abs(sample), _ULAW_CLIP) + _ULAW_BIAS
    segment = _segment(magnitude)
    step = (magnitude >> (segment + 3)) & 0x0F
    code = np.where(sample < 0, 0x80, 0) | (segment << 4) | step
    inverted: NDArray[np.uint8] = (~code & 0xFF).astype(np.uint8)
    return inverted


def _ulaw_decoder() -> Samples:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    segment, step = (code >> 4) & 7, code & 0x0F
    magnitude = (((step << 3) + _ULAW_BIAS) << segment) - _ULAW_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_encoder() -> NDArray[np.uint8]:
    sample = _every_sample()
    # A negative sample is coded by its ones' complement, so that -1 and 0 are neighbours.
    magnitude = np.where(sample < 0, ~sample, sample)
    segment = _segment(magnitude)
    step = (magnitude >> (np.maximum(segment, 1) + 3)) & 0x0F
    code = np.where(sample < 0, 0, 0x80) | (segment << 4) | step
    toggled: NDArray[np.uint8] = (code ^ 0x55).astype(np.uint8)
    return toggled


def _alaw_decoder() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment, step = (code >> 4) & 7, code & 0x0F
    middle = (step << 4) + 8
    magnitude = np.where(segment == 0, middle, (middle + 256) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


_ENCODERS: Final[dict[str, Callable[[], NDArray[np.uint8]]]] = {
    "audio/pcmu": _ulaw_encoder,
    "audio/pcma": _alaw_encoder,
}
_DECODERS: Final[dict[str, Callable[[], Samples]]] = {
    "audio/pcmu": _ulaw_decoder,
    "audio/pcma": _alaw_decoder,
}


@cache
def _encoding_table(codec: str) -> NDArray[np.uint8]:
    return _ENCODERS[codec]()


@cache
def _decoding_table(codec: str) -> Samples:
    return _DECODERS[codec]()


def encode(samples: Samples, codec: str) -> bytes:
    """Mono int16 samples as bytes of `codec`, by the API's name (`audio/pcm`, `pcmu`, `pcma`)."""
    if codec == "audio/pcm":
        return samples.astype("<i2", copy=False).tobytes()
    return _encoding_table(codec)[samples.view(np.uint16)].tobytes()


def decode(audio: bytes, codec: str) -> Samples:
    """Bytes of `codec` as mono int16 samples. PCM16 is viewed, not copied, where bytes allow."""
    if codec == "audio/pcm":
        return np.frombuffer(audio, "<i2", count=len(audio) // 2)
    return _decoding_table(codec)[np.frombuffer(audio, np.uint8)]
