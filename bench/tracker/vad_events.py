"""The server's VAD: whose speech it heard start and stop, and what it wrote down.

Theory of operation
-------------------
The server says where on the same timeline it heard speech start (`audio_start_ms`, prefix padding
included). That position decides whose start it was, not the instant of the message: a message may
be late, a position may not. The start belongs to the utterance whose speech, widened by the
tolerances below, holds it. Where the server gives no position (Inworld may not), the start belongs
to whatever was being said last when it arrived, and long after the end of that to nothing. A start
outside every utterance is *spurious*: also one at a sound, which is nobody speaking; one at a
backchannel is not, and it is no turn's either. So is one whose item nothing ever follows, where
the same utterance has another that something does.

Everything else follows the item: the id that speech_started named links speech_stopped, committed
and the transcription. An item that no start named was committed by the caller, whose commits are
answered in their order, else it is of what was said last; one of the server's own idle timer is
nobody's. An item's speech stops once: what is said of it again says nothing new.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.tracker.audio_clock import AudioClock
from bench.tracker.event import Event
from bench.tracker.requests import Asked, pair
from bench.tracker.response_triggers import Commit, Trigger
from bench.tracker.session_config import ConfigHistory
from bench.tracker.turn import Turn
from bench.tracker.utterances import Timeline, Utterance

EARLY_NS: Final = 300_000_000
"""How long before the true onset a detector may place it: soft onsets, breath, 32 ms windows."""
LATE_NS: Final = 200_000_000
"""How long after the true offset a start still belongs to it: a detector that woke at the end."""
USUAL_PADDING_NS: Final = 300_000_000
"""The prefix padding of a server that has one and does not say so (the API's default)."""
ARRIVES_NS: Final = 1_000_000_000
"""How long after the true offset a start without a position may still arrive: a slow detector and
a slow network together."""

STARTED: Final = "input_audio_buffer.speech_started"
STOPPED: Final = "input_audio_buffer.speech_stopped"
COMMITTED: Final = "input_audio_buffer.committed"
IDLE: Final = "input_audio_buffer.timeout_triggered"
TRANSCRIBED: Final = "conversation.item.input_audio_transcription.completed"


@dataclass(slots=True, eq=False)
class Start:
    """A speech_started.

    written_ns:   where on the server's clock, prefix padding taken out, as best as can be told;
                  None: the server gives no position
    position_ns:  the same on the microphone's timeline
    exact:        that is no guess: the padding is known, and not clamped to the clock's beginning
    early_ns:     how long before an utterance's onset it may lie and still be of it
    utterance:    what was being said; None: nothing
    turn:         whose, by number among the session's turns; -1: nobody's
    """

    event: Event
    written_ns: int | None
    exact: bool
    early_ns: int
    position_ns: int | None = None
    utterance: Utterance | None = None
    turn: int = -1


@dataclass(slots=True, eq=False)
class HeardTurn:
    """What the server heard of one turn, in order."""

    starts: list[Start] = field(default_factory=list)
    stops: list[Event] = field(default_factory=list)
    commits: list[Event] = field(default_factory=list)
    transcripts: dict[str | None, Event] = field(default_factory=dict)
    spurious: int = 0

    @property
    def split(self) -> bool:
        """It was heard as several."""
        named = {start.event.item_id for start in self.starts} - {None}
        unnamed = sum(start.event.item_id is None for start in self.starts)
        return len(named) + unnamed > 1

    @property
    def item_id(self) -> str | None:
        """Its item, as the first start names it, else the last commit."""
        first = self.starts[0].event.item_id if self.starts else None
        if first is None and self.commits:
            return self.commits[-1].item_id
        return first


class VadEvents:
    """The VAD's messages of one session, in order. `started` adds starts; append the others."""

    def __init__(self) -> None:
        self.starts: list[Start] = []
        self.stops: list[Event] = []
        self.commits: list[Event] = []
        self.timeouts: list[Event] = []
        self.transcripts: list[Event] = []

    def started(self, event: Event, configs: ConfigHistory, padding_ns: int | None) -> None:
        """speech_started came; `padding_ns`: where the server said nothing of turn detection."""
        config = configs.at(event.row)
        padding = config.padding_ns if config.told else padding_ns
        # A server that does not say its padding (semantic_vad) may have taken the usual off.
        early = EARLY_NS if padding is not None else EARLY_NS + USUAL_PADDING_NS
        if event.audio_ms is None:
            self.starts.append(Start(event, None, exact=False, early_ns=early))
            return
        written = event.audio_ms * 1_000_000
        # What a server clamped to the beginning of its clock says nothing.
        exact = padding is not None and (written > 0 or padding == 0)
        self.starts.append(Start(event, written + (padding or 0), exact, early))

    def attribute(
        self,
        said: Sequence[Utterance],
        turns: Sequence[Utterance],
        triggers: Sequence[Trigger],
        clock: AudioClock,
    ) -> tuple[list[HeardTurn], list[Commit]]:
        """What was heard of each turn, and whose every commit is.

        `triggers` have their turn, and whether they were refused.
        """
        owner = Timeline([turn.begin_ns for turn in turns])
        heard = [HeardTurn() for _ in turns]
        for start in self.starts:
            if start.written_ns is not None:
                start.position_ns = clock.to_media(start.written_ns)
        self._attribute_starts(said, turns, owner, heard)
        items = self._items()
        self._attribute_stops(items, heard)
        commits = self._attribute_commits(items, owner, triggers)
        for commit in commits:
            if commit.turn >= 0:
                heard[commit.turn].commits.append(commit.event)
        by_commit: dict[str | None, int] = {}
        for commit in commits:
            by_commit.setdefault(commit.event.item_id, commit.turn)
        for event in self.transcripts:
            turn = items.get(event.item_id, by_commit.get(event.item_id, -1))
            if turn >= 0:
                # An item may be transcribed again (Inworld revises): its last word counts.
                heard[turn].transcripts.pop(event.item_id, None)
                heard[turn].transcripts[event.item_id] = event
        return heard, commits

    def _attribute_starts(
        self,
        said: Sequence[Utterance],
        turns: Sequence[Utterance],
        owner: Timeline,
        heard: list[HeardTurn],
    ) -> None:
        """Every start to its turn; one outside every utterance to the turn said last before."""
        self._find_utterances(said)
        number = {turn: index for index, turn in enumerate(turns)}
        for start in self.starts:
            start.turn = number.get(start.utterance, -1) if start.utterance else -1
            if start.turn >= 0:
                heard[start.turn].starts.append(start)
            elif turns and (start.utterance is None or start.utterance.role != "backchannel"):
                heard[max(owner.last(start.event.at_ns), 0)].spurious += 1

    def _items(self) -> dict[str | None, int]:
        """The turn of every item that a start or the server's idle timer names."""
        items: dict[str | None, int] = {}
        for start in self.starts:
            if start.event.item_id is not None:
                items.setdefault(start.event.item_id, start.turn)
        for event in self.timeouts:
            items.setdefault(event.item_id, -1)
        return items

    def _find_utterances(self, said: Sequence[Utterance]) -> None:
        """What was being said at each start."""
        voiced = [one for one in said if one.onset_media_ns is not None]
        onsets = Timeline([one.onset_media_ns or 0 for one in voiced])
        begins = Timeline([one.begin_ns for one in voiced])
        for start in self.starts:
            if start.position_ns is not None and start.position_ns >= 0:
                last = onsets.last(start.position_ns + start.early_ns)
                end = voiced[last].offset_media_ns if last >= 0 else None
                holds = end is not None and start.position_ns <= end + LATE_NS
            else:
                last = begins.last(start.event.at_ns)
                # Long after the end of what was said it is a start of nothing.
                holds = last >= 0 and start.event.at_ns <= voiced[last].end_ns + ARRIVES_NS
            start.utterance = voiced[last] if holds else None
        bare = self._unended()
        followed = {start.utterance for start in self.starts if start not in bare}
        for start in bare:
            if start.utterance in followed:
                start.utterance = None

    def _unended(self) -> set[Start]:
        """Starts that name an item which nothing ever follows; none where nothing has an end."""
        ends = [*self.stops, *self.commits, *self.transcripts]
        items = {event.item_id for event in ends}
        if not ends:
            return set()
        return {
            start
            for start in self.starts
            if start.event.item_id is not None and start.event.item_id not in items
        }

    def _attribute_stops(self, items: dict[str | None, int], heard: list[HeardTurn]) -> None:
        started = Timeline([start.event.row for start in self.starts])
        seen: set[str] = set()
        for event in self.stops:
            last = started.last(event.row)
            turn = items.get(event.item_id, self.starts[last].turn if last >= 0 else -1)
            if event.item_id is not None:
                if event.item_id in seen:
                    continue
                seen.add(event.item_id)
            if turn >= 0:
                heard[turn].stops.append(event)

    def _attribute_commits(
        self, items: dict[str | None, int], owner: Timeline, triggers: Sequence[Trigger]
    ) -> list[Commit]:
        """Of its item's turn, of the caller's own commit that it answers, of what was said last."""
        own = [one for one in triggers if not one.create and not one.refused]
        unnamed = [event for event in self.commits if event.item_id not in items]
        found, _ = pair(
            [Asked(one.event.place, one.sent_ns) for one in own],
            [Asked(event.place, event.at_ns) for event in unnamed],
        )
        answered = {
            unnamed[place].row: one.turn
            for one, place in zip(own, found, strict=True)
            if place >= 0
        }
        return [
            Commit(
                event,
                items[event.item_id]
                if event.item_id in items
                else answered.get(event.row, owner.last(event.at_ns)),
            )
            for event in self.commits
        ]


def tell_heard(turn: Turn, heard: HeardTurn, clock: AudioClock) -> None:
    """Tell a turn what the server heard of it."""
    turn.spurious, turn.split_turn, turn.item_id = heard.spurious, heard.split, heard.item_id
    if heard.starts:
        start = heard.starts[0]
        turn.speech_started_ns, turn.started_row = start.event.at_ns, start.event.row
        turn.audio_start_ms = start.event.audio_ms
        turn.start_media_ns = start.position_ns if start.exact else None
    if heard.stops:
        stop = heard.stops[-1]
        turn.speech_stopped_ns, turn.stopped_row = stop.at_ns, stop.row
        turn.audio_end_ms = stop.audio_ms
    if turn.audio_start_ms is not None:
        turn.start_sample_sent_ns = clock.sent_ns(turn.audio_start_ms * 1_000_000)
    if turn.audio_end_ms is not None:
        # The end is exclusive: the sample before it lies where the caller was speaking.
        last = turn.audio_end_ms * 1_000_000 - 1
        turn.end_media_ns = clock.to_media(last) + 1
        turn.stop_sample_sent_ns = clock.sent_ns(last)
    if heard.commits:
        turn.committed_ns = heard.commits[-1].at_ns
    if heard.transcripts:
        finals = heard.transcripts.values()
        turn.transcribed_ns = max(event.at_ns for event in finals)
        turn.transcript = " ".join(event.text for event in finals)
