"""The answer of a capacity search: on the terminal, as capacity.csv and as capacity.md.

All figures are those of `capacity.json`; nothing is computed here. Where nothing is known stands a
dash, and ∞ where a quantile was not reached: too many turns timed out.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.capacity.document import (
    BoundedFigure,
    Bounds,
    CapacityResult,
    Gauge,
    LoadProbe,
    SessionCost,
    TierCapacity,
)
from bench.capacity.loads import amount, load_interval
from bench.digits import THIN
from bench.report.text import (
    NOTHING,
    inert,
    interval,
    listing,
    markdown_row,
    missing,
    plain,
    quantity,
    scaled,
)
from bench.runs.folder import replace_file
from bench.runs.prometheus_text import kind_of

CSV: Final = "capacity.csv"
MARKDOWN: Final = "capacity.md"
VOID: Final = "○ void"

_FIGURES: Final = {
    "good_turns": "percent", "first_audio_p95": "ms", "endpointing_p95": "ms",
    "generation_p95": "ms", "underrun": "percent", "refused": "percent", "held": "percent",
}  # fmt: skip
"""The figures of a probe with their units as names of columns have them."""
_DISPENSABLE: Final = (
    "server gauges", "generator", "underrun\n%", "refused\n%", "endpointing\np95, ms",
    "generation\np95, ms",
)  # fmt: skip
"""Columns that a narrow terminal does without, the least important first."""
_UNBOUNDED: Final = 100_000
_TONES: Final = {"pass": "green", "fail": "red", "open": "yellow"}
_BEHAVIOUR: Final = {
    "refuses": "it refuses", "degrades": "it degrades", "collapses": "it collapses",
}  # fmt: skip


class Line(NamedTuple):
    """A line of the answer in words, and how deep it stands under what it belongs to."""

    text: str
    depth: int = 0


def write_tables(result: CapacityResult, folder: Path) -> None:
    """Write capacity.csv and capacity.md, each in one step. OSError where one cannot be written."""
    replace_file(folder / CSV, csv_text(result))
    replace_file(folder / MARKDOWN, markdown_text(result))


def print_capacity(result: CapacityResult, out: Console) -> None:
    """A row for each run by load, then a line for each tier and what must be known of them.

    Columns that do not fit the width are left out, the least important first.
    """
    if result.probes:
        out.print(_fitting(result, out))
        out.print()
    for line in answer_lines(result):
        if out.is_terminal:  # whole words, and what is continued stands under its beginning
            out.print(Padding(Text(line.text), (0, 0, 0, 2 * line.depth)))
        else:
            text = "  " * line.depth + line.text
            out.print(text, highlight=False, markup=False, soft_wrap=True)


def _fitting(result: CapacityResult, out: Console) -> Table:
    """The table with as many columns as the width of `out` has room for."""
    rows = probe_rows(result)
    left_out: set[str] = set()
    for name in ("", *_DISPENSABLE):
        left_out.add(name)
        names = [column for column in rows[0][1] if column not in left_out]
        table = _table(names, rows)
        free = out.options.update(width=_UNBOUNDED)
        if Measurement.get(out, free, table).maximum <= out.width:
            break
    return table


def _table(names: Sequence[str], rows: Sequence[tuple[LoadProbe, dict[str, str]]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for name in names:
        side = "left" if name.startswith(("verdict", "server")) else "right"
        table.add_column(Text(name), justify=side)  # type: ignore[arg-type]
    for probe, row in rows:
        tones = [_TONES.get(row[name], "") * name.startswith("verdict") for name in names]
        cells = [Text(row[name], tone) for name, tone in zip(names, tones, strict=True)]
        table.add_row(*cells, style="dim" if probe.void else "")
    return table


def csv_text(result: CapacityResult) -> str:
    """One row a run in the order they were made: every figure with its interval, units in names.

    An empty cell is a figure that is not known, or an interval's end that there is none of.
    """
    tiers = [one.tier for one in result.tiers]
    gauges = list(dict.fromkeys(name for probe in result.probes for name in probe.gauges))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([
        "number", "load", "unit", "purpose", "run", "void", *(f"verdict_{tier}" for tier in tiers),
        "seconds", "measured_s", "session_minutes", "turns", "sessions_in_flight",
        "good_turns_per_s",
        *(f"{name}_{end}" for name, unit in _FIGURES.items()
          for end in (unit, f"low_{unit}", f"high_{unit}", "n")),
        *(f"gauge_{name}_{word}" for name in gauges for word in ("mean", "max")),
        "generator_cpu_percent", "send_lateness_p99_ms",
    ])  # fmt: skip
    nothing = Gauge(mean=None, max=None)
    for probe in result.probes:
        figures: list[BoundedFigure] = [getattr(probe.figures, name) for name in _FIGURES]
        shown = [probe.gauges.get(name, nothing) for name in gauges]
        writer.writerow([
            probe.number, probe.load, result.unit, probe.purpose, probe.run, probe.void,
            *(probe.tiers[tier].verdict if tier in probe.tiers else "" for tier in tiers),
            probe.seconds, probe.measured_s, probe.session_minutes, probe.turns,
            probe.sessions_in_flight, probe.good_turns_per_s,
            *(cell for one in figures for cell in (one.value, one.low, one.high, one.n)),
            *(value for gauge in shown for value in (gauge.mean, gauge.max)),
            probe.generator.cpu, probe.generator.send_lateness_p99,
        ])  # fmt: skip
    return text.getvalue()


def markdown_text(result: CapacityResult) -> str:
    """The same table in short, then the sentences."""
    rows = [row for _, row in probe_rows(result)]
    title = inert(f"Capacity of {result.target.name}: {result.scenario.name}")
    lines = [f"# {title}", ""]
    if rows:
        names = list(rows[0])
        sides = [":--" if name.startswith(("verdict", "server")) else "--:" for name in names]
        lines += [markdown_row([name.replace("\n", " ") for name in names]), markdown_row(sides)]
        lines += [markdown_row([inert(cell) for cell in row.values()]) for row in rows]
        lines.append("")
    lines += [f"{'  ' * line.depth}- {inert(line.text)}" for line in answer_lines(result)]
    return "\n".join(lines) + "\n"


# ── a row a probe ────────────────────────────────────────────────────────────────────────────────


def probe_rows(result: CapacityResult) -> list[tuple[LoadProbe, dict[str, str]]]:
    """Every run by load, with the cells of its row by column; a column's unit is in its name."""
    tiers = [one.tier for one in result.tiers] or [""]
    verdicts = {tier: f"verdict\n{tier}" if len(tiers) > 1 else "verdict" for tier in tiers}
    rows = []
    for probe in sorted(result.probes, key=lambda one: (one.load, one.number)):
        figures = probe.figures
        rows.append((probe, {
            "sessions" if result.load == "sessions" else "starts\na second": amount(probe.load),
            **({} if result.load == "sessions" else {
                "sessions\nin flight": plain(probe.sessions_in_flight)
            }),
            "good turns\n%": _bounded(figures.good_turns),
            "first audio\np95, ms": _bounded(figures.first_audio_p95),
            "endpointing\np95, ms": _value(figures.endpointing_p95),
            "generation\np95, ms": _value(figures.generation_p95),
            "underrun\n%": _value(figures.underrun),
            "refused\n%": _value(figures.refused),
            "server gauges": _gauges(probe.gauges),
            "generator": quantity(probe.generator.cpu, "%") if probe.generator.cpu is not None
            else NOTHING,
            **{name: verdict_of(probe, tier) for tier, name in verdicts.items()},
        }))  # fmt: skip
    return rows


def verdict_of(probe: LoadProbe, tier: str) -> str:
    """What a run says of a tier: pass, fail, open, "beyond", void; a dash where it says nothing."""
    if probe.void:
        return VOID
    if probe.purpose == "beyond":
        return "beyond"
    return probe.tiers[tier].verdict if tier in probe.tiers else NOTHING


def _gauges(gauges: Mapping[str, Gauge]) -> str:
    """The mean of each gauge, by what it tells where no other tells the same."""
    kinds = Counter(map(kind_of, gauges))
    shown = []
    for name, one in gauges.items():
        kind = kind_of(name)
        if one.mean is not None:
            word = kind if kind and kinds[kind] == 1 else name
            shown.append(f"{word} {scaled(one.mean, one.unit)}")
    return ", ".join(shown) or NOTHING


def _value(figure: BoundedFigure) -> str:
    if figure.value is None:
        return "∞" if figure.n else NOTHING
    return plain(figure.value, figure.unit)


def _bounded(figure: BoundedFigure) -> str:
    ends = interval(figure.low, figure.high, figure.unit)
    return f"{_value(figure)} {ends}".rstrip()


# ── the answer in words ──────────────────────────────────────────────────────────────────────────


def answer_lines(result: CapacityResult) -> Iterator[Line]:
    """What the answer says: tiers, what lies beyond, recovery, workload, remarks."""
    if not result.complete:
        yield Line("the search was stopped before its end: what follows is what it knew by then")
    for tier in result.tiers:
        yield Line(tier_line(result, tier))
        yield from (Line(text, 1) for text in notes_of(tier))
    if (beyond := result.beyond) is not None:
        where = f"at {loads(beyond.load, result)}"
        text = beyond.text if where in beyond.text else f"{where}: {beyond.text}"
        yield Line(f"beyond the limit {_BEHAVIOUR[beyond.behaviour]}: {text}")
    if result.recovery is not None:
        yield Line(f"recovery: {result.recovery.text}")
    if (peak := peak_line(result)) != "":
        yield Line(peak)
    yield Line(workload_line(result))
    voids = [probe for probe in result.probes if probe.void]
    for probe in voids:
        yield Line(f"{VOID}: run {probe.number} at {loads(probe.load, result)}: {probe.void}")
    yield from (Line(f"remark: {text}") for text in result.remarks)


def tier_line(result: CapacityResult, tier: TierCapacity) -> str:
    """The answer for one tier in a line."""
    if not tier.capacity:
        return f"{tier.tier}: none: {tier.said[0] if tier.said else 'no load was seen to hold'}"
    if tier.at_least:
        limit = f" (limit: {tier.limit})" if tier.limit else ""
        return f"{tier.tier}: at least {loads(tier.capacity, result)}{limit}"
    ends = load_interval(tier.low, tier.high)
    told = f"{loads(tier.capacity, result)} {ends}".rstrip()
    hold = "holds" if result.load == "sessions" and tier.capacity == 1 else "hold"
    sure = f" {hold}, confirmed" if tier.confirmed else ", not confirmed"
    stage = f", in {tier.stage}" if tier.stage else ""
    breaks = f"; {tier.binding} breaks first{stage}" if tier.binding else ""
    return f"{tier.tier}: {told}{sure}{breaks}"


def notes_of(tier: TierCapacity) -> list[str]:
    """What must be known of a tier's answer, what a part of the target holds, and what it costs.

    That it is "at least" and why there is none stands in its line already.
    """
    said = tier.said[1:] if not tier.capacity else tier.said
    notes = [text for text in said if not (tier.at_least and text.startswith("at least"))]
    if tier.capacity:
        notes += [_share_of(tier, part) for part in tier.each]
    return [*notes, *([] if tier.cost is None else [_cost(tier.cost)])]


def _share_of(tier: TierCapacity, part: Literal["core", "gpu"]) -> str:
    share, word = tier.each[part], {"core": "core", "gpu": "GPU"}[part]
    if tier.at_least:
        return f"a {word} of the target: at least {amount(share.value or 0.0)}"
    ends = load_interval(share.low, share.high)
    return f"a {word} of the target: {amount(share.value or 0.0)} {ends}".rstrip()


def _cost(cost: SessionCost) -> str:
    parts = []
    if cost.per_session_minute is not None:
        parts.append(f"{money(cost.per_session_minute)} a session-minute")
    each = [
        f"{money(price)} at {use}{THIN}%"
        for use, price in cost.per_1000_turns.items()
        if price is not None
    ]
    if each:
        parts.append(f"1{THIN}000 turns {listing(each)} use of the capacity")
    return f"cost: {'; '.join(parts)}"


def money(price: float) -> str:
    """An amount in the currency that the price was given in: two decimals, or three digits."""
    if price and price < 1:
        return f"{price:.3g}"
    return f"{price:,.2f}".replace(",", THIN)


def peak_line(result: CapacityResult) -> str:
    """What the fitted law says, as a description; empty where there is none."""
    fit = result.scalability
    if fit is None:
        return ""
    if fit.peak is None or fit.peak.value is None:
        return f"scalability: {fit.refusal}" if fit.refusal else ""
    ends = load_interval(fit.peak.low, fit.peak.high)
    return (
        f"scalability: the fitted curve of good turns a second peaks at {amount(fit.peak.value)} "
        f"sessions {ends}; that describes the curve and is no capacity"
    )


def workload_line(result: CapacityResult) -> str:
    """What the capacity is a capacity for."""
    told = result.workload
    length: Bounds = told.session_s
    if length.value is None:
        return "workload: no whole session was seen"
    ends = interval(length.low, length.high, "s")
    parts = [f"sessions of {quantity(length.value, 's')}{ends and f' {ends}'}"]
    if told.turns_per_session is not None:
        turns = told.turns_per_session
        parts.append("1 turn each" if turns == 1 else f"{plain(turns)} turns each")
    caller, agent = told.talk_ratio.caller, told.talk_ratio.agent
    if not missing(caller) and not missing(agent):
        parts.append(
            f"the caller speaks {plain(100 * (caller or 0.0), '%')}{THIN}% of the time, the agent "
            f"{plain(100 * (agent or 0.0), '%')}{THIN}%"
        )
    return f"workload: {', '.join(parts)}; a capacity is a figure for its workload"


def least(tier: TierCapacity) -> str:
    """A capacity in short: `24`, `≥ 24`, `none`."""
    if not tier.capacity:
        return "none"
    return ("≥\u00a0" if tier.at_least else "") + amount(tier.capacity)


def loads(load: float, result: CapacityResult) -> str:
    """A load with what is counted: `45 sessions`, `2.5 session starts a second`."""
    if result.load == "sessions":
        return f"{amount(load)} session{'' if load == 1 else 's'}"
    return f"{amount(load)} session start{'' if load == 1 else 's'} a second"
