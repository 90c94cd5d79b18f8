"""semantic_vad: whether the caller has said all there was to say, and how long to wait for more.

Theory of operation
-------------------
A real server asks a model. This one knows its corpus by ear, so its judgement is true by decree:
an utterance that was said whole is complete, one that was not is an inner pause, and strangers'
words are unknown. What it gets wrong it gets wrong on purpose: a seeded share of inner pauses is
judged complete, by eagerness, which is what trades endpointing delay against split turns.

It judges once a pause, when the quiet has lasted `judge_ms`, at some 0.2 ms a time.
"""

from bench.corpus.codec import decode
from bench.reference.draws import Draws
from bench.reference.profile import SemanticProfile
from bench.reference.repertoire import Repertoire
from bench.voice.audio import AudioFormat


class Judge:
    """The judge of one session's pauses; `eagerness` is `low`, `medium` or `high`."""

    def __init__(self, profile: SemanticProfile, repertoire: Repertoire, draws: Draws) -> None:
        self._profile = profile
        self._repertoire = repertoire
        self._draws = draws
        self._pauses = 0

    @property
    def after_ms(self) -> int:
        """How far into a pause it judges."""
        return self._profile.judge_ms

    def longest_ms(self, eagerness: str) -> int:
        """The longest wait there is, for a turn that it was not asked about."""
        profile = self._profile
        waits = (profile.complete_ms, profile.incomplete_ms, profile.unknown_ms)
        longest: float = max(getattr(wait, eagerness) for wait in waits)
        return max(profile.judge_ms, round(longest))

    def wait_ms(self, eagerness: str, audio: bytes, fmt: AudioFormat) -> float:
        """How long this pause, `audio` before it, must last to end the turn."""
        pause, self._pauses = self._pauses, self._pauses + 1
        said_all = self._repertoire.recogniser(fmt).said_whole(decode(fmt.whole(audio), fmt.type))
        profile = self._profile
        if said_all is None:
            wait = profile.unknown_ms
        elif said_all or self._draws.happens("mistake", getattr(profile.mistake, eagerness), pause):
            wait = profile.complete_ms
        else:
            wait = profile.incomplete_ms
        return float(getattr(wait, eagerness))
