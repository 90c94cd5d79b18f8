"""A server for benchmarks alone: it streams pre-encoded audio deltas and reads appends unread.

It costs as little as a server can, so that what is measured is the client. Run as a process:
`python -m tests.benchmarks.feeder` prints its port, and ends with its parent's stdin.
"""

import asyncio
import os
import sys

from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from bench.protocol import server
from bench.protocol.codec import encode
from bench.protocol.objects import Response, Session

PERIOD_S = 0.1
AUDIO = b"\x10\x00\xf0\xff" * 1200  # 100 ms at 24 kHz


def frame(message):
    return Frame(Opcode.TEXT, encode(message)).serialize(mask=False)


GREETING = frame(server.SessionCreated(event_id="e0", session=Session(type="realtime")))
UPDATED = frame(server.SessionUpdated(event_id="e1", session=Session(type="realtime")))
CREATED = frame(server.ResponseCreated(event_id="e2", response=Response(id="resp_1")))
DELTA = frame(
    server.ResponseOutputAudioDelta(
        event_id="event_0123456789abcdef", response_id="resp_1", item_id="item_1", delta=AUDIO
    )
)


class Feeder(asyncio.Protocol):
    """One connection: upgrade, greeting, then a delta every 100 ms on an absolute schedule."""

    def connection_made(self, transport):
        self.transport = transport
        self.protocol = ServerProtocol()
        self.open = False
        self.count = 0

    def data_received(self, data):
        if self.open:
            return  # appends are not looked at
        self.protocol.receive_data(data)
        for request in self.protocol.events_received():
            self.protocol.send_response(self.protocol.accept(request))
            self.transport.write(
                b"".join(self.protocol.data_to_send()) + GREETING + UPDATED + CREATED
            )
            self.open = True
            self.loop = asyncio.get_running_loop()
            self.began = self.loop.time()
            self.feed()

    def feed(self):
        if self.transport.is_closing():
            return
        if self.count:
            self.transport.write(DELTA)
        self.count += 1
        self.loop.call_at(self.began + self.count * PERIOD_S, self.feed)


async def main():
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(Feeder, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{listening.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, os.read, 0, 1)


if __name__ == "__main__":
    asyncio.run(main())
