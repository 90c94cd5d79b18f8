"""Bytes on their way out of a socket that may take fewer than it is given."""

import socket
from collections import deque
from time import monotonic_ns

from bench.load.wire_events import Sent, WireEvent
from bench.voice.outbox import Outgoing

WOULD_BLOCK = (BlockingIOError, InterruptedError)
"""What a non-blocking socket raises that can do no more now."""


class SendQueue:
    """Pieces in order, each with the message that is sent once it is, if any.

    `pieces` wait, each with its message; `pushed` and `sent` count bytes.
    """

    __slots__ = ("_socket", "pieces", "pushed", "sent")

    def __init__(self, to: socket.socket) -> None:
        self._socket = to
        self.pieces: deque[tuple[memoryview, Outgoing | None]] = deque()
        self.pushed = self.sent = 0

    def push(self, piece: bytes, message: Outgoing | None) -> None:
        """Queue a piece."""
        self.pushed += len(piece)
        self.pieces.append((memoryview(piece), message))

    def write(self, happened: list[WireEvent]) -> None:
        """Send what the socket will take, and tell what was sent. OSError: the peer is gone."""
        while self.pieces:
            piece, message = self.pieces[0]
            before_ns = monotonic_ns()
            try:
                sent = self._socket.send(piece)
            except WOULD_BLOCK:
                return
            self.sent += sent
            if sent < len(piece):
                self.pieces[0] = (piece[sent:], message)
                continue
            self.pieces.popleft()
            if message is not None:
                happened.append(Sent(message, before_ns, monotonic_ns()))

    def clear(self) -> None:
        """Nothing more is to be sent."""
        self.pieces.clear()
