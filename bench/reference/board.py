"""What the sessions of one server said last: all there is to leak from one to another.

A server that keeps its sessions apart has no such thing. This one has, so that a seeded share of
responses can be given words that belong to somebody else. Pure: it knows numbers and words.
"""

from typing import Final

MOST_KEPT: Final = 256


class Board:
    """The last words of each session, the latest 256 sessions."""

    def __init__(self) -> None:
        self._words: dict[int, str] = {}

    def write(self, number: int, words: str) -> None:
        """Session `number` said this; nothing is no words."""
        if not words:
            return
        self._words.pop(number, None)
        self._words[number] = words
        if len(self._words) > MOST_KEPT:
            del self._words[next(iter(self._words))]

    def words_of_another(self, number: int) -> str:
        """What was said last by any session but this one, and not by this one too; "" for none."""
        mine = self._words.get(number)
        others = ((who, words) for who, words in reversed(self._words.items()) if words != mine)
        return next((words for who, words in others if who != number), "")
