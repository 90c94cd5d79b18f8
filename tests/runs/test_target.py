"""What a command line may say of a target, and what the environment adds."""

import pytest

from bench.errors import UsageError
from bench.runs.loopback import is_loopback, leads_here
from bench.runs.target import (
    USER_AGENT,
    dial_url,
    read_headers,
    read_target,
    secret_values,
    sends_credential,
    upgrade_headers,
)

URL = "wss://voice.example.invalid/v1/realtime"
VALUE = "azure-value-0123456789"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("INWORLD_RUNTIME_BASE64_CREDENTIAL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_KEY", VALUE)
    leads_here.cache_clear()


def headers(*texts, url=URL):
    return dict(upgrade_headers(read_target(url, "openai", texts)))


# ── headers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["api-key=$AZURE_KEY", "api-key=${AZURE_KEY}"])
def test_a_header_takes_its_value_from_the_environment_and_is_written_without(text):
    target = read_target(URL, "openai", [text])
    assert dict(upgrade_headers(target)) == {"User-Agent": USER_AGENT, "api-key": VALUE}
    assert VALUE not in str(target)
    assert list(filter(None, secret_values(target))) == [VALUE]
    assert sends_credential(target)


def test_a_header_that_is_a_credential_takes_the_place_of_the_dialects_own(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    assert "Authorization" not in headers("api-key=$AZURE_KEY")
    assert headers("Authorization=Token $AZURE_KEY")["Authorization"] == f"Token {VALUE}"
    assert headers("X-Tenant=$AZURE_KEY")["Authorization"] == "Bearer sk-of-somebody-else"


def test_what_is_no_secret_may_be_said_as_it_is():
    told = headers("OpenAI-Beta=realtime=v1", "X-Cost=5 $$", "user-agent=mine/1", "k=$AZURE_KEY")
    assert told == {
        "OpenAI-Beta": "realtime=v1", "X-Cost": "5 $", "user-agent": "mine/1", "k": VALUE,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["api-key"], "give NAME=VALUE"),
        (["=x"], "give NAME=VALUE"),
        (["two words=x"], "give NAME=VALUE"),
        (["a:b=c"], "give NAME=VALUE"),
        (["ü=x"], "give NAME=VALUE"),
        (["api-key="], "has no value; .* single quotes"),
        (["api-key=  "], "has no value"),
        (["api-key=abc"], r"comes from the environment.*'api-key=\$VARIABLE'"),
        (["X-Session-Token=abc"], "comes from the environment"),
        (["Cookie=a=b"], "comes from the environment"),
        (["X-Odd=Bearer abcdefgh"], "comes from the environment"),
        (["X-Odd=sk-abcdefgh"], "comes from the environment"),
        ([f"X-Odd={VALUE}"], r"'X-Odd=\$AZURE_KEY'"),
        ([f"X-Odd=pre{VALUE}$AZURE_KEY"], r"comes from the environment"),
        (["X-A=1", "x-a=2"], "x-a: is given twice"),
        (["Host=x"], "the URL says it"),
        (["upgrade=h2c"], "cannot be set"),
        (["Connection=close"], "cannot be set"),
        (["Sec-WebSocket-Key=x"], "the handshake owns it"),
        (["sec-websocket-protocol=realtime"], "use --subprotocol"),
        (["Sec-WebSocket-Extensions=x"], "the handshake owns it"),
        (["Proxy-Authorization=$AZURE_KEY"], "URL of the proxy"),
        (["Content-Length=5"], "cannot be set"),
        (["X-A=1\r\nX-B: 2"], "line ends"),
        (["X-A=ü"], "non-ASCII"),
        (["X-A=$"], r"write \$\$"),
        (["X-A=${AZURE_KEY"], r"write \$\$"),
    ],
)
def test_a_header_that_cannot_be_is_refused_with_the_remedy(texts, words):
    with pytest.raises(UsageError, match=words) as refused:
        read_headers(texts)
    assert VALUE not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "AZURE_KEY is not set; set it"), ("", "is empty"), (" \n", "is empty"),
     ("two\r\nlines-of-it", "has line ends"), ("ümlaut-value", "non-ASCII")],
)  # fmt: skip
def test_a_variable_that_gives_nothing_to_send_is_named_and_not_shown(value, words, monkeypatch):
    monkeypatch.delenv("AZURE_KEY")
    if value is not None:
        monkeypatch.setenv("AZURE_KEY", value)
    for asked in ([URL, ["api-key=$AZURE_KEY"]], [f"{URL}?token=$AZURE_KEY", ()]):
        target = read_target(asked[0], "openai", asked[1])
        with pytest.raises(UsageError, match=words) as refused:
            (upgrade_headers(target), dial_url(target))
        assert not value or not value.strip() or value.strip() not in str(refused.value)


def test_a_line_end_after_a_value_is_no_part_of_it(monkeypatch):
    monkeypatch.setenv("AZURE_KEY", f"{VALUE}\n")
    assert headers("api-key=$AZURE_KEY")["api-key"] == VALUE


# ── queries ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "query",
    ["api-version=2025-04-01&deployment=gpt-realtime", "a=1&a=2&b", "max_tokens=5&language=de",
     "q=a%2Bb%20c+d&keyterm=x&author=me", "lang=%F0%9F%98%80", "x", "model=m&intent=transcription"],
)  # fmt: skip
def test_any_query_that_holds_no_credential_is_dialled_to_the_letter(query):
    target = read_target(f"{URL}?{query}", "openai")
    assert dial_url(target) == f"{URL}?{query}"
    assert (target.name, target.url) == (URL, f"{URL}?{query}")


@pytest.mark.parametrize(
    "query",
    ["key=AIzaSyA-0123456789", "api-key=x", "api_key=x", "apikey=x", "apiKey=x", "API-KEY=x",
     "api%2Dkey=x", "token=x", "access_token=x", "accessToken=x", "id_token=x", "auth=x",
     "authorization=x", "password=x", "pwd=x", "secret=x", "client_secret=x", "sig=x", "jwt=x",
     "signature=x", "X-Amz-Signature=x", "X-Amz-Security-Token=x", "subscription-key=x",
     "xi-api-key=x", "a=1&token=x", "odd=eyJhbGciOi.eyJzdWIi.abc", "odd=sk-0123456789",
     f"odd={VALUE}", "token=%78", "session.token=x", "credential=x"],
)  # fmt: skip
def test_a_credential_in_a_query_is_refused_with_the_remedy_and_not_repeated(query):
    with pytest.raises(UsageError, match=r"in single quotes") as refused:
        read_target(f"{URL}?{query}", "openai")
    assert query.rpartition("=")[2] == "x" or query.rpartition("=")[2] not in str(refused.value)
    assert "$" in str(refused.value)


def test_a_query_takes_a_credential_from_the_environment_and_is_written_without(monkeypatch):
    monkeypatch.setenv("AZURE_KEY", "with+odd/letters=&#")
    target = read_target(f"{URL}?a=%41&api-key=$AZURE_KEY&b=${{AZURE_KEY}}#here", "openai")
    odd = "with%2Bodd%2Fletters%3D%26%23"
    assert dial_url(target) == f"{URL}?a=%41&api-key={odd}&b={odd}"
    assert target.url == f"{URL}?a=%41&api-key=$AZURE_KEY&b=${{AZURE_KEY}}"
    assert list(filter(None, secret_values(target))) == ["with+odd/letters=&#"] * 2
    assert "Authorization" not in dict(upgrade_headers(target))


def test_the_key_of_a_session_is_no_credential_where_it_is_one_of_inworlds():
    url = "wss://api.inworld.ai/api/v1/realtime/session?key=voice-1&protocol=realtime"
    assert read_target(url, None).url == url
    assert read_target("ws://127.0.0.1:1/api/v1/realtime/session?key=voice-1", None)
    for host in ("evil-inworld.ai", "inworld.ai.evil.invalid", "gateway.invalid"):
        with pytest.raises(UsageError, match="every session gets a key of its own"):
            read_target(f"wss://{host}/x?key=voice-1", None)


@pytest.mark.parametrize(
    "url",
    [
        "wss://me:hunter22@voice.invalid/",
        "wss://hunter22@voice.invalid/",
        "https://me:hunter22@x/",
        "wss://voice.invalid:99999/?token=hunter22",
        "wss://me:hunter22@[::1/",
        "wss://x/a b?k=hunter22",
        "wss://x/\r\nX-A: 1?hunter22",
    ],
)
def test_a_url_that_cannot_be_is_refused_and_what_it_holds_is_not_repeated(url):
    with pytest.raises(UsageError) as refused:
        read_target(url, None)
    assert "hunter22" not in str(refused.value)
    assert "\n" not in str(refused.value)


# ── where it is ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("address", "here"),
    [("127.0.0.1", True), ("127.8.9.10", True), ("::1", True), ("::ffff:127.0.0.1", True),
     ("0.0.0.0", True), ("::", True),  # noqa: S104 - no binding
      ("10.0.0.1", False), ("::2", False), ("fe80::1%eth0", False),
     ("::ffff:10.0.0.1", False), ("localhost", False), ("", False)],
)  # fmt: skip
def test_loopback_is_a_matter_of_addresses(address, here):
    assert is_loopback(address) is here


@pytest.mark.parametrize(
    ("known", "host", "here"),
    [
        ({"our-mock": ["127.0.0.1"]}, "our-mock", True),
        ({"both": ["::1", "127.0.0.1"]}, "both", True),
        ({"one-of": ["127.0.0.1", "10.0.0.1"]}, "one-of", False),
        ({"localhost.evil.example": ["203.0.113.5"]}, "localhost.evil.example", False),
        ({"localhost": ["203.0.113.5"]}, "localhost", False),
        ({"127.evil.example": ["203.0.113.5"]}, "127.evil.example", False),
        ({"api.openai.com": ["127.0.0.1"]}, "api.openai.com", True),
        ({}, "127.nowhere.example", False),
        ({}, "localhost", False),
    ],
)
def test_a_name_is_where_its_addresses_are(known, host, here, monkeypatch):
    def looked_up(name, *_, **__):
        if name not in known:
            raise OSError
        return [(0, 0, 0, "", (address, 0)) for address in known[name]]

    monkeypatch.setattr("socket.getaddrinfo", looked_up)
    target = read_target(f"wss://{host}/v1", "openai")
    assert target.loopback is here
    if here:
        assert dict(upgrade_headers(target)) == {"User-Agent": USER_AGENT}
    else:
        with pytest.raises(UsageError, match="needs a credential: set OPENAI_API_KEY"):
            upgrade_headers(target)


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_odd_numbers_of_this_machine_are_its_own(host):
    assert read_target(f"ws://{host}:8765/v1", None).loopback
