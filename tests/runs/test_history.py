import sqlite3
from threading import Thread

import pytest

from bench.errors import UsageError
from bench.runs.history import FORMAT, Wanted, add, merge, read
from tests.past import past


@pytest.fixture
def store(tmp_path):
    return tmp_path / "history.sqlite"


def test_what_is_added_is_what_is_read_in_order_of_time(store):
    records = list(past(5))
    assert add(store, records[::-1]) == [True] * 5
    entries, figures = read(store, Wanted())
    assert entries == [record.entry for record in records]
    assert sorted(figures) == sorted(figure for record in records for figure in record.figures)


def test_adding_a_run_again_changes_nothing(store):
    records = list(past(3))
    add(store, records)
    before = store.read_bytes()
    assert add(store, records) == [False] * 3
    assert store.read_bytes() == before


def test_jobs_that_add_at_once_to_a_history_that_is_not_there_yet_lose_nothing(store):
    records = list(past(24))
    jobs = [Thread(target=add, args=(store, [record])) for record in records]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    entries, figures = read(store, Wanted())
    assert entries == [record.entry for record in records]
    assert len(figures) == sum(len(record.figures) for record in records)


def test_histories_of_two_machines_merge_and_what_both_have_stays_one(store, tmp_path):
    records, other = list(past(6)), tmp_path / "other.sqlite"
    add(store, records[:4])
    add(other, records[2:])
    assert merge(store, other) == 2
    assert merge(store, other) == 0
    entries, figures = read(store, Wanted())
    assert entries == [record.entry for record in records]
    assert sorted(figures) == sorted(figure for record in records for figure in record.figures)


def test_runs_are_chosen_by_scenario_target_and_branch_and_figures_by_what_they_are(store):
    add(store, [*past(2), *past(2, branch="side"), *past(2, target="inworld", scenario="calls")])
    entries, figures = read(store, Wanted(branch="side"))
    assert {entry.branch for entry in entries} == {"side"}
    assert {figure.run for figure in figures} == {entry.key for entry in entries}
    entries, _ = read(store, Wanted(scenario="calls", target="inworld"))
    assert [entry.scenario for entry in entries] == ["calls"] * 2
    _, figures = read(store, Wanted(metrics=["first_audio_latency"], statistics=["p95"]))
    assert {(one.metric, one.statistic) for one in figures} == {("first_audio_latency", "p95")}
    assert len(figures) == 6
    assert read(store, Wanted(filter="script=barge_in"))[1] == []


def test_words_of_a_command_line_are_values_and_never_sql(store):
    add(store, past(2))
    assert read(store, Wanted(branch="main' OR '1'='1"))[0] == []


def test_an_add_that_fails_leaves_nothing_behind(store):
    good, bad = past(2)
    twice = bad._replace(figures=[bad.figures[0], bad.figures[0]])
    with pytest.raises(UsageError):
        add(store, [good, twice])
    add(store, [])
    assert read(store, Wanted())[0] == []


def test_a_history_of_another_format_is_refused_in_one_line(store):
    add(store, past(1))
    base = sqlite3.connect(store)
    base.execute(f"PRAGMA user_version = {FORMAT + 1}")
    base.commit()
    base.close()
    for use in (lambda: add(store, past(1)), lambda: read(store, Wanted())):
        with pytest.raises(UsageError, match=rf"history\.sqlite: .*format {FORMAT + 1}.*reads"):
            use()


def test_what_is_no_history_is_refused_and_left_as_it_was(store):
    store.write_text("a text, and much longer than the header of a database would be " * 4)
    before = store.read_bytes()
    for use in (lambda: add(store, past(1)), lambda: read(store, Wanted())):
        with pytest.raises(UsageError, match=r"history\.sqlite: is no history"):
            use()
    assert store.read_bytes() == before
    other = store.with_name("other.sqlite")
    base = sqlite3.connect(other)
    base.execute("CREATE TABLE bookmarks (url TEXT)")
    base.commit()
    base.close()
    with pytest.raises(UsageError, match="is no history"):
        add(other, past(1))


def test_a_history_that_is_not_there_says_how_to_begin_one(store):
    with pytest.raises(UsageError, match="bench history add"):
        read(store, Wanted())
    assert not store.exists()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        add(tmp_path / "file" / "history.sqlite", past(1))
