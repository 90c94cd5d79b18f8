"""The error bar of a latency is what its own two stamps leave open."""

import pytest

from tests.analysis.story import MS, Answer, Story, analysed, conversation


def widened(story, kind, width_ms):
    """The story with a bar of so many ms on every row of a type."""
    story.rows = [
        row._replace(at_err_ns=round(width_ms * MS)) if row.type == kind else row
        for row in story.rows
    ]
    return story


def error(rows, metric):
    row = rows[metric, "p50"]
    return row["error_p50"], row["error_p99"]


def test_a_latency_has_the_bars_of_both_of_its_instants(tmp_path):
    story = conversation(0, 2)
    widened(story, "response.output_audio.delta", 1.5)
    widened(story, "input_audio_buffer.speech_stopped", 0.5)
    _, _, rows, summary = analysed(tmp_path, story)
    assert error(rows, "first_audio_latency") == (1.5, 1.5)  # speech ends on its own timeline
    assert error(rows, "endpointing_delay") == (0.5, 0.5)
    assert error(rows, "response_latency") == (2.0, 2.0)
    assert error(rows, "speech_start_delay") == (0.0, 0.0)
    assert "error bars" in summary["about"]["errors"]


def test_what_the_player_does_is_as_uncertain_as_the_audio_that_it_plays(tmp_path):
    story = widened(conversation(0, 2), "response.output_audio.delta", 2)
    _, _, rows, _ = analysed(tmp_path, story)
    assert error(rows, "voice_to_voice_latency") == (2.0, 2.0)


def test_of_messages_that_share_a_stamp_the_widest_bar_counts(tmp_path):
    story = Story().begin(1).microphone().say(200)
    story.answered(Answer(deltas=(300, 300, 300)))
    story.rows = [
        row._replace(at_err_ns=n * MS) if row.type == "response.output_audio.delta" else row
        for n, row in enumerate(story.rows)
    ]
    widest = max(r.at_err_ns for r in story.rows if r.type == "response.output_audio.delta")
    _, _, rows, _ = analysed(tmp_path, story.finish())
    assert error(rows, "first_audio_latency")[1] == widest / MS


def test_what_is_sent_is_timed_from_before_the_call_and_open_for_as_long_as_that_took(tmp_path):
    story = Story().begin(1).microphone().write(100, create=False)
    story.send(110, "response.create", at_err_ns=4 * MS)
    story.created(150).delta(400).done(500).heard_out(600)
    turns, _, rows, _ = analysed(tmp_path, story.finish())
    assert turns["first_audio_latency"].tolist() == [294]
    assert error(rows, "first_audio_latency") == (4.0, 4.0)


def test_half_of_the_turns_wide_shows_in_the_tail_of_the_bars(tmp_path):
    calm, coarse = conversation(0, 5), conversation(1, 5)
    widened(coarse, "response.output_audio.delta", 3)
    _, _, rows, _ = analysed(tmp_path, calm, coarse)
    middle, high = error(rows, "first_audio_latency")
    assert (middle, high) == pytest.approx((1.5, 3.0))


def test_sessions_requests_and_the_generators_own_figures_have_bars_too(tmp_path):
    story = widened(conversation(0, 2), "session.updated", 0.7)
    widened(story, "input_audio_buffer.append", 0.2)
    story.update(5000, {"speed": 1.2}, "e1")
    story.updated(5030)
    _, _, rows, _ = analysed(tmp_path, widened(story, "session.updated", 0.7))
    assert error(rows, "session_ready_time") == (0.7, 0.7)
    assert error(rows, "update_ack")[0] == pytest.approx(0.7)
    assert error(rows, "send_lateness") == (0.2, 0.2)
    assert rows["answered", "share"]["error_p99"] is None


def test_lateness_is_given_for_each_worker(tmp_path):
    slow = conversation(1, 2, worker=1)
    slow.rows = [
        row._replace(read_ns=row.at_ns + 7 * MS) if row.direction == "in" else row
        for row in slow.rows
    ]
    _, _, rows, summary = analysed(tmp_path, conversation(0, 2), slow, workers=2)
    told = {
        (row["metric"], row["filter"]): row["value"]
        for row in summary["rows"]
        if row["statistic"] == "p50" and row["filter"].startswith("worker=")
    }
    assert told["client_lag", "worker=0"] == pytest.approx(0.05)
    assert told["client_lag", "worker=1"] == pytest.approx(7)
    assert {metric for metric, _ in told} == {"send_lateness", "client_lag", "hub_lag"}
    assert rows["client_lag", "max"]["value"] == pytest.approx(7)
