"""Which HTTP proxy is on the way to a target: as the environment says, as common clients read it.

Theory of operation
-------------------
Variables are read as Python's urllib, curl and the websockets library read them, lower case before
upper: `WSS_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` for wss://, and `WS_PROXY`, `HTTPS_PROXY`,
`HTTP_PROXY`, `ALL_PROXY` for ws:// (a WebSocket needs a proxy that can CONNECT, and that is the one
for HTTPS: RFC 6455, section 4.1). `NO_PROXY` names what is reached directly. What is on this
machine always is.

A proxy's URL may hold a name and a password. They are sent to it, and shown nowhere.
"""

import ipaddress
import os
import re
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from websockets.exceptions import InvalidProxy
from websockets.proxy import Proxy, parse_proxy

from bench.errors import UsageError
from bench.runs.target import Target

_SCHEMES: Final = {"wss": ("wss", "https", "all"), "ws": ("ws", "https", "http", "all")}
_PORTS: Final = {"wss": 443, "ws": 80}
_ENTRY: Final = re.compile(r"\[?([^\[\]]*?)\]?(?::([0-9]+))?")


class HttpProxy(NamedTuple):
    """A proxy, and the variable that names it ("" where the system does)."""

    proxy: Proxy
    variable: str

    @property
    def label(self) -> str:
        """Its URL, without name and password."""
        return f"{self.proxy.scheme}://{_host_and_port(self.proxy)}"

    @property
    def secrets(self) -> Iterator[str]:
        """What it is sent and nobody else may see."""
        if self.proxy.username is not None and self.proxy.password is not None:
            yield self.proxy.password
            yield b64encode(f"{self.proxy.username}:{self.proxy.password}".encode()).decode()


def _host_and_port(proxy: Proxy) -> str:
    return f"[{proxy.host}]:{proxy.port}" if ":" in proxy.host else f"{proxy.host}:{proxy.port}"


def proxy_for(target: Target) -> HttpProxy | None:
    """The proxy on the way to a target; None: there is none.

    UsageError where it is of a kind that is not supported, or its URL is none.
    """
    if target.loopback:
        return None
    parts, told = urlsplit(target.url), urllib.request.getproxies()
    port = parts.port or _PORTS[parts.scheme]
    scheme = next((one for one in _SCHEMES[parts.scheme] if told.get(one)), None)
    if scheme is None or goes_direct(parts.hostname or "", port, told.get("no", "")):
        return None
    variable = next(
        (name for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY") if os.environ.get(name)),
        "",
    )
    return _read(told[scheme], variable)


def _read(url: str, variable: str) -> HttpProxy:
    """UsageError, which shows no name and no password."""
    url = url if "://" in url else f"http://{url}"
    kind, where = url.partition("://")[0].lower(), variable or "the proxy of this system"
    go_round = "or name the target's host in NO_PROXY"
    if kind != "http":
        raise UsageError(
            f"{where}: a proxy by {kind}:// is not supported, only one by http:// (which carries "
            f"wss:// all the same); give such a one, {go_round}"
        )
    try:
        found = parse_proxy(url)
    except (InvalidProxy, ValueError) as error:
        why = getattr(error, "msg", "") or "it is no URL"
        raise UsageError(
            f"{where}: cannot be used ({why}); write it as http://host:port or "
            f"http://user:password@host:port, with what is special percent-encoded, {go_round}"
        ) from None
    return HttpProxy(found, variable)


def goes_direct(host: str, port: int, listed: str) -> bool:
    """Whether `NO_PROXY` names a host.

    It lists domains (each with all that is below it, with or without a dot or `*.` before), numbers
    and ranges (10.0.0.0/8) for hosts that are given as numbers, all of them with a port or without,
    or "*". Names are not looked up for it.
    """
    host = host.lower().rstrip(".")
    for entry in filter(None, re.split(r"[\s,]+", listed.lower())):
        if entry == "*":
            return True
        found = _ENTRY.fullmatch(entry) if entry[0] == "[" or entry.count(":") == 1 else None
        name, its_port = (found[1], found[2]) if found else (entry, None)
        if its_port not in {None, str(port)}:
            continue
        if _is_in(host, name):
            return True
    return False


def _is_in(host: str, named: str) -> bool:
    """Whether a host given as a number is in a network, or a name is in a domain."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        domain = named.removeprefix("*").strip(".")
        return bool(domain) and f".{host}".endswith(f".{domain}")
    try:
        return number in ipaddress.ip_network(named, strict=False)
    except ValueError:
        return False
