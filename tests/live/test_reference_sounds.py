"""The first use of a format stalls no other session, and a loop that stalled once says so."""

import asyncio
import json
import threading
import time
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect

from bench.reference.server_load import STALL_MS
from bench.reference.server_process import ListenAddress, ReferenceServer, listen
from bench.reference.truth_log import TruthLog
from tests.reference.stage import ROUND
from tests.reference.test_connection import PCMU, stage_voices

pytestmark = pytest.mark.live


@asynccontextmanager
async def serving(voices):
    """The server on a socket of loopback: the address it listens at."""
    ready = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(
        listen(ROUND, voices, TruthLog(None), ListenAddress(), ready.set_result)
    )
    try:
        yield f"{await ready}?key=k&protocol=realtime"
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)


async def until(connection, kind):
    while True:
        message = json.loads(await asyncio.wait_for(connection.recv(), 20))
        if message["type"] == kind:
            return message


@pytest.mark.parametrize("way", ["session", "response"])
def test_the_first_use_of_a_format_stops_nobody_else(way):
    """No clock in this: the format is not there before the other session has had a whole answer."""
    begun, may_end = threading.Event(), threading.Event()

    def slow(fmt):
        if fmt == PCMU:
            begun.set()
            assert may_end.wait(20)

    output = {"output": {"format": {"type": "audio/pcmu"}}}
    asking = [{"type": "session.update", "session": {"audio": output}}]
    if way == "response":
        asking = [{"type": "response.create", "response": {"audio": output}}]

    async def crowd():
        async with serving(stage_voices(slow)) as url, connect(url) as one, connect(url) as two:
            await until(one, "session.created")
            await until(two, "session.created")
            await one.send(json.dumps(asking[0]))
            await asyncio.to_thread(begun.wait, 20)
            await two.send(json.dumps({"type": "response.create"}))
            answer = await until(two, "response.done")
            assert not may_end.is_set()
            may_end.set()
            if way == "session":
                await until(one, "session.updated")
                await one.send(json.dumps({"type": "response.create"}))
            return answer, await until(one, "response.done")

    other, own = asyncio.run(crowd())
    assert other["response"]["status"] == own["response"]["status"] == "completed"
    assert own["response"]["audio"]["output"]["format"] == {"type": "audio/pcmu"}


def test_the_servers_own_probe_sees_a_loop_that_stood_still_once():
    async def watched():
        reference = ReferenceServer(ROUND, stage_voices([].append), TruthLog(None))
        reference._capacity.enter()
        probe = asyncio.create_task(reference.probe())
        await asyncio.sleep(0.05)
        time.sleep(4 * STALL_MS / 1000)  # noqa: ASYNC251 - the stall
        await asyncio.sleep(0.05)
        probe.cancel()
        reference.close()
        return reference.load.summary()

    summary = asyncio.run(watched())
    assert summary.stalls >= 1
    assert summary.loop_lag_max_ms > STALL_MS
    assert "stood still" in summary.reason
