"""The scraper against small servers on loopback: good, slow, trickling, endless, dying."""

import contextlib
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise

import pytest
import trustme

from bench.cli import scraper
from bench.cli.scraper import ScrapeError, Scraper, check_metrics_url, scrape, watch_of
from bench.errors import UsageError
from bench.pytest_plugin import Bench
from bench.runs.folder import RunFolder, provenance
from bench.runs.gauges import gauge_means, read_gauges
from tests.small import write_scenario

pytestmark = pytest.mark.live

GOOD = "# TYPE bench_slots gauge\nbench_slots 4\n# TYPE c_total counter\nc_total 7\n"


def answer(text, status="200 OK"):
    body = text if isinstance(text, bytes) else text.encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.fixture
def serve():
    """Serve each connection by a function of its socket; returns the URL."""
    over, lines = threading.Event(), []

    def start(play, scheme="http"):
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(0.05)

        def each(line):
            with contextlib.suppress(OSError), line:
                line.settimeout(5)
                line.recv(65536)
                play(line)

        def accept():
            with listener:
                while not over.is_set():
                    with contextlib.suppress(TimeoutError):
                        lines.append(threading.Thread(target=each, args=(listener.accept()[0],)))
                        lines[-1].start()

        lines.append(threading.Thread(target=accept))
        lines[-1].start()
        return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/metrics"

    yield start
    over.set()
    for line in lines:
        line.join(10)


def drip(piece, every_s=0.05):
    """Send a piece again and again, for as long as anybody reads."""

    def play(line):
        for _ in range(200):
            line.sendall(piece)
            time.sleep(every_s)

    return play


def flood(line):
    line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(2_000):
        line.sendall(b"bench_slots 4\n" * 1_000)


def hush(line):
    with contextlib.suppress(OSError):
        line.recv(1)


def said(play):
    return lambda line: line.sendall(play)


def test_a_good_answer_is_its_text(serve):
    assert scrape(serve(said(answer(GOOD))), 2) == GOOD


def test_a_good_answer_in_chunks_is_its_text(serve):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert scrape(serve(said(head + b"4\r\na 1\n\r\n4\r\nb 2\n\r\n0\r\n\r\n")), 2) == "a 1\nb 2\n"


def test_a_slow_answer_within_the_bound_is_taken(serve):
    def play(line):
        time.sleep(0.3)
        line.sendall(answer(GOOD))

    assert scrape(serve(play), 2) == GOOD


@pytest.mark.parametrize(
    ("play", "why"),
    [
        (hush, "did not answer within 0.5 s"),
        (drip(b"H"), "did not answer within 0.5 s"),  # never ends its first line
        (drip(b"HTTP/1.1 200 OK\r\nA: b\r\n"), "did not answer within 0.5 s"),
        (said(b""), "closed the connection"),
        (said(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na 1\n"),
         "closed the connection in mid-answer"),
        (said(b"SSH-2.0-OpenSSH\r\n"), "closed the connection, or speaks no HTTP"),
        (said(answer("no", "404 Not Found")), "answered 404"),
        (said(answer("", "302 Found")), "answered 302"),
        (said(answer(b"\xff\xfe 1\n")), "answered with bytes that are no UTF-8 text"),
        (flood, "sent more than 4 MB"),
    ],
)  # fmt: skip
def test_whatever_a_server_does_a_scrape_is_bounded_and_says_why(serve, play, why):
    begun = time.monotonic()
    with pytest.raises(ScrapeError, match=f"^{why}"):
        scrape(serve(play), within_s=2.0 if play is flood else 0.5)
    assert time.monotonic() - begun < 3


def test_a_body_that_trickles_is_left_when_its_time_is_over(serve):
    def play(line):
        line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        drip(b"bench_slots 4\n")(line)

    url, begun = serve(play), time.monotonic()
    with pytest.raises(ScrapeError, match=r"did not answer within 0\.5 s"):
        scrape(url, within_s=0.5)
    assert time.monotonic() - begun < 1.5


def test_nobody_there_and_a_server_without_tls_are_told_apart(serve):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ScrapeError, match=r"^refused the connection$"):
        scrape(f"http://127.0.0.1:{port}/metrics", 2)
    with pytest.raises(ScrapeError, match=r"^has no TLS that can be trusted"):
        scrape(serve(said(answer(GOOD)), "https"), 2)


class Metrics(BaseHTTPRequestHandler):
    """Answers every request with `GOOD`."""

    def do_GET(self):
        self.wfile.write(answer(GOOD))

    def log_message(self, *_):
        pass


@pytest.fixture
def private(tmp_path):
    """(an https URL whose certificate is of a CA of its own, the CA's file)"""
    authority, file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with HTTPServer(("127.0.0.1", 0), Metrics) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}/metrics", file
        server.shutdown()
        thread.join(5)


def test_an_https_endpoint_is_trusted_by_the_file_that_ca_names(private, tmp_path, monkeypatch):
    url, file = private
    with pytest.raises(UsageError, match="has no TLS that can be trusted"):
        watch_of(url, ["c_total"])
    assert watch_of(url, ["c_total"], file).choice.counters == {"c_total"}
    with pytest.raises(UsageError, match=r"--ca .*none.pem: cannot be read"):
        watch_of(url, ["c_total"], tmp_path / "none.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert scrape(url, 2, watch_of(url, ["c_total"]).secure) == GOOD


def test_a_name_that_takes_for_ever_to_be_looked_up_is_bounded_too(monkeypatch):
    going = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: going.wait(5) and [])
    with pytest.raises(ScrapeError, match="did not answer within"):
        scrape("http://a.test/metrics", within_s=0.3)
    going.set()


def test_the_watch_says_what_is_watched_without_its_query(serve):
    watch = watch_of(serve(said(answer(GOOD))) + "?part=all", ["c_total"])
    told = watch.facts()
    assert told["url"].endswith("/metrics")
    assert told["asked"] == ["c_total"]
    assert watch.choice.counters == {"c_total"}


@pytest.mark.parametrize(
    ("text", "words"),
    [("<html>hello</html>", "answers with no Prometheus text (invalid metric name"),
     ("# empty\n", "answers with no Prometheus text (it holds no sample)")],
)  # fmt: skip
def test_an_answer_that_is_no_prometheus_text_is_refused_in_one_line(serve, text, words):
    with pytest.raises(UsageError) as refused:
        watch_of(serve(said(answer(text))), [])
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["ftp://x/metrics", "127.0.0.1:9100/metrics", "http://", "http://x:99999/", "http://x/a b",
     "http://[::1/metrics", ""],
)  # fmt: skip
def test_what_is_no_http_url_is_refused(url):
    with pytest.raises(UsageError, match=r"^--metrics-url .*: give an http:// or https:// URL"):
        check_metrics_url(url, [])


@pytest.mark.parametrize("url", ["http://me:secret1@x/m", "https://x/m?api_key=secret1&a=b",
                                 "http://x/m?access_token=secret1"])  # fmt: skip
def test_a_credential_is_refused_and_not_repeated(url):
    with pytest.raises(UsageError, match="must hold no credential") as refused:
        check_metrics_url(url, [])
    assert "secret1" not in str(refused.value)


def test_an_address_of_version_6_and_a_query_are_taken():
    check_metrics_url("http://[::1]:9100/metrics?collect=cpu", [])
    check_metrics_url(None, [])


@pytest.fixture
def folder(tmp_path):
    place = RunFolder.create(tmp_path / "run")
    place.write({**provenance("x"), "plan": {}})
    return place


@pytest.fixture
def brisk(monkeypatch):
    """Twenty scrapes a second, and a fifth of a second of patience."""
    monkeypatch.setattr(scraper, "EVERY_NS", 50_000_000)
    monkeypatch.setattr(scraper, "PATIENCE_S", 0.2)


@pytest.mark.usefixtures("brisk")
def test_what_is_seen_beside_a_run_is_kept_in_its_folder(serve, folder):
    number = iter(range(1_000))

    def play(line):
        line.sendall(answer(f"# TYPE c_total counter\nc_total {next(number)}\nother 3\n"))

    begun = time.monotonic_ns()
    with Scraper(watch_of(serve(play), ["c_total"]), folder):
        time.sleep(0.6)
    ended = time.monotonic_ns()
    gauges = read_gauges(folder)
    ((series, readings),) = gauges.series.items()
    assert series.name == "c_total"
    assert gauges.counters == {"c_total"}
    assert list(readings.levels) == list(range(1, len(readings.levels) + 1))
    assert begun < readings.at_ns[0] < readings.at_ns[-1] < ended
    told = folder.read()["gauges"]
    assert told["scrapes"] == len(readings.levels) >= 5
    assert (told["lost"], told["why"], told["missing"]) == (0, "", {})
    assert gauge_means(folder.path)["c_total"]["mean"] > 1


@pytest.mark.usefixtures("brisk")
def test_a_server_that_dies_in_mid_run_is_counted_and_what_came_before_is_kept(serve, folder):
    number = iter(range(1_000))

    def play(line):
        if next(number) < 4:  # the first is the look before the start
            line.sendall(answer(GOOD))

    with Scraper(watch_of(serve(play), []), folder):
        time.sleep(0.6)
    told = folder.read()["gauges"]
    assert told["lost"] == told["scrapes"] - 3 >= 3
    assert told["why"] == "closed the connection"
    (readings,) = read_gauges(folder).series.values()
    assert len(readings.levels) == 3


@pytest.mark.usefixtures("brisk")
def test_a_gauge_that_goes_away_is_counted_by_its_name(serve, folder):
    number = iter(range(1_000))

    def play(line):
        line.sendall(answer(GOOD if next(number) < 3 else "c_total 9\n"))

    with Scraper(watch_of(serve(play), ["bench_slots", "c_total"]), folder):
        time.sleep(0.4)
    told = folder.read()["gauges"]
    assert told["lost"] == 0
    assert told["missing"] == {"bench_slots": told["scrapes"] - 2}


@pytest.mark.usefixtures("brisk")
def test_a_server_that_hangs_delays_no_beat_after_it(serve, folder):
    number = iter(range(1_000))

    def play(line):
        if next(number) == 2:
            hush(line)
        else:
            line.sendall(answer(GOOD))

    with Scraper(watch_of(serve(play), []), folder):
        time.sleep(0.9)
    told = folder.read()["gauges"]
    assert (told["lost"], told["why"]) == (1, "did not answer within 0.2 s")
    (readings,) = read_gauges(folder).series.values()
    offsets = [(at - readings.at_ns[0]) / 50_000_000 for at in readings.at_ns]
    assert max(abs(beat - round(beat)) for beat in offsets) < 0.45
    assert max(after - before for before, after in pairwise(offsets)) >= 4


def test_a_run_whose_metrics_cannot_be_had_is_refused_before_it_starts(bench, serve, tmp_path):
    def refused(*arguments):
        code, _, err = bench("run", "scenarios/demo.toml", "--out", tmp_path / "run", *arguments)
        assert code == 2, err
        assert not (tmp_path / "run").exists()
        (line,) = [line for line in err.splitlines() if line.startswith("bench: ")]
        return line

    good = serve(said(answer(GOOD)))
    assert "did you mean 'bench_slots'" in refused("--metrics-url", good, "--gauge", "bench_slot")
    assert "it has {}" in refused("--metrics-url", good, "--gauge", 'bench_slots{a="b"}')
    assert "answered 404" in refused("--metrics-url", serve(said(answer("", "404 Not Found"))))
    assert "did not answer within 2 s" in refused("--metrics-url", serve(hush))
    assert "did not answer within 2 s" in refused("--metrics-url", serve(drip(b"H")))
    assert "more than 4 MB" in refused("--metrics-url", serve(flood))
    assert "no Prometheus text" in refused("--metrics-url", serve(said(answer("{}"))))
    assert "known to be CPU" in refused("--metrics-url", serve(said(answer("a 1\n"))))
    assert "give an http://" in refused("--metrics-url", "ws://127.0.0.1/metrics")
    assert "no credential" in refused("--metrics-url", "http://a:b@127.0.0.1/metrics")
    assert "needs --metrics-url" in refused("--gauge", "bench_slots")


def test_a_real_run_has_the_gauges_of_its_server_though_some_scrapes_are_lost(
    serve, corpus, tmp_path
):
    number = iter(range(1_000))

    def play(line):
        if (beat := next(number)) % 3 < 2:
            line.sendall(answer(f"# TYPE bench_slots gauge\nbench_slots {4 + beat % 3}\n"))

    path = write_scenario(tmp_path / "small.toml", corpus, duration="5s")
    found = Bench(tmp_path).run(path, metrics_url=serve(play), gauge=["bench_slots"])
    folder = RunFolder(found.folder)
    told = folder.read()["gauges"]
    assert told["asked"] == ["bench_slots"]
    assert 0 < told["lost"] < told["scrapes"]
    remark = f"the metrics URL did not answer in {told['lost']} of {told['scrapes']} scrapes"
    assert any(said.startswith(remark) for said in found.document["remarks"])
    assert found.verdict == "pass", found.reasons
    means = gauge_means(found.folder)["bench_slots"]
    assert means["max"] == 5
    assert 4 <= means["mean"] <= 5
    (readings,) = read_gauges(folder).series.values()
    plan = folder.read()["plan"]
    assert readings.at_ns[0] < plan["measured_from_ns"] < readings.at_ns[-1] <= time.monotonic_ns()
    assert "What did the server say of itself?" in folder.report.read_text()
