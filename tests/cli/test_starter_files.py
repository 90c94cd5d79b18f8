"""`bench init`: what it writes can be used as it is, and nothing is overwritten."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci.stage import ROOT, read_yaml

JOB = Path(".github/workflows/bench-calls.yml")


@pytest.fixture
def init(bench, tmp_path, monkeypatch):
    """Run `bench` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return bench


def action_inputs():
    return read_yaml(ROOT / "action.yml")["inputs"]


def step(path):
    (job,) = read_yaml(path)["jobs"].values()
    return job, job["steps"][-1]


def test_what_is_written_passes_the_check_and_is_what_the_next_steps_name(init, tmp_path):
    code, out, _ = init("init")
    assert code == 0
    written = [line.split()[1] for line in out.splitlines() if line.startswith("wrote")]
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"scenarios/calls.toml", str(JOB)} == set(written)
    for command in ("bench check calls ", "bench run calls ", "bench baseline accept RUN "):
        assert command in out
    code, out, _ = init("check", "calls")
    assert (code, out.splitlines()[-1]) == (0, "calls: in order, played and not run")
    code, _, err = init("check", "calls", "--gates", "regression")
    assert code == 0, err


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--target", "inworld"),
        ("--target", "wss://h.example/v1?model=a", "--dialect", "openai"),
        ("--target", "ws://127.0.0.1:8765/v1/realtime"),
    ],
)
def test_the_job_is_one_for_github_and_gives_the_action_what_it_takes(init, tmp_path, options):
    init("init", *options)
    found = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows",
         tmp_path / JOB], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout
    job, used = step(tmp_path / JOB)
    assert used["uses"] == "OWNER/realtime-voice-bench@main"
    given = used["with"]
    assert set(given) <= set(action_inputs())
    assert given["scenario"] == "scenarios/calls.toml"
    asked = dict(zip(options[::2], options[1::2], strict=True))
    assert given["target"] == asked.get("--target", "reference")
    assert given.get("dialect") == asked.get("--dialect")
    away = "inworld" in options or "--dialect" in options
    assert ("env" in job, given.get("args")) == (
        away, "--yes\n--max-minutes=15\n" if away else None,
    )  # fmt: skip
    text = (tmp_path / JOB).read_text()
    later = text.replace("# gate-profile", "gate-profile").replace("# baseline:", "baseline:")
    (tmp_path / JOB).write_text(later)
    assert step(tmp_path / JOB)[1]["with"] == given | {
        "gate-profile": "regression", "baseline": "reports/baselines/calls.json",
    }  # fmt: skip


def test_the_commands_are_words_of_a_shell(init):
    _, out, _ = init("init", "--target", "wss://h.example/v1?model=a&v=b", "--dialect", "openai")
    command = "bench run calls --target 'wss://h.example/v1?model=a&v=b' --dialect openai --yes"
    assert f"{command} " in out


@pytest.mark.parametrize("there", ["scenarios/calls.toml", str(JOB)])
def test_nothing_is_written_where_one_of_the_files_is_there(init, tmp_path, there):
    path = tmp_path / there
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    code, out, err = init("init")
    assert (code, out) == (2, "")
    assert err.startswith(f"bench: {there}: is there already, and nothing was written; give ano")
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [path]
    assert path.read_text() == "mine"
    assert init("init", "--name", "others")[0] == 0


@pytest.mark.parametrize("name", ["", "../up", "a b", "a/b", "-x", ".hidden"])
def test_a_name_that_is_no_word_is_refused(init, tmp_path, name):
    code, _, err = init("init", f"--name={name}")
    assert (code, "--name" in err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(init, tmp_path):
    (tmp_path / "scenarios").write_text("a file")
    code, _, err = init("init")
    assert (code, "scenarios/calls.toml: cannot be written" in err) == (2, True)


def test_where_the_second_file_cannot_be_written_the_first_is_taken_back(init, tmp_path):
    (tmp_path / ".github").symlink_to("nowhere")
    code, out, err = init("init")
    assert (code, out) == (2, "")
    assert "bench-calls.yml: cannot be written" in err
    assert not list(tmp_path.rglob("*.toml"))
    (tmp_path / ".github").unlink()
    assert init("init")[0] == 0


@pytest.mark.usefixtures("virtual")
def test_a_first_run_becomes_the_baseline_that_the_next_one_is_judged_by(init):
    init("init")
    code, out, _ = init("run", "calls", "--out", "reports/first")
    assert code == 0, out
    assert init("baseline", "accept", "reports/first")[0] == 0
    code, out, _ = init(
        "run", "calls", "--gates", "regression", "--baseline", "reports/baselines/calls.json"
    )
    assert code == 0, out
    assert "(baseline " in out
