from urllib.parse import parse_qs, urlsplit

import pytest

from bench.errors import UsageError
from bench.protocol.dialects import DIALECTS, INWORLD, OPENAI, authorization, session_url


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
