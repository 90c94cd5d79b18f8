"""A probe from beginning to end: what it may cost, its sessions, and what they show."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import msgspec

from bench.errors import UsageError
from bench.load.route import read_credentials
from bench.probe.checks import all_rows
from bench.probe.message_checks import message_states
from bench.probe.probe_cost import LIMIT_S, Spent, estimate
from bench.probe.probe_report import Probe
from bench.probe.probe_scripts import scripts_for
from bench.probe.probe_sessions import hold_sessions, probe_caller
from bench.probe.probed_session import ProbedSession
from bench.runs.target import Target
from bench.tracker.responses import AUDIO
from bench.voice.audio import NS_PER_S
from bench.voice.microphone import APPEND


def run_probe(
    target: Target,
    *,
    corpus: Path | str = "everyday",
    limit_s: float = LIMIT_S,
    only: Iterable[str] | None = None,
) -> Probe:
    """What `target` can do. `only` names the scripts (None: all that are for its dialect).

    Rows that need others say `not seen`. TargetError where the target cannot be reached;
    CorpusError where the corpus has nothing to say; UsageError for a target without a URL (the
    reference server must have been started).
    """
    if not target.url:
        raise UsageError(f"target {target.name!r} has no URL: start the reference server first")
    names = scripts_for(target.dialect) if only is None else tuple(only)
    caller = probe_caller(target, corpus)
    when, begun = datetime.now(UTC), monotonic()
    sessions = hold_sessions(caller, names, limit_s)
    seconds = round(monotonic() - begun, 1)
    found = Probe(
        target=target.name,
        dialect=target.dialect.name,
        when=when.isoformat(timespec="seconds").replace("+00:00", "Z"),
        seconds=seconds,
        cost=estimate(corpus, names, limit_s),
        spent=_spent(sessions),
        rows=all_rows(sessions, target.dialect.name, when.timestamp()),
        messages=message_states(sessions),
        troubles=tuple(f"{one.name}: {one.trouble}" for one in sessions if one.trouble),
    )
    hidden = read_credentials(target).secrets.hide_all(msgspec.to_builtins(found))
    return msgspec.convert(hidden, Probe)


def _spent(sessions: Sequence[ProbedSession]) -> Spent:
    rows = [row for one in sessions for row in one.rows]
    sent_ns = sum(row.audio_ns or 0 for row in rows if row.type == APPEND)
    heard_ns = sum(row.audio_ns or 0 for row in rows if row.type in AUDIO)
    return Spent(
        sessions=sum(bool(one.rows) for one in sessions),
        audio_s=round(sent_ns / NS_PER_S, 1),
        messages=sum(row.direction == "out" for row in rows),
        responses=sum(len(one.responses) for one in sessions),
        received=sum(len(one.received) for one in sessions),
        reply_s=round(heard_ns / NS_PER_S, 1),
    )
