"""What one session will say and when: a heap of steps to take, and a list of messages due.

Theory of operation
-------------------
A step is a function to call at an instant; called, it may say messages (due at that very instant)
and put further steps on the heap. Steps of one instant run in the order in which they were put
there. Steps have an owner, a response say, so that all its future can be dropped at once.

The schedule's clock only goes forward, and stands exactly at an instant while its steps run:
hence a message's `due_ns` is what was scheduled, whenever somebody looks.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple

from bench.protocol.server import ServerMessage
from bench.reference.message_variants import Variants


class Raw(NamedTuple):
    """A frame that is no message: text as `str`, binary as `bytes`."""

    payload: str | bytes


class Close(NamedTuple):
    """The connection ends here, with this code and reason; 1006 means without a word."""

    code: int
    reason: str = ""


class Due(NamedTuple):
    """Something to send, when, and what made it due (`vad`, `client`, `response` …)."""

    due_ns: int
    message: ServerMessage | Raw | Close
    cause: str


class _Step(NamedTuple):
    due_ns: int
    order: int
    owner: str
    act: Callable[[], None]


class Schedule:
    """The future of one session. `prefix` makes its event ids unlike those of other sessions.

    `variants` says what is said in place of each message.
    """

    def __init__(self, prefix: str, variants: Variants | None = None) -> None:
        self.now_ns = 0
        self.closed = False
        self.silent = False
        self._prefix = prefix
        self._variants = variants
        self._steps: list[_Step] = []
        self._said: list[Due] = []
        self._order = count()
        self._event = count(1)

    def at(self, due_ns: int, owner: str, act: Callable[[], None]) -> None:
        """Call `act` at `due_ns`, or as soon as possible if that has passed."""
        heappush(self._steps, _Step(max(due_ns, self.now_ns), next(self._order), owner, act))

    def drop(self, owner: str) -> None:
        """Forget every step of this owner."""
        self._steps = [step for step in self._steps if step.owner != owner]
        heapify(self._steps)

    def say(self, message: ServerMessage | Raw | Close, cause: str) -> None:
        """Make a message due now. Once closed or silent, nothing is said."""
        if self.closed or self.silent:
            return
        if isinstance(message, ServerMessage):
            for said in (message,) if self._variants is None else self._variants(message):
                said.event_id = f"{self._prefix}_{next(self._event)}"
                self._said.append(Due(self.now_ns, said, cause))
            return
        self._said.append(Due(self.now_ns, message, cause))
        if isinstance(message, Close):
            self.closed = True
            self._steps.clear()

    def advance(self, to_ns: int) -> None:
        """Take every step that is due by `to_ns`, each at its own instant."""
        while self._steps and self._steps[0].due_ns <= to_ns:
            step = heappop(self._steps)
            self.now_ns = step.due_ns
            step.act()
        self.now_ns = max(self.now_ns, to_ns)

    def take(self) -> list[Due]:
        """Return what was said since the last call, in order."""
        said, self._said = self._said, []
        return said

    def next_due(self) -> int | None:
        """The next instant at which something may be due; None for never."""
        if self._said:
            return self._said[0].due_ns
        return self._steps[0].due_ns if self._steps else None
