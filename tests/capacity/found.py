"""Capacity results that were never measured, for tests of what reads them."""

import msgspec

from bench import __version__
from bench.capacity.document import (
    BeyondLimit,
    BoundedFigure,
    Bounds,
    CapacityResult,
    CorpusFacts,
    Gauge,
    GeneratorFacts,
    LoadProbe,
    Objective,
    ProbeFigures,
    ProbeGate,
    ProbeTier,
    Recovery,
    ScalabilityFacts,
    ScenarioFacts,
    SearchPlan,
    SearchSpending,
    SessionCost,
    TalkRatio,
    TargetFacts,
    TierCapacity,
    Workload,
)

GATE = "p95(first_audio_latency) < 800 ms"


def figure(value, unit, n=120):
    return BoundedFigure(value=value, low=value * 0.95, high=value * 1.05, unit=unit, n=n)


def bounds(value, low, high):
    return Bounds(value=value, low=low, high=high)


def probe(number=1, load=24.0, **changes):
    gate = ProbeGate(
        gate=GATE, verdict="pass", value=640.0, low=610.0, high=702.0, limit=800.0, margin=0.2
    )
    facts = {
        "number": number,
        "load": load,
        "purpose": "bracket",
        "run": f"probe-{number:02d}",
        "void": "",
        "seconds": 260.0,
        "session_minutes": 104.0,
        "measured_s": 240.0,
        "turns": 720,
        "sessions_in_flight": load,
        "good_turns_per_s": load / 8,
        "figures": ProbeFigures(
            good_turns=figure(99.1, "%"),
            first_audio_p95=figure(640.0, "ms"),
            endpointing_p95=figure(420.0, "ms"),
            generation_p95=figure(230.0, "ms"),
            underrun=figure(0.2, "%"),
            refused=figure(0.0, "%"),
            held=figure(99.8, "%"),
        ),
        "tiers": {"gold": ProbeTier(verdict="pass", margin=0.2, gates=[gate])},
        "gauges": {"process_cpu_seconds_total": Gauge(mean=0.4, max=0.9, unit="cores")},
        "generator": GeneratorFacts(cpu=31.0, send_lateness_p99=1.4),
    }
    return LoadProbe(**{**facts, **changes})


def tier(name="gold", capacity=24.0, low=21.0, high=26.0, **changes):
    facts = {
        "tier": name,
        "gates": [GATE],
        "capacity": capacity,
        "low": low,
        "high": high,
        "at_least": False,
        "limit": "",
        "confirmed": True,
        "binding": GATE,
        "stage": "response_latency",
        "said": ["first audio triples between 26 and 28 sessions: a cliff"],
        "cost": SessionCost(
            per_session_minute=0.05, per_1000_turns={"30": 22.2, "65": 10.3, "100": 6.7}
        ),
    }
    return TierCapacity(**{**facts, **changes})


def capacity_result(*tiers, **changes):
    tiers = list(tiers or (tier(),))
    facts = {
        "metric_version": 4,
        "bench_version": __version__,
        "created": "2026-11-28T22:00:00+00:00",
        "complete": True,
        "scenario": ScenarioFacts(name="capacity", sha256="ab" * 32, workload="0123abc"),
        "target": TargetFacts(
            name="reference", url="ws://127.0.0.1:8765/v1/realtime", dialect="inworld"
        ),
        "corpus": CorpusFacts(name="everyday", sha256="cd" * 32),
        "load": "sessions",
        "unit": "sessions",
        "objectives": [Objective(tier=each.tier, gates=each.gates) for each in tiers],
        "workload": Workload(
            session_s=bounds(192.0, 184.0, 200.0),
            turns_per_session=24.0,
            turn_s=8.0,
            talk_ratio=TalkRatio(caller=0.31, agent=0.42),
        ),
        "price_per_minute": 0.05,
        "plan": SearchPlan(
            probe_s=260.0, session_s=190.0, seconds=3000.0, session_minutes=900.0, cost=45.0
        ),
        "spent": SearchSpending(seconds=2800.0, session_minutes=870.0, cost=43.5),
        "probes": [probe(1, 24.0), probe(2, 36.0, purpose="beyond", void="generator: cpu 96 %")],
        "tiers": tiers,
        "beyond": BeyondLimit(
            load=36.0,
            run="probe-02",
            behaviour="degrades",
            text="at 36 sessions 61 % of turns are good",
            victims=3,
            refused=None,
            good_turns=figure(61.0, "%"),
        ),
        "recovery": Recovery(seconds=12.0, recovered=True, load=None, text="as before in 12 s"),
        "scalability": ScalabilityFacts(
            rate=bounds(0.125, 0.12, 0.13),
            contention=bounds(0.01, 0.0, 0.02),
            coherency=bounds(0.0004, 0.0003, 0.0005),
            peak=bounds(49.7, 45.0, 57.0),
            refusal="",
            loads=6,
        ),
        "remarks": [],
    }
    return CapacityResult(**{**facts, **changes})


def plain(result):
    """A result as the dictionaries that JSON makes of it."""
    return msgspec.to_builtins(result)
