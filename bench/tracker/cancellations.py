"""Replies that the caller stopped: its cancel, and what became of it.

Theory of operation
-------------------
A response.cancel stops the response that it names, else the one that began last before it was sent.
Where that had ended already it may have been about the one that was to come (protocol.md 7.6): the
next of the same turn, if that was then cancelled. If not, the cancel came too late (a race, and no
failure): it was sent, and nothing was cancelled.

Where the server says of the response that it was cancelled, and not because it heard somebody
speak, the cancel did it. A cancel of an open response that ended in another way, or not at all, was
in vain: it was waited for until the end, and that it never came must show (flaw F12).
"""

from collections.abc import Iterable, Sequence

from bench.tracker.event import NEVER, Event
from bench.tracker.requests import Request
from bench.tracker.responses import Response, Responses
from bench.tracker.turn import SessionEnd, Turn
from bench.tracker.utterances import Timeline


def tell_cancels(
    turns: Sequence[Turn],
    owner: Timeline,
    cancels: Iterable[Event],
    responses: Responses,
    end: SessionEnd,
) -> None:
    """Tell every turn of the first cancel of a reply to it, and what became of that."""
    for event in cancels:
        response = _meant(event, responses, owner)
        if response is None or response.turn < 0:
            continue
        turn = turns[response.turn]
        if turn.cancel_sent_ns is not None:
            continue
        done, sent = response.open_until_ns, event.sent_ns
        turn.cancel_sent_ns = sent
        if done >= sent:
            turn.late_audio = response.audio_after(sent)
            if response.silenced:
                continue
            turn.cancelled_last_audio_ns = response.answer.last_audio_ns
            if response.cancelled:
                turn.cancelled_ns = done
            elif (until := min(done, end.at_ns)) != NEVER:
                turn.cancel_waited_ns = until


def tell_truncations(
    turns: Sequence[Turn], owner: Timeline, requests: Iterable[Request], end: SessionEnd
) -> None:
    """Tell every turn of the first truncate that was sent in it, and its acknowledgement.

    It belongs to the turn that was begun last when it was sent: the interruption, or the turn whose
    reply was stopped.
    """
    for request in requests:
        place = owner.last(request.sent_ns)
        if request.metric != "truncate_ack" or place < 0:
            continue
        turn = turns[place]
        if turn.truncate_sent_ns is None:
            turn.truncate_sent_ns, turn.truncated_ns = request.sent_ns, request.answered_ns
            if end.seen and request.answered_ns is None and not request.refused:
                turn.truncate_waited_ns = end.ended_ns


def _meant(event: Event, responses: Responses, owner: Timeline) -> Response | None:
    """The response that a response.cancel means."""
    if event.response_id is not None:
        return responses.named(event.response_id)
    before = [response for response in responses.all if 2 * response.row <= event.place]
    last = before[-1] if before else None
    if last is None or last.open_until_ns < event.sent_ns:
        # The next one is at the cancel's own place at the earliest.
        following = next((one for one in responses.all if 2 * one.row >= event.place), None)
        if (
            following is not None
            and following.cancelled
            and not following.silenced
            and following.turn >= 0
            and following.turn == owner.last(event.sent_ns)
        ):
            return following
    return last
