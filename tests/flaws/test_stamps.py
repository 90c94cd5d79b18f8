"""When a message arrived, on real sockets with a busy loop and a deaf peer: flaws F6, F7."""

import contextlib
import socket
import threading
import time
from statistics import median
from time import monotonic_ns

import gevent
import pytest
from gevent.event import Event
from websockets.server import ServerProtocol
from websockets.sync.server import serve

from bench.load.addresses import Address
from bench.load.happenings import Text
from bench.load.health import Watch
from bench.load.levels import Levels
from bench.load.loop import Loop
from bench.load.session import Session, Start
from bench.load.wire import Wire
from bench.protocol import server
from bench.protocol.codec import decode_server, encode
from bench.protocol.objects import Session as SessionObject
from bench.runs.log import Log, read_log
from bench.voice.audio import NS_PER_MS, ms
from bench.voice.conversation import Conversation
from bench.voice.directions import Pause
from bench.voice.outbox import Outgoing
from tests.flaws.injection import caught, put_in
from tests.world import Tally

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("stamping")]

READY = "bench.load.wire.Wire.ready"
BUSY_S = 0.0276
"""How long the loop is busy at a stretch (measurement.md, F6)."""
GREETING = encode(server.SessionCreated(session=SessionObject(type="realtime"))).decode()
UPDATED = encode(server.SessionUpdated(session=SessionObject(type="realtime"))).decode()


@contextlib.contextmanager
def talking(sent, count):
    """A server that sends `count` messages, 40 ms apart, and notes when."""

    def handler(connection):
        connection.send(GREETING)
        connection.recv()
        connection.send(UPDATED)
        for number in range(count):
            time.sleep(0.04)
            sent.append(monotonic_ns())
            connection.send(f'{{"type":"ping","timestamp":{number}}}')
        with contextlib.suppress(Exception):
            while True:
                connection.recv(timeout=3)

    with serve(handler, "127.0.0.1", 0) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running.socket.getsockname()[1]
        running.shutdown()
        thread.join(5)


def wire_to(port):
    address = Address(socket.AF_INET, ("127.0.0.1", port), "localhost", secure=False)
    return Wire(address, f"ws://localhost:{port}/", [], None)


def hold(port, path, length_ns):
    """Hold a silent session on a loop that is busy nearly all the time; returns its rows."""
    log, over = Log(path / "worker-0.log"), Event()
    caller = Conversation(iter((Pause(length_ns),)), SessionObject(type="realtime"), None)
    loop = Loop(lambda _: log.flush())
    start = Start(0, monotonic_ns(), 0, "", 0, 0)
    loop.add(Session(start, wire_to(port), caller, log, Levels(log), Watch(), Tally(), over.set))
    while not over.is_set():
        time.sleep(BUSY_S)  # not gevent's: it holds up everything in this process but the kernel
        gevent.sleep(0.0005)
    loop.stop()
    log.close()
    return list(read_log(path / "worker-0.log"))


READY_AS_IT_IS = Wire.ready


def stamped_when_decoded(wire, **which):
    """F6: a message is stamped when the program has got round to it and has decoded it."""
    happened = []
    for fact in READY_AS_IT_IS(wire, **which):
        if isinstance(fact, Text):
            decode_server(fact.data)
            happened.append(fact._replace(at_ns=monotonic_ns(), at_err_ns=0))
        else:
            happened.append(fact)
    return happened


def test_an_arrival_is_stamped_by_the_kernel_however_busy_the_loop_is(fresh):
    """F6."""

    def check():
        sent = []
        with talking(sent, 25) as port:
            rows = hold(port, fresh(), ms(3000))
        pings = [row for row in rows if row.type == "ping"]
        assert len(pings) == len(sent) == 25
        late = [(row.at_ns - at) / NS_PER_MS for row, at in zip(pings, sent, strict=True)]
        read = [(row.read_ns - at) / NS_PER_MS for row, at in zip(pings, sent, strict=True)]
        assert median(read) > 5  # the loop was busy indeed
        assert median(late) < 2, f"stamped {median(late):.0f} ms late, {max(late):.0f} at worst"

    caught(check, put_in(READY, stamped_when_decoded), r"stamped \d+ ms late, \d{2,3} at worst")


@contextlib.contextmanager
def deaf(sent, count):
    """A server that has stopped reading, sends `count` messages, 25 ms apart, and notes when."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # and takes next to nothing
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def talk():
            connection, _ = listener.accept()
            protocol = ServerProtocol()
            while not (events := protocol.events_received()):
                protocol.receive_data(connection.recv(65536))
            protocol.send_response(protocol.accept(events[0]))
            with connection, contextlib.suppress(OSError):
                for number in range(count + 1):
                    for data in protocol.data_to_send():
                        connection.sendall(data)
                    if number < count:
                        time.sleep(0.025)
                        sent.append(monotonic_ns())
                        protocol.send_text(f'{{"type":"ping","timestamp":{number}}}'.encode())
                time.sleep(1.0)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def deaf_while_sending(wire, *, readable, **which):
    """F7: what is to be sent is sent before anything is read."""
    return READY_AS_IT_IS(wire, readable=readable and not wire.wants_write, **which)


def test_reading_goes_on_while_a_send_blocks():
    """F7."""

    def check():
        count, sent, texts, blocked = 30, [], [], False
        with deaf(sent, count) as port:
            wire = wire_to(port)
            wire.start()
            big = Outgoing(b'{"type":"x","padding":"' + b"x" * 12_000_000 + b'"}', "x", 0)
            deadline = monotonic_ns() + ms(1400)
            while len(texts) < count and monotonic_ns() < deadline:
                gevent.sleep(0.001)
                happened = wire.ready(readable=True, writable=True)
                texts += [fact for fact in happened if isinstance(fact, Text)]
                if texts and not blocked:
                    wire.send(big)
                    blocked = wire.wants_write
            still = wire.wants_write
            wire.abandon("", "")
            wire.shut()
        assert blocked
        assert still  # the peer has read nothing all the while
        assert len(texts) == count, f"{len(texts)} of {count} arrivals were stamped"
        late = [(text.at_ns - at) / NS_PER_MS for text, at in zip(texts, sent, strict=True)]
        assert median(late) < 5, f"stamped {median(late):.0f} ms late"

    caught(check, put_in(READY, deaf_while_sending), r"\b[1-3] of 30 arrivals were stamped")
