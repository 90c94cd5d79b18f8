"""What moves on the terminal while a run goes on, and what a log has instead."""

import io

import pytest
from rich.console import Console

from bench.cli.live_view import LiveView
from bench.runs.job import make_job
from bench.runs.target import read_target
from tests.cli.test_budget import ROOT, word


def worker(**changes):
    (one,) = word(0, 12)["workers"]
    return one | {"turns": 113, "failed": 3, "recent": [812.0, 903.0, 1204.0]} | changes


REFUSED = {"failures": [("refused", "HTTP 404 at /wrong", 36)], "started": 36}


@pytest.fixture
def seen(monkeypatch):
    """The text of the view, or of the log, after some progress lines."""
    monkeypatch.chdir(ROOT)
    job = make_job(ROOT / "scenarios" / "demo.toml", read_target("reference", None))

    def show(*seconds, terminal=True, width=80, height=24, **changes):
        text = io.StringIO()
        console = Console(
            file=text, width=width, height=height, force_terminal=terminal, color_system=None
        )
        live = LiveView(job, console)
        for second in seconds:
            live.show(word(second) | {"workers": [worker(**changes)]})
        if terminal:
            console.print(live._view())
        return text.getvalue()

    return show


def test_eighty_columns_cut_nothing_and_the_time_that_is_left_comes_first(seen):
    lines = seen(1, 2, 3).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "demo against reference: measuring"
    assert lines[1].startswith("left 597 s   sessions 12   turns 113   failed 3")
    assert lines[2].startswith("first audio p50 903 ms   p95 ")
    assert lines[4].split() == ["903", "ms", "███"]
    assert lines[-1].strip() == "first audio p50, the last 3 s"


def test_the_commonest_cause_is_one_line_with_its_count(seen):
    for terminal in (True, False):
        text = " ".join(seen(1, terminal=terminal, width=200, **REFUSED).split())
        assert text.count("36 of 36 sessions were refused: HTTP 404 at /wrong") == 1


def test_a_log_has_one_line_in_five_seconds(seen):
    (line,) = seen(1, 2, 3, terminal=False).splitlines()
    assert line == (
        "phase measuring  left 599 s  sessions 12  turns 113  failed 3  first audio p50 903 ms  "
        "p95 1445 ms  loop lag 0.0 ms"
    )


def test_the_phase_is_told_and_no_load_is_draining(seen):
    assert seen().startswith("demo against reference: starting")
    assert ": measuring" in seen(1)
    assert ": draining" in seen(601)


@pytest.mark.parametrize(("width", "height", "rows"), [(80, 24, 8), (140, 40, 12), (60, 5, 1)])
def test_the_chart_takes_a_third_of_the_height_and_no_more_than_the_width(
    seen, width, height, rows
):
    lines = seen(*range(1, 200), width=width, height=height).splitlines()
    chart = [line for line in lines if "█" in line]
    assert len(chart) == rows
    assert {len(line) for line in chart} == {width}
    assert len(lines) <= height or height == 5
