"""Why a connection was refused or closed, in the words of who did it, and what helps.

Also where else a refusal leads.
"""

import re
import ssl
from html import unescape
from time import monotonic_ns
from typing import Final
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus, NegotiationError
from websockets.frames import Close

from bench.load.flood import FloodError
from bench.load.wire_events import Redirected
from bench.protocol.upgrade import (
    REDIRECTS,
    Offer,
    leads_to,
    not_followed,
    redirect_words,
    remedy,
)

_NOT_FOUND = 404
_OWN_CODES = 3000
"""From here on a close code is the service's own, and says what its words may not."""


_MOST_READ: Final = 8192
_MOST_SHOWN: Final = 200
_UNSAID: Final = re.compile(
    r"<!--.*?-->|<(style|script|head)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE
)
"""What a browser would not show of a page."""


def http_words(status: str, body: bytes) -> str:
    """A status, and what its body says to a person."""
    said = body[:_MOST_READ].decode("utf-8", "replace").strip()
    if said.startswith("<"):
        said = unescape(_UNSAID.sub(" ", said))
    words = " ".join(said.split())[:_MOST_SHOWN].strip()
    return status + (f": {words}" if words else "")


def refusal(error: Exception | None, url: str, offer: Offer) -> str:
    """Why the upgrade failed."""
    if isinstance(error, InvalidStatus):
        response = error.response
        missing = response.status_code == _NOT_FOUND
        where = f" at {urlsplit(url).path or '/'}" if missing else ""
        words = http_words(f"HTTP {response.status_code}{where}", bytes(response.body or b""))
        return words + remedy(offer, " ".join((words, *response.headers)))
    if isinstance(error, NegotiationError):
        return f"the upgrade was answered with what was not offered: {error}"
    return f"{error}: {error.__cause__}" if error else ""


def failure(error: FloodError | OSError, stage: str) -> tuple[str, str]:
    """How a connection ended on which that was raised, at that stage, and why."""
    if isinstance(error, FloodError):
        return error.kind, str(error)
    if isinstance(error, ssl.SSLError):
        return "unreachable" if stage == "securing" else "broken", f"TLS: {error}"
    why = error.strerror or str(error)
    return "unreachable" if stage == "connecting" else "broken", why


def answer_to_refusal(
    error: Exception | None, url: str, offer: Offer, hops: int
) -> Redirected | str:
    """Where a refused upgrade is to be tried instead, within so many hops; else why it failed."""
    if isinstance(error, InvalidStatus):
        response = error.response
        status, location = response.status_code, response.headers.get("Location")
        if status in REDIRECTS and location:
            to = leads_to(url, location)
            if why := not_followed(url, to, hops=hops, asked=offer.hops > 0):
                return redirect_words(status, to, why)
            return Redirected(status, to, monotonic_ns())
    return refusal(error, url, offer)


def close_reason(close: Close, unheard: Offer | None) -> str:
    """Why the server closed; `unheard`: what was offered, where it never said anything else."""
    code = int(close.code)
    reason = close.reason or f"close code {code}"
    if close.reason and code >= _OWN_CODES:
        reason += f" (close code {code})"
    return reason if unheard is None else reason + remedy(unheard, reason, code)
