"""What a worker process was like, a row a second: what validity rules judge the generator by.

Of its sessions (`Watch`) and of its loop it keeps the worst of the second; of the process and the
host the difference to a second ago. What a system does not tell is 0, never a guess.
"""

import gc
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns
from typing import Final

import psutil

from bench.load.clock import Wakefulness, clock_pair
from bench.load.tcp_info import TcpInfo
from bench.runs.log import HealthRow
from bench.runs.machine import Quota
from bench.voice.audio import NS_PER_S

_PRESSURE: Final = Path("/proc/pressure/cpu")


class Watch:
    """What the sessions of a worker tell of the second under way: the worst, and sums."""

    __slots__ = (
        "disorder", "read_late_ns", "retransmits", "rtt_us", "send_late_ns", "unread", "unsent",
    )  # fmt: skip

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """A new second."""
        self.send_late_ns = self.read_late_ns = 0
        self.rtt_us = self.unread = self.unsent = self.retransmits = self.disorder = 0

    def sent(self, late_ns: int) -> None:
        """Something was sent so long after it was due."""
        self.send_late_ns = max(self.send_late_ns, late_ns)

    def read(self, late_ns: int) -> None:
        """Something was read so long after it had arrived."""
        self.read_late_ns = max(self.read_late_ns, late_ns)

    def line(self, now: TcpInfo, before: TcpInfo) -> None:
        """How a connection is, and how it was when it was last looked at."""
        self.rtt_us = max(self.rtt_us, now.rtt_us)
        self.unread = max(self.unread, now.unread)
        self.unsent = max(self.unsent, now.unsent)
        self.retransmits += now.retransmits - before.retransmits
        self.disorder += now.disorder - before.disorder


class Health:
    """What one worker process was like, a row a second (measurement.md section 8).

    `quota` is what its container may use of the cores.
    """

    def __init__(self, worker: int, quota: Quota | None) -> None:
        self.hub_lag_ns = 0
        self.watch = Watch()
        self._worker = worker
        self._process = psutil.Process()
        self._cpu = self._process.cpu_times()
        self._host = psutil.cpu_times()
        self._switches = self._process.num_ctx_switches().involuntary
        self._wakefulness = Wakefulness()  # of the thread that does the work
        self._waited_ns = self._wakefulness.waited_ns()
        self._pressed_us = _pressed_us()
        self._quota = quota
        self._throttled_ns = self._throttled()
        self._at_ns = monotonic_ns()
        self._collecting_ns = 0
        self._gc_ns = 0
        self._collections = 0
        gc.callbacks.append(self._collected)

    def second(self, hub_lag_ns: int, intended: int, open_sessions: int, rows: int) -> HealthRow:
        """The second that has just passed."""
        self.hub_lag_ns = hub_lag_ns
        at_ns, realtime_ns = clock_pair()
        spent = max(1, at_ns - self._at_ns)
        cpu, host = self._process.cpu_times(), psutil.cpu_times()
        used = (cpu.user + cpu.system) - (self._cpu.user + self._cpu.system)
        whole = max(1e-9, sum(host) - sum(self._host))
        steal = getattr(host, "steal", 0.0) - getattr(self._host, "steal", 0.0)
        switches = self._process.num_ctx_switches().involuntary
        waited_ns, pressed_us = self._wakefulness.waited_ns(), _pressed_us()
        throttled_ns = self._throttled()
        watch = self.watch
        row = HealthRow(
            self._worker,
            at_ns,
            realtime_ns,
            intended,
            open_sessions,
            hub_lag_ns,
            used * NS_PER_S / spent,
            self._gc_ns,
            steal / whole,
            switches - self._switches,
            self._process.num_fds(),
            rows,
            watch.send_late_ns,
            watch.read_late_ns,
            self._collections,
            (waited_ns - self._waited_ns) / spent,
            (pressed_us - self._pressed_us) * 1000 / spent,
            watch.rtt_us * 1000,
            watch.unread,
            watch.unsent,
            watch.retransmits,
            watch.disorder,
            (throttled_ns - self._throttled_ns) / spent,
        )
        self._at_ns, self._cpu, self._host, self._switches = at_ns, cpu, host, switches
        self._waited_ns, self._pressed_us = waited_ns, pressed_us
        self._throttled_ns = throttled_ns
        self._gc_ns = self._collections = 0
        watch.clear()
        return row

    def stop(self) -> None:
        """Stop listening to the collector, and looking."""
        gc.callbacks.remove(self._collected)
        self._wakefulness.close()

    def _throttled(self) -> int:
        return 0 if self._quota is None else self._quota.throttled_ns()

    def _collected(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_ns = monotonic_ns()
        else:
            self._collections += 1
            self._gc_ns += monotonic_ns() - self._collecting_ns


def _pressed_us() -> int:
    """Microseconds, since the host started, in which something waited for a core."""
    with suppress(OSError, ValueError):
        some = _PRESSURE.read_bytes().split(b"\n", 1)[0]
        return int(some.rpartition(b"total=")[2])
    return 0
