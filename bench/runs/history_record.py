"""What one run adds to a history: where it came from, and the figures of its summary.

Theory of operation
-------------------
All that two runs must share for their figures to be of one line is written down here (`Entry`) and
decided by who reads it (`bench.compare`). `workload` is the digest of the scenario with
its options, without what changes no figure (`workload_of`, and its seeds): a gate that was tuned, a
comment that was mended or another `--duration` makes no other workload, while `--set turns=5` does.

A run is known by the digest of what identifies it: when and as what it was started, the logs of its
workers, what it was run against, and the version of the definitions it was measured by. Judging it
again changes none of these.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.errors import RunFolderError
from bench.plan.scenario import workload_of
from bench.runs.folder import RunFolder
from bench.runs.json_file import read_summary, read_verdict

CAPACITY: Final = "capacity"
"""The metric of a capacity search; its statistics are the names of its tiers."""


class Entry(NamedTuple):
    """One run: where it came from, and all that two runs must share to be of one line.

    `created` is ISO 8601 in UTC, so that text sorts by time. `commit` and `branch` may be empty.
    `concurrency` is in words: `20 sessions`, `poisson 2/s`, of a capacity `sessions searched`.
    """

    key: str
    created: str
    scenario: str
    scenario_sha256: str
    workload: str
    corpus: str
    corpus_sha256: str
    target: str
    dialect: str
    concurrency: str
    metric_version: int
    bench_version: str
    host: str
    verdict: str
    commit: str
    branch: str


class Figure(NamedTuple):
    """One row of a run's summary; `run` is the key of its entry."""

    run: str
    metric: str
    filter: str
    statistic: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str


class Record(NamedTuple):
    """One run with its figures: what is added."""

    entry: Entry
    figures: Sequence[Figure]


def record(path: Path, commit: str, branch: str) -> Record:
    """What the analysed and judged run in `path` adds to a history.

    RunFolderError where a file is missing or is not what it should be.
    """
    folder = RunFolder.open(path)
    run, summary = folder.read(), read_summary(folder.summary)
    verdict = read_verdict(folder.verdict)["verdict"]
    try:
        entry = _entry(run, summary["metric_version"], verdict, commit, branch)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunFolderError(
            f"{folder.run_json}: lacks {error}, by which a history knows a run; "
            "add a run that `bench run` made"
        ) from None
    # A row without a sample is most of a summary, and says what its absence says.
    figures = [
        Figure(entry.key, *(row[name] for name in Figure._fields[1:]))
        for row in summary["rows"]
        if row["n"]
    ]
    return Record(entry, figures)


def _entry(
    run: dict[str, Any], metric_version: int, verdict: str, commit: str, branch: str
) -> Entry:
    said, target, host = run["scenario"], run["target"], run["host"]
    identity = [
        run["created"], run["name"], run["plan"]["start_ns"], run.get("digests"), said["sha256"],
        run["corpus"]["sha256"], target["url"], metric_version,
    ]  # fmt: skip
    measured = workload_of(said["document"])
    measured.pop("seeds", None)  # other dice, and the same is measured
    return Entry(
        key=_digest(identity),
        created=run["created"],
        scenario=said["name"],
        scenario_sha256=said["sha256"],
        workload=_digest(measured),
        corpus=run["corpus"]["name"],
        corpus_sha256=run["corpus"]["sha256"],
        target=target["name"],
        dialect=target["dialect"],
        concurrency=_concurrency(said["effective"]["load"]),
        metric_version=metric_version,
        bench_version=run["bench_version"],
        host=f"{host['system']}, {host['cores']} cores, Python {host['python']}",
        verdict=verdict,
        commit=commit,
        branch=branch,
    )


def _concurrency(load: dict[str, Any]) -> str:
    if load["sessions"] is not None:
        return f"{load['sessions']} sessions"
    return f"{load['arrivals']} {load['rate']:g}/s" if load["rate"] else str(load["arrivals"])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
