"""Documents of a run are read against a schema."""

import json

import pytest

from bench.errors import FolderLostError, RunFolderError
from bench.runs.folder import RunFolder, still_there
from bench.runs.json_file import read_summary, read_verdict

ROW = {
    "metric": "m", "filter": "", "statistic": "p50", "value": 1.0, "low": None, "high": None,
    "n": 1, "unit": "ms",
}  # fmt: skip


@pytest.mark.parametrize(
    ("found", "key"),
    [
        ({"plan": []}, "plan"),
        ({"plan": {"start_ns": "soon"}}, "plan.start_ns"),
        ({"gates": "count(errors) <= 0"}, "gates"),
        ({"faults": [{"rule": 1, "text": "", "remedy": ""}]}, "faults"),
        ({"workers": None}, "workers"),
        ({"scenario": {"effective": {"load": 3}}}, "scenario.effective.load"),
    ],
)
def test_a_key_of_another_type_is_named(tmp_path, found, key):
    folder = RunFolder(tmp_path)
    folder.run_json.write_text(json.dumps({"format": 1, **found}))
    with pytest.raises(RunFolderError, match=rf"run\.json: {key}.*restore it"):
        folder.read()


@pytest.mark.parametrize("text", ["null", "3", "[]", '"x"'])
def test_a_document_that_is_no_object_is_none(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    for read in (read_summary, read_verdict):
        with pytest.raises(RunFolderError, match="no JSON object"):
            read(tmp_path / "x.json")


def test_a_summary_and_a_verdict_of_other_shapes_name_the_key(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"rows": [{**ROW, "n": "many"}]}))
    with pytest.raises(RunFolderError, match=r"rows\[\.\.\.\]\.n|rows\[0\]\.n"):
        read_summary(path)
    path.write_text(json.dumps({"verdict": "pass", "reasons": None}))
    with pytest.raises(RunFolderError, match="reasons"):
        read_verdict(path)


def test_a_run_that_lacks_what_a_verb_needs_names_it(tmp_path):
    folder = RunFolder(tmp_path)
    folder.run_json.write_text('{"format": 1, "name": "x"}')
    with pytest.raises(RunFolderError, match="scenario: is not there; restore"):
        folder.read_whole()


def test_files_that_contradict_each_other_are_a_fault_in_one_line(tmp_path):
    said = r"contradict each other.*KeyError.*restore"
    with pytest.raises(FolderLostError, match=said) as lost, still_there(tmp_path):
        raise KeyError("turn\nand more")
    assert "\n" not in str(lost.value)
    assert lost.value.exit_code == 3
