"""The session before the load, against servers of a dozen lines that turn everybody away, or not.

What every session would meet is final, after one handshake; what a load may have brought about, or
may be the very thing to show, is not.
"""

import json
import socket
import ssl
import struct
import time
from contextlib import ExitStack, suppress
from itertools import pairwise
from threading import Thread
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import trustme
from websockets.utils import accept_key

from bench.cli.supervisor import _preflight_line
from bench.errors import TargetError
from bench.load.preflight import need_target, preflight
from bench.runs.job import make_job
from bench.runs.target import read_target
from bench.voice import session_setup
from bench.voice.audio import NS_PER_MS

pytestmark = pytest.mark.live

PATH = "/v1/realtime"


class Door:
    """A server of one script: `play(connection, request)`, for one connection after another.

    `calls` counts the connections, `requests` those that asked for something in HTTP.
    """

    def __init__(self, play, context=None):
        self.calls = self.requests = 0
        self._last = None
        self._play, self._context = play, context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if connection.getpeername() == self._last:
                    return
                self.calls += 1
                connection.settimeout(3)
                with suppress(OSError):  # TLS that fails, a caller that is gone
                    if self._context is None:
                        self._hold(connection)
                    else:
                        with self._context.wrap_socket(connection, server_side=True) as secured:
                            self._hold(secured)

    def _hold(self, connection):
        request = b""
        while b"\r\n\r\n" not in request:
            piece = connection.recv(4096)
            if not piece:
                return
            request += piece
            if request[:1] == b"\x16":  # a greeting of TLS, where none is spoken
                break
        self.requests += 1
        self._play(connection, request)
        while (said := connection.recv(4096)) and b"\x88\x82" not in said:
            pass  # until the caller leaves

    def shut(self):
        """Knock once more, from a port that the thread is told of, and be gone."""
        with socket.socket() as knock:
            knock.bind(("127.0.0.1", 0))
            self._last = knock.getsockname()
            knock.connect(("127.0.0.1", self.port))
            self._thread.join(5)
        self._listener.close()
        assert not self._thread.is_alive()


class Heard(NamedTuple):
    """In a script: wait for the caller to say something."""


def http(status, *headers, body=""):
    """Every request is answered with that and the end of the connection."""

    def play(connection, _):
        lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", body)
        connection.sendall("\r\n".join(lines).encode())
        connection.shutdown(socket.SHUT_WR)

    return play


def upgraded(*pieces):
    """Every request is upgraded, and told those bytes; pauses let each be read by itself."""

    def play(connection, request):
        upgrade(connection, request)
        for piece in pieces:
            time.sleep(0.02)
            connection.recv(65536) if isinstance(piece, Heard) else connection.sendall(piece)

    return play


def upgrade(connection, request):
    headers = dict(line.split(b": ", 1) for line in request.split(b"\r\n")[1:] if b": " in line)
    accept = accept_key(headers[b"Sec-WebSocket-Key"].decode()).encode()
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def reset(connection, request):
    upgrade(connection, request)
    time.sleep(0.02)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def frame(opcode, payload):
    size = len(payload)
    head = bytes((0x80 | opcode, size)) if size < 126 else bytes((0x80 | opcode, 126))
    return head + (b"" if size < 126 else size.to_bytes(2)) + payload


def text(message):
    return frame(1, message if isinstance(message, bytes) else json.dumps(message).encode())


def close(code, reason=""):
    return frame(8, code.to_bytes(2) + reason.encode())


def error(code, message, **more):
    said = {"type": "invalid_request_error", "code": code, "message": message, **more}
    return text({"type": "error", "event_id": "event_1", "error": said})


CREATED = text({"type": "session.created", "event_id": "event_0", "session": {"id": "sess_1"}})
UPDATED = text({
    "type": "session.updated", "event_id": "event_2", "session": {
        "id": "sess_1", "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}},
            "output": {"format": {"type": "audio/pcmu"}},
        },
    },
})  # fmt: skip
BAD_KEY = error("invalid_api_key", "Incorrect API key provided.")
NO_MODEL = error("model_not_found", "The model 'gpt-none' does not exist.")
OTHER_KEY = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
DENIED = text({"error": {"code": 7, "message": "PERMISSION_DENIED: invalid credential"}})


@pytest.fixture
def door():
    """Open a server of that script."""
    with ExitStack() as stack:

        def opened(play, context=None):
            one = Door(play, context)
            stack.callback(one.shut)
            return one

        yield opened


@pytest.fixture
def job(scenario, monkeypatch):
    """The job against a port; servers that wait for the caller are not kept waiting themselves."""
    monkeypatch.setattr(session_setup, "UNGREETED_NS", 100 * NS_PER_MS)
    for variable in ("INWORLD_RUNTIME_BASE64_CREDENTIAL", "OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    path = scenario()

    def made(port, scheme="ws"):
        return make_job(path, read_target(f"{scheme}://127.0.0.1:{port}{PATH}", "openai"))

    return made


def is_final(found, *words):
    cause = found.cause
    assert found.final, found
    assert cause.remedy or "; " in cause.reason, cause  # some reasons say what to do themselves
    assert cause.text.endswith(cause.remedy)
    assert cause.text.startswith("1 of 1 sessions was ")
    for word in words:
        assert word in cause.text, cause.text


REFUSING = {
    "401": (http("401 Unauthorized", body="no such key"),
            ("HTTP 401", "no such key", "check the credential")),
    "402": (http("402 Payment Required"), ("HTTP 402", "billing")),
    "403": (http("403 Forbidden"), ("HTTP 403", "check the credential")),
    "404": (http("404 Not Found"), (f"HTTP 404 at {PATH}", "check the path")),
    "404, a page": (http("404 Not Found", body="<h1>No permission problem, no such page</h1>"),
                    (f"HTTP 404 at {PATH}", "check the path")),
    "405": (http("405 Method Not Allowed"), ("HTTP 405", "does not take a WebSocket")),
    "410": (http("410 Gone"), ("HTTP 410", "does not take a WebSocket")),
    "426": (http("426 Upgrade Required"), ("HTTP 426", "does not take a WebSocket")),
    "301": (http("301 Moved Permanently", "Location: /v2/realtime"),
            ("HTTP 301", "/v2/realtime", "use that URL, or --follow-redirects")),
    "307, elsewhere": (http("307 Temporary Redirect", "Location: https://other.example/v3"),
                       ("HTTP 307", "wss://other.example/v3", "use that URL")),
    "200, a page": (http("200 OK", "Content-Type: text/html", body="<html>Welcome</html>"),
                    ("HTTP 200", "Welcome", "no WebSocket server")),
    "418": (http("418 I'm a teapot"), ("HTTP 418",)),
    "no HTTP": (lambda connection, _: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
                ("no WebSocket server",)),
    "bad key, at once": (upgraded(BAD_KEY + close(3000, "invalid_request_error.invalid_api_key")),
                         ("invalid_api_key", "Incorrect API key", "check the credential")),
    "bad key, in turn": (upgraded(BAD_KEY, close(3000, "invalid_request_error.invalid_api_key")),
                         ("invalid_api_key", "Incorrect API key", "check the credential")),
    "close 3000 alone": (upgraded(close(3000)), ("close code 3000", "check the credential")),
    "close 3000 with words": (upgraded(close(3000, "go away")),
                              ("3000", "go away", "check the credential")),
    "no such model, at once": (upgraded(NO_MODEL + close(4000)),
                               ("model_not_found", "gpt-none", "check the model")),
    "no such model, in turn": (upgraded(NO_MODEL, close(4000)),
                               ("model_not_found", "gpt-none", "check the model")),
    "close 4000 with words": (upgraded(close(4000, "so long")),
                              ("4000", "so long", "check the model")),
    "silent until spoken to": (upgraded(Heard(), DENIED, close(1000)),
                               ("7", "PERMISSION_DENIED", "check the credential")),
    "silent until spoken to, at once": (upgraded(Heard(), DENIED + close(1000)),
                                        ("7", "PERMISSION_DENIED", "check the credential")),
    "quota": (upgraded(error("insufficient_quota", "You exceeded your current quota.")),
              ("insufficient_quota", "billing")),
    "quota, at the upgrade": (http("429 Too Many Requests", body="insufficient_quota"),
                              ("HTTP 429", "insufficient_quota", "billing")),
    "another's accept": (lambda connection, _: upgrade(connection, OTHER_KEY),
                         ("invalid Sec-WebSocket-Accept", "no WebSocket server")),
    "settings refused": (upgraded(CREATED, Heard(), error("zebra_crossing", "No zebras here")),
                         ("zebra_crossing", "No zebras here")),
    "400, a subprotocol is wanted": (http("400 Bad Request", body="subprotocol realtime required"),
                                     ("HTTP 400", "--subprotocol realtime")),
    "close 1002, a subprotocol is wanted": (upgraded(close(1002, "missing subprotocol")),
                                            ("missing subprotocol", "--subprotocol realtime")),
    "close 4001, a subprotocol is wanted": (upgraded(close(4001, "Subprotocol required")),
                                            ("Subprotocol required", "--subprotocol realtime")),
    "garbage": (upgraded(frame(2, b"\x00\x01\xfe\xff")), ("binary", "4 bytes")),
    "no JSON": (upgraded(text(b"hello there")), ("JSON",)),
}  # fmt: skip


@pytest.mark.parametrize(("play", "words"), REFUSING.values(), ids=REFUSING)
def test_what_every_session_would_meet_is_final_after_one_handshake(play, words, door, job):
    server = door(play)
    is_final(preflight(job(server.port)), *words)
    assert (server.calls, server.requests) == (1, 1)


LOADED = {
    "429": (http("429 Too Many Requests"), "HTTP 429"),
    "429, words": (http("429 Too Many Requests", body="Too many sessions for this API key"),
                   "HTTP 429"),
    "500": (http("500 Internal Server Error"), "HTTP 500"),
    "500, words": (http("500 Internal Server Error", body="authentication service: no answer"),
                   "HTTP 500"),
    "502": (http("502 Bad Gateway"), "HTTP 502"),
    "503": (http("503 Service Unavailable"), "HTTP 503"),
    "503, words": (http("503 Service Unavailable", body="upstream: TLS error: CERTIFICATE_VERIFY"),
                   "HTTP 503"),
    "408": (http("408 Request Timeout"), "HTTP 408"),
    "no answer to the upgrade": (lambda connection, _: connection.shutdown(socket.SHUT_WR),
                                 "connection closed"),
    "exhausted, without a type": (
        upgraded(text({"error": {"code": 8, "message": "RESOURCE_EXHAUSTED: try later"}})),
        "RESOURCE_EXHAUSTED",
    ),
    "at capacity": (upgraded(error("server_error", "We are at capacity.")), "at capacity"),
    "at capacity, of a model": (
        upgraded(error("server_error", "This model is not supported now: at capacity.")),
        "at capacity",
    ),
    "at capacity, and closed": (
        upgraded(error("server_error", "We are at capacity.") + close(1013)), "at capacity",
    ),
    "close 1013": (upgraded(close(1013)), "1013"),
    "close 1011": (upgraded(close(1011, "keepalive lost")), "keepalive lost"),
    "reset": (reset, "reset"),
}  # fmt: skip


@pytest.mark.parametrize(("play", "word"), LOADED.values(), ids=LOADED)
def test_what_a_run_may_be_about_is_not_final(play, word, door, job):
    server = door(play)
    found = preflight(job(server.port))
    assert not found.final, found
    assert word in found.cause.text
    assert found.cause.remedy, found.cause
    assert server.calls == 1
    need_target(job(server.port))


@pytest.fixture
def signed(tmp_path, monkeypatch):
    """TLS for a host, signed by an authority that is trusted, or not."""

    def made(host, *, trusted):
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(context)
        if trusted:
            authority.cert_pem.write_to_path(tmp_path / "ca.pem")
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        return context

    return made


def test_a_certificate_that_is_trusted_is_none_to_stop_at(door, job, signed):
    server = door(upgraded(CREATED, Heard(), UPDATED), signed("127.0.0.1", trusted=True))
    assert preflight(job(server.port, "wss")).outcome == "finished"


@pytest.mark.parametrize(("host", "trusted"), [("127.0.0.1", False), ("other.example", True)])
def test_a_certificate_that_is_not_trusted_or_of_another_host(host, trusted, door, job, signed):
    server = door(http("200 OK"), signed(host, trusted=trusted))
    is_final(
        preflight(job(server.port, "wss")),
        f"127.0.0.1:{server.port}",
        "certificate",
        "SSL_CERT_FILE",
    )
    assert (server.calls, server.requests) == (1, 0)


def test_a_server_without_tls_where_tls_is_asked_for(door, job):
    server = door(http("400 Bad Request"))
    is_final(preflight(job(server.port, "wss")), f"127.0.0.1:{server.port}", "TLS", "try ws://")
    assert server.calls == 1


def test_a_port_on_which_nothing_listens(job):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = (f"127.0.0.1:{port}: Connection refused", "nothing listens there")
    is_final(preflight(job(port)), *words)
    with pytest.raises(TargetError, match=f"127.0.0.1:{port}: Connection refused"):
        need_target(job(port))


def test_a_good_server_is_ready_with_its_stages_in_order_and_its_settings_told(door, job):
    server = door(upgraded(CREATED, Heard(), UPDATED))
    found = preflight(job(server.port))
    assert (found.outcome, found.final, found.cause) == ("finished", False, None)
    assert list(found.stages) == ["connected_ms", "upgraded_ms", "created_ms", "ready_ms"]
    assert all(before <= after for before, after in pairwise(found.stages.values()))
    assert found.stages["ready_ms"] < 3000
    assert found.settings["input"] == {"type": "audio/pcm", "rate": 24000}
    assert found.settings["output"] == {"type": "audio/pcmu", "rate": 8000}
    assert server.calls == 1


def test_an_upgrade_that_comes_with_a_close_was_one(door, job):
    def play(connection, request):
        pieces = []
        upgrade(SimpleNamespace(sendall=pieces.append), request)
        connection.sendall(b"".join(pieces) + close(1011))

    found = preflight(job(door(play).port))
    assert (found.outcome, found.reason) == ("closed", "close code 1011")
    assert "upgraded_ms" in found.stages


def test_an_agent_that_speaks_before_the_settings_are_in_force_is_no_fault(door, job):
    sound = {"type": "response.output_audio.delta", "response_id": "r1", "item_id": "a1"}
    greeting = text({**sound, "delta": "AAAA" * 40})
    found = preflight(job(door(upgraded(CREATED, greeting, Heard(), UPDATED)).port))
    assert found.outcome == "finished"


def test_what_ends_the_session_in_the_same_breath_as_its_settings_is_no_traceback(door, job):
    found = preflight(job(door(upgraded(CREATED, Heard(), UPDATED + text(b"nothing"))).port))
    assert found.settings == {}
    assert _preflight_line(found).startswith("preflight ")


@pytest.mark.parametrize("case", ["404", "bad key, at once"])
def test_a_run_ends_there_with_the_same_sentence_everywhere(case, door, bench, scenario, tmp_path):
    play, words = REFUSING[case]
    server, folder = door(play), tmp_path / "run"
    url = f"ws://127.0.0.1:{server.port}{PATH}"
    code, out, err = bench("run", scenario(), "--target", url, "--dialect", "openai",
                           "--out", folder)  # fmt: skip
    assert code == 3, err
    assert server.calls == 1
    told = json.loads((folder / "run.json").read_text())["preflight"]
    assert told["final"]
    reason = json.loads((folder / "verdict.json").read_text())["reasons"][0]
    assert all(word in reason for word in words), reason
    assert told["reason"].rstrip(".") in reason
    summary = (folder / "summary.md").read_text()
    junit = (folder / "junit.xml").read_text().replace("&apos;", "'").replace("&quot;", '"')
    for place in (out, summary, junit):  # some begin it with a capital
        assert reason[1:] in " ".join(place.split()), place
