"""Where the clock of a latency starts, and which clock it is: flaws F4, F5, F8, F9, F10."""

import ast
import json
from pathlib import Path
from unittest import mock

import bench
from bench.analysis import measure, validity
from bench.analysis.pipeline import analyse
from bench.analysis.tables import is_type
from bench.analysis.told import tell
from bench.tracker import utterances
from tests.analysis.story import ORIGIN_NS, conversation, write_run
from tests.flaws.injection import caught, put_in
from tests.flaws.stage import Lagging, judged, rows_of, true_latencies, turns_of, world_of
from tests.world import VAD, voice

TELL = "bench.analysis.pipeline.tell"
SECOND = 1_000_000_000


def told_to_the_files_end(event, opened_ns):
    """F4: speech is taken to end where its recording does."""
    said = event.body()
    detail = json.dumps({**said, "offset_ms": said["duration_ms"]})
    return UTTERANCE(event._replace(detail=detail), opened_ns)


UTTERANCE = utterances.utterance_of


def said_later(told, by_ns):
    """Turns whose speech ends by so much later."""
    turns = told.turns
    ends = {name: turns[name] + by_ns for name in ("speech_offset_ns", "said_ns")}
    return told._replace(turns=turns.assign(**ends))


def test_latency_is_counted_from_the_end_of_speech_and_not_of_its_recording(fresh):
    """F4: the silence at the end of a recording belongs to the answer's latency."""
    lines = (voice("one", 130, 1200, tail_ms=176), voice("two", 90, 800, tail_ms=176))

    def check():
        world = world_of(up=7, down=11)
        call = world.call("turn_taking", (lines,))
        measured = turns_of(world, fresh())["first_audio_latency"].tolist()
        off = [a - b for a, b in zip(measured, true_latencies(world, call, lines), strict=True)]
        assert off == [0, 0], f"off by {off[0]:+.0f} and {off[1]:+.0f} ms"

    flaw = put_in("bench.tracker.tracker.utterance_of", told_to_the_files_end)
    caught(check, flaw, r"off by -176 and -176 ms")


def counted_from_the_send(parts, rows, sessions, run):
    """F5: the clock starts when the program got round to handing the audio over."""
    (events,) = parts
    assert len(events) == rows
    sent = events[is_type(events, "input_audio_buffer.append", direction="out")]
    late = int((sent["at_ns"] - sent["due_ns"]).median())
    return said_later(tell([events], len(events), sessions, run), late)


def test_latency_is_counted_from_when_audio_was_due_and_not_from_a_late_send(fresh):
    """F5: from the send, a busier generator would look like a faster server."""
    lines = (voice("one", 130, 1200), voice("two", 90, 800))

    def check():
        off = {}
        for late in (0, 40, 80):
            world = world_of(up=7, down=11)
            call = world.call("turn_taking", (lines,))
            call.caller = Lagging(call.caller, late * 1_000_000)
            folder = fresh()
            measured = turns_of(world, folder)["first_audio_latency"].tolist()
            truth = true_latencies(world, call, lines)
            off[late] = measured[0] - truth[0]
            assert rows_of(folder / "run")["send_lateness", "p50"]["value"] == late
        assert set(off.values()) == {0}, " ".join(
            f"{late} ms late: {error:+.0f}" for late, error in off.items()
        )

    flaw = put_in(TELL, counted_from_the_send)
    caught(check, flaw, r"0 ms late: \+0 40 ms late: -40 80 ms late: -80")


FROM_THE_COMMIT = tuple(
    metric._replace(start="turn_closed") if metric.name == "first_audio_latency" else metric
    for metric in measure.PER_TURN
)
"""F8: the clock starts when the server has heard the trailing silence."""


def test_a_server_that_waits_longer_for_silence_is_slower_by_that_much(fresh):
    """F8: started after the trailing silence, the clock hides all of the endpointing."""
    lines = (voice("one", 130, 1200), voice("two", 90, 800))

    def check():
        found = {}
        for silence in (200, 800):
            world = world_of(up=7, down=11)
            detection = {**VAD, "silence_duration_ms": silence}
            world.call("turn_taking", (lines,), detection=detection)
            found[silence] = turns_of(world, fresh())["first_audio_latency"].tolist()
        slower = [b - a for a, b in zip(found[200], found[800], strict=True)]
        assert slower == [600, 600], f"600 ms more of silence cost {slower[0]:.0f} ms"

    flaw = put_in("bench.analysis.measure.PER_TURN", FROM_THE_COMMIT)
    caught(check, flaw, "600 ms more of silence cost 0 ms")


def counted_from_the_dial(parts, rows, sessions, run):
    """F9: the timeline of a session begins when its connection was begun."""
    dialled = int((sessions["opened_ns"] - sessions["started_ns"]).max())
    return said_later(tell(parts, rows, sessions, run), -dialled)


def test_connecting_is_a_figure_of_its_own_and_in_no_latency(fresh):
    """F9: three trips on a line of 40 ms make 120 ms of connecting, whatever the server does."""
    lines = (voice("one", 130, 1200), voice("two", 90, 800))

    def check():
        world = world_of(up=40, down=40)
        call = world.call("turn_taking", (lines,))
        folder = fresh()
        measured = turns_of(world, folder)["first_audio_latency"].tolist()
        assert rows_of(folder / "run")["session_ready_time", "p50"]["value"] == 120
        off = [a - b for a, b in zip(measured, true_latencies(world, call, lines), strict=True)]
        assert off == [0, 0], f"latency has {off[0]:.0f} ms of connecting in it"

    flaw = put_in(TELL, counted_from_the_dial)
    caught(check, flaw, "latency has 120 ms of connecting in it")


WALL = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime", "ctime"}
MAY_READ_IT = {
    "load/clock.py": "the pair of clocks by which kernel stamps are converted",
    "load/worker.py": "a key of the session, in its URL",
    "load/coordinator.py": "the name of a run folder",
}
"""Where the rooms that measure read the wall clock, and what for: never for an interval."""
ROOT = Path(bench.__file__).parent
MEASURING = {
    str(path.relative_to(ROOT)): path.read_text()
    for room in ("load", "voice")
    for path in sorted((ROOT / room).rglob("*.py"))
}
"""The source of all that takes a stamp or waits for an instant."""


def wall_clock_readers(sources):
    """Files that call a function of the wall clock (of time or datetime), by its name."""
    found = set()
    for name, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            called = node.func if isinstance(node, ast.Call) else None
            of = getattr(getattr(called, "value", None), "id", "")
            attribute = getattr(called, "attr", "") if of in {"time", "datetime", "date"} else ""
            imported = [
                alias.name
                for alias in getattr(node, "names", [])
                if isinstance(node, ast.ImportFrom) and node.module == "time"
            ]
            if attribute in WALL or WALL.intersection(imported):
                found.add(name)
    return found


def test_no_interval_is_measured_with_the_wall_clock():
    """F10: put in is a wire that takes its stamps from it."""

    def check():
        unknown = sorted(wall_clock_readers(MEASURING) - set(MAY_READ_IT))
        assert not unknown, f"the wall clock is read in {unknown}"

    spoilt = MEASURING["load/wire.py"].replace("monotonic_ns", "time_ns")
    flaw = mock.patch.dict(MEASURING, {"load/wire.py": spoilt})
    caught(check, flaw, r"the wall clock is read in \['load/wire\.py'\]")


def test_a_wall_clock_that_steps_in_mid_run_spoils_the_run_and_says_when(fresh):
    """F10: kernel stamps are of the wall clock, so its step may not pass unseen."""
    pairs = [[ORIGIN_NS + n * SECOND, 17 * SECOND + n * SECOND] for n in range(8)]
    stepped = [*pairs[:5], *([mono, real - 2 * SECOND] for mono, real in pairs[5:])]

    steady = write_run(fresh(), conversation(0, 2), clock_pairs=pairs)
    spoilt = write_run(fresh(), conversation(0, 2), clock_pairs=stepped)
    for folder in (steady, spoilt):
        analyse(folder)

    def check():
        assert judged(steady)[0]["verdict"] == "pass"
        verdict, broken = judged(spoilt)
        assert broken == ["clock"], f"a step of 2 s leaves the verdict {verdict['verdict']!r}"
        [rule] = [rule for rule in verdict["validity"] if rule["rule"] == "clock"]
        assert (rule["from_s"], rule["to_s"]) == (4, 5)

    blind = {name: rule for name, rule in validity.RULES.items() if name != "clock"}
    flaw = put_in("bench.analysis.validity.RULES", blind)
    caught(check, flaw, "a step of 2 s leaves the verdict 'pass'")
