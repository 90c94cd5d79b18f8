"""An agent that speaks first: heard out where the caller was told so, else named."""

import json

import pandas as pd
import pytest

from tests.virtual_run import virtual_run

STEADY = "[response]\nfirst_delta_ms = 400\nleading_silence_ms = 0\n"
GREETS = STEADY + "[quirks]\ngreeting = {rate}\n"
FIGURES = ["voice_to_voice_latency", "first_audio_latency", "endpointing_delay", "generation_delay"]


@pytest.fixture
def told(scenario, tmp_path):
    """Run against a server of that profile; turns, sessions, what is said of greetings, remarks."""

    def run(profile, greeting, script="turn_taking", **session):
        name = f"{script}-{greeting}-{len(profile)}"
        path = tmp_path / f"{name}.toml"
        path.write_text(profile)
        outcome = virtual_run(
            scenario(script=script, sessions=3, duration="8s", warmup="0s"), tmp_path / name,
            drawn=False,
            assignments={
                "reference.profile": f"'{path}'", "caller.greeting": f"'{greeting}'",
                "caller.answer_timeout": "'3s'",
                **{f"session.{key}": value for key, value in session.items()},
            },
        )  # fmt: skip
        folder = outcome.folder
        tables = [pd.read_parquet(path) for path in (folder.turns, folder.events)]
        summary = json.loads(folder.summary.read_text())
        assert summary["violations"] == []
        return *tables, summary["greetings"], outcome.verdict["remarks"]

    return run


def first_turns(turns):
    whole = turns[turns.outcome == "ok"]
    return whole[whole.turn == 1].set_index("session")[FIGURES]


def test_a_greeting_that_is_heard_out_is_in_no_figure(told):
    plain, *_ = told(STEADY, "ignore")
    greeted, events, greetings, remarks = told(GREETS.format(rate=1), "hear")
    assert not any("greet" in remark for remark in remarks)
    of = greetings["sessions"]
    assert greetings["heard"] == of >= 3
    assert greetings["unasked"]["count"] == greetings["missing"]["count"] == 0
    # The first sessions of the three slots say the same, with and without a greeting before it.
    ours, theirs = (first_turns(turns).loc[[0, 1, 2]] for turns in (greeted, plain))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    assert set(greeted.turn) == {1, 2}
    # It was heard to its end, and only then did anybody speak.
    first = events[events.type == "bench.say"].groupby("session").at_ns.min()
    heard = events[events.type == "bench.greeted"].set_index("session").at_ns
    done = events[events.type == "response.done"].groupby("session").at_ns.min()
    assert (first >= heard.reindex(first.index)).all()
    assert (heard > done.reindex(heard.index)).all()


def test_a_greeting_that_is_ignored_is_named_with_its_sessions(told):
    turns, _, greetings, remarks = told(GREETS.format(rate=1), "ignore")
    of = greetings["sessions"]
    assert (greetings["unasked"], greetings["heard"]) == ({"count": of, "first": 0}, 0)
    (remark,) = [remark for remark in remarks if "greeted unasked" in remark]
    assert remark.startswith(f"{of} of {of} sessions were greeted unasked (first: session 0)")
    assert 'caller.greeting = "hear"' in remark
    assert (first_turns(turns).first_audio_latency > 0).all()  # it was no answer to what came after


def test_a_greeting_that_some_sessions_have_is_counted_for_them_alone(told):
    _, _, greetings, _ = told(GREETS.format(rate=0.4), "ignore")
    assert 0 < greetings["unasked"]["count"] < greetings["sessions"]


def test_a_greeting_that_does_not_come_is_waited_for_as_long_as_patience_lasts(told):
    turns, events, greetings, remarks = told(STEADY, "hear")
    of, missing = greetings["sessions"], greetings["missing"]
    assert 3 <= missing["count"] <= of  # the last were ended while they waited
    assert (missing["first"], greetings["heard"]) == (0, 0)
    told_of = f"{missing['count']} of {of} sessions waited for a greeting that did not come"
    assert any(remark.startswith(told_of) for remark in remarks)
    opened = events[events.type == "bench.microphone"].set_index("session").at_ns
    begun = events[events.type == "bench.ungreeted"].set_index("session").at_ns
    assert set((begun - opened).dropna()) == {3_000_000_000}
    assert set(turns.outcome) <= {"ok", "cut"}


@pytest.mark.parametrize(
    ("script", "session"),
    [("push_to_talk", {"turn_detection": "'none'"}), ("text_chat", {}), ("tool_call", {})],
)
def test_nobody_is_greeted_who_is_answered(told, script, session):
    """What is asked for is no greeting, whoever decides when a turn ends."""
    _, _, greetings, remarks = told(STEADY, "ignore", script, **session)
    assert greetings["unasked"] == {"count": 0, "first": None}
    assert not any("greet" in remark for remark in remarks)
