"""An HTTP proxy of a few lines: it knows names that nobody else knows, and counts who asked."""

import socket
from contextlib import contextmanager, suppress
from threading import Thread

PAGE = "<html><head><style>b { color: red }</style></head><body><h1>{}</h1></body></html>"


class ConnectProxy:
    """Lets CONNECT through to `known` ({"host:port": port on this machine}).

    `says` is a whole answer in place of that; `asked` are the heads of all requests.
    """

    def __init__(self, listener, known, says):
        self.port = listener.getsockname()[1]
        self.asked = []
        self._listener, self._known, self._says = listener, known, says

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def serve(self):
        with suppress(OSError):
            while True:
                Thread(target=self._hold, args=(self._listener.accept()[0],), daemon=True).start()

    def _hold(self, caller):
        with caller, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                if not (piece := caller.recv(4096)):
                    return
                head += piece
            self.asked.append(head.decode())
            port = self._known.get(head.split()[1].decode())
            if self._says is not None:
                caller.sendall(self._says)
            elif port is None:
                caller.sendall(answer("502 Bad Gateway", "no such host"))
            else:
                with socket.create_connection(("127.0.0.1", port)) as target:
                    caller.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    back = Thread(target=_pass_on, args=(target, caller), daemon=True)
                    back.start()
                    _pass_on(caller, target)
                    back.join(5)


def _pass_on(source, sink):
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def answer(status, words, *headers):
    """An answer of a proxy that refuses, with a page for a browser."""
    body = PAGE.replace("{}", words)
    lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", body)
    return "\r\n".join(lines).encode()


@contextmanager
def proxy(known=(), says=None):
    listener = socket.create_server(("127.0.0.1", 0))
    one = ConnectProxy(listener, dict(known), says)
    thread = Thread(target=one.serve, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
