"""What each verb takes: a class of options, whose docstring is the verb's help.

Those of `bench corpus` are in `bench.cli.corpus_verbs`. An instance is what the command line said,
unread. The table of verbs is in `bench.cli`.
"""

from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from bench.cli import options as opt


class RunOptions(NamedTuple):
    """Run a scenario; print its result, write its folder, exit with its verdict."""

    scenario: opt.MaybeScenario = None
    target: opt.Target = "reference"
    dialect: opt.Dialect = None
    sessions: opt.Sessions = None
    duration: opt.MeasuredTime = None
    workers: opt.Workers = 1
    gates: opt.Gates = ()
    profile: opt.GateProfile = None
    baseline: opt.Baseline = None
    allow: opt.AllowBaseline = False
    assignments: opt.Assignments = ()
    out: Annotated[Path | None, typer.Option("--out", help="The run folder itself.")] = None
    web: opt.Web = False
    web_port: opt.WebPort = 8089
    yes: opt.Yes = False
    price_per_minute: opt.PricePerMinute = None
    account_sessions: opt.AccountSessions = None
    account_packets: opt.AccountPackets = None
    exceed_limits: opt.ExceedLimits = False
    max_minutes: opt.MaxMinutes = None
    max_cost: opt.MaxCost = None
    abort_on_fail: opt.AbortOnFail = False
    abort_window: opt.AbortWindow = None
    metrics_url: opt.MetricsUrl = None
    gauges: opt.Gauges = ()
    probe: opt.ProbeFirst = False
    pin: opt.Pin = False
    subprotocol: opt.Subprotocol = ""
    follow_redirects: opt.FollowRedirects = False
    headers: opt.Headers = ()
    ca: opt.TrustedAuthority = None
    plan: opt.RepeatedPlan = None
    as_json: opt.Json = False


class InitOptions(NamedTuple):
    """Begin in a folder: a scenario, a job for GitHub Actions, and what to do next."""

    name: Annotated[str, typer.Option(help="What the scenario is called.")] = "calls"
    target: opt.Target = "reference"
    dialect: opt.Dialect = None


class OpenOptions(NamedTuple):
    """Show the newest report in the browser: of a run, a comparison or a capacity search."""

    folder: Annotated[
        Path, typer.Argument(help="Where to look: a run folder, or one that holds some.")
    ] = Path("reports")


class CheckOptions(NamedTuple):
    """Play a scenario dry: a session of each kind, in virtual time. Exit 2 names its problems."""

    scenario: opt.ScenarioFile
    target: Annotated[
        str, typer.Option(help="Whose dialect is spoken; nothing is connected to.")
    ] = "reference"
    dialect: opt.Dialect = None
    gates: opt.Gates = ()
    profile: opt.GateProfile = None
    assignments: opt.Assignments = ()
    server_profile: opt.ServerProfile = None
    as_json: opt.Json = False


class ReportOptions(NamedTuple):
    """Seal, analyse, judge and draw a run again, from its folder alone."""

    run_folder: opt.RunFolderPath
    as_json: opt.Json = False
    as_markdown: opt.Markdown = False


class JudgeOptions(NamedTuple):
    """Judge a run by its own gates and some more, from its folder alone."""

    run_folder: opt.RunFolderPath
    gates: Annotated[
        tuple[str, ...], typer.Option("--gate", help="A gate beside the run's own; repeatable.")
    ] = ()
    baseline: opt.Baseline = None
    allow: opt.AllowBaseline = False
    explain: opt.Explain = False
    as_json: opt.Json = False
    as_markdown: opt.Markdown = False


class CalibrateOptions(NamedTuple):
    """Measure this harness's own error on this machine, and up to where to trust it.

    Exit code 3 where not even the least concurrency can be trusted.
    """

    scenario: opt.ScenarioFile = Path("demo")
    sessions: Annotated[
        str, typer.Option(help="Concurrencies, as in 1,20,100; of one worker each.")
    ] = "1,20,100,200"
    duration: Annotated[str, typer.Option(help="Measured time of each run.")] = "20s"
    profile: opt.ServerProfile = None
    truths: Annotated[
        bool,
        typer.Option(
            "--truths",
            help="Also calibrate the lowest concurrency against six other latency profiles of the "
            "server.",
        ),
    ] = False
    out: Annotated[Path, typer.Option("--out", help="Write the calibration here.")] = Path(
        "reports/calibration.json"
    )
    keep: Annotated[bool, typer.Option("--keep", help="Keep the run folders in reports/.")] = False
    pin: Annotated[
        bool, typer.Option("--pin", help="A core of its own for the generator (Linux).")
    ] = False
    as_json: opt.Json = False


class ProbeOptions(NamedTuple):
    """Ask a target what it can do: messages, formats, defaults, quirks. Under a minute."""

    target: Annotated[str, typer.Argument(help="reference, inworld (-eu, -in), openai, or a URL.")]
    dialect: opt.Dialect = None
    corpus: Annotated[str, typer.Option(help="Where the words it says come from.")] = "everyday"
    profile: opt.ServerProfile = None
    out: Annotated[Path | None, typer.Option("--out", help="Keep the findings here.")] = None
    yes: Annotated[bool, typer.Option("--yes", help="Probe a target off loopback.")] = False
    subprotocol: opt.Subprotocol = ""
    follow_redirects: opt.FollowRedirects = False
    headers: opt.Headers = ()
    ca: opt.TrustedAuthority = None
    as_json: opt.Json = False


class ServeOptions(NamedTuple):
    """Run the reference server alone, until SIGINT or SIGTERM."""

    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks one.")] = 8765
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1"
    profile: Annotated[Path | None, typer.Option(help="How it behaves (TOML).")] = None
    corpus: Annotated[str, typer.Option(help="Where its replies come from.")] = "everyday"
    truth: Annotated[Path | None, typer.Option(help="Write the truth log here.")] = None
    summary: Annotated[Path | None, typer.Option(help="Write its own load here.")] = None
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve wss://, by a certificate made here.")
    ] = False
    tls_cert: Annotated[
        Path | None, typer.Option(help="Serve wss://; write the certificate to trust here.")
    ] = None


class ListMessagesOptions(NamedTuple):
    """Every message of the protocol that this program knows."""

    as_json: opt.Json = False


class ListMetricsOptions(NamedTuple):
    """Every figure that is reported, and what it means."""

    as_json: opt.Json = False


class FromCallsOptions(NamedTuple):
    """Make a trace of a call log: when calls started and how long they lasted, for a load to play.

    The log is a CSV with a header. Starts are ISO 8601 or seconds, durations seconds or h:mm:ss.
    """

    calls: Annotated[Path, typer.Argument(help="The call log (CSV).")]
    out: Annotated[Path, typer.Option("--out", help="The trace to write.")] = Path("trace.csv")
    start: Annotated[str, typer.Option(help="Its column of starts.")] = ""
    duration: Annotated[str, typer.Option(help="Its column of durations.")] = ""


class ListScenariosOptions(NamedTuple):
    """The scenarios that can be run by name: those in scenarios/ here, and the shipped ones."""

    as_json: opt.Json = False


class CompareOptions(NamedTuple):
    """Compare runs, or two capacity results. Exit 1 where something regressed.

    It says what changed, by how much, and how surely. Capacity results may be given as A B too.
    """

    runs: Annotated[
        tuple[Path, ...],
        typer.Argument(help="The candidate: run folders or baselines, or one capacity result."),
    ]
    against: Annotated[
        tuple[Path, ...],
        typer.Option("--against", help="What it is compared with: one or several."),
    ] = ()
    margin: opt.Margin = 5.0
    points: opt.Points = 2.0
    allow: opt.AllowUnlike = False
    out: Annotated[
        Path | None, typer.Option("--out", help="Write comparison.json and .html there.")
    ] = None
    as_json: opt.Json = False


class BaselineAcceptOptions(NamedTuple):
    """Accept runs as what later ones are compared with and judged by: one small file for git."""

    runs: Annotated[tuple[Path, ...], typer.Argument(help="Run folders, all of one kind.")]
    name: Annotated[str | None, typer.Option(help="Its name; default: the scenario's.")] = None
    out: Annotated[
        Path | None, typer.Option("--out", help="The file; default: in reports/baselines/.")
    ] = None


class AbOptions(NamedTuple):
    """Run two targets in turn, AB BA AB …, and compare them: the way that cancels drift."""

    scenario: opt.ScenarioFile
    a: Annotated[str, typer.Option("--a", help="The candidate: a target as in run.")] = "reference"
    b: Annotated[str, typer.Option("--b", help="What it is compared with.")] = "reference"
    pairs: Annotated[int, typer.Option(min=1, max=opt.MOST_PAIRS, help="Runs of each.")] = 5
    dialect: opt.Dialect = None
    duration: opt.MeasuredTime = None
    sessions: opt.Sessions = None
    workers: opt.Workers = 1
    assignments: opt.Assignments = ()
    set_a: Annotated[
        tuple[str, ...], typer.Option("--set-a", help="key=value, in runs of --a; repeatable.")
    ] = ()
    set_b: Annotated[
        tuple[str, ...], typer.Option("--set-b", help="key=value, in runs of --b; repeatable.")
    ] = ()
    margin: opt.Margin = 5.0
    points: opt.Points = 2.0
    allow: opt.AllowUnlike = False
    yes: opt.Yes = False
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for the runs and the comparison.")
    ] = None
    price_per_minute: opt.PricePerMinute = None
    max_minutes: Annotated[
        float | None, opt.amount("Session-minutes that all runs together may use.")
    ] = None
    max_cost: opt.MaxCost = None
    headers: opt.Headers = ()
    ca: opt.TrustedAuthority = None
    as_json: opt.Json = False


HISTORY: Final = Path("reports/history.sqlite")


class HistoryAddOptions(NamedTuple):
    """Add runs to a history. A run that is in it already changes nothing."""

    runs: Annotated[
        tuple[Path, ...], typer.Argument(help="Run folders, or results of capacity searches.")
    ]
    commit: Annotated[
        str | None, typer.Option(help="What was measured; default: what CI says, else git.")
    ] = None
    branch: Annotated[str | None, typer.Option(help="Its branch; default: the same.")] = None
    store: opt.Store = HISTORY


class HistoryShowOptions(NamedTuple):
    """Show the runs, a line for every figure, and where its level changed."""

    scenario: opt.OfScenario = ""
    target: opt.OfTarget = ""
    branch: opt.OfBranch = ""
    since: opt.Since = ""
    metrics: opt.Metrics = ()
    statistics: opt.Statistics = ()
    filter: Annotated[
        str, typer.Option("--filter", help='As in "script=barge_in"; none: whole runs.')
    ] = ""
    html: Annotated[Path | None, typer.Option(help="Write a page here.")] = None
    as_json: opt.Json = False
    store: opt.Store = HISTORY


class HistoryExportOptions(NamedTuple):
    """Write the history, or its latest runs, in the format of another tracker."""

    format: Annotated[
        str,
        typer.Option(
            "--format",
            help="github-action-benchmark, github-action-benchmark-bigger, bmf, otava or "
            "openmetrics.",
        ),
    ]
    scenario: opt.OfScenario = ""
    target: opt.OfTarget = ""
    branch: opt.OfBranch = ""
    since: opt.Since = ""
    metrics: opt.Metrics = ()
    statistics: opt.Statistics = ()
    out: Annotated[Path | None, typer.Option("--out", help="Write it here; none: to stdout.")] = (
        None
    )
    store: opt.Store = HISTORY


class HistoryMergeOptions(NamedTuple):
    """Add what other histories have; a run that both have stays one."""

    others: Annotated[tuple[Path, ...], typer.Argument(help="Histories that other machines kept.")]
    store: opt.Store = HISTORY


class CapacityOptions(NamedTuple):
    """Find how many sessions a target holds within objectives, with an interval.

    Exit code 0 where every tier has an answer that was confirmed, 4 where one has not, 3 where no
    run could be used.
    """

    scenario: opt.ScenarioFile
    slo: opt.Objectives = ()
    tiers: opt.Tiers = ()
    target: opt.Target = "reference"
    dialect: opt.Dialect = None
    arrivals: opt.Arrivals = None
    start: opt.StartLoad = None
    max_sessions: opt.MaxSessions = None
    workers: Annotated[int, typer.Option(help="Worker processes to begin with.")] = 1
    session_length: opt.SessionLength = None
    assignments: opt.Assignments = ()
    price_per_minute: opt.PricePerMinute = None
    max_minutes: Annotated[float | None, opt.amount("Session-minutes that the search may use.")] = (
        None
    )
    max_cost: opt.MaxCost = None
    account_sessions: opt.AccountSessions = None
    account_packets: opt.AccountPackets = None
    metrics_url: opt.MetricsUrl = None
    gauges: opt.Gauges = ()
    cores: opt.TargetCores = None
    gpus: opt.TargetGpus = None
    ramp: opt.Ramp = False
    out: Annotated[Path | None, typer.Option("--out", help="The folder of the search.")] = None
    resume: Annotated[
        Path | None, typer.Option(help="The folder of a search that was stopped: go on with it.")
    ] = None
    yes: opt.Yes = False
    headers: opt.Headers = ()
    ca: opt.TrustedAuthority = None
    as_json: opt.Json = False


class PlanOptions(NamedTuple):
    """Say how many slots and nodes so many calls need, what they cost, and how surely."""

    calls_per_hour: opt.CallsPerHour
    file: Annotated[
        Path | None, typer.Option("--from", help="The capacity.json of `bench capacity`.")
    ] = None
    blocking: opt.Blocking = None
    wait: opt.Wait = None
    share: opt.WaitShare = None
    tier: Annotated[str | None, typer.Option(help="Whose capacity, where it has several.")] = None
    session_length: opt.CallLength = None
    sessions_per_node: opt.SessionsPerNode = None
    headroom: opt.Headroom = None
    price_per_node_hour: opt.PricePerNodeHour = None
    as_json: opt.Json = False
