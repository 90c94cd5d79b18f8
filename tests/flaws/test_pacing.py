"""What leaves the microphone, and when: flaws F1, F2, F3, F24, F25."""

import itertools

from bench.voice.audio import NS_PER_MS, ms
from bench.voice.caller_config import CallerConfig
from bench.voice.effective import Effective
from bench.voice.microphone import Microphone, record
from tests.flaws.injection import caught, put_in
from tests.flaws.stage import (
    Lagging,
    answered_ns,
    appends,
    earliest_stop_ms,
    eavesdrop,
    opened_ns,
    silent_for,
    turns_of,
    world_of,
)
from tests.world import voice

MICROPHONE = "bench.voice.conversation.Microphone"
LATE_NS = 680_000
"""How late an idle asyncio loop wakes a sleeper: 340 ms over 500 chunks (measurement.md, F1)."""
LINES = (voice("one", 130, 1200), voice("two", 90, 800))


class Relative(Microphone):
    """F1: the next chunk is due so long after this one was sent."""

    def take(self):
        chunk = super().take()
        self.due_ns = Lagging.woken_ns + self.chunk_ns
        return chunk


def test_the_audio_clock_keeps_time_however_late_every_single_send_is():
    """F1."""

    def check():
        world = world_of()
        call = world.call(silent_for(ms(11_000)), ((),), config=CallerConfig(chunk_ns=ms(20)))
        call.caller = Lagging(call.caller, LATE_NS)
        world.run(ms(20_000))
        chunk = appends(call)[499]
        late_ns = chunk.at_ns - opened_ns(call) - chunk.media_ns - chunk.audio_ns
        assert late_ns <= LATE_NS, f"10 s of audio took {late_ns / NS_PER_MS:.1f} ms more"

    caught(check, put_in(MICROPHONE, Relative), r"10 s of audio took 340\.0 ms more")


class Hasty(Microphone):
    """F2: a file pushed at twice the speed of speech."""

    def take(self):
        chunk = super().take()
        self.due_ns = self.opened_ns + (self.due_ns - self.opened_ns) // 2
        return chunk


def test_nothing_is_sent_faster_than_it_can_be_spoken(fresh):
    """F2: pushed at double speed the server "hears" the end of speech before it was spoken."""

    def check():
        world = world_of()
        call = world.call("turn_taking", (LINES,))
        turns = turns_of(world, fresh())
        early = max(
            opened_ns(call) + row.media_ns + row.audio_ns - row.at_ns for row in appends(call)
        )
        delay = turns["endpointing_delay"].min()
        assert early <= 0, f"{early / NS_PER_MS:.0f} ms ahead, endpointing delay {delay:.0f} ms"

    caught(check, put_in(MICROPHONE, Hasty), r"\d{3,} ms ahead, endpointing delay -\d{3,} ms")


class Early(Microphone):
    """F3: a chunk is sent at the start of the interval that it holds."""

    def __init__(self, *settings):
        super().__init__(*settings)
        self.due_ns -= self.chunk_ns

    def take(self):
        chunk = super().take()
        self.due_ns -= self.chunk_ns
        return chunk


def test_a_chunk_leaves_only_when_its_last_sample_was_captured(fresh):
    """F3: sent at the start of its own interval it makes every latency one chunk better."""

    def check():
        world = world_of()
        call = world.call("turn_taking", (LINES[:1],))
        turn = turns_of(world, fresh()).iloc[0]
        offset_ms = (turn.speech_offset_ns - opened_ns(call)) / NS_PER_MS
        least = earliest_stop_ms(offset_ms, 500) - offset_ms
        gain = least - turn.endpointing_delay
        assert gain == 0, f"endpointing looks {gain:.0f} ms better than can be"

    caught(check, put_in(MICROPHONE, Early), "endpointing looks 100 ms better than can be")


def wrapped(utterance, chunk_ns):
    """F24: two seconds of every recording, from its beginning again where it is shorter."""
    size = utterance.format.nbytes(ms(2000))
    audio = (utterance.audio * 10)[:size]
    return record(utterance._replace(audio=audio), chunk_ns)


def test_every_recording_is_said_whole_and_once_and_followed_by_silence():
    """F24: two fixed seconds cut a long sentence and begin a short one again in mid-word."""
    lines = (voice("short", 100, 500), voice("long", 100, 2500, pitch=170))

    def check():
        world = world_of()
        call = world.call("turn_taking", (lines,))
        heard = eavesdrop(call)
        world.run()
        stream = b"".join(heard)
        said = [row.media_ns for row in call.rows if row.type == "bench.say"]
        starts = [lines[0].format.nbytes(place) for place in said]
        wanted = bytearray(len(stream))
        for start, line in zip(starts, lines, strict=True):
            wanted[start : start + len(line.audio)] = line.audio
        pairs = itertools.zip_longest(stream, wanted)
        wrong = sum(a != b for a, b in pairs) / lines[0].format.nbytes(1_000_000_000)
        # Compared as a number: of two streams pytest would write out every byte that differs.
        assert wrong == 0, f"{wrong:.1f} s of what was said is not the recording"

    flaw = put_in("tests.world.record", wrapped)
    caught(check, flaw, r"[1-9]\.\d s of what was said is not the recording")


class Muted(Effective):
    """F25: nothing is sent while nobody speaks."""

    manual = property(lambda _: True, lambda _self, _said: None)


def test_the_stream_goes_on_between_turns_as_an_open_microphone_does():
    """F25: a detector that is sent no silence waits for it."""

    def check():
        world = world_of()
        call = world.call("turn_taking", (LINES,), config=CallerConfig(answer_timeout_ns=ms(3000)))
        world.run()
        sent = [row.at_ns for row in appends(call)]
        gap = max(after - before for before, after in itertools.pairwise(sent)) / NS_PER_MS
        answers = len(answered_ns(world, call))
        assert gap <= 100, f"the stream stood still for {gap:.0f} ms; {answers} of 2 were answered"

    flaw = put_in("bench.voice.conversation.Effective", Muted)
    caught(check, flaw, r"the stream stood still for \d{4} ms; 0 of 2 were answered")
