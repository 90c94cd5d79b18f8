"""`bench judge` and `bench report` on a folder, and what the terminal shows of a run."""

import io
import json
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from bench.analysis.pipeline import analyse
from bench.cli.run_result import print_result
from bench.runs.folder import RunFolder
from bench.runs.job import describe, make_job
from bench.runs.target import read_target
from tests.analysis.story import conversation, write_run
from tests.report.synthetic import make_run

ROOT = Path(__file__).parents[2]
FAILS = "p50(first_audio_latency) < 1 ms"
OPEN = "p99(first_audio_latency) < 900 ms"


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    return analysed_run(tmp_path_factory.mktemp("judged") / "run")


def analysed_run(place):
    """80 answered turns of 20 sessions, all 850 ms, said to be of the demo."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        about = describe(make_job(Path("scenarios/demo.toml"), read_target("reference", None)), 1)
    facts = {name: about[name] for name in ("scenario", "corpus", "target", "name")}
    stories = [conversation(n, 4) for n in range(20)]
    folder = write_run(place, *stories, **facts)
    analyse(folder)
    return folder


@pytest.fixture
def folder(analysed, tmp_path):
    return shutil.copytree(analysed, tmp_path / "run")


@pytest.fixture
def bench(bench, monkeypatch):
    """As in a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    return bench


def test_explain_gives_a_sentence_for_every_gate(bench, folder):
    code, out, _ = bench("judge", folder, "--gate", FAILS, "--gate", OPEN, "--explain")
    assert code == 1
    lines = out.splitlines()
    why = {gate: lines[lines.index(gate) + 1] for gate in (FAILS, OPEN)}
    assert why[FAILS].startswith("It fails: p50(first_audio_latency) is 850 ms")
    assert "a p99 needs 299 to be told from the limit of 900 ms: " in why[OPEN]
    assert "about 55 more sessions like these: --duration " in why[OPEN]


def test_a_gate_on_a_baseline_that_nobody_gave_is_refused_and_not_left_open(bench, folder):
    code, out, err = bench("judge", folder, "--gate", "p50(first_audio_latency) <= baseline + 5 %")
    assert (code, out) == (2, "")
    assert "needs a baseline: give --baseline RUN" in err


def test_json_has_the_sentence_beside_each_gate_and_only_where_asked_for(bench, folder):
    _, out, _ = bench("judge", folder, "--gate", FAILS, "--explain", "--json")
    document = json.loads(out)
    (entry,) = document["gates"]
    assert entry["explain"].startswith("It fails: ")
    assert entry["limit"] == 1
    _, out, _ = bench("judge", folder, "--gate", FAILS, "--json")
    assert "explain" not in json.loads(out)["gates"][0]
    assert "explain" not in (folder / "verdict.json").read_text()


def test_a_gate_on_a_worker_that_the_run_did_not_have_is_refused(bench, folder):
    gate = "p50(first_audio_latency{worker=7}) < 1 s"
    code, out, err = bench("judge", folder, "--gate", gate)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"gate {gate!r}: nothing can have worker=7; here worker is 0" in err


@pytest.mark.parametrize("verb", ["judge", "report"])
def test_a_gate_of_an_older_version_that_nothing_can_meet_is_judged_as_without_data(
    bench, folder, tmp_path, verb
):
    old = RunFolder(shutil.copytree(folder, tmp_path / "old"))
    old.update(gates=["p50(first_audio_latency{worker=9, turn>99}) < 1 s"])
    code, _, err = bench(verb, old.path)
    assert code in {0, 4}, err
    verdict = json.loads((old.path / "verdict.json").read_text())
    assert [gate["verdict"] for gate in verdict["gates"]] == ["inconclusive"]


@pytest.mark.parametrize("verb", ["judge", "report"])
def test_markdown_prints_the_digest_that_is_in_the_folder_and_nothing_else(bench, folder, verb):
    code, out, _ = bench(verb, folder, "--markdown")
    assert code == 0
    assert out == (folder / "summary.md").read_text("utf-8")
    assert out.startswith("## ✅ PASS: demo against reference\n")


def test_the_digest_is_of_the_gates_that_were_just_judged(bench, folder):
    bench("judge", folder)
    bench("judge", folder, "--gate", FAILS)
    assert "❌ FAIL" in (folder / "summary.md").read_text("utf-8").splitlines()[0]


def test_a_full_disk_is_one_line_and_exit_3(bench, folder):
    (folder / "summary.json.part").symlink_to("/dev/full")
    code, out, err = bench("report", folder)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert err.startswith(f"bench: {folder}: cannot be used any more (No space left on device)")


@pytest.mark.parametrize("form", ["--json", "--markdown"])
def test_an_answer_that_cannot_be_written_is_one_line_and_no_other_exit_code(
    bench, folder, monkeypatch, form
):
    with suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        code, _, err = bench("judge", folder, form)
    assert (code, err.count("\n")) == (0, 1)
    assert "bench: the answer: cannot be written (No space left on device)" in err


# ── what the terminal shows, above all of what a server said ─────────────────────────────────────

EVIL = "\x1b]0;owned\x07\x1b[2J\u202eid [red]" + 500 * "x"


@pytest.fixture
def printed(tmp_path):
    """What is printed of a rich run whose summary has these keys changed."""
    path = make_run(tmp_path / "run", rich=True)

    def show(**changed):
        file = path / "summary.json"
        summary = msgspec.json.decode(file.read_bytes()) | {"usage": None} | changed
        file.write_bytes(msgspec.json.encode(summary))
        verdict = msgspec.json.decode((path / "verdict.json").read_bytes())
        out = io.StringIO()
        console = Console(file=out, width=80)
        print_result(RunFolder.open(path), verdict, console)
        return out.getvalue()

    return show


def test_what_a_server_said_is_one_short_line_without_escape_sequences(printed):
    text = printed(
        violations=[{"rule": "ids", "about": "", "count": 1, "examples": [{"text": EVIL}]}],
        leaks=[{"session": 1, "of_session": 2, "what": EVIL, "words": EVIL}],
        unhonoured=[{"path": EVIL, "asked": EVIL, "got": {"voice": EVIL}, "sessions": 3}],
    )
    for mark in ("\x1b]", "\x1b[2J", "\x07", "\u202e", 201 * "x"):
        assert mark not in text
    (line,) = [line for line in text.splitlines() if line.startswith("violation ids")]
    assert r"\x1b]0;owned\x07\x1b[2J\u202eid [red]xxx" in line
    assert line.endswith("x…")


def test_a_setting_that_the_target_said_nothing_of_is_not_echoed(printed):
    lines = printed().splitlines()
    assert "setting   providerData.tts.language: asked en-US, not echoed (20 sessions)" in lines
    assert "setting   audio.output.speed: asked 1.2, got 1.0 (20 sessions)" in lines


def test_the_figures_of_a_sweep_are_said_to_be_over_all_settings(printed):
    said = "settings  all of this is over 6 together; compared below"
    assert said in printed().splitlines()
    assert "endpointing " in printed()  # whole, in 80 columns
    assert "settings  " not in printed(settings=["a"])


def test_a_void_run_says_each_reason_on_a_line_and_what_to_do(tmp_path):
    path = make_run(tmp_path / "run", verdict="invalid")
    verdict = msgspec.json.decode((path / "verdict.json").read_bytes())
    verdict["reasons"] = ["chunks were sent late", "the loop woke late"]
    out = io.StringIO()
    print_result(RunFolder.open(path), verdict, Console(file=out, width=300))
    lines = out.getvalue().splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("INVALID  chunks were sent"))
    assert lines[at + 1] == "  the loop woke late"
    remedies = {check["remedy"] for check in verdict["validity"] if not check["ok"]}
    assert remedies
    assert {line.removeprefix("do      ") for line in lines if line.startswith("do  ")} == remedies


def test_what_is_missing_or_damaged_is_named_with_its_own_remedy(bench, folder):
    """The disk is in order, and to run again would mend nothing."""
    (folder / "summary.json").unlink()
    code, _, err = bench("judge", folder)
    assert (code, err) == (
        3, f"bench: {folder}: not analysed yet; run `bench report` on it first\n",
    )  # fmt: skip
    assert bench("report", folder)[0] != 3
    turns = folder / "turns.parquet"
    turns.write_bytes(turns.read_bytes()[:100])
    code, _, err = bench("judge", folder)
    assert code == 3
    assert "turns.parquet" in err
    assert "bench report" in err
    assert "room on its disk" not in err
