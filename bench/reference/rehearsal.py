"""A session played dry: a caller and a server side in one process, in virtual time.

Theory of operation
-------------------
The caller is the conversation that a run plays, the server side the session that the embedded
server plays, and what one says the other hears at that instant, through the codec as on a wire.
There is no socket and nobody waits: time leaps from one due instant to the next, so half a minute
of talk takes as long as computing it does.
"""

from bench.protocol.codec import UnknownMessage, decode_server, encode
from bench.protocol.server import ServerMessage
from bench.reference.schedule import Close, Raw
from bench.reference.served_session import ServedSession
from bench.voice.conversation import Conversation
from bench.voice.outbox import Note, Outgoing

Happened = Note | Outgoing | ServerMessage | UnknownMessage | Close | Raw


class Rehearsal:
    """One session. `happened` is what either side did, in order; `ends_ns` is its length so far.

    A server that closes, or sends what is no message, ends it: that comes last in `happened`.
    """

    def __init__(self, caller: Conversation, server: ServedSession) -> None:
        self.happened: list[Happened] = []
        self.ends_ns = 0
        self._caller = caller
        self._server = server
        self._over = False

    def play(self, most_ns: int) -> None:
        """Play the session to its end, or for at most `most_ns`."""
        self._caller.open(0)
        self._server.open(0)
        while not self._over:
            dues = (self._caller.next_due(), self._server.next_due())
            due = min((due for due in dues if due is not None), default=None)
            if due is None or due > most_ns:
                return
            self.ends_ns = max(self.ends_ns, due)
            self._turn(self.ends_ns)

    def _turn(self, now_ns: int) -> None:
        """Let each side say what is due by now and the other hear it."""
        for said in self._caller.poll(now_ns):
            self.happened.append(said)
            if isinstance(said, Outgoing):
                self._server.receive(self._server.read(said.payload.decode()), now_ns)
        self._over = self._caller.outcome is not None
        for due in self._server.poll(now_ns):
            if not self._over:
                self._hear(due.message, now_ns)

    def _hear(self, message: ServerMessage | Close | Raw, now_ns: int) -> None:
        if isinstance(message, ServerMessage):
            heard = decode_server(encode(message))
            self.happened.append(heard)
            self._caller.receive(heard, now_ns)
        else:
            self.happened.append(message)
            self._over = True
