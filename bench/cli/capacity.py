"""The verb `capacity`: how many sessions a target holds within objectives."""

from pathlib import Path
from typing import Annotated, Final

import typer

from bench.cli.console import Json, out, talk

EXAMPLE: Final = (
    'Example: bench capacity scenarios/capacity.toml --slo "p95(first_audio_latency) < 800 ms"'
)


def capacity(
    scenario: Annotated[Path, typer.Argument(help="A scenario file (TOML).")],
    slo: Annotated[
        list[str] | None, typer.Option(help="An objective, a gate as in run; repeatable.")
    ] = None,
    tier: Annotated[
        list[str] | None, typer.Option(help='Objectives by name: gold="GATE, GATE"; repeatable.')
    ] = None,
    target: Annotated[
        str, typer.Option(help="reference, inworld (-eu, -in), openai, or a ws:// or wss:// URL.")
    ] = "reference",
    dialect: Annotated[str | None, typer.Option(help="inworld or openai, for a URL.")] = None,
    arrivals: Annotated[
        str | None, typer.Option(help="poisson or uniform: session starts a second are sought.")
    ] = None,
    start: Annotated[
        float | None, typer.Option(help="The first load; default: the scenario's.")
    ] = None,
    max_sessions: Annotated[int | None, typer.Option(min=1, help="Never try more.")] = None,
    workers: Annotated[int, typer.Option(help="Worker processes to begin with.")] = 1,
    session_length: Annotated[
        str | None, typer.Option(help='How long a session takes, for a script of your own: "40s".')
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key=value: override the scenario.")
    ] = None,
    price_per_minute: Annotated[
        float | None, typer.Option(help="Price of a session-minute, for cost.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Session-minutes that the search may use.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(help="The same in money; needs --price-per-minute.")
    ] = None,
    account_sessions: Annotated[
        int | None, typer.Option(min=1, help="Sessions that your plan allows at once.")
    ] = None,
    account_packets: Annotated[
        int | None, typer.Option(min=1, help="Messages a second that your plan allows.")
    ] = None,
    metrics_url: Annotated[
        str | None, typer.Option(help="Prometheus metrics of the server, read beside every run.")
    ] = None,
    gauge: Annotated[list[str] | None, typer.Option(help="A metric there; repeatable.")] = None,
    target_cores: Annotated[
        float | None, typer.Option(help="Cores of the target: its capacity is told for one, too.")
    ] = None,
    target_gpus: Annotated[float | None, typer.Option(help="The same of GPUs.")] = None,
    ramp: Annotated[
        bool, typer.Option("--ramp", help="A quick look: one run in steps, less exact.")
    ] = False,
    out_: Annotated[Path | None, typer.Option("--out", help="The folder of the search.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="The folder of a search that was stopped: go on with it.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Start against a target off loopback.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find how many sessions a target holds within objectives, with an interval.

    Exit code 0 where every tier has an answer that was confirmed, 4 where one has not, 3 where no
    run could be used.
    """
    from bench.capacity.document import NAME  # noqa: PLC0415
    from bench.cli.capacity_search import search_capacity  # noqa: PLC0415
    from bench.cli.capacity_settings import Options  # noqa: PLC0415
    from bench.report.capacity_page import write_capacity_page  # noqa: PLC0415
    from bench.report.capacity_tables import print_capacity, write_tables  # noqa: PLC0415
    from bench.runs.folder import still_there  # noqa: PLC0415

    options = Options(
        scenario, target, dialect, tuple(slo or ()), tuple(tier or ()), arrivals, start,
        max_sessions, workers, tuple(set_ or ()), session_length, price_per_minute, max_minutes,
        max_cost, account_sessions, account_packets, out_, resume, yes, metrics_url,
        tuple(gauge or ()), ramp, target_cores, target_gpus,
    )  # fmt: skip
    place, result = search_capacity(options, talk)
    if not as_json:  # before anything else can fail
        print_capacity(result, out)
    with still_there(place):
        write_tables(result, place)
        page = write_capacity_page(result, place)
        if as_json:
            print((place / NAME).read_text("utf-8"), end="")
    if not as_json:
        out.print(f"page  {page}", highlight=False, markup=False, soft_wrap=True)
    usable = any(not one.void for one in result.probes)
    sure = all(one.confirmed for one in result.tiers)
    raise typer.Exit(0 if sure else 4 if usable else 3)
