"""The processes of a run, reference server, Locust master and workers, and the cores they have.

They are started in a session of their own, so that Ctrl-C in the terminal reaches `bench run`
alone, which then ends them in order; `bench.runs.child_process` sees to it that nothing is left
behind even when `bench run` is killed.

A worker that shares its core with the server under test waits for it, and that wait looks like
either's slowness. Pinned (`--pin`), every worker has a core of its own, and everything else
(embedded server, Locust's master, this program) has the rest.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any, NamedTuple

import msgspec

import bench
from bench.cli.verbs import ServeOptions
from bench.errors import BenchError, UsageError
from bench.load.locust_process import (
    CUT,
    FINISH,
    PROCESS_VARIABLE,
    PROGRESS_VARIABLE,
    RUN_VARIABLE,
)
from bench.runs import child_process
from bench.runs.folder import RunFolder
from bench.voice.audio import AudioFormat

READY_TIMEOUT_S = 60.0
_MASTER_PORTS = (12_000, 29_999)
_PORT_TRIES = 20
STOP_TIMEOUT_S = 5.0


class Cores(NamedTuple):
    """`workers` have a core each, in order; `rest` is for all others."""

    workers: tuple[int, ...]
    rest: tuple[int, ...]


def share_out(workers: int) -> Cores:
    """A core for each worker: the last ones that this process may use.

    UsageError where none would be left for the rest, or the system has no such thing.
    """
    if not hasattr(os, "sched_getaffinity"):
        raise UsageError("--pin: this system pins no process to a core; leave it out")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) <= workers:
        raise UsageError(
            f"--pin: {workers} workers and the rest need {workers + 1} cores, there are "
            f"{len(cores)}; use fewer --workers, or leave it out"
        )
    return Cores(tuple(cores[-workers:]), tuple(cores[:-workers]))


@contextmanager
def confined(cores: Cores | None) -> Iterator[None]:
    """Keep this process, and whatever it starts, off the workers' cores."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores.rest)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Reference:
    """The embedded reference server in its own process. `url` is where it listens.

    With `truth` every event that it sends is in the truth log of `folder`. `seed`, where it is
    given, takes the place of the profile's.
    """

    def __init__(
        self,
        folder: RunFolder,
        corpus: str,
        profile: str,
        formats: Iterable[AudioFormat],
        *,
        truth: bool = True,
        seed: int | None = None,
    ) -> None:
        command = child_process.command("bench.reference", "--port", "0", "--corpus", corpus)
        # Absolute: a folder may be called "-", and would be taken for an option.
        command += ["--truth", str(folder.truth.absolute())] if truth else []
        command += ["--summary", str(folder.reference.absolute())]
        command += ["--profile", profile] if profile else []
        command += [] if seed is None else ["--seed", str(seed)]
        for fmt in sorted(formats):
            command += ["--format", f"{fmt.type}:{fmt.rate}"]
        self._folder = folder
        with (folder.logs / "reference.txt").open("wb") as talk:
            self._process = subprocess.Popen(  # noqa: S603 - this program's own module
                command, stdout=subprocess.PIPE, stderr=talk, start_new_session=True
            )
        try:
            self.url = self._read_url()
        except BaseException:  # Ctrl-C, too
            self._process.kill()
            self._process.wait()
            raise

    def _read_url(self) -> str:
        output = self._process.stdout
        assert output is not None  # noqa: S101 - it was asked for
        ready, _, _ = select.select([output], [], [], READY_TIMEOUT_S)
        words = output.readline().decode().split() if ready else []
        if words[:1] == ["ready"]:
            return words[1]
        self.stop()
        said = _last_line(self._folder, "reference")
        error = BenchError(said or "the reference server did not start")
        error.exit_code = 2 if self._process.returncode == 2 else 3
        raise error

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def number(self) -> int:
        """Its process id."""
        return self._process.pid

    def stop(self) -> dict[str, Any] | None:
        """End it; returns what it says about its own load, None where it said nothing."""
        _end(self._process)
        if self._process.stdout is not None:
            self._process.stdout.close()
        try:
            told = msgspec.json.decode(self._folder.reference.read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        return told if isinstance(told, dict) else None


class LocustProcesses:
    """Locust: one master and its workers, pinned where there are `cores`."""

    def __init__(
        self,
        folder: RunFolder,
        users: int,
        workers: int,
        web_port: int | None,
        cores: Cores | None = None,
    ) -> None:
        self._folder = folder
        self._killed = False
        self._reader, writer = os.pipe()
        for end in (self._reader, writer):
            os.set_blocking(end, False)  # nobody waits for whoever does not read
        self._unread = b""
        port = _free_port()
        view = ["--headless"]
        if web_port is not None:
            view = ["--autostart", "--autoquit", "0", "--web-host", "127.0.0.1"]
            view += ["--web-port", str(web_port)]
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("LOCUST_")},
            RUN_VARIABLE: str(folder.path.resolve()),
            PROGRESS_VARIABLE: str(writer),
        }
        asked = ["--master", *view, "-u", str(users), "-r", str(users)]
        asked += ["--expect-workers", str(workers), "--expect-workers-max-wait", "60"]
        asked += ["--master-bind-host", "127.0.0.1", "--master-bind-port", str(port)]
        self.master = self._start("master", asked, environment, (writer,))
        os.close(writer)
        joining = ["--worker", "--master-host", "127.0.0.1", "--master-port", str(port)]
        del environment[PROGRESS_VARIABLE]
        self.workers = [
            self._start(f"locust-{n}", joining, {**environment, PROCESS_VARIABLE: str(n)}, ())
            for n in range(workers)
        ]
        for core, worker in zip(cores.workers if cores else (), self.workers, strict=False):
            os.sched_setaffinity(worker.pid, (core,))  # before it has a thread to leave behind

    @property
    def numbers(self) -> list[int]:
        """Process ids."""
        return [process.pid for process in (self.master, *self.workers)]

    def cores(self) -> list[list[int]]:
        """The cores that each worker process may use; nothing where the system does not tell."""
        if not hasattr(os, "sched_getaffinity"):
            return []
        found = []
        for process in self.workers:
            try:
                found.append(sorted(os.sched_getaffinity(process.pid)))
            except OSError:
                found.append([])  # it has ended
        return found

    def _start(
        self, name: str, asked: list[str], environment: dict[str, str], descriptors: tuple[int, ...]
    ) -> subprocess.Popen[bytes]:
        locustfile = Path(bench.__file__).parent / "load" / "locustfile.py"
        place = ("-f", str(locustfile))
        command = child_process.command("bench.load.locust_process", *place, *asked)
        # Until the master listens for them, the signals that ask for an end must not kill it.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (FINISH, CUT)}
        try:
            with (self._folder.logs / f"{name}.txt").open("wb") as output:
                return subprocess.Popen(  # noqa: S603 - this program's own locustfile
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=environment,
                    pass_fds=descriptors,
                    start_new_session=True,
                )
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def progress(self) -> dict[str, Any] | None:
        """The newest progress line of the master, None where there is none."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._reader, 1 << 16):
                self._unread += data
        *lines, self._unread = self._unread.split(b"\n")
        with contextlib.suppress(msgspec.DecodeError):  # a line that found no room is torn
            return msgspec.json.decode(lines[-1]) if lines else None
        return None

    def lost(self) -> dict[int, int]:
        """Workers that have ended, and how."""
        ended = {index: process.poll() for index, process in enumerate(self.workers)}
        return {index: code for index, code in ended.items() if code is not None}

    def finish(self, *, at_once: bool = False) -> None:
        """Ask for a drain and an end; `at_once`: sessions are cut."""
        if self.master.poll() is None:
            self.master.send_signal(CUT if at_once else FINISH)

    def master_lost(self) -> str:
        """The signal by which somebody else ended the master; "" where nobody did."""
        code = self.master.poll()
        return "" if self._killed or code is None or code >= 0 else signal.Signals(-code).name

    def kill(self) -> None:
        """End everything now."""
        self._killed = True
        for process in (self.master, *self.workers):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def close(self) -> None:
        """See every process out: it is asked to end first, and made to after a while."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in (self.master, *self.workers):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            _end(process)
        os.close(self._reader)

    def last_words(self, name: str = "master") -> str:
        """The last line that this process printed: why it did not run."""
        return _last_line(self._folder, name) or "nothing was said"


def _last_line(folder: RunFolder, name: str) -> str:
    """The last line of what a process printed; "" where it printed nothing."""
    said = (folder.logs / f"{name}.txt").read_text("utf-8", "replace").strip()
    return said.splitlines()[-1] if said else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    """A port for Locust's master, below those that outgoing connections are given by the system.

    Such a one could be taken between here and the master.
    """
    chance = SystemRandom()
    for port in (*(chance.randint(*_MASTER_PORTS) for _ in range(_PORT_TRIES)), 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise BenchError("no port is free on 127.0.0.1 for Locust's master; end what listens there")


def need_port(host: str, port: int, option: str) -> None:
    """UsageError where nothing can listen there; `option` says which other port to take."""
    try:
        for family, _, _, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
                probe.bind(where)
                probe.listen()
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; give another with "
            f"{option}"
        ) from None


def serve_verb(options: ServeOptions) -> int:
    """Run the reference server in this process, until it is told to end."""
    from bench.reference.__main__ import main as serve  # noqa: PLC0415 - needs its corpus at once

    if options.port:
        need_port(options.host, options.port, "--port")  # before seconds go by with the corpus
    asked = ["--tls"] if options.tls else []
    for name, value in options._asdict().items():
        if name != "tls" and value is not None:
            asked += [f"--{name.replace('_', '-')}", str(value)]
    return serve(asked)
