"""From the tries of a search to its document: rows, answers by tier, cost, scalability."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, inf, isfinite, sqrt
from statistics import mean, stdev
from typing import Final, Literal, NamedTuple

from bench.capacity.document import (
    Bounds,
    LoadProbe,
    ScalabilityFacts,
    SessionCost,
    TalkRatio,
    TierCapacity,
    Workload,
    scalability_facts,
)
from bench.capacity.load_evidence import HELD, promised
from bench.capacity.loads import amount
from bench.capacity.observation import STAGES, Observation
from bench.capacity.search import (
    GROWTH,
    Answer,
    Objective,
    Purpose,
    Range,
    Tried,
    Try,
    answer,
    unlike_order,
)
from bench.plan.gates import parse_gate
from bench.plan.tiers import Tier
from bench.stats.crossing import Share
from bench.stats.interval import Z
from bench.stats.scalability import fit_scalability

USES: Final = (30, 65, 100)
"""Percent of its capacity at which a deployment is paid for."""
_CLIFF: Final = 0.25
"""A margin so far below zero right behind the last load that holds is a cliff."""
_STEEP: Final = 1.2
_GREW: Final = 1.2


class Trial(NamedTuple):
    """One run of a search. `run` is its folder's name; `seconds` are those of its load."""

    number: int
    purpose: Purpose | Literal["beyond", "ramp"]
    run: str
    seconds: float
    observation: Observation

    @property
    def counts(self) -> bool:
        """Whether the search goes by it."""
        return not self.observation.void and self.purpose != "beyond"


class Limit(NamedTuple):
    """What keeps a search from higher loads: the most that may be tried, and why."""

    load: float
    why: str


def tried_of(trials: Sequence[Trial], tiers: Sequence[Tier]) -> Tried:
    """What the search goes by: the tries that say something."""
    counted = [trial for trial in trials if trial.counts]
    tries = tuple(
        Try(one.observation.load, "refine" if one.purpose == "ramp" else one.purpose)  # type: ignore[arg-type]
        for one in counted
    )
    found = {}
    for tier in tiers:
        shares = {gate.text: promised(gate) for gate in tier.gates}
        names = [*shares, HELD]
        if not any(HELD in one.observation.evidence[tier.name] for one in counted):
            names.remove(HELD)
        found[tier.name] = tuple(
            Objective(
                name,
                tuple(one.observation.evidence[tier.name].get(name) for one in counted),
                shares.get(name, 0.0),
            )
            for name in names
        )
    return Tried(tries, found)


def row_of(trial: Trial) -> LoadProbe:
    """A try as the document has it."""
    seen = trial.observation
    return LoadProbe(
        number=trial.number,
        load=seen.load,
        purpose=trial.purpose,
        run=trial.run,
        void=seen.void,
        seconds=round(trial.seconds, 3),
        session_minutes=round(seen.session_minutes, 3),
        measured_s=round(seen.measured_s, 3),
        turns=seen.turns,
        sessions_in_flight=seen.in_flight,
        good_turns_per_s=seen.good_per_s,
        figures=seen.figures,
        tiers=seen.tiers,
        gauges=seen.gauges,
        generator=seen.generator,
    )


class Terms(NamedTuple):
    """Beside the tries, what an answer is made with.

    tried: what the search goes by, of the same tries
    parts: how many of "core" and "gpu" the target was said to have
    price: of a session-minute
    """

    tried: Tried
    scope: Range
    limit: Limit | None
    parts: Mapping[Literal["core", "gpu"], float]
    price: float | None


def capacities(trials: Sequence[Trial], tiers: Sequence[Tier], terms: Terms) -> list[TierCapacity]:
    """The answer for each tier, as far as the tries say one."""
    if not terms.tried.tries:
        return [_nothing(tier) for tier in tiers]
    return [_capacity(tier, trials, terms) for tier in tiers]


def _nothing(tier: Tier) -> TierCapacity:
    return TierCapacity(
        tier=tier.name, gates=[gate.text for gate in tier.gates], capacity=None, low=None,
        high=None, at_least=False, limit="", confirmed=False, binding="", stage="",
        said=["no run at any load could be used"], cost=None,
    )  # fmt: skip


def _capacity(tier: Tier, trials: Sequence[Trial], terms: Terms) -> TierCapacity:
    tried, scope, limit = terms.tried, terms.scope, terms.limit
    found = answer(tried, tier.name, scope)
    endless = found.crossing.value == inf
    said = list(_said(tier, tried, trials, scope, found))
    if endless:
        why = limit.why if limit is not None else "the search ended"
        said.insert(0, f"at least {amount(found.capacity)}: {why} kept the search from more")
    low = found.capacity if endless else found.low
    high = None if endless or not isfinite(found.high) else found.high
    if not endless and any(one.purpose == "ramp" for one in trials):
        # What the steps before have left is in each step, and no step knows how much.
        low = scope.step * floor(low / GROWTH / scope.step)
        high = None if high is None else scope.step * ceil(GROWTH * high / scope.step)
    return TierCapacity(
        tier=tier.name,
        gates=[gate.text for gate in tier.gates],
        capacity=found.capacity,
        low=low,
        high=high,
        at_least=endless,
        limit=(limit.why if limit is not None else "the search ended") if endless else "",
        confirmed=found.confirmed,
        binding=found.binding,
        stage=_stage(trials, found),
        said=said,
        cost=_cost(trials, found, terms.price),
        each={
            part: Bounds(
                value=found.capacity / count,
                low=low / count,
                high=None if high is None else high / count,
            )
            for part, count in terms.parts.items()
        },
    )


def _said(
    tier: Tier, tried: Tried, trials: Sequence[Trial], scope: Range, found: Answer
) -> list[str]:
    """What must be known of an answer."""
    said = []
    held, lost = found.crossing.held, found.crossing.lost
    if found.capacity < scope.step:
        said.append(
            f"it does not hold at {amount(lost)}, the least that was tried: there is no capacity "
            f"within the searched range ({found.binding})"
        )
    if order := unlike_order(tried, tier.name):
        said.append(
            f"not monotone: it did not hold at {amount(order[0])} and held at "
            f"{amount(order[1])}; other load on the target, or a state that it keeps, would "
            "explain that, and the interval does not know of it"
        )
    near = max(_STEEP * held, held + 2 * scope.step)
    if held > 0 and lost < inf and lost <= near and (fall := _fall(tried, tier, lost)):
        said.append(f"a cliff: {amount(held)} hold, and at {amount(lost)} {fall}")
    if found.capacity >= scope.step and not found.confirmed:
        said.append(f"not confirmed: {_unconfirmed(tier, trials, found)}")
    return said


def _unconfirmed(tier: Tier, trials: Sequence[Trial], found: Answer) -> str:
    """Why no hold, a long run at the answer, confirmed it, and what to do."""
    holds = [one.observation for one in trials if one.counts and one.purpose == "hold"]
    safe = (
        f"promise no more than {amount(found.low)}, the lower end, or search again"
        if found.low > 0
        else "promise none, or search again: no load is sure to hold"
    )
    if not holds:
        ramped = any(one.purpose == "ramp" for one in trials)
        more = "with a larger budget where that ended it"
        return "no run held this load for long; " + (
            "search without --ramp" if ramped else f"go on with --resume, {more}"
        )
    lost = [one for one in holds if (one.tiers[tier.name].margin or 0.0) < 0]
    if lost:
        loads = " and at ".join(amount(one.load) for one in lost)
        times = {1: "a long run", 2: "two long runs"}.get(len(lost), f"{len(lost)} long runs")
        last = lost[-1]
        where = f", at {amount(last.load)}" if len(lost) > 1 else ""
        return f"{times} at {loads} did not hold: {_missed(last, tier)}{where}; {safe}"
    empty = [
        (one.load, gate)
        for one in holds
        for gate, said in one.evidence[tier.name].items()
        if said is None
    ]
    if empty:
        load, gate = empty[-1]
        return f"the long run at {amount(load)} had nothing that {gate} is about; {safe}"
    best = max(one.load for one in holds)
    return f"long runs held {amount(best)} and no more; {safe}"


def _missed(seen: Observation, tier: Tier) -> str:
    """The objective that a run missed by most, as measured, and what it asks for."""
    ruled = seen.tiers[tier.name].gates
    worst = min(ruled, key=lambda one: inf if one.margin is None else one.margin)
    if worst.gate == HELD:
        return f"{worst.value:.1f} % of sessions were held, and {worst.limit:g} % must be"
    found = seen.evidence[tier.name][worst.gate]
    if isinstance(found, Share):
        gate = next(one for one in tier.gates if one.text == worst.gate)
        return (
            f"{100 * found.share:.1f} % of turns met {worst.gate}, and {100 * promised(gate):g} % "
            "must"
        )
    if worst.value is None:
        return f"{worst.gate} was missed: not reached, too many turns timed out"
    return f"{worst.gate} was missed, measured {worst.value:.4g}"


def _fall(tried: Tried, tier: Tier, lost: float) -> str:
    """What happens at the first load that does not hold, where that is a fall off a cliff."""
    for one in tried.tiers[tier.name]:
        for found in one.found:
            if found is None or found.load != lost:
                continue
            if isinstance(found, Share) and found.share - one.promised <= -_CLIFF:
                return f"only {100 * found.share:.0f} % of turns meet {one.gate}"
            if one.gate == HELD and not isinstance(found, Share) and found.margin < -0.005:
                return f"only {99 + 100 * found.margin:.0f} % of sessions are held"
    return ""


def _stage(trials: Sequence[Trial], found: Answer) -> str:
    """The stage of first audio that grew most from the least load to the first that is lost."""
    if not found.binding or found.binding == HELD:
        return ""
    counted = sorted((one for one in trials if one.counts), key=lambda one: one.observation.load)
    beyond = [one for one in counted if one.observation.load >= found.crossing.lost]
    if not beyond or parse_gate(found.binding).metric in {"underrun_time", "realtime_factor"}:
        return ""
    least = counted[0].observation.stages
    for one in beyond:  # of a load where hardly anybody is answered a stage may have no p95
        most = one.observation.stages
        grown = {
            name: most[name] - least[name] for name in STAGES if name in least and name in most
        }
        name = max(grown, key=lambda stage: grown[stage], default="")
        if name and most[name] > _GREW * max(least[name], 1.0):
            return name
    return ""


def _cost(trials: Sequence[Trial], found: Answer, price: float | None) -> SessionCost | None:
    """Money for a session-minute, and for 1,000 turns where so much of the capacity is used.

    Capacity that is paid for and not used makes turns dearer.
    """
    near = [one.observation for one in trials if one.counts and one.observation.good_per_s]
    near = [one for one in near if one.load <= max(found.capacity, 1.0)]
    if price is None or not near or found.capacity <= 0:
        return None
    best = max(near, key=lambda one: one.load)
    if not best.in_flight or not best.turns:
        return None
    minutes = 1000 * best.in_flight * best.measured_s / 60 / best.turns
    return SessionCost(
        per_session_minute=price,
        per_1000_turns={str(use): round(minutes * price * 100 / use, 6) for use in USES},
    )


def workload_of(trials: Sequence[Trial]) -> Workload:
    """What a session is made of, of all tries that say something."""
    seen = [one.observation for one in trials if one.counts]
    lengths = [length for one in seen for length in one.lengths]
    turns = [one.turns_each for one in seen if one.turns_each]
    talk = [one.talk for one in seen if one.talk is not None]
    length = _mean(lengths)
    each = mean(turns) if turns else None
    return Workload(
        session_s=length,
        turns_per_session=each,
        turn_s=length.value / each if length.value and each else None,
        talk_ratio=TalkRatio(
            caller=mean(one[0] for one in talk) if talk else None,
            agent=mean(one[1] for one in talk) if talk else None,
        ),
    )


def _mean(values: Sequence[float]) -> Bounds:
    if not values:
        return Bounds(value=None, low=None, high=None)
    middle = mean(values)
    if len(values) < 2:
        return Bounds(value=middle, low=None, high=None)
    reach = Z * stdev(values) / sqrt(len(values))
    return Bounds(value=middle, low=middle - reach, high=middle + reach)


def scalability_of(trials: Sequence[Trial]) -> ScalabilityFacts | None:
    """The law of scalability through good turns a second; None where there is nothing to fit."""
    points = [
        (one.observation.in_flight, one.observation.good_per_s)
        for one in trials
        if one.counts and one.observation.in_flight and one.observation.good_per_s
    ]
    if not points:
        return None
    loads, rates = zip(*points, strict=True)
    try:
        return scalability_facts(fit_scalability(loads, rates))
    except ValueError:
        return None
