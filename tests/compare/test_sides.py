"""What a comparison says of runs whose difference is known."""

import json

import numpy as np
import pytest

from bench.compare.comparability import facts_of
from bench.compare.conclusion import EXIT_CODES, Margin, _percent
from bench.compare.run_sample import ShareSample, SummaryFigure, WaitSample
from bench.compare.sides import Side, compare
from bench.errors import UsageError
from bench.plan.metrics import VERSION
from bench.report.text import chance_of, detectable_of, lacking
from tests.compare.chance import FACTS, STAGES, World, made, side

WAIT = "voice_to_voice_latency"
SMALL = World(sessions=40, turns=6)


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def rows_of(found):
    return {(row["metric"], row["statistic"]): row for row in found["rows"]}


def quick(a, b, **options):
    return compare(a, b, resamples=100, **options)


def test_two_sides_of_the_same_raise_no_alarm(rng):
    """Ten comparisons: at five in a hundred, two alarms are the most that chance explains."""
    verdicts = [quick(side(rng, world=SMALL), side(rng, world=SMALL))["verdict"] for _ in range(10)]
    assert sum(word in {"regressed", "improved"} for word in verdicts) <= 2


def test_a_slower_model_is_regressed_and_generation_carries_it(rng):
    found = quick(side(rng, slower={"generation": 1.25}), side(rng))
    assert found["verdict"] == "regressed"
    assert EXIT_CODES[found["verdict"]] == 1
    row = rows_of(found)["response_latency", "p50"]
    assert row["verdict"] == "regressed"
    assert row["low"] < row["difference"] < row["high"]
    assert 1.1 < row["ratio"] < 1.35
    stages = {entry["stage"]: entry for entry in found["attribution"]}
    assert max(STAGES, key=lambda name: stages[name]["difference"]) == "generation"
    assert 80 < stages["generation"]["share"] < 120


def test_a_faster_model_is_improved_and_passes(rng):
    found = quick(side(rng, slower={"generation": 0.7}), side(rng))
    assert rows_of(found)["response_latency", "p50"]["verdict"] == "improved"
    assert found["verdict"] != "regressed"


def test_a_longer_silence_shows_in_endpointing_and_nowhere_else(rng):
    found = quick(side(rng, later={"endpointing": 100.0}), side(rng))
    stages = {entry["stage"]: entry for entry in found["attribution"]}
    assert stages["endpointing"]["difference"] == pytest.approx(100, abs=8)
    assert stages["endpointing"]["low"] > 0
    others = [stages[name] for name in STAGES if name != "endpointing"]
    assert all(abs(entry["difference"]) < 15 for entry in others)
    assert rows_of(found)["endpointing_delay", "p50"]["verdict"] == "regressed"
    assert rows_of(found)["response_latency", "p50"]["verdict"] != "regressed"


def test_the_changes_of_the_stages_add_up_to_that_of_the_whole(rng):
    *stages, whole = quick(side(rng, world=SMALL), side(rng, world=SMALL))["attribution"]
    assert whole["stage"] == WAIT
    assert sum(stage["difference"] for stage in stages) == pytest.approx(whole["difference"])


def test_one_percent_is_not_called_and_what_would_have_been_seen_is_said(rng):
    every = dict.fromkeys(STAGES, 1.01)
    found = [quick(side(rng, slower=every, world=SMALL), side(rng, world=SMALL)) for _ in range(5)]
    quiet = [one["verdict"] in {"unchanged", "inconclusive"} for one in found]
    assert sum(quiet) >= 4  # by chance one may be called
    family = [row for one in found for row in one["rows"] if row["family"]]
    assert all(row["smallest_detectable"] > 0 for row in family if row["reason"] == "")


def test_what_is_known_to_be_small_is_unchanged_however_sure_it_is(rng):
    calm = World(sessions=200, turns=10, shift=0.0, likeness=0.01)
    found = quick(
        side(rng, 8, world=calm, slower=dict.fromkeys(STAGES, 1.02)), side(rng, 8, world=calm)
    )
    row = rows_of(found)[WAIT, "p50"]
    assert row["p_holm"] < 0.05
    assert row["verdict"] == "unchanged"
    strict = quick(
        side(rng, 8, world=calm, slower=dict.fromkeys(STAGES, 1.02)),
        side(rng, 8, world=calm),
        margin=Margin(percent=0.5),
    )
    assert rows_of(strict)[WAIT, "p50"]["verdict"] == "regressed"


def test_under_two_ms_nothing_has_changed(rng):
    """Five percent of 5 ms are less than a stamp may be off by."""
    found = quick(side(rng, later={"commit": 0.5}), side(rng))
    assert rows_of(found)["commit_delay", "p50"]["verdict"] == "unchanged"


def test_fewer_answers_are_regressed_and_censored_waits_are_in_the_tail(rng):
    found = quick(side(rng, answered=0.9), side(rng))
    rows = rows_of(found)
    assert rows["answered", "share"]["verdict"] == "regressed"
    assert rows["answered", "share"]["difference"] == pytest.approx(-9, abs=2)
    assert rows[WAIT, "p95"]["a"] is None
    assert rows[WAIT, "p95"]["b"] is not None
    assert rows[WAIT, "p95"]["verdict"] == "regressed"  # five of five runs, and none of the others


def test_a_share_that_is_the_same_in_every_run_is_no_test(rng):
    found = quick(side(rng, answered=1.0), side(rng, answered=1.0))
    row = rows_of(found)["answered", "share"]
    assert row["family"] == ""
    assert row["verdict"] == "unchanged"


def test_nobody_failed_in_twenty_turns_is_no_proof_that_none_will(rng):
    tiny = World(sessions=5, turns=2)
    found = quick(side(rng, 2, world=tiny, answered=1.0), side(rng, 2, world=tiny, answered=1.0))
    assert rows_of(found)["answered", "share"]["verdict"] == "inconclusive"


def test_a_quantile_of_too_few_samples_has_no_verdict(rng):
    tiny = World(sessions=5, turns=2)
    found = quick(side(rng, 2, world=tiny), side(rng, 2, world=tiny))
    row = rows_of(found)[WAIT, "p95"]
    assert (row["verdict"], row["n_a"]) == ("inconclusive", 20)
    assert "too few samples: 20 measured, 59 needed a side" in row["reason"]
    assert found["verdict"] == "inconclusive"
    assert EXIT_CODES["inconclusive"] == 4


def test_what_could_have_seen_nothing_says_so_instead_of_a_change_of_a_thousand_percent(rng):
    def wild(name):
        fast, slow = ({"generation": factor} for factor in (1.0, 9.0))
        return Side(name, tuple(made(rng, world=SMALL, slower=each) for each in (fast, slow)))

    found = quick(wild("a"), wild("b"))
    row = rows_of(found)[WAIT, "p50"]
    assert row["smallest_detectable"] > row["b"]
    assert (detectable_of(row), lacking(row), chance_of(row)) == ("nothing", False, "1")
    assert (row["verdict"], row["reason"]) == (
        "inconclusive",
        "too few runs or sessions to see even a doubling",
    )
    said = next(reason for reason in found["reasons"] if reason.startswith(f"p50({WAIT})"))
    assert "would have seen" not in said
    assert said.endswith("too few runs or sessions to see even a doubling")
    calm = rows_of(quick(side(rng, 2, world=SMALL), side(rng, 2, world=SMALL)))[WAIT, "p50"]
    assert calm["smallest_detectable"] < calm["b"]
    assert (calm["reason"], calm["blind"]) == ("", False)
    assert detectable_of(calm).endswith(" %")


def test_a_share_of_which_no_change_could_be_seen_says_so(rng):
    tiny = World(sessions=3, turns=2)
    a, b = side(rng, 2, world=tiny, answered=0.5), side(rng, 2, world=tiny, answered=0.5)
    row = rows_of(quick(a, b))["answered", "share"]
    assert row["smallest_detectable"] > 100
    assert row["reason"] == "too few runs or sessions to see any change"


def test_a_change_that_rounds_to_nothing_is_not_minus_nothing():
    assert [_percent(ratio) for ratio in (0.9999, 1.0001, 0.98, 1.1)] == [
        "+0.0", "+0.0", "-2.0", "+10.0"
    ]  # fmt: skip


def test_one_run_a_side_says_that_shifts_between_runs_are_unseen(rng):
    found = quick(side(rng, 1), side(rng, 1))
    assert found["runs_seen"] is False
    assert any("one run a side" in remark for remark in found["remarks"])
    assert rows_of(found)[WAIT, "p50"]["run_shift"] is None
    several = quick(side(rng, 1), side(rng, 5))
    assert several["runs_seen"] is True
    assert rows_of(several)[WAIT, "p50"]["run_shift"] is not None


def test_the_same_words_on_both_sides_cancel(rng):
    """A run and itself with a little noise: drawn together the interval is far narrower."""
    one = made(rng, "one", SMALL)
    wait = one.waits[WAIT]
    noisy = WaitSample(wait.values * np.exp(rng.normal(0, 0.01, len(wait.values))), wait.censored)
    same = one._replace(name="same", waits={**one.waits, WAIT: noisy})
    other = same._replace(said=tuple((turn, f"other {word}") for turn, word in one.said))
    paired, apart = (quick(Side("a", (one,)), Side("b", (run,))) for run in (same, other))
    assert paired["replayed"]
    assert not apart["replayed"]
    widths = [
        row["high"] - row["low"] for row in (rows_of(f)[WAIT, "p50"] for f in (paired, apart))
    ]
    assert widths[0] < widths[1] / 4


def test_one_plan_played_five_times_is_not_five_plans(rng):
    """Sessions that one side meets otherwise, in all its runs alike, are one draw."""
    called, rounds, world = 0, 40, World(sessions=20, turns=4)
    for _ in range(rounds):
        base = made(rng, "base", world, answered=1.0)
        values = base.waits[WAIT].values
        otherwise = np.exp(rng.normal(0, 0.2, world.sessions))[base.session]
        sides = []
        for name, factor in (("a", otherwise), ("b", 1.0)):
            noisy = [values * factor * np.exp(rng.normal(0, 0.02, len(values))) for _ in range(5)]
            never = np.zeros(len(values), bool)
            waits = [{WAIT: WaitSample(wait, never)} for wait in noisy]
            runs = [
                base._replace(name=f"{name}{n}", stages={}, waits=one)
                for n, one in enumerate(waits)
            ]
            sides.append(Side(name, tuple(runs)))
        row = rows_of(quick(*sides))[WAIT, "p50"]
        called += row["p"] < 0.05
    assert called <= 7  # of a nominal 2; with the scatter of runs alone it is about 35


def test_only_turns_that_all_runs_came_to_are_compared_where_a_plan_is_replayed(rng):
    whole = made(rng, "whole", SMALL, answered=1.0)
    n = len(whole.session) - 3
    short = whole._replace(
        name="short", session=whole.session[:n], said=whole.said[:n],
        waits={name: WaitSample(w.values[:n], w.censored[:n]) for name, w in whole.waits.items()},
        shares={name: ShareSample(p.hits[:n], p.of[:n]) for name, p in whole.shares.items()},
        stages={name: values[:n] for name, values in whole.stages.items()},
    )  # fmt: skip
    found = quick(Side("a", (whole,)), Side("b", (short,)))
    row = rows_of(found)[WAIT, "p50"]
    assert (row["n_a"], row["n_b"], row["difference"]) == (n, n, 0)
    assert any("3 of" in remark for remark in found["remarks"])


def test_plans_that_each_side_repeats_are_said_not_to_cancel(rng):
    plans = [
        Side(name, tuple(made(rng, f"{name}{n}", SMALL, words=np.random.default_rng(seed))
                         for n in range(3)))
        for name, seed in (("a", 1), ("b", 2))
    ]  # fmt: skip
    found = quick(*plans)
    assert any("each side said other words" in remark for remark in found["remarks"])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"metric_version": 1}, f"the version of metric definitions: 1 and {VERSION}"),
        ({"corpus_sha256": "2" * 64}, "the corpus"),
        ({"chunk_ms": 20}, "the chunk size in ms: 20 and 100"),
        ({"dialect": "openai"}, "the target's dialect: openai and inworld"),
        (
            {"concurrency": {"sessions": 5, "arrivals": None, "rate": None}},
            "concurrency: 5 sessions and 20 sessions",
        ),
        (
            {"concurrency": {"sessions": None, "arrivals": "poisson", "rate": 2.0}},
            "concurrency: poisson arrivals, 2.0 a second and 20 sessions",
        ),
        ({"plan": {"turns": 4, "load": FACTS["plan"]["load"]}}, "the scenario: turns 4 and 3"),
        (
            {"plan": {"turns": 3, "load": {"duration": 60_000_000_000, "connects": 9.0}}},
            "the scenario: load.connects 9.0 and none",
        ),
    ],
)
def test_unlike_runs_are_refused_and_what_differs_is_named(rng, changed, words):
    a, b = side(rng, 2, world=SMALL), side(rng, 2, name="old", world=SMALL)
    unlike = Side("a", tuple(run._replace(facts=run.facts | changed) for run in a.runs))
    with pytest.raises(UsageError) as refused:
        quick(unlike, b)
    assert words in str(refused.value)
    assert "side-0, side-1 and old-0 differ in" in str(refused.value)
    assert "\n" not in str(refused.value)
    found = quick(unlike, b, allow=True)
    assert any(words in remark for remark in found["remarks"])


def test_how_long_a_run_was_parts_nothing_and_is_said(rng):
    a, b = side(rng, 2, world=SMALL), side(rng, 2, name="old", world=SMALL)
    load = {"duration": 60_000_000_000, "warmup": 2_000_000_000, "drain": 0}
    plan = {"plan": FACTS["plan"] | {"load": load}}
    longer = Side("a", tuple(run._replace(facts=run.facts | plan) for run in a.runs))
    found = quick(longer, b)
    words = "side-0, side-1 and old-0 differ in length: load.drain 0 s and none; load.duration 60 s"
    assert any(words in remark for remark in found["remarks"])
    assert not any("differ in length" in remark for remark in quick(a, b)["remarks"])


def test_a_count_of_runs_of_several_lengths_is_not_compared_and_its_rate_is(rng):
    told = {
        "errors": {
            "count": SummaryFigure(6, np.nan, np.nan, 6),
            "rate": SummaryFigure(0.2, np.nan, np.nan, 6),
        }
    }
    a, b = (
        Side(name, tuple(run._replace(figures=told) for run in side(rng, 2, world=SMALL).runs))
        for name in "ab"
    )
    plan = {"plan": {"turns": 3, "load": {"duration": 60_000_000_000}}}
    longer = Side("a", tuple(run._replace(facts=run.facts | plan) for run in a.runs))
    found = {row["statistic"]: row for row in quick(longer, b)["rows"] if row["metric"] == "errors"}
    assert found["count"]["a"] is None
    assert "compare its rate" in found["count"]["reason"]
    assert found["rate"]["a"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"verdict": "invalid", "why": ["hub lag: 9 of 12"]}, "side-0 is invalid (hub lag): its"),
        ({"interrupted": True}, "side-0 was interrupted"),
        ({"aborted": True}, "side-0 was ended early for a gate that failed"),
    ],
)
def test_a_run_that_is_no_evidence_is_refused(rng, facts, words):
    a, b = side(rng, 1, world=SMALL), side(rng, 1, name="old", world=SMALL)
    void = Side("a", (a.runs[0]._replace(facts=a.runs[0].facts | facts),))
    with pytest.raises(UsageError, match="cannot be compared") as refused:
        quick(void, b)
    assert words in str(refused.value)


def test_what_only_some_runs_have_is_named_and_not_compared(rng):
    a, b = side(rng, 2, world=SMALL), side(rng, 2, world=SMALL)
    n = len(a.runs[0].session)
    lone = a.runs[0]._replace(
        waits=a.runs[0].waits | {"tool_call_latency": WaitSample(np.ones(n), np.zeros(n, bool))},
        shares=a.runs[0].shares | {"yielded": ShareSample(np.ones(n), np.ones(n))},
    )
    rows = rows_of(quick(Side("a", (lone, a.runs[1])), b))
    for key in (("tool_call_latency", "p50"), ("yielded", "share")):
        assert (rows[key]["verdict"], rows[key]["reason"]) == (
            "inconclusive",
            "not all runs have it",
        )


def test_what_may_be_zero_or_negative_is_compared_as_a_difference(rng):
    sides = []
    for middle in (40.0, -10.0):
        runs = side(rng, 5, world=SMALL).runs
        n = len(runs[0].session)
        drawn = [rng.normal(middle, 30, n) for _ in runs]
        more = [{"transcription_delay": WaitSample(one, np.zeros(n, bool))} for one in drawn]
        runs = [run._replace(waits=run.waits | one) for run, one in zip(runs, more, strict=True)]
        sides.append(Side("s", tuple(runs)))
    row = rows_of(quick(*sides))["transcription_delay", "p50"]
    assert row["ratio"] is None
    assert row["low"] < 50 < row["high"]
    assert row["verdict"] == "regressed"


def test_where_more_is_better_less_is_worse(rng):
    sides = []
    for middle in (10.0, 20.0):
        runs = side(rng, 5, world=SMALL).runs
        n = len(runs[0].session)
        rates = [WaitSample(rng.normal(middle, 1, n), np.zeros(n, bool)) for _ in runs]
        sides.append(Side("s", tuple(
            run._replace(waits=run.waits | {"text_rate": rate})
            for run, rate in zip(runs, rates, strict=True)
        )))  # fmt: skip
    assert rows_of(quick(*sides))["text_rate", "p50"]["verdict"] == "regressed"


def test_the_shift_has_a_band_at_each_decile_and_the_curves_end_where_answers_do(rng):
    found = quick(side(rng, answered=0.9), side(rng))
    steps = found["shift"]["deciles"]
    assert [step["q"] for step in steps] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert all(step["low"] <= step["difference"] <= step["high"] for step in steps[:8])
    assert found["shift"]["ecdf"]["a"]["below"][-1] == pytest.approx(90, abs=2)
    assert len(found["shift"]["ecdf"]["a"]["ms"]) <= 200


def test_the_document_is_json_and_the_same_every_time(rng):
    a, b = side(rng, 2, world=SMALL), side(rng, 2, world=SMALL, answered=0.8)
    assert json.dumps(quick(a, b), allow_nan=False) == json.dumps(quick(a, b), allow_nan=False)


def test_the_deciding_rows_say_which_half_of_the_level_they_have(rng):
    found = quick(side(rng), side(rng))
    family = {row["metric"]: row["family"] for row in found["rows"] if row["family"]}
    assert family[WAIT] == "wait"
    assert family["endpointing_delay"] == "headline"
    assert WAIT in found["family"]
    assert {row["statistic"] for row in found["rows"] if row["family"] == "wait"} == {"p50", "p95"}


def told(runs, metric, statistic, values, width=1.0, n=100):
    """The runs with a figure that only their summaries tell."""
    return tuple(
        run._replace(figures=run.figures | {
            metric: {statistic: SummaryFigure(value, value - width / 2, value + width / 2, n)}
        })
        for run, value in zip(runs, values, strict=True)
    )  # fmt: skip


def test_what_only_summaries_tell_is_compared_and_decides_nothing(rng):
    a, b = (side(rng, 3, world=SMALL, answered=1.0).runs for _ in "ab")
    a, b = told(a, "update_ack", "p95", (40, 42, 41)), told(b, "update_ack", "p95", (10, 12, 11))
    row = rows_of(quick(Side("a", a), Side("b", b)))["update_ack", "p95"]
    assert (row["verdict"], row["family"]) == ("regressed", "")
    assert (row["a"], row["b"], row["difference"]) == (41, 11, 30)
    assert row["low"] == pytest.approx(30 - 2.776 * (2 / 3) ** 0.5, abs=0.01)  # Student's, of runs
    assert (row["n_a"], row["sessions_a"]) == (300, 120)


def test_of_one_run_a_side_the_intervals_of_the_summaries_are_the_error(rng):
    a, b = (side(rng, 1, world=SMALL).runs for _ in "ab")
    a, b = told(a, "send_lateness", "p50", [19.0], 3.0), told(b, "send_lateness", "p50", [5.0], 4.0)
    row = rows_of(quick(Side("a", a), Side("b", b)))["send_lateness", "p50"]
    assert row["high"] - row["low"] == pytest.approx(5.0, rel=0.02)  # 3 and 4 at a right angle
    assert row["verdict"] == "regressed"
    unsure = told(a, "send_lateness", "p50", [19.0], np.nan)
    row = rows_of(quick(Side("a", unsure), Side("b", b)))["send_lateness", "p50"]
    assert (row["verdict"], row["low"]) == ("inconclusive", None)
    assert "its error cannot be had" in row["reason"]


def test_sounds_that_silence_the_agent_more_often_are_a_row(rng):
    a, b = (side(rng, 4, world=SMALL).runs for _ in "ab")
    a = told(a, "false_barge_in", "share", (30, 33, 31, 34), 12.0)
    b = told(b, "false_barge_in", "share", (5, 4, 6, 5), 8.0)
    row = rows_of(quick(Side("a", a), Side("b", b)))["false_barge_in", "share"]
    assert (row["verdict"], row["unit"], row["difference"]) == ("regressed", "%", 27)


def test_counts_need_several_runs_and_none_on_both_sides_is_no_change(rng):
    a, b = (side(rng, 3, world=SMALL).runs for _ in "ab")
    none = told(b, "violations", "count", (0, 0, 0), np.nan)
    some = told(a, "violations", "count", (7, 9, 8), np.nan)
    row = rows_of(quick(Side("a", some), Side("b", none)))["violations", "count"]
    assert (row["verdict"], row["difference"], row["ratio"]) == ("regressed", 8, None)
    same = told(a, "violations", "count", (0, 0, 0), np.nan)
    row = rows_of(quick(Side("a", same), Side("b", none)))["violations", "count"]
    assert row["verdict"] == "unchanged"
    row = rows_of(quick(Side("a", some[:1]), Side("b", none[:1])))["violations", "count"]
    assert (row["verdict"], row["a"], row["b"]) == ("inconclusive", 7, 0)
    assert "it needs several runs" in row["reason"]


def test_good_turns_are_compared_where_the_gates_ask_the_same(rng):
    def judged_by(objective, share):
        runs = []
        for run in side(rng, 4, world=SMALL).runs:
            n = len(run.session)
            good = ShareSample((rng.random(n) < share).astype(float), np.ones(n))
            facts = run.facts | {"objectives": [objective]}
            runs.append(run._replace(facts=facts, shares=run.shares | {"good_turns": good}))
        return Side(objective, tuple(runs))

    a, b = judged_by("first_audio_latency < 800", 0.6), judged_by("first_audio_latency < 800", 0.9)
    row = rows_of(quick(a, b))["good_turns", "share"]
    assert (row["verdict"], row["family"]) == ("regressed", "")
    other = judged_by("first_audio_latency < 2000", 0.9)
    row = rows_of(quick(a, other))["good_turns", "share"]
    assert row["verdict"] == "inconclusive"
    assert "the gates of the runs differ" in row["reason"]


def test_that_single_settings_are_not_compared_is_said(rng):
    plan = FACTS["plan"] | {"sweep": {"silence_duration_ms": [200, 500]}}
    a, b = (
        Side(name, tuple(run._replace(facts=run.facts | {"plan": plan})
                         for run in side(rng, 2, world=SMALL).runs))
        for name in "ab"
    )  # fmt: skip
    assert any("several settings" in remark for remark in quick(a, b)["remarks"])
    plain = quick(side(rng, 2, world=SMALL), side(rng, 2, world=SMALL))
    assert not any("several settings" in remark for remark in plain["remarks"])


def test_a_key_that_older_runs_do_not_have_speaks_against_nothing_where_it_changes_nothing():
    effective = {"script": "turn_taking", "caller": {"gap": 3}}
    older = {"scenario": {"effective": effective}}
    runs = [
        {"scenario": {"effective": {**effective, "caller": {"gap": 3, "greeting": greeting}}}}
        for greeting in ("ignore", "hear")
    ]
    facts = [facts_of(run, {}, {})["plan"] for run in (older, *runs)]
    assert facts[0] == facts[1] != facts[2]
