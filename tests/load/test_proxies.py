"""Which proxy the environment names for a target, and which targets it leaves out."""

import pytest

from bench.errors import UsageError
from bench.load.proxies import goes_direct, proxy_for
from bench.runs.loopback import leads_here
from bench.runs.target import read_target


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "WSS_PROXY", "WS_PROXY",
                 "SOCKS_PROXY", "REQUEST_METHOD"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    leads_here.cache_clear()


def found(url, monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    one = proxy_for(read_target(url, "openai"))
    return one and (one.label, one.variable)


A, B = "http://a.invalid:3128", "http://b.invalid:3128"


@pytest.mark.parametrize(
    ("scheme", "variables", "label"),
    [
        ("wss", {"HTTPS_PROXY": A, "HTTP_PROXY": B}, (A, "HTTPS_PROXY")),
        ("wss", {"https_proxy": A, "HTTPS_PROXY": B}, (A, "https_proxy")),
        ("wss", {"HTTP_PROXY": B}, None),
        ("wss", {"ALL_PROXY": A}, (A, "ALL_PROXY")),
        ("wss", {"ALL_PROXY": B, "HTTPS_PROXY": A}, (A, "HTTPS_PROXY")),
        ("wss", {"WSS_PROXY": A, "HTTPS_PROXY": B}, (A, "WSS_PROXY")),
        ("wss", {"https_proxy": "", "HTTPS_PROXY": A}, None),
        ("wss", {"SOCKS_PROXY": "socks5://s.invalid"}, None),
        ("ws", {"HTTP_PROXY": A}, (A, "HTTP_PROXY")),
        ("ws", {"HTTP_PROXY": B, "HTTPS_PROXY": A}, (A, "HTTPS_PROXY")),
        ("ws", {"WS_PROXY": A, "HTTPS_PROXY": B}, (A, "WS_PROXY")),
        ("ws", {"all_proxy": A}, (A, "all_proxy")),
        ("wss", {"HTTPS_PROXY": "a.invalid:3128"}, (A, "HTTPS_PROXY")),
        ("wss", {"HTTPS_PROXY": "http://me:secret@a.invalid:3128/"}, (A, "HTTPS_PROXY")),
        ("wss", {"HTTPS_PROXY": "HTTP://A.invalid"}, ("http://a.invalid:80", "HTTPS_PROXY")),
        ("wss", {"HTTPS_PROXY": "http://[fd00::1]:8"}, ("http://[fd00::1]:8", "HTTPS_PROXY")),
        ("wss", {}, None),
    ],
)
def test_a_proxy_is_the_one_that_common_clients_take(scheme, variables, label, monkeypatch):
    assert found(f"{scheme}://voice.invalid/v1", monkeypatch, **variables) == label


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"])
def test_none_is_on_the_way_to_this_machine(host, monkeypatch):
    assert found(f"ws://{host}:1/", monkeypatch, HTTP_PROXY=A, ALL_PROXY="socks5://x") is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("socks5://me:hunter22@s.invalid:1080", "socks5:// is not supported"),
        ("socks5h://s.invalid", "socks5h:// is not supported"),
        ("https://me:hunter22@s.invalid:443", "https:// is not supported"),
        ("http://hunter22@s.invalid:1", "without password"),
        ("http://me:hunter22@s.invalid:99999", "no URL|cannot be used"),
        ("http://me:hunter22@", "cannot be used"),
        ("http://me:hunter22@s.invalid/path", "path"),
        ("http://me:hunter22@[::1", "cannot be used"),
        ("ftp://me:hunter22@s.invalid", "ftp:// is not supported"),
    ],
)
def test_one_that_cannot_be_used_is_one_line_with_the_remedy_and_shows_no_secret(
    url, words, monkeypatch
):
    with pytest.raises(UsageError, match=words) as refused:
        found("wss://voice.invalid/", monkeypatch, HTTPS_PROXY=url)
    said = str(refused.value)
    assert said.startswith("HTTPS_PROXY: ")
    assert "NO_PROXY" in said
    assert "hunter22" not in said
    assert "\n" not in said
    monkeypatch.setenv("NO_PROXY", "voice.invalid")  # and the remedy helps
    assert proxy_for(read_target("wss://voice.invalid/", "openai")) is None


@pytest.mark.parametrize(
    ("listed", "host", "direct"),
    [
        ("*", "a.example", True),
        ("a.example", "a.example", True),
        ("A.Example.", "a.example", True),
        ("a.example", "A.EXAMPLE.", True),
        ("example", "a.example", True),
        (".example", "a.example", True),
        ("*.example", "a.example", True),
        (".a.example", "a.example", True),
        ("ample", "a.example", False),
        ("a.example.com", "a.example", False),
        ("b.example, a.example", "a.example", True),
        ("b.example  a.example", "a.example", True),
        (",,", "a.example", False),
        ("", "a.example", False),
        ("a.example:443", "a.example", True),
        ("a.example:8443", "a.example", False),
        (".example:443", "a.example", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3", False),
        ("10.0.0.0/8:443", "10.1.2.3", True),
        ("2.3", "10.1.2.3", False),
        ("10.0.0.0/8", "a.example", False),
        ("fd00::/8", "fd00::1", True),
        ("fd00::1", "fd00:0::1", True),
        ("[fd00::1]", "fd00::1", True),
        ("[fd00::1]:443", "fd00::1", True),
        ("[fd00::1]:80", "fd00::1", False),
        ("fd00::/8", "10.1.2.3", False),
        ("300.1.2.3/99 [ ]: :443 a:b:c", "a.example", False),
    ],
)
def test_no_proxy_lists_domains_numbers_ranges_and_ports(listed, host, direct):
    assert goes_direct(host, 443, listed) is direct
