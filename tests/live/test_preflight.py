"""The session before the load: what a target that takes nobody says, and what is done about it."""

import json
import socket
import struct
import threading
from contextlib import contextmanager

import pytest
from websockets.sync.server import serve

from bench.cli.run import Options, job_of
from bench.load.preflight import lacking, preflight
from bench.plan.session import session_object
from bench.reference.certificate import tls_context

pytestmark = pytest.mark.live

CREATED = {"type": "session.created", "event_id": "e1", "session": {"id": "s", "type": "realtime"}}
PCM = {"type": "audio/pcm", "rate": 16_000}
UPDATED = {
    "type": "session.updated",
    "session": {"audio": {"input": {"format": PCM}, "output": {"format": PCM}}},
}


AT_ONCE = struct.pack("ii", 1, 0)
"""Closing resets the connection."""


def error(code, text, **more):
    return {"type": "error", "error": {"type": "invalid_request_error", "code": code,
                                       "message": text, **more}}  # fmt: skip


class Service:
    """Where a small server listens, and how many handshakes came."""

    def __init__(self, url):
        self.url = url
        self.handshakes = 0


@contextmanager
def plain(answer):
    """A server that answers every request with these bytes; None: it resets the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        service = Service(f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/realtime")

        def work():
            while True:
                try:
                    held, _ = listener.accept()
                except OSError:
                    return
                with held:
                    service.handshakes += 1
                    held.recv(65536)
                    if answer is None:
                        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                    else:
                        held.sendall(answer)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield service
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def speaking(talk, context=None):
    """A WebSocket server that talks so to each connection."""
    service = Service("")

    def handle(connection):
        service.handshakes += 1
        talk(connection)

    with serve(handle, "127.0.0.1", 0, ssl=context) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        scheme = "wss" if context else "ws"
        service.url = f"{scheme}://127.0.0.1:{server.socket.getsockname()[1]}/v1/realtime"
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


def http(status, body="", *headers):
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", body]).encode()


def says(*messages, code=1000, after=False):
    """Say these, then close; `after` the first message of the caller."""

    def talk(connection):
        if after:
            connection.recv()
        for message in messages:
            connection.send(message if isinstance(message, str | bytes) else json.dumps(message))
        connection.close(code)

    return talk


def ready(connection):
    """Take the session as servers do."""
    connection.send(json.dumps(CREATED))
    connection.recv()
    connection.send(json.dumps(UPDATED))
    for _ in connection:
        pass


@pytest.fixture
def fly(scenario):
    """The session before the load of a small scenario against a URL."""
    return lambda url: preflight(job_of(Options(scenario(), url)))


REFUSED = {
    "no credential": (http("401 Unauthorized", "no"), ("HTTP 401", "credential")),
    "no credit": (http("402 Payment Required"), ("HTTP 402", "billing")),
    "forbidden": (http("403 Forbidden"), ("HTTP 403", "credential")),
    "no such path": (http("404 Not Found"), ("HTTP 404 at /v1/realtime", "path")),
    "no GET": (http("405 Method Not Allowed"), ("HTTP 405", "URL")),
    "redirect": (
        http("307 Temporary Redirect", "", "Location: /elsewhere"), ("HTTP 307", "/elsewhere"),
    ),
    "a page": (http("200 OK", "<html>"), ("HTTP 200", "no WebSocket server")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_upgrade_that_is_refused_for_good_ends_it_after_one_handshake(name, fly):
    answer, words = REFUSED[name]
    with plain(answer) as service:
        found = fly(service.url)
    assert (found.outcome, found.final, service.handshakes) == ("refused", True, 1)
    assert all(word in found.cause.text for word in words), found.cause.text


TOLD = {
    "bad key": (says(error("invalid_api_key", "Incorrect API key"), code=3000), "credential"),
    "no model": (says(error("model_not_found", "no such model: x"), code=4000), "check the model"),
    "after the first message": (
        says({"error": {"code": 7, "message": "PERMISSION_DENIED"}}, after=True), "credential",
    ),
    "no quota": (says(CREATED, error("insufficient_quota", "quota"), after=False), "billing"),
    "unknown": (says(CREATED, error("odd", "this cannot be"), after=False), "odd: this cannot be"),
    "close alone": (says(code=4000), "check the model"),
    "garbage": (says(b"\x00\x01"), "binary message"),
    "no JSON": (says("hello"), "not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_a_refusal_after_the_upgrade_is_one_too(name, fly):
    talk, words = TOLD[name]
    with speaking(talk) as service:
        found = fly(service.url)
    assert (found.final, service.handshakes) == (True, 1), found
    assert words in found.cause.text


PASSING = {
    "too many": plain(http("429 Too Many Requests")),
    "unavailable": plain(http("503 Service Unavailable")),
    "broken": plain(http("500 Internal Server Error")),
    "reset": plain(None),
    "full": speaking(says(error("server_error", "The model is at capacity"))),
    "later": speaking(says(code=1013)),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_may_be_otherwise_next_time_is_not_final(name, fly):
    with PASSING[name] as service:
        found = fly(service.url)
    assert not found.final, found
    assert found.outcome != "finished"
    assert found.cause.text.startswith("1 of 1 sessions was")


def test_a_certificate_that_nobody_trusts_is_final(fly, tmp_path):
    with speaking(ready, tls_context(tmp_path / "trust.pem", "127.0.0.1")) as service:
        found = fly(service.url)
    assert found.final
    assert "SSL_CERT_FILE" in found.cause.text


def test_a_port_without_tls_and_a_port_without_a_server_are_final(fly):
    with plain(b"hello\r\n") as service:
        found = fly(service.url.replace("ws:", "wss:"))
    assert found.final
    assert "try ws://" in found.cause.text
    found = fly("ws://127.0.0.1:9/v1/realtime")
    assert (found.outcome, found.final) == ("unreachable", True)
    assert "127.0.0.1:9: Connection refused; nothing listens there" in found.cause.text


def test_a_target_that_takes_sessions_says_with_which_formats(fly):
    with speaking(ready) as service:
        found = fly(service.url)
    assert (found.outcome, found.final, found.cause) == ("finished", False, None)
    stages = [found.stages[name] for name in ("connected_ms", "upgraded_ms", "created_ms")]
    assert [*stages, found.stages["ready_ms"]] == sorted(found.stages.values())
    assert found.settings["input"] == {"type": "audio/pcm", "rate": 16_000}
    assert found.settings["assumed"] == []


def test_what_the_load_needs_and_the_session_has_not_is_named(fly):
    def unwilling(connection):
        connection.send(json.dumps(CREATED))
        connection.recv()
        told = {"audio": {"input": {"turn_detection": None}}, "output_modalities": ["text"]}
        connection.send(json.dumps({"type": "session.updated", "session": told}))
        for _ in connection:
            pass

    with speaking(unwilling) as service:
        found = fly(service.url)
    assert found.outcome == "finished"
    assert found.notes == ("turn detection is off, server_vad was asked",)
    assert found.settings["assumed"] == ["input", "output"]


def test_sessions_lack_what_they_were_told_not_to_have_and_no_more():
    asked = session_object({
        "turn_detection": {"type": "server_vad"}, "output_modalities": ["audio"],
        "tools": [{"type": "function", "name": "look"}],
    })  # fmt: skip
    told = {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}, "tools": [],
            "output_modalities": ["text"]}  # fmt: skip
    assert lacking(asked, told) == [
        "turn detection is semantic_vad, server_vad was asked",
        "it has no tools, 1 were given",
        "it answers in text, audio was asked",
    ]
    assert lacking(asked, {}) == []


@pytest.mark.parametrize("name", ["no such path", "bad key"])
def test_a_run_against_a_target_that_takes_nobody_says_why_in_every_place(
    name, bench, scenario, tmp_path
):
    server = plain(REFUSED[name][0]) if name in REFUSED else speaking(TOLD[name][0])
    folder = tmp_path / "run"
    with server as service:
        code, out, err = bench("run", scenario(), "--target", service.url, "--out", folder)
    assert (code, service.handshakes) == (3, 1), err
    run = json.loads((folder / "run.json").read_text())
    verdict = json.loads((folder / "verdict.json").read_text())
    [fault] = run["faults"]
    assert fault["text"] == verdict["reasons"][0]
    fact = "HTTP 404 at /v1/realtime" if name in REFUSED else "invalid_api_key"
    assert run["preflight"]["final"]
    for place in ("summary.md", "junit.xml"):
        told = (folder / place).read_text().replace("\\", "")
        assert fact in told, place
        assert fault["remedy"] in told, place
    assert fact in out.replace("\n", " ")
    assert fact in err
