"""Runs that no server plays in virtual time: told by hand, row by row.

What `tests/analysis` tells of in its many small runs is gathered here into a few: a file of tests
becomes one run, and every session that it writes a session of that.
"""

import json
from pathlib import Path

import pytest

from bench.runs.folder import RunFolder
from bench.runs.gauges import CPU_BUSY, Gauges, Readings, Series, write_gauges
from tests.analysis import story
from tests.analysis.story import MS, ORIGIN_NS, Story, conversation, steady, write_run
from tests.analysis.test_cancellations import cancelled, speaking
from tests.analysis.test_excluded_turns import late
from tests.analysis.test_rule_violations import rows_of
from tests.tracker.test_protocol_rules import LEGAL, OPEN, REPLY, WRONG

S = 1_000_000_000
"""A second in ns."""

BORNE = ("invalid_utf8", "no_subprotocol", "garbage_base64")
"""Quirks that only a real socket meets, or no quirk of the reference server is."""


class Gathered:
    """A plugin of pytest: keeps the rows of every session that tests write to a run folder."""

    def __init__(self):
        self.sessions = {}
        """A name for each that was not told before: its rows."""

    @pytest.fixture(autouse=True)
    def listen(self, request, monkeypatch):
        def heard(folder, *stories, **facts):
            for one in stories:
                rows = tuple(sorted(one.rows, key=lambda row: row.at_ns))
                self.sessions[hash(tuple(row._replace(session=0) for row in rows))] = rows
            return write_run(folder, *stories, **facts)

        monkeypatch.setattr(story, "write_run", heard)
        if hasattr(request.module, "write_run"):
            monkeypatch.setattr(request.module, "write_run", heard)


def file_of(name):
    """The file of tests of that name; ValueError where there is none, or several."""
    paths = (Path("tests", room, f"test_{name}.py") for room in ("analysis", "verdict"))
    (path,) = filter(Path.exists, paths)
    return path


def told(*files):
    """One run, in the folder named last, of every session told in these files of tests."""
    *names, folder = files
    gathered = Gathered()
    paths = [str(file_of(name)) for name in names]
    code = pytest.main(["-qq", "--assert=plain", "-p", "no:xdist", *paths], plugins=[gathered])
    assert code == 0, f"the tests that tell the sessions fail: {code}"
    stories = []
    for number, rows in enumerate(gathered.sessions.values()):
        one = Story(number)
        one.rows = [row._replace(session=number) for row in rows]
        stories.append(one)
    write_run(folder, *stories, workers=2)


def grammar(folder):
    """A session for each way to break each rule of the protocol, and every legal sequence."""
    sessions = [
        rows_of(
            [*OPEN, *facts], number,
            spacing=10_001 // len(facts) if how == "and time went by" else 1,
            end=10_001 if how == "and time went by" else 0,
        )
        for number, (_, how, facts) in enumerate(WRONG)
    ]  # fmt: skip
    sessions.append(rows_of(REPLY, len(sessions)))  # and nothing opens it
    legal = [REPLY, *LEGAL.values()]
    sessions += [rows_of([*OPEN, *facts], n) for n, facts in enumerate(legal, len(sessions))]
    stories = []
    for rows in sessions:
        one = Story(rows[0].session)
        one.rows = rows
        stories.append(one)
    write_run(folder, *stories)


def coinciding(folder):
    """What decides a figure by its order, told at one instant: which of the two does it go by?"""
    ends = speaking().done(2600, "resp1").cancel(2600)  # the reply is over as the cancel leaves
    ends.create(2600).created(2650, "next").delta(2700, response="next")
    cancelled(ends, 2750, "next")
    flushed = speaking(2075)  # the player is emptied as the first audible sample plays
    flushed.rows.pop()
    flushed.delta(2050, silence=50).flush(2100, "caller").done(2200).heard_out(2300)
    gave_up = Story().begin(1).microphone().say(0)
    gave_up.ear()
    gave_up.created(1750).delta(4000).gave_up(4000).done(4100)
    talks = speaking().done(2600, "resp1").say(2900, onset=150)  # into its last audible sample
    talks.started(3050).flush(3050).stopped(4200).committed(4200)
    talks.created(4200).delta(4200).done(4200).heard_out(4300)
    first_words = Story().begin(2).microphone().say(0).say(1200, onset=0, offset=500)
    first_words.started(1200, position=1200).stopped(1700, position=1700).committed(1700)
    first_words.created(1700).delta(1700).done(1700).heard_out(1800)
    stories = [ends, flushed, gave_up, talks, first_words]
    for number, one in enumerate(stories):
        one.rows = [row._replace(session=number) for row in one.finish().rows]
    write_run(folder, *stories)


def bad_seconds(folder):
    """A worker in trouble by every rule on time, the other calm: turns are excluded."""
    health = steady(2, 80, 2)
    changes = (
        {"hub_lag_ns": 25 * MS}, {"run_wait_share": 0.3}, {"throttled_share": 0.06},
        {"cpu_share": 0.99}, {"steal_share": 0.5},
    )  # fmt: skip
    for number, change in enumerate(changes):
        second = 8 + 10 * number
        health[second] = health[second]._replace(**change)
    waits = conversation(2, 9)
    waits.rows.pop()
    waits.say(37_200).gave_up(48_400).finish()
    looks = [
        {"rtt_us": 20, "retransmits": n // 6, "disorder": n // 10, "unread": 4096 * (n % 5 == 0),
         "unsent": 0}
        for n in range(40)
    ]  # fmt: skip
    calm = conversation(1, 10, worker=1)
    for second, look in enumerate(looks):
        calm.note(1000 * second, "line", detail=look)
    write_run(
        folder, late(conversation(0, 10), 13_000, 13_900), calm, waits,
        workers=2, health=health, gates=("p90(voice_to_voice_latency) < 2 s",),
        scenario={"effective": {"health": {"share": 15.0}}},
    )  # fmt: skip


def void(folder):
    """Nothing about it is as it should be: every rule of validity is broken."""
    story = late(conversation(0, 6), 4_000, 12_000)
    story.rows = [
        row._replace(read_ns=row.at_ns + 27_600_000) if row.direction == "in" else row
        for row in story.rows
    ]
    trouble = {
        "hub_lag_ns": 25 * MS, "run_wait_share": 0.3, "throttled_share": 0.4, "cpu_share": 0.99,
        "steal_share": 0.5, "sessions_open": 0,
    }  # fmt: skip
    write_run(
        folder, story, workers=2, drained=[0], rows_sealed=5, plan={"sessions": 20},
        health=[row._replace(**trouble) for row in steady(2, 25, 10)],
        processes={"0": 0, "1": 1}, worker_cores=[[0], [1]],
        neighbours=[
            {"core": 0, "from_ns": ORIGIN_NS + n * S, "name": "make", "number": 7, "share": 0.8}
            for n in range(25)
        ],
        host={"cpu_quota": 1.5, "cores": 8},
        clock_pairs=[[ORIGIN_NS + n * S, 17 * S + n * S + (n > 2) * 60 * MS] for n in range(6)],
        faults=[{"rule": "worker", "text": "worker 0 fell silent", "remedy": "look at its log",
                 "from_ns": ORIGIN_NS + 2 * S, "to_ns": None}],
    )  # fmt: skip


def remarked(folder):
    """A sound run with all that is remarked on: its server, its ending, its looks, its gauges."""
    stories = [conversation(number, 6) for number in range(6)]
    for number, one in enumerate(stories):
        start = one.rows[0]
        facts = json.loads(start.detail) | {"address": f"192.0.2.{number % 2 + 1}"}
        one.rows[0] = start._replace(detail=json.dumps(facts))
        one.note(1, "redirected", detail={})
        for name in BORNE:
            one.note(2, "quirk", detail={"quirk": name, "example": f"of {name}"})
        borne = dict.fromkeys(BORNE, number + 1)
        end = json.loads(one.rows[-1].detail) | {"reads": 40, "stamped": 30, "quirks": borne}
        one.rows[-1] = one.rows[-1]._replace(detail=json.dumps(end))
    stories[0].rows = [
        row._replace(detail=row.detail.replace("hello", "at 1015"))
        if row.type == "bench.say"
        else row
        for row in stories[0].rows
    ]
    gate = "p99(first_audio_latency) < 2 s"
    write_run(
        folder, *stories,
        gates=(
            gate, "p50(first_audio_latency) < 2 s", "share(good_turns) >= 50 %",
            "p50(first_audio_latency) <= baseline + 10 %", "min(first_audio_latency) > 4 s",
            "p50(first_audio_latency{session=3}) < 800 ms", "count(turns) > 30",
            "p50(connect_time{worker=0}) < 1 s", "p50(send_lateness{worker=0}) < 20 ms",
            "share(answered{phase=warmup}) > 10 %", "rate(turns) > 100 /s", "p99(hub_lag) < 1 ms",
            "share(answered) >= 100 %", "p50(first_audio_latency) < 10 ms",
            "mean(first_text_latency) < 1 s", "p50(voice_to_voice_latency{turn=1}) < 2 s",
        ),
        reference={"late_p99_ms": 33, "cpu_share": 0.97, "stalls": 2, "loop_lag_max_ms": 212.4},
        ended_by={"rule": "abort_on_fail", "text": "a gate failed for two windows",
                  "gate": "count(turns) > 30", "windows": []},
        interim={"window_s": 5.0, "looks": 3, "broken": "its disk was full",
                 "blind": {gate: [90, 299]}},
        page_reset="0:12",
        gauges={"url": "", "asked": ["busy", "gone"], "scrapes": 20, "lost": 2,
                "why": "timed out", "missing": {"gone": 18}},
    )  # fmt: skip
    at = [ORIGIN_NS + second * S for second in range(20)]
    series = {
        Series(CPU_BUSY): [10.0 + 0.5 * second for second in range(20)],
        Series("vllm_queue", 'model="a"'): [float(second % 4) for second in range(20)],
        Series("vllm_queue", 'model="b"'): [2.0] * 20,
    }
    found = {one: Readings(at, levels) for one, levels in series.items()}
    write_gauges(RunFolder(folder), Gauges(found, frozenset({CPU_BUSY})))
