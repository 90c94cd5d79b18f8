"""One text message as one frame, masked with a key of its own, whoever asks."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.frames import Opcode
from websockets.server import ServerProtocol

from bench.load.text_frame import text_frame


@pytest.fixture
def hasty():
    """Threads change over as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_a_server_reads_the_message(size):
    server = ServerProtocol()
    server.state = server.state.OPEN
    server.parser = server.parse()
    next(server.parser)
    server.receive_data(text_frame(b"x" * size))
    (frame,) = server.events_received()
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, b"x" * size)


@pytest.mark.usefixtures("hasty")
def test_threads_that_send_at_once_never_share_a_key():
    with ThreadPoolExecutor(4) as pool:
        some = pool.map(lambda _: [text_frame(b"") for _ in range(5000)], range(4))
        frames = [frame for one in some for frame in one]
    keys = [frame[2:] for frame in frames]
    assert len(set(keys)) > 0.999 * len(keys)  # of 2^32, two are seldom alike by chance
