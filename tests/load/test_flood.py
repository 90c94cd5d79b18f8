"""What one peer may make a worker hold and remember."""

import pytest

from bench.load.flood import (
    MAX_MESSAGE,
    MIB,
    MOST_BYTES,
    MOST_FRAMES,
    MOST_HELD,
    MOST_REMEMBERED,
    MOST_UNSENT,
    FloodError,
    Intake,
    check_memory,
    check_values,
)
from bench.protocol import server
from bench.voice.agent import Agent
from bench.voice.audio import NS_PER_S
from bench.voice.player import Player


def test_what_comes_within_a_second_is_bounded_and_the_next_second_is_another():
    intake = Intake()
    for second in range(1, 4):
        intake.read(second * NS_PER_S, MOST_BYTES, MOST_FRAMES)
    with pytest.raises(FloodError, match="MiB came within a second"):
        intake.read(4 * NS_PER_S - 1, 1, 0)
    intake.read(4 * NS_PER_S, 0, MOST_FRAMES)
    with pytest.raises(FloodError, match="frames came within a second"):
        intake.read(5 * NS_PER_S - 1, 1, 1)


def test_a_server_that_does_not_read_is_waited_for_with_so_much_and_no_more():
    intake = Intake()
    intake.hold(0, MOST_UNSENT)
    with pytest.raises(FloodError, match="wait for a server that does not read"):
        intake.hold(0, MOST_UNSENT + 1)
    intake.close()


def test_who_has_not_grown_is_not_ended_for_what_others_hold():
    small, large = Intake(), Intake()
    try:
        small.hold(2 * MIB, 0)
        with pytest.raises(FloodError):
            large.hold(MOST_HELD, 0)
        small.hold(2 * MIB, 0)
    finally:
        small.close()
        large.close()


def test_what_all_connections_hold_is_bounded_and_small_ones_never_pay_for_it():
    many = [Intake() for _ in range(MOST_HELD // MAX_MESSAGE)]
    small, last = Intake(), Intake()
    try:
        for intake in many:
            intake.hold(MAX_MESSAGE, 0)
        small.hold(1000, 0)
        with pytest.raises(FloodError, match="this one 2 MiB"):
            last.hold(2 * MIB, 0)
        small.hold(2000, 0)
        last.close()
        many[0].hold(0, 0)
        many[1].hold(MAX_MESSAGE, 0)
    finally:
        for intake in (*many, small, last):
            intake.close()
    assert Intake.everyone == 0


def test_a_large_message_is_known_by_its_values_and_one_of_audio_has_few():
    check_values(b'{"type":"x","audio":"' + b"A" * (15 * MIB) + b'"}')
    check_values(b"[" * (MIB // 2))
    for many in (b"[],", b'{"":[]},', b"0,"):
        with pytest.raises(FloodError, match="values"):
            check_values(many * MIB)


def test_all_that_a_caller_remembers_of_its_server_counts():
    told = [
        lambda name: server.InputAudioBufferSpeechStarted(item_id=name, audio_start_ms=0),
        lambda name: server.InputAudioBufferCommitted(item_id=name),
        lambda name: server.ResponseOutputTextDelta(
            response_id=name, item_id=name, output_index=0, content_index=0, delta=""
        ),
        lambda name: server.ResponseFunctionCallArgumentsDone(
            response_id="r", item_id=name, output_index=0, arguments=name, call_id=name, name=name
        ),
    ]
    for message in told:
        agent = Agent()
        agent.spoken_to(10**9, opens_turn=True)
        for number in range(100):
            agent.receive(message(f"{number:0>2000}"), 0)
        assert agent.footprint > 100 * 2000
        check_memory(agent.footprint)
        before = agent.footprint
        agent.receive(message(f"{99:0>2000}"), 0)  # what is said again is remembered once
        assert agent.footprint == before
    with pytest.raises(FloodError, match="ids and tool calls"):
        check_memory(MOST_REMEMBERED + 1)


def test_what_a_player_keeps_of_crumbs_counts():
    player = Player()
    for number in range(1000):
        player.feed("one", number * 1000, 1)
    assert player.footprint > 100_000
