"""A proxy between the caller and the target: a dozen lines that know a name nobody else knows."""

import os
import socket
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from bench.cli.network_lines import network_lines
from bench.load.preflight import preflight
from bench.probe.prober import run_probe
from bench.runs.job import make_job
from bench.runs.loopback import leads_here
from bench.runs.target import USER_AGENT, read_target
from tests.live.connect_proxy import answer, proxy
from tests.live.process import document

pytestmark = pytest.mark.live

HOST = "voice.corp.invalid"
"""Known to the proxy alone."""
PATH = "/v1/realtime"
KEY = "sk-proxied-0123456789abcdef"
VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "WSS_PROXY", "WS_PROXY")


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """No proxy but what a test names, and a credential."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    leads_here.cache_clear()


@pytest.fixture(scope="module")
def servers(tmp_path_factory, corpus):
    """The embedded server, plain and with TLS for `HOST`: their ports by scheme, the CA's file."""
    ca = tmp_path_factory.mktemp("tls") / "ca.pem"
    begun = {
        "ws": [],
        "wss": ["--tls-cert", str(ca)],
    }
    running, ports = [], {}
    program = (
        "import sys, bench.reference.__main__ as server; "
        f"from bench.runs.child_process import follow; follow({os.getpid()}); "
        f"server.NAMES += ({HOST!r},); sys.exit(server.main())"
    )
    for scheme, more in begun.items():
        process = subprocess.Popen(
            [sys.executable, "-c", program, "--corpus", corpus, *more],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        ports[scheme] = int(process.stdout.readline().split("/")[2].split(":")[1])
    yield ports, ca
    for process in running:
        process.terminate()
        process.communicate(timeout=10)


def url(scheme, port=8443):
    return f"{scheme}://{HOST}:{port}{PATH}"


def test_a_run_goes_through_a_proxy_to_a_name_that_only_the_proxy_knows(
    bench, servers, scenario, tmp_path
):
    ports, ca = servers
    gates = ["share(answered) > 5 %"]
    with proxy({f"{HOST}:8443": ports["wss"]}) as way:
        given = way.url.replace("//", "//jo%40corp:pass%3Aword-123@")
        code, out, err = bench(
            "run", scenario(sessions=2, duration="6s", gates=gates),
            "--target", url("wss"), "--dialect", "openai", "--yes", "--out", tmp_path / "run",
            "--workers", "2", "--header", "X-Team=$TEAM", "--ca", ca,
            env={"HTTPS_PROXY": given, "TEAM": "team-secret-value"},
        )  # fmt: skip
    assert code == 0, out + err
    heads = set(way.asked)
    assert len(way.asked) > 2
    both = b64encode(b"jo@corp:pass:word-123").decode()
    for head in heads:
        assert head.startswith(f"CONNECT {HOST}:8443 HTTP/1.1\r\n")
        assert f"Proxy-Authorization: Basic {both}" in head
        assert f"User-Agent: {USER_AGENT}" in head
        assert "Bearer" not in head
        assert KEY not in head
    run = document(tmp_path / "run", "run.json")
    assert run["target"]["proxy"] == way.url
    assert run["target"]["headers"] == ["X-Team=$TEAM"]
    assert f"proxy     {way.url} (HTTPS_PROXY) is on the way" in err
    assert "warning   ws:// shows the credential" not in err
    remarks = document(tmp_path / "run", "verdict.json")["remarks"]
    assert any(f"through the proxy {way.url}" in remark for remark in remarks)
    written = b"".join(
        path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()
    ) + (out + err).encode()  # fmt: skip
    for secret in (both, "pass:word-123", "pass%3Aword-123", KEY, "team-secret-value"):
        assert secret.encode() not in written, secret


REFUSING = {
    "407": (answer("407 Proxy Authentication Required", "Who are you?"),
            ("HTTP 407", "Who are you?", "user:password")),
    "403": (answer("403 Forbidden", "Port 8443 is not for you"),
            ("HTTP 403", "Port 8443 is not for you", "allowed")),
    "502": (answer("502 Bad Gateway", "no route to it"),
            ("HTTP 502", "no route to it", "does not reach the target")),
    "503": (answer("503 Service Unavailable", "DNS fail"), ("HTTP 503", "does not reach")),
    "429": (answer("429 Too Many Requests", "slow down"), ("HTTP 429", "slow down")),
    "a page without a length": (b"HTTP/1.0 403 Denied\r\n\r\n<b>never</b>", ("HTTP 403", "never")),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", ("no HTTP", "check the proxy")),
    "not a word": (b"", ("without an answer", "check the proxy")),
}  # fmt: skip


@pytest.mark.parametrize(("says", "words"), REFUSING.values(), ids=REFUSING)
def test_what_a_proxy_refuses_is_one_cause_in_its_words_with_a_remedy(
    says, words, scenario, monkeypatch
):
    with proxy(says=says) as way:
        monkeypatch.setenv("HTTPS_PROXY", way.url.replace("//", "//me:secret-word@"))
        found = preflight(make_job(scenario(), read_target(url("wss"), "openai")))
    assert found.final
    assert found.outcome == "unreachable"
    for word in (f"proxy {way.url}: ", *words):
        assert word in found.cause.text, found.cause.text
    assert "color" not in found.cause.text
    assert "secret-word" not in found.cause.text
    assert len(way.asked) == 1


@pytest.mark.parametrize("verb", ["run", "probe"])
def test_a_refusing_proxy_ends_a_run_and_a_probe_with_exit_code_3(bench, verb, scenario, tmp_path):
    words = {"run": [scenario(), "--target"], "probe": []}[verb]
    with proxy(says=REFUSING["407"][0]) as way:
        code, out, err = bench(
            verb, *words, url("wss"), "--dialect", "openai", "--yes", "--out", tmp_path / "it",
            env={"HTTPS_PROXY": way.url, "OPENAI_API_KEY": KEY},
        )  # fmt: skip
    assert code == 3, out + err
    assert f"proxy {way.url}: HTTP 407 Proxy Authentication Required: Who are you?" in out + err
    assert "HTTPS_PROXY=http://user:password@host:port" in out + err


@pytest.mark.parametrize(("scheme", "tls"), [("ws", "not seen"), ("wss", "seen")])
def test_a_probe_goes_through_a_proxy_too(scheme, tls, servers, monkeypatch):
    ports, ca = servers
    with proxy({f"{HOST}:8443": ports[scheme]}) as way:
        monkeypatch.setenv("https_proxy", way.url)
        target = read_target(url(scheme), "openai", ca=str(ca) if scheme == "wss" else "")
        rows = run_probe(target, only=("call",), limit_s=5.0).group("connection")
    assert (rows["TLS"].state, rows["DNS"].state) == (tls, "not seen")
    assert way.asked


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_whoever_sends_a_credential_in_the_open_is_warned(scheme, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    told = list(network_lines(read_target(url(scheme), "openai")))
    assert told[0] == "proxy     http://proxy.invalid:3128 (https_proxy) is on the way"
    assert ["shows the credential to everybody" in line for line in told[1:]] == [True] * (
        scheme == "ws"
    )


def test_nobody_listens_where_the_proxy_should_be(scenario, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{port}")  # as many write it
    found = preflight(make_job(scenario(), read_target(url("wss"), "openai")))
    assert found.final
    assert f"proxy http://127.0.0.1:{port}: Connection refused" in found.cause.text
    assert "check the proxy's URL" in found.cause.text


def test_a_proxy_whose_name_nobody_knows(scenario, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    found = preflight(make_job(scenario(), read_target(url("wss"), "openai")))
    assert found.final
    assert "proxy http://proxy.invalid:3128: proxy.invalid: the name cannot" in found.cause.text
    assert "check the proxy's URL" in found.cause.text


def test_what_is_on_this_machine_never_goes_through_a_proxy(servers, scenario, monkeypatch):
    ports, _ = servers
    with proxy() as way:
        for name in VARIABLES[:3]:
            monkeypatch.setenv(name, way.url)
        for host in ("127.0.0.1", "localhost"):
            target = read_target(f"ws://{host}:{ports['ws']}{PATH}", "openai")
            assert preflight(make_job(scenario(), target)).outcome == "finished"
    assert way.asked == []


def test_the_current_folder_is_not_on_the_import_path_of_any_child(scenario, tmp_path):
    """A folder called bench, and modules of the names that this program imports late, stay out."""
    trap = "import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch(); raise SystemExit(9)"
    for name in ("bench/__init__", "bench/__main__", "gevent", "locust", "websockets", "trustme",
                 "colorsys", "sitecustomize_of_mine"):  # fmt: skip
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(trap)
    (tmp_path / "ours.py").write_text(
        "def play(part):\n"
        "    import sys, helper_of_ours\n"
        "    from bench.voice.directions import HearOut, Say\n"
        "    assert sys.path[0] != helper_of_ours.HERE\n"
        "    for line in part.lines:\n"
        "        yield Say(line)\n"
        "        yield HearOut()\n"
    )
    (tmp_path / "helper_of_ours.py").write_text("import os\nHERE = os.getcwd()\n")
    program = Path(sys.executable).parent / "bench"
    path = scenario(script="ours:play", duration="5s", gates=["share(answered) > 5 %"])
    done = subprocess.run(
        [program, "run", path, "--out", tmp_path / "run", "--abort-on-fail"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.rglob("*.ran")) == []
