"""Two sides, compared: the document that everything else shows.

comparison.json::

    format, metric_version, confidence, margin {percent, points}
    sides        {a, b: {name, runs, target, scenario, …}}: a is the candidate, b what it is against
    remarks      what a reader must know: what differs and was allowed, what could not be seen
    runs_seen    whether the scatter between runs is in the errors
    replayed     whether both sides played one plan, so that what was said cancels
    family       the rows that decide, in words
    verdict, reasons
    rows         see `conclusion` and `differences`
    attribution  see `attribution`
    shift        see `attribution`
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.analysis.pipeline import write_json
from bench.compare.attribution import attribution, shift
from bench.compare.comparability import lengths, unfit
from bench.compare.conclusion import (
    USUAL,
    Margin,
    concluded,
    judged,
    wait_of,
)
from bench.compare.differences import Plan, Sides, rows_of
from bench.compare.run_sample import RunSample, all_replayed, in_common
from bench.errors import UsageError
from bench.plan.metrics import METRICS
from bench.stats.interval import CONFIDENCE
from bench.stats.run_statistics import RESAMPLES

FORMAT: Final = 1


class Side(NamedTuple):
    """Runs of one kind, and what they are called together."""

    name: str
    runs: tuple[RunSample, ...]


def compare(
    a: Side,
    b: Side,
    *,
    margin: Margin = USUAL,
    allow: bool = False,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """The candidate `a` against `b`. UsageError names what differs, unless that is allowed.

    `resamples` of the sessions of each run: see `stats.run_statistics`.
    """
    every = [(run.name, run.facts) for run in (*b.runs, *a.runs)]
    against = unfit(every)
    if against and not allow:
        raise UsageError(
            f"these runs cannot be compared: {'; '.join(against)}. "
            "Compare runs of one kind, or allow it with --allow"
        )
    sides: Sides = (a.runs, b.runs)
    plan = _plan(sides, resamples)
    attempted = sum(len(run.session) for side in sides for run in side)
    if plan.together:
        first, second = in_common(sides)
        sides = (first, second)
    left_out = attempted - sum(len(run.session) for side in sides for run in side)
    seen = max(len(a.runs), len(b.runs)) > 1
    found = list(rows_of(sides, plan))
    rows = judged(found, margin)
    verdict, reasons = concluded(rows)
    wait = wait_of(found)
    return {
        "format": FORMAT,
        "metric_version": a.runs[0].facts["metric_version"],
        "confidence": CONFIDENCE,
        "margin": margin._asdict(),
        "sides": {"a": _about(a), "b": _about(b)},
        "remarks": [
            *against,
            *lengths(every),
            *_remarks(plan, left_out, attempted, seen=seen),
            *_several(sides),
        ],
        "runs_seen": seen,
        "replayed": plan.together,
        "family": _family(wait),
        "verdict": verdict,
        "reasons": reasons,
        "rows": rows,
        "attribution": attribution(sides, plan) if wait is not None else [],
        "shift": shift(wait, sides, plan) if wait is not None else None,
    }


def write_comparison(found: dict[str, Any], folder: Path) -> Path:
    """comparison.json in `folder`, made where it is not there. UsageError where it cannot be."""
    path = folder / "comparison.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(found, path)
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot be written: {error.strerror or error}") from None
    return path


def _plan(sides: Sides, resamples: int) -> Plan:
    together = all_replayed([run for side in sides for run in side])
    alike = all(len(side) > 1 and all_replayed(side) for side in sides)
    return Plan(together, unshared=alike and not together, resamples=resamples)


def _remarks(plan: Plan, left_out: int, attempted: int, *, seen: bool) -> list[str]:
    found = []
    if not seen:
        found.append(
            "one run a side: what differs from run to run (another minute, another host) is not in "
            "the intervals, and a change of a few percent may be no more than that; compare "
            "several runs a side, as bench ab makes them"
        )
    if plan.together:
        words = "both sides used the same utterances, so differences between utterances cancel out"
        if left_out:
            words += (
                f" (only turns that all runs came to are compared: {left_out} of {attempted} are "
                "left out)"
            )
        found.append(words)
    if plan.unshared:
        found.append(
            "each side said other words, the same in all its runs: what they add is in the "
            "intervals, as far as sessions tell it"
        )
    return found


def _several(sides: Sides) -> Iterator[str]:
    """That figures of single settings and kinds are not compared, where there are several."""
    plan = sides[0][0].facts["plan"]
    for key, words in (("sweep", "settings"), ("mixture", "kinds of conversation")):
        if plan.get(key):
            yield f"the runs have several {words}: every row is over all of them together"


def _about(side: Side) -> dict[str, Any]:
    facts = side.runs[0].facts
    keys = ("scenario", "target", "dialect", "corpus", "chunk_ms", "concurrency", "host")
    return {
        "name": side.name,
        "runs": [{"name": run.name, "created": run.facts["created"]} for run in side.runs],
        **{key: facts[key] for key in keys},
        "profile": facts.get("profile"),
    }


def _family(wait: str | None) -> str:
    decide = [one for one in METRICS.values() if "decides" in one.uses and one.name != wait]
    others = ", ".join(one.name for one in decide if one.kind != "share")
    shares = ", ".join(one.name for one in decide if one.kind == "share")
    return (
        f"Holm over p50 and p95 of {wait or 'the wait'} (half of the level) and p50 and p95 of "
        f"{others} with the shares {shares} that are not the same in every run (the other half)"
    )
