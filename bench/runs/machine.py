"""What the machine lets this program have: epoll, and how much of its cores.

A container's share of the cores is a quota of its control group (cgroup): so many microseconds of
CPU in every period, after which all of its processes stand still until the next one. Version 2 says
so in `cpu.max` and counts in `cpu.stat`; version 1 in `cpu.cfs_quota_us`, `cpu.cfs_period_us` and
`cpu.stat`. The tightest group on the way up to the root is the one that counts. The kernel sums the
time in which a group stood still over its cores, so that it may be more than has passed.
"""

import select
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.errors import UsageError

if TYPE_CHECKING:
    from select import epoll

ROOT: Final = Path("/")
_V1: Final = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
"""Under which names the controller of version 1 is mounted."""


def opened_epoll(make: "Callable[[], epoll] | None") -> "epoll":
    """An epoll set that `make` makes. UsageError where this system has none."""
    try:
        if make is not None:
            return make()
        why = "Python has none here"
    except OSError as error:
        why = str(error)
    raise UsageError(
        f"sessions are held with epoll, and this system has none ({why}): run the bench on Linux, "
        "or in a Linux container or virtual machine"
    )


def need_epoll() -> None:
    """UsageError where this system has no epoll."""
    opened_epoll(getattr(select, "epoll", None)).close()


class Quota(NamedTuple):
    """The quota of the group that this process is in: so many cores, counted in that folder."""

    cores: float
    group: Path

    def throttled_ns(self) -> int:
        """How long the group has stood still so far, summed over cores; 0 where it does not say."""
        with suppress(OSError, ValueError):
            for line in (self.group / "cpu.stat").read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "throttled_usec":
                    return int(value) * 1000
                if name == "throttled_time":
                    return int(value)
        return 0


def read_quota(root: Path = ROOT) -> Quota | None:
    """The tightest quota of this process; None where there is none. `root` is the file system."""
    found = [Quota(cores, group) for group in _groups(root) if (cores := _cores(group)) is not None]
    return min(found, default=None, key=lambda quota: quota.cores)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the groups that this process is in, each up to the top of its tree."""
    mounts = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            trees = [mounts, mounts / "unified"]
        elif "cpu" in controllers.split(","):
            trees = [mounts / name for name in _V1]
        else:
            continue
        # In a container the path may be that of the host: its own group is the top of the tree.
        below = Path(path.lstrip("/"))
        for tree in trees:
            yield from (tree / part for part in (below, *below.parents))


def _cores(group: Path) -> float | None:
    """The cores that a group may use; None: as many as there are."""
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    return None
