"""One connection: a served session given a socket, the monotonic clock and a truth log.

Theory of operation
-------------------
One task reads; whatever arrives is stamped and given to the session, once the sounds that it asks
for are there. One timer stands at the session's next instant. After either, everything due is sent
at once, synchronously, by websockets' `broadcast` to one: there is no queue between a due message
and the kernel, and the stamps of the truth log are those of the line before and the line after.

Sounds are made beside the loop in one thread, one after another: two sessions that want the same
find it made once. The session that asked waits, and with it whatever else it sends; all others go
on. Both halves of the work (decoding, resampling) let other threads run.

A peer that does not read fills the connection's own buffer; beyond 64 MiB it is dropped.
"""

import asyncio
import gc
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic_ns
from typing import Any, Final

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from bench.protocol.codec import item_id_of, type_of
from bench.protocol.server import ServerMessage
from bench.reference.admission import Admitted
from bench.reference.schedule import Close, Due
from bench.reference.served_session import ServedSession
from bench.reference.server_load import ServerLoad
from bench.reference.truth_log import EndedSession, SentEvent, TruthLog
from bench.reference.voices import Sound, Voices

MOST_UNSENT: Final = 64 * 2**20


class SoundMaker:
    """Makes the sounds of a server in a thread beside its loop. Call `close` in the end."""

    def __init__(self, voices: Voices) -> None:
        self._voices = voices
        self._thread = ThreadPoolExecutor(1, "sounds")

    async def ready(self, sounds: Iterable[Sound]) -> None:
        """Return once all of these sounds are made."""
        for sound in sounds:
            if not self._voices.has(sound):
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._thread, self._voices.make, sound)
                gc.freeze()  # it stays: the collector need never look at it again

    def close(self) -> None:
        """Begin nothing new."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class Connection:
    """One session on one connection. `run` it once; `admitted` is how the session was let in."""

    def __init__(
        self,
        socket: ServerConnection,
        session: ServedSession,
        admitted: Admitted,
        truth: TruthLog,
        load: ServerLoad,
    ) -> None:
        self._socket = socket
        self._session = session
        self._admitted = admitted
        self._truth = truth
        self._load = load
        self._key = admitted.key or session.session_id
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        self._events = 0

    async def run(self, sounds: SoundMaker) -> None:
        """From the upgrade to the end of the connection."""
        opened_ns = monotonic_ns()
        self._session.open(opened_ns)
        self._send()
        try:
            while True:
                message = self._session.read(await self._socket.recv())
                await sounds.ready(self._session.needs(message))
                self._session.receive(message, monotonic_ns())
                self._send()
        except ConnectionClosed:
            pass
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._truth.note(
                EndedSession(
                    session_key=self._key,
                    session_id=self._session.session_id,
                    number=self._admitted.number,
                    dialect=self._admitted.dialect,
                    opened_ns=opened_ns,
                    ended_ns=monotonic_ns(),
                    close_code=self._socket.close_code,
                    events=self._events,
                    draws=list(self._session.draws.drawn),
                )
            )

    def _send(self) -> None:
        """Send what is due and set the timer for what comes next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for due in self._session.poll(monotonic_ns()):
            if self._socket.state is not State.OPEN:
                return
            if isinstance(due.message, ServerMessage):
                self._send_message(due, due.message)
            elif isinstance(due.message, Close):
                self._close(due.message)
            else:
                broadcast([self._socket], due.message.payload)
        if self._socket.transport.get_write_buffer_size() > MOST_UNSENT:
            self._socket.transport.abort()
            return
        next_ns = self._session.next_due()
        if next_ns is not None:
            # loop.time() is the monotonic clock in seconds.
            self._timer = self._loop.call_at(next_ns / 1e9, self._send)

    def _send_message(self, due: Due, message: ServerMessage) -> None:
        frame = self._session.frame(message)
        before = monotonic_ns()
        broadcast([self._socket], frame)
        after = monotonic_ns()
        self._events += 1
        self._load.late.add(before - due.due_ns)
        response_id, item_id = ids_of(message)
        self._truth.note(
            SentEvent(
                session_key=self._key,
                session_id=self._session.session_id,
                event_id=message.event_id,
                type=type_of(message),
                response_id=response_id,
                item_id=item_id,
                cause=due.cause,
                due_ns=due.due_ns,
                before_ns=before,
                after_ns=after,
            )
        )

    def _close(self, close: Close) -> None:
        if close.code == 1006:
            self._socket.transport.abort()
        else:
            goodbye = self._socket.close(close.code, close.reason)
            self._closing = self._loop.create_task(goodbye)


def ids_of(message: Any) -> tuple[str, str]:
    """The ids of the response and the item that a message is about, "" for none."""
    response = getattr(message, "response", None)
    response_id = getattr(message, "response_id", None) or getattr(response, "id", None)
    return response_id or "", item_id_of(message) or ""
