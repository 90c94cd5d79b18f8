"""What the sittings of a probe are made of: begin, wish, speak, have something answered.

Each step waits with a timeout of its own and goes on without its answer.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from bench.probe.line import Gone, Line
from bench.probe.replies import Reply, replies
from bench.probe.tape import NOT_SEEN, SEEN, Ask
from bench.probe.wishes import Wish, update
from bench.protocol.client import ConversationItemCreate, ResponseCreate
from bench.protocol.dialects import Dialect
from bench.protocol.objects import Item, Part, ResponseParams
from bench.voice.audio import NS_PER_S, AudioFormat
from bench.voice.microphone import Recording

REPLY_S: Final = 15.0
TURN_S: Final = 10.0
"""From the end of speech to the end of the turn: semantic_vad may wait 8 s (`protocol.md` 2.3)."""
STRAGGLERS_S: Final = 1.2
"""Recorded servers send rate limits 30 ms after response.done; repeats come later."""
LONG_REQUEST: Final = "Please count slowly from one to thirty."
ADDED: Final = ("conversation.item.added", "conversation.item.done")


class Kit(NamedTuple):
    """What sittings have in common: how the target is addressed, and something to say."""

    dialect: Dialect
    speech: Callable[[AudioFormat], Recording]


async def grant(line: Line, kit: Kit, wish: Wish) -> Ask:
    """Ask for one thing of the session."""
    message = update(kit.dialect.session_type, (wish.path, wish.value))
    return await line.ask(wish.label, message, "session.updated")


async def begin(line: Line, kit: Kit, label: str, *changes: tuple[str, Any]) -> None:
    """Wait for the server and configure the session. Gone where nobody ever answers."""
    created = await line.created()
    message = update(kit.dialect.session_type, *changes)
    ask = await line.ask(label, message, "session.updated")
    if ask.state != NOT_SEEN:
        line.ready()
    elif not created:
        raise Gone("never answered: neither session.created nor a reply to session.update")
    line.answered.set()


async def speak(line: Line, kit: Kit) -> None:
    """Say it, and come back once it has been said."""
    recording = kit.speech(line.input_format)
    line.say(recording, line.listen())
    await asyncio.sleep(recording.utterance.duration_ns / NS_PER_S + 0.2)


async def request(line: Line, label: str, text: str, params: ResponseParams | None = None) -> Ask:
    """Write something to the agent and ask for a response; what came of that."""
    item = Item(type="message", role="user", content=[Part(type="input_text", text=text)])
    await line.ask(f"{label}: item", ConversationItemCreate(item=item), *ADDED)
    create = ResponseCreate(response=UNSET if params is None else params)
    return await line.ask(f"{label}: response", create, "response.created")


async def respond(
    line: Line, label: str, text: str, params: ResponseParams | None = None
) -> Reply | None:
    """Write something to the agent and have it answered; the reply, None where none ended."""
    since = len(line.frames)
    if (await request(line, label, text, params)).state != SEEN:
        return None
    if await line.hear("response.done", within_s=REPLY_S, since=since) is None:
        return None
    return replies(line.tape())[-1]
