"""The reference server as a process: one thread, one loop, any number of sessions.

Theory of operation
-------------------
`serve` prepares everything that may take time (corpus, formats), listens, says where, and runs
until a signal. Two clocks tick beside the sessions: a probe of absolute
deadlines every 20 ms, whose lateness is the loop's lag, and once a second the truth log is
written and CPU is read.

A browser, which can set no header, names the protocol `realtime` and its key as subprotocols: the
first is chosen, the second counts as a credential. Of others that a client offers none is chosen,
and the session goes on without: so it is for OpenAI, as far as is known. HTTP that asks for no
WebSocket is answered by `bench.reference.plain_http`: a scrape of `/metrics` with the server's load
at that instant (`bench.reference.server_load`).

It listens on loopback unless told otherwise, compresses nothing (a codec inside a codec costs CPU
and hides sizes), and sends no pings of its own.
"""

import asyncio
import gc
import signal
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic_ns, process_time_ns, time
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import msgspec
from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as websocket_server
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from bench.corpus.decode import load_utterances
from bench.corpus.manifest import find_corpus, load_corpus
from bench.errors import UsageError
from bench.reference.admission import INWORLD_PATH, SUBPROTOCOL, Admitted, Refused, admit
from bench.reference.connection import Connection, SoundMaker
from bench.reference.plain_http import HttpConnection
from bench.reference.profile import Profile
from bench.reference.served_session import ServedSession
from bench.reference.server_load import ServerLoad, Summary, metrics_text
from bench.reference.server_state import ServerState
from bench.reference.truth_log import RefusedUpgrade, TruthLog
from bench.reference.voices import Sound, Voices
from bench.voice.audio import AudioFormat

# 15 MiB of audio, the API's limit for an append, in base64, with room for the JSON around it.
MOST_RECEIVED: Final = 15 * 2**20 * 4 // 3 + 2**16

_PROBE_S: Final = 0.02
_TICK_S: Final = 1.0
_GOODBYE_S: Final = 0.4


class ReferenceServer:
    """The server: it admits connections, runs their sessions and measures itself."""

    def __init__(self, profile: Profile, voices: Voices, truth: TruthLog) -> None:
        self._profile = profile
        self._voices = voices
        self._truth = truth
        self._sounds = SoundMaker(voices)
        self._state = ServerState(profile)
        self._capacity = self._state.capacity
        self._admitted: WeakKeyDictionary[ServerConnection, Admitted] = WeakKeyDictionary()
        self._upgrades = 0
        self.load = ServerLoad()
        self.metrics = metrics_text(self._capacity, self.load, monotonic_ns)

    def upgrade(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let an upgrade go on (None), or answer it with a refusal."""
        number, self._upgrades = self._upgrades, self._upgrades + 1
        verdict = admit(
            request.path,
            request.headers.get("Authorization"),
            self._profile,
            offered=_subprotocols(request),
            number=number,
            open_sessions=self._capacity.open_sessions,
        )
        if isinstance(verdict, Refused):
            self.load.refused += 1
            self._truth.note(RefusedUpgrade(number, monotonic_ns(), verdict.status))
            return connection.respond(verdict.status, f"{verdict.text}\n")
        self._admitted[connection] = verdict
        return None

    async def session(self, socket: ServerConnection) -> None:
        """One session from upgrade to end."""
        self._capacity.enter()
        self.load.sessions += 1
        self.load.peak_sessions = max(self.load.peak_sessions, self._capacity.open_sessions)
        try:
            admitted = self._admitted.pop(socket)
            session = ServedSession(
                self._profile, self._voices, admitted, self._state, opened_s=int(time())
            )
            connection = Connection(socket, session, admitted, self._truth, self.load)
            await connection.run(self._sounds)
        finally:
            self._capacity.leave()

    def close(self) -> None:
        """Begin nothing new."""
        self._sounds.close()

    async def probe(self) -> None:
        """Fire at absolute deadlines and note how late."""
        loop = asyncio.get_running_loop()
        deadline = loop.time()
        while True:
            # After a stall the missed deadlines are one lag, not many.
            deadline = max(deadline + _PROBE_S, loop.time())
            await asyncio.sleep(deadline - loop.time())
            lag_ns = round((loop.time() - deadline) * 1e9)
            self.load.lagged(lag_ns, open_sessions=self._capacity.open_sessions)

    async def tick(self) -> None:
        """Write the log and read the CPU clock, once a second."""
        wall, cpu = monotonic_ns(), process_time_ns()
        while True:
            await asyncio.sleep(_TICK_S)
            wall_now, cpu_now = monotonic_ns(), process_time_ns()
            opened = self._capacity.open_sessions
            self.load.watch(cpu_now - cpu, wall_now - wall, open_sessions=opened)
            wall, cpu = wall_now, cpu_now
            self._truth.flush()


class ListenAddress(NamedTuple):
    """Where to listen; port 0 picks one. With `tls` nothing else is spoken."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None


def serve(
    profile: Profile,
    corpus: str,
    address: ListenAddress,
    *,
    truth: Path | None = None,
    summary: Path | None = None,
    formats: Sequence[AudioFormat] = (),
    on_ready: Callable[[str], None],
) -> Summary:
    """Serve until SIGINT or SIGTERM.

    `corpus` is a name or a folder; `on_ready` is told the URL of the Inworld path once sessions
    are welcome. `truth` and `summary` are files to write. `formats` are made ready beside the
    profile's rates. UsageError if the corpus, a file or the port cannot be had; nothing was started
    then.
    """
    voices = prepare(profile, corpus, formats)
    log = TruthLog(truth)
    if summary is not None:
        _write(summary, b"")
    try:
        result = asyncio.run(listen(profile, voices, log, address, on_ready))
    finally:
        log.close()
    if summary is not None:
        _write(summary, msgspec.json.encode(result) + b"\n")
    return result


def prepare(profile: Profile, corpus: str, formats: Sequence[AudioFormat] = ()) -> Voices:
    """Load the voices of a corpus in the profile's rates and `formats`."""
    found = load_corpus(find_corpus(corpus))
    voices = Voices(lambda fmt: load_utterances(found, found.entries, fmt))
    for fmt in (*(AudioFormat("audio/pcm", rate) for rate in profile.rates), *formats):
        voices.make(Sound(fmt))
    # What is here now stays: the collector need never look at it again.
    gc.collect()
    gc.freeze()
    return voices


async def listen(
    profile: Profile,
    voices: Voices,
    truth: TruthLog,
    address: ListenAddress,
    on_ready: Callable[[str], None],
) -> Summary:
    """Serve on the running loop until it is told to stop, see `serve`."""
    host, port, tls = address
    reference = ReferenceServer(profile, voices, truth)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        server = await websocket_server(
            reference.session,
            host,
            port,
            process_request=reference.upgrade,
            create_connection=HttpConnection.with_metrics(reference.metrics),
            select_subprotocol=_chosen,
            ssl=tls,
            compression=None,
            ping_interval=None,
            max_size=MOST_RECEIVED,
            close_timeout=_GOODBYE_S,
        )
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; "
            "choose another with --port, or 0 for any"
        ) from None
    beside = [loop.create_task(reference.probe()), loop.create_task(reference.tick())]
    bound = server.sockets[0].getsockname()
    name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    scheme = "ws" if tls is None else "wss"
    on_ready(f"{scheme}://{name}:{bound[1]}{INWORLD_PATH}")
    await stop.wait()
    for task in beside:
        task.cancel()
    reference.close()
    await _say_goodbye(server)
    return reference.load.summary()


def _subprotocols(request: Request) -> list[str]:
    """The subprotocols that the client offers, in its order."""
    headers = request.headers.get_all("Sec-WebSocket-Protocol")
    return [name.strip() for header in headers for name in header.split(",")]


def _chosen(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Choose the subprotocol of a session; None where none that is offered is known."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


async def _say_goodbye(server: Server) -> None:
    """Close every session with 1001; drop those that do not answer in time."""
    connections = list(server.connections)
    server.close()
    try:
        await asyncio.wait_for(server.wait_closed(), _GOODBYE_S)
    except TimeoutError:
        for connection in connections:
            connection.transport.abort()


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path}: cannot write: {error.strerror or error}") from None
