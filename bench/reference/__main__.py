"""`python -m bench.reference`: the reference server on its own, for a run or for a person.

One line on stdout when it is ready (`ready ws://…`), one on stderr when it has ended: its load,
and whether it was the bottleneck. With TLS, one more on stderr: how a client comes to trust it.

`trustme` makes an authority that nobody else has and a certificate of its signing, for localhost,
127.0.0.1 and ::1 and the address that is listened on. Only the authority's certificate is written,
for clients to trust. Keys are never kept: the authority's lives in memory alone, and the server's
is in a file of its owner's for the moment in which OpenSSL reads it.
"""

import argparse
import ssl
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from bench.errors import BenchError, UsageError
from bench.reference.profile import PCM_RATES, load_profile
from bench.reference.server_process import ListenAddress, serve
from bench.voice.audio import AudioFormat

NAMES: Final = ("localhost", "127.0.0.1", "::1")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server. Gives the exit code: 0 ended as asked, 2 could not start."""
    asked = _parser().parse_args(argv)
    try:
        with _tls(asked) as context:
            profile = load_profile(asked.profile)
            summary = serve(
                profile if asked.seed is None else replace(profile, seed=asked.seed),
                asked.corpus,
                ListenAddress(asked.host, asked.port, context),
                truth=asked.truth,
                summary=asked.summary,
                formats=asked.format,
                on_ready=_say_ready,
            )
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stderr.write(f"{summary.line}\n")
    return 0


@contextmanager
def _tls(asked: argparse.Namespace) -> Iterator[ssl.SSLContext | None]:
    """Yield the TLS context, None for plain. A certificate file that nobody named is removed."""
    if not asked.tls and asked.tls_cert is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = asked.tls_cert or Path(folder) / "certificate.pem"
        context = _tls_context(path, asked.host)
        sys.stderr.write(
            f"certificate {path}; clients trust it with SSL_CERT_FILE={path} (Python, OpenSSL), "
            f"NODE_EXTRA_CA_CERTS={path} (Node), or --cacert (curl)\n"
        )
        sys.stderr.flush()
        yield context


def _tls_context(path: Path, host: str) -> ssl.SSLContext:
    """Make a certificate; write what clients must trust to `path`. UsageError if that fails."""
    import trustme  # noqa: PLC0415 - for TLS alone

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


def _say_ready(url: str) -> None:
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.reference",
        description="A realtime voice server whose truth is known.",
        epilog="Example: python -m bench.reference --port 8765 --truth truth.jsonl",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (loopback)")
    parser.add_argument("--port", type=_port, default=0, help="0 picks one (default)")
    parser.add_argument("--profile", type=Path, help="TOML file; default: the shipped one")
    parser.add_argument("--corpus", default="everyday", help="name or folder (everyday)")
    parser.add_argument("--truth", type=Path, help="write every event sent, as JSON lines")
    parser.add_argument("--summary", type=Path, help="write the server's own load, as JSON")
    parser.add_argument(
        "--format",
        type=_format,
        action="append",
        default=[],
        help="make this format ready: audio/pcm:RATE, audio/pcmu or audio/pcma (repeatable)",
    )
    parser.add_argument("--seed", type=int, help="of its draws, in place of the profile's")
    parser.add_argument("--tls", action="store_true", help="wss://, by a certificate made here")
    parser.add_argument(
        "--tls-cert", type=Path, help="write what clients must trust here (a temporary file)"
    )
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("a port is from 0 to 65535")
    return port


def _format(text: str) -> AudioFormat:
    kind, _, rate = text.partition(":")
    if kind in {"audio/pcmu", "audio/pcma"} and rate in {"", "8000"}:
        return AudioFormat(kind, 8_000)
    if kind == "audio/pcm" and rate in {"", *map(str, PCM_RATES)}:
        return AudioFormat(kind, int(rate or 24_000))
    rates = ", ".join(map(str, PCM_RATES))
    raise argparse.ArgumentTypeError(
        f"{text!r} is no format; write audio/pcmu, audio/pcma or audio/pcm:RATE with one of {rates}"
    )


if __name__ == "__main__":
    sys.exit(main())
