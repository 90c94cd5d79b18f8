"""A panel: one question of the page, its answer in words, and the figures and tables that show why.

Theory of operation
-------------------
A panel's title is a question, and the sentence under it answers in numbers, so that the page can
be read without seeing (or running) its figures. Where the data for a figure is missing there is no
figure, and the sentence says why. A question that the run never asked (no tools, no sweep) has no
panel. Everything here is a plain value; the template makes HTML of it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

# A cell is text, or text with smaller text under it.
Cell = str | tuple[str, str]
# A figure under its caption.
Plot = tuple[str, go.Figure]


class Table(NamedTuple):
    """A table of text. `numeric` are the columns set flush right.

    `tones` mark rows (limit, culprit, quiet), `links` is where their first cells lead: a place of
    the page by its id, or with a slash a file beside it. Both fit `rows` or are empty.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[int] = frozenset()
    tones: Sequence[str] = ()
    links: Sequence[str] = ()
    note: str = ""


class Closeup(NamedTuple):
    """One place of a run, event by event: what was said, its timeline and its events.

    `text` is what to see in it, `lacking` what to say without events; `opened` shows them at once.
    """

    anchor: str
    title: str
    said: Sequence[tuple[str, str]]
    figure: go.Figure | None
    events: Table
    text: str = ""
    lacking: str = "No events of this turn are in the folder, so there is no timeline."
    opened: bool = False


class Panel(NamedTuple):
    """One question of the page. `figures` go below `answer`, each with a caption; then the rest.

    `abreast` sets the tables in columns where the page is wide enough.
    """

    key: str
    question: str
    answer: str
    figures: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    closeups: Sequence[Closeup] = ()
    abreast: bool = False
