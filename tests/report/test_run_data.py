import json
import shutil

import pandas as pd
import pytest

from bench.errors import RunFolderError
from bench.report.run_data import flag, numbers, read_run, texts


@pytest.fixture
def folder(folders, tmp_path):
    return shutil.copytree(folders["whole"], tmp_path / "run")


@pytest.mark.parametrize(
    "name", ["run.json", "summary.json", "verdict.json", "turns.parquet", "sessions.parquet"]
)
def test_a_missing_file_is_an_error_that_names_it_and_the_remedy(folder, name):
    (folder / name).unlink()
    with pytest.raises(
        RunFolderError, match=rf"run/{name}: no such file; .*(bench report|restore)"
    ):
        read_run(folder)


@pytest.mark.parametrize("name", ["summary.json", "turns.parquet"])
def test_a_broken_file_is_an_error_in_one_line(folder, name):
    (folder / name).write_bytes(b"not what it says")
    with pytest.raises(RunFolderError, match=rf"run/{name}: cannot be read") as caught:
        read_run(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_of_another_format_is_refused(folder):
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(document | {"format": 99}))
    with pytest.raises(RunFolderError, match="format 99, this version reads 1"):
        read_run(folder)


def test_health_and_events_may_be_missing(runs):
    assert runs["bare"].health is None
    assert runs["bare"].events().empty


def test_only_the_events_asked_for_are_read(runs):
    events = runs["whole"].events(sessions={3, 4}, types=("response.done",), directions=("in",))
    assert set(events["session"]) == {3, 4}
    assert set(events["type"]) == {"response.done"}
    assert runs["whole"].events(sessions=()).empty


def test_events_come_in_log_order(runs):
    events = runs["whole"].events(sessions={5})
    assert events["at_ns"].is_monotonic_increasing


def test_turns_that_the_run_cut_short_count_nowhere(runs):
    run = runs["whole"]
    assert "cut" in set(run.measured["outcome"])
    assert len(run.counted) == len(run.measured) - (run.measured["outcome"] == "cut").sum()


def test_unknown_is_not_yes_and_an_absent_column_is_empty():
    table = pd.DataFrame(
        {
            "yes": pd.array([True, False, pd.NA], dtype="boolean"),
            "some": pd.array([1, pd.NA, 3], dtype="Int64"),
            "words": ["a", None, "c"],
        }
    )
    assert flag(table, "yes").tolist() == [True, False, False]
    assert flag(table, "none").tolist() == [False] * 3
    assert numbers(table, "some").fillna(-1).tolist() == [1, -1, 3]
    assert numbers(table, "none").isna().all()
    assert texts(table, "words").tolist() == ["a", "", "c"]
    assert texts(table, "none").tolist() == [""] * 3
