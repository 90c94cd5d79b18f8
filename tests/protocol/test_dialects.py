from urllib.parse import parse_qs, urlsplit

import pytest

from bench.errors import UsageError
from bench.protocol.dialects import (
    DIALECTS,
    INWORLD,
    OPENAI,
    TARGETS,
    authorization,
    session_url,
)
from bench.runs.target import read_target


def test_inworld_wants_a_key_and_the_realtime_protocol():
    parts = urlsplit(session_url(INWORLD, INWORLD.url, key="abc"))
    assert (parts.scheme, parts.netloc, parts.path) == (
        "wss", "api.inworld.ai", "/api/v1/realtime/session",
    )  # fmt: skip
    assert parse_qs(parts.query) == {"key": ["abc"], "protocol": ["realtime"]}


def test_openai_wants_the_model_in_the_url_and_no_key():
    assert parse_qs(urlsplit(session_url(OPENAI, OPENAI.url, key="abc", model="m")).query) == {
        "model": ["m"]
    }


def test_what_a_url_says_already_stays():
    url = session_url(OPENAI, "ws://127.0.0.1:1/v1/realtime?model=mine&x=1", key="k")
    assert parse_qs(urlsplit(url).query) == {"model": ["mine"], "x": ["1"]}


def test_the_credential_is_sent_verbatim():
    assert authorization(INWORLD, "a2V5OnNlY3JldA==") == ("Authorization", "Basic a2V5OnNlY3JldA==")
    assert authorization(OPENAI, "sk-1") == ("Authorization", "Bearer sk-1")


@pytest.mark.parametrize("credential", ["", "two words", "line\nend", "ümlaut"])
def test_a_credential_that_is_no_header_is_refused_without_being_repeated(credential):
    with pytest.raises(UsageError) as refused:
        authorization(INWORLD, credential)
    assert "INWORLD_RUNTIME_BASE64_CREDENTIAL" in str(refused.value)
    assert not credential or credential not in str(refused.value)


def test_dialects_are_found_by_name():
    assert DIALECTS == {"inworld": INWORLD, "openai": OPENAI}


@pytest.mark.parametrize("model", ["inworld/models/my model", "provider/model", "a&b=c/d?e#f"])
def test_a_model_id_of_any_letters_is_one_value_of_the_query(model):
    url = session_url(OPENAI, OPENAI.url, key="k", model=model)
    parts = urlsplit(url)
    assert (parts.path, parts.fragment) == ("/v1/realtime", "")
    assert parse_qs(parts.query) == {"model": [model]}
    assert "/" not in parts.query


@pytest.mark.parametrize(
    ("word", "host"),
    [
        ("inworld", "api.inworld.ai"),
        ("inworld-eu", "api.eu.inworld.ai"),
        ("inworld-in", "api.in.inworld.ai"),
        ("openai", "api.openai.com"),
    ],
)
def test_a_region_is_a_target_of_its_own_at_the_same_path(word, host):
    url, dialect = TARGETS[word]
    assert urlsplit(url) == urlsplit(dialect.url)._replace(netloc=host)
    target = read_target(word, None)
    assert (target.name, target.url, target.dialect) == (word, url, dialect)
    assert not target.loopback


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://api.eu.inworld.ai/api/v1/realtime/session", INWORLD),
        ("wss://API.US.Inworld.AI/api/v1/realtime/session", INWORLD),
        ("wss://eu.api.openai.com/v1/realtime", OPENAI),
        ("wss://notopenai.com/v1/realtime", INWORLD),
        ("ws://127.0.0.1:1/v1/realtime", INWORLD),
    ],
)
def test_the_dialect_of_a_url_is_that_of_the_service_whose_host_it_names(url, expected):
    assert read_target(url, None).dialect is expected
    assert read_target(url, "openai").dialect is OPENAI
    assert read_target(url, "inworld").dialect is INWORLD
