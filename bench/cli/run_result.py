"""From a run that has ended to its result: seal, analyse, judge, draw, print. Verbs: report, judge.

All of it works from the folder alone, years later.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from bench.cli.console import COLOURS, inert, out, print_json, print_table, print_text, say, talk
from bench.cli.verbs import JudgeOptions, ReportOptions
from bench.errors import BenchError, FolderLostError, RunFolderError, ScriptError, UsageError
from bench.plan.gates import check_filters, check_gates, parse_gate
from bench.plan.metrics import METRICS
from bench.plan.scenario import known_of, yields_of
from bench.plan.scenario_reader import check_scenario
from bench.report.gauges_panel import gauge_lines
from bench.report.text import (
    NOTHING,
    calibrated_at,
    count,
    fine,
    interval,
    measured,
    plain,
    quantity,
    trust_lines,
)
from bench.runs.folder import SCRIPT, RunFolder, still_there, writable
from bench.runs.json_file import read_summary
from bench.runs.seal import ROWS, seal

CALIBRATION: Final = "calibration.json"
HEADLINE: Final = [
    one.name for one in METRICS.values() if "table" in one.uses and one.kind != "share"
]
SHARES: Final = [
    one.name for one in METRICS.values() if "table" in one.uses and one.kind == "share"
]
COMPARED: Final = [one.name for one in METRICS.values() if "by_setting" in one.uses]
"""What settings of a sweep are compared by: medians and shares."""
MOST_LEAKS = 5

Rows = dict[tuple[str, str], dict[str, Any]]
"""Rows of a summary by metric and statistic."""


def report_verb(options: ReportOptions) -> int:
    """Settle the run again, from what it recorded."""
    folder = RunFolder.open(options.run_folder)
    return print_settled(folder, as_json=options.as_json, as_markdown=options.as_markdown)


def judge_verb(options: JudgeOptions) -> int:
    """Judge the run as it was analysed."""
    from bench.compare.baseline import read_baseline_figures  # noqa: PLC0415 - slow, too
    from bench.verdict.explanation import explained  # noqa: PLC0415 - pandas is slow to import

    folder = RunFolder.open(options.run_folder)
    folder.read_whole()
    if options.baseline is not None:
        read_baseline_figures(options.baseline)  # a wrong request, and no fault of this run
    with still_there(folder.path), writable(folder) as place:
        verdict = judge(place, options.gates, options.baseline, allow=options.allow)
        if options.explain:
            verdict = explained(verdict)
        as_json, as_markdown = options.as_json, options.as_markdown
        return print_verdict(folder, place, verdict, as_json=as_json, as_markdown=as_markdown)


def print_settled(folder: RunFolder, *, as_json: bool, as_markdown: bool = False) -> int:
    """Settle a run and print its result; the exit code.

    FolderLostError where its folder is taken away, or its disk is full.
    """
    folder.read_whole()
    with still_there(folder.path), writable(folder) as place:
        with talk.status("sealing and analysing"):
            verdict = settle(place)
        return print_verdict(folder, place, verdict, as_json=as_json, as_markdown=as_markdown)


# ── from the logs to the verdict ─────────────────────────────────────────────────────────────────


def settle(folder: RunFolder) -> dict[str, Any]:
    """Do all of it; returns the verdict. Logs are removed once they are sealed and in order."""
    from bench.analysis.pipeline import analyse  # noqa: PLC0415 - pandas is slow to import

    seal_logs(folder)
    _keep_calibration(folder)
    try:
        analyse(folder.path)
    except (BenchError, OSError):
        raise
    except Exception as error:
        told = [one["text"] for one in folder.read()["faults"] if one["rule"] == ROWS]
        if not told:
            raise
        what = f"{folder.path}: what was recorded makes no sense ({error!r}): {told[0]}"
        raise FolderLostError(what, "restore the logs, or run again") from None
    return judge(folder, ())


def refuse_script(folder: RunFolder) -> None:
    """Seal a run that its own script has ended, and say why: ScriptError. Any other is left."""
    told = [one["text"] for one in folder.read()["faults"] if one["rule"] == SCRIPT]
    if told:
        seal_logs(folder)
        raise ScriptError(f"{told[0]}; the run was ended, its folder is {folder.path}")


def seal_logs(folder: RunFolder) -> None:
    """Seal what logs there are; they go once the seal holds every row that was acknowledged."""
    folder.give_room()
    logs = sorted(folder.logs.glob("worker-*.log"))
    if not logs and folder.events.exists():
        return
    run = seal(folder)
    if set(run["drained"]) == set(range(run["workers"])) and not run["faults"]:
        for log in logs:
            log.unlink()


def _keep_calibration(folder: RunFolder) -> None:
    """Write down, once, what is known of this harness's own error at the load of this run.

    The calibration is the one beside the run, else that of `reports/`.
    """
    from bench.analysis.calibration import error_of_run, read_calibration  # noqa: PLC0415
    from bench.analysis.tables import read_health  # noqa: PLC0415

    run = folder.read()
    if "metrics" in (run.get("calibration") or {}):
        return
    places = (folder.path.parent / CALIBRATION, Path("reports") / CALIBRATION)
    path = next((place for place in places if place.exists()), places[0])
    health = read_health(folder.health)
    held = int(health["sessions_open"].max()) if len(health) else 0
    try:
        told = error_of_run(run, held, read_calibration(path))
    except RunFolderError as broken:  # no reason to lose a run
        told = {"held": held, "why": str(broken)}
    folder.update(calibration=told)


def judge(
    folder: RunFolder,
    more: Sequence[str],
    baseline: Path | None = None,
    *,
    allow: bool = False,
) -> dict[str, Any]:
    """Judge by the run's own gates and some more, and draw the report and its digest again."""
    from bench.report.digest import write_digest  # noqa: PLC0415
    from bench.report.page import write_report  # noqa: PLC0415
    from bench.verdict.verdict import judge_run  # noqa: PLC0415

    run = folder.read()
    if not folder.summary.exists():
        raise RunFolderError(f"{folder.path}: not analysed yet; run `bench report` on it first")
    asked = [parse_gate(text) for text in more]
    gates = [*map(parse_gate, run["gates"]), *asked]
    needing = [gate.text for gate in asked if gate.against_baseline]
    if needing and baseline is None and not run.get("baseline"):
        raise UsageError(f"gate {needing[0]!r} needs a baseline: give --baseline RUN")
    said = run["scenario"]
    scenario = check_scenario(said["document"], said["text"], said["name"])
    check_gates(gates, yields=yields_of(scenario), script=scenario.scripts)
    check_filters(asked, {**known_of(scenario), "worker": range(run["workers"])})
    distinct = list({gate.text: gate for gate in gates}.values())
    verdict = judge_run(folder.path, distinct, baseline, allow=allow)
    write_report(folder.path)
    write_digest(folder.path)
    return verdict


# ── what is printed ──────────────────────────────────────────────────────────────────────────────


def print_verdict(
    folder: RunFolder,
    place: RunFolder,
    verdict: dict[str, Any],
    *,
    as_json: bool,
    as_markdown: bool,
) -> int:
    """Print the result, written to `place`, in the form that was asked for; the exit code."""
    from bench.verdict.verdict import EXIT_CODES  # noqa: PLC0415

    code = int(EXIT_CODES[verdict["verdict"]])
    if place is not folder:
        say(talk, f"{folder.path}: is read-only; the result is printed and not kept")
    if as_json:
        print_json({"folder": str(folder.path), **verdict})
        return code
    if as_markdown:
        print_text(place.digest.read_text("utf-8"))
    else:
        print_result(place, verdict, out)
        say(out, f"report  {folder.report}")
    for gate in verdict["gates"]:
        if "explain" in gate:
            say(talk if as_markdown else out, f"\n{gate['gate']}\n{gate['explain']}")
    return code


def print_result(folder: RunFolder, verdict: dict[str, Any], console: Console) -> None:
    """The result table, the gates and the verdict of a run."""
    summary, run = read_summary(folder.summary), folder.read()
    rows = {(row["metric"], row["statistic"]): row for row in summary["rows"] if not row["filter"]}
    _print_measures(rows, run, console)
    if summary["sessions"]["started"]:
        for line in _error_lines(run, rows):
            say(console, line)
    for line in _shares(rows, summary):
        say(console, line)
    for line in _findings(summary, verdict):
        say(console, line)
    if len(summary.get("settings") or ()) > 1:
        _print_settings(summary, console)
    _print_gates(verdict["gates"], console)
    word = verdict["verdict"]
    first, *rest = verdict["reasons"] or [""]
    say(console, Text(word.upper(), f"bold {COLOURS[word]}").append(f"  {first}", "default"))
    for reason in rest:
        say(console, f"  {reason}")
    if word == "invalid":
        broken = [check for check in verdict["validity"] if not check["ok"]]
        for remedy in dict.fromkeys(check["remedy"] for check in broken):
            say(console, f"do      {remedy}")


def _print_measures(rows: Rows, run: dict[str, Any], console: Console) -> None:
    shown = []
    for metric in HEADLINE:
        middle = rows.get((metric, "p50"))
        if middle is None or not middle["n"]:
            continue
        tail, unit = rows[metric, "p95"], METRICS[metric].unit
        width = middle.get("error_p99")
        shown.append((
            metric, _figure(middle, unit), _figure(tail, unit),
            interval(tail["low"], tail["high"], unit) or NOTHING,
            _figure(rows[metric, "p99"], unit), NOTHING if width is None else f"± {fine(width)}",
            plain(middle["n"]),
        ))  # fmt: skip
    title = f"{run['name']} against {run['target']['name']}"
    if not shown:
        say(console, title)
        return
    print_table(
        console,
        ("metric", ">p50", ">p95", ">95 % interval", ">p99", ">error", ">n"),
        shown,
        title=title,
        dispensable=(">p99", ">n", ">error", ">95 % interval"),
    )


def _error_lines(run: dict[str, Any], rows: Rows) -> Iterator[str]:
    """The harness's own timing error beside the figures; a note where nobody measured it."""
    where = calibrated_at(run)
    for said in trust_lines(run, rows):
        yield f"{'error' if where else 'note '}     {said}"
    if where:
        yield f"error     {where}"


def _shares(rows: Rows, summary: dict[str, Any]) -> Iterator[str]:
    told = [count(int(rows.get(("turns", "count"), {}).get("value") or 0), "turn")]
    for share in SHARES:
        row = rows.get((share, "share"))
        if row is not None and row["n"]:
            told.append(f"{share} {quantity(row['value'], '%')}")
    yield "  ".join(told)
    outcomes = ", ".join(f"{met} {name}" for name, met in summary["outcomes"].items() if met)
    yield f"outcomes  {outcomes or 'none'}"
    yield f"tokens    {_tokens(summary)}"
    settings = len(summary.get("settings") or ())
    if settings > 1:
        yield f"settings  all of this is over {settings} together; compared below"


def _findings(summary: dict[str, Any], verdict: dict[str, Any]) -> Iterator[str]:
    """Remarks, the server's gauges, and what was found wrong, each by its name."""
    for remark in verdict.get("remarks") or ():
        yield f"remark    {remark}"
    for gauge in gauge_lines(summary, verdict):
        yield f"gauge     {inert(gauge)}"
    for found in summary.get("violations") or ():
        words = [example["text"] for example in found["examples"]] or [found["about"]]
        yield f"violation {found['rule']}: {found['count']} times; {inert(words[0])}"
    for leak in (summary.get("leaks") or ())[:MOST_LEAKS]:
        yield (
            f"leak      session {leak['session']} got “{inert(leak['words'])}” of session "
            f"{leak['of_session']} ({inert(leak['what'])})"
        )
    for change in summary.get("unhonoured") or ():
        got = f"got {inert(change['got'])}" if change.get("echoed", True) else "not echoed"
        yield (
            f"setting   {inert(change['path'])}: asked {inert(change['asked'])}, {got} "
            f"({change['sessions']} sessions)"
        )


def _print_gates(gates: Sequence[dict[str, Any]], console: Console) -> None:
    """A row for each gate; one line where the run has no data for any."""
    if not any(one["n"] for one in gates):
        if gates:
            say(console, f"gates     no data for any of the {len(gates)}")
        return
    rows = [
        (
            Text(one["verdict"], "dim" if one.get("soft") else COLOURS[one["verdict"]]),
            Text(f"{one['gate']}\n{one['reason']}"),
        )
        for one in gates
    ]
    print_table(console, ("~verdict", "~why"), rows, title="gates")


def _print_settings(summary: dict[str, Any], console: Console) -> None:
    """The settings of a sweep side by side."""
    found = {(row["filter"], row["metric"], row["statistic"]): row for row in summary["rows"]}
    shown = []
    for label in summary["settings"]:
        cells = []
        for name in COMPARED:
            metric = METRICS[name]
            statistic = "share" if metric.kind == "share" else "p50"
            row = found.get((f"setting={label}", name, statistic))
            cells.append(_figure(row, metric.unit) if row and row["n"] else NOTHING)
        shown.append((label, *cells))
    columns = ("setting", *(">" + name.replace("_", "\n") for name in COMPARED))
    print_table(console, columns, shown, title="settings")


def _figure(row: dict[str, Any], unit: str) -> str:
    """A figure; of one that was not reached, how long the longest wait was."""
    return measured(row["value"], row["n"], unit, row.get("longest"))


def _tokens(summary: dict[str, Any]) -> str:
    usage = summary.get("usage")
    if not usage:
        return "not reported"
    told = f"{usage['input_tokens']} in, {usage['output_tokens']} out"
    return f"{told} ({usage['reporting']} of {usage['replies']} replies reported theirs)"
