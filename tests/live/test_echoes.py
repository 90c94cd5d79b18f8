"""A target that says back what it was sent: nothing of that is written or shown."""

import json
import socket
from base64 import b64encode
from contextlib import contextmanager, suppress
from threading import Thread
from urllib.parse import quote

import msgspec
import pandas as pd
import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response
from websockets.sync.server import serve

from bench.load.preflight import hold, preflight
from bench.load.route import find_route
from bench.probe.prober import run_probe
from bench.protocol.objects import Session
from bench.runs.job import make_job
from bench.runs.redaction import MASK
from bench.runs.target import USER_AGENT, read_target
from bench.voice.conversation import Conversation
from bench.voice.directions import Pause
from tests.live.process import document

pytestmark = pytest.mark.live

KEY = 'azure+key/q7zk2vw9xh="mqrtpl&'
WORD = "query pass+q7zk2vw9xh"
SPELT = {
    "plain": KEY,
    "percent": quote(KEY, safe=""),
    "json": json.dumps(KEY)[1:-1].replace("/", "\\/").replace("+", "\\u002B"),
    "base64": b64encode(f"api-key: {KEY}".encode()).decode(),
    "query": WORD,
    "encoded query": quote(WORD, safe=""),
}
LEAKS = [*SPELT.values(), json.dumps(KEY)[1:-1], KEY[:12], b64encode(KEY.encode()).decode()[4:20],
         quote(KEY, safe="")[:20], "q7zk2vw9xh"]  # fmt: skip
ENVIRONMENT = {"AZURE_KEY": KEY, "QUERY_TOKEN": WORD}
FORMAT = {"format": {"type": "audio/pcm", "rate": 24000}}
SESSION = {"id": "sess_1", "audio": {"input": FORMAT, "output": FORMAT}}


class Echo:
    """What was asked of it: the requests of all upgrades."""

    def __init__(self):
        self.requests = []
        self.port = 0

    def url(self, host="127.0.0.1"):
        return f"ws://{host}:{self.port}/v1/realtime?token=$QUERY_TOKEN&version=2"


@contextmanager
def echoing(play, refuse=None, host="127.0.0.1"):
    one = Echo()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    one.port = listener.getsockname()[1]

    def asked(_connection, request):
        one.requests.append(request)
        return refuse

    def handle(connection):
        with suppress(ConnectionClosed):
            play(connection)

    with serve(handle, sock=listener, process_request=asked) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield one
        finally:
            server.shutdown()
            thread.join(5)


ERROR = '{"type":"error","error":{"type":"server_error","code":"odd","message":"you sent @"}}'
STRANGE = '{"type":"new.thing","event_id":"n1","said":"@"}'
NAMELESS = '{"type":"@","event_id":"n2"}'
ITEM = (
    '{"type":"conversation.item.added","item":{"id":"@","type":"message","role":"assistant",'
    '"content":[{"type":"text","text":"@"}]}}'
)


def chatter(connection):
    """Take settings, then say the credential wherever a message has room for it."""
    say = connection.send
    say(json.dumps({"type": "session.created", "event_id": f"e-{KEY}",
                    "session": {**SESSION, "instructions": WORD, KEY: WORD}}))  # fmt: skip
    connection.recv(5)
    say(json.dumps({"type": "session.updated", "event_id": "e2", "session": SESSION}))
    for spelt in SPELT.values():
        # By hand: some spellings are JSON's own.
        inner = spelt if "\\" in spelt else json.dumps(spelt)[1:-1]
        for message in (ERROR, STRANGE, NAMELESS, ITEM):
            say(message.replace("@", inner))
    say(json.dumps({"type": "response.created", "event_id": "r", "response": {"id": f"r-{KEY}"}}))
    say(json.dumps({"type": "response.output_audio.delta", "event_id": f"a-{KEY}",
                    "response_id": f"r-{KEY}", "item_id": KEY, "delta": "AAAA" * 400}))  # fmt: skip
    for number, piece in enumerate((f"the key is {KEY[:4]}", KEY[4:13], f"{KEY[13:]}.")):
        say(json.dumps({"type": "response.output_audio_transcript.delta", "event_id": f"p{number}",
                        "response_id": "r1", "item_id": "i1", "delta": piece}))  # fmt: skip
    # Of an unknown message the beginning is kept: it may end in the middle of the credential.
    for length in range(1960, 2048, 3):
        say('{"type":"new.thing","said":"' + "x" * length + KEY.replace('"', "") + '"}')
    say("x" * 2040 + KEY)  # what is no message is told of by its beginning
    for _ in connection:
        pass


def closing(connection):
    connection.recv(5)
    connection.close(4001, f"bad: {KEY}")


def refusal():
    page = f"<h1>Not you</h1> <p>{'-' * 150} {KEY} {quote(KEY)}</p>".encode()
    return Response(401, "Unauthorized", Headers({"Content-Length": str(len(page))}), page)


def kept(place):
    """All that is written in a file or a folder, as text."""
    files = [path for path in (place, *place.rglob("*")) if path.is_file()]
    tables = [path for path in files if path.suffix == ".parquet"]
    texts = [path.read_text("utf-8", "replace") for path in files if path not in tables]
    return "\n".join(
        [
            *texts,
            *(
                pd.read_parquet(path).to_csv(quoting=3, escapechar="\x01").replace("\x01", "")
                for path in tables
            ),
        ]
    )


def leaks(*texts):
    return [one for one in LEAKS if one in "\n".join(texts)]


@pytest.mark.parametrize("play", [chatter, closing])
def test_nothing_that_a_run_keeps_or_says_has_the_credential(bench, play, scenario, tmp_path):
    with echoing(play) as target:
        code, out, err = bench(
            "run", scenario(sessions=2, duration="2s"), "--target", target.url(), "--dialect",
            "openai", "--header", "api-key=$AZURE_KEY", "--out", tmp_path / "run", env=ENVIRONMENT,
        )  # fmt: skip
    assert code in {0, 1, 3, 4}, err
    assert leaks(kept(tmp_path / "run"), out, err) == []
    assert MASK in kept(tmp_path / "run")
    sent = target.requests[0]
    assert sent.headers["api-key"] == KEY
    assert sent.headers["User-Agent"] == USER_AGENT
    assert "Authorization" not in sent.headers
    assert f"token={quote(WORD, safe='')}&version=2" in sent.path
    told = document(tmp_path / "run", "run.json")["target"]
    assert told["headers"] == ["api-key=$AZURE_KEY"]
    assert "token=$QUERY_TOKEN" in told["url"]


def test_nor_what_a_probe_finds(credentials):
    """What is printed and written is what it returns."""
    with echoing(chatter) as target:
        asked = read_target(target.url(), "openai", credentials)
        found = run_probe(asked, only=("call",), limit_s=5.0)
    told = msgspec.json.encode(found).decode()
    assert leaks(told, str(found)) == []
    assert MASK in told
    assert {request.headers["User-Agent"] for request in target.requests} == {USER_AGENT}
    assert {request.headers["api-key"] for request in target.requests} == {KEY}


@pytest.fixture
def credentials(monkeypatch):
    """The headers of whoever has the credentials in the environment."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return ("api-key=$AZURE_KEY",)


@pytest.fixture
def job(scenario, credentials):
    """A job against one that echoes, in this process."""
    path = scenario()
    return lambda url: make_job(path, read_target(url, "openai", credentials))


def test_nor_what_a_session_tells_of_its_end_while_the_run_goes_on(job):
    with echoing(closing) as target:
        route = find_route(job(target.url()).target)
        talk = Conversation(iter((Pause(0),)), Session(type="realtime"), None, name="x")
        _, tally = hold(route, route.addresses[0], talk, "x", "")
    assert tally.reason == f"bad: {MASK} (close code 4001)"


def test_nor_what_the_session_before_the_load_found_odd(job):
    def odd(connection):
        connection.send(json.dumps({"type": "session.created", "session": SESSION}))
        connection.recv(5)
        heard = {**FORMAT, "turn_detection": {"type": KEY}}
        other = {**SESSION, "audio": {"input": heard, "output": FORMAT}}
        connection.send(json.dumps({"type": "session.updated", "session": other}))
        for _ in connection:
            pass

    with echoing(odd) as target:
        found = preflight(job(target.url()))
    assert any(note.startswith(f"turn detection is {MASK}") for note in found.notes), found
    assert leaks(json.dumps(found.told())) == []


@pytest.mark.parametrize("verb", ["run", "probe", "capacity", "ab"])
def test_nor_a_refusal(bench, verb, scenario, tmp_path):
    with echoing(closing, refusal()) as target:
        words = {
            "run": (scenario(), "--target", target.url()),
            "probe": (target.url(),),
            "capacity": (scenario(), "--target", target.url(), "--slo",
                         "p95(first_audio_latency) < 1 s", "--start", "30"),
            "ab": (scenario(), "--a", target.url(), "--b", target.url(), "--pairs", "2"),
        }[verb]  # fmt: skip
        code, out, err = bench(
            verb, *words, "--dialect", "openai", "--out", tmp_path / "it",
            "--header", "api-key=$AZURE_KEY", env=ENVIRONMENT,
        )  # fmt: skip
    assert code == (0 if verb == "probe" else 3), out + err
    data = kept(tmp_path / "it")
    assert leaks(data, out, err) == []
    assert "Not you" in out + err + data
    assert target.requests[0].headers["api-key"] == KEY


def test_six_is_as_good_as_four(job, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)  # on loopback nobody asks for it
    with echoing(chatter, host="::1") as target:
        found = preflight(job(target.url("[::1]")))
    assert target.requests[0].headers["Host"] == f"[::1]:{target.port}"
    assert (found.cause, found.final) == (None, False)


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        (["--header", "api-key=$NOT_THERE"], {}, "NOT_THERE is not set"),
        (["--header", "Host=x"], {}, "cannot be set"),
        (["--ca", "/nowhere/ca.pem"], {}, "--ca /nowhere/ca.pem: cannot be read"),
        ([], {"SSL_CERT_FILE": "/nowhere/ca.pem"}, "SSL_CERT_FILE=/nowhere/ca.pem: cannot be read"),
        ([], {"HTTPS_PROXY": "socks5://me:hunter22@p:1"}, "socks5:// is not supported"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "probe", "capacity", "ab"])
def test_what_cannot_be_dialled_so_is_refused_by_every_verb_in_one_line(
    verb, options, environment, words, scenario, tmp_path, bench, monkeypatch
):
    for name, value in {"OPENAI_API_KEY": "sk-any-key", **environment}.items():
        monkeypatch.setenv(name, value)
    url = "wss://voice.corp.invalid/v1/realtime"
    given = {
        "run": (scenario(), "--target", url),
        "probe": (url,),
        "capacity": (scenario(), "--target", url, "--slo", "p95(first_audio_latency) < 1 s"),
        "ab": (scenario(), "--a", url, "--b", url),
    }[verb]
    code, out, err = bench(
        verb, *given, "--dialect", "openai", "--yes", "--out", tmp_path / "it", *options
    )
    assert code == 2, out + err
    (line,) = [one for one in err.splitlines() if one.startswith("bench: ")]
    assert words in line
    assert "hunter22" not in out + err
