"""Standard streams that may break: a reader who has seen enough, a full disk, a closed descriptor.

What becomes of an answer changes neither a verdict nor an exit code: a stream that takes no more is
told of once, on the other, and what is printed from then on goes nowhere. What its encoding has not
is written out.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Stream:
    """A text stream that takes whatever is written, for ever. `on_lost` is told why it is lost."""

    def __init__(self, stream: Any, on_lost: Callable[[Exception], None] = lambda _: None) -> None:
        self._stream = stream
        self._on_lost = on_lost
        self._lost = False
        with suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        self._try(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, act: Callable[[], object]) -> None:
        if self._lost:
            return
        try:
            act()
        except (OSError, ValueError) as error:  # ValueError: it is closed
            self._lost = True
            self._empty()
            self._on_lost(error)

    def _empty(self) -> None:
        """What waits in the stream goes nowhere, and not into Python's own last flush."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def unbreakable(on_lost: Callable[[Exception], None]) -> Iterator[None]:
    """Standard streams that never raise; `on_lost` is told why stdout takes no more.

    A descriptor that is closed is opened on nothing: else the next file would be in its place, and
    be printed into.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    before = sys.stdout, sys.stderr
    sys.stdout = Stream(before[0] or _nowhere(), on_lost)
    sys.stderr = Stream(before[1] or _nowhere())
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _nowhere() -> Any:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - for as long as we live
