"""Conversation scripts: what one caller does, written like stage directions.

A script is a generator over a `Part`. It yields directions and is resumed when each is over; it
never sees a clock. Listening gives back what was heard: ``reply = yield HearOut()``. A team's own
script has the same shape and is named `package.module:function` in the scenario.
"""

import json
from collections.abc import Callable, Generator, Iterator
from itertools import cycle
from typing import Any, NamedTuple

from bench.protocol.client import (
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ConversationItemTruncate,
    InputAudioBufferClear,
    ResponseCreate,
    SessionUpdate,
)
from bench.protocol.objects import (
    AudioInput,
    Item,
    ResponseParams,
    Session,
    SessionAudio,
)
from bench.protocol.objects import (
    Part as ContentPart,
)
from bench.voice.audio import NS_PER_MS
from bench.voice.directions import (
    Await,
    Commit,
    Direction,
    Hear,
    HearOut,
    Part,
    Pause,
    Reply,
    Say,
    Script,
    Send,
    Stop,
    Write,
    play_of,
)
from bench.voice.utterance import Utterance


def turn_taking(part: Part) -> Script:
    """Say a line, hear the answer out, think, say the next."""
    for gap_ns, line in part.paused_lines:
        yield Pause(gap_ns)
        yield Say(line)
        yield HearOut()


DISTURBING = frozenset({"backchannel", "nonspeech"})
"""Tags of what may be said into a reply and is not meant to stop it."""


def barge_in(part: Part) -> Script:
    """Say a line, hear some of the answer, talk (or cough) into it, hear out what follows."""
    for (gap_ns, line), words in zip(part.paused_lines, part.interruptions, strict=True):
        yield Pause(gap_ns)
        yield Say(line)
        yield Hear(part.hear_ns)
        yield Say(words, role="interruption" if interrupts(words) else "backchannel")
        yield HearOut()


def interrupts(words: Utterance) -> bool:
    """Whether this, said into a reply, is meant to stop it: not a cough, and no "mm-hmm"."""
    return words.offset_ns is not None and DISTURBING.isdisjoint(words.tags)


def push_to_talk(part: Part) -> Script:
    """Clear, hold the key while speaking, release it, ask for an answer and hear it out."""
    for gap_ns, line in part.paused_lines:
        yield Pause(gap_ns)
        yield Send(InputAudioBufferClear())
        yield Say(line)
        yield Commit()
        yield Send(ResponseCreate())
        yield HearOut()


def text_chat(part: Part) -> Script:
    """Type a line, ask for an answer, take it in."""
    for gap_ns, line in part.paused_lines:
        yield Pause(gap_ns)
        yield Write(line.text)
        yield Send(ResponseCreate())
        yield HearOut()


def tool_call(part: Part) -> Script:
    """Say a line; where the agent wants tools called, call them and hear what it makes of it."""
    for gap_ns, line in part.paused_lines:
        yield Pause(gap_ns)
        yield Say(line)
        reply = yield HearOut()
        yield from _use_tools(reply, part)


_MOST_ROUNDS = 3
"""Rounds of tools in one turn: an agent that calls for ever is not waited for."""


def _use_tools(reply: Reply, part: Part) -> Generator[Direction, Any, Reply]:
    for _ in range(_MOST_ROUNDS):
        # An output without the id of its call would corrupt the conversation.
        calls = [call for call in reply.calls if call.call_id]
        if not calls:
            break
        yield Pause(part.tool_ns)
        for call in calls:
            output = json.dumps({"tool": call.name, "result": "done"})
            item = Item(type="function_call_output", call_id=call.call_id, output=output)
            yield Send(ConversationItemCreate(item=item))
        if not reply.continues:
            yield Send(ResponseCreate())
        reply = yield HearOut()
    return reply


def interrupt_client(part: Part) -> Script:
    """Say a line, hear some of the answer, stop the agent oneself, and go on with the next."""
    for number, (gap_ns, line) in enumerate(part.paused_lines):
        yield Pause(gap_ns)
        yield Say(line)
        yield Hear(part.hear_ns)
        yield Stop(cancel="bare" if number % 2 else "named")
    yield Pause(part.gap_ns)  # what the server says to the last of them is worth hearing


def long_call(part: Part) -> Script:
    """Talk for long and keep house in between: fetch, insert, forget, and err once."""
    notes: list[str] = []
    middle = ""  # an item that is certainly there
    for number, (gap_ns, line) in enumerate(part.paused_lines):
        yield Pause(gap_ns)
        yield Say(line)
        reply = yield HearOut()
        match number % 5:
            case 0 if reply.item_id:
                middle = reply.item_id
                yield Send(ConversationItemRetrieve(item_id=middle))
                yield Await("conversation.item.retrieved", middle)
            case 1 | 2:
                after = "root" if number % 5 == 1 or not middle else middle
                added = yield from _add(f"Note {number} of this call.", after)
                notes += [added] if added else []
            case 3 if notes:
                yield Send(ConversationItemDelete(item_id=notes[0]))
                yield Await("conversation.item.deleted", notes.pop(0))
            case 4:
                yield Send(_note("Nowhere.", after="item_unknown"), provokes=True)
                yield Await("error", instead="conversation.item.added")
            case _:
                pass


def _add(text: str, after: str | None = None) -> Generator[Direction, Any, str]:
    """Insert a note; gives the id that the server gave it, "" where it did not take it."""
    yield Send(_note(text, after))
    added = yield Await("conversation.item.added")
    item_id = getattr(getattr(added, "item", None), "id", None)
    return item_id if isinstance(item_id, str) else ""


def _note(text: str, after: str | None = None, item_id: str = "") -> ConversationItemCreate:
    part = ContentPart(type="input_text", text=text)
    item = Item(type="message", role="user", content=[part])
    if item_id:
        item.id = item_id
    message = ConversationItemCreate(item=item)
    if after is not None:
        message.previous_item_id = after
    return message


def reconfigure(part: Part) -> Script:
    """Say a line, hear the answer, change the session; now and then try what must be refused."""
    changes = cycle(part.changes) if part.changes else None
    refused = cycle(part.refused) if part.refused else None
    for gap_ns, line in part.paused_lines:
        yield Pause(gap_ns)
        yield Say(line)
        yield HearOut()
        if changes is not None:
            yield from _change(next(changes))
        if refused is not None:
            yield Send(SessionUpdate(session=next(refused)), provokes=True)
            yield Await("error", instead="session.updated")
            yield Send(SessionUpdate(session=Session()))  # what is in force now?
            yield Await("session.updated", instead="session.created")


_TOUR_TOOL = {
    "type": "function",
    "name": "look_up_order",
    "description": "Look an order up by its number.",
    "parameters": {
        "type": "object",
        "properties": {"order": {"type": "string"}},
        "required": ["order"],
    },
}


def tour(part: Part) -> Script:
    """Send every client message once, and do what makes the server send each of its own."""
    spoken = part.lines[0]
    yield Pause(part.gap_ns)
    yield Say(spoken)
    reply = yield HearOut()
    if reply.item_id:
        yield Send(
            ConversationItemTruncate(
                item_id=reply.item_id, audio_end_ms=reply.heard_ns // NS_PER_MS // 2
            )
        )
        yield Await("conversation.item.truncated", reply.item_id)
        yield Send(ConversationItemRetrieve(item_id=reply.item_id))
        yield Await("conversation.item.retrieved", reply.item_id)
    note = yield from _add("This is a note.")
    yield Send(ConversationItemDelete(item_id=note))
    yield Await("conversation.item.deleted", note)
    yield Send(ConversationItemRetrieve(item_id="item_unknown"), provokes=True)
    yield Await("error", instead="conversation.item.retrieved")
    yield Write("Please answer this in writing.")
    yield Send(ResponseCreate(response=ResponseParams(output_modalities=["text"])))
    yield HearOut()
    # By session.update, as not every service lets a response have tools of its own.
    yield from _change(Session(tools=[_TOUR_TOOL], tool_choice="required"))
    yield Write("Where is order four one seven?")
    yield Send(ResponseCreate())
    reply = yield HearOut()
    yield from _change(Session(tool_choice="none"))
    yield from _use_tools(reply, part)
    yield Write("Tell me a long story.")
    yield Send(ResponseCreate())
    yield Await("response.created", instead="response.output_item.added")
    yield Stop(truncate=False)
    yield Await("response.done")
    yield from _change(Session(audio=SessionAudio(input=AudioInput(turn_detection=None))))
    yield Send(InputAudioBufferClear())
    yield Await("input_audio_buffer.cleared")
    yield Say(spoken)
    yield Commit()
    yield Send(ResponseCreate())
    yield HearOut()


def _change(session: Session) -> Script:
    yield Send(SessionUpdate(session=session))
    yield Await("session.updated", instead="session.created")


def marked(play: Iterator[Direction], words: str, item_id: str) -> Script:
    """`play`, with words that no other session says.

    They are in an item of their own, which is fetched at the end, and in everything typed.
    """
    yield Send(_note(f"The reference of this call is {words}.", item_id=item_id))
    resume, given = play_of(play), None
    while True:
        try:
            direction = resume(given)
        except StopIteration:
            break
        if isinstance(direction, Write):
            direction = Write(f"{direction.text} (call {words})")
        given = yield direction
    yield Send(ConversationItemRetrieve(item_id=item_id))
    yield Await("conversation.item.retrieved", item_id)


class Stock(NamedTuple):
    """A stock script. `yields` are the needs of metrics that it satisfies (see `bench.plan`).

    `turns` is how many turns a part makes, `most` how many a number of lines may make.
    `detection`: whether the server must find the ends of turns ("vad"), must not ("manual"), or it
    does not matter ("any").
    """

    play: Callable[[Part], Script]
    yields: tuple[str, ...] = ()
    detection: str = "vad"
    turns: Callable[[Part], int] = lambda part: len(part.lines)
    most: Callable[[int], int] = lambda lines: lines


def _with_interruptions(part: Part) -> int:
    return len(part.lines) + sum(interrupts(words) for words in part.interruptions)


SCRIPTS = {
    "turn_taking": Stock(turn_taking, ("speech",)),
    "barge_in": Stock(
        barge_in,
        ("speech", "interruption", "cut"),
        turns=_with_interruptions,
        most=lambda lines: 2 * lines,
    ),
    "push_to_talk": Stock(push_to_talk, ("speech", "clear"), "manual"),
    "text_chat": Stock(text_chat, ("item",), "any"),
    "tool_call": Stock(tool_call, ("speech", "tool", "item")),
    "interrupt_client": Stock(interrupt_client, ("speech", "cancel", "cut", "truncation")),
    "long_call": Stock(long_call, ("speech", "item", "retrieval", "deletion")),
    "reconfigure": Stock(reconfigure, ("speech",)),
    "tour": Stock(
        tour,
        (
            "speech",
            "tour",
            "cancel",
            "cut",
            "truncation",
            "tool",
            "item",
            "retrieval",
            "deletion",
            "clear",
        ),
        turns=lambda _: 5,
        most=lambda _: 5,
    ),
}
