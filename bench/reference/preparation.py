"""What makes a sound ready beside the loop, so that no session waits for another's first use of it.

Theory of operation
-------------------
One thread, one sound after another: two sessions that want the same find it made once. The session
that asked waits, and with it whatever else it sends; all others go on. Both halves of the work
(decoding, resampling) let other threads run.
"""

import asyncio
import gc
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from bench.reference.repertoire import Repertoire, Sound


class Preparation:
    """The sounds of a server. Call `close` in the end."""

    def __init__(self, repertoire: Repertoire) -> None:
        self.repertoire = repertoire
        self._thread = ThreadPoolExecutor(1, "sounds")

    async def ready(self, sounds: Iterable[Sound]) -> None:
        """Return once all of these are there."""
        for sound in sounds:
            if not self.repertoire.has(sound):
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._thread, self.repertoire.make, sound)
                gc.freeze()  # it stays: the collector need never look at it again

    def close(self) -> None:
        """Begin nothing new."""
        self._thread.shutdown(wait=False, cancel_futures=True)
