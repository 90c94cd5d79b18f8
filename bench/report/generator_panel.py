"""Panel on the generator itself: whether it sent, read and woke on time while it measured."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bench.plan.metrics import METRICS
from bench.report.marks import Upright, level, uprights
from bench.report.panels import Chart, Columns, Drawn, Question, Table, table_of
from bench.report.run_data import Run, numbers, once
from bench.report.text import capital, count, plain, quantity, sample_size
from bench.report.theme import blank, colour, metric_colour, stacked
from bench.report.time_panels import RUN_SECONDS
from bench.voice.microphone import APPEND

_LAGS: Final = {
    "send_lateness": "send lateness: chunks sent after due",
    "client_lag": "client lag: read after arrival",
    "hub_lag": "hub lag: the loop woke late",
}
_QUANTILES: Final = 400
"""Points of the curve of all events: the shape is the same, the page is small."""
_FLOOR_MS: Final = 0.001


@once
def _lags(run: Run) -> dict[str, pd.DataFrame]:
    """Per lag: columns at (s) and ms, one row an event; a lag without events is not there."""
    found: dict[str, pd.DataFrame] = {}
    sends = run.events(columns=("at_ns", "due_ns"), types=(APPEND,), directions=("out",))
    reads = run.events(columns=("at_ns", "read_ns"), directions=("in",))
    for name, table, later, earlier in (
        ("send_lateness", sends, "at_ns", "due_ns"),
        ("client_lag", reads, "read_ns", "at_ns"),
    ):
        known = table.dropna()
        if not known.empty:
            late = (known[later] - known[earlier]).astype(float) / 1e6
            found[name] = pd.DataFrame({"at": (known["at_ns"] - run.origin_ns) / 1e9, "ms": late})
    if run.health is not None and not run.health.empty:
        lag = numbers(run.health, "hub_lag_ns") / 1e6
        at = (run.health["at_ns"] - run.origin_ns) / 1e9 - 0.5
        found["hub_lag"] = pd.DataFrame({"at": at, "ms": lag}).dropna()
    return found


def _bounds(run: Run) -> dict[str, float]:
    """The bound of each lag in ms: from the scenario, which the validity rules read too."""
    health = run.scenario.get("health") or {}
    return {
        name: float(health[name]) / 1e6
        for name in _LAGS
        if isinstance(health.get(name), int | float) and health[name] > 0
    }


def _tail(run: Run) -> Drawn:
    """The share of events later than a time."""
    shown = {name: lag for name, lag in _lags(run).items() if name != "hub_lag" and len(lag)}
    if not shown:
        return None, []
    figure = blank(330)
    ends: list[float] = []
    for name, table in shown.items():
        values = np.sort(table["ms"].to_numpy())
        # Dense where it matters: half of the points lie in the last percent.
        below = 1.0 - np.geomspace(1.0, 1.0 / (2 * len(values)), _QUANTILES)
        late = np.maximum(np.quantile(values, below), _FLOOR_MS)
        ends += [late[0], late[-1]]
        figure.add_trace(
            go.Scatter(
                x=late,
                y=100.0 * (1.0 - below),
                mode="lines",
                name=f"{_LAGS[name]} ({sample_size(len(values))})",
                line={"width": 2, "color": metric_colour(name)},
                hovertemplate=f"%{{y:.2~g}} % of {METRICS[name].label} above "
                "<b>%{x:.3~g} ms</b><extra></extra>",
            )
        )
    bounds = sorted({bound for name, bound in _bounds(run).items() if name in shown})
    left, right = np.log10(min(ends)), np.log10(1.3 * max([*ends, *bounds]))
    lines = [Upright(bound, f"bound {quantity(bound, 'ms')}", "limit") for bound in bounds]
    uprights(figure, lines, left, right, log=True)
    figure.update_xaxes(
        type="log", range=[left, right], title={"text": "ms late"}, exponentformat="none", dtick=1
    )
    figure.update_yaxes(type="log", ticksuffix=" %", exponentformat="none", dtick=1)
    return figure, []


def _over_the_run(run: Run) -> Drawn:
    """The lateness of each second against its bounds, above what the machine was busy with."""
    lags = {name: table for name, table in _lags(run).items() if len(table)}
    if not lags:
        return None, []
    busy = _machine(run)
    figure = stacked(410, (0.7, 0.3), 0.09) if busy else stacked(300, (1.0,), 0.0)
    for name, table in lags.items():
        # Of a run beyond 20 minutes each step is longer than a second.
        step = max(1.0, np.ceil(float(table["at"].max() - table["at"].min()) / 1200.0))
        grouped = table.groupby(np.floor(table["at"] / step) * step)["ms"]
        worst = grouped.quantile(1.0 if name == "hub_lag" else 0.99)
        said = "worst hub lag" if name == "hub_lag" else f"p99 of {METRICS[name].label}"
        trace = _line(said, worst.clip(lower=0.0), metric_colour(name), "%{y:.3~g} ms", "+markers")
        figure.add_trace(trace, row=1, col=1)
    for bound in sorted(set(_bounds(run).values())):
        level(figure, bound, f"bound {quantity(bound, 'ms')}", "limit", row=1, col=1)
    for said, (values, role) in busy.items():
        figure.add_trace(_line(said, values, colour(role), "%{y:.0f} %"), row=2, col=1)
    figure.update_yaxes(title={"text": "ms"}, rangemode="tozero", row=1, col=1)
    if busy:
        figure.update_yaxes(title={"text": "% of a core"}, rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title={"text": RUN_SECONDS}, row=2 if busy else 1, col=1)
    return figure, []


def _line(said: str, values: pd.Series, tint: str, shown: str, more: str = "") -> go.Scatter:
    return go.Scatter(
        x=values.index.to_numpy(), y=values.to_numpy(), mode=f"lines{more}", marker={"size": 4},
        name=said, line={"width": 1.5, "color": tint},
        hovertemplate=f"{said} <b>{shown}</b> in second %{{x:.0f}}<extra></extra>",
    )  # fmt: skip


def _machine(run: Run) -> dict[str, tuple[pd.Series, str]]:
    """CPU of the busiest worker and steal of the host, in % by second, with their colours."""
    if run.health is None or run.health.empty:
        return {}
    second = np.floor((run.health["at_ns"] - run.origin_ns) / 1e9 - 0.5)
    found = {}
    for column, said, role in (
        ("cpu_share", "CPU of the busiest worker", "ink"),
        ("steal_share", "CPU stolen from the host", "vad"),
    ):
        values = (100.0 * numbers(run.health, column)).groupby(second).max().dropna()
        if not values.empty:
            found[said] = values, role
    return found


def _lateness(run: Run) -> str:
    said = [
        f"{words} at most {row.whole} late at p99 ({sample_size(row.n)})"
        for metric, words in (
            ("send_lateness", "chunks were sent"),
            ("client_lag", "what arrived was read"),
        )
        if (row := run.statistic(metric, "p99")).known
    ]
    return f"{capital('; '.join(said))}." if said else ""


def _kept(run: Run) -> str:
    rules = run.verdict.get("validity") or []
    broken = [rule for rule in rules if not rule.get("ok")]
    if not rules:
        return "No rule of validity was judged."
    if broken:
        return f"No: {count(len(broken), 'rule')} of validity broken, see the top of the page."
    return (
        "Yes: it kept every rule of validity (which allow a few seconds beyond a bound), so the "
        "figures are the target's and not the generator's."
    )


def _nothing(run: Run) -> str:
    drawn = "The folder has neither events nor health rows to draw."
    return " ".join(filter(None, (_lateness(run), _kept(run), drawn)))


def _reference(run: Run) -> str:
    """What the reference server says of itself, where it was the target."""
    known: dict[str, Any] = run.about.get("reference") or {}
    if not known:
        return ""
    cpu = known.get("cpu_share")
    late = {
        words: quantity(known.get(key), "ms")
        for key, words in (
            ("late_p50_ms", "at p50"), ("late_p99_ms", "at p99"), ("late_max_ms", "at worst"),
        )
    }  # fmt: skip
    p50, p99, worst = (f"{value} {words}" for words, value in late.items())
    text = f"The embedded reference server kept its own schedule within {p50}, {p99} and {worst}"
    text += f", at {quantity(100.0 * cpu, '%')} of one core" if cpu is not None else ""
    if known.get("bottleneck"):
        reason = known.get("reason") or "no reason given"
        return f"{text}. It says that it was itself the bottleneck: {reason}."
    return f"{text}. It was not the bottleneck."


def _health(run: Run) -> Table | None:
    """One row per worker: the worst of each health figure."""
    if run.health is None:
        return None

    def worst(column: str, scale: float, unit: str) -> Callable[[Any], str]:
        def cell(entry: tuple[Any, pd.DataFrame]) -> str:
            known = numbers(entry[1], column).dropna()  # older folders have no such column
            return quantity(scale * float(known.max()) if len(known) else None, unit)

        return cell

    def total(*columns: str) -> Callable[[Any], str]:
        return lambda entry: plain(sum(float(numbers(entry[1], one).sum()) for one in columns), "1")

    columns: Columns = {
        "worker": lambda entry: str(entry[0]),
        "seconds": lambda entry: plain(len(entry[1])),
        "worst hub lag": worst("hub_lag_ns", 1e-6, "ms"),
        "mean CPU": lambda entry: quantity(100 * numbers(entry[1], "cpu_share").mean(), "%"),
        "peak CPU": worst("cpu_share", 100.0, "%"),
        "longest collection": worst("gc_pause_ns", 1e-6, "ms"),
        "peak steal": worst("steal_share", 100.0, "%"),
        "peak wait for a core": worst("run_wait_share", 100.0, "%"),
        "peak throttling": worst("throttled_share", 100.0, "%"),
        "peak pressure": worst("pressure_share", 100.0, "%"),
        "segments lost": total("retransmits", "disorder"),
        "most unread": worst("unread", 1.0, "1"),
        "involuntary switches": total("involuntary_switches"),
        "open files": worst("open_files", 1.0, "1"),
    }
    return table_of(
        "Health of each worker",
        columns,
        run.health.groupby("worker"),
        numeric=columns,
        note="CPU as a share of one core; at which share a run is void the rules of validity say. "
        "Pressure is time in which anything on the host waited for a core; segments lost were sent "
        "again by us or came out of order from the target; unread are bytes left in the kernel.",
    )


def _state(run: Run) -> str:
    rules = run.verdict.get("validity") or []
    return "" if not rules else "good" if all(rule.get("ok") for rule in rules) else "limit"


GENERATOR: Final = Question(
    "generator",
    "Did the generator keep up?",
    says=(_lateness, _kept),
    charts=(
        Chart(
            "Share of events, over the whole run, later than a time; both axes logarithmic", _tail
        ),
        Chart(
            "99th percentile within each second, against the bounds of the scenario", _over_the_run
        ),
    ),
    tables=(_health,),
    notes=(_reference,),
    empty=_nothing,
    state=_state,
)
