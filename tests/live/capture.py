"""A packet capture read by hand: pcap, IP, TCP, WebSocket, and nothing of the harness.

`server_texts` gives every text message that a server sent, with the stamp of the segment that
brought its last byte. It is the witness against which the reference server's truth log is checked,
so it shares no code with either side.
"""

import struct
from collections import defaultdict
from itertools import pairwise
from typing import NamedTuple

EN10MB, RAW, LINUX_SLL, LINUX_SLL2 = 1, 101, 113, 276
# Bytes before the IP header, and where in them the EtherType stands.
_HEADERS = {EN10MB: (14, 12), LINUX_SLL: (16, 14), LINUX_SLL2: (20, 0)}
_IPV4, _IPV6, _TCP = 0x0800, 0x86DD, 6
_SYN = 0x02
_TEXT = 1


class Segment(NamedTuple):
    """One TCP segment; `at_ns` is the capture's own clock."""

    at_ns: int
    source: int
    target: int
    sequence: int
    flags: int
    data: bytes


class Message(NamedTuple):
    """A whole text message; `client` is the port of the connection's other end."""

    at_ns: int
    client: int
    text: bytes


def packets(capture):
    """(at_ns, link type, bytes) of each whole packet of a classic pcap file, in either order."""
    orders = {0xA1B23C4D: 1, 0xA1B2C3D4: 1000}
    for order in "<>":
        (magic,) = struct.unpack_from(f"{order}I", capture)
        if magic in orders:
            break
    else:
        raise ValueError("no classic pcap file")
    (link,) = struct.unpack_from(f"{order}I", capture, 20)
    place = 24
    while place + 16 <= len(capture):
        seconds, fraction, kept, _ = struct.unpack_from(f"{order}4I", capture, place)
        if place + 16 + kept > len(capture):
            return
        at_ns = seconds * 1_000_000_000 + fraction * orders[magic]
        yield at_ns, link & 0xFFFF, capture[place + 16 : place + 16 + kept]
        place += 16 + kept


def segment(at_ns, link, packet):
    """The TCP segment in a packet, None where there is none."""
    if link == RAW:
        kind = {4: _IPV4, 6: _IPV6}.get(packet[0] >> 4)
    else:
        length, where = _HEADERS[link]
        (kind,) = struct.unpack_from(">H", packet, where)
        packet = packet[length:]
    if kind == _IPV4:
        if packet[9] != _TCP:
            return None
        (size,) = struct.unpack_from(">H", packet, 2)
        tcp = packet[(packet[0] & 15) * 4 : size or None]  # size 0: the device segments itself
    elif kind == _IPV6:
        if packet[6] != _TCP:
            return None
        (size,) = struct.unpack_from(">H", packet, 4)
        tcp = packet[40 : 40 + size if size else None]
    else:
        return None
    source, target, sequence, _, offset, flags = struct.unpack_from(">HHIIBB", tcp)
    return Segment(at_ns, source, target, sequence, flags, tcp[(offset >> 4) * 4 :])


def stream(segments):
    """(bytes, [(end offset, at_ns)]) of one direction of one connection.

    What comes again counts when it first came; ValueError where something is missing.
    """
    first = next(one.sequence for one in segments if one.flags & _SYN) + 1
    pieces, have = [], 0
    waiting = {}
    for one in segments:
        begin = (one.sequence - first) % 2**32
        if one.data and begin < 2**31:
            waiting.setdefault(begin, (one.data, one.at_ns))
        # In order of sequence as far as there is no gap.
        for begin in sorted(waiting):
            data, at_ns = waiting[begin]
            if begin > have:
                break
            del waiting[begin]
            if begin + len(data) > have:
                pieces.append((data[have - begin :], at_ns))
                have = begin + len(data)
    if waiting:
        raise ValueError(f"bytes from {have} on are missing")
    ends, total = [], 0
    for data, at_ns in pieces:
        total += len(data)
        ends.append((total, at_ns))
    return b"".join(data for data, _ in pieces), ends


def frames(data, begin):
    """(opcode, payload, end offset) of each whole unmasked frame from `begin` on."""
    while begin + 2 <= len(data):
        opcode, size = data[begin] & 15, data[begin + 1] & 127
        assert data[begin] & 0x80, "a fragment, which this server never sends"
        assert not data[begin + 1] & 0x80, "masked, which no server may"
        place = begin + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size = int.from_bytes(data[place : place + width], "big")
            place += width
        if place + size > len(data):
            return
        yield opcode, data[place : place + size], place + size
        begin = place + size


def server_texts(capture, port):
    """Every text message that the server on `port` sent, connection by connection, in order."""
    connections = defaultdict(list)
    for packet in packets(capture):
        found = segment(*packet)
        if found is not None and found.source == port:
            connections[found.target].append(found)
    messages = []
    for client, segments in connections.items():
        data, ends = stream(segments)
        head, _, _ = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            continue
        place = 0
        for opcode, payload, end in frames(data, len(head) + 4):
            while ends[place][0] < end:
                place += 1
            if opcode == _TEXT:
                messages.append(Message(ends[place][1], client, payload))
    assert all(a.at_ns <= b.at_ns for a, b in pairwise(messages) if a.client == b.client)
    return messages
