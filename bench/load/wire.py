"""One WebSocket on one non-blocking socket: bytes in, stamped facts out, and back.

Theory of operation
-------------------
A wire is a socket, optionally TLS through two memory BIOs, and the sans-I/O WebSocket client. It
never waits: `ready` is called when the socket is, does all that can be done without blocking, and
returns what happened. Connecting, TLS handshake, upgrade, reading and writing are states of one
machine. Reading never depends on writing: a socket that will not take more bytes keeps them in
`_backlog` and goes on being read (flaw F7); whoever writes is queued in order, the pongs and closes
of the protocol included, so frames never interleave.

Arrival is stamped before anything looks at the bytes: by the kernel when the segment came in
(`SO_TIMESTAMPNS`, which is why the raw socket is read even under TLS), with the program's own stamp
on the line after the read beside it. Segments that wait unread in the kernel are handed over
together with the stamp of the last, so of several messages in one read only the last is known to
have arrived then, and only if it ends the read; the others arrived some time since the socket was
last known to be empty, and that span is their `at_err_ns`. Empty it was when it connected, when a
read took all there was, and when the loop last asked and was not told of it (`quiet_ns`). Where the
kernel does not stamp, the program's own stamp stands for every message, with the same span.

This is the only file that imports websockets' client.
"""

import contextlib
import errno
import os
import secrets
import select
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Iterator
from functools import cache
from time import monotonic_ns
from typing import NamedTuple
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, NegotiationError, PayloadTooBig
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode, apply_mask  # type: ignore[attr-defined]
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from bench.errors import TargetError
from bench.load.line import Line, read_line
from bench.protocol.upgrade import (
    REDIRECTS,
    Offer,
    leads_to,
    not_followed,
    redirect_words,
    remedy,
)
from bench.voice.audio import NS_PER_S
from bench.voice.conversation import Outgoing

MAX_MESSAGE = 16 << 20
"""Bytes of the largest message accepted: append payloads are capped at 15 MiB (OpenAI SDK), and a
retrieved item carries its audio."""
_NOT_FOUND = 404
_OWN_CODES = 3000
"""From here on a close code is the service's own, and says what its words may not."""
_READ_SIZE = 1 << 18
_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
_TIMESPEC = struct.Struct("qq")
_ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size)
_WOULD_BLOCK = (BlockingIOError, InterruptedError)


class Address(NamedTuple):
    """Where to connect: resolved once per run, never per session (flaw F9)."""

    family: int
    sockaddr: tuple[object, ...]
    hostname: str
    secure: bool

    @property
    def label(self) -> str:
        """Number and port, as in a URL."""
        host, port = self.sockaddr[:2]
        return f"[{host}]:{port}" if self.family == socket.AF_INET6 else f"{host}:{port}"


class Reached(NamedTuple):
    """A stage of connecting is complete: connected, secured, upgraded.

    `unheeded` is the subprotocol that the upgrade offered, where the server took none.
    """

    stage: str
    at_ns: int
    unheeded: str = ""


class Text(NamedTuple):
    """A whole message. See the module's text for the two instants and the error.

    `binary`: it came in binary frames, which may hold text all the same.
    """

    data: bytes
    at_ns: int
    at_err_ns: int
    read_ns: int
    binary: bool = False


class Sent(NamedTuple):
    """The last byte of a message was handed to the kernel between the two instants."""

    message: Outgoing
    before_ns: int
    at_ns: int


class Ended(NamedTuple):
    """The connection is over. `outcome` is a session outcome (`bench.runs.rows`)."""

    outcome: str
    reason: str
    close_code: int | None
    at_ns: int


class Redirected(NamedTuple):
    """The server is elsewhere: this connection is of no more use, `Wire.onward` is the next."""

    status: int
    url: str
    at_ns: int


Happening = Reached | Text | Sent | Ended | Redirected


class Agreed(NamedTuple):
    """What the two ends of a connection agreed on, as far as it came; "" is nothing.

    `tls` is version and cipher; `extensions`, `subprotocol` and `server` are headers of the answer
    to the upgrade.
    """

    tls: str = ""
    alpn: str = ""
    extensions: str = ""
    subprotocol: str = ""
    server: str = ""


class Wire:
    """One connection. Its loop keeps `realtime_offset_ns` (realtime minus monotonic) current.

    `reads` counts reads that brought something, `stamped` those of them that the kernel stamped.
    `compress` offers permessage-deflate for what is received; a load never does.
    """

    def __init__(
        self,
        address: Address,
        url: str,
        headers: list[tuple[str, str]],
        context: ssl.SSLContext | None,
        offer: Offer = Offer(),  # noqa: B008 - an immutable value
        *,
        hops: int | None = None,
        compress: bool = False,
    ) -> None:
        self.realtime_offset_ns = 0
        self.ended = False
        self.bytes_sent = 0
        self.reads = 0
        self.stamped = 0
        self._happened: list[Happening] = []
        self._offer = offer
        offered = [Subprotocol(offer.subprotocol)] if offer.subprotocol else None
        self._compress = compress
        deflate = ClientPerMessageDeflateFactory(client_max_window_bits=True) if compress else None
        self._protocol = ClientProtocol(
            parse_uri(url),
            extensions=[deflate] if deflate else None,
            subprotocols=offered,
            max_size=MAX_MESSAGE,
        )
        self._response: Response | None = None
        self._url = url
        self._hops = offer.hops if hops is None else hops
        self._context = context
        self._spoken_to = False
        self._headers = headers
        self._stage = "connecting"
        self._fragments: list[bytes] = []
        self._binary = False
        self._backlog: deque[tuple[memoryview, Outgoing | None]] = deque()
        self._drained_ns = 0
        self._quiet_ns = 0
        self._address = address
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = (
            context.wrap_bio(self._incoming, self._outgoing, server_hostname=address.hostname)
            if context
            else None
        )
        self._socket = socket.socket(address.family, socket.SOCK_STREAM)
        self._socket.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Where the kernel has no stamps the program's own, taken before parsing, stands.
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)

    # ── what the loop calls ──────────────────────────────────────────────────────────────────

    def fileno(self) -> int:
        return self._socket.fileno()

    def start(self) -> list[Happening]:
        """Begin to connect."""
        code = self._socket.connect_ex(self._address.sockaddr)
        if code not in {0, errno.EINPROGRESS}:
            self._end("unreachable", os.strerror(code))
        return self._take()

    def onward(self, url: str) -> "Wire":
        """The connection to where a redirect leads: the same host, perhaps by another port."""
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        host, _, *rest = self._address.sockaddr
        port = parts.port or (443 if secure else 80)
        address = self._address._replace(sockaddr=(host, port, *rest), secure=secure)
        context = (self._context or _trusting()) if secure else None
        return Wire(
            address,
            url,
            self._headers,
            context,
            self._offer,
            hops=self._hops - 1,
            compress=self._compress,
        )

    def line(self) -> Line | None:
        """What the kernel knows of the connection; None where it does not tell."""
        return None if self.ended or self._stage == "connecting" else read_line(self._socket)

    @property
    def agreed(self) -> Agreed:
        """What was agreed on so far."""
        said = {} if self._response is None else self._response.headers
        cipher = self._tls.cipher() if self._tls is not None else None
        return Agreed(
            f"{self._tls.version()} {cipher[0]}" if self._tls is not None and cipher else "",
            (self._tls.selected_alpn_protocol() or "") if self._tls is not None else "",
            said.get("Sec-WebSocket-Extensions") or "",
            said.get("Sec-WebSocket-Protocol") or "",
            said.get("Server") or "",
        )

    @property
    def wants_write(self) -> bool:
        """Whether to be told when the socket can be written."""
        return not self.ended and (self._stage == "connecting" or bool(self._backlog))

    def ready(self, *, readable: bool, writable: bool, quiet_ns: int = 0) -> list[Happening]:
        """The socket is ready: do all that can be done now, return what happened, in order.

        `quiet_ns`: when it was last known to have nothing to read, by whoever watches it.
        """
        self._quiet_ns = quiet_ns
        try:
            if self._stage == "connecting":
                if writable or readable:
                    self._connected()
            else:
                if readable:
                    self._read()
                if writable and not self.ended:
                    self._write()
        except ssl.SSLError as error:
            self._end("unreachable" if self._stage == "securing" else "broken", f"TLS: {error}")
        except OSError as error:
            text = error.strerror or str(error)
            self._end("unreachable" if self._stage == "connecting" else "broken", text)
        return self._take()

    def send(self, message: Outgoing) -> list[Happening]:
        """Send one text message, or queue what the socket will not take now."""
        if self.ended or self._protocol.state is not OPEN:
            return []
        self._push(_text_frame(message.payload), message)
        return self._take()

    def close(self) -> list[Happening]:
        """Begin the closing handshake (code 1000)."""
        if not self.ended and self._protocol.state is OPEN:
            self._protocol.send_close(1000)
            self._pump(None)
        return self._take()

    def abandon(self, outcome: str, reason: str) -> list[Happening]:
        """Give the connection up without a handshake."""
        self._end(outcome, reason)
        return self._take()

    # ── connecting ───────────────────────────────────────────────────────────────────────────

    def _connected(self) -> None:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._end("unreachable", os.strerror(code))
            return
        self._reach("connected")
        self._drained_ns = monotonic_ns()  # nothing can have come yet
        if self._tls is None:
            self._upgrade()
        else:
            self._stage = "securing"
            self._handshake()

    def _handshake(self) -> None:
        assert self._tls is not None  # noqa: S101 - the stage says so
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._push(self._outgoing.read(), None)
            return
        self._push(self._outgoing.read(), None)
        self._upgrade()

    def _upgrade(self) -> None:
        self._reach("secured")
        self._stage = "upgrading"
        request = self._protocol.connect()
        for name, value in self._headers:
            request.headers[name] = value
        self._protocol.send_request(request)
        self._pump(None)

    def _reach(self, stage: str) -> None:
        self._happened.append(Reached(stage, monotonic_ns()))

    # ── reading ──────────────────────────────────────────────────────────────────────────────

    def _read(self) -> None:
        while not self.ended:
            # The socket was empty before the call that found nothing more: what comes while the
            # call lasts came after that, and its bar must reach back so far.
            asked_ns = monotonic_ns()
            try:
                data, ancillary, _flags, _from = self._socket.recvmsg(_READ_SIZE, _ANCILLARY)
            except _WOULD_BLOCK:
                self._drained_ns = asked_ns
                return
            read_ns = monotonic_ns()
            at_ns, exact = read_ns, False
            for level, kind, stamp in ancillary:
                if level == socket.SOL_SOCKET and kind == _TIMESTAMPNS:
                    seconds, rest = _TIMESPEC.unpack_from(stamp)
                    kernel_ns = seconds * 1_000_000_000 + rest - self.realtime_offset_ns
                    at_ns, exact = min(read_ns, max(kernel_ns, self._drained_ns)), True
            if not data:
                self._protocol.receive_eof()
                self._pump(None)
                self._gone("the server closed the connection")
                return
            self.reads += 1
            self.stamped += exact
            self._received(data, at_ns, read_ns, exact=exact)
            if len(data) < _READ_SIZE:
                self._drained_ns = asked_ns
                return

    def _received(self, data: bytes, at_ns: int, read_ns: int, *, exact: bool) -> None:
        if self._tls is not None:
            self._incoming.write(data)
            if self._stage == "securing":
                self._handshake()
                if self._stage == "securing":
                    return
            data = self._decrypt()
        if data:
            self._protocol.receive_data(data)
        self._pump(None)
        frames = self._protocol.events_received()
        # The stamp is that of the last byte read: of the last message only if nothing follows it.
        whole = exact and not self._protocol.reader.buffer and not self._incoming.pending
        last = len(frames) - 1 if whole else -1
        # Whoever says that nothing was there when the kernel says that something was is mistaken.
        since = self._quiet_ns if self._quiet_ns <= at_ns else 0
        since = max(since, self._drained_ns)
        for index, event in enumerate(frames):
            if isinstance(event, Frame):
                err_ns = 0 if index == last else max(0, at_ns - since)
                self._frame(event, at_ns, err_ns, read_ns)
            elif isinstance(event, Response):
                self._response = event
                self._answered(at_ns)
        if not self.ended:
            self._look_for_the_end()

    def _look_for_the_end(self) -> None:
        if self._protocol.handshake_exc is not None:
            self._refused()
        elif self._protocol.parser_exc is not None:
            self._failed(self._protocol.parser_exc)
        elif self._protocol.close_rcvd is not None:
            self._gone("")

    def _decrypt(self) -> bytes:
        assert self._tls is not None  # noqa: S101 - the caller knows
        pieces = []
        while True:
            try:
                piece = self._tls.read(_READ_SIZE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                self._protocol.receive_eof()
                break
            if not piece:
                break
            pieces.append(piece)
        return b"".join(pieces)

    def _answered(self, at_ns: int) -> None:
        if self._protocol.handshake_exc is None:  # a close may have come with it
            self._stage = "open"
            unheeded = "" if self._protocol.subprotocol else self._offer.subprotocol
            self._happened.append(Reached("upgraded", at_ns, unheeded))

    def _frame(self, frame: Frame, at_ns: int, err_ns: int, read_ns: int) -> None:
        if frame.opcode is Opcode.TEXT and frame.fin:
            self._spoken_to = True
            self._happened.append(Text(bytes(frame.data), at_ns, err_ns, read_ns))
        elif frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            self._fragments, self._binary = [bytes(frame.data)], frame.opcode is Opcode.BINARY
            self._whole(frame, at_ns, err_ns, read_ns)
        elif frame.opcode is Opcode.CONT:
            self._fragments.append(bytes(frame.data))
            self._whole(frame, at_ns, err_ns, read_ns)

    def _whole(self, frame: Frame, at_ns: int, err_ns: int, read_ns: int) -> None:
        """A message is whole with its last fragment."""
        if frame.fin:
            self._spoken_to = True
            whole, self._fragments = b"".join(self._fragments), []
            self._happened.append(Text(whole, at_ns, err_ns, read_ns, self._binary))

    # ── writing ──────────────────────────────────────────────────────────────────────────────

    def _pump(self, message: Outgoing | None) -> None:
        """Queue what the protocol wants sent; the last piece stands for `message`."""
        pieces = [piece for piece in self._protocol.data_to_send() if piece]
        for piece in pieces[:-1]:
            self._push(piece, None)
        if pieces:
            self._push(pieces[-1], message)

    def _push(self, piece: bytes, message: Outgoing | None) -> None:
        if self._tls is not None and self._stage != "securing":
            self._tls.write(piece)
            piece = self._outgoing.read()
        if piece:
            waiting = bool(self._backlog)
            self._backlog.append((memoryview(piece), message))
            if not waiting:
                self._write()

    def _write(self) -> None:
        while self._backlog and not self.ended:
            piece, message = self._backlog[0]
            before_ns = monotonic_ns()
            try:
                sent = self._socket.send(piece)
            except _WOULD_BLOCK:
                return
            except OSError as error:  # the peer is gone; a send may be the first to notice
                self._end("broken", error.strerror or str(error))
                return
            self.bytes_sent += sent
            if sent < len(piece):
                self._backlog[0] = (piece[sent:], message)
                continue
            self._backlog.popleft()
            if message is not None:
                self._happened.append(Sent(message, before_ns, monotonic_ns()))

    # ── ending ───────────────────────────────────────────────────────────────────────────────

    def _refused(self) -> None:
        error = self._protocol.handshake_exc
        if isinstance(error, InvalidStatus):
            response = error.response
            status, location = response.status_code, response.headers.get("Location")
            if status in REDIRECTS and location:
                self._redirected(status, leads_to(self._url, location))
                return
            body = bytes(response.body or b"")[:200].decode("utf-8", "replace").strip()
            where = f" at {urlsplit(self._url).path or '/'}" if status == _NOT_FOUND else ""
            words = f"HTTP {status}{where}" + (f": {body}" if body else "")
            asked = " ".join((words, *response.headers))
            self._end("refused", words + remedy(self._offer, asked))
        elif isinstance(error, NegotiationError):
            self._end("refused", f"the upgrade was answered with what was not offered: {error}")
        else:
            self._end("refused", f"{error}: {error.__cause__}" if error else "")

    def _redirected(self, status: int, url: str) -> None:
        asked = self._offer.hops > 0
        if why := not_followed(self._url, url, hops=self._hops, asked=asked):
            self._end("refused", redirect_words(status, url, why))
        elif not self.ended:
            self.ended = True
            self._backlog.clear()
            self._happened.append(Redirected(status, url, monotonic_ns()))

    def _failed(self, error: BaseException) -> None:
        outcome = "too_big" if isinstance(error, PayloadTooBig) else "malformed"
        self._end(outcome, str(error) or type(error).__name__)

    def _gone(self, otherwise: str) -> None:
        if self.ended:
            return
        if self._protocol.handshake_exc is not None:
            self._refused()
            return
        received = self._protocol.close_rcvd
        if received is None:
            self._end("broken", otherwise)
        else:
            code = int(received.code)
            reason = received.reason or f"close code {code}"
            if received.reason and code >= _OWN_CODES:
                reason += f" (close code {code})"
            if not self._spoken_to:
                reason += remedy(self._offer, reason, code)
            self._end("closed", reason, code)

    def _end(self, outcome: str, reason: str, close_code: int | None = None) -> None:
        if self.ended:
            return
        self.ended = True
        self._backlog.clear()
        self._happened.append(Ended(outcome, reason, close_code, monotonic_ns()))

    def shut(self) -> None:
        """Close the socket. The loop calls it after it has forgotten the file descriptor."""
        self._socket.close()

    def _take(self) -> list[Happening]:
        happened, self._happened = self._happened, []
        return happened


@cache
def _trusting() -> ssl.SSLContext:
    """What a connection trusts that becomes one of TLS on its way."""
    return ssl.create_default_context()


def _mask_keys() -> Iterator[bytes]:
    """A fresh key for every frame, as RFC 6455 asks; the kernel is asked for a thousand at once."""
    while True:
        pool = secrets.token_bytes(4096)
        for at in range(0, len(pool), 4):
            yield pool[at : at + 4]


_keys = _mask_keys()


def _text_frame(payload: bytes) -> bytes:
    """One unfragmented masked text frame (RFC 6455, section 5.2): the hot path's own short way."""
    size, key = len(payload), next(_keys)
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    elif size < 65_536:
        head = b"\x81\xfe" + size.to_bytes(2)
    else:
        head = b"\x81\xff" + size.to_bytes(8)
    return b"".join((head, key, apply_mask(payload, key)))


class Stamping:
    """Makes the kernel stamp what arrives, from before the first connection until it is closed.

    It begins to some time after the first socket of a host has asked for stamps, on a busy machine
    tens of ms later: so this asks, and waits for a datagram of its own that has one.
    """

    def __init__(self, seconds: float = 2.0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        deadline_ns = monotonic_ns() + int(seconds * NS_PER_S)
        with contextlib.suppress(OSError):  # no such option, or no loopback device: it goes without
            self._socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
            self._socket.bind(("127.0.0.1", 0))
            self._socket.settimeout(0.1)
            while monotonic_ns() < deadline_ns:
                self._socket.sendto(b"?", self._socket.getsockname())
                if self._socket.recvmsg(1, _ANCILLARY)[1]:
                    break
                time.sleep(0.002)

    def close(self) -> None:
        """The kernel may stop, where nobody else asks."""
        self._socket.close()


def resolve(url: str, seconds: float = 3.0) -> list[Address]:
    """Where a URL leads: every address of its name that accepts a connection, asked once per run.

    A name with several addresses is several machines, and all of them are to be tested. Where none
    answers all addresses stand, and the sessions say so. TargetError where the name leads nowhere.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "wss"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TargetError(f"{host}: the name cannot be resolved: {error}") from None
    addresses = [Address(family, where, host, secure) for family, _, _, _, where in found]
    return addresses if len(addresses) == 1 else _accepting(addresses, seconds) or addresses


def _accepting(addresses: list[Address], seconds: float) -> list[Address]:
    """Those of the addresses that accept a connection within so long, all asked at once."""
    deadline_ns = monotonic_ns() + int(seconds * NS_PER_S)
    waiting: dict[socket.socket, Address] = {}
    accepted = set()
    try:
        for address in addresses:
            probe = socket.socket(address.family, socket.SOCK_STREAM)
            waiting[probe] = address
            probe.setblocking(False)  # noqa: FBT003 - the socket module's own signature
            probe.connect_ex(address.sockaddr)
        open_ones = list(waiting)
        while open_ones and (left := deadline_ns - monotonic_ns()) > 0:
            _, settled, _ = select.select([], open_ones, [], left / NS_PER_S)
            for probe in settled:
                open_ones.remove(probe)
                if probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    accepted.add(waiting[probe])
    finally:
        for probe in waiting:
            probe.close()
    return [address for address in addresses if address in accepted]
