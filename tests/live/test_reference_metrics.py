"""`/metrics` of a server in a process, scraped while sessions are open and responses wait."""

import asyncio
import json
import ssl
import urllib.request
from contextlib import AsyncExitStack, contextmanager
from urllib.error import HTTPError

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.live.test_reference_plain_http import served

pytestmark = pytest.mark.live

FULL = """
[limits]
sessions = 3
[capacity]
slots = 1
service_ms = 60000
collapse_sessions = 2
recover_sessions = 1
"""


@contextmanager
def full(tmp_path, *options):
    """A server of one slot and three sessions, its address, and its process."""
    profile = tmp_path / "full.toml"
    profile.write_text(FULL)
    with served("--profile", profile, *options) as (process, base):
        yield base, process


def fetched(base, path="/metrics", context=None, **request):
    """Status, headers and body, whatever the status."""
    url = base.replace("ws", "http", 1) + path
    asked = urllib.request.Request(url, **request)  # noqa: S310 - on loopback
    try:
        with urllib.request.urlopen(asked, timeout=5, context=context) as answer:  # noqa: S310
            return answer.status, answer.headers, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def values(base, context=None):
    status, headers, body = fetched(base, context=context)
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(body.decode())
    return {sample.name: sample.value for family in families for sample in family.samples}


async def heard(connection, kind):
    while json.loads(await asyncio.wait_for(connection.recv(), 5))["type"] != kind:
        pass


async def until(scrape, **expected):
    """The values of a scrape, once they are so: a close takes its time to arrive."""
    for _ in range(50):
        seen = await asyncio.to_thread(scrape)
        if all(seen[f"bench_{name}"] == value for name, value in expected.items()):
            break
        await asyncio.sleep(0.1)
    assert {name: seen[f"bench_{name}"] for name in expected} == expected
    return seen


async def crowd(base, scrape, context=None):
    """Three sessions that each want an answer, a fourth that is refused; then two that leave."""
    url = f"{base}/v1/realtime?model=m"
    idle = {"sessions_open": 0, "responses_running": 0, "responses_waiting": 0}
    await until(scrape, **idle, slots=1, collapsed=0, sessions_refused_total=0)
    async with connect(url, ssl=context) as first:
        async with AsyncExitStack() as others:
            two = [await others.enter_async_context(connect(url, ssl=context)) for _ in range(2)]
            for connection in (first, *two):
                await connection.send('{"type": "response.create"}')
                await heard(connection, "response.created")
            with pytest.raises(InvalidStatus):
                await connect(url, ssl=context)
            crowded = {"sessions_open": 3, "responses_running": 1, "responses_waiting": 2}
            await until(scrape, **crowded, slots=1, collapsed=1, sessions_refused_total=1)
        await until(scrape, sessions_open=1, collapsed=0, sessions_refused_total=1)
    return await until(scrape, sessions_open=0)


def test_a_scrape_says_what_the_server_holds_at_that_instant(tmp_path):
    with full(tmp_path) as (base, process):
        last = asyncio.run(crowd(base, lambda: values(base)))
        theirs = psutil.Process(process.pid)
        cpu, memory = sum(theirs.cpu_times()[:2]), theirs.memory_info().rss
    assert last["process_cpu_seconds_total"] == pytest.approx(cpu, abs=0.2)
    assert last["process_resident_memory_bytes"] == pytest.approx(memory, rel=0.1)


def test_it_is_there_under_tls_as_well(tmp_path):
    certificate = tmp_path / "trust.pem"
    with full(tmp_path, "--tls-cert", certificate) as (base, _):
        assert base.startswith("wss://")
        trusting = ssl.create_default_context(cafile=str(certificate))
        asyncio.run(crowd(base, lambda: values(base, trusting), trusting))


def test_head_other_methods_and_other_paths(tmp_path):
    with full(tmp_path) as (base, _):
        status, headers, body = fetched(base, method="HEAD")
        assert (status, body) == (200, b"")
        assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert int(headers["Content-Length"]) > 500
        status, headers, body = fetched(base, data=b"x" * 100_000)
        assert (status, headers["Allow"]) == (405, "GET, HEAD")
        status, _, body = fetched(base, "/elsewhere")
        message = json.loads(body)["error"]["message"]
        assert status == 404
        assert message.startswith("GET /elsewhere: This server speaks WebSocket only")
        assert message.endswith("Its own load, for Prometheus, is at /metrics.")
