"""A browser's own WebSocket holds a spoken turn with the reference server, in real time.

It has no headers to set: the protocol and its key are subprotocols.
"""

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from bench.corpus.decode import load_utterances
from bench.corpus.manifest import load_corpus
from bench.voice.audio import PCM16_24K
from tests.browser.looking import browser  # noqa: F401 - a fixture

pytestmark = [pytest.mark.live, pytest.mark.browser]

CORPUS = Path(__file__).parents[2] / "audio_corpus" / "everyday"
QUICK = """
authorization = "required"
[response]
first_delta_ms = 60
pace = 8
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """OpenAI's path of a server that wants a credential."""
    profile = tmp_path_factory.mktemp("server") / "quick.toml"
    profile.write_text(QUICK)
    command = [sys.executable, "-m", "bench.reference", "--corpus", str(CORPUS)]
    process = subprocess.Popen(
        [*command, "--profile", str(profile)], stdout=subprocess.PIPE, text=True
    )
    base = process.stdout.readline().split()[1].split("/api/")[0]
    yield f"{base}/v1/realtime?model=gpt-realtime"
    process.terminate()
    process.communicate(timeout=5)


PAGE = """
async ([url, protocols, chunks]) => {
  const socket = new WebSocket(url, protocols);
  const heard = [];
  const say = message => socket.send(JSON.stringify(message));
  const until = kind => new Promise((done, failed) => {
    const look = () => heard.some(one => one.type === kind) && done();
    socket.addEventListener("message", look);
    socket.addEventListener("close", event => failed(`closed ${event.code}`));
    look();
  });
  socket.onmessage = event => heard.push(JSON.parse(event.data));
  await until("session.created");
  say({type: "session.update", session: {type: "realtime", instructions: null, audio: {input: {
    transcription: {model: "gpt-4o-transcribe"},
    turn_detection: {type: "server_vad", silence_duration_ms: 400}}}}});
  await until("session.updated");
  for (const audio of chunks) {
    if (heard.some(one => one.type === "input_audio_buffer.committed")) break;
    say({type: "input_audio_buffer.append", event_id: null, audio});
    await new Promise(done => setTimeout(done, 50));
  }
  await until("response.done");
  socket.close();
  return [socket.protocol, heard];
}
"""


@pytest.fixture(scope="module")
def chunks():
    """A short utterance and silence after it, in base64 of 100 ms each."""
    corpus = load_corpus(CORPUS)
    entry = next(one for one in corpus.entries if "short" in one.tags)
    (said,) = load_utterances(corpus, [entry], PCM16_24K)
    audio = said.audio + bytes(3 * 48_000)
    return [base64.b64encode(audio[at : at + 4800]).decode() for at in range(0, len(audio), 4800)]


def test_a_browsers_own_websocket_holds_a_spoken_turn(url, browser, chunks):  # noqa: F811
    page = browser.new_page()
    protocols = ["realtime", "openai-insecure-api-key.sk-x", "openai-beta.realtime-v1"]
    protocol, heard = page.evaluate(PAGE, [url, protocols, chunks])
    page.close()
    assert protocol == "realtime"
    kinds = [one["type"] for one in heard]
    assert kinds[:2] == ["session.created", "session.updated"]
    assert "error" not in kinds
    audio = b"".join(
        base64.b64decode(one["delta"])
        for one in heard
        if one["type"] == "response.output_audio.delta"
    )
    assert len(audio) > 48_000
    assert heard[-1]["response"]["status"] == "completed"
