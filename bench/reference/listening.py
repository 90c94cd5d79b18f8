"""From audio to a caller's item: append, commit and clear, speech events, turns.

Theory of operation
-------------------
`hearing` decides; this says it, in the order of `protocol.md` 7.1 and 7.2. What the detector
decides is said one VAD lag after the append that decided it: at a start the item gets its id and
an active response is cut; at a stop the item is committed and, where the session wants it, a
response begins at that very instant. Transcription follows on its own, after `response.created`.

A stop that may not begin a response, because one is active that was not to be interrupted, is
answered by the error that a client's `response.create` would get, with no `event_id`.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol.objects import Item, Part
from bench.reference.conversing import Conversing
from bench.reference.draws import Draws
from bench.reference.hearing import (
    Decision,
    Hearing,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
)
from bench.reference.history import History
from bench.reference.idling import Idling
from bench.reference.interjecting import Interjecting
from bench.reference.judging import Judge
from bench.reference.profile import Profile
from bench.reference.refusing import error
from bench.reference.responding import Responding
from bench.reference.rules import Invalid
from bench.reference.schedule import Schedule
from bench.reference.settings import Settings
from bench.reference.suggesting import Suggesting
from bench.reference.transcribing import Transcribing
from bench.voice.audio import NS_PER_MS, AudioFormat, ms

SHORTEST_COMMIT_NS: Final = ms(100)
MOST_APPENDED: Final = 15 * 2**20

_PROMPT: Final = "The user has been silent for a while."


class Listening:
    """The caller's side of one session. `new_id` gives an id for an item."""

    def __init__(
        self,
        profile: Profile,
        draws: Draws,
        schedule: Schedule,
        settings: Settings,
        history: History,
        conversing: Conversing,
        responding: Responding,
        transcribing: Transcribing,
        interjecting: Interjecting,
        suggesting: Suggesting,
        idling: Idling,
        judge: Judge,
        new_id: Callable[[], str],
    ) -> None:
        self._lag = profile.vad.lag_ms
        self._draws = draws
        self._schedule = schedule
        self._settings = settings
        self._history = history
        self._conversing = conversing
        self._responding = responding
        self._transcribing = transcribing
        self._interjecting = interjecting
        self._suggesting = suggesting
        self._idling = idling
        self._new_id = new_id
        self._hearing = Hearing(
            settings.input_format, settings.detection, judge, tells_pauses=suggesting.listens
        )
        self._decisions = 0
        self._told_ns = 0
        self._item_id: str | None = None  # of the speech under way
        idling.act = self._timed_out

    def configure(self) -> None:
        """The settings may have changed."""
        self._hearing.configure(self._settings.input_format, self._settings.detection)
        if self._settings.detection is None:
            self._fall_silent()

    def append(self, message: ask.InputAudioBufferAppend) -> None:
        """Hear it. The one message that is not answered."""
        if len(message.audio) > MOST_APPENDED:
            invalid = Invalid("audio", "More than 15 MiB in one append.")
            self._schedule.say(error(message, invalid), "client")
            return
        for decided in self._hearing.append(message.audio):
            lag = self._draws.ns("lag_ms", self._lag, self._decisions)
            self._decisions += 1
            # A stop is never told before its start, whatever lags are drawn.
            self._told_ns = max(self._schedule.now_ns + lag, self._told_ns)
            act = partial(self._tell, decided, self._hearing.format)
            self._schedule.at(self._told_ns, "vad", act)
        if self._interjecting.listens and self._hearing.voiced:
            self._interjecting.heard(self._hearing.clock_ns)

    def commit(self, message: ask.InputAudioBufferCommit) -> None:
        """Make an item of what is held. Begins no response."""
        held_ns = self._hearing.held_ns
        if held_ns < SHORTEST_COMMIT_NS:
            invalid = Invalid(
                "",
                "Error committing input audio buffer: buffer too small. Expected at least 100ms "
                f"of audio, but buffer only has {held_ns / NS_PER_MS:.2f}ms of audio.",
            )
            code = "input_audio_buffer_commit_empty"
            self._schedule.say(error(message, invalid, code), "client")
            return
        fmt, audio = self._hearing.format, self._hearing.take()
        self._interjecting.speech_stopped()
        self._transcribing.begin(self._add(audio, fmt, "client"), audio, fmt)

    def clear(self, _: ask.InputAudioBufferClear) -> None:
        """Drop what is held, speech under way with it."""
        self._hearing.clear()
        self._fall_silent()
        self._schedule.say(say.InputAudioBufferCleared(), "client")

    def _fall_silent(self) -> None:
        self._item_id = None
        self._interjecting.speech_stopped()

    def _tell(self, decided: Decision, fmt: AudioFormat) -> None:
        if isinstance(decided, SpeechStarted):
            self._started(decided)
        elif isinstance(decided, SpeechStopped):
            self._stopped(decided, fmt)
        elif isinstance(decided, SpeechPaused):
            self._suggesting.paused(decided, self._item_id)
        elif isinstance(decided, SpeechResumed):
            self._suggesting.resumed(self._item_id)

    def _started(self, started: SpeechStarted) -> None:
        self._item_id = self._new_id()
        start_ms = started.start_ns // NS_PER_MS
        self._schedule.say(
            say.InputAudioBufferSpeechStarted(item_id=self._item_id, audio_start_ms=start_ms),
            "vad",
        )
        detection, active = self._settings.detection, self._responding.active
        if active is not None and detection is not None and detection.interrupt_response:
            self._responding.cut(active, "turn_detected")
        self._idling.stop()
        self._suggesting.forget()
        self._interjecting.speech_started(started.onset_ns)

    def _stopped(self, stopped: SpeechStopped, fmt: AudioFormat) -> None:
        self._item_id = self._item_id or self._new_id()
        end_ms = stopped.end_ns // NS_PER_MS
        self._schedule.say(
            say.InputAudioBufferSpeechStopped(item_id=self._item_id, audio_end_ms=end_ms), "vad"
        )
        self._interjecting.speech_stopped()
        item_id = self._add(stopped.audio, fmt, "vad")
        detection, leaked = self._settings.detection, ""
        if detection is not None and detection.create_response:
            answer = self._responding.begin(None, to_speech=self._settings.transcribes)
            leaked = "" if answer is None else answer.leaked
        self._transcribing.begin(item_id, stopped.audio, fmt, leaked)

    def _timed_out(self, timeout_ms: int) -> None:
        """Nobody spoke for so long: say so, commit the silence, and speak (`protocol.md` 7.7)."""
        if self._hearing.speaking:  # and about to be told so
            return
        fmt = self._hearing.format
        end_ms = self._hearing.clock_ns // NS_PER_MS
        self._item_id = self._new_id()
        self._schedule.say(
            say.InputAudioBufferTimeoutTriggered(
                item_id=self._item_id,
                audio_start_ms=max(0, end_ms - timeout_ms),
                audio_end_ms=end_ms,
            ),
            "idle",
        )
        part = Part(type="input_text", text=_PROMPT)
        prompt = Item(
            id=self._new_id(), type="message", status="completed", role="system", content=[part]
        )
        self._conversing.add(prompt, None, "idle")
        item_id = self._add(self._hearing.take(), fmt, "idle")
        self._responding.begin(None)
        self._transcribing.nothing(item_id)

    def _add(self, audio: bytes, fmt: AudioFormat, cause: str) -> str:
        """The buffer becomes an item: committed, added, done. Gives its id."""
        item_id, self._item_id = self._item_id or self._new_id(), None
        self._idling.stop()
        last = self._history.last_id
        self._schedule.say(
            say.InputAudioBufferCommitted(item_id=item_id, previous_item_id=last), cause
        )
        part = Part(type="input_audio", transcript=None)
        item = Item(id=item_id, type="message", status="completed", role="user", content=[part])
        self._history.record(item_id, audio, fmt)
        self._conversing.add(item, None, cause)
        return item_id
