"""Scenarios and corpora by name: from the current folder, else those that come with the program."""

from pathlib import Path

import pytest

from bench import shelves
from bench.cli.run_job import job_of
from bench.cli.verbs import RunOptions
from bench.corpus.manifest import find_corpus
from bench.errors import ScenarioError
from bench.reference.profile import load_profile

ROOT = Path(__file__).parents[1]
SHIPPED = {path.stem for path in (ROOT / "scenarios").glob("*.toml")}


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(path, turns):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"turns = {turns}\n[load]\nsessions = 1\n")


def turns(word):
    return job_of(RunOptions(Path(word))).scenario.turns


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_shipped_scenario_is_there_by_name_in_an_empty_folder(name):
    job = job_of(RunOptions(Path(name)))
    assert job.name == name
    assert job.corpus.folder == find_corpus("everyday") == ROOT / "audio_corpus" / "everyday"
    if profile := job.scenario.reference.profile:
        assert load_profile(Path(profile)) != load_profile(None)


def test_the_folders_own_shelf_goes_before_the_shipped_one_and_a_path_before_both(empty):
    put(empty / "scenarios" / "demo.toml", 5)
    put(empty / "scenarios" / "mine.toml", 6)
    assert (turns("demo"), turns("mine"), turns("scenarios/mine.toml")) == (5, 6, 6)
    put(empty / "demo", 7)
    assert turns("demo") == 7
    assert set(shelves.scenarios()) == {*SHIPPED, "mine"}


def test_a_folder_of_that_name_is_no_path_of_a_scenario(empty):
    (empty / "demo").mkdir()
    assert turns("demo") == 3
    (empty / "other").mkdir()
    with pytest.raises(ScenarioError, match="other: is a folder"):
        turns("other")


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("demoo", "did you mean 'demo'?"),
        ("scenarios/barge-in.toml", "did you mean 'barge_in'?"),
        ("xyzzy", f"valid are: {', '.join(sorted(SHIPPED))}"),
    ],
)
def test_a_name_that_is_none_is_told_with_the_nearest_or_all(word, words):
    with pytest.raises(ScenarioError) as refused:
        turns(word)
    assert str(refused.value).startswith(f"{word}: is neither a scenario file nor the name of one")
    assert words in str(refused.value)


@pytest.mark.parametrize("verb", ["run", "check", "capacity", "calibrate", "ab"])
def test_every_verb_that_takes_a_scenario_refuses_an_unknown_name(verb, bench, empty, monkeypatch):
    monkeypatch.chdir(empty)
    code, _, err = bench(verb, "demoo")
    assert (code, "did you mean 'demo'?" in err) == (2, True)


def test_profiles_of_the_folder_go_before_shipped_ones_of_that_path(empty):
    path = Path("scenarios/servers/slots.toml")
    shipped = load_profile(path)
    (empty / path).parent.mkdir(parents=True)
    (empty / path).write_text("[capacity]\nslots = 9\n")
    assert load_profile(path) != shipped


def test_the_list_tells_name_script_and_where_each_is(bench, empty, monkeypatch):
    monkeypatch.chdir(empty)
    put(empty / "scenarios" / "mine.toml", 1)
    code, out, _ = bench("list", "scenarios")
    head, *lines = (line.split("\t") for line in out.splitlines())
    assert (code, head) == (0, ["name", "script", "about", "file"])
    assert {line[0] for line in lines} == {*SHIPPED, "mine"}
    assert all(Path(line[3]).is_file() for line in lines)
