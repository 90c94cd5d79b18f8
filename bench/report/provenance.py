"""Where a run's figures come from: its scenario, corpus, target, host, versions and seeds, as text.

Paths of the machine are cut to their last part: a report is sent around, a home folder is not.
"""

import json
from collections.abc import Mapping
from typing import Any

from bench.report.panel import Table
from bench.report.run import Run
from bench.report.words import plain, seconds

_SHOWN_HASH = 12


def provenance(run: Run) -> list[Table]:
    """Tables of two columns: the run, what it was asked, the generator's host and versions."""
    about = run.about
    tables = [
        Table("The run", ("", ""), _run(run)),
        Table("What was asked", ("", ""), _asked(run)),
        Table("Where the generator ran", ("", ""), _flat(about.get("host") or {})),
        Table("Versions", ("", ""), _flat(about.get("versions") or {})),
    ]
    return [table for table in tables if table.rows]


def scenario_text(run: Run) -> str:
    """The scenario file as it was written; empty where the run has none."""
    return str((run.about.get("scenario") or {}).get("text") or "")


def _run(run: Run) -> list[list[str]]:
    about, plan = run.about, run.plan
    written = {str(key): value for key, value in (about.get("rows_written") or {}).items()}
    span = _between(plan, "start_ns", "end_ns")
    rows = [
        ["run folder", run.name],
        ["created", str(about.get("created") or "not recorded")],
        ["lasted", span or "did not end in order"],
        ["measured", _between(plan, "measured_from_ns", "measured_to_ns") or "not recorded"],
        ["arrivals scheduled", _plain(plan.get("scheduled"))],
        ["workers", f"{_plain(about.get('workers'))}, drained: {_numbers(about.get('drained'))}"],
        [
            "rows",
            f"{_plain(sum(written.values()))} written, {_plain(about.get('rows_sealed'))} sealed",
        ],
        ["interrupted", "yes" if about.get("interrupted") else "no"],
        ["definitions of metrics", f"version {_plain(run.summary.get('metric_version'))}"],
    ]
    if about.get("baseline"):
        rows.append(["baseline", _last_part(str(about["baseline"]))])
    rows += [
        [f"fault: {str(fault.get('rule', '')).replace('_', ' ')}", str(fault.get("text"))]
        for fault in about.get("faults") or []
    ]
    estimator = run.summary.get("about") or {}
    if estimator:
        rows.append(["statistics", ", ".join(f"{key} {value}" for key, value in estimator.items())])
    checks = run.summary.get("checks") or {}
    if checks:
        rows.append(
            [
                "checks",
                ", ".join(
                    f"{key.replace('_', ' ')} {_plain(value)}" for key, value in checks.items()
                ),
            ]
        )
    return rows


def _asked(run: Run) -> list[list[str]]:
    about = run.about
    scenario, corpus = about.get("scenario") or {}, about.get("corpus") or {}
    target = about.get("target") or {}
    rows = [
        ["scenario", f"{scenario.get('name', 'unnamed')} ({_hash(scenario)})"],
        ["corpus", f"{corpus.get('name', 'unnamed')} ({_hash(corpus)})"],
        ["target", f"{target.get('name', 'unnamed')}, {target.get('dialect', 'unknown')} dialect"],
        ["address", str(target.get("url") or "not recorded")],
    ]
    for name, seed in (run.scenario.get("seeds") or {}).items():
        rows.append([f"seed of {name}", _plain(seed)])
    return rows


def _hash(entry: Mapping[str, Any]) -> str:
    digest = str(entry.get("sha256") or "")
    return f"SHA-256 {digest[:_SHOWN_HASH]}…" if digest else "no hash"


def _between(plan: Mapping[str, Any], start: str, end: str) -> str:
    if plan.get(start) is None or plan.get(end) is None:
        return ""
    return seconds(plan[end] - plan[start])


def _numbers(numbers: object) -> str:
    if not isinstance(numbers, list) or not numbers:
        return "none"
    return ", ".join(_plain(number) for number in numbers)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return plain(value, "1")
    return "not recorded" if value is None else str(value)


def _flat(document: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for key, value in document.items():
        if isinstance(value, Mapping):
            rows += [[f"{key} {inner}", text] for inner, text in _flat(value)]
        elif isinstance(value, list):
            rows.append([key, _last_part(json.dumps(value))])
        else:
            rows.append([key.replace("_", " "), _last_part(_plain(value))])
    return rows


def _last_part(text: str) -> str:
    """The last part of an absolute path; other text as it is."""
    absolute = text.startswith(("/", "~")) or text[1:3] in {":\\", ":/"}
    return text.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if absolute else text
