"""A probe against servers whose oddities are known: it finds exactly those.

One process holds all servers, on one loop, and all probes, each in a thread: a listener for each
profile, all of them speaking with one voices, so that the corpus is read once.
"""

import asyncio
import contextlib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import trustme
from websockets.asyncio.server import serve

from bench.errors import TargetError
from bench.probe.dialogue import Dialogue
from bench.probe.prober import run_probe
from bench.probe.quirk_checks import DETECTORS
from bench.probe.setting_checks import FORMATS
from bench.protocol.codec import message_table
from bench.protocol.dialects import DIALECTS
from bench.protocol.upgrade import MOST_HOPS, Offer
from bench.reference.admission import INWORLD_PATH, OPENAI_PATH
from bench.reference.profile import Profile, Quirks
from bench.reference.server_process import ReferenceServer, prepare
from bench.reference.truth_log import TruthLog
from bench.runs.target import Target
from bench.voice.audio import NS_PER_S

pytestmark = pytest.mark.live

CORPUS = Path(__file__).parents[2] / "audio_corpus" / "everyday"
LIMIT_S = 30.0

UNMET = {"mute_shorthand", "semantic_unanswered", "auto_tools"}
"""What only a client meets that leaves things open which this one always says: see
tests/virtual/test_inworld_conduct.py."""
ELSEWHERE = {
    "tools": ("missing_name", "nameless_calls", "idless_calls"),
    "settings": ("flat_error", "refuse_g711", "error_string", "integer_code", "untyped_error"),
    "g711": ("g711_truncate_thirds",),
    "interjections": ("filler", "backchannel_skipped"),
    "interrupt": ("late_audio",),
}
"""Quirks that are not found in the first session, by the one that is to find them."""
QUIRKS = {name: "call" for name in Quirks.__struct_fields__ if name not in UNMET} | {
    name: script for script, names in ELSEWHERE.items() for name in names
}
# A server that does what it is asked to fills every wait: its quirk is not to.
SWITCHED = dict.fromkeys(QUIRKS, 1.0) | {"filler": 0.0}
FAILURES = {
    "refused": ({"refuse": 1.0, "refuse_status": 401}, ("call", "tools")),
    "turned away": ({"refuse": 1.0, "refuse_status": 429}, ("call",)),
    "closed at once": ({"close_at_once": 1.0}, ("call",)),
    "mute": ({"mute": 1.0}, ("call", "tools")),
    "malformed": ({"malformed": 1.0}, ("tools",)),
    "binary": ({"binary": 1.0}, ("tools",)),
    "closed in mid-turn": ({"close_mid_turn": 1.0, "close_code": 1011}, ("call",)),
    "stalled": ({"stall": 1.0}, ("call",)),
    "no reply": ({"response_failed": 1.0}, ("call",)),
}


def profile(**tables):
    return msgspec.convert(tables, Profile, strict=False)


@contextlib.asynccontextmanager
async def listening(voices, behaviour, dialect="inworld"):
    """A server that behaves so, as a target."""
    reference = ReferenceServer(behaviour, voices, TruthLog(None))
    async with serve(
        reference.session,
        "127.0.0.1",
        0,
        process_request=reference.upgrade,
        compression=None,
        ping_interval=None,
        max_size=2**26,
        close_timeout=0.2,
    ) as server:
        port = server.sockets[0].getsockname()[1]
        path = INWORLD_PATH if dialect == "inworld" else OPENAI_PATH
        yield Target("here", f"ws://127.0.0.1:{port}{path}", DIALECTS[dialect])


async def probed(voices, behaviour, only=None, dialect="inworld", limit_s=LIMIT_S):
    async with listening(voices, behaviour, dialect) as target:
        return await probe(target, only=only, limit_s=limit_s)


async def probe(target, **how):
    return await asyncio.to_thread(run_probe, target, corpus=CORPUS, **how)


AT_ONCE = 12
"""Probes at once: each has a thread, and answers of servers beside too many come late."""


def patch_waits(patch):
    """What a server that never answers is given; on loopback an answer takes milliseconds."""
    patch.setattr("bench.probe.probe_scripts.REPLY_S", 4.0)
    patch.setattr("bench.voice.session_setup.GREETING_TIMEOUT_NS", 4 * NS_PER_S)
    patch.setitem(Dialogue.ask.__kwdefaults__, "within_s", 1.5)


async def all_probes():
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(AT_ONCE))
    # Forty servers at once would each prepare the same sounds, and answer late.
    voices = prepare(Profile(), str(CORPUS), FORMATS.values())
    works = {
        "plain": probed(voices, profile()),
        "openai": probed(voices, profile(), dialect="openai"),
        "limited": probed(voices, profile(failures={"stall": 1.0}), ("call",), limit_s=4.0),
        "crowded": probed(
            voices, profile(limits={"sessions": 1}), ("call", "tools"), limit_s=LIMIT_S
        ),
        "greets": probed(voices, profile(quirks={"greeting": 1.0}), ("call", "tools")),
    }
    for name, script in QUIRKS.items():
        odd = profile(
            quirks={name: SWITCHED[name]}, tools={"one": 1.0, "parallel": 0.0, "mixed": 0.0}
        )
        works[name] = probed(voices, odd, (script,))
    for name, (failures, only) in FAILURES.items():
        works[name] = probed(voices, profile(failures=failures), only)
    return dict(zip(works, await asyncio.gather(*works.values()), strict=True))


@pytest.fixture(scope="module")
def results():
    with pytest.MonkeyPatch.context() as patch:
        patch_waits(patch)
        return asyncio.run(all_probes())


def seen_quirks(result):
    return {name for name, row in result.group("quirks").items() if row.state == "seen"}


def test_a_server_without_quirks_shows_none_and_all_that_it_can_do(results):
    plain = results["plain"]
    assert seen_quirks(plain) == set()
    assert plain.troubles == ()
    assert plain.seconds < 25
    unseen = [
        (row.group, row.name) for row in plain.rows if row.state != "seen" and row.group != "quirks"
    ]
    assert unseen == [
        ("connection", "TLS"),  # the server has none, and compresses nothing
        ("connection", "compression"),
        ("defaults", "TTS model"),
        ("messages", "rate_limits.updated"),
    ]
    assert len([entry for entry in message_table() if entry.in_seed]) == 39


def test_the_effective_figures_are_those_of_the_profile(results):
    audio = results["plain"].group("audio out")
    assert audio["delta size"].value == "100 ms"
    assert 3.5 < float(audio["pace"].value.split()[0]) < 4.5
    turns = results["plain"].group("turn detection")
    assert "timeout_triggered came" in turns["idle_timeout"].detail
    assert "after the last word" in turns["semantic_vad high"].detail


def test_a_probe_costs_no_more_than_was_said(results):
    cost, spent = results["plain"].cost, results["plain"].spent
    assert spent.sessions == cost.sessions
    assert spent.audio_s <= cost.audio_s
    assert spent.messages <= cost.messages
    assert spent.responses <= cost.responses


def test_another_dialect_refuses_what_it_does_not_have(results):
    result = results["openai"]
    assert result.group("input formats")["PCM16 8 kHz"].state == "refused (integer_below_min_value)"
    assert result.group("modalities")["audio and text"].state == "refused (invalid_value)"
    assert result.group("changes in mid-session")["model"].state == "refused (invalid_value)"
    assert seen_quirks(result) == set()


@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_quirk_that_is_switched_on_is_found_and_no_other(results, quirk):
    assert seen_quirks(results[quirk]) == {quirk}
    assert results[quirk].troubles == ()


def test_every_quirk_of_the_reference_has_a_detector_and_is_switched():
    assert set(QUIRKS) <= set(DETECTORS)
    assert all(getattr(Quirks(), name) != value for name, value in SWITCHED.items())


def test_interjections_are_asked_for_and_come_or_not(results):
    def states(name):
        return {key: row.state for key, row in results[name].group("interjections").items()}

    assert states("plain") == {"fillers": "seen", "backchannels": "seen"}
    assert states("filler") == {"fillers": "not seen", "backchannels": "seen"}
    assert states("backchannel_skipped") == {"fillers": "seen", "backchannels": "not seen"}
    assert results["openai"].group("interjections")["fillers"].detail == "not asked"
    assert results["openai"].spent.sessions == results["openai"].cost.sessions == 6


@pytest.mark.parametrize("name", ["plain", "openai", "late_audio"])
def test_a_reply_is_cut_by_what_is_said_into_it(results, name):
    assert results[name].group("turn detection")["interruption"].value == "the reply was cut"


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("refused", "call: the upgrade was refused: HTTP 401"),
        ("turned away", "call: the upgrade was refused: HTTP 429"),
        ("closed at once", "call: the server closed the connection: close code 1011"),
        ("mute", "call: never answered"),
        ("closed in mid-turn", "call: the server closed the connection: close code 1011"),
        ("stalled", "call: fell silent"),
        ("limited", "call: stopped by the time limit"),
    ],
)
def test_a_session_that_fails_is_one_line_and_the_rows_still_stand(results, failure, said):
    result = results[failure]
    assert result.troubles[0].startswith(said)
    assert {row.group for row in result.rows} == {row.group for row in results["plain"].rows}


def test_where_the_first_session_fails_the_others_are_not_tried(results):
    assert results["refused"].group("connection")["upgrade"].state == "refused (HTTP 401)"
    for failure in ("refused", "mute"):
        assert results[failure].troubles[1].startswith("tools: not tried")
        assert results[failure].spent.sessions == 1


@pytest.mark.parametrize("garbage", ["malformed", "binary"])
def test_garbage_is_a_finding_and_the_session_goes_on(results, garbage):
    assert seen_quirks(results[garbage]) == {garbage}
    assert results[garbage].troubles == ()
    assert results[garbage].group("tools")["function calls"].state == "seen"


def test_a_response_that_failed_leaves_what_it_would_have_shown_unseen(results):
    result = results["no reply"]
    assert result.messages["response.done"] == "seen"
    assert result.messages["response.output_audio.delta"] == "not seen"
    assert result.group("audio out")["pace"].detail == "no spoken reply"


def test_a_session_that_was_turned_away_is_tried_again_when_there_is_room(results):
    result = results["crowded"]
    assert result.troubles == ()
    assert result.group("tools")["function calls"].state == "seen"


def test_an_agent_that_greets_its_callers_is_heard_out_before_it_is_asked(results):
    assert seen_quirks(results["greets"]) == {"greeting"}
    assert results["greets"].group("tools")["function calls"].state == "seen"


def test_the_limit_is_kept(results):
    assert results["limited"].seconds < 6


def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_target_that_is_not_there_is_one_error(scheme):
    target = Target("x", f"{scheme}://127.0.0.1:{closed_port()}/v1/realtime", DIALECTS["openai"])
    with pytest.raises(TargetError, match="cannot be reached: Connection refused"):
        asyncio.run(probe(target))


def test_a_name_that_leads_nowhere_is_one_error(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-sent")
    target = Target("x", "ws://nowhere.invalid/v1/realtime", DIALECTS["openai"])
    with pytest.raises(TargetError, match=r"nowhere\.invalid port 80 cannot be reached"):
        asyncio.run(probe(target))


def test_a_server_that_speaks_no_tls_is_one_error():
    async def tried():
        async def hang_up(_reader, writer):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            target = Target("x", f"wss://127.0.0.1:{port}/x", DIALECTS["openai"])
            with pytest.raises(TargetError, match="TLS"):
                await probe(target)

    asyncio.run(tried())


def test_what_answers_with_no_websocket_is_told_so():
    async def tried():
        async def hang_up(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"SMTP ready\r\n")
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            target = Target("x", f"ws://127.0.0.1:{port}/x", DIALECTS["openai"])
            return await probe(target, only=("call",))

    result = asyncio.run(tried())
    refused = "call: the upgrade was refused: did not receive a valid HTTP"
    assert result.troubles[0].startswith(refused)


async def greet(connection):
    await connection.send('{"type":"session.created","session":{}}')
    await connection.wait_closed()


async def connection_of(*, scheme="ws", offer=Offer(), **how):
    """What a probe says of the connection to a server that says one word, and its troubles."""
    async with serve(greet, "127.0.0.1", 0, **how) as server:
        port = server.sockets[0].getsockname()[1]
        target = Target("x", f"{scheme}://127.0.0.1:{port}/x", DIALECTS["openai"], offer)
        found = await probe(target, only=("call",), limit_s=1.0)
        return found.group("connection"), found.troubles, port


def test_compression_is_offered_once_and_its_acceptance_seen():
    rows, _, _ = asyncio.run(connection_of(compression="deflate"))
    assert rows["compression"].state == "seen"
    assert rows["compression"].value.startswith("permessage-deflate")


def test_what_tls_agreed_on_is_told(monkeypatch, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["http/1.1"])
    rows, _, _ = asyncio.run(connection_of(scheme="wss", ssl=context, compression=None))
    assert rows["TLS"].state == "seen"
    assert rows["TLS"].detail.startswith("TLSv1.3 TLS_")
    assert rows["HTTP version"].detail == "by ALPN"


def test_redirects_are_followed_where_asked_and_a_subprotocol_is_offered_and_told_of():
    def redirect(connection, request):
        if request.path == "/here":
            return None
        response = connection.respond(302, "elsewhere")
        response.headers["Location"] = "/here"
        return response

    how = {"process_request": redirect, "subprotocols": ["realtime"]}
    rows, _, port = asyncio.run(connection_of(offer=Offer("realtime", MOST_HOPS), **how))
    here = f"ws://127.0.0.1:{port}/here"
    assert (rows["redirect 1"].value, rows["subprotocol"].value) == (here, "realtime")
    _, troubles, port = asyncio.run(connection_of(**how))
    told = f"HTTP 302 to ws://127.0.0.1:{port}/here; use that URL, or --follow-redirects"
    assert troubles == (f"call: the upgrade was refused: {told}",)
