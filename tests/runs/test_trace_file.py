"""A trace: what is read of CSV and parquet, and what is refused, with its line."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import ScenarioError
from bench.plan.arrivals import Slot
from bench.runs.trace_file import read_trace

S = 10**9


def trace(tmp_path, text, name="calls.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "start_s,length_s\n0.5,4\n2,\n2,0.25\n",
        "length_s;start_s\n4;0.5\n;2\n0.25;2\n",
        "caller\tstart_s\tlength_s\nanna\t0.5\t4\n\nben\t2\t\ncleo\t2\t0.25\n",
        "\ufeff0.5,4\n2\n2,0.25\n",
    ],
)
def test_starts_and_lengths_are_read_whatever_the_delimiter(tmp_path, text):
    assert read_trace(trace(tmp_path, text)) == [
        Slot(S // 2, 4 * S + S // 2), Slot(2 * S), Slot(2 * S, 2 * S + S // 4),
    ]  # fmt: skip


def test_parquet_has_the_same_columns(tmp_path):
    path = tmp_path / "calls.parquet"
    pq.write_table(pa.table({"start_s": [0.5, 2.0], "length_s": [4.0, None]}), path)
    assert read_trace(path) == [Slot(S // 2, 4 * S + S // 2), Slot(2 * S)]
    pq.write_table(pa.table({"start_s": [1, 2]}), path)
    assert read_trace(path) == [Slot(S), Slot(2 * S)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("start_s\n1\n3\n2\n", "line 4: 2 s comes before the start above it"),
        ("start_s\n1\n-3\n", "line 3: start_s: -3 s; give 0 to 604800"),
        ("start_s\nnan\n", "line 2: start_s: nan s"),
        ("start_s\n1\ninf\n", "line 3: start_s: inf s"),
        ("start_s\nsoon\n", "line 2: start_s: 'soon' is no number of seconds"),
        ("start_s,length_s\n1,0\n", "line 2: length_s: a call of 0 s is none"),
        ("start_s,length_s\n1,-1\n", "line 2: length_s: -1 s"),
        ("start_s\n", "has no start"),
        ("", "has no start"),
        ("start_s\n1e9\n", "line 2: start_s: 1e+09 s"),
    ],
)
def test_what_is_no_trace_is_refused_with_its_line(tmp_path, text, says):
    path = trace(tmp_path, text)
    with pytest.raises(ScenarioError) as refused:
        read_trace(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert says in message
    assert "give a column start_s" in message
    assert "\n" not in message


def test_other_kinds_of_file_are_refused(tmp_path):
    for path in (
        tmp_path / "lost.csv", tmp_path, trace(tmp_path, "PAR1", "x.parquet"),
        trace(tmp_path, "a\0b"),
    ):  # fmt: skip
        with pytest.raises(ScenarioError, match=str(path)):
            read_trace(path)
    odd = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"start_s": ["one"]}), odd)
    with pytest.raises(ScenarioError, match="start_s: holds string"):
        read_trace(odd)
    pq.write_table(pa.table({"at": [1.0]}), odd)
    with pytest.raises(ScenarioError, match="start_s: there is no such column"):
        read_trace(odd)
    pq.write_table(pa.table({"start_s": [1.0, None]}), odd)
    with pytest.raises(ScenarioError, match="row 2: start_s"):
        read_trace(odd)
