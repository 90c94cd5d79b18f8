"""A target: where it is, which dialect it speaks, and what a session needs to be let in.

Theory of operation
-------------------
What is written down of a target is what its command line says, and that holds no credential: those
come from the environment, where a header (`--header 'api-key=$AZURE_KEY'`) or a parameter of the
URL (`?token=$TOKEN`) names a variable. What the variable holds is read by each process for itself,
is never part of a `Target`, and is taken out of whatever a server says (`secret_values`).

A header or a parameter that is a credential takes the place of the dialect's own: nobody's key is
sent to somebody else's service because it happened to be in the environment.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote_plus, urlsplit, urlunsplit

from bench import __version__
from bench.errors import UsageError, nearest
from bench.protocol.credentials import is_credential_name, looks_like_credential, variable_in
from bench.protocol.dialects import DIALECTS, TARGETS, Dialect, authorization, dialect_of
from bench.protocol.upgrade import Offer
from bench.runs.loopback import leads_here

REFERENCE: Final = "reference"
USER_AGENT: Final = f"realtime-voice-bench/{__version__}"
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", re.ASCII)
_OWNED: Final = {
    "host": "the URL says it",
    "sec-websocket-protocol": "use --subprotocol",
    "proxy-authorization": "it belongs into the URL of the proxy, as in http://user:password@host",
    **dict.fromkeys(
        ("upgrade", "connection", "content-length", "transfer-encoding", "te", "trailer",
         "keep-alive", "expect", "proxy-connection"),
        "the handshake is HTTP's own",
    ),
}  # fmt: skip
"""Headers that are not for a command line to set, and why."""

_MOST_PORT: Final = 65_535


class Header(NamedTuple):
    """A header of the upgrade. `value` may name variables, and is expanded by each process."""

    name: str
    value: str

    @property
    def text(self) -> str:
        """As a command line says it."""
        return f"{self.name}={self.value}"


class Target(NamedTuple):
    """The system under test. `url` is "" for the reference server until it has a port.

    `offer` is what its upgrades are offered, `ca` a file of certificates to trust beside the
    usual ("": none), `local` whether it is on this machine, where that was decided before.
    """

    name: str
    url: str
    dialect: Dialect
    offer: Offer = Offer()
    headers: tuple[Header, ...] = ()
    ca: str = ""
    local: bool | None = None

    @property
    def loopback(self) -> bool:
        """Whether no packet leaves this machine: all addresses of its host are loopback."""
        if self.local is not None:
            return self.local
        return not self.url or leads_here(urlsplit(self.url).hostname or "")


def read_target(
    word: str, dialect: str | None, headers: Sequence[str] = (), ca: Path | str | None = None
) -> Target:
    """The target that a command line names: reference, one of `TARGETS`, or a ws:// or wss:// URL.

    The dialect is the one that is named, else that of the service. UsageError for anything else,
    for a dialect that does not exist, and for a credential that does not come from the environment.
    """
    if dialect is not None and dialect not in DIALECTS:
        raise UsageError(f"--dialect {dialect!r}: {nearest(dialect, DIALECTS)}")
    told, trusted = read_headers(headers), str(Path(ca).resolve()) if ca else ""
    if word == REFERENCE:
        return Target(word, "", DIALECTS[dialect or "inworld"], headers=told, ca=trusted)
    if word in TARGETS:
        url, its_own = TARGETS[word]
        return Target(word, url, DIALECTS[dialect or its_own.name], headers=told, ca=trusted)
    try:
        parts = urlsplit(word)
        valid = parts.scheme in {"ws", "wss"} and parts.hostname
    except ValueError:
        valid = False
    if not valid or not word.isprintable() or " " in word:
        shown = re.sub(r"//[^/]*@|\?.*", lambda found: "?..." if found[0][0] == "?" else "//", word)
        raise UsageError(
            f"--target {shown!r}: give reference, {', '.join(TARGETS)}, or a URL as in "
            "ws://127.0.0.1:8765/v1/realtime"
        )
    port = parts.netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
    if port and not (port.isdecimal() and 1 <= int(port[:9]) <= _MOST_PORT):
        raise UsageError(f"--target: port {port[:20]} is none; give 1 to {_MOST_PORT}")
    if "@" in parts.netloc:
        raise UsageError("--target: a URL must hold no credential; use the environment variable")
    chosen = DIALECTS[dialect or dialect_of(parts.hostname or "").name]
    _check_query(parts.query, parts.hostname or "", chosen)
    if held := variable_in(word, os.environ):
        raise UsageError(
            f"--target: the value of {held} stands in the URL, and what a run was made against is "
            f"written down; name the variable: ?name=${held}, in single quotes"
        )
    url = urlunsplit(parts._replace(fragment=""))
    name = urlunsplit(parts._replace(query="", fragment=""))
    return Target(name, url, chosen, headers=told, ca=trusted)


def _check_query(query: str, host: str, dialect: Dialect) -> None:
    """UsageError for a credential in a query that names no variable.

    `key` is Inworld's word for the id of a session, and everybody else's for a credential.
    """
    for name, value in parse_qsl(query):
        if _VARIABLE.fullmatch(value):
            continue
        is_id = name == "key" and dialect.keyed and (
            f".{host}".lower().endswith(f".{dialect.domain}") or leads_here(host)
        )  # fmt: skip
        if looks_like_credential(value) or (is_credential_name(name) and not is_id):
            again = "; leave it out: every session gets a key of its own" if name == "key" else ""
            raise UsageError(
                f"--target: {name!r} in the query is a credential, and what a run was made against "
                f"is written down; take it from the environment, in single quotes: ?{name}="
                f"$VARIABLE, or --header '{name}=$VARIABLE'{again}"
            )


def read_headers(texts: Sequence[str]) -> tuple[Header, ...]:
    """Headers as a command line gives them, NAME=VALUE. UsageError where one cannot be."""
    found: dict[str, Header] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not _TOKEN.fullmatch(name):
            # What stands there may be a credential: it is not repeated.
            raise UsageError("--header: give NAME=VALUE, as in --header 'api-key=$AZURE_KEY'")
        low = name.lower()
        if low in _OWNED or low.startswith("sec-websocket-"):
            raise UsageError(
                f"--header {name}: cannot be set; {_OWNED.get(low, 'the handshake owns it')}"
            )
        if low in found:
            raise UsageError(f"--header {name}: is given twice; give it once")
        found[low] = header = Header(name, value)
        _check_header(header)
    return tuple(found.values())


def _check_header(header: Header) -> None:
    """UsageError for a value that is none, or a credential that does not come by a variable."""
    name, value = header
    if not value:
        raise UsageError(
            f"--header {name}: has no value; between double quotes the shell puts in what a "
            f"variable holds, or nothing: use single quotes, as in --header '{name}=$VARIABLE'"
        )
    template = Template(value)
    if not template.is_valid():
        raise UsageError(f"--header {name}: a $ begins the name of a variable; write $$ for itself")
    if not all(" " <= letter <= "~" for letter in value):
        raise UsageError(f"--header {name}: has line ends or non-ASCII letters; leave them out")
    held = variable_in(_VARIABLE.sub("", value), os.environ)
    named = template.get_identifiers()
    if held or (not named and (is_credential_name(name) or looks_like_credential(value))):
        raise UsageError(
            f"--header {name}: a credential comes from the environment, not from the command line; "
            f"in single quotes: --header '{name}=${held or 'VARIABLE'}'"
        )


# ── what the environment adds ────────────────────────────────────────────────────────────────────


def upgrade_headers(target: Target) -> list[tuple[str, str]]:
    """The headers of a session's upgrade, credentials from the environment. Loopback needs none.

    UsageError where a variable is not set, or is no header.
    """
    told = [(header.name, _expanded(header)) for header in target.headers]
    names = {name.lower() for name, _ in told}
    found = [] if "user-agent" in names else [("User-Agent", USER_AGENT)]
    value = _own_credential(target)
    if value:
        found.append(authorization(target.dialect, value))
    elif not target.loopback and not _variables(target):
        raise UsageError(
            f"target {target.name!r} needs a credential: set {target.dialect.credential_env}, or "
            "name another variable as in --header 'api-key=$AZURE_KEY'"
        )
    return found + told


def dial_url(target: Target) -> str:
    """The URL that is dialled: with what the variables hold that its query names.

    UsageError where one is not set.
    """
    parts = urlsplit(target.url)
    if "$" not in unquote_plus(parts.query):
        return target.url
    pieces = []
    for piece in parts.query.split("&"):
        name, equals, value = piece.partition("=")
        if variable := _variable(unquote_plus(value)):
            value = quote(_read(variable, f"target {target.name!r}"), safe="")
        pieces.append(f"{name}={value}" if equals else name)
    return urlunsplit(parts._replace(query="&".join(pieces)))


def secret_values(target: Target) -> Iterator[str]:
    """What a session of this target may send and nobody may write down."""
    yield _own_credential(target)
    for _, variable in _variables(target):
        yield os.environ.get(variable, "").strip()


def sends_credential(target: Target) -> bool:
    """Whether its sessions show a credential."""
    return any(secret_values(target))


def _own_credential(target: Target) -> str:
    """That of the dialect; "" where there is none, or another is shown."""
    return "" if _brings_its_own(target) else os.environ.get(target.dialect.credential_env, "")


def _brings_its_own(target: Target) -> bool:
    """Whether a header or a parameter takes the place of the dialect's credential."""
    return any(is_credential_name(name) for name, _ in _variables(target))


def _variables(target: Target) -> list[tuple[str, str]]:
    """Headers and parameters that take something from the environment: (name, variable)."""
    query = parse_qsl(urlsplit(target.url).query)
    found = [(name, variable) for name, value in query if (variable := _variable(value))]
    for header in target.headers:
        found += [(header.name, one) for one in Template(header.value).get_identifiers()]
    return found


def _variable(value: str) -> str:
    """The variable that is the whole of a value; "": none is."""
    found = _VARIABLE.fullmatch(value)
    return found[1] or found[2] if found else ""


def _expanded(header: Header) -> str:
    template, what = Template(header.value), f"--header {header.text!r}"
    return template.substitute({name: _read(name, what) for name in template.get_identifiers()})


def _read(variable: str, what: str) -> str:
    """What a variable holds. UsageError, which never shows it, where that can be sent nowhere."""
    value = os.environ.get(variable, "").strip()
    if not value:
        state = "empty" if variable in os.environ else "not set"
        raise UsageError(f"{what}: {variable} is {state}; set it: export {variable}=...")
    if not all(" " <= letter <= "~" for letter in value):
        raise UsageError(f"{what}: {variable} has line ends or non-ASCII letters; copy it anew")
    return value
