"""Whether a host is this machine: decided on its addresses, never on its name."""

import ipaddress
import socket
from functools import cache


def is_loopback(address: str) -> bool:
    """Whether no packet to this address leaves the machine. False for what is no address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found
    return found.is_loopback or found.is_unspecified  # 0.0.0.0 and :: connect to this machine


@cache
def leads_here(host: str) -> bool:
    """Whether all addresses of a name are this machine's own. Asked once in a process.

    A name that nobody knows leads nowhere, whatever it looks like.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(is_loopback(str(where[0])) for *_, where in found)
