"""When the kernel received what a socket reads (`SO_TIMESTAMPNS`).

Theory of operation
-------------------
The kernel stamps a segment when it comes in; that is why the raw socket is read even under TLS. The
program's own stamp, on the line after the read, stands beside it. Segments that wait unread are
handed over together with the stamp of the last, so of several messages in one read only the last is
known to have arrived then, and only if it ends the read. Where the kernel does not stamp, the
program's own stamp stands for every message.
"""

import contextlib
import socket
import struct
import time
from time import monotonic_ns

from bench.voice.audio import NS_PER_S

TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
ANCILLARY = socket.CMSG_SPACE(16)
_TIMESPEC = struct.Struct("qq")


def request_stamps(connection: socket.socket) -> None:
    """Have the kernel stamp what a socket receives, where it can."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, TIMESTAMPNS, 1)


def kernel_stamp(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    """The stamp beside what was read, realtime ns; None: the kernel gave none."""
    for level, kind, stamp in ancillary:
        if level == socket.SOL_SOCKET and kind == TIMESTAMPNS:
            seconds, rest = _TIMESPEC.unpack_from(stamp)
            return int(seconds * NS_PER_S + rest)
    return None


class Stamping:
    """Makes the kernel stamp what arrives, from before the first connection until it is closed.

    It begins to some time after the first socket of a host has asked for stamps, on a busy machine
    tens of ms later: so this asks, and waits for a datagram of its own that has one.
    """

    def __init__(self, seconds: float = 2.0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        deadline_ns = monotonic_ns() + int(seconds * NS_PER_S)
        with contextlib.suppress(OSError):  # no such option, or no loopback device: it goes without
            self._socket.setsockopt(socket.SOL_SOCKET, TIMESTAMPNS, 1)
            self._socket.bind(("127.0.0.1", 0))
            self._socket.settimeout(0.1)
            while monotonic_ns() < deadline_ns:
                self._socket.sendto(b"?", self._socket.getsockname())
                if self._socket.recvmsg(1, ANCILLARY)[1]:
                    break
                time.sleep(0.002)

    def close(self) -> None:
        """The kernel may stop, where nobody else asks."""
        self._socket.close()
