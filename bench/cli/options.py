"""Every option of the command line, once: its name, type and help. `verbs` says who takes which."""

import math
from pathlib import Path
from typing import Annotated

import typer
from typer.models import OptionInfo


def _number(text: str) -> float:
    """A number without unit or currency; whether it is above zero is asked by who reads it."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no number; give it alone, as in 0.05, without a unit or a currency"
        ) from None


def _margin(text: str) -> float:
    """What is no number would leave every row open, or none, and is no JSON."""
    value = _number(text)
    if not (math.isfinite(value) and value >= 0):
        raise typer.BadParameter("give a number, 0 or more")
    return value


def numeric(about: str, *names: str) -> OptionInfo:
    """An option that takes a number, refused in words that say how a number is written."""
    option: OptionInfo = typer.Option(*names, parser=_number, metavar="<float>", help=about)
    return option


# ── what is run, and against what ────────────────────────────────────────────────────────────────

ScenarioFile = Annotated[Path, typer.Argument(help="A scenario file (TOML).")]
Target = Annotated[
    str,
    typer.Option(
        help="reference, inworld (-eu, -in: its regions), openai, or a ws:// or wss:// URL."
    ),
]
Dialect = Annotated[str | None, typer.Option(help="inworld or openai, for a URL.")]
Sessions = Annotated[int | None, typer.Option(help="Sessions held (closed load).")]
Duration = Annotated[str | None, typer.Option(help='Measured time of a run, as in "30s".')]
Workers = Annotated[int, typer.Option(help="Worker processes.")]
Assignments = Annotated[
    tuple[str, ...], typer.Option("--set", help="key=value: override the scenario; repeatable.")
]
ServerProfile = Annotated[
    Path | None, typer.Option("--profile", help="How the reference server behaves (TOML).")
]
Subprotocol = Annotated[str, typer.Option(help="Offer this WebSocket subprotocol, as in realtime.")]
FollowRedirects = Annotated[
    bool,
    typer.Option("--follow-redirects", help="Follow the server to another URL of the same host."),
]
Web = Annotated[bool, typer.Option("--web", help="Locust's web page during the run.")]
WebPort = Annotated[int, typer.Option(min=1, max=65535, help="Its port.")]
Pin = Annotated[bool, typer.Option("--pin", help="A core of its own for every worker (Linux).")]
ProbeFirst = Annotated[
    bool, typer.Option("--probe", help="Probe the target first, and keep that with the run.")
]
MetricsUrl = Annotated[
    str | None,
    typer.Option(help="Prometheus endpoint of the target, asked once a second (http://…)."),
]
Gauges = Annotated[
    tuple[str, ...],
    typer.Option(
        "--gauge",
        help="What to watch there, as in process_cpu_seconds_total; a usual set; repeatable.",
    ),
]

# ── how it is judged ─────────────────────────────────────────────────────────────────────────────

Gates = Annotated[
    tuple[str, ...], typer.Option("--gate", help="A gate, added to the others; repeatable.")
]
GateProfile = Annotated[str | None, typer.Option("--gates", help="The scenario's gate profile.")]
Baseline = Annotated[
    Path | None, typer.Option(help="A run folder or baseline file that gates refer to.")
]
AllowBaseline = Annotated[
    bool, typer.Option("--allow", help="Judge by a baseline that is unlike; the verdict says so.")
]
AbortOnFail = Annotated[
    bool, typer.Option(help="End the run early where a gate fails for good, or for long.")
]
AbortWindow = Annotated[
    str | None, typer.Option(help='How long a look is: "30s", or a quarter of a short run.')
]
Explain = Annotated[bool, typer.Option("--explain", help="Say of each gate why it came out so.")]

# ── what it may take ─────────────────────────────────────────────────────────────────────────────

Yes = Annotated[bool, typer.Option("--yes", help="Start against a target off loopback.")]
PricePerMinute = Annotated[
    float | None, numeric("Price of a session-minute, for the estimate: 0.05, in any currency.")
]
MaxMinutes = Annotated[
    float | None,
    numeric("Session-minutes it may use: refused beforehand, ended when used."),
]
MaxCost = Annotated[float | None, numeric("The same in money; needs --price-per-minute.")]
AccountSessions = Annotated[
    int | None, typer.Option(min=1, help="Sessions that your plan allows at once (Inworld: 20).")
]
AccountPackets = Annotated[
    int | None,
    typer.Option(min=1, help="Messages a second that your plan allows (Inworld: 1000)."),
]

# ── runs that are there, and what is compared ────────────────────────────────────────────────────

RunFolderPath = Annotated[Path, typer.Argument(help="A run folder under reports/.")]
Margin = Annotated[
    float,
    typer.Option(
        "--margin",
        parser=_margin,
        metavar="<float>",
        help="Equivalence margin: a latency or a capacity that changes by less than so many "
        "percent counts as unchanged.",
    ),
]
Points = Annotated[
    float,
    typer.Option(
        "--points",
        parser=_margin,
        metavar="<float>",
        help="The same of shares, in percentage points.",
    ),
]
AllowUnlike = Annotated[
    bool, typer.Option("--allow", help="Compare what is unlike; the result says what differs.")
]
Store = Annotated[Path, typer.Option("--store", help="The history's file.")]
OfScenario = Annotated[str, typer.Option(help="Only runs of this scenario.")]
OfTarget = Annotated[str, typer.Option(help="Only runs against this target.")]
OfBranch = Annotated[str, typer.Option(help="Only runs of this branch.")]
Since = Annotated[
    str, typer.Option(help="Only runs begun since then: a date (2026-09-01, UTC) or an age (30d).")
]
Metrics = Annotated[tuple[str, ...], typer.Option("--metric", help="A metric; repeatable.")]
Statistics = Annotated[tuple[str, ...], typer.Option("--statistic", help="As in p50; repeatable.")]

# ── capacity ─────────────────────────────────────────────────────────────────────────────────────

Objectives = Annotated[
    tuple[str, ...],
    typer.Option("--slo", help="An objective, a gate as in run; repeatable."),
]
Tiers = Annotated[
    tuple[str, ...],
    typer.Option("--tier", help='Objectives by name: gold="GATE, GATE"; repeatable.'),
]
Arrivals = Annotated[
    str | None, typer.Option(help="poisson or uniform: session starts a second are sought.")
]
StartLoad = Annotated[float | None, numeric("The first load; default: the scenario's.")]
MaxSessions = Annotated[int | None, typer.Option(min=1, help="Never try more.")]
TargetCores = Annotated[
    float | None,
    numeric("Cores of the target: its capacity is told for one, too.", "--target-cores"),
]
TargetGpus = Annotated[float | None, numeric("The same of GPUs.", "--target-gpus")]
Ramp = Annotated[bool, typer.Option("--ramp", help="A quick look: one run in steps, less exact.")]
CallsPerHour = Annotated[float, numeric("Calls that come in the busy hour.")]
SessionsPerNode = Annotated[float | None, numeric("Sessions of a node, in place of the measured.")]
PricePerNodeHour = Annotated[float | None, numeric("Price of a node for an hour, as in 2.5.")]

# ── where the answer goes ────────────────────────────────────────────────────────────────────────

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]
Markdown = Annotated[
    bool, typer.Option("--markdown", help="Print the digest, summary.md, as for a job summary.")
]
