"""The table of metrics: one declaration each, complete and consistent."""

import ast
from pathlib import Path

import bench
from bench.plan.declaration import USES
from bench.plan.gates import STATISTICS
from bench.plan.instants import INSTANTS
from bench.plan.metrics import METRICS, WAITS
from bench.plan.stages import STAGES

BENCH = Path(bench.__file__).parent
WORDS = {"sessions", "turns", "errors", "remarks", "answered", "missed"}
"""Metrics whose name is also a word for something else: a key, an outcome."""


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


def test_what_a_metric_is_used_for_is_said_in_words_that_are_explained():
    assert {word for metric in METRICS.values() for word in metric.uses} == USES.keys()
    assert {metric.over for metric in METRICS.values() if metric.kind == "share"} == {
        "turns", "attempts", "words", "disturbances",
    }  # fmt: skip
    assert all(bool(metric.over) == (metric.kind == "share") for metric in METRICS.values())
    assert len({metric.wait for metric in METRICS.values()} - {0}) == len(WAITS)


def test_the_stages_are_columns_of_the_wait():
    assert [stage.column for stage in STAGES if stage.before_audio and stage.column in METRICS] == [
        "endpointing_delay", "commit_delay", "response_start_delay", "generation_delay",
    ]  # fmt: skip


LISTS = {
    "tracker/requests.py": "what is asked and what answers it; the tracker names what it measures",
    "analysis/turns.py": "the types of the columns that the tracker fills",
    "analysis/generator_timing.py": "rules of validity; three have the name of their metric",
    "analysis/samples.py": "where these figures are reckoned",
    "analysis/counts.py": "where these figures are reckoned",
    "analysis/summary.py": "where these figures are reckoned",
    "analysis/slow_turn_cause.py": "columns of the turns table that have a metric's name",
    "capacity/result.py": "fields of capacity.json",
}
"""Who may name several metrics in one list, and why. The report's panels choose their own."""


def listed(path):
    """Lists of names of metrics, two or more, that a module writes down."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        parts = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", ())
        names = [part.value for part in parts if isinstance(part, ast.Constant)]
        if len(found := {name for name in names if name in METRICS} - WORDS) > 1:
            yield f"{path.relative_to(BENCH)}:{node.lineno}: {', '.join(sorted(found))}"


def test_nothing_but_the_table_lists_metrics_by_name():
    tables = {"plan/metrics.py", "plan/turn_metrics.py"}
    found = {}
    for path in BENCH.rglob("*.py"):
        name = str(path.relative_to(BENCH))
        if name not in tables and not name.startswith("report/") and (lines := list(listed(path))):
            found[name] = lines
    assert {name: lines for name, lines in found.items() if name not in LISTS} == {}
    assert set(LISTS) - set(found) == set(), "an exception that nothing needs any more"
