"""What a bad second touched is set aside, no more and no less, and the run says so."""

import pytest

from bench.analysis.pipeline import analyse
from bench.verdict.verdict import judge_run
from tests.analysis.story import MS, analysed, conversation, steady, write_run

SECONDS = 45


def late(story, begin, end, by=40):
    """The story with its chunks between two ms sent late."""
    story.rows = [
        row._replace(at_ns=row.at_ns + by * MS)
        if row.type.endswith("append") and begin <= (row.at_ns - story.zero) / MS < end
        else row
        for row in story.rows
    ]
    return story


def test_a_run_whose_every_turn_is_set_aside_says_that_and_passes_nothing(tmp_path):
    story = late(conversation(0, 1), 0, 3_000)
    analysed(tmp_path, story, scenario={"effective": {"health": {"share": 100}}})
    verdict = judge_run(tmp_path, [], None)
    assert verdict["verdict"] == "inconclusive"
    assert verdict["reasons"] == [
        "no turn was measured; 1 were excluded, for the generator was late"
    ]


def test_turns_of_a_bad_second_are_in_no_figure_and_the_run_stays_valid(tmp_path):
    story = late(conversation(0, 10), 13_000, 13_900)  # the fourth turn: 12.2 to 14.4 s
    turns, _, rows, summary = analysed(tmp_path, story, seconds=SECONDS)
    assert turns["set_aside"].tolist() == [False] * 3 + [True] + [False] * 6
    assert turns["measured"].tolist() == [True] * 3 + [False] + [True] * 6
    assert rows["first_audio_latency", "p50"]["n"] == 9
    assert sum(summary["outcomes"].values()) == 9
    assert summary["set_aside"] == {
        "turns": 1,
        "seconds": 1,
        "spans": [{"worker": 0, "from_s": 14, "to_s": 15, "rules": ["send_lateness"]}],
    }
    verdict = judge_run(tmp_path, (), None)
    assert verdict["verdict"] == "pass"
    (remark,) = verdict["remarks"]
    assert remark.startswith("1 turn is excluded from all figures: ")
    assert remark.endswith(": the generator was late in 14–15 s (worker 0: send_lateness)")


def test_a_run_that_is_void_shows_what_it_has(tmp_path):
    story = late(conversation(0, 10), 10_000, 20_000)
    turns, _, rows, summary = analysed(tmp_path, story, seconds=SECONDS)
    assert judge_run(tmp_path, (), None)["verdict"] == "invalid"
    assert not turns["set_aside"].any()
    assert rows["first_audio_latency", "p50"]["n"] == 10
    assert summary["set_aside"] == {"turns": 0, "seconds": 0, "spans": []}


def test_a_bad_second_of_one_worker_is_no_other_workers(tmp_path):
    stories = [late(conversation(0, 10), 13_000, 13_900), conversation(1, 10, worker=1)]
    turns, *_ = analysed(tmp_path, *stories, workers=2, seconds=SECONDS)
    assert turns[turns["set_aside"]]["worker"].tolist() == [0]


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("hub_lag", {"hub_lag_ns": 25 * MS}),
        ("run_wait", {"run_wait_share": 0.3}),
        ("throttled", {"throttled_share": 0.06}),
        ("cpu_share", {"cpu_share": 0.99}),
        ("steal_share", {"steal_share": 0.5}),
    ],
)
def test_every_rule_on_time_sets_aside(tmp_path, rule, change):
    health = steady(1, SECONDS, 1)
    health[13] = health[13]._replace(**change)  # the row of second 13, written at its end
    _, _, _, summary = analysed(tmp_path, conversation(0, 10), health=health)
    assert summary["set_aside"]["spans"] == [
        {"worker": 0, "from_s": 13, "to_s": 14, "rules": [rule]}
    ]
    assert summary["set_aside"]["turns"] == 1


def test_bad_seconds_in_a_row_are_one_span_with_all_that_was_wrong(tmp_path):
    health = steady(1, SECONDS, 1)
    health[13] = health[13]._replace(hub_lag_ns=25 * MS)
    health[14] = health[14]._replace(hub_lag_ns=25 * MS, run_wait_share=0.5)
    _, _, _, summary = analysed(tmp_path, conversation(0, 10), health=health)
    assert summary["set_aside"]["spans"] == [
        {"worker": 0, "from_s": 13, "to_s": 15, "rules": ["hub_lag", "run_wait"]}
    ]


def test_a_wait_in_vain_that_a_bad_second_touched_is_no_failure_of_the_server(tmp_path):
    story = conversation(0, 9)
    story.rows.pop()
    story.say(37_200).gave_up(48_400).finish()
    health = steady(1, 60, 1)
    health[45] = health[45]._replace(hub_lag_ns=25 * MS)
    turns, _, rows, _ = analysed(tmp_path, story, health=health)
    assert turns.iloc[-1][["outcome", "set_aside"]].tolist() == ["missed", True]
    assert rows["answered", "share"]["value"] == 100


def test_a_quiet_run_sets_nothing_aside_and_says_nothing(tmp_path):
    write_run(tmp_path, conversation(0, 3))
    analyse(tmp_path)
    assert judge_run(tmp_path, (), None)["remarks"] == []
