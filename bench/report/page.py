"""The page: one self-contained HTML file that a browser opens years later, offline.

Theory of operation
-------------------
`write_report` reads a run folder, asks each question's function for its panel and fills the
template. Everything is inside the file: the stylesheet, plotly's script (once), the figures as
JSON. The page's own policy forbids every load from outside, so the browser itself
keeps the page self-contained. Tables and verdict are HTML and need no script.

All text is escaped by the template. JSON inside script elements has every `<` written as its
escape, so no transcript can close the element it stands in.
"""

import json
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from bench import __version__
from bench.analysis.tables import plain_strings
from bench.errors import RunFolderError
from bench.report import provenance, tables
from bench.report.ageing import ageing
from bench.report.barging import barge_in
from bench.report.blame import blame
from bench.report.catalogue import metric_tables
from bench.report.choosing import choosing
from bench.report.conduct import conduct
from bench.report.failures import breaking
from bench.report.fluency import fluency
from bench.report.harness import calibrated_at, trust_lines
from bench.report.hearing import hearing
from bench.report.honesty import honesty
from bench.report.honoured import changed_line, changes_format
from bench.report.kinds import kinds
from bench.report.latency import stages, waiting
from bench.report.panel import Panel
from bench.report.run import Run, read_run
from bench.report.server_gauges import server_gauges
from bench.report.slowest import slowest
from bench.report.steadiness import holding
from bench.report.stopping import stopping
from bench.report.theme import VERDICT_COLOURS, dark_of_light, stylesheet_colours
from bench.report.tools import tools
from bench.report.understanding import understanding
from bench.report.wire import wire
from bench.report.words import moment
from bench.report.writing import writing
from bench.runs.folder import replace_file

_HERE: Final = Path(__file__).parent
# The questions in the order they are asked; one that the run never asked yields no panel.
QUESTIONS: Final = (
    choosing, kinds, waiting, writing, stages, holding, ageing, hearing, understanding, fluency,
    barge_in, stopping, tools, conduct, wire, server_gauges, breaking, slowest,
    blame, honesty,
)  # fmt: skip


@plain_strings
def write_report(folder: Path) -> Path:
    """Write `report.html` into the run folder and return its path.

    Needs run.json, summary.json, verdict.json, turns.parquet and sessions.parquet; reads
    health.parquet and events.parquet where they are. RunFolderError names what is missing.
    """
    page = render(read_run(folder))
    return put(folder / "report.html", page)


def put(path: Path, text: str) -> Path:
    """Write a file of a run folder in one step; returns its path. RunFolderError where it can't."""
    try:
        replace_file(path, text)
    except OSError as error:
        raise RunFolderError(
            f"{path.parent.name}/{path.name}: cannot be written ({error.strerror}); "
            "make the folder writable"
        ) from None
    return path


def render(run: Run) -> str:
    """The whole page of `run` as text."""
    return filled("page.html", context(run))


def filled(template: str, told: dict[str, Any]) -> str:
    """A page of `template`, filled with what is `told` and with what every page needs."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["figure_json"] = figure_json
    return environment.get_template(template).render(
        **told,
        drawn_by=__version__,
        css=(_HERE / "page.css").read_text("utf-8"),
        light=stylesheet_colours(dark=False),
        dark=stylesheet_colours(dark=True),
        swap=json.dumps(dark_of_light()),
        plotlyjs=get_plotlyjs(),
    )


def context(run: Run) -> dict[str, Any]:
    """What the template is filled with."""
    verdict = str(run.verdict.get("verdict") or "inconclusive")
    target = run.about.get("target") or {}
    return {
        "title": f"{verdict}: {_scenario_name(run)}",
        "verdict": verdict,
        "verdict_role": VERDICT_COLOURS.get(verdict, "doubt"),
        "invalid": verdict == "invalid",
        "why": tables.why(run),
        "reasons": tables.other_reasons(run),
        "scenario": _scenario_name(run),
        "about": str(run.scenario.get("about") or ""),
        "target": str(target.get("name") or "unnamed"),
        "created": moment(str(run.about.get("created") or "")),
        "sessions": tables.sessions_line(run),
        "changed": changed_line(run),
        "changed_format": changes_format(run),
        "interrupted": bool(run.about.get("interrupted")),
        "gates": tables.gate_lines(run),
        "validity": tables.validity(run),
        "broken": tables.broken_rules(run),
        "trust": _trust(run),
        "remarks": [str(one) for one in run.verdict.get("remarks") or []],
        "headlines": tables.headlines(run),
        "headline_note": tables.headline_note(run),
        "panels": panels(run),
        "metrics": metric_tables(run),
        "provenance": provenance.provenance(run),
        "scenario_text": provenance.scenario_text(run),
        "run_name": run.name,
        "version": str(run.about.get("bench_version") or "unknown"),
    }


def _trust(run: Run) -> list[str]:
    """What the figures are worth: the harness's own error, as it was calibrated."""
    rows = {
        (row["metric"], row["statistic"]): row
        for row in run.summary.get("rows") or []
        if not row.get("filter")
    }
    told = [*trust_lines(run.about, rows), calibrated_at(run.about)]
    return [line[:1].upper() + line[1:] for line in told if line]


def panels(run: Run) -> list[Panel]:
    """The panels of the questions that the run asked, in order."""
    return [panel for question in QUESTIONS if (panel := question(run)) is not None]


def figure_json(figure: go.Figure) -> str:
    """A figure as JSON that may stand inside a script element."""
    return str(figure.to_json(validate=False)).replace("<", "\\u003c")


def _scenario_name(run: Run) -> str:
    return str((run.about.get("scenario") or {}).get("name") or run.about.get("name") or run.name)
