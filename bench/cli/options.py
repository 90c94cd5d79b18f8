"""Every option of the command line, once: its name, type and help. `verbs` says who takes which."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.models import OptionInfo

from bench.plan.duration import Duration
from bench.voice.audio import NS_PER_S

_DAY_S: Final = 24 * 3600
MOST_SESSIONS: Final = 100_000
MOST_WORKERS: Final = 256
MOST_PAIRS: Final = 100
_MOST_AMOUNT: Final = 1e12
_MOST_MARGIN: Final = 1000
_MOST_PACKETS: Final = 10**9
_PERCENT: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*")
_SPARE_NODES: Final = re.compile(r"\s*n\s*\+\s*([0-9]{1,4})\s*", re.IGNORECASE)


# ── how values are written ───────────────────────────────────────────────────────────────────────


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no number; give it alone, as in 0.05, without a unit or a currency"
        ) from None


def _positive(text: str) -> float:
    if not 0 < (value := _number(text)) <= _MOST_AMOUNT:
        raise typer.BadParameter(f"{text!r}: give a number above 0, {_MOST_AMOUNT:.0e} at most")
    return value


AUTO: Final = 0
"""Of workers: as many as the plan needs."""


def _workers(told: str | int) -> int:
    text = str(told)  # what is not given is the default, a number
    if text == "auto":
        return AUTO
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MOST_WORKERS:
        raise typer.BadParameter(f"{text!r}: give 1 to {MOST_WORKERS}, or auto")
    return int(text)


def _margin(text: str) -> float:
    # What is no number would leave every row open, or none, and is no JSON.
    if not 0 <= (value := _number(text)) <= _MOST_MARGIN:
        raise typer.BadParameter(f"{text!r}: give a number, 0 or more, {_MOST_MARGIN} at most")
    return value


def _sessions(text: str) -> float:
    if not 1 <= (value := _number(text)) <= MOST_SESSIONS or value != int(value):
        raise typer.BadParameter(
            f"{text!r}: give a whole number of sessions from 1, {MOST_SESSIONS} at most"
        )
    return value


def _seconds(text: str) -> float:
    try:
        return Duration.parse(text) / NS_PER_S
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _length(text: str) -> float:
    if not 0 < (value := _seconds(text)) <= _DAY_S:
        raise typer.BadParameter(f"{text!r}: give more than 0s, and 24h at most")
    return value


def _share(text: str) -> float:
    """A percentage above 0 and below 100, as a share."""
    if not (match := _PERCENT.fullmatch(text)):
        raise typer.BadParameter(f"{text!r} is no percentage; write it with its sign, as in 1%")
    if not 0 < (value := float(match[1])) < 100:
        raise typer.BadParameter(f"{text!r}: give more than 0 % and less than 100 %")
    return value / 100


class Spare(NamedTuple):
    """What is added to a plan: whole nodes, and a share (0.2 for 20 %) of the slots."""

    nodes: int = 0
    share: float = 0.0


def _headroom(text: str) -> Spare:
    if nodes := _SPARE_NODES.fullmatch(text):
        return Spare(nodes=int(nodes[1]))
    if not _PERCENT.fullmatch(text):
        raise typer.BadParameter(f"{text!r}: give spare nodes, as in n+1, or a share, as in 20%")
    return Spare(share=_share(text))


def read_as(parse: Callable[[str], Any], shown: str, about: str, *names: str) -> OptionInfo:
    """An option whose value `parse` reads; `shown` is its kind in the help."""
    option: OptionInfo = typer.Option(*names, parser=parse, metavar=f"<{shown}>", help=about)
    return option


def amount(about: str, *names: str) -> OptionInfo:
    """An option that takes a number above zero."""
    return read_as(_positive, "float", about, *names)


# ── what is run, and against what ────────────────────────────────────────────────────────────────

ScenarioFile = Annotated[
    Path, typer.Argument(help="A scenario: its file (TOML), or its name in `bench list scenarios`.")
]
MaybeScenario = Annotated[
    Path | None,
    typer.Argument(
        metavar="SCENARIO",
        help="A scenario: its file (TOML), or its name in `bench list scenarios`.",
    ),
]
RepeatedPlan = Annotated[
    Path | None,
    typer.Option(
        "--plan", help="A run folder, in place of a scenario: its sessions, at the same instants."
    ),
]
Target = Annotated[
    str,
    typer.Option(
        help="reference, inworld (-eu, -in: its regions), openai, or a ws:// or wss:// URL."
    ),
]
Dialect = Annotated[str | None, typer.Option(help="inworld or openai, for a URL.")]
Sessions = Annotated[int | None, typer.Option(help="Sessions held (closed load).")]
MeasuredTime = Annotated[str | None, typer.Option(help='Measured time of a run, as in "30s".')]
Workers = Annotated[
    int, read_as(_workers, "int|auto", "Worker processes; auto: what the plan needs, a core each.")
]
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
Headers = Annotated[
    tuple[str, ...],
    typer.Option(
        "--header",
        help="'NAME=$VARIABLE': a header of every upgrade, its value from the environment (in "
        "single quotes); repeatable.",
    ),
]
TrustedAuthority = Annotated[
    Path | None, typer.Option("--ca", help="Trust the certificates in this file (PEM), too.")
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
    bool,
    typer.Option(
        "--allow", help="Judge by a baseline that does not match the run; the verdict says so."
    ),
]
AbortOnFail = Annotated[
    bool, typer.Option(help="End the run early where a gate fails for good, or for long.")
]
AbortWindow = Annotated[
    float | None,
    read_as(
        _seconds,
        "str",
        'How much of the run each checkpoint looks at: "30s"; default: at most a quarter.',
    ),
]
Explain = Annotated[bool, typer.Option("--explain", help="Say of each gate why it came out so.")]

# ── what it may take ─────────────────────────────────────────────────────────────────────────────

Yes = Annotated[bool, typer.Option("--yes", help="Start against a target off loopback.")]
PricePerMinute = Annotated[
    float | None, amount("Price of a session-minute, for the estimate: 0.05, in any currency.")
]
MaxMinutes = Annotated[
    float | None,
    amount("Session-minutes it may use: refused beforehand, ended when used."),
]
MaxCost = Annotated[float | None, amount("The same in money; needs --price-per-minute.")]
AccountSessions = Annotated[
    int | None,
    typer.Option(
        min=1, max=MOST_SESSIONS, help="Sessions that your plan allows at once (Inworld: 20)."
    ),
]
ExceedLimits = Annotated[
    bool,
    typer.Option("--exceed-limits", help="Measure what lies beyond what the account allows."),
]
AccountPackets = Annotated[
    int | None,
    typer.Option(
        min=1, max=_MOST_PACKETS, help="Messages a second that your plan allows (Inworld: 1000)."
    ),
]

# ── runs that are there, and what is compared ────────────────────────────────────────────────────

RunFolderPath = Annotated[Path, typer.Argument(help="A run folder under reports/.")]
Margin = Annotated[
    float,
    read_as(
        _margin,
        "float",
        "Equivalence margin: a latency or a capacity that changes by less than so many percent "
        "counts as unchanged.",
        "--margin",
    ),
]
Points = Annotated[
    float, read_as(_margin, "float", "The same of shares, in percentage points.", "--points")
]
AllowUnlike = Annotated[
    bool, typer.Option("--allow", help="Compare what does not match; the result says what differs.")
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
StartLoad = Annotated[float | None, amount("The first load; default: the scenario's.")]
MaxSessions = Annotated[int | None, typer.Option(min=1, max=MOST_SESSIONS, help="Never try more.")]
TargetCores = Annotated[
    float | None,
    amount("Cores of the target: its capacity is told for one, too.", "--target-cores"),
]
TargetGpus = Annotated[float | None, amount("The same of GPUs.", "--target-gpus")]
Ramp = Annotated[bool, typer.Option("--ramp", help="A quick look: one run in steps, less exact.")]
CallsPerHour = Annotated[float, amount("Calls that come in the busy hour.")]
Blocking = Annotated[
    float | None, read_as(_share, "str", 'Calls that may be turned away: "1%" (Erlang B).')
]
Wait = Annotated[
    float | None,
    read_as(_seconds, "str", 'Calls wait instead (Erlang C), no longer than this: "2s" …'),
]
WaitShare = Annotated[float | None, read_as(_share, "str", '… but for this share of them: "5%".')]
SessionLength = Annotated[
    float | None,
    read_as(_length, "str", 'How long a session takes, for a script of your own: "40s".'),
]
CallLength = Annotated[
    float | None,
    read_as(_length, "str", 'Length of a call, as in "3m", in place of the measured.'),
]
SessionsPerNode = Annotated[
    float | None, read_as(_sessions, "float", "Sessions of a node, in place of the measured.")
]
Headroom = Annotated[
    Spare | None,
    read_as(_headroom, "str", 'What is added: "n+1" (nodes) or "20%" (slots).'),
]
PricePerNodeHour = Annotated[float | None, amount("Price of a node for an hour, as in 2.5.")]

# ── where the answer goes ────────────────────────────────────────────────────────────────────────

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]
Markdown = Annotated[
    bool, typer.Option("--markdown", help="Print the digest, summary.md, as for a job summary.")
]
