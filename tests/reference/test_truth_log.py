import json

import pytest

from bench.errors import UsageError
from bench.reference.truth_log import SentEvent, TruthLog


def line(n):
    return SentEvent(
        session_key="k",
        session_id="s",
        event_id=f"e{n}",
        type="session.created",
        response_id="",
        item_id="",
        cause="open",
        due_ns=n,
        before_ns=n + 1,
        after_ns=n + 2,
    )


def test_every_noted_line_is_in_the_file_once_and_in_order(tmp_path):
    path = tmp_path / "truth.jsonl"
    log = TruthLog(path)
    log.note(line(1))
    assert path.read_bytes() == b""
    log.flush()
    log.note(line(2))
    log.flush()
    log.note(line(3))
    log.close()
    log.close()
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    assert [row["event_id"] for row in rows] == ["e1", "e2", "e3"]
    assert rows[0]["due_ns"] < rows[0]["before_ns"] < rows[0]["after_ns"]


def test_no_path_no_log():
    log = TruthLog(None)
    log.note(line(1))
    log.close()


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"truth\.jsonl"):
        TruthLog(tmp_path / "nowhere" / "truth.jsonl")
