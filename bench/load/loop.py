"""The one place in a worker that waits: for sockets, and for deadlines.

Theory of operation
-------------------
Sessions are machines that never block, so none needs a greenlet. One greenlet owns an epoll set of
all sockets and a heap of all deadlines, and is itself awaited through two libev watchers: the epoll
set's own descriptor, and a timer for the next deadline. It runs what is ready, runs what is due,
and waits again.

* Deadlines are absolute. A late wake-up runs everything that has become due since, each at its own
  instant; nothing that follows is shifted. The timer never fires early, and libev rounds up to a
  millisecond, which gathers the sends of many sessions into one wake-up and halves their cost
  (measurement.md section 4).
* Reading comes before sending in every round, so that nothing waits in the kernel longer than a
  round takes, and the kernel's stamp covers even that.
* No error bar reaches back further than the sockets are known to have been silent (`Wire.ready`):
  when the round before asked, and then for as long as the loop slept, for the first byte to any of
  them would have ended that (`clock.Wakefulness`).
* An exception in a session is a failure of this program: it ends that session alone, and whoever
  made the loop is told. So is one in the loop itself, which ends the loop.
* A heap entry is stale when its session has since been given another deadline; it is skipped.

The probe of the loop itself rides in the same heap: an absolute deadline every 50 ms whose lateness
is `hub_lag`, the honest measure of whether this process had the time to do its work. With every
probe a twentieth of the sessions look at their connections, so each does once a second.
"""

import heapq
import traceback
from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING

import gevent
from gevent.hub import Waiter
from gevent.monkey import get_original

from bench.load.clock import Wakefulness, clock_pair
from bench.load.session import Session
from bench.runs.machine import opened_epoll
from bench.voice.audio import NS_PER_S

if TYPE_CHECKING:
    import select

PROBE_NS = 50_000_000
PROBES = NS_PER_S // PROBE_NS
WAKING_NS = 200_000
"""How long a core that idles may take until the thread that it wakes counts as waiting for it: tens
of microseconds, a virtual one that its host has put aside some hundred."""
READABLE, WRITABLE = 0x001, 0x004
"""EPOLLIN and EPOLLOUT, by value: gevent takes the names out of the select module."""


class Loop:
    """The loop of one worker. `each_second` is called with the worst probe lateness (ns).

    `on_fault` is told of every failure of this program.
    """

    def __init__(
        self,
        each_second: Callable[[int], None],
        on_fault: Callable[[Exception], None] = traceback.print_exception,
    ) -> None:
        self.sessions: dict[int, Session] = {}
        self._each_second = each_second
        self._on_fault = on_fault
        self._epoll = opened_epoll(_maker())
        self._masks: dict[int, int] = {}
        self._heap: list[tuple[int, int, Session]] = []
        self._sequence = 0
        self._stopping = False
        self._offset_ns = 0
        self._lag_ns = 0
        self._quiet_ns = 0
        self._wakefulness = Wakefulness()
        self._probes = 0
        now = monotonic_ns()
        self._probe_ns = now + PROBE_NS
        self._second_ns = now + NS_PER_S
        self._greenlet = gevent.spawn(self._run)
        hub = gevent.get_hub()
        self._libev = hub.loop
        self._io = hub.loop.io(self._epoll.fileno(), 1)
        self._waiter: Waiter | None = None
        self._fell_ns = self._awake_ns = 0
        self._prepare, self._check = hub.loop.prepare(ref=False), hub.loop.check(ref=False)
        self._prepare.start(self._falls_asleep)
        self._check.start(self._wakes)

    def add(self, session: Session) -> None:
        """A new session: it begins to connect now."""
        fd = session.wire.fileno()
        self.sessions[fd] = session
        session.wire.realtime_offset_ns = self._offset_ns or _offset()
        session.begin()
        self._after(fd, session)
        self._wake()

    def wake(self, session: Session) -> None:
        """Run `session` in the next round, whatever its deadline."""
        session.due_ns = 0
        self._schedule(session)
        self._wake()

    def stop(self) -> None:
        """End the loop after this round; returns when it has ended."""
        self._stopping = True
        self._wake()
        self._greenlet.join()
        for fd, session in list(self.sessions.items()):
            self._masks.pop(fd, None)
            self._forget(fd, session)

    # ── the loop ─────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._round()
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody waits for it in vain
            self._on_fault(error)
        self._epoll.close()
        for watcher in (self._prepare, self._check):
            watcher.stop()
            watcher.close()
        self._wakefulness.close()

    def _round(self) -> None:
        asked_ns, quiet_ns = monotonic_ns(), self._quiet_ns
        # All at once: what is left over for the next round would be known too late.
        for fd, mask in self._epoll.poll(0, len(self.sessions) + 1):
            session = self.sessions.get(fd)
            if session is not None:
                try:
                    session.ready(
                        readable=bool(mask & ~WRITABLE),
                        writable=bool(mask & WRITABLE),
                        quiet_ns=quiet_ns,
                    )
                except Exception as error:  # noqa: BLE001 - one session must not end them all
                    self._fail(session, error)
                self._after(fd, session)
        self._quiet_ns = asked_ns
        now = monotonic_ns()
        self._run_due(now)
        self._run_probe(now)
        self._wait()

    def _run_due(self, now: int) -> None:
        heap = self._heap
        while heap and heap[0][0] <= now:
            due, _, session = heapq.heappop(heap)
            if session.queued_ns != due:
                continue
            session.queued_ns = None
            fd = session.wire.fileno()
            if not session.over:
                try:
                    session.woken(now)
                except Exception as error:  # noqa: BLE001 - one session must not end them all
                    self._fail(session, error)
            self._after(fd, session)

    def _fail(self, session: Session, error: Exception) -> None:
        """This program failed: that session ends, and the run will be void."""
        self._on_fault(error)
        session.cut(f"this program failed: {error!r}", "crashed")

    def _run_probe(self, now: int) -> None:
        if now >= self._probe_ns:
            self._lag_ns = max(self._lag_ns, now - self._probe_ns)
            self._probe_ns += ((now - self._probe_ns) // PROBE_NS + 1) * PROBE_NS
            self._probes += 1
            for fd, session in self.sessions.items():
                if fd % PROBES == self._probes % PROBES:
                    session.look(now)
            for session in [one for one in self.sessions.values() if one.over]:
                self._forget(session.wire.fileno(), session)
        if now >= self._second_ns:
            self._second_ns += ((now - self._second_ns) // NS_PER_S + 1) * NS_PER_S
            self._offset_ns = _offset()
            for session in self.sessions.values():
                session.wire.realtime_offset_ns = self._offset_ns
            self._each_second(self._lag_ns)
            self._lag_ns = 0

    def _after(self, fd: int, session: Session) -> None:
        """What a session wants, after it has run."""
        if (left := session.left) is not None:
            session.left = None
            del self.sessions[fd]
            if self._masks.pop(fd, None) is not None:
                self._epoll.unregister(fd)
            left.shut()
            fd = session.wire.fileno()
            self.sessions[fd] = session
        if session.over:
            self._forget(fd, session)
            return
        wanted = READABLE | (WRITABLE if session.wire.wants_write else 0)
        known = self._masks.get(fd)
        if known is None:
            self._epoll.register(fd, wanted)
        elif known != wanted:
            self._epoll.modify(fd, wanted)
        self._masks[fd] = wanted
        self._schedule(session)

    def _schedule(self, session: Session) -> None:
        due = session.due_ns
        if due is not None and due != session.queued_ns:
            session.queued_ns = due
            self._sequence += 1
            heapq.heappush(self._heap, (due, self._sequence, session))

    def _forget(self, fd: int, session: Session) -> None:
        if self.sessions.pop(fd, None) is not None:
            if self._masks.pop(fd, None) is not None:
                self._epoll.unregister(fd)
            session.wire.shut()

    # ── waiting ──────────────────────────────────────────────────────────────────────────────

    def _wait(self) -> None:
        due = min(self._probe_ns, self._heap[0][0]) if self._heap else self._probe_ns
        wait = due - monotonic_ns()
        if wait <= 0:
            gevent.sleep(0)  # the other greenlets of this worker must live
            return
        self._libev.update_now()
        timer = self._libev.timer(wait / NS_PER_S)
        self._waiter = waiter = Waiter()
        self._io.start(waiter.switch, None)
        timer.start(waiter.switch, None)
        try:
            waiter.get()
        finally:
            self._waiter = None
            self._io.stop()
            timer.stop()
            timer.close()

    def _falls_asleep(self) -> None:
        """The hub is about to wait, perhaps for our sockets."""
        self._fell_ns = 0
        if self._waiter is not None:
            self._fell_ns, self._awake_ns = monotonic_ns(), self._wakefulness.awake_ns()

    def _wakes(self) -> None:
        """The hub has waited: until it woke, no socket had anything.

        Unless it never slept, for something was there before it could. Sleep of any other kind (a
        greenlet that blocks the whole process) is not listening, and is not looked at.
        """
        if not self._fell_ns:
            return
        after, now = self._wakefulness.awake_ns(), monotonic_ns()
        awake = after - self._awake_ns + WAKING_NS
        if after and now - self._fell_ns > awake:
            self._quiet_ns = max(self._quiet_ns, now - awake)

    def _wake(self) -> None:
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            self._libev.run_callback(waiter.switch, None)


def _maker() -> "Callable[[], select.epoll] | None":
    """What makes an epoll set: gevent has taken it out of its module."""
    try:
        make: Callable[[], select.epoll] = get_original("select", "epoll")
    except AttributeError:
        return None
    return make


def _offset() -> int:
    monotonic, realtime = clock_pair()
    return realtime - monotonic
