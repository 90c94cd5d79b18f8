"""The page: one self-contained HTML file that a browser opens years later, offline.

Theory of operation
-------------------
`write_report` reads a run folder, asks each question's function for its panel and fills the
template. Everything is inside the file: the stylesheet, plotly's script (once), the figures as
JSON. The page's own policy forbids every load from outside, so the browser itself
keeps the page self-contained. Verdict, answers and tables are HTML and need no script.

All text is escaped by the template. JSON inside script elements has every `<` written as its
escape, so no transcript can close the element it stands in.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from bench import __version__
from bench.analysis.tables import plain_strings
from bench.errors import BenchError, RunFolderError, UsageError
from bench.report import appendix, overview
from bench.report.gauges_panel import SERVER_GAUGES
from bench.report.generator_panel import GENERATOR
from bench.report.hearing_panels import VAD, WORDS
from bench.report.interruption_panels import BARGE_IN, CANCELS
from bench.report.latency_panels import FLUENCY, LATENCY, STAGES_OF_WAIT, TOOLS, WRITING
from bench.report.message_panel import MESSAGES
from bench.report.outcome_panel import OUTCOMES
from bench.report.panels import Panel
from bench.report.protocol_panel import PROTOCOL, changed_a_format, changed_settings
from bench.report.run_data import Run, read_run
from bench.report.scripts_panel import MIXTURE
from bench.report.sweep_panel import SWEEP
from bench.report.text import calibrated_at, capital, moment, trust_lines
from bench.report.theme import VERDICT_COLOURS, dark_of_light, stylesheet_colours
from bench.report.time_panels import BY_TURN, OVER_TIME, SLOW_TURNS
from bench.report.timeline import SLOWEST
from bench.runs.folder import replace_file

_HERE: Final = Path(__file__).parent
QUESTIONS: Final = (
    SWEEP, MIXTURE, LATENCY, WRITING, STAGES_OF_WAIT, OVER_TIME, BY_TURN, VAD, WORDS, FLUENCY,
    BARGE_IN, CANCELS, TOOLS, PROTOCOL, MESSAGES, SERVER_GAUGES, OUTCOMES, SLOWEST, SLOW_TURNS,
    GENERATOR,
)  # fmt: skip
"""In the order they are asked; one that the run never asked yields no panel."""


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
    shown = f"{path.parent.name}/{path.name}"
    return _replace(
        path, text, lambda why: RunFolderError(
            f"{shown}: cannot be written ({why}); make the folder writable"
        )
    )  # fmt: skip


def put_out(path: Path, text: str, option: str) -> Path:
    """Write a file where a user's `option` says, in one step. UsageError where it cannot be."""
    return _replace(path, text, lambda why: UsageError(f"{option}: cannot be written ({why})"))


def _replace(path: Path, text: str, refusal: Callable[[str], BenchError]) -> Path:
    try:
        replace_file(path, text)
    except OSError as error:
        raise refusal(error.strerror or str(error)) from None
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
    about, scenario = run.about, run.about.get("scenario") or {}
    name = str(scenario.get("name") or about.get("name") or run.name)
    return {
        "title": f"{verdict}: {name}",
        "verdict": verdict,
        "verdict_role": VERDICT_COLOURS.get(verdict, "doubt"),
        "invalid": verdict == "invalid",
        "why": overview.why(run),
        "causes": overview.causes(run),
        "reasons": overview.other_reasons(run),
        "scenario": name,
        "about": str(run.scenario.get("about") or ""),
        "target": str((about.get("target") or {}).get("name") or "unnamed"),
        "created": moment(str(about.get("created") or "")),
        "sessions": overview.load_line(run),
        "changed": changed_settings(run),
        "changed_format": changed_a_format(run),
        "interrupted": bool(about.get("interrupted")),
        "gates": overview.gate_lines(run),
        "validity": overview.validity(run),
        "broken": overview.broken_rules(run),
        "trust": _trust(run),
        "remarks": [str(one) for one in run.verdict.get("remarks") or []],
        "headlines": overview.headlines(run),
        "headline_note": overview.headline_note(run),
        "curve": overview.small_curve(run),
        "panels": panels(run),
        "metrics": appendix.metric_tables(run),
        "provenance": appendix.provenance(run),
        "scenario_text": appendix.scenario_text(run),
        "run_name": run.name,
        "version": str(about.get("bench_version") or "unknown"),
    }


def _trust(run: Run) -> list[str]:
    """What the figures are worth: the harness's own error, as it was calibrated."""
    rows = {
        (metric, word): {"value": row.value}
        for metric, known in run.unfiltered().items()
        for word, row in known.items()
    }
    told = [*trust_lines(run.about, rows), calibrated_at(run.about)]
    return [capital(line) for line in told if line]


def panels(run: Run) -> list[Panel]:
    """The panels of the questions that the run asked, in order."""
    return [panel for question in QUESTIONS if (panel := question(run)) is not None]


def figure_json(figure: go.Figure) -> str:
    """A figure as JSON that may stand inside a script element."""
    return str(figure.to_json(validate=False)).replace("<", "\\u003c")
