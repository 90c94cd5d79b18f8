"""The rules of the protocol that a run broke: which, how often, and where.

The trackers found them (`bench.tracker.protocol_checker`). Here they are counted, and a few of each
rule are shown among the messages around them.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

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


def rules_broken(
    found: list[tuple[int, Violation]], events: pd.DataFrame, start_ns: int | None = None
) -> list[dict[str, Any]]:
    """Every rule that was broken, in the order of `RULES`: {rule, about, count, examples}.

    `found` are the violations with their sessions; `start_ns` is the zero of `at_s`, else the first
    event is. An example is {session, at_s, text, events: [{at_s, direction, type, ids, note,
    culprit}]}; examples come from as many sessions as there are.
    """
    if not found:
        return []
    zero = int(events["at_ns"].min()) if start_ns is None else start_ns
    broken: defaultdict[str, list[tuple[int, Violation]]] = defaultdict(list)
    for session, violation in found:
        broken[violation.rule].append((session, violation))
    messages = _Messages(events)
    return [
        {
            "rule": rule.name,
            "about": rule.about,
            "count": len(broken[rule.name]),
            "examples": [
                messages.example(session, violation, zero)
                for session, violation in _examples(broken[rule.name])
            ],
        }
        for rule in RULES.values()
        if rule.name in broken
    ]


def _examples(found: list[tuple[int, Violation]]) -> list[tuple[int, Violation]]:
    """The first of each session, then the rest."""
    seen: set[int] = set()
    firsts: list[tuple[int, Violation]] = []
    others: list[tuple[int, Violation]] = []
    for session, violation in found:
        (others if session in seen else firsts).append((session, violation))
        seen.add(session)
    return (firsts + others)[:EXAMPLES]


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


class _Messages:
    """The messages of a run that rules are about, to be shown around a culprit."""

    def __init__(self, events: pd.DataFrame) -> None:
        self._events = events
        self._session = events["session"].to_numpy()
        self._at_ns = events["at_ns"].to_numpy()

    def example(self, session: int, violation: Violation, zero: int) -> dict[str, Any]:
        """A violation as a reader sees it; seconds count from `zero`."""
        near, culprit = self._near(session, violation.row)
        begin, end = max(0, culprit - AROUND), culprit + AROUND + 1
        return {
            "session": session,
            "at_s": (self._at_ns[violation.row] - zero) / 1e9,
            "text": violation.text,
            "events": [
                {
                    "at_s": (message.at_ns - zero) / 1e9,
                    "direction": message.direction,
                    "type": message.type,
                    "ids": ", ".join(f"{what} {which}" for what, which in message.ids),
                    "note": message.note,
                    "culprit": number == culprit,
                }
                for number, message in enumerate(near[begin:end], begin)
            ],
        }

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
