"""HTTP that asks for no WebSocket, answered on the connection on which it came.

Theory of operation
-------------------
`plain_answer` is a pure function from the head of a request to an answer, or to None where the
request is an upgrade and so belongs to the WebSocket library, which knows no other kind. Clients
that look for OpenAI's other addresses (POST of a client secret, of a call) and people with a
browser read what this server is and where. The error has the shape of OpenAI's. `/metrics` alone is
a page: the text that a Prometheus scrapes, which is asked for only where it is wanted.

The library reads upgrades and drops what else it cannot read, a POST with a body for one. So
`HttpConnection` holds the first bytes until the head of the request is whole: an upgrade goes on to
the library as it came, anything else is answered. The rest of its body is read past before the
connection is closed, for at most 2 s, as a close with bytes unread would cost the peer the answer.
"""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Literal, NamedTuple

from websockets.asyncio.server import ServerConnection

from bench.reference.admission import INWORLD_PATH, OPENAI_PATH

MOST_HEAD: Final = 64 * 2**10
"""Bytes of a request line and its headers."""
LONGEST_LINE: Final = 8 * 2**10
METRICS_PATH: Final = "/metrics"

_LINGER_S: Final = 2.0
_END: Final = b"\r\n\r\n"
_JSON: Final = "application/json"
_EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"
_WHERE: Final = (
    "This server speaks WebSocket only: connect to "
    f"{INWORLD_PATH}?key=<session id>&protocol=realtime (Inworld) or "
    f"{OPENAI_PATH}?model=<model> (OpenAI). "
    f"Its own load, for Prometheus, is at {METRICS_PATH}."
)


class HttpAnswer(NamedTuple):
    """A whole HTTP response, and how many bytes of the request's body are to be read past.

    `body_bytes` is None where only the end of the stream says how long the body is.
    """

    response: bytes
    body_bytes: int | None = 0


class Head(NamedTuple):
    """The head of a request; header names in lower case, the last of several wins."""

    method: str
    path: str
    version: str
    headers: dict[str, str]


def head_end(received: bytes | bytearray) -> int | None:
    """The offset at which the body begins; None while the head is incomplete."""
    at = received.find(_END)
    return None if at < 0 else at + len(_END)


def early_answer(received: bytes | bytearray) -> HttpAnswer | None:
    """The answer to an incomplete head that is no HTTP or is too long; else None."""
    if received and not received[:1].isalpha():
        return _error(HTTPStatus.BAD_REQUEST, "This is no HTTP; a wss:// URL needs serve --tls.")
    if b"\n" not in received[: LONGEST_LINE + 1] and len(received) > LONGEST_LINE:
        return _error(HTTPStatus.REQUEST_URI_TOO_LONG, "The request line is over 8 KiB.")
    if len(received) > MOST_HEAD:
        text = "The headers are over 64 KiB."
        return _error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
    return None


def plain_answer(head: bytes, metrics: Callable[[], bytes]) -> HttpAnswer | None:
    """The answer to a whole head; None where it asks for a WebSocket.

    `metrics` gives the text of `/metrics`, and is called where that is asked for.
    """
    request = _read(head)
    if request is None:
        return _error(HTTPStatus.BAD_REQUEST, "The request cannot be read as HTTP.")
    if not request.version.startswith("HTTP/1."):
        return _error(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 is spoken here.")
    body = _body_bytes(request)
    upgrade = request.headers.get("upgrade", "").lower() == "websocket"
    if request.method == "GET" and upgrade and request.version == "HTTP/1.1" and body == 0:
        return None
    path, reads = request.path.partition("?")[0], request.method in {"GET", "HEAD"}
    text = f"{request.method} {path}: {_WHERE}"
    if path == METRICS_PATH and reads:
        answer = _answer(HTTPStatus.OK, _EXPOSITION, metrics())
    elif path == METRICS_PATH:
        answer = _error(HTTPStatus.METHOD_NOT_ALLOWED, text, "Allow: GET, HEAD")
    elif path not in {INWORLD_PATH, OPENAI_PATH}:
        answer = _error(HTTPStatus.NOT_FOUND, text)
    elif reads:
        answer = _error(HTTPStatus.UPGRADE_REQUIRED, text, "Upgrade: websocket")
    else:
        answer = _error(HTTPStatus.METHOD_NOT_ALLOWED, text, "Allow: GET")
    if request.method == "HEAD":
        answer = HttpAnswer(answer.response[: head_end(answer.response)])
    return answer._replace(body_bytes=body)


def _read(head: bytes) -> Head | None:
    line, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    if line.count(" ") != 2 or not line.isascii():
        return None
    method, path, version = line.split(" ")
    headers = dict(field.partition(":")[::2] for field in fields)
    named = {name.lower(): value.strip() for name, value in headers.items()}
    return Head(method, path, version, named)


def _body_bytes(request: Head) -> int | None:
    """The length of the body; None where the head does not say."""
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdecimal():
        return None
    return int(length)


def _error(status: HTTPStatus, text: str, header: str = "") -> HttpAnswer:
    told = {"message": text, "type": "invalid_request_error", "param": None, "code": None}
    return _answer(status, _JSON, json.dumps({"error": told}).encode() + b"\n", header)


def _answer(status: HTTPStatus, content: str, body: bytes, header: str = "") -> HttpAnswer:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {content}",
        f"Content-Length: {len(body)}",
        "Connection: " + ("close, upgrade" if header.startswith("Upgrade") else "close"),
        *([header] if header else []),
    ]
    return HttpAnswer("\r\n".join(lines).encode() + _END + body)


class HttpConnection(ServerConnection):
    """A connection of the library that answers plain HTTP. Made by `with_metrics` only."""

    metrics: Callable[[], bytes]
    _state: Literal["head", "upgrade", "answered"] = "head"
    _head = b""
    _unread: int | None = None  # of the body of a request that was answered

    @classmethod
    def with_metrics(cls, metrics: Callable[[], bytes]) -> "type[HttpConnection]":
        """Connections of a server whose `/metrics` is what `metrics` gives when it is scraped."""
        return type(cls.__name__, (cls,), {"metrics": staticmethod(metrics)})

    def data_received(self, data: bytes) -> None:
        if self._state == "upgrade":
            super().data_received(data)
        elif self._state == "answered":
            self._read_past(len(data))
        else:
            self._first(data)

    def _first(self, data: bytes) -> None:
        """Collect bytes of the head until it can be answered or handed on."""
        self._head += data
        end = head_end(self._head[:MOST_HEAD])
        if end is None:
            answer = early_answer(self._head)
        else:
            answer = plain_answer(self._head[:end], self.metrics)
        if answer is not None:
            self._answer(answer, len(self._head) - (end or 0))
        elif end is not None:
            whole, self._head, self._state = self._head, b"", "upgrade"
            super().data_received(whole)

    def _answer(self, answer: HttpAnswer, of_body: int) -> None:
        self._state, self._head, self._unread = "answered", b"", answer.body_bytes
        self.transport.write(answer.response)
        self.loop.call_later(_LINGER_S, self.transport.abort)
        self._read_past(of_body)

    def _read_past(self, count: int) -> None:
        """Count `count` bytes of the body; close the connection after the last of it."""
        if self._unread is None:
            return
        self._unread -= count
        if self._unread <= 0:
            self.transport.close()
