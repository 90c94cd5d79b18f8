"""The analysis says of every stored run what it said when the run was stored: each value of it."""

import re

import pytest

from bench.analysis.server_quirks import _ABOUT as QUIRKS
from bench.analysis.validity import RULES as CHECKS
from bench.plan.metrics import METRICS
from bench.tracker.outcomes import OUTCOMES
from bench.tracker.protocol_rules import RULES
from tests.golden.cases import CASES
from tests.golden.store import EXPECTED, GOLDEN, analysed, differences, read_expected, report
from tests.golden.stories import file_of, told

REASONS = (
    "session refused: HTTP 429", "session waited in vain for the WebSocket upgrade",
    "session timeout: no WebSocket upgrade within .*", "session silent: .*", "session closed: .*",
    "session malformed: .*", "session binary: .*", "session broken: .*", "session overloaded: .*",
    "session too_big: .*", "session crashed: .*", "session unreachable: .*",
    "response failed: .*capacity.*", "response failed: .*Told to fail.*", "response incomplete: .*",
    ".*: The model is at capacity.*", "errorType:SESSION_RESOURCES_EXHAUSTED", "server_error: .*",
    "the run ended first", "answered .* ms after the caller gave up",
    "tools were called without a call_id, so nothing could be answered",
    "tools were called, and nothing answered their outputs",
    "the caller stopped the reply before any of it was heard", "no speech_started and no answer",
    "audio came, and none of it was heard", "no audio before the caller gave up",
    "no text before the caller gave up", "no audio before what was said next",
    "response completed, without audio", "response cancelled.*, without audio",
)  # fmt: skip
"""Patterns of every reason that `bench.tracker.outcomes` gives for an outcome."""
SESSION_OUTCOMES = (
    "finished", "drained", "lost", "refused", "overloaded", "unreachable", "silent", "timeout",
    "closed", "broken", "malformed", "binary", "too_big", "crashed",
)  # fmt: skip
UNTOUCHED = {
    "broken arrivals": "tests/virtual/test_load_shapes.py breaks it",
    "broken identity": "no log breaks it: only a fault of the analysis does",
}
"""What no case need touch, and why."""


@pytest.fixture(scope="module")
def stored():
    return {name: read_expected(GOLDEN / name) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_every_value_is_what_it_was(name, tmp_path, stored, monkeypatch):
    """A few sessions are read at once, as of a long run."""
    monkeypatch.setattr("bench.analysis.tables.PART", 400)
    found = differences(stored[name], analysed(GOLDEN / name, tmp_path / name))
    assert not found, report(name, found)


@pytest.mark.parametrize("name", ["mixed", "habits_a", "failures", "leaks", "told_clocks"])
def test_every_value_is_the_same_when_all_sessions_are_read_at_once(name, tmp_path, stored):
    found = differences(stored[name], analysed(GOLDEN / name, tmp_path / name))
    assert not found, report(name, found)


def test_every_case_is_stored_and_nothing_else_is():
    assert {path.parent.name for path in GOLDEN.glob(f"*/{EXPECTED}")} == set(CASES)


def test_the_tests_that_cases_are_told_by_are_there():
    """A case whose tests were renamed could never be made again."""
    names = [
        name for case in CASES.values() if getattr(case, "func", None) is told for name in case.args
    ]
    assert len({file_of(name) for name in names}) == len(names) > 10


def test_the_cases_touch_all_that_the_analysis_can_say(stored):
    results = stored.values()
    touched = {name for result in results for name in touched_by(result)}
    reasons = {reason for result in results for reason in result.turns["reason"][1]}
    touched |= {f"reason {one}" for one in REASONS if any(re.fullmatch(one, r) for r in reasons)}
    columns = {f"{table}.{name}" for result in results for table in ("turns", "sessions")
               for name in getattr(result, table)}  # fmt: skip
    wanted = {
        *columns,
        *(f"outcome {name}" for name in OUTCOMES),
        *(f"session {name}" for name in SESSION_OUTCOMES),
        *(f"reason {name}" for name in REASONS),
        *(f"metric {name}" for name in METRICS),
        *(f"violation {name}" for name in RULES),
        *(f"quirk {name}" for name in QUIRKS),
        *(f"broken {name}" for name in CHECKS if name != "faults"),
        "broken worker",  # a fault that the run found itself
        *(f"gate {word}" for word in ("pass", "fail", "inconclusive")),
        *(f"verdict {word}" for word in ("pass", "fail", "inconclusive", "invalid")),
        *("leaks", "unhonoured", "gauges", "usage", "errors_by_code", "addresses"),
    }
    assert wanted - touched == set(UNTOUCHED)


def touched_by(result):
    """What a result has a value of that is neither missing nor nothing."""
    for table in ("turns", "sessions"):
        for name, (_, values) in getattr(result, table).items():
            if any(value not in (None, "", False, 0) for value in values):
                yield f"{table}.{name}"
    summary, verdict = result.summary, result.verdict
    yield from (f"outcome {one}" for one in result.turns["outcome"][1])
    yield from (f"session {one}" for one in result.sessions["outcome"][1])
    yield from (f"metric {row['metric']}" for row in summary["rows"] if row["value"])
    yield from (f"violation {entry['rule']}" for entry in summary["violations"])
    yield from (f"quirk {entry['quirk']}" for entry in summary["quirks"])
    yield from (f"broken {check['rule']}" for check in verdict["validity"] if not check["ok"])
    yield from (f"gate {ruling['verdict']}" for ruling in verdict["gates"])
    yield f"verdict {verdict['verdict']}"
    yield from (name for name, value in summary.items() if value)
