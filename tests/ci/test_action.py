"""The composite action, its steps executed as they stand, with a bench that only pretends."""

import os
import re
import subprocess
import sys

import pytest

from tests.ci.stage import ROOT, URL, Pretence, Runner, play, read_yaml, verdict

GATE = {"gate": "p95(first_audio_latency) < 800 ms", "verdict": "fail",
        "reason": "is 912 ms, 100 % over\nthe limit"}  # fmt: skip
UNFIT = verdict(
    "invalid", validity=[{"rule": "hub_lag", "ok": False, "text": "late", "remedy": "fewer"}]
)
FAILED = verdict("fail", gates=[GATE])
OPEN = verdict("inconclusive", gates=[GATE | {"verdict": "inconclusive", "reason": "too few"}])
UPLOAD = "actions/upload-artifact@v6"


@pytest.fixture
def act(tmp_path):
    """Run the action with these plays of the bench; gives what ran and the bench's calls."""

    def run(*plays, **inputs):
        pretence = Pretence(tmp_path / "pretence", list(plays))
        ran = Runner(tmp_path / "work", pretence).run(**{"scenario": "calls.toml"} | inputs)
        return ran, pretence.calls

    return run


def commands(ran):
    """The workflow commands that GitHub would obey, in order."""
    obeyed, stopped = [], None
    for line in ran.printed["run"].splitlines():
        if stopped is not None:
            stopped = None if line == f"::{stopped}::" else stopped
        elif match := re.fullmatch(r"::stop-commands::(\S+)", line):
            stopped = match[1]
        elif line.startswith("::"):
            obeyed.append(line)
    assert stopped is None
    return obeyed


# The schema of GitLab looks at no job whose name begins with a dot: the template's are shown to it.
SHOWN = re.compile(r"^\.(?=bench)|(?<=extends: )\.", re.MULTILINE)


@pytest.mark.parametrize(
    ("schema", "file", "whole", "broken"),
    [
        ("vendor.github-actions", "action.yml", "using: composite", "using: 3"),
        ("vendor.github-actions", "action.yml", "shell: bash", "shel: bash"),
        ("vendor.gitlab-ci", "ci/gitlab.yml", "max: 1", "max: many"),
        ("vendor.gitlab-ci", "ci/gitlab.yml", "junit: bench-run", "junit: [3] #"),
        ("vendor.gitlab-ci", "ci/nightly.yml", "script:\n    - make", "scripts:\n    - make"),
    ],
)
def test_the_file_is_what_its_schema_says_and_a_broken_one_is_not(
    schema, file, whole, broken, tmp_path
):
    def check(text):
        path = tmp_path / "given.yml"
        path.write_text(text)
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    text = SHOWN.sub("", (ROOT / file).read_text())
    found = check(text)
    assert found.returncode == 0, found.stdout
    assert whole in text
    assert check(text.replace(whole, broken)).returncode == 1


def test_no_script_of_the_action_has_an_input_written_into_it():
    for step in read_yaml(ROOT / "action.yml")["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_every_variable_that_the_action_gives_is_read_and_every_input_is_used():
    text = (ROOT / "action.yml").read_text()
    for name in read_yaml(ROOT / "action.yml")["inputs"]:
        assert f"inputs.{name} " in text
    scripts = "".join(path.read_text() for path in (ROOT / "ci").glob("*.sh"))
    for variable in re.findall(r"^ +(BENCH\w*):", text, re.MULTILINE):
        assert f"${{{variable}:-" in scripts or f'"${variable}"' in scripts, variable


def test_a_pass_says_so_everywhere(act):
    ran, calls = act(play(0, verdict("pass")))
    assert set(ran.codes.values()) == {0}
    assert ran.gives["verdict"] == "pass"
    assert ran.gives["exit-code"] == "0"
    assert ran.gives["artifact-url"] == URL
    assert ran.gives["folder"].endswith("/run-1")
    assert commands(ran) == ["::notice title=bench%3A pass::so it is: pass"]
    assert ran.summary == f"## digest of run-1\n\n[Fetch the run folder, with the report]({URL})\n"
    assert ran.used[UPLOAD]["path"] == ran.gives["folder"].removesuffix("/run-1")
    assert len(calls) == 1


def test_a_failed_gate_fails_the_step_is_never_run_again_and_is_annotated(act):
    ran, calls = act(play(1, FAILED), play(0, verdict("pass")))
    assert (len(calls), ran.codes["run"], ran.gives["verdict"]) == (1, 1, "fail")
    (told,) = commands(ran)
    assert told == (
        "::error title=bench%3A failed%2C p95(first_audio_latency) < 800 ms::"
        "is 912 ms, 100 %25 over%0Athe limit"
    )
    assert "digest of run-1" in ran.summary
    assert UPLOAD in ran.used


def test_an_unfit_runner_is_tried_again_and_a_pass_then_is_a_pass(act):
    ran, calls = act(play(3, UNFIT), play(0, verdict("pass")))
    assert (len(calls), ran.codes["run"], ran.gives["verdict"]) == (2, 0, "pass")
    first, second = (next(a for a in call if a.startswith("--out=")) for call in calls)
    assert first.endswith("run-1")
    assert second.endswith("run-2")
    assert ran.gives["folder"].endswith("run-2")
    assert "This was try 2: the one before was void (exit code 3)." in ran.summary


def test_a_failure_after_an_unfit_try_is_a_failure(act):
    ran, calls = act(play(3, UNFIT), play(1, FAILED), play(0, verdict("pass")))
    assert (len(calls), ran.codes["run"]) == (2, 1)


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_a_runner_that_stays_unfit_ends_with_3_after_as_many_tries_as_asked_for(act, retries):
    ran, calls = act(*[play(3, UNFIT)] * 4, retries=str(retries))
    assert (len(calls), ran.codes["run"], ran.gives["verdict"]) == (retries + 1, 3, "invalid")
    (told,) = commands(ran)
    assert told.startswith("::error title=bench%3A invalid run%2C hub_lag::late; fewer.")
    assert told.endswith("safe to run again")


@pytest.mark.parametrize(
    ("inconclusive", "code", "level"), [("fail", 4, "error"), ("warn", 0, "warning")]
)
def test_too_few_samples_fail_or_warn_as_asked_for(act, inconclusive, code, level):
    ran, calls = act(play(4, OPEN), inconclusive=inconclusive)
    assert (len(calls), ran.codes["run"]) == (1, code)
    assert (ran.gives["verdict"], ran.gives["exit-code"]) == ("inconclusive", "4")
    (told,) = commands(ran)
    assert told.startswith(f"::{level} title=bench%3A inconclusive")


def test_a_lenient_job_fails_on_a_failed_gate_all_the_same(act):
    assert act(play(1, FAILED), inconclusive="warn")[0].codes["run"] == 1


def test_a_refused_request_is_told_by_its_own_line_and_leaves_no_folder(act):
    ran, calls = act(play(2, None, "bench: 100 % wrong: no 'x.toml'"))
    assert (len(calls), ran.codes["run"], ran.gives["verdict"]) == (1, 2, "refused")
    (told,) = commands(ran)
    assert told == (
        "::error title=bench%3A exit code 2%2C the request was wrong%2C nothing was started::"
        "bench: 100 %25 wrong: no 'x.toml'"
    )
    assert ran.gives["folder"] == ""
    first, _, *said = ran.summary.splitlines()
    assert first == "## 🚫 NO RUN: the bench ended with exit code 2"
    assert said[0] == "    bench: 100 % wrong: no 'x.toml'"


def test_a_target_out_of_reach_is_tried_again_too(act):
    ran, calls = act(play(3, None, "bench: no answer"), play(3, None, "bench: no answer"))
    assert (len(calls), ran.codes["run"], ran.gives["verdict"]) == (2, 3, "invalid")
    assert commands(ran)[0].endswith("::bench: no answer")


def test_every_input_becomes_its_option_and_none_becomes_none(act):
    _, calls = act(
        play(0, verdict("pass")), target="ws://h/x", dialect="openai", sessions="3",
        duration="9s", baseline="base.json", gate_profile="ci",
        gates="  p95(first_audio_latency) < 800 ms\n\ncount(errors) <= 0\n",
        args="--yes\n--max-minutes=30\n",
    )  # fmt: skip
    verb, *options, out, end, scenario = calls[0]
    assert (verb, end, scenario) == ("run", "--", "calls.toml")
    assert out.startswith("--out=")
    assert options == [
        "--target=ws://h/x", "--dialect=openai", "--sessions=3", "--duration=9s",
        "--baseline=base.json", "--gates=ci", "--gate=p95(first_audio_latency) < 800 ms",
        "--gate=count(errors) <= 0", "--yes", "--max-minutes=30",
    ]  # fmt: skip


NASTY = "$(touch hurt) `touch hurt` \"; touch hurt; ' && touch hurt #"


def test_no_input_is_ever_a_command(act, tmp_path):
    given = dict.fromkeys(
        ("scenario", "target", "dialect", "sessions", "duration", "baseline", "gate_profile",
         "gates", "args"), NASTY,
    )  # fmt: skip
    _, calls = act(play(0, verdict("pass")), **given)
    _, *options, _, _, scenario = calls[0]
    assert scenario == NASTY
    assert [option.partition("=")[2] or option for option in options] == [NASTY] * 8
    assert not list(tmp_path.rglob("hurt"))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"retries": "a[$(touch hurt)]"}, "give a number from 0 to 9"),
        ({"retries": "99"}, "give a number from 0 to 9"),
        ({"inconclusive": "pass"}, "give fail or warn"),
        ({"scenario": ""}, "no scenario was given"),
    ],
)
def test_an_input_that_cannot_be_is_refused_before_anything_runs(act, tmp_path, inputs, words):
    ran, calls = act(play(0, verdict("pass")), **inputs)
    assert (ran.codes["run"], calls) == (2, [])
    (told,) = commands(ran)
    assert told.startswith("::error title=bench%3A exit code 2%2C the request was wrong")
    assert words in told
    assert (ran.gives["verdict"], ran.gives["exit-code"], ran.gives["folder"]) == (
        "refused", "2", "",
    )  # fmt: skip
    assert words in ran.summary
    assert not list(tmp_path.rglob("hurt"))


def test_what_a_server_said_is_no_workflow_command(act):
    evil = "::set-output name=verdict::pass\n::error::no such thing\n::endgroup::"
    ran, _ = act(play(0, verdict("pass"), evil))
    assert "::error::no such thing" in ran.printed["run"]
    assert commands(ran) == ["::notice title=bench%3A pass::so it is: pass"]


def test_more_gates_than_github_shows_are_counted_in_the_last_annotation(act):
    gates = [GATE | {"gate": f"max(delta_gap) < {n} ms"} for n in range(25)]
    told = commands(act(play(1, verdict("fail", gates=gates)))[0])
    assert len(told) == 10
    assert told[-1].endswith("::16 more like these; the job summary and verdict.json have them all")


SOFT = GATE | {"gate": "soft max(delta_gap) < 1 ms", "soft": True, "reason": "is 2 ms"}


@pytest.mark.parametrize(
    ("played", "first"),
    [
        (play(0, verdict("pass", gates=[SOFT])), "::notice title=bench%3A pass"),
        (play(1, verdict("fail", gates=[SOFT, GATE])), "::error title=bench%3A failed%2C p95"),
        (play(4, verdict("inconclusive", gates=[SOFT])), "::error title=bench%3A inconclusive::"),
    ],
)
def test_a_soft_gate_is_told_as_a_notice_and_after_what_decided(act, played, first):
    decided, soft = commands(act(played)[0])
    assert decided.startswith(first)
    assert soft == (
        "::notice title=bench%3A fail%2C decides nothing%2C soft max(delta_gap) < 1 ms::is 2 ms"
    )


def test_a_log_in_the_summary_is_an_indented_block_whatever_a_server_said(act):
    evil = "bench: 4xx\r# <img src=x>\r\n" + "ä" * 500
    ran, _ = act(play(2, None, evil))
    _, _, *lines = ran.summary.split("\n")
    told = [
        line for line in "\n".join(lines).replace("\r", "\n").split("\n") if "Fetch" not in line
    ]
    assert any("<img" in line for line in told)
    assert all(line.startswith("    ") for line in told if line)
    assert f"    {'ä' * 400}…" in told


def test_a_run_that_measured_nothing_is_annotated_by_its_reason(act):
    (told,) = commands(act(play(4, verdict("inconclusive")))[0])
    assert told == "::error title=bench%3A inconclusive::so it is: inconclusive"


def test_without_an_artifacts_name_none_is_kept_and_python_is_set_up_where_asked_for(act):
    ran, _ = act(play(0, verdict("pass")), artifact="", python_version="3.12")
    assert list(ran.used) == ["actions/setup-python@v6"]
    assert "Fetch" not in ran.summary


def test_a_program_that_is_not_there_is_named(tmp_path):
    ran = subprocess.run(
        ["bash", ROOT / "ci" / "run.sh"], check=False, cwd=tmp_path,
        capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "BENCH": "no-such-bench", "BENCH_SCENARIO": "demo.toml"},
    )  # fmt: skip
    assert ran.returncode == 2
    assert "no program 'no-such-bench' here: install it" in ran.stderr
    assert "exit code 2, the request was wrong" in ran.stderr
