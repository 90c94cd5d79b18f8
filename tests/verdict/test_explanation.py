"""`--explain`: each gate's sentence says what decided and what would change it."""

import pytest

from bench.plan.gates import parse_gate
from bench.verdict.explanation import explain, explained
from bench.verdict.gate_result import rule_gate
from bench.verdict.sample_size import Ran

GATE = "p95(first_audio_latency) < 800 ms"


def row(value, low=None, high=None, n=400, effective=None):
    return {"value": value, "low": low, "high": high, "n": n, "effective": effective}


def told(text, found, *, sessions=100, accepted=None, least=10, **more):
    """The sentence on a gate that finds that row, in 100 s in which so many sessions ended."""
    gate = parse_gate(text)
    key = (gate.metric, gate.statistic)
    rows = {(gate.metric, "min"): row(least), (gate.metric, "max"): row(9999), key: found}
    base = {} if accepted is None else {key: row(accepted)}
    ran = Ran(100, 0, 0, sessions, found["n"], 4) if sessions else None
    entry = rule_gate(gate, rows, base, "none was given", ran)._asdict() | more
    return explain(entry)


def test_a_pass_says_that_the_whole_interval_is_within_and_by_how_much():
    assert told(GATE, row(642, 610, 688)) == (
        "It passes: p95(first_audio_latency) is 642 ms, at 95 % between 610 ms and 688 ms, of 400 "
        "samples; value and whole interval are on the right side of the limit of 800 ms, with "
        "112 ms to spare."
    )


def test_a_failure_says_that_a_longer_run_would_not_change_it():
    sentence = told(GATE, row(912, 901, 940))
    assert sentence.startswith("It fails: p95(first_audio_latency) is 912 ms, at 95 % between 901")
    assert sentence.endswith(
        "value and whole interval are on the wrong side of the limit of 800 ms: another target "
        "would change that, a longer run would not."
    )


def test_an_interval_that_reaches_over_says_about_how_many_sessions_would_settle_it():
    # reach 90, gap 60: (90 / 60)² - 1 = 1.25 times as many again.
    sentence = told(GATE, row(740, 690, 830))
    assert sentence.startswith("It stays open: ")
    assert sentence.endswith(
        "the value is on the right side of the limit of 800 ms but its interval reaches over it: "
        "it takes about 125 more sessions like these: --duration 11m should decide it."
    )
    beyond = told(GATE, row(830, 785, 900))  # (45 / 30)²
    assert "the value is on the wrong side of the limit" in beyond
    assert "about 125 more sessions" in beyond


def test_sessions_are_reckoned_by_what_those_of_the_run_gave():
    assert "about 25 more sessions" in told(GATE, row(740, 690, 830), sessions=20)
    alone = told("p95(session_ready_time) < 800 ms", row(740, 690, 830, n=80), sessions=100)
    assert "about 100 more sessions" in alone
    assert "about 500 more turns." in told(GATE, row(740, 690, 830), sessions=0)


@pytest.mark.parametrize("found", [row(799.9, 700, 900), row(800, 790, 810), row(700, 650, None)])
def test_where_no_number_would_be_honest_none_is_given(found):
    assert told(GATE, found).endswith("it takes more sessions than can be told from these.")


def test_too_few_samples_say_how_many_a_quantile_needs():
    assert told(GATE, row(300, 290, 310, n=40), sessions=10).endswith(
        "; a p95 needs 59 to be told from the limit of 800 ms: it takes about 5 more "
        "sessions like these: --duration 185s should decide it."
    )


def test_samples_that_are_worth_fewer_count_for_fewer():
    sentence = told(GATE, row(300, 290, None, n=100, effective=40), sessions=10)
    assert "of 100 samples (40 effective); a p95 needs 59" in sentence
    # 19 more are wanted, and a session of this run is worth 4 of them.
    assert "it takes about 5 more sessions like these" in sentence


def test_a_few_samples_that_all_fail_say_so():
    sentence = told(GATE, row(900, 890, 910, n=5), least=850)
    assert (
        "too little to go by an interval, but every sample is on the wrong side of the limit"
        in sentence
    )


def test_a_single_session_is_told_that_it_is_alone():
    assert "turns of a single session resemble each other" in told(GATE, row(300), sessions=1)


def test_a_share_is_told_by_its_own_exact_interval():
    # 736 unblemished turns show 99.5 %: 636 more, four a session.
    sentence = told("share(answered) >= 99.5 %", row(100, 96.4, 100, n=100), sessions=25)
    assert sentence.endswith(
        "it takes about 159 more sessions like these: --duration 16m should decide it."
    )


def test_no_data_never_passes_and_says_so():
    assert told("p95(barge_in_silence) < 900 ms", row(None, n=0)) == (
        "It stays open: p95(barge_in_silence) has no sample, and no data never passes; it takes a "
        "run in which what barge_in_silence measures happens."
    )


def test_a_gate_without_its_baseline_asks_for_one():
    text = "p50(first_audio_latency) <= baseline + 10 %"
    assert told(text, row(700, 690, 710)).endswith(
        "but the baseline gives no limit (none was given); it takes a --baseline with a value of "
        "p50(first_audio_latency)."
    )
    assert "right side of the limit of 880 ms" in told(text, row(700, 690, 710), accepted=800)


@pytest.mark.parametrize(
    ("text", "found", "words"),
    [
        ("count(errors) <= 0", row(3, n=5), "It fails: count(errors) is 3 of 5 samples; it is"),
        ("count(errors) <= 0", row(0, n=5), "alone, which is on the right side of the limit of 0."),
        (
            "max(first_audio_latency) < 3 s",
            row(None, n=5),
            "is unknown (too many turns were never answered) of 5 samples",
        ),
        ("rate(turns) >= 2 /s", row(2.5, n=5), "rate(turns) is 2.5/s of 5 samples"),
    ],
)
def test_counts_and_extremes_are_said_to_be_judged_by_value(text, found, words):
    assert words in told(text, found)


def test_a_gate_that_the_run_was_ended_for_tells_that_and_what_all_of_it_was():
    ended = "p95(first_audio_latency) is 900 ms, from 40 s to 50 s of the run"
    assert told(GATE, row(642, 610, 688), verdict="fail", ended=ended) == (
        f"It fails: during the run {ended}; over all that was measured p95(first_audio_latency) is "
        "642 ms, at 95 % between 610 ms and 688 ms, of 400 samples."
    )


def test_a_gate_that_this_version_cannot_read_is_told_by_its_reason():
    assert explain({"gate": "p42(x) < 1", "reason": "it held"}) == "it held"


def test_explaining_a_verdict_changes_nothing_else_of_it():
    entry = rule_gate(parse_gate("count(errors) <= 0"), {}, {}, "")._asdict()
    verdict = {"verdict": "inconclusive", "gates": [entry], "validity": []}
    with_words = explained(verdict)
    (told_of,) = with_words["gates"]
    assert told_of.pop("explain").startswith("It stays open: ")
    assert with_words == verdict


def test_of_an_invalid_run_it_is_said_that_nothing_of_it_gates():
    entry = rule_gate(parse_gate("count(errors) <= 0"), {}, {}, "")._asdict()
    (found,) = explained({"verdict": "invalid", "gates": [entry]})["gates"]
    assert found["explain"].endswith(". The run is invalid, so this gates nothing.")
