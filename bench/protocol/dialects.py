"""How each service wants to be addressed: URL, query, authorization. Data, and two functions.

Sources: `protocol.md` section 1. Inworld wants a `key` that is unique per session and the word
`protocol=realtime`, and takes the portal's credential verbatim (it is base64 already; encoding it
again is a bug). OpenAI wants the model in the URL and a bearer token.

Inworld has regional hosts (`live.md` 15; not seen on the realtime endpoint yet), each a target of
its own name. How much an account may have at once depends on its plan (`live.md` 13): what stands
here is the plan that the reference page names, and a command line may say another.
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
    regions: tuple[str, ...] = ()
    """Words after `api.` in the hosts of regions."""
    most_sessions: int | None = None
    """How many sessions an account may hold at once; None: nobody says."""
    most_packets: int | None = None
    """How many messages a second it may send; None: nobody says."""

    @property
    def targets(self) -> dict[str, str]:
        """The service's URLs by the names of targets: its own, then one for each region."""
        hosts = {self.name: self.url}
        for region in self.regions:
            hosts[f"{self.name}-{region}"] = self.url.replace("//api.", f"//api.{region}.", 1)
        return hosts

    @property
    def domain(self) -> str:
        """What the names of its hosts end in."""
        host = urlsplit(self.url).hostname or ""
        return host.partition(".")[2]


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
    regions=("eu", "in"),
    most_sessions=20,
    most_packets=1000,
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
TARGETS = {
    name: (url, dialect) for dialect in DIALECTS.values() for name, url in dialect.targets.items()
}
"""Services by the names that a command line may give: the URL and the dialect of each."""


def dialect_of(host: str) -> Dialect:
    """The dialect of the service whose host that is, in whatever region; else Inworld's."""
    named = f".{host.lower()}"
    return next((one for one in DIALECTS.values() if named.endswith(f".{one.domain}")), INWORLD)


def session_url(dialect: Dialect, base: str, *, key: str, model: str = "") -> str:
    """The URL of one session: `base` with what the dialect adds; what `base` already says stays.

    To the letter: a query may be signed.
    """
    parts = urlsplit(base)
    more = {"key": key} if dialect.keyed else {}
    if dialect.model_in_url:
        more["model"] = model or dialect.default_model
    more |= dict(dialect.query)
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        more.pop(name, None)
    query = "&".join(filter(None, (parts.query, urlencode(more, quote_via=quote))))
    return urlunsplit(parts._replace(query=query, fragment=""))


def authorization(dialect: Dialect, credential: str) -> tuple[str, str]:
    """The Authorization header, the credential verbatim. UsageError where it cannot be a header."""
    if not credential or any(not 33 <= ord(letter) <= 126 for letter in credential):
        raise UsageError(
            f"{dialect.credential_env} is empty or has blanks, line ends or non-ASCII letters; "
            "copy it from the portal as it is"
        )
    return "Authorization", f"{dialect.scheme} {credential}"
