"""Responses: what each consists of, and which is a turn's answer.

Theory of operation
-------------------
A response begins with the first message that names it; where a server leaves the id out of a
message, it is of the response that began last.

Two kinds of audio are in a response and are not what it has to say (protocol.md 2.4, 5):

* a *filler*: audio before the first word of the response (its first transcript or text delta),
  where the session has fillers on (providerData.responsiveness) and the server sends words at all;
  without an audible sample in it, it is only the answer's leading silence;
* *padding*: digital silence of at most `PADDING_NS` a delta, with no other audio of the response
  behind it.

Both are played like everything else and are in no figure of the answer.

A turn may have several responses: the server cut it in two, interrupted itself, or called tools and
was told their outputs. Its *answer* is the first that began after the turn's last speech_stopped
and has audible audio or text; where none has, the first that began after it; where none did, the
turn's last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from bench.tracker.event import NEVER, AudioDelta, Event
from bench.tracker.playout import WINDOW_NS
from bench.tracker.turn import Turn

# The API's name, and the beta's, which servers in the field still speak.
AUDIO: Final = ("response.output_audio.delta", "response.audio.delta")
TRANSCRIPT: Final = ("response.output_audio_transcript.delta", "response.audio_transcript.delta")
TRANSCRIPT_DONE: Final = ("response.output_audio_transcript.done", "response.audio_transcript.done")
TEXT: Final = ("response.output_text.delta", "response.text.delta")
TEXT_DONE: Final = ("response.output_text.done", "response.text.done")
WORDS: Final = (*TRANSCRIPT, *TEXT)
CREATED: Final = "response.created"
DONE: Final = "response.done"
ARGUMENTS: Final = "response.function_call_arguments.done"
CALLS: Final = (ARGUMENTS, "response.output_item.added", "response.output_item.done")

SPOKEN: Final = {
    name: place
    for place, names in enumerate((TRANSCRIPT_DONE, TRANSCRIPT, TEXT_DONE, TEXT))
    for name in names
}
"""Where a response's words stand, best first: its transcript, else its text; deltas where no .done
came."""

PADDING_NS: Final = 100_000_000
"""The longest delta of digital silence that may be padding; a pause in speech is longer or is not
at the end."""


@dataclass(slots=True, eq=False)
class Answer:
    """What the audio of a response, fillers and padding apart, came to. None: there was none.

    first_audio_err_ns:  how much earlier its first delta may have come
    min_buffer:     ms that a player has to wait before it starts so that it never starves
    delta_gap:      longest pause between two deltas, ms
    realtime_factor:  how long it took to arrive, in units of its length
    leading_silence_ns:  of its audio, before the first audible sample
    heard_ns:       when the caller heard that sample
    first_heard_ns: when its first delta began to play; queued_ns, jitter_buffer_ns: and what that
                    waited for
    underrun_time:  how long it starved, ms; underrun_before_onset_ns: before the first audible
                    sample
    """

    first_audio_ns: int | None = None
    last_audio_ns: int | None = None
    first_audio_err_ns: int | None = None
    reply_audio_ns: int | None = None
    min_buffer: float | None = None
    delta_gap: float | None = None
    realtime_factor: float | None = None
    leading_silence_ns: int | None = None
    heard_ns: int | None = None
    first_heard_ns: int | None = None
    queued_ns: int | None = None
    jitter_buffer_ns: int | None = None
    underrun_time: float | None = None
    underrun_before_onset_ns: int | None = None


@dataclass(slots=True, eq=False)
class Response:
    """One response.

    row, begin_ns:  of the first message that names it
    epoch:          how often the player had been emptied before
    turn:           the turn that it answers, by number; -1: nobody's
    created, done:  the first of these messages; None: none came
    responsive:     its session may fill the wait with fillers
    """

    number: int
    row: int
    begin_ns: int
    response_id: str
    epoch: int
    responsive: bool = False
    turn: int = -1
    created: Event | None = None
    done: Event | None = None
    status: str = ""
    reason: str = ""
    modalities: Any = None
    apart: bool = False
    first_words_row: int = NEVER
    first_transcript_ns: int | None = None
    text_ns: list[int] = field(default_factory=list)
    words: tuple[list[str], ...] = field(default_factory=lambda: ([], [], [], []))
    calls: list[Event] = field(default_factory=list)
    deltas: list[AudioDelta] = field(default_factory=list)
    answer: Answer = field(default_factory=Answer)

    @property
    def created_ns(self) -> int | None:
        return self.created.at_ns if self.created else None

    @property
    def done_ns(self) -> int | None:
        return self.done.at_ns if self.done else None

    @property
    def open_until_ns(self) -> int:
        """When it was done; NEVER: it was not."""
        return self.done.at_ns if self.done else NEVER

    @property
    def cancelled(self) -> bool:
        return self.status == "cancelled"

    @property
    def silenced(self) -> bool:
        """The server says that it cancelled it because somebody spoke."""
        return self.cancelled and self.reason == "turn_detected"

    def says(self, event: Event) -> None:
        """A message of it came, other than audio."""
        if event.type in SPOKEN:
            if event.text:
                self._speak(event)
        elif event.type == CREATED and self.created is None:
            body = event.body()
            self.created = event
            self.apart = body.get("conversation") == "none"
            if body.get("modalities") is not None:
                self.modalities = body["modalities"]
        elif event.type == DONE and self.done is None:
            body = event.body()
            self.done = event
            self.status, self.reason = body.get("status") or "", body.get("reason") or ""
            if self.modalities is None:
                self.modalities = body.get("modalities")
        elif event.type == ARGUMENTS or (event.type in CALLS and event.call_id is not None):
            self.calls.append(event)

    def _speak(self, event: Event) -> None:
        self.words[SPOKEN[event.type]].append(event.text)
        if event.type in WORDS:
            self.first_words_row = min(self.first_words_row, event.row)
        if event.type in TEXT:
            self.text_ns.append(event.at_ns)
        elif event.type in TRANSCRIPT and self.first_transcript_ns is None:
            self.first_transcript_ns = event.at_ns

    @property
    def first_text_ns(self) -> int | None:
        return self.text_ns[0] if self.text_ns else None

    @property
    def reply(self) -> str:
        """What it said."""
        return next(("".join(words) for words in self.words if words), "")

    @property
    def text_rate(self) -> float | None:
        """Deltas of text a second, after the first; None: it has not two, or they came at once."""
        if not self.text_ns or (spent := (self.text_ns[-1] - self.text_ns[0]) / 1e9) <= 0:
            return None
        return (len(self.text_ns) - 1) / spent

    def close(self, *, words: bool) -> None:
        """Find out what of its audio is no answer; `words`: its session's server sends any."""
        if self.responsive and words:
            early = [delta for delta in self.deltas if delta.row < self.first_words_row]
            if any(delta.first_window >= 0 for delta in early):
                for delta in early:
                    delta.filler = True
        for delta in reversed(self.deltas):
            if delta.first_window >= 0 or delta.audio_ns > PADDING_NS or not delta.silent:
                break
            delta.padding = True
        said = 0
        for delta in self.deltas:
            delta.before_ns = said
            said += 0 if delta.padding or delta.filler else delta.audio_ns
        self._begin_after_filler()
        self.answer = answer_of(self.deltas)

    def _begin_after_filler(self) -> None:
        """The first delta of an answer waits for its own filler as for other audio before it."""
        first = next((delta for delta in self.deltas if not delta.filler), None)
        if first is not None and first.played and any(delta.filler for delta in self.deltas):
            first.queued_ns = first.start_ns - first.at_ns - first.held_ns
            first.gap_ns = 0

    @property
    def filler_ns(self) -> int | None:
        """When its first audible filler came."""
        return next(
            (delta.at_ns for delta in self.deltas if delta.filler and delta.first_window >= 0), None
        )

    @property
    def last_audio_ns(self) -> int | None:
        """When its last audio came, padding apart."""
        return next((delta.at_ns for delta in reversed(self.deltas) if not delta.padding), None)

    def audio_after(self, since_ns: int) -> float:
        """How much of its audio came after an instant, ms; padding apart."""
        late = sum(
            delta.audio_ns for delta in self.deltas if not delta.padding and delta.at_ns > since_ns
        )
        return late / 1e6


def answer_of(audio: Sequence[AudioDelta]) -> Answer:
    """The answer in the audio of a response, whose fillers and padding are known."""
    answer = Answer()
    deltas = [delta for delta in audio if not (delta.filler or delta.padding)]
    if not deltas:
        return answer
    first, last = deltas[0], deltas[-1]
    length = last.before_ns + last.audio_ns
    answer.first_audio_ns, answer.last_audio_ns = first.at_ns, last.at_ns
    answer.first_audio_err_ns, answer.reply_audio_ns = first.at_err_ns, length
    # A player that waits b before it starts never starves if b ≥ arrival_i - arrival_0 - audio
    # before i, for every i.
    answer.min_buffer = max(delta.at_ns - first.at_ns - delta.before_ns for delta in deltas) / 1e6
    if len(deltas) > 1:
        answer.delta_gap = max(b.at_ns - a.at_ns for a, b in pairwise(deltas)) / 1e6
    if length > 0:
        answer.realtime_factor = (last.at_ns - first.at_ns) / length
    audible = next((delta for delta in deltas if delta.first_window >= 0), None)
    if audible is not None:
        into = audible.first_window * WINDOW_NS
        answer.leading_silence_ns = audible.before_ns + into
        if audible.played and audible.start_ns + into < audible.cut_ns:
            answer.heard_ns = audible.start_ns + into
    # What was still waiting when the player was emptied was never heard, and never starved it.
    played = [delta for delta in deltas if delta.played and delta.start_ns < delta.cut_ns]
    if played:
        answer.first_heard_ns = played[0].start_ns
        answer.queued_ns, answer.jitter_buffer_ns = played[0].queued_ns, played[0].held_ns
        answer.underrun_time = sum(delta.gap_ns for delta in played) / 1e6
        onset = audible.row if audible is not None else -1
        answer.underrun_before_onset_ns = sum(
            delta.gap_ns for delta in played if delta.row <= onset
        )
    return answer


class Responses:
    """The responses of one session, in the order in which they began."""

    def __init__(self) -> None:
        self.all: list[Response] = []
        self._by_id: dict[str, Response] = {}
        self.words = False  # the server sends any

    def begin(self, row: int, at_ns: int, response_id: str, epoch: int) -> Response | None:
        """A message names a response: it, if that begins it; None: it had begun before."""
        if response_id in self._by_id:
            return None
        response = Response(len(self.all), row, at_ns, response_id, epoch)
        self._by_id[response_id] = response
        self.all.append(response)
        return response

    def of(self, response_id: str | None) -> Response | None:
        """The response of a message: the one that it names, else the one that began last."""
        if response_id is not None and response_id in self._by_id:
            return self._by_id[response_id]
        return self.all[-1] if self.all else None

    def named(self, response_id: str) -> Response | None:
        """The response of an id; None: none of that id began."""
        return self._by_id.get(response_id)

    def close(self) -> None:
        """No more is to come: find out what of every response's audio is no answer."""
        for response in self.all:
            response.close(words=self.words)


def tell_answer(turn: Turn, replies: Sequence[Response]) -> None:
    """Tell a turn what its answer was, of all responses to it."""
    turn.filler_ns = min(
        (one.filler_ns for one in replies if one.filler_ns is not None), default=None
    )
    heard = (one.answer.heard_ns for one in replies)
    first = min((at_ns for at_ns in heard if at_ns is not None), default=NEVER)
    turn.talked_over = turn.speech_offset_ns is not None and first < turn.speech_offset_ns
    since = -1 if turn.stopped_row is None else turn.stopped_row
    after = [response for response in replies if response.row > since]
    response = _chosen(replies, after)
    if response is None:
        return
    turn.response, turn.response_id = response.number, response.response_id
    turn.response_created_ns, turn.response_done_ns = response.created_ns, response.done_ns
    turn.status, turn.status_reason = response.status, response.reason
    turn.modalities, turn.reply = response.modalities, response.reply
    turn.first_text_ns, turn.text_rate = response.first_text_ns, response.text_rate
    turn.first_transcript_ns = response.first_transcript_ns
    for name in Answer.__slots__:
        setattr(turn, name, getattr(response.answer, name))
    created = after[0].created_ns if after else None
    turn.first_created_ns = response.created_ns if created is None else created


def _chosen(mine: Sequence[Response], after: Sequence[Response]) -> Response | None:
    """Which of a turn's responses is its answer; `after`: those after its last speech_stopped."""
    for response in after:
        if response.text_ns or response.answer.leading_silence_ns is not None:
            return response
    return after[0] if after else (mine[-1] if mine else None)
