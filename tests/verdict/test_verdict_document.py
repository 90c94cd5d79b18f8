"""Gates, verdicts, exit codes, junit: no data never passes, and neither do too few."""

import json
import shutil

import pytest
from junitparser import JUnitXml

from bench.analysis.pipeline import analyse
from bench.errors import RunFolderError, UsageError
from bench.plan.gates import parse_gate
from bench.plan.metrics import VERSION
from bench.runs.folder import RunFolder
from bench.verdict.gate_result import rule_gate
from bench.verdict.sample_size import Ran
from bench.verdict.verdict import EXIT_CODES, judge_run
from tests.analysis.story import Answer, Story, conversation, write_run


def row(value, low=None, high=None, n=1000, effective=None):
    return {"value": value, "low": low, "high": high, "n": n, "effective": effective}


def rule(text, found, **others):
    gate = parse_gate(text)
    rows = {(gate.metric, gate.statistic): found}
    rows |= {(gate.metric, name): other for name, other in others.items()}
    return rule_gate(gate, rows, {}, "none was given")


GATE = "p95(first_audio_latency) < 800 ms"


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (row(700, 650, 799), "pass"),
        (row(790, 650, 800), "inconclusive"),
        (row(810, 790, 830), "inconclusive"),
        (row(900, 850, 950), "fail"),
        (row(None, 850, None), "fail"),
        (row(None, 700, None), "inconclusive"),
        (row(None, None, None), "fail"),
        (row(700, 650, None), "inconclusive"),
        (row(None, n=0), "inconclusive"),
    ],
)
def test_a_gate_holds_where_the_whole_interval_does(found, verdict):
    assert rule(GATE, found, min=row(10)).verdict == verdict


def test_the_sentence_says_by_how_much():
    assert rule(GATE, row(812, 801, 840)).reason == (
        "p95(first_audio_latency) is 812 ms [801, 840], 12 ms over the limit of 800 ms"
    )
    assert rule(GATE, row(642.25, 610, 688)).reason == (
        "p95(first_audio_latency) is 642 ms [610, 688], 158 ms under the limit of 800 ms"
    )
    assert rule("share(answered) >= 99 %", row(97, 95, 98.5)).reason == (
        "share(answered) is 97 % [95, 98.5], 2 points under the limit of 99 %"
    )
    assert rule(GATE, row(None, 900, None)).reason == (
        "p95(first_audio_latency) is unknown [900, …]: "
        "too many turns were never answered (limit of 800 ms)"
    )
    assert rule(GATE, {**row(None, 900, None), "longest": 10_000.0}).reason == (
        "p95(first_audio_latency) is > 10000 ms [900, …]: "
        "too many turns were never answered (limit of 800 ms)"
    )


def test_a_tiny_sample_is_never_called_p95_and_says_what_it_lacks():
    """Flaw F20."""
    found = rule(GATE, row(300, 290, 310, n=58), min=row(250))
    assert found.verdict == "inconclusive"
    assert found.reason.endswith(
        "too few samples: 58 measured, 59 needed; it takes about 1 more turn"
    )
    assert rule(GATE, row(300, 290, 310, n=59), min=row(250)).verdict == "pass"


def test_a_gate_is_judged_by_what_its_samples_are_worth_and_not_by_their_number():
    few = rule(GATE, row(300, 290, 310, n=400, effective=58), min=row(250))
    assert (few.verdict, few.effective) == ("inconclusive", 58)
    assert "; too few samples: 400 measured (58 effective), 59 needed; it takes about" in few.reason
    assert rule(GATE, row(300, 290, 310, n=400, effective=59), min=row(250)).verdict == "pass"
    # Forty turns of three sessions that are all too slow may be three slow callers.
    median = "p50(first_audio_latency) < 800 ms"
    slow = row(900, 890, 910, n=40, effective=3)
    assert rule(median, slow, min=row(850)).verdict == "inconclusive"
    assert rule(median, slow | {"effective": 5}, min=row(850)).verdict == "fail"


def test_a_mean_of_few_sessions_is_no_mean():
    text = "mean(first_audio_latency) < 800 ms"
    few = rule(text, row(300, 290, 310, n=40, effective=4), min=row(250))
    assert few.verdict == "inconclusive"
    assert "too few samples: 40 measured (4 effective), 5 needed" in few.reason
    assert rule(text, row(300, 290, 310, n=40, effective=5), min=row(250)).verdict == "pass"
    assert rule(text, row(900, n=40, effective=1), min=row(850)).verdict == "inconclusive"


def test_callers_who_gave_up_sooner_leave_the_least_wait_open():
    text = "min(first_audio_latency) > 4 s"
    assert rule(text, row(None, 1000, None)).verdict == "inconclusive"
    assert rule(text, row(5000, 1000, 5000)).verdict == "inconclusive"
    assert rule(text, row(5000)).verdict == "pass"
    # Nor is each of five beyond the limit where one of them waited less than that, in vain.
    waited = row(900, 700, 950, n=5)
    assert rule(GATE, waited, min=row(850, 700, 850)).verdict == "inconclusive"
    assert rule(GATE, waited, min=row(850)).verdict == "fail"


RAN = Ran(10, 2, 4, 8, 100, 12)


@pytest.mark.parametrize(
    ("text", "found", "words"),
    [
        ("share(answered) >= 100 %", row(100, 96, 100), "another limit: no number of samples"),
        ("p99(hub_lag) < 1 ms", row(0.5, 0.4, 2), "it takes a longer run: --duration"),
        (
            "p50(first_audio_latency{session=3}) < 800 ms",
            row(700, 600, 900),
            "more than one session",
        ),
        (GATE, row(700, 600, None, n=100, effective=4), "it takes about 2 more sessions"),
    ],
)
def test_advice_can_be_followed(text, found, words):
    gate = parse_gate(text)
    ruling = rule_gate(gate, {(gate.metric, gate.statistic): found,
                              (gate.metric, "min"): row(1)}, {}, "", RAN)  # fmt: skip
    assert ruling.verdict == "inconclusive"
    assert words in ruling.reason


def test_a_tiny_sample_fails_where_every_one_of_it_does_and_that_is_no_chance():
    assert rule(GATE, row(900, 890, 910, n=5), min=row(850)).verdict == "fail"
    assert rule(GATE, row(900, 890, 910, n=5), min=row(790)).verdict == "inconclusive"
    median = "p50(first_audio_latency) < 800 ms"
    assert rule(median, row(900, 890, 910, n=4), min=row(850)).verdict == "inconclusive"


def test_a_single_session_passes_nothing_and_fails_where_all_of_it_fails():
    found = rule(GATE, row(300, n=500), min=row(250))
    assert (found.verdict, found.advice) == ("inconclusive", "5 sessions or more")
    assert rule(GATE, row(900, n=500), min=row(850)).verdict == "fail"


def test_a_share_that_cannot_be_shown_yet_says_how_many_turns_it_needs():
    found = rule("share(answered) >= 99.5 %", row(100, 96.4, 100, n=100))
    assert found.verdict == "inconclusive"
    assert found.reason.endswith("it takes about 636 more turns")  # 736: ln 0.025 / ln 0.995


@pytest.mark.parametrize(
    ("text", "found", "verdict"),
    [
        ("count(errors) <= 0", row(0, n=5), "pass"),
        ("count(errors) <= 0", row(1, n=5), "fail"),
        ("count(errors) <= 0", row(0, n=0), "inconclusive"),
        ("max(first_audio_latency) < 3 s", row(2900, n=5), "pass"),
        ("max(first_audio_latency) < 3 s", row(None, n=5), "fail"),
        ("rate(turns) >= 2 /s", row(2.5, n=5), "pass"),
        ("rate(turns) >= 2 /s", row(None, n=5), "inconclusive"),
    ],
)
def test_counts_and_extremes_are_judged_by_value_and_no_turns_pass_nothing(text, found, verdict):
    assert rule(text, found).verdict == verdict


@pytest.fixture(scope="module")
def analysed_once(tmp_path_factory):
    """80 answered turns of 20 sessions, all 850 ms."""
    folder = write_run(tmp_path_factory.mktemp("run"), *[conversation(n, 4) for n in range(20)])
    analyse(folder)
    return folder


@pytest.fixture
def run(analysed_once, tmp_path):
    """A copy of it that a test may spoil."""
    return shutil.copytree(analysed_once, tmp_path / "run")


def judge(folder, *texts, baseline=None):
    return judge_run(folder, [parse_gate(text) for text in texts], baseline)


def test_a_passing_gate_passes_the_run(run):
    verdict = judge(run, "p95(first_audio_latency) < 900 ms", "share(answered) >= 90 %")
    assert verdict["verdict"] == "pass"
    assert verdict["reasons"] == ["all 2 gates hold"]
    assert json.loads((run / "verdict.json").read_text()) == verdict


def test_a_failed_gate_fails_the_run_and_says_which_by_how_much(run):
    verdict = judge(run, "p95(first_audio_latency) < 1 ms", "share(answered) >= 95 %")
    assert verdict["verdict"] == "fail"
    assert verdict["reasons"] == [
        "p95(first_audio_latency) is 850 ms [850, 850], 849 ms over the limit of 1 ms"
    ]


def test_the_worst_word_is_the_runs(run):
    fails, open_ = "p50(first_audio_latency) < 1 ms", "p99(first_audio_latency) < 900 ms"
    assert judge(run, open_)["verdict"] == "inconclusive"
    assert judge(run, open_, fails)["verdict"] == "fail"
    text = (run / "run.json").read_text().replace('"drained":[0]', '"drained":[]')
    (run / "run.json").write_text(text)
    verdict = judge(run, open_, fails)
    assert verdict["verdict"] == "invalid"
    assert verdict["gates"][1]["verdict"] == "fail"


def test_no_gates_pass_but_no_turns_do_not(run, tmp_path):
    assert judge(run)["reasons"] == ["no gates were asked for"]
    empty = write_run(tmp_path / "empty", Story().begin().microphone().end(500))
    analyse(empty)
    verdict = judge(empty)
    assert verdict["verdict"] == "inconclusive"
    assert verdict["reasons"] == ["no turn was measured"]


@pytest.mark.parametrize(
    "text",
    ["p95(barge_in_silence) < 900 ms", "share(yielded) > 50 %", "mean(first_text_latency) < 1 s"],
)
def test_a_gate_with_no_samples_never_passes(run, text):
    """Flaw F26."""
    verdict = judge(run, text)
    assert verdict["verdict"] == "inconclusive"
    assert verdict["reasons"][0].endswith("has no data")


def test_a_baseline_gives_the_limit(run, tmp_path):
    slower = write_run(
        tmp_path / "slower", *[conversation(n, 4, Answer(deltas=(400,))) for n in range(20)]
    )
    analyse(slower)
    gate = "p50(first_audio_latency) <= baseline + 10 %"
    assert judge(slower, gate, baseline=run / "summary.json")["verdict"] == "fail"
    verdict = judge(slower, gate, baseline=run)
    assert verdict["reasons"][0].endswith("15 ms over the limit of 935 ms (baseline 850 ms + 10 %)")
    assert judge(run, gate, baseline=slower)["verdict"] == "pass"


def test_without_a_baseline_its_gates_are_inconclusive(run, tmp_path):
    gate = "p50(first_audio_latency) <= baseline + 10 %"
    assert judge(run, gate)["reasons"][0].endswith("none was given")
    # One that was asked for and is not there is a mistake; one that the run once had is not.
    with pytest.raises(RunFolderError, match=r"gone\.json: no such file"):
        judge(run, gate, baseline=tmp_path / "gone.json")
    RunFolder(run).update(baseline=str(tmp_path / "gone.json"))
    missing = judge(run, gate)
    assert missing["verdict"] == "inconclusive"
    assert "gone.json: no such file" in missing["reasons"][0]


def test_a_baseline_of_other_definitions_is_refused(run, tmp_path):
    """Flaw F22."""
    other = json.loads((run / "summary.json").read_text())
    (tmp_path / "old.json").write_text(json.dumps({**other, "metric_version": 0}))
    with pytest.raises(UsageError, match=rf"old\.json: .* version 0, not {VERSION}"):
        judge(run, "p50(first_audio_latency) < 1 s", baseline=tmp_path / "old.json")
    old = shutil.copytree(run, tmp_path / "old")
    (old / "summary.json").write_text(json.dumps({**other, "metric_version": 0}))
    with pytest.raises(UsageError, match=f"the version of metric definitions: {VERSION} and 0"):
        judge(run, "p50(first_audio_latency) < 1 s", baseline=old)


AGAINST = "p50(first_audio_latency) <= baseline + 10 %"


@pytest.fixture
def narrower(run, tmp_path):
    """The same run as it would be of fewer callers in larger chunks."""
    place = RunFolder(shutil.copytree(run, tmp_path / "narrower"))
    scenario = place.read().get("scenario") or {}
    effective = {"chunk_ms": 200, "load": {"sessions": 3}}
    place.update(scenario={**scenario, "effective": effective})
    RunFolder(run).update(
        scenario={**scenario, "effective": {"chunk_ms": 100, "load": {"sessions": 20}}}
    )
    return place.path


@pytest.mark.parametrize("name", ["", "summary.json"])
def test_a_baseline_of_another_kind_of_run_is_refused_and_what_differs_is_named(
    run, narrower, name
):
    with pytest.raises(UsageError) as refused:
        judge(run, AGAINST, baseline=narrower / name)
    text = str(refused.value)
    assert f"--baseline {narrower / name}: does not match this run" in text
    assert "this run and narrower differ in the chunk size in ms: 100 and 200" in text
    assert "this run and narrower differ in concurrency: 20 sessions and 3 sessions" in text
    assert "--allow" in text
    assert "\n" not in text


def test_an_unlike_baseline_that_was_allowed_is_said_in_the_verdict(run, narrower):
    verdict = judge_run(run, [parse_gate(AGAINST)], narrower, allow=True)
    assert verdict["verdict"] == "pass"
    assert any("20 sessions and 3 sessions" in remark for remark in verdict["remarks"])
    RunFolder(run).update(baseline=str(narrower), baseline_allowed=True)
    assert judge(run, AGAINST) == verdict
    RunFolder(run).update(baseline_allowed=False)
    assert judge(run, AGAINST)["verdict"] == "inconclusive"  # a run is judged again years later
    with pytest.raises(UsageError, match="does not match this run"):
        judge(run, AGAINST, baseline=narrower)


@pytest.mark.parametrize(
    ("verdict", "interrupted", "words"),
    [
        ({"verdict": "invalid", "reasons": ["hub lag"]}, False, r"old is invalid \(hub lag\)"),
        ({"verdict": "pass", "reasons": []}, True, "old was interrupted"),
    ],
)
def test_a_run_that_is_no_evidence_is_no_baseline(run, tmp_path, verdict, interrupted, words):
    old = RunFolder(shutil.copytree(run, tmp_path / "old"))
    old.verdict.write_text(json.dumps(verdict))
    old.update(interrupted=interrupted)
    with pytest.raises(UsageError, match=words):
        judge(run, AGAINST, baseline=old.path)
    # What became of the run that is judged is no reason not to judge it.
    assert judge(old.path, AGAINST, baseline=run)["verdict"] in {"pass", "invalid"}


def test_a_summary_alone_does_not_say_what_was_run(run, tmp_path):
    shutil.copy(run / "summary.json", tmp_path / "alone.json")
    with pytest.raises(UsageError, match=r"alone\.json does not say what was run .*--allow"):
        judge(run, AGAINST, baseline=tmp_path / "alone.json")
    verdict = judge_run(run, [parse_gate(AGAINST)], tmp_path / "alone.json", allow=True)
    assert verdict["verdict"] == "pass"
    assert any("does not say what was run" in remark for remark in verdict["remarks"])


def test_good_turns_by_other_gates_give_no_limit(run, tmp_path):
    old = RunFolder(shutil.copytree(run, tmp_path / "old"))
    old.update(gates=["p95(first_audio_latency) < 800 ms"])
    gate = "share(good_turns) >= baseline - 5 %"
    assert judge(run, gate, baseline=old.path)["verdict"] == "inconclusive"
    assert judge(run, gate, baseline=run)["gates"][0]["limit"] == 95


@pytest.mark.parametrize("version", [{"metric_version": 1}, {}])
def test_figures_of_other_definitions_are_not_judged_before_they_are_made_anew(run, version):
    document = json.loads((run / "summary.json").read_text())
    document.pop("metric_version")
    (run / "summary.json").write_text(json.dumps({**document, **version}))
    with pytest.raises(RunFolderError, match=rf"^run: .* run 'bench report {run}' on it first"):
        judge(run, "p50(first_audio_latency) < 1 s")


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', '{"rows": []}'])
def test_what_is_no_summary_is_refused_as_a_baseline(run, tmp_path, text):
    (tmp_path / "no.json").write_text(text)
    with pytest.raises(RunFolderError, match=r"no\.json: is no summary .*give a run folder"):
        judge(run, baseline=tmp_path / "no.json")


def test_a_run_that_was_not_analysed_says_so(tmp_path):
    folder = write_run(tmp_path, conversation(0, 1))
    with pytest.raises(RunFolderError, match=r"summary\.json: no such file; analyse"):
        judge(folder)


def test_good_turns_are_judged_by_the_gates_that_judge(run):
    strict = ("p95(first_audio_latency) < 850 ms", "share(good_turns) >= 50 %")
    assert [gate["value"] for gate in judge(run, *strict)["gates"]] == [850, 0]
    assert [gate["value"] for gate in judge(run, strict[1])["gates"]] == [100]


@pytest.mark.parametrize(
    ("statistic", "good"),
    [("p50", 100), ("mean", 100), ("min", 100), ("p90", 0), ("p99.9", 0), ("max", 0)],
)
def test_what_is_asked_of_the_median_binds_no_single_turn(run, statistic, good):
    gates = (f"{statistic}(first_audio_latency) < 850 ms", "share(good_turns) >= 50 %")
    assert judge(run, *gates)["gates"][1]["value"] == good


def test_exit_codes_are_the_contracts():
    assert EXIT_CODES == {"pass": 0, "fail": 1, "invalid": 3, "inconclusive": 4}


def test_junit_shows_nothing_green_that_did_not_pass(run):
    judge(
        run, "p50(first_audio_latency) < 900 ms", "p50(first_audio_latency) < 1 ms",
        "p99(first_audio_latency) < 900 ms",
    )  # fmt: skip
    gates, validity = JUnitXml.fromfile(str(run / "junit.xml"))
    assert (gates.tests, gates.failures, gates.errors) == (3, 1, 1)
    assert validity.errors == 0
    assert validity.tests >= 9


def test_junit_of_an_invalid_run_skips_its_gates(run):
    text = (run / "run.json").read_text().replace('"drained":[0]', '"drained":[]')
    (run / "run.json").write_text(text)
    judge(run, "p50(first_audio_latency) < 1 ms")
    gates, validity = JUnitXml.fromfile(str(run / "junit.xml"))
    assert (gates.skipped, gates.failures, validity.errors) == (1, 0, 1)


def test_junit_of_a_run_that_measured_nothing_is_not_green(tmp_path):
    empty = write_run(tmp_path, Story().begin().microphone().end(500))
    analyse(empty)
    judge(empty)
    gates, _ = JUnitXml.fromfile(str(empty / "junit.xml"))
    assert (gates.tests, gates.errors) == (1, 1)
