"""Callers who are not let in: they wait in vain, and no figure forgets them."""

import io
import json

import pandas as pd
import pytest
from rich.console import Console

from bench.cli.run_result import print_result
from bench.plan.gates import parse_gate
from bench.report.text import inert
from bench.verdict.verdict import judge_run
from tests.small import write_scenario
from tests.virtual_run import virtual_run

GATES = ["p50(first_audio_latency) < 60 s", "share(answered) > 1 %"]
HELD = {"health.sessions": "95"}


@pytest.fixture(scope="module")
def queued(corpus, tmp_path_factory):
    """Eight callers for 40 s, and a server that lets four in and has the others wait."""
    place = tmp_path_factory.mktemp("queued")
    path = write_scenario(
        place / "long.toml", corpus, sessions=8, turns=30, duration="40s", gates=GATES
    )
    return virtual_run(path, place / "run", slots=4, assignments=HELD)


def row(outcome, metric, statistic):
    summary = json.loads(outcome.folder.summary.read_text())
    return next(
        one for one in summary["rows"]
        if (one["metric"], one["statistic"], one["filter"]) == (metric, statistic, "")
    )  # fmt: skip


def test_a_server_that_lets_half_of_the_callers_wait_fails_whatever_its_turns_were(queued):
    assert all(gate["verdict"] == "pass" for gate in queued.verdict["gates"])
    assert (queued.verdict["verdict"], queued.code) == ("fail", 1)
    reasons = " ".join(queued.verdict["reasons"])
    assert "the target did not hold the load: on average 4.0 of 8 sessions were ready" in reasons
    cause = queued.verdict["causes"][0]
    assert cause["text"].startswith("12 of 16 sessions were waiting in vain for the WebSocket")
    assert "15.0 s at the longest; the target lets callers wait: lower --sessions" in cause["text"]


def test_the_same_sentence_stands_in_every_place(queued):
    text = queued.verdict["causes"][0]["text"]
    assert text == queued.verdict["reasons"][0]
    digest = (queued.folder.path / "summary.md").read_text()
    assert inert(text) in digest
    page = io.StringIO()
    print_result(queued.folder, queued.verdict, Console(file=page, width=80))
    assert text in " ".join(page.getvalue().split())


def test_times_of_connecting_know_those_who_never_connected(queued):
    for metric in ("connect_time", "session_ready_time"):
        longest, middle = row(queued, metric, "max"), row(queued, metric, "p50")
        assert longest["value"] is None
        assert longest["longest"] == pytest.approx(15_000)
        assert longest["n"] == 16
        assert middle["value"] is None


def test_each_wait_costs_one_turn_and_what_nobody_came_to_is_counted_apart(queued):
    turns = pd.read_parquet(queued.folder.turns)
    sessions = pd.read_parquet(queued.folder.sessions)
    assert (turns["outcome"] == "rejected").sum() == sessions["in_vain"].sum() == 12
    assert row(queued, "unreached_turns", "count")["value"] == 12 * 29
    assert any("348 planned turns were never reached" in one for one in queued.verdict["remarks"])


def test_who_waits_a_little_and_is_let_in_has_waited_for_so_long(corpus, tmp_path):
    path = write_scenario(tmp_path / "s.toml", corpus, sessions=4, turns=2, duration="30s")
    outcome = virtual_run(path, tmp_path / "run", drawn=False, slots=2, assignments=HELD)
    sessions = pd.read_parquet(outcome.folder.sessions)
    let_in = sessions[sessions["outcome"] == "finished"]
    assert let_in["connect_time"].max() > 3_000
    assert not let_in["in_vain"].any()
    assert outcome.verdict["verdict"] == "fail"
    assert row(outcome, "connect_time", "p50")["value"] > 1_000


def test_a_slot_that_is_refused_waits_longer_and_longer(corpus, tmp_path):
    profile = tmp_path / "full.toml"
    profile.write_text("[failures]\nrefuse = 1.0\nrefuse_status = 500\n")
    path = write_scenario(tmp_path / "s.toml", corpus, sessions=3, duration="60s")
    asked = {"reference.profile": f"'{profile}'"}
    outcome = virtual_run(path, tmp_path / "run", drawn=False, assignments=asked)
    sessions = pd.read_parquet(outcome.folder.sessions).sort_values("started_ns")
    for _, mine in sessions.groupby("slot"):
        gaps = mine["started_ns"].diff().dropna() / 1e9
        assert gaps.iloc[0] < 1.3
        assert gaps.iloc[-1] > 8
        assert len(mine) <= 7
    assert outcome.verdict["causes"][0]["text"].startswith(
        f"{len(sessions)} of {len(sessions)} sessions were refused: HTTP 500"
    )
    assert outcome.verdict["verdict"] == "fail"


def test_remarks_can_be_gated(queued, corpus, tmp_path):
    gate = "count(remarks) <= 0"
    verdict = judge_run(queued.folder.path, [parse_gate(gate)], None)
    [ruling] = verdict["gates"]
    assert (ruling["verdict"], ruling["value"]) == ("fail", len(verdict["remarks"]))
    path = write_scenario(tmp_path / "s.toml", corpus, gates=[gate])
    clean = virtual_run(path, tmp_path / "run", drawn=False)
    assert clean.verdict["remarks"] == []
    assert clean.verdict["verdict"] == "pass"
