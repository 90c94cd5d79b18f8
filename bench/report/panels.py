"""What a page is made of: panels, tables, close-ups, and the declarations they are built from.

Theory of operation
-------------------
A panel's title is a question, and the sentences under it answer in numbers, so that the page can be
read without seeing (or running) its figures. A `Question` declares a panel: who is asked it, what
it says, which charts and tables show why. Called with a run it gives the panel, or none where the
run never asked it (no tools, no sweep). Where no chart has data, `empty` says why.

Everything here is a plain value or a function of a run; the template makes HTML of it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import plotly.graph_objects as go

from bench.report.run_data import Run, gate_of
from bench.report.text import plain, sample_size

Cell = str | tuple[str, str]
"""Text, or text with smaller text under it."""
Plot = tuple[str, go.Figure]
"""A figure under its caption."""
Drawn = tuple[go.Figure | None, Sequence[str]]
"""A figure, or None without data, and what must be said of it."""
Columns = Mapping[str, Callable[[Any], Cell]]
"""The columns of a table by head: what each shows of an entry."""
Sentence = Callable[[Run], str]
"""A sentence about a run; empty where there is nothing to say."""


class Table(NamedTuple):
    """A table of text. `numeric` are the columns set flush right.

    `tones` mark rows (limit, culprit, quiet), `links` is where their first cells lead: a place of
    the page by its id, or with a slash a file beside it. Both fit `rows` or are empty. `folded`:
    it is shown on request. `cards`: on a phone each row is a card.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[int] = frozenset()
    tones: Sequence[str] = ()
    links: Sequence[str] = ()
    note: str = ""
    folded: bool = False
    cards: bool = False


class Closeup(NamedTuple):
    """One place of a run, event by event: what was said, its timeline and its events.

    `text` is what to see in it, `lacking` what to say without events; `opened` shows it at once.
    """

    anchor: str
    title: str
    said: Sequence[tuple[str, str]]
    figure: go.Figure | None
    events: Table | None
    text: str = ""
    lacking: str = "No events of this turn are in the folder, so there is no timeline."
    opened: bool = False


class Panel(NamedTuple):
    """One question of the page. `figures` go below `answer`, each with a caption; then the rest.

    `abreast` sets the tables in columns where the page is wide enough. `state` is the colour of
    its dot in the navigation: good, doubt, limit, or empty where nothing judges it.
    """

    key: str
    question: str
    answer: str
    figures: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    closeups: Sequence[Closeup] = ()
    abreast: bool = False
    state: str = ""


class Chart(NamedTuple):
    """A figure to be: its caption, and what draws it of a run."""

    caption: str
    draw: Callable[[Run], Drawn]


@dataclass(frozen=True)
class Question:
    """The declaration of a panel. `metrics`: those whose gates give it its state.

    `state` overrules that; `empty` is the answer where there are charts and none has data.
    """

    key: str
    question: str
    says: Sequence[Sentence]
    charts: Sequence[Chart] = ()
    tables: Sequence[Callable[[Run], Table | None]] = ()
    notes: Sequence[Sentence] = ()
    metrics: Sequence[str] = ()
    asked: Callable[[Run], bool] = lambda _run: True
    empty: Sentence | None = None
    closeups: Callable[[Run], Sequence[Closeup]] = lambda _run: ()
    state: Sentence | None = None
    abreast: bool = False

    def __call__(self, run: Run) -> Panel | None:
        """The panel of a run; None where it never asked this."""
        if not self.asked(run):
            return None
        figures: list[Plot] = []
        remarks: list[str] = []
        for chart in self.charts:
            figure, said = chart.draw(run)
            remarks += said
            if figure is not None:
                figures.append((chart.caption, figure))
        lacking = self.empty is not None and not figures
        says = [self.empty] if lacking and self.empty is not None else self.says
        return Panel(
            self.key,
            self.question,
            " ".join(filter(None, (say(run) for say in says))),
            figures,
            [made for table in self.tables if (made := table(run)) is not None],
            list(dict.fromkeys(filter(None, [*remarks, *(note(run) for note in self.notes)]))),
            self.closeups(run),
            self.abreast,
            state_of_gates(run, self.metrics) if self.state is None else self.state(run),
        )


def state_of_gates(run: Run, metrics: Sequence[str]) -> str:
    """What the gates on some metrics come to, as a colour; empty where none was decided."""
    if run.verdict.get("verdict") == "invalid":
        return ""
    verdicts = {
        entry.get("verdict")
        for entry in run.verdict.get("gates") or []
        if (gate := gate_of(entry)) is not None and gate.metric in metrics
    }
    states = (("fail", "limit"), ("inconclusive", "doubt"), ("pass", "good"))
    return next((state for verdict, state in states if verdict in verdicts), "")


def within(metric: str, did: str, never: str) -> Sentence:
    """The sentence `Half of the callers <did> within 742 ms; 95 % within 1 013 ms [980, 1 060]`.

    Where fewer than half did, `Most callers <never>`.
    """

    def say(run: Run) -> str:
        half, most = run.statistic(metric, "p50"), run.statistic(metric, "p95")
        if not half.n:
            return ""
        n = sample_size(half.n)
        if not half.known:
            return f"Most {never} ({n})."
        text = f"Half of the {did} within {half.shown}"
        if most.known:
            text += f"; 95 % within {most.whole}"
        elif most.n:
            text += "; 95 % is not reached: too many timed out"
        return f"{text} ({n})."

    return say


def table_of(
    caption: str,
    columns: Columns,
    entries: Iterable[Any],
    *,
    numeric: Iterable[str] = (),
    tone: Callable[[Any], str] | None = None,
    link: Callable[[Any], str] | None = None,
    first: tuple[int, str] | None = None,
    note: str = "",
) -> Table | None:
    """A row for each entry, a column for each function of one; None without entries.

    `first`: how many rows are shown at most, and the file that has the rest.
    """
    every = list(entries)
    if not every:
        return None
    most, file = first or (len(every), "")
    if most < len(every):
        cut = f"The first {most} of {plain(len(every), '1')}; the rest is in {file}."
        note = f"{cut} {note}".strip()
    names = list(columns)
    return Table(
        caption,
        names,
        [[make(entry) for make in columns.values()] for entry in every[:most]],
        frozenset(names.index(name) for name in numeric),
        [tone(entry) for entry in every[:most]] if tone else (),
        [link(entry) for entry in every[:most]] if link else (),
        note,
    )


def folded(table: Table | None) -> Table | None:
    """The same table, shown on request."""
    return None if table is None else table._replace(folded=True)
