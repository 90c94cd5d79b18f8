"""OpenAI's own client holds a spoken turn with the reference server, in real time."""

import asyncio
import base64
import subprocess
import sys
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from bench.corpus.decode import load_utterances
from bench.corpus.manifest import load_corpus
from bench.voice.audio import PCM16_24K

pytestmark = pytest.mark.live

CORPUS = Path(__file__).parents[2] / "audio_corpus" / "everyday"
CHUNK = 4800


async def spoken_turn(base, audio):
    """Everything that the client received until response.done."""
    client = AsyncOpenAI(api_key="any", base_url=f"http{base}", websocket_base_url=f"ws{base}")
    events = []

    async def speak(connection):
        loop = asyncio.get_running_loop()
        start = loop.time()
        for n, at in enumerate(range(0, len(audio), CHUNK)):
            await asyncio.sleep(max(0.0, start + (n + 1) * 0.1 - loop.time()))
            chunk = base64.b64encode(audio[at : at + CHUNK]).decode()
            await connection.input_audio_buffer.append(audio=chunk)

    async with client.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(
            session={
                "type": "realtime",
                "audio": {
                    "input": {
                        "transcription": {"model": "gpt-4o-transcribe"},
                        "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
                    }
                },
            }
        )
        speaking = asyncio.create_task(speak(connection))
        async for event in connection:
            events.append(event)
            if event.type == "response.done":
                break
        speaking.cancel()
    await client.close()
    return events


def test_the_openai_client_holds_a_spoken_turn():
    corpus = load_corpus(CORPUS)
    entry = next(one for one in corpus.entries if "short" in one.tags)
    (line,) = load_utterances(corpus, [entry], PCM16_24K)
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.reference", "--corpus", str(CORPUS)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = process.stdout.readline().split()[1]
        base = url.removeprefix("ws").split("/api/")[0] + "/v1"
        audio = line.audio + bytes(4 * 48_000)
        events = asyncio.run(asyncio.wait_for(spoken_turn(base, audio), 20))
    finally:
        process.terminate()
        process.communicate(timeout=5)
    kinds = [event.type for event in events]
    assert kinds[:2] == ["session.created", "session.updated"]
    assert events[0].session.model == "gpt-realtime"
    audio_out = b"".join(
        base64.b64decode(event.delta)
        for event in events
        if event.type == "response.output_audio.delta"
    )
    assert len(audio_out) > 48_000
    words = "".join(
        event.delta for event in events if event.type == "response.output_audio_transcript.delta"
    )
    replies = {" ".join(one.text.split()) for one in corpus.entries if "reply" in one.tags}
    assert words in replies
    completed = "conversation.item.input_audio_transcription.completed"
    assert [event.transcript for event in events if event.type == completed] == [entry.text]
    assert events[-1].response.status == "completed"
    assert process.returncode == 0
