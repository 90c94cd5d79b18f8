"""What the wait for an answer is made of: stages that follow each other in time.

Together they are voice_to_voice, turn by turn (measurement.md, identity). So their means add up to
the mean of the whole; their percentiles do not (flaw F15).

Where the caller asks for the answer itself the wait up to its asking is one stage, and what the
server says of the turn's end meanwhile is in no other. Where tools are called before the answer,
they are a stage of their own.
"""

from typing import Final, NamedTuple


class Stage(NamedTuple):
    """A part of the wait. `column` is in the turn table, in ms (or ns where it ends in _ns).

    `by_server`: a caller who asks for answers itself (manual mode, a typed turn) does not wait for
    it; `before_audio`: it is over when the first audio of the answer arrives.
    """

    name: str
    column: str
    about: str
    by_server: bool = False
    before_audio: bool = False


ASKING: Final = Stage(
    "asking", "asking_ns", "until the caller itself asks for the answer", before_audio=True
)
TOOLS: Final = Stage(
    "tools", "tools_ns", "the agent's tool calls and the caller's answer to them", before_audio=True
)
RESPONSE_START: Final = Stage(
    "response start",
    "response_start_delay",
    "from committed (or the tools' outputs) to response.created",
    before_audio=True,
)
STAGES: Final = (
    ASKING,
    Stage(
        "endpointing",
        "endpointing_delay",
        "waiting until the server says speech has stopped",
        by_server=True,
        before_audio=True,
    ),
    Stage(
        "commit",
        "commit_delay",
        "from speech_stopped to committed",
        by_server=True,
        before_audio=True,
    ),
    TOOLS,
    RESPONSE_START,
    Stage(
        "generation",
        "generation_delay",
        "from response.created to the first audio delta",
        before_audio=True,
    ),
    Stage("jitter buffer", "jitter_buffer_ns", "held back by the caller's player"),
    Stage("queued", "queued_ns", "waiting behind earlier audio in the caller's player"),
    Stage("leading silence", "leading_silence", "silence at the head of the reply"),
    Stage(
        "starved", "underrun_before_onset_ns", "the player ran dry before the first audible sample"
    ),
)
"""In the order of time."""
