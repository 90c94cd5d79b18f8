"""TLS without a socket: bytes of the network in and out, through two memory BIOs."""

import ssl

_READ_SIZE = 1 << 18


class TlsPipe:
    """One connection's TLS. `session` is what the ssl module knows of it."""

    def __init__(self, context: ssl.SSLContext, hostname: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)

    @property
    def waiting(self) -> bool:
        """Whether bytes of the network are left that make no whole record yet."""
        return bool(self._incoming.pending)

    def feed(self, data: bytes) -> None:
        """Bytes came from the network."""
        self._incoming.write(data)

    def handshake(self) -> tuple[bool, bytes]:
        """Go on with the handshake: whether it is complete, and what is to be sent."""
        try:
            self.session.do_handshake()
        except ssl.SSLWantReadError:
            return False, self._outgoing.read()
        return True, self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        """What is to be sent in place of `data`."""
        self.session.write(data)
        return self._outgoing.read()

    def decrypt(self) -> tuple[bytes, bool]:
        """All that can be read by now, and whether the peer has ended it."""
        pieces: list[bytes] = []
        while True:
            try:
                piece = self.session.read(_READ_SIZE)
            except ssl.SSLWantReadError:
                return b"".join(pieces), False
            except ssl.SSLZeroReturnError:
                return b"".join(pieces), True
            if not piece:
                return b"".join(pieces), False
            pieces.append(piece)
