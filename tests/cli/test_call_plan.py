"""`bench plan from-calls`: a call log, made into a trace."""

import pytest

from bench.plan.arrivals import Slot
from bench.runs.trace_file import read_trace

S = 10**9


@pytest.fixture
def made(bench, tmp_path, monkeypatch):
    """A function: a call log ▶ (exit code, stdout and stderr, the trace or None)."""
    monkeypatch.chdir(tmp_path)

    def run(text, *more):
        (tmp_path / "calls.csv").write_text(text)
        code, out, err = bench("plan", "from-calls", "calls.csv", *more)
        trace = tmp_path / "trace.csv"
        return code, out + err, read_trace(trace) if trace.exists() else None

    return run


def test_a_call_log_becomes_a_trace_in_order_from_its_first_call(made):
    code, said, trace = made(
        "Caller;Start Time;Duration\n"
        "anna;2026-11-30T08:15:30;0:01:05\n"
        "ben;2026-11-30T08:15:00;20\n"
        "cleo;2026-11-30T08:15:40.5;\n"
        "dan;2026-11-30T08:16:00;0\n"
    )
    assert code == 0
    assert trace == [
        Slot(0, 20 * S), Slot(30 * S, 95 * S), Slot(40 * S + S // 2), Slot(60 * S),
    ]  # fmt: skip
    assert "4 calls in 1 minutes" in said
    assert "42.5 s on average; 1 at once at most" in said
    assert "2 calls without a duration" in said
    assert '[load] arrivals = "trace", trace = "trace.csv", warmup = "0s",' in said
    assert 'duration = "96s"' in said


def test_columns_can_be_named_and_starts_be_seconds(made):
    code, said, trace = made(
        "a,b\n1700000000.25,3\n1700000010.25,5\n1700000002.25,9\n",
        "--start",
        "a",
        "--duration",
        "b",
    )
    assert code == 0
    assert trace == [Slot(0, 3 * S), Slot(2 * S, 11 * S), Slot(10 * S, 15 * S)]
    assert "2 at once at most" in said
    assert "12 a minute on average, burstiness 2.8" in said


@pytest.mark.parametrize(
    ("text", "more", "says"),
    [
        ("start,duration\n", (), "calls.csv: has no call"),
        ("", (), "calls.csv: has no call"),
        ("who,when\nanna,3\n", (), "no column is called start, start_time, started_at, start_at"),
        ("start\n3\n", ("--start", "strat"), "no column 'strat' (--start); did you mean 'start'?"),
        ("start\nsoon\n", (), "line 2: 'soon' is no start; write seconds, or as in"),
        ("start\n1\ninf\n", (), "line 3: 'inf' is no start"),
        ("start,duration\n1,-3\n", (), "line 2: '-3' is no duration"),
        ("start,duration\n1,1:2:3:4\n", (), "line 2: '1:2:3:4' is no duration"),
        ("start,duration\n1,nan\n", (), "line 2: 'nan' is no duration"),
    ],
)
def test_what_is_no_call_log_is_one_line_and_nothing_is_written(made, text, more, says):
    code, said, trace = made(text, *more)
    assert (code, trace) == (2, None)
    assert says in said
    assert said.count("\n") == 1


def test_a_trace_that_cannot_be_written_is_named(made):
    code, said, _ = made("start\n1\n", "--out", "no/such/folder.csv")
    assert code == 2
    assert "--out: cannot be written" in said
