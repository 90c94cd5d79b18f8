"""Time that leaps from one due instant to the next, as trio's mock clock does: nobody waits.

Theory of operation
-------------------
Two heaps. What is *later* is a function to call at an instant. A *party* is a machine that itself
says when it is next due; whoever has changed one says so (`wake`), and it is run when its instant
has come. At one instant everything later comes first, in the order in which it was put there, then
parties by their number. So what is played here is the same every time, and costs what it computes.
"""

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol


class Party(Protocol):
    """A machine in virtual time. `queued_ns` belongs to the time: for when it has the party."""

    number: int
    queued_ns: int | None

    def next_due(self) -> int | None:
        """The instant of its next turn; None: only somebody else's doing can make one due."""

    def turn(self, now_ns: int) -> None:
        """Everything that is due by now."""


class VirtualTime:
    """The time of one world: `now_ns` is its only clock."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._later: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._due: list[tuple[int, int, int, Party]] = []
        self._order = count()

    def later(self, at_ns: int, act: Callable[..., object], *arguments: Any) -> None:
        """Do so at that instant."""
        heapq.heappush(self._later, (at_ns, next(self._order), act, arguments))

    def wake(self, party: Party) -> None:
        """Something has happened to a party: look when it wants its next turn."""
        due_ns = party.next_due()
        if due_ns is not None and due_ns != party.queued_ns:
            heapq.heappush(self._due, (due_ns, party.number, next(self._order), party))
        party.queued_ns = due_ns

    def run(self, until_ns: int) -> None:
        """Let time leap until nothing is due by `until_ns` any more."""
        while (soonest := self._soonest()) is not None and soonest <= until_ns:
            self.now_ns = max(self.now_ns, soonest)
            while self._later and self._later[0][0] <= self.now_ns:
                _, _, act, arguments = heapq.heappop(self._later)
                act(*arguments)
            while self._due and self._due[0][0] <= self.now_ns:
                due_ns, _, _, party = heapq.heappop(self._due)
                if party.queued_ns == due_ns:  # else it has changed its mind since
                    party.queued_ns = None
                    party.turn(self.now_ns)

    def end(self) -> None:
        """Nothing is due any more."""
        self._later.clear()
        self._due.clear()

    def _soonest(self) -> int | None:
        return min((heap[0][0] for heap in (self._later, self._due) if heap), default=None)
