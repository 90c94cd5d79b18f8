"""Figures on the generator itself: whether it sent, read and woke on time while it measured."""

from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bench.report.panel import Panel, Table
from bench.report.run import Run, numbers
from bench.report.theme import TEMPLATE, blank, colour, metric_colour
from bench.report.words import capital, count, plain, quantity, sample_size, with_interval

_LAGS: Final = {
    "send_lateness": "send lateness: chunks sent after due",
    "client_lag": "client lag: read after arrival",
    "hub_lag": "hub lag: the loop woke late",
}
_APPEND: Final = "input_audio_buffer.append"
# Curves of events are drawn through this many quantiles: the shape is the same, the page is small.
_QUANTILES: Final = 400
_FLOOR_MS: Final = 0.001


def honesty(run: Run) -> Panel:
    """Lateness of the generator as curves and over time, with its bounds; health as a table."""
    key, question = "honesty", "Was the generator honest?"
    samples = _samples(run)
    figures = [
        (caption, figure)
        for caption, figure in (
            (
                "Share of events, over the whole run, later than a time; both axes logarithmic",
                _tail(run, samples),
            ),
            (
                "99th percentile within each second, against the bounds of the scenario",
                _seconds(run, samples),
            ),
        )
        if figure is not None
    ]
    answer = _answer(run)
    if not figures:
        answer = f"{answer} The folder has neither events nor health rows to draw."
    tables = [table for table in (_health(run),) if table]
    return Panel(key, question, answer.strip(), figures, tables, notes=_reference(run))


def _samples(run: Run) -> dict[str, pd.DataFrame]:
    """Per lag: columns at (s) and ms, one row an event; a lag without events is not there."""
    found: dict[str, pd.DataFrame] = {}
    sends = run.events(columns=("at_ns", "due_ns"), types=(_APPEND,), directions=("out",))
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


def _tail(run: Run, samples: dict[str, pd.DataFrame]) -> go.Figure | None:
    shown = {name: table for name, table in samples.items() if name != "hub_lag" and len(table)}
    if not shown:
        return None
    figure = blank(340)
    for name, table in shown.items():
        values = np.sort(table["ms"].to_numpy())
        # Dense where it matters: half of the points lie in the last percent.
        share_below = 1.0 - np.geomspace(1.0, 1.0 / (2 * len(values)), _QUANTILES)
        at = np.quantile(values, share_below)
        figure.add_trace(
            go.Scatter(
                x=np.maximum(at, _FLOOR_MS),
                y=100.0 * (1.0 - share_below),
                mode="lines",
                name=f"{_LAGS[name]} ({sample_size(len(values))})",
                line={"width": 2, "color": metric_colour(name)},
                hovertemplate=f"%{{y:.2~g}} % of {name.replace('_', ' ')} above "
                "<b>%{x:.3~g} ms</b><extra></extra>",
            )
        )
    for name, bound in _bounds(run).items():
        if name in shown:
            _bound_line(figure, bound)
    figure.update_xaxes(type="log", title={"text": "ms late"}, exponentformat="none", dtick=1)
    figure.update_yaxes(type="log", ticksuffix=" %", exponentformat="none", dtick=1)
    return figure


def _bounds(run: Run) -> dict[str, float]:
    """The bound of each lag in ms: from the scenario, which the validity rules read too."""
    health = run.scenario.get("health") or {}
    return {
        name: float(health[name]) / 1e6
        for name in _LAGS
        if isinstance(health.get(name), int | float)
    }


def _bound_line(figure: go.Figure, bound: float) -> None:
    """One line per distinct bound: the three are usually the same."""
    drawn = [shape.x0 for shape in figure.layout.shapes]
    if bound in drawn or bound <= 0:
        return
    figure.add_vline(x=bound, line={"color": colour("limit"), "width": 1.5, "dash": "dash"})
    figure.add_annotation(
        x=float(np.log10(bound)), y=1, yref="paper", yanchor="top", xanchor="left",
        text=f" bound {quantity(bound, 'ms')}", showarrow=False,
        font={"size": 11, "color": colour("limit")},
    )  # fmt: skip


def _seconds(run: Run, samples: dict[str, pd.DataFrame]) -> go.Figure | None:
    if not any(len(table) for table in samples.values()):
        return None
    shares = _machine(run)
    rows = 2 if shares else 1
    figure = make_subplots(
        rows=rows,
        cols=1,
        shared_xaxes=True,
        row_heights=[0.7, 0.3][:rows] if rows == 2 else [1.0],
        vertical_spacing=0.09,
    )
    figure.update_layout(template=TEMPLATE, height=300 + 110 * (rows - 1), autosize=True)
    for name, table in samples.items():
        worst = _per_second(table, 1.0 if name == "hub_lag" else 0.99)
        label = "worst hub lag" if name == "hub_lag" else f"p99 of {name.replace('_', ' ')}"
        figure.add_trace(
            go.Scatter(
                x=worst.index.to_numpy(),
                y=np.maximum(worst.to_numpy(), 0.0),
                mode="lines+markers",
                marker={"size": 4},
                name=label,
                line={"width": 1.5, "color": metric_colour(name)},
                hovertemplate=f"{label} <b>%{{y:.3~g}} ms</b> in second %{{x:.0f}}<extra></extra>",
            ),
            row=1,
            col=1,
        )
    for bound in sorted(set(_bounds(run).values())):
        figure.add_hline(
            y=bound, line={"color": colour("limit"), "width": 1.5, "dash": "dash"},
            annotation_text=f"bound {quantity(bound, 'ms')}", annotation_position="top right",
            annotation_font={"size": 11, "color": colour("limit")}, row=1, col=1,
        )  # fmt: skip
    for name, values, role in shares:
        figure.add_trace(
            go.Scatter(
                x=values.index.to_numpy(),
                y=values.to_numpy(),
                mode="lines",
                name=name,
                line={"width": 1.5, "color": colour(role)},
                hovertemplate=f"{name} <b>%{{y:.0f}} %</b> in second %{{x:.0f}}<extra></extra>",
            ),
            row=2,
            col=1,
        )
    figure.update_yaxes(title={"text": "ms"}, rangemode="tozero", row=1, col=1)
    if shares:
        figure.update_yaxes(title={"text": "% of a core"}, rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title={"text": "seconds since the run began"}, row=rows, col=1)
    return figure


def _per_second(table: pd.DataFrame, quantile: float) -> pd.Series:
    """The quantile of each whole second; of a run beyond 20 minutes, of each longer step."""
    step = max(1.0, np.ceil(float(table["at"].max() - table["at"].min()) / 1200.0))
    second = np.floor(table["at"] / step) * step
    return table.groupby(second)["ms"].quantile(quantile)


def _machine(run: Run) -> list[tuple[str, pd.Series, str]]:
    """CPU of the busiest worker and steal of the host, in % by second; none that is missing."""
    if run.health is None or run.health.empty:
        return []
    second = np.floor((run.health["at_ns"] - run.origin_ns) / 1e9 - 0.5)
    found = []
    for column, name, role in (
        ("cpu_share", "CPU of the busiest worker", "ink"),
        ("steal_share", "CPU stolen from the host", "ear"),
    ):
        values = (100.0 * numbers(run.health, column)).groupby(second).max().dropna()
        if not values.empty:
            found.append((name, values, role))
    return found


def _answer(run: Run) -> str:
    said = []
    for metric, words in (
        ("send_lateness", "Chunks were sent"),
        ("client_lag", "what arrived was read"),
    ):
        row = run.statistics(metric).get("p99")
        if row is not None and row.value is not None:
            late = with_interval(row.value, row.low, row.high, row.unit)
            said.append(f"{words} at most {late} late at p99 ({sample_size(row.n)})")
    broken = [rule for rule in run.verdict.get("validity") or [] if not rule.get("ok")]
    text = "; ".join(said)
    text = f"{capital(text)}. " if text else ""
    if not run.verdict.get("validity"):
        return f"{text}No rule of validity was judged."
    if broken:
        return (
            f"{text}No: {count(len(broken), 'rule')} of validity broken, see the top of the page."
        )
    return (
        f"{text}Yes: it kept every bound, so the figures are the target's and not the generator's."
    )


def _reference(run: Run) -> list[str]:
    """What the reference server says of itself, where it was the target."""
    known: dict[str, Any] = run.about.get("reference") or {}
    if not known:
        return []
    cpu = known.get("cpu_share")
    text = (
        "The embedded reference server kept its own schedule within "
        f"{quantity(known.get('late_p50_ms'), 'ms')} at p50, "
        f"{quantity(known.get('late_p99_ms'), 'ms')} at p99 "
        f"and {quantity(known.get('late_max_ms'), 'ms')} at worst"
    )
    text += f", at {quantity(100.0 * cpu, '%')} of one core" if cpu is not None else ""
    if known.get("bottleneck"):
        reason = known.get("reason") or "no reason given"
        return [f"{text}. It says that it was itself the bottleneck: {reason}."]
    return [f"{text}. It was not the bottleneck."]


def _health(run: Run) -> Table | None:
    """One row per worker: the worst of each health figure."""
    if run.health is None or run.health.empty:
        return None
    table = run.health
    rows = []
    for worker, part in table.groupby("worker"):
        rows.append(
            [
                str(worker),
                plain(len(part)),
                quantity(float(numbers(part, "hub_lag_ns").max()) / 1e6, "ms"),
                quantity(100.0 * float(numbers(part, "cpu_share").mean()), "%"),
                quantity(100.0 * float(numbers(part, "cpu_share").max()), "%"),
                quantity(float(numbers(part, "gc_pause_ns").max()) / 1e6, "ms"),
                quantity(100.0 * float(numbers(part, "steal_share").max()), "%"),
                quantity(_most(part, "run_wait_share", 100.0), "%"),
                quantity(_most(part, "throttled_share", 100.0), "%"),
                quantity(_most(part, "pressure_share", 100.0), "%"),
                plain(_sum(part, "retransmits") + _sum(part, "disorder"), "1"),
                plain(_most(part, "unread"), "1"),
                plain(float(numbers(part, "involuntary_switches").sum()), "1"),
                plain(float(numbers(part, "open_files").max()), "1"),
            ]
        )
    return Table(
        "Health of each worker",
        ("worker", "seconds", "worst hub lag", "mean CPU", "peak CPU", "longest collection",
         "peak steal", "peak wait for a core", "peak throttling", "peak pressure",
         "segments lost", "most unread", "involuntary switches", "open files"),
        rows,
        numeric=frozenset(range(14)),
        note="CPU as a share of one core; at which share a run is void the rules of validity say. "
        "Pressure is time in which anything on the host waited for a core; segments lost were sent "
        "again by us or came out of order from the target; unread are bytes left in the kernel.",
    )  # fmt: skip


def _most(table: pd.DataFrame, column: str, times: float = 1.0) -> float | None:
    """The largest value of a column; None where older folders have none."""
    known = numbers(table, column).dropna()
    return times * float(known.max()) if len(known) else None


def _sum(table: pd.DataFrame, column: str) -> float:
    return float(numbers(table, column).sum())
