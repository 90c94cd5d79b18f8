"""What became of every attempt: one outcome each, in one table, first match wins.

=========  =====================================================================================
rejected   the session never came to talk (refused, unreachable, silent, malformed …, or it waited
           in vain until the run ended): its first turn
dropped    the connection ended, broke or went mad in mid-turn, or before the next planned turn
overloaded the response failed, or an error message came instead of an answer, with words that the
           service is full (`bench.protocol.refusals`): its capacity signal
error      the response failed or is incomplete, nothing audible was in it, or an error message
           came instead of an answer
cut        the run ended the session in mid-turn, or the caller stopped the reply before anything
           of it was heard: its own doing, in no denominator
ok         an answer before the caller gave up: audible, or where the session answers in text the
           first of it; where tools were called beside it, and the caller then waited for what
           answers their outputs, that too
late       an answer after that
missed     the server's VAD heard nothing, and nothing answered; where there is none (manual mode,
           text) nothing can be missed
timeout    heard, and not answered
=========  =====================================================================================

A turn is *open* where nothing says that it was over: neither heard out, given up nor stopped,
nothing said after it, and the session did not end in order.
"""

from typing import Final

from bench.protocol.refusals import is_overload
from bench.tracker.event import NEVER
from bench.tracker.turn import SessionEnd, Turn
from bench.voice.agent import UNFINISHED

OUTCOMES: Final = (
    "ok", "late", "missed", "cut", "timeout", "rejected", "overloaded", "error", "dropped",
)  # fmt: skip
FAILED: Final = tuple(outcome for outcome in OUTCOMES if outcome not in {"ok", "cut"})

_WITHOUT_ID: Final = "tools were called without a call_id, so nothing could be answered"
_WITHOUT_REPLY: Final = "tools were called, and nothing answered their outputs"


def outcome_of(turn: Turn, end: SessionEnd) -> tuple[str, str]:  # noqa: C901, PLR0911, PLR0912 - a table
    """The outcome of a turn that is told in full, and why; `rejected` is never one's."""
    stopped = turn.emptied or turn.cancel_sent_ns is not None
    waited = turn.gave_up_ns is not None
    over = turn.next_ns != NEVER or turn.heard_out or waited or end.outcome == "finished"
    is_open = not over and not stopped
    came = turn.first_text_ns if turn.textual else turn.heard_ns
    some = (turn.first_text_ns if turn.textual else turn.first_audio_ns) is not None
    lived = came is not None and (end.ended_ns is None or came <= end.ended_ns)
    broken, responded = turn.status in UNFINISHED, turn.response is not None
    called = turn.output_sent_ns is not None
    unanswered = called and waited and not _answered_outputs(turn) and _waited_for_outputs(turn)
    complained = turn.error != "" and (not some or unanswered)
    wanted = "text" if turn.textual else "audio"
    response = f"response {turn.status}" + (f": {turn.status_reason}" if turn.status_reason else "")

    if is_open and not end.in_order:
        return "dropped", f"session {end.words}"
    if broken:
        return "overloaded" if is_overload(turn.status_reason) else "error", response
    if complained:
        return "overloaded" if is_overload(turn.error) else "error", turn.error
    if unanswered:
        return "timeout", _WITHOUT_REPLY
    if is_open and not (lived and turn.status == "completed"):
        return "cut", "the run ended first"
    if came is not None:
        if turn.gave_up_ns is None or came <= turn.gave_up_ns:
            return "ok", ""
        late_ms = (came - turn.gave_up_ns) / 1e6
        return "late", f"answered {late_ms:.0f} ms after the caller gave up"
    if turn.idless_calls and not called:
        return "error", _WITHOUT_ID
    if stopped and not waited:
        return "cut", "the caller stopped the reply before any of it was heard"
    if turn.speech_started_ns is None and turn.listened and not responded:
        return "missed", "no speech_started and no answer"
    if waited:
        if some:
            return "timeout", "audio came, and none of it was heard"
        return "timeout", _WITHOUT_REPLY if called else f"no {wanted} before the caller gave up"
    if responded and some:
        return "error", "audio came, and none of it was heard"
    if called:
        return "error", _WITHOUT_REPLY
    if responded and turn.status:
        return "error", f"{response}, without {wanted}"
    return "timeout", f"no {wanted} before what was said next"


def _answered_outputs(turn: Turn) -> bool:
    """Something answered the outputs of the tools that it called."""
    return turn.after_output_audio_ns is not None or (
        turn.after_output_text_ns is not None and turn.textual
    )


def _waited_for_outputs(turn: Turn) -> bool:
    """The caller gave up after it had sent them."""
    return (
        turn.gave_up_ns is not None
        and turn.output_sent_ns is not None
        and turn.gave_up_ns > turn.output_sent_ns
    )
