"""A baseline: runs that the team has accepted, as one small file that can be reviewed and kept.

Theory of operation
-------------------
It holds what a comparison needs and nothing else: of every run the samples by turn, rounded to
0.01 ms (no clock here is better), each with its session and what was said; and where the runs come
from, so that an unlike run is refused years later. `rows` are those of a summary, the usual of the
accepted runs, so that a gate against the baseline reads this file as it reads a summary.

What `--baseline` names is read here too, be it such a file or a run folder
(`read_baseline_figures`), and held against the run that is to be judged by it (`mismatches`, by the
rules of `comparability`).

Only what may serve as a baseline is accepted: runs of one kind, none of them invalid or
interrupted, each of which measured something.

    {format, kind, name, metric_version, accepted, runs: [{name, facts, seats, session, said,
     utterances, waits, shares, stages, once, once_censored, figures}], rows}

Of `waits`, null is no sample; `censored` are the places of waits never answered, and a null among
those waits for ever. Of `figures`, which no samples are kept of, each is [value, low, high, n]; a
value that is null was never reached.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import Struct

from bench.analysis.tables import Floats
from bench.compare.comparability import NEEDED, facts_of, lengths, unfit
from bench.compare.differences import usual
from bench.compare.run_sample import RunSample, ShareSample, SummaryFigure, WaitSample
from bench.data_file import fitted, read_json_file, reading
from bench.errors import RunFolderError, UsageError
from bench.plan.metrics import METRICS, VERSION
from bench.runs.folder import RunFolder, replace_file
from bench.runs.json_file import Number, SummaryRow, SummaryShape, read_verdict

FORMAT: Final = 1
KIND: Final = "baseline"
SHELF: Final = Path("reports/baselines")
_DIGITS: Final = 2
_GIVE: Final = "give a run folder, or a file that 'bench baseline accept' wrote"
_FINE: Final = 4
"""Digits of figures: a median lag is a few hundredths of a millisecond."""
_Numbers = list[Number | None]


class _Facts(Struct):
    """`comparability.facts_of`."""

    metric_version: int
    scenario: str
    plan: dict[str, Any]
    concurrency: dict[str, Any]
    interrupted: bool
    why: list[str]
    corpus: str | None = None
    corpus_sha256: str | None = None
    chunk_ms: int | None = None
    dialect: str | None = None
    target: str | None = None
    created: str | None = None
    host: dict[str, Any] | None = None
    verdict: str | None = None
    objectives: list[str] | None = None


class _Wait(Struct):
    values: _Numbers
    censored: list[int]


class _Share(Struct):
    hits: _Numbers
    of: _Numbers


class _Run(Struct):
    name: str
    facts: _Facts
    seats: list[tuple[int, int]]
    session: list[int]
    utterances: list[str]
    said: list[tuple[int, int]]
    waits: dict[str, _Wait]
    shares: dict[str, _Share]
    stages: dict[str, _Numbers]
    once: dict[str, _Numbers]
    once_censored: dict[str, list[int]] = {}
    figures: dict[str, dict[str, tuple[Number | None, Number | None, Number | None, int]]] = {}


class _Baseline(Struct):
    """An accepted baseline, as far as any reader relies on it."""

    name: str
    metric_version: int
    runs: list[_Run]
    rows: list[SummaryRow]


def accept(runs: Sequence[RunSample], name: str) -> dict[str, Any]:
    """The baseline of these runs. UsageError where one cannot serve as one."""
    against = unfit([(run.name, run.facts) for run in runs])
    against += [
        f"{run.name} measured no turn; run it longer" for run in runs if not len(run.session)
    ]
    if against:
        raise UsageError(f"no baseline can be made of these runs: {'; '.join(against)}")
    return {
        "format": FORMAT,
        "kind": KIND,
        "name": name,
        "metric_version": runs[0].facts["metric_version"],
        "accepted": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": [_written(run) for run in runs],
        "rows": _usual_rows(runs),
    }


def write_baseline(found: dict[str, Any], path: Path) -> None:
    """The file, a line for each list of figures, replaced in one step."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, _text(found) + "\n")
    except OSError as error:
        raise UsageError(f"--out {path}: cannot be written: {error.strerror or error}") from None


def read_baseline(path: Path) -> tuple[str, list[RunSample]]:
    """(name, runs). RunFolderError where the file is no baseline of this version."""
    with reading(f"{path}: is no baseline", RunFolderError, _GIVE):
        found = read_json_file(path)
    return _accepted(path, found)


def _accepted(path: Path, found: Any) -> tuple[str, list[RunSample]]:
    """The same of a document that was read already."""
    said = found if isinstance(found, dict) else {}
    version = (said.get("kind"), said.get("format"))
    if version != (KIND, FORMAT):
        raise RunFolderError(
            f"{path}: is no baseline but {version[0]!r} of format {version[1]!r}, this version "
            f"reads {KIND!r} of {FORMAT}; {_GIVE}"
        )
    with reading(f"{path}: is no baseline", RunFolderError, _GIVE):
        fitted(found, _Baseline)
    try:
        runs = [_read(run) for run in found["runs"]]
        _ = runs[0]  # IndexError: there are none
        return str(found["name"]), runs
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise RunFolderError(
            f"{path}: is no baseline ({type(error).__name__}: {error}); {_GIVE}"
        ) from None


class BaselineFigures(NamedTuple):
    """What a run is judged by. `rows` are without a filter.

    `facts`: of each of its runs (`comparability.facts_of`); empty where nobody knows what was run.
    """

    name: str
    facts: list[dict[str, Any]]
    rows: list[dict[str, Any]]


def read_baseline_figures(path: Path) -> BaselineFigures:
    """A run folder, a summary.json or an accepted baseline. RunFolderError where it is neither."""
    file = path / "summary.json" if path.is_dir() else path
    shown = f"--baseline {path}"
    lost = f"{'no summary.json' if path.is_dir() else 'no such file'}; {_GIVE}"
    if not file.exists():
        raise RunFolderError(f"{shown}: {lost}")
    with reading(f"{shown}: is no summary or baseline", RunFolderError, _GIVE):
        found = read_json_file(file)
    if isinstance(found, dict) and found.get("kind") == KIND:
        name, runs = _accepted(file, found)
        facts = [run.facts for run in runs]
        return BaselineFigures(f"baseline {name}", facts, _plain_rows(found))
    with reading(f"{shown}: is no summary or baseline", RunFolderError, _GIVE):
        fitted(found, SummaryShape)
    rows, version = _plain_rows(found), found.get("metric_version")
    if version is None:
        raise RunFolderError(
            f"{shown}: is no summary or baseline: metric_version is missing; {_GIVE}"
        )
    place = RunFolder(file.parent)
    if file.name == place.summary.name and place.run_json.is_file():
        verdict = read_verdict(place.verdict) if place.verdict.is_file() else {}
        return BaselineFigures(
            place.path.resolve().name, [facts_of(place.read(), found, verdict)], rows
        )
    if version != VERSION:
        raise RunFolderError(
            f"--baseline {path}: its metrics are of definition version {version}, not {VERSION}: "
            "they mean something else; take a new one"
        )
    return BaselineFigures(file.name, [], rows)


def mismatches(found: BaselineFigures, ours: dict[str, Any]) -> list[str]:
    """A line for everything that speaks against judging a run of these facts by it."""
    if not found.facts:
        return [f"{found.name} does not say what was run (no run.json stands beside it)"]
    run = {**ours, "verdict": None, "interrupted": False}  # its own validity is judged elsewhere
    return unfit([*((found.name, facts) for facts in found.facts), ("this run", run)])


def other_lengths(found: BaselineFigures, ours: dict[str, Any]) -> list[str]:
    """What must be known where a run of these facts is longer or shorter than its baseline."""
    if not found.facts:
        return []
    return lengths([("this run", ours), *((found.name, facts) for facts in found.facts)])


def mismatch_error(path: Path, against: Sequence[str]) -> UsageError:
    """What is said where `mismatches` has something to say and nobody allowed it."""
    return UsageError(
        f"--baseline {path}: does not match this run: {'; '.join(against)}. "
        "Give a baseline of runs like this one, or allow it with --allow"
    )


def _plain_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows without a filter."""
    return [row for row in document["rows"] if not row["filter"]]


def _usual_rows(runs: Sequence[RunSample]) -> list[dict[str, Any]]:
    """The rows of the summaries that have samples, each with the mean of the runs' values.

    Of one run they are as they are, intervals too; the error of stamps is not kept.
    """
    found = []
    for row in runs[0].rows:
        same = [
            other
            for run in runs
            for other in run.rows
            if (other["metric"], other["statistic"]) == (row["metric"], row["statistic"])
        ]
        n = sum(other["n"] for other in same)
        if not n:
            continue
        values = [other["value"] for other in same]
        ends = (row["low"], row["high"])
        if len(runs) > 1:
            ends = (None, None)
            known = np.array([np.nan if value is None else value for value in values])
            ratio = METRICS[row["metric"]].kind not in {"share", "count"} and bool(
                (known > 0).all()
            )
            values = [usual(known, ratio=ratio)]
        value, low, high = _numbers(np.array([values[0], *ends], np.float64), _FINE)
        found.append({
            "metric": row["metric"], "filter": "", "statistic": row["statistic"], "value": value,
            "low": low, "high": high, "n": n, "unit": row["unit"],
        })  # fmt: skip
    return found


# ── to plain values and back ─────────────────────────────────────────────────────────────────────


def _written(run: RunSample) -> dict[str, Any]:
    utterances = sorted({utterance for _, utterance in run.said})
    number = {utterance: place for place, utterance in enumerate(utterances)}
    return {
        "name": run.name,
        "facts": run.facts,
        "seats": [list(key) for key in run.keys],
        "session": run.session.tolist(),
        "utterances": utterances,
        "said": [[turn, number[utterance]] for turn, utterance in run.said],
        "waits": {
            name: {
                "values": _numbers(wait.values),
                "censored": np.flatnonzero(wait.censored).tolist(),
            }
            for name, wait in run.waits.items()
        },
        "shares": {
            name: {"hits": _numbers(part.hits), "of": _numbers(part.of)}
            for name, part in run.shares.items()
        },
        "stages": {
            name: _numbers(values)
            for name, values in run.stages.items()
            if np.nan_to_num(values).any()
        },
        "once": {name: _numbers(wait.values) for name, wait in run.once.items()},
        "once_censored": {
            name: np.flatnonzero(wait.censored).tolist()
            for name, wait in run.once.items()
            if wait.censored.any()
        },
        "figures": {
            metric: {
                statistic: [*_numbers(np.array(figure[:3]), _FINE), figure.n]
                for statistic, figure in told.items()
            }
            for metric, told in run.figures.items()
        },
    }


def _numbers(values: Floats, digits: int = _DIGITS) -> list[float | int | None]:
    """Rounded; null for what is no number, and no point behind what is whole."""
    rounded = [round(value, digits) if np.isfinite(value) else None for value in values.tolist()]
    return [int(v) if v is not None and v.is_integer() else v for v in rounded]


def _read(run: dict[str, Any]) -> RunSample:
    words = run["utterances"]
    for key in NEEDED:
        _ = run["facts"][key]
    waits = {name: _wait(entry) for name, entry in run["waits"].items()}
    vain = run.get("once_censored", {})  # which older files do not have
    found = RunSample(
        name=str(run["name"]),
        facts=dict(run["facts"]),
        keys=tuple((int(slot), int(lap)) for slot, lap in run["seats"]),
        session=np.array(run["session"], np.intp),
        said=tuple((int(turn), str(words[place])) for turn, place in run["said"]),
        waits=waits,
        shares={
            name: ShareSample(_floats(entry["hits"]), _floats(entry["of"]))
            for name, entry in run["shares"].items()
        },
        stages={name: _floats(values) for name, values in run["stages"].items()},
        once={
            name: _wait({"values": values, "censored": vain.get(name, [])})
            for name, values in run["once"].items()
        },
        figures={
            metric: {statistic: _figure(*figure) for statistic, figure in told.items()}
            for metric, told in run.get("figures", {}).items()
        },
        rows=[],
    )
    turns = [found.said, *found.stages.values()]
    turns += [part for pair in (*waits.values(), *found.shares.values()) for part in pair]
    if {len(part) for part in turns} != {len(found.session)}:
        raise ValueError(f"the lists of turns of {found.name} are not of one length")
    if {len(wait.values) for wait in found.once.values()} - {len(found.keys)}:
        raise ValueError(f"the lists of sessions of {found.name} are not of one length")
    if found.session.max(initial=-1) >= len(found.keys):
        raise ValueError(f"a turn of {found.name} is of a session that is not among its seats")
    return found


def _figure(value: float | None, low: float | None, high: float | None, n: int) -> SummaryFigure:
    least, most = (np.nan if end is None else float(end) for end in (low, high))
    return SummaryFigure(np.inf if value is None else float(value), least, most, int(n))


def _wait(entry: dict[str, Any]) -> WaitSample:
    values = _floats(entry["values"])
    censored = np.zeros(len(values), bool)
    censored[entry["censored"]] = True
    values[censored & np.isnan(values)] = np.inf
    return WaitSample(values, censored)


def _floats(values: list[float | None]) -> Floats:
    return np.array(values, np.float64)


def _text(found: Any, indent: str = "") -> str:
    """JSON with a line for each key and each list: a review sees what changed."""
    if isinstance(found, dict) and found:
        inner = indent + " "
        lines = [f"{inner}{json.dumps(key)}: {_text(value, inner)}" for key, value in found.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(found, list) and found and isinstance(found[0], dict):
        inner = indent + " "
        lines = [
            inner + (_text(entry, inner) if "facts" in entry else json.dumps(entry))
            for entry in found
        ]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    return json.dumps(found, allow_nan=False, separators=(",", ":"))
