"""All legal sequences of protocol.md section 7 break no rule, and each rule has its violation."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.tracker.event import Event
from bench.tracker.protocol_checker import DELTAS, TYPES, ProtocolChecker
from bench.tracker.protocol_rules import RULES
from tests.examples import examples

MS = 1_000_000
PCM = {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}}}}
ULAW = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}
ASR = "conversation.item.input_audio_transcription"
SPEECH = "input_audio_buffer.speech_"
BETA = {
    "response.output_audio": "response.audio",
    "response.output_audio_transcript": "response.audio_transcript",
    "response.output_text": "response.text",
}


def message(direction, kind, item="", response="", detail=None, **fields):
    """A row as the log has it: what is missing is None, an object is its JSON."""
    names = ("call_id", "previous_id")
    fields |= {name: fields.get(name) or None for name in names}
    text = detail if detail is None or isinstance(detail, str) else json.dumps(detail)
    return Event(
        0, 0, fields.pop("at_ns", 0), 0, direction, kind, item or None, response or None,
        detail=text, **fields,
    )  # fmt: skip


def hear(kind, item="", response="", **fields):
    return message("in", kind, item, response, **fields)


def send(kind, item="", event="e1", detail=None, **fields):
    return message("out", kind, item, detail={**(detail or {}), "event_id": event}, **fields)


def append(ms=100):
    """A chunk of the microphone."""
    return message("out", "input_audio_buffer.append", audio_ns=ms * MS)


OPEN = [
    hear("session.created", detail=PCM),
    send("session.update", event="e0"),
    hear("session.updated", detail=PCM),
]


def violations(*told, whole=True, at_ns=None):
    """What a checker finds, told a session's rows in order and nothing else."""
    checker = ProtocolChecker()
    for row, event in enumerate(told):
        checker.feed(event._replace(row=row))
    checker.close(at_ns, whole=whole)
    return checker.violations


def broken(*told, opened=True, **how):
    """The names of the rules that are broken, by row."""
    return [one.rule for one in violations(*(OPEN if opened else []), *told, **how)]


# ── the blocks that sequences are made of ────────────────────────────────────────────────────────


def heard(item, start=0, end=900, previous=""):
    """7.1 up to the item: 1 s of audio is written."""
    return [
        append(),
        hear(f"{SPEECH}started", item, audio_ms=start),
        *[append()] * 9,
        hear(f"{SPEECH}stopped", item, audio_ms=end),
        hear("input_audio_buffer.committed", item, previous_id=previous),
        *entered(item, previous),
    ]


def entered(item, previous="", **detail):
    detail = {"role": "user", "type": "message", "status": "completed", **detail}
    return [
        hear("conversation.item.added", item, previous_id=previous, detail=detail),
        hear("conversation.item.done", item, previous_id=previous, detail=detail),
    ]


def transcribed(item, text="good morning"):
    return [hear(f"{ASR}.delta", item, detail=text), hear(f"{ASR}.completed", item, detail=text)]


def created(response, conversation="default"):
    return hear(
        "response.created",
        response=response,
        detail={"status": "in_progress", "conversation": conversation},
    )


def ended(response, status="completed", details=""):
    return hear("response.done", response=response, detail={"status": status, "details": details})


def announced(response, item, previous="", index=0, *, aside=False, call="", **detail):
    detail = {"type": "message", "role": "assistant", "status": "in_progress", **detail}
    at = {"output_index": index, "call_id": call}
    said = [hear("response.output_item.added", item, response, detail=detail, **at)]
    if not aside:
        said.append(
            hear("conversation.item.added", item, previous_id=previous, detail=detail, call_id=call)
        )
    return said


def closed(response, item, status="completed", index=0, *, aside=False, call="", **detail):
    detail = {"type": "message", "role": "assistant", "status": status, **detail}
    at = {"output_index": index, "call_id": call}
    said = [hear("response.output_item.done", item, response, detail=detail, **at)]
    if not aside:  # the quirk: previous is null here
        said.insert(0, hear("conversation.item.done", item, detail=detail, call_id=call))
    return said


def delta(response, item, kind, text="", index=0, part=0, **fields):
    at = {"output_index": index, "content_index": part}
    if kind == "response.output_audio":
        return hear(f"{kind}.delta", item, response, audio_ns=100 * MS, nbytes=4800, **at)
    return hear(f"{kind}.delta", item, response, detail=text, **at, **fields)


def done(response, item, kind, text="", index=0, part=0, **fields):
    at = {"output_index": index, "content_index": part}
    detail = None if kind == "response.output_audio" else text
    return hear(f"{kind}.done", item, response, detail=detail, **at, **fields)


def part(response, item, what, text="", index=0, part=0, kind="audio"):
    at = {"output_index": index, "content_index": part}
    detail = {"type": kind, "text": text}
    return hear(f"response.content_part.{what}", item, response, detail=detail, **at)


AUDIO, WORDS, TEXT = (*BETA,)
ARGUMENTS = "response.function_call_arguments"


def streamed(response, item, words=("Good ", "morning."), index=0, place=0):
    """The parts of a spoken item, whole or cut."""
    said = "".join(words)
    at = {"index": index, "part": place}
    return [
        part(response, item, "added", **at),
        *[
            one
            for word in words
            for one in (
                delta(response, item, WORDS, word, **at),
                delta(response, item, AUDIO, **at),
            )
        ],
        done(response, item, AUDIO, **at),
        done(response, item, WORDS, said, **at),
        part(response, item, "done", said, **at),
    ]


def spoken(response, item, previous="", status="completed", details="", **more):
    item_status = "completed" if status == "completed" else "incomplete"
    return [
        created(response, "none" if more.get("aside") else "default"),
        *announced(response, item, previous, **more),
        *streamed(response, item),
        *closed(response, item, item_status, **more),
        ended(response, status, details),
    ]


def written(response, item, previous=""):
    return [
        created(response),
        *announced(response, item, previous),
        part(response, item, "added", kind="text"),
        delta(response, item, TEXT, "Good "),
        delta(response, item, TEXT, "day."),
        done(response, item, TEXT, "Good day."),
        part(response, item, "done", "Good day.", kind="text"),
        *closed(response, item),
        ended(response),
    ]


def called(response, item, call, previous="", index=0, arguments='{"city": "Rome"}'):
    """One tool call, without the response around it."""
    at = {"index": index, "call": call, "type": "function_call", "name": "weather"}
    half = len(arguments) // 2
    of = {"index": index, "call_id": call}
    return [
        *announced(response, item, previous, **at),
        delta(response, item, ARGUMENTS, arguments[:half], **of),
        delta(response, item, ARGUMENTS, arguments[half:], **of),
        done(response, item, ARGUMENTS, arguments, **of),
        *closed(response, item, arguments=arguments, **at),
    ]


def output_of(call, item, previous="", event="e5"):
    return [
        send("conversation.item.create", item, event, call_id=call),
        *entered(item, previous, type="function_call_output", status="", call_id=call),
    ]


# ── legal sequences: protocol.md section 7 ───────────────────────────────────────────────────────

CREATE = send("response.create", event="e9")
LEGAL: dict[str, list[Event]] = {
    "7.1 a spoken turn": [
        *heard("u1"),
        created("r1"),
        *transcribed("u1"),
        *spoken("r1", "a1", "u1")[1:],
        hear("rate_limits.updated"),
    ],
    "7.1 the transcription begins with the speech, ends after everything, and is revised": [
        *heard("u1")[:3],
        hear(f"{ASR}.delta", "u1", detail="good"),
        *heard("u1")[3:],
        *spoken("r1", "a1", "u1"),
        *transcribed("u1", "good morning"),
        *transcribed("u1", "good mourning"),
        *transcribed("u1", "good mourning"),
    ],
    "7.1 a recogniser that is ahead of the detector": [
        append(1000),
        hear(f"{ASR}.delta", "u1", detail="good"),
        *heard("u1"),
    ],
    "7.1 xAI: the item is added at speech_started, transcript.done comes first, no item.done": [
        append(1000),
        hear(f"{SPEECH}started", "u1", audio_ms=10),
        entered("u1", status="in_progress")[0],
        hear(f"{SPEECH}stopped", "u1", audio_ms=900),
        hear("input_audio_buffer.committed", "u1"),
        created("r1", ""),
        *announced("r1", "a1", "u1"),
        part("r1", "a1", "added"),
        delta("r1", "a1", WORDS, "Good"),
        delta("r1", "a1", AUDIO),
        done("r1", "a1", WORDS, "Good"),
        done("r1", "a1", AUDIO),
        part("r1", "a1", "done", "Good"),
        *closed("r1", "a1"),
        hear("response.done", response="r1", detail={"status": "completed", "details": ""}),
        hear("ping"),
        hear(f"{ASR}.updated", "u1", detail="good"),
    ],
    "7.1 positions, stops, commits and ends that are left out": [
        *[append()] * 3,
        hear(f"{SPEECH}started", "u1"),
        hear(f"{SPEECH}started", "u2"),
        hear(f"{SPEECH}stopped", "u2"),
        created("r1", ""),
        delta("r1", "a1", AUDIO),
        delta("r1", "a1", WORDS, "Good"),
        hear("response.done", response="r1", detail={"status": "completed", "details": ""}),
    ],
    "7.1 speech without the names of items": [
        *[append()] * 9,
        hear(f"{SPEECH}started", audio_ms=10),
        hear(f"{SPEECH}stopped", audio_ms=400),
        hear(f"{SPEECH}started", audio_ms=410),
        hear(f"{SPEECH}stopped", audio_ms=800),
        hear("input_audio_buffer.committed"),
    ],
    "7.2 a manual turn": [
        send("input_audio_buffer.clear", event="e1"),
        hear("input_audio_buffer.cleared"),
        *[append()] * 9,
        send("input_audio_buffer.commit", event="e2"),
        hear("input_audio_buffer.committed", "u1"),
        *entered("u1"),
        *transcribed("u1"),
        CREATE,
        *spoken("r1", "a1", "u1"),
    ],
    "7.2 a commit in mid-speech": [
        append(1000),
        hear(f"{SPEECH}started", "u1", audio_ms=10),
        send("input_audio_buffer.commit", event="e2"),
        hear("input_audio_buffer.committed", "u1"),
        *entered("u1"),
        hear(f"{SPEECH}stopped", "u1", audio_ms=900),
    ],
    "7.3 a written turn": [
        send("conversation.item.create", "u1"),
        CREATE,
        *entered("u1"),
        *written("r1", "a1", "u1"),
    ],
    "7.3 both modalities, text and transcript in one part": [
        created("r1"),
        *announced("r1", "a1"),
        part("r1", "a1", "added"),
        delta("r1", "a1", TEXT, "Good"),
        delta("r1", "a1", WORDS, "good"),
        delta("r1", "a1", AUDIO),
        done("r1", "a1", TEXT, "Good"),
        done("r1", "a1", WORDS, "good"),
        done("r1", "a1", AUDIO),
        part("r1", "a1", "done", "good"),
        *closed("r1", "a1"),
        ended("r1"),
    ],
    "7.4 a call, its output, the answer": [
        created("r1"),
        *called("r1", "f1", "c1"),
        ended("r1"),
        *output_of("c1", "o1", "f1"),
        CREATE,
        *spoken("r2", "a2", "o1"),
    ],
    "7.4 an output sent before response.done is acknowledged after it": [
        created("r1"),
        *called("r1", "f1", "c1"),
        output_of("c1", "o1", "f1")[0],
        ended("r1"),
        *output_of("c1", "o1", "f1")[1:],
    ],
    "7.4 two calls at once, which end without text": [
        created("r1"),
        *called("r1", "f1", "c1")[:3],
        *called("r1", "f2", "c2", "f1", index=1)[:4],
        *called("r1", "f1", "c1")[3:],
        done("r1", "f2", ARGUMENTS, "", index=1, call_id="c2"),
        *closed("r1", "f2", index=1, call="c2", type="function_call", arguments=""),
        ended("r1"),
    ],
    "7.4 the call's item streams before the message's has ended": [
        created("r1"),
        *announced("r1", "a1"),
        *streamed("r1", "a1")[:3],
        *called("r1", "f1", "c1", "a1", index=1)[:4],
        *streamed("r1", "a1")[3:],
        *closed("r1", "a1"),
        *called("r1", "f1", "c1", "a1", index=1)[4:],
        ended("r1"),
    ],
    "7.4 arguments that a barge-in cut": [
        created("r1"),
        *announced("r1", "f1", call="c1", type="function_call"),
        delta("r1", "f1", ARGUMENTS, '{"ci', call_id="c1"),
        done("r1", "f1", ARGUMENTS, '{"ci', call_id="c1"),
        *closed("r1", "f1", "incomplete", call="c1", type="function_call", arguments='{"ci'),
        ended("r1", "cancelled", "cancelled"),
    ],
    "7.5 a barge-in, with stragglers": [
        *heard("u1"),
        *spoken("r1", "a1", "u1")[:6],
        append(300),
        hear(f"{SPEECH}started", "u2", audio_ms=1000),
        delta("r1", "a1", AUDIO),
        done("r1", "a1", AUDIO),
        done("r1", "a1", WORDS, "Good "),
        part("r1", "a1", "done", "Good "),
        *closed("r1", "a1", "incomplete"),
        ended("r1", "cancelled", "cancelled"),
        send("conversation.item.truncate", "a1"),
        hear("conversation.item.truncated", "a1", audio_ms=200),
        append(1000),
        hear(f"{SPEECH}stopped", "u2", audio_ms=2000),
        hear("input_audio_buffer.committed", "u2", previous_id="a1"),
        *entered("u2", "a1"),
    ],
    "7.5 a barge-in after the response was done": [
        *heard("u1"),
        *spoken("r1", "a1", "u1"),
        append(300),
        hear(f"{SPEECH}started", "u2", audio_ms=1000),
        send("response.cancel", event="e7"),
        hear("error", detail={"code": "response_cancel_not_active", "event_id": "e7"}),
        send("conversation.item.truncate", "a1"),
        hear("conversation.item.truncated", "a1", audio_ms=150),
    ],
    "7.6 a client cancels a response before it was announced": [
        CREATE,
        send("response.cancel"),
        created("r1"),
        ended("r1", "cancelled", "cancelled"),
    ],
    "7.7 the idle timeout": [
        *[append()] * 60,
        hear("input_audio_buffer.timeout_triggered", "u1", audio_ms=672),
        *entered("s1", role="system"),
        hear("input_audio_buffer.committed", "u1", previous_id="s1"),
        *entered("u1", "s1"),
        *spoken("r1", "a1", "u1"),
        hear(f"{ASR}.completed", "u1", detail=""),
    ],
    "7.8 history is seeded": [
        *[send("conversation.item.create", f"h{n}", f"e{n}") for n in range(3)],
        *entered("h0"),
        *entered("h1", "h0"),
        *entered("h2", "h1"),
        send("conversation.item.create", "h3", "e3", previous_id="h0"),
        *entered("h3", "h0"),
        send("conversation.item.create", "h4", "e4", previous_id="root"),
        *entered("h4"),
    ],
    "an item is retrieved, deleted and created again": [
        send("conversation.item.create", "h1"),
        *entered("h1"),
        send("conversation.item.retrieve", "h1", "e2"),
        hear("conversation.item.retrieved", "h1"),
        send("conversation.item.delete", "h1", "e3"),
        hear("conversation.item.deleted", "h1"),
        send("conversation.item.create", "h1", "e4"),
        *entered("h1"),
    ],
    "responses beside the conversation": [
        send("response.create", detail={"response": {"conversation": "none"}}),
        created("x1", "none"),
        *spoken("r1", "a1"),
        *spoken("x1", "y1", aside=True)[1:],
    ],
    "a response that failed": [created("r1"), ended("r1", "failed", "failed")],
    "xAI: details in words": [created("r1"), ended("r1", "cancelled")],
    "a response that reached its limit": spoken(
        "r1", "a1", status="incomplete", details="incomplete"
    ),
    "a beta server": [
        *heard("u1")[:-2],
        hear("conversation.item.created", "u1"),
        created("r1"),
        hear("response.output_item.added", "a1", "r1", output_index=0),
        hear("conversation.item.created", "a1", previous_id="u1"),
        *[
            fact._replace(type=fact.type.replace(".output_", "."))
            for fact in streamed("r1", "a1")
        ],
        hear("response.output_item.done", "a1", "r1", output_index=0),
        hear("conversation.item.done", "a1"),
        ended("r1"),
    ],
    "a server of two vocabularies": [
        *heard("u1")[:-2],
        hear("conversation.item.created", "u1"),
        *entered("u1"),
    ],
    "G.711 is cut on another clock": [
        hear("session.updated", detail=ULAW),
        *spoken("r1", "a1"),
        delta("r1", "a1", AUDIO)._replace(type="ping"),
        send("conversation.item.truncate", "a1"),
        hear("conversation.item.truncated", "a1", audio_ms=9000),
    ],
    "the server's own business": [
        hear("session.updated", detail=PCM),
        hear("conversation.created"),
        hear("input_audio_buffer.turn_suggestion", "u7"),
        hear("response.backchannel.audio.delta", nbytes=4801),
        hear("errorType:SESSION_RESOURCES_EXHAUSTED"),
        hear("error", detail={"code": "server_error", "event_id": None}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", LEGAL)
def test_no_legal_sequence_breaks_a_rule(name):
    assert broken(*LEGAL[name]) == []


@pytest.mark.parametrize("name", LEGAL)
def test_a_session_that_is_cut_anywhere_misses_nothing(name):
    facts = LEGAL[name]
    for length in range(len(facts)):
        assert broken(*facts[:length], whole=False, at_ns=10**12) == []


def test_a_session_that_was_refused_may_begin_with_the_error():
    refused = hear("error", detail={"code": "session_limit_reached"})
    assert broken(refused, hear("session.created"), opened=False) == []


# ── every rule, broken as little as can be ───────────────────────────────────────────────────────

REPLY = spoken("r1", "a1")


def without(facts, *kinds):
    return [fact for fact in facts if fact.type not in kinds]


def instead(facts, kind, **fields):
    if isinstance(fields.get("detail"), dict):
        fields["detail"] = json.dumps(fields["detail"])
    return [fact._replace(**fields) if fact.type == kind else fact for fact in facts]


def moved(facts, kind, to):
    """The first fact of a type, moved to just before the first of another."""
    one = next(fact for fact in facts if fact.type == kind)
    rest = [fact for fact in facts if fact is not one]
    place = next(n for n, fact in enumerate(rest) if fact.type == to)
    return [*rest[:place], one, *rest[place:]]


STARTED, STOPPED = f"{SPEECH}started", f"{SPEECH}stopped"
ITEM_DONE, OUTPUT_DONE = "conversation.item.done", "response.output_item.done"
PART_ADDED, PART_DONE = "response.content_part.added", "response.content_part.done"
WRONG: list[tuple[str, str, list[Event]]] = [
    ("session_created_once", "twice", [hear("session.created", detail=PCM)]),
    ("speech_pairs", "starts twice", [append(), *[hear(STARTED, "u1", audio_ms=20)] * 2]),
    ("speech_pairs", "stops only", [append(), hear(STOPPED, "u1", audio_ms=20)]),
    ("speech_pairs", "stops twice", [*heard("u1"), hear(STOPPED, "u1", audio_ms=900)]),
    ("speech_pairs", "stops only, without a name", [append(), hear(STOPPED, audio_ms=20)]),
    ("speech_order", "ends first", heard("u1", start=150, end=140)),
    ("speech_order", "starts run backwards", [*heard("u1", 150), *heard("u2", 140, 1900)]),
    ("speech_order", "ends run backwards", [*heard("u1"), *heard("u2", 600, 800)]),
    ("speech_clock", "beyond what was written", heard("u1", end=1101)),
    ("speech_clock", "a start, too", heard("u1", start=201)),
    ("commit_once", "twice", [*heard("u1"), hear("input_audio_buffer.committed", "u1")]),
    (
        "commit_before_stop",
        "too early",
        moved(heard("u1"), "input_audio_buffer.committed", STOPPED),
    ),
    ("item_added_once", "twice", [*entered("u1"), entered("u1")[0]]),
    ("item_done_before_added", "never added", entered("u1")[1:]),
    ("item_done_before_added", "too late", entered("u1")[::-1]),
    ("item_done_once", "twice", [*entered("u1"), entered("u1")[1]]),
    ("item_position", "nobody's", entered("u2", "u1")),
    ("item_position", "a commit's", [hear("input_audio_buffer.committed", "u2", previous_id="u1")]),
    (
        "item_position",
        "not as asked",
        [
            *heard("u1"),
            *heard("u2", 1100, 1900),
            send("conversation.item.create", "h1", previous_id="u1"),
            *entered("h1", "u2"),
        ],
    ),
    (
        "item_status",
        "in progress",
        instead(without(REPLY, ITEM_DONE), OUTPUT_DONE, detail={"status": "in_progress"}),
    ),
    ("item_status", "two ends", instead(REPLY, ITEM_DONE, detail={"status": "incomplete"})),
    (
        "item_status",
        "the conversation last",
        moved(instead(REPLY, ITEM_DONE, detail={"status": "incomplete"}), OUTPUT_DONE, ITEM_DONE),
    ),
    (
        "item_status",
        "completed, and its item not",
        [*REPLY[:-3], *closed("r1", "a1", "incomplete"), ended("r1")],
    ),
    ("response_unannounced", "never", REPLY[1:]),
    (
        "response_unannounced",
        "too late",
        moved(REPLY, "response.output_item.added", "response.created"),
    ),
    ("response_created_once", "twice", [created("r1"), *REPLY]),
    ("response_created_once", "after its end", [*REPLY, created("r1")]),
    ("response_done_once", "twice", [*REPLY, ended("r1")]),
    ("response_never_done", "the next was created", [*REPLY[:-1], *spoken("r2", "a2")]),
    ("response_never_done", "and time went by", [*REPLY[:-1], hear("error", at_ns=10_001 * MS)]),
    ("after_done", "a part", moved([*REPLY, hear("end")], PART_DONE, "end")),
    ("after_done", "the item", moved([*REPLY, hear("end")], OUTPUT_DONE, "end")),
    ("after_done", "words", [*REPLY, delta("r1", "a1", WORDS, "and")]),
    ("audio_after_done", "of the response", [*REPLY, delta("r1", "a1", AUDIO)]),
    ("audio_after_done", "a hundred times", [*REPLY, *[delta("r1", "a1", AUDIO)] * 100]),
    ("audio_after_done", "of the part", [*REPLY[:-4], delta("r1", "a1", AUDIO), *REPLY[-4:]]),
    ("one_active", "two", [created("r1"), created("r2"), ended("r1"), ended("r2")]),
    (
        "output_order",
        "one index for two",
        [created("r1"), *announced("r1", "a1"), *announced("r1", "a2", "a1")],
    ),
    ("output_order", "announced twice", [*REPLY[:3], REPLY[1], *REPLY[3:]]),
    ("output_order", "announced too late", moved(REPLY, PART_ADDED, "response.output_item.added")),
    ("output_order", "another index", instead(REPLY, f"{AUDIO}.done", output_index=1)),
    (
        "output_order",
        "of another response",
        [*REPLY, created("r2"), *streamed("r2", "a1"), ended("r2")],
    ),
    ("output_order", "done twice", [*REPLY[:-1], REPLY[-2], REPLY[-1]]),
    ("output_order", "done too early", moved(REPLY, OUTPUT_DONE, f"{WORDS}.done")),
    ("part_order", "announced too late", moved(REPLY, f"{WORDS}.delta", PART_ADDED)),
    ("part_order", "announced twice", [*REPLY[:4], REPLY[3], *REPLY[4:]]),
    ("part_order", "never announced", [*REPLY, *without(spoken("r2", "a2"), PART_ADDED)]),
    ("part_order", "words after their end", moved(REPLY, f"{WORDS}.done", f"{WORDS}.delta")),
    ("part_order", "done twice", [*REPLY[:-3], REPLY[-4], *REPLY[-3:]]),
    ("part_order", "a stream done twice", [*REPLY[:-4], REPLY[-5], *REPLY[-4:]]),
    ("part_order", "done too early", moved(REPLY, PART_DONE, f"{AUDIO}.done")),
    ("status_details", "unknown", [created("r1"), ended("r1", "finished")]),
    ("status_details", "none", [created("r1"), ended("r1", "")]),
    ("status_details", "others", [created("r1"), ended("r1", "cancelled", "failed")]),
    (
        "status_details",
        "ended at once",
        [created("r1")._replace(detail='{"status": "completed"}'), ended("r1")],
    ),
    ("text_mismatch", "transcript", instead(REPLY, f"{WORDS}.done", detail="Good day.")),
    ("text_mismatch", "part", instead(REPLY, PART_DONE, detail={"text": "Good day."})),
    ("text_mismatch", "text", instead(written("r1", "a1"), f"{TEXT}.done", detail="Good")),
    (
        "text_mismatch",
        "arguments",
        [
            created("r1"),
            *instead(called("r1", "f1", "c1"), f"{ARGUMENTS}.done", detail="{}"),
            ended("r1"),
        ],
    ),
    (
        "text_mismatch",
        "the item's",
        [
            created("r1"),
            *instead(
                called("r1", "f1", "c1"),
                OUTPUT_DONE,
                detail={"type": "function_call", "arguments": "{}"},
            ),
            ended("r1"),
        ],
    ),
    (
        "arguments_json",
        "half",
        [created("r1"), *called("r1", "f1", "c1", arguments='{"city'), ended("r1")],
    ),
    (
        "call_ids",
        "two for one",
        [
            created("r1"),
            *instead(called("r1", "f1", "c1"), f"{ARGUMENTS}.done", call_id="c2"),
            ended("r1"),
        ],
    ),
    (
        "call_ids",
        "one for two",
        [created("r1"), *called("r1", "f1", "c1"), *called("r1", "f2", "c1", "f1", 1), ended("r1")],
    ),
    ("call_ids", "none", [created("r1"), *called("r1", "f1", ""), ended("r1")]),
    ("whole_samples", "a half", instead(REPLY, f"{AUDIO}.delta", nbytes=4801)),
    (
        "truncated_beyond",
        "too far",
        [
            *REPLY,
            send("conversation.item.truncate", "a1"),
            hear("conversation.item.truncated", "a1", audio_ms=202),
        ],
    ),
    (
        "error_event_id",
        "nobody's",
        [hear("error", detail={"code": "invalid_value", "event_id": "e7"})],
    ),
    ("unasked", "cleared", [hear("input_audio_buffer.cleared")]),
    (
        "unasked",
        "deleted",
        [
            *entered("u1"),
            send("conversation.item.delete", "u1"),
            *[hear("conversation.item.deleted", "u1")] * 2,
        ],
    ),
    ("unasked", "retrieved", [*entered("u1"), hear("conversation.item.retrieved", "u1")]),
    ("unasked", "truncated", [*REPLY, hear("conversation.item.truncated", "a1", audio_ms=1)]),
    (
        "unasked",
        "refused and done",
        [
            *entered("u1"),
            send("conversation.item.delete", "u1", "e4"),
            hear("error", detail={"event_id": "e4"}),
            hear("conversation.item.deleted", "u1"),
        ],
    ),
    ("transcription_unknown", "ended", [hear(f"{ASR}.completed", "u1", detail="good")]),
    ("transcription_unknown", "begun", [hear(f"{ASR}.delta", "u1", detail="good")]),
]


@pytest.mark.parametrize(
    ("rule", "how", "facts"), WRONG, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_breach_is_told_once_by_the_name_of_its_rule(rule, how, facts):
    assert broken(*facts) == [rule], how


def test_the_first_message_is_session_created():
    assert broken(*heard("u1"), hear("session.created"), opened=False) == ["session_first"]


def test_every_rule_has_a_breach_and_a_sentence():
    assert {rule for rule, _, _ in WRONG} | {"session_first"} == set(RULES)
    assert all(rule.about.endswith(".") and rule.name == name for name, rule in RULES.items())


def test_a_violation_names_its_row():
    (late,) = violations(*OPEN, *REPLY, delta("r1", "a1", AUDIO))
    assert late.row == len(OPEN) + len(REPLY)
    assert late.text == "response.output_audio.delta after response.done of r1"


def test_a_mismatch_is_shown_from_where_it_begins():
    long = "a word and another " * 4
    told = instead(streamed("r1", "a1", (long, "end")), f"{WORDS}.done", detail=f"{long}stop")
    (mismatch,) = violations(*OPEN, created("r1"), *announced("r1", "a1"), *told, whole=False)
    assert mismatch.text == "a1 ends as '… d another stop' and was '… d another end'"


def test_what_can_only_be_judged_at_the_end_names_the_row_that_began_it():
    told = [*OPEN, created("r1"), *spoken("r2", "a2")]
    assert violations(*told, whole=False) == []
    (forgotten,) = violations(*told)
    assert (forgotten.rule, forgotten.row) == ("response_never_done", 3)


def test_a_response_of_which_nothing_came_for_ten_seconds_is_forgotten_and_no_earlier():
    assert broken(created("r1"), at_ns=10_000 * MS) == []
    assert broken(created("r1"), at_ns=10_001 * MS) == ["response_never_done"]
    assert broken(created("r1"), at_ns=10_001 * MS, whole=False) == []


def test_where_lengths_are_not_known_no_position_is_wrong():
    by_hand = append()._replace(audio_ns=None, nbytes=4800)
    assert broken(by_hand, *heard("u1", end=9000)) == []


def test_where_sent_messages_have_no_names_no_error_names_a_wrong_one():
    error = hear("error", detail={"event_id": "e7"})
    assert broken(send("response.cancel", event=""), error) == []


def test_formats_that_vary_by_response_are_judged_no_more():
    asked = {"response": {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}}
    odd = instead(REPLY, f"{AUDIO}.delta", nbytes=801)
    assert broken(send("response.create", detail=asked), *odd) == []


def test_deltas_of_audio_in_a_row_may_be_told_as_one():
    told = [event for event in REPLY if event.type != f"{AUDIO}.delta"]
    audio = delta("r1", "a1", AUDIO)._replace(nbytes=9600, audio_ns=200 * MS)
    cut = [send("conversation.item.truncate", "a1"),
           hear("conversation.item.truncated", "a1", audio_ms=200)]  # fmt: skip
    assert broken(*told[:5], audio, *told[5:], *cut) == []


# ── laws ─────────────────────────────────────────────────────────────────────────────────────────

ids = st.sampled_from([None, "", "u1", "a1", "r1"])
numbers = st.none() | st.integers(-(2**63), 2**63 - 1)
words = st.sampled_from(["", "completed", "function_call", "in_progress", "none", "{", "e1"])
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.floats() | st.text(max_size=3) | words,
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from([
            "status", "details", "conversation", "type", "text", "arguments", "audio", "output",
            "format", "response", "event_id",
        ]),
        inner,
        max_size=4,
    ),
    max_leaves=6,
)  # fmt: skip
facts = st.builds(
    Event,
    st.just(0), st.just(0), st.integers(0, 10**12), st.just(0),
    st.sampled_from(["in", "in", "in", "out"]),
    st.sampled_from([*sorted(TYPES), "ping"]),
    ids, ids, numbers, numbers, st.integers(0, 10**6), anything.map(json.dumps), ids,
    numbers, numbers, numbers, ids,
)  # fmt: skip


@examples(300)
@given(st.lists(facts, max_size=30), st.booleans(), numbers)
def test_any_rows_leave_the_checker_total(told, whole, at_ns):
    found = violations(*told, whole=whole, at_ns=at_ns)
    assert all(one.rule in RULES and 0 <= one.row < len(told) and one.text for one in found)


class Legal:
    """A legal session, drawn: turns of every kind, and whatever may come at any time."""

    def __init__(self, draw):
        self.pick = lambda *choices: draw(st.sampled_from(choices))
        self.place = lambda most: draw(st.integers(0, most))
        self.chance = lambda share: draw(st.integers(0, 11)) < 12 * share
        self.beta = self.chance(1 / 3)
        self.announces = self.chance(2 / 3)
        self.ms = 0
        self.last = ""
        self.count = 0

    def new(self, letter):
        self.count += 1
        return f"{letter}{self.count}"

    def session(self):
        told = list(OPEN)
        for _ in range(self.place(4)):
            turn = self.pick(self.spoken, self.manual, self.written, self.timeout, self.edited)
            told += turn()
        return [self.spelled(fact) for fact in told if self.keeps(fact)]

    def keeps(self, fact):
        silent = {"response.output_item.added", "response.content_part.added"}
        return self.announces or fact.type not in silent

    def spelled(self, fact):
        stem, _, what = fact.type.rpartition(".")
        if self.beta and stem in BETA:
            return fact._replace(type=f"{BETA[stem]}.{what}")
        return fact

    def mixed(self, main, *others):
        """Sequences shuffled into one, each in its own order."""
        for other in others:
            at, merged = 0, list(main)
            for fact in other:
                at += self.place(len(merged) - at)
                merged.insert(at, fact)
                at += 1
            main = merged
        return main

    def anything(self):
        item = self.new("z")
        return self.pick(
            [hear("ping")],
            [hear("rate_limits.updated")],
            [hear("session.updated", detail=PCM)],
            [hear("input_audio_buffer.turn_suggestion", item)],
            [hear("response.backchannel.audio.delta", nbytes=3)],
            [append()._replace(audio_ns=0)],
            [],
        )

    def entered(self, item, **detail):
        previous = self.pick("", self.last) if self.last else ""
        self.last = item
        facts = entered(item, previous, **detail)
        return self.pick(facts, facts[:1])

    def heard(self, item):
        start = self.ms + self.place(100)
        end = start + self.place(800)
        self.ms += 1000
        position = self.chance(2 / 3)
        told = [
            append(500),
            hear(STARTED, item, audio_ms=start if position and start < self.ms - 500 else None),
            append(500),
            hear(STOPPED, item, audio_ms=end if position else None),
            hear("input_audio_buffer.committed", item),
        ]
        told = [fact for fact in told if fact.type != STOPPED or self.chance(2 / 3)]
        if self.chance(1 / 3):
            told = told[:-1]
        return told + self.entered(item)

    def transcriptions(self, item):
        return [
            fact for _ in range(self.place(2)) for fact in transcribed(item, self.pick("", "yes"))
        ]

    def spoken(self):
        item = self.new("u")
        heard_of = self.heard(item)
        after = heard_of.index(next(fact for fact in heard_of if fact.type == STARTED)) + 1
        rest = [*heard_of[after:], *self.response()]
        return [
            *heard_of[:after],
            *self.mixed(rest, self.transcriptions(item), self.anything(), self.anything()),
        ]

    def manual(self):
        item = self.new("u")
        self.ms += 1000
        told = [
            append(1000),
            send("input_audio_buffer.commit", event=self.new("e")),
            hear("input_audio_buffer.committed", item),
            *self.entered(item),
        ]
        told += self.mixed([CREATE, *self.response()], self.transcriptions(item))
        return told

    def written(self):
        item = self.new("h")
        asked = [send("conversation.item.create", item, self.new("e")), CREATE]
        return [*asked, *self.entered(item), *self.response()]

    def timeout(self):
        item = self.new("u")
        self.ms += 100
        trigger = hear("input_audio_buffer.timeout_triggered", item, audio_ms=0)
        committed = hear("input_audio_buffer.committed", item)
        system = self.entered(self.new("s"), role="system")
        return [append(), trigger, *system, committed, *self.entered(item), *self.response()]

    def edited(self):
        item, names = self.new("h"), [self.new("e") for _ in range(3)]
        told = [send("conversation.item.create", item, names[0]), *self.entered(item)]
        asks = [
            [
                send("conversation.item.retrieve", item, names[1]),
                hear("conversation.item.retrieved", item),
            ],
            [
                send("input_audio_buffer.clear", event=names[2]),
                hear("input_audio_buffer.cleared"),
            ],
        ]
        return [*told, *self.mixed([], *asks)]

    def response(self):
        """A response of one to three items, each at its own pace, whole or cut."""
        response = self.new("r")
        cut = self.pick("", "", "cancelled", "incomplete")
        aside = self.chance(1 / 4)
        items, heads = [], []
        for index in range(self.place(2) + 1):
            head, body = self.pick(self.message, self.call)(response, index, cut, aside)
            heads += head
            items.append(body)
        ends = ended(response, cut or "completed", self.pick("", cut))
        first = created(response, "none" if aside else self.pick("default", "default"))
        return [first, *heads, *self.mixed(items[0], *items[1:]), *self.anything(), ends]

    def message(self, response, index, cut, aside):
        item = self.new("a")
        at = {"index": index, "part": self.place(1)}
        spoken = [self.pick("Good ", "morning", " ") for _ in range(self.place(3))]
        final = self.pick("".join(spoken), "", "  ".join(["", "".join(spoken).strip()]))
        kind = self.pick(WORDS, TEXT)
        streams = self.mixed(
            [*[delta(response, item, kind, word, **at) for word in spoken]],
            [delta(response, item, AUDIO, **at) for _ in range(self.place(3))],
        )
        dones = self.mixed(
            [done(response, item, kind, final, **at)], [done(response, item, AUDIO, **at)]
        )
        status = "incomplete" if cut else "completed"
        head = announced(response, item, self.last, index, aside=aside)
        self.last = self.last if aside else item
        body = [
            part(response, item, "added", **at),
            *streams,
            *dones[: self.place(2)],
            part(response, item, "done", final, **at),
            *closed(response, item, status, index, aside=aside),
        ]
        return head, body

    def call(self, response, index, cut, aside):
        item, call = self.new("f"), self.new("c")
        arguments = '{"ci' if cut else '{"city": "Rome"}'
        of = {"index": index, "call_id": self.pick(call, "")}
        kind = {"type": "function_call", "call": call, "index": index, "aside": aside}
        body = [
            delta(response, item, ARGUMENTS, arguments[:3], **of),
            delta(response, item, ARGUMENTS, arguments[3:], **of),
            done(response, item, ARGUMENTS, self.pick(arguments, ""), **of),
            *closed(response, item, "incomplete" if cut else "completed", **kind),
        ]
        head = announced(response, item, self.last, **kind)
        self.last = self.last if aside else item
        return head, body


@examples(200)
@given(st.data(), st.booleans())
def test_no_legal_session_breaks_a_rule(data, whole):
    told: list[Any] = Legal(data.draw).session()
    assert broken(*told, opened=False, whole=whole) == []


def test_deltas_are_known_by_what_they_carry():
    assert {name for name, kind in DELTAS.items() if kind == "audio"} == {
        "response.output_audio.delta",
        "response.audio.delta",
    }
