"""What TLS connections trust. A file that is named and is none is an error, never overlooked."""

import os
import ssl
from typing import Final

from bench.errors import UsageError

_FILE: Final = "SSL_CERT_FILE"
_FOLDERS: Final = "SSL_CERT_DIR"


def trusting(ca: str = "") -> ssl.SSLContext:
    """A client's context: it trusts the system's authorities, and those in the file `ca`.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` take the place of the system's. UsageError where one of these
    is not there or holds no certificate: OpenSSL itself says nothing then, and trusts nobody.
    """
    _look_at_folders()
    if named := os.environ.get(_FILE):
        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), named, f"{_FILE}={named}")
    context = ssl.create_default_context()
    if ca:
        _load(context, ca, f"--ca {ca}")
    return context


def _load(context: ssl.SSLContext, path: str, what: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        why = "holds no certificate"
    except (OSError, ValueError) as error:
        why = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    else:
        return
    raise UsageError(f"{what}: {why}; give a file of certificates in PEM form")


def _look_at_folders() -> None:
    named = os.environ.get(_FOLDERS, "")
    if named and not any(map(os.path.isdir, named.split(os.pathsep))):
        raise UsageError(
            f"{_FOLDERS}={named}: there is no such folder; unset it, or name a folder of "
            "certificates"
        )
