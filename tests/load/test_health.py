"""What a worker says of its second: the worst of its sessions, and the truth about the process."""

import gc

from bench.load.health import Health, Watch
from bench.load.tcp_info import TcpInfo
from bench.runs.machine import Quota


def test_of_a_second_the_worst_is_kept_and_what_is_counted_is_summed():
    watch = Watch()
    for late in (3, 9, 5):
        watch.sent(late)
        watch.read(late + 1)
    watch.line(TcpInfo(50, 7, 2, 900, 0), TcpInfo(40, 5, 2, 0, 0))
    watch.line(TcpInfo(30, 1, 1, 20, 8), TcpInfo())
    assert (watch.send_late_ns, watch.read_late_ns) == (9, 10)
    assert (watch.rtt_us, watch.unread, watch.unsent) == (50, 900, 8)
    assert (watch.retransmits, watch.disorder) == (3, 1)
    watch.clear()
    assert (watch.send_late_ns, watch.rtt_us, watch.retransmits) == (0, 0, 0)


def test_a_second_is_about_what_happened_in_it_and_nothing_before():
    health = Health(3, None)
    try:
        health.watch.sent(4_000_000)
        gc.collect()
        first = health.second(1, 5, 4, 9)
        second = health.second(2, 5, 4, 9)
    finally:
        health.stop()
    assert (first.worker, first.sessions_intended, first.sessions_open, first.rows) == (3, 5, 4, 9)
    assert (first.send_late_ns, second.send_late_ns) == (4_000_000, 0)
    assert (first.collections, second.collections) == (1, 0)
    assert first.gc_pause_ns > 0
    assert first.run_wait_share >= 0
    assert first.pressure_share >= 0
    assert second.at_ns > first.at_ns


def test_a_second_in_which_the_quota_held_the_process_still_says_so(tmp_path):
    stat = tmp_path / "cpu.stat"
    stat.write_text("throttled_usec 5000000\n")
    health = Health(0, Quota(1.5, tmp_path))
    try:
        stat.write_text("throttled_usec 5000700\n")
        first = health.second(1, 1, 1, 0)
        second = health.second(1, 1, 1, 0)
    finally:
        health.stop()
    assert first.throttled_share > 0
    assert second.throttled_share == 0
