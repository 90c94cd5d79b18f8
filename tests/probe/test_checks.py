"""What recorded sessions say about everything but quirks, and the rows that it becomes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.load.agreement import Agreed
from bench.probe.answers import answer_to
from bench.probe.checks import all_rows
from bench.probe.probed_session import Connection, ProbedSession
from bench.probe.quirk_checks import DETECTORS
from bench.probe.setting_checks import (
    ALL,
    BACKCHANNELS,
    CHANGE_CHECKS,
    FILLERS,
)
from bench.protocol.codec import message_table
from bench.protocol.upgrade import Offer
from bench.runs.rows import Row
from bench.voice.audio import NS_PER_MS
from tests.probe.recorded import (
    AUDIBLE,
    ask,
    audio_delta,
    created,
    done,
    error,
    session,
    skipped,
    started,
    told,
    word,
)


def rows(*sessions, dialect="inworld"):
    return {(row.group, row.name): row for row in all_rows(sessions, dialect, 1000.0)}


def note(kind, at_ms, detail=None):
    return Row(0, round(at_ms * NS_PER_MS), 0, None, "note", kind, detail=detail)


STAGES = [
    note("bench.start", 0), note("bench.connected", 2), note("bench.secured", 5),
    note("bench.upgraded", 9), note("session.created", 10),
]  # fmt: skip


def connected(*rows_, agreed=None, begin="seen", **more):
    connection = Connection(1_500_000, Offer("realtime"), compress=True, agreed=agreed or Agreed())
    first = ask("begin", "session.update", begin)
    one = ProbedSession("call", rows_, exchanges=[first], connection=connection, **more)
    return rows(one)


def test_the_connection_is_told_stage_by_stage():
    agreed = Agreed("TLSv1.3 AES", "http/1.1", "permessage-deflate", "", "nginx")
    found = connected(*STAGES, note("bench.microphone", 10.5), agreed=agreed)
    values = {name: row.value for (group, name), row in found.items() if group == "connection"}
    assert values == {
        "DNS": "1.5 ms", "TCP": "2.0 ms", "TLS": "3.0 ms", "upgrade": "4.0 ms", "subprotocol": "",
        "HTTP version": "1.1", "compression": "permessage-deflate", "server": "nginx",
        "created": "11.5 ms", "ready": "12.0 ms",
    }  # fmt: skip
    assert found["connection", "TLS"].detail == "TLSv1.3 AES"


def test_of_a_connection_that_was_redirected_the_last_counts():
    hop = note("bench.redirected", 10, '{"status": 302, "url": "ws://x/there"}')
    found = connected(*STAGES[:3], hop, note("bench.connected", 11), note("bench.secured", 13),
                      note("bench.upgraded", 17))  # fmt: skip
    names = ("TCP", "upgrade", "redirect 1")
    told = [found["connection", name].value for name in names]
    assert told == ["1.0 ms", "4.0 ms", "ws://x/there"]


def test_where_no_update_was_acknowledged_nobody_says_when_it_was_ready():
    found = connected(*STAGES, note("bench.microphone", 5010), begin="not seen")
    assert found["connection", "ready"].state == "not seen"


@pytest.mark.parametrize("where", ["", " at /v1"])
def test_a_refused_upgrade_is_a_state_and_its_words(where):
    reason = f"HTTP 404{where}: no"
    row = connected(*STAGES[:3], ended=("refused", reason))["connection", "upgrade"]
    assert (row.state, row.detail) == ("refused (HTTP 404)", reason)


def test_defaults_come_from_session_created_alone():
    audio = {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": None}}}
    created = session("session.created", model="m", expires_at=4600, instructions="", audio=audio)
    found = rows(told(begun=(created, session(model="other"))))
    assert found["defaults", "model"].value == "m"
    assert found["defaults", "turn detection"].value == "server_vad"
    assert found["defaults", "expires_at"].value == "3600 s"
    assert found["defaults", "instructions"].value == '""'
    assert found["defaults", "voice"].state == "not seen"


def test_pace_counts_what_was_delivered_when_the_last_delta_came():
    whole, half = (audio_delta(b"\x00\x20" * samples) for samples in (2400, 1200))
    found = rows(told(created(), whole, whole, whole, whole, half, apart_ms=25))
    assert found["audio out", "pace"].value == "4.0 × real time"
    assert found["audio out", "delta size"].value == "100 ms"
    assert found["audio out", "delta size"].detail == "4 of 100 ms, 1 of 50 ms"


def test_leading_silence_ends_where_something_is_heard():
    found = rows(told(audio_delta(bytes(2 * 24 * 150)), audio_delta(AUDIBLE)))
    assert found["audio out", "leading silence"].value == "150 ms"


def test_padding_is_no_delta_size():
    loud = b"\x00\x30" * 2400
    found = rows(told(audio_delta(loud), audio_delta(loud), audio_delta(bytes(480))))
    assert found["audio out", "delta size"].detail == "2 of 100 ms"


def call(call_id, name):
    item = {"type": "function_call", "id": f"of {call_id}", "call_id": call_id, "name": name}
    return {"type": "response.output_item.done", "response_id": "r1", "item": item}


def test_two_calls_of_one_response_are_parallel_and_one_is_not():
    both = rows(told(call("c1", "get_weather"), call("c2", "get_time")))
    assert both["tools", "parallel calls"].value == "get_weather, get_time"
    one = rows(told(call("c1", "get_weather")))
    assert one["tools", "function calls"].state == "seen"
    assert one["tools", "parallel calls"].state == "not seen"


def test_tools_that_were_refused_are_refused():
    asked = ask("tools", "session.update", "refused (plan)", error("plan"))
    assert rows(told(asked=[asked]))["tools", "function calls"].state == "refused (plan)"


def auto(*labels):
    granted = session(providerData={"auto_tool_response": True})
    asks = [ask("tools/auto_tool_response", "session.update", "seen", granted)]
    asks += [ask(label, "conversation.item.create", "seen") for label in labels]
    return rows(told(asked=asks))["tools", "auto_tool_response"]


def test_going_on_alone_is_what_happens_without_being_asked_to():
    row = auto("first: output", "first: go on", "auto: output")
    assert row.value == "honoured, a response came by itself"
    assert row.detail == "by default off"
    row = auto("first: output", "auto: output", "auto: go on")
    assert row.value == "honoured, no response came by itself"
    assert row.detail == "by default on"


def test_an_error_on_purpose_gives_its_code_and_taking_it_is_told_apart():
    refused = ask("commit_empty", "input_audio_buffer.commit", "refused (empty)", error("empty"),
                  provoking=True)  # fmt: skip
    taken = ask("cancel_idle", "response.cancel", "seen", provoking=True)
    found = rows(told(asked=[refused, taken]))
    assert found["errors", "commit_empty"].value == "empty"
    assert found["errors", "cancel_idle"].detail == "taken without an error"
    assert found["errors", "unknown_event"].detail == "not asked"


def test_a_part_of_a_refused_update_that_was_applied_is_found_out():
    asked = ask("invalid_update", "session.update", "refused (x)", error("x"), provoking=True)
    kept = rows(told(session(instructions="other"), asked=[asked]))["errors", "atomic update"]
    assert kept.state == "seen"
    broken = told(session(instructions="This must not be applied."), asked=[asked])
    assert rows(broken)["errors", "atomic update"].state == "not seen"


# ── both at once ─────────────────────────────────────────────────────────────────────────────


def test_a_reply_that_speech_ends_is_an_interruption_and_how_fast():
    found = rows(told(created(), audio_delta(b"\x00\x20"), started(), done("cancelled")))
    row = found["turn detection", "interruption"]
    assert (row.state, row.value) == ("seen", "the reply was cut")
    assert row.detail == "response.done 1 ms after speech_started"


def test_talking_into_replies_in_vain_is_told_from_not_talking():
    into = ask("into: response", "response.create", "seen")
    row = rows(told(asked=[into, into]))["turn detection", "interruption"]
    assert (row.state, row.detail) == ("not seen", "2 × talked into a reply, none was cut")
    assert rows(told())["turn detection", "interruption"].detail == "not asked"


def granted(check):
    *_, branch = check.path.split(".")
    return ask(check.label, "session.update", "seen", session(providerData={branch: check.value}))


def test_a_filler_that_was_asked_for_is_honoured():
    on = session(providerData={"responsiveness": FILLERS.value})
    texts = [on, created(), audio_delta(AUDIBLE), word(), done()]
    row = rows(told(*texts, asked=[granted(FILLERS)]))["interjections", "fillers"]
    assert (row.state, row.value) == ("seen", "honoured")
    assert row.detail == "100 ms of sound before the first word; in 1 of 1 replies"


def test_fillers_that_are_granted_and_do_not_come_are_not_seen():
    on = session(providerData={"responsiveness": FILLERS.value})
    texts = [on, created(), word(), audio_delta(AUDIBLE), done()]
    row = rows(told(*texts, asked=[granted(FILLERS)]))["interjections", "fillers"]
    assert (row.state, row.value) == ("not seen", "granted, and none came")
    assert row.detail == "in 0 of 1 replies"


@pytest.mark.parametrize("answer", [None, session()])
def test_backchannels_that_are_heard_are_believed_whatever_was_said_of_them(answer):
    asked = ask(BACKCHANNELS.label, "session.update", "seen", answer)
    asked = granted(BACKCHANNELS) if answer is None else asked
    heard_ = {"type": "response.backchannel.audio.done", "phrase": "mm-hmm"}
    found = rows(told(heard_, skipped("min_gap_not_elapsed"), asked=[asked]))
    row = found["interjections", "backchannels"]
    assert (row.state, row.value) == ("seen", "honoured")
    assert row.detail == "1 × mm-hmm; skipped 1 × (min_gap_not_elapsed)"


def test_backchannels_that_are_only_skipped_are_not_seen_and_say_why():
    found = rows(told(skipped("no_phrase"), asked=[granted(BACKCHANNELS)]))
    row = found["interjections", "backchannels"]
    assert (row.state, row.detail) == ("not seen", "skipped 1 × (no_phrase)")


def test_interjections_that_were_refused_are_refused():
    asked = ask(FILLERS.label, "session.update", "refused (plan)", error("plan"))
    assert rows(told(asked=[asked]))["interjections", "fillers"].state == "refused (plan)"
    assert rows(told())["interjections", "backchannels"].detail == "not asked"


def test_slowed_cut_and_filled_replies_do_not_show_how_speech_comes():
    deltas = [audio_delta(b"\x00\x30" * 2400)] * 2
    assert rows(told(*deltas))["audio out", "pace"].state == "seen"
    for name in ("interrupt", "interjections"):
        assert rows(told(*deltas, name=name))["audio out", "pace"].detail == "no spoken reply"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "rate", "format", "audio", "input", "output", "id", "call_id"]
            ),
            inner,
        )
    ),
    max_leaves=8,
)
FIELDS = (
    "session", "response", "item", "error", "delta", "response_id", "item_id", "transcript",
    "usage", "previous_item_id", "name", "call_id", "audio_start_ms", "message",
)  # fmt: skip
BODIES = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON))
TYPES = st.sampled_from([entry.type for entry in message_table()])


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("response.function_call_arguments.done", {"call_id": []}),
        ("response.done", {"response": {"id": [], "status": ["completed"]}}),
        ("conversation.item.done", {"item": {"id": {}}, "previous_item_id": None}),
        ("error", {"error": {"event_id": []}}),
    ],
)
def test_an_id_that_is_no_text_is_none(kind, body):
    one = told({"type": kind} | body)
    answer = answer_to(one.received[-1:], "e1", ["session.updated"])
    assert answer == ({"type": kind} | body if kind == "error" else None)
    assert [row.name for row in all_rows([one], "openai", 0.0) if row.group == "quirks"]


@settings(max_examples=50)
@given(st.lists(st.tuples(TYPES, BODIES), max_size=10))
def test_whatever_a_server_sends_there_is_a_result(recorded):
    asked = [ask(one.label, "session.update", "seen", b) for one, (_, b) in zip(ALL, recorded)]  # noqa: B905 - as many as there are
    one = told(*({"type": kind} | body for kind, body in recorded), asked=asked)
    found = all_rows([one], "openai", 0.0)
    assert {("changes in mid-session", check.name) for check in CHANGE_CHECKS["openai"]} <= {
        (row.group, row.name) for row in found
    }
    assert [row.name for row in found if row.group == "quirks"] == list(DETECTORS)
    assert all(r.state in {"seen", "not seen"} or r.state.startswith("refused (") for r in found)
