"""The cost rule: refused beforehand, and ended when it is spent."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from bench.cli.budget import Cap, Meter, cap_of, session_minutes
from bench.cli.interrupts import Interrupts
from bench.cli.supervisor import RunPlan, watch
from bench.errors import UsageError
from bench.runs.folder import RunFolder, provenance
from bench.runs.job import make_job
from bench.runs.target import read_target

ROOT = Path(__file__).parents[2]
S = 1_000_000_000


def word(second, *opened, start=100):
    """A progress line of the master `second` after the start."""
    workers = [{"open": held, "waiting": 0, "started": held, "turns": 0, "failed": 0,
                "failures": [], "recent": [], "hub_lag_ms": 0.0} for held in opened]  # fmt: skip
    return {
        "start_ns": start * S, "now_ns": (start + second) * S, "measured_ns": start * S,
        "end_ns": (start + 600) * S, "workers": workers,
    }  # fmt: skip


@pytest.fixture
def job(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)

    def make(load):
        path = tmp_path / "mine.toml"
        path.write_text(f"[load]\n{load}")
        return make_job(path, read_target("ws://example.org/v1", "openai"))

    return make


def test_the_narrower_limit_counts():
    assert cap_of(None, None, None) is None
    assert cap_of(10, None, None) == Cap(10, "--max-minutes", 10)
    assert cap_of(10, 0.5, 0.1) == Cap(5, "--max-cost", 0.5)
    assert cap_of(10, 5, 0.1) == Cap(10, "--max-minutes", 10)


def test_a_limit_in_money_needs_a_price():
    with pytest.raises(UsageError, match="--max-cost 2 needs a price: give --price-per-minute"):
        cap_of(None, 2, None)


def test_the_estimate_holds_every_session_from_its_arrival_to_the_end(job):
    # 4 sessions arriving 0, 5, 10, 15 s into 20 s + 40 s: 60 + 55 + 50 + 45 s.
    assert session_minutes(job("sessions = 4\nwarmup = '20s'\nduration = '40s'")) == 3.5
    # One a second for a minute: 60 + 59 + … + 1 s.
    load = "arrivals = 'uniform'\nrate = '1/s'\nwarmup = '0s'\nduration = '60s'"
    assert session_minutes(job(load)) == 60 * 61 / 2 / 60


def test_an_estimate_over_the_cap_says_both_and_how_to_mend_it():
    Cap(3.5, "--max-minutes", 3.5).check(3.5)
    with pytest.raises(UsageError) as refused:
        Cap(5, "--max-cost", 0.5).check(5.5)
    assert str(refused.value) == (
        "--max-cost 0.5 (5.0 session-minutes): this run may take 5.5 session-minutes; take fewer "
        "--sessions, a shorter --duration, or raise it"
    )


def test_the_meter_adds_up_open_sessions_over_time():
    meter = Meter(Cap(3, "--max-minutes", 3))
    meter.read(word(30, 2, 1))  # three sessions for half a minute
    assert (meter.minutes, meter.ending()) == (1.5, None)
    meter.read(word(60, 0, 2))  # the higher count: three again
    assert meter.minutes == 3.0
    assert meter.ending() == {
        "rule": "max_minutes",
        "text": "3.00 session-minutes were used, --max-minutes 3 was reached",
        "used_minutes": 3.0, "limit_minutes": 3,
    }  # fmt: skip


def test_the_meter_begins_with_what_a_probe_has_used_and_without_a_cap_never_ends():
    assert Meter(Cap(1, "--max-minutes", 1), 0.75).minutes == 0.75
    meter = Meter(None)
    meter.read(word(60, 1000))
    assert (meter.minutes, meter.ending()) == (1000.0, None)


class Played:
    """A crew whose master says these words, and ends once it was asked to or has no more."""

    def __init__(self, words):
        self.words, self.asked, self.workers, self.numbers = list(words), 0, [None], []
        self.master = SimpleNamespace(poll=lambda: None if self.words and not self.asked else 0)

    def progress(self):
        return self.words.pop(0)

    def finish(self, *, at_once):
        assert not at_once
        self.asked += 1

    def master_lost(self):
        return ""

    def lost(self):
        return {}

    def cores(self):
        return [[0]]

    def close(self):
        pass


@pytest.mark.parametrize(("minutes", "left"), [(2.0, 1), (9.0, 0)])
def test_a_run_ends_in_order_where_its_cap_is_reached(job, tmp_path, monkeypatch, minutes, left):
    monkeypatch.setattr("time.sleep", lambda _: None)
    folder = RunFolder.create(tmp_path / "run")
    plan = {"start_ns": 1, "measured_from_ns": 2, "measured_to_ns": 2 + 600 * S}
    folder.write({**provenance("x"), "plan": plan, "workers": 1, "drained": [0]})
    crew = Played([word(30, 2), word(60, 2), word(90, 2)])
    meter, said = Meter(Cap(minutes, "--max-minutes", minutes)), io.StringIO()
    demo = job("sessions = 2\nduration = '600s'")
    run_plan = RunPlan(demo, users=2, workers=1, cores=None, meter=meter)
    watch(crew, None, folder, run_plan, Console(file=said), Interrupts())
    assert (len(crew.words), crew.asked) == (left, left)
    run = json.loads(folder.run_json.read_text())
    assert (run["interrupted"], run["faults"]) == (False, [])
    if left:
        assert run["ended_by"]["used_minutes"] == 2.0
        assert "ending: 2.00 session-minutes were used" in said.getvalue()
    else:
        assert "ended_by" not in run
