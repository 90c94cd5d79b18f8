"""A run folder made up for tests: 20 callers, about 100 turns, some of them trouble. Deterministic.

`rich=True` adds what only some runs have: a sweep, a mixture, tools, cancels, words, faults of the
protocol (`tests.report.riches`); `written=True` makes a chat in text.

The instants of a turn, its events and its samples are made together, so that the page's timelines
agree with its curves. Nothing here is a measurement: every number is drawn or chosen.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.analysis.samples import turn_sample
from bench.analysis.sessions import span
from bench.analysis.turn_columns import TurnColumns
from bench.plan.gates import QUANTILES
from bench.plan.instants import INSTANTS
from bench.plan.metrics import METRICS
from bench.runs.folder import RunFolder
from bench.runs.gauges import gauge_figures, write_gauges
from bench.runs.rows import Row
from bench.stats.interval import Estimate
from bench.stats.quantile import Sample, estimates
from tests.report import riches

MS = 1_000_000
S = 1_000_000_000
START = 5_000 * S
LINES = (
    ("order_status", "Hi, I'd like to know where my order is."),
    ("yes", "Yes."),
    ("refund", "Could you tell me how long a refund takes once you have the parcel?"),
    ("digits", "It's four seven one, nine nine zero two."),
    ("pause", "I think it was … the blue one, the larger size."),
    ("address", "Please send it to my office instead."),
)
REPLIES = (
    "Sure, let me have a look at that for you.",
    "Thanks. I can see the parcel left our warehouse this morning.",
    "A refund takes three to five working days.",
)


class Fault(NamedTuple):
    """What befalls one turn: its outcome, and the words that go with it."""

    outcome: str
    reason: str


FAULTS = {
    (3, 2): Fault("missed", "no speech_started for it"),
    (7, 3): Fault("timeout", "no audio within 10 s"),
    (7, 4): Fault("late", "audio came 1.2 s after the caller gave up"),
    (11, 1): Fault("error", "response failed: rate_limit_exceeded"),
    (15, 4): Fault("dropped", "connection closed with 1011"),
    (15, 5): Fault("dropped", "never reached: connection closed with 1011"),
    (18, 5): Fault("cut", "the run ended"),
}


class Maker:
    """Rows of all tables, growing as sessions are played."""

    def __init__(self, seed: int, *, interruptions: bool, rich: bool, written: bool) -> None:
        self.random = np.random.default_rng(seed)
        self.interruptions = interruptions
        self.rich, self.written = rich, written
        self.events: list[Row] = []
        self.turns: list[dict[str, Any]] = []
        self.sessions: list[dict[str, Any]] = []

    def around(self, middle: float, spread: float) -> int:
        """A latency in ns: skewed to the right, as latencies are."""
        return int(middle * MS * self.random.lognormal(0.0, spread))

    def fact(self, session: int, at: int, kind: str, **more: Any) -> None:
        lag = int(self.random.exponential(0.06) * MS)
        self.events.append(Row(session, at, 2_000, at + lag, "in", kind, **more))

    def chunks(self, session: int, opened: int, until: int) -> None:
        for number in range((until - opened) // (100 * MS)):
            due = opened + (number + 1) * 100 * MS
            late = int(self.random.lognormal(-1.6, 0.9) * MS)
            self.events.append(
                Row(
                    session, due + late, 0, None, "out", "input_audio_buffer.append",
                    due_ns=due, media_ns=number * 100 * MS, audio_ns=100 * MS, nbytes=4800,
                )
            )  # fmt: skip


def play_session(make: Maker, session: int, sessions: int, turns: int) -> None:
    scheduled = START + int(5 * S * session / max(sessions, 1))
    started = scheduled + make.around(0.4, 0.5)
    connected = started + make.around(0.3, 0.4)
    upgraded = connected + make.around(1.1, 0.4)
    created = upgraded + make.around(0.8, 0.4)
    ready = created + make.around(1.3, 0.4)
    opened = ready + make.around(0.5, 0.2)
    make.fact(session, created, "session.created", event_id=f"event_{session}_created", detail="{}")
    at = opened + make.around(400, 0.3)
    previous: dict[str, Any] | None = None
    for turn in range(1, turns + 1):
        if make.written:
            at = riches.write_turn(make, session, turn, at)
        else:
            at, previous = play_turn(make, session, turn, at, previous)
    make.chunks(session, opened, at)
    dropped = session == 15
    refused = FAULTS and session == 19
    make.sessions.append(
        {
            "session": session, "worker": session % 2, "script": "turn_taking",
            "outcome": "closed" if dropped else "finished",
            "reason": "the server closed with 1011 internal error" if dropped else "",
            "close_code": 1011 if dropped else 1000,
            "scheduled_ns": scheduled, "started_ns": started, "connected_ns": connected,
            "secured_ns": connected, "upgraded_ns": upgraded, "created_ns": created,
            "ready_ns": ready, "opened_ns": opened, "ended_ns": at, "planned_turns": turns,
            "connect_time": (upgraded - started) / MS, "tcp_time": (connected - started) / MS,
            "tls_time": 0.0, "upgrade_time": (upgraded - connected) / MS,
            "session_created_time": (created - started) / MS,
            "session_ready_time": (ready - started) / MS,
            "arrival_lateness": (started - scheduled) / MS,
            "input_format": "audio/pcm 24000", "output_format": "audio/pcm 24000",
            "measured": bool(refused) or scheduled >= START,
            "latency_drift": float(make.random.normal(39, 9)) if make.rich else None,
        }
    )  # fmt: skip


def play_turn(
    make: Maker, session: int, turn: int, at: int, previous: dict[str, Any] | None
) -> tuple[int, dict[str, Any] | None]:
    utterance, text = LINES[(session + 2 * turn) % len(LINES)]
    interrupts = make.interruptions and turn % 2 == 0 and previous is not None
    if interrupts:
        at = previous["heard_ns"] + 1200 * MS
        utterance, text = "wait_stop", "Wait, stop, that's not it."
    onset, offset = at, at + len(text) * 62 * MS
    row: dict[str, Any] = {
        "session": session, "worker": session % 2, "turn": turn,
        "role": "interruption" if interrupts else "line", "utterance": utterance, "text": text,
        "outcome": "ok", "reason": "", "speech_onset_ns": onset, "speech_offset_ns": offset,
        "transcript": "", "reply": "", "interrupted_by_caller": False, "spurious": 0,
        "split_turn": False, "missed": False, "talked_over": False, "answered": True,
        "good_turn": True, "yielded": None, "error_ms": 0.002, "said_ns": offset,
        "measured": START + 5 * S <= onset < START + 36 * S,
    }  # fmt: skip
    if make.rich:
        row |= riches.kind(session)
    make.turns.append(row)
    fault = FAULTS.get((session, turn))
    if fault:
        row.update(outcome=fault.outcome, reason=fault.reason, answered=False, good_turn=False)
        row["missed"] = fault.outcome == "missed"
    if fault and fault.outcome in {"missed", "dropped", "cut"}:
        row["waited_until_ns"] = offset + 10_000 * MS
        return offset + 900 * MS, None
    hear(make, row)
    if fault and fault.outcome in {"timeout", "error"}:
        if fault.outcome == "error":
            make.fact(
                session, row["committed_ns"] + 20 * MS, "error", event_id=f"event_e{session}",
                detail=json.dumps({"code": "rate_limit_exceeded", "message": "Too many packets."}),
            )  # fmt: skip
        row["waited_until_ns"] = offset + 10_000 * MS
        return offset + 10_000 * MS, None
    answer(make, row)
    if interrupts and previous is not None:
        interrupt(make, row, previous)
    gap = make.around(300, 0.2)
    end = row["heard_ns"] + row["reply_audio_ns"] + gap
    return end, row


def hear(make: Maker, row: dict[str, Any]) -> None:
    """The server's ear: started, stopped, committed, and what it puts where."""
    session, turn = row["session"], row["turn"]
    item = f"item_{session}_{turn}"
    start_error = float(make.random.normal(4, 7))
    row["speech_start_error"] = start_error
    row["speech_started_ns"] = row["speech_onset_ns"] + make.around(95, 0.2)
    end_error = riches.silence_ms(row) + float(make.random.normal(12, 14))
    row["endpointing_error"] = end_error
    row["stop_sample_sent_ns"] = row["speech_offset_ns"] + int(end_error * MS) + 40 * MS
    row["speech_stopped_ns"] = row["stop_sample_sent_ns"] + make.around(6, 0.5)
    row["turn_closed_ns"] = row["speech_stopped_ns"]
    row["committed_ns"] = row["speech_stopped_ns"] + make.around(0.6, 0.5)
    row["answer_asked_ns"] = row["committed_ns"]
    row["transcribed_ns"] = row["committed_ns"] + make.around(80, 0.3)
    row["item_id"], row["transcript"] = item, row["text"]
    row["split_turn"] = row["utterance"] == "pause" and bool(make.random.random() < 0.4)
    for kind, instant, audio_ms in (
        ("input_audio_buffer.speech_started", "speech_started_ns", 1000),
        ("input_audio_buffer.speech_stopped", "speech_stopped_ns", 2500),
        ("input_audio_buffer.committed", "committed_ns", None),
    ):
        make.fact(
            session, row[instant], kind, item_id=item, event_id=f"event_{item}_{kind[-9:]}",
            audio_ms=audio_ms,
        )  # fmt: skip
    make.fact(
        session, row["transcribed_ns"], "conversation.item.input_audio_transcription.completed",
        item_id=item, event_id=f"event_{item}_t", detail=row["text"],
    )  # fmt: skip


def answer(make: Maker, row: dict[str, Any]) -> None:
    """The reply: created, streamed faster than real time, heard, done."""
    session, turn = row["session"], row["turn"]
    response = f"resp_{session}_{turn}"
    slow = 4.0 if make.random.random() < 0.04 else 1.0
    row["response_id"], row["reply"] = response, REPLIES[turn % len(REPLIES)]
    row["response_created_ns"] = row["committed_ns"] + make.around(9, 0.4)
    if make.rich:
        row["response_created_ns"] += 40 * turn * MS
    first = row["response_created_ns"] + int(make.around(190, 0.28) * slow)
    length = len(row["reply"]) * 58 * MS
    make.fact(
        session, row["response_created_ns"], "response.created", response_id=response,
        event_id=f"event_{response}_c",
    )  # fmt: skip
    arrivals = [first]
    for number in range(1, length // (100 * MS)):
        arrivals.append(arrivals[-1] + make.around(24, 0.35) + (number == 7) * 30 * MS)
    for number, at in enumerate(arrivals):
        make.fact(
            session, at, "response.output_audio.delta", response_id=response,
            event_id=f"event_{response}_{number}", audio_ns=100 * MS, nbytes=4800,
        )  # fmt: skip
    done = arrivals[-1] + make.around(2, 0.3)
    make.fact(
        session, done, "response.done", response_id=response, event_id=f"event_{response}_d",
        detail=json.dumps({"status": "completed", "reason": None, "usage": None}),
    )  # fmt: skip
    silence = make.around(48, 0.25)
    gaps = np.diff(arrivals)
    starved = max(0, int(make.random.normal(-60, 40))) * MS
    row.update(
        first_audio_ns=first, last_audio_ns=arrivals[-1], first_heard_ns=first,
        first_transcript_ns=first + 2 * MS, first_text_ns=None, heard_ns=first + silence,
        response_done_ns=done, reply_audio_ns=length, queued_ns=0, jitter_buffer_ns=0,
        underrun_before_onset_ns=0, leading_silence=silence / MS,
        delta_gap=float(gaps.max()) / MS, underrun_time=starved / MS,
        min_buffer=starved / MS, realtime_factor=float(arrivals[-1] - first) / length,
    )  # fmt: skip


def interrupt(make: Maker, row: dict[str, Any], previous: dict[str, Any]) -> None:
    previous["interrupted_by_caller"] = True
    row["interrupted_last_audio_ns"] = previous["last_audio_ns"]
    row["agent_silent_ns"] = row["speech_started_ns"] + make.around(12, 0.5)
    row["agent_silent_unflushed_ns"] = row["agent_silent_ns"] + make.around(900, 0.4)
    row["yielded"] = True


def turn_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows with every column the contract names, and an ms column per interval."""
    table = pd.DataFrame(rows)
    names = list(INSTANTS)
    turn_instants = names[names.index("speech_onset") :]
    for name in (
        *(f"{name}_ns" for name in turn_instants),
        "reply_audio_ns",
        "queued_ns",
        "waited_until_ns",
    ):
        table[name] = (
            pd.array(table[name], dtype="Int64")
            if name in table
            else pd.array([pd.NA] * len(table), "Int64")
        )
    interruption = table["role"] == "interruption"
    for metric in METRICS.values():
        if metric.of != "turn" or metric.kind != "interval" or metric.name in table:
            continue
        span = (table[f"{metric.end}_ns"] - table[f"{metric.start}_ns"]).astype("Float64") / MS
        table[metric.name] = span.to_numpy(dtype=float, na_value=np.nan)
        if metric.needs == "interruption":
            table.loc[~interruption, metric.name] = np.nan
    late = table["outcome"] == "late"
    table.loc[late, "answered"] = False
    return table


def event_table(rows: list[Row]) -> pa.Table:
    table = pd.DataFrame(
        sorted(rows, key=lambda row: (row.session, row.at_ns)), columns=Row._fields
    )
    words = ("direction", "type", "event_id", "item_id", "response_id")
    fields = {name: pa.array(table[name], pa.string()).dictionary_encode() for name in words}
    for name in ("session", "at_ns", "at_err_ns", "nbytes"):
        fields[name] = pa.array(table[name], pa.int64())
    numbers = ("read_ns", "due_ns", "media_ns", "audio_ms", "audio_ns", "output_index")
    for name in (*numbers, "content_index"):
        values = [None if pd.isna(value) else int(value) for value in table[name]]
        fields[name] = pa.array(values, pa.int64())
    for name in ("previous_id", "call_id"):
        fields[name] = pa.array(table[name], pa.string())
    fields["detail"] = pa.array([None if pd.isna(v) else v for v in table["detail"]], pa.string())
    fields["envelope"] = pa.nulls(len(table), pa.binary())
    return pa.table({name: fields[name] for name in Row._fields})


def health_table(sessions: int, seconds: int, random: np.random.Generator) -> pd.DataFrame:
    rows = []
    for second in range(1, seconds + 1):
        for worker in (0, 1):
            ramp = min(1.0, second / 5)
            held = int(sessions / 2 * ramp)
            rows.append(
                {
                    "worker": worker, "at_ns": START + second * S, "sessions_intended": held,
                    "sessions_open": max(0, held - int(random.random() < 0.1)),
                    "hub_lag_ns": int(random.lognormal(0.1, 0.6) * MS),
                    "cpu_share": float(np.clip(random.normal(0.18, 0.03), 0, 1)),
                    "gc_pause_ns": int(random.exponential(0.3) * MS), "steal_share": 0.01,
                    "involuntary_switches": int(random.poisson(4)), "open_files": 40 + held,
                    "rows": 400,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def statistics(metric: str, found: dict[str, Estimate], unit: str) -> list[dict[str, Any]]:
    """The rows of one metric, as the summary writes them: null for what is infinite."""

    def known(value: float | None) -> float | None:
        return None if value is None or not np.isfinite(value) else value

    return [
        {
            "metric": metric, "filter": "", "statistic": word, "value": known(entry.value),
            "low": known(entry.low), "high": known(entry.high), "n": entry.n, "unit": unit,
        }
        for word, entry in found.items()
    ]  # fmt: skip


def plain_sample(values: np.ndarray) -> Sample:
    values = values[~np.isnan(values)]
    return Sample(values, np.zeros(len(values), bool), np.arange(len(values)) % 20)


def summary_document(turns: pd.DataFrame, sessions: pd.DataFrame, events: pd.DataFrame) -> dict:
    measured = turns[turns["measured"] & (turns["outcome"] != "cut")]
    rows: list[dict[str, Any]] = []
    late = ((events["at_ns"] - events["due_ns"]) / MS).to_numpy(dtype=float)
    lag = ((events["read_ns"] - events["at_ns"]) / MS).to_numpy(dtype=float)
    samples = {"send_lateness": plain_sample(late), "client_lag": plain_sample(lag)}
    for metric in METRICS.values():
        if metric.of == "turn" and metric.name in measured and metric.kind in {"interval", "value"}:
            samples[metric.name] = turn_sample(metric, TurnColumns(measured))
        elif metric.of == "session" and metric.name in sessions:
            samples[metric.name] = plain_sample(sessions[metric.name].to_numpy(dtype=float))
    for name, sample in samples.items():
        rows += statistics(name, estimates(sample, QUANTILES), METRICS[name].unit)
    n = len(measured)
    for name, column in (
        ("answered", "answered"),
        ("missed", "missed"),
        ("good_turns", "good_turn"),
    ):
        part = 100.0 * float(measured[column].sum()) / n if n else None
        rows.append(
            {
                "metric": name, "filter": "", "statistic": "share", "value": part,
                "low": None if part is None else max(0.0, part - 4), "n": n, "unit": "%",
                "high": None if part is None else min(100.0, part + 2),
            }
        )  # fmt: skip
    rows.append(
        {"metric": "turns", "filter": "", "statistic": "count", "value": n, "low": None,
         "high": None, "n": n, "unit": "1"}
    )  # fmt: skip
    rows += riches.filtered(measured, statistics)
    return {
        "format": 1, "metric_version": 1, "rows": rows,
        "outcomes": measured["outcome"].value_counts().to_dict(),
        "sessions": {"started": len(sessions)}, "checks": {"identity_breaches": 0},
        "about": {"confidence": 0.95, "resamples": 1000, "estimator": "linear"},
    }  # fmt: skip


def verdict_document(summary: dict, verdict: str) -> dict:
    def find(metric: str, statistic: str) -> dict:
        rows = summary["rows"]
        return next(r for r in rows if r["metric"] == metric and r["statistic"] == statistic)

    p95, answered = find("first_audio_latency", "p95"), find("answered", "share")
    known = ("value", "low", "high", "n")
    gates = [
        {"gate": "p95(first_audio_latency) < 1200 ms", "verdict": "pass", "reason": "within it",
         **{key: p95[key] for key in known}},
        {"gate": "p95(voice_to_voice_latency) < 1 s", "verdict": "fail",
         "reason": "p95(voice_to_voice_latency) is over the limit of 1 000 ms",
         **{key: find("voice_to_voice_latency", "p95")[key] for key in known}},
        {"gate": "share(answered) >= 99 %", "verdict": "inconclusive",
         "reason": "the interval holds the limit: 210 more turns are needed",
         **{key: answered[key] for key in known}},
        {"gate": "p95(first_audio_latency) <= baseline + 10 %", "verdict": "inconclusive",
         "reason": "there is no baseline", "value": None, "low": None, "high": None, "n": 0},
    ]  # fmt: skip
    bad = verdict == "invalid"
    validity = [
        {"rule": "send_lateness", "ok": not bad, "value": 12.5 if bad else 0.0, "bound": 5.0,
         "unit": "%", "text": "Seconds in which chunks were sent over 20 ms late.",
         "remedy": "Use fewer sessions a worker, or more workers.",
         "from_s": 11.0 if bad else None, "to_s": 15.0 if bad else None},
        {"rule": "rows_sealed", "ok": True, "value": 9000, "bound": 9000, "unit": "1",
         "text": "Every row that a worker wrote is sealed.", "remedy": "", "from_s": None,
         "to_s": None},
    ]  # fmt: skip
    reasons = [gate["reason"] for gate in gates if gate["verdict"] != "pass"]
    if bad:
        reasons = [validity[0]["text"]]
    return {
        "format": 1, "verdict": verdict, "reasons": [] if verdict == "pass" else reasons,
        "gates": gates, "validity": validity,
    }  # fmt: skip


def run_document(sessions: int, script: str) -> dict:
    return {
        "format": 1, "metric_version": 1, "bench_version": "0.1.0", "name": "synthetic",
        "created": "2026-03-02T14:05:11+00:00",
        "scenario": {
            "name": "demo", "text": 'about = "Callers hold a conversation."\n', "sha256": "ab" * 32,
            "effective": {
                "about": "Callers arrive over five seconds and hold a five-turn conversation.",
                "script": script, "corpus": "everyday", "turns": 5, "chunk_ms": 100,
                "session": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}},
                "seeds": {"arrivals": 1, "utterances": 2},
                "health": {"send_lateness": 20 * MS, "client_lag": 20 * MS, "hub_lag": 20 * MS,
                           "share": 5.0, "sessions": 90.0},
            },
        },
        "corpus": {"name": "everyday", "sha256": "cd" * 32},
        "target": {"name": "reference", "url": "ws://127.0.0.1:8765/api/v1/realtime/session",
                   "dialect": "inworld"},
        "host": {"system": "Linux 6.1", "cores": 8, "python": "/opt/py/bin/python"},
        "versions": {"python": "3.11.9", "locust": "2.47.0"}, "workers": 2,
        "clock_pairs": [[START, 1_700_000_000 * S]],
        "plan": {"sessions": sessions, "scheduled": sessions, "start_ns": START,
                 "measured_from_ns": START + 5 * S, "measured_to_ns": START + 36 * S,
                 "end_ns": START + 44 * S},
        "rows_written": {"0": 5000, "1": 4000}, "rows_sealed": 9000, "drained": [0, 1],
        "interrupted": False, "faults": [], "gates": [], "baseline": None,
        "reference": {"events": 9000, "sessions": sessions, "late_p50_ms": 0.08,
                      "late_p99_ms": 0.9, "late_max_ms": 3.1, "cpu_share": 0.31,
                      "bottleneck": False, "reason": ""},
    }  # fmt: skip


def blamed(turns: pd.DataFrame) -> pd.DataFrame:
    """The turns with what was seen of generator and network: every ninth lost segments, every
    thirteenth was sent late, and the last of these is set aside."""
    place = np.arange(len(turns))
    late, lost = place % 13 == 5, place % 9 == 4
    aside = np.zeros(len(turns), bool)
    aside[np.flatnonzero(late & turns["measured"].to_numpy(bool))[-1]] = True
    return turns.assign(
        send_lateness=np.where(late, 31.5, 1.25), client_lag=0.25, segments_lost=lost * 2,
        slowed_by=np.where(late, "generator", np.where(lost, "network", "server")),
        set_aside=aside, measured=turns["measured"].to_numpy(bool) & ~aside,
    )  # fmt: skip


def make_run(
    folder: Path, *, seed: int = 7, sessions: int = 20, turns: int = 6, verdict: str = "fail",
    interruptions: bool = True, health: bool = True, events: bool = True, rich: bool = False,
    written: bool = False,
) -> Path:  # fmt: skip
    """Write a whole run folder and return it. `sessions=0` writes empty tables."""
    folder.mkdir(parents=True, exist_ok=True)
    make = Maker(seed, interruptions=interruptions, rich=rich, written=written)
    for session in range(max(sessions, 1)):
        play_session(make, session, sessions, turns)
    if rich:
        riches.enrich(make.turns, make.random)
    turn_rows, session_rows = turn_table(make.turns), pd.DataFrame(make.sessions)
    if rich:
        turn_rows = blamed(turn_rows)
    session_rows["close_code"] = pd.array(session_rows["close_code"], dtype="Int64")
    log = event_table(make.events)
    if sessions == 0:
        turn_rows, session_rows, log = turn_rows[:0], session_rows[:0], log[:0]
    turn_rows.to_parquet(folder / "turns.parquet")
    session_rows.to_parquet(folder / "sessions.parquet")
    if health:
        random = np.random.default_rng(seed)
        health_table(sessions, 42, random).to_parquet(folder / "health.parquet")
    if events:
        pq.write_table(log, folder / "events.parquet")
    summary = summary_document(turn_rows, session_rows, log.to_pandas())
    documents = {
        "run": run_document(sessions, "barge_in" if interruptions else "turn_taking"),
        "summary": summary,
        "verdict": verdict_document(summary, verdict),
    }
    if rich:
        riches.document(summary, turn_rows)
        documents["run"]["scenario"]["effective"]["sweep"] = {"turn_detection": []}
        (folder / "probe.json").write_text(json.dumps(riches.PROBE), "utf-8")
        documents["run"]["gauges"] = riches.SCRAPED
        write_gauges(RunFolder(folder), gauges := riches.gauges(START, 42))
        found = gauge_figures(gauges, span(documents["run"]["plan"]))
        summary["gauges"] = [one._asdict() for one in found]
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document), "utf-8")
    return folder
