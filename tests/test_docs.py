"""The documents say what the program does: keys, verbs, files and figures are compared."""

import ast
import re
import tomllib
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from bench.analysis.validity import RULES
from bench.plan.gates import parse_gate
from bench.plan.instants import INSTANTS
from bench.plan.metrics import METRICS, VERSION
from bench.plan.scenario import (
    Caller,
    Health,
    Ingredient,
    Limits,
    Load,
    Reference,
    Scenario,
    Seeds,
    Stage,
)
from bench.plan.session_request import SESSION_SHORTHANDS
from bench.protocol.dialects import DIALECTS, TARGETS
from bench.runs.folder import RunFolder
from bench.runs.job import make_job
from bench.runs.target import read_target
from bench.tracker.outcomes import OUTCOMES
from bench.verdict.verdict import EXIT_CODES
from bench.voice.directions import Direction
from bench.voice.scripts import SCRIPTS
from tests.doc_blocks import BLOCKS, PROFILE, filled, profile, verbs
from tests.golden.store import GOLDEN, read_expected

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for pattern in ("*.md", "docs/*.md", "[a-z]*/README.md", "tests/[a-z]*/README.md")
    for path in sorted(ROOT.glob(pattern))
}
DOCS = {Path(name).stem: text for name, text in PAGES.items() if name.startswith("docs/")}
README, CHANGELOG = PAGES["README.md"], PAGES["CHANGELOG.md"]
EVERYTHING = "\n".join(PAGES.values())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SCENARIO_FILES = {path.name: tomllib.loads(path.read_text())
                  for path in (ROOT / "scenarios").glob("*.toml")}  # fmt: skip
STRUCTS = [Scenario, Ingredient, Caller, Load, Stage, Seeds, Health, Limits, Reference]
VERBS = dict(verbs())
OPTIONS = {name for verb in VERBS.values() for one in verb.params for name in one.opts}
OTHERS_OPTIONS = {"--bench", "--bench-out", "--headless", "--processes"}
"""Of pytest with the plugin, and of Locust."""


def blocks(text, language):
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


def first_cells(text):
    """The words in code style in the first cells of all table rows."""
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


def section(text, title):
    return re.split(r"^##+ ", text.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


# ── pages ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_lists_is_what_the_code_has(page):
    assert filled(PAGES[page]) == PAGES[page], "run python -m tests.doc_blocks"


def test_every_list_stands_in_one_page():
    found = re.findall(r"^<!-- (\w+): written", EVERYTHING, re.MULTILINE)
    assert sorted(found) == sorted(BLOCKS)


def test_the_readme_is_short_and_leads_to_every_page():
    assert len(README.splitlines()) <= 250
    linked = set(re.findall(r"\]\(docs/([\w-]+)\.md", README))
    assert linked == set(DOCS)


def anchors(text):
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    place = (ROOT / page).parent
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = place / file if file else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page):
    named = re.findall(r"`((?:bench|tests|docs|scenarios|ci|\.ci)/[\w./-]+)`", PAGES[page])
    missing = [path for path in named if not (ROOT / path).exists()]
    assert not missing


def test_every_function_of_a_test_that_a_page_names_exists():
    named = re.findall(r"`(tests/\S+?\.py)::(\w+)`", EVERYTHING)
    assert len(named) > 15
    for file, name in named:
        assert f"\ndef {name}(" in (ROOT / file).read_text(), (file, name)


def test_every_kind_of_trouble_names_the_test_that_holds_it():
    rows = re.findall(r"^\| (?!trouble|---).+$", DOCS["robustness"], re.MULTILINE)
    assert len(rows) > 30
    assert all(re.search(r"\| `tests/\S+?\.py(::\w+)?` \|$", row) for row in rows)


def test_examples_in_python_and_toml_can_be_read():
    for code in blocks(EVERYTHING, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("bench."):
                source = import_source(node.module)
                assert all(re.search(rf"\b{one.name}\b", source) for one in node.names), node.module
    for text in blocks(EVERYTHING, "toml"):
        assert tomllib.loads(text)


def import_source(module):
    """The text of a module: `bench.load` cannot be imported without gevent's patches."""
    return (ROOT / f"{module.replace('.', '/')}.py").read_text()


def test_every_gate_that_is_shown_is_one():
    pattern = r"(?:soft )?\b(?:p\d\d|max|share|count)\(\w+(?:\{[^}]*\})?\) (?:<=?|>=?|==) [\w. %+]+"
    shown = re.findall(rf"[`\"]({pattern})[`\"]", EVERYTHING)
    assert len(shown) > 20
    for gate in shown:
        parse_gate(gate)


# ── verbs and exit codes ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_verb_has_a_help_text_and_an_example_of_itself(path):
    command = VERBS[path]
    assert command.help
    assert f"Example: bench {' '.join(path)}" in command.epilog


@pytest.mark.parametrize("page", PAGES)
def test_every_verb_and_option_that_is_shown_exists(page):
    shown = re.findall(r"(?:^\$ |`)bench ((?:[a-z-]+ ?)+)([^`\n]*)", PAGES[page], re.MULTILINE)
    for words, rest in shown:
        path = tuple(words.split())
        verb = next((path[:n] for n in (2, 1) if path[:n] in VERBS), None)
        assert verb or path[0] in {one[0] for one in VERBS}, words
        options = {name for one in VERBS[verb].params for name in one.opts} if verb else OPTIONS
        assert set(re.findall(r"(?<!\S)(--[a-z-]+)", rest.partition("#")[0])) <= options, words
    alone = set(re.findall(r"`(--[a-z][a-z-]*)", PAGES[page]))
    assert alone <= OPTIONS | OTHERS_OPTIONS


def test_pages_say_what_exit_codes_mean():
    rows = dict(re.findall(r"^\| (\d+) \| `?(\w*)`? \|", DOCS["gates"], re.MULTILINE))
    assert {word: int(code) for code, word in rows.items() if word} == EXIT_CODES
    assert set(map(int, rows)) == {*EXIT_CODES.values(), 2, 130}
    assert re.findall(r"^\| (\d+) \| [a-z]", README, re.MULTILINE) == list(rows)


def test_every_target_and_credential_is_named():
    assert {f"`{name}`" for name in TARGETS} <= set(re.findall(r"`[\w-]+`", DOCS["targets"]))
    assert all(dialect.credential_env in DOCS["targets"] for dialect in DIALECTS.values())


# ── scenarios ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_key_of_a_scenario_is_explained(struct):
    for field in msgspec.structs.fields(struct):
        name = field.encode_name
        words = (f"`{name}`", f"`[{name}]`", f"`[[{name}]]`")
        assert any(word in DOCS["scenarios"] for word in words), name


def test_no_key_is_explained_that_does_not_exist():
    keys = {field.encode_name for struct in STRUCTS for field in msgspec.structs.fields(struct)}
    explained = set(first_cells(DOCS["scenarios"]))
    assert explained
    assert explained <= keys


def test_every_scenario_file_is_in_the_list_with_its_script():
    listed = PAGES["scenarios/README.md"]
    rows = dict(re.findall(r"^\| `(\w+\.toml)` \| `?([\w ]+)`? \|", listed, re.MULTILINE))
    assert rows == {name: one.get("script", "a mixture") for name, one in SCENARIO_FILES.items()}


def test_every_stock_script_has_a_scenario():
    assert set(SCRIPTS) == {one.get("script") for one in SCENARIO_FILES.values()} - {None}


def test_every_scenario_has_a_short_profile_that_holds_on_any_machine():
    for scenario in SCENARIO_FILES.values():
        smoke = scenario["gates"]["smoke"]
        assert "count(violations) == 0" in smoke
        assert all(gate.startswith("count(") for gate in smoke)


def test_every_shipped_scenario_is_valid(monkeypatch):
    monkeypatch.chdir(ROOT)
    for name in SCENARIO_FILES:
        job = make_job(Path("scenarios") / name, read_target("reference", None))
        assert job.scenario.about
        assert job.scenario.gates


def test_every_direction_and_shorthand_is_explained():
    assert all(f"`{one.__name__}(" in DOCS["scripts"] for one in get_args(Direction))
    assert all(f"`{name}`" in DOCS["scenarios"] for name in SESSION_SHORTHANDS)


# ── figures, rules and files ─────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def demo():
    return read_expected(GOLDEN / "demo")


def test_outcomes_and_the_version_of_metrics_are_those_of_the_code():
    assert sorted(first_cells(section(DOCS["metrics"], "Outcomes of a turn"))) == sorted(OUTCOMES)
    assert f"`metric_version`, now {VERSION})" in DOCS["metrics"]


def test_every_rule_of_validity_is_explained():
    rows = re.findall(r"^\| `(\w+)` \|", section(DOCS["validity"], "Rules"), re.MULTILINE)
    assert set(rows) == (set(RULES) - {"faults"}) | faults()


def faults():
    """The rules of the faults that a run finds in itself: first words of calls of `fault`."""
    found = set()
    for path in (ROOT / "bench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "fault":
                word = node.args[0]
                found.add(word.value if isinstance(word, ast.Constant) else word.id.lower())
    return found


def test_every_file_of_a_run_folder_is_explained():
    named = set(first_cells(DOCS["run-folder"].partition("## ")[0]))
    known = {path.name for path in vars(RunFolder(Path("run"))).values()} - {"run"}
    assert {name.rstrip("/") for name in named} == known | {"junit.xml", "probe.json"}


def test_every_key_of_the_documents_of_a_run_is_explained(demo):
    page = DOCS["run-folder"]
    run = msgspec.json.decode((GOLDEN / "demo" / "run.json").read_bytes())
    assert set(run) <= set(first_cells(section(page, "`run.json`")))
    assert set(demo.summary) == set(first_cells(section(page, "`summary.json`"))) | {"rows"}
    (row,) = re.findall(r"`rows` are `\{(.+?)\}`", page)
    assert {key for one in demo.summary["rows"] for key in one} - {"longest"} <= set(
        row.split(", ")
    )
    shapes = [
        set(one.split(", ")) for one in re.findall(r"`\{(.+?)\}`", section(page, "`verdict.json`"))
    ]
    verdict = demo.verdict
    assert shapes == [set(one) for one in (verdict, verdict["gates"][0], verdict["validity"][0])]


@pytest.mark.parametrize("table", ["turns", "sessions"])
def test_every_column_of_a_table_is_explained(table, demo):
    listed = set(first_cells(section(DOCS["run-folder"], f"`{table}.parquet`")))
    known = {*METRICS, *(f"{name}_ns" for name in INSTANTS)}
    assert listed - known == set(getattr(demo, table)) - known


@pytest.mark.parametrize("name", ["quirks", "failures"])
def test_every_key_of_the_shipped_profile_is_listed(name):
    listed = [key.strip("`") for key, *_ in profile(PROFILE.read_text(), name)]
    assert listed == list(tomllib.loads(PROFILE.read_text())[name])


# ── development ──────────────────────────────────────────────────────────────────────────────────


def test_every_slow_test_says_what_it_guards():
    listed = set(re.findall(r"^- (.+)$", section(DOCS["development"], "Slow tests"), re.MULTILINE))
    guarded = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
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


def test_every_target_of_make_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    shown = set(re.findall(r"(?:^\$ |`)make ([a-z-]+)", README + DOCS["development"], re.MULTILINE))
    assert {"demo", "capacity", "check", "test", "test-slow", "bench"} <= shown
    for target in shown:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_dependency_earns_a_sentence_in_the_changelog():
    for dependency in PROJECT["dependencies"]:
        assert re.split(r"[>=<]", dependency)[0] in CHANGELOG


def test_constraints_pin_every_dependency_and_name_no_address():
    text = (ROOT / "constraints.txt").read_text()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in text.split())
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in text.split()}
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    for dependency in wanted:
        assert re.split(r"[>=<]", dependency)[0].lower() in pinned


# ── outputs ──────────────────────────────────────────────────────────────────────────────────────


def skeleton(text):
    """What is printed without its figures, its rules and its line ends."""
    words = re.sub(r"\d[\d.,]*|∞|–(?= )", "#", re.sub("─+", "", text)).split()
    return " ".join(words)


def shown(page, begin, end):
    """The part of a page's outputs from one line to another, both included."""
    return re.search(rf"^{begin}.*?^{end}.*?$", page, re.MULTILINE | re.DOTALL)[0]


@pytest.mark.usefixtures("virtual")
def test_the_outputs_of_a_run_are_shown_as_they_are_printed(bench, tmp_path):
    code, out, _ = bench("run", "scenarios/demo.toml", "--out", tmp_path / "demo")
    assert code == 0
    ends = ("demo against", "PASS")
    assert skeleton(shown(out, *ends)) == skeleton(shown(README, *ends))
    gate = "p99(first_audio_latency) < 9 s"
    code, out, _ = bench("judge", tmp_path / "demo", "--gate", gate, "--explain")
    assert code == EXIT_CODES["inconclusive"]
    ends = (r"share\(answered\) >= 90 %\nIt", "It stays open")
    assert skeleton(shown(out, *ends)) == skeleton(shown(DOCS["gates"], *ends))
