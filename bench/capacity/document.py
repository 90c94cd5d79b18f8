"""`capacity.json`: what `bench capacity` found, and the one place that knows its keys.

Theory of operation
-------------------
The structs below are the document. `read_capacity` refuses another format, a missing key and a
value of the wrong type, each in one line that names the file and the key; keys that it does not
know are ignored, so a later version may add some. `write_capacity` replaces the file in one step,
after it has read back what it is about to write: no file is left that cannot be read.

Every key is always there; where nothing is known stands null. A bound that is null has no end:
a capacity of at least N has `low` N and `high` null. Numbers that are no numbers (NaN, infinity)
are not JSON and are refused when written.
"""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from bench.data_file import DataError, fitted, read_json_file, reading
from bench.errors import UsageError
from bench.runs.folder import replace_file
from bench.runs.json_file import read_json

if TYPE_CHECKING:  # numpy and scipy are slow to import, and no reader needs them
    from bench.stats.interval import Interval
    from bench.stats.scalability import Scalability

FORMAT: Final = 1
NAME: Final = "capacity.json"
_RESTORE: Final = "restore the file, or search again with `bench capacity`"

Amount = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Ruled = Literal["pass", "fail", "open"]


class Bounds(Struct, frozen=True, kw_only=True):
    """A figure and its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None


class BoundedFigure(Struct, frozen=True, kw_only=True):
    """A figure of `n` samples, its 95 % interval, and the unit of all three."""

    value: float | None
    low: float | None
    high: float | None
    unit: str
    n: Count


class ScenarioFacts(Struct, frozen=True, kw_only=True):
    """Which scenario it was; `workload` is the digest of what its callers do."""

    name: str
    sha256: str
    workload: str


class TargetFacts(Struct, frozen=True, kw_only=True):
    """What was loaded. No secret stands in it. `cores` and `gpus` are as they were told."""

    name: str
    url: str
    dialect: str
    cores: Amount | None = None
    gpus: Amount | None = None


class CorpusFacts(Struct, frozen=True, kw_only=True):
    """What the callers said."""

    name: str
    sha256: str


class Objective(Struct, frozen=True, kw_only=True):
    """The gates that a tier promises."""

    tier: str
    gates: list[str]


class TalkRatio(Struct, frozen=True, kw_only=True):
    """Shares (0 to 1) of a session's time in which each side speaks."""

    caller: float | None
    agent: float | None


class Workload(Struct, frozen=True, kw_only=True):
    """What a session is made of, as measured. `session_s`: seconds of a whole session."""

    session_s: Bounds
    turns_per_session: float | None
    turn_s: float | None
    talk_ratio: TalkRatio


class SearchPlan(Struct, frozen=True, kw_only=True):
    """What the search was foretold to take: seconds of a probe, a session and the whole."""

    probe_s: Amount | None
    session_s: Amount | None
    seconds: Amount | None
    session_minutes: Amount | None
    cost: Amount | None


class SearchSpending(Struct, frozen=True, kw_only=True):
    """What the search has taken so far."""

    seconds: Amount
    session_minutes: Amount
    cost: Amount | None


class ProbeFigures(Struct, frozen=True, kw_only=True):
    """The row of a probe in the answer's table."""

    good_turns: BoundedFigure
    first_audio_p95: BoundedFigure
    endpointing_p95: BoundedFigure
    generation_p95: BoundedFigure
    underrun: BoundedFigure
    refused: BoundedFigure
    held: BoundedFigure


class ProbeGate(Struct, frozen=True, kw_only=True):
    """One gate of a tier at one load. `margin`: from the limit, below zero where it failed."""

    gate: str
    verdict: Ruled
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    margin: float | None


class ProbeTier(Struct, frozen=True, kw_only=True):
    """What one load says of one tier."""

    verdict: Ruled
    margin: float | None
    gates: list[ProbeGate]


class Gauge(Struct, frozen=True, kw_only=True):
    """A gauge of the server during a probe; `unit` as `bench.runs.gauges.unit_of` says."""

    mean: float | None
    max: float | None
    unit: str = ""


class GeneratorFacts(Struct, frozen=True, kw_only=True):
    """How busy (percent) and how late (ms) the generator itself was."""

    cpu: float | None
    send_lateness_p99: float | None


class LoadProbe(Struct, frozen=True, kw_only=True):
    """One load that was tried. `load` is in the document's unit, `void` why it says nothing."""

    number: Annotated[int, Meta(ge=1)]
    load: Amount
    purpose: Literal["bracket", "refine", "hold", "beyond", "ramp"]
    run: str
    void: str
    seconds: Amount
    session_minutes: Amount
    measured_s: Amount
    turns: Count
    sessions_in_flight: Amount | None
    good_turns_per_s: Amount | None
    figures: ProbeFigures
    tiers: dict[str, ProbeTier]
    gauges: dict[str, Gauge]
    generator: GeneratorFacts


class SessionCost(Struct, frozen=True, kw_only=True):
    """Cost of a session-minute, and of 1000 turns at percentages of use ("30", "65", "100")."""

    per_session_minute: Amount | None
    per_1000_turns: dict[str, Amount | None]


class TierCapacity(Struct, frozen=True, kw_only=True):
    """The answer for a tier, in the document's unit.

    `capacity` is null where nothing was found, `high` where it has no end. `at_least`: the target
    held `capacity` and `limit` (the generator, the account) kept the search from more. `each`:
    the same by "core" and "gpu" of the target, where it was told how many it has.
    """

    tier: str
    gates: list[str]
    capacity: Amount | None
    low: Amount | None
    high: Amount | None
    at_least: bool
    limit: str
    confirmed: bool
    binding: str
    stage: str
    said: list[str]
    cost: SessionCost | None
    each: dict[Literal["core", "gpu"], Bounds] = {}


class BeyondLimit(Struct, frozen=True, kw_only=True):
    """What the target did at a load above its capacity."""

    load: Amount
    run: str
    behaviour: Literal["refuses", "degrades", "collapses"]
    text: str
    victims: Count | None
    refused: Count | None
    good_turns: BoundedFigure


class Recovery(Struct, frozen=True, kw_only=True):
    """How long the target took to be as before; `load` is where it was, null: without lowering."""

    seconds: Amount | None
    recovered: bool
    load: Amount | None
    text: str


class ScalabilityFacts(Struct, frozen=True, kw_only=True):
    """The universal scalability law, fitted to the probes (`bench.stats.scalability`).

    `rate`: good turns a second of one session alone; `contention` is its sigma,
    `coherency` its kappa. `peak` is null where `refusal` says why none is stated.
    `loads`: distinct loads that it was fitted to.
    """

    rate: Bounds
    contention: Bounds
    coherency: Bounds
    peak: Bounds | None
    refusal: str
    loads: Count


class CapacityResult(Struct, frozen=True, kw_only=True):
    """The whole of `capacity.json`. `complete` once the search has its answer."""

    format: int = FORMAT
    metric_version: int
    bench_version: str
    created: str
    complete: bool
    scenario: ScenarioFacts
    target: TargetFacts
    corpus: CorpusFacts
    load: Literal["sessions", "arrivals"]
    unit: Literal["sessions", "/s"]
    objectives: list[Objective]
    workload: Workload
    price_per_minute: Amount | None
    plan: SearchPlan
    spent: SearchSpending
    probes: list[LoadProbe]
    tiers: list[TierCapacity]
    beyond: BeyondLimit | None
    recovery: Recovery | None
    scalability: ScalabilityFacts | None
    remarks: list[str]


def capacity_file(path: Path) -> Path:
    """The document's path, where that of its folder may have been given."""
    return path / NAME if os.path.isdir(path) else path  # noqa: PTH112 - never raises


def is_capacity(path: Path) -> bool:
    """Whether `path` is a capacity.json, under whatever name, or a folder that holds one."""
    file = capacity_file(path)
    if not os.path.isfile(file):  # noqa: PTH113 - never raises
        return False
    if file.name == NAME:
        return True
    try:
        document = read_json_file(file)
    except DataError:
        return False
    return isinstance(document, dict) and {"format", "probes", "tiers"} <= document.keys()


def read_capacity(path: Path) -> CapacityResult:
    """The document at `path`, or in the folder `path`.

    UsageError, naming the file, the key and the remedy, where there is none or it cannot be used.
    """
    file = capacity_file(path)
    missing = f"give the {NAME} that `bench capacity` wrote, or its folder"
    return _checked(read_json(file, FORMAT, missing=missing, broken=_RESTORE), str(file))


def write_capacity(path: Path, result: CapacityResult) -> None:
    """Replace the document at `path` in one step. OSError where it cannot be written.

    ValueError for a result that could not be read back, such as one with a NaN.
    """
    for place, number in _numbers(msgspec.to_builtins(result), ""):
        if not math.isfinite(number):
            raise ValueError(f"{NAME}: {place}: {number} is no number of JSON; write None")
    text = msgspec.json.format(msgspec.json.encode(result), indent=2).decode() + "\n"
    try:
        _checked(msgspec.json.decode(text), str(path))
    except UsageError as error:
        raise ValueError(str(error)) from None
    replace_file(path, text)


def bounds_of(interval: "Interval") -> Bounds:
    """An interval as the document has it: an end that is infinite is null."""
    value, low, high = (end if math.isfinite(end) else None for end in interval)
    return Bounds(value=value, low=low, high=high)


def scalability_facts(fitted: "Scalability") -> ScalabilityFacts:
    """A fitted scalability law as the document has it."""
    return ScalabilityFacts(
        rate=bounds_of(fitted.rate),
        contention=bounds_of(fitted.contention),
        coherency=bounds_of(fitted.coherency),
        peak=None if fitted.peak is None else bounds_of(fitted.peak),
        refusal=fitted.refusal,
        loads=fitted.loads,
    )


def _checked(document: dict[str, Any], name: str) -> CapacityResult:
    """A decoded document as its struct; UsageError naming file, key and remedy."""
    with reading(name, UsageError, _RESTORE):
        result = fitted(document, CapacityResult)
    named = {
        "tiers": [tier.tier for tier in result.tiers],
        "probes": [str(probe.number) for probe in result.probes],
    }
    for key, names in named.items():
        twice = next((each for each in names if names.count(each) > 1), None)
        if twice is not None:
            raise UsageError(f"{name}: {key}: {twice} stands there twice; remove one")
    expected = "sessions" if result.load == "sessions" else "/s"
    if result.unit != expected:
        raise UsageError(
            f"{name}: unit: {result.unit!r} with load {result.load!r}; it must be {expected!r}"
        )
    return result


def _numbers(value: Any, place: str) -> list[tuple[str, float]]:
    """Every float below `value`, with the key that leads to it."""
    if isinstance(value, float):
        return [(place, value)]
    if isinstance(value, dict):
        inner = [(f"{place}.{key}".lstrip("."), each) for key, each in value.items()]
    elif isinstance(value, list):
        inner = [(f"{place}[{number}]", each) for number, each in enumerate(value)]
    else:
        return []
    return [found for key, each in inner for found in _numbers(each, key)]
