"""What the kernel knows of one TCP connection: is it the network that is slow?

`TCP_INFO` counts what was sent again and what came out of order, `FIONREAD` says what waits unread
here; together they tell a slow network and a deaf program from a slow server. Two calls, about two
microseconds (measurement.md, section 4). The layout is the kernel's `struct tcp_info`, which only
ever grows at its end; what an older kernel or another system does not say is 0.
"""

import array
import fcntl
import socket
import struct
import termios
from typing import Final, NamedTuple

_INFO: Final = struct.Struct("=100xI40xII72xI")
"""tcpi_total_retrans, tcpi_notsent_bytes, tcpi_min_rtt, tcpi_rcv_ooopack, at 100, 144, 148, 224."""
_UNKNOWN: Final = 2**32 - 1


class TcpInfo(NamedTuple):
    """One connection now.

    rtt_us:       the least round trip of late: the smoothed one has the peer's delayed
                  acknowledgements in it, 20 ms on loopback
    retransmits:  segments of ours sent again since the connection began
    disorder:     segments of theirs that came out of order since then: one before them was lost
    unread:       bytes that wait in the kernel for this program
    unsent:       bytes that wait in the kernel for the peer's window or the network
    """

    rtt_us: int = 0
    retransmits: int = 0
    disorder: int = 0
    unread: int = 0
    unsent: int = 0


def read_tcp_info(connection: socket.socket) -> TcpInfo | None:
    """The state of a connected socket; None where the system does not tell."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
        waiting = array.array("i", [0])
        fcntl.ioctl(connection.fileno(), termios.FIONREAD, waiting)
    except (OSError, AttributeError):
        return None
    resent, unsent, rtt, disorder = _INFO.unpack(info.ljust(_INFO.size, b"\0"))
    return TcpInfo(0 if rtt == _UNKNOWN else rtt, resent, disorder, waiting[0], unsent)
