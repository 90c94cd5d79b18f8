"""HTTP that asks for no WebSocket is answered with a status and a sentence in JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.reference.admission import INWORLD_PATH, OPENAI_PATH
from bench.reference.plain_http import MOST_HEAD, early_answer, head_end, plain_answer

UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\n"


def request(line, headers=""):
    return f"{line}\r\nHost: localhost\r\n{headers}\r\n".encode()


def answer_of(head):
    return plain_answer(head, lambda: b"of_itself 1\n")


def read(response):
    """Status, headers and body of a response."""
    head, _, body = response.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    headers = {name: value for name, _, value in (field.partition(": ") for field in fields)}
    return int(line.split()[1]), headers, body


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        (f"GET {OPENAI_PATH}?model=x HTTP/1.1", "", 426),
        (f"GET {INWORLD_PATH} HTTP/1.1", "", 426),
        (f"GET {OPENAI_PATH} HTTP/1.0", UPGRADE, 426),
        (f"GET {OPENAI_PATH} HTTP/1.1", UPGRADE.replace("websocket", "h2c"), 426),
        (f"GET {OPENAI_PATH} HTTP/1.1", UPGRADE + "Content-Length: 3\r\n", 426),
        (f"POST {OPENAI_PATH} HTTP/1.1", "Content-Length: 3\r\n", 405),
        (f"POST {OPENAI_PATH} HTTP/1.1", UPGRADE, 405),
        (f"PUT {INWORLD_PATH} HTTP/1.1", "Transfer-Encoding: chunked\r\n", 405),
        (f"OPTIONS {OPENAI_PATH} HTTP/1.1", "", 405),
        ("POST /v1/realtime/client_secrets HTTP/1.1", "Content-Length: 2\r\n", 404),
        ("POST /v1/realtime/calls HTTP/1.1", "Content-Length: 2\r\n", 404),
        ("GET / HTTP/1.1", "", 404),
        ("PRI * HTTP/2.0", "", 505),
        ("hello", "", 400),
        ("GET  / HTTP/1.1", "", 400),
        ("GET /é HTTP/1.1", "", 400),
    ],
)
def test_each_request_gets_its_status_and_an_error_in_the_shape_of_the_api(line, headers, status):
    answer = answer_of(request(line, headers))
    told, fields, body = read(answer.response)
    assert told == status
    assert fields["Content-Type"] == "application/json"
    assert int(fields["Content-Length"]) == len(body)
    error = json.loads(body)["error"]
    assert error["type"] == "invalid_request_error"
    if status in {404, 405, 426}:
        assert INWORLD_PATH in error["message"]
        assert OPENAI_PATH in error["message"]
    assert ("Allow" in fields) == (status == 405)
    assert ("Upgrade" in fields) == (status == 426)


def test_head_is_answered_without_a_body():
    status, fields, body = read(answer_of(request(f"HEAD {OPENAI_PATH} HTTP/1.1")).response)
    assert (status, body) == (426, b"")
    assert int(fields["Content-Length"]) > 0


@pytest.mark.parametrize("target", ["/metrics", "/metrics?name=x"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_scrape_is_given_the_text_and_its_kind(target, version):
    status, fields, body = read(answer_of(request(f"GET {target} HTTP/{version}")).response)
    assert (status, body) == (200, b"of_itself 1\n")
    assert fields["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert fields["Content-Length"] == "12"
    assert fields["Connection"] == "close"


def test_head_of_metrics_is_the_head_of_a_scrape():
    get, head = (answer_of(request(f"{how} /metrics HTTP/1.1")).response for how in ("GET", "HEAD"))
    assert head == get.removesuffix(b"of_itself 1\n")


def test_metrics_can_only_be_read():
    answer = answer_of(request("POST /metrics HTTP/1.1", "Content-Length: 3\r\n"))
    status, fields, _ = read(answer.response)
    assert (status, fields["Allow"], answer.body_bytes) == (405, "GET, HEAD", 3)


@pytest.mark.parametrize(
    "line", [f"GET {OPENAI_PATH} HTTP/1.1", "GET /metrics/ HTTP/1.1", "POST /metrics HTTP/1.1"]
)
def test_the_text_is_made_for_a_scrape_only_and_others_read_where_it_is(line):
    _, _, body = read(plain_answer(request(line), pytest.fail).response)
    assert "at /metrics." in json.loads(body)["error"]["message"]


@pytest.mark.parametrize("path", [INWORLD_PATH, OPENAI_PATH, "/elsewhere", "/metrics"])
def test_an_upgrade_is_for_the_library_whatever_its_path(path):
    assert answer_of(request(f"GET {path} HTTP/1.1", UPGRADE)) is None


@pytest.mark.parametrize(
    ("headers", "body"),
    [("", 0), ("Content-Length: 7\r\n", 7), ("Transfer-Encoding: chunked\r\n", None),
     ("Content-Length: many\r\n", None)],
)  # fmt: skip
def test_it_is_known_how_much_of_a_body_is_to_come(headers, body):
    assert answer_of(request("POST / HTTP/1.1", headers)).body_bytes == body


@pytest.mark.parametrize(
    ("received", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01", 400),  # a TLS hello
        (b"GET /" + b"x" * 9000, 414),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * MOST_HEAD, 431),
    ],
)
def test_what_will_never_be_a_request_is_answered_before_its_end(received, status):
    assert read(early_answer(received).response)[0] == status


@pytest.mark.parametrize("received", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_is_not_whole_is_waited_for(received):
    assert early_answer(received) is None
    assert head_end(received) is None


@given(st.binary(max_size=300))
def test_any_head_has_an_answer(head):
    whole = b"GET " + head + b"\r\n\r\n"
    answer = answer_of(whole[: head_end(whole)])
    assert answer is None or read(answer.response)[0] >= 400
