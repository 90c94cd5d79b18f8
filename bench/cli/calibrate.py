"""`bench calibrate`: what this machine's figures are worth, against a server whose truth is known.

Every concurrency is a run like any other, of one worker, in a folder that is thrown away once it
has been compared with the server's truth log. `--truths` adds six ways in which a server may
behave, to show that a harness's bias depends on none.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console

from bench.cli.console import out, print_json, print_table, say, talk
from bench.cli.run_estimate import run_minutes
from bench.cli.run_job import job_of
from bench.cli.run_result import seal_logs
from bench.cli.run_scenario import new_folder, run
from bench.cli.supervisor import EXIT_INTERRUPTED
from bench.cli.verbs import CalibrateOptions, RunOptions
from bench.errors import BenchError, ScenarioError, UsageError
from bench.plan.scenario_reader import read_document
from bench.reference.profile import load_profile
from bench.report.text import count
from bench.runs.folder import RunFolder, still_there
from bench.runs.job import read_scenario
from bench.shelves import find_scenario, shipped_or_here

DEFAULT = "shipped"
"""The name of the truth that is the reference server's shipped profile."""
MOST_SESSIONS = 100_000


class Truth(NamedTuple):
    """How the server behaves: a profile (TOML, every key it does not name as shipped).

    `detection` is merged into the scenario's own server_vad.
    """

    profile: str
    detection: tuple[tuple[str, int], ...] = ()


_STEADY: Final = "[response]\ncreated_ms = 20\nfirst_delta_ms = 350\nleading_silence_ms = 0\n"

TRUTHS: Final = {
    # Everything takes as long as it took the last time.
    "constant": Truth(_STEADY),
    # Most answers are quick, a few take seconds; nothing comes at an even pace.
    "heavy_tailed": Truth(
        "[vad]\nlag_ms = { kind = 'lognormal', median_ms = 15, sigma = 0.8 }\n"
        "[response]\ncreated_ms = { kind = 'lognormal', median_ms = 20, sigma = 0.8 }\n"
        "first_delta_ms = { kind = 'lognormal', median_ms = 350, sigma = 0.9 }\njitter_ms = 20\n"
    ),
    # A reply in small deltas, two each ms: segments coalesce in the kernel. Not all of it at once:
    # what the socket does not take waits in the server, and its truth would not be known.
    "bursts": Truth(f"{_STEADY}delta_ms = 20\npace = 40\n"),
    # Deltas stop and start, and the player starves.
    "stalls": Truth(f"{_STEADY}delta_ms = 400\npace = 0.9\njitter_ms = 400\n"),
    # The first packets are silent: first audio and first audible sample are far apart.
    "silence_first": Truth(
        "[response]\nleading_silence_ms = { kind = 'uniform', low_ms = 200, high_ms = 600 }\n"
    ),
    # Turns end at the first short pause and are answered at once, into the caller's own speech.
    "early_vad": Truth(
        "[vad]\nlag_ms = 0\n[response]\ncreated_ms = 0\nfirst_delta_ms = 10\n",
        (("silence_duration_ms", 100),),
    ),
}


class _Plan(NamedTuple):
    """One run: so many sessions against a server of that truth."""

    sessions: int
    truth: str
    assignments: tuple[str, ...]


class InterruptedCalibrationError(BenchError):
    """Ctrl-C: what was measured until then is printed nowhere and kept nowhere."""

    exit_code = EXIT_INTERRUPTED


def calibrate_verb(options: CalibrateOptions) -> int:
    """Calibrate and print; 3 where no concurrency can be trusted."""
    from bench.analysis.calibration import trusted  # noqa: PLC0415 - pandas is slow to import

    results = calibrate(options, talk)
    if options.as_json:
        print_json(results)
    else:
        print_calibration(results, out)
    return 0 if trusted(results) else 3


def calibrate(options: CalibrateOptions, console: Console) -> list[dict[str, Any]]:
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
        whole = len(plans) * run_minutes(job_of(_run_options(options, plans[0])))
        say(console, f"calibrate {count(len(plans), 'run')}, about {ceil(whole)} minutes of load")
        for number, plan in enumerate(plans):
            of = f"{number + 1} of {len(plans)}"
            say(console, f"calibrate {of}: {plan.sessions} sessions, truth {plan.truth}")
            with _place(options, plan, Path(scratch)) as place:
                result, host = _calibrate_one(options, plan, place, console)
            results.append(result)
            for doubt in result["why"]:
                say(console, f"          {doubt}")
    _keep(options, results, host)
    return results


MOST_COUNTS: Final = 20


def _counts(text: str) -> list[int]:
    """The concurrencies of `--sessions`, ascending."""
    try:
        counts = sorted({int(word) for word in text.split(",", MOST_COUNTS)})
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


def _plans(options: CalibrateOptions, counts: Sequence[int], scratch: Path) -> Iterator[_Plan]:
    """Every concurrency, then the first of them with every truth."""
    own = () if options.profile is None else (_profile(options.profile),)
    for sessions in counts:
        yield _Plan(sessions, options.profile.stem if options.profile else DEFAULT, own)
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
    return f"reference.profile={json.dumps(str(shipped_or_here(path).resolve()))}"


def _server_vad(scenario: Path) -> bool:
    """Whether the scenario spells out a server_vad of its own, which can be told to be early."""
    try:
        document = read_document(read_scenario(find_scenario(scenario)), str(scenario))
    except ScenarioError:
        return False  # the run says what is wrong with it
    session = document.get("session")
    detection = session.get("turn_detection") if isinstance(session, dict) else None
    return isinstance(detection, dict) and detection.get("type") == "server_vad"


@contextmanager
def _place(options: CalibrateOptions, plan: _Plan, scratch: Path) -> Iterator[Path]:
    """Where a run goes: under reports/ to stay, or where it is gone once it was looked at."""
    name = f"calibrate-{plan.sessions}-{plan.truth}"
    if options.keep:
        yield new_folder(name)
        return
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        yield Path(folder) / name


def _run_options(options: CalibrateOptions, plan: _Plan) -> RunOptions:
    return RunOptions(
        options.scenario,
        sessions=plan.sessions,
        duration=options.duration,
        assignments=plan.assignments,
        pin=options.pin,
    )


def _calibrate_one(
    options: CalibrateOptions, plan: _Plan, place: Path, console: Console
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(result, fingerprint) of one run."""
    from bench.analysis.calibration import calibrate_run, fingerprint  # noqa: PLC0415 - slow
    from bench.analysis.pipeline import analyse  # noqa: PLC0415
    from bench.verdict.verdict import judge_run  # noqa: PLC0415

    folder, interrupted = run(_run_options(options, plan)._replace(out=place), console)
    if interrupted:
        raise InterruptedCalibrationError("interrupted; nothing is kept")
    with console.status("comparing with the truth"), still_there(folder.path):
        seal_logs(folder)
        analyse(folder.path)
        verdict = judge_run(folder.path, (), None)
        result = calibrate_run(folder.path, verdict, sessions=plan.sessions, truth=plan.truth)
    return result, fingerprint(RunFolder.open(folder.path).read())


def _keep(options: CalibrateOptions, results: list[dict[str, Any]], host: dict[str, Any]) -> None:
    from bench.analysis.calibration import write_calibration  # noqa: PLC0415

    try:
        write_calibration(options.out, results, host=host, scenario=options.scenario.stem)
    except OSError as error:
        raise UsageError(f"--out {options.out}: cannot be written: {error.strerror}") from None


# ── what is printed ──────────────────────────────────────────────────────────────────────────────


def print_calibration(results: Sequence[dict[str, Any]], console: Console) -> None:
    """Errors of stamps, bias of the headline, the generator's own part; the last line in words."""
    from bench.analysis.calibration import trust_statement  # noqa: PLC0415

    several = len({result["truth"] for result in results}) > 1
    for title, cells in (
        ("error of every event's stamp, ms", _stamps),
        ("the headline: bias (median error) and resolution (p99 of its size), ms", _figures),
        ("the generator: chunks late, audio clock in 60 s, CPU a s; ms", _generator),
    ):
        rows = [
            {
                "sessions": str(result["sessions"]),
                **({"truth": result["truth"]} if several else {}),
                **row,
            }
            for result in results
            for row in cells(result)
        ]
        words = {"truth", "metric", "fit"}
        columns = [name if name in words else f">{name}" for name in (rows[0] if rows else ())]
        print_table(console, columns, [tuple(row.values()) for row in rows], title=title)
    say(console, trust_statement(results))


_Cells = Iterator[dict[str, str]]


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
