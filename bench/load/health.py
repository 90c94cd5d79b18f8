"""What a worker process was like, a row a second: what validity rules judge the generator by."""

import gc
from time import monotonic_ns

import psutil

from bench.load.clock import clock_pair
from bench.runs.log import HealthRow
from bench.voice.audio import NS_PER_S


class Health:
    """What one worker process was like, a row a second (measurement.md section 8)."""

    def __init__(self, worker: int) -> None:
        self.hub_lag_ns = 0
        self._worker = worker
        self._process = psutil.Process()
        self._cpu = self._process.cpu_times()
        self._host = psutil.cpu_times()
        self._switches = self._process.num_ctx_switches().involuntary
        self._at_ns = monotonic_ns()
        self._collecting_ns = 0
        self._gc_ns = 0
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
        )
        self._at_ns, self._cpu, self._host, self._switches = at_ns, cpu, host, switches
        self._gc_ns = 0
        return row

    def stop(self) -> None:
        """Stop listening to the collector."""
        gc.callbacks.remove(self._collected)

    def _collected(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_ns = monotonic_ns()
        else:
            self._gc_ns += monotonic_ns() - self._collecting_ns
