"""A server that is full: whole runs in virtual time, from its error to the verdict's sentence."""

import json

import pandas as pd
import pytest

from tests.small import drawn

pytestmark = pytest.mark.usefixtures("virtual")


@pytest.fixture
def told(bench, tmp_path):
    """Run the demo against a server with that failure: exit code, print, folder."""

    def run(failures):
        folder, path = tmp_path / "run", tmp_path / "profile.toml"
        path.write_text(f"[failures]\n{failures}\n")
        code, printed, err = bench(
            "run", "scenarios/demo.toml", "--gates", "smoke", "--out", folder, "--sessions", "4",
            "--duration", "20s", "--set", "load.warmup='0s'",
            "--set", f"reference.profile='{path}'",
        )  # fmt: skip
        assert folder.exists(), err
        return code, printed, folder

    return run


@pytest.mark.usefixtures("pages")
def test_a_share_of_turns_is_overloaded_and_their_callers_wait_before_the_next_line(told):
    code, printed, folder = told("overloaded = 0.3")
    turns = pd.read_parquet(folder / "turns.parquet")
    overloaded = turns[turns["outcome"] == "overloaded"]
    assert 0 < len(overloaded) == drawn(folder, "overloaded")
    assert set(turns["outcome"]) <= {"ok", "overloaded", "cut"}
    assert code == 1
    assert "turned away by a target that is full" in printed
    assert "at capacity" in printed
    assert "overloaded" in (folder / "report.html").read_text()
    events = pd.read_parquet(folder / "events.parquet")
    notes = events[events["type"] == "bench.backoff"]
    told_turns = {(row.session, json.loads(row.detail)["turn"]) for row in notes.itertuples()}
    assert told_turns == set(zip(overloaded["session"], overloaded["turn"], strict=True))
    said = events[events["type"] == "bench.say"]
    for note in notes.itertuples():
        after = said[(said["session"] == note.session) & (said["at_ns"] > note.at_ns)]
        assert (after["at_ns"] >= note.due_ns).all()


def test_sessions_of_a_full_server_end_as_overloaded_their_slots_back_off_and_it_is_a_result(told):
    code, printed, folder = told("overloaded_at_once = 1.0")
    sessions = pd.read_parquet(folder / "sessions.parquet")
    assert set(sessions["outcome"]) == {"overloaded"}
    assert sessions["reason"].str.contains("at capacity").all()
    assert len(sessions) < 4 * 6  # 1, 2, 4, 8 s and a quarter more or less, within 20 s
    assert code == 1
    assert "turned away by a target that is full" in printed
    assert "lower --sessions" in printed
