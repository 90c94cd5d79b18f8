"""Who may open a session: path, query, credential, and the refusals that a profile asks for.

Theory of operation
-------------------
A pure function from a request's path and headers to an `Admitted` or a `Refused`. Inworld's path
wants `key` and `protocol=realtime`; OpenAI's takes `model` from the query. A credential is looked
at only if the profile says so, and then any will do: the server keeps no accounts. It stands in the
`Authorization`, or in the name of a subprotocol, as browsers have no headers to set. A session
beyond the limit is refused, or let in to be told so otherwise, as the limits say.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from bench.reference.draws import SessionDraws
from bench.reference.profile import Profile

INWORLD_PATH: Final = "/api/v1/realtime/session"
OPENAI_PATH: Final = "/v1/realtime"

SUBPROTOCOL: Final = "realtime"

_KEY_PROTOCOL: Final = "openai-insecure-api-key."
_DIALECTS: Final = {INWORLD_PATH: "inworld", OPENAI_PATH: "openai"}
_REASONS: Final = {
    401: "The credential is not valid.",
    402: "The account has no credit.",
    403: "The credential may not do this.",
    404: "There is no such model.",
    429: "Too many sessions.",
    500: "Told to fail.",
}


class Admitted(NamedTuple):
    """An upgrade that may go on. `key` is what the URL says, or "".

    `over_limit`: it is one session too many, let in to be told so.
    """

    number: int
    dialect: str
    key: str
    model: str
    over_limit: bool = False


class Refused(NamedTuple):
    """An upgrade that may not: HTTP status and one sentence."""

    status: int
    text: str


def admit(
    path: str,
    authorization: str | None,
    profile: Profile,
    *,
    number: int,
    open_sessions: int,
    offered: Sequence[str] = (),
) -> Admitted | Refused:
    """Decide on one upgrade request; `number` counts all of them from 0.

    `offered` are the subprotocols that the client would speak.
    """
    parts = urlsplit(path)
    dialect = _DIALECTS.get(parts.path)
    if dialect is None:
        return Refused(404, f"Nothing here; try {INWORLD_PATH} or {OPENAI_PATH}.")
    query = parse_qs(parts.query, keep_blank_values=True)
    key, protocol = query.get("key", [""])[0], query.get("protocol", [""])[0]
    if dialect == "inworld" and (not key or protocol != "realtime"):
        return Refused(400, "The query needs key=<session id> and protocol=realtime.")
    if profile.authorization == "required" and not _has_credential(authorization, offered):
        return Refused(
            401,
            "Authorization must be Basic or Bearer with a credential; a browser offers the "
            f"subprotocol {_KEY_PROTOCOL}<key>.",
        )
    failures, limits = profile.failures, profile.limits
    over_limit = bool(limits.sessions) and open_sessions >= limits.sessions
    if over_limit and limits.breach == "429":
        return Refused(429, _REASONS[429])
    if SessionDraws(profile.seed, number).happens("refuse", failures.refuse):
        return Refused(failures.refuse_status, _REASONS[failures.refuse_status])
    return Admitted(number, dialect, key, query.get("model", [""])[0], over_limit)


def _has_credential(authorization: str | None, offered: Sequence[str]) -> bool:
    scheme, _, credential = (authorization or "").strip().partition(" ")
    if scheme.lower() in {"basic", "bearer"} and credential:
        return True
    return any(
        name.startswith(_KEY_PROTOCOL) and len(name) > len(_KEY_PROTOCOL) for name in offered
    )
