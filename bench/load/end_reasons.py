"""Why a connection was refused or closed, in the words of who did it, and what helps."""

from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus, NegotiationError
from websockets.frames import Close

from bench.protocol.upgrade import Offer, remedy

_NOT_FOUND = 404
_OWN_CODES = 3000
"""From here on a close code is the service's own, and says what its words may not."""


def refusal(error: Exception | None, url: str, offer: Offer) -> str:
    """Why the upgrade failed."""
    if isinstance(error, InvalidStatus):
        response = error.response
        body = bytes(response.body or b"")[:200].decode("utf-8", "replace").strip()
        missing = response.status_code == _NOT_FOUND
        where = f" at {urlsplit(url).path or '/'}" if missing else ""
        words = f"HTTP {response.status_code}{where}" + (f": {body}" if body else "")
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
