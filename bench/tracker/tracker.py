"""`Tracker`: one session, told row by row in the order of the wire.

Theory of operation
-------------------
`feed` is a table from message type to methods; whatever is in no table is looked at only for the
response that it names. What can be known at once is known at once: what is in force, what plays,
which response is whose. What only the rest of the session can tell (an error that names a message,
an item that nothing follows) is found out by `close`, which is told that no more is to come: every
subject has a function that tells the turns of it.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import ClassVar, Final

from bench.protocol.codec import BARE
from bench.protocol.error_codes import ASIDE
from bench.tracker.audio_clock import AudioClock
from bench.tracker.cancellations import tell_cancels, tell_truncations
from bench.tracker.error_messages import ErrorMessage, tell_errors
from bench.tracker.event import NEVER, AudioDelta, Event, dig, milliseconds
from bench.tracker.interruptions import (
    Disturbance,
    PlayedReplies,
    disturbances_of,
    tell_interruption,
)
from bench.tracker.outcomes import outcome_of
from bench.tracker.playout import Player
from bench.tracker.protocol_checker import ProtocolChecker
from bench.tracker.protocol_rules import Violation
from bench.tracker.requests import ANSWERS, REQUESTS, SERVER_MADE, Requests
from bench.tracker.response_triggers import (
    COMMIT,
    CREATE,
    ResponseTriggers,
    Trigger,
    assign_creates,
    tell_triggers,
)
from bench.tracker.responses import (
    CALLS,
    CREATED,
    DONE,
    SPOKEN,
    WORDS,
    Response,
    Responses,
    tell_answer,
)
from bench.tracker.session_config import ConfigHistory
from bench.tracker.tools import tell_tools
from bench.tracker.turn import SessionEnd, Turn
from bench.tracker.utterances import Timeline, Utterance, utterance_of
from bench.tracker.vad_events import (
    COMMITTED,
    IDLE,
    STARTED,
    STOPPED,
    TRANSCRIBED,
    VadEvents,
    tell_heard,
)

BACKCHANNEL: Final = "response.backchannel.audio.delta"
_ITEM: Final = "conversation.item.create"

_Handlers = dict[str, list[Callable[["Tracker", Event], None]]]


def _table(*entries: tuple[Callable[["Tracker", Event], None], Iterable[str]]) -> _Handlers:
    """The methods of every message type, in the order of `entries`."""
    table: _Handlers = {}
    for handler, types in entries:
        for name in types:
            table.setdefault(name, []).append(handler)
    return table


class Tracker:
    """One session. Call `feed`, `audio` and `appends` in the order of the wire, then `close`.

    `jitter_ns` is the caller's jitter buffer. What is in force (`configs`), what was asked
    (`requests`, `triggers`) and the `responses` are known as far as they have come; `turns`,
    `disturbances` and the requests' answers after `close`.
    """

    def __init__(self, jitter_ns: int = 0) -> None:
        self.configs = ConfigHistory()
        self.requests = Requests()
        self.responses = Responses()
        self.triggers: list[Trigger] = []
        self.said: list[Utterance] = []
        self.turns: list[Turn] = []
        self.disturbances: list[Disturbance] = []
        self.opened = False  # its microphone is
        self.greeting = ""  # the note of what the caller found out about the agent's greeting
        self._clock, self._vad, self._player = AudioClock(), VadEvents(), Player(jitter_ns)
        self._checker = ProtocolChecker()
        self._opened_ns = 0
        self._padding_ns: int | None = None
        self._cancels: list[Event] = []
        self._outputs: list[Event] = []
        self._flushes: list[tuple[int, str | None]] = []
        self._errors: list[ErrorMessage] = []
        self._aside_ids: set[str] = set()
        self._backchannels: list[int] = []
        self._patience: list[Event] = []
        self._idless: set[int] = set()

    # ── what is told ─────────────────────────────────────────────────────────────────────────

    def feed(self, event: Event) -> None:
        """One row, other than an append of the microphone or a delta of audio."""
        table = self._NOTES
        if event.direction == "out":
            table = self._SENT
            self._checker.feed(event)
        elif event.direction == "in":
            table = self._RECEIVED
            self._checker.feed(event)
            if event.response_id is not None:
                self._begin(event.row, event.at_ns, event.response_id)
            if event.type.startswith(BARE):
                self._errors.append(ErrorMessage(event.at_ns, {**event.body(), "code": event.type}))
        for handler in table.get(event.type, ()):
            handler(self, event)

    def audio(self, first: Event, deltas: Sequence[AudioDelta]) -> None:
        """Deltas of the agent's audio in a row, alike in all that `ProtocolChecker.feed` names."""
        length = sum(delta.audio_ns for delta in deltas)
        self._checker.feed(first._replace(at_ns=deltas[-1].at_ns, audio_ns=length))
        if first.response_id is not None:
            self._begin(first.row, first.at_ns, first.response_id)
        response = self.responses.of(first.response_id)
        if response is not None:
            for delta in deltas:
                response.deltas.append(delta)
                self._player.play(delta, response.number, response.epoch)

    def appends(
        self, media_ns: Sequence[int], sent_ns: Sequence[int], audio_ns: Sequence[int]
    ) -> None:
        """Appends in a row: where on the microphone's timeline, when they left, how long."""
        self._checker.appends(audio_ns)
        self._clock.append(media_ns, sent_ns, audio_ns)

    def _begin(self, row: int, at_ns: int, response_id: str) -> None:
        response = self.responses.begin(row, at_ns, response_id, self._player.epoch)
        if response is not None:
            response.responsive = self.configs.at(row).responsive

    def _responded(self, event: Event) -> None:
        if event.type in WORDS and event.text:
            self.responses.words = True
        if response := self.responses.of(event.response_id):
            response.says(event)

    def _interjected(self, event: Event) -> None:
        if event.nbytes > 0:
            self._backchannels.append(event.at_ns)

    def _configured(self, event: Event) -> None:
        session = dig(self.requests.last_update(), "session")
        self.configs.said(event, session if isinstance(session, dict) else {})

    def _failed(self, event: Event) -> None:
        said = event.body()
        self.requests.error(event, said)
        self._errors.append(ErrorMessage(event.at_ns, said))

    def _started(self, event: Event) -> None:
        self._vad.started(event, self.configs, self._padding_ns)

    def _stopped(self, event: Event) -> None:
        self._vad.stops.append(event)

    def _committed(self, event: Event) -> None:
        self._vad.commits.append(event)

    def _idled(self, event: Event) -> None:
        self._vad.timeouts.append(event)

    def _transcribed(self, event: Event) -> None:
        self._vad.transcripts.append(event)

    def _acknowledged(self, event: Event) -> None:
        self.requests.answered(event)

    def _made(self, event: Event) -> None:
        self.requests.made_by_server(event)

    def _requested(self, event: Event) -> None:
        self.requests.sent(event)

    def _triggered(self, event: Event) -> None:
        self.triggers.append(Trigger(event, event.body()))

    def _cancelled(self, event: Event) -> None:
        self._cancels.append(event)

    def _put(self, event: Event) -> None:
        if event.call_id is not None:
            self._outputs.append(event)

    def _put_aside(self, event: Event) -> None:
        self._aside_ids.add(str(event.body().get("event_id")))

    def _opened(self, event: Event) -> None:
        self.opened, self._opened_ns = True, event.at_ns
        self._padding_ns = milliseconds(event.body().get("prefix_padding_ms"))

    def _greeted(self, event: Event) -> None:
        self.greeting = event.type

    def _spoke(self, event: Event) -> None:
        self.said.append(utterance_of(event, self._opened_ns))

    def _flushed(self, event: Event) -> None:
        self._player.flush(event.at_ns)
        self._flushes.append((event.at_ns, event.body().get("cause")))

    def _waited(self, event: Event) -> None:
        self._patience.append(event)

    def _odd_calls(self, event: Event) -> None:
        said = event.body()
        if (said.get("idless") or 0) > 0:
            self._idless.add(int(said.get("turn") or 0))

    _RECEIVED: ClassVar = _table(
        (_configured, ("session.created", "session.updated")),
        (_failed, ("error",)),
        (_responded, (CREATED, DONE, *SPOKEN, *CALLS)),
        (_interjected, (BACKCHANNEL,)),
        (_started, (STARTED,)),
        (_stopped, (STOPPED,)),
        (_committed, (COMMITTED,)),
        (_idled, (IDLE,)),
        (_transcribed, (TRANSCRIBED,)),
        (_acknowledged, ANSWERS),
        (_made, SERVER_MADE),
    )
    _SENT: ClassVar = _table(
        (_requested, REQUESTS),
        (_triggered, (COMMIT, CREATE)),
        (_cancelled, ("response.cancel",)),
        (_put, (_ITEM,)),
        (_put_aside, ASIDE),
    )
    _NOTES: ClassVar = _table(
        (_opened, ("bench.microphone",)),
        (_greeted, ("bench.greeted", "bench.ungreeted")),
        (_spoke, ("bench.say", "bench.write")),
        (_flushed, ("bench.flush",)),
        (_waited, ("bench.gave_up", "bench.heard_out")),
        (_odd_calls, ("bench.odd_calls",)),
    )

    # ── what follows from it ─────────────────────────────────────────────────────────────────

    def close(self, end: SessionEnd) -> None:
        """No more is to come: find out `turns`, `disturbances` and the requests' answers."""
        self._checker.close(end.ended_ns, whole=end.seen)
        # What had not begun when its session ended was never attempted.
        self.said = [one for one in self.said if one.begin_ns <= end.at_ns]
        said = [one for one in self.said if one.is_turn]
        owner = Timeline([one.begin_ns for one in said])
        self.turns = turns = self._attempted(said)
        for trigger in self.triggers:
            trigger.refused = self.requests.is_refused(trigger.body)
            trigger.turn = owner.last(trigger.sent_ns)
        heard, commits = self._vad.attribute(self.said, said, self.triggers, self._clock)
        assign_creates(self.triggers, said, commits)
        self.responses.close()
        replies = self._replies(ResponseTriggers(self.triggers, said, commits))
        self.requests.resolve()
        for turn, one in zip(turns, heard, strict=True):
            tell_heard(turn, one, self._clock)
        tell_triggers(turns, self.triggers)
        for turn, mine in zip(turns, replies, strict=True):
            tell_answer(turn, mine)
            self._tell_modality(turn)
        tell_tools(turns, replies, self._outputs)
        tell_cancels(turns, owner, self._cancels, self.responses, end)
        tell_truncations(turns, owner, self.requests.all, end)
        self._tell_notes(owner)
        tell_errors(turns, owner, self._errors, self._aside_ids)
        for turn in turns:
            turn.outcome, turn.reason = outcome_of(turn, end)
            until = min(_or_never(turn.gave_up_ns), turn.next_ns, end.at_ns)
            turn.waited_until_ns = None if until == NEVER else until
        if any(one.role == "interruption" or not one.is_turn for one in self.said):
            self._tell_interruptions(end)
        for turn in turns:
            if turn.stale_audio is None:
                turn.stale_audio = turn.late_audio

    def _attempted(self, said: Sequence[Utterance]) -> list[Turn]:
        following = chain((one.begin_ns for one in said[1:]), (NEVER,))
        turns = []
        for one, next_ns in zip(said, following, strict=False):
            config = self.configs.at(one.row)
            turn = Turn(one.row, one.begin_ns, one.end_ns, next_ns)
            turn.turn, turn.role = one.turn, one.role
            turn.utterance, turn.text = one.utterance, one.text
            turn.onset_media_ns, turn.offset_media_ns = one.onset_media_ns, one.offset_media_ns
            if not one.written:
                turn.speech_onset_ns, turn.speech_offset_ns = one.begin_ns, one.end_ns
                turn.manual, turn.unasked = not config.vad, config.answers
            turns.append(turn)
        return turns

    def _replies(self, triggers: ResponseTriggers) -> list[list[Response]]:
        """The responses to each turn."""
        replies: list[list[Response]] = [[] for _ in self.turns]
        for response in self.responses.all:
            response.turn = triggers.turn_of(response.row, apart=response.apart)
            if response.turn >= 0:
                replies[response.turn].append(response)
        return replies

    def _tell_modality(self, turn: Turn) -> None:
        """Whether a turn is answered in text alone.

        As the response says of itself, else as the caller asked of it, else as the session is;
        where nothing says, a reply of text and no audio is one.
        """
        row = turn.row if turn.response is None else self.responses.all[turn.response].row
        config = self.configs.at(row)
        turn.textual = config.textual
        if config.modalities is None:
            turn.textual = turn.first_text_ns is not None and turn.first_audio_ns is None
        for said in (turn.asked_modalities, turn.modalities):
            if isinstance(said, list) and said:
                turn.textual = "audio" not in said

    def _tell_notes(self, owner: Timeline) -> None:
        """What the caller noted of each turn: that it gave up or heard the answer out, and more.

        The first such note of a turn counts: a later one is about a sound that followed it. But to
        have heard out a response that called tools, whose outputs were then sent, is no end.
        """
        by_number = {turn.turn: turn for turn in self.turns}
        for number in self._idless & by_number.keys():
            by_number[number].idless_calls = True
        for event in self._patience:
            turn = by_number.get(event.body().get("turn", -1))
            if turn is None or turn.heard_out or turn.gave_up_ns is not None:
                continue
            if event.type == "bench.gave_up":
                turn.gave_up_ns = event.at_ns
            elif event.row > turn.continued_row:
                turn.heard_out = True
        for at_ns, cause in self._flushes:
            if cause == "caller" and (place := owner.last(at_ns)) >= 0:
                self.turns[place].emptied = True
        for at_ns in self._backchannels:
            place = owner.last(at_ns)
            offset = self.turns[place].speech_offset_ns if place >= 0 else None
            if offset is not None and at_ns <= offset and self.turns[place].backchannel_ns is None:
                self.turns[place].backchannel_ns = at_ns

    def _tell_interruptions(self, end: SessionEnd) -> None:
        """Who talked into which reply, and what became of that."""
        replies = PlayedReplies(self.responses.all)
        cut: set[int] = set()
        for turn in self.turns:
            playing = replies.playing(turn.begin_ns, turn.speech_started_ns)
            if turn.role == "interruption" and playing is not None:
                row = turn.started_row
                interrupts = row is not None and self.configs.at(row).interrupts
                tell_interruption(turn, playing, end, interruptible=interrupts)
                cut.add(playing[0].number)
        for turn in self.turns:
            turn.interrupted_by_caller = turn.response in cut
        silences = [at_ns for at_ns, cause in self._flushes if cause != "caller"]
        silences += [one.open_until_ns for one in self.responses.all if one.silenced]
        aside = [one for one in self.said if not one.is_turn]
        self.disturbances = disturbances_of(aside, self._vad.starts, replies, silences)

    @property
    def violations(self) -> list[Violation]:
        """The rules of the protocol that were broken so far; what is missing after `close`."""
        return self._checker.violations

    @property
    def spoke_first(self) -> bool:
        """A response began before the caller had said anything, or anybody asked for one."""
        if not self.responses.all:
            return False
        first = self.responses.all[0]
        ended = self.turns[0].end_ns if self.turns else NEVER
        asked = [one.event.row for one in self.triggers if one.create]
        asked += [event.row for event in self._vad.commits]
        return first.begin_ns < ended and first.row < min(asked, default=NEVER)


def _or_never(at_ns: int | None) -> int:
    return NEVER if at_ns is None else at_ns
