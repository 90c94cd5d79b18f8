"""What the terminal shows of a run, above all of what a server said."""

import io

import msgspec
import pytest
from rich.console import Console

from bench.cli.run_result import print_result
from bench.runs.folder import RunFolder
from tests.report.synthetic import make_run

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
