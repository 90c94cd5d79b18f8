"""What is counted and not timed: turns, sessions, errors, messages, tokens.

Theory of operation
-------------------
*Errors*: a *race* is a cancel that came when the reply had just ended: both did right. A *provoked*
error is the right answer to a message that the script made wrong on purpose; it names that
message's event_id. Neither is counted as an error, and both are shown by their code. Inworld also
says errors without a type, by `errorType` alone; the codec names such a message `errorType:VALUE`,
and that is its code.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.sessions import span
from bench.analysis.tables import Flags, is_type, parsed, texts
from bench.protocol.codec import BARE, message_table
from bench.tracker.error_messages import is_provoked, is_race
from bench.tracker.outcomes import FAILED
from bench.tracker.tracker import BACKCHANNEL

PROVOKED_MARK: Final = " (provoked)"
"""What stands behind the code of a provoked error."""
NEVER_DUE: Final = ("rate_limits.updated",)
"""Messages of the seed that its own server defines and does not send."""
_NAMELESS: Final = "(no code)"
_WIRE: Final = {"client": "out", "server": "in"}


def counts(
    plan: dict[str, Any],
    last_ns: int | None,
    rare: pd.DataFrame,
    sessions: pd.DataFrame,
    turns: pd.DataFrame,
    found: dict[str, int],
) -> Iterator[tuple[str, int, float, int]]:
    """(metric, count, seconds that it took, n: turns or sessions that it is about).

    Over the measured phase, of whose events `rare` are those that count; but what was `found` is
    over the whole run, and sessions are counted, and divided, from its start: a closed load starts
    them all in the warm-up. `last_ns` is when the last event of the run was, if there is any.
    """
    begin, stop = span(plan)
    last = begin if last_ns is None else last_ns
    seconds = max(min(stop, last) - begin, 0) / 1e9
    start = plan.get("start_ns")
    whole = max(min(stop, last) - (begin if start is None else int(start)), 0) / 1e9
    counted = {
        "turns": len(turns),
        "failed_turns": int(turns["outcome"].isin(FAILED).sum()),
        "unreached_turns": int(sessions.loc[sessions["measured"], "unreached_turns"].sum()),
        "errors": count_errors(rare),
        "unknown_messages": int(is_type(rare, "bench.unknown", direction="note").sum()),
        "backchannels": _backchannels(rare),
    }
    for name, count in counted.items():
        yield name, count, seconds, len(turns)
    for name, count in {"sessions": len(sessions), **found}.items():
        yield name, count, whole, len(sessions)


def is_counted(events: pd.DataFrame) -> Flags:
    """Which events count one by one."""
    messages = is_type(events, "response.done", "response.backchannel.audio.delta")
    return messages | is_error(events) | is_type(events, "bench.unknown", direction="note")


def usage(events: pd.DataFrame) -> dict[str, int] | None:
    """Tokens that the server reports among `events`; None where it reports none.

    `replies` is how many responses ended, `reporting` how many of them said what they used.
    """
    done = events[is_type(events, "response.done")]
    said = [used for used in parsed(done, "usage")["usage"] if isinstance(used, dict)]
    if not said:
        return None
    totals = {
        name: sum(count for used in said if isinstance(count := used.get(name), int))
        for name in ("total_tokens", "input_tokens", "output_tokens")
    }
    return {**totals, "replies": len(done), "reporting": len(said)}


def _backchannels(events: pd.DataFrame) -> int:
    """How many there are among `events`: one per backchannel_id."""
    rows = events[is_type(events, BACKCHANNEL)]
    named = pd.DataFrame({"session": rows["session"].to_numpy(), "id": texts(rows["detail"])})
    return len(named.drop_duplicates())


# ── errors ───────────────────────────────────────────────────────────────────────────────────────


def faults(said: pd.DataFrame) -> Flags:
    """Which error messages are somebody's fault; `said` has their `code` and `event_id`."""
    race = said["code"].map(is_race).to_numpy(bool)
    return np.asarray(~race & ~_provoked(said), bool)


def _provoked(said: pd.DataFrame) -> Flags:
    named = said["event_id"].map(is_provoked)
    return np.asarray(named.to_numpy(bool), bool)


def is_error(events: pd.DataFrame) -> Flags:
    """Which events are errors that the server said, of either shape."""
    bare = [kind for kind in events["type"].cat.categories if kind.startswith(BARE)]
    return is_type(events, "error", *bare)


def errors_of(events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The errors among `events`, and `code`, `message` and `event_id` of each."""
    rows = np.flatnonzero(is_error(events))
    errors = events.take(rows) if len(rows) else events.iloc[:0]  # most runs have none
    said, kind = parsed(errors, "code", "message", "event_id"), errors["type"].astype("object")
    return errors, said.assign(code=said["code"].where(~kind.str.startswith(BARE), kind))


def count_errors(events: pd.DataFrame) -> int:
    """Errors among `events`, races and provoked ones apart."""
    return int(faults(errors_of(events)[1]).sum())


def errors_by_code(events: pd.DataFrame) -> dict[str, int]:
    """All errors among `events` by their code, the most frequent first."""
    _, said = errors_of(events)
    words = said["code"].map(lambda code: code if isinstance(code, str) and code else _NAMELESS)
    words = words.where(~_provoked(said), words.astype(str) + PROVOKED_MARK)
    counts = words.value_counts()
    return {
        str(code): int(count)
        for code, count in sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
    }


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


def count_messages(events: pd.DataFrame) -> Counter[tuple[str, str]]:
    """How many rows there are of each (direction, type)."""
    kinds, ways = events["type"].cat, events["direction"].cat
    width = len(kinds.categories) + 1
    pairs = (ways.codes.to_numpy(np.int64) + 1) * width + kinds.codes.to_numpy(np.int64) + 1
    return Counter({
        (str(ways.categories[pair // width - 1]), str(kinds.categories[pair % width - 1])): count
        for pair, count in enumerate(np.bincount(pairs).tolist())
        if count and pair >= width and pair % width
    })  # fmt: skip


def message_counts(counted: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    """{type, direction, in_seed, count} of the known ones in the table's order, then unknown ones.

    Unknown ones are the server's, by the wire's own word. `counted` is of `count_messages`.
    """
    found = dict(counted)
    known = [
        {
            "type": entry.type,
            "direction": entry.direction,
            "in_seed": entry.in_seed,
            "count": found.pop((_WIRE[entry.direction], entry.type), 0),
        }
        for entry in message_table()
    ]
    unknown = [
        {"type": kind, "direction": "server", "in_seed": False, "count": count}
        for (way, kind), count in sorted(found.items())
        if way == "in"
    ]
    return known + unknown


def unseen(counts: list[dict[str, Any]]) -> list[str]:
    """Messages of the seed that never crossed the wire, though they might have."""
    return [
        entry["type"]
        for entry in counts
        if entry["in_seed"] and not entry["count"] and entry["type"] not in NEVER_DUE
    ]
