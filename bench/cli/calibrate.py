"""`bench calibrate`: what this machine's figures are worth, against a server whose truth is known.

Every concurrency is a run like any other, of one worker, in a folder that is thrown away once it
has been compared with the server's truth log.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from bench.cli.run import Options as RunOptions
from bench.cli.run import new_folder, run
from bench.cli.settle import seal_logs
from bench.cli.truths import TRUTHS
from bench.errors import UsageError
from bench.plan.reading import read_document
from bench.reference.profile import load_profile
from bench.runs.folder import RunFolder, still_there

DEFAULT = "shipped"
"""The name of the truth that is the reference server's shipped profile."""
MOST_SESSIONS = 100_000


class Options(NamedTuple):
    """What the command line said, unread."""

    scenario: Path
    sessions: str
    duration: str
    out: Path
    profile: Path | None = None
    truths: bool = False
    keep: bool = False
    pin: bool = False


class _Plan(NamedTuple):
    """One run: so many sessions against a server of that truth."""

    sessions: int
    truth: str
    assignments: tuple[str, ...]


class Interrupted(Exception):  # noqa: N818 - what happened, and no error
    """Ctrl-C: what was measured until then is printed nowhere and kept nowhere."""


def calibrate(options: Options, talk: Console) -> list[dict[str, Any]]:
    """Run, compare and write calibration.json; returns the results in the order of the runs.

    UsageError for what cannot be done, before anything starts.
    """
    counts = _counts(options.sessions)
    if options.profile is not None:
        load_profile(options.profile)
    _check_out(options.out)
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bench-calibrate-") as scratch:
        plans = list(_plans(options, counts, Path(scratch)))
        for number, plan in enumerate(plans):
            of = f"{number + 1} of {len(plans)}"
            talk.print(
                f"calibrate {of}: {plan.sessions} sessions, truth {plan.truth}",
                highlight=False, soft_wrap=True,
            )  # fmt: skip
            with _place(options, plan, Path(scratch)) as place:
                result, host = _calibrate_one(options, plan, place, talk)
            results.append(result)
            for doubt in result["why"]:
                talk.print(f"          {doubt}", highlight=False, markup=False, soft_wrap=True)
    _keep(options, results, host)
    return results


def _counts(text: str) -> list[int]:
    """The concurrencies of `--sessions`, ascending."""
    try:
        counts = sorted({int(word) for word in text.split(",")})
    except ValueError:
        counts = []
    if not counts or counts[0] < 1 or counts[-1] > MOST_SESSIONS:
        raise UsageError(f"--sessions {text!r}: give numbers from 1 on, as in 1,20,100")
    return counts


def _check_out(path: Path) -> None:
    """Whether calibration.json can be written, before minutes are spent."""
    draft = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.touch()
        draft.unlink()
    except OSError as error:
        raise UsageError(f"--out {path}: cannot be written: {error.strerror or error}") from None
    if path.is_dir():
        raise UsageError(f"--out {path}: is a folder; name a file in it")


def _plans(options: Options, counts: Sequence[int], scratch: Path) -> Iterator[_Plan]:
    """Every concurrency, then the first of them with every truth."""
    own = () if options.profile is None else (_profile(options.profile),)
    for count in counts:
        yield _Plan(count, options.profile.stem if options.profile else DEFAULT, own)
    if not options.truths:
        return
    detection = _server_vad(options.scenario)
    for name, truth in TRUTHS.items():
        path = scratch / f"{name}.toml"
        path.write_text(truth.profile, "utf-8")
        earlier = [
            f"session.turn_detection.{key}={value}" for key, value in truth.detection if detection
        ]
        yield _Plan(counts[0], name, (_profile(path), *earlier))


def _profile(path: Path) -> str:
    # A JSON string is a TOML string.
    return f"reference.profile={json.dumps(str(path.resolve()))}"


def _server_vad(scenario: Path) -> bool:
    """Whether the scenario spells out a server_vad of its own, which can be told to be early."""
    try:
        document = read_document(scenario.read_text("utf-8"), str(scenario))
    except (OSError, UnicodeDecodeError):
        return False  # the run says what is wrong with it
    session = document.get("session")
    detection = session.get("turn_detection") if isinstance(session, dict) else None
    return isinstance(detection, dict) and detection.get("type") == "server_vad"


@contextmanager
def _place(options: Options, plan: _Plan, scratch: Path) -> Iterator[Path]:
    """Where a run goes: under reports/ to stay, or where it is gone once it was looked at."""
    name = f"calibrate-{plan.sessions}-{plan.truth}"
    if options.keep:
        yield new_folder(name)
        return
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        yield Path(folder) / name


def _calibrate_one(
    options: Options, plan: _Plan, place: Path, talk: Console
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(result, fingerprint) of one run."""
    from bench.analysis.calibration import calibrate_run, fingerprint  # noqa: PLC0415 - slow
    from bench.analysis.pipeline import analyse  # noqa: PLC0415
    from bench.verdict.verdict import judge_run  # noqa: PLC0415

    folder, interrupted = run(
        RunOptions(
            options.scenario,
            sessions=plan.sessions,
            duration=options.duration,
            assignments=plan.assignments,
            out=place,
            pin=options.pin,
        ),
        talk,
    )
    if interrupted:
        raise Interrupted
    with talk.status("comparing with the truth"), still_there(folder.path):
        seal_logs(folder)
        analyse(folder.path)
        verdict = judge_run(folder.path, (), None)
        result = calibrate_run(folder.path, verdict, sessions=plan.sessions, truth=plan.truth)
    return result, fingerprint(RunFolder.open(folder.path).read())


def _keep(options: Options, results: list[dict[str, Any]], host: dict[str, Any]) -> None:
    from bench.analysis.calibration import write_calibration  # noqa: PLC0415

    try:
        write_calibration(options.out, results, host=host, scenario=options.scenario.stem)
    except OSError as error:
        raise UsageError(f"--out {options.out}: cannot be written: {error.strerror}") from None


# ── what is printed ──────────────────────────────────────────────────────────────────────────────


def print_calibration(results: Sequence[dict[str, Any]], out: Console) -> None:
    """Errors of stamps, bias of the headline, the generator's own part; the last line in words."""
    from bench.analysis.calibration import trust_statement  # noqa: PLC0415

    for title, cells in (
        ("error of every event's stamp, ms", _stamps),
        ("the headline: bias (median error) and resolution (p99 of its size), ms", _figures),
        ("the generator: chunks late, audio clock in 60 s, CPU a s; ms", _generator),
    ):
        out.print(_table(title, results, cells))
    out.print(trust_statement(results), highlight=False, markup=False, soft_wrap=True)


_Cells = Iterator[dict[str, str]]


def _table(
    title: str,
    results: Sequence[dict[str, Any]],
    cells: Callable[[dict[str, Any]], _Cells],
) -> Table:
    """A table of what `cells` says of each result; which truth it was where there are several."""
    several = len({result["truth"] for result in results}) > 1
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    rows = [
        {
            "sessions": str(result["sessions"]),
            **({"truth": result["truth"]} if several else {}),
            **row,
        }
        for result in results
        for row in cells(result)
    ]
    for name in rows[0] if rows else ():
        words = name in {"truth", "metric", "fit"}
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    return table


def _stamps(result: dict[str, Any]) -> _Cells:
    events = result["events"]
    yield {
        "events": str(events["n"]),
        "lost": str(events["lost"]),
        "extra": str(events["extra"]),
        "covered": _number(events["covered"], 1, " %"),
        **{name: _number(events[f"{name}_ms"], 2) for name in ("p1", "p50", "p99", "max")},
    }


def _figures(result: dict[str, Any]) -> _Cells:
    for name, metric in result["metrics"].items():
        yield {
            "metric": name,
            "n": str(metric["n"]),
            "bias": _number(metric["bias_ms"], 3, sign="+"),
            "resolution": _number(metric["p99_abs_ms"], 2),
        }


def _generator(result: dict[str, Any]) -> _Cells:
    cpu = result["cpu_per_session"]
    yield {
        "late p50": _number(result["sends"]["p50_ms"], 2),
        "late p99": _number(result["sends"]["p99_ms"], 2),
        "audio clock": _number(result["audio_clock_drift_ms"], 2, sign="+"),
        "CPU": _number(None if cpu is None else 1000 * cpu, 2),
        "fit": "yes" if result["fit"] else "no",
    }


def _number(value: float | None, digits: int, unit: str = "", sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.{digits}f}{unit}"
