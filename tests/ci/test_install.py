"""`ci/install.sh` and the GitLab template, their scripts executed with a pretended bench."""

import subprocess

import pytest

from tests.ci.stage import ROOT, Pretence, play, read_yaml, verdict


@pytest.fixture
def pretence(tmp_path):
    return lambda *plays: Pretence(tmp_path / "pretence", list(plays))


def bash(script, work, environment):
    work.mkdir(exist_ok=True)
    command = ["bash", "-eo", "pipefail", "-c", script]
    return subprocess.run(
        command, cwd=work, env=environment, text=True, capture_output=True, check=False
    )


def test_it_installs_the_checkout_by_its_constraints_and_prints_where(pretence, tmp_path):
    stage = pretence()
    environment = stage.environment(BENCH_VENV=str(tmp_path / "a venv"))
    done = bash(f"bash {ROOT}/ci/install.sh", tmp_path / "work", environment)
    assert done.stdout == f"{tmp_path}/a venv/bin/bench\n", done.stderr
    asked = (stage.here / "pip").read_text().splitlines()
    assert asked[0] == "install"
    assert asked[-4:] == ["--constraint", f"{ROOT}/constraints.txt", "--editable", str(ROOT)]


def test_an_old_python_is_refused_with_what_to_do(pretence, tmp_path):
    stage = pretence()
    (stage.here / "too-old").write_text("1")
    environment = stage.environment(BENCH_VENV=str(tmp_path / "venv"))
    done = bash(f"bash {ROOT}/ci/install.sh", tmp_path / "work", environment)
    assert done.returncode == 2
    assert "3.11 or newer; name one" in done.stderr
    assert not (tmp_path / "venv").exists()


TEMPLATE = read_yaml(ROOT / "ci" / "gitlab.yml")


@pytest.fixture
def gitlab(pretence, tmp_path):
    """Run the template's script as a GitLab runner does: all lines in one shell."""

    def run(*plays, **variables):
        stage, job = pretence(*plays), TEMPLATE[".bench"]
        own = job["variables"] | {"BENCH_HOME": str(ROOT), "BENCH_VENV": str(tmp_path / "venv")}
        done = bash(
            "\n".join(job["script"]), tmp_path / "work", stage.environment(**own | variables)
        )
        return done, stage.calls

    return run


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4])
def test_the_gitlab_job_ends_with_the_code_of_the_bench_after_one_try(gitlab, code):
    words = {0: "pass", 1: "fail", 3: "invalid", 4: "inconclusive"}
    document = verdict(words[code]) if code in words else None
    done, calls = gitlab(play(code, document), BENCH_SCENARIO="calls.toml")
    assert (done.returncode, len(calls)) == (code, 1), done.stderr
    assert not [line for line in done.stdout.splitlines() if line.startswith("::")]


def test_gitlab_runs_again_what_is_unfit_and_nothing_else():
    assert TEMPLATE[".bench"]["retry"] == {"max": 1, "exit_codes": [3]}
    assert "allow_failure" not in TEMPLATE[".bench"]
    assert TEMPLATE[".bench-lenient"]["allow_failure"] == {"exit_codes": [4]}


def test_gitlab_finds_the_run_folder_and_the_junit_where_the_job_puts_them(gitlab, tmp_path):
    gates = "p95(first_audio_latency) < 800 ms\ncount(errors) <= 0\n"
    _, calls = gitlab(play(0, verdict("pass")), BENCH_SCENARIO="a b.toml", BENCH_GATES=gates)
    assert calls == [
        ["run", "--gate=p95(first_audio_latency) < 800 ms", "--gate=count(errors) <= 0",
         "--out=bench-run/run-1", "--", "a b.toml"]
    ]  # fmt: skip
    assert (tmp_path / "work" / "bench-run" / "run-1" / "verdict.json").exists()
    kept = TEMPLATE[".bench"]["artifacts"]
    assert kept["paths"] == ["bench-run/"]
    (tmp_path / "work" / "bench-run" / "run-1" / "junit.xml").touch()
    (found,) = (tmp_path / "work").glob(kept["reports"]["junit"])
    assert found.parent.name == "run-1"


def test_a_run_of_before_is_neither_overwritten_nor_taken_for_the_next_one(gitlab, tmp_path):
    def run(played):
        output = tmp_path / "output"
        output.write_text("")
        gitlab(played, BENCH_SCENARIO="calls.toml", GITHUB_OUTPUT=str(output), number="a[0$(:)]")
        return dict(line.split("=", 1) for line in output.read_text().splitlines())

    assert run(play(0, verdict("pass")))["folder"] == "bench-run/run-1"
    (tmp_path / "pretence" / "calls").unlink()
    assert run(play(1, verdict("fail")))["folder"] == "bench-run/run-2"
    (tmp_path / "pretence" / "calls").unlink()
    assert "folder" not in run(play(2, None))
    kept = tmp_path / "work" / "bench-run"
    assert '"pass"' in (kept / "run-1" / "verdict.json").read_text()
    assert (kept / "log-1.txt").exists()
