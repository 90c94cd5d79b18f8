"""What a client offers in the upgrade, and what it makes of an answer that is not a plain yes.

Theory of operation
-------------------
A redirect is shown and not followed, unless the caller says so. Then it is followed on the same
host alone, and never from TLS to none: whatever a redirect says, the credential goes nowhere that
its owner did not name. Of a URL only those parameters are shown that are no secrets.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from bench.errors import UsageError

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
MOST_HOPS: Final = 3
KNOWN_PARAMETERS: Final = frozenset({"key", "protocol", "model"})
"""Those of a session's URL that may be written down."""
_SCHEMES: Final = {"http": "ws", "https": "wss"}
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_WANTED: Final = re.compile(r"sec-websocket-protocol|sub-?protocol", re.IGNORECASE)
_REMEDY: Final = "; it may want a subprotocol: --subprotocol realtime"
_PROTOCOL_ERROR: Final = 1002


class Offer(NamedTuple):
    """What the upgrade of a session offers.

    `subprotocol`: "" for none; `hops`: how many redirects it follows.
    """

    subprotocol: str = ""
    hops: int = 0


def make_offer(subprotocol: str, *, follow: bool) -> Offer:
    """UsageError where the name of a subprotocol cannot be one."""
    if subprotocol and not _TOKEN.fullmatch(subprotocol):
        raise UsageError(f"--subprotocol {subprotocol!r}: give one word, as in realtime")
    return Offer(subprotocol, MOST_HOPS if follow else 0)


def leads_to(url: str, location: str) -> str:
    """The ws:// or wss:// URL that a redirect of `url` leads to; what is no URL stays as it is."""
    try:
        parts = urlsplit(urljoin(url.replace("ws", "http", 1), location))
    except ValueError:
        return location
    return urlunsplit(parts._replace(scheme=_SCHEMES.get(parts.scheme, parts.scheme), fragment=""))


def not_followed(url: str, onward: str, *, hops: int, asked: bool) -> str:
    """Why a redirect from `url` to `onward` is not followed, and the remedy; "" where it is.

    `hops` are those left, `asked`: to follow any at all.
    """
    here = urlsplit(url)
    try:
        there = urlsplit(onward)
        valid = there.scheme in _SCHEMES.values() and there.hostname and (there.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        return "which is no WebSocket's URL"
    if not asked:
        return "use that URL, or --follow-redirects"
    if there.hostname != here.hostname:
        return "which is another host and gets no credential; use that URL as the target"
    if here.scheme == "wss" and there.scheme == "ws":
        return "which has no TLS and gets no credential; use that URL as the target"
    return "" if hops > 0 else f"which is one redirect more than {MOST_HOPS}"


def redirect_words(status: int, onward: str, why: str) -> str:
    """A redirect that was not followed, in words."""
    return f"HTTP {status} to {shown(onward)}; {why}"


def shown(url: str) -> str:
    """A URL as it may be written down: values of strange parameters are left out."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return repr(url)
    query = [
        (name, value if name in KNOWN_PARAMETERS else "...")
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host, query=urlencode(query), fragment=""))


def remedy(offer: Offer, words: str, close_code: int | None = None) -> str:
    """What may help a client that was turned away with these words, "" where nothing is known.

    `close_code` is that of a server that closed before its first message.
    """
    wanted = _WANTED.search(words) or close_code == _PROTOCOL_ERROR
    return _REMEDY if wanted and not offer.subprotocol else ""
