"""Tool calls: when the server called, when the caller had answered, when the reply to that came.

Theory of operation
-------------------
A *round* is all calls of one response; a turn may have several rounds, and figures are of its
first. An output belongs to the call whose `call_id` it carries, whenever it is sent; the reply to
the outputs is a response of the same turn that began after the last of them was sent. Whether a
response.create asked for it, or the server went on by itself (`auto_tool_response`), is the same.
"""

from collections.abc import Sequence

from bench.tracker.event import Event
from bench.tracker.responses import ARGUMENTS, Response
from bench.tracker.turn import Turn


def tell_tools(
    turns: Sequence[Turn], replies: Sequence[Sequence[Response]], outputs: Sequence[Event]
) -> None:
    """Tell every turn of the tools that its `replies` called, and that `outputs` answered."""
    calls = [(event, one) for mine in replies for one in mine for event in one.calls]
    called: dict[str | None, Response] = {}
    for event, response in sorted(calls, key=lambda call: call[0].row):
        called.setdefault(event.call_id, response)
    answered: list[list[tuple[Event, Response]]] = [[] for _ in turns]
    for event in outputs:
        if event.call_id in called:
            response = called[event.call_id]
            answered[response.turn].append((event, response))
    for turn, mine, sent in zip(turns, replies, answered, strict=True):
        done = [(event, one) for one in mine for event in one.calls if event.type == ARGUMENTS]
        turn.continued_row = max((event.row for event, _ in sent), default=-1)
        if done:
            call, response = min(done, key=lambda call: call[0].row)
            turn.call_done_ns = call.at_ns
            first = [event.sent_ns for event, one in sent if one is response]
            turn.output_sent_ns = max(first, default=None)
        if turn.output_sent_ns is not None:
            then = [one for one in mine if one.begin_ns > turn.output_sent_ns]
            turn.after_output_audio_ns = _first([one.answer.first_audio_ns for one in then])
            turn.after_output_text_ns = _first([one.first_text_ns for one in then])


def _first(instants: Sequence[int | None]) -> int | None:
    return next((at_ns for at_ns in instants if at_ns is not None), None)
