"""What the upgrade offers, and which redirects are followed."""

import pytest

from bench.errors import UsageError
from bench.protocol.upgrade import (
    MOST_HOPS,
    Offer,
    leads_to,
    make_offer,
    not_followed,
    redirect_words,
    remedy,
    shown,
)

URL = "wss://api.example/v1/realtime?model=m"


@pytest.mark.parametrize(
    ("location", "onward"),
    [
        ("https://api.example/v2?model=m", "wss://api.example/v2?model=m"),
        ("wss://eu.api.example/v1", "wss://eu.api.example/v1"),
        ("/v2/realtime", "wss://api.example/v2/realtime"),
        ("session/", "wss://api.example/v1/session/"),
        ("//other.example:8443/x", "wss://other.example:8443/x"),
        ("http://api.example/v1", "ws://api.example/v1"),
        ("?model=n#here", "wss://api.example/v1/realtime?model=n"),
        ("https://[::1", "https://[::1"),
    ],
)
def test_a_location_is_a_websocket_url_seen_from_where_it_was_said(location, onward):
    assert leads_to(URL, location) == onward


@pytest.mark.parametrize(
    ("onward", "why"),
    [
        ("wss://api.example/v2", ""),
        ("wss://api.example:8443/v1", ""),
        ("wss://other.example/v1", "another host"),
        ("wss://eu.api.example/v1", "another host"),
        ("ws://api.example/v1", "no TLS"),
        ("ftp://api.example/v1", "no WebSocket's URL"),
        ("wss://api.example:99999/v1", "no WebSocket's URL"),
        ("https://[::1", "no WebSocket's URL"),
    ],
)
def test_a_credential_goes_only_where_it_was_meant_to(onward, why):
    told = not_followed(URL, onward, hops=MOST_HOPS, asked=True)
    assert (why in told) if why else not told
    assert not_followed(URL, onward, hops=MOST_HOPS, asked=False)


def test_a_plain_url_may_lead_to_tls_and_no_further_than_three_times():
    plain = URL.replace("wss", "ws")
    assert not_followed(plain, URL, hops=1, asked=True) == ""
    assert not_followed(plain, URL, hops=0, asked=True) == "which is one redirect more than 3"


def test_what_is_shown_of_a_url_holds_no_secret():
    told = shown("wss://user:secret@api.example/v1?key=k&model=m&token=secret&protocol=realtime")
    assert told == "wss://api.example/v1?key=k&model=m&token=...&protocol=realtime"
    assert "secret" not in redirect_words(302, "wss://x/?sig=secret", "why")


def test_who_turns_away_for_want_of_a_subprotocol_is_told_of_it_and_no_other():
    none, some = Offer(), Offer("realtime")
    for words in ("HTTP 400: Missing Sec-WebSocket-Protocol", "HTTP 400: bad subprotocol"):
        assert remedy(none, words).endswith("--subprotocol realtime")
        assert remedy(some, words) == ""
    assert remedy(none, "HTTP 400: The query needs key and protocol=realtime.") == ""
    assert remedy(none, "close code 1002", 1002)
    assert not remedy(none, "close code 1008", 1008)


@pytest.mark.parametrize("name", ["two words", "a,b", "ü", "a\n"])
def test_a_subprotocol_that_is_no_word_is_refused(name):
    with pytest.raises(UsageError, match="--subprotocol"):
        make_offer(name, follow=False)
    assert make_offer("realtime", follow=True) == Offer("realtime", MOST_HOPS)
