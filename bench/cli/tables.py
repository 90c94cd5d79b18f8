"""What the command line prints of a run: the result table and the verdict."""

from collections.abc import Iterator
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.plan.metrics import METRICS
from bench.report.gauges_panel import gauge_lines
from bench.report.text import calibrated_at, clip, fine, trust_lines
from bench.runs.folder import RunFolder

HEADLINE = [one.name for one in METRICS.values() if "table" in one.uses and one.kind != "share"]
SHARES = [one.name for one in METRICS.values() if "table" in one.uses and one.kind == "share"]
COMPARED = [one.name for one in METRICS.values() if "by_setting" in one.uses]
"""What settings of a sweep are compared by: medians and shares."""
MOST_LEAKS = 5
_LONGEST = 200
COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow", "invalid": "magenta"}


def print_result(folder: RunFolder, verdict: dict[str, Any], out: Console) -> None:
    """The result table, the gates and the verdict of a run."""
    summary = msgspec.json.decode(folder.summary.read_bytes())
    run = folder.read()
    rows = {(row["metric"], row["statistic"]): row for row in summary["rows"] if not row["filter"]}
    out.print(_measures(rows, run))
    started = summary["sessions"]["started"]
    lines = list(trust_lines(run, rows)) if started else []
    where = calibrated_at(run)
    for said in [*lines, *([where] if where else [])]:
        out.print(f"error     {said}", highlight=False, markup=False, soft_wrap=True)
    out.print(_shares(rows, summary))
    for remark in verdict.get("remarks") or ():
        out.print(f"remark    {remark}", highlight=False, markup=False, soft_wrap=True)
    for gauge in gauge_lines(summary, verdict):
        out.print(f"gauge     {_inert(gauge)}", highlight=False, markup=False, soft_wrap=True)
    for finding in _findings(summary):
        out.print(finding, highlight=False, markup=False, soft_wrap=True)
    if len(summary.get("settings") or ()) > 1:
        out.print(_settings(summary))
    if verdict["gates"]:
        out.print(_gates(verdict["gates"]))
    word = verdict["verdict"]
    line = Text(word.upper(), style=f"bold {COLOURS[word]}")
    first, *rest = verdict["reasons"] or [""]
    out.print(line.append(f"  {first}", style="default"))
    for reason in rest:
        out.print(f"  {reason}", highlight=False, markup=False)
    if word == "invalid":
        broken = [check for check in verdict["validity"] if not check["ok"]]
        for remedy in dict.fromkeys(check["remedy"] for check in broken):
            out.print(f"do      {remedy}", highlight=False, markup=False)
    out.print(f"report  {folder.report}", highlight=False, soft_wrap=True)


def _measures(rows: dict[tuple[str, str], dict[str, Any]], run: dict[str, Any]) -> Table:
    title = f"{run['name']} against {run['target']['name']}"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    table.add_column("metric", overflow="fold")
    for name in ("p50", "p95", "95 % interval", "p99", "error", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    for metric in HEADLINE:
        middle = rows.get((metric, "p50"))
        if middle is None or not middle["n"]:
            continue
        tail = rows[metric, "p95"]
        unit = METRICS[metric].unit
        table.add_row(
            metric,
            _number(middle, unit),
            _number(tail, unit),
            _interval(tail),
            _number(rows[metric, "p99"], unit),
            _bar(middle),
            str(middle["n"]),
        )
    return table


def _shares(rows: dict[tuple[str, str], dict[str, Any]], summary: dict[str, Any]) -> str:
    turns = rows.get(("turns", "count"), {}).get("value") or 0
    told = [f"{turns:.0f} turns"]
    for share in SHARES:
        row = rows.get((share, "share"))
        if row is not None and row["n"]:
            told.append(f"{share} {row['value']:.1f} %")
    outcomes = ", ".join(f"{count} {name}" for name, count in summary["outcomes"].items() if count)
    lines = ["  ".join(told), f"outcomes  {outcomes or 'none'}", f"tokens    {_tokens(summary)}"]
    settings = len(summary.get("settings") or ())
    if settings > 1:
        lines.append(f"settings  all of this is over {settings} together; compared below")
    return "\n".join(lines)


def _findings(summary: dict[str, Any]) -> Iterator[str]:
    """What was found wrong, each by its name; nothing where nothing was."""
    for found in summary.get("violations") or ():
        words = [example["text"] for example in found["examples"]] or [found["about"]]
        yield f"violation {found['rule']}: {found['count']} times; {_inert(words[0])}"
    for leak in (summary.get("leaks") or ())[:MOST_LEAKS]:
        yield (
            f"leak      session {leak['session']} got “{_inert(leak['words'])}” of session "
            f"{leak['of_session']} ({_inert(leak['what'])})"
        )
    for change in summary.get("unhonoured") or ():
        got = f"got {_inert(change['got'])}" if change.get("echoed", True) else "not echoed"
        yield (
            f"setting   {_inert(change['path'])}: asked {_inert(change['asked'])}, {got} "
            f"({change['sessions']} sessions)"
        )


def _inert(value: object) -> str:
    """What a server said, as one short line that does nothing to a terminal."""
    # What is no printable character (escape sequences, other directions of text) is written out.
    line = " ".join(str(value).split())
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
    return clip(shown, _LONGEST)


def _settings(summary: dict[str, Any]) -> Table:
    """The settings of a sweep side by side."""
    found = {(row["filter"], row["metric"], row["statistic"]): row for row in summary["rows"]}
    table = Table(title="settings", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("setting", no_wrap=True)
    for name in COMPARED:
        table.add_column(name.replace("_", "\n"), justify="right")
    for label in summary["settings"]:
        cells = []
        for name in COMPARED:
            metric = METRICS[name]
            statistic = "share" if metric.kind == "share" else "p50"
            row = found.get((f"setting={label}", name, statistic))
            cells.append(_number(row, metric.unit) if row and row["n"] else "–")
        table.add_row(label, *cells)
    return table


def _tokens(summary: dict[str, Any]) -> str:
    usage = summary.get("usage")
    if not usage:
        return "not reported"
    told = f"{usage['input_tokens']} in, {usage['output_tokens']} out"
    return f"{told} ({usage['reporting']} of {usage['replies']} replies reported theirs)"


def _gates(gates: list[dict[str, Any]]) -> Table:
    table = Table(title="gates", box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("verdict", "why"):
        table.add_column(name, overflow="fold")
    for gate in gates:
        word = gate["verdict"]
        shown = Text(word, style="dim" if gate.get("soft") else COLOURS[word])
        table.add_row(shown, f"{gate['gate']}\n{gate['reason']}")
    return table


def _number(row: dict[str, Any], unit: str) -> str:
    """A figure; of one that lies beyond every wait, how long the longest was."""
    value, beyond = row["value"], ""
    if value is None:
        value, beyond = row.get("longest"), "> "
    if value is None:
        return "beyond wait"
    return beyond + (f"{value:.0f} {unit}" if abs(value) >= 100 else f"{value:.1f} {unit}")


def _bar(row: dict[str, Any]) -> str:
    """How far a sample's own two stamps leave it open, at the 99th percentile."""
    width = row.get("error_p99")
    return "–" if width is None else f"± {fine(width)}"


def _interval(row: dict[str, Any]) -> str:
    if row["low"] is None:
        return "–"
    if row["high"] is None:
        return f"{row['low']:.{0 if abs(row['low']) >= 100 else 1}f} to ∞"
    digits = 0 if abs(row["high"]) >= 100 else 1
    return f"{row['low']:.{digits}f} to {row['high']:.{digits}f}"
