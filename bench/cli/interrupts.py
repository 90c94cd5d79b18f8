"""Signals that ask `bench run` to end: Ctrl-C, SIGTERM, SIGHUP (the terminal is gone).

While there is load they are counted, for sessions finish what they are saying. Everywhere else, in
start-up and while a run is sealed, they end what is under way, as a KeyboardInterrupt. Code of
others may swallow that (an import that tries one library and then another): so whoever begins to
count knows what was asked for before.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Self

_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """How often an end was asked for (`count`); `at_once`: by more than Ctrl-C."""

    def __init__(self) -> None:
        self.count = 0
        self.at_once = False
        self._counting = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _ENDS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                self._before[number] = signal.signal(number, self._on_signal)
        outer = getattr(self._before.get(signal.SIGINT), "__self__", None)
        if isinstance(outer, Interrupts):
            self.count, self.at_once = outer.count, outer.at_once
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Only count from here on: whoever asks looks at `count`."""
        self._counting = True
        try:
            yield
        finally:
            self._counting = False

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        self.at_once |= number != signal.SIGINT
        if not self._counting:
            raise KeyboardInterrupt
