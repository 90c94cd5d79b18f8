"""How each service wants to be addressed: URL, query, authorization. Data, and two functions.

Sources: `protocol.md` section 1. Inworld wants a `key` that is unique per session and the word
`protocol=realtime`, and takes the portal's credential verbatim (it is base64 already; encoding it
again is a bug). OpenAI wants the model in the URL and a bearer token.
"""

from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from bench.errors import UsageError


class Dialect(NamedTuple):
    """One service's manners. `query` are fixed parameters; `keyed` adds a `key` per session."""

    name: str
    url: str
    query: tuple[tuple[str, str], ...]
    keyed: bool
    model_in_url: bool
    scheme: str
    credential_env: str
    default_model: str
    session_type: str | None
    provider_data: bool
    """Whether the session has Inworld's own keys; elsewhere an unknown key is refused."""
    transcriber: str | None
    """What to transcribe the caller with where the scenario does not say; None: it does anyway."""


INWORLD = Dialect(
    name="inworld",
    url="wss://api.inworld.ai/api/v1/realtime/session",
    query=(("protocol", "realtime"),),
    keyed=True,
    model_in_url=False,
    scheme="Basic",
    credential_env="INWORLD_RUNTIME_BASE64_CREDENTIAL",
    default_model="google-ai-studio/gemini-2.5-flash",
    session_type="realtime",
    provider_data=True,
    transcriber=None,
)
OPENAI = Dialect(
    name="openai",
    url="wss://api.openai.com/v1/realtime",
    query=(),
    keyed=False,
    model_in_url=True,
    scheme="Bearer",
    credential_env="OPENAI_API_KEY",
    default_model="gpt-realtime",
    session_type="realtime",
    provider_data=False,
    transcriber="gpt-4o-mini-transcribe",
)
DIALECTS = {dialect.name: dialect for dialect in (INWORLD, OPENAI)}


def session_url(dialect: Dialect, base: str, *, key: str, model: str = "") -> str:
    """The URL of one session: `base` with what the dialect adds; what `base` already says stays."""
    parts = urlsplit(base)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if dialect.keyed:
        query.setdefault("key", key)
    if dialect.model_in_url:
        query.setdefault("model", model or dialect.default_model)
    for name, value in dialect.query:
        query.setdefault(name, value)
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote), fragment=""))


def authorization(dialect: Dialect, credential: str) -> tuple[str, str]:
    """The Authorization header, the credential verbatim. UsageError where it cannot be a header."""
    if not credential or any(not 33 <= ord(letter) <= 126 for letter in credential):
        raise UsageError(
            f"{dialect.credential_env} is empty or has blanks, line ends or non-ASCII letters; "
            "copy it from the portal as it is"
        )
    return "Authorization", f"{dialect.scheme} {credential}"
