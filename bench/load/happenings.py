"""What happens on a wire, as stamped facts. Instants are monotonic ns."""

from typing import NamedTuple

from bench.voice.outbox import Outgoing


class Reached(NamedTuple):
    """A stage of connecting is complete: connected, secured, upgraded.

    `unheeded` is the subprotocol that the upgrade offered, where the server took none.
    """

    stage: str
    at_ns: int
    unheeded: str = ""


class Text(NamedTuple):
    """A whole message. See the module's text for the two instants and the error.

    `binary`: it came in binary frames, which may hold text all the same.
    """

    data: bytes
    at_ns: int
    at_err_ns: int
    read_ns: int
    binary: bool = False


class Sent(NamedTuple):
    """The last byte of a message was handed to the kernel between the two instants."""

    message: Outgoing
    before_ns: int
    at_ns: int


class Ended(NamedTuple):
    """The connection is over. `outcome` is a session outcome (`bench.runs.rows`)."""

    outcome: str
    reason: str
    close_code: int | None
    at_ns: int


class Redirected(NamedTuple):
    """The server is elsewhere: this connection is of no more use, `Wire.onward` is the next."""

    status: int
    url: str
    at_ns: int


Happening = Reached | Text | Sent | Ended | Redirected
