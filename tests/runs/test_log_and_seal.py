import errno
import os
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import FolderLostError, RunFolderError
from bench.runs.folder import RunFolder, provenance
from bench.runs.log import MOST_PENDING, HealthRow, Log, digest_of, read_log
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


def numbered(count, start=0):
    return [Row(0, n, 0, None, "note", "x") for n in range(start, start + count)]


def test_a_disk_that_takes_no_more_is_told_once_and_nothing_follows_a_torn_record(
    tmp_path, monkeypatch
):
    log, write, room = Log(tmp_path / "x.log"), os.write, [70]

    def full(file, data):
        taken, room[0] = data[: room[0]], room[0] - len(data[: room[0]])
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, taken)

    monkeypatch.setattr(os, "write", full)
    for row in numbered(10):
        log.append(row)
    with pytest.raises(FolderLostError, match=r"x\.log: cannot be written any more") as told:
        log.flush()
    assert "room on its disk" in told.value.remedy
    room[0] = 10_000
    for row in numbered(MOST_PENDING + 10, start=10):
        log.append(row)
    log.health(health())
    assert log.close() is None
    assert log.rows == MOST_PENDING + 20
    found, damages = list(read_log(tmp_path / "x.log")), []
    assert found == numbered(len(found))
    assert 0 < len(found) < 10
    assert list(read_log(tmp_path / "x.log", damages.append)) == found
    assert [(one.size, one.torn) for one in damages] == [(70, True)]


def test_a_disk_that_fails_at_the_last_is_told_too(tmp_path, monkeypatch):
    def broken(_):
        raise OSError(errno.EIO, "Input/output error")

    log = Log(tmp_path / "x.log")
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(FolderLostError, match="Input/output error"):
        log.close()


def test_a_row_as_large_as_a_message_waits_for_no_other(tmp_path):
    log = Log(tmp_path / "x.log")
    log.append(Row(0, 1, 0, None, "in", "x", detail="x" * 100_000))
    assert (tmp_path / "x.log").stat().st_size > 100_000
    log.close()


@pytest.mark.parametrize("bytes_", [b"\xff", b"\x00", b"\xc1\xff\x93", b"x" * 40])
def test_a_log_is_read_and_sealed_up_to_any_damage(tmp_path, bytes_):
    folder = folder_with(tmp_path / "r", {0: numbered(6)})
    path = folder.logs / "worker-0.log"
    whole = path.read_bytes()
    record = 4 + int.from_bytes(whole[:4], "little")
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes_ + whole[at + len(bytes_) :])
        damages = []
        found = [one for one in read_log(path, damages.append) if isinstance(one, Row)]
        before = min(6, at // record)
        assert found[:before] == numbered(before), "all that stands before the damage"
        if at % 97 == 0:
            run = seal(folder)
            assert run["rows_sealed"] == len(found)
            assert ("rows" in {one["rule"] for one in run["faults"]}) == (
                path.read_bytes() != whole
            )


def test_an_empty_log_and_one_of_another_version_are_read_as_far_as_they_go(tmp_path):
    folder = folder_with(tmp_path / "r", {0: [], 1: numbered(3)}, rows_written={}, digests={})
    empty, longer = (folder.logs / f"worker-{n}.log" for n in range(2))
    empty.write_bytes(b"")
    other = msgspec.msgpack.encode([*numbered(1)[0], "a column of tomorrow"])
    longer.write_bytes(longer.read_bytes() + len(other).to_bytes(4, "little") + other)
    (told,) = seal(folder)["faults"]
    assert "3 rows of worker 1 were sealed; its log is damaged after byte" in told["text"]
    too_large = msgspec.msgpack.encode(numbered(1)[0]._replace(at_ns=2**63))
    empty.write_bytes(len(too_large).to_bytes(4, "little") + too_large)
    assert len(seal(folder)["faults"]) == 2


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
    RunFolder.create(tmp_path / "twin")
    with pytest.raises(RunFolderError, match=r"twin/logs: is there already, .*another --out$"):
        RunFolder.create(tmp_path / "twin")  # which has no run.json yet


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="cannot be written"):
        RunFolder.create(tmp_path / "file" / "r")


def test_a_folder_whose_name_is_no_text_is_refused_before_anything_is_there(tmp_path, monkeypatch):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with pytest.raises(RunFolderError, match=r"caf\\xe9: this name is not UTF-8; choose another"):
        RunFolder.create(odd)
    assert not odd.exists()
    odd.mkdir()
    monkeypatch.chdir(odd)
    with pytest.raises(RunFolderError, match="not UTF-8"):
        RunFolder.create(Path("run"))
    (odd / "run.json").write_text("{}")
    with pytest.raises(RunFolderError, match="not UTF-8"):
        RunFolder.open(odd)


def test_a_folder_without_a_run_and_a_broken_run_json_say_so(tmp_path):
    with pytest.raises(RunFolderError, match="no run here"):
        RunFolder.open(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunFolderError, match="cannot be read"):
        RunFolder.open(tmp_path).read()
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(RunFolderError, match="format 99"):
        RunFolder.open(tmp_path).read()
