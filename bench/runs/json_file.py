"""A JSON document that this program wrote, read back: with its version and shape, or refused.

The structs are what readers of `run.json`, `summary.json` and `verdict.json` rely on; a document
may have more. A key with a default may be missing, for older versions did not write it.
"""

from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from bench.data_file import fitted, read_json_file, reading
from bench.errors import RunFolderError

FORMAT: Final = 1
"""Of summary.json and verdict.json."""
Number = float | int


class _EffectiveLoad(Struct, frozen=True):
    sessions: int | None = None
    arrivals: str | None = None
    rate: Number | None = None
    warmup: int = 0
    duration: int = 0
    drain: int = 0
    steps: list[dict[str, int]] = []


class _Effective(Struct, frozen=True):
    script: str = ""
    corpus: str = ""
    turns: int = 0
    chunk_ms: int = 100
    session: dict[str, Any] = {}
    sweep: dict[str, list[Any]] = {}
    mixture: list[dict[str, Any]] = []
    caller: dict[str, Any] = {}
    load: _EffectiveLoad | None = None
    seeds: dict[str, int] = {}
    health: dict[str, Number] | None = None
    gates: dict[str, list[str]] = {}
    slo: dict[str, list[str]] = {}
    reference: dict[str, str] | None = None


class _Scenario(Struct, frozen=True):
    """`effective` is read against the scenario's own grammar by whoever runs it again."""

    name: str = ""
    text: str = ""
    sha256: str = ""
    document: dict[str, Any] = {}
    effective: _Effective | None = None


class _Corpus(Struct, frozen=True):
    name: str
    sha256: str
    folder: str = ""


class _Target(Struct, frozen=True):
    name: str
    url: str
    dialect: str
    subprotocol: str = ""
    hops: int = 0


class _Plan(Struct, frozen=True):
    start_ns: int | None = None
    measured_from_ns: int | None = None
    measured_to_ns: int | None = None
    end_ns: int | None = None
    sessions: int | None = None
    scheduled: int | None = None


class _Fault(Struct, frozen=True):
    rule: str
    text: str
    remedy: str
    from_ns: int | None = None
    to_ns: int | None = None


class RunShape(Struct, frozen=True):
    """`run.json`, as far as any reader relies on it."""

    metric_version: int = 0
    bench_version: str = ""
    name: str = ""
    created: str = ""
    host: dict[str, Any] = {}
    scenario: _Scenario | None = None
    corpus: _Corpus | None = None
    target: _Target | None = None
    workers: int = 0
    plan: _Plan = _Plan()
    plan_sha256: str = ""
    trace_sha256: str = ""
    clock_pairs: list[tuple[int, int]] = []
    rows_written: dict[str, int] = {}
    rows_sealed: int = 0
    drained: list[int] = []
    digests: dict[str, str | None] = {}
    processes: dict[str, int] = {}
    interrupted: bool = False
    ended_by: dict[str, Any] | None = None
    interim: dict[str, Any] | None = None
    faults: list[_Fault] = []
    gauges: dict[str, Any] | None = None
    gates: list[str] = []
    baseline: dict[str, Any] | str | None = None
    reference: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    neighbours: list[dict[str, Any]] | None = None


NEEDED_TO_JUDGE = ("name", "scenario", "target", "workers", "plan", "faults", "gates")
"""Keys of run.json without which a verb can do nothing with a run."""


class SummaryRow(Struct, frozen=True):
    """A figure of a summary. `filter` is "" of the whole run."""

    metric: str
    filter: str
    statistic: str
    value: Number | None
    low: Number | None
    high: Number | None
    n: int
    unit: str
    effective: Number | None = None
    longest: Number | None = None
    error_p50: Number | None = None
    error_p99: Number | None = None


class _Remarked(Struct, frozen=True):
    rule: str
    count: int
    about: str
    examples: list[dict[str, Any]]


class SummaryShape(Struct, frozen=True):
    """`summary.json`, as far as any reader relies on it."""

    rows: list[SummaryRow]
    metric_version: int | None = None
    outcomes: dict[str, int] = {}
    sessions: dict[str, int] = {}
    connecting: dict[str, Number] = {}
    addresses: dict[str, int] = {}
    settings: list[str] | None = None
    scripts: list[str] | None = None
    usage: dict[str, Number | None] | None = None
    words: dict[str, Any] | None = None
    messages: list[dict[str, Any]] = []
    errors_by_code: dict[str, Any] | None = None
    quirks: list[dict[str, Any]] = []
    greetings: dict[str, Any] | None = None
    violations: list[_Remarked] | None = None
    leaks: list[dict[str, Any]] | None = None
    unhonoured: list[dict[str, Any]] | None = None
    set_aside: dict[str, Any] | None = None
    stamps: dict[str, Any] | None = None
    checks: dict[str, Any] = {}
    about: dict[str, Any] = {}
    gauges: list[dict[str, Any]] = []
    remarks: list[str] = []


class _GateRow(Struct, frozen=True):
    gate: str
    verdict: str
    reason: str
    value: Number | None = None
    low: Number | None = None
    high: Number | None = None
    n: int | None = None
    limit: Number | None = None
    soft: bool = False
    ended: str | None = None
    advice: str | None = None


class _Validity(Struct, frozen=True):
    rule: str
    ok: bool
    text: str
    remedy: str
    value: Any = None
    bound: Any = None
    unit: str | None = None
    from_s: Number | None = None
    to_s: Number | None = None


class VerdictShape(Struct, frozen=True):
    """`verdict.json`, as far as any reader relies on it."""

    verdict: str
    reasons: list[str] = []
    gates: list[_GateRow] = []
    validity: list[_Validity] = []
    remarks: list[str] | None = None
    causes: list[dict[str, Any]] | None = None


def read_json(
    path: Path, version: int | None, *, missing: str, broken: str, shape: type[Struct] | None = None
) -> dict[str, Any]:
    """The document at `path`, whose key `format` is `version` (None: it has none), of that shape.

    RunFolderError, a line that names the file and ends with a remedy: `missing` where there is no
    such document, `broken` where it cannot be read.
    """
    with reading(path, RunFolderError, broken, missing=missing):
        document = read_json_file(path)
    if not isinstance(document, dict) and version is None:
        raise RunFolderError(f"{path}: is no JSON object; {broken}")
    found = document.get("format") if isinstance(document, dict) else None
    if version is not None and type(found) is not int:
        raise RunFolderError(
            f"{path}: is no document of this program (its key 'format' is no number); {missing}"
        )
    if version is not None and found != version:
        raise RunFolderError(
            f"{path}: format {found}, this version reads {version}; use the bench version that "
            "made it"
        )
    if shape is not None:
        with reading(path, RunFolderError, broken):
            fitted(document, shape)
    return dict(document)


def check_whole(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    """`run`, where it says all that a verb relies on. RunFolderError names a missing key."""
    said = run.get("scenario") or {}
    lost = [key for key in NEEDED_TO_JUDGE if run.get(key) is None]
    lost += [f"scenario.{key}" for key in ("name", "text", "document") if key not in said]
    if lost:
        raise RunFolderError(f"{path}: {lost[0]}: is not there; restore the file, or run again")
    return run


def read_summary(path: Path) -> dict[str, Any]:
    """The summary of an analysed run. RunFolderError names file, key and remedy."""
    return _judged(path, SummaryShape)


def read_verdict(path: Path) -> dict[str, Any]:
    """The verdict of a judged run. RunFolderError names file, key and remedy."""
    return _judged(path, VerdictShape)


def _judged(path: Path, shape: type[Struct]) -> dict[str, Any]:
    again = f"analyse the run again with 'bench report {path.parent}'"
    found = read_json(path, None, missing=again, broken=again, shape=shape)
    if found.get("format", FORMAT) != FORMAT:  # the first ones did not say
        raise RunFolderError(f"{path}: format {found['format']!r}, this version reads {FORMAT}")
    return found
