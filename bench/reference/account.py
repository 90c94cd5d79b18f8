"""The account that all sessions of one server belong to: what it may use, and what it uses.

A packet is one message received, from whichever session. No more of them are heard in any second
than the limit says; those beyond it are not counted, so a client that slows down is heard again.
Pure: told the time.
"""

from collections import deque

from bench.reference.profile import Limits
from bench.voice.audio import NS_PER_S


class Account:
    """Packets of the last second."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.packets_per_second
        self._heard: deque[int] = deque()

    def takes_packet(self, at_ns: int) -> bool:
        """Whether one more is within the limit now."""
        if not self._most:
            return True
        heard = self._heard
        while heard and heard[0] <= at_ns - NS_PER_S:
            heard.popleft()
        if len(heard) >= self._most:
            return False
        heard.append(at_ns)
        return True
