import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import RunFolderError
from bench.runs.folder import RunFolder, provenance
from bench.runs.log import HealthRow, Log, digest_of, read_log
from bench.runs.rows import Row
from bench.runs.seal import seal

TEXT = st.none() | st.text(max_size=12)
NS = st.none() | st.integers(-(2**62), 2**62)
ROWS = st.builds(
    Row,
    session=st.integers(0, 3), at_ns=st.integers(0, 2**62), at_err_ns=st.integers(0, 2**40),
    read_ns=NS, direction=st.sampled_from(["in", "out", "note"]), type=st.text(max_size=12),
    event_id=TEXT, item_id=TEXT, response_id=TEXT, due_ns=NS, media_ns=NS, audio_ms=NS, audio_ns=NS,
    nbytes=st.integers(0, 2**40), envelope=st.none() | st.binary(max_size=20), detail=TEXT,
    output_index=NS, content_index=NS, previous_id=TEXT, call_id=TEXT,
)  # fmt: skip


def health(worker=0, at_ns=1):
    return HealthRow(worker, at_ns, at_ns + 5, 3, 2, 900, 0.25, 0, 0.0, 1, 12, 7)


def folder_with(path, logs, **facts):
    folder = RunFolder.create(path)
    written, digests = {}, {}
    for worker, rows in logs.items():
        log = Log(folder.logs / f"worker-{worker}.log")
        for row in rows:
            log.append(row)
        log.health(health(worker))
        digests[str(worker)] = log.close()
        written[str(worker)] = log.rows
    folder.write({**provenance("t"), "rows_written": written, "digests": digests, **facts})
    return folder


@given(st.lists(ROWS, max_size=30))
def test_what_is_logged_is_what_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("log") / "x.log"
    log = Log(path)
    for row in rows:
        log.append(row)
    digest = log.close()
    assert list(read_log(path)) == rows
    assert log.rows == len(rows)
    assert digest == digest_of(path)


def test_a_record_cut_short_by_a_kill_is_left_out_and_the_rest_is_read(tmp_path):
    path = tmp_path / "x.log"
    log = Log(path)
    rows = [Row(0, n, 0, None, "note", "bench.start") for n in range(10)]
    for row in rows:
        log.append(row)
    log.close()
    whole = path.read_bytes()
    for cut in range(1, len(whole) // 10):
        path.write_bytes(whole[:-cut])
        assert list(read_log(path)) == rows[:9]


@given(st.lists(ROWS, max_size=30), st.lists(ROWS, max_size=30))
def test_log_to_seal_to_table_loses_nothing_and_keeps_each_sessions_order(
    tmp_path_factory, first, second
):
    folder = folder_with(tmp_path_factory.mktemp("run") / "r", {0: first, 1: second})
    run = seal(folder)
    table = pd.read_parquet(folder.events)
    assert run["rows_sealed"] == len(table) == len(first) + len(second)
    assert not run["faults"]
    for session in range(4):
        wanted = [row.at_ns for row in (*first, *second) if row.session == session]
        assert list(table[table.session == session].at_ns) == wanted
    assert list(pd.read_parquet(folder.health).worker) == [0, 1]


def test_rows_that_were_acknowledged_and_are_not_there_are_a_fault(tmp_path):
    rows = [Row(0, n, 0, None, "note", "x") for n in range(10)]
    folder = folder_with(tmp_path / "r", {0: rows})
    path = folder.logs / "worker-0.log"
    path.write_bytes(path.read_bytes()[:200])
    faults = seal(folder)["faults"]
    assert faults[0]["rule"] == "rows"
    assert "wrote 10 rows" in faults[0]["text"]


def test_a_log_with_other_bytes_than_acknowledged_is_a_fault(tmp_path):
    folder = folder_with(tmp_path / "r", {0: [Row(0, 5, 0, None, "note", "abc")]})
    path = folder.logs / "worker-0.log"
    path.write_bytes(path.read_bytes().replace(b"abc", b"abd"))
    assert seal(folder)["faults"][0]["rule"] == "rows"


def test_sealing_twice_gives_the_same_tables(tmp_path):
    folder = folder_with(tmp_path / "r", {0: [Row(1, 5, 0, None, "in", "t", detail="é")]})
    seal(folder)
    first = folder.events.read_bytes()
    seal(folder)
    assert folder.events.read_bytes() == first


def test_a_run_that_recorded_nothing_can_be_sealed(tmp_path):
    folder = RunFolder.create(tmp_path / "r")
    folder.write(provenance("t"))
    assert seal(folder)["rows_sealed"] == 0
    assert pd.read_parquet(folder.events).empty


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path):
    folder_with(tmp_path / "r", {})
    with pytest.raises(RunFolderError, match="holds a run already"):
        RunFolder.create(tmp_path / "r")


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="cannot be written"):
        RunFolder.create(tmp_path / "file" / "r")


def test_a_folder_without_a_run_and_a_broken_run_json_say_so(tmp_path):
    with pytest.raises(RunFolderError, match="no run here"):
        RunFolder.open(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunFolderError, match="cannot be read"):
        RunFolder.open(tmp_path).read()
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(RunFolderError, match="format 99"):
        RunFolder.open(tmp_path).read()
