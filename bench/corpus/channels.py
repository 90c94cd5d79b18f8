"""Which channel of a recording is taken, or what is made of several.

Theory of operation
-------------------
Unless it is said (`--channel`), channels are mixed only if they hold the same sound (correlation of
`_ALIKE` at least). A silent channel is left out. Of channels in antiphase, whose mean is silence,
the first is taken. Channels that hold different sounds are a speaker each, or a room: which is
wanted nobody can know, so the recording is refused until it is said.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.corpus.recording import Recording
from bench.corpus.stream import Refused
from bench.errors import UsageError, nearest

CHANNELS: Final = ("left", "right", "mix", "split")

_ALIKE: Final = 0.5
_SILENT: Final = 1e-6  # of the power of the loudest: 60 dB below
_ERASED: Final = 0.1  # of the mean power of the channels: a mix that lost 10 dB


class Take(NamedTuple):
    """One mono signal to take of a recording: its name, "" for the only one, and its weights."""

    name: str
    weights: NDArray[np.float32]
    remarks: tuple[str, ...] = ()


def check_channel(asked: str) -> None:
    """UsageError for what `--channel` does not know; "" is for what was not said."""
    if asked and asked not in CHANNELS:
        raise UsageError(f"--channel {asked!r}: {nearest(asked, CHANNELS)}")


def takes(recording: Recording, asked: str) -> tuple[Take, ...]:
    """What to take of a recording; `Refused` where that has to be said first."""
    count = recording.channels
    if count == 1:
        about = (f"mono: taken as it is, not its {asked}",) if asked in {"left", "right"} else ()
        return (Take("", _one(0, 1), about),)
    if asked == "split":
        return tuple(
            Take(_name(at, count), _one(at, count), (f"{_name(at, count)} of {count} channels",))
            for at in range(count)
        )
    if asked in {"left", "right"}:
        at = ("left", "right").index(asked)
        return (Take("", _one(at, count), (f"{_name(at, count)} of {count} channels",)),)
    if asked == "mix":
        return (_mix(recording, np.arange(count)),)
    return (_chosen(recording),)


def _chosen(recording: Recording) -> Take:
    """What is taken where nothing was said."""
    count = recording.channels
    power = np.diag(recording.covariance)
    heard = np.flatnonzero(power > _SILENT * power.max())
    if len(heard) == 0:
        return Take("", _one(0, count), ("all channels are silent: the first is taken",))
    if len(heard) == 1:
        at = int(heard[0])
        about = f"only {_name(at, count)} of {count} channels holds sound: that is taken"
        return Take("", _one(at, count), (about,))
    scale = np.sqrt(power[heard])
    alike = recording.covariance[np.ix_(heard, heard)] / np.outer(scale, scale)
    if alike.min() >= _ALIKE:
        return _mix(recording, heard)
    if np.abs(alike).min() >= _ALIKE:
        at = int(heard[0])
        about = f"channels are in antiphase and would erase each other: {_name(at, count)} is taken"
        return Take("", _one(at, count), (about,))
    raise Refused(
        f"its {count} channels hold different sound (correlation {alike.min():.2f}, {_ALIKE} is "
        "mixed): a speaker each? say --channel left, right, split or mix"
    )


def _mix(recording: Recording, heard: NDArray[np.intp]) -> Take:
    count = recording.channels
    weights = np.zeros(count, np.float32)
    weights[heard] = 1 / len(heard)
    about = [f"{len(heard)} channels are mixed"]
    if len(heard) < count:
        about[0] += f", {count - len(heard)} silent left out"
    kept = float(weights @ recording.covariance @ weights)
    whole = float(np.diag(recording.covariance)[heard].mean())
    if kept < _ERASED * whole:
        lost = -10 * np.log10(max(kept, 1e-12 * whole) / whole) if whole else 0.0
        about.append(f"mixing erased {lost:.0f} dB: the channels are in antiphase")
    return Take("", weights, tuple(about))


def _one(at: int, count: int) -> NDArray[np.float32]:
    weights = np.zeros(count, np.float32)
    weights[at] = 1
    return weights


def _name(at: int, count: int) -> str:
    return ("left", "right")[at] if count == 2 or at < 2 else f"channel-{at + 1}"
