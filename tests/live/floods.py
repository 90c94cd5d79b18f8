"""Servers that send more than anybody can take, and a process that holds a session with each.

`python -m tests.live.floods FOLDER` prints how each session ended, and the most memory it took.
"""

import json
import sys
from itertools import count
from pathlib import Path

from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from tests.live.test_sessions import GREETING, hold, outcome, raw
from tests.memory import peak_kib

MIB = 1 << 20


def message(text):
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


def created(number):
    """A response that nobody asked for, with a long name."""
    response = {"object": "realtime.response", "id": f"r{number}" + "x" * 10_000}
    return message(json.dumps({"type": "response.created", "event_id": "e", "response": response}))


def delta(audio):
    said = {"type": "response.output_audio.delta", "event_id": "e", "response_id": "r",
            "item_id": "i", "output_index": 0, "content_index": 0, "delta": audio}  # fmt: skip
    return message(json.dumps(said))


def for_ever(piece):
    while True:
        yield piece


KINDS = {
    "64 MiB in a message": lambda: for_ever(message("x" * 64 * MIB)),
    "empty messages": lambda: for_ever(b"\x81\x00" * 500_000),
    "tiny messages": lambda: for_ever(message('{"type":"x"}') * 70_000),
    "pings that nobody reads the answers of": lambda: for_ever(b"\x89\x00" * 500_000),
    "a message without an end": lambda: iter([b"\x01\x00", *[b"\x00\x00" * 400_000] * 9]),
    "a frame that grows for ever": lambda: for_ever(b"\x01\x7f" + (64 * MIB).to_bytes(8)),
    "millions of values": lambda: for_ever(message('{"type":"x","a":[' + "[]," * 4 * MIB + "0]}")),
    "millions of values of a known message": lambda: for_ever(
        message('{"type":"session.updated","session":{"tools":[' + "{}," * 4 * MIB + "{}]}}")
    ),
    "hours of audio": lambda: for_ever(delta("AAEC" * 3 * MIB)),
    "names without end": lambda: map(created, count()),
    "compressed, which nobody offered": lambda: for_ever(b"\xc1\x05aaaaa"),
}


def server(kind):
    """What a connection does once it is upgraded: never read again, and send."""

    def handle(connection):
        protocol = ServerProtocol()
        while not (events := protocol.events_received()):
            protocol.receive_data(connection.recv(65_536))
        protocol.send_response(protocol.accept(events[0]))
        connection.sendall(b"".join(protocol.data_to_send()) + message(GREETING))
        for piece in KINDS[kind]():
            connection.sendall(piece)

    return handle


def main(folder):
    told = {}
    for kind in KINDS:
        with raw(server(kind)) as port:
            told[kind] = outcome(hold(port, folder, seconds=20))
    most = peak_kib()
    sys.stdout.write(json.dumps({"outcomes": told, "most_kib": most}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
