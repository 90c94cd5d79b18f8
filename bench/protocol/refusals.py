"""Why servers turn callers away, and what to do about it: one table for everybody who must say so.

A refusal is known by its words: those of the HTTP answer to the upgrade, of an `error` message, of
a close frame, of TLS or of the socket (`live.md` 1, 2, 7, 8, 13; RFC 9110, section 15). The table
goes from the special to the general; the first line that matches counts. What is no more than a
limit or a failure of the moment comes early, for the words of a proxy or of a full service may name
certificates, models and credentials as well. Redirects and subprotocols say their remedy themselves
(`bench.protocol.upgrade`): theirs here is empty.

*Final* is a refusal that another try cannot mend: every session would meet it. What is left may be
a limit or an accident, and is worth another try.
"""

import re
from typing import Final, NamedTuple


class Refusal(NamedTuple):
    """One reason for which a session is turned away: its words, the remedy, whether it is final."""

    words: re.Pattern[str]
    remedy: str
    final: bool


def _refusal(words: str, remedy: str, *, final: bool = True) -> Refusal:
    return Refusal(re.compile(words, re.IGNORECASE), remedy, final)


OVERLOAD: Final = re.compile(
    r"at capacity|resources?[_ ]?(?:are )?exhausted|temporarily|overloaded|server is busy|"
    r"too many (?:concurrent )?(?:sessions|connections|requests)|rate.?limit|try again later|"
    r"insufficient capacity|no capacity|throttl",
    re.IGNORECASE,
)
"""Words by which services say that they are full, in an ordinary error as well."""

CALLERS_WAIT: Final = (
    "the target lets callers wait: lower --sessions, or raise how many it holds at once"
)
"""What to do about a target that turns nobody away and lets not everybody in."""

_TABLE: Final = (
    _refusal(
        r"^proxy \S+: HTTP 407",
        "the proxy wants a name and a password: put them into its URL in the environment, as in "
        "HTTPS_PROXY=http://user:password@host:port, percent-encoded, or name the target's host in "
        "NO_PROXY",
    ),
    _refusal(
        r"^proxy \S+: HTTP 4",
        "the proxy does not let callers through to the target: have its host and port allowed "
        "there, or name the host in NO_PROXY",
    ),
    _refusal(
        r"^proxy \S+: HTTP 5",
        "the proxy does not reach the target: check host and port of the URL, and that the target "
        "is up; or name the host in NO_PROXY",
    ),
    _refusal(
        r"^proxy \S+: ",
        "check the proxy's URL in the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY), and that "
        "it is up; or name the target's host in NO_PROXY",
    ),
    _refusal(r"^HTTP 30\d to ", ""),
    _refusal(
        OVERLOAD.pattern
        + r"|HTTP 429(?!.*(?:insufficient_quota|credit|billing))|HTTP 503|close code 1013",
        "the target holds no more sessions for this account or address: lower --sessions, or have "
        "its limit raised",
        final=False,
    ),
    _refusal(
        r"HTTP (?:408|5\d\d)",
        "the target, or a proxy before it, failed: look at its log, and try again",
        final=False,
    ),
    _refusal(r"it may want a subprotocol: ", ""),
    _refusal(
        r"certificate|CERTIFICATE_VERIFY|self.signed|hostname mismatch|unknown ca",
        "the target's certificate is not trusted: name its CA with --ca FILE or in SSL_CERT_FILE, "
        "and the host in the URL as the certificate has it",
    ),
    _refusal(
        r"\bTLS\b|\bSSL\b|WRONG_VERSION_NUMBER",
        "the target does not speak TLS there: try ws:// in place of wss://, and check the port",
    ),
    _refusal(
        r"credit|quota|billing|payment|HTTP 402",
        "the account has no credit or quota left: look at its billing page",
    ),
    _refusal(
        r"model[^.]*(?:not[ _]found|does not exist|unknown|invalid|unsupported|not supported)|"
        r"(?:unknown|invalid|unsupported|no such)[ _]model|model_not_found|close code 4000",
        "check the model: session.model of the scenario, or model= in the URL",
    ),
    _refusal(r"HTTP 404", "check the path of the URL, and that --dialect is the target's"),
    _refusal(
        r"HTTP 40[13]|unauthori[sz]ed|forbidden|invalid_api_key|api key|credential|"
        r"authenticat|permission|close code 3000",
        "check the credential in the environment, and that --dialect is the target's",
    ),
    _refusal(
        r"HTTP (?:400|405|406|410|415|426)",
        "the target does not take a WebSocket of this kind there: check URL, query and --dialect",
    ),
    _refusal(
        r"HTTP 407",
        "a proxy on the way wants a credential of its own: name it in HTTPS_PROXY, or go round it",
    ),
    _refusal(
        r"connection closed while reading HTTP status line",
        "what takes connections there ends them unanswered: look at its log, and check host and "
        "port",
        final=False,
    ),
    _refusal(
        r"HTTP 200|invalid (?:Upgrade|Connection|Sec-WebSocket)|did not receive a valid HTTP",
        "what answers there is no WebSocket server: check host, port and path",
    ),
    _refusal(
        r"connection refused|name cannot be resolved|no route|unreachable",
        "nothing listens there: check host and port, and that the target is up",
    ),
    _refusal(
        r"^no (?:TCP|TLS|WebSocket)",
        CALLERS_WAIT,
        final=False,
    ),
)


def refusal_of(reason: str) -> Refusal | None:
    """What is known of a refusal by its words; None: nothing."""
    return next((one for one in _TABLE if one.words.search(reason)), None)


def is_overload(text: str) -> bool:
    """Whether an error says that the service is full."""
    return OVERLOAD.search(text) is not None
