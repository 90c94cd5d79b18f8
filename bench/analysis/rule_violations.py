"""The rules of the protocol that a run broke: which, how often, and where.

The trackers found them (`bench.tracker.protocol_checker`). Here they are counted, and a few of each
rule are shown among the messages around them.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.tables import Ints, optional, places, texts
from bench.tracker.protocol_checker import DELTAS, TYPES
from bench.tracker.protocol_rules import RULES, Violation
from bench.voice.microphone import APPEND

EXAMPLES: Final = 3
AROUND: Final = 2
"""How many messages are shown on either side of a culprit."""
_SEARCHED: Final = 500
"""How many rows on either side are looked at for them; most are chunks, which are not shown."""
_LONGEST: Final = 80


Breach = tuple[int, Violation]
"""A violation of a rule, with its session."""


class BrokenRules:
    """The rules that were broken, added a few sessions at a time."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._firsts: defaultdict[str, list[_Example]] = defaultdict(list)
        self._others: defaultdict[str, list[_Example]] = defaultdict(list)

    def __len__(self) -> int:
        """How often any was broken."""
        return self._count.total()

    def add(self, found: list[Breach], events: pd.DataFrame) -> None:
        """Breaches of sessions of which `events` has every row."""
        messages = _Messages(events) if found else None
        seen: set[tuple[str, int]] = set()
        for session, violation in found:
            rule = violation.rule
            self._count[rule] += 1
            examples = (self._others if (rule, session) in seen else self._firsts)[rule]
            seen.add((rule, session))
            if messages is not None and len(examples) < EXAMPLES:
                examples.append(messages.example(session, violation))

    def told(self, zero_ns: int) -> list[dict[str, Any]]:
        """Each in the order of `RULES`: {rule, about, count, examples}.

        An example is {session, at_s, text, events: [{at_s, direction, type, ids, note, culprit}]},
        in seconds since `zero_ns`; examples come from as many sessions as there are.
        """
        return [
            {
                "rule": rule.name,
                "about": rule.about,
                "count": self._count[rule.name],
                "examples": [
                    one.told(zero_ns)
                    for one in (self._firsts[rule.name] + self._others[rule.name])[:EXAMPLES]
                ],
            }
            for rule in RULES.values()
            if self._count[rule.name]
        ]


@dataclass
class _Message:
    """A message that is shown, or several deltas in a row as one: `at_ns` is the first's."""

    at_ns: int
    direction: str
    type: str
    ids: tuple[tuple[str, str], ...]
    audio_ms: int | None
    output_index: int | None
    content_index: int | None
    rows: list[int] = field(default_factory=list)
    audio_ns: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def note(self) -> str:
        """What else a reader wants to know of it, in a few words."""
        told = []
        if len(self.rows) > 1:
            told.append(f"{len(self.rows)} messages")
        if self.audio_ns:
            told.append(f"{self.audio_ns / 1e6:g} ms of audio")
        if self.audio_ms is not None:
            told.append(f"at {self.audio_ms} ms")
        if self.content_index:
            told.append(f"part {self.content_index}")
        if self.output_index:
            told.append(f"output {self.output_index}")
        told += self._words()
        note = ", ".join(told)
        return note if len(note) <= _LONGEST else f"{note[: _LONGEST - 1]}…"

    def _words(self) -> Iterator[str]:
        text = "".join(self.said)
        try:
            body = json.loads(text) if text.startswith("{") else None
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict) and self.type not in DELTAS:
            if self.direction == "in":
                for key in ("role", "type", "status", "reason", "code", "message", "event_id",
                            "text"):  # fmt: skip
                    if value := body.get(key):
                        yield f"{key} {value if isinstance(value, str) else json.dumps(value)}"
        elif text:
            yield repr(text)


class _Example(NamedTuple):
    """A violation among the messages around it, of which one is the culprit."""

    session: int
    at_ns: int
    text: str
    messages: list[_Message]
    culprit: _Message

    def told(self, zero_ns: int) -> dict[str, Any]:
        """The same as a reader sees it; seconds count from `zero_ns`."""
        return {
            "session": self.session,
            "at_s": (self.at_ns - zero_ns) / 1e9,
            "text": self.text,
            "events": [
                {
                    "at_s": (message.at_ns - zero_ns) / 1e9,
                    "direction": message.direction,
                    "type": message.type,
                    "ids": ", ".join(f"{what} {which}" for what, which in message.ids),
                    "note": message.note,
                    "culprit": message is self.culprit,
                }
                for message in self.messages
            ],
        }


class _Messages:
    """The messages that rules are about, to be shown around a culprit."""

    def __init__(self, events: pd.DataFrame) -> None:
        self._events = events
        self._session = events["session"].to_numpy()
        self._at_ns = events["at_ns"].to_numpy()

    def example(self, session: int, violation: Violation) -> _Example:
        near, culprit = self._near(session, violation.row)
        around = near[max(0, culprit - AROUND) : culprit + AROUND + 1]
        at_ns = int(self._at_ns[violation.row])
        return _Example(session, at_ns, violation.text, around, near[culprit])

    def _near(self, session: int, row: int) -> tuple[list[_Message], int]:
        """The messages around a row of a session, in the order of the wire; which is the row's."""
        rows = self._around(session, row)
        table = self._events.take(rows)
        near: list[_Message] = []
        streams: dict[Any, _Message] = {}
        for message, text, number, audio_ns in zip(
            _messages(table),
            texts(table["detail"]).tolist(),
            table["row"].tolist(),
            optional(table["audio_ns"]),
            strict=True,
        ):
            key = (message.type, message.ids, message.output_index, message.content_index)
            one = message
            # Deltas between two other messages are one, as they are to who reads.
            if message.type in DELTAS and message.direction == "in":
                one = streams.setdefault(key, message)
            elif message.type.startswith("response."):
                streams.clear()
            if one is message:
                near.append(one)
            one.rows.append(number)
            one.audio_ns += audio_ns or 0
            one.said.append(text)
        return near, next(place for place, one in enumerate(near) if row in one.rows)

    def _around(self, session: int, row: int) -> Ints:
        """Some rows of the session around one, of the types that rules are about, in order."""
        first, end = np.searchsorted(self._session, [session, session + 1]).tolist()
        some = np.arange(max(first, row - _SEARCHED), min(end, row + _SEARCHED + 1))
        table = self._events.take(some)
        shown = table["type"].isin(TYPES) & table["direction"].isin(["in", "out"])
        shown &= (table["type"] != APPEND) | (some == row)
        some = some[shown.to_numpy(bool)]
        order = np.argsort(places(self._events, self._events.take(some)), kind="stable")
        found: Ints = some[order]
        return found


def _messages(table: pd.DataFrame) -> Iterator[_Message]:
    """Rows as messages, without their text and audio."""
    names = {
        "response": "response_id", "item": "item_id", "call": "call_id", "after": "previous_id",
    }  # fmt: skip
    ids = [[(what, one) for one in texts(table[column])] for what, column in names.items()]
    for at_ns, direction, kind, named, audio_ms, output, content in zip(
        table["at_ns"].tolist(),
        table["direction"].astype(object).tolist(),
        table["type"].astype(object).tolist(),
        zip(*ids, strict=True),
        optional(table["audio_ms"]),
        optional(table["output_index"]),
        optional(table["content_index"]),
        strict=True,
    ):
        known = tuple((what, which) for what, which in named if which)
        yield _Message(at_ns, direction, kind, known, audio_ms, output, content)
