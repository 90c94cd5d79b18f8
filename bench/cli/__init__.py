"""The verbs. Everything slow is imported inside the verb that needs it."""

import json
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import __version__
from bench.cli.capacity import EXAMPLE as CAPACITY_EXAMPLE
from bench.cli.capacity import capacity
from bench.cli.capacity_plan import EXAMPLE as PLAN_EXAMPLE
from bench.cli.capacity_plan import plan_capacity
from bench.cli.comparing import EXAMPLES, ManyAgainst, ab, baseline_app, compare
from bench.cli.console import Json, out, talk
from bench.cli.history import history_app
from bench.errors import BenchError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Load tests, benchmarks and CI gates for realtime voice APIs.",
    epilog="Exit codes: 0 pass, 1 a gate failed, 2 usage, 3 invalid run, 4 inconclusive, "
    "130 interrupted. Example: bench run scenarios/demo.toml",
)
corpus_app = typer.Typer(no_args_is_help=True, help="Speech corpora: check, add, list.")
list_app = typer.Typer(no_args_is_help=True, help="What there is: scenarios, metrics, messages.")
app.add_typer(corpus_app, name="corpus")
app.add_typer(list_app, name="list")
app.add_typer(history_app, name="history")
app.add_typer(baseline_app, name="baseline")
app.command("compare", cls=ManyAgainst, epilog=EXAMPLES["compare"])(compare)
app.command("capacity", epilog=CAPACITY_EXAMPLE)(capacity)
app.command("plan-capacity", epilog=PLAN_EXAMPLE)(plan_capacity)
app.command("ab", epilog=EXAMPLES["ab"])(ab)


Allow = Annotated[
    bool, typer.Option("--allow", help="Judge by a baseline that is unlike; the verdict says so.")
]
Markdown = Annotated[
    bool, typer.Option("--markdown", help="Print the digest, summary.md, as for a job summary.")
]
Subprotocol = Annotated[str, typer.Option(help="Offer this WebSocket subprotocol, as in realtime.")]
FollowRedirects = Annotated[
    bool,
    typer.Option("--follow-redirects", help="Follow the server to another URL of the same host."),
]
RunPath = Annotated[Path, typer.Argument(help="A run folder under reports/.")]


def main() -> None:
    """Run the program; every error it knows of is one line on stderr and an exit code."""
    try:
        code = app(standalone_mode=False)  # the code of a typer.Exit, or what a verb returned
    except BenchError as error:
        _say(error)
        sys.exit(error.exit_code)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the last resort: what nobody foresaw
        if not hasattr(error, "format_message"):
            traceback.print_exc()
            _say("this program failed; please report it with what stands above")
            sys.exit(3)  # never 1: a pipeline reads that as a gate that failed
        _say(error.format_message())  # the parser's own errors: an unknown option, a bad value
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _say(error: object) -> None:
    talk.print(f"bench: {error}", style="bold red", highlight=False, markup=False, soft_wrap=True)


def _version(asked: bool) -> None:
    if asked:
        out.print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(
    epilog='Example: bench run scenarios/demo.toml --gate "p95(first_audio_latency) < 1 s"'
)
def run(
    scenario: Annotated[Path, typer.Argument(help="A scenario file (TOML).")],
    target: Annotated[
        str,
        typer.Option(
            help="reference, inworld (-eu, -in: its regions), openai, or a ws:// or wss:// URL."
        ),
    ] = "reference",
    dialect: Annotated[str | None, typer.Option(help="inworld or openai, for a URL.")] = None,
    sessions: Annotated[int | None, typer.Option(help="Sessions held (closed load).")] = None,
    duration: Annotated[str | None, typer.Option(help='Measured time, as in "30s".')] = None,
    workers: Annotated[int, typer.Option(help="Worker processes.")] = 1,
    gate: Annotated[list[str] | None, typer.Option(help="A gate, added to the others.")] = None,
    gates: Annotated[str | None, typer.Option(help="The scenario's gate profile.")] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="A run folder or baseline file that gates refer to.")
    ] = None,
    allow: Allow = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key=value: override the scenario.")
    ] = None,
    out_: Annotated[Path | None, typer.Option("--out", help="The run folder itself.")] = None,
    web: Annotated[bool, typer.Option("--web", help="Locust's web page during the run.")] = False,
    web_port: Annotated[int, typer.Option(min=1, max=65535, help="Its port.")] = 8089,
    yes: Annotated[
        bool, typer.Option("--yes", help="Start against a target off loopback.")
    ] = False,
    price_per_minute: Annotated[
        float | None, typer.Option(help="Price of a session-minute, for the estimate.")
    ] = None,
    account_sessions: Annotated[
        int | None,
        typer.Option(min=1, help="Sessions that your plan allows at once (Inworld: 20)."),
    ] = None,
    account_packets: Annotated[
        int | None,
        typer.Option(min=1, help="Messages a second that your plan allows (Inworld: 1000)."),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(help="Session-minutes it may use: refused beforehand, ended when used."),
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(help="The same in money; needs --price-per-minute.")
    ] = None,
    abort_on_fail: Annotated[
        bool, typer.Option(help="End the run early where a gate fails for good, or for long.")
    ] = False,
    abort_window: Annotated[
        str | None, typer.Option(help='How long a look is: "30s", or a quarter of a short run.')
    ] = None,
    metrics_url: Annotated[
        str | None,
        typer.Option(help="Prometheus endpoint of the target, asked once a second (http://…)."),
    ] = None,
    gauge: Annotated[
        list[str] | None,
        typer.Option(help="What to watch there, as in process_cpu_seconds_total; a usual set."),
    ] = None,
    probe_first: Annotated[
        bool, typer.Option("--probe", help="Probe the target first, and keep that with the run.")
    ] = False,
    pin: Annotated[
        bool, typer.Option("--pin", help="A core of its own for every worker (Linux).")
    ] = False,
    subprotocol: Subprotocol = "",
    follow_redirects: FollowRedirects = False,
    as_json: Json = False,
) -> None:
    """Run a scenario; print its result, write its folder, exit with its verdict."""
    from bench.cli.run import EXIT_INTERRUPTED, Options  # noqa: PLC0415
    from bench.cli.run import run as run_scenario  # noqa: PLC0415
    from bench.runs.folder import still_there  # noqa: PLC0415

    options = Options(
        scenario, target, dialect, sessions, duration, workers, tuple(gate or ()), gates, baseline,
        allow, tuple(set_ or ()), out_, web_port if web else None, yes, price_per_minute,
        probe_first, pin, max_minutes, max_cost, abort_on_fail, abort_window, subprotocol,
        follow_redirects, foretold=True, account_sessions=account_sessions,
        account_packets=account_packets, metrics_url=metrics_url, gauges=tuple(gauge or ()),
    )  # fmt: skip
    folder, interrupted = run_scenario(options, talk)
    with still_there(folder.path):
        code = _settle(folder, as_json=as_json)
    raise typer.Exit(EXIT_INTERRUPTED if interrupted else code)


@app.command(epilog='Example: bench check scenarios/demo.toml --set caller.gap="1s"')
def check(
    scenario: Annotated[Path, typer.Argument(help="A scenario file (TOML).")],
    target: Annotated[
        str, typer.Option(help="Whose dialect is spoken; nothing is connected to.")
    ] = "reference",
    dialect: Annotated[str | None, typer.Option(help="inworld or openai, for a URL.")] = None,
    gate: Annotated[list[str] | None, typer.Option(help="A gate, added to the others.")] = None,
    gates: Annotated[str | None, typer.Option(help="The scenario's gate profile.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key=value: override the scenario.")
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="How the reference server behaves (TOML).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Play a scenario dry: a session of each kind, in virtual time. Exit 2 names its problems."""
    from bench.cli.check import print_check  # noqa: PLC0415
    from bench.cli.run import Options, job_of  # noqa: PLC0415

    options = Options(
        scenario, target, dialect, gates=tuple(gate or ()), profile=gates,
        assignments=tuple(set_ or ()),
    )  # fmt: skip
    fit = print_check(job_of(options), profile, out, as_json=as_json)
    raise typer.Exit(0 if fit else 2)


def _settle(folder: Any, *, as_json: bool, as_markdown: bool = False) -> int:
    from bench.cli.settle import settle  # noqa: PLC0415

    with talk.status("sealing and analysing"):
        verdict = settle(folder)
    return _print_verdict(folder, verdict, as_json=as_json, as_markdown=as_markdown)


def _print_verdict(
    folder: Any, verdict: dict[str, Any], *, as_json: bool, as_markdown: bool = False
) -> int:
    from bench.cli.tables import print_result  # noqa: PLC0415
    from bench.verdict.verdict import EXIT_CODES  # noqa: PLC0415

    if as_json:
        print(json.dumps({"folder": str(folder.path), **verdict}, indent=2))
    elif as_markdown:
        print(folder.digest.read_text("utf-8"), end="")
    else:
        print_result(folder, verdict, out)
    if not as_json:
        told = talk if as_markdown else out
        for gate in verdict["gates"]:
            if "explain" in gate:
                line = f"\n{gate['gate']}\n{gate['explain']}"
                told.print(line, highlight=False, markup=False, soft_wrap=True)
    return int(EXIT_CODES[verdict["verdict"]])


@app.command(epilog="Example: bench report reports/20261124-120000-demo")
def report(run_folder: RunPath, as_json: Json = False, as_markdown: Markdown = False) -> None:
    """Seal, analyse, judge and draw a run again, from its folder alone."""
    from bench.runs.folder import RunFolder  # noqa: PLC0415

    folder = RunFolder.open(run_folder)
    raise typer.Exit(_settle(folder, as_json=as_json, as_markdown=as_markdown))


@app.command(
    epilog='Example: bench judge reports/20261124-120000-demo --gate "share(answered) >= 99 %"'
)
def judge(
    run_folder: RunPath,
    gate: Annotated[list[str] | None, typer.Option(help="A gate beside the run's own.")] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="A run folder or baseline file that gates refer to.")
    ] = None,
    allow: Allow = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say of each gate why it came out so.")
    ] = False,
    as_json: Json = False,
    as_markdown: Markdown = False,
) -> None:
    """Judge a run by its own gates and some more, from its folder alone."""
    from bench.cli.settle import judge as judge_folder  # noqa: PLC0415
    from bench.runs.folder import RunFolder  # noqa: PLC0415
    from bench.verdict.explanation import explained  # noqa: PLC0415

    folder = RunFolder.open(run_folder)
    verdict = judge_folder(folder, gate or (), baseline, allow=allow)
    if explain:
        verdict = explained(verdict)
    raise typer.Exit(_print_verdict(folder, verdict, as_json=as_json, as_markdown=as_markdown))


@app.command(epilog="Example: bench calibrate --sessions 1,20,100 --json")
def calibrate(
    scenario: Annotated[Path, typer.Argument(help="A scenario file (TOML).")] = Path(
        "scenarios/demo.toml"
    ),
    sessions: Annotated[
        str, typer.Option(help="Concurrencies, as in 1,20,100; of one worker each.")
    ] = "1,20,100,200",
    duration: Annotated[str, typer.Option(help="Measured time of each run.")] = "20s",
    profile: Annotated[
        Path | None, typer.Option(help="How the reference server behaves (TOML).")
    ] = None,
    truths: Annotated[
        bool, typer.Option("--truths", help="The first concurrency also with six other truths.")
    ] = False,
    out_: Annotated[Path, typer.Option("--out", help="Write the calibration here.")] = Path(
        "reports/calibration.json"
    ),
    keep: Annotated[bool, typer.Option("--keep", help="Keep the run folders in reports/.")] = False,
    pin: Annotated[
        bool, typer.Option("--pin", help="A core of its own for the generator (Linux).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure this harness's own error on this machine, and up to where to trust it.

    Exit code 3 where not even the least concurrency can be trusted.
    """
    from bench.cli.calibrate import Interrupted, Options, print_calibration  # noqa: PLC0415
    from bench.cli.calibrate import calibrate as calibrate_machine  # noqa: PLC0415

    options = Options(scenario, sessions, duration, out_, profile, truths, keep, pin)
    try:
        results = calibrate_machine(options, talk)
    except Interrupted:
        raise typer.Exit(130) from None
    from bench.analysis.calibration import trusted  # noqa: PLC0415

    if as_json:
        print(json.dumps(results, indent=2))
    else:
        print_calibration(results, out)
    raise typer.Exit(0 if trusted(results) else 3)


@app.command(epilog="Example: bench probe ws://127.0.0.1:8765/v1/realtime --dialect openai")
def probe(
    target: Annotated[str, typer.Argument(help="reference, inworld (-eu, -in), openai, or a URL.")],
    dialect: Annotated[str | None, typer.Option(help="inworld or openai, for a URL.")] = None,
    corpus: Annotated[str, typer.Option(help="Where the words it says come from.")] = "everyday",
    profile: Annotated[
        Path | None, typer.Option(help="How the reference server behaves (TOML).")
    ] = None,
    out_: Annotated[Path | None, typer.Option("--out", help="Keep the findings here.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Probe a target off loopback.")] = False,
    subprotocol: Subprotocol = "",
    follow_redirects: FollowRedirects = False,
    as_json: Json = False,
) -> None:
    """Ask a target what it can do: messages, formats, defaults, quirks. Under a minute."""
    from bench.cli.probe import probe as probe_target  # noqa: PLC0415
    from bench.probe.probe_report import keep  # noqa: PLC0415
    from bench.protocol.upgrade import make_offer  # noqa: PLC0415

    offer = make_offer(subprotocol, follow=follow_redirects)
    found = probe_target(target, dialect, profile, corpus, talk, offer=offer, yes=yes)
    if out_ is not None:
        keep(found, out_)
    if as_json:
        print(found.to_json())
    else:
        for line in found.lines():
            out.print(line, highlight=False, markup=False, soft_wrap=True)


@app.command(epilog="Example: bench serve --port 8765 --truth truth.jsonl")
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks one.")] = 8765,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    profile: Annotated[Path | None, typer.Option(help="How it behaves (TOML).")] = None,
    corpus: Annotated[str, typer.Option(help="Where its replies come from.")] = "everyday",
    truth: Annotated[Path | None, typer.Option(help="Write the truth log here.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Write its own load here.")] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve wss://, by a certificate made here.")
    ] = False,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Serve wss://; write the certificate to trust here.")
    ] = None,
) -> None:
    """Run the reference server alone, until SIGINT or SIGTERM."""
    from bench.reference.__main__ import main as serve_main  # noqa: PLC0415

    if port:
        from bench.cli.processes import need_port  # noqa: PLC0415

        need_port(host, port, "--port")  # before seconds go by with the corpus
    asked = ["--port", str(port), "--host", host, "--corpus", corpus]
    paths = {"profile": profile, "truth": truth, "summary": summary, "tls-cert": tls_cert}
    for name, path in paths.items():
        asked += [f"--{name}", str(path)] if path is not None else []
    asked += ["--tls"] if tls else []
    raise typer.Exit(serve_main(asked))


# ── corpora ──────────────────────────────────────────────────────────────────────────────────


@corpus_app.command("check", epilog="Example: bench corpus check everyday")
def corpus_check(
    name: Annotated[str, typer.Argument(help="A corpus, by name or folder.")] = "everyday",
    as_json: Json = False,
) -> None:
    """Verify hashes and annotations; exit 2 where something is amiss."""
    import msgspec  # noqa: PLC0415

    from bench.corpus.check import check  # noqa: PLC0415
    from bench.corpus.manifest import find_corpus, load_corpus  # noqa: PLC0415

    folder = find_corpus(name)
    corpus = load_corpus(folder)
    with talk.status(f"checking {len(corpus.entries)} utterances"):
        problems = check(folder)
    if as_json:
        print(json.dumps([msgspec.to_builtins(problem) for problem in problems]))
    else:
        for problem in problems:
            line = f"{problem.file}: {problem.key}: {problem.text}"
            out.print(line, highlight=False, markup=False, soft_wrap=True)
        amiss = f"{len(problems)} problems" if problems else "in order"
        out.print(f"{corpus.name}: {len(corpus.entries)} utterances, {amiss}", highlight=False)
    if problems:
        raise typer.Exit(2)


@corpus_app.command("list", epilog="Example: bench corpus list everyday")
def corpus_list(
    name: Annotated[str | None, typer.Argument(help="A corpus; none: all of them.")] = None,
    as_json: Json = False,
) -> None:
    """Show the corpora, or the utterances of one."""
    from bench.cli.lists import print_corpora, print_utterances  # noqa: PLC0415

    if name is None:
        print_corpora(out, as_json=as_json)
    else:
        print_utterances(name, out, as_json=as_json)


@corpus_app.command("add", epilog="Example: bench corpus add ~/recordings --name support-calls")
def corpus_add(
    folder: Annotated[Path, typer.Argument(help="A folder of WAV, FLAC, OGG or MP3 recordings.")],
    name: Annotated[
        str | None, typer.Option(help="The corpus; default: the folder's name.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Whose they are.")] = "private",
    to: Annotated[Path, typer.Option(help="The shelf to put it on.")] = Path("audio_corpus"),
) -> None:
    """Turn recordings into a corpus: decode, annotate, and say what was refused and why."""
    from bench.cli.lists import add_corpus  # noqa: PLC0415

    raise typer.Exit(add_corpus(folder, to / (name or folder.resolve().name), licence, out, talk))


# ── lists ────────────────────────────────────────────────────────────────────────────────────


@list_app.command("messages", epilog="Example: bench list messages --json")
def list_messages(as_json: Json = False) -> None:
    """Every message of the protocol that this program knows."""
    from bench.cli.lists import print_messages  # noqa: PLC0415

    print_messages(out, as_json=as_json)


@list_app.command("metrics", epilog="Example: bench list metrics")
def list_metrics(as_json: Json = False) -> None:
    """Every figure that is reported, and what it means."""
    from bench.cli.lists import print_metrics  # noqa: PLC0415

    print_metrics(out, as_json=as_json)


@list_app.command("scenarios", epilog="Example: bench list scenarios")
def list_scenarios(as_json: Json = False) -> None:
    """The scenarios in scenarios/."""
    from bench.cli.lists import print_scenarios  # noqa: PLC0415

    print_scenarios(out, as_json=as_json)


__all__ = ["app", "main"]
