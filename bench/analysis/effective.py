"""What the server said each session is, and when: its own word, else what was asked for.

Theory of operation
-------------------
`session.created` and `session.updated` carry the whole session; where one leaves a thing out, what
was last said of it holds. What matters at a row is the last word before it. A session of which
nothing is known is taken for the usual one: the server listens (VAD), answers by itself, and may
speak. What session.updated leaves out is as the last session.update before it asked: not every
server says what it has taken.

Flat keys of the beta (`turn_detection`, `modalities` at the top) are read too.
"""

import json
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.acks import refused
from bench.analysis.tables import (
    MISSING,
    Ints,
    bodies,
    dig,
    latest,
    milliseconds,
    of_type,
    places,
)


class State(NamedTuple):
    """What is in force. `None`: the server never said.

    told:        it said something of turn detection at all
    vad:         somebody on the server's side decides when a turn is over (not manual mode)
    answers:     it answers by itself, without response.create
    interrupts:  it falls silent when somebody speaks
    padding_ns:  prefix padding
    modalities:  of its output
    responsive:  it may fill the wait with fillers (providerData.responsiveness)
    """

    told: bool = False
    vad: bool = True
    answers: bool = True
    interrupts: bool = True
    padding_ns: int | None = None
    modalities: tuple[str, ...] | None = None
    responsive: bool = False

    @property
    def textual(self) -> bool:
        """It answers in text and never aloud."""
        return self.modalities is not None and "audio" not in self.modalities


USUAL: Final = State()
_FLAGS: Final = ("told", "vad", "answers", "interrupts", "responsive")
_RESPONSIVE: Final = ("providerData", "responsiveness", "enabled")


class Effective:
    """Every word of the servers: `session`, `row`, `states` and whole `bodies`, in order."""

    def __init__(self, events: pd.DataFrame) -> None:
        rows = of_type(events, "session.created", "session.updated")
        self.session, self.row = rows["session"].to_numpy(), rows["row"].to_numpy()
        self.updated = (rows["type"] == "session.updated").to_numpy(bool)
        self.bodies = bodies(rows)
        self.states: list[State] = []
        known: dict[tuple[str, State], State] = {}
        asked = _asked(events, self.session, self.row)
        for index, body in enumerate(self.bodies):
            new = index == 0 or self.session[index] != self.session[index - 1]
            before = USUAL if new else self.states[-1]
            if self.updated[index]:
                before = _state({**asked[index], "providerData": None}, before, known)
            if "providerData" not in body:
                body = {**body, "providerData": asked[index].get("providerData", {})}  # noqa: PLW2901
            self.states.append(_state(body, before, known))

    def find(self, session: Ints, row: Ints) -> Ints:
        """Which word is in force at each row; -1: nothing was said before it."""
        return latest(session, row, self.session, self.row).astype(np.int64)

    def at(self, session: Ints, row: Ints) -> pd.DataFrame:
        """What is in force at each row: a column per field of `State`, and `textual`."""
        words = [*self.states, USUAL]
        table = pd.DataFrame(
            [(*state, state.textual) for state in words], columns=[*State._fields, "textual"]
        ).astype({**dict.fromkeys(_FLAGS, bool), "padding_ns": "Int64"})
        return table.take(self.find(session, row)).reset_index(drop=True)


def _asked(events: pd.DataFrame, session: Ints, row: Ints) -> list[dict[str, Any]]:
    """The session that the caller last asked for before each word of the server; {}: none."""
    asks = of_type(events, "session.update", direction="out")
    asks = asks[~refused(events, asks)]
    last = latest(session, 2 * row, asks["session"].to_numpy(), places(events, asks))
    told = [dig(body, "session") for body in bodies(asks)]
    told = [one if isinstance(one, dict) else {} for one in told]
    return [told[index] if index >= 0 else {} for index in last]


def _state(body: dict[str, Any], before: State, known: dict[tuple[str, State], State]) -> State:
    """`before`, with what `body` says. What many sessions are told alike is read once."""
    parts = [
        _first(body, ("audio", "input", "turn_detection"), ("turn_detection",)),
        _first(body, ("output_modalities",), ("modalities",)),
        dig(body, *_RESPONSIVE),
    ]
    key = (json.dumps([part if part is not MISSING else "…" for part in parts]), before)
    if key not in known:
        known[key] = _changed(before, *parts)
    return known[key]


def _changed(before: State, detection: Any, modalities: Any, responsive: Any) -> State:
    state = before
    if detection is None:
        state = state._replace(
            told=True, vad=False, answers=False, interrupts=False, padding_ns=None
        )
    elif isinstance(detection, dict):
        state = state._replace(
            told=True,
            vad=True,
            answers=detection.get("create_response") is not False,
            interrupts=detection.get("interrupt_response") is not False,
            padding_ns=milliseconds(detection.get("prefix_padding_ms")),
        )
    if isinstance(modalities, list):
        state = state._replace(modalities=tuple(map(str, modalities)))
    if responsive is not MISSING:
        state = state._replace(responsive=responsive is True)
    return state


def _first(body: dict[str, Any], *paths: tuple[str, ...]) -> Any:
    return next((found for path in paths if (found := dig(body, *path)) is not MISSING), MISSING)
