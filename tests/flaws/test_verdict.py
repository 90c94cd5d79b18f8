"""What may be concluded: flaws F16, F22, F23, F26."""

import json
import shutil
import tomllib
from itertools import chain
from pathlib import Path
from unittest import mock

import pytest

from bench.analysis import validity
from bench.analysis.pipeline import analyse
from bench.compare.comparability import facts_of
from bench.errors import UsageError
from bench.plan.gates import parse_gate
from bench.plan.metrics import METRICS, VERSION
from bench.verdict.gate_result import rule_gate
from bench.verdict.verdict import EXIT_CODES, judge_run
from bench.voice.audio import ms
from tests.analysis.story import Answer, Story, analysed, conversation, steady, write_run
from tests.flaws.injection import caught, put_in
from tests.flaws.stage import Lagging, judged, world_of
from tests.world import voice

RULES = "bench.analysis.validity.RULES"
SCENARIOS = Path(__file__).parents[2] / "scenarios"


def without(*names):
    """The rules of validity but these."""
    return {name: rule for name, rule in validity.RULES.items() if name not in names}


def test_a_generator_that_was_late_makes_no_server_slow(fresh):
    """F16: 290 ms of lateness are in every latency, and the run says that they are its own."""
    lines = (voice("one", 130, 1200), voice("two", 90, 800))
    runs = {}
    for late in (0, 290):
        world = world_of(up=7, down=11)
        for number in range(8):
            call = world.call("turn_taking", (lines,), start_ns=ms(130 * number))
            call.caller = Lagging(call.caller, ms(late))
        runs[late] = world.run().seal(fresh() / "run").path
        analyse(runs[late])

    def check():
        prompt, _ = judged(runs[0], "p50(first_audio_latency) < 990 ms")
        assert prompt["verdict"] == "pass"
        verdict, broken = judged(runs[290], "p50(first_audio_latency) < 990 ms")
        more = verdict["gates"][0]["value"] - prompt["gates"][0]["value"]
        assert broken == ["send_lateness"], (
            f"{more:.0f} ms more, and the verdict on the server is {verdict['verdict']!r}"
        )
        assert EXIT_CODES[verdict["verdict"]] == 3

    flaw = put_in(RULES, without("send_lateness"))
    caught(check, flaw, "290 ms more, and the verdict on the server is 'fail'")


def with_figures(folder, version, p50):
    """The summary in `folder` as it would be by that version of the definitions."""
    path = folder / "summary.json"
    document = json.loads(path.read_text())
    for row in document["rows"]:
        if (row["metric"], row["statistic"]) == ("first_audio_latency", "p50"):
            row.update(value=p50, low=p50, high=p50)
    path.write_text(json.dumps({**document, "metric_version": version}))
    return path


def of_this_version(run, summary, verdict):
    """F22: nobody asks by which definitions a baseline was made."""
    return {**facts_of(run, summary, verdict), "metric_version": VERSION}


def test_figures_of_another_definition_are_no_baseline(fresh):
    """F22: 84 ms by the old definition, 392 ms by the new, and the server is the same."""
    gate = parse_gate("p50(first_audio_latency) <= baseline + 10 %")
    run = fresh()
    analysed(run, *[conversation(number, 2) for number in range(6)])
    old = shutil.copytree(run, fresh() / "old")
    with_figures(old, VERSION - 1, 84)
    with_figures(run, VERSION, 392)

    def ruled():
        try:
            return judge_run(run, [gate], old)
        except UsageError as refused:
            return str(refused)

    def check():
        found = ruled()
        assert isinstance(found, str), f"{found['verdict']}: {found['reasons'][0]}"
        assert f"the version of metric definitions: {VERSION} and {VERSION - 1}" in found

    words = r"fail: p50\(first_audio_latency\) is 392 ms .*\(baseline 84 ms \+ 10 %\)"
    caught(check, put_in("bench.compare.baseline.facts_of", of_this_version), words)


MEANS = (4, {
    "voice_to_voice_latency": ("said", "heard"),
    "first_audio_latency": ("said", "first_audio"),
    "speech_start_delay": ("speech_onset", "speech_started"),
    "endpointing_delay": ("speech_offset", "speech_stopped"),
    "vad_lag": ("stop_sample_sent", "speech_stopped"),
    "commit_delay": ("turn_closed", "committed"),
    "response_start_delay": ("answer_asked", "response_created"),
    "generation_delay": ("response_created", "first_audio"),
    "response_latency": ("turn_closed", "first_audio"),
    "transcription_delay": ("said", "transcribed"),
    "barge_in_detection": ("speech_onset", "speech_started"),
    "barge_in_silence": ("speech_onset", "agent_silent"),
    "cancel_delay": ("cancel_sent", "cancelled"),
    "tool_call_latency": ("said", "call_done"),
    "connect_time": ("started", "upgraded"),
    "arrival_lateness": ("scheduled", "started"),
})  # fmt: skip
"""The version of the definitions that this file knows, and what its figures are in it."""


def test_no_definition_changes_without_its_version():
    """F22: put in is a latency that starts elsewhere, under the version of before."""

    def check():
        version, means = MEANS
        now = {name: (METRICS[name].start, METRICS[name].end) for name in means}
        changed = sorted(name for name in means if now[name] != means[name])
        if version == VERSION:
            assert not changed, f"raise VERSION: {changed} is not what it was in {version}"

    moved = METRICS["first_audio_latency"]._replace(start="turn_closed")
    flaw = mock.patch.dict(METRICS, first_audio_latency=moved)
    caught(check, flaw, r"raise VERSION: \['first_audio_latency'\] is not what it was")


def test_a_gate_on_eight_sessions_is_never_passed_by_one(fresh):
    """F23: with eight callers the server is 41 % slower; a run that held one cannot say so."""
    gate = "p50(first_audio_latency) < 1000 ms"
    eight = [conversation(n, 3, Answer(deltas=(650, 675, 700))) for n in range(8)]
    whole = write_run(fresh(), *eight, plan={"sessions": 8}, health=steady(1, 13, 8))
    one_by_one = [conversation(n, 1, opens=1000 + 4000 * n) for n in range(8)]
    health = steady(1, 30, 8, sessions_open=1)
    alone = write_run(fresh(), *one_by_one, plan={"sessions": 8}, health=health)
    for folder in (whole, alone):
        analyse(folder)

    def check():
        among, _ = judged(whole, gate)
        verdict, broken = judged(alone, gate)
        assert among["verdict"] == "fail"
        assert broken == ["sessions"], f"one caller at a time, and eight {verdict['verdict']}"
        [held] = [rule["text"] for rule in among["validity"] if rule["rule"] == "sessions"]
        assert held.startswith("8.0 of 8 sessions were ready")

    caught(check, put_in(RULES, without("sessions")), "one caller at a time, and eight pass")


LOADS = {path.name: tomllib.loads(path.read_text()) for path in sorted(SCENARIOS.glob("*.toml"))}


def test_no_shipped_scenario_judges_the_latency_of_an_answer_by_fewer_than_eight_callers():
    """F23: a loss of 27 to 41 % shows from eight sessions on; put in is a demo for one."""

    def check():
        few = sorted({
            name
            for name, scenario in LOADS.items()
            if scenario["load"].get("sessions", 8) < 8
            for gate in chain.from_iterable(scenario["gates"].values())
            if METRICS[parse_gate(gate).metric].of == "turn" and " ms" in gate
        })  # fmt: skip
        assert not few, f"few callers judge a latency in {few}"

    alone = {**LOADS["demo.toml"], "load": {"sessions": 1}}
    flaw = mock.patch.dict(LOADS, {"demo.toml": alone})
    caught(check, flaw, r"few callers judge a latency in \['demo\.toml'\]")


def nothing_is_enough(gate, *facts):
    """F26: what has no sample breaks no limit."""
    found = RULE(gate, *facts)
    return found if found.n else found._replace(verdict="pass")


RULE = rule_gate


@pytest.mark.parametrize(
    "gate", ["p95(barge_in_silence) < 900 ms", "share(yielded) > 50 %", "p50(text_rate) > 1 /s"]
)
def test_a_gate_without_a_sample_passes_nothing(fresh, gate):
    """F26: put in is a judge for whom no sample breaks no limit."""
    folder = fresh()
    analysed(folder, *[conversation(number, 2) for number in range(3)])

    def check():
        verdict, _ = judged(folder, gate)
        assert verdict["verdict"] == "inconclusive", f"nothing was measured: {verdict['verdict']}"
        assert verdict["reasons"][0].endswith("has no data")
        assert EXIT_CODES[verdict["verdict"]] == 4

    flaw = put_in("bench.verdict.verdict.rule_gate", nothing_is_enough)
    caught(check, flaw, "nothing was measured: pass")


def test_a_run_without_a_turn_passes_nothing(fresh):
    """F26: put in is a judge who counts no turns."""
    folder = fresh()
    analysed(folder, Story().begin().microphone().end(500))

    def check():
        verdict, _ = judged(folder)
        assert verdict["verdict"] == "inconclusive", f"no turn, and a verdict: {verdict['verdict']}"

    caught(check, put_in("bench.verdict.verdict._unmeasured", lambda _: ""), "no turn, and .* pass")
