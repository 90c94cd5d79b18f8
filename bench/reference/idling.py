"""The idle timeout: a caller who says nothing for long after a reply is spoken to.

Theory of operation
-------------------
The wait starts when the caller has heard the last response out, as far as the server can tell: its
audio begins to play when its first delta is sent, and is never done before `response.done`. Speech,
a commit or another response ends the wait; settings count as they are when it is over.
"""

from typing import TYPE_CHECKING, Final

from bench.reference.schedule import Schedule
from bench.reference.settings import Settings
from bench.voice.audio import ms

if TYPE_CHECKING:
    from collections.abc import Callable

_OWNER: Final = "idle"


class Idling:
    """The wait of one session. `act` is called, with the wait in ms, when it is over."""

    def __init__(self, schedule: Schedule, settings: Settings) -> None:
        self._schedule = schedule
        self._settings = settings
        self._waiting = False
        self.act: Callable[[int], None] = lambda _: None

    def wait(self, played_out_ns: int) -> None:
        """A response has ended that will have been heard at `played_out_ns`."""
        self.stop()
        timeout_ms = self._timeout_ms()
        if timeout_ms is not None:
            self._waiting = True
            self._schedule.at(played_out_ns + ms(timeout_ms), _OWNER, self._over)

    def stop(self) -> None:
        """Something happens: nobody is idle."""
        if self._waiting:
            self._schedule.drop(_OWNER)
            self._waiting = False

    def _over(self) -> None:
        self._waiting = False
        timeout_ms = self._timeout_ms()
        if timeout_ms is not None:
            self.act(timeout_ms)

    def _timeout_ms(self) -> int | None:
        detection = self._settings.detection
        asked = detection is not None and detection.create_response
        return detection.idle_timeout_ms if detection is not None and asked else None
