"""One probing session on a socket: ask and wait, stream a microphone, write the tape.

Theory of operation
-------------------
A line writes everything that crosses it on its tape. `ask` sends one message and waits for one of
the answers that it may have, or for an error about it: one that names it, or one that names
nobody (only one ask is ever open). A line whose peer has been deaf to three asks in a row, with
not one message in between, is given up: `Gone` ends the session, never the probe.
"""

import asyncio
import contextlib
from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec import Struct
from websockets.exceptions import ConnectionClosed, WebSocketException

from bench.probe.dial import GOODBYE_S, dial
from bench.probe.tape import (
    APPEND,
    NOT_SEEN,
    SEEN,
    UPGRADED,
    Ask,
    Frame,
    Link,
    Tape,
    effective,
    error_code,
    format_at,
    ga,
    placed,
    read_frame,
    refused,
    table,
)
from bench.protocol.client import ClientMessage, SessionUpdate
from bench.protocol.codec import encode
from bench.protocol.refusals import refusal_of
from bench.protocol.upgrade import Offer, remedy
from bench.voice.audio import PCM16_24K, AudioFormat, ms
from bench.voice.microphone import Microphone, Recording

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

CREATED_S: Final = 10.0
ANSWER_S: Final = 4.0
CHUNK_NS: Final = ms(100)
_MUTE_S: Final = 1.0
"""How long an acknowledgement is waited for that did not come the last time."""
_DEAF: Final = 3
_ITEM_ADDED: Final = frozenset({"conversation.item.added", "conversation.item.done"})

_Found = TypeVar("_Found")


class Gone(Exception):  # noqa: N818 - it is no error of this program, it is what happened
    """The session is over before its time. The text says how it ended."""


class Unheard(Struct, tag="bench.no_such_message", tag_field="type"):
    """A message that no server knows: how it says so is a finding."""

    event_id: str = ""


def _spoken_by(types: tuple[str, ...]) -> tuple[str, ...]:
    """The types, and what servers say in place of one that they do not know."""
    return (*types, *(_INSTEAD[name] for name in types if name in _INSTEAD))


_INSTEAD: Final = {
    "response.created": "response.output_item.added",
    "session.updated": "session.created",
}


def _type_of(message: ClientMessage | Unheard) -> str:
    return str(type(message).__struct_config__.tag)


class Line:
    """One session. `name` goes into its event ids; `tape()` is what it saw so far."""

    def __init__(
        self,
        name: str,
        url: str,
        headers: list[tuple[str, str]],
        offer: Offer = Offer(),  # noqa: B008 - an immutable value
    ) -> None:
        self.name = name
        self.frames: list[Frame] = []
        self.asks: list[Ask] = []
        self.link = Link()
        self.trouble = ""
        self.answered = asyncio.Event()
        self._url = url
        self._headers = headers
        self._offer = offer
        self._news = asyncio.Event()
        self._connection: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._microphone: Microphone | None = None
        self._ended = ""
        self._deaf = 0
        self._mute = False
        self._asked = 0
        self._opened_ns = 0
        self._spoke_ns: int | None = None

    def tape(self) -> Tape:
        return Tape(
            self.name,
            tuple(self.frames),
            tuple(self.asks),
            self.link,
            self.trouble,
            self._spoke_ns,
        )

    @property
    def session(self) -> dict[str, Any]:
        """The effective session object, {} before the server said one."""
        return effective(self.frames)

    # ── beginning and ending ─────────────────────────────────────────────────────────────────

    async def open(self, *, compress: bool = False) -> None:
        """Connect and upgrade. TargetError where nothing answers, Gone where it says no."""
        self._opened_ns = monotonic_ns()
        self._connection, self.link = await dial(
            self._url, self._headers, compress=compress, offer=self._offer
        )
        if self.link.status != UPGRADED:
            known = refusal_of(self.link.status)
            todo = f"; {known.remedy}" if known and known.remedy else ""
            raise Gone(f"the upgrade was refused: {self.link.status}{todo}")
        self._tasks.append(asyncio.create_task(self._read()))

    async def created(self) -> bool:
        """Whether the server said `session.created`."""
        frame = await self.hear("session.created", within_s=CREATED_S)
        if frame is not None:
            self.link = self.link._replace(created_ns=frame.at_ns - self._opened_ns)
        return frame is not None

    def ready(self) -> None:
        """The first update was answered: that is when a caller could begin."""
        self.link = self.link._replace(ready_ns=monotonic_ns() - self._opened_ns)

    async def close(self) -> None:
        """End the session, whatever state it is in."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._connection is not None:
            with contextlib.suppress(TimeoutError, WebSocketException, OSError):
                async with asyncio.timeout(GOODBYE_S):
                    await self._connection.close()
            self._connection.transport.abort()

    # ── hearing ──────────────────────────────────────────────────────────────────────────────

    async def _read(self) -> None:
        assert self._connection is not None  # noqa: S101 - `open` came first
        connection = self._connection
        try:
            while True:
                text = await connection.recv()
                self._note(monotonic_ns(), text)
        except ConnectionClosed as closed:
            said = closed.rcvd
            reason = f": {said.reason}" if said is not None and said.reason else ""
            how = "without a word" if said is None else f"with {said.code}{reason}"
            if not any(not frame.out for frame in self.frames):
                how += remedy(self._offer, how, None if said is None else said.code)
            self._ended = f"the server closed the connection {how}"
            if closed.sent is not None and not closed.rcvd_then_sent and said is None:
                self._ended = f"the connection had to be closed: {closed.sent.reason}"
        finally:
            self._news.set()

    def _note(self, at_ns: int, text: str | bytes) -> None:
        self.frames.append(placed(read_frame(at_ns, text), self.frames))
        self._deaf = 0
        self._news.set()

    async def until(self, found: Callable[[], _Found | None], within_s: float) -> _Found | None:
        """The first thing that `found` finds, None where that takes longer. Gone: it never will."""
        deadline = asyncio.get_running_loop().time() + within_s
        while (result := found()) is None:
            if self._ended:
                raise Gone(self._ended)
            self._news.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._news.wait()
            except TimeoutError:
                return None
        return result

    async def hear(self, *types: str, within_s: float, since: int = 0) -> Frame | None:
        """The first message of these types from frame number `since` on."""
        return await self.until(lambda: self._first(since, types), within_s)

    def _first(self, since: int, types: tuple[str, ...]) -> Frame | None:
        types = _spoken_by(types)
        return next((f for f in self.frames[since:] if not f.out and ga(f.type) in types), None)

    # ── asking ───────────────────────────────────────────────────────────────────────────────

    async def ask(
        self,
        label: str,
        message: ClientMessage | Unheard,
        *answers: str,
        within_s: float = ANSWER_S,
        provoking: bool = False,
    ) -> Ask:
        """Send `message`, wait for one of `answers` or for an error; note and return what came.

        The event id is given here. `provoking`: an error is hoped for, and no answer is no sign
        that nobody is there; nor is it of a server that did not acknowledge the update before.
        """
        self._asked += 1
        updates = isinstance(message, SessionUpdate)
        if updates and self._mute:
            within_s, patient = min(within_s, _MUTE_S), False
        else:
            patient = not provoking
        message.event_id = event_id = f"probe-{self.name}-{self._asked}"
        since, at = len(self.frames), monotonic_ns()
        await self._write(encode(message), _type_of(message))
        ask = Ask(
            label, _type_of(message), self.frames[since].body, NOT_SEEN, {}, provoking=provoking
        )
        try:
            frame = await self.until(lambda: self._answer(since, event_id, answers), within_s)
            if frame is not None:
                state = refused(error_code(frame.body)) if frame.type == "error" else SEEN
                ask = ask._replace(state=state, answer=frame.body, took_ns=frame.at_ns - at)
        finally:
            self.asks.append(ask)
        if updates and not provoking:
            self._mute = frame is None
        if frame is None and patient:
            self._deaf += 1
            if self._deaf >= _DEAF:
                raise Gone(f"fell silent: {_DEAF} messages in a row were not answered")
        return ask

    def _answer(self, since: int, event_id: str, answers: tuple[str, ...]) -> Frame | None:
        answers = _spoken_by(answers)
        for frame in self.frames[since:]:
            if frame.out:
                continue
            if frame.type == "error":
                about = table(frame.body, "error").get("event_id")
                if about in {event_id, None, ""}:
                    return frame
            elif ga(frame.type) in answers or (
                frame.type == "conversation.item.created" and _ITEM_ADDED & set(answers)
            ):
                return frame
        return None

    async def _write(self, payload: bytes, kind: str) -> None:
        body = {} if kind == APPEND else msgspec.json.decode(payload)
        frame = Frame(monotonic_ns(), out=True, type=kind, body=body, nbytes=len(payload))
        self.frames.append(frame)
        assert self._connection is not None  # noqa: S101 - `open` came first
        try:
            await self._connection.send(payload.decode())
        except ConnectionClosed:
            # The reader sees the end too, and knows better how to tell it.
            await self.until(lambda: None, GOODBYE_S)
            raise Gone("the connection was lost") from None

    # ── speaking ─────────────────────────────────────────────────────────────────────────────

    @property
    def input_format(self) -> AudioFormat:
        """What the microphone must send, by what the server says."""
        return format_at(self.session, "input") or PCM16_24K

    def listen(self) -> Microphone:
        """Open the microphone in the input format in force: it streams silence from now on."""
        microphone = Microphone(monotonic_ns(), CHUNK_NS, self.input_format)
        self._microphone = microphone
        self._tasks.append(asyncio.create_task(self._stream(microphone)))
        return microphone

    def say(self, recording: Recording, microphone: Microphone) -> None:
        """Say something into an open microphone."""
        start_ns = microphone.opened_ns + microphone.say(recording, monotonic_ns())
        said = recording.utterance
        self._spoke_ns = start_ns + (said.offset_ns or said.duration_ns)

    async def _stream(self, microphone: Microphone) -> None:
        with contextlib.suppress(Gone):
            while microphone is self._microphone:
                chunk = microphone.take()
                await asyncio.sleep(max(0.0, (chunk.due_ns - monotonic_ns()) / 1e9))
                await self._write(chunk.payload, APPEND)

    def hush(self) -> None:
        """Close the microphone: nothing more is streamed."""
        self._microphone = None
