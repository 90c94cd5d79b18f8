"""The answer of a capacity search: on the terminal, as capacity.csv and as capacity.md.

All figures are those of `capacity.json`; nothing is computed here.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from bench.capacity.document import BoundedFigure, CapacityResult, LoadProbe, TierCapacity
from bench.report.words import plain
from bench.runs.folder import replace_file

CSV: Final = "capacity.csv"
MARKDOWN: Final = "capacity.md"
_NARROW: Final = 100
"""Columns of a terminal below which the less important columns are left out."""
_LEFT_OUT: Final = ("endpointing", "underrun", "gauges", "generator")


def write_tables(result: CapacityResult, folder: Path) -> None:
    """Write capacity.csv and capacity.md, each in one step."""
    replace_file(folder / CSV, csv_text(result))
    replace_file(folder / MARKDOWN, markdown_text(result))


def print_capacity(result: CapacityResult, out: Console) -> None:
    """A row for each run by load, then a line for each tier and what must be known of them."""
    rows = [row for _, row in probe_rows(result)]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    names = [
        name for name in (rows[0] if rows else ())
        if out.width >= _NARROW or name not in _LEFT_OUT
    ]  # fmt: skip
    for name in names:
        table.add_column(name, justify="right" if name != "verdict" else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(row[name] for name in names))
    if rows:
        out.print(table)
    for line in sentences(result):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def csv_text(result: CapacityResult) -> str:
    """One row a run, every figure with its interval."""
    text = io.StringIO()
    tiers = [one.tier for one in result.tiers]
    gauges = list(dict.fromkeys(name for probe in result.probes for name in probe.gauges))
    writer = csv.writer(text, lineterminator="\n")
    shown = ("good_turns", "first_audio_p95", "endpointing_p95", "generation_p95", "underrun",
             "refused", "held")  # fmt: skip
    ends = [name for figure in shown for name in (figure, f"{figure}_low", f"{figure}_high")]
    writer.writerow([
        "number", "load", "unit", "purpose", "run", "void", *(f"verdict_{tier}" for tier in tiers),
        "turns", "good_turns_per_s", "sessions_in_flight", *ends, *(f"gauge_{g}" for g in gauges),
        "generator_cpu", "send_lateness_p99_ms",
    ])  # fmt: skip
    for probe in result.probes:
        figures = [getattr(probe.figures, name) for name in shown]
        writer.writerow([
            probe.number, probe.load, result.unit, probe.purpose, probe.run, probe.void,
            *(probe.tiers[tier].verdict if tier in probe.tiers else "" for tier in tiers),
            probe.turns, probe.good_turns_per_s, probe.sessions_in_flight,
            *(end for one in figures for end in (one.value, one.low, one.high)),
            *(probe.gauges[name].mean if name in probe.gauges else "" for name in gauges),
            probe.generator.cpu, probe.generator.send_lateness_p99,
        ])  # fmt: skip
    return text.getvalue()


def markdown_text(result: CapacityResult) -> str:
    """The same table in short, then the sentences."""
    rows = [row for _, row in probe_rows(result)]
    names = list(rows[0]) if rows else []
    lines = [f"# Capacity of {result.target.name}: {result.scenario.name}", ""]
    if rows:
        lines += [_line(names), _line(["---"] * len(names))]
        lines += [_line(list(row.values())) for row in rows]
        lines.append("")
    lines += [f"- {line.replace('|', chr(92) + '|')}" for line in sentences(result)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def probe_rows(result: CapacityResult) -> Iterator[tuple[LoadProbe, dict[str, str]]]:
    """Every run by load, with the cells of its row by column."""
    for probe in sorted(result.probes, key=lambda one: (one.load, one.number)):
        figures, cpu = probe.figures, probe.generator.cpu
        yield probe, {
            "sessions" if result.load == "sessions" else "starts/s": _load(probe.load),
            "good %": _interval(figures.good_turns),
            "first audio p95": _interval(figures.first_audio_p95),
            "endpointing": plain(figures.endpointing_p95.value, "ms"),
            "generation": plain(figures.generation_p95.value, "ms"),
            "underrun": plain(figures.underrun.value, "%"),
            "refused %": plain(figures.refused.value, "%"),
            "gauges": ", ".join(f"{name} {one.mean:.3g}" for name, one in probe.gauges.items()
                                if one.mean is not None) or "–",
            "generator": "–" if cpu is None else f"{cpu:.0f} %",
            "verdict": _verdict(probe),
        }  # fmt: skip


def _verdict(probe: LoadProbe) -> str:
    if probe.void:
        return "○ void"
    words = {one.verdict for one in probe.tiers.values()}
    if len(words) == 1:
        return words.pop()
    return " ".join(f"{tier} {one.verdict}" for tier, one in probe.tiers.items())


def _interval(figure: BoundedFigure) -> str:
    if figure.value is None:
        return "∞" if figure.n else "–"
    value = plain(figure.value, figure.unit)
    if figure.low is None and figure.high is None:
        return value
    ends = (figure.low, figure.high)
    low, high = ("…" if end is None else plain(end, figure.unit) for end in ends)
    return f"{value} [{low}, {high}]"


def sentences(result: CapacityResult) -> Iterator[str]:
    """What the answer says in words: tiers, what lies beyond, cost, workload, remarks."""
    for tier in result.tiers:
        yield _answer(result, tier)
        yield from (f"  {line}" for line in tier.said if not line.startswith("at least"))
        if tier.cost is not None:
            each = ", ".join(
                f"{money:.2f} at {use} %"
                for use, money in tier.cost.per_1000_turns.items() if money is not None
            )  # fmt: skip
            price = tier.cost.per_session_minute or 0.0
            yield f"  cost: {price:g} a session-minute; 1,000 turns {each} use of the capacity"
    if result.beyond is not None:
        yield f"beyond: it {result.beyond.behaviour}; {result.beyond.text}"
    if result.recovery is not None:
        yield f"recovery: {result.recovery.text}"
    if result.scalability is not None:
        fit = result.scalability
        peak = fit.refusal
        if fit.peak is not None and fit.peak.value is not None:
            peak = f"throughput peaks at {fit.peak.value:.0f} sessions, as a description"
        if peak:
            yield f"scalability: {peak}"
    yield _workload(result)
    yield from (f"remark: {line}" for line in result.remarks)


def _answer(result: CapacityResult, tier: TierCapacity) -> str:
    unit = "sessions" if result.load == "sessions" else "session starts a second"
    if tier.capacity is None or not tier.capacity:
        return f"{tier.tier}: no capacity was found"
    if tier.at_least:
        return f"{tier.tier}: at least {_load(tier.capacity)} {unit} (limit: {tier.limit})"
    low, high = (_load(end) if end is not None else "…" for end in (tier.low, tier.high))
    stage = f", in {tier.stage}" if tier.stage else ""
    sure = "confirmed by a hold" if tier.confirmed else "not confirmed"
    return (
        f"{tier.tier}: {_load(tier.capacity)} {unit} [{low}, {high}], {sure}; "
        f"{tier.binding} breaks first{stage}"
    )


def _workload(result: CapacityResult) -> str:
    told, length = result.workload, result.workload.session_s
    if length.value is None:
        return "workload: no whole session was seen"
    talk = told.talk_ratio
    shares = (
        f"; the caller speaks {100 * talk.caller:.0f} % of the time, the agent "
        f"{100 * talk.agent:.0f} %"
        if talk.caller is not None and talk.agent is not None
        else ""
    )
    return (
        f"workload: sessions of {length.value:.1f} s and {told.turns_per_session or 0:.3g} "
        f"turns{shares}; the capacity is that of this workload"
    )


def _load(load: float) -> str:
    return f"{load:.0f}" if load == round(load) else f"{load:.3g}"
