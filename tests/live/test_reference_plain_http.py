"""How other people's clients come in: subprotocols, TLS, plain HTTP."""

import asyncio
import json
import socket
import ssl
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bench.load.preflight import preflight
from bench.runs.job import make_job
from bench.runs.target import read_target
from tests.small import write_scenario

pytestmark = pytest.mark.live

CORPUS = Path(__file__).parents[2] / "audio_corpus" / "everyday"
COMMAND = [sys.executable, "-m", "bench.reference", "--corpus", str(CORPUS)]
KEY = "openai-insecure-api-key.sk-x"
QUICK = """
authorization = "required"
[response]
first_delta_ms = 60
pace = 8
"""


@contextmanager
def served(*options, command=COMMAND):
    """A server's process and the address it listens at, less its path."""
    process = subprocess.Popen(
        [*command, *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        ready, _, url = process.stdout.readline().strip().partition(" ")
        assert ready == "ready", process.stderr.read()
        yield process, url.split("/api/")[0]
    finally:
        process.terminate()
        process.communicate(timeout=5)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A server that wants a credential; in the end it has said one line and no traceback."""
    profile = tmp_path_factory.mktemp("server") / "quick.toml"
    profile.write_text(QUICK)
    with served("--profile", profile) as (process, base):
        yield base
        process.terminate()
        _, said = process.communicate(timeout=5)
    assert process.returncode == 0
    assert len(said.splitlines()) == 1


# ── subprotocols ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["realtime", KEY, "openai-beta.realtime-v1"], "realtime"),
        ([KEY, "realtime"], "realtime"),
        ([KEY, "graphql-ws"], None),
    ],
)
@pytest.mark.parametrize(
    "path", ["/v1/realtime?model=m", "/api/v1/realtime/session?key=k&protocol=realtime"]
)
def test_realtime_is_chosen_where_it_is_offered_and_the_key_is_the_credential(
    base, path, offered, chosen
):
    async def tried():
        async with connect(base + path, subprotocols=offered) as connection:
            created = json.loads(await asyncio.wait_for(connection.recv(), 5))
            return connection.subprotocol, created["type"]

    assert asyncio.run(tried()) == (chosen, "session.created")


def test_who_offers_none_gets_none_and_who_has_no_key_stays_out(base):
    async def tried(**options):
        async with connect(f"{base}/v1/realtime?model=m", **options) as connection:
            return connection.subprotocol

    assert asyncio.run(tried(additional_headers={"Authorization": "Bearer x"})) is None
    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(tried(subprotocols=["realtime"]))
    assert refused.value.response.status_code == 401


# ── plain HTTP ───────────────────────────────────────────────────────────────────────────────


def spoken_to(base, *pieces):
    """All that the server says to these bytes, until it closes."""
    host, _, port = base.removeprefix("ws://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as peer:
        for piece in pieces:
            peer.sendall(piece)
        heard = b""
        while data := peer.recv(65536):
            heard += data
        return heard


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"],
         404),
        ([b"POST /v1/realtime HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n",
          bytes(2_000_000), bytes(2_000_000)], 405),
        ([b"PUT /v1/realtime HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\n\r\n"], 405),
        ([b"GET /v1/realtime HTTP/1.1\r\nHo", b"st: x\r\n\r\n"], 426),
        ([b"HEAD /v1/realtime HTTP/1.1\r\nHost: x\r\n\r\n"], 426),
        ([b"GET / HTTP/1.0\r\n\r\n"], 404),
        ([b"GET /" + b"x" * 9000], 414),
        ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], 400),
        ([b"nonsense\r\n\r\n"], 400),
    ],
    ids=["secret", "long body", "chunked", "in pieces", "head", "1.0", "long", "tls", "nonsense"],
)  # fmt: skip
def test_whatever_comes_is_answered_and_the_connection_ends_in_order(base, pieces, status):
    heard = spoken_to(base, *pieces)
    assert heard.startswith(f"HTTP/1.1 {status} ".encode())
    head, _, body = heard.partition(b"\r\n\r\n")
    assert b"application/json" in head
    assert b"HEAD" in pieces[0] or "message" in json.loads(body)["error"]


def test_an_upgrade_in_pieces_is_an_upgrade(base):
    heard = b""
    host, _, port = base.removeprefix("ws://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as peer:
        for piece in (
            b"GET /v1/realtime?model=m HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nUpgr",
            b"ade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        ):
            peer.sendall(piece)
        while b"session.created" not in heard:
            heard += peer.recv(65536)
    assert heard.startswith(b"HTTP/1.1 101 ")


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────


def test_tls_is_served_by_a_certificate_for_every_name_of_this_machine(tmp_path):
    certificate = tmp_path / "trust.pem"

    async def tried(url, context):
        async with connect(url, ssl=context) as connection:
            return json.loads(await asyncio.wait_for(connection.recv(), 5))["type"]

    with served("--tls-cert", certificate) as (process, base):
        assert base.startswith("wss://127.0.0.1:")
        said = process.stderr.readline()
        assert f"SSL_CERT_FILE={certificate}" in said
        assert f"NODE_EXTRA_CA_CERTS={certificate}" in said
        trusting = ssl.create_default_context(cafile=str(certificate))
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT
        port = base.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost"):
            url = f"wss://{host}:{port}/v1/realtime?model=m"
            assert asyncio.run(tried(url, trusting)) == "session.created"
        with pytest.raises(ssl.SSLCertVerificationError):
            asyncio.run(tried(f"{base}/v1/realtime?model=m", ssl.create_default_context()))
        assert b"PRIVATE KEY" not in certificate.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["trust.pem"]


def test_a_certificate_in_a_temporary_place_is_gone_with_the_server():
    serve = [sys.executable, "-m", "bench", "serve", "--port", "0"]
    with served("--tls", command=serve) as (process, base):
        assert base.startswith("wss://")
        path = Path(process.stderr.readline().split()[1].rstrip(";"))
        assert b"CERTIFICATE" in path.read_bytes()
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()


def test_a_certificate_that_cannot_be_written_is_one_line_and_exit_2(tmp_path):
    path = tmp_path / "nowhere" / "trust.pem"
    ended = subprocess.run(
        [*COMMAND, "--tls-cert", str(path)], capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert str(path) in ended.stderr


def test_a_caller_trusts_what_ssl_cert_file_names_and_without_it_says_so(tmp_path, monkeypatch):
    certificate = tmp_path / "trust.pem"
    scenario = write_scenario(tmp_path / "small.toml", CORPUS)
    with served("--tls-cert", certificate) as (_, base):
        job = make_job(scenario, read_target(f"{base}/api/v1/realtime/session", None))
        assert "certificate" in preflight(job).cause.text
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert preflight(job).outcome == "finished"
