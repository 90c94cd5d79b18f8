"""The documents say what the program does: keys, verbs, files and commands are compared."""

import ast
import re
import tomllib
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from typer.main import get_command

from bench.cli import app
from bench.plan.scenario import Caller, Health, Ingredient, Load, Reference, Scenario, Seeds
from bench.plan.session import SESSION_SHORTHANDS
from bench.reference.profile import SESSION_QUIRKS
from bench.runs.job import make_job, read_target
from bench.voice.directions import Direction
from bench.voice.scripts import SCRIPTS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SCENARIOS = (ROOT / "scenarios" / "README.md").read_text()


def verbs(command, path=()):
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from verbs(inner, (*path, name))
    else:
        yield path, command


VERBS = dict(verbs(get_command(app)))


STRUCTS = [Scenario, Ingredient, Caller, Load, Seeds, Health, Reference]


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_key_of_a_scenario_is_explained_where_scenarios_are(struct):
    for field in msgspec.structs.fields(struct):
        name = field.encode_name
        assert any(word in SCENARIOS for word in (f"`{name}`", f"`[{name}]`", f"`[[{name}]]`"))


def test_no_key_is_explained_that_does_not_exist():
    keys = {field.encode_name for struct in STRUCTS for field in msgspec.structs.fields(struct)}
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", SCENARIOS, re.MULTILINE)
    explained = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert explained
    assert explained <= keys


def test_every_scenario_file_is_in_the_list_with_its_script():
    rows = dict(re.findall(r"^\| `(\w+\.toml)` \| `?([\w ]+)`? \|", SCENARIOS, re.MULTILINE))
    files = {path.name: path for path in (ROOT / "scenarios").glob("*.toml")}
    assert set(rows) == set(files)
    for name, path in files.items():
        assert rows[name] == tomllib.loads(path.read_text()).get("script", "a mixture")


def test_every_direction_is_explained_where_scripts_are():
    for direction in get_args(Direction):
        assert f"`{direction.__name__}(" in SCENARIOS


def test_every_scenario_has_a_short_profile_that_holds_on_any_machine():
    for path in (ROOT / "scenarios").glob("*.toml"):
        smoke = tomllib.loads(path.read_text())["gates"]["smoke"]
        assert "count(violations) == 0" in smoke
        assert all(gate.startswith("count(") for gate in smoke)


def test_every_shorthand_of_the_session_is_named():
    assert all(f"`{name}`" in SCENARIOS for name in SESSION_SHORTHANDS)


def test_every_stock_script_is_named_and_has_a_scenario():
    used = {
        tomllib.loads(path.read_text()).get("script")
        for path in (ROOT / "scenarios").glob("*.toml")
    } - {None}
    assert set(SCRIPTS) == used
    assert all(f"`{name}`" in SCENARIOS for name in SCRIPTS)


def test_every_shipped_scenario_is_valid(monkeypatch):
    monkeypatch.chdir(ROOT)
    for path in Path("scenarios").glob("*.toml"):
        job = make_job(path, read_target("reference", None))
        assert job.scenario.about
        assert job.scenario.gates


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_verb_has_a_help_text_and_an_example_of_itself(path):
    command = VERBS[path]
    assert command.help
    assert f"Example: bench {' '.join(path)}" in command.epilog


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_verb_is_named_in_a_document(path):
    documents = README + SCENARIOS + (ROOT / "CHANGELOG.md").read_text()
    documents += (ROOT / "reports" / "README.md").read_text()
    documents += (ROOT / "audio_corpus" / "README.md").read_text()
    assert f"bench {' '.join(path)}" in documents or f"`{path[-1]}`" in documents


def test_every_verb_and_option_that_the_readme_shows_exists():
    shown = re.findall(r"(?:^\$ |`)bench ((?:[a-z]+ ?)+)([^`\n]*)", README, re.MULTILINE)
    assert len(shown) > 8
    for words, rest in shown:
        path = tuple(words.split())
        verb = next((path[:n] for n in (2, 1) if path[:n] in VERBS), None)
        assert verb, words
        options = {name for parameter in VERBS[verb].params for name in parameter.opts}
        for option in re.findall(r"(--[a-z-]+)", rest.partition("#")[0]):
            assert option in options, (verb, option)


def test_the_readme_says_what_every_slow_test_guards():
    listed = set(re.findall(r"^- (.+)$", README.partition("The slow tests")[2], re.MULTILINE))
    guarded = set()
    for path in (ROOT / "tests" / "live").glob("test_*.py"):
        tree = ast.parse(path.read_text())
        whole = any("pytest.mark.slow" in ast.unparse(one) for one in tree.body
                    if isinstance(one, ast.Assign))  # fmt: skip
        for test in tree.body:
            if not isinstance(test, ast.FunctionDef) or not test.name.startswith("test_"):
                continue
            if whole or any("pytest.mark.slow" in ast.unparse(one) for one in test.decorator_list):
                line = (ast.get_docstring(test) or "").splitlines()[0]
                assert re.match(r"Guards .+\.$", line), test.name
                guarded.add(line.removeprefix("Guards ").removesuffix("."))
    assert guarded == listed
    assert len(guarded) >= 7


def test_the_readme_lists_what_make_can_do_for_a_developer():
    makefile = (ROOT / "Makefile").read_text()
    shown = re.findall(r"^\| `make ([a-z-]+)` \|", README, re.MULTILINE)
    assert {"check", "test", "test-slow", "bench"} <= set(shown)
    for target in shown:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_of_the_readme_leads_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_every_dependency_earns_a_sentence_in_the_changelog():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text()
    for dependency in project["dependencies"]:
        assert re.split(r"[>=<]", dependency)[0] in changelog


def test_constraints_pin_every_dependency_and_name_no_address():
    text = (ROOT / "constraints.txt").read_text()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in text.split())
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in text.split()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for dependency in wanted:
        assert re.split(r"[>=<]", dependency)[0].lower() in pinned


ROBUSTNESS = (ROOT / "docs" / "robustness.md").read_text()


def test_every_kind_of_trouble_names_a_test_that_there_is():
    named = re.findall(
        r"^\| .+ \| .+ \| `(tests/\S+?\.py)(?:::(\w+))?` \|$", ROBUSTNESS, re.MULTILINE
    )
    assert len(named) == len(re.findall(r"^\| (?!kind|---)", ROBUSTNESS, re.MULTILINE)) > 30
    for file, name in named:
        assert (ROOT / file).exists(), file
        assert f"\ndef {name or 'test_'}" in (ROOT / file).read_text(), (file, name)


def test_every_quirk_of_a_session_is_named_where_trouble_is_told():
    told = re.findall(r"`(\w+)`", ROBUSTNESS.partition("## Quirks")[2])
    assert told == list(SESSION_QUIRKS)
