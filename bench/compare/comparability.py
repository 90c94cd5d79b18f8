"""May these runs be compared? Only where everything but the target is the same.

Theory of operation
-------------------
A difference of figures is a difference of targets only if nothing else differs: the definitions of
the metrics, the scenario, the words spoken, the chunks they are sent in, the dialect, and how many
callers there are at once. Whatever differs is named, a line each. Who allows it nonetheless gets
the same lines as remarks that the result carries.

The target itself (its name, the profile of the reference server), gates, bounds of health and how
long a run was may differ: they are what is compared, or change no figure (`scenario.workload_of`).
Another length is said (`lengths`): one side is known better.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from bench.analysis.measure import objectives
from bench.plan.gates import Gate, parse_gate
from bench.plan.scenario import LENGTHS, workload_of

_ASIDE: Final = frozenset({"reference", "chunk_ms"})
"""Keys of a scenario that have a place of their own among the facts."""
_CONCURRENCY: Final = ("sessions", "arrivals", "rate")
NEEDED: Final = (
    "metric_version", "scenario", "plan", "corpus", "corpus_sha256", "chunk_ms", "dialect",
    "target", "concurrency", "created", "host", "verdict", "why", "interrupted",
)  # fmt: skip
"""Facts that a comparison asks for."""
_MOST: Final = 4
"""Keys of a scenario that are named; the rest is counted."""
_DURATIONS: Final = frozenset({"gap", "hear", "tool_time", "answer_timeout", "jitter_buffer",
                               "warmup", "duration", "drain"})  # fmt: skip


def facts_of(
    run: dict[str, Any], summary: dict[str, Any], verdict: dict[str, Any]
) -> dict[str, Any]:
    """What must agree, and where the run comes from; plain values, for JSON."""
    said = run.get("scenario") or {}
    effective = dict(said.get("effective") or {})
    load = dict(effective.pop("load", None) or {})
    concurrency = {key: load.pop(key, None) for key in _CONCURRENCY}
    if run.get("trace_sha256"):  # what a trace says, wherever its file lies
        load["trace"] = str(run["trace_sha256"])[:12]
    if (effective.get("caller") or {}).get("greeting") == "ignore":  # which older runs do not say
        effective["caller"] = {k: v for k, v in effective["caller"].items() if k != "greeting"}
    corpus, target = run.get("corpus") or {}, run.get("target") or {}
    return {
        "metric_version": summary.get("metric_version"),
        "scenario": said.get("name") or run.get("name") or "",
        "scenario_sha256": said.get("sha256"),
        "plan": {
            **{key: value for key, value in workload_of(effective).items() if key not in _ASIDE},
            "load": load,
        },
        "corpus": corpus.get("name"),
        "corpus_sha256": corpus.get("sha256"),
        "chunk_ms": effective.get("chunk_ms"),
        "dialect": target.get("dialect"),
        "target": target.get("name"),
        "profile": (effective.get("reference") or {}).get("profile") or None,
        "concurrency": concurrency,
        "created": run.get("created"),
        "bench_version": run.get("bench_version"),
        "host": run.get("host"),
        "verdict": verdict.get("verdict"),
        "why": list(verdict.get("reasons") or ())[:1],
        "interrupted": bool(run.get("interrupted")),
        "aborted": (run.get("ended_by") or {}).get("rule") == "abort_on_fail",
        "objectives": asked_of_turns([parse_gate(text) for text in run.get("gates") or ()]),
    }


def asked_of_turns(gates: Sequence[Gate]) -> list[str]:
    """What makes a turn a good one: two runs that differ in it may not compare their good turns."""
    return sorted({f"{gate.metric} {gate.operator} {gate.limit:g}" for gate in objectives(gates)})


def unfit(runs: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """A line for everything that speaks against a comparison of (name, facts) with the first.

    Runs that differ from it in the same share a line.
    """
    first, whole = runs[0]
    unlike: dict[str, list[str]] = {}
    for name, facts in runs[1:]:
        for line in _differences(facts, whole):
            unlike.setdefault(line, []).append(name)
    return [
        *(line for name, facts in runs for line in _void(name, facts)),
        *(f"{', '.join(names)} and {first} differ in {line}" for line, names in unlike.items()),
    ]


def lengths(runs: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """A line for each way in which runs are longer or shorter than the first; see `unfit`."""
    first, whole = runs[0]
    found: dict[str, list[str]] = {}
    for name, facts in runs[1:]:
        ours, theirs = _lengths(facts), _lengths(whole)
        if changed := sorted(_changes("load", ours, theirs)):
            found.setdefault("; ".join(changed), []).append(name)
    return [
        f"{', '.join(names)} and {first} differ in length: {line}; they measure the same, and the "
        "shorter is known less well"
        for line, names in found.items()
    ]


def measured_alike(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Whether two runs measured for as long, so that their counts may be compared."""
    return bool(_lengths(ours).get("duration") == _lengths(theirs).get("duration"))


def _lengths(facts: dict[str, Any]) -> dict[str, Any]:
    load = facts["plan"].get("load") or {}
    return {key: load[key] for key in LENGTHS if key in load}


def _void(name: str, facts: dict[str, Any]) -> Iterator[str]:
    if facts["verdict"] == "invalid":
        # What broke; how often, and beside what, its own report says.
        why = f" ({facts['why'][0].partition(': ')[0]})" if facts["why"] else ""
        yield f"{name} is invalid{why}: its figures prove nothing; run it again"
    if facts["interrupted"]:
        yield f"{name} was interrupted before its end; run it again"
    if facts.get("aborted"):
        yield (
            f"{name} was ended early for a gate that failed: its figures chose its end; run it "
            "again without --abort-on-fail"
        )


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    """What differs between two runs: what it is, and both values."""
    for key, words in (
        ("metric_version", "the version of metric definitions"),
        ("corpus_sha256", "the corpus"),
        ("chunk_ms", "the chunk size in ms"),
        ("dialect", "the target's dialect"),
    ):
        if ours[key] != theirs[key]:
            yield f"{words}: {_shown(ours[key])} and {_shown(theirs[key])}"
    if ours["concurrency"] != theirs["concurrency"]:
        yield f"concurrency: {_load(ours['concurrency'])} and {_load(theirs['concurrency'])}"
    changed = sorted(_changes("", workload_of(ours["plan"]), workload_of(theirs["plan"])))
    if changed:
        more = f" and {len(changed) - _MOST} more keys" if len(changed) > _MOST else ""
        yield f"the scenario: {'; '.join(changed[:_MOST])}{more}"


def _changes(path: str, ours: Any, theirs: Any) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours.keys() | theirs.keys():
            inner = f"{path}.{key}" if path else str(key)
            yield from _changes(inner, ours.get(key), theirs.get(key))
    elif ours != theirs:
        key = path.rpartition(".")[2]
        yield f"{path} {_shown(ours, key)} and {_shown(theirs, key)}"


def _shown(value: Any, key: str = "") -> str:
    if value is None:
        return "none"
    if key in _DURATIONS and isinstance(value, int | float):
        return f"{value / 1e9:g} s"
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"


def _load(concurrency: dict[str, Any]) -> str:
    if concurrency["sessions"] is not None:
        return f"{concurrency['sessions']} sessions"
    rate = f", {concurrency['rate']} a second" if concurrency["rate"] else ""
    return f"{concurrency['arrivals']} arrivals{rate}"
