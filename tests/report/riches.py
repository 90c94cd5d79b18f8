"""What only some runs have, made up for tests: a sweep, a mixture, tools, cancels, words, faults.

Every number is drawn or chosen. The shapes are those of `summary.json` and `turns.parquet`; that
analysis writes them so is for its own tests to prove.
"""

from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.samples import turn_sample
from bench.analysis.turn_columns import TurnColumns
from bench.plan.gates import QUANTILES
from bench.plan.metrics import METRICS
from bench.protocol.codec import message_table
from bench.runs.gauges import Gauges, Readings, Series
from bench.stats.proportion import proportion
from bench.stats.quantile import estimates
from bench.tracker.utterances import WRITTEN

MS = 1_000_000
# By label: the silence that ends a turn, in ms, and the share of turns cut in mid-sentence.
SETTINGS = {
    "server_vad 200 ms": (200, 0.34),
    "server_vad 500 ms": (500, 0.12),
    "server_vad 800 ms": (800, 0.05),
    "semantic_vad high": (430, 0.18),
    "semantic_vad auto": (940, 0.05),
    "semantic_vad low": (1500, 0.01),
}
SCRIPTS = ("barge_in", "tool_call", "interrupt_client")
FILTERED = (
    "endpointing_delay",
    "first_audio_latency",
    "voice_to_voice_latency",
    "first_text_latency",
)
SHARES = ("split_turn", "talked_over", "missed", "answered")
PROBE = {
    "messages": {
        "conversation.item.retrieve": "refused (unknown_event)",
        "conversation.item.retrieved": "not seen",
        "rate_limits.updated": "seen",
    }
}
TYPED = (
    ("Where is my order?", "It left our warehouse this morning."),
    ("How long does a refund take?", "Three to five working days."),
)


def kind(session: int) -> dict[str, str]:
    """The setting and the script of a session's turns."""
    labels = list(SETTINGS)
    return {
        "setting": labels[session % len(labels)],
        "script": SCRIPTS[(session // len(labels)) % len(SCRIPTS)],
    }


def silence_ms(row: dict[str, Any]) -> float:
    return SETTINGS[row["setting"]][0] if "setting" in row else 500.0


def write_turn(make: Any, session: int, turn: int, at: int) -> int:
    """A typed turn answered in writing: asked at `at`; returns when the next may begin."""
    text, reply = TYPED[turn % len(TYPED)]
    created = at + make.around(12, 0.3)
    first = created + make.around(160, 0.3)
    last = first + make.around(400, 0.2)
    response = f"resp_{session}_{turn}"
    make.turns.append(
        {
            "session": session, "worker": session % 2, "turn": turn, "role": WRITTEN,
            "utterance": "", "text": text, "reply": reply, "transcript": "", "outcome": "ok",
            "reason": "", "said_ns": at, "create_sent_ns": at, "turn_closed_ns": at,
            "answer_asked_ns": at, "response_created_ns": created, "first_text_ns": first,
            "response_done_ns": last, "response_id": response, "text_rate": 40.0 + turn,
            "answered": True, "good_turn": True, "missed": False, "split_turn": False,
            "talked_over": False, "spurious": 0, "yielded": None, "measured": True,
            "script": "text_chat", "setting": "", "manual": False, "textual": True,
        }
    )  # fmt: skip
    for at_ns, name in (
        (created, "response.created"),
        (first, "response.output_text.delta"),
        (last, "response.done"),
    ):
        make.fact(session, at_ns, name, response_id=response, event_id=f"event_{response}_{at_ns}")
    return last + make.around(300, 0.2)


def enrich(turns: list[dict[str, Any]], random: np.random.Generator) -> None:
    """Words, splits by setting, tool calls, cancels, fillers and stale audio, into the turns."""
    for place, row in enumerate(turns):
        row["split_turn"] = bool(random.random() < SETTINGS[row["setting"]][1])
        heard = row.get("heard_ns")
        if row["transcript"]:
            row["words"] = len(row["text"].split())
            row["word_errors"] = int(random.choice([0, 0, 0, 0, 0, 1, 1, 2, 4]))
        if heard is None:
            continue
        said = row["speech_offset_ns"]
        if place % 5 == 0:
            row["call_done_ns"] = said + int(random.normal(760, 60)) * MS
            row["output_sent_ns"] = row["call_done_ns"] + 500 * MS
            row["after_output_audio_ns"] = row["output_sent_ns"] + int(random.normal(310, 50)) * MS
        if place % 7 == 0:
            row["cancel_sent_ns"] = heard + 900 * MS
            row["cancelled_ns"] = row["cancel_sent_ns"] + int(random.normal(24, 6)) * MS
            row["cancelled_last_audio_ns"] = row["cancel_sent_ns"] + int(random.normal(2, 8)) * MS
            row["truncate_sent_ns"] = row["cancel_sent_ns"] + 1 * MS
            row["truncated_ns"] = row["truncate_sent_ns"] + int(random.normal(9, 2)) * MS
        if place % 11 == 0:
            row["filler_ns"] = said + int(random.normal(240, 30)) * MS
            row["backchannel_ns"] = row["speech_onset_ns"] + 900 * MS
        if row["role"] == "interruption":
            row["interrupted_while"] = "generating" if place % 3 else "finished"
            row["stale_audio"] = float(max(0.0, random.normal(60, 40)))


def filtered(turns: pd.DataFrame, rows: Any) -> list[dict[str, Any]]:
    """The rows of the summary for each setting and script, as the summary writes them."""
    found: list[dict[str, Any]] = []
    for column in ("setting", "script"):
        labels = sorted(set(turns.get(column, [])) - {""})
        for label in labels if len(labels) > 1 else []:
            part = turns[turns[column] == label]
            made: list[dict[str, Any]] = []
            for name in FILTERED:
                made += rows(
                    name, estimates(turn_sample(METRICS[name], TurnColumns(part)), QUANTILES), "ms"
                )
            for name in SHARES:
                share = proportion(part[name].to_numpy(bool), part["session"].to_numpy())
                made += rows(name, {"share": share}, "%")
            found += [row | {"filter": f"{column}={label}"} for row in made]
    return found


def messages() -> list[dict[str, Any]]:
    """Every message of the table, some of which never occurred, and one that nobody knows."""
    never = {
        "conversation.item.retrieve", "conversation.item.retrieved", "rate_limits.updated",
        "input_audio_buffer.timeout_triggered",
    }  # fmt: skip
    rows = [
        {
            "type": entry.type, "direction": entry.direction, "in_seed": entry.in_seed,
            "count": 0 if entry.type in never or (not entry.in_seed and entry.type != "ping")
            else 7 * (place + 1),
        }
        for place, entry in enumerate(message_table())
    ]  # fmt: skip
    surprise = {"type": "response.surprise", "direction": "server", "in_seed": False, "count": 3}
    return [*rows, surprise]


def document(summary: dict[str, Any], turns: pd.DataFrame) -> None:
    """The keys and rows that the summary of such a run has."""
    counted = turns[turns["measured"] & (turns["outcome"] != "cut")]
    wrong, said = int(counted["word_errors"].sum()), int(counted["words"].sum())
    share = {"value": 100 * wrong / said, "low": 9.0, "high": 14.5, "n": said}
    acks = {"update_ack": 3.1, "item_ack": 1.2, "delete_ack": 0.9, "clear_ack": 0.7}
    more = [
        {"metric": "word_error_rate", "statistic": "share", "unit": "%", **share},
        {"metric": "violations", "statistic": "count", "unit": "1", "value": 13, "n": 96},
        {"metric": "leaks", "statistic": "count", "unit": "1", "value": 1, "n": 96},
        {"metric": "backchannels", "statistic": "count", "unit": "1", "value": 9, "n": 96},
        {"metric": "false_barge_in", "statistic": "share", "unit": "%", "value": 8.3, "low": 1.0,
         "high": 27.0, "n": 24},
        *(
            {"metric": name, "statistic": word, "unit": "ms", "value": ms * times,
             "low": ms * times * 0.9, "high": ms * times * 1.2, "n": 40}
            for name, ms in acks.items()
            for word, times in (("p50", 1.0), ("p95", 3.0), ("p99", 4.0))
        ),
    ]  # fmt: skip
    empty = {"filter": "", "low": None, "high": None}
    summary["rows"] += [empty | row for row in more]
    summary |= {
        "messages": messages(),
        "violations": VIOLATIONS,
        "leaks": LEAKS,
        "errors_by_code": {"rate_limit_exceeded": 1, "response_cancel_not_active": 4},
        "unhonoured": UNHONOURED,
        "quirks": [
            {
                "quirk": "late_transcription",
                "about": "",
                "count": 3,
                "example": "session 4: item_1",
            }
        ],
        "words": {
            "words": said, "errors": wrong, "substitutions": wrong - 3, "deletions": 2,
            "insertions": 1, "turns": int(counted["words"].notna().sum()), "worst": WORST,
        },
        "settings": list(SETTINGS),
        "scripts": list(SCRIPTS),
    }  # fmt: skip


def _event(at_s: float, way: str, name: str, note: str = "", *, culprit: bool = False) -> dict:
    return {
        "at_s": at_s, "direction": way, "type": name, "ids": "response resp_9_2",
        "note": note, "culprit": culprit,
    }  # fmt: skip


VIOLATIONS = [
    {
        "rule": "one_terminal_event", "count": 1,
        "about": "A response ends with exactly one response.done.",
        "examples": [
            {
                "session": 12, "at_s": 21.4071, "text": "a second response.done of resp_12_3",
                "events": [
                    _event(21.4002, "in", "response.done", "completed"),
                    _event(21.4071, "in", "response.done", "completed", culprit=True),
                ],
            }
        ],
    },
    {
        "rule": "no_audio_after_done", "count": 12,
        "about": "No audio delta of a response comes after its response.done.",
        "examples": [
            {
                "session": 9, "at_s": 14.2513, "text": "audio of resp_9_2 came 31 ms after its end",
                "events": [
                    _event(14.1801, "in", "response.output_audio.delta", "100 ms of audio"),
                    _event(14.2011, "in", "response.output_audio.done"),
                    _event(14.2203, "in", "response.done", "completed"),
                    _event(14.2513, "in", "response.output_audio.delta", "100 ms of audio",
                           culprit=True),
                    _event(14.3120, "out", "conversation.item.truncate", "audio_end_ms 1200"),
                ],
            }
        ],
    },
]  # fmt: skip
LEAKS = [{"session": 9, "of_session": 4, "at_s": 17.2, "what": "transcript", "words": "marigold"}]
UNHONOURED = [
    {"path": "audio.output.speed", "asked": 1.2, "got": 1.0, "sessions": 20},
    {"path": "providerData.tts.language", "asked": "en-US", "got": None, "echoed": False,
     "sessions": 20},
    {
        "path": "audio.output.format", "asked": {"type": "audio/pcmu"},
        "got": {"type": "audio/pcm", "rate": 24000}, "sessions": 20,
    },
]  # fmt: skip
WORST = [
    {"session": 6, "turn": 2, "said": "It's four seven one, nine nine zero two.",
     "heard": "It's for seven one nine nine oh to", "errors": 4},
    {"session": 2, "turn": 5, "said": "Please send it to my office instead.",
     "heard": "Please send it to my of is instead", "errors": 2},
]  # fmt: skip


SCRAPED = {
    "url": "http://127.0.0.1:9400/metrics", "asked": ["DCGM_FI_DEV_GPU_UTIL"], "scrapes": 42,
    "lost": 2, "why": "did not answer within 2 s", "missing": {},
}  # fmt: skip


def gauges(start_ns: int, seconds: int) -> Gauges:
    """A server with a queue whose two GPUs have time; once a second, two scrapes lost."""
    beats = [beat for beat in range(seconds) if beat not in {20, 21}]
    at = [start_ns + beat * 1_000_000_000 for beat in beats]

    def lines(level: float, swing: float) -> Readings:
        return Readings(at, [level + swing * (beat % 5) for beat in beats])

    return Gauges(
        {
            Series("DCGM_FI_DEV_GPU_UTIL", 'gpu="0"'): lines(30, 2),
            Series("DCGM_FI_DEV_GPU_UTIL", 'gpu="1"'): lines(40, 1),
            Series("process_cpu_seconds_total"): Readings(at, [0.25 * beat for beat in beats]),
            Series("bench_responses_waiting"): lines(3, 1),
            Series("process_resident_memory_bytes"): lines(512e6, 1e6),
        },
        frozenset({"process_cpu_seconds_total"}),
    )
