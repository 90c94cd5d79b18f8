"""What the two ends of a connection agreed on."""

from ssl import SSLObject
from typing import NamedTuple

from websockets.http11 import Response


class Agreed(NamedTuple):
    """TLS and the upgrade, as far as they came; "" is nothing.

    `tls` is version and cipher; `extensions`, `subprotocol` and `server` are headers of the answer
    to the upgrade.
    """

    tls: str = ""
    alpn: str = ""
    extensions: str = ""
    subprotocol: str = ""
    server: str = ""

    @classmethod
    def of(cls, tls: SSLObject | None, response: Response | None) -> "Agreed":
        """What a handshake of TLS and an answer to the upgrade say."""
        said = {} if response is None else response.headers
        cipher = None if tls is None else tls.cipher()
        return cls(
            f"{tls.version()} {cipher[0]}" if tls is not None and cipher else "",
            (tls.selected_alpn_protocol() or "") if tls is not None else "",
            said.get("Sec-WebSocket-Extensions") or "",
            said.get("Sec-WebSocket-Protocol") or "",
            said.get("Server") or "",
        )
