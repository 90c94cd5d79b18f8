"""The grammar of gates, and what it refuses in words that help."""

import re
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.errors import GateError
from bench.plan.gates import OPERATORS, STATISTICS, check_gates, parse_gate
from bench.plan.metrics import METRICS

UNIT_OF = {"ms": "ms", "%": "%", "ratio": "", "1": "", "/s": "/s"}


@pytest.mark.parametrize(
    ("text", "statistic", "metric", "operator", "limit"),
    [
        ("p95(first_audio_latency) < 800 ms", "p95", "first_audio_latency", "<", 800),
        ("p99.9(first_audio_latency)<0.8s", "p99.9", "first_audio_latency", "<", 800),
        (" share( answered )>= 99.5 % ", "share", "answered", ">=", 99.5),
        ("share(answered) > 99", "share", "answered", ">", 99),
        ("count(errors) <= 0", "count", "errors", "<=", 0),
        ("count(violations) == 0", "count", "violations", "==", 0),
        ("rate(turns) > 2.5 /s", "rate", "turns", ">", 2.5),
        ("mean(realtime_factor) <= 0.9", "mean", "realtime_factor", "<=", 0.9),
    ],
)
def test_a_gate_is_read_in_the_metrics_own_unit(text, statistic, metric, operator, limit):
    gate = parse_gate(text)
    assert gate[1:5] == (statistic, metric, operator, limit)
    assert gate.text == " ".join(text.split())
    assert not gate.against_baseline


@pytest.mark.parametrize(
    ("tail", "percent"),
    [("", 0), (" + 10 %", 10), ("+10%", 10), (" - 2.5 %", -2.5)],
)
def test_a_baseline_gives_the_limit_and_a_margin_in_percent(tail, percent):
    gate = parse_gate(f"p50(endpointing_delay) <= baseline{tail}")
    assert (gate.limit, gate.percent, gate.against_baseline) == (None, percent, True)


@given(
    st.sampled_from([(m, s) for m in METRICS.values() for s in STATISTICS[m.kind]]),
    st.sampled_from(sorted(OPERATORS)),
    st.integers(0, 10**6),
)
def test_every_statistic_of_every_metric_can_be_gated(pair, operator, limit):
    metric, statistic = pair
    if operator == "==":
        assume(metric.kind == "count")
    if metric.kind == "share":
        limit %= 101
    gate = parse_gate(f"{statistic}({metric.name}) {operator} {limit} {UNIT_OF[metric.unit]}")
    assert (gate.metric, gate.statistic, gate.operator, gate.limit) == (
        metric.name, statistic, operator, limit,
    )  # fmt: skip
    assert gate.holds(limit, limit) == ("=" in operator)
    assert gate.holds(limit + 1, limit) == (">" in operator)


@given(st.text(max_size=60))
def test_any_text_is_a_gate_or_a_refusal_that_quotes_it(text):
    with suppress(GateError):
        parse_gate(text)
        return
    with pytest.raises(GateError, match=re.escape(repr(text))):
        parse_gate(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p50(first_audio_latency) == 800 ms", "is measured and not counted"),
        ("share(answered) == 100 %", "is measured and not counted"),
        ("first_audio_latency < 800 ms", "a gate reads statistic(metric) operator limit"),
        ("p96(first_audio_latency) < 800 ms", "no statistic 'p96'; did you mean 'p9"),
        ("p95(first_audio_latncy) < 800 ms", "did you mean 'first_audio_latency'?"),
        ("p95(first_audio_latency) =< 800 ms", "no operator '=<'; did you mean '<"),
        ("p95(first_audio_latency) < 800 mss", "give a number in ms or s, or 'baseline + n %'"),
        ("p95(first_audio_latency) < 80 %", "'80 %' is no limit for first_audio_latency"),
        ("p95(first_audio_latency) < soon", "'soon' is no limit"),
        ("p95(answered) > 99 %", "answered is of the kind share; it has share, not p95"),
        ("share(first_audio_latency) > 9 %", "of the kind interval; it has p50, p90"),
        ("p95(first_audio_latency) < baseline + 10", "'baseline + 10' is no limit"),
        ("share(answered) >= 150 %", "a share is from 0 to 100 %, not 150 %"),
        ("count(errors) < -1", "nothing is counted below 0"),
        ("count(errors) < 5 /s", "write rate(errors)"),
    ],
)
def test_what_is_no_gate_is_refused_with_the_word_that_is_wrong(text, says):
    with pytest.raises(GateError) as refusal:
        parse_gate(text)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_gate_on_what_the_script_can_never_yield_is_refused():
    gate = parse_gate("p95(barge_in_silence) < 900 ms")
    with pytest.raises(GateError, match="script 'turn_taking' has no interruption"):
        check_gates([gate], yields=(), script="turn_taking")
    check_gates([gate], yields=("interruption",), script="barge_in")
    check_gates([gate], yields=("*",), script="mine:script")


def test_a_limit_may_be_negative_where_a_figure_may():
    assert parse_gate("p50(speech_start_error) > -20 ms").limit == -20
