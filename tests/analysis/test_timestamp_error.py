"""The error bar of a latency is what its own two stamps leave open, and no wider."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.measure import measure_sessions, measure_turns
from bench.analysis.sessions import sessions_table
from bench.analysis.stamps import Stamps
from bench.analysis.tables import read_events
from bench.analysis.timestamp_error import Bars, bounded_by_order, causes, spans
from bench.analysis.told import tell
from bench.plan.metrics import METRICS, PER_SESSION, PER_TURN
from tests.analysis.story import MS, Answer, Story, analysed, conversation
from tests.virtual_run import virtual_run


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
        row._replace(at_err_ns=(50 - n) * MS) if row.type == "response.output_audio.delta" else row
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


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────


def test_no_event_came_before_the_one_before_it(tmp_path):
    story = widened(conversation(0, 1), "response.output_audio.delta", 5000)
    kinds = [row.type for row in story.rows]
    first = kinds.index("response.output_audio.delta")
    assert kinds[first - 1] == "response.output_audio_transcript.delta"
    since = (story.rows[first].at_ns - story.rows[first - 1].at_ns) / MS
    turns, _, rows, _ = analysed(tmp_path, story)
    assert error(rows, "first_audio_latency") == (since, since)
    assert turns.loc[0, "error_ms"] == since


def test_an_interval_that_is_ordered_is_not_less_than_nothing(tmp_path):
    """And whoever waits from an arrival may have waited longer."""
    story = Story().begin(1).microphone().say(0)
    at = story.ear()
    story.created(at + 5).delta(at + 305).done(at + 400).heard_out(at + 600)
    for kind in ("input_audio_buffer.committed", "response.created"):
        widened(story, kind, 9000)
    _, _, rows, _ = analysed(tmp_path, story.finish())
    stopped = rows["endpointing_delay", "p50"]
    assert (stopped["error_p50"], rows["commit_delay", "p50"]["value"]) == (0, 10)
    assert error(rows, "commit_delay") == (10, 10)
    assert error(rows, "response_start_delay") == (5 + 10, 5 + 10)  # 5 less, or 10 more


def test_no_answer_came_before_it_was_asked_for(tmp_path):
    story = Story().begin(1).microphone().write(1000)
    story.created(1150).delta(1400).done(1500).heard_out(1600)
    story.update(5000, {"speed": 1.2}, "e1")
    story.updated(5030)
    for kind in ("response.created", "response.output_audio.delta", "session.updated"):
        widened(story, kind, 60_000)
    _, sessions, rows, _ = analysed(tmp_path, story.finish())
    assert error(rows, "first_audio_latency") == (400, 400)  # signed, but what was asked is known
    assert error(rows, "update_ack")[0] == 30
    assert error(rows, "session_ready_time")[0] == sessions.loc[0, "session_ready_time"] - 30
    assert rows["client_lag", "p50"]["error_p99"] < 1000


@pytest.mark.parametrize("honest", [True, False])
def test_no_server_names_audio_that_it_has_not_got_until_one_does(tmp_path, honest):
    kind = "input_audio_buffer.speech_stopped"
    story = widened(conversation(0, 1), kind, 800)
    if not honest:
        story.rows = [
            row._replace(audio_ms=2400) if row.type == kind else row for row in story.rows
        ]
    _, _, rows, _ = analysed(tmp_path, story)
    lag = rows["vad_lag", "p50"]
    assert (lag["value"] >= 0) == honest
    if honest:
        assert error(rows, "endpointing_delay")[0] == pytest.approx(lag["value"])
    else:
        assert error(rows, "endpointing_delay")[0] == 800


@pytest.fixture(scope="module")
def talked(corpus, tmp_path_factory):
    """The run folder of an everyday load in which everything is stamped at the truth."""
    place = tmp_path_factory.mktemp("bars")
    path = place / "small.toml"
    path.write_text(MIXED.format(corpus=corpus))
    return virtual_run(path, place / "run", drawn=False, up_ns=4 * MS, down_ns=7 * MS).folder


MIXED = """
corpus = "{corpus}"
turns = 2
[session]
turn_detection = {{ type = "server_vad", silence_duration_ms = 300 }}
[caller]
gap = "100ms"
hear = "600ms"
[[mixture]]
script = "barge_in"
weight = 1
[[mixture]]
script = "push_to_talk"
weight = 1
session = {{ turn_detection = "none" }}
[load]
sessions = 6
warmup = "0s"
duration = "8s"
"""


def coarse(events, draw):
    """What a reader that comes by now and then would have noted, and remembers badly since when.

    Of what came between two of its visits only the last is known exactly.
    """
    events = events.copy()
    at, width = events["at_ns"].to_numpy().copy(), events["at_err_ns"].to_numpy().copy()
    for _, mine in events.groupby("session"):
        rows = mine.index[(mine["direction"] == "in").to_numpy()].to_numpy()
        visit = np.cumsum(draw.random(len(rows)) < draw.choice([0.1, 0.5, 1.0]))
        for number in np.unique(visit):
            batch = rows[visit == number]
            last = at[batch[-1]]
            if last - at[batch[0]] > 250 * MS:
                continue
            silent = at[batch[0]] - int(draw.integers(0, 3000 * MS))
            at[batch] = last
            width[batch[:-1]] = last - silent
    sent = np.flatnonzero((events["direction"] == "out").to_numpy())
    before, after = (draw.integers(0, 2 * MS, len(sent)) for _ in range(2))
    at[sent] += after
    width[sent] = before + after
    events["at_ns"], events["at_err_ns"] = at, width
    events = events.take(np.lexsort((at, events["session"].to_numpy()))).reset_index(drop=True)
    events["row"] = np.arange(len(events))
    return events


def figures(events, run):
    """(turns, sessions, what each of their figures leaves open) of some events."""
    events = bounded_by_order(events)
    sessions = sessions_table(events, run["plan"])
    told = tell([events], len(events), sessions, run)
    bars = Bars(Stamps.of(events), causes(events, told.turns, told.acks))
    turns = measure_turns(told.turns, ())
    sessions = measure_sessions(sessions, turns)
    open_ = spans(bars, turns, PER_TURN) | spans(bars, sessions, PER_SESSION)
    return turns, sessions, open_


PLAYED = {"barge_in_silence", "barge_in_silence_unflushed"}
"""What hangs on every delta of a reply, and has the bar of the last alone."""


@settings(max_examples=8)
@given(st.integers(0, 2**32))
def test_the_truth_is_within_the_bar_and_no_bar_is_wider_than_what_is_known(talked, seed):
    run, events = talked.read(), read_events(talked.events)
    truth_turns, truth_sessions, exact = figures(events, run)
    turns, sessions, off = figures(coarse(events, np.random.default_rng(seed)), run)
    assert not any(span.less.any() or span.more.any() for span in exact.values())
    checked = wide = 0
    for told, truth, key in (
        (turns, truth_turns, ["session", "turn"]), (sessions, truth_sessions, ["session"]),
    ):  # fmt: skip
        both = told[key].merge(truth, on=key, how="left")
        for name in sorted((off.keys() & set(told)) - PLAYED):
            value, true = told[name].to_numpy(float) * MS, both[name].to_numpy(float) * MS
            known = ~np.isnan(value) & ~np.isnan(true)
            low, high = value - off[name].less, value + off[name].more
            assert (low - 1 <= true)[known].all(), name
            assert (true <= high + 1)[known].all(), name
            checked += known.sum()
            wide += (off[name].less > 0)[known].sum()
            if not METRICS[name].signed:
                assert (low >= -1)[known & (value >= 0)].all(), name
    assert checked > 300
    assert wide > 30
