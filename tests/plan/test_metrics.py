"""The table of metrics: one declaration each, complete and consistent."""

from bench.plan.gates import STATISTICS
from bench.plan.metrics import INSTANTS, METRICS


def test_every_interval_lies_between_two_declared_instants():
    for metric in METRICS.values():
        ends = (metric.start, metric.end)
        assert all(end in INSTANTS for end in ends) == (metric.kind == "interval")
        assert any(ends) == (metric.kind == "interval")


def test_every_metric_says_what_it_is_in_a_sentence():
    for metric in METRICS.values():
        assert metric.about.endswith(".")
        assert metric.kind in STATISTICS
        assert metric.of in {"turn", "session", "event", "word"}
        assert metric.better in {"lower", "higher"}
        assert metric.unit in {"ms", "%", "1", "ratio", "/s"}


def test_every_instant_says_what_it_is():
    assert all(instant.about for instant in INSTANTS.values())
    assert all(name == instant.name for name, instant in INSTANTS.items())
