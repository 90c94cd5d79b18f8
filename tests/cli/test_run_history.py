"""The verbs of history, in this process: what they print, what they refuse."""

import json
import re
import subprocess
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from bench.cli.run_history import since as since_of
from bench.errors import UsageError
from bench.runs.history import add
from tests.past import figure, past

ROOT = Path(__file__).parents[2]


@pytest.fixture
def history(bench, monkeypatch):
    """Run `bench history …`; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "120")
    return partial(bench, "history")


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "history.sqlite"
    records = list(past(30, step_at=20, step=1.2, seed=2))
    records[5] = records[5]._replace(entry=records[5].entry._replace(verdict="invalid"))
    add(path, [*records, *past(3, branch="side")])
    return path


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    from tests.report.synthetic import make_run

    folder = make_run(tmp_path_factory.mktemp("history") / "a-run")
    run = json.loads((folder / "run.json").read_text())
    said = run["scenario"]
    said["document"] = dict(said["effective"])
    said["effective"]["load"] = {"sessions": 20, "arrivals": None, "rate": None}
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def test_a_run_is_added_once_at_the_commit_of_the_checkout(history, run_folder, tmp_path):
    store = tmp_path / "new" / "history.sqlite"
    code, out, _ = history("add", run_folder, "--store", store)
    assert code == 0
    assert out.startswith(f"added  {run_folder} at ")
    code, out, _ = history("add", run_folder, "--store", store)
    assert (code, out.startswith(f"kept   {run_folder}")) == (0, True)
    git = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    _, out, _ = history("show", "--store", store, "--json")
    ((run,),) = (group["runs"] for group in json.loads(out)["groups"])
    assert run["commit"] == git.stdout.strip()


@pytest.mark.parametrize(
    ("said", "commit", "branch"),
    [
        ({"GITHUB_SHA": "c0ffee", "GITHUB_REF_NAME": "main"}, "c0ffee", "main"),
        (
            {"GITHUB_SHA": "c0ffee", "GITHUB_HEAD_REF": "side", "GITHUB_REF_NAME": "6/merge"},
            "c0ffee", "side",
        ),
        ({"CI_COMMIT_SHA": "beef", "CI_COMMIT_REF_NAME": "trunk"}, "beef", "trunk"),
    ],
)  # fmt: skip
def test_commit_and_branch_are_what_ci_says(
    history, run_folder, tmp_path, monkeypatch, said, commit, branch
):
    store = tmp_path / "history.sqlite"
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    history("add", run_folder, "--store", store)
    _, out, _ = history("show", "--store", store, "--json")
    (group,) = json.loads(out)["groups"]
    assert (group["branch"], group["runs"][0]["commit"]) == (branch, commit)


def test_outside_a_checkout_commit_and_branch_are_empty(history, run_folder, tmp_path, monkeypatch):
    store = tmp_path / "history.sqlite"
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nothing"))
    code, out, _ = history("add", run_folder, "--store", store)
    assert code == 0
    assert " at " not in out


def test_lines_are_shown_as_sparklines_and_changes_as_sentences(history, store):
    code, out, _ = history("show", "--store", store, "--branch", "main")
    assert code == 0
    row = next(line for line in out.splitlines() if "p50 first_audio_latency " in line)
    assert "×" in row  # the invalid run has its place
    assert sum(letter in "▁▂▃▄▅▆▇█" for letter in row) == 29
    changes = [line for line in out.splitlines() if line.startswith("change ")]
    assert len(changes) == 6
    records = list(past(30, step_at=20, step=1.2, seed=2))
    for line in changes:
        assert "2026-09-21" in line
        assert "worse" in line
        assert f"{records[19].entry.commit[:10]} and {records[20].entry.commit[:10]}" in line
        assert "p = " in line


def test_what_lies_within_the_intervals_is_drawn_level(history, tmp_path):
    store = tmp_path / "history.sqlite"
    add(store, list(past(8, noise=0.0001)))
    _, out, _ = history("show", "--store", store)
    row = next(line for line in out.splitlines() if "p50 first_audio_latency " in line)
    assert {letter for letter in row if letter in "▁▂▃▄▅▆▇█"} <= {"▄", "▅"}


def test_a_run_without_a_point_has_a_mark_for_its_reason(history, tmp_path):
    store = tmp_path / "history.sqlite"
    records = list(past(6))
    records[1] = records[1]._replace(entry=records[1].entry._replace(verdict="invalid"))
    lost = figure(records[2].entry, "first_audio_latency", "p50", None)
    records[2] = records[2]._replace(figures=[lost, *records[2].figures[4:]])
    add(store, records)
    code, out, _ = history("show", "--store", store)
    assert code == 0
    row = next(line for line in out.splitlines() if "p50 first_audio_latency " in line)
    assert re.search("[▁-█]×∞[▁-█]{3}", row)


def test_lines_that_must_not_be_joined_are_said_to_be_apart_and_why(history, store):
    _, out, _ = history("show", "--store", store)
    assert out.startswith("2 settings, whose runs must not be joined: branch differ")
    assert "no change points: 3 more runs before a change can be told" in out


def test_one_metric_and_statistic_can_be_asked_for(history, store):
    _, out, _ = history(
        "show", "--store", store, "--branch", "main", "--metric", "endpointing_delay",
        "--statistic", "p95", "--json",
    )  # fmt: skip
    (group,) = json.loads(out)["groups"]
    (line,) = group["lines"]
    assert (line["metric"], line["statistic"], len(line["points"])) == (
        "endpointing_delay", "p95", 29,
    )  # fmt: skip
    (change,) = line["changes"]
    assert change["worse"] is True
    assert change["change"] == pytest.approx(20, abs=5)
    assert (change["change_unit"], change["runs_before"], change["runs_after"]) == ("%", 19, 10)
    assert [entry["why"] for entry in line["aside"]] == ["invalid"]


def test_a_page_is_written_beside_the_table(history, store, tmp_path):
    page = tmp_path / "history.html"
    code, out, _ = history("show", "--store", store, "--html", page)
    assert code == 0
    assert f"page    {page}" in out
    assert page.read_text().startswith("<!doctype html>")


def test_an_export_goes_to_a_file_or_to_stdout(history, store, tmp_path):
    code, out, err = history("export", "--format", "bmf", "--branch", "main", "--store", store)
    assert code == 0
    assert json.loads(out)
    file = tmp_path / "bmf.json"
    history("export", "--format", "bmf", "--branch", "main", "--store", store, "--out", file)
    assert file.read_text() == out
    code, out, err = history(
        "export", "--format", "github-action-benchmark", "--branch", "main", "--store", store
    )
    assert json.loads(out)
    assert "left out: 1 figure of the other direction" in err


def test_histories_are_merged(history, store, tmp_path):
    other = tmp_path / "other.sqlite"
    add(other, past(2, branch="other"))
    assert history("merge", other, "--store", store)[1] == f"added  2 runs of {other}\n"
    assert history("merge", other, "--store", store)[1] == f"added  0 runs of {other}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "--metric", "first_audio"], ["--metric", "did you mean 'first_audio_latency'"]),
        (["show", "--statistic", "p96"], ["--statistic", "p96", "did you mean"]),
        (["show", "--since", "30x"], ["--since '30x'", "as in 2026-09-01", "30d"]),
        (["export", "--format", "bmf", "--since", "soon"], ["--since 'soon'", "30d"]),
        (
            ["show", "--since", "2027-01-01"],
            ["no run of --since '2027-01-01 00:00'", "on 'main', last 2026-09-30 09:00"],
        ),
        (["show", "--filter", "script=foo"], ["--filter 'script=foo'", "leave it out"]),
        (["show", "--branch", "mian"], ["no run of --branch 'mian'", "on 'main'"]),
        (["export", "--format", "otavo"], ["--format", "did you mean 'otava'"]),
        (["export", "--format", "bmf", "--out", "/no/where.json"], ["/no/where.json", "--out"]),
        (["show", "--html", "/no/where.html"], ["/no/where.html", "--html"]),
        (["merge", "missing.sqlite"], ["missing.sqlite", "no history here"]),
        (["add", "missing"], ["missing: no run here"]),
    ],
)
def test_what_is_wrong_is_one_line_with_the_remedy(history, store, arguments, words):
    code, _, err = history(*arguments, "--store", store)
    assert code == 2
    (line,) = err.strip().splitlines()
    assert line.startswith("bench: ")
    for word in words:
        assert word in line


def test_a_history_that_is_not_there_says_how_to_begin_one(history, tmp_path):
    code, _, err = history("show", "--store", tmp_path / "none.sqlite")
    assert code == 2
    assert "bench history add" in err


def test_runs_without_figures_of_those_asked_for_are_still_listed(history, store):
    code, out, _ = history("show", "--store", store, "--metric", "tool_call_latency")
    assert code == 0
    assert "2026-09-30" in out
    assert "no figures of those that were asked for" in out


def runs_of(told):
    (group,) = json.loads(told)["groups"]
    return [run["created"][:10] for run in group["runs"]]


@pytest.mark.parametrize(
    ("since", "first", "runs"),
    [
        ("2026-09-11", "2026-09-11", 20),
        ("2026-09-11T09:00", "2026-09-11", 20),
        ("2026-09-11T09:01", "2026-09-12", 19),
        ("2026-09-11T11:00+02:00", "2026-09-11", 20),
        ("", "2026-09-01", 30),
    ],
)
def test_only_runs_since_a_date_are_shown_and_exported(history, store, since, first, runs):
    asked = ["--branch", "main", "--store", store, "--since", since]
    shown = runs_of(history("show", *asked, "--json")[1])
    assert (shown[0], shown[-1], len(shown)) == (first, "2026-09-30", runs)
    _, out, _ = history("export", "--format", "otava", *asked)
    rows = out.splitlines()[1:]
    assert rows[0].startswith(first)
    assert len(rows) == sum(day != "2026-09-06" for day in shown)  # the invalid run's


@pytest.mark.parametrize(
    ("age", "instant"),
    [("36h", "2026-09-13T00:00:00+00:00"), ("30d", "2026-08-15T12:00:00+00:00"),
     (" 2w ", "2026-08-31T12:00:00+00:00")],
)  # fmt: skip
def test_an_age_counts_back_from_now(age, instant):
    assert since_of(age, datetime(2026, 9, 14, 12, tzinfo=UTC)) == instant


@pytest.mark.parametrize("age", ["30", "d", "30x", "-3d", "99999999999999d", "next week", "1.5d"])
def test_what_is_neither_a_date_nor_an_age_is_refused(age):
    with pytest.raises(UsageError, match=r"^--since '.*': give a date, as in .* 30d or 8w$"):
        since_of(age, datetime(2026, 9, 14, 12, tzinfo=UTC))
