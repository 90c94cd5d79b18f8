"""How much one peer may make a worker read, hold and remember: beyond it, its session is `flooded`.

No server of a voice is near these bounds: they keep one that is broken, or hostile, from taking the
worker that other sessions share. All that is checked is numbers that are at hand already.
"""

from typing import Final

from bench.data_file import MIB
from bench.errors import ProtocolError
from bench.voice.audio import NS_PER_S

MAX_MESSAGE: Final = 16 * MIB
"""Bytes of the largest message: a retrieved item carries its audio, of 15 MiB (OpenAI's SDK)."""
READS_AT_ONCE: Final = 4
"""Reads of a socket in one round of the loop; what is left over is read in the next."""
MOST_BYTES: Final = 2 * MAX_MESSAGE
"""Bytes that a server may send within a second."""
MOST_FRAMES: Final = 20_000
"""Frames that it may send within a second: a minute of speech at once, in chunks of 20 ms, is a
third of it."""
MOST_FRAGMENTS: Final = 10_000
"""Pieces of one message."""
MOST_UNSENT: Final = 2 * MAX_MESSAGE
"""Bytes that wait for a server that does not read: the largest append is 20 MiB as JSON."""
MOST_HELD: Final = 6 * MAX_MESSAGE
"""Bytes that all connections of a worker may hold, of messages that are not whole or not sent."""
OWN_SHARE: Final = MIB
"""A connection that holds less is never the one that is ended for what all of them hold."""
MOST_VALUES: Final = 250_000
"""Values in a message: each costs up to 100 bytes of memory, be it one of the wire."""
MOST_REMEMBERED: Final = 16 * MIB
"""Bytes of ids and tool calls that a caller remembers of its server."""
MOST_FORMATS: Final = 4
"""Audio formats that targets may make the callers of a worker speak, beside those asked for."""
MOST_FOREIGN: Final = 32 * MIB
"""Bytes of speech in such formats: a corpus of five minutes in 48 kHz."""
_LARGE: Final = MIB


class Intake:
    """What one connection has taken in within the second under way, and what it holds.

    `FloodError` where that is more than any server has to say.
    """

    __slots__ = ("_bytes", "_frames", "_since_ns", "held")
    everyone = 0
    """Bytes that all connections of this process hold; `held` are those of this one."""

    def __init__(self) -> None:
        self._bytes = self._frames = self._since_ns = self.held = 0

    def read(self, at_ns: int, nbytes: int, frames: int) -> None:
        """So much was read then, and it made so many frames."""
        if at_ns - self._since_ns >= NS_PER_S:
            self._since_ns, self._bytes, self._frames = at_ns, 0, 0
        self._bytes += nbytes
        self._frames += frames
        if self._frames > MOST_FRAMES:
            raise FloodError(f"more than {MOST_FRAMES} frames came within a second")
        if self._bytes > MOST_BYTES:
            raise FloodError(f"more than {MOST_BYTES // MIB} MiB came within a second")

    def hold(self, unread: int, unsent: int) -> None:
        """It holds so many bytes: of a message that is not whole yet, and of what waits."""
        held = unread + unsent
        if held == self.held:
            return  # who has grown is ended for what all hold, and not who has not
        Intake.everyone += held - self.held
        self.held = held
        if unsent > MOST_UNSENT:
            raise FloodError(f"{unsent // MIB} MiB wait for a server that does not read")
        if Intake.everyone > MOST_HELD and held > OWN_SHARE:
            raise FloodError(
                f"connections hold {MOST_HELD // MIB} MiB that are not whole or not sent, this one "
                f"{held // MIB} MiB"
            )

    def close(self) -> None:
        """It holds nothing any more."""
        Intake.everyone -= self.held
        self.held = 0


class FloodError(ProtocolError):
    """A server sends, or asks for, more than one peer may."""

    def __init__(self, text: str) -> None:
        super().__init__("flooded", text)


def check_values(text: bytes) -> None:
    """FloodError where a large message has more values than there is memory for."""
    if len(text) > _LARGE and sum(map(text.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise FloodError(f"a message of {len(text)} bytes has more than {MOST_VALUES} values")


def check_memory(footprint: int) -> None:
    """FloodError where a caller has more to remember of its server than any server gives it."""
    if footprint > MOST_REMEMBERED:
        raise FloodError(f"ids and tool calls of more than {MOST_REMEMBERED // MIB} MiB came")
