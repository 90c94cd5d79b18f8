"""Where a target is: the addresses of its name, resolved once per run."""

import select
import socket
from time import monotonic_ns
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from bench.errors import TargetError
from bench.load.proxies import HttpProxy
from bench.voice.audio import NS_PER_S


class Address(NamedTuple):
    """Where to connect: resolved once per run, never per session (flaw F9)."""

    family: int
    sockaddr: tuple[object, ...]
    hostname: str
    secure: bool
    proxy: HttpProxy | None = None
    """Whose address that is, where the way leads through a proxy. `hostname` is the target's."""

    @property
    def label(self) -> str:
        """Number and port, as in a URL."""
        host, port = self.sockaddr[:2]
        told = f"[{host}]:{port}" if self.family == socket.AF_INET6 else f"{host}:{port}"
        return f"proxy {told}" if self.proxy else told

    def of(self, url: str) -> "Address":
        """The same host, for a URL that may have another scheme and port."""
        parts = urlsplit(url)
        host, port, *rest = self.sockaddr
        port = port if self.proxy else _port(parts)
        return self._replace(sockaddr=(host, port, *rest), secure=parts.scheme == "wss")


def resolve(url: str, seconds: float = 3.0) -> list[Address]:
    """Where a URL leads: every address of its name that accepts a connection, asked once per run.

    A name with several addresses is several machines, and all of them are to be tested. Where none
    answers all addresses stand, and the sessions say so. TargetError where the name leads nowhere.
    """
    parts = urlsplit(url)
    host, port, secure = parts.hostname or "", _port(parts), parts.scheme == "wss"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TargetError(f"{host}: the name cannot be resolved: {error}") from None
    addresses = [Address(family, where, host, secure) for family, _, _, _, where in found]
    return addresses if len(addresses) == 1 else _accepting(addresses, seconds) or addresses


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "wss" else 80)


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
