"""What is said before a run starts: a few lines, and no refusal."""

import pytest

from tests.virtual_run import virtual_time

GATES = [
    "p99(first_audio_latency) < 3 s", "share(answered) >= 99.9 %", "p95(connect_time) < 3 s",
    "count(turns) > 1",
]  # fmt: skip


@pytest.fixture
def lines(bench, scenario, tmp_path, monkeypatch):
    """(lines before the result, exit code) of a run, in a terminal of 80 columns."""

    def told(*options, **written):
        monkeypatch.setenv("COLUMNS", "80")
        path = scenario(**written)
        with virtual_time():
            code, _, err = bench("run", path, "--out", tmp_path / "run", *options)
        return err.splitlines(), code

    return told


def test_turns_minutes_cost_and_what_is_kept_are_said_before_the_start(lines, tmp_path):
    said, code = lines("--price-per-minute", "2", sessions=6, duration="10s", warmup="2s")
    assert code == 0
    assert said == [
        "expected  about 24 turns in 18 sessions, if replies at speed 1 last 1.0 s",
        "minutes   0.2, 1.1 session-minutes at most, about 2.23",
        f"kept      {tmp_path / 'run'}: messages and texts, no audio",
    ]


def test_gates_that_so_few_turns_cannot_decide_are_said_and_refused_by_nobody(lines):
    said, code = lines(gates=GATES, sessions=4, duration="5s")
    assert code == 4
    assert len(said) <= 6
    few = [line for line in said if line.startswith("too few")]
    assert few[0].startswith("too few   share(answered) needs 3688 turns: --duration ")
    assert few[1].startswith("too few   p99(first_audio_latency) needs 299 turns: --duration ")
    assert "          and 1 gate more" in said
    assert max(len(line) for line in said if not line.startswith("kept")) <= 80


def test_a_script_of_ones_own_says_that_nobody_knows(lines, tmp_path, monkeypatch):
    (tmp_path / "ours_of_outlook.py").write_text(
        "from bench.voice.scripts import HearOut, Say\n"
        "def once(part):\n    yield Say(part.lines[0])\n    yield HearOut()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    said, code = lines(script="ours_of_outlook:once", sessions=2)
    assert code == 0
    assert said[0] == "expected  unknown: only your own script knows how many turns it has"


def test_off_loopback_it_is_said_beside_what_it_would_take_and_before_the_yes(
    bench, scenario, monkeypatch, tmp_path
):
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    code, _, err = bench("run", scenario(), "--target", "openai", "--out", tmp_path / "run")
    assert code == 2
    headings = [line.split()[0] for line in err.splitlines() if not line.startswith("bench")]
    assert headings[:6] == ["expected", "kept", "target", "sessions", "minutes", "packets"]
    assert not (tmp_path / "run").exists()


def test_a_comparison_of_many_runs_does_not_say_it_of_each(bench, scenario, tmp_path):
    path = scenario(sessions=2, duration="3s")
    sides = ("--a", "reference", "--b", "reference")
    with virtual_time():
        _, _, err = bench("ab", path, "--pairs", 1, "--out", tmp_path / "ab", *sides)
    assert "expected" not in err
