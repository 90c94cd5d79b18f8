"""What is foreseen of a run: turns, sessions, and gates that so few of them cannot decide."""

import subprocess
import sys

import pytest

from bench.plan.arrivals import schedule
from bench.plan.forecast import Forecast, Speech, Words, forecast, lacking, samples_of
from bench.plan.gates import parse_gate
from bench.plan.scenario_reader import check_scenario
from bench.voice.audio import ms

SPEECH = Speech(Words(ms(2200), ms(2000)), (Words(ms(1200), ms(1000)),), ms(4280))
VAD = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}


def expected(**document):
    load = {"warmup": "0s", "duration": "75s", "sessions": 2, **document.pop("load", {})}
    load = {key: value for key, value in load.items() if value is not None}
    scenario = check_scenario({"session": VAD, "load": load, **document}, "", "x")
    return forecast(scenario, schedule(scenario.load, 1), SPEECH)


def test_turns_are_counted_by_how_long_each_takes():
    """0.3 s of thought, 2 s of speech, 0.92 s until the answer, 4.28 s of it: 7.5 s."""
    assert expected() == (20, 8)
    assert expected(load={"duration": "150s"}) == (40, 14)
    assert expected(load={"sessions": 20}).turns == 200
    assert expected(turns=1) == (20, 20)


def test_an_agent_that_speaks_faster_is_done_sooner():
    """0.3 s of thought, 2 s of speech, 0.92 s until the answer, 2.85 s of it: 6.07 s."""
    assert expected(session={**VAD, "speed": 1.5}).turns == pytest.approx(2 * 75 / 6.07, abs=2)


def test_in_the_warmup_nothing_is_measured_and_sessions_go_on():
    assert expected(load={"warmup": "75s"}).turns == pytest.approx(20, abs=2)


def test_an_open_load_has_the_turns_of_those_who_arrive():
    found = expected(load={"sessions": None, "arrivals": "uniform", "rate": "1/s"}, turns=2)
    assert found.sessions == 75
    assert found.turns == pytest.approx(2 * 75 - 7, abs=2)  # the last have no time for a second


def test_who_is_interrupted_has_a_turn_more_and_who_is_coughed_at_has_none():
    talked_into = expected(script="barge_in", load={"sessions": 10})
    coughed_at = expected(script="barge_in", caller={"into": ["nonspeech"]}, load={"sessions": 10})
    assert talked_into.turns > 1.2 * coughed_at.turns


def test_a_mixture_has_of_each_kind_by_its_weight():
    kinds = [{"script": "turn_taking", "weight": 1}, {"script": "text_chat", "weight": 1}]
    both = expected(mixture=kinds, load={"sessions": 20}).turns
    # 7.5 s a turn of the one, 5 s (nothing is said, and nothing is silent) of the other.
    assert both == pytest.approx(20 * 75 / 6.25, rel=0.05)


def test_of_a_script_of_ones_own_nothing_is_known():
    assert expected(script="ours:play") is None


@pytest.mark.parametrize(
    ("gate", "needs"),
    [
        ("p99(first_audio_latency) < 1 s", 299), ("p50(first_audio_latency) < 1 s", 5),
        ("p90(text_rate) > 5 /s", 2), ("share(answered) >= 99.5 %", 736),
        ("share(missed) <= 1 %", 368), ("share(answered) >= 100 %", 0),
        ("count(errors) == 0", 0), ("max(first_audio_latency) < 9 s", 0),
        ("p99(hub_lag) < 20 ms", 0), ("p95(connect_time) < 1 s", 59),
        ("p95(first_audio_latency) <= baseline + 10 %", 59),
    ],
)  # fmt: skip
def test_how_many_samples_a_gate_cannot_do_without(gate, needs):
    assert samples_of(parse_gate(gate)) == needs


def test_gates_that_so_few_cannot_decide_are_named_with_a_length_that_could():
    gates = [
        parse_gate(text)
        for text in (
            "p99(first_audio_latency) < 1 s", "p95(first_audio_latency) < 1 s",
            "p95(connect_time) < 1 s", "count(turns) > 5",
        )
    ]  # fmt: skip
    found = lacking(gates, Forecast(75, 40))
    assert [(lack.gate.figure, lack.needs, lack.of) for lack in found] == [
        ("p99(first_audio_latency)", 299, "turn"), ("p95(connect_time)", 59, "session"),
    ]  # fmt: skip
    assert found[0].times == pytest.approx(1.25 * 299 / 75)
    # The turns of a few sessions resemble each other, and nobody knows how much.
    few = lacking(gates[1:2], Forecast(75, 3))
    assert [lack.gate.figure for lack in few] == ["p95(first_audio_latency)"]


def test_foreseeing_loads_no_pandas():
    """The start of a run waits for nothing."""
    code = (
        "import sys, bench.cli.run_scenario; print(sorted({'pandas', 'scipy'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
