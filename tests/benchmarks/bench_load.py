"""What the load path costs, as a ratio to a bare loop doing the same work on the wire.

Both halves run in processes of their own against the same feeder: `SESSIONS` connections, each
receiving a 100 ms audio delta and sending a 100 ms append ten times a second. *Bare* is plain
epoll: socket read with kernel stamp, websockets sans-I/O parse, msgspec decode; encode, frame,
send; no log, no conversation. *Load* is what a worker does: loop, wire, session, conversation,
rows with the level of the audio, log.

`python -m tests.benchmarks.bench_load bare|load PORT SECONDS SESSIONS` runs one half and prints
JSON.
"""

import heapq
import json
import os
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time
from array import array
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import monotonic_ns

import gevent
import psutil
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.uri import parse_uri

from bench.load.addresses import Address
from bench.load.health import Watch
from bench.load.levels import Levels
from bench.load.loop import Loop
from bench.load.session import Session, Start
from bench.load.wire import Wire
from bench.protocol.client import InputAudioBufferAppend
from bench.protocol.codec import decode_server, encode
from bench.protocol.objects import Session as SessionObject
from bench.runs.log import Log, read_log
from bench.runs.rows import Row
from bench.voice.caller_config import CallerConfig
from bench.voice.conversation import Conversation
from bench.voice.microphone import record
from bench.voice.scripts import Pause

SESSIONS = 100
SO_TIMESTAMPNS = 35
WARMUP_S = 2.0
CHUNK_NS = 100_000_000
PATIENCE_S = 15
"""A half that is far beyond what it can carry may take for ever to come to its end."""


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def connect(port, sessions):
    """So many bare connections, each mid-upgrade, in an epoll set with their first deadlines."""
    epoll, links, heap = select.epoll(), {}, []
    for n in range(sessions):
        link = socket.create_connection(("127.0.0.1", port))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/v1/realtime"))
        protocol.send_request(protocol.connect())
        for data in protocol.data_to_send():
            link.sendall(data)
        link.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        links[link.fileno()] = (link, protocol)
        epoll.register(link.fileno(), select.EPOLLIN)
        heapq.heappush(heap, (monotonic_ns() + n * CHUNK_NS // sessions, link.fileno()))
        time.sleep(0.001)
    return epoll, links, heap


def receive(link, protocol):
    data, _stamp, _, _ = link.recvmsg(262144, 64)
    protocol.receive_data(data)
    messages = 0
    for event in protocol.events_received():
        if getattr(event, "opcode", None) == Opcode.TEXT:
            decode_server(event.data)
            messages += 1
    return messages


def send(link, protocol, chunk):
    if protocol.state.name != "OPEN":
        return 0
    protocol.send_text(encode(InputAudioBufferAppend(audio=chunk)))
    for data in protocol.data_to_send():
        link.send(data)
    return 1


def bare(port, seconds, sessions):
    """Plain epoll."""
    chunk = b"\x00" * 4800
    epoll, links, heap = connect(port, sessions)
    measuring = monotonic_ns() + int(WARMUP_S * 1e9)
    begun, before, received, sent = False, 0.0, 0, 0
    late = array("q")
    while (now := monotonic_ns()) < measuring + int(seconds * 1e9):
        if not begun and now >= measuring:
            begun, before, received, sent = True, cpu(), 0, 0
            late = array("q")
        for fd, _ in epoll.poll(max(0, heap[0][0] - monotonic_ns()) / 1e9):
            received += receive(*links[fd])
        now = monotonic_ns()
        while heap[0][0] <= now:
            due, fd = heapq.heappop(heap)
            sent += send(*links[fd], chunk)
            late.append(monotonic_ns() - due)
            heapq.heappush(heap, (due + CHUNK_NS, fd))
    used, late = cpu() - before, sorted(late)
    p99 = late[len(late) * 99 // 100] / 1e6
    return {"received": received, "sent": sent, "cpu": used, "late_p99_ms": p99}


class Tally:
    def turn(self, *_):
        pass

    def ended(self, *_):
        pass


def listen():
    yield Pause(10**15)


def load(port, seconds, sessions):
    """A worker's whole load path."""
    address = Address(socket.AF_INET, ("127.0.0.1", port), "localhost", secure=False)
    path = Path(tempfile.mkdtemp()) / "worker-0.log"
    log = Log(path)
    levels = Levels(log)
    loop = Loop(lambda _lag: log.flush())
    begun_at = monotonic_ns() + sessions * 1_000_000
    for n in range(sessions):
        wire = Wire(address, f"ws://127.0.0.1:{port}/v1/realtime", [], None)
        asked = SessionObject(type="realtime")
        talk = Conversation(listen(), asked, lambda u, _: record(u, CHUNK_NS), CallerConfig())
        start = Start(n, monotonic_ns(), 0, "listen", 0, n)
        loop.add(Session(start, wire, talk, log, levels, Watch(), Tally(), lambda: None))
        if n % 10 == 9:  # a busy loop takes its time over every sleep
            gevent.sleep(0.01)
    gevent.sleep(max(0.0, WARMUP_S - (monotonic_ns() - begun_at) / 1e9))
    before, since = cpu(), monotonic_ns()
    gevent.sleep(seconds)
    used, until = cpu() - before, monotonic_ns()
    loop.stop()
    log.close()
    return {"cpu": used, **pacing(path, since, until)}


def pacing(path, since, until):
    """What the log says of the measured span: counts, lateness of sends, drift of the clock."""
    rows = [row for row in read_log(path) if isinstance(row, Row)]
    opened = {row.session: row.at_ns for row in rows if row.type == "bench.microphone"}
    inside = [row for row in rows if since <= row.at_ns < until]
    sends = [row for row in inside if row.type == "input_audio_buffer.append"]
    late = sorted(row.at_ns - row.due_ns for row in sends)
    # Drift: how much later the last chunk of a session left than its first one did.
    behind, first = {}, {}
    for row in sends:
        behind[row.session] = row.at_ns - opened[row.session] - row.media_ns - CHUNK_NS
        first.setdefault(row.session, behind[row.session])
    drift = [behind[session] - first[session] for session in behind]
    return {
        "received": sum(row.direction == "in" for row in inside),
        "sent": len(sends),
        "late_p50_ms": late[len(late) // 2] / 1e6,
        "late_p99_ms": late[len(late) * 99 // 100] / 1e6,
        "drift_ms": median(drift) / 1e6,
    }


def half(name, port, seconds, sessions=SESSIONS):
    """One half in a process of its own; what it tells."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_load", name]
    command += [str(port), str(seconds), str(sessions)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=PATIENCE_S + 2 * seconds
    )
    return json.loads(done.stdout)


def memory(sessions=SESSIONS):
    """Peak memory of the one worker of a real run with so many sessions, in MiB."""
    with tempfile.TemporaryDirectory() as place:
        command = [
            sys.executable, "-m", "bench", "run", "scenarios/demo.toml",
            "--sessions", str(sessions),
            "--duration", "20s", "--set", "load.drain=2s", "--out", f"{place}/run",
        ]  # fmt: skip
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peak = 0
        while run.poll() is None:
            for child in psutil.Process(run.pid).children(recursive=True):
                try:
                    if "--worker" in child.cmdline():
                        status = Path(f"/proc/{child.pid}/status").read_text()
                        line = next(line for line in status.splitlines() if "VmHWM" in line)
                        peak = max(peak, int(line.split()[1]))
                except (psutil.Error, OSError, StopIteration):
                    continue
            time.sleep(0.5)
    return peak / 1024


@contextmanager
def feeding():
    """(port, process id) of a feeder, on the first core; the halves have the last."""
    feeder = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.feeder"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        os.sched_setaffinity(feeder.pid, {min(os.sched_getaffinity(0))})
        yield int(feeder.stdout.readline()), feeder.pid
    finally:
        feeder.stdin.close()
        feeder.wait(5)


def benchmark(*, repeats=3, seconds=8, drift_seconds=60):
    """Rows of (what, measured, bound, holds)."""
    with feeding() as (port, _):
        pairs = []
        for _ in range(repeats):
            costs = {}
            for name in ("bare", "load"):
                told = half(name, port, seconds)
                costs[name] = told["cpu"] / ((told["received"] + told["sent"]) / 2) * 1e6
            pairs.append(costs)
        ratio = median(pair["load"] / pair["bare"] for pair in pairs)
        shown = ", ".join(f"{pair['load']:.0f}/{pair['bare']:.0f}" for pair in pairs)
        long = half("load", port, drift_seconds)
    peak, allowed = memory(), 200 + SESSIONS * 150 / 1024
    return [
        (f"CPU of delta and append, load / bare, {SESSIONS} sessions (µs: {shown})",
         ratio, 1.5, ratio <= 1.5),
        (f"send lateness p99 in ms, {SESSIONS} sessions, {drift_seconds} s",
         long["late_p99_ms"], 5.0, long["late_p99_ms"] < 5.0),
        (f"drift of the audio clock in ms over {drift_seconds} s",
         long["drift_ms"], 1.0, abs(long["drift_ms"]) <= 1.0),
        (f"peak memory of a worker in MiB, {SESSIONS} sessions", peak, allowed, peak < allowed),
    ]  # fmt: skip


if __name__ == "__main__":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    name, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    path = {"bare": bare, "load": load}[name]
    sys.stdout.write(json.dumps(path(port, seconds, int(sys.argv[4]))))
