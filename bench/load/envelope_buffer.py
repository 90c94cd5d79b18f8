"""How loud the received audio is, worked out for many chunks at once.

One numpy call costs some twenty microseconds in a busy loop whatever its size, so the levels of
received audio are not worked out chunk by chunk: a row keeps its place in the log, and when a few
dozen wait (or the log is flushed) one call serves them all. Order and content of the log are as if
each had been worked out at once.
"""

from functools import cache

from bench.corpus.energy import WINDOW_MS, envelope
from bench.corpus.sample_codec import decode
from bench.runs.log import Log
from bench.runs.rows import Row
from bench.voice.audio import AudioFormat

BATCH = 32
"""Enough to make the call's own cost small; few enough to take a fraction of a millisecond."""
LARGE = 1 << 18
"""Bytes of audio that wait for no other: some five seconds, of which numpy makes ten times more."""

_ENVELOPE = Row._fields.index("envelope")


class EnvelopeBuffer:
    """The rows of received audio that wait for their envelope, in front of one log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._waiting: list[tuple[int, Row, bytes, AudioFormat]] = []
        log.before_flush = self.flush

    def append(self, row: Row, audio: bytes, output: AudioFormat) -> None:
        """Log a row of received audio; its envelope follows."""
        if not audio:
            self._log.append(row)
            return
        self._waiting.append((self._log.reserve(), row, audio, output))
        if len(self._waiting) >= BATCH or len(audio) > LARGE:
            self.flush()

    def flush(self) -> None:
        """Work out and log everything that waits."""
        waiting, self._waiting = self._waiting, []
        whole: dict[AudioFormat, list[tuple[int, Row, bytes]]] = {}
        for place, row, audio, fmt in waiting:
            if len(audio) % _window_bytes(fmt):
                self._log.fill(place, _with(row, _levels(audio, fmt)))
            else:
                whole.setdefault(fmt, []).append((place, row, audio))
        for fmt, rows in whole.items():
            levels, at = _levels(b"".join(audio for _, _, audio in rows), fmt), 0
            for place, row, audio in rows:
                until = at + len(audio) // _window_bytes(fmt)
                self._log.fill(place, _with(row, levels[at:until]))
                at = until


def _with(row: Row, levels: bytes) -> tuple[object, ...]:
    """The row and its envelope, as the log takes it: `_replace` costs five times as much."""
    return (*row[:_ENVELOPE], levels, *row[_ENVELOPE + 1 :])


@cache
def _window_bytes(fmt: AudioFormat) -> int:
    return fmt.rate * WINDOW_MS // 1000 * fmt.bytes_per_sample


def _levels(audio: bytes, fmt: AudioFormat) -> bytes:
    step = LARGE // _window_bytes(fmt) * _window_bytes(fmt)
    pieces = (audio[at : at + step] for at in range(0, len(audio), step))
    return b"".join(envelope(decode(fmt.whole(piece), fmt.type), fmt.rate) for piece in pieces)
