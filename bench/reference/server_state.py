"""What all sessions of one server share: its capacity, its packet budget, and what can leak.

Theory of operation
-------------------
*Slots*: responses wait for one of `slots` in the order in which they were asked for, and hold it
for their service time: the queue M/G/c, where callers ask as in M. When one begins is settled as
soon as it is asked for, from the service times of those before it; so one that is cut keeps its
slot, as a batch under way does. *Pace*: with more than `pace_slots` replies being spoken, the next
one is spoken so much more slowly. *Wear*: every response makes later ones slower, and time heals
that. *Collapse*: with too many sessions open the service becomes slow, and stays so until far fewer
are (a metastable failure).

A server that keeps its sessions apart has nothing to leak. This one has, so that a seeded share of
responses can be given words that belong to somebody else.

Pure: told the time, which never goes back by more than the order of messages within one instant.
"""

import heapq
from collections import deque
from math import exp
from typing import Final

from bench.reference.profile import CapacityProfile, LimitsProfile, Profile
from bench.voice.audio import NS_PER_MS, NS_PER_S

MOST_KEPT: Final = 256


class ServerState:
    """The state that sessions of one server share."""

    def __init__(self, profile: Profile) -> None:
        self.capacity = Capacity(profile.capacity)
        self.packets = PacketLimit(profile.limits)
        self.leaks = LeakSource()


class Capacity:
    """The capacity of one server. `open_sessions` are those that are let in."""

    def __init__(self, profile: CapacityProfile) -> None:
        self.open_sessions = 0
        self.collapsed = False
        self._profile = profile
        self._free_ns = [0] * profile.slots
        self._starts_ns: deque[int] = deque()
        self._spoken_ns: list[int] = []
        self._wear = 0.0
        self._worn_ns = 0

    def enter(self) -> None:
        """One more session is open."""
        self._hold(self.open_sessions + 1)

    def leave(self) -> None:
        """One session less is open."""
        self._hold(self.open_sessions - 1)

    def _hold(self, sessions: int) -> None:
        profile, self.open_sessions = self._profile, sessions
        if profile.collapse_sessions and sessions > profile.collapse_sessions:
            self.collapsed = True
        elif sessions <= profile.recover_sessions:
            self.collapsed = False

    @property
    def slots(self) -> int:
        """Responses that are generated at once at most; 0 is no limit."""
        return self._profile.slots

    @property
    def slowdown(self) -> float:
        """The factor by which every service time and think time is longer now."""
        return self._profile.collapse_factor if self.collapsed else 1.0

    def begin(self, now_ns: int, service_ns: int) -> int:
        """Reserve a slot for a response asked for now, for `service_ns`; returns when it begins."""
        if not self._free_ns:
            return now_ns
        start_ns = max(now_ns, self._free_ns[0])
        heapq.heapreplace(self._free_ns, start_ns + service_ns)
        self._forget_starts(now_ns)
        self._starts_ns.append(start_ns)
        return start_ns

    def wear_ns(self, now_ns: int) -> int:
        """The delay that earlier responses add to one that is asked for now, which counts too."""
        profile = self._profile
        if not profile.wear_ms:
            return 0
        if profile.wear_heals_s:
            since = max(0, now_ns - self._worn_ns) / NS_PER_S
            self._wear *= exp(-since / profile.wear_heals_s)
        self._worn_ns, before = now_ns, self._wear
        self._wear += 1.0
        return round(before * profile.wear_ms * NS_PER_MS)

    def pace(self, first_ns: int, pace: float, speech_ns: int) -> float:
        """The pace of a reply of so much speech whose first audio is due then, `pace` at the most.

        Those that are being spoken at that instant share the pace, as far as `pace_slots` carry.
        """
        if not self._profile.pace_slots:
            return pace
        self._spoken_ns = [end_ns for end_ns in self._spoken_ns if end_ns > first_ns]
        shared = pace * min(1.0, self._profile.pace_slots / (len(self._spoken_ns) + 1))
        self._spoken_ns.append(first_ns + round(speech_ns / shared))
        return shared

    def running(self, now_ns: int) -> int:
        """Responses that hold a slot."""
        return sum(free_ns > now_ns for free_ns in self._free_ns)

    def waiting(self, now_ns: int) -> int:
        """Responses that wait for one."""
        self._forget_starts(now_ns)
        return len(self._starts_ns)

    def _forget_starts(self, now_ns: int) -> None:
        """Drop the responses that have their slot by now."""
        while self._starts_ns and self._starts_ns[0] <= now_ns:
            self._starts_ns.popleft()


class PacketLimit:
    """How many messages all sessions together may send in any second.

    Those beyond it are not counted, so a client that slows down is heard again.
    """

    def __init__(self, limits: LimitsProfile) -> None:
        self._most = limits.packets_per_second
        self._taken_ns: deque[int] = deque()

    def takes_packet(self, at_ns: int) -> bool:
        """Count a packet if the limit allows one more now; whether it does."""
        if not self._most:
            return True
        taken_ns = self._taken_ns
        while taken_ns and taken_ns[0] <= at_ns - NS_PER_S:
            taken_ns.popleft()
        if len(taken_ns) >= self._most:
            return False
        taken_ns.append(at_ns)
        return True


class LeakSource:
    """The last words of each session, the latest 256 sessions."""

    def __init__(self) -> None:
        self._words: dict[int, str] = {}

    def write(self, number: int, words: str) -> None:
        """Keep what session `number` said last; "" changes nothing."""
        if not words:
            return
        self._words.pop(number, None)
        self._words[number] = words
        if len(self._words) > MOST_KEPT:
            del self._words[next(iter(self._words))]

    def words_of_another(self, number: int) -> str:
        """The last words of any other session, unless this one said the same; "" for none."""
        mine = self._words.get(number)
        others = ((who, words) for who, words in reversed(self._words.items()) if words != mine)
        return next((words for who, words in others if who != number), "")
