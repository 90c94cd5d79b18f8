"""What the caller asked for and the server acknowledged, each with each.

Theory of operation
-------------------
Messages that ask for one answer (`ACKS`) are answered in their order: first in, first out, and
where the answer names an item, in the order of that item. An error that names the event_id of a
request answers it instead. What comes while nothing is open (a session.updated of the server's own
accord, items that it made itself) acknowledges nothing.
"""

from collections import deque
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.tables import (
    Flags,
    Floats,
    Ints,
    bodies,
    codes,
    dig,
    of_type,
    parsed,
    places,
    sent_ns,
)


class Ack(NamedTuple):
    """A message of the caller and the server's answer to it; `key`: what tells two apart."""

    request: str
    answers: tuple[str, ...]
    key: str = ""


ACKS: Final = {
    "update_ack": Ack("session.update", ("session.updated",)),
    "item_ack": Ack(
        "conversation.item.create", ("conversation.item.added", "conversation.item.created"), "made"
    ),
    "retrieve_ack": Ack("conversation.item.retrieve", ("conversation.item.retrieved",), "item"),
    "delete_ack": Ack("conversation.item.delete", ("conversation.item.deleted",), "item"),
    "clear_ack": Ack("input_audio_buffer.clear", ("input_audio_buffer.cleared",)),
}
"""By metric; what an `item` is named by, and one that the caller `made` by its id or its kind."""

_SERVER_MADE: Final = (
    "input_audio_buffer.speech_started", "input_audio_buffer.committed",
    "input_audio_buffer.timeout_triggered", "response.output_item.added",
)  # fmt: skip


def acknowledged(events: pd.DataFrame, ack: Ack) -> pd.DataFrame:
    """One row per request: `session`, `sent_ns`, `place`, `detail`, `refused`, and its answer.

    `answer_row` and `answered_ns` are NA where none came.
    """
    rows = of_type(events, ack.request, direction="out").reset_index(drop=True)
    table = pd.DataFrame(
        {
            "session": rows["session"].to_numpy(),
            "sent_ns": sent_ns(rows),
            "place": places(events, rows),
            "detail": rows["detail"].astype(object),
            "refused": refused(events, rows),
        }
    )
    table["answer_row"] = pd.Series(pd.NA, table.index, "Int64")
    table["answered_ns"] = pd.Series(pd.NA, table.index, "Int64")
    if rows.empty:
        return table
    answers = of_type(events, *ack.answers)
    answers = answers[np.isin(answers["session"].to_numpy(), table["session"].unique())]
    if len(answers):
        asked, said = _keys(events, ack, rows, answers)
        answers = said.drop_duplicates(["session", "item"]) if ack.key == "made" else said
        open_ = table.assign(key=asked)[~table["refused"]]
        found = pair(open_, answers.assign(place=2 * answers["row"]))
        at = open_.index[found >= 0]
        for column, source in (("answer_row", "row"), ("answered_ns", "at_ns")):
            table.loc[at, column] = answers[source].to_numpy()[found[found >= 0]]
    return table


def _keys(
    events: pd.DataFrame, ack: Ack, requests: pd.DataFrame, answers: pd.DataFrame
) -> tuple[list[Any], pd.DataFrame]:
    """What tells requests apart, and `answers` with `item` and their own `key`."""
    asked = codes(requests["item_id"]).tolist()
    answers = answers.assign(item=codes(answers["item_id"]))
    if ack.key != "made":
        none = not ack.key
        return [0] * len(asked) if none else asked, answers.assign(key=0 if none else answers.item)
    given = set(zip(requests["session"], asked, strict=True))
    kinds = [_kind(dig(body, "item")) for body in bodies(requests)]
    key = [item if item >= 0 else kind for item, kind in zip(asked, kinds, strict=True)]
    made = of_type(events, *_SERVER_MADE)
    theirs = set(zip(made["session"], codes(made["item_id"]), strict=True)) - given
    named = list(zip(answers["session"], answers["item"], strict=True))
    answers = answers[[place not in theirs for place in named]]
    own = [
        item if (session, item) in given else _kind(body)
        for session, item, body in zip(
            answers["session"], answers["item"], bodies(answers), strict=True
        )
    ]
    return key, answers.assign(key=pd.Series(own, answers.index, object))


def _kind(item: Any) -> tuple[Any, Any]:
    return (item.get("type"), item.get("role")) if isinstance(item, dict) else (None, None)


def pair(requests: pd.DataFrame, answers: pd.DataFrame) -> Ints:
    """For each request the position of its answer, -1: none.

    Both have `session`, `key` and `place`; an answer takes the oldest open request of its key.
    """
    count = len(requests)
    found = np.full(count, -1, np.int64)
    place = np.concatenate([requests["place"].to_numpy(), answers["place"].to_numpy()])
    keys = [
        *zip(requests["session"], requests["key"], strict=True),
        *zip(answers["session"], answers["key"], strict=True),
    ]
    waiting: dict[Any, deque[int]] = {}
    for index in np.argsort(place, kind="stable").tolist():
        queue = waiting.setdefault(keys[index], deque())
        if index < count:
            queue.append(index)
        elif queue:
            found[queue.popleft()] = index - count
    return found


def refused(events: pd.DataFrame, rows: pd.DataFrame) -> Flags:
    """Which sent messages an error names by their event_id."""
    named = refusals(events) if len(rows) else set()
    if not named:
        return np.zeros(len(rows), bool)
    ids = (body.get("event_id") for body in bodies(rows))
    pairs = zip(rows["session"], ids, strict=True)
    return np.fromiter((place in named for place in pairs), bool, len(rows))


def refusals(events: pd.DataFrame) -> set[tuple[int, str]]:
    """(session, event_id) of every message that an error names."""
    errors = of_type(events, "error")
    named = parsed(errors, "event_id")["event_id"]
    return {
        (session, name)
        for session, name in zip(errors["session"], named, strict=True)
        if isinstance(name, str)
    }


def ack_samples(events: pd.DataFrame, begin: int, stop: int) -> dict[str, tuple[Floats, Ints]]:
    """(ms, session) of every acknowledgement of a request sent in [begin, stop), by metric."""
    samples = {}
    for name, ack in ACKS.items():
        rows = acknowledged(events, ack)
        sent = rows["sent_ns"].to_numpy()
        rows = rows[(sent >= begin) & (sent < stop) & rows["answered_ns"].notna().to_numpy()]
        waited = (rows["answered_ns"] - rows["sent_ns"]).to_numpy(np.int64)
        samples[name] = (waited / 1e6, rows["session"].to_numpy(np.int64))
    return samples
