"""`bench check`: what a scenario comes to, without a run."""

import json
import tomllib
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.toml"))
HEAD = """
from bench.protocol.client import ResponseCreate
from bench.voice.scripts import Await, HearOut, Pause, Say, Send, Write
"""


@pytest.fixture
def ours(scenario, tmp_path, monkeypatch):
    """A scenario that plays the script `once` of this text."""

    def write(name, body, **options):
        module = f"{name}_of_check"
        (tmp_path / f"{module}.py").write_text(HEAD + dedent(body))
        monkeypatch.syspath_prepend(str(tmp_path))
        return scenario(script=f"{module}:once", **options)

    return write


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_shipped_scenario_is_in_order(bench, path):
    code, out, err = bench("check", path, "--json")
    assert code == 0, out + err
    told = json.loads(out)
    assert told["ok"]
    assert told["sessions"]
    lines = tomllib.loads(path.read_text()).get("turns", 3)
    for session in told["sessions"]:
        assert session["problems"] == []
        assert session["answered"] == session["turns"] >= min(2, lines)
        assert 2 < session["seconds"] < 200


def test_a_session_is_told_in_a_line_and_nothing_is_left_behind(bench, scenario, tmp_path):
    before = {*tmp_path.iterdir()}
    path = scenario(script="barge_in", duration="30s")
    code, out, err = bench("check", path)
    assert (code, err) == (0, "")
    first, last = out.splitlines()
    assert first.startswith("barge_in: 4 turns, 4 answered, 2 interruptions, 0 tool calls, ")
    assert first.endswith(" s, 0 errors")
    assert last == "small: in order, played and not run"
    assert {*tmp_path.iterdir()} == {*before, path}


def test_a_scenario_may_be_called_by_its_name(bench):
    code, out, _ = bench("check", "demo")
    assert (code, out.splitlines()[-1]) == (0, "demo: in order, played and not run")


def test_every_script_is_played_with_every_setting(bench):
    options = ("--set", "sweep.turn_detection=[{ type = 'server_vad' }, { type = 'semantic_vad' }]")
    code, out, _ = bench("check", "scenarios/demo.toml", *options, "--json")
    assert code == 0
    settings = [one["setting"] for one in json.loads(out)["sessions"]]
    assert settings == ["server_vad", "semantic_vad"]


@pytest.mark.parametrize("dialect", ["inworld", "openai"])
def test_the_dialect_of_a_target_is_spoken_and_nothing_is_connected_to(bench, dialect):
    code, out, _ = bench(
        "check", "scenarios/demo.toml", "--target", "wss://nowhere.invalid/v1", "--dialect", dialect
    )
    assert code == 0
    assert "3 turns, 3 answered" in out


FAULTS = {
    "raises": (
        """
        def once(part):
            yield Say(part.lines[0])
            yield HearOut()
            raise ValueError("not that")
        """,
        ("line 8): raised ValueError: not that",),
    ),
    "never_ends": (
        """
        def once(part):
            yield Say(part.lines[0])
            yield Pause(10**15)
        """,
        ("a direction never ends: Pause(duration_ns=1000000000000000)",),
    ),
    "errs": (
        """
        def once(part):
            for _ in range(3):
                yield Send(ResponseCreate())
            yield Say(part.lines[0])
            yield HearOut()
        """,
        ("conversation_already_has_active_response", "(2 times)"),
    ),
    "unanswered": (
        """
        def once(part):
            yield Write("hello")
            yield HearOut()
        """,
        ("turn 1 was not answered: the caller gave up after 10.0 s of talk",),
    ),
    "no_direction": ("def once(part):\n    yield 7\n", ("yielded 7, which is no direction",)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_script_that_would_spoil_a_run_is_a_problem_and_exits_2(bench, ours, name):
    body, told = FAULTS[name]
    code, out, err = bench("check", ours(name, body, turns=1))
    assert code == 2, out + err
    (problem,) = [line for line in out.splitlines() if line.startswith("  problem  ")]
    assert all(words in problem for words in told), problem
    assert "small: 1 problems, played and not run" in out
    assert err == ""


def test_a_script_that_goes_on_and_one_that_says_nothing_are_noted(bench, ours):
    body = """
    def once(part):
        while True:
            yield Pause(10**9)
    """
    code, out, _ = bench("check", ours("goes_on", body))
    assert code == 0
    assert "note     after 600 s of talk the script goes on" in out
    assert "note     no turn is begun" in out


def test_what_a_script_prints_is_no_part_of_the_answer(bench, ours):
    body = """
    def once(part):
        print("in my script")
        yield Say(part.lines[0])
        yield HearOut()
    """
    code, out, err = bench("check", ours("prints", body), "--json")
    assert code == 0
    assert json.loads(out)["sessions"][0]["turns"] == 1
    assert err == "in my script\n"


def test_what_a_profile_does_wrong_on_purpose_is_no_problem_of_the_scenario(
    bench, scenario, tmp_path
):
    profile = tmp_path / "broken.toml"
    profile.write_text("[failures]\nclose_mid_turn = 1.0\n")
    code, out, _ = bench("check", scenario(), "--profile", profile)
    assert code == 0
    assert (
        "note     the server closed the session: 1011 (the profile has failures of its own" in out
    )


def test_what_is_refused_by_a_run_is_refused_here(bench, scenario):
    for options in (
        ("--set", "load.sesions=3"),
        ("--gate", "p95(first_audio_latncy) < 1 s"),
        ("--gates", "nightly"),
        ("--target", "nowhere"),
        ("--profile", "no such file"),
    ):
        code, out, err = bench("check", scenario(), *options)
        assert (code, out) == (2, ""), options
        assert len(err.splitlines()) == 1


def test_what_can_be_foreseen_of_a_run_is_noted(bench, scenario):
    code, out, _ = bench("check", scenario(turns=9, warmup="0s", duration="3s"))
    assert code == 0
    assert "a session has 9 turns and corpus 'steady' has 4 lines: some are said again" in out
    assert "s and a run 3 s: none comes to its last turns; raise load.duration" in out
