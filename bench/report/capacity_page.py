"""The page of a capacity search: how much does it hold, what breaks first, and what is beyond?

It is drawn from `capacity.json` alone and computes no figure. Each point of a figure and each row
of the table leads to the report of its run, which lies beside the page.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go

from bench.capacity.document import CapacityResult, LoadProbe, ScalabilityFacts
from bench.capacity.loads import amount, load_interval, load_words
from bench.plan.gates import Gate
from bench.plan.metrics import METRICS
from bench.report.capacity_chart import (
    Series,
    Value,
    against_load,
    by_load,
    in_flight,
    is_counted,
    over_time,
    report_of,
    worst_of,
)
from bench.report.capacity_tables import (
    answer_lines,
    least,
    loads,
    money,
    notes_of,
    peak_line,
    probe_rows,
    tier_line,
    workload_line,
)
from bench.report.marks import Upright, uprights
from bench.report.page import filled, put
from bench.report.panels import Panel, Table
from bench.report.run_data import gate_of
from bench.report.text import capital, clip, count, listing, moment, quantity, scale, seconds
from bench.report.theme import colour
from bench.stats.scalability import law

PAGE: Final = "capacity.html"
_SMALL: Final = 220
_CURVE: Final = 120
"""Points of the fitted curve."""


def write_capacity_page(result: CapacityResult, folder: Path) -> Path:
    """Write capacity.html into the folder of the search; returns its path.

    RunFolderError where it cannot be written.
    """
    return put(folder / PAGE, render(result))


def render(result: CapacityResult) -> str:
    """The whole page as text."""
    return filled("capacity.html", context(result))


def context(result: CapacityResult) -> dict[str, Any]:
    """What the template is filled with."""
    cost = "" if result.spent.cost is None else f", cost {money(result.spent.cost)}"
    return {
        "title": f"Capacity of {result.target.name}: {result.scenario.name}",
        "verdict": _headline(result),
        "role": _role(result),
        "answers": [
            {"line": tier_line(result, tier), "notes": notes_of(tier)} for tier in result.tiers
        ],
        "incomplete": not result.complete,
        "facts": {
            "Target": f"{result.target.name} ({result.target.dialect})",
            "When": moment(result.created),
            "Scenario": f"{result.scenario.name}, workload {result.scenario.workload[:7]}",
            "Corpus": f"{result.corpus.name} {result.corpus.sha256[:7]}",
            "Spent": f"{_spent(result, ', ')}{cost}",
        },
        "panels": _panels(result),
    }


def _spent(result: CapacityResult, joint: str) -> str:
    minutes = quantity(result.spent.session_minutes, "session-minutes")
    return f"{seconds(result.spent.seconds * 1e9)} of load{joint}{minutes}"


def _headline(result: CapacityResult) -> str:
    """The capacity, in large; of several tiers each."""
    found = [tier for tier in result.tiers if tier.capacity]
    if not found:
        return "No capacity was found"
    if len(result.tiers) > 1:
        unit = "sessions" if result.load == "sessions" else "session starts a second"
        return f"{listing(f'{tier.tier} {least(tier)}' for tier in result.tiers)} {unit}"
    (tier,) = found
    holds = "Holds" if tier.confirmed else "May hold"
    return f"{holds} {'at least ' if tier.at_least else ''}{loads(tier.capacity or 0.0, result)}"


def _role(result: CapacityResult) -> str:
    if not result.tiers or any(not one.capacity for one in result.tiers):
        return "limit"
    sure = result.complete and all(one.confirmed and not one.at_least for one in result.tiers)
    return "good" if sure else "doubt"


# ── questions ────────────────────────────────────────────────────────────────────────────────────


def _panels(result: CapacityResult) -> list[Panel]:
    if not result.probes:
        return [_beyond(result)]
    return [
        _beyond(result),
        *_objectives(result),
        _stages(result),
        _throughput(result),
        *_gauges(result),
        _runs(result),
    ]


def _beyond(result: CapacityResult) -> Panel:
    """What lies beyond, how it recovered, and of which workload all this is."""
    own = {tier_line(result, tier) for tier in result.tiers}
    own |= {note for tier in result.tiers for note in notes_of(tier)}
    own |= {workload_line(result), peak_line(result)}
    return Panel(
        "beyond",
        "For which workload is that, and what is beyond?",
        f"{capital(workload_line(result))}.",
        notes=[capital(line.text) for line in answer_lines(result) if line.text not in own],
    )


def _objectives(result: CapacityResult) -> list[Panel]:
    """First audio and good turns, then every other objective, against the load."""
    gates = [gate for text in _gate_texts(result) if (gate := gate_of({"gate": text})) is not None]
    late = Series("p95 of first audio", "ms", "arrival", _figure_of("first_audio_p95"))
    good = Series("good turns", "%", "heard", _figure_of("good_turns"))
    shown = {("p95", "first_audio_latency"): late, ("share", "good_turns"): good}

    def limits(figure: tuple[str, str]) -> list[Gate]:
        return [
            gate for gate in gates if (gate.statistic, gate.metric) == figure and not gate.where
        ]

    first, second = shown
    panels = [
        _against(result, "first-audio", "How long is first audio waited for?", late, limits(first)),
        _against(result, "good-turns", "How many turns are good?", good, limits(second)),
    ]
    for gate in gates:
        if (gate.statistic, gate.metric) in shown and not gate.where:
            continue
        unit = "%" if gate.statistic == "share" else METRICS[gate.metric].unit
        name = f"{gate.statistic} of {gate.metric.replace('_', ' ')}"
        series = Series(name, unit, gate.metric, _gate_value(gate.text))
        key, question = f"objective-{len(panels)}", f"How is {gate.figure} along the load?"
        panels.append(_against(result, key, question, series, [gate]))
    return panels


def _gate_texts(result: CapacityResult) -> list[str]:
    """Every objective once."""
    return list(dict.fromkeys(text for tier in result.tiers for text in tier.gates))


def _figure_of(name: str) -> Callable[[LoadProbe], Value]:
    def of(probe: LoadProbe) -> Value:
        one = getattr(probe.figures, name)
        return Value(one.value, one.low, one.high, one.value is None and bool(one.n))

    return of


def _gate_value(text: str) -> Callable[[LoadProbe], Value]:
    def of(probe: LoadProbe) -> Value:
        gates = (gate for tier in probe.tiers.values() for gate in tier.gates)
        found = next((gate for gate in gates if gate.gate == text), None)
        return Value(None) if found is None else Value(found.value, found.low, found.high)

    return of


def _against(
    result: CapacityResult, key: str, question: str, series: Series, gates: list[Gate]
) -> Panel:
    """A panel of one figure against the load, with its limits and the tiers' crossings."""
    limits = [(tier.tier, gate) for gate in gates for tier in result.tiers
              if gate.text in tier.gates]  # fmt: skip
    figure = against_load(result, [series], tiers=result.tiers, limits=limits)
    drawn = ["whiskers are 95 % intervals"]
    if limits:
        drawn.append("dashed is the limit")
    if any(tier.capacity for tier in result.tiers):
        drawn.append("shaded is the interval of the capacity, an upright line the capacity")
    caption = f"{capital(series.name)} against {load_words(result.load)}: {'; '.join(drawn)}"
    return Panel(key, question, _range_of(result, series), [(caption, figure)])


def _range_of(result: CapacityResult, series: Series) -> str:
    """The sentence of a figure: its value at the least and at the greatest load that counts."""
    known = [
        (probe, at)
        for probe in by_load(result.probes)
        if is_counted(probe) and (at := series.of(probe)).value is not None
    ]
    if not known:
        return f"{capital(series.name)}: no run that counts has a value."
    ends = known[:1] + [known[-1]] * (known[-1][0].load != known[0][0].load)
    told = [f"{series.shown(at)} at {loads(probe.load, result)}" for probe, at in ends]
    return f"{capital(series.name)}: {listing(told)}."


def _stages(result: CapacityResult) -> Panel:
    series = [
        Series("endpointing", "ms", "vad", _figure_of("endpointing_p95")),
        Series("generation", "ms", "thinking", _figure_of("generation_p95")),
    ]
    grown = [tier for tier in result.tiers if tier.stage and tier.capacity]
    told = listing(f"tier {tier.tier} breaks in {tier.stage}" for tier in grown)
    ranges = " ".join(_range_of(result, one) for one in series)
    caption = (
        f"p95 of each stage against {load_words(result.load)}; a line goes through the means of "
        "like loads. Quantiles of stages do not add up to that of first audio"
    )
    return Panel(
        "stages",
        "In which stage does the time go?",
        f"{capital(told)}. {ranges}" if told else ranges,
        [(caption, against_load(result, series, tiers=result.tiers))],
    )


def _throughput(result: CapacityResult) -> Panel:
    """Good turns a second against sessions in flight, with the fitted law where it was."""
    series = Series(
        "good turns a second", "/s", "heard", lambda probe: Value(probe.good_turns_per_s)
    )
    figure = against_load(result, [series], across=in_flight)
    caption = "Good turns a second against sessions in flight"
    told, fit = peak_line(result), result.scalability
    xs = [in_flight(one) for one in result.probes if is_counted(one) and one.good_turns_per_s]
    notes = []
    if fit is not None and fit.rate.high is not None:  # else a line would look like knowledge
        notes.append("Where the line bends is a description of it, and no capacity.")
        notes.append(
            f"Fitted to {count(fit.loads, 'load')}: {_coefficients(fit)}; the interval of each "
            "is in brackets."
        )
        if xs and (curve := _curve(fit, min(xs), max(xs))) is not None:
            figure.add_trace(curve)
            head = max(figure.layout.yaxis.range[1], 1.06 * max(curve.y))
            figure.update_yaxes(range=[-0.03 * head, head])
            figure.update_layout(showlegend=True)
            caption += ", and the universal scalability law fitted to them, as far as was measured"
            if fit.peak is not None and fit.peak.value is not None and fit.peak.value <= max(xs):
                ends = load_interval(fit.peak.low, fit.peak.high)
                peak = Upright(fit.peak.value, f"peak {amount(fit.peak.value)} {ends}", "muted")
                uprights(figure, [peak], *figure.layout.xaxis.range)
    answer = f"{capital(told)}." if told else _range_of(result, series)
    question = "Does more load bring more good turns?"
    return Panel("throughput", question, answer, [(caption, figure)], notes=notes)


def _coefficients(fit: ScalabilityFacts) -> str:
    told = (
        ("good turns a second of one session", fit.rate),
        ("contention", fit.contention),
        ("coherency", fit.coherency),
    )
    return listing(
        f"{name} is not determined" if one.value is None or one.high is None
        else f"{name} {amount(one.value)} {load_interval(one.low, one.high)}"
        for name, one in told
    )  # fmt: skip


def _curve(fit: ScalabilityFacts, low: float, high: float) -> go.Scatter | None:
    """The law within the loads that were measured; None where a coefficient is not known."""
    rate, contention, coherency = fit.rate.value, fit.contention.value, fit.coherency.value
    if rate is None or contention is None or coherency is None or high <= low:
        return None
    at = [low + (high - low) * step / _CURVE for step in range(_CURVE + 1)]
    return go.Scatter(
        x=at,
        y=[law(load, rate, contention, coherency) for load in at],
        mode="lines",
        name="fitted law",
        line={"color": colour("muted"), "width": 1.5},
        hovertemplate="fitted law<br>%{x:.3g}: %{y:.3g}<extra></extra>",
    )


def _gauges(result: CapacityResult) -> list[Panel]:
    """A figure for each of the server's own gauges; no panel where there are none."""
    names = list(dict.fromkeys(name for probe in result.probes for name in probe.gauges))
    if not names:
        return []
    series = [_gauge_series(name, result.probes) for name in names]
    answer = (
        f"{capital(count(len(names), 'gauge'))} of the server against {load_words(result.load)}: "
        "the mean of a run, and a whisker up to its highest. One that stays far from full while "
        "objectives break says that it is not what limits."
    )
    figures = [(clip(one.name, 90), against_load(result, [one], height=_SMALL)) for one in series]
    return [Panel("gauges", "What did the server say of itself?", answer, figures)]


def _gauge_series(name: str, probes: Sequence[LoadProbe]) -> Series:
    """A gauge along the load, in the unit that suits its largest value."""
    known = [probe.gauges[name] for probe in probes if name in probe.gauges]
    size, unit = scale(known[0].unit, max(abs(one.max or 0.0) for one in known))

    def of(probe: LoadProbe) -> Value:
        gauge = probe.gauges.get(name)
        if gauge is None or gauge.mean is None or gauge.max is None:
            return Value(None)
        return Value(gauge.mean / size, gauge.mean / size, gauge.max / size)

    return Series(name, unit, "thinking", of, sparse=True)


def _runs(result: CapacityResult) -> Panel:
    caption = (
        "Load over the time under load, one run after another, by what it said; pauses between "
        "runs are left out"
    )
    return Panel(
        "runs",
        "What was run, and when?",
        f"{capital(count(len(result.probes), 'run'))} in {_spent(result, ' and ')}.",
        [(caption, over_time(result))],
        [_runs_table(result)],
    )


def _runs_table(result: CapacityResult) -> Table:
    """All runs by load, each leading to its report."""
    tones = {"void": "quiet", "fail": "limit"}
    rows = probe_rows(result)
    names = list(rows[0][1])
    words = ("verdict", "server")
    return Table(
        "Every run by load, with its report",
        ["run", *(name.replace("\n", " ") for name in names)],
        [[(str(probe.number), probe.purpose), *row.values()] for probe, row in rows],
        frozenset(at for at, name in enumerate(names, 1) if not name.startswith(words)),
        [tones.get(worst_of(probe, result), "") for probe, _ in rows],
        [report_of(probe) for probe, _ in rows],
        cards=True,
    )
