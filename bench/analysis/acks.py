"""What the caller asked for and the server acknowledged, each with each.

Theory of operation
-------------------
Messages that ask for one answer (`ACKS`) are answered in their order: first in, first out, and
where the answer names an item, in the order of that item. What comes while nothing is open (a
session.updated of the server's own accord, items that it made itself) acknowledges nothing.

One request without an answer must not shift all that follow. An error that names the event_id of a
request answers it. One that names nothing answers the newest that is open, whatever it is; races
and `ALREADY_ACTIVE` are about none. And whoever asked again has given up: an answer that comes more
than `PATIENCE_NS` after a request is not its own where the same was asked for later.

A request that nothing answered was waited for until its session's end, where that was seen.
"""

from collections import deque
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.bars import Bars
from bench.analysis.sessions import WHOLE
from bench.analysis.tables import (
    NEVER,
    Flags,
    Floats,
    Ints,
    bodies,
    codes,
    dig,
    integers,
    nullable,
    of_type,
    parsed,
    places,
    sent_ns,
)
from bench.plan.metrics import METRICS
from bench.stats.quantile import Sample
from bench.voice.conversation import ALREADY_ACTIVE, BENIGN

PATIENCE_NS: Final = 10_000_000_000
"""How long callers wait for one answer before they ask again (the scenario's answer_timeout)."""


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
    "truncate_ack": Ack("conversation.item.truncate", ("conversation.item.truncated",), "item"),
}
"""By metric; what an `item` is named by, and one that the caller `made` by its id or its kind."""

_SERVER_MADE: Final = (
    "input_audio_buffer.speech_started", "input_audio_buffer.committed",
    "input_audio_buffer.timeout_triggered", "response.output_item.added",
)  # fmt: skip


def acknowledgements(events: pd.DataFrame) -> pd.DataFrame:
    """One row per request of `ACKS`: `metric`, `session`, `sent_ns`, `place`, `detail`, `refused`.

    `answer_row` and `answered_ns` are of its answer, NA where none came. `refused`: an error
    answered it; `named`: and said so.
    """
    pairs = [_asked_and_said(events, name, ack) for name, ack in ACKS.items()]
    requests = pd.concat([asked for asked, _ in pairs], ignore_index=True)
    answers = pd.concat([said for _, said in pairs], ignore_index=True)
    open_ = np.flatnonzero(~requests["refused"])
    found, closed = _paired(requests.iloc[open_], answers, _about_nothing(events))
    refused_too = requests["refused"].to_numpy(bool).copy()
    refused_too[open_[closed]] = True
    answer = np.full(len(requests), -1, np.int64)
    answer[open_] = found
    for column, source in (("answer_row", "row"), ("answered_ns", "at_ns")):
        values = np.append(answers[source].to_numpy(np.int64), 0)[answer]
        requests[column] = nullable(values, answer >= 0)
    named = requests["refused"]
    return requests.assign(named=named, refused=refused_too).drop(columns="key")


def _asked_and_said(events: pd.DataFrame, name: str, ack: Ack) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Requests of one kind, and what may answer them, both with their `key`."""
    rows = of_type(events, ack.request, direction="out").reset_index(drop=True)
    answers = of_type(events, *ack.answers)
    answers = answers[np.isin(answers["session"].to_numpy(), rows["session"].unique())]
    asked, said = _keys(events, ack, rows, answers)
    if ack.key == "made":
        said = said.drop_duplicates(["session", "item"])
    requests = pd.DataFrame(
        {
            "metric": np.full(len(rows), name, object),
            "session": rows["session"].to_numpy(np.int64),
            "sent_ns": sent_ns(rows),
            "place": places(events, rows),
            "detail": rows["detail"].astype(object),
            "refused": refused(events, rows),
            "key": _keyed(name, asked),
        }
    )
    return requests, pd.DataFrame(
        {
            "session": said["session"].to_numpy(np.int64),
            "row": said["row"].to_numpy(np.int64),
            "at_ns": said["at_ns"].to_numpy(np.int64),
            "place": 2 * said["row"].to_numpy(np.int64),
            "key": _keyed(name, said["key"].tolist()),
        }
    )


def _keyed(name: str, keys: list[Any]) -> pd.Series:
    return pd.Series([(name, key) for key in keys], dtype=object)


def _about_nothing(events: pd.DataFrame) -> pd.DataFrame:
    """Errors that name no message and may be about any: `session`, `at_ns`, `place`."""
    rows = of_type(events, "error")
    said = parsed(rows, "code", "event_id")
    nameless = ~said["event_id"].map(lambda name: isinstance(name, str) and name != "").astype(bool)
    rows = rows[(nameless & ~said["code"].isin((*BENIGN, ALREADY_ACTIVE))).to_numpy(bool)]
    return rows[["session", "at_ns"]].assign(place=2 * rows["row"])


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
    answers = answers[np.fromiter((place not in theirs for place in named), bool, len(named))]
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

    Both have `session`, `key` and `place`, requests `sent_ns`, answers `at_ns`.
    """
    return _paired(requests, answers, answers.iloc[:0])[0]


def _paired(
    requests: pd.DataFrame, answers: pd.DataFrame, errors: pd.DataFrame
) -> tuple[Ints, Flags]:
    """`pair`, and which requests one of the `errors` (`session`, `place`, `at_ns`) answered."""
    count, said = len(requests), len(requests) + len(answers)
    found, closed = np.full(count, -1, np.int64), np.zeros(count, bool)
    place = np.concatenate([table["place"].to_numpy() for table in (requests, answers, errors)])
    at = [*requests["sent_ns"].tolist(), *answers["at_ns"].tolist(), *errors["at_ns"].tolist()]
    session = [*requests["session"].tolist(), *answers["session"], *errors["session"]]
    key: list[Any] = [*requests["key"].tolist(), *answers["key"].tolist()]
    waiting: dict[Any, deque[int]] = {}
    sent: dict[int, list[int]] = {}
    for index in np.argsort(place, kind="stable").tolist():
        mine = sent.setdefault(session[index], [])
        if index < said:
            queue = waiting.setdefault((session[index], key[index]), deque())
        if index < count:
            queue.append(index)
            mine.append(index)
        elif index < said:
            while len(queue) > 1 and at[index] - at[queue[0]] > PATIENCE_NS:
                queue.popleft()
            if queue:
                found[queue.popleft()] = index - count
        else:
            while mine and found[mine[-1]] >= 0:
                mine.pop()
            if mine and at[index] - at[mine[-1]] <= PATIENCE_NS:
                newest = mine.pop()
                closed[newest] = True
                waiting[session[newest], key[newest]].remove(newest)
    return found, closed


def in_vain(acks: pd.DataFrame, sessions: pd.DataFrame) -> pd.Series:
    """Until when (ns) each request waited for an answer that never came; NA where it did not.

    `sessions` are by number. In one whose end was not seen nobody knows what would have come, and
    in one that talks without ever saying session.updated nobody waits for that.
    """
    whole = acks["session"].map(sessions["outcome"].isin(WHOLE)).astype("boolean")
    mute = sessions["ready_ns"].isna() & sessions["opened_ns"].notna()
    unsaid = acks["session"].map(mute).fillna(value=False).astype(bool)
    whole &= ~(unsaid & (acks["metric"] == "update_ack"))
    waited = acks["answered_ns"].isna() & ~acks["refused"] & whole.fillna(value=False)
    return acks["session"].map(sessions["ended_ns"]).astype("Int64").where(waited)


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


def ack_widths(acks: pd.DataFrame, bars: Bars) -> dict[str, Floats]:
    """How wide the error bars of answered requests are, ms, by metric."""
    known = acks[acks["answered_ns"].notna()]
    session, sent = known["session"].to_numpy(np.int64), known["sent_ns"].to_numpy(np.int64)
    answered = integers(known["answered_ns"], 0)
    less = bars.of(session, answered).less + bars.of(session, sent).more
    # An answer that is stamped before its request is out of order already.
    less = np.where(answered >= sent, np.minimum(less, answered - sent), less)
    return {name: less[(known["metric"] == name).to_numpy(bool)] / 1e6 for name in ACKS}


def ack_samples(
    acks: pd.DataFrame, sessions: pd.DataFrame, begin: int, stop: int
) -> dict[str, Sample]:
    """Waits (ms) for the acknowledgement of requests sent in [begin, stop), by metric.

    One that never came is censored. `sessions` are by number.
    """
    vain = in_vain(acks, sessions)
    until = integers(acks["answered_ns"].fillna(vain), NEVER)
    sent = acks["sent_ns"].to_numpy()
    waited = (sent >= begin) & (sent < stop) & (until != NEVER)
    samples = {}
    for name in ACKS:
        if METRICS[name].of == "event":
            mine = waited & (acks["metric"] == name).to_numpy(bool)
            samples[name] = Sample(
                (until[mine] - sent[mine]) / 1e6,
                vain.notna().to_numpy(bool)[mine],
                acks["session"].to_numpy(np.intp)[mine],
            )
    return samples
