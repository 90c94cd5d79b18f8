"""What the flaws are shown on: virtual calls with a generator that can be late, and their truth.

`Lagging` and `Stalled` wrap a caller of `tests.world`: the machine is the real one, only its driver
wakes it late, as a busy loop would. The truth of a call is what its server did and when (`sent`),
and where in the recording speech lies; no figure of the bench is used to find it.
"""

import json
import math

import pandas as pd

from bench.analysis.pipeline import analyse
from bench.plan.gates import parse_gate
from bench.protocol import server
from bench.protocol.client import InputAudioBufferAppend
from bench.protocol.codec import decode_client
from bench.reference.profile import Profile, ResponseProfile, TranscriptionProfile, VadProfile
from bench.verdict.verdict import judge_run
from bench.voice.audio import NS_PER_MS, ms
from bench.voice.directions import Pause
from tests.world import World

LAG, FIRST = 15, 350
APPEND = "input_audio_buffer.append"


class Lagging:
    """A caller that its driver always wakes `late_ns` late. `woken_ns`: the last wake-up of any."""

    woken_ns = 0

    def __init__(self, caller, late_ns):
        self._caller = caller
        self._late_ns = late_ns

    def __getattr__(self, name):
        return getattr(self._caller, name)

    def next_due(self):
        due = self._caller.next_due()
        return due + self._late_ns if due else due

    def poll(self, now_ns):
        Lagging.woken_ns = now_ns
        return self._caller.poll(now_ns - self._late_ns)


class Stalled:
    """A caller whose loop stands still in [begin, end), where the world's clock says so."""

    def __init__(self, caller, world, begin_ns, end_ns):
        self._caller = caller
        self._world = world
        self._begin_ns = begin_ns
        self._end_ns = end_ns

    def __getattr__(self, name):
        return getattr(self._caller, name)

    def _stands(self, at_ns):
        return self._begin_ns <= at_ns < self._end_ns

    def next_due(self):
        due = self._caller.next_due()
        if due is None:
            return None
        return self._end_ns if self._stands(max(due, self._world.now_ns)) else due

    def poll(self, now_ns):
        Lagging.woken_ns = now_ns
        return [] if self._stands(now_ns) else self._caller.poll(now_ns)


def profile(*, silence=0, history=0.0, pace=4.0, created=20):
    """A server that takes exactly so long: every delay in ms."""
    return Profile(
        vad=VadProfile(lag_ms=LAG),
        response=ResponseProfile(
            created_ms=created,
            first_delta_ms=FIRST,
            leading_silence_ms=silence,
            history_ms=history,
            pace=pace,
        ),
        transcription=TranscriptionProfile(delay_ms=120),
    )


def world_of(*, up=0, down=0, replies=(), **behaviour):
    """A world whose links take `up` and `down` ms, and whose servers behave like that."""
    return World(profile(**behaviour), up_ns=ms(up), down_ns=ms(down), replies=replies)


def silent_for(length_ns):
    """A script that keeps the microphone open and says nothing."""

    def script(_):
        yield Pause(length_ns)

    return script


def turns_of(world, folder, script="turn_taking"):
    """The turns of the world's calls, by the whole way through log, seal and analysis."""
    place = world.run().seal(folder / "run", script)
    analyse(place.path)
    return pd.read_parquet(place.turns)


def judged(folder, *gates):
    """The verdict of an analysed run, and its broken rules."""
    verdict = judge_run(folder, [parse_gate(gate) for gate in gates], None)
    return verdict, [check["rule"] for check in verdict["validity"] if not check["ok"]]


def appends(call):
    """The rows of every chunk that a caller sent."""
    return [row for row in call.rows if row.type == APPEND and row.direction == "out"]


def opened_ns(call):
    """When the microphone was opened."""
    return next(row.at_ns for row in call.rows if row.type == "bench.microphone")


def spoken_ns(call, lines):
    """When the true speech of each line ended: microphone, place on its timeline, manifest."""
    places = [row.media_ns for row in call.rows if row.type == "bench.say"]
    at = opened_ns(call)
    return [at + place + line.offset_ns for place, line in zip(places, lines, strict=True)]


def answered_ns(world, call):
    """When the first audio of each response reached the caller, by the server's own account."""
    first = {}
    for due_ns, message in call.sent:
        if isinstance(message, server.ResponseOutputAudioDelta):
            first.setdefault(message.response_id, due_ns + world.down_ns)
    return list(first.values())


def true_latencies(world, call, lines):
    """What the caller lived through, ms by turn."""
    pairs = zip(answered_ns(world, call), spoken_ns(call, lines), strict=True)
    return [(answered - spoken) / NS_PER_MS for answered, spoken in pairs]


def earliest_stop_ms(offset_ms, silence_ms, chunk_ms=100):
    """When, at the soonest, a server can say that speech stopped which ended at `offset_ms`.

    The chunk that holds the last needed sample of silence cannot leave before it is full.
    """
    return math.ceil((offset_ms + silence_ms) / chunk_ms) * chunk_ms + LAG


def eavesdrop(call):
    """A list that will hold the audio of every append that reaches the call's server."""
    heard, asked = [], call.asked

    def listening(payload):
        message = decode_client(payload)
        if isinstance(message, InputAudioBufferAppend):
            heard.append(message.audio)
        asked(payload)

    call.asked = listening
    return heard


def rows_of(folder):
    """The statistics of an analysed run by (metric, statistic)."""
    summary = json.loads((folder / "summary.json").read_text())
    return {(row["metric"], row["statistic"]): row for row in summary["rows"] if not row["filter"]}
