"""Laws: the order of rows changes no metric, and shifting all clocks changes no interval."""

import json
import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import bench.analysis
import bench.compare
import bench.verdict
from bench.analysis.pipeline import analyse
from bench.tracker.outcomes import OUTCOMES
from tests.analysis.story import MANUAL, ORIGIN_NS, Answer, Story, conversation, write_run
from tests.examples import count

ONCE = settings(
    max_examples=count(12),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)


def stories():
    """Two ordinary sessions, one that barges in, one that breaks."""
    barge = Story(2).begin(2).microphone(jitter=40).say(0)
    barge.ear()
    barge.created(1750)
    for index in range(20):
        barge.delta(2050 + 31 * index)
    barge.done(2700).say(3000, 200, 700, "interruption")
    barge.ear(Answer(start=200))
    barge.note(3400, "flush", detail={"heard_ms": 1350})
    barge.created(4300, "r2").delta(4600, response="r2").done(4610, "r2").heard_out(4800)
    broken = Story(3).begin(3).microphone().say(100)
    broken.ear()
    return [
        conversation(0, 2), conversation(1, 2, Answer(silence=130, commit=11, create=21)),
        barge.finish(), broken.end(2500, "broken"), of_everything(),
    ]  # fmt: skip


def of_everything():
    """A session in which everything else happens: text, tools, a stop, a mm-hmm, manual mode."""
    fillers = {"providerData": {"responsiveness": {"enabled": True}}}
    story = Story(4).begin(5, session=fillers, script="tour", setting="a").microphone().write(100)
    story.created(150).text(300).text(350).done(400).heard_out(410).say(1000)
    story.hear(1500, "response.backchannel.audio.delta", nbytes=48, audio_ns=1, detail="b1")
    at = story.ear()
    story.created(at + 20, "c").call(at + 100, "c1", "c").done(at + 110, "c")
    story.output(at + 300, "c1").create(at + 301).created(at + 350).delta(at + 400, 300)
    story.words(at + 500).delta(at + 600, 900).delta(at + 650, 10, levels=[0]).done(at + 700)
    story.say(at + 800, 100, 300, "backchannel").started(at + 1000, "mm", at + 700)
    story.flush(at + 1000).heard_out(at + 2000).write(6000).created(6050).words(6100)
    story.delta(6200, 2000).flush(6800, "caller").cancel(6800).delta(6850)
    story.send(6801, "conversation.item.truncate", item_id="a-resp3")
    story.hear(6900, "conversation.item.truncated", item_id="a-resp3")
    story.done(6950, status="cancelled", reason="client_cancelled")
    story.update(7000, MANUAL).updated(7050, MANUAL)
    story.update(7100, {"model": "x"}, "bad").error(7150, "invalid_value", "bad")
    story.say(8000).commit(9400).committed(9420).create(9430).created(9450).words(9500)
    return story.delta(9700).done(9710).heard_out(9900).finish()


def outcome(folder, events=None):
    if events is not None:
        events.to_parquet(folder / "events.parquet", index=False)
    analyse(folder)
    turns = pd.read_parquet(folder / "turns.parquet", dtype_backend="numpy_nullable")
    return turns, json.loads((folder / "summary.json").read_text())["rows"]


@cache
def _expected(folder):
    write_run(folder, *stories())
    return outcome(folder)


@ONCE
@given(st.randoms(use_true_random=False))
def test_permuting_rows_changes_no_metric(tmp_path_factory, random):
    """Sessions interleaved anyhow, instants in any order; only rows of one stamp keep theirs."""
    folder = tmp_path_factory.getbasetemp() / "permuted"
    expected, rows = _expected(folder)
    events = pd.read_parquet(folder / "events.parquet", dtype_backend="numpy_nullable")
    stamps = [group for _, group in events.groupby(["session", "at_ns"], sort=False)]
    random.shuffle(stamps)
    turns, found = outcome(folder, pd.concat(stamps))
    pd.testing.assert_frame_equal(turns, expected)
    assert found == rows


@settings(ONCE, max_examples=count(18))
@given(st.randoms(use_true_random=False), st.floats(0.02, 0.6))
def test_whatever_is_missing_from_a_log_every_attempt_has_one_outcome(
    tmp_path_factory, random, gone
):
    """Servers leave out messages, killed workers their last second."""
    folder = tmp_path_factory.getbasetemp() / "holes"
    torn = stories()
    for story in torn:
        story.rows = [row for row in story.rows if random.random() > gone]
        random.shuffle(story.rows)
    turns, rows = outcome(write_run(folder, *torn))
    assert turns["outcome"].isin(OUTCOMES).all()
    assert not turns.duplicated(["session", "turn"]).any()
    names = {(row["metric"], row["statistic"], row["filter"]) for row in rows}
    assert len(rows) == len(names)


@ONCE
@given(st.integers(-6_000_000_000_000, 9 * 10**18 - 10**15))
@example(2**53 + 1)  # no float64 holds these
@example(9 * 10**18 + 1)
def test_shifting_all_clocks_changes_no_interval(tmp_path_factory, shift):
    base = tmp_path_factory.getbasetemp()
    expected, rows = _expected(base / "unshifted")
    moved = stories()
    for story in moved:
        story.rows = [
            row._replace(
                at_ns=row.at_ns + shift,
                read_ns=None if row.read_ns is None else row.read_ns + shift,
                due_ns=None if row.due_ns is None else row.due_ns + shift,
            )
            for row in story.rows
        ]
    turns, found = outcome(write_run(base / "shifted", *moved, plan=_plan(shift), seconds=1))
    clocks = [name for name in turns if name.endswith("_ns") and _is_instant(name)]
    pd.testing.assert_frame_equal(turns.drop(columns=clocks), expected.drop(columns=clocks))
    assert (turns[clocks] - shift).equals(expected[clocks])
    pace = {"hub_lag"}  # health is written by the clock of the story
    assert [r for r in found if r["metric"] not in pace] == [
        r for r in rows if r["metric"] not in pace
    ]


def _is_instant(name):
    lengths = ("queued", "jitter", "underrun", "reply_audio")
    return not name.startswith(lengths) and "_media_" not in name


def _plan(shift):
    return {"start_ns": ORIGIN_NS + shift, "measured_from_ns": ORIGIN_NS + shift}


@pytest.mark.parametrize("room", [bench.analysis, bench.compare, bench.verdict])
def test_the_list_of_modules_of_a_room_names_every_module(room):
    modules = {path.stem for path in Path(room.__file__).parent.glob("[!_]*.py")}
    assert modules - set(re.findall(r"\w+", room.__doc__)) == set()
