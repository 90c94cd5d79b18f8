"""What the caller said, in words, some time after it was committed.

Theory of operation
-------------------
The words are those of the corpus (`bench.reference.recognise`), known at once and told one delay
after committed, never before `response.created`; with a quirk late, failed, or twice. A leak tells
somebody else's words in their place.
"""

from functools import partial
from typing import Final

from bench.corpus.codec import decode
from bench.protocol import server as say
from bench.protocol.objects import ErrorDetail
from bench.reference.board import Board
from bench.reference.draws import Draws
from bench.reference.history import History
from bench.reference.profile import Profile
from bench.reference.recognise import UNRECOGNISED
from bench.reference.repertoire import Repertoire
from bench.reference.responding import Responding
from bench.reference.schedule import Schedule
from bench.reference.settings import Settings
from bench.voice.audio import NS_PER_S, AudioFormat, ms

_CAUSE: Final = "transcription"
_AGAIN_NS: Final = ms(200)


class Transcribing:
    """The transcriptions of session `number`."""

    def __init__(
        self,
        number: int,
        profile: Profile,
        repertoire: Repertoire,
        draws: Draws,
        schedule: Schedule,
        settings: Settings,
        history: History,
        responding: Responding,
        board: Board,
    ) -> None:
        self._session = number
        self._profile = profile
        self._repertoire = repertoire
        self._draws = draws
        self._schedule = schedule
        self._settings = settings
        self._history = history
        self._responding = responding
        self._board = board
        self._count = 0

    def begin(self, item_id: str, audio: bytes, fmt: AudioFormat, leaked: str = "") -> None:
        """The item has this audio. `leaked`: what is told of it instead."""
        if not self._settings.transcribes:
            return
        n, quirks = self._count, self._profile.quirks
        self._count += 1
        text = self._repertoire.recogniser(fmt).text(decode(fmt.whole(audio), fmt.type))
        if text != UNRECOGNISED:
            self._board.write(self._session, text)
        due = self._schedule.now_ns + self._draws.ns(
            "delay_ms", self._profile.transcription.delay_ms, n
        )
        active = self._responding.active
        if active is not None:
            due = max(due, active.created_ns)
        if self._draws.happens("transcription_failed", quirks.transcription_failed, n):
            tell = partial(self._failed, item_id)
        else:
            twice = self._draws.happens(
                "transcription_duplicate", quirks.transcription_duplicate, n
            )
            seconds = -(-fmt.duration_ns(len(audio)) // NS_PER_S)
            tell = partial(self._completed, item_id, leaked or text, seconds, twice=twice)
        if self._draws.happens("transcription_late", quirks.transcription_late, n):
            tell = partial(self._responding.after_active, tell)
        self._schedule.at(due, _CAUSE, tell)

    def nothing(self, item_id: str) -> None:
        """The item has no words in it."""
        if self._settings.transcribes:
            delay_ns = self._draws.ns("delay_ms", self._profile.transcription.delay_ms, self._count)
            self._count += 1
            tell = partial(self._complete, item_id, "", 0)
            self._schedule.at(self._schedule.now_ns + delay_ns, _CAUSE, tell)

    def _completed(self, item_id: str, text: str, seconds: int, *, twice: bool) -> None:
        first = text.rpartition(" ")[0] or text if twice else text
        self._say(say.InputAudioTranscriptionDelta(item_id=item_id, delta=first))
        self._complete(item_id, first, seconds)
        if twice:
            again = partial(self._complete, item_id, text, seconds)
            self._schedule.at(self._schedule.now_ns + _AGAIN_NS, _CAUSE, again)

    def _complete(self, item_id: str, text: str, seconds: int) -> None:
        self._history.heard(item_id, text)
        usage = {"type": "duration", "seconds": seconds}
        self._say(
            say.InputAudioTranscriptionCompleted(item_id=item_id, transcript=text, usage=usage)
        )

    def _failed(self, item_id: str) -> None:
        told = ErrorDetail(
            type="transcription_error",
            code="audio_unintelligible",
            message="The audio could not be transcribed.",
        )
        self._say(say.InputAudioTranscriptionFailed(item_id=item_id, error=told))

    def _say(self, message: say.ServerMessage) -> None:
        self._schedule.say(message, _CAUSE)
