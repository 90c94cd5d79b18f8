"""What a decoder gives: an open audio file as blocks of samples, or the reason why not."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK: Final = 1 << 16
"""Samples of all channels in one block: what is in memory of a file at any time."""

MISSING_S: Final = 0.1
"""What may be missing at the end: less than the blocks and the padding of lossy formats."""


class Refused(Exception):  # noqa: N818  not an error: an answer about one recording
    """Why one recording cannot serve."""


class ShortReadError(Refused):
    """libsndfile cannot open a file, or not read it to its end; another decoder may."""


class Stream(NamedTuple):
    """An open file. `stated` is how many frames its header promises, None where it does not say.

    `blocks` are float32 arrays of (frames, channels), read once; `Refused` at the end where frames
    are missing. `remarks` grow while it is read.
    """

    kind: str
    rate: int
    channels: int
    stated: int | None
    blocks: Iterator[NDArray[np.float32]]
    remarks: list[str]


def refuse_missing(frames: int, stated: float, rate: int) -> None:
    """`Refused` where a file ends before what its header promises, frames at `rate` Hz."""
    if stated - frames > MISSING_S * rate:
        raise Refused(
            f"is cut short or damaged: {frames / rate:.1f} s of {stated / rate:.1f} s are there"
        )
