"""Shapes of a load in virtual time: stages, traces, cool-down, and the same plan again."""

import json
import shutil

import pandas as pd
import pytest

from bench.cli.options import AUTO
from bench.cli.run_job import fitting_workers, job_of
from bench.cli.run_scenario import described
from bench.cli.verbs import RunOptions
from bench.compare.comparability import facts_of
from bench.runs.plan_table import read_slots
from bench.voice.audio import NS_PER_S as S
from tests.virtual_run import virtual_run

pytestmark = pytest.mark.usefixtures("virtual")

SPIKE = """
warmup = "1s"
cooldown = "4s"
stages = [
  { name = "before", sessions = 1, length = "8s" },
  { name = "spike", sessions = 4, length = "8s" },
  { sessions = 2, length = "6s", over = "3s" },
]
"""


def spike(scenario, gates):
    """A scenario file of that load."""
    path = scenario(load="SHAPE", turns=1, gates=gates, warmup="0s", duration="1s")
    shape = 'SHAPE\nwarmup   = "0s"\nduration = "1s"\n'
    assert shape in path.read_text()
    path.write_text(path.read_text().replace(shape, SPIKE))
    return path


@pytest.fixture
def staged(scenario, tmp_path):
    gates = [
        "count(turns) > 0", "share(answered){stage=spike} > 10 %",
        'p50(first_audio_latency){stage="stage 3"} < 3 s',
    ]  # fmt: skip
    return virtual_run(spike(scenario, gates), tmp_path / "run", workers=2)


def test_turns_have_the_stage_in_which_they_began_and_gates_ask_for_it(staged):
    run = staged.folder.read()
    turns = pd.read_parquet(staged.folder.turns)
    begin = turns["speech_onset_ns"].to_numpy()
    at = [min(max(0, int((ns - S) // S)), 22) for ns in begin]
    names = ["before"] * 8 + ["spike"] * 8 + ["stage 3"] * 6 + [""]
    wanted = ["" if ns < S else names[second] for ns, second in zip(begin, at, strict=True)]
    assert list(turns["stage"]) == wanted
    assert set(turns["stage"]) == {"", *names}
    assert run["plan"]["measured_to_ns"] == 23 * S  # and the cool-down is in no figure
    assert not turns[begin >= 23 * S]["measured"].any()
    spike, last = staged.verdict["gates"][1:]
    assert spike["n"] == (turns["measured"] & (turns["stage"] == "spike")).sum()
    assert last["n"] == (turns["measured"] & (turns["stage"] == "stage 3")).sum() > 0
    assert [one["verdict"] for one in staged.verdict["gates"]].count("fail") == 0


def test_sessions_come_and_go_with_the_stages(staged):
    health = pd.read_parquet(staged.folder.health)
    intended = health.groupby("at_ns")["sessions_intended"].sum()
    at = (intended.index.to_numpy() / S).round(1)
    for second, count in zip(at, intended, strict=True):
        level = 1 if second < 9 else 4 if second < 17 else 3 if second < 20 else 2
        if second not in {9, 17, 18.5, 20} and second < 27:
            assert count in {level, level + (17 <= second < 20)}, second
    sessions = pd.read_parquet(staged.folder.sessions)
    assert sessions["slot"].nunique() == 4
    assert set(sessions["outcome"]) <= {"finished", "drained"}


def test_a_trace_starts_and_ends_calls_as_they_were(scenario, tmp_path):
    """Its file may be gone afterwards: the plan has it."""
    trace = tmp_path / "calls.csv"
    trace.write_text("start_s,length_s\n1,3\n1.5,\n4,0.5\n60,\n")
    path = scenario(
        load=f'arrivals = "trace"\ntrace = "{trace}"', turns=5, warmup="0s", duration="10s",
    )  # fmt: skip
    first = virtual_run(path, tmp_path / "first", workers=2)
    sessions = pd.read_parquet(first.folder.sessions).sort_values("scheduled_ns")
    assert list(sessions["scheduled_ns"] / S) == [1, 1.5, 4]
    long, endless, short = sessions.itertuples()
    assert 4 < long.ended_ns / S < 7  # what was being said then is said to its end
    assert 4.5 < short.ended_ns / S < 7
    assert endless.ended_ns / S > 10
    assert set(sessions["outcome"]) == {"drained"}
    assert first.folder.read()["plan"]["scheduled"] == 3
    (rule,) = [one for one in first.verdict["validity"] if one["rule"] == "arrivals"]
    assert (rule["ok"], rule["text"]) == (
        True, "0 of 3 sessions started more than 100 ms late (worst 0 ms)",
    )  # fmt: skip
    same, other = tmp_path / "same.csv", tmp_path / "other.csv"
    same.write_text(trace.read_text())
    other.write_text("start_s\n1\n2\n4\n")
    facts = [
        facts_of(described(job_of(RunOptions(path, assignments=(f"load.trace={one}",))), 2), {}, {})
        for one in (trace, same, other)
    ]
    told = [one["plan"]["load"]["trace"] for one in facts]
    assert told[0] == told[1] != told[2]
    trace.unlink()
    again = virtual_run(None, tmp_path / "again", plan=first.folder.path)
    assert read_slots(again.folder) == read_slots(first.folder)
    assert again.folder.read()["plan_sha256"] == first.folder.read()["plan_sha256"]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_plan_is_one_whatever_its_workers_and_is_what_is_played(scenario, tmp_path, workers):
    load = 'arrivals = "gamma"\nburstiness = 0.3\nrate = "2/s"'
    path = scenario(load=load, turns=2, duration="6s")
    outcome = virtual_run(path, tmp_path / "run", workers=workers)
    run, plan = outcome.folder.read(), pd.read_parquet(outcome.folder.plan)
    assert run["plan_sha256"] == DIGESTS.setdefault("gamma", run["plan_sha256"])
    sessions = pd.read_parquet(outcome.folder.sessions).sort_values("slot")
    assert list(sessions["slot"]) == list(plan["slot"])
    assert list(sessions["scheduled_ns"]) == list(plan["start_ns"])
    turns = pd.read_parquet(outcome.folder.turns)
    said = turns.merge(sessions[["session", "slot"]], on="session").sort_values(["slot", "turn"])
    for slot, mine in said.groupby("slot"):
        lines = list(plan["lines"][slot])
        assert list(mine["utterance"]) == lines[: len(mine)]


DIGESTS: dict[str, str] = {}


def test_callers_think_as_long_as_is_drawn_for_each_line_after_they_have_heard(scenario, tmp_path):
    path = scenario(sessions=2, turns=4, duration="12s")
    think = 'caller.think={ kind = "uniform", low_ms = 100, high_ms = 2000 }'
    key, _, value = think.partition("=")
    runs = [
        virtual_run(path, tmp_path / name, assignments={key: value, "seeds.utterances": seed})
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    ]
    planned = [pd.read_parquet(one.folder.plan)["gaps_ns"].map(list).tolist() for one in runs]
    assert planned[0] == planned[1] != planned[2]
    assert all(100e6 <= gap <= 2000e6 for gaps in planned[0] for gap in gaps)
    folder = runs[0].folder
    turns = pd.read_parquet(folder.turns).sort_values(["session", "turn"])
    for slot, gaps in enumerate(planned[0]):
        mine = turns[turns["session"] == slot].reset_index(drop=True)
        assert len(mine) > 2
        for number in range(1, len(mine)):
            heard = mine.loc[number - 1, "first_heard_ns"] + mine.loc[number - 1, "reply_audio_ns"]
            said = mine.loc[number, "speech_onset_ns"]
            waited = said - heard - 100e6  # the recording begins with so much silence
            assert gaps[number] <= waited + 1e6
            assert waited <= gaps[number] + 250e6


def test_an_open_load_whose_callers_come_late_is_void(scenario, tmp_path):
    """One handshake a second, and four are due: the worker was the limit, and not the target."""
    load = 'arrivals = "uniform"\nrate = "4/s"\nconnects = "1/s"'
    path = scenario(load=load, turns=1, warmup="0s", duration="5s")
    outcome = virtual_run(path, tmp_path / "run")
    (rule,) = [one for one in outcome.verdict["validity"] if not one["ok"]]
    assert rule["rule"] == "arrivals"
    assert rule["text"].startswith("4 of 20 sessions started more than 100 ms late (worst 3000 ms)")
    assert rule["text"].endswith(", 15 never started")
    assert rule["value"] == 95.0
    assert outcome.code == 3


@pytest.mark.parametrize(
    ("cores", "sessions", "chunk_ms", "workers"),
    [(8, 20, 100, 1), (8, 700, 100, 3), (8, 700, 20, 7), (2, 700, 20, 1), (1, 4, 100, 1)],
)
def test_auto_is_as_many_workers_as_the_plan_needs_and_a_core_each(
    scenario, monkeypatch, cores, sessions, chunk_ms, workers
):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    job = job_of(RunOptions(scenario(sessions=sessions), assignments=(f"chunk_ms={chunk_ms}",)))
    assert fitting_workers(job) == workers


def test_auto_is_written_down_as_the_number_that_it_was(scenario, tmp_path):
    outcome = virtual_run(scenario(sessions=2, turns=1), tmp_path / "run", workers=AUTO)
    assert outcome.folder.read()["workers"] == 1


def test_another_seed_is_another_plan_and_is_never_taken_for_it(bench, scenario, tmp_path):
    load = 'arrivals = "poisson"\nrate = "2/s"'
    path = scenario(load=load, turns=1, duration="4s")
    first = virtual_run(path, tmp_path / "first")
    other = virtual_run(path, tmp_path / "other", assignments={"seeds.utterances": 77})
    assert first.folder.read()["plan_sha256"] != other.folder.read()["plan_sha256"]
    odd = tmp_path / "odd"
    shutil.copytree(first.folder.path, odd)
    run = json.loads((odd / "run.json").read_text())
    (odd / "run.json").write_text(json.dumps({**run, "plan_sha256": "0" * 64}))
    code, _, err = bench("run", "--plan", odd, "--out", tmp_path / "x")
    assert code == 2
    assert "draws other sessions from its seeds" in err
    (odd / "run.json").write_text(
        json.dumps({**run, "corpus": {**run["corpus"], "sha256": "0" * 64}})
    )
    code, _, err = bench("run", "--plan", odd, "--out", tmp_path / "x")
    assert code == 2
    assert "has changed since" in err
    assert not (tmp_path / "x").exists()


def test_what_a_plan_says_itself_cannot_be_asked_for(bench, scenario, tmp_path):
    first = virtual_run(scenario(turns=1, duration="4s"), tmp_path / "first").folder.path
    for more in (
        [scenario()], ["--sessions", "3"], ["--duration", "3s"], ["--set", "turns=3"],
        ["--gates", "smoke"],
    ):  # fmt: skip
        code, _, err = bench("run", *more, "--plan", first, "--out", tmp_path / "x")
        assert code == 2
        assert "it says itself what is run; leave out" in err
    code, _, err = bench("run")
    assert code == 2
    assert "give a scenario, as in `bench run demo`, or --plan RUN" in err
    (first / "plan.parquet").unlink()
    code, _, err = bench("run", "--plan", first, "--out", tmp_path / "x")
    assert code == 2
    assert "plan.parquet: no such file; give a run that has its plan, or its scenario" in err


TWIN = "{ sessions = 2, length = '2s', name = 'a' }"


@pytest.mark.parametrize(
    ("load", "says"),
    [
        ("stages = [{ length = '5s' }]", "load.stages: stage 1: a closed load holds sessions"),
        ("stages = [{ sessions = 2, rate = '2/s', length = '5s' }]", "give sessions, and no rate"),
        ("stages = [{ sessions = 0, length = '5s' }]", "stage 1: 0 sessions; give 1 to 100000"),
        ("stages = [{ sessions = 2, length = '0s' }]", "stage 1: its length must be above zero"),
        (
            "stages = [{ sessions = 2, length = '2s', over = '3s' }]",
            "stage 1: `over` is longer than the stage",
        ),
        ("stages = [{ sessions = 2, length = '2s', swing = 2.0 }]", "stage 1: swing 2"),
        ("stages = [{ sessions = 2, length = '2s', swing = 0.5 }]", "a swing needs a period"),
        (
            f"stages = [{', '.join(2 * [TWIN])}]",
            "load.stages: two have one name",
        ),
        ("duration = '3s'\nstages = [{ sessions = 2, length = '2s' }]", "the stages last 2 s, not"),
        ("sessions = 3\nstages = [{ sessions = 2, length = '2s' }]", "the stages come to 2, not 3"),
        ("arrivals = 'trace'", "load.trace: a trace is a file"),
        ("sessions = 1\ntrace = 'x.csv'", "load.trace: a trace is a file"),
        ("arrivals = 'trace'\ntrace = 'x.csv'\nrate = '1/s'", "load.rate: a trace says itself"),
        ("arrivals = 'trace'\ntrace = 'lost.csv'", "lost.csv: no such file; give a column start_s"),
        ("arrivals = 'gamma'\nrate = '1/s'\nburstiness = 0.0", "load.burstiness: 0; give 0.01"),
        ("arrivals = 'poisson'\nrate = '1/s'\nburstiness = 0.5", "load.burstiness: needs arrivals"),
        ("arrivals = 'burst'\nrate = '1/s'", "valid are: poisson, uniform, gamma, trace"),
    ],
)
def test_a_load_that_makes_no_sense_is_one_line(bench, tmp_path, load, says):
    path = tmp_path / "mine.toml"
    path.write_text(f"[load]\n{load}\n")
    code, out, err = bench("run", path, "--out", tmp_path / "x")
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_gate_on_a_stage_that_is_not_there_is_refused(bench, scenario, tmp_path):
    path = spike(scenario, ["p50(first_audio_latency){stage=spice} < 1 s"])
    code, _, err = bench("run", path, "--out", tmp_path / "x")
    assert code == 2
    assert "stage" in err
    assert "spike" in err
