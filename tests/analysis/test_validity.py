"""Each rule of an invalid run: broken by the run that breaks it, and by no other."""

import json

import pytest

from bench.analysis.pipeline import analyse
from bench.verdict.verdict import judge_run
from tests.analysis.story import ORIGIN_NS, Story, conversation, steady, write_run

S = 1_000_000_000


def checks(folder, *stories, **facts):
    """(verdict word, checks by rule) of a run."""
    write_run(folder, *(stories or [conversation(0, 3)]), **facts)
    analyse(folder)
    verdict = judge_run(folder, (), None)
    return verdict["verdict"], {check["rule"]: check for check in verdict["validity"]}


def broken(found):
    return sorted(rule for rule, check in found.items() if not check["ok"])


def test_an_honest_run_breaks_no_rule(tmp_path):
    verdict, found = checks(
        tmp_path,
        plan={"sessions": 1},
        clock_pairs=[[ORIGIN_NS + n * S, 17 * S + n * (S + 1000)] for n in range(5)],
        reference={"bottleneck": False, "late_p99_ms": 0.4},
    )
    assert (verdict, broken(found)) == ("pass", [])
    assert set(found) == {
        "send_lateness", "client_lag", "hub_lag", "cpu_share", "steal_share", "run_wait",
        "neighbours", "throttled", "sessions", "workers", "rows", "clock", "identity",
    }  # fmt: skip
    assert not any(check["remedy"] for check in found.values())


def slow(lateness, begin, end):
    """A session whose chunks between two ms were sent late."""
    story = Story().begin(1).microphone().say(200).answered().appends(19_000)
    story.rows = [
        row._replace(at_ns=row.at_ns + lateness * 1_000_000)
        if row.type.endswith("append") and begin <= (row.at_ns - story.zero) / 1e6 < end
        else row
        for row in story.rows
    ]
    return story.finish()


def test_chunks_sent_late_for_more_than_the_stated_share_of_seconds_invalidate(tmp_path):
    """Flaw F16: a busy generator must not look like a slow server."""
    verdict, found = checks(tmp_path, slow(25, 4000, 6000))  # seconds 5 and 6 of 20
    assert (verdict, broken(found)) == ("invalid", ["send_lateness"])
    check = found["send_lateness"]
    assert check["value"] == pytest.approx(100 * 2 / 19, abs=1)
    assert (check["from_s"], check["to_s"]) == (5, 7)
    assert "above 20 ms" in check["text"]
    assert "--workers" in check["remedy"]


def test_one_late_second_in_twenty_is_allowed(tmp_path):
    _, found = checks(tmp_path / "a", slow(25, 4000, 4900))
    assert (found["send_lateness"]["value"], found["send_lateness"]["ok"]) == (5, True)
    health = {"effective": {"health": {"share": 4.9}}}
    _, found = checks(tmp_path / "b", slow(25, 4000, 4900), scenario=health)
    assert not found["send_lateness"]["ok"]


def test_the_bounds_are_the_scenarios_own(tmp_path):
    health = {"effective": {"health": {"send_lateness": 30_000_000}}}
    verdict, _ = checks(tmp_path, slow(25, 4000, 9000), scenario=health)
    assert verdict == "pass"


def test_messages_read_late_invalidate(tmp_path):
    story = conversation(0, 3)
    story.rows = [
        row._replace(read_ns=row.at_ns + 27_600_000) if row.direction == "in" else row
        for row in story.rows
    ]
    verdict, found = checks(tmp_path, story)
    assert (verdict, broken(found)) == ("invalid", ["client_lag"])


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("hub_lag", {"hub_lag_ns": 21_000_000}),
        ("cpu_share", {"cpu_share": 0.97}),
        ("steal_share", {"steal_share": 0.3}),
        ("run_wait", {"run_wait_share": 0.25}),
        ("throttled", {"throttled_share": 0.06}),
    ],
)
def test_a_worker_without_air_invalidates(tmp_path, rule, change):
    health = steady(1, 13, 1)
    health[4:6] = [row._replace(**change) for row in health[4:6]]
    verdict, found = checks(tmp_path, health=health)
    assert (verdict, broken(found)) == ("invalid", [rule])
    assert (found[rule]["from_s"], found[rule]["to_s"]) == (4, 6)


def test_a_container_that_was_throttled_is_named_with_its_quota(tmp_path):
    health = steady(1, 13, 1)
    health[4:6] = [row._replace(throttled_share=0.4) for row in health[4:6]]
    host = {"cpu_quota": 1.5, "cores": 8}
    verdict, found = checks(tmp_path, health=health, host=host)
    assert (verdict, broken(found)) == ("invalid", ["throttled"])
    text = found["throttled"]["text"]
    assert text.startswith("the container may use 1.5 of 8 cores and was throttled for 0.8 s of 1")
    assert found["throttled"]["remedy"] == "raise its CPU limit, or use fewer sessions"


def test_a_run_without_health_is_not_trusted(tmp_path):
    late = steady(1, 1, 1)[0]._replace(at_ns=ORIGIN_NS + 10**15)
    verdict, found = checks(tmp_path, health=[late])
    assert (verdict, broken(found)) == ("invalid", ["hub_lag"])


def test_half_the_sessions_vanishing_in_silence_invalidates(tmp_path):
    health = steady(2, 13, 10, sessions_open=10)
    health[13:] = [row._replace(sessions_open=0) for row in health[13:]]
    verdict, found = checks(tmp_path, health=health, plan={"sessions": 20}, workers=2)
    assert (verdict, broken(found)) == ("invalid", ["sessions"])
    assert found["sessions"]["value"] == pytest.approx(50, abs=0.1)
    assert found["sessions"]["from_s"] == 0


def test_sessions_that_the_target_refused_are_its_result_and_no_fault_of_the_generator(tmp_path):
    health = [row._replace(sessions_open=0) for row in steady(1, 13, 1)]
    refused = Story(1).begin(1)
    refused.end(20, "refused", "HTTP 429")
    verdict, found = checks(
        tmp_path, conversation(0, 3), refused.finish(), health=health, plan={"sessions": 1}
    )
    assert verdict == "fail"
    assert "sessions" not in broken(found)
    assert found["sessions"]["text"].endswith("the target's doing")


def test_one_refused_session_does_not_excuse_that_others_never_started(tmp_path):
    health = [row._replace(sessions_open=0) for row in steady(1, 13, 1)]
    refused = Story(1).begin(1)
    refused.end(20, "refused", "HTTP 429")
    _, found = checks(
        tmp_path, conversation(0, 3), refused.finish(), health=health, plan={"sessions": 20}
    )
    assert "sessions" in broken(found)


def test_an_open_load_intends_no_number_of_sessions(tmp_path):
    _, found = checks(tmp_path, health=steady(1, 13, 10, sessions_open=1))
    assert "sessions" not in found


def test_a_worker_that_never_drained_invalidates(tmp_path):
    verdict, found = checks(tmp_path, workers=3, drained=[0, 2])
    assert (verdict, broken(found)) == ("invalid", ["workers"])
    assert found["workers"]["text"].startswith("worker 1 was lost")


@pytest.mark.parametrize("facts", [{"rows_written": {"0": 1, "1": 2}}, {"rows_sealed": 5}])
def test_rows_that_do_not_add_up_invalidate(tmp_path, facts):
    verdict, found = checks(tmp_path, **facts)
    assert (verdict, broken(found)) == ("invalid", ["rows"])


def test_a_clock_step_invalidates_and_slewing_does_not(tmp_path):
    pairs = [[ORIGIN_NS + n * S, 17 * S + n * (S + 400_000)] for n in range(6)]
    verdict, _ = checks(tmp_path / "a", clock_pairs=pairs)
    assert verdict == "pass"
    stepped = [*pairs[:3], *([mono, real + 60_000_000] for mono, real in pairs[3:])]
    verdict, found = checks(tmp_path / "b", clock_pairs=stepped)
    assert (verdict, broken(found)) == ("invalid", ["clock"])
    assert (found["clock"]["from_s"], found["clock"]["to_s"]) == (2, 3)


def test_what_the_run_itself_found_wrong_invalidates_in_its_own_words(tmp_path):
    fault = {"rule": "worker", "text": "worker 0 fell silent", "remedy": "look",
             "from_ns": ORIGIN_NS + 2 * S, "to_ns": None}  # fmt: skip
    verdict, found = checks(tmp_path, faults=[fault])
    assert (verdict, broken(found)) == ("invalid", ["worker"])
    assert found["worker"]["from_s"] == 2
    assert found["worker"]["text"] == "worker 0 fell silent"


def remarks(folder, **facts):
    write_run(folder, conversation(0, 3), **facts)
    analyse(folder)
    found = judge_run(folder, (), None)
    return found["verdict"], found["remarks"]


def test_a_reference_that_was_late_is_a_slow_target_and_no_unfit_generator(tmp_path):
    verdict, said = remarks(tmp_path, reference={"late_p99_ms": 33, "cpu_share": 0.97})
    assert verdict == "pass"
    [sentence] = said
    assert sentence.startswith("the reference server did not keep its own schedule: 33.0 ms late")
    assert "97 % of a core" in sentence
    assert remarks(tmp_path / "b", reference={"late_p99_ms": 9}) == ("pass", [])


def test_a_single_stall_of_the_reference_is_remarked_though_its_quantiles_are_good(tmp_path):
    stalled = {"late_p99_ms": 0.4, "stalls": 1, "loop_lag_max_ms": 212.4}
    verdict, [said] = remarks(tmp_path, reference=stalled)
    assert verdict == "pass"
    assert said.startswith("the reference server stood still once, for up to 212 ms")
    calm = {"late_p99_ms": 0.4, "stalls": 0, "loop_lag_max_ms": 31.0}
    assert remarks(tmp_path / "b", reference=calm) == ("pass", [])


def test_stamps_that_the_kernel_did_not_give_are_said_to_be_the_programs_own(tmp_path):
    story = conversation(0, 3)
    end = json.loads(story.rows[-1].detail) | {"reads": 40, "stamped": 30}
    story.rows[-1] = story.rows[-1]._replace(detail=json.dumps(end))
    write_run(tmp_path, story)
    analyse(tmp_path)
    [said] = judge_run(tmp_path, (), None)["remarks"]
    assert said.startswith("the kernel stamped nothing in 25 % of reads")


def beside(share, seconds, core=1):
    """Another process on a core, in those seconds."""
    return [
        {"name": "hog", "number": 77, "core": core, "share": share,
         "from_ns": ORIGIN_NS + n * S, "to_ns": ORIGIN_NS + (n + 1) * S}
        for n in seconds
    ]  # fmt: skip


HOST = {"processes": {"0": 0}, "worker_cores": [[1]]}


def test_who_ran_beside_a_worker_is_named(tmp_path):
    verdict, found = checks(tmp_path, neighbours=beside(0.93, range(4, 8)), **HOST)
    assert (verdict, broken(found)) == ("invalid", ["neighbours"])
    check = found["neighbours"]
    assert "hog (process 77) on core 1 (93 % of what the worker may use)" in check["text"]
    assert (check["from_s"], check["to_s"]) == (4, 8)
    assert "--pin" in check["remedy"]


def test_who_ran_on_another_core_or_had_little_of_this_one_is_nobodys_affair(tmp_path):
    for n, seen in enumerate((beside(1.0, range(9), core=0), beside(0.3, range(9)))):
        verdict, found = checks(tmp_path / str(n), neighbours=seen, **HOST)
        assert (verdict, broken(found)) == ("pass", [])


def test_a_worker_that_may_run_on_two_cores_is_crowded_by_what_takes_of_both(tmp_path):
    host = {"processes": {"0": 0}, "worker_cores": [[0, 1]]}
    _, found = checks(tmp_path / "a", neighbours=beside(0.7, range(9)), **host)
    assert broken(found) == []
    both = beside(0.7, range(9)) + beside(0.7, range(9), core=0)
    _, found = checks(tmp_path / "b", neighbours=both, **host)
    assert broken(found) == ["neighbours"]


def test_a_wait_for_a_core_names_who_had_it(tmp_path):
    health = steady(1, 13, 1)
    health[4:6] = [row._replace(run_wait_share=0.4) for row in health[4:6]]
    _, found = checks(tmp_path, health=health, neighbours=beside(0.3, (4, 5)), **HOST)
    assert broken(found) == ["run_wait"]
    assert found["run_wait"]["text"].endswith("beside it ran hog (process 77) on core 1 (30 % of "
                                              "what the worker may use)")  # fmt: skip


def test_a_run_recorded_before_neighbours_were_looked_for_is_not_void_for_that(tmp_path):
    _, found = checks(tmp_path)
    assert found["neighbours"]["text"] == "no measured second has neighbours"


@pytest.mark.parametrize(
    ("had", "helps"),
    [
        (40, "a run of this length has no window that holds enough"),
        (290, "--abort-window 6s would hold enough"),
    ],
)
def test_a_gate_that_no_look_could_judge_is_told_with_what_would_help(tmp_path, had, helps):
    gate = "p99(first_audio_latency) < 1 s"
    looks = {"window_s": 5.0, "looks": 4, "blind": {gate: [had, 299]}}
    verdict, said = remarks(tmp_path / "a", interim=looks)
    assert (verdict, len(said)) == ("pass", 1)
    assert said[0].startswith(f"--abort-on-fail: gate {gate!r} could not end the run early")
    assert f"a window of 5 s held at most {had} effective samples, 299 are needed" in said[0]
    assert said[0].endswith(helps)
    assert remarks(tmp_path / "b", interim={**looks, "blind": {}}) == ("pass", [])
    ended = {"rule": "abort_on_fail", "gate": gate, "text": "all were beyond"}
    _, said = remarks(tmp_path / "c", interim=looks, ended_by=ended)
    assert said == ["the run ended early: all were beyond"]


def test_a_run_at_which_nobody_looked_says_so(tmp_path):
    looks = {"window_s": 5.0, "looks": 0, "blind": {}}
    _, said = remarks(tmp_path, interim=looks)
    assert said == [
        "--abort-on-fail: no checkpoint was taken; the run ended before the first was due"
    ]
