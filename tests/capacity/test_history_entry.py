"""A capacity search in a history: its record, its lines, what keeps two apart."""

import json

import pytest

from bench.capacity.document import NAME, write_capacity
from bench.capacity.history_entry import capacity_record
from bench.compare.trend import better, groups, with_changes, worse
from bench.errors import UsageError
from bench.runs.history import Wanted, add, read
from tests.capacity.found import capacity_result, probe, tier


def recorded(folder, *tiers, **facts):
    folder.mkdir(parents=True, exist_ok=True)
    write_capacity(folder / NAME, capacity_result(*tiers, **facts))
    return capacity_record(folder, "c0ffee", "main")


def test_each_tier_is_a_figure_with_its_interval(tmp_path):
    found = recorded(tmp_path, tier("gold", 24.0, 21.0, 26.0), tier("silver", 30.0, 29.0, 33.0))
    assert [one[1:] for one in found.figures] == [
        ("capacity", "", "gold", 24.0, 21.0, 26.0, 1, "sessions"),
        ("capacity", "", "silver", 30.0, 29.0, 33.0, 1, "sessions"),
    ]
    assert {one.run for one in found.figures} == {found.entry.key}
    entry = found.entry
    assert (entry.commit, entry.branch, entry.verdict) == ("c0ffee", "main", "pass")
    assert (entry.scenario, entry.concurrency) == ("capacity", "sessions searched")


def test_at_least_is_a_lower_end_and_no_value(tmp_path):
    endless = tier(capacity=20.0, low=20.0, high=None, at_least=True, limit="generator")
    record = recorded(tmp_path, endless)
    (one,) = record.figures
    assert (one.value, one.low, one.high) == (None, 20.0, None)
    (group,) = groups([record.entry], record.figures)
    assert [why for _, why in group.lines[0].aside] == ["at least"]
    assert not group.lines[0].points


@pytest.mark.parametrize(
    ("one", "verdict", "figures"),
    [
        (tier(confirmed=False), "inconclusive", 1),
        (tier(capacity=0.0, low=0.0, high=2.0, confirmed=False), "fail", 1),
        (tier(capacity=None, low=None, high=None, confirmed=False), "inconclusive", 0),
    ],
)
def test_what_was_not_held_is_no_pass(tmp_path, one, verdict, figures):
    found = recorded(tmp_path, one)
    assert (found.entry.verdict, len(found.figures)) == (verdict, figures)


def test_a_search_without_an_answer_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"capacity\.json: the search has no answer yet"):
        recorded(tmp_path, complete=False)


def test_other_objectives_another_load_and_a_ramp_are_other_lines(tmp_path):
    made = [
        recorded(tmp_path / "0"),
        recorded(tmp_path / "1", tier(gates=["p95(first_audio_latency) < 900 ms"])),
        recorded(tmp_path / "2", load="arrivals", unit="/s"),
        recorded(tmp_path / "3", probes=[probe(purpose="ramp")]),
    ]
    found = groups([one.entry for one in made], [f for one in made for f in one.figures])
    assert len(found) == 4


def test_a_capacity_that_falls_is_worse(tmp_path):
    levels = [40, 41, 40, 39, 40, 41, 40, 30, 31, 30, 29, 30, 31, 30]
    made = [
        recorded(
            tmp_path, tier(capacity=float(level), low=level - 1.0, high=level + 1.0),
            created=f"2026-11-{day:02d}T22:00:00+00:00",
        )
        for day, level in enumerate(levels, 1)
    ]  # fmt: skip
    store = tmp_path / "history.sqlite"
    assert add(store, made) == [True] * len(made)
    assert add(store, made[:1]) == [False]
    (group,) = with_changes(groups(*read(store, Wanted())))
    (line,) = group.lines
    (change,) = line.changes
    assert (change.at, change.before, change.after) == (7, 40.0, 30.0)
    assert worse(line, change)
    assert (better("capacity"), better("first_audio_latency")) == ("higher", "lower")


def test_the_statistics_that_are_asked_for_choose_no_tiers(tmp_path):
    store = tmp_path / "history.sqlite"
    add(store, [recorded(tmp_path)])
    _, found = read(store, Wanted(metrics=["capacity", "answered"], statistics=["p50"]))
    assert [one.statistic for one in found] == ["gold"]
    assert read(store, Wanted(metrics=["answered"], statistics=["p50"]))[1] == []


def test_history_add_and_show_take_a_capacity(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    recorded(tmp_path / "found")
    store = tmp_path / "history.sqlite"
    told = ("--commit", "c0ffee", "--branch", "main", "--store", store)
    code, out, err = bench("history", "add", tmp_path / "found", *told)
    assert code == 0, err
    assert "at c0ffee main: 1 figure, pass" in " ".join(out.split())
    _, out, _ = bench("history", "add", tmp_path / "found" / NAME, *told)
    assert out.startswith("kept")
    page = tmp_path / "history.html"
    code, out, err = bench("history", "show", "--store", store, "--html", page)
    assert code == 0, err
    assert "gold capacity" in out
    assert "24 sessions" in out.replace("\u202f", " ")
    assert "Has capacity changed?" in page.read_text("utf-8")
    _, out, _ = bench("history", "show", "--metric", "capacity", "--store", store, "--json")
    (group,) = json.loads(out)["groups"]
    assert group["runs"][0]["commit"] == "c0ffee"
