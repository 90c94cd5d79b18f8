"""The input side of a session: the clock of written audio, the buffer, and the detector on both.

Theory of operation
-------------------
Time here is written audio: bytes ÷ byte rate, from the start of the session. Nothing rewinds it;
commit, clear and a change of format only drop what is held. A change of format drops it because
two formats cannot share one buffer.

Without a detector everything is held until commit or clear. With one, silence older than the
prefix padding is forgotten, and what it decides to be a turn is cut out at once: from the onset
less the padding to the end of the silence wait, both of which the API reports. With semantic_vad
a judge is asked, once a pause, how long this one must last.

Memory: at most 16 MiB are held (5.8 min of PCM16 at 24 kHz); beyond it the oldest goes.
"""

from typing import Final, NamedTuple

from bench.corpus.codec import decode
from bench.reference.judging import Judge
from bench.reference.settings import Detection
from bench.reference.vad import WINDOW_MS, Edge, Vad
from bench.voice.audio import NS_PER_MS, AudioFormat, ms

MOST_HELD: Final = 16 * 2**20


class SpeechStarted(NamedTuple):
    """A voice began at `onset_ns`; `start_ns` is that less the prefix padding."""

    start_ns: int
    onset_ns: int


class SpeechStopped(NamedTuple):
    """A voice fell silent: the turn's audio, and where it ends, silence wait included."""

    end_ns: int
    audio: bytes


class SpeechPaused(NamedTuple):
    """A quiet in speech has lasted a moment: where, and how long it and the turn have lasted."""

    at_ns: int
    quiet_ns: int
    turn_ns: int


class SpeechResumed(NamedTuple):
    """The voice goes on after a pause."""

    at_ns: int


Decision = SpeechStarted | SpeechPaused | SpeechResumed | SpeechStopped


class Hearing:
    """The input of one session. `judge` is asked about pauses where the detector is semantic.

    `tells_pauses`: pauses and their ends are among the decisions, whatever the detector.
    """

    def __init__(
        self,
        fmt: AudioFormat,
        detection: Detection | None,
        judge: Judge | None = None,
        *,
        tells_pauses: bool = False,
    ) -> None:
        self.format = fmt
        self._judge = judge
        self._tells_pauses = tells_pauses
        self._base_ns = 0  # the clock when the present format began
        self._written = 0  # bytes since then
        self._held = bytearray()
        self._torn = b""  # half a sample, until its other half comes
        self._detection: Detection | None = None
        self._vad: Vad | None = None
        self._vad_base_ns = 0
        self._start_ns = 0
        self.configure(fmt, detection)

    @property
    def clock_ns(self) -> int:
        """Written audio so far."""
        return self._base_ns + self.format.duration_ns(self._written)

    @property
    def held_ns(self) -> int:
        """Audio that a commit would take."""
        return self.format.duration_ns(len(self._held))

    @property
    def speaking(self) -> bool:
        """Whether speech has begun and is not over, pauses included."""
        return self._vad is not None and self._vad.speaking

    @property
    def voiced(self) -> bool:
        """Whether the caller is talking at this very moment."""
        return self._vad is not None and self._vad.voiced

    def configure(self, fmt: AudioFormat, detection: Detection | None) -> None:
        """Go on under new settings, which may be the old ones."""
        changed = fmt != self.format
        if changed:
            self._base_ns, self._written, self._torn = self.clock_ns, 0, b""
            self._held.clear()
            self.format = fmt
        if detection is None:
            self._vad = None
        elif self._vad is None or changed:
            self._listen(detection)
        elif detection != self._detection:
            self._vad.tune(detection.threshold, *self._waits(detection))
        self._detection = detection

    def append(self, audio: bytes) -> list[Decision]:
        """What the detector decides on hearing this too."""
        self._held += audio
        self._written += len(audio)
        whole = self._torn + audio if self._torn else audio
        odd = len(whole) % self.format.bytes_per_sample
        self._torn = whole[len(whole) - odd :] if odd else b""
        if self._vad is None or self._detection is None:
            self._forget(self._written - MOST_HELD)
            return []
        decided: list[Decision] = []
        for heard in self._vad.feed(decode(whole, self.format.type)):
            at_ns = self._vad_base_ns + heard.window * WINDOW_MS * NS_PER_MS
            if heard.edge is Edge.STARTED:
                self._start_ns = max(0, at_ns - ms(self._detection.prefix_ms))
                decided.append(SpeechStarted(self._start_ns, at_ns))
            elif heard.edge is Edge.STOPPED:
                decided.append(SpeechStopped(at_ns, self._cut(self._start_ns, at_ns)))
            elif heard.edge is Edge.PAUSED:
                decided += self._paused(at_ns, self._vad, self._detection)
            elif self._tells_pauses:
                decided.append(SpeechResumed(at_ns))
        if not self._vad.speaking:
            earliest = self._vad_base_ns + self._vad.earliest * WINDOW_MS * NS_PER_MS
            self._forget(self._byte(earliest - ms(self._detection.prefix_ms)))
        self._forget(self._written - MOST_HELD)
        return decided

    def take(self) -> bytes:
        """All that is held, for a commit; the detector starts afresh."""
        first = self._written - len(self._held)
        audio = bytes(self._held[first % self.format.bytes_per_sample :])
        self.clear()
        return audio

    def clear(self) -> None:
        """Drop what is held. The clock goes on; the detector starts afresh."""
        self._held.clear()
        if self._detection is not None:
            self._listen(self._detection)

    def _listen(self, detection: Detection) -> None:
        self._vad = Vad(self.format.rate, detection.threshold, *self._waits(detection))
        self._vad_base_ns = self.clock_ns

    def _waits(self, detection: Detection) -> tuple[int, int]:
        """How long a quiet ends speech, in ms, and how long a pause is told; 0 for never."""
        judge, eagerness = self._judge, detection.eagerness
        if judge is None:
            return detection.silence_ms, 0
        if eagerness is None:
            return detection.silence_ms, judge.after_ms if self._tells_pauses else 0
        return judge.longest_ms(eagerness), judge.after_ms

    def _paused(self, at_ns: int, vad: Vad, detection: Detection) -> list[Decision]:
        if self._judge is not None and detection.eagerness is not None:
            said = self._between(self._start_ns, at_ns)
            vad.wait_for(self._judge.wait_ms(detection.eagerness, said, self.format))
        if self._judge is None or not self._tells_pauses:
            return []
        return [SpeechPaused(at_ns, ms(self._judge.after_ms), at_ns - self._start_ns)]

    def _byte(self, at_ns: int) -> int:
        """The byte, counted since the format began, that was written at this clock time."""
        return self.format.nbytes(max(0, at_ns - self._base_ns))

    def _between(self, start_ns: int, end_ns: int) -> bytes:
        """What is held of this stretch of the clock."""
        first = self._written - len(self._held)
        return bytes(self._held[max(0, self._byte(start_ns) - first) : self._byte(end_ns) - first])

    def _cut(self, start_ns: int, end_ns: int) -> bytes:
        audio = self._between(start_ns, end_ns)
        self._forget(self._byte(end_ns))
        return audio

    def _forget(self, until: int) -> None:
        """Drop what was written before byte `until`."""
        drop = until - (self._written - len(self._held))
        if drop > 0:
            del self._held[:drop]
