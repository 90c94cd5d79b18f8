"""What the caller hears of the agent, and the agent of the caller: flaws F11, F17, F18, F19."""

from itertools import starmap

import numpy as np

from bench.analysis import measure as measuring
from bench.analysis import tables
from bench.protocol.client import InputAudioBufferAppend
from bench.protocol.codec import encode
from bench.tracker import interruptions
from bench.voice.audio import NS_PER_MS, ms
from bench.voice.caller_config import CallerConfig
from bench.voice.microphone import Microphone
from tests.analysis.story import Story, analysed
from tests.flaws.injection import caught, put_in
from tests.flaws.stage import (
    Lagging,
    Stalled,
    answered_ns,
    appends,
    eavesdrop,
    turns_of,
    world_of,
)
from tests.world import voice

LINES = (voice("one", 130, 1200), voice("two", 90, 800), voice("three", 60, 1000))


def test_an_answer_begins_with_its_first_audible_sample_and_not_with_its_first_packet(fresh):
    """F11: put in is an ear for which silence is sound."""

    def check():
        short = {}
        for silence in (70, 340):
            world = world_of(silence=silence)
            world.call("turn_taking", (LINES[:1],))
            turn = turns_of(world, fresh()).iloc[0]
            assert turn.first_audio_latency > 0
            heard = turn.voice_to_voice_latency - turn.first_audio_latency
            short[silence] = silence - heard
        assert not any(short.values()), "answers look " + " and ".join(
            starmap("{1:.0f} ms faster with {0} ms of silence".format, short.items())
        )

    words = "answers look 70 ms faster with 70 ms of silence and 340 ms faster with 340"
    caught(check, put_in("bench.analysis.envelopes.AUDIBLE", 0), words)


def stops_with_the_last_packet(turn, *facts, **flags):
    """F17: the agent is silent once no more audio comes."""
    INTERRUPTION(turn, *facts, **flags)
    turn.agent_silent_ns = turn.interrupted_last_audio_ns


INTERRUPTION = interruptions.tell_interruption


def test_an_agent_is_silent_when_its_player_is_and_not_with_its_last_packet(fresh):
    """F17: a reply of six seconds that was sent in an instant plays on for six seconds."""
    replies = (voice("reply", 0, 6000, 0, tags=("reply",)),)
    part = ((voice("line", 100, 900),), (voice("stop", 50, 600),))

    def check():
        world = world_of(replies=replies, pace=1000)
        call = world.call("barge_in", part, config=CallerConfig(flush=False))
        turns = turns_of(world, fresh(), "barge_in")
        cut = turns[turns["role"] == "interruption"].iloc[0]
        truly_ns = answered_ns(world, call)[0] + ms(6000)
        measured = cut.barge_in_silence
        audible = (truly_ns - cut.speech_onset_ns) / NS_PER_MS
        assert abs(measured - audible) <= 10, (
            f"silent after {measured:.0f} ms, and audible for {audible:.0f} ms"
        )

    flaw = put_in("bench.tracker.tracker.tell_interruption", stops_with_the_last_packet)
    caught(check, flaw, r"silent after -\d+ ms, and audible for 4\d\d\d ms")


def never_below_zero(value_ns):
    """F18: what is below nothing becomes nothing."""
    return IN_MS(value_ns).clip(lower=0)


IN_MS = measuring._ms


def test_an_answer_that_came_before_the_end_of_speech_has_a_latency_below_zero(fresh):
    """F18: the agent talks into a sentence 1.2 s before its end."""

    def check():
        story = Story().begin().microphone().say(0, onset=200, offset=3000)
        story.started(350, position=20).stopped(1500, position=1490).committed(1510)
        story.created(1530).delta(1800).delta(1850).done(1860).heard_out(2200)
        turns, _, rows, _ = analysed(fresh(), story.finish())
        assert turns.loc[0, "talked_over"]
        least = rows["voice_to_voice_latency", "min"]["value"]
        assert least == -1200, f"talked into, the fastest answer took {least:.0f} ms"

    flaw = put_in("bench.analysis.measure._ms", never_below_zero)
    caught(check, flaw, "talked into, the fastest answer took 0 ms")


class Skipping(Microphone):
    """F19: what is late is left out, and silence is in its place."""

    def take(self):
        chunk = super().take()
        if Lagging.woken_ns - chunk.due_ns < self.chunk_ns:
            return chunk
        silence = encode(InputAudioBufferAppend(audio=bytes(self.chunk_bytes)))
        return chunk._replace(payload=silence, silent=True)


def test_a_loop_that_stands_still_puts_no_silence_into_what_the_server_hears(fresh):
    """F19, on the way out: the loop stands for 700 ms in the middle of a sentence."""
    line = voice("long", 100, 2400)

    def check():
        world = world_of()
        call = world.call("turn_taking", ((line,),))
        heard = eavesdrop(call)
        call.caller = Stalled(call.caller, world, ms(1000), ms(1700))
        turns = turns_of(world, fresh())
        assert len(turns) == 1
        late = max(row.at_ns - row.due_ns for row in appends(call)) / NS_PER_MS
        assert late >= 600  # it stood indeed
        place = next(row.media_ns for row in call.rows if row.type == "bench.say")
        stream, start = b"".join(heard), line.format.nbytes(place)
        said = np.frombuffer(stream[start : start + len(line.audio)], "<i2")
        lost = np.count_nonzero(said != np.frombuffer(line.audio, "<i2")) * 1000 // 24_000
        split = bool(turns["split_turn"].any())
        assert lost == 0, f"{lost} ms of the sentence are silence; cut in two: {split}"
        assert not split

    flaw = put_in("bench.voice.conversation.Microphone", Skipping)
    caught(check, flaw, r"[56]\d\d ms of the sentence are silence; cut in two: True")


def placed_when_read(*asked):
    """F19: audio is where it was when the program came to it."""
    events = READ(*asked)
    read = events["read_ns"].astype("Int64").fillna(events["at_ns"])
    events["at_ns"] = read.to_numpy(np.int64)
    events = events.sort_values(["session", "at_ns"], kind="stable", ignore_index=True)
    return events.assign(row=np.arange(len(events), dtype=np.int64))


READ = tables.read_events


def test_a_loop_that_stands_still_puts_no_silence_into_what_is_heard(fresh):
    """F19, on the way in: deltas that came in time lie in the kernel until the loop goes on."""

    def check():
        story = Story().begin().microphone().say(0)
        story.ear()
        story.created(1900)
        for number in range(20):
            story.delta(2000 + 90 * number)
        story.done(4000).heard_out(4200)
        begin, end = (story.zero + ms(at) for at in (2500, 3100))
        rows = story.finish().rows
        story.rows = [
            row._replace(read_ns=end) if row.read_ns and begin <= row.at_ns < end else row
            for row in rows
        ]
        turns, _, _, _ = analysed(fresh(), story)
        starved = turns.loc[0, "underrun_time"]
        assert starved == 0, f"{starved:.0f} ms of silence that nobody sent"

    flaw = put_in("bench.analysis.tables.read_events", placed_when_read)
    caught(check, flaw, r"[45]\d\d ms of silence that nobody sent")
