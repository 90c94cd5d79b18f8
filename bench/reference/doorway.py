"""One connection's way in: HTTP that asks for no WebSocket is answered here.

Theory of operation
-------------------
The WebSocket library reads upgrades and drops what else it cannot read, a POST with a body for one.
So the first bytes are held until the head of the request is whole: an upgrade goes on to the
library as it came, anything else is answered (`bench.reference.plain_http`): a scrape of
`/metrics` with the text that `with_metrics` was given a maker of. The rest of its body
is read past before the connection is closed, for at most 2 s, as a close with bytes unread would
cost the peer the answer.
"""

from collections.abc import Callable
from typing import Final, Literal

from websockets.asyncio.server import ServerConnection

from bench.reference.plain_http import MOST_HEAD, Answer, early_answer, head_end, plain_answer

_LINGER_S: Final = 2.0


class Doorway(ServerConnection):
    """A connection of the library that answers plain HTTP itself. Made by `with_metrics` only."""

    metrics: Callable[[], bytes]
    _way: Literal["outside", "in", "answered"] = "outside"
    _head = b""
    _unread: int | None = None  # of the body of a request that was answered

    @classmethod
    def with_metrics(cls, metrics: Callable[[], bytes]) -> "type[Doorway]":
        """The way into a server that says of itself what `metrics` gives, whenever it is asked."""
        return type(cls.__name__, (cls,), {"metrics": staticmethod(metrics)})

    def data_received(self, data: bytes) -> None:
        if self._way == "in":
            super().data_received(data)
        elif self._way == "answered":
            self._read_past(len(data))
        else:
            self._first(data)

    def _first(self, data: bytes) -> None:
        """Bytes before it is known what the peer wants."""
        self._head += data
        end = head_end(self._head[:MOST_HEAD])
        if end is None:
            answer = early_answer(self._head)
        else:
            answer = plain_answer(self._head[:end], self.metrics)
        if answer is not None:
            self._answer(answer, len(self._head) - (end or 0))
        elif end is not None:
            whole, self._head, self._way = self._head, b"", "in"
            super().data_received(whole)

    def _answer(self, answer: Answer, of_body: int) -> None:
        self._way, self._head, self._unread = "answered", b"", answer.body_bytes
        self.transport.write(answer.response)
        self.loop.call_later(_LINGER_S, self.transport.abort)
        self._read_past(of_body)

    def _read_past(self, count: int) -> None:
        """So much of the body has come; the connection is closed after the last of it."""
        if self._unread is None:
            return
        self._unread -= count
        if self._unread <= 0:
            self.transport.close()
