"""The way to a target: everything that a process needs to dial it, settled once.

Whoever dials makes a `Route` first: the worker of a load, the session before it, a canary, a probe.
"""

import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from bench.errors import TargetError
from bench.load.addresses import Address, resolve
from bench.load.proxies import HttpProxy, proxy_for
from bench.load.trust import trusting
from bench.load.wire import Wire
from bench.protocol.dialects import session_url
from bench.runs.loopback import is_loopback
from bench.runs.redaction import Secrets
from bench.runs.target import Target, dial_url, secret_values, upgrade_headers


class Credentials(NamedTuple):
    """What a target's sessions need and nobody may write down. `url` and `headers` have it in."""

    url: str
    headers: list[tuple[str, str]]
    context: ssl.SSLContext | None
    proxy: HttpProxy | None
    secrets: Secrets


class Route(NamedTuple):
    """Where a target is reached, and with what. `addresses` may be those of a proxy."""

    target: Target
    addresses: list[Address]
    held: Credentials

    def wire(self, address: Address, key: str, model: str = "", *, compress: bool = False) -> Wire:
        """A connection of a session of its own `key`."""
        held, target = self.held, self.target
        url = session_url(target.dialect, held.url, key=key, model=model)
        return Wire(address, url, held.headers, held.context, target.offer, compress=compress)


def read_credentials(target: Target) -> Credentials:
    """What the environment says of a target; nothing is asked of the network but its address.

    UsageError where something is missing, or cannot be used: to be called before a run starts.
    """
    headers, url, proxy = upgrade_headers(target), dial_url(target), proxy_for(target)
    secure = urlsplit(url).scheme == "wss"
    # A redirect may lead to TLS. What is named is looked at in any case.
    context = trusting(target.ca) if secure or target.offer.hops or target.ca else None
    hidden = [*secret_values(target), *(proxy.secrets if proxy else ())]
    return Credentials(url, headers, context, proxy, Secrets(hidden))


def find_route(target: Target) -> Route:
    """The way to a target. TargetError where there is none; UsageError as `read_credentials`."""
    held = read_credentials(target)
    if held.proxy is None:
        addresses = resolve(target.url)
        if target.loopback and not all(is_loopback(str(one.sockaddr[0])) for one in addresses):
            raise TargetError(
                f"{addresses[0].hostname}: was on this machine when the run was settled, and now "
                f"leads to {addresses[0].label}; nothing is sent there without --yes"
            )
        return Route(target, addresses, held)
    host, secure = urlsplit(held.url).hostname or "", urlsplit(held.url).scheme == "wss"
    try:
        found = resolve(held.proxy.label)
    except TargetError as error:
        raise TargetError(f"proxy {held.proxy.label}: {error}") from None
    addresses = [one._replace(hostname=host, secure=secure, proxy=held.proxy) for one in found]
    return Route(target, addresses, held)
