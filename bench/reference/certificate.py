"""A certificate for this machine's own names, made on the spot, and the way to trust it.

Theory of operation
-------------------
`trustme` makes an authority that nobody else has and a certificate of its signing, for localhost,
127.0.0.1 and ::1 and the address that is listened on. Only the authority's certificate is written,
for clients to trust. Keys are never kept: the authority's lives in memory alone, and the server's
is in a file of its owner's for the moment in which OpenSSL reads it.
"""

import ssl
from pathlib import Path
from typing import Final

import trustme

from bench.errors import UsageError

NAMES: Final = ("localhost", "127.0.0.1", "::1")


def tls_context(path: Path, host: str) -> ssl.SSLContext:
    """What to serve TLS with; what to trust is written to `path`. UsageError if it cannot be."""
    authority = trustme.CA()
    everywhere = {"", "0.0.0.0", "::"}  # noqa: S104 - listened on, and no name to call
    names = dict.fromkeys((*NAMES, *({host} - everywhere)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        authority.issue_cert(*names).configure_cert(context)
    except ValueError as error:
        raise UsageError(f"--host {host}: no certificate can name it: {error}") from None
    try:
        path.write_bytes(authority.cert_pem.bytes())
    except OSError as error:
        raise UsageError(
            f"--tls-cert {path}: cannot write: {error.strerror or error}; name another file"
        ) from None
    return context


def advice(path: Path) -> str:
    """One line: how a client comes to trust it."""
    return (
        f"certificate {path}; clients trust it with SSL_CERT_FILE={path} (Python, OpenSSL), "
        f"NODE_EXTRA_CA_CERTS={path} (Node), or --cacert (curl)"
    )
