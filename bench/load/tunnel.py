"""A way through an HTTP proxy: CONNECT out, its answer in. No socket, no clock.

What the proxy says is told in its own words: it stands between the caller and the target, and
nobody else knows why.
"""

from typing import TYPE_CHECKING, Final

from websockets.http11 import Response
from websockets.proxy import prepare_connect_request
from websockets.streams import StreamReader
from websockets.uri import parse_uri

from bench.load.end_reasons import http_words
from bench.load.proxies import HttpProxy
from bench.runs.target import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Generator

_MOST_BODY: Final = 8192
"""Bytes of a page that are waited for: it only says why."""


class Tunnel:
    """The way to the host of `url`. `request` is what the proxy is sent first.

    `opened`: the proxy has let it through.
    """

    def __init__(self, way: HttpProxy, url: str) -> None:
        self.request = prepare_connect_request(way.proxy, parse_uri(url), USER_AGENT)
        self.opened = False
        self._refused = ""
        self._label = f"proxy {way.label}"
        self._reader = StreamReader()
        self._head: Generator[None, None, Response] = Response.parse(
            self._reader.read_line,
            self._reader.read_exact,
            self._reader.read_to_eof,
            proxy=True,
        )
        self._response: Response | None = None

    def feed(self, data: bytes) -> bool:
        """Bytes came from the proxy (none: it has closed); whether its answer is whole."""
        if data:
            self._reader.feed_data(data)
        else:
            self._reader.feed_eof()
        if self._response is None:
            try:
                next(self._head)
            except StopIteration as whole:
                self._response = whole.value
            except EOFError:
                self._refused = "it ended the connection without an answer"
                return True
            except Exception as error:  # noqa: BLE001 - whatever the parser thinks of it
                self._refused = f"it answers with what is no HTTP: {error}"
                return True
        if (response := self._response) is None:
            return False
        if 200 <= response.status_code < 300:
            self.opened = True
            return True
        body = bytes(self._reader.buffer[:_MOST_BODY])
        status = f"HTTP {response.status_code} {response.reason_phrase}".rstrip()
        self._refused = http_words(status, body)
        length = response.headers.get("Content-Length", "")
        wanted = min(int(length), _MOST_BODY) if length.isdecimal() else _MOST_BODY
        return not data or len(body) >= wanted

    def why(self, otherwise: str) -> str:
        """Why there is no way: what the proxy said, else this."""
        return f"{self._label}: {self._refused or otherwise}"

    @property
    def rest(self) -> bytes:
        """What came after the answer: of the target."""
        return bytes(self._reader.buffer)
