"""The exchange before a caller may speak: session.created, session.update, session.updated.

Theory of operation
-------------------
session.created is answered with session.update. A server that greets late (`UNGREETED_NS`) may have
missed an update that did not wait for it, and is sent it again. Some servers answer with
session.created once more, or with nothing: then the session is ready with that, or after
`UNANSWERED_NS`. One that says nothing at all is given up after `GREETING_TIMEOUT_NS`.
"""

from typing import Final

from bench.voice.audio import NS_PER_S

GREETING_TIMEOUT_NS: Final = 10 * NS_PER_S
"""How long a server may take from upgrade to session.updated: what OpenClaw allows live."""
UNGREETED_NS: Final = 2 * NS_PER_S
"""After this long without session.created, session.update is sent all the same (older servers)."""
UNANSWERED_NS: Final = 5 * NS_PER_S
"""After this long without session.updated a server that has said something is talked to all the
same: recorded servers take 70 ms, and some never say it."""


class SessionSetup:
    """How far the exchange is. Instants are ns; None: not yet.

    opened_ns:   the connection was established
    updated_ns:  session.update was sent last
    spoken_ns:   the server said anything
    """

    __slots__ = ("_early", "opened_ns", "spoken_ns", "updated_ns")

    def __init__(self) -> None:
        self.opened_ns: int | None = None
        self.updated_ns: int | None = None
        self.spoken_ns: int | None = None
        self._early = False

    def due_ns(self) -> int | None:
        """When something is to be done about a server that has not answered yet."""
        if self.opened_ns is None:
            return None
        if self.updated_ns is None:
            return self.opened_ns + UNGREETED_NS
        if self.spoken_ns is None:
            return self.opened_ns + GREETING_TIMEOUT_NS
        return max(self.updated_ns + UNANSWERED_NS, self.spoken_ns)

    def update_early(self) -> None:
        """session.update is sent without having been greeted."""
        self._early = True

    def created(self) -> bool:
        """session.created came: whether session.update is to be sent; else it is the answer."""
        wanted = self.updated_ns is None or self._early
        self._early = False
        return wanted
