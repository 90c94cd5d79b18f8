"""What is said of the network between this machine and a target, before anything is sent there."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from bench.load.proxies import proxy_for
from bench.runs.target import Target, sends_credential


def network_lines(target: Target) -> Iterator[str]:
    """The proxy on the way, and a credential that everybody on the way can read."""
    if target.loopback:
        return
    if proxy := proxy_for(target):
        yield f"proxy     {proxy.label} ({proxy.variable or 'of this system'}) is on the way"
    if urlsplit(target.url).scheme == "ws" and sends_credential(target):
        yield (
            "warning   ws:// shows the credential to everybody on the way: use wss://, unless the "
            "network is your own"
        )
