"""A session played dry: a caller and a server side in one process, in virtual time.

Theory of operation
-------------------
The caller is the conversation that a run plays, the server side the behaviour that the embedded
server plays, and what one says the other hears at that instant, through the codec as on a wire.
There is no socket and nobody waits: half a minute of talk takes as long as computing it does.
"""

from bench.protocol.codec import UnknownMessage, decode_server, encode
from bench.protocol.server import ServerMessage
from bench.reference.behaviour import Behaviour
from bench.reference.schedule import Close, Raw
from bench.reference.virtual_time import VirtualTime
from bench.voice.conversation import Conversation
from bench.voice.outbox import Note, Outgoing

Happened = Note | Outgoing | ServerMessage | UnknownMessage | Close | Raw


class Rehearsal:
    """One session. `happened` is what either side did, in order; `ends_ns` is its length so far.

    A server that closes, or sends what is no message, ends it: that comes last in `happened`.
    """

    def __init__(self, caller: Conversation, server: Behaviour) -> None:
        self.number = 0
        self.queued_ns: int | None = None
        self.happened: list[Happened] = []
        self._caller = caller
        self._server = server
        self._time = VirtualTime()
        self._over = False

    @property
    def ends_ns(self) -> int:
        return self._time.now_ns

    def play(self, most_ns: int) -> None:
        """Play it to its end, or so long."""
        self._caller.open(0)
        self._server.open(0)
        self._time.wake(self)
        self._time.run(most_ns)

    # ── a party of virtual time ──────────────────────────────────────────────────────────────

    def next_due(self) -> int | None:
        """When either side has something to do; None once it is over."""
        if self._over:
            return None
        dues = (self._caller.next_due(), self._server.next_due())
        return min((due for due in dues if due is not None), default=None)

    def turn(self, now_ns: int) -> None:
        """What either side has to say by now, and what the other makes of it."""
        for said in self._caller.poll(now_ns):
            self.happened.append(said)
            if isinstance(said, Outgoing):
                self._server.receive(self._server.read(said.payload.decode()), now_ns)
        self._over = self._caller.outcome is not None
        for due in self._server.poll(now_ns):
            if not self._over:
                self._hear(due.message, now_ns)
        self._time.wake(self)

    def _hear(self, message: ServerMessage | Close | Raw, now_ns: int) -> None:
        if isinstance(message, ServerMessage):
            heard = decode_server(encode(message))
            self.happened.append(heard)
            self._caller.receive(heard, now_ns)
        else:
            self.happened.append(message)
            self._over = True
