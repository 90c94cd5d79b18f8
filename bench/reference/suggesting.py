"""`turn_suggestion`: Inworld's guess, in a pause, that the caller has finished.

Said once a pause, a judge's moment into it, and revoked where the caller goes on. The number that
it carries is drawn; nothing depends on it.
"""

from bench.protocol import server as say
from bench.reference.draws import Draws
from bench.reference.hearing import SpeechPaused
from bench.reference.schedule import Schedule
from bench.reference.spread import Rate, share_of
from bench.voice.audio import NS_PER_MS


class Suggesting:
    """The guesses of one session. `rate`: the share of pauses at which it guesses."""

    def __init__(self, draws: Draws, schedule: Schedule, rate: Rate) -> None:
        self._draws = draws
        self._schedule = schedule
        self._rate = rate
        self._pauses = 0
        self._utterance = 0
        self._standing: int | None = None

    @property
    def listens(self) -> bool:
        """Whether pauses matter at all."""
        return share_of(self._rate) > 0

    def forget(self) -> None:
        """A new utterance begins."""
        self._standing = None

    def paused(self, pause: SpeechPaused, item_id: str | None) -> None:
        """The caller has been quiet for a moment."""
        n, self._pauses = self._pauses, self._pauses + 1
        if item_id is None or not self._draws.happens("turn_suggestion", self._rate, n):
            return
        self._standing, self._utterance = self._utterance, self._utterance + 1
        self._schedule.say(
            say.TurnSuggestion(
                item_id=item_id,
                utterance_index=self._standing,
                probability=round(self._draws.generator("probability", n).uniform(0.5, 1.0), 3),
                trailing_silence_ms=pause.quiet_ns // NS_PER_MS,
                audio_duration_ms=pause.turn_ns // NS_PER_MS,
                inference_ms=20,
            ),
            "vad",
        )

    def resumed(self, item_id: str | None) -> None:
        """The caller goes on."""
        if self._standing is not None and item_id is not None:
            self._schedule.say(
                say.TurnSuggestionRevoked(item_id=item_id, utterance_index=self._standing), "vad"
            )
        self._standing = None
