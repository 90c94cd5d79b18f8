"""The protocol's grammar over a whole run: which rules were broken, how often, and where.

Theory of operation
-------------------
`bench.protocol.grammar` judges one session fact by fact, in Python; `message_facts` makes few of
the million events of a run.

A session that did not end in order (`sessions.IN_ORDER`, a killed worker apart) was cut: nothing is
missed in it.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

import pandas as pd

from bench.analysis.message_facts import message_facts
from bench.analysis.sessions import WHOLE
from bench.analysis.tables import Ints, integers
from bench.protocol.grammar import RULES, Checker, Fact, Violation
from bench.tracker.event import NEVER

EXAMPLES: Final = 3
AROUND: Final = 2
"""How many events are shown on either side of a culprit."""
_LONGEST: Final = 80


class _Judged(NamedTuple):
    session: int
    violation: Violation
    place: int
    """Of the culprit among all facts of the run."""


def violations(
    events: pd.DataFrame, sessions: pd.DataFrame, start_ns: int | None = None
) -> list[dict[str, Any]]:
    """Every rule that was broken, in the order of `RULES`: {rule, about, count, examples}.

    `start_ns` is the zero of `at_s`, else the first event is. An example is {session, at_s, text,
    events: [{at_s, direction, type, ids, note, culprit}]}; examples come from as many sessions as
    there are.
    """
    if events.empty:
        return []
    facts, bounds, numbers = message_facts(events, sessions)
    zero = int(events["at_ns"].min()) if start_ns is None else start_ns
    broken: defaultdict[str, list[_Judged]] = defaultdict(list)
    for judged in _judge(facts, bounds, numbers, sessions):
        broken[judged.violation.rule].append(judged)
    edges = dict(zip(numbers, pairwise(bounds.tolist()), strict=True))
    return [
        {
            "rule": rule.name,
            "about": rule.about,
            "count": len(broken[rule.name]),
            "examples": [
                _example(one, facts, edges[one.session], zero)
                for one in _telling(broken[rule.name])
            ],
        }
        for rule in RULES.values()
        if rule.name in broken
    ]


def total(found: list[dict[str, Any]]) -> int:
    """How many violations there are of all rules."""
    return sum(rule["count"] for rule in found)


def _judge(
    facts: list[Fact], bounds: Ints, numbers: list[int], sessions: pd.DataFrame
) -> Iterator[_Judged]:
    whole = sessions["outcome"].isin(WHOLE).reindex(numbers, fill_value=False).tolist()
    ended = integers(sessions["ended_ns"].reindex(numbers), NEVER).tolist()
    edges = bounds.tolist()
    for session, begin, end, complete, at_ns in zip(
        numbers, edges[:-1], edges[1:], whole, ended, strict=True
    ):
        checker = Checker()
        feed = checker.feed
        for fact in facts[begin:end]:
            for violation in feed(fact):
                yield _Judged(session, violation, begin + violation.index)
        until = None if at_ns == NEVER else at_ns
        for violation in checker.end(until, whole=complete):
            yield _Judged(session, violation, begin + violation.index)


def _telling(found: list[_Judged]) -> list[_Judged]:
    """The examples: the first of each session, then the rest."""
    seen: set[int] = set()
    firsts: list[_Judged] = []
    others: list[_Judged] = []
    for one in found:
        (others if one.session in seen else firsts).append(one)
        seen.add(one.session)
    return (firsts + others)[:EXAMPLES]


def _example(
    judged: _Judged, facts: list[Fact], edges: tuple[int, int], zero: int
) -> dict[str, Any]:
    place = judged.place
    begin, end = max(edges[0], place - AROUND), min(edges[1], place + AROUND + 1)
    return {
        "session": judged.session,
        "at_s": (facts[place].at_ns - zero) / 1e9,
        "text": judged.violation.text,
        "events": [
            {
                "at_s": (fact.at_ns - zero) / 1e9,
                "direction": fact.direction,
                "type": fact.type,
                "ids": _ids(fact),
                "note": _note(fact),
                "culprit": number == place,
            }
            for number, fact in enumerate(facts[begin:end], begin)
        ],
    }


def _ids(fact: Fact) -> str:
    named = {
        "response": fact.response_id,
        "item": fact.item_id,
        "call": fact.call_id,
        "after": fact.previous_id,
    }
    return ", ".join(f"{what} {which}" for what, which in named.items() if which)


def _note(fact: Fact) -> str:
    """What else a reader wants to know of a message, in a few words."""
    said = []
    if fact.messages > 1:
        said.append(f"{fact.messages} messages")
    if fact.audio_ns:
        said.append(f"{fact.audio_ns / 1e6:g} ms of audio")
    if fact.audio_ms is not None:
        said.append(f"at {fact.audio_ms} ms")
    if fact.content_index:
        said.append(f"part {fact.content_index}")
    if fact.output_index:
        said.append(f"output {fact.output_index}")
    if isinstance(fact.detail, str) and fact.detail:
        said.append(repr(fact.detail))
    elif isinstance(fact.detail, dict) and fact.direction == "in":
        said += [
            f"{key} {value if isinstance(value, str) else json.dumps(value)}"
            for key in ("role", "type", "status", "reason", "code", "message", "event_id", "text")
            if (value := fact.detail.get(key))
        ]
    note = ", ".join(said)
    return note if len(note) <= _LONGEST else f"{note[: _LONGEST - 1]}…"
