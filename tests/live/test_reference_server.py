"""The reference server as a process: ready line, signals, refusals, failures, truth log."""

import asyncio
import base64
import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bench.corpus.decode import load_utterances
from bench.corpus.manifest import load_corpus
from bench.protocol import client as ask
from bench.protocol.codec import encode
from bench.voice.audio import PCM16_24K

pytestmark = pytest.mark.live

CHECKOUT = Path(__file__).parents[2]
CORPUS = CHECKOUT / "audio_corpus" / "everyday"
COMMAND = [sys.executable, "-m", "bench.reference", "--corpus", str(CORPUS)]


@contextmanager
def served(*options, ends_with=signal.SIGTERM):
    """A server process and its URL; ended by a signal unless it has ended by itself."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        ready, _, url = process.stdout.readline().strip().partition(" ")
        assert ready == "ready", process.stderr.read()
        yield process, url
    finally:
        if process.poll() is None:
            process.send_signal(ends_with)
        process.communicate(timeout=5)


def opened(url, path="", query="key=k1&protocol=realtime"):
    base = url.split("/api/")[0] + path if path else url
    return connect(f"{base}?{query}", additional_headers={"Authorization": "Basic abc"})


def profile(tmp_path, text):
    path = tmp_path / "profile.toml"
    path.write_text(text)
    return path


async def first_messages(connection, count=1):
    return [json.loads(await asyncio.wait_for(connection.recv(), 5)) for _ in range(count)]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_says_one_line_when_ready_and_ends_cleanly_within_a_second(how, tmp_path):
    summary, truth = tmp_path / "summary.json", tmp_path / "truth.jsonl"

    async def hold(process, url):
        async with opened(url) as connection:
            (created,) = await first_messages(connection)
            assert created["type"] == "session.created"
            asked = time.monotonic()
            process.send_signal(how)
            with pytest.raises(ConnectionClosed) as closed:
                await connection.recv()
            assert closed.value.rcvd.code == 1001
        return asked

    with served("--summary", summary, "--truth", truth) as (process, url):
        assert url.startswith("ws://127.0.0.1:")
        assert url.endswith("/api/v1/realtime/session")
        asked = asyncio.run(hold(process, url))
        out, err = process.communicate(timeout=5)
        assert time.monotonic() - asked < 1.0
    assert process.returncode == 0
    assert out == ""
    assert len(err.splitlines()) == 1
    said = json.loads(summary.read_text())
    assert (said["sessions"], said["events"], said["peak_sessions"]) == (1, 1, 1)
    rows = [json.loads(row) for row in truth.read_text().splitlines()]
    assert [row.get("type") for row in rows] == ["session.created", None]
    assert rows[-1]["number"] == 0


def test_a_wrong_path_is_404_and_a_wrong_query_400():
    async def tried(url):
        statuses = []
        for attempt in (
            opened(url, "/elsewhere"),
            opened(url, query="key=k"),
            opened(url, query="protocol=realtime"),
        ):
            with pytest.raises(InvalidStatus) as refused:
                await attempt
            statuses.append(refused.value.response.status_code)
        return statuses

    with served() as (_, url):
        assert asyncio.run(tried(url)) == [404, 400, 400]


@pytest.mark.parametrize("status", [401, 402, 403, 404, 429, 500])
def test_a_profile_can_refuse_upgrades(tmp_path, status):
    async def tried(url):
        with pytest.raises(InvalidStatus) as refused:
            await opened(url)
        return refused.value.response.status_code

    path = profile(tmp_path, f"[failures]\nrefuse = 1.0\nrefuse_status = {status}\n")
    with served("--profile", path) as (_, url):
        assert asyncio.run(tried(url)) == status


@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        ("close_at_once = 1.0\nclose_code = 1011", "closed 1011"),
        ("close_at_once = 1.0\nclose_code = 1006", "dropped"),
        ("malformed = 1.0", "no JSON"),
        ("binary = 1.0", "bytes"),
        ("huge = 1.0", "20 MB"),
        ("mute = 1.0", "nothing"),
    ],
)
def test_failures_reach_the_wire(tmp_path, failure, seen):
    async def witnessed(url):
        try:
            async with connect(f"{url}?key=k&protocol=realtime", max_size=None) as connection:
                frame = await asyncio.wait_for(connection.recv(), 0.5)
                assert json.loads(frame)["type"] == "session.created"
                frame = await asyncio.wait_for(connection.recv(), 5)
        except TimeoutError:
            return "nothing"
        except ConnectionClosed as closed:
            return "dropped" if closed.rcvd is None else f"closed {closed.rcvd.code}"
        if isinstance(frame, bytes):
            return "bytes"
        if len(frame) > 20_000_000:
            return "20 MB"
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(frame)
        return "no JSON"

    with served("--profile", profile(tmp_path, f"[failures]\n{failure}\n")) as (_, url):
        assert asyncio.run(witnessed(url)) == seen


@pytest.mark.parametrize(
    ("breach", "seen"),
    [
        ("429", "HTTP 429"),
        ("error", "session_limit_reached, closed 1013"),
        ("errortype", "SESSION_RESOURCES_EXHAUSTED, closed 1013"),
        ("close", "closed 1013"),
    ],
)
def test_one_session_too_many_is_shown_as_configured_and_room_comes_back(tmp_path, breach, seen):
    async def witnessed(url):
        told = []
        try:
            async with opened(url) as connection:
                while True:
                    message = json.loads(await asyncio.wait_for(connection.recv(), 5))
                    told.append(message.get("errorType") or message["error"]["code"])
        except InvalidStatus as refused:
            told.append(f"HTTP {refused.response.status_code}")
        except ConnectionClosed as closed:
            told.append(f"closed {closed.rcvd.code}")
        return ", ".join(told)

    async def crowd(url):
        async with opened(url) as first:
            await first_messages(first)
            told = await witnessed(url)
        async with opened(url) as again:
            (created,) = await first_messages(again)
        return told, created["type"]

    path = profile(tmp_path, f'[limits]\nsessions = 1\nbreach = "{breach}"\n')
    with served("--profile", path) as (_, url):
        assert asyncio.run(crowd(url)) == (seen, "session.created")


def test_a_session_expires_with_an_error_and_the_reason_in_the_close(tmp_path):
    async def outlived(url):
        async with opened(url) as connection:
            _, error = await first_messages(connection, 2)
            with pytest.raises(ConnectionClosed) as closed:
                await connection.recv()
            return error["error"]["code"], closed.value.rcvd

    path = profile(tmp_path, "[limits]\nsession_s = 0.3\n")
    with served("--profile", path) as (_, url):
        code, closed = asyncio.run(outlived(url))
    assert (code, closed.code) == ("session_expired", 1001)
    assert closed.reason.startswith("Your session hit the maximum duration")


def test_sessions_share_one_budget_of_packets(tmp_path):
    clear = encode(ask.InputAudioBufferClear()).decode()

    async def crowd(url):
        async with opened(url) as one, opened(url) as two:
            await first_messages(one)
            await first_messages(two)
            for _ in range(3):
                await one.send(clear)
            await first_messages(one, 3)
            await two.send(clear)
            return (await first_messages(two))[0]

    path = profile(tmp_path, "[limits]\npackets_per_second = 3\n")
    with served("--profile", path) as (_, url):
        assert asyncio.run(crowd(url))["error"]["code"] == "rate_limit_exceeded"


def test_a_leak_carries_words_from_one_session_to_another(tmp_path):
    async def typed(connection, text):
        part = {"type": "input_text", "text": text}
        item = {"type": "message", "role": "user", "content": [part]}
        await connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await first_messages(connection, 2)

    async def crowd(url):
        async with opened(url) as one, opened(url) as two:
            await first_messages(one)
            await first_messages(two)
            await typed(one, "purple seven")
            await typed(two, "good morning")
            create = {"type": "response.create", "response": {"output_modalities": ["text"]}}
            await two.send(json.dumps(create))
            while True:
                (message,) = await first_messages(two)
                if message["type"] == "response.output_text.done":
                    return message["text"]

    with served("--profile", profile(tmp_path, "[failures]\nleak = 1.0\n")) as (_, url):
        assert asyncio.run(crowd(url)) == "purple seven"


def test_formats_can_be_asked_for_on_the_command_line():
    async def first_audio(url, wire):
        async with opened(url) as connection:
            update = {"type": "session.update", "session": {"audio": {"output": {"format": wire}}}}
            await connection.send(json.dumps(update))
            await connection.send(json.dumps({"type": "response.create"}))
            while True:
                (message,) = await first_messages(connection)
                if message["type"] == "response.output_audio.delta":
                    return len(base64.b64decode(message["delta"]))

    options = ("--format", "audio/pcm:16000", "--format", "audio/pcma")
    with served(*options) as (_, url):
        wide = asyncio.run(first_audio(url, {"type": "audio/pcm", "rate": 16000}))
        narrow = asyncio.run(first_audio(url, {"type": "audio/pcma"}))
    assert (wide, narrow) == (3200, 800)  # 100 ms of each


@pytest.mark.parametrize("word", ["opus", "audio/pcm:7", "audio/pcmu:16000", "audio/pcm:x"])
def test_a_format_that_is_none_is_named(word):
    ended = subprocess.run(
        [*COMMAND, "--format", word], capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == 2
    assert word in ended.stderr
    assert "audio/pcmu" in ended.stderr


def test_an_upgrade_that_was_refused_is_in_the_truth_log(tmp_path):
    async def tried(url):
        with pytest.raises(InvalidStatus):
            await opened(url)

    truth = tmp_path / "truth.jsonl"
    path = profile(tmp_path, "[failures]\nrefuse = 1.0\nrefuse_status = 402\n")
    with served("--profile", path, "--truth", truth) as (_, url):
        asyncio.run(tried(url))
    (row,) = [json.loads(row) for row in truth.read_text().splitlines()]
    assert (row["number"], row["status"]) == (0, 402)


def test_the_truth_log_joins_with_what_a_client_received(tmp_path):
    truth = tmp_path / "truth.jsonl"
    corpus = load_corpus(CORPUS)
    entry = next(one for one in corpus.entries if "short" in one.tags)
    (line,) = load_utterances(corpus, [entry], PCM16_24K)
    quick = profile(
        tmp_path, "[response]\nfirst_delta_ms = 50\npace = 50\n[transcription]\ndelay_ms = 0\n"
    )

    async def talk(url):
        received = {}

        async def listen(connection):
            while True:
                message = json.loads(await connection.recv())
                received[message["event_id"]] = (time.monotonic_ns(), message["type"], message)
                if message["type"] == "response.done":
                    return message

        async with opened(url) as connection:
            listening = asyncio.create_task(listen(connection))
            audio = line.audio + bytes(2 * 48_000)
            loop = asyncio.get_running_loop()
            start = loop.time()
            for n, at in enumerate(range(0, len(audio), 4800)):
                await asyncio.sleep(max(0.0, start + n * 0.1 - loop.time()))
                if listening.done():
                    break
                append = ask.InputAudioBufferAppend(audio=audio[at : at + 4800])
                await connection.send(encode(append).decode())
            done = await asyncio.wait_for(listening, 5)
            assert done["response"]["status"] == "completed"
        return received

    with served("--truth", truth, "--profile", quick) as (process, url):
        received = asyncio.run(talk(url))
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=5)
    rows = [json.loads(row) for row in truth.read_text().splitlines()]
    sent = {row["event_id"]: row for row in rows if "event_id" in row}
    assert received.keys() == sent.keys()
    for event_id, (arrived, kind, _) in received.items():
        row = sent[event_id]
        assert row["type"] == kind
        assert row["session_key"] == "k1"
        assert row["due_ns"] <= row["before_ns"] <= row["after_ns"]
        assert arrived >= row["before_ns"]
    heard = [message for _, kind, message in received.values() if kind.endswith(".completed")]
    assert heard[0]["transcript"] == entry.text
    assert {name for name, _, _ in rows[-1]["draws"]} >= {"first_delta_ms", "reply"}


def test_a_port_in_use_is_one_line_and_exit_2():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [*COMMAND, "--port", str(port)], capture_output=True, text=True, timeout=20, check=False
        )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert str(port) in ended.stderr


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--corpus", "evryday"], "everyday"),
        (["--profile", "nowhere.toml"], "nowhere.toml"),
        (["--truth", "nowhere/truth.jsonl"], "nowhere/truth.jsonl"),
        (["--summary", "nowhere/summary.json"], "nowhere/summary.json"),
    ],
)
def test_what_cannot_be_had_is_one_line_and_exit_2(options, word):
    ended = subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, timeout=20, check=False, cwd=CHECKOUT
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert word in ended.stderr
