"""From audio to a caller's item: append, commit and clear, speech events, turns, transcription.

Theory of operation
-------------------
The input buffer decides; this says it, in the order of `protocol.md` 7.1 and 7.2. What the
detector decides is said one VAD lag after the append that decided it: at a start the item gets its
id and an active response is cut; at a stop the item is committed and, where the session wants it, a
response begins at that very instant. A stop that may not begin a response, because one is active
that was not to be interrupted, is answered by the error that a client's `response.create` would
get, with no `event_id`.

Transcription follows on its own, after `response.created`. The words are those of the corpus
(`bench.reference.recogniser`), known at once and told one delay after committed; with a quirk late,
failed, or twice. A leak tells somebody else's words in their place.

`turn_suggestion` is Inworld's guess, in a pause, that the caller has finished: said once a pause,
and revoked where the caller goes on. The number that it carries is drawn; nothing depends on it.
"""

from functools import partial
from typing import Final

from bench.corpus.sample_codec import decode
from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol import server_extras
from bench.protocol.objects import ErrorDetail, Item, Part
from bench.reference.backchannel import Backchannel
from bench.reference.client_requests import Invalid, error
from bench.reference.draws import share_of
from bench.reference.input_buffer import InputBuffer, SemanticVad, SpeechEvent
from bench.reference.recogniser import UNRECOGNISED
from bench.reference.served_responses import ServedResponses
from bench.reference.session_context import SessionContext
from bench.reference.vad import Edge
from bench.voice.audio import NS_PER_MS, NS_PER_S, AudioFormat, ms

SHORTEST_COMMIT_NS: Final = ms(100)
MOST_APPENDED: Final = 15 * 2**20

_PROMPT: Final = "The user has been silent for a while."
_REPEATED_NS: Final = ms(200)


class InputAudio:
    """The input side of one session: what the caller says becomes items and events."""

    def __init__(self, context: SessionContext, responses: ServedResponses) -> None:
        self._context = context
        self._schedule = context.schedule
        self._settings = settings = context.settings
        self._responses = responses
        self._transcriptions = Transcriptions(context, responses)
        self._backchannel = Backchannel(context)
        self._suggestions = TurnSuggestions(context)
        self._buffer = InputBuffer(
            settings.input_format,
            settings.detection,
            SemanticVad(context.profile.semantic, context.voices, context.draws),
            pause_ms=context.profile.semantic.judge_ms if self._suggestions.wanted else 0,
        )
        self._decisions = 0
        self._told_ns = 0
        self._item_id: str | None = None  # of the speech under way
        responses.idle_timer.on_timeout = self._timed_out

    def configure(self) -> None:
        """Follow the settings, which may have changed."""
        self._buffer.configure(self._settings.input_format, self._settings.detection)
        if self._settings.detection is None:
            self._fall_silent()

    def append(self, message: ask.InputAudioBufferAppend) -> None:
        """Feed the buffer and schedule what it decides. The one message that has no answer."""
        if len(message.audio) > MOST_APPENDED:
            invalid = Invalid("audio", "More than 15 MiB in one append.")
            self._context.say(error(message, invalid), "client")
            return
        for event in self._buffer.append(message.audio):
            lag = self._context.draws.ns(
                "lag_ms", self._context.profile.vad.lag_ms, self._decisions
            )
            self._decisions += 1
            # A stop is never told before its start, whatever lags are drawn.
            self._told_ns = max(self._schedule.now_ns + lag, self._told_ns)
            self._schedule.at(self._told_ns, "vad", partial(self._tell, event))
        if self._backchannel.listens and self._buffer.voiced:
            self._backchannel.heard(self._buffer.clock_ns)

    def commit(self, message: ask.InputAudioBufferCommit) -> None:
        """Make an item of what is held. Begins no response."""
        held_ns = self._buffer.held_ns
        if held_ns < SHORTEST_COMMIT_NS:
            invalid = Invalid(
                "",
                "Error committing input audio buffer: buffer too small. Expected at least 100ms "
                f"of audio, but buffer only has {held_ns / NS_PER_MS:.2f}ms of audio.",
            )
            code = "input_audio_buffer_commit_empty"
            self._context.say(error(message, invalid, code), "client")
            return
        fmt, audio = self._buffer.format, self._buffer.take()
        self._backchannel.speech_stopped()
        self._transcriptions.begin(self._add(audio, fmt, "client"), audio, fmt)

    def clear(self, _: ask.InputAudioBufferClear) -> None:
        """Drop what is held, speech under way with it."""
        self._buffer.clear()
        self._fall_silent()
        self._context.say(say.InputAudioBufferCleared(), "client")

    def _fall_silent(self) -> None:
        self._item_id = None
        self._backchannel.speech_stopped()

    def _tell(self, event: SpeechEvent) -> None:
        if event.edge is Edge.STARTED:
            self._started(event)
        elif event.edge is Edge.STOPPED:
            self._stopped(event)
        elif event.edge is Edge.PAUSED:
            self._suggestions.paused(event, self._item_id)
        else:
            self._suggestions.resumed(self._item_id)

    def _started(self, started: SpeechEvent) -> None:
        self._item_id = self._context.new_item_id()
        start_ms = started.start_ns // NS_PER_MS
        self._context.say(
            say.InputAudioBufferSpeechStarted(item_id=self._item_id, audio_start_ms=start_ms),
            "vad",
        )
        detection, active = self._settings.detection, self._responses.active
        if active is not None and detection is not None and detection.interrupt_response:
            self._responses.cut(active, "turn_detected")
        self._responses.idle_timer.stop()
        self._suggestions.forget()
        self._backchannel.speech_started(started.at_ns)

    def _stopped(self, stopped: SpeechEvent) -> None:
        self._item_id = self._item_id or self._context.new_item_id()
        end_ms = stopped.at_ns // NS_PER_MS
        self._context.say(
            say.InputAudioBufferSpeechStopped(item_id=self._item_id, audio_end_ms=end_ms), "vad"
        )
        self._backchannel.speech_stopped()
        item_id = self._add(stopped.audio, stopped.format, "vad")
        detection, leaked = self._settings.detection, ""
        if detection is not None and detection.create_response:
            response = self._responses.begin(None, to_speech=self._settings.transcribes)
            leaked = "" if response is None else response.leaked
        self._transcriptions.begin(item_id, stopped.audio, stopped.format, leaked)

    def _timed_out(self, timeout_ms: int) -> None:
        """Nobody spoke for so long: say so, commit the silence, and speak (`protocol.md` 7.7)."""
        if self._buffer.speaking:  # and about to be told so
            return
        fmt = self._buffer.format
        end_ms = self._buffer.clock_ns // NS_PER_MS
        self._item_id = self._context.new_item_id()
        self._context.say(
            server_extras.InputAudioBufferTimeoutTriggered(
                item_id=self._item_id,
                audio_start_ms=max(0, end_ms - timeout_ms),
                audio_end_ms=end_ms,
            ),
            "idle",
        )
        prompt_id = self._context.new_item_id()
        part = Part(type="input_text", text=_PROMPT)
        self._context.add_item(_message(prompt_id, "system", part), None, "idle")
        item_id = self._add(self._buffer.take(), fmt, "idle")
        self._responses.begin(None)
        self._transcriptions.nothing(item_id)

    def _add(self, audio: bytes, fmt: AudioFormat, cause: str) -> str:
        """The buffer becomes an item: committed, added, done. Gives its id."""
        item_id, self._item_id = self._item_id or self._context.new_item_id(), None
        self._responses.idle_timer.stop()
        last = self._context.items.last_id
        self._context.say(
            say.InputAudioBufferCommitted(item_id=item_id, previous_item_id=last), cause
        )
        self._context.items.record(item_id, audio, fmt)
        part = Part(type="input_audio", transcript=None)
        self._context.add_item(_message(item_id, "user", part), None, cause)
        return item_id


class Transcriptions:
    """The transcripts of the caller's items, each said a delay after its commit."""

    def __init__(self, context: SessionContext, responses: ServedResponses) -> None:
        self._context = context
        self._responses = responses
        self._count = 0

    def begin(self, item_id: str, audio: bytes, fmt: AudioFormat, leaked: str = "") -> None:
        """Transcribe the audio of an item. `leaked`: words to say in place of its own."""
        context = self._context
        if not context.settings.transcribes:
            return
        draws, quirks = context.draws, context.profile.quirks
        text = context.voices.recogniser(fmt).text(decode(fmt.whole(audio), fmt.type))
        if text != UNRECOGNISED:
            context.server_state.leaks.write(context.number, text)
        n, due = self._due()
        active = self._responses.active
        if active is not None:
            due = max(due, active.created_ns)
        if draws.happens("transcription_failed", quirks.transcription_failed, n):
            tell = partial(self._failed, item_id)
        else:
            twice = draws.happens("transcription_duplicate", quirks.transcription_duplicate, n)
            seconds = -(-fmt.duration_ns(len(audio)) // NS_PER_S)
            tell = partial(self._completed, item_id, leaked or text, seconds, twice=twice)
        if draws.happens("transcription_late", quirks.transcription_late, n):
            tell = partial(self._responses.after_active, tell)
        context.schedule.at(due, "transcription", tell)

    def nothing(self, item_id: str) -> None:
        """Transcribe an item without words."""
        if self._context.settings.transcribes:
            _, due = self._due()
            self._context.schedule.at(due, "transcription", partial(self._said, item_id, "", 0))

    def _due(self) -> tuple[int, int]:
        """The number of the next transcription, and the instant at which it is due."""
        n, self._count = self._count, self._count + 1
        delay_ns = self._context.draws.ns(
            "delay_ms", self._context.profile.transcription.delay_ms, n
        )
        return n, self._context.schedule.now_ns + delay_ns

    def _completed(self, item_id: str, text: str, seconds: int, *, twice: bool) -> None:
        first = text.rpartition(" ")[0] or text if twice else text
        self._say(say.InputAudioTranscriptionDelta(item_id=item_id, delta=first))
        self._said(item_id, first, seconds)
        if twice:
            schedule = self._context.schedule
            again = partial(self._said, item_id, text, seconds)
            schedule.at(schedule.now_ns + _REPEATED_NS, "transcription", again)

    def _said(self, item_id: str, text: str, seconds: int) -> None:
        self._context.items.heard(item_id, text)
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
        self._say(server_extras.InputAudioTranscriptionFailed(item_id=item_id, error=told))

    def _say(self, message: say.ServerMessage) -> None:
        self._context.say(message, "transcription")


class TurnSuggestions:
    """Inworld's guesses in one session that the caller has finished."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._rate = context.profile.quirks.turn_suggestion
        self._pauses = 0
        self._utterance = 0
        self._standing: int | None = None

    @property
    def wanted(self) -> bool:
        """Whether the profile asks for any, so that pauses must be detected."""
        return share_of(self._rate) > 0

    def forget(self) -> None:
        """A new utterance begins: nothing is left to revoke."""
        self._standing = None

    def paused(self, pause: SpeechEvent, item_id: str | None) -> None:
        """The caller has paused: perhaps suggest that the turn has ended."""
        n, self._pauses = self._pauses, self._pauses + 1
        draws = self._context.draws
        if item_id is None or not draws.happens("turn_suggestion", self._rate, n):
            return
        self._standing, self._utterance = self._utterance, self._utterance + 1
        self._context.say(
            server_extras.TurnSuggestion(
                item_id=item_id,
                utterance_index=self._standing,
                probability=round(draws.generator("probability", n).uniform(0.5, 1.0), 3),
                trailing_silence_ms=self._context.profile.semantic.judge_ms,
                audio_duration_ms=(pause.at_ns - pause.start_ns) // NS_PER_MS,
                inference_ms=20,
            ),
            "vad",
        )

    def resumed(self, item_id: str | None) -> None:
        """The caller goes on: revoke the suggestion, if there was one."""
        if self._standing is not None and item_id is not None:
            self._context.say(
                server_extras.TurnSuggestionRevoked(
                    item_id=item_id, utterance_index=self._standing
                ),
                "vad",
            )
        self._standing = None


def _message(item_id: str, role: str, part: Part) -> Item:
    return Item(id=item_id, type="message", status="completed", role=role, content=[part])
