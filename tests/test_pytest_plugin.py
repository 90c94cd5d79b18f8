"""The pytest plugin, in a pytest of its own; the bench that it starts only pretends."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bench import pytest_plugin
from bench.analysis.pipeline import analyse
from bench.pytest_plugin import arguments
from bench.verdict.verdict import judge_run
from tests.analysis.story import conversation, write_run

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
PRETENCE = """
import json, pathlib, sys
folder = next(pathlib.Path(a[6:]) for a in sys.argv if a.startswith("--out="))
pathlib.Path("calls").open("a").write(json.dumps(sys.argv[1:]) + "\\n")
code = int(pathlib.Path("code").read_text())
if code in {0, 1, 4}:
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text('{"verdict": "fail", "reasons": ["slow"], "gates": []}')
print("phase measuring\\nbench: as it went", file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """80 answered turns of 20 sessions, all 850 ms; judged."""
    folder = write_run(tmp_path_factory.mktemp("run"), *[conversation(n, 4) for n in range(20)])
    analyse(folder)
    judge_run(folder, [], None)
    return folder


@pytest.fixture
def play(pytester, monkeypatch, run_folder):
    """Run a test file under the plugin, and under no other."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setattr(pytest_plugin, "PROGRAM", (sys.executable, "pretence.py"))

    def run(body, *options, code=0):
        (pytester.path / "code").write_text(str(code))
        (pytester.path / "pretence.py").write_text(PRETENCE)
        pytester.makepyfile(
            "import pytest\nfrom bench.errors import UsageError\n"
            "from bench.pytest_plugin import UnfitRunError, assert_gate\n"
            f"FOLDER = {str(run_folder)!r}\n" + body
        )
        return pytester.runpytest_inprocess("-p", "bench.pytest_plugin", "-rA", *options)

    return run


def test_a_load_test_is_deselected_unless_it_is_asked_for(play):
    body = "@pytest.mark.bench\ndef test_load(bench): pass\ndef test_other(): pass\n"
    play(body).assert_outcomes(passed=1, deselected=1)
    play(body, "--bench").assert_outcomes(passed=2)


def test_a_job_that_forgets_to_ask_is_not_green(play):
    result = play("@pytest.mark.bench\ndef test_load(bench): pass\n")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_the_marker_is_registered(play):
    play(
        "@pytest.mark.bench\ndef test_load(): pass\n", "--strict-markers", "--bench"
    ).assert_outcomes(passed=1)
    play("").stdout.no_fnmatch_line("*Unknown*")


def test_a_gate_that_passes_asserts_nothing_and_changes_nothing(play, run_folder):
    before = (run_folder / "verdict.json").read_bytes()
    play("def test(bench): assert_gate(bench.open(FOLDER), 'p95(first_audio_latency) < 900 ms')\n"
         ).assert_outcomes(passed=1)  # fmt: skip
    assert (run_folder / "verdict.json").read_bytes() == before


def test_a_gate_that_fails_fails_the_test_with_its_reason_and_without_the_plugins_own_lines(play):
    result = play(
        "def test(bench): assert_gate(bench.open(FOLDER), 'p95(first_audio_latency) < 800 ms')\n"
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E *AssertionError: fail: p95(first_audio_latency) is 850 ms [[]850, 850[]], 50 ms over *"]
    )
    result.stdout.no_fnmatch_line("*weigh_run*")


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        ("p99(first_audio_latency) < 900 ms", "it takes about 55 more sessions"),
        ("p95(barge_in_silence) < 900 ms", "has no data"),
        ("p50(first_audio_latency) <= baseline + 10 %", "none was given"),
    ],
)
def test_what_is_inconclusive_fails_the_test_too_and_says_so(play, gate, why):
    result = play(f"def test(bench): assert_gate(bench.open(FOLDER), {gate!r})\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E *AssertionError: inconclusive: *{why}*"])


def test_a_baseline_is_taken(play):
    gate = "'p50(first_audio_latency) <= baseline + 10 %'"
    play(f"def test(bench): assert_gate(bench.open(FOLDER), {gate}, baseline=FOLDER)\n"
         ).assert_outcomes(passed=1)  # fmt: skip


def test_an_invalid_run_is_an_error_of_another_kind_that_says_to_run_again(play, tmp_path):
    folder = write_run(tmp_path / "bad", *[conversation(n, 4) for n in range(20)], drained=[])
    analyse(folder)
    judge_run(folder, [], None)
    body = f"run = bench.open({str(folder)!r})\n    assert run.verdict == 'invalid'\n    "
    gate = "assert_gate(run, 'p95(first_audio_latency) < 900 ms')"
    result = play(f"def test(bench):\n    {body}{gate}\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E *UnfitRunError: the runner was unfit, it is safe to run again: worker 0 was lost*"]
    )
    caught = f"with pytest.raises(UnfitRunError):\n        {gate}"
    play(f"def test(bench):\n    {body}{caught}\n").assert_outcomes(passed=1)


def test_a_run_is_the_bench_with_keywords_for_options_in_a_folder_of_the_test(play, pytester):
    play(
        "def test(bench, tmp_path):\n"
        "    run = bench.run('calls.toml', sessions=2, yes=True, gate=['a', 'b'])\n"
        "    assert (run.verdict, run.reasons) == ('fail', ['slow'])\n"
        "    assert run.folder == tmp_path / 'run-1'\n"
        "    assert bench.run('calls.toml').folder == tmp_path / 'run-2'\n",
        code=1,
    ).assert_outcomes(passed=1)
    first = json.loads((pytester.path / "calls").read_text().splitlines()[0])
    assert first[:5] == ["run", "--sessions=2", "--yes", "--gate=a", "--gate=b"]
    assert first[-2:] == ["--", "calls.toml"]


def test_run_folders_are_kept_where_asked_and_never_overwritten(play, pytester):
    body = (
        "@pytest.mark.parametrize('n', ['a/../b'])\ndef test(bench, n):\n    bench.run('x.toml')\n"
    )
    for _ in range(2):
        play(body, "--bench-out", "kept").assert_outcomes(passed=1)
    found = sorted(str(p.relative_to(pytester.path)) for p in pytester.path.glob("kept/*/*"))
    assert found == ["kept/test-a-..-b/run-1", "kept/test-a-..-b/run-2"]


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [(2, "UsageError", "bench: as it went"), (3, "UnfitRunError", "safe to run again"),
     (130, "UnfitRunError", "exit code 130")],
)  # fmt: skip
def test_a_run_without_a_verdict_is_an_error_with_the_benchs_own_line(play, code, error, words):
    result = play("def test(bench): bench.run('calls.toml')\n", code=code)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E *{error}: *as it went*"])
    result.stdout.fnmatch_lines([f"E *{words}*"])


def test_a_folder_without_a_run_is_told_in_a_line(play):
    result = play("def test(bench): bench.open('nowhere')\n")
    result.stdout.fnmatch_lines(
        ["E *RunFolderError: *nowhere/verdict.json: no such file; *bench report*"]
    )


def test_options_are_written_as_the_command_line_has_them():
    given = {
        "max_minutes": 2.5, "set": {"turns": 2, "corpus": "x", "a.b": True}, "web": False,
        "baseline": None,
    }  # fmt: skip
    assert arguments("s.toml", Path("o"), given) == [
        "run", "--max-minutes=2.5", "--set=turns=2", "--set=corpus=x", "--set=a.b=true", "--out=o",
        "--", "s.toml",
    ]  # fmt: skip


def test_starting_pytest_with_the_plugin_imports_nothing_of_the_bench_that_is_slow():
    code = (
        "import sys, bench.pytest_plugin\n"
        "slow = {'numpy', 'pandas', 'scipy', 'msgspec', 'typer', 'rich', 'gevent', 'pyarrow'}\n"
        "sys.exit(' '.join(slow & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_wheel_brings_it_to_pytest():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (target,) = project["entry-points"]["pytest11"].values()
    assert target == "bench.pytest_plugin"
