"""One WebSocket on one non-blocking socket: bytes in, stamped facts out, and back.

Theory of operation
-------------------
A wire is a socket, optionally TLS through two memory BIOs, and the sans-I/O WebSocket client. It
never waits: `ready` is called when the socket is, does all that can be done without blocking, and
returns what happened. Connecting, TLS handshake, upgrade, reading and writing are states of one
machine; where a proxy is on the way, asking it for a tunnel belongs to connecting, and nothing is
left of it afterwards. Reading never depends on writing: a socket that will not take more bytes
keeps them in a `SendQueue` and goes on being read (flaw F7); whoever writes is queued in order, the
pongs and closes of the protocol included, so frames never interleave. `bench.load.flood` bounds
what is read and kept.

Arrival is stamped before anything looks at the bytes (`bench.load.kernel_stamps`). What may have
arrived before its stamp did so since the socket was last known to be empty; that span is its
`at_err_ns`. Empty it was when it connected, when a read took all there was, and when the loop last
asked and was not told of it (`quiet_ns`).
"""

import errno
import os
import socket
import ssl
from time import monotonic_ns

from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from bench.load.addresses import Address
from bench.load.agreement import Agreed
from bench.load.end_reasons import answer_to_refusal, close_reason, failure
from bench.load.flood import MAX_MESSAGE, READS_AT_ONCE, FloodError, Intake
from bench.load.fragments import Fragments
from bench.load.kernel_stamps import ANCILLARY, kernel_stamp, request_stamps
from bench.load.send_queue import WOULD_BLOCK, SendQueue
from bench.load.tcp_info import TcpInfo, read_tcp_info
from bench.load.text_frame import text_frame
from bench.load.tls_pipe import TlsPipe
from bench.load.tunnel import Tunnel
from bench.load.wire_events import Ended, Reached, Text, WireEvent
from bench.protocol.upgrade import Offer
from bench.voice.outbox import Outgoing

_READ_SIZE = 1 << 18
_DEFLATE = ClientPerMessageDeflateFactory(client_max_window_bits=True)


class Wire:
    """One connection. Its loop keeps `realtime_offset_ns` (realtime minus monotonic) current.

    `reads` counts reads that brought something, `stamped` those of them that the kernel stamped.
    `context` is what TLS trusts, where the address is one of TLS or a redirect may lead to one.
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
        self.reads = self.stamped = 0
        self._intake = Intake()
        self._happened: list[WireEvent] = []
        self._offer = offer
        self._compress = compress
        self._protocol = ClientProtocol(
            parse_uri(url),
            extensions=[_DEFLATE] if compress else None,
            subprotocols=[Subprotocol(offer.subprotocol)] if offer.subprotocol else None,
            max_size=MAX_MESSAGE,
        )
        self._response: Response | None = None
        self._url = url
        self._hops = offer.hops if hops is None else hops
        self._context = context
        self._spoken_to = False
        self._headers = headers
        self._stage = "connecting"
        self._fragments = Fragments()
        self._drained_ns = self._quiet_ns = 0
        self._address = address
        self._tunnel = Tunnel(address.proxy, url) if address.proxy else None
        self._tls = None
        if address.secure:
            self._tls = TlsPipe(context or ssl.create_default_context(), address.hostname)
        self._socket = socket.socket(address.family, socket.SOCK_STREAM)
        self._queue = SendQueue(self._socket)
        self._socket.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request_stamps(self._socket)  # else the program's own stands, taken before parsing

    # ── what the loop calls ──────────────────────────────────────────────────────────────────

    def fileno(self) -> int:
        return self._socket.fileno()

    def start(self) -> list[WireEvent]:
        """Begin to connect."""
        code = self._socket.connect_ex(self._address.sockaddr)
        if code not in {0, errno.EINPROGRESS}:
            self._end("unreachable", os.strerror(code))
        return self._take()

    def onward(self, url: str) -> "Wire":
        """The connection to where a redirect leads: the same host, perhaps by another port."""
        address = self._address.of(url)
        return Wire(
            address, url, self._headers, self._context, self._offer,
            hops=self._hops - 1, compress=self._compress,
        )  # fmt: skip

    def tcp_info(self) -> TcpInfo | None:
        """What the kernel knows of the connection; None where it does not tell."""
        known = self._stage not in {"connecting", "asking"} and not self.ended
        return read_tcp_info(self._socket) if known else None

    @property
    def agreed(self) -> Agreed:
        """What was agreed on so far."""
        return Agreed.of(self._tls.session if self._tls else None, self._response)

    @property
    def wants_write(self) -> bool:
        """Whether to be told when the socket can be written."""
        if self._stage == "connecting":
            return not self.ended
        return bool(self._queue.pieces) and not self.ended

    @property
    def bytes_sent(self) -> int:
        """How many the socket took."""
        return self._queue.sent

    def ready(self, *, readable: bool, writable: bool, quiet_ns: int = 0) -> list[WireEvent]:
        """The socket is ready: do all that can be done now, return what happened, in order.

        `quiet_ns`: when it was last known to have nothing to read, by whoever watches it.
        """
        self._quiet_ns = quiet_ns
        try:
            if self._stage == "connecting" and (writable or readable):
                self._connected()
            elif self._stage == "asking" and self._tunnel is not None:
                self._ask_through(self._tunnel)
            else:
                if readable:
                    self._read()
                if writable and not self.ended:
                    self._write()
        except (FloodError, OSError) as error:
            self._end(*failure(error, self._stage))
        return self._take()

    def send(self, message: Outgoing) -> list[WireEvent]:
        """Send one text message, or queue what the socket will not take now."""
        if self.ended or self._protocol.state is not OPEN:
            return []
        self._push(text_frame(message.payload), message)
        return self._take()

    def close(self) -> list[WireEvent]:
        """Begin the closing handshake (code 1000)."""
        if not self.ended and self._protocol.state is OPEN:
            self._protocol.send_close(1000)
            self._pump(None)
        return self._take()

    def abandon(self, outcome: str, reason: str) -> list[WireEvent]:
        """Give the connection up without a handshake."""
        self._end(outcome, reason)
        return self._take()

    # ── connecting ───────────────────────────────────────────────────────────────────────────

    def _connected(self) -> None:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._end("unreachable", os.strerror(code))
        elif self._tunnel is not None:
            self._stage = "asking"
            self._reach("proxied")
            self._queue.push(self._tunnel.request, None)
            self._write()
        else:
            self._begin()

    def _ask_through(self, tunnel: Tunnel) -> None:
        """Go on asking the proxy for a way to the target; nothing is encrypted yet."""
        self._write()
        try:
            whole = tunnel.feed(self._socket.recv(_READ_SIZE))
        except WOULD_BLOCK:
            return
        if tunnel.opened:
            self._begin()
            if (rest := tunnel.rest) and not self.ended:
                now_ns = monotonic_ns()
                self._received(rest, now_ns, now_ns, exact=False)
        elif whole:
            self._end("unreachable", "")

    def _begin(self) -> None:
        """The way to the target is open."""
        self._reach("connected")
        self._drained_ns = monotonic_ns()  # nothing can have come yet
        if self._tls is None:
            self._upgrade()
        else:
            self._stage = "securing"
            self._handshake(self._tls)

    def _handshake(self, tls: TlsPipe) -> bool:
        """Whether it is complete, and the upgrade asked for."""
        complete, answer = tls.handshake()
        self._push(answer, None)
        if complete:
            self._upgrade()
        return complete

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
        for _ in range(READS_AT_ONCE):
            # The socket was empty before the call that found nothing more: what comes while the
            # call lasts came after that, and its bar must reach back so far.
            asked_ns = monotonic_ns()
            try:
                data, ancillary, _flags, _from = self._socket.recvmsg(_READ_SIZE, ANCILLARY)
            except WOULD_BLOCK:
                self._drained_ns = asked_ns
                return
            read_ns = monotonic_ns()
            at_ns, stamp_ns = read_ns, kernel_stamp(ancillary)
            exact = stamp_ns is not None
            if stamp_ns is not None:
                at_ns = min(read_ns, max(stamp_ns - self.realtime_offset_ns, self._drained_ns))
            if not data:
                self._protocol.receive_eof()
                self._pump(None)
                self._gone("the server closed the connection")
                return
            self.reads += 1
            self.stamped += exact
            self._received(data, at_ns, read_ns, exact=exact)
            if self.ended:
                return
            if len(data) < _READ_SIZE:
                self._drained_ns = asked_ns
                return

    def _received(self, data: bytes, at_ns: int, read_ns: int, *, exact: bool) -> None:
        over = False
        if self._tls is not None:
            self._tls.feed(data)
            if self._stage == "securing" and not self._handshake(self._tls):
                return
            data, over = self._tls.decrypt()
        if data:
            self._protocol.receive_data(data)
        if over:
            self._protocol.receive_eof()
        frames = self._protocol.events_received()
        self._intake.read(read_ns, len(data), len(frames))  # before a pong is made for every ping
        if self._protocol.writes:
            self._pump(None)
        # The stamp is that of the last byte read: of the last message only if nothing follows it.
        whole = exact and not (self._protocol.reader.buffer or (self._tls and self._tls.waiting))
        last = len(frames) - 1 if whole else -1
        # Whoever says that nothing was there when the kernel says that something was is mistaken.
        since = max(self._drained_ns, self._quiet_ns if self._quiet_ns <= at_ns else 0)
        for index, event in enumerate(frames):
            if isinstance(event, Frame):
                err_ns = 0 if index == last else max(0, at_ns - since)
                self._frame(event, at_ns, err_ns, read_ns)
            elif isinstance(event, Response):
                self._answered(event, at_ns)
        self._look_for_the_end()
        held = self._protocol.reader.buffer or self._fragments.nbytes or self._queue.pieces
        if held or self._intake.held:
            self.hold()

    def _answered(self, response: Response, at_ns: int) -> None:
        self._response = response
        if self._protocol.handshake_exc is None:  # a close may have come with it
            self._stage = "open"
            unheeded = "" if self._protocol.subprotocol else self._offer.subprotocol
            self._happened.append(Reached("upgraded", at_ns, unheeded))

    def hold(self) -> None:
        """Count what is not whole or not sent; FloodError where that is too much."""
        unread = len(self._protocol.reader.buffer) + self._fragments.nbytes
        self._intake.hold(unread, self._queue.pushed - self._queue.sent)

    def _look_for_the_end(self) -> None:
        if self.ended:
            return
        if self._protocol.handshake_exc is not None:
            self._refused()
        elif (error := self._protocol.parser_exc) is not None:
            outcome = "too_big" if isinstance(error, PayloadTooBig) else "malformed"
            self._end(outcome, str(error) or type(error).__name__)
        elif self._protocol.close_rcvd is not None:
            self._gone("")

    def _frame(self, frame: Frame, at_ns: int, err_ns: int, read_ns: int) -> None:
        message = self._fragments.whole(frame)
        if message is not None:
            self._spoken_to = True
            self._happened.append(Text(message, at_ns, err_ns, read_ns, self._fragments.binary))

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
            piece = self._tls.encrypt(piece)
        if piece:
            self._queue.push(piece, message)
            if len(self._queue.pieces) == 1:
                self._write()

    def _write(self) -> None:
        try:
            self._queue.write(self._happened)
        except OSError as error:  # a send may be the first to notice
            self._end(*failure(error, self._stage))

    # ── ending ───────────────────────────────────────────────────────────────────────────────

    def _refused(self) -> None:
        answer = answer_to_refusal(self._protocol.handshake_exc, self._url, self._offer, self._hops)
        if isinstance(answer, str):
            self._end("refused", answer)
        elif not self.ended:
            self.ended = True
            self._queue.clear()
            self._happened.append(answer)

    def _gone(self, otherwise: str) -> None:
        if self.ended:
            return
        close = self._protocol.close_rcvd
        if self._protocol.handshake_exc is not None:
            self._refused()
        elif close is None:
            self._end("broken", otherwise)
        else:
            why = close_reason(close, None if self._spoken_to else self._offer)
            self._end("closed", why, int(close.code))

    def _end(self, outcome: str, reason: str, close_code: int | None = None) -> None:
        if self.ended:
            return
        self.ended = True
        self._queue.clear()
        if self._tunnel is not None and not self._tunnel.opened:
            outcome, reason = "unreachable", self._tunnel.why(reason)
        self._happened.append(Ended(outcome, reason, close_code, monotonic_ns()))

    def shut(self) -> None:
        """Close the socket. The loop calls it after it has forgotten the file descriptor."""
        self._socket.close()
        self._intake.close()

    def _take(self) -> list[WireEvent]:
        happened, self._happened = self._happened, []
        return happened
