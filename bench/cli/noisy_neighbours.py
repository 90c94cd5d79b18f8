"""What else the machine was busy with while a run went on: the processes that took a core.

Once a second the CPU time of every process that can be seen is read (`/proc`); those that are none
of ours and used a good part of a core are remembered by name. It is `bench run` that looks, which
has nothing else to do, and never a worker. Names are those of the kernel, without paths or
arguments. Where there is no `/proc`, nobody is seen.
"""

import os
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from time import monotonic_ns
from typing import Any, Final, NamedTuple

_NOTABLE: Final = 0.1
"""Share of a core from which on a process is worth a word."""
_MOST: Final = 5_000
"""Entries kept, the busiest: some hundred bytes each."""
_EVERY_NS: Final = 1_000_000_000
_PARENT, _USER, _SYSTEM, _CORE = 1, 11, 12, 36
"""Fields of /proc/PID/stat, counted from the one behind the name."""


class _Seen(NamedTuple):
    name: str
    parent: int
    ticks: int
    core: int


class NoisyNeighbours:
    """The other processes, second by second. `ours` are the process ids that are no neighbours."""

    def __init__(self, ours: Collection[int]) -> None:
        self._ours = {os.getpid(), *ours}
        self._tick_ns = 1_000_000_000 / os.sysconf("SC_CLK_TCK")
        self._at_ns = monotonic_ns()
        self._before = _processes()
        self._busy: list[dict[str, Any]] = []

    def look(self) -> None:
        """Call it often; once a second it looks."""
        now = monotonic_ns()
        spent = now - self._at_ns
        if spent < _EVERY_NS:
            return
        seen = _processes()
        used: dict[tuple[str, int], list[tuple[float, int]]] = defaultdict(list)
        for number, process in seen.items():
            before = self._before.get(number)
            if before is not None and before.name == process.name:
                share = (process.ticks - before.ticks) * self._tick_ns / spent
                if share > 0 and not self._is_ours(number, seen):
                    used[process.name, process.core].append((share, number))
        for (name, core), parts in used.items():
            share = sum(part for part, _ in parts)
            if share >= _NOTABLE:
                self._busy.append(
                    {
                        "name": name,
                        "number": max(parts)[1],
                        "core": core,
                        "share": round(share, 3),
                        "from_ns": self._at_ns,
                        "to_ns": now,
                    }
                )
        self._at_ns, self._before = now, seen

    def entries(self) -> list[dict[str, Any]]:
        """Who was seen: `name`, `number`, `core`, `share`, `from_ns`, `to_ns`, in order of time.

        An entry per second, name and core; `number` is the process that used most of it.
        """
        busiest = sorted(self._busy, key=lambda one: -one["share"])[:_MOST]
        return sorted(busiest, key=lambda one: one["from_ns"])

    def _is_ours(self, number: int, seen: dict[int, _Seen]) -> bool:
        while number in seen:
            if number in self._ours:
                return True
            number = seen[number].parent
        return False


def _processes() -> dict[int, _Seen]:
    """Every process that can be seen, by its number."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, tail = entry.read_text("utf-8", "replace").rpartition(")")
        except OSError:
            continue  # it has ended
        name, fields = head.partition("(")[2], tail.split()
        ticks = int(fields[_USER]) + int(fields[_SYSTEM])
        found[int(entry.parent.name)] = _Seen(name, int(fields[_PARENT]), ticks, int(fields[_CORE]))
    return found
