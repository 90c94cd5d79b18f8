"""Calibration: errors that were put into a run by hand are what it finds, and nothing else."""

import json

import msgspec
import numpy as np
import pandas as pd
import pytest

from bench.analysis.calibration import (
    HarnessError,
    MetricError,
    calibrate_run,
    error_of_run,
    fingerprint,
    harness_error,
    read_calibration,
    trust_statement,
    trusted,
    write_calibration,
)
from bench.analysis.true_stamps import CALIBRATED, figure_errors
from bench.errors import RunFolderError
from tests.analysis.story import MS, ORIGIN_NS, Answer, Story, conversation, steady, write_run

HONEST = {"validity": [{"ok": True, "text": "", "remedy": ""}]}
CALL_NS = 20_000
"""How long the server's system call takes."""


def barging(number=1):
    """A session that talks into a reply, and empties its player when the server notices."""
    story = Story(number).begin(2).microphone().say(0)
    story.ear()
    story.created(1750)
    for index in range(20):
        story.delta(2050 + 31 * index)
    story.done(2700).say(3000, 200, 700, "interruption")
    story.ear(Answer(start=200))
    story.note(3400, "flush", detail={"heard_ms": 1350, "cause": "server"})
    story.created(4300, "r2").delta(4600, response="r2").done(4610, "r2").heard_out(4800)
    return story.appends(5000).finish()


def named(*stories):
    """The stories with an event_id for all that arrived."""
    for story in stories:
        story.rows.sort(key=lambda row: row.at_ns)
        story.rows = [
            row._replace(event_id=f"event_{story.number}_{place}") if row.direction == "in" else row
            for place, row in enumerate(story.rows)
        ]
    return stories


def truth_of(*stories):
    """The truth log of what arrived at once: a line per event, in the order of sending."""
    return [
        {"session_key": "k", "session_id": f"sess_{story.number}", "event_id": row.event_id,
         "type": row.type, "before_ns": row.at_ns, "after_ns": row.at_ns + CALL_NS}
        for story in stories
        for row in story.rows if row.direction == "in"
    ]  # fmt: skip


def late(story, shift_ns, error_ns=0, which=lambda _place: True):
    """The story with arrivals stamped late, and the player emptied as late as that."""
    moved = {row.at_ns for place, row in enumerate(story.rows) if which(place)}
    story.rows = [
        row._replace(at_ns=row.at_ns + shift_ns, at_err_ns=error_ns, read_ns=row.at_ns + shift_ns)
        if row.direction == "in" and which(place)
        else row._replace(at_ns=row.at_ns + shift_ns)
        if row.type == "bench.flush" and row.at_ns in moved
        else row
        for place, row in enumerate(story.rows)
    ]
    return story


def calibrated(folder, stories, truth, verdict=HONEST, **facts):
    write_run(folder, *stories, **facts)
    other = [{"session_key": "k", "number": 0, "draws": []}, {"number": 1, "status": 429}]
    (folder / "truth.jsonl").write_bytes(
        b"".join(msgspec.json.encode(line) + b"\n" for line in [*truth, *other])
    )
    return calibrate_run(folder, verdict, sessions=2, truth="told")


def pair():
    return named(conversation(0, 3), barging())


def test_stamps_without_error_are_found_without_error(tmp_path):
    stories = pair()
    found = calibrated(tmp_path, stories, truth_of(*stories))
    events = found["events"]
    assert events["n"] == len(truth_of(*stories)) > 40
    assert (events["lost"], events["extra"], events["covered"]) == (0, 0, 100)
    assert [events[name] for name in ("p1_ms", "p50_ms", "p99_ms", "max_ms")] == [0, 0, 0, 0]
    assert {
        name: (one["bias_ms"], one["p99_abs_ms"]) for name, one in found["metrics"].items()
    } == {
        "first_audio_latency": (0, 0),
        "voice_to_voice_latency": (0, 0),
        "speech_start_delay": (0, 0),
        "endpointing_delay": (0, 0),
        "barge_in_silence": (0, 0),
    }
    assert found["metrics"]["first_audio_latency"]["n"] == 5
    assert found["metrics"]["barge_in_silence"]["n"] == 1
    assert (found["fit"], found["why"]) == (True, [])


def test_stamps_that_are_3_ms_late_are_a_bias_of_3_ms_in_every_headline_metric(tmp_path):
    stories = pair()
    truth = truth_of(*stories)
    found = calibrated(tmp_path, [late(story, 3 * MS) for story in stories], truth)
    events = found["events"]
    assert (events["p1_ms"], events["p50_ms"], events["p99_ms"], events["max_ms"]) == (3, 3, 3, 3)
    assert events["covered"] == 0
    assert set(found["metrics"]) > {"barge_in_silence"}
    for metric in found["metrics"].values():
        assert metric["n"] > 0
        assert metric["unpaired"] == 0
        assert metric["bias_ms"] == pytest.approx(3)
        assert metric["p99_abs_ms"] == pytest.approx(3)
    assert not found["fit"]
    assert any("+3.00 ms" in doubt for doubt in found["why"])


def test_early_stamps_are_a_negative_bias(tmp_path):
    stories = pair()
    truth = truth_of(*stories)
    found = calibrated(tmp_path, [late(story, -MS) for story in stories], truth)
    assert found["metrics"]["first_audio_latency"]["bias_ms"] == pytest.approx(-1)
    assert found["metrics"]["first_audio_latency"]["p99_abs_ms"] == pytest.approx(1)
    assert (found["events"]["p50_ms"], found["events"]["max_ms"]) == (-1, 1)
    assert found["events"]["covered"] == 0


@pytest.mark.parametrize(("error_ns", "covered"), [(3 * MS, 100), (2 * MS, 0)])
def test_an_error_bar_covers_where_it_reaches_back_to_the_truth(tmp_path, error_ns, covered):
    stories = pair()
    truth = truth_of(*stories)
    found = calibrated(tmp_path, [late(story, 3 * MS, error_ns) for story in stories], truth)
    assert found["events"]["covered"] == covered
    assert found["events"]["width_p99_ms"] == error_ns / MS


def test_what_the_kernel_delivers_just_after_the_servers_call_is_covered(tmp_path):
    stories = pair()
    truth = truth_of(*stories)
    found = calibrated(tmp_path, [late(story, CALL_NS + 16_000) for story in stories], truth)
    assert found["events"]["covered"] == 100
    assert found["fit"]


def test_a_reader_that_is_late_now_and_then_has_no_bias_and_a_bad_resolution(tmp_path):
    stories = pair()
    truth = truth_of(*stories)
    each = [late(story, 40 * MS, 40 * MS, lambda place: place % 9 == 0) for story in stories]
    found = calibrated(tmp_path, each, truth)
    assert found["events"]["p50_ms"] == 0
    assert found["events"]["p99_abs_ms"] == found["events"]["max_ms"] == 40
    assert found["events"]["covered"] == 100
    assert not found["fit"]
    assert any("off by 40.0 ms" in doubt for doubt in found["why"])


def test_a_harness_that_stamps_late_under_load_is_unfit_though_the_run_called_itself_valid(
    tmp_path,
):
    stories = pair()
    truth = truth_of(*stories)
    found = calibrated(tmp_path, [late(story, 400_000, 400_000) for story in stories], truth)
    assert found["why"] == ["first_audio_latency is biased by +0.40 ms"]


def test_an_invalid_run_is_unfit_for_its_own_reasons(tmp_path):
    stories = pair()
    verdict = {"validity": [{"ok": False, "text": "chunks were late", "remedy": "wait"}]}
    found = calibrated(tmp_path, stories, truth_of(*stories), verdict)
    assert (found["fit"], found["why"]) == (False, ["chunks were late"])


# ── lost and extra ───────────────────────────────────────────────────────────────────────────────


def without(story, kind, nth=0):
    """The story without the n-th arrival of a type."""
    rows = [row for row in story.rows if row.type == kind]
    story.rows.remove(rows[nth])
    return story


def test_an_event_that_is_missing_between_others_was_lost_whatever_the_end(tmp_path):
    for number, outcome in enumerate(["finished", "drained", "broken"]):
        story = conversation(0, 3)
        end = next(row for row in story.rows if row.type == "bench.end")
        story.rows.remove(end)
        story.end((end.at_ns - story.zero) / MS, outcome)
        named(story)
        truth = truth_of(story)
        without(story, "response.output_audio.delta", 4)
        found = calibrated(tmp_path / str(number), [story], truth)
        assert found["events"]["lost"] == 1, outcome
        assert found["why"][0] == "events lost: 1"


def ended(outcome, code, *, before_the_end):
    """(story, truth) of a session whose server sent one thing more, so many ms before the end."""
    story = Story(0).begin(1).microphone().say(200).answered().appends(5000)
    story.end(5000, outcome, code=code)
    named(story)
    at_ns = story.zero + (5000 - before_the_end) * MS
    last = {"session_id": "sess_0", "event_id": "last", "before_ns": at_ns, "after_ns": at_ns}
    return story, [*truth_of(story), last]


@pytest.mark.parametrize(
    ("outcome", "code", "before_the_end", "lost"),
    [
        ("finished", 1000, -1, 0),  # sent when the caller was gone
        ("finished", 1000, 1, 1),  # all that was sent before the handshake's end has come
        ("drained", None, 50, 0),  # cut without a handshake: it was on its way
        ("drained", None, 150, 1),  # it was not
        ("drained", 1000, 50, 1),
        ("closed", 1011, 50, 1),
        ("broken", None, 500, 0),  # the connection died, and with it what was on its way
        ("crashed", None, 500, 0),
    ],
)
def test_what_is_missing_at_the_end_was_lost_only_if_it_must_have_come(
    tmp_path, outcome, code, before_the_end, lost
):
    story, truth = ended(outcome, code, before_the_end=before_the_end)
    assert calibrated(tmp_path, [story], truth)["events"]["lost"] == lost


def test_a_worker_that_died_took_its_last_second_with_it_and_that_is_no_loss(tmp_path):
    story, truth = ended("finished", 1000, before_the_end=500)
    story.rows = [row for row in story.rows if row.type != "bench.end"]
    assert calibrated(tmp_path, [story], truth)["events"]["lost"] == 0


def test_a_session_of_which_nothing_came_is_lost_whole(tmp_path):
    stories = pair()
    at_ns = stories[0].zero
    silent = [
        {
            "session_id": "unheard",
            "event_id": f"u{n}",
            "before_ns": at_ns + n,
            "after_ns": at_ns + n,
        }
        for n in range(3)
    ]
    assert calibrated(tmp_path, stories, [*truth_of(*stories), *silent])["events"]["lost"] == 3


def test_an_event_that_the_truth_does_not_know_is_extra(tmp_path):
    stories = pair()
    truth = truth_of(*stories)
    del truth[7]
    found = calibrated(tmp_path, stories, truth)
    assert (found["events"]["extra"], found["events"]["lost"]) == (1, 0)
    assert found["why"] == ["events never sent: 1"]


def test_an_event_that_is_in_the_log_twice_is_extra_once_and_sent_twice_is_not(tmp_path):
    stories = pair()
    once = truth_of(*stories)
    row = next(row for row in stories[0].rows if row.type == "response.done")
    stories[0].rows.insert(stories[0].rows.index(row), row)
    assert calibrated(tmp_path / "a", stories, once)["events"]["extra"] == 1
    place = next(n for n, line in enumerate(once) if line["event_id"] == row.event_id)
    twice = [*once[:place], once[place], *once[place:]]
    found = calibrated(tmp_path / "b", stories, twice)
    assert (found["events"]["extra"], found["events"]["lost"]) == (0, 0)


def test_a_turn_that_has_a_figure_by_one_of_the_two_stamps_only_is_counted_apart():
    nothing = dict.fromkeys(CALIBRATED, np.nan)
    turns = pd.DataFrame({"session": 0, "turn": [1, 2, 3], **nothing})
    told = turns.assign(first_audio_latency=[800.5, 900.0, np.nan])
    truth = turns.assign(first_audio_latency=[800.0, np.nan, np.nan])
    found = figure_errors(told, truth)
    assert found["first_audio_latency"] == {
        "n": 1, "bias_ms": 0.5, "p99_abs_ms": 0.5, "unpaired": 1,
    }  # fmt: skip
    assert "barge_in_silence" not in found


# ── the generator's own part ─────────────────────────────────────────────────────────────────────


def pacing(lateness_ms, seconds=20):
    """A session whose chunk n was sent `lateness_ms(n)` after it was due; its log says it was."""
    story = Story(0).begin(1).microphone().say(200).answered()
    for index in range(seconds * 10):
        due = (index + 1) * 100
        at = due + lateness_ms(index)
        story.row(at, "out", "input_audio_buffer.append", due_ns=story.zero + round(at * MS),
                  media_ns=index * 100 * MS, audio_ns=100 * MS, nbytes=4800)  # fmt: skip
    return story.finish()


@pytest.mark.parametrize(
    ("lateness_ms", "drift"),
    [
        (lambda _n: 0.7, 0),
        (lambda n: 0.1 * n, 60),  # 1 ms a second, though every chunk says that it is on time
        (lambda n: -0.01 * n, -6),
        (lambda n: 300 if n == 190 else 0.5, 0),  # one late chunk is no drift
    ],
)
def test_the_audio_clock_is_measured_from_the_opening_and_not_from_its_own_dues(
    tmp_path, lateness_ms, drift
):
    stories = named(pacing(lateness_ms))
    found = calibrated(tmp_path, stories, truth_of(*stories))
    assert found["audio_clock_drift_ms"] == pytest.approx(drift, abs=1e-3)


def test_the_lateness_of_sends_stands_beside_the_errors(tmp_path):
    stories = named(pacing(lambda n: 9 if n % 20 == 0 else 0.5))
    found = calibrated(tmp_path, stories, truth_of(*stories))
    assert found["sends"] == {"n": 200, "p50_ms": pytest.approx(0.5), "p99_ms": pytest.approx(9)}


def test_the_cpu_is_that_of_all_workers_over_the_sessions_they_held_while_measuring(tmp_path):
    stories = pair()
    health = steady(2, 8, 10, cpu_share=0.2)
    connecting = steady(2, 1, 10, cpu_share=1.0)
    connecting = [row._replace(at_ns=ORIGIN_NS - 1) for row in connecting]
    found = calibrated(tmp_path, stories, truth_of(*stories), health=connecting + health, workers=2)
    assert found["cpu_per_session"] == pytest.approx(0.02)


def test_a_run_in_which_nobody_was_answered_says_nothing_and_is_not_fit(tmp_path):
    story = Story(0).begin(1)
    named(story.end(1000, "unreachable"))
    found = calibrated(tmp_path, [story], truth_of(story))
    assert found["metrics"]["first_audio_latency"] == {
        "n": 0, "bias_ms": None, "p99_abs_ms": None, "unpaired": 0,
    }  # fmt: skip
    assert "barge_in_silence" not in found["metrics"]
    assert (found["audio_clock_drift_ms"], found["sends"]["n"]) == (None, 0)
    assert not found["fit"]
    json.dumps(found, allow_nan=False)


def test_a_run_without_a_truth_log_cannot_be_calibrated(tmp_path):
    write_run(tmp_path, *pair())
    with pytest.raises(RunFolderError, match=r"truth\.jsonl.*reference server"):
        calibrate_run(tmp_path, HONEST, sessions=1, truth="told")
    (tmp_path / "truth.jsonl").write_text("{")
    with pytest.raises(RunFolderError, match=r"truth\.jsonl"):
        calibrate_run(tmp_path, HONEST, sessions=1, truth="told")


# ── up to where ──────────────────────────────────────────────────────────────────────────────────


def result(sessions, *, fit=True, bias=0.1, p99=1.0, stamp=1.4, truth="shipped"):
    return {
        "sessions": sessions, "truth": truth, "fit": fit, "why": [] if fit else ["it was late"],
        "events": {"n": 100, "p99_abs_ms": stamp},
        "metrics": {
            "first_audio_latency": {"n": 20, "bias_ms": bias, "p99_abs_ms": p99, "unpaired": 0},
            "endpointing_delay": {"n": 0, "bias_ms": None, "p99_abs_ms": None, "unpaired": 0},
        },
    }  # fmt: skip


def test_a_load_has_the_error_of_the_nearest_concurrency_that_is_no_lower():
    calibration = {"results": [result(1, bias=0.0), result(20, bias=0.1), result(100, bias=0.2)]}
    found = harness_error(calibration, 7)
    assert found == HarnessError(20, 1.4, {"first_audio_latency": MetricError(20, 0.1, 1.0)})
    assert harness_error(calibration, 20) == found
    assert harness_error(calibration, 21).sessions == 100


def test_a_load_above_all_that_was_calibrated_is_beyond():
    assert harness_error({"results": [result(1), result(20)]}, 21) is None
    assert harness_error({"results": []}, 1) is None


def test_nothing_is_trusted_from_the_first_concurrency_on_that_was_not_fit():
    results = [result(200), result(100, fit=False), result(1), result(20)]
    assert [one["sessions"] for one in trusted(results)] == [1, 20]
    assert harness_error({"results": results}, 20).sessions == 20
    assert harness_error({"results": results}, 50) is None
    assert harness_error({"results": results}, 150) is None


def test_of_several_truths_the_worst_counts():
    results = [result(20), result(20, truth="bursts", bias=-0.3, p99=1.9, stamp=1.0)]
    found = harness_error({"results": results}, 20)
    assert found == HarnessError(20, 1.4, {"first_audio_latency": MetricError(40, -0.3, 1.9)})


def test_the_last_line_says_up_to_where_and_at_which_error():
    results = [result(1), result(20), result(100, p99=1.7)]
    assert trust_statement(results) == "trust this machine up to 100 sessions a worker, at ± 1.7 ms"
    results[2] = result(100, fit=False)
    told = "trust this machine up to 20 sessions a worker, at ± 1.4 ms; not with 100: it was late"
    assert trust_statement(results) == told
    assert trust_statement([result(1, fit=False)]) == (
        "do not trust this machine with 1 session a worker: it was late"
    )


RUN = {
    "bench_version": "1", "scenario": {"effective": {"chunk_ms": 100}},
    "host": {"machine": "m", "cores": 2, "memory_bytes": 9, "python": "3", "system": "k"},
}  # fmt: skip


def test_a_calibration_is_read_back(tmp_path):
    path = tmp_path / "calibration.json"
    assert read_calibration(path) is None
    write_calibration(path, [result(1)], host=fingerprint(RUN), scenario="demo")
    found = read_calibration(path)
    assert found["results"] == [result(1)]
    assert found["format"] == 1
    assert found["when"].endswith("+00:00")
    path.write_text(json.dumps({**found, "format": 2}))
    with pytest.raises(RunFolderError, match="make it again"):
        read_calibration(path)


def test_a_run_takes_up_the_errors_that_were_measured_at_its_load(tmp_path):
    path = tmp_path / "calibration.json"
    write_calibration(path, [result(1), result(20, p99=1.9)], host=fingerprint(RUN), scenario="d")
    told = error_of_run(RUN, 7, read_calibration(path))
    assert (told["held"], told["sessions"]) == (7, 20)
    assert told["metrics"]["first_audio_latency"]["p99_abs_ms"] == 1.9
    assert "why" not in told


def test_a_run_that_no_calibration_is_about_says_why_and_what_to_do(tmp_path):
    path = tmp_path / "calibration.json"
    assert error_of_run(RUN, 7, None) == {
        "held": 7, "why": "timing error not measured yet: run `bench calibrate --sessions 7`",
    }  # fmt: skip
    write_calibration(path, [result(1), result(5)], host=fingerprint(RUN), scenario="demo")
    assert error_of_run(RUN, 7, read_calibration(path))["why"] == (
        "7 sessions a worker are beyond what was calibrated (5): `bench calibrate --sessions 7`, "
        "or more workers"
    )
    for key in fingerprint(RUN):
        host = {**fingerprint(RUN), key: "another"}
        write_calibration(path, [result(9)], host=host, scenario="demo")
        why = error_of_run(RUN, 7, read_calibration(path))["why"]
        assert f"of another set-up ({key} another and not " in why


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 1}', '{"format": 1, "host": {}, "results": 3}']
)
def test_a_broken_calibration_is_refused_with_the_remedy(tmp_path, text):
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(RunFolderError, match="bench calibrate"):
        read_calibration(path)
