"""From the data frames of a connection to its messages: a message may come in many pieces."""

from websockets.frames import Frame, Opcode

from bench.load.flood import MOST_FRAGMENTS, FloodError


class Fragments:
    """The message that is not whole yet: `nbytes` of it are here. `binary`: of the last whole one.

    FloodError for a message in more pieces than any server makes.
    """

    __slots__ = ("_pieces", "binary", "nbytes")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.nbytes = 0
        self.binary = False

    def whole(self, frame: Frame) -> bytes | None:
        """The message that ends with this frame; None where none does."""
        if frame.opcode is Opcode.TEXT and frame.fin:
            self.binary = False
            return bytes(frame.data)
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            self._pieces, self.nbytes = [], 0
            self.binary = frame.opcode is Opcode.BINARY
        elif frame.opcode is not Opcode.CONT:
            return None
        self._pieces.append(bytes(frame.data))
        self.nbytes += len(frame.data)
        if len(self._pieces) > MOST_FRAGMENTS:
            raise FloodError(f"a message came in more than {MOST_FRAGMENTS} pieces")
        if not frame.fin:
            return None
        message, self._pieces, self.nbytes = b"".join(self._pieces), [], 0
        return message
