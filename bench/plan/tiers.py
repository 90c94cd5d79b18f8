"""Tiers of service: named lists of gates that a deployment promises.

A tier is `--slo GATE` (repeatable; the tier `slo`), `--tier NAME="GATE, GATE"` or a key of a
scenario's table `[slo]`. Where the command line says any, the scenario's are not asked.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from bench.errors import UsageError
from bench.plan.gates import Gate, parse_gate
from bench.plan.metrics import METRICS

UNNAMED: Final = "slo"
"""The tier of `--slo`."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_COMMA: Final = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9.]*\s*\()")
"""Between two gates: what follows begins another."""


class Tier(NamedTuple):
    """One tier: all of its gates must hold."""

    name: str
    gates: tuple[Gate, ...]


def read_tiers(
    slo: Sequence[str], named: Sequence[str], scenario: Mapping[str, Sequence[str]], name: str
) -> tuple[Tier, ...]:
    """The tiers that are asked for, at least one; `name` is the scenario's file.

    UsageError where there is none, one is named twice, is empty, or has a gate that no load decides
    (GateError for a gate that is none).
    """
    found: list[tuple[str, Sequence[str]]] = [(UNNAMED, slo)] if slo else []
    for text in named:
        tier, equals, gates = text.partition("=")
        if not (equals and gates.strip() and _NAME.fullmatch(tier.strip())):
            raise UsageError(
                f'--tier {text!r}: write NAME="GATE", as in '
                'gold="p95(first_audio_latency) < 700 ms"'
            )
        found.append((tier.strip(), _COMMA.split(gates.strip())))
    if not found:
        found = list(scenario.items())
    if not found:
        raise UsageError(
            f'{name}: no objective: give --slo "p95(first_audio_latency) < 800 ms", or a table '
            "[slo] in the scenario"
        )
    names = [tier for tier, _ in found]
    for tier, texts in found:
        if names.count(tier) > 1:
            raise UsageError(f"tier {tier!r} is named twice; give each its own name")
        if not texts:
            raise UsageError(f"tier {tier!r} has no gate; give it one, or leave it out")
    return tuple(Tier(tier, tuple(map(_gate, texts))) for tier, texts in found)


def _gate(text: str) -> Gate:
    gate = parse_gate(text)
    if gate.against_baseline:
        raise UsageError(f"gate {text!r}: a capacity has no baseline; give a limit with its unit")
    if gate.soft:
        raise UsageError(f"gate {text!r}: a soft gate decides nothing; leave out 'soft'")
    if why := _undecided(gate):
        raise UsageError(
            f"gate {text!r}: {why}, so it is no objective; give a limit that more load breaks, as "
            "in 'p95(first_audio_latency) < 800 ms' or 'share(answered) >= 99 %'"
        )
    return gate


def _undecided(gate: Gate) -> str:
    """Why the load does not decide it: every load meets it, or none does. "" where it does."""
    metric, limit = METRICS[gate.metric], gate.limit or 0.0
    upper, lower = gate.operator in {"<", "<="}, gate.operator in {">", ">="}
    counted = metric.kind == "count" and metric.better == "higher"
    away = (lower and metric.better == "lower") or (upper and metric.better == "higher")
    percent = metric.kind == "share" and metric.of == "turn" and metric.name != "spurious"
    # A growth over a call may be below zero.
    least = limit < 0 or (limit == 0 and gate.operator == "<" and metric.kind != "value")
    always = (lower and (limit < 0 or (limit == 0 and gate.operator == ">="))) or (
        upper and percent and limit >= 100 and gate.operator == "<="
    )
    never = (upper and least) or (percent and gate.operator == ">" and limit >= 100)
    reasons = (
        (counted, f"more load has more {metric.name}"),
        (away, f"of {metric.name} {metric.better} is better, and more load cannot break it"),
        (always, "every load meets it"),
        (never, "no load can meet it"),
    )
    return next((why for so, why in reasons if so), "")
