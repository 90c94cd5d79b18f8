"""OpenAI's own client holds every kind of turn with the reference server, in real time.

Each test is one conversation through `AsyncOpenAI().realtime.connect`, whose events are the typed
models of that package; one server, whose replies come quickly, serves them all.
"""

import asyncio
import base64
import json
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from bench.corpus.decode import load_utterances
from bench.corpus.manifest import load_corpus
from bench.voice.audio import PCM16_24K

pytestmark = pytest.mark.live

CORPUS = Path(__file__).parents[2] / "audio_corpus" / "everyday"
CHUNK = 4800
QUICK = """
[response]
first_delta_ms = 60
pace = 8
[tools]
one = 0
parallel = 0
mixed = 1
first_ms = 60
"""
TOOL = {
    "type": "function",
    "name": "find_order",
    "description": "Finds an order.",
    "parameters": {
        "type": "object",
        "properties": {"number": {"type": "integer"}, "urgent": {"type": "boolean"}},
        "required": ["number"],
    },
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The address of a server, less its scheme."""
    profile = tmp_path_factory.mktemp("server") / "quick.toml"
    profile.write_text(QUICK)
    command = [sys.executable, "-m", "bench.reference", "--corpus", str(CORPUS)]
    process = subprocess.Popen(
        [*command, "--profile", str(profile)], stdout=subprocess.PIPE, text=True
    )
    url = process.stdout.readline().split()[1]
    yield url.removeprefix("ws").split("/api/")[0] + "/v1"
    process.terminate()
    process.communicate(timeout=5)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def line():
    """One short utterance: its words, and its audio."""
    corpus = load_corpus(CORPUS)
    entry = next(one for one in corpus.entries if "short" in one.tags)
    (said,) = load_utterances(corpus, [entry], PCM16_24K)
    return said


class Talk:
    """One connection of the client, and what it has received."""

    def __init__(self, connection):
        self.connection = connection
        self.events = []

    async def until(self, *kinds, count=1):
        """The last event of one of these types, once so many have come from here on."""
        while True:
            event = await self.connection.recv()
            self.events.append(event)
            count -= event.type in kinds
            if not count:
                return event

    async def updated(self, **session):
        await self.connection.session.update(session={"type": "realtime", **session})
        return (await self.until("session.updated", "error")).session

    async def typed(self, text="Hello."):
        """A typed item of the user; gives its id."""
        part = {"type": "input_text", "text": text}
        item = {"type": "message", "role": "user", "content": [part]}
        await self.connection.conversation.item.create(item=item)
        return (await self.until("conversation.item.done")).item.id

    async def answered(self, **response):
        await self.connection.response.create(response=response)
        return (await self.until("response.done")).response

    async def speak(self, audio, *, pace=1.0):
        loop = asyncio.get_running_loop()
        start = loop.time()
        for n, at in enumerate(range(0, len(audio), CHUNK)):
            await asyncio.sleep(max(0.0, start + (n + 1) * 0.1 / pace - loop.time()))
            chunk = base64.b64encode(audio[at : at + CHUNK]).decode()
            await self.connection.input_audio_buffer.append(audio=chunk)

    def kinds(self):
        return [event.type for event in self.events]

    def audio(self):
        return b"".join(
            base64.b64decode(event.delta)
            for event in self.events
            if event.type == "response.output_audio.delta"
        )


@asynccontextmanager
async def talking(base):
    client = AsyncOpenAI(api_key="any", base_url=f"http{base}", websocket_base_url=f"ws{base}")
    async with client.realtime.connect(model="gpt-realtime") as connection:
        talk = Talk(connection)
        created = await talk.until("session.created")
        assert created.session.model == "gpt-realtime"
        yield talk
    await client.close()


def held(conversation, base, *given):
    """What a conversation comes to, within 20 s."""

    async def hold():
        async with talking(base) as talk:
            return await conversation(talk, *given)

    return asyncio.run(asyncio.wait_for(hold(), 20))


TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
WORDS = "response.output_audio_transcript.delta"


async def spoken(talk, line):
    await talk.updated(
        audio={
            "input": {
                "transcription": {"model": "gpt-4o-transcribe"},
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
            }
        }
    )
    speaking = asyncio.create_task(talk.speak(line.audio + bytes(4 * 48_000)))
    await talk.until("response.done")
    speaking.cancel()
    with suppress(asyncio.CancelledError):
        await speaking
    return talk


def test_the_openai_client_holds_a_spoken_turn(base, line):
    talk = held(spoken, base, line)
    assert talk.kinds()[:2] == ["session.created", "session.updated"]
    assert len(talk.audio()) > 48_000
    words = "".join(event.delta for event in talk.events if event.type == WORDS)
    corpus = load_corpus(CORPUS)
    assert words in {" ".join(one.text.split()) for one in corpus.entries if "reply" in one.tags}
    heard = [event.transcript for event in talk.events if event.type == TRANSCRIBED]
    assert heard == [line.text]
    assert talk.events[-1].response.status == "completed"


async def by_hand(talk, line):
    await talk.updated(
        audio={"input": {"turn_detection": None, "transcription": {"model": "gpt-4o-transcribe"}}}
    )
    await talk.connection.input_audio_buffer.clear()
    await talk.until("input_audio_buffer.cleared")
    await talk.speak(line.audio, pace=20)
    await talk.connection.input_audio_buffer.commit()
    await talk.until(TRANSCRIBED)
    assert "response.created" not in talk.kinds()
    response = await talk.answered()
    return talk, response


def test_it_holds_a_manual_turn(base, line):
    talk, response = held(by_hand, base, line)
    kinds = talk.kinds()
    assert not {"input_audio_buffer.speech_started", "error"} & set(kinds)
    committed = kinds.index("input_audio_buffer.committed")
    assert kinds[committed : committed + 3] == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    heard = [event.transcript for event in talk.events if event.type == TRANSCRIBED]
    assert heard == [line.text]
    assert response.status == "completed"


async def written(talk):
    await talk.updated(output_modalities=["text"])
    await talk.typed("How much is it?")
    return talk, await talk.answered()


def test_it_holds_a_text_turn(base):
    talk, response = held(written, base)
    pieces = [e.delta for e in talk.events if e.type == "response.output_text.delta"]
    (item,) = response.output
    assert len(pieces) > 3
    assert "".join(pieces) == item.content[0].text
    assert item.content[0].type == "output_text"
    assert talk.audio() == b""
    assert response.usage.output_token_details.text_tokens == len(pieces)


async def with_tools(talk):
    await talk.updated(tools=[TOOL], tool_choice="auto")
    await talk.typed("Where is my order?")
    response = await talk.answered()
    call = response.output[1]
    item = {"type": "function_call_output", "call_id": call.call_id, "output": '{"found":true}'}
    await talk.connection.conversation.item.create(item=item)
    await talk.until("conversation.item.done")
    return talk, response, await talk.answered()


def test_it_holds_a_turn_with_a_message_a_call_and_what_comes_of_it(base):
    talk, response, after = held(with_tools, base)
    message, call = response.output
    assert (message.type, call.type, call.name) == ("message", "function_call", "find_order")
    done = next(e for e in talk.events if e.type == "response.function_call_arguments.done")
    pieces = [e.delta for e in talk.events if e.type == "response.function_call_arguments.delta"]
    assert (done.output_index, done.call_id, done.name) == (1, call.call_id, "find_order")
    assert "".join(pieces) == done.arguments == call.arguments
    given = json.loads(call.arguments)
    assert isinstance(given["number"], int)
    assert isinstance(given["urgent"], bool)
    assert [item.type for item in after.output] == ["message"]


@pytest.mark.parametrize("named", [True, False])
def test_it_cancels_a_response(base, named):
    async def cancelled(talk):
        await talk.typed()
        await talk.connection.response.create()
        await talk.until("response.output_audio.delta")
        response_id = talk.events[-1].response_id
        await talk.connection.response.cancel(**({"response_id": response_id} if named else {}))
        done = (await talk.until("response.done")).response
        await talk.connection.response.cancel()
        return talk, done, (await talk.until("error")).error

    talk, done, error = held(cancelled, base)
    assert (done.status, done.status_details.reason) == ("cancelled", "client_cancelled")
    assert done.output[0].status == "incomplete"
    assert talk.kinds()[-7:-1] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert error.code == "response_cancel_not_active"


def test_it_truncates_to_what_was_heard_and_retrieves_just_that(base):
    async def truncated(talk):
        await talk.typed()
        response = await talk.answered()
        item_id = response.output[0].id
        items = talk.connection.conversation.item
        await items.truncate(item_id=item_id, content_index=0, audio_end_ms=500)
        ended = await talk.until("conversation.item.truncated")
        await items.retrieve(item_id=item_id)
        return ended, (await talk.until("conversation.item.retrieved")).item

    ended, item = held(truncated, base)
    assert (ended.item_id, ended.audio_end_ms) == (item.id, 500)
    assert item.content[0].transcript is None
    assert len(base64.b64decode(item.content[0].audio)) == 24_000


def test_it_retrieves_what_was_said_with_its_audio(base):
    async def retrieved(talk):
        await talk.typed()
        response = await talk.answered()
        await talk.connection.conversation.item.retrieve(item_id=response.output[0].id)
        return talk.audio(), response, (await talk.until("conversation.item.retrieved")).item

    heard, response, item = held(retrieved, base)
    assert base64.b64decode(item.content[0].audio) == heard
    assert item.content[0].transcript == response.output[0].content[0].transcript


def test_it_deletes_an_item_which_is_gone_then(base):
    async def deleted(talk):
        first, second = await talk.typed("one"), await talk.typed("two")
        items = talk.connection.conversation.item
        await items.delete(item_id=first)
        gone = await talk.until("conversation.item.deleted")
        await items.retrieve(item_id=first)
        refused = (await talk.until("error")).error
        await items.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "three"}],
            },
            previous_item_id="root",
        )
        added = await talk.until("conversation.item.added")
        await items.retrieve(item_id=second)
        kept = await talk.until("conversation.item.retrieved")
        return first, gone, refused, added, kept

    first, gone, refused, added, kept = held(deleted, base)
    assert gone.item_id == first
    assert refused.code == "item_retrieve_invalid_item_id"
    assert added.previous_item_id is None
    assert kept.item.content[0].text == "two"


def test_an_error_names_what_was_wrong_and_the_session_goes_on(base):
    async def refused(talk):
        await talk.connection.session.update(
            session={"type": "realtime", "audio": {"output": {"speed": 9}}, "instructions": "no"},
            event_id="mine",
        )
        error = (await talk.until("error")).error
        session = await talk.updated(output_modalities=["text"])
        await talk.typed()
        return error, session, await talk.answered()

    error, session, response = held(refused, base)
    assert (error.code, error.param, error.event_id) == (
        "decimal_above_max_value",
        "session.audio.output.speed",
        "mine",
    )
    assert session.instructions == ""
    assert response.status == "completed"
