"""A target whose name has several addresses: all of them get load, and what each got is told."""

import socket
from contextlib import ExitStack

import pytest

from bench.errors import TargetError
from bench.load.addresses import resolve
from bench.load.route import Credentials, Route, find_route
from bench.load.worker import Worker
from bench.protocol.dialects import DIALECTS
from bench.runs.redaction import Secrets
from bench.runs.target import Target

pytestmark = pytest.mark.live


@pytest.fixture
def named(monkeypatch):
    """Let "many.example" have these addresses; listens on those of them that are `alive`."""
    with ExitStack() as stack:

        def name(*hosts, alive):
            listener = stack.enter_context(socket.create_server((alive[0], 0)))
            port = listener.getsockname()[1]
            for host in alive[1:]:
                stack.enter_context(socket.create_server((host, port)))
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            return port

        yield name


def labels(port, seconds=1.0):
    return [found.label for found in resolve(f"ws://many.example:{port}/v1/realtime", seconds)]


def test_every_address_that_answers_is_one_and_the_others_are_left_out(named):
    port = named("127.0.0.1", "127.0.0.2", "127.0.0.3", alive=("127.0.0.1", "127.0.0.3"))
    assert labels(port) == [f"127.0.0.1:{port}", f"127.0.0.3:{port}"]


def test_where_none_answers_all_stand_and_the_sessions_say_so(named):
    port = named("127.0.0.4", "127.0.0.5", alive=("127.0.0.1",))
    assert labels(port) == [f"127.0.0.4:{port}", f"127.0.0.5:{port}"]


def test_a_name_that_was_on_this_machine_and_has_moved_gets_nothing(monkeypatch):
    moved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.5", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: moved)
    target = Target("x", "ws://moving.example/v1", DIALECTS["openai"], local=True)
    with pytest.raises(TargetError, match=r"now leads to 203\.0\.113\.5:80; nothing is sent"):
        find_route(target)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_sessions_take_the_addresses_in_turn_whichever_worker_holds_them(named, workers):
    port = named("127.0.0.1", "127.0.0.2", alive=("127.0.0.1", "127.0.0.2"))
    url = f"ws://many.example:{port}/v1/realtime"
    told = []
    for index in range(workers):
        worker = Worker.__new__(Worker)
        worker._route = Route(
            Target("many", url, DIALECTS["openai"]), resolve(url),
            Credentials(url, [], None, None, Secrets()),
        )  # fmt: skip
        for started in range(12 // workers):
            wire = worker._wire(started * workers + index, "")
            told.append(wire._address.label)
            wire.shut()
    assert {one: told.count(one) for one in told} == {
        f"127.0.0.1:{port}": 6, f"127.0.0.2:{port}": 6,
    }  # fmt: skip


def test_an_address_of_six_is_written_as_a_url_has_it(monkeypatch):
    found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 8765, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert labels(8765) == ["[::1]:8765"]
