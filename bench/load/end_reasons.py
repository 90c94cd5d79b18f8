"""Why a connection was refused or closed, in the words of who did it, and what helps."""

import re
from html import unescape
from typing import Final
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus, NegotiationError
from websockets.frames import Close

from bench.protocol.upgrade import Offer, remedy

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


def close_reason(close: Close, unheard: Offer | None) -> str:
    """Why the server closed; `unheard`: what was offered, where it never said anything else."""
    code = int(close.code)
    reason = close.reason or f"close code {code}"
    if close.reason and code >= _OWN_CODES:
        reason += f" (close code {code})"
    return reason if unheard is None else reason + remedy(unheard, reason, code)
