"""Panel on a sweep: its settings side by side, and which are worth choosing between.

Theory of operation
-------------------
Where settings of a VAD are swept, the answer is a trade-off. A VAD that answers sooner cuts more
callers off in mid-sentence; so only the settings that no other beats in both, the *front*, are
worth choosing between. Where anything else is swept, the answer is the setting with the shortest
wait. All figures are rows of the summary with the filter `setting=…`. Where intervals overlap
nothing has been shown to differ, and the sentence says so.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import plotly.graph_objects as go

from bench.plan.metrics import METRICS
from bench.report.charts import Range, overlap, ranges
from bench.report.marks import safe, whiskers
from bench.report.panels import Cell, Chart, Drawn, Question, Table
from bench.report.run_data import Run, Statistic, once
from bench.report.text import count, listing, plain
from bench.report.theme import blank, colour

_QUESTION: Final = "Which setting should you choose?"
_TRADED: Final = (
    "Each point is a setting at its p50, with a line up to p95 and the 95 % interval of its "
    "cut-offs. Down and left is better; filled are those that no other setting beats in both"
)
_VAD: Final = "_vad"
"""What labels name where the VAD is what is swept; anything else trades nothing off."""
_FAR: Final = 8.0
"""Times: delays further apart stand on a logarithmic axis."""
_TICKS: Final = (50, 100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 7000, 10_000, 20_000)
_COLUMNS: Final = {
    "endpointing p50": ("endpointing_delay", "p50"),
    "endpointing p95": ("endpointing_delay", "p95"),
    "first audio p50": ("first_audio_latency", "p50"),
    "first audio p95": ("first_audio_latency", "p95"),
    "first text p50": ("first_text_latency", "p50"),
    "first text p95": ("first_text_latency", "p95"),
    "cut into several": ("split_turn", "share"),
    "talked over": ("talked_over", "share"),
    "missed": ("missed", "share"),
    "answered": ("answered", "share"),
}


class Choice(NamedTuple):
    """One setting: its place in the sweep (from 1), its name, and what it does to a call.

    `cut` is the share of turns cut into several; `half` and `most` p50 and p95 of endpointing.
    """

    number: int
    name: str
    label: str
    cut: Statistic
    half: Statistic
    most: Statistic

    @property
    def drawn(self) -> bool:
        """Whether both coordinates are known."""
        return self.cut.known and self.half.known

    @property
    def figures(self) -> str:
        """Its wait and its cut-offs, in words."""
        return f"{self.half.shown} at p50, {self.cut.whole} of turns cut"


def pooled(run: Run) -> str:
    """That a figure is over all settings of a sweep together; empty without a sweep."""
    number = len(run.settings)
    return f"Over all {number} settings together; see “{_QUESTION}”." if number > 1 else ""


def _keys(run: Run) -> list[str]:
    """What is swept."""
    return [str(key) for key in run.scenario.get("sweep") or {}]


@once
def _choices(run: Run) -> list[Choice]:
    """The settings in the order of their numbers."""
    labels = sorted(run.settings, key=_naturally)
    named = zip(labels, names(labels, _keys(run)), strict=True)
    figures = (
        ("split_turn", "share"), ("endpointing_delay", "p50"), ("endpointing_delay", "p95"),
    )  # fmt: skip
    return [
        Choice(number, name, label, *(run.statistic(*one, f"setting={label}") for one in figures))
        for number, (label, name) in enumerate(named, 1)
    ]


def _traded(run: Run) -> list[Choice]:
    """The settings of a VAD with both figures; none where they trade nothing off."""
    drawn = [choice for choice in _choices(run) if choice.drawn]
    return drawn if len(drawn) > 1 and any(_VAD in label for label in run.settings) else []


def _answer(run: Run) -> str:
    traded = _traded(run)
    return advice(traded) if traded else _quickest(run)


def _left_out(run: Run) -> str:
    traded = _traded(run)
    names_of = [choice.name for choice in _choices(run) if choice not in traded]
    if not traded or not names_of:
        return ""
    return f"Without both figures, and so not drawn: {listing(names_of)}."


def names(labels: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The labels without the keys that were swept, where they can still be told apart."""
    short = []
    for label in labels:
        parts = [
            next((part.removeprefix(f"{key} ") for key in keys if part.startswith(f"{key} ")), part)
            for part in label.split(", ")
        ]
        short.append(", ".join(parts))
    return short if len(set(short)) == len(labels) and all(short) else list(labels)


def _naturally(label: str) -> list[tuple[int, str]]:
    """Sorts 800 ms before 1200 ms."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", label)]


# ── the trade-off ────────────────────────────────────────────────────────────────────────────────


def front(choices: Sequence[Choice]) -> list[Choice]:
    """Those that no other beats in both, from the quickest to the most patient."""
    kept = [choice for choice in choices if not any(beats(other, choice) for other in choices)]
    return sorted(kept, key=lambda choice: (choice.half.number, choice.cut.number))


def beats(one: Choice, other: Choice) -> bool:
    """Whether `one` is at least as good in both and better in one."""
    mine, theirs = ((it.half.number, it.cut.number) for it in (one, other))
    return mine != theirs and mine[0] <= theirs[0] and mine[1] <= theirs[1]


def advice(choices: Sequence[Choice]) -> str:
    """Which settings are worth choosing between, and what has not been shown."""
    best = front(choices)
    if len(best) == 1:
        said = (
            f"{best[0].name} is ahead in both: {best[0].figures}; no other setting is quicker or "
            "cuts fewer turns."
        )
    else:
        quick, *between, patient = best
        said = (
            f"{plain(len(best), '1')} of {count(len(choices), 'setting')} are worth choosing "
            f"between: {quick.name} is quickest ({quick.figures}), {patient.name} cuts fewest "
            f"({patient.figures})"
            + (f", and {listing(choice.name for choice in between)} between." if between else ".")
        )
        others = [choice.name for choice in choices if choice not in best]
        if others:
            verb = "is" if len(others) == 1 else "are"
            said += f" {listing(others)} {verb} no better in either than one of these."
    return f"{said} {_doubt(choices, best)}".strip()


def _doubt(choices: Sequence[Choice], best: Sequence[Choice]) -> str:
    """What the intervals leave open: neighbours on the front, and those only just beaten."""
    pairs = list(pairwise(best))
    alike = [(one, other) for one, other in pairs if overlap(one.cut, other.cut)]
    said = []
    if alike and overlap(best[0].cut, best[-1].cut):
        said.append(
            "Even their intervals of cut-offs overlap: that waiting longer cuts fewer turns is not "
            "shown. More turns would tell."
        )
    elif len(alike) == len(pairs) and alike:
        said.append(
            "Neighbours overlap in their intervals of cut-offs, so which of two cuts fewer is not "
            "shown; only that the most patient of them cuts fewer than the quickest."
        )
    elif alike:
        couples = "; ".join(f"{one.name} and {other.name}" for one, other in alike)
        said.append(
            f"The intervals of cut-offs overlap between {couples}: which of the two cuts fewer is "
            "not shown. More turns would tell."
        )
    beaten = [
        choice.name
        for choice in choices
        if choice not in best
        and all(
            overlap(choice.cut, other.cut) and overlap(choice.half, other.half)
            for other in best
            if beats(other, choice)
        )
    ]
    if beaten:
        said.append(
            f"{listing(beaten)} {'is' if len(beaten) == 1 else 'are'} beaten within the intervals "
            "only, which may be chance."
        )
    return " ".join(said)


def trade_off(choices: Sequence[Choice]) -> go.Figure:
    """Wait against false cut-offs: a numbered point a setting, its name in the legend."""
    best = front(choices)
    figure = blank(480)
    for choice in choices:
        x, y, most = choice.cut.number, choice.half.number, choice.most
        tail = {
            "array": [max(0.0, most.number - y) if most.known else 0.0], "arrayminus": [0.0],
        }  # fmt: skip
        thin = {"thickness": 1.5, "width": 4}
        ahead, tint = choice in best, colour("vad")
        figure.add_trace(
            go.Scatter(
                x=[x],
                y=[y],
                mode="markers+text",
                name=f"{choice.number} {safe(choice.name, 40)}",
                text=[f"<b>{choice.number}</b>"],
                textfont={"size": 11, "color": colour("paper") if ahead else colour("ink")},
                error_x=whiskers([x], [(choice.cut.low, choice.cut.high)], tint, **thin),
                error_y={"type": "data", "symmetric": False, "color": tint, **thin, **tail},
                marker={
                    "size": 20,
                    "color": tint if ahead else colour("paper"),
                    "line": {"width": 2, "color": tint},
                },
                customdata=[_hover(choice)],
                hovertemplate="%{customdata}<extra></extra>",
                showlegend=True,
                cliponaxis=False,
            )
        )
    rights = [end for one in choices for end in (one.cut.number, one.cut.high or 0.0)]
    right = min(103.0, 1.06 * max([1.0, *rights]))
    ups = [choice.half.number for choice in choices]
    top = max([1.0, *ups, *(choice.most.number for choice in choices)])
    figure.update_xaxes(
        range=[-0.06 * right, right], title={"text": "turns cut into several"}, ticksuffix=" %",
        showgrid=True, nticks=6,
    )  # fmt: skip
    title = "end of speech noticed after, ms"
    if min(ups) > 0 and top > _FAR * min(ups):
        ticks = [at for at in _TICKS if 0.6 * min(ups) <= at <= 1.15 * top]
        figure.update_yaxes(
            type="log", title={"text": f"{title} (logarithmic)"}, tickvals=ticks,
            ticktext=[plain(at) for at in ticks],
        )  # fmt: skip
    else:
        figure.update_yaxes(title={"text": title}, range=[min(0.0, *ups), 1.08 * top])
    figure.add_annotation(
        x=0, y=0, xref="paper", yref="paper", xanchor="left", yanchor="bottom", xshift=6, yshift=4,
        text="<b>↙ better</b>", showarrow=False, font={"size": 13, "color": colour("good")},
    )  # fmt: skip
    return figure


def _hover(choice: Choice) -> str:
    lines = [f"<b>{choice.number} {safe(choice.label)}</b>"]
    lines += [f"{row.statistic} {row.whole}" for row in (choice.half, choice.most) if row.n]
    return "<br>".join([*lines, f"cut {choice.cut.whole} of {plain(choice.cut.n, '1')} turns"])


# ── any other sweep ──────────────────────────────────────────────────────────────────────────────


def _by_wait(run: Run) -> dict[str, Range]:
    """The wait under each setting, by name."""
    return {
        choice.name: Range(
            f"{choice.number} {choice.name}",
            METRICS[run.wait].colour,
            run.statistics(run.wait, f"setting={choice.label}"),
        )
        for choice in _choices(run)
    }


def _halves(run: Run) -> dict[str, Statistic]:
    return {name: half for name, it in _by_wait(run).items() if (half := it.row("p50")).known}


def _quickest(run: Run) -> str:
    halves = _halves(run)
    if len(halves) < 2:
        return "No two of the settings have a wait in common, so there is nothing to choose."
    quick = min(halves, key=lambda name: halves[name].number)
    said = f"{quick} is quickest: {run.wait.replace('_', ' ')} {halves[quick].whole} at p50."
    alike = [one for one in halves if one != quick and overlap(halves[one], halves[quick])]
    if alike:
        said += (
            f" The intervals of {listing(alike)} overlap with it: nothing has been shown to differ "
            "there."
        )
    return said


def _draw_waits(run: Run) -> Drawn:
    if _traded(run) or len(_halves(run)) < 2:
        return None, []
    return ranges(list(_by_wait(run).values()), f"ms, {run.wait.replace('_', ' ')}"), []


def _table(run: Run) -> Table:
    """The settings side by side, figure by figure; columns without any sample are left out."""

    def row_of(choice: Choice, head: str) -> Statistic:
        return run.statistic(*_COLUMNS[head], f"setting={choice.label}")

    choices, keys = _choices(run), _keys(run)
    shown = [head for head in _COLUMNS if any(row_of(choice, head).n for choice in choices)]
    rows: list[list[Cell]] = [
        [
            str(choice.number),
            choice.name,
            *(row_of(choice, head).cell for head in shown),
            plain(max(row_of(choice, head).n for head in _COLUMNS), "1"),
        ]
        for choice in choices
    ]
    return Table(
        "The settings side by side",
        ("", "setting", *shown, "n"),
        rows,
        numeric=frozenset({0, *range(2, 3 + len(shown))}),
        note="Small brackets are 95 % intervals; n is the turns of the setting."
        + (f" Swept: {listing(keys)}." if keys else ""),
    )


SWEEP: Final = Question(
    "settings",
    _QUESTION,
    says=(_answer,),
    charts=(
        Chart(_TRADED, lambda run: (trade_off(it) if (it := _traded(run)) else None, [])),
        Chart("The wait under each setting: dot p50 with its interval, tick p95", _draw_waits),
    ),
    tables=(_table,),
    notes=(_left_out,),
    asked=lambda run: len(run.settings) > 1,
)
