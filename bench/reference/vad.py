"""Where speech begins and ends: a deterministic detector on the clock of written audio.

Theory of operation
-------------------
Audio is judged in windows of 10 ms, by loudness (RMS with the window's own mean removed). Windows
at or above the level are loud. A run of loud windows, in which gaps up to 80 ms are forgiven (the
closure of a "t" or "k"), becomes speech once it has lasted 60 ms *and* sounds voiced: the last
50 ms repeat themselves at a pitch between 70 and 400 Hz, twice in looks 30 ms apart. A cough, a
door or hiss is loud and has no pitch. Speech is dated back to the first window of its run, so an
unvoiced first sound delays the news and not the date. It ends once no loud window has come for
the silence wait. The level for going on is 4 dB below the level for starting, lest a fading word
flicker.

`threshold` 0…1 (the API's word) is the level on a line of decibels: 0 is -65 dBFS, the default 0.5
is -50 dBFS (the corpus calls that audible), 1 is -35 dBFS.

Loudness is counted in whole numbers that float64 holds exactly, and pitch is looked for at fixed
windows, so the answer is the same however the stream is cut into appends. One numpy pass an
append; digital silence takes a shorter one; only loud sound that is not yet speech costs more.

Who wants to judge pauses is told of each, once it has lasted `pause_ms`, and of its end, and may
say how long this one must last to end the speech (`wait_for`). Decisions are given one by one, so
that what is said on hearing one counts for the next.

What it gets wrong: music and hum are voiced, so they are speech to it; a whisper is not. Noise
louder than the level hides where speech begins and ends: the run starts and ends with the noise.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

WINDOW_MS: Final = 10
WINDOWS_A_SECOND: Final = 1000 // WINDOW_MS

_RUN_WINDOWS: Final = 6  # 60 ms: shorter than the shortest "yes", longer than a click
_GAP_WINDOWS: Final = 8  # 80 ms: plosive closures last 30 to 80 ms
_LOOK_EVERY: Final = 3  # windows: a look costs some 20 µs
_VOICED_LOOKS: Final = 2  # in a row: noise is like itself by chance, but not for long
_STAY_DB: Final = 4.0
_LOOK_WINDOWS: Final = 5  # 50 ms hold three periods of a low voice
_PITCH_RATE: Final = 8_000
_LOWEST_HZ: Final = 70
_HIGHEST_HZ: Final = 400
_VOICED: Final = 0.55  # share of the energy that a pitch period explains; noise stays below 0.4


class Edge(Enum):
    """The kinds of decision."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"


class Heard(NamedTuple):
    """One decision: `window` is where speech began or resumed, or where a wait was over."""

    edge: Edge
    window: int


def level_dbfs(threshold: float) -> float:
    """The loudness that a threshold of 0…1 stands for."""
    return -65.0 + 30.0 * threshold


def _energy(dbfs: float, length: int) -> float:
    """`length²` times the variance of a window at this loudness."""
    return float(10.0 ** (dbfs / 10.0)) * (32768.0 * length) ** 2


class Vad:
    """The detector of one stream of mono int16 samples at one rate; windows count from 0."""

    def __init__(self, rate: int, threshold: float, silence_ms: int, pause_ms: int = 0) -> None:
        self._length = rate // WINDOWS_A_SECOND
        self.tune(threshold, silence_ms, pause_ms)
        self._step = max(1, rate // _PITCH_RATE)
        pitch_rate = rate // self._step
        self._lags = np.arange(pitch_rate // _HIGHEST_HZ, pitch_rate // _LOWEST_HZ + 1)
        self._rest = np.zeros(0, np.int16)
        self._past = np.zeros((_LOOK_WINDOWS - 1) * self._length, np.int16)
        self._window = 0
        self.speaking = False
        self._quiet = 0
        self._run_start = -1
        self._voiced = 0

    def tune(self, threshold: float, silence_ms: int, pause_ms: int = 0) -> None:
        """Change the settings; speech under way stays so. `pause_ms` 0: pauses are not told."""
        self._start_at = _energy(level_dbfs(threshold), self._length)
        self._stay_at = _energy(level_dbfs(threshold) - _STAY_DB, self._length)
        self._longest = self._wait = max(1, -(-silence_ms // WINDOW_MS))
        self._pause = -(-pause_ms // WINDOW_MS)
        self._paused = False

    def wait_for(self, silence_ms: float) -> None:
        """Let the pause that was just told end the speech once it has lasted so long."""
        self._wait = max(1, -int(-silence_ms // WINDOW_MS))

    @property
    def voiced(self) -> bool:
        """Whether speech goes on at the last window, gaps between its sounds forgiven."""
        return self.speaking and self._quiet <= _GAP_WINDOWS

    @property
    def earliest(self) -> int:
        """The earliest window that a decision yet to come can name as a start."""
        return self._run_start if self._run_start >= 0 else self._window

    def feed(self, samples: NDArray[np.int16]) -> Iterator[Heard]:
        """Yield what these samples decide, in order. Read it to its end."""
        if len(self._rest):
            samples = np.concatenate((self._rest, samples))
        count = len(samples) // self._length
        whole = count * self._length
        self._rest = samples[whole:].copy() if whole < len(samples) else samples[:0]
        if not count:
            return
        if not self.speaking and self._run_start < 0 and not samples[:whole].any():
            self._window += count
            self._past = np.zeros_like(self._past)
            return
        stream = np.concatenate((self._past, samples[:whole]))
        self._past = stream[-len(self._past) :]
        energies = self._energies(samples[:whole].reshape(count, self._length))
        yield from self._decide(energies, stream)

    def _energies(self, windows: NDArray[np.int16]) -> NDArray[np.float64]:
        exact = windows.astype(np.float64)
        power = np.einsum("ij,ij->i", exact, exact)
        total = exact.sum(axis=1)
        energies: NDArray[np.float64] = power * self._length - total * total
        return energies

    def _decide(self, energies: NDArray[np.float64], stream: NDArray[np.int16]) -> Iterator[Heard]:
        if not self.speaking and self._run_start < 0 and energies.max() < self._start_at:
            self._window += len(energies)
            return
        for index, energy in enumerate(energies.tolist()):
            if self.speaking:
                yield from self._listen_for_end(energy)
            elif self._listen_for_start(energy):
                look = stream[index * self._length :][: _LOOK_WINDOWS * self._length]
                yield from self._confirm(look)
            self._window += 1

    def _listen_for_start(self, energy: float) -> bool:
        """Follow the run of loud windows; true where it is long enough to ask for a voice."""
        if energy < (self._start_at if self._run_start < 0 else self._stay_at):
            self._quiet += 1
            if self._quiet > _GAP_WINDOWS:
                self._run_start = -1
                self._voiced = 0
            return False
        if self._run_start < 0:
            self._run_start = self._window
        self._quiet = 0
        long_enough = self._window - self._run_start + 1 >= _RUN_WINDOWS
        return long_enough and self._window % _LOOK_EVERY == 0

    def _confirm(self, look: NDArray[np.int16]) -> Iterator[Heard]:
        self._voiced = self._voiced + 1 if self._is_voiced(look) else 0
        if self._voiced >= _VOICED_LOOKS:
            start, self._run_start = self._run_start, -1
            self.speaking = True
            self._quiet = self._voiced = 0
            yield Heard(Edge.STARTED, start)

    def _listen_for_end(self, energy: float) -> Iterator[Heard]:
        if energy >= self._stay_at:
            self._quiet = 0
            if self._paused:
                self._paused, self._wait = False, self._longest
                yield Heard(Edge.RESUMED, self._window)
            return
        self._quiet += 1
        if self._pause and not self._paused and self._quiet >= self._pause:
            self._paused = True
            yield Heard(Edge.PAUSED, self._window + 1)
        if self._quiet >= self._wait:
            # The quiet that ended speech is no gap within the next run.
            self.speaking = self._paused = False
            self._quiet, self._wait = 0, self._longest
            yield Heard(Edge.STOPPED, self._window + 1)

    def _is_voiced(self, look: NDArray[np.int16]) -> bool:
        """Whether these 50 ms repeat themselves at the pitch of a voice."""
        step = self._step
        even = look[: len(look) // step * step].reshape(-1, step).sum(axis=1, dtype=np.int64)
        sound = even - even.mean()
        size = (len(sound) + int(self._lags[-1])) // 64 * 64 + 64  # no lag wraps round
        spectrum = np.fft.rfft(sound, size)
        likeness = np.fft.irfft(spectrum * spectrum.conj(), size)[self._lags]
        power = np.cumsum(sound * sound)
        without_tail = power[len(sound) - 1 - self._lags]
        without_head = power[-1] - power[self._lags - 1]
        scale = np.sqrt(without_tail * without_head)
        return bool((likeness > _VOICED * np.maximum(scale, 1.0)).any())
