"""A run told by hand: sessions as lists of rows, in ms after the microphone opened.

`Story` is one session; `write_run` makes a run folder of several. Every number in a test can be
worked out from the arguments: nothing here has a latency of its own except those in `Answer`.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.analysis.pipeline import analyse
from bench.analysis.sessions import sessions_table
from bench.analysis.tables import read_events
from bench.analysis.told import Told, tell
from bench.plan.metrics import VERSION
from bench.runs.log import HealthRow
from bench.runs.rows import Row
from bench.runs.seal import EVENTS, HEALTH

ORIGIN_NS = 7_000_000_000_000
MS = 1_000_000
LOUD, SOFT, NOTHING = 200, 100, 0  # -27.5 dBFS, -77.5 dBFS, digital silence
MANUAL = {"audio": {"input": {"turn_detection": None}}}
IN_TEXT = {"output_modalities": ["text"]}
VOICE = "audio/pcm"


class Answer(NamedTuple):
    """How the server reacts to an utterance; ms, each after the one before unless said.

    start, stop:  speech_started after the onset, speech_stopped after the offset
    silence:      leading silence inside the first deltas
    deltas:       arrivals after response.created; each carries `length` ms
    """

    start: float = 150
    stop: float = 520
    commit: float = 10
    create: float = 20
    deltas: tuple[float, ...] = (300, 325, 350, 375)
    length: float = 100
    silence: float = 0
    status: str = "completed"
    reason: str = ""


class Story:
    """One session. Times are ms after the microphone opened, which is `opens` ms into the run."""

    def __init__(self, number: int = 0, opens: float = 1000, worker: int = 0) -> None:
        self.number = number
        self.worker = worker
        self.zero = ORIGIN_NS + round(opens * MS)
        self.rows: list[Row] = []
        self.turn = 0
        self._said: dict[int, tuple[float, float]] = {}

    def row(self, at: float, direction: str, kind: str, **fields: Any) -> None:
        """Any row at all."""
        detail = fields.pop("detail", None)
        if detail is not None and not isinstance(detail, str):
            detail = json.dumps(detail)
        at_ns = self.zero + round(at * MS)
        if direction == "in":
            fields.setdefault("read_ns", at_ns + 50_000)
        else:
            fields.setdefault("read_ns", None)
        self.rows.append(
            Row(self.number, at_ns, fields.pop("at_err_ns", 0), fields.pop("read_ns"), direction,
                kind, detail=detail, **fields)
        )  # fmt: skip

    def note(self, at: float, kind: str, **fields: Any) -> None:
        self.row(at, "note", f"bench.{kind}", **fields)

    def hear(self, at: float, kind: str, **fields: Any) -> None:
        self.row(at, "in", kind, **fields)

    # ── a session's life ─────────────────────────────────────────────────────────────────────

    def begin(self, turns: int = 1, lateness: float = 2, session: dict[str, Any] | None = None,
              **facts: Any) -> "Story":  # fmt: skip
        """Connect: 1 ms TCP, 4 ms TLS, 10 ms upgrade; created after 30, updated after 60.

        `session` is what session.updated says; `facts` are the start's (script, setting, marker).
        """
        start = -60
        due = self.zero + round((start - lateness) * MS)
        plan = {"worker": self.worker, "slot": self.number, "script": "turn_taking", "turns": turns}
        plan |= facts
        self.note(start, "start", due_ns=due, detail=plan)
        self.note(start + 1, "connected")
        self.note(start + 5, "secured")
        self.note(start + 15, "upgraded")
        self.hear(start + 30, "session.created", detail={})
        return self.updated(0, session)

    def microphone(self, jitter: float = 0, padding: int = 300) -> "Story":
        fmt = {"type": VOICE, "rate": 24000}
        self.note(0, "microphone", media_ns=0, detail={
            "input": fmt, "output": fmt, "chunk_ms": 100, "jitter_buffer_ms": jitter,
            "prefix_padding_ms": padding,
        })  # fmt: skip
        return self

    def appends(self, until: float, lateness: float = 0.5) -> "Story":
        """Chunks of 100 ms from 0 to `until`, each sent `lateness` ms after it was due."""
        for index in range(int(until // 100)):
            due = (index + 1) * 100
            self.row(due + lateness, "out", "input_audio_buffer.append",
                     due_ns=self.zero + due * MS, media_ns=index * 100 * MS,
                     audio_ns=100 * MS, nbytes=4800)  # fmt: skip
        return self

    def end(
        self, at: float, outcome: str = "finished", reason: str = "", code: int | None = None
    ) -> "Story":
        self.note(at, "end", detail={"outcome": outcome, "reason": reason, "close_code": code})
        return self

    # ── turns ────────────────────────────────────────────────────────────────────────────────

    def say(self, at: float, onset: float | None = 200, offset: float | None = 1200,
            role: str = "line") -> "Story":  # fmt: skip
        """Place an utterance whose first sample is at media position `at`."""
        if onset is not None and role != "backchannel":
            self.turn += 1
            self._said[self.turn] = (at + onset, at + (offset or 0))
        self.note(at, "say", due_ns=self.zero + round(at * MS), media_ns=round(at * MS), detail={
            "utterance": f"u{self.turn}", "turn": self.turn, "role": role, "text": "hello",
            "duration_ms": 1400, "onset_ms": onset, "offset_ms": offset,
        })  # fmt: skip
        return self

    # ── what the caller sends ────────────────────────────────────────────────────────────────

    def send(self, at: float, kind: str, body: dict[str, Any] | None = None,
             **fields: Any) -> "Story":  # fmt: skip
        """A message of the caller, its whole payload in the log; event_id is `kind@at`."""
        payload = {"type": kind, "event_id": f"{kind}@{at:g}", **(body or {})}
        self.row(at, "out", kind, detail=payload, **fields)
        return self

    def write(self, at: float, text: str = "hello", *, create: bool = True) -> "Story":
        """A typed turn, and at once the response.create that asks for its answer."""
        self.turn += 1
        self.note(at, "write", detail={"turn": self.turn, "text": text})
        self.item(at, {"type": "message", "role": "user"})
        return self.create(at) if create else self

    def item(self, at: float, item: dict[str, Any], **fields: Any) -> "Story":
        return self.send(at, "conversation.item.create", {"item": item}, **fields)

    def commit(self, at: float) -> "Story":
        return self.send(at, "input_audio_buffer.commit")

    def create(self, at: float, **params: Any) -> "Story":
        return self.send(at, "response.create", {"response": params} if params else None)

    def cancel(self, at: float, response: str | None = None) -> "Story":
        return self.send(at, "response.cancel", response_id=response)

    def output(self, at: float, call: str) -> "Story":
        """What a tool gave."""
        return self.item(at, {"type": "function_call_output", "call_id": call}, call_id=call)

    def update(self, at: float, session: dict[str, Any], event_id: str = "") -> "Story":
        body = {"session": session, **({"event_id": event_id} if event_id else {})}
        return self.send(at, "session.update", body)

    def flush(self, at: float, cause: str = "server") -> "Story":
        self.note(at, "flush", detail={"heard_ms": 0, "cause": cause})
        return self

    # ── what the server says ─────────────────────────────────────────────────────────────────

    def updated(self, at: float, session: dict[str, Any] | None = None) -> "Story":
        self.hear(at, "session.updated", detail=session or {})
        return self

    def error(self, at: float, code: str, event_id: str | None = None) -> "Story":
        self.hear(at, "error", detail={"code": code, "message": "", "event_id": event_id})
        return self

    def call(self, at: float, call: str, response: str | None = None) -> "Story":
        """The whole arguments of a tool call."""
        name = response or f"resp{self.turn}"
        self.hear(at, "response.function_call_arguments.done", response_id=name, call_id=call,
                  item_id=f"c-{call}", detail="{}")  # fmt: skip
        return self

    def text(self, at: float, words: str = "hi ", response: str | None = None) -> "Story":
        name = response or f"resp{self.turn}"
        self.hear(at, "response.output_text.delta", response_id=name, detail=words)
        return self

    def words(self, at: float, words: str = "hi ", response: str | None = None) -> "Story":
        """A piece of transcript."""
        name = response or f"resp{self.turn}"
        self.hear(at, "response.output_audio_transcript.delta", response_id=name, detail=words)
        return self

    def started(self, at: float, item: str | None = None, position: int | None = None) -> "Story":
        item = item or f"item{self.turn}"
        self.hear(at, "input_audio_buffer.speech_started", item_id=item, audio_ms=position)
        return self

    def stopped(self, at: float, item: str | None = None, position: int | None = None) -> "Story":
        item = item or f"item{self.turn}"
        self.hear(at, "input_audio_buffer.speech_stopped", item_id=item, audio_ms=position)
        return self

    def committed(self, at: float, item: str | None = None) -> "Story":
        self.hear(at, "input_audio_buffer.committed", item_id=item or f"item{self.turn}")
        return self

    def created(self, at: float, response: str | None = None, **said: Any) -> "Story":
        name = response or f"resp{self.turn}"
        self.hear(at, "response.created", response_id=name, detail=said or None)
        return self

    def delta(self, at: float, length: float = 100, response: str | None = None,
              silence: float = 0, levels: list[int] | None = None) -> "Story":  # fmt: skip
        """An audio delta; its first `silence` ms are soft."""
        windows = max(1, round(length / 10))
        if levels is None:
            quiet = min(windows, round(silence / 10))
            levels = [SOFT] * quiet + [LOUD] * (windows - quiet)
        name = response or f"resp{self.turn}"
        self.hear(
            at, "response.output_audio.delta", response_id=name, item_id=f"a-{name}",
            audio_ns=round(length * MS), nbytes=round(length * 48), envelope=bytes(levels),
        )  # fmt: skip
        return self

    def done(self, at: float, response: str | None = None, status: str = "completed",
             reason: str = "") -> "Story":  # fmt: skip
        self.hear(at, "response.done", response_id=response or f"resp{self.turn}",
                  detail={"status": status, "reason": reason, "usage": None})  # fmt: skip
        return self

    def heard_out(self, at: float) -> "Story":
        self.note(at, "heard_out", detail={"turn": self.turn})
        return self

    def gave_up(self, at: float) -> "Story":
        self.note(at, "gave_up", detail={"turn": self.turn})
        return self

    def ear(self, answer: Answer = Answer()) -> float:
        """speech_started, stopped, committed of the last utterance; returns when it committed."""
        onset, offset = self._said[self.turn]
        self.started(onset + answer.start, position=round(onset - 300 + 20))
        at = offset + answer.stop
        self.stopped(at, position=round(offset + 500))
        self.committed(at + answer.commit)
        return at + answer.commit

    def answered(self, answer: Answer = Answer(), response: str | None = None) -> "Story":
        """The last utterance is heard, answered and heard out."""
        created = self.ear(answer) + answer.create
        name = response or f"resp{self.turn}"
        self.created(created, name)
        silence = answer.silence
        self.hear(
            created + 100,
            "response.output_audio_transcript.delta",
            response_id=name,
            detail="good ",
        )
        for arrival in answer.deltas:
            self.delta(created + arrival, answer.length, name, min(silence, answer.length))
            silence = max(0, silence - answer.length)
        last = created + answer.deltas[-1]
        self.hear(created + 60, "conversation.item.input_audio_transcription.completed",
                  item_id=f"item{self.turn}", detail="hello there")  # fmt: skip
        self.hear(
            last + 1, "response.output_audio_transcript.done", response_id=name, detail="good day"
        )
        self.done(last + 5, name, answer.status, answer.reason)
        over = max(last, created + answer.deltas[0]) + len(answer.deltas) * answer.length
        self.heard_out(over)
        return self

    def finish(self) -> "Story":
        """Sort by instant (stable) and end after everything."""
        last = max(row.at_ns for row in self.rows)
        return self.end((last - self.zero) / MS + 100)


def conversation(number: int, turns: int, answer: Answer = Answer(), *, opens: float = 1000,
                 worker: int = 0, every: float = 4000) -> Story:  # fmt: skip
    """A session of `turns` turns, all answered alike, chunks and all."""
    story = Story(number, opens, worker).begin(turns).microphone()
    for turn in range(turns):
        story.say(200 + turn * every).answered(answer)
    story.appends(turns * every)
    return story.finish()


def write_run(folder: Path, *stories: Story, gates: tuple[str, ...] = (), **facts: Any) -> Path:
    """A sealed run folder of `stories`; `facts` replace keys of run.json."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for story in stories for row in sorted(story.rows, key=lambda row: row.at_ns)]
    columns = list(zip(*rows, strict=True)) or [[] for _ in Row._fields]
    arrays = [pa.array(list(c), f.type) for c, f in zip(columns, EVENTS, strict=True)]
    pq.write_table(pa.table(arrays, schema=EVENTS), folder / "events.parquet")
    last = max((row.at_ns for row in rows), default=ORIGIN_NS)
    workers = facts.get("workers", 1)
    facts.setdefault("seconds", max(1, (last - ORIGIN_NS) // 1_000_000_000))
    write_health(folder, facts.pop("health", None) or steady(workers, facts.pop("seconds"), 1))
    facts.pop("seconds", None)
    plan = {
        "sessions": None, "scheduled": len(stories), "start_ns": ORIGIN_NS,
        "measured_from_ns": ORIGIN_NS, "measured_to_ns": last + 1, "end_ns": last,
    }  # fmt: skip
    run = {
        "format": 1, "metric_version": VERSION, "bench_version": "0", "name": "story",
        "created": "2026-01-01T00:00:00+00:00", "scenario": {"effective": {}}, "workers": workers,
        "clock_pairs": [], "rows_written": {"0": len(rows)}, "rows_sealed": len(rows),
        "drained": list(range(workers)), "interrupted": False, "faults": [],
        "gates": list(gates), "baseline": None, "reference": None,
        **{key: value for key, value in facts.items() if key != "plan"},
        "plan": {**plan, **facts.get("plan", {})},
    }  # fmt: skip
    (folder / "run.json").write_bytes(msgspec.json.encode(run))
    return folder


def steady(workers: int, seconds: int, sessions: int, **changes: Any) -> list[HealthRow]:
    """A worker's second as it should be, for every worker and second."""
    row = HealthRow(0, 0, 0, sessions, sessions, 200_000, 0.2, 0, 0.0, 1, 30, 100)
    return [
        row._replace(worker=worker, at_ns=ORIGIN_NS + second * 1_000_000_000, **changes)
        for worker in range(workers)
        for second in range(1, seconds + 1)
    ]


def write_health(folder: Path, health: list[HealthRow]) -> None:
    columns = list(zip(*health, strict=True)) or [[] for _ in HealthRow._fields]
    arrays = [pa.array(list(c), f.type) for c, f in zip(columns, HEALTH, strict=True)]
    pq.write_table(pa.table(arrays, schema=HEALTH), folder / "health.parquet")


def events_of(folder: Path, *stories: Story) -> pd.DataFrame:
    """The events of a run, read back: for what needs no turns."""
    return read_events(write_run(folder, *stories) / "events.parquet")


def told_of(folder: Path, *stories: Story) -> Told:
    """The run as its trackers tell it: for what needs no figures."""
    events = events_of(folder, *stories)
    return tell([events], len(events), sessions_table(events, {}), {"plan": {}})


def analysed(folder: Path, *stories: Story, **facts: Any) -> Any:
    """The run written and analysed: turns, sessions, rows by (metric, statistic), summary."""
    write_run(folder, *stories, **facts)
    analyse(folder)
    summary = json.loads((folder / "summary.json").read_text())
    rows = {(row["metric"], row["statistic"]): row for row in summary["rows"] if not row["filter"]}
    read = {"dtype_backend": "numpy_nullable"}
    turns = pd.read_parquet(folder / "turns.parquet", **read)
    sessions = pd.read_parquet(folder / "sessions.parquet", **read)
    return turns, sessions, rows, summary
