"""One connection: a behaviour given a socket, the monotonic clock and a truth log.

Theory of operation
-------------------
One task reads; whatever arrives is stamped and given to the behaviour, once the sounds that it asks
for are there (`bench.reference.preparation`). One timer stands
at the behaviour's next instant. After either, everything due is sent at once, synchronously, by
websockets' `broadcast` to one: there is no queue between a due message and the kernel, and the
stamps of the truth log are those of the line before and the line after.

A peer that does not read fills the connection's own buffer; beyond 64 MiB it is dropped.
"""

import asyncio
from time import monotonic_ns, time
from typing import Any, Final

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from bench.protocol.codec import item_id_of, type_of
from bench.protocol.server import ServerMessage
from bench.reference.account import Account
from bench.reference.admission import Admitted
from bench.reference.behaviour import Behaviour
from bench.reference.board import Board
from bench.reference.capacity import Capacity
from bench.reference.fitness import Fitness
from bench.reference.preparation import Preparation
from bench.reference.profile import Profile
from bench.reference.schedule import Close, Due
from bench.reference.truth import Ended, Sent, TruthLog

MOST_UNSENT: Final = 64 * 2**20


class Call:
    """One session on one connection."""

    def __init__(
        self,
        connection: ServerConnection,
        admitted: Admitted,
        profile: Profile,
        preparation: Preparation,
        truth: TruthLog,
        fitness: Fitness,
        board: Board,
        account: Account,
        capacity: Capacity,
    ) -> None:
        self._connection = connection
        self._preparation = preparation
        self._admitted = admitted
        self._truth = truth
        self._fitness = fitness
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        self._events = 0
        self._opened_ns = 0
        self._behaviour = Behaviour(
            profile,
            preparation.repertoire,
            number=admitted.number,
            dialect=admitted.dialect,
            model=admitted.model,
            opened_s=int(time()),
            board=board,
            account=account,
            capacity=capacity,
            over_limit=admitted.over_limit,
        )
        self._key = admitted.key or self._behaviour.session_id

    async def run(self) -> None:
        """From the upgrade to the end of the connection."""
        self._opened_ns = monotonic_ns()
        self._behaviour.open(self._opened_ns)
        self._send()
        try:
            while True:
                frame = await self._connection.recv()
                message = self._behaviour.read(frame)
                await self._preparation.ready(self._behaviour.needs(message))
                self._behaviour.receive(message, monotonic_ns())
                self._send()
        except ConnectionClosed:
            pass
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._end()

    def _send(self) -> None:
        """Send what is due and set the timer for what comes next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for due in self._behaviour.poll(monotonic_ns()):
            if self._connection.state is not State.OPEN:
                return
            if isinstance(due.message, ServerMessage):
                self._send_message(due, due.message)
            elif isinstance(due.message, Close):
                self._close(due.message)
            else:
                broadcast([self._connection], due.message.payload)
        if self._connection.transport.get_write_buffer_size() > MOST_UNSENT:
            self._connection.transport.abort()
            return
        next_ns = self._behaviour.next_due()
        if next_ns is not None:
            # loop.time() is the monotonic clock in seconds.
            self._timer = self._loop.call_at(next_ns / 1e9, self._send)

    def _send_message(self, due: Due, message: ServerMessage) -> None:
        frame = self._behaviour.frame(message)
        before = monotonic_ns()
        broadcast([self._connection], frame)
        after = monotonic_ns()
        self._events += 1
        self._fitness.late.add(before - due.due_ns)
        response_id, item_id = ids_of(message)
        self._truth.note(
            Sent(
                session_key=self._key,
                session_id=self._behaviour.session_id,
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
            self._connection.transport.abort()
        else:
            goodbye = self._connection.close(close.code, close.reason)
            self._closing = self._loop.create_task(goodbye)

    def _end(self) -> None:
        self._truth.note(
            Ended(
                session_key=self._key,
                session_id=self._behaviour.session_id,
                number=self._admitted.number,
                dialect=self._admitted.dialect,
                opened_ns=self._opened_ns,
                ended_ns=monotonic_ns(),
                close_code=self._connection.close_code,
                events=self._events,
                draws=list(self._behaviour.draws.drawn),
            )
        )


def ids_of(message: Any) -> tuple[str, str]:
    """Response and item that a message is about, "" where it is about none."""
    response = getattr(message, "response", None)
    response_id = getattr(message, "response_id", None) or getattr(response, "id", None)
    return response_id or "", item_id_of(message) or ""
