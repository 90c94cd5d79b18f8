"""What is counted and not timed: turns, sessions, errors, oddities, tokens."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.analysis.errors import count_errors, is_error
from bench.analysis.sessions import span
from bench.analysis.tables import Flags, is_type, parsed, texts
from bench.tracker.outcomes import FAILED
from bench.tracker.tracker import BACKCHANNEL


def counts(
    plan: dict[str, Any],
    events: pd.DataFrame,
    rare: pd.DataFrame,
    sessions: pd.DataFrame,
    turns: pd.DataFrame,
    found: dict[str, int],
) -> Iterator[tuple[str, int, float, int]]:
    """(metric, count, seconds that it took, n: turns or sessions that it is about).

    Over the measured phase, of whose events `rare` are those that count; but what was `found` is
    over the whole run, and sessions are counted, and divided, from its start: a closed load starts
    them all in the warm-up.
    """
    begin, stop = span(plan)
    at = events["at_ns"].to_numpy()
    last = int(at.max()) if len(at) else begin
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
