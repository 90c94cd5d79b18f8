"""Connecting in timed stages: name, TCP, TLS, upgrade.

What fails before the upgrade means that there is no target (`TargetError`); a refused upgrade is a
finding, and is in the `Link`, and so is a redirect that is not to be followed. The address is tried
in the order of the resolver.
"""

import asyncio
import os
import socket
import ssl
from time import monotonic_ns
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from bench.errors import TargetError
from bench.probe.tape import UPGRADED, Link
from bench.protocol.upgrade import (
    REDIRECTS,
    Offer,
    leads_to,
    not_followed,
    redirect_words,
    remedy,
    shown,
)

CONNECT_S: Final = 10.0
GOODBYE_S: Final = 1.0
MAX_MESSAGE: Final = 64 << 20
"""Bytes: a retrieved item carries its audio, and a probe would rather see too much."""


class Dialled(NamedTuple):
    """A connection and how it came about; `link.status` says whether it was upgraded."""

    connection: ClientConnection
    link: Link


async def dial(
    url: str,
    headers: list[tuple[str, str]],
    *,
    compress: bool,
    offer: Offer = Offer(),  # noqa: B008 - an immutable value
) -> Dialled:
    """Connect and ask for the upgrade. TargetError where nothing answers."""
    hops: tuple[str, ...] = ()
    while True:
        dialled = await _dial(url, headers, offer, compress=compress)
        response = dialled.connection.response
        location = response.headers.get("Location") if response is not None else None
        if response is None or response.status_code not in REDIRECTS or not location:
            return dialled._replace(link=dialled.link._replace(hops=hops))
        onward = leads_to(url, location)
        left = offer.hops - len(hops)
        if why := not_followed(url, onward, hops=left, asked=offer.hops > 0):
            status = redirect_words(response.status_code, onward, why)
            return dialled._replace(link=dialled.link._replace(status=status, hops=hops))
        dialled.connection.transport.abort()
        url, hops = onward, (*hops, shown(onward))


async def _dial(
    url: str, headers: list[tuple[str, str]], offer: Offer, *, compress: bool
) -> Dialled:
    parts = urlsplit(url)
    secure = parts.scheme == "wss"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    where = f"target {host} port {port} cannot be reached"
    try:
        async with asyncio.timeout(CONNECT_S):
            dialled = await _connect(url, host, port, offer, secure=secure, compress=compress)
    except TimeoutError:
        raise TargetError(f"{where}: no answer within {CONNECT_S:.0f} s; is it up?") from None
    except ssl.SSLError as error:
        raise TargetError(f"{where}: TLS: {error.reason or error}") from None
    except (OSError, UnicodeError) as error:
        raise TargetError(f"{where}: {_why(error)}; is it up, and the URL right?") from None
    return await _upgrade(dialled, headers, offer, compress=compress)


def _why(error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)  # asyncio's own words name the address once more
    return getattr(error, "strerror", None) or str(error)


async def _connect(
    url: str, host: str, port: int, offer: Offer, *, secure: bool, compress: bool
) -> Dialled:
    loop = asyncio.get_running_loop()
    at = monotonic_ns()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    link = Link(dns_ns=monotonic_ns() - at)
    sock, tcp_ns = await _reach(found)
    context = None
    if secure:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
    extensions = [ClientPerMessageDeflateFactory(client_max_window_bits=True)] if compress else None
    offered = [Subprotocol(offer.subprotocol)] if offer.subprotocol else None
    protocol = ClientProtocol(
        parse_uri(url), extensions=extensions, subprotocols=offered, max_size=MAX_MESSAGE
    )
    at = monotonic_ns()
    transport, connection = await loop.create_connection(
        lambda: ClientConnection(protocol, close_timeout=GOODBYE_S, max_queue=None),
        sock=sock,
        ssl=context,
        server_hostname=host if secure else None,
    )
    link = link._replace(tcp_ns=tcp_ns, compression_offered=compress)
    if secure:
        held: ssl.SSLObject = transport.get_extra_info("ssl_object")
        cipher = held.cipher()
        link = link._replace(
            tls_ns=monotonic_ns() - at,
            tls=f"{held.version()} {cipher[0] if cipher else ''}".strip(),
            alpn=held.selected_alpn_protocol() or "",
        )
    return Dialled(connection, link)


async def _reach(found: list[Any]) -> tuple[socket.socket, int]:
    """A connected socket to the first address that takes one, and the ns that it took."""
    error = OSError("no address")
    for family, kind, proto, _, where in found:
        sock = socket.socket(family, kind, proto)
        sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        at = monotonic_ns()
        try:
            await asyncio.get_running_loop().sock_connect(sock, where)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as refusal:
            sock.close()
            error = refusal
        except BaseException:
            sock.close()
            raise
        else:
            return sock, monotonic_ns() - at
    raise error


async def _upgrade(
    dialled: Dialled, headers: list[tuple[str, str]], offer: Offer, *, compress: bool
) -> Dialled:
    connection, link = dialled
    at = monotonic_ns()
    status = UPGRADED
    try:
        async with asyncio.timeout(CONNECT_S):
            await connection.handshake(headers)
    except TimeoutError:
        status = f"no answer to the upgrade within {CONNECT_S:.0f} s"
    except InvalidStatus as error:
        body = bytes(error.response.body or b"")[:200].decode("utf-8", "replace").strip()
        status = f"HTTP {error.response.status_code}" + (f": {body}" if body else "")
        status += remedy(offer, " ".join((status, *error.response.headers)))
    except (WebSocketException, OSError, EOFError) as error:
        status = f"no upgrade: {error.__cause__ or error}"
    except BaseException:
        connection.transport.abort()
        raise
    said = connection.response.headers if connection.response is not None else {}
    link = link._replace(
        upgrade_ns=monotonic_ns() - at,
        status=status,
        server=said.get("Server", "") or "",
        compression_offered=compress,
        extensions=said.get("Sec-WebSocket-Extensions", "") or "",
        subprotocol_offered=offer.subprotocol,
        subprotocol=said.get("Sec-WebSocket-Protocol", "") or "",
    )
    return Dialled(connection, link)
