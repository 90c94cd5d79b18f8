"""A turn as a record: one row of the turns table, and what its outcome is told by."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.tracker.event import NEVER
from bench.tracker.utterances import WRITTEN


class SessionEnd(NamedTuple):
    """How the session of a tracker came to its end.

    outcome:   see `bench.runs.rows`
    ended_ns:  None: its end was not seen
    in_order:  the run itself ended it, or its script
    seen:      its end was seen, and in order: what is missing in it did not come
    words:     what became of it
    """

    outcome: str
    ended_ns: int | None
    in_order: bool
    seen: bool
    words: str

    @property
    def at_ns(self) -> int:
        """When it ended; NEVER: nobody saw it."""
        return NEVER if self.ended_ns is None else self.ended_ns


@dataclass(slots=True, eq=False)
class Turn:
    """A turn that was attempted. Instants are ns, None: there was none (see `plan.instants`).

    From `script` on the fields are columns of the turns table, those before are not:

    row:           of the note that it was said
    next_ns:       when the session's next turn began; NEVER: it was the last
    listened:      it is spoken to a VAD on the server's side
    unasked:       the server answers it by itself
    stopped_row, started_row:  of its last speech_stopped and its first speech_started
    error:         the first error message in it that was somebody's fault; empty: none
    idless_calls:  tools were called without a call_id, which nobody can answer
    emptied:       the caller emptied its player of its own accord
    continued_row: of the last output of a tool that was sent in it; -1: none
    """

    row: int
    begin_ns: int
    end_ns: int
    next_ns: int
    unasked: bool = False
    stopped_row: int | None = None
    started_row: int | None = None
    error: str = ""
    idless_calls: bool = False
    emptied: bool = False
    heard_out: bool = False
    continued_row: int = -1
    status: str = ""
    status_reason: str = ""
    response: int | None = None
    modalities: Any = None
    asked_modalities: Any = None
    turn: int = 0
    role: str = ""
    utterance: str = ""
    text: str = ""
    outcome: str = ""
    reason: str = ""
    item_id: str | None = None
    response_id: str | None = None
    transcript: str = ""
    reply: str = ""
    interrupted_while: str | None = None
    manual: bool = False
    textual: bool = False
    split_turn: bool = False
    talked_over: bool = False
    interrupted_by_caller: bool = False
    yielded: bool | None = None
    spurious: int = 0
    speech_onset_ns: int | None = None
    speech_offset_ns: int | None = None
    said_ns: int | None = None
    speech_started_ns: int | None = None
    speech_stopped_ns: int | None = None
    start_sample_sent_ns: int | None = None
    stop_sample_sent_ns: int | None = None
    commit_sent_ns: int | None = None
    create_sent_ns: int | None = None
    turn_closed_ns: int | None = None
    committed_ns: int | None = None
    answer_asked_ns: int | None = None
    transcribed_ns: int | None = None
    response_created_ns: int | None = None
    first_text_ns: int | None = None
    first_transcript_ns: int | None = None
    first_audio_ns: int | None = None
    last_audio_ns: int | None = None
    first_heard_ns: int | None = None
    heard_ns: int | None = None
    filler_ns: int | None = None
    backchannel_ns: int | None = None
    response_done_ns: int | None = None
    interrupted_last_audio_ns: int | None = None
    agent_silent_ns: int | None = None
    agent_silent_unflushed_ns: int | None = None
    cancel_sent_ns: int | None = None
    cancelled_ns: int | None = None
    cancelled_last_audio_ns: int | None = None
    truncate_sent_ns: int | None = None
    truncated_ns: int | None = None
    call_done_ns: int | None = None
    output_sent_ns: int | None = None
    after_output_audio_ns: int | None = None
    after_output_text_ns: int | None = None
    gave_up_ns: int | None = None
    queued_ns: int | None = None
    jitter_buffer_ns: int | None = None
    underrun_before_onset_ns: int | None = None
    leading_silence_ns: int | None = None
    reply_audio_ns: int | None = None
    first_audio_err_ns: int | None = None
    first_created_ns: int | None = None
    waited_until_ns: int | None = None
    cancel_waited_ns: int | None = None
    truncate_waited_ns: int | None = None
    onset_media_ns: int | None = None
    offset_media_ns: int | None = None
    audio_start_ms: int | None = None
    audio_end_ms: int | None = None
    start_media_ns: int | None = None
    end_media_ns: int | None = None
    min_buffer: float | None = None
    delta_gap: float | None = None
    realtime_factor: float | None = None
    underrun_time: float | None = None
    stale_audio: float | None = None
    text_rate: float | None = None
    late_audio: float | None = None

    @property
    def written(self) -> bool:
        return self.role == WRITTEN

    @property
    def listened(self) -> bool:
        return not self.written and not self.manual
