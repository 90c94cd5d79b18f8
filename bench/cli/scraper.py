"""The scraper: asks a server's metrics endpoint once a second, beside a run.

Theory of operation
-------------------
A thread of `bench run`, which has little else to do, and never of a worker. Its beats are absolute,
so that a slow answer moves none of the later ones; beats that fall into a slow answer are left out.
What is lost is counted and told as a remark: a run is about its sessions, and never void for this.

A scrape never takes longer than its bound, whatever the server does: it is made in a thread of its
own that is left behind, its connection shut, once the bound is over. A timeout of the socket would
not do, for it begins anew with every byte, and looking up a name has none.
"""

import contextlib
import re
import socket
import ssl
from array import array
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from threading import Event, Thread
from time import monotonic, monotonic_ns
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from bench import __version__
from bench.errors import UsageError
from bench.load.trust import trusting
from bench.runs.folder import RunFolder
from bench.runs.gauges import Gauges, Readings, Series, write_gauges
from bench.runs.prometheus_text import (
    MOST_SERIES,
    Choice,
    choice_of,
    default_choice,
    read_exposition,
    sampled,
)
from bench.voice.audio import NS_PER_S

PATIENCE_S: Final = 2.0
"""How long a whole scrape may take: name, connection, TLS, and the last byte."""
MOST_BYTES: Final = 4_000_000
EVERY_NS: Final = NS_PER_S
_CHUNK: Final = 65_536
_OK: Final = 200
_SECRET: Final = re.compile(r"token|secret|passw|auth|sig|cred|key", re.IGNORECASE)
_HEADERS: Final = {
    "Accept": "text/plain; version=0.0.4",
    "User-Agent": f"realtime-voice-bench/{__version__}",
    "Connection": "close",
}


# The first that fits: subclasses stand before their bases.
_REASONS: Final = (
    (ConnectionRefusedError, "refused the connection"),
    (socket.gaierror, "has a host that is not known"),
    (ssl.SSLError, "has no TLS that can be trusted"),
    (ConnectionError, "closed the connection"),
    (HTTPException, "closed the connection, or speaks no HTTP"),
    (UnicodeDecodeError, "answered with bytes that are no UTF-8 text"),
    (OSError, "cannot be reached"),
)
_PLAIN: Final = (ConnectionError, HTTPException, UnicodeDecodeError)
"""Errors whose own words add nothing."""


class ScrapeError(Exception):
    """An answer that did not come, or that is none; the text says which, and begins with a verb."""


class Watch(NamedTuple):
    """Where a run's gauges come from, and which they are; what is trusted of an https one."""

    url: str
    choice: Choice
    secure: ssl.SSLContext | None = None

    def facts(self) -> dict[str, Any]:
        """What `run.json` says of it before the run; the query stays out."""
        asked = [one.text for one in self.choice.selectors]
        return {"url": _shown(urlsplit(self.url)), "asked": asked}


def check_metrics_url(url: str | None, gauges: Sequence[str]) -> None:
    """UsageError for a URL that is no http or https one or holds a credential.

    Also for gauges that are asked of no URL.
    """
    if url is None:
        if gauges:
            raise UsageError(f"--gauge {gauges[0]!r}: needs --metrics-url")
        return
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or not url.isascii() or re.search(r"\s", url):
        raise UsageError(
            f"--metrics-url {url!r}: give an http:// or https:// URL, as in "
            "http://127.0.0.1:9100/metrics"
        )
    secret = [name for name, _ in parse_qsl(parts.query) if _SECRET.search(name)]
    if "@" in parts.netloc or secret:
        where = f"{secret[0]!r} in its query" if secret else "a user before its host"
        raise UsageError(
            f"--metrics-url: a URL must hold no credential ({where}), for what a run was made with "
            "is written down; let the endpoint answer this machine without one"
        )


def watch_of(url: str, gauges: Sequence[str], ca: Path | str | None = None) -> Watch:
    """Scrape once and choose. UsageError where that yields nothing, or lacks what was asked for.

    An https endpoint is trusted as the target is (`bench.load.trust`); `ca` is the same file.
    """
    secure = trusting(str(ca or "")) if urlsplit(url).scheme == "https" else None
    try:
        samples = read_exposition(scrape(url, PATIENCE_S, secure))
    except ValueError as error:
        why = f"answers with no Prometheus text ({error})"
    except ScrapeError as error:
        why = str(error)
    else:
        choice = choice_of(gauges, samples) if gauges else default_choice(samples)
        return Watch(url, choice, secure)
    raise UsageError(
        f"--metrics-url {_shown(urlsplit(url))}: {why}; give the URL that Prometheus would scrape"
    )


def scrape(url: str, within_s: float, secure: ssl.SSLContext | None = None) -> str:
    """The text at a URL, within that many seconds whatever it does. ScrapeError says why not.

    Without `secure` an https one is trusted as the system does.
    """
    call = _Call(url, within_s, secure)
    call.start()
    call.join(within_s)
    return call.answer()


class Scraper:
    """Watches until it leaves its `with`; then the run's folder has what was seen."""

    def __init__(self, watch: Watch, folder: RunFolder) -> None:
        self._watch, self._folder = watch, folder
        self._seen: dict[Series, tuple[array[int], array[float]]] = {}
        self._scrapes = 0
        self._lost: Counter[str] = Counter()
        self._missing: Counter[str] = Counter()
        self._ended = Event()
        self._thread = Thread(target=self._run, name="scraper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._ended.set()
        self._thread.join(2 * PATIENCE_S)
        found = {series: Readings(*columns) for series, columns in tuple(self._seen.items())}
        write_gauges(self._folder, Gauges(found, self._watch.choice.counters))
        self._folder.update(gauges={**self._watch.facts(), **self.facts()})

    def facts(self) -> dict[str, Any]:
        """How it went: see `gauges` in `bench.runs.folder`."""
        commonest = self._lost.most_common(1)
        return {
            "scrapes": self._scrapes,
            "lost": self._lost.total(),
            "why": commonest[0][0] if commonest else "",
            "missing": {name: times for name, times in self._missing.items() if times},
        }

    def _run(self) -> None:
        begin, beat = monotonic_ns(), 0
        while not self._ended.wait(max(0, begin + beat * EVERY_NS - monotonic_ns()) / NS_PER_S):
            self._scrape()
            beat = max(beat, (monotonic_ns() - begin) // EVERY_NS) + 1

    def _scrape(self) -> None:
        self._scrapes += 1
        try:
            text = scrape(self._watch.url, PATIENCE_S, self._watch.secure)
            at_ns = monotonic_ns()
            samples = sampled(text, self._watch.choice)
        except ScrapeError as error:
            self._lost[str(error)] += 1
            return
        except ValueError:
            self._lost["answered with no Prometheus text"] += 1
            return
        seen: dict[Series, float] = {}
        for selector in self._watch.choice.selectors:
            mine = {one.series: one.value for one in samples if selector.takes(one)}
            self._missing[selector.text] += not mine
            seen |= mine
        for series, value in seen.items():
            if series in self._seen or len(self._seen) < MOST_SERIES:
                at, values = self._seen.setdefault(series, (array("q"), array("d")))
                at.append(at_ns)
                values.append(value)


class _Call(Thread):
    """One GET in a thread of its own. Call `answer` once the time is over."""

    def __init__(self, url: str, within_s: float, secure: ssl.SSLContext | None) -> None:
        super().__init__(name="scrape", daemon=True)
        self._parts, self._secure = urlsplit(url), secure
        self._within_s = within_s
        self._deadline = monotonic() + within_s
        self._socket: socket.socket | None = None
        self._over = False
        self._text: str | None = None
        self._why = ""

    def answer(self) -> str:
        """The text. ScrapeError where there is none, or none yet: then the connection is shut."""
        if self._text is not None:
            return self._text
        # Taken first: once the connection is shut, the thread fails for that.
        why = self._why or f"did not answer within {self._within_s:g} s"
        self._over = True
        if (line := self._socket) is not None:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        raise ScrapeError(why)

    def run(self) -> None:
        host, port = str(self._parts.hostname), self._parts.port
        line: HTTPConnection
        try:
            if self._parts.scheme == "https":
                line = HTTPSConnection(host, port, timeout=self._within_s, context=self._secure)
            else:
                line = HTTPConnection(host, port, timeout=self._within_s)
            with contextlib.closing(line):
                self._text = self._get(line)
        except TimeoutError:
            self._why = f"did not answer within {self._within_s:g} s"
        except ScrapeError as error:
            self._why = str(error)
        except (OSError, HTTPException, ValueError) as error:
            self._why = _reason(error)

    def _get(self, line: HTTPConnection) -> str:
        line.connect()
        self._socket = line.sock
        path = urlunsplit(("", "", self._parts.path or "/", self._parts.query, ""))
        line.request("GET", path, headers=_HEADERS)
        with line.getresponse() as response:
            if response.status != _OK:
                raise ScrapeError(f"answered {response.status}")
            body = bytearray()
            while chunk := response.read1(_CHUNK):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise ScrapeError(f"sent more than {MOST_BYTES // 1_000_000} MB")
                if self._over or monotonic() > self._deadline:
                    raise TimeoutError
            if response.length:
                raise ScrapeError("closed the connection in mid-answer")
            return body.decode("utf-8")


def _reason(error: Exception) -> str:
    """Why no answer came, as words that follow a subject."""
    said = next((text for kind, text in _REASONS if isinstance(error, kind)), "cannot be asked")
    detail = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return said if isinstance(error, _PLAIN) else f"{said} ({detail})"


def _shown(parts: SplitResult) -> str:
    """A URL as it may be written down: without its query."""
    return urlunsplit(parts._replace(query="", fragment=""))
