"""Real sessions on real sockets against servers that behave, misbehave, and refuse to."""

import contextlib
import http
import json
import select
import socket
import ssl
import struct
import subprocess
import threading
import time
from time import monotonic_ns

import gevent
import pytest
from gevent.event import Event
from websockets.exceptions import NegotiationError
from websockets.server import ServerProtocol
from websockets.sync.server import serve

from bench.load import session as session_module
from bench.load.addresses import Address
from bench.load.happenings import Ended, Text
from bench.load.health import Watch
from bench.load.levels import Levels
from bench.load.loop import Loop
from bench.load.session import Session, Start
from bench.load.wire import Wire
from bench.protocol import server
from bench.protocol.codec import encode
from bench.protocol.objects import Session as SessionObject
from bench.protocol.upgrade import MOST_HOPS, Offer
from bench.runs.log import Log, read_log
from bench.voice import session_setup
from bench.voice.audio import PCM16_24K, ms
from bench.voice.caller_config import CallerConfig
from bench.voice.conversation import Conversation
from bench.voice.microphone import record
from bench.voice.outbox import Outgoing
from bench.voice.scripts import Part, turn_taking
from bench.voice.utterance import Utterance
from tests.world import Tally

pytestmark = pytest.mark.live

GREETING = encode(server.SessionCreated(session=SessionObject(type="realtime"))).decode()
UPDATED = encode(server.SessionUpdated(session=SessionObject(type="realtime"))).decode()
LINE = Utterance("u", b"\x01\x00" * 4800, PCM16_24K, 0, ms(200), "hello")


def hold(
    port, tmp_path, *, context=None, seconds=6.0, part=None, config=None, offer=Offer(),
    path="/v1/realtime",
):  # fmt: skip
    """Hold one session to its end (or for so long); returns its rows."""
    config = config or CallerConfig(answer_timeout_ns=ms(500))
    address = Address(socket.AF_INET, ("127.0.0.1", port), "localhost", context is not None)
    scheme = "wss" if context else "ws"
    url = f"{scheme}://localhost:{port}{path}"
    wire = Wire(address, url, [("X-Bench", "1")], context, offer)
    talk = Conversation(
        turn_taking(part or Part((LINE,))),
        SessionObject(type="realtime"),
        lambda said, _: record(said, config.chunk_ns),
        config,
    )
    log = Log(tmp_path / "worker-0.log")
    loop = Loop(lambda _lag: log.flush())
    over = Event()
    start = Start(7, monotonic_ns(), 0, "turn_taking", 1, 7)
    session = Session(start, wire, talk, log, Levels(log), Watch(), Tally(), over.set)
    loop.add(session)
    assert over.wait(seconds), "the session did not end"
    loop.stop()
    log.close()
    return list(read_log(tmp_path / "worker-0.log"))


def outcome(rows):
    ends = [row for row in rows if row.type == "bench.end"]
    assert len(ends) == 1
    assert rows[-1].type == "bench.end"
    return json.loads(ends[0].detail)


@contextlib.contextmanager
def served(handler, **options):
    """A websockets server in a thread."""
    with serve(handler, "127.0.0.1", 0, **options) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running.socket.getsockname()[1]
        running.shutdown()
        thread.join(5)


@contextlib.contextmanager
def raw(handler):
    """A TCP server of one connection in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                handler(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(8)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 429, 500])
def test_a_refused_upgrade_is_an_outcome_with_its_status_and_its_words(status, tmp_path):
    def refuse(connection, _request):
        return connection.respond(http.HTTPStatus(status), "no room here\n")

    with served(lambda _: None, process_request=refuse) as port:
        told = outcome(hold(port, tmp_path))
    assert told["outcome"] == "refused"
    where = " at /v1/realtime" if status == 404 else ""
    assert told["reason"] == f"HTTP {status}{where}: no room here"


def test_nothing_listening_is_unreachable(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    told = outcome(hold(port, tmp_path))
    assert told["outcome"] == "unreachable"
    assert "refused" in told["reason"].lower()


def test_a_server_that_never_answers_the_upgrade_lets_its_callers_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(session_module, "CONNECT_TIMEOUT_NS", ms(400))
    with raw(lambda connection: connection.recv(1) and time.sleep(1.5)) as port:
        told = outcome(hold(port, tmp_path))
    assert told["outcome"] == "timeout"
    assert told["reason"].startswith("no WebSocket upgrade within")


def test_a_server_that_is_no_websocket_refuses(tmp_path):
    def speak_nonsense(connection):
        connection.recv(4096)
        connection.sendall(b"220 mail.example ready\r\n\r\n")
        time.sleep(0.3)

    with raw(speak_nonsense) as port:
        assert outcome(hold(port, tmp_path))["outcome"] == "refused"


def test_a_server_that_says_nothing_is_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(session_setup, "GREETING_TIMEOUT_NS", ms(400))
    with served(lambda connection: connection.recv() and connection.recv(timeout=3)) as port:
        assert outcome(hold(port, tmp_path))["outcome"] == "silent"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('{"type":"response.output_audio.del', "malformed"),
        ("[1, 2, 3]", "malformed"),
        (b"\x00\x01\x02", "binary"),
        ('{"type":"x","padding":"' + "x" * 20_000_000 + '"}', "too_big"),
    ],
    ids=["half-json", "no-object", "binary-frame", "20-MB"],
)
def test_what_is_no_message_ends_the_session_by_name(message, expected, tmp_path):
    def handler(connection):
        connection.send(GREETING)
        with contextlib.suppress(Exception):
            connection.send(message)
            connection.recv(timeout=3)
            connection.recv(timeout=3)

    with served(handler) as port:
        assert outcome(hold(port, tmp_path))["outcome"] == expected


def test_a_server_that_closes_at_once_is_closed_with_its_code(tmp_path):
    with served(lambda connection: connection.close(1013, "try later")) as port:
        told = outcome(hold(port, tmp_path))
    assert (told["outcome"], told["close_code"], told["reason"]) == ("closed", 1013, "try later")


def test_a_connection_that_drops_in_mid_session_is_broken(tmp_path):
    def handler(connection):
        connection.send(GREETING)
        connection.recv()
        connection.send(UPDATED)
        connection.recv()
        connection.socket.shutdown(socket.SHUT_RDWR)

    with served(handler) as port:
        assert outcome(hold(port, tmp_path))["outcome"] == "broken"


def test_a_reset_that_a_send_meets_first_is_broken_and_no_failure_of_this_program():
    def reset(connection):
        shake_hands(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with raw(reset) as port:
        address = Address(socket.AF_INET, ("127.0.0.1", port), "localhost", secure=False)
        wire = Wire(address, f"ws://localhost:{port}/", [], None)
        wire.start()
        while wire._protocol.state.name != "OPEN":
            gevent.sleep(0.001)
            wire._connected() if wire._stage == "connecting" else wire._read()
        arrival = select.poll()
        arrival.register(wire._socket, select.POLLHUP)
        assert arrival.poll(8000)  # the reset has arrived, and nobody has read it
        happened = [h for _ in range(3) for h in wire.send(Outgoing(b"{}", "x", 0))]
        wire.shut()
    assert [h.outcome for h in happened if isinstance(h, Ended)] == ["broken"]


def converse(connection):
    connection.send(GREETING)
    connection.recv()
    connection.send(UPDATED)
    with contextlib.suppress(Exception):
        while True:
            connection.recv(timeout=5)


def test_unknown_types_fields_pings_and_untyped_frames_break_nothing_and_are_recorded(tmp_path):
    def handler(connection):
        connection.send(GREETING.replace('"session":', '"novelty":1,"session":'))
        connection.send('{"type":"brand.new.event","event_id":"e1"}')
        connection.send('{"errorType":"SESSION_NOTICE"}')
        connection.send('{"type":"ping","timestamp":12}')
        connection.ping("are you there")
        converse(connection)

    with served(handler) as port:
        rows = hold(port, tmp_path)
    types = [row.type for row in rows]
    assert outcome(rows)["outcome"] == "finished"
    assert "brand.new.event" in types
    assert "errorType:SESSION_NOTICE" in types
    assert "ping" in types
    assert [row.detail for row in rows if row.type == "bench.unknown_fields"] == [
        '{"type":"session.created","fields":["novelty"]}'
    ]


def test_a_failure_of_this_program_ends_its_session_alone_and_is_kept(tmp_path, monkeypatch, capfd):
    """A bug must neither hang the worker nor pass for a slow server."""

    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Session, "_record", fail)
    with served(converse) as port:
        told = outcome(hold(port, tmp_path))
    assert told["outcome"] == "crashed"
    said = capfd.readouterr().err
    assert "Traceback" in said
    assert "RuntimeError: a bug" in said


def test_the_whole_session_is_recorded_stamped_in_order_and_paced(tmp_path):
    with served(converse) as port:
        rows = hold(port, tmp_path)
    assert outcome(rows)["outcome"] == "finished"
    appends = [row for row in rows if row.type == "input_audio_buffer.append"]
    assert [row.media_ns for row in appends] == [ms(100) * n for n in range(len(appends))]
    assert all(row.at_ns >= row.due_ns for row in appends)  # never before it could be captured
    arrivals = [row for row in rows if row.direction == "in"]
    assert all(row.at_ns <= row.read_ns for row in arrivals)
    assert {row.session for row in rows} == {7}


def test_a_fragmented_message_is_put_together(tmp_path):
    def handler(connection):
        half = len(GREETING) // 2
        connection.send([GREETING[:half], GREETING[half:]])
        connection.recv()
        connection.send(UPDATED)
        with contextlib.suppress(Exception):
            while True:
                connection.recv(timeout=5)

    with served(handler) as port:
        assert outcome(hold(port, tmp_path))["outcome"] == "finished"


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "fragments"])
def test_json_in_binary_frames_is_read_and_counted(whole, tmp_path):
    def handler(connection):
        for text in (GREETING, UPDATED):
            data = text.encode()
            connection.send(data if whole else [data[:20], data[20:40], data[40:]])
            connection.recv()
        with contextlib.suppress(Exception):
            while True:
                connection.recv(timeout=5)

    with served(handler) as port:
        rows = hold(port, tmp_path)
    assert outcome(rows)["outcome"] == "finished"
    assert outcome(rows)["quirks"] == {"binary_frames": 2}
    assert [row.detail for row in rows if row.type == "bench.quirk"] == [
        '{"quirk":"binary_frames","example":"session.created"}'
    ]


def test_a_text_that_is_no_utf8_costs_its_field_and_not_the_session(tmp_path):
    def handler(connection):
        odd = GREETING.encode().replace(b'"session":', b'"mood":"\xff","session":')
        connection.send(odd, text=True)
        connection.recv()
        connection.send(UPDATED)
        with contextlib.suppress(Exception):
            while True:
                connection.recv(timeout=5)

    with served(handler) as port:
        told = outcome(hold(port, tmp_path))
    assert (told["outcome"], told["quirks"]) == ("finished", {"invalid_utf8": 1})


def redirecting(location, status=307):
    def redirect(connection, request):
        if request.path == "/here":
            return None
        response = connection.respond(http.HTTPStatus(status), "elsewhere")
        response.headers["Location"] = location
        return response

    return redirect


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_shown_and_not_followed_unless_asked(status, tmp_path):
    with served(converse, process_request=redirecting("/here", status)) as port:
        told = outcome(hold(port, tmp_path))
    assert told["outcome"] == "refused"
    assert told["reason"] == (
        f"HTTP {status} to ws://localhost:{port}/here; use that URL, or --follow-redirects"
    )


def test_a_redirect_that_is_to_be_followed_is_and_every_hop_is_written_down(tmp_path):
    asked = []

    def look(_connection, request):
        asked.append(request.headers["X-Bench"])

    with served(converse, process_request=look) as there:
        onward = redirecting(f"http://localhost:{there}/v2?token=secret")
        with served(converse, process_request=onward) as port:
            rows = hold(port, tmp_path, offer=Offer(hops=MOST_HOPS))
    assert outcome(rows)["outcome"] == "finished"
    assert asked == ["1"]
    assert [json.loads(row.detail) for row in rows if row.type == "bench.redirected"] == [
        {"status": 307, "url": f"ws://localhost:{there}/v2?token=..."}
    ]
    assert [row.type for row in rows].count("bench.upgraded") == 1


@pytest.mark.parametrize(
    ("location", "why", "hops"),
    [
        ("/there", "which is one redirect more than 3", 3),
        ("ws://elsewhere.invalid/here", "which is another host and gets no credential", 0),
    ],
)
def test_a_redirect_without_end_or_to_another_host_is_refused(location, why, hops, tmp_path):
    with served(converse, process_request=redirecting(location)) as port:
        rows = hold(port, tmp_path, offer=Offer(hops=MOST_HOPS))
    assert outcome(rows)["outcome"] == "refused"
    assert why in outcome(rows)["reason"]
    assert [row.type for row in rows].count("bench.redirected") == hops


def test_a_subprotocol_is_offered_and_a_server_that_takes_none_is_told_of(tmp_path):
    offer = Offer("realtime")
    with served(converse, subprotocols=["realtime"]) as port:
        told = outcome(hold(port, tmp_path, offer=offer))
    assert (told["outcome"], told["quirks"]) == ("finished", {})
    with served(converse) as port:
        told = outcome(hold(port, tmp_path, offer=offer))
    assert (told["outcome"], told["quirks"]) == ("finished", {"no_subprotocol": 1})


def test_a_server_that_wants_a_subprotocol_is_named_with_the_remedy(tmp_path):
    with served(converse, subprotocols=["realtime"], select_subprotocol=demand) as port:
        told = outcome(hold(port, tmp_path))
    assert told["outcome"] == "refused"
    assert told["reason"].endswith("it may want a subprotocol: --subprotocol realtime")
    with served(lambda connection: connection.close(1002)) as port:
        told = outcome(hold(port, tmp_path))
    assert told["reason"] == ("close code 1002; it may want a subprotocol: --subprotocol realtime")


def demand(_connection, subprotocols):
    if "realtime" not in subprotocols:
        raise NegotiationError("missing subprotocol")
    return "realtime"


@pytest.fixture
def certificate(tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, cert


def test_tls_carries_a_session_and_keeps_the_kernels_stamps(certificate, tmp_path):
    key, cert = certificate
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(cert, key)
    ours = ssl.create_default_context(cafile=str(cert))
    with served(converse, ssl=theirs) as port:
        rows = hold(port, tmp_path, context=ours)
    told = outcome(rows)
    assert told["outcome"] == "finished"
    stages = {row.type: row.at_ns for row in rows if row.direction == "note"}
    assert stages["bench.connected"] < stages["bench.secured"] < stages["bench.upgraded"]
    assert told["stamped"] == told["reads"] >= 2
    assert all(row.at_ns <= row.read_ns for row in rows if row.direction == "in")


def test_a_certificate_that_nobody_signed_is_unreachable_and_says_so(certificate, tmp_path):
    key, cert = certificate
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(cert, key)
    with served(converse, ssl=theirs) as port:
        told = outcome(hold(port, tmp_path, context=ssl.create_default_context()))
    assert told["outcome"] == "unreachable"
    assert "certificate" in told["reason"].lower()


def shake_hands(connection):
    """The server's half of an upgrade on a raw socket."""
    protocol = ServerProtocol()
    while not (events := protocol.events_received()):
        protocol.receive_data(connection.recv(65536))
    protocol.send_response(protocol.accept(events[0]))
    for data in protocol.data_to_send():
        connection.sendall(data)
    return protocol


def test_reading_goes_on_while_a_send_would_block():
    """Flaw F7: against a peer that has stopped reading, every arrival is still stamped on time."""
    count, sent = 40, []

    def stop_reading(connection):
        protocol = shake_hands(connection)
        for n in range(count):
            time.sleep(0.025)
            protocol.send_text(f'{{"type":"ping","timestamp":{n}}}'.encode())
            sent.append(monotonic_ns())
            for data in protocol.data_to_send():
                connection.sendall(data)
        time.sleep(0.2)

    with raw(stop_reading) as port:
        address = Address(socket.AF_INET, ("127.0.0.1", port), "localhost", secure=False)
        wire = Wire(address, f"ws://localhost:{port}/", [], None)
        wire._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        wire.start()
        big = Outgoing(b'{"type":"x","padding":"' + b"x" * 4_000_000 + b'"}', "x", 0)
        texts, blocked, deadline = [], False, monotonic_ns() + ms(4000)
        while len(texts) < count and monotonic_ns() < deadline:
            gevent.sleep(0.001)
            texts += [h for h in wire.ready(readable=True, writable=True) if isinstance(h, Text)]
            if wire._protocol.state.name == "OPEN" and not blocked:
                wire.send(big)
                blocked = wire.wants_write
        assert blocked
        assert wire.wants_write  # it still is: the peer has taken next to nothing
        wire.shut()
    assert len(texts) == count
    late = [text.at_ns - at for text, at in zip(texts, sent, strict=True)]
    assert sorted(late)[count // 2] < ms(5)


def test_sends_that_block_are_sent_whole_and_in_order_once_the_peer_reads():
    received = []

    def read_late(connection):
        protocol = shake_hands(connection)
        time.sleep(0.3)
        connection.settimeout(2)
        with contextlib.suppress(TimeoutError):
            while len(received) < 20:
                protocol.receive_data(connection.recv(1 << 20))
                received.extend(bytes(frame.data) for frame in protocol.events_received())

    payloads = [bytes([65 + n]) * 300_000 for n in range(20)]
    with raw(read_late) as port:
        address = Address(socket.AF_INET, ("127.0.0.1", port), "localhost", secure=False)
        wire = Wire(address, f"ws://localhost:{port}/", [], None)
        wire.start()
        while wire._protocol.state.name != "OPEN":
            gevent.sleep(0.001)
            wire.ready(readable=True, writable=True)
        for payload in payloads:
            wire.send(Outgoing(payload, "x", 0))
        deadline = monotonic_ns() + ms(4000)
        while wire.wants_write and monotonic_ns() < deadline:
            gevent.sleep(0.001)
            wire.ready(readable=False, writable=True)
        wire.shut()
    assert received == payloads


def piled_up(count, *, silent=None):
    """A wire that reads only once all has come, told that it was silent until `before` or `after`.

    When each message was sent, the messages, the end of that silence, wire and TCP's state.
    Nothing here hangs on how fast a thread is scheduled: either side waits for the other.
    """
    sent, begin, done = [], threading.Event(), threading.Event()

    def burst(connection):
        protocol = shake_hands(connection)
        begin.wait(8)
        for n in range(count):
            protocol.send_text(f'{{"type":"ping","timestamp":{n}}}'.encode())
            sent.append(monotonic_ns())
            for data in protocol.data_to_send():
                connection.sendall(data)
            time.sleep(0.02)
        begin.clear()
        done.set()
        begin.wait(8)  # and hold the connection until all is read

    with raw(burst) as port:
        address = Address(socket.AF_INET, ("127.0.0.1", port), "localhost", secure=False)
        wire = Wire(address, f"ws://localhost:{port}/", [], None)
        wire.realtime_offset_ns = time.time_ns() - monotonic_ns()
        wire.start()
        while wire._protocol.state.name != "OPEN":
            gevent.sleep(0.001)
            wire.ready(readable=True, writable=True)
        before = monotonic_ns()
        begin.set()
        assert done.wait(8)
        time.sleep(0.06)
        quiet = {None: 0, "before": before, "after": monotonic_ns()}[silent]
        happened = wire.ready(readable=True, writable=False, quiet_ns=quiet)
        line = wire.line()
        begin.set()
        wire.abandon("", "")
        wire.shut()
    return sent, [one for one in happened if isinstance(one, Text)], quiet, wire, line


def test_a_bar_reaches_back_no_further_than_the_socket_was_known_to_be_silent():
    sent, texts, quiet, _, _ = piled_up(5, silent="before")
    assert len(texts) == len(sent) == 5
    assert {text.at_ns - text.at_err_ns for text in texts[:-1]} == {quiet}
    assert quiet < min(sent)
    assert texts[-1].at_err_ns == 0


def test_a_bar_reaches_back_no_further_than_the_connection():
    """What comes with the answer to the upgrade comes before any read that finds nothing more."""

    def greet_twice(connection):
        protocol = ServerProtocol()
        while not (events := protocol.events_received()):
            protocol.receive_data(connection.recv(65536))
        protocol.send_response(protocol.accept(events[0]))
        for _ in range(2):
            protocol.send_text(b'{"type":"ping"}')
        connection.sendall(b"".join(protocol.data_to_send()))
        time.sleep(0.2)

    with raw(greet_twice) as port:
        address = Address(socket.AF_INET, ("127.0.0.1", port), "localhost", secure=False)
        wire = Wire(address, f"ws://localhost:{port}/", [], None)
        wire.realtime_offset_ns = time.time_ns() - monotonic_ns()
        begun, happened = monotonic_ns(), wire.start()
        while sum(isinstance(one, Text) for one in happened) < 2:
            gevent.sleep(0.001)
            happened += wire.ready(readable=True, writable=True)
        wire.abandon("", "")
        wire.shut()
    first = next(one for one in happened if isinstance(one, Text))
    assert begun <= first.at_ns - first.at_err_ns < first.at_ns


def test_whoever_takes_a_socket_for_silent_that_was_not_is_not_believed():
    _, texts, _, _, _ = piled_up(5, silent="after")
    assert texts[-1].read_ns - texts[-1].at_ns > ms(50)  # the kernel knows better
    assert all(text.at_err_ns > ms(60) for text in texts[:-1])


def test_where_the_kernel_stamps_nothing_every_message_is_open_since_the_socket_was_empty(
    monkeypatch,
):
    monkeypatch.setattr("bench.load.kernel_stamps.TIMESTAMPNS", 10_000)  # no such option
    sent, texts, _, wire, _ = piled_up(3)
    assert (wire.reads > 0, wire.stamped) == (True, 0)
    for text, at in zip(texts, sent, strict=True):
        assert text.at_ns == text.read_ns
        assert text.at_ns - text.at_err_ns <= at <= text.at_ns


def test_the_kernel_says_how_a_connection_is():
    _, _, _, wire, line = piled_up(2)
    assert (line.retransmits, line.disorder, line.unread, line.unsent) == (0, 0, 0, 0)
    assert 0 < line.rtt_us < 100_000
    assert wire.stamped == wire.reads > 0
    assert wire.line() is None  # it is over


def test_messages_that_coalesced_in_the_kernel_carry_the_span_they_may_have_come_in():
    _, texts, _, _, _ = piled_up(5)
    assert len(texts) == 5
    assert texts[-1].at_err_ns == 0
    assert texts[-1].read_ns - texts[-1].at_ns > ms(50)  # the kernel's stamp, not the read
    assert all(text.at_err_ns >= ms(60) for text in texts[:-1])
