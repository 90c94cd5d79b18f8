"""No server takes a worker: who sends more than one peer may is ended, and memory stays bounded."""

import json
import subprocess
import sys

import pytest

from bench.load.flood import MOST_FORMATS, FloodError
from bench.load.worker import Worker
from bench.runs.folder import RunFolder
from bench.runs.job import describe, make_job, recall
from bench.runs.target import read_target
from bench.voice.audio import AudioFormat
from tests.live.floods import KINDS
from tests.live.process import ROOT
from tests.live.test_sessions import GREETING, UPDATED, hold, outcome, served

pytestmark = pytest.mark.live

MOST_MIB = 400


@pytest.mark.slow
def test_whatever_a_server_sends_its_session_ends_and_its_worker_stays_small(tmp_path):
    """Guards the memory of a worker against eleven kinds of flood."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.live.floods", tmp_path],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    ends = {kind: end["outcome"] for kind, end in told["outcomes"].items()}
    others = {
        "64 MiB in a message": "too_big", "a frame that grows for ever": "too_big",
        "compressed, which nobody offered": "malformed",
    }  # fmt: skip
    assert ends == dict.fromkeys(KINDS, "flooded") | others
    assert told["most_kib"] < MOST_MIB * 1024


def test_a_recording_that_no_worker_can_keep_floods_its_session(tmp_path, monkeypatch):
    def refused(*_):
        raise FloodError("one format too many")

    def talk(connection):
        connection.send(GREETING)
        connection.recv()
        connection.send(UPDATED)
        for _ in connection:
            pass

    monkeypatch.setattr("tests.live.test_sessions.record", refused)
    with served(talk) as port:
        told = outcome(hold(port, tmp_path))
    assert (told["outcome"], told["reason"]) == ("flooded", "one format too many")


@pytest.fixture
def worker(tmp_path, scenario):
    folder = RunFolder.create(tmp_path / "run")
    job = make_job(scenario(), read_target("ws://127.0.0.1:9/v1/realtime", "openai"))
    folder.write(describe(job, 1))
    made = Worker(folder, recall(folder), 0, 1, lambda *_: None, lambda: None)
    yield made
    made.drain(at_once=True)


def test_the_formats_that_a_target_may_ask_for_are_counted(worker):
    said = next(iter(worker._utterances.values()))
    for rate in range(9_000, 9_000 + MOST_FORMATS):
        assert worker._record(said, AudioFormat("audio/pcm", rate))
    with pytest.raises(FloodError, match=f"more than {MOST_FORMATS} formats"):
        worker._record(said, AudioFormat("audio/pcm", 12_345))
    assert worker._record(said, AudioFormat("audio/pcm", 9_000)), "those known are no more"


def test_the_speech_in_such_formats_is_counted(worker, monkeypatch):
    monkeypatch.setattr("bench.load.worker.MOST_FOREIGN", 10_000)
    said = next(iter(worker._utterances.values()))
    with pytest.raises(FloodError, match="in such formats"):
        worker._record(said, AudioFormat("audio/pcm", 48_000))
