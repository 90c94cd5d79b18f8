"""The input side of a session: the clock of written audio, the buffer, and the detector on both.

Theory of operation
-------------------
Time here is written audio: bytes ÷ byte rate, from the start of the session. Nothing rewinds it;
commit, clear and a change of format only drop what is held. A change of format drops it because
two formats cannot share one buffer.

Without a detector everything is held until commit or clear. With one, silence older than the
prefix padding is forgotten, and what it decides to be a turn is cut out at once: from the onset
less the padding to the end of the silence wait, both of which the API reports.

With semantic_vad it is judged, once a pause, how long this one must last, at some 0.2 ms a time. A
real server asks a model. This one knows its corpus by ear, so its judgement is true by decree: an
utterance that was said whole is complete, one that was not is an inner pause, and strangers' words
are unknown. What it gets wrong it gets wrong on purpose: a seeded share of inner pauses is judged
complete, by eagerness, which is what trades endpointing delay against split turns.

Memory: at most 16 MiB are held (5.8 min of PCM16 at 24 kHz); beyond it the oldest goes.
"""

from typing import Final, NamedTuple

from bench.corpus.sample_codec import decode
from bench.reference.draws import SessionDraws
from bench.reference.profile import SemanticProfile
from bench.reference.settings import Detection
from bench.reference.vad import WINDOW_MS, Edge, Vad
from bench.reference.voices import Voices
from bench.voice.audio import NS_PER_MS, AudioFormat, ms

MOST_HELD: Final = 16 * 2**20


class SpeechEvent(NamedTuple):
    """What the detector decided: speech started, paused, resumed or stopped, in `format`.

    `at_ns` is the onset of what started or resumed, and where the wait was over of what paused or
    stopped. The utterance began at `start_ns`, its onset less the prefix padding; one that has
    stopped has its `audio`, from there to `at_ns`.
    """

    edge: Edge
    start_ns: int
    at_ns: int
    format: AudioFormat
    audio: bytes = b""


class SemanticVad:
    """Judges the pauses of one session; `eagerness` is `low`, `medium` or `high`."""

    def __init__(self, profile: SemanticProfile, voices: Voices, draws: SessionDraws) -> None:
        self._profile = profile
        self._voices = voices
        self._draws = draws
        self._pauses = 0

    @property
    def after_ms(self) -> int:
        """How long a pause has lasted when it is judged."""
        return self._profile.judge_ms

    def longest_ms(self, eagerness: str) -> int:
        """The wait that ends speech as long as no pause has been judged."""
        profile = self._profile
        waits = (profile.complete_ms, profile.incomplete_ms, profile.unknown_ms)
        longest: float = max(getattr(wait, eagerness) for wait in waits)
        return max(profile.judge_ms, round(longest))

    def wait_ms(self, eagerness: str, audio: bytes, fmt: AudioFormat) -> float:
        """Judge a pause by the `audio` before it: how long it must last to end the turn."""
        pause, self._pauses = self._pauses, self._pauses + 1
        said_all = self._voices.recogniser(fmt).said_whole(decode(fmt.whole(audio), fmt.type))
        profile = self._profile
        if said_all is None:
            wait = profile.unknown_ms
        elif said_all or self._draws.happens("mistake", getattr(profile.mistake, eagerness), pause):
            wait = profile.complete_ms
        else:
            wait = profile.incomplete_ms
        return float(getattr(wait, eagerness))


class InputBuffer:
    """The input of one session. `semantic` judges pauses where the detector is semantic_vad.

    With `pause_ms` pauses that have lasted so long, and their ends, are among the events, whatever
    the detector; 0: never.
    """

    def __init__(
        self,
        fmt: AudioFormat,
        detection: Detection | None,
        semantic: SemanticVad | None = None,
        *,
        pause_ms: int = 0,
    ) -> None:
        self.format = fmt
        self._semantic = semantic
        self._pause_ms = pause_ms
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
        """Audio written since the session began."""
        return self._base_ns + self.format.duration_ns(self._written)

    @property
    def held_ns(self) -> int:
        """Length of the audio that a commit would take."""
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
        """Apply settings, which may be the same as before."""
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

    def append(self, audio: bytes) -> list[SpeechEvent]:
        """Write audio; returns what the detector decides on hearing it."""
        self._held += audio
        self._written += len(audio)
        whole = self._torn + audio if self._torn else audio
        odd = len(whole) % self.format.bytes_per_sample
        self._torn = whole[len(whole) - odd :] if odd else b""
        events: list[SpeechEvent] = []
        if self._vad is not None and self._detection is not None:
            prefix_ns = ms(self._detection.prefix_ms)
            for heard in self._vad.feed(decode(whole, self.format.type)):
                events += self._decided(heard.edge, self._instant(heard.window), prefix_ns)
            if not self._vad.speaking:
                self._forget(self._byte(self._instant(self._vad.earliest) - prefix_ns))
        self._forget(self._written - MOST_HELD)
        return events

    def _decided(self, edge: Edge, at_ns: int, prefix_ns: int) -> list[SpeechEvent]:
        """Turn one decision of the detector into an event; none for a pause that is not told."""
        audio = b""
        if edge is Edge.STARTED:
            self._start_ns = max(0, at_ns - prefix_ns)
        elif edge is Edge.STOPPED:
            audio = self._between(self._start_ns, at_ns)
            self._forget(self._byte(at_ns))
        elif edge is Edge.PAUSED:
            self._judge(at_ns)
        if edge in {Edge.PAUSED, Edge.RESUMED} and not self._pause_ms:
            return []
        return [SpeechEvent(edge, self._start_ns, at_ns, self.format, audio)]

    def _judge(self, at_ns: int) -> None:
        """With semantic_vad, set how long the pause at `at_ns` must last to end the speech."""
        eagerness = None if self._detection is None else self._detection.eagerness
        if self._vad is not None and self._semantic is not None and eagerness is not None:
            said = self._between(self._start_ns, at_ns)
            self._vad.wait_for(self._semantic.wait_ms(eagerness, said, self.format))

    def take(self) -> bytes:
        """Take all audio that is held, for a commit; the detector starts afresh."""
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
        """The silence that ends speech and the one that is a pause, in ms; 0 is never."""
        if self._semantic is None or detection.eagerness is None:
            return detection.silence_ms, self._pause_ms
        return self._semantic.longest_ms(detection.eagerness), self._semantic.after_ms

    def _instant(self, window: int) -> int:
        """The clock time at which a window of the detector begins."""
        return self._vad_base_ns + window * WINDOW_MS * NS_PER_MS

    def _byte(self, at_ns: int) -> int:
        """The byte written at this clock time, counted since the present format began."""
        return self.format.nbytes(max(0, at_ns - self._base_ns))

    def _between(self, start_ns: int, end_ns: int) -> bytes:
        """The audio that is held between two clock times."""
        first = self._written - len(self._held)
        return bytes(self._held[max(0, self._byte(start_ns) - first) : self._byte(end_ns) - first])

    def _forget(self, until: int) -> None:
        """Drop what was written before byte `until`."""
        drop = until - (self._written - len(self._held))
        if drop > 0:
            del self._held[:drop]
