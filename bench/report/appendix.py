"""What a page tells last: every figure with its definition, and where they all come from.

Paths of the machine are cut to their last part: a report is sent around, a home folder is not.
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from bench.plan.metrics import METRICS
from bench.report.overview import rule_name
from bench.report.panels import Cell, Table, folded, table_of
from bench.report.run_data import Run
from bench.report.text import NOTHING, interval, plain, seconds

_SHOWN_HASH: Final = 12

# ── every figure, with its definition ────────────────────────────────────────────────────────────

_QUANTILES: Final = ("p50", "p90", "p95", "p99", "mean", "max")


def metric_tables(run: Run) -> list[Table]:
    """Every metric with its definition and statistics, by kind; those without data at the end."""
    found = run.unfiltered()

    def about(name: str) -> Cell:
        return (name, METRICS[name].about) if name in METRICS else name

    def quantile(word: str, name: str) -> Cell:
        row = found[name].get(word)
        if row is None:
            return NOTHING
        value = "∞" if row.n and not row.known else plain(row.value, METRICS[name].unit)
        spread = interval(row.low, row.high, METRICS[name].unit)
        return (value, spread) if spread else value

    known = [
        name for name, rows in found.items() if any(row.n or row.known for row in rows.values())
    ]
    timed = [one for one in METRICS if one in known and METRICS[one].kind in {"interval", "value"}]
    counted = [name for name in (*METRICS, *found) if name in known and name not in timed]
    shares = [
        row
        for name in dict.fromkeys(counted)
        for row in found[name].values()
        if row.known and row.statistic != "rate"
    ]
    tables = (
        table_of(
            "Times and values",
            {
                "metric": about,
                "unit": lambda name: METRICS[name].unit,
                **{word: partial(quantile, word) for word in _QUANTILES},
                "n": lambda name: plain(max(row.n for row in found[name].values()), "1"),
            },
            timed,
            numeric=(*_QUANTILES, "n"),
            note="Small brackets are 95 % intervals. ∞: not reached, for too many turns timed out; "
            "as the end of an interval: there are too few samples, or too many timeouts, to bound "
            "it.",
        ),
        table_of(
            "Shares and counts",
            {
                "metric": lambda row: about(row.metric),
                "statistic": lambda row: row.statistic,
                "value": lambda row: (row.shown, row.bounds) if row.bounds else row.shown,
                "n": lambda row: plain(row.n, "1"),
            },
            shares,
            numeric=("value", "n"),
        ),
        table_of(
            "Without a sample in this run",
            {"metric": lambda name: name, "definition": lambda name: METRICS[name].about},
            [name for name in METRICS if name not in known],
        ),
    )
    return [table for one in tables if (table := folded(one)) is not None]


# ── where it comes from ──────────────────────────────────────────────────────────────────────────


def provenance(run: Run) -> list[Table]:
    """Tables of two columns: the run, what it was asked, the generator's host and versions."""
    every = {
        "The run": _run_facts(run),
        "What was asked": _asked_facts(run),
        "Where the generator ran": _flat(run.about.get("host") or {}),
        "Versions": _flat(run.about.get("versions") or {}),
    }
    tables = [Table(caption, ("", ""), list(rows)) for caption, rows in every.items()]
    return [table for table in tables if table.rows]


def scenario_text(run: Run) -> str:
    """The scenario file as it was written; empty where the run has none."""
    return str((run.about.get("scenario") or {}).get("text") or "")


def _run_facts(run: Run) -> Iterator[list[str]]:
    about, plan = run.about, run.plan

    def between(start: str, end: str, otherwise: str) -> str:
        known = plan.get(start) is not None and plan.get(end) is not None
        return seconds(plan[end] - plan[start]) if known else otherwise

    written = sum(value for value in (about.get("rows_written") or {}).values())
    drained = about.get("drained")
    names = ", ".join(map(_plain, drained)) if isinstance(drained, list) and drained else "none"
    yield ["run folder", run.name]
    yield ["created", str(about.get("created") or "not recorded")]
    yield ["lasted", between("start_ns", "end_ns", "did not end in order")]
    yield ["measured", between("measured_from_ns", "measured_to_ns", "not recorded")]
    yield ["arrivals scheduled", _plain(plan.get("scheduled"))]
    yield ["workers", f"{_plain(about.get('workers'))}, drained: {names}"]
    yield ["rows", f"{_plain(written)} written, {_plain(about.get('rows_sealed'))} sealed"]
    yield ["interrupted", "yes" if about.get("interrupted") else "no"]
    yield ["definitions of metrics", f"version {_plain(run.summary.get('metric_version'))}"]
    if about.get("baseline"):
        yield ["baseline", _last_part(str(about["baseline"]))]
    for fault in about.get("faults") or []:
        yield [f"fault: {rule_name(fault)}", str(fault.get("text"))]
    for name, key in (("statistics", "about"), ("checks", "checks")):
        if told := run.summary.get(key):
            yield [
                name,
                ", ".join(f"{one.replace('_', ' ')} {_plain(v)}" for one, v in told.items()),
            ]


def _asked_facts(run: Run) -> Iterator[list[str]]:
    target = run.about.get("target") or {}
    for key in ("scenario", "corpus"):
        entry = run.about.get(key) or {}
        digest = str(entry.get("sha256") or "")
        shown = f"SHA-256 {digest[:_SHOWN_HASH]}…" if digest else "no hash"
        yield [key, f"{entry.get('name', 'unnamed')} ({shown})"]
    yield [
        "target", f"{target.get('name', 'unnamed')}, {target.get('dialect', 'unknown')} dialect"
    ]  # fmt: skip
    by = f" through the proxy {target['proxy']}" if target.get("proxy") else ""
    yield ["address", str(target.get("url") or "not recorded") + by]
    for name, seed in (run.scenario.get("seeds") or {}).items():
        yield [f"seed of {name}", _plain(seed)]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return plain(value, "1")
    return "not recorded" if value is None else str(value)


def _flat(document: Mapping[str, Any]) -> Iterator[list[str]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from ([f"{key} {inner}", text] for inner, text in _flat(value))
        elif isinstance(value, list):
            yield [key, _last_part(json.dumps(value))]
        else:
            yield [key.replace("_", " "), _last_part(_plain(value))]


def _last_part(text: str) -> str:
    """The last part of an absolute path; other text as it is."""
    absolute = text.startswith(("/", "~")) or text[1:3] in {":\\", ":/"}
    return text.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if absolute else text
