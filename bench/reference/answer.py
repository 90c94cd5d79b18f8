"""One response: its outputs, what each is going to say and when, and how much of that is out.

Theory of operation
-------------------
A response is a list of outputs (`output_index` is the place): a message, which is spoken or
written, or a tool call. Each has a *script*, settled when the response begins: when it is
announced, and a row of deltas, each with its instant, its text and where the audio ends with it.
Outputs go their own ways; what was announced is closed by its last delta, or cut.

What it refuses to know: messages, chances and clocks. `composing` writes scripts, `telling` turns
them into messages, `responding` says when.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from bench.reference.calling import ToolCall
from bench.reference.speech import Speech
from bench.voice.audio import AudioFormat, ms

TOKEN_NS: Final = ms(50)
"""Audio that one output token stands for (20 tokens a second)."""
TOKEN_LETTERS: Final = 4
"""Letters of arguments that one output token stands for."""

Fate = Literal["reply", "failed", "errortype", "overloaded", "close", "stall", "malformed_mid_turn"]
Wrong = Literal["", "late_delta", "late_part"]


class Delta(NamedTuple):
    """One step of an output: when, the pieces of text that come with it, and audio until `end`."""

    due_ns: int
    text: tuple[str, ...]
    end: int = 0


class Script(NamedTuple):
    """What one output will say: spoken where it has a speech, a call where it has one of those.

    `limited`: the limit on output tokens cuts it short.
    """

    announced_ns: int
    deltas: tuple[Delta, ...]
    speech: Speech | None = None
    call: ToolCall | None = None
    limited: bool = False


@dataclass
class Output:
    """One output under way. Mutable: `steps_done`, `nbytes` and `text` grow as it is sent."""

    index: int
    item_id: str
    script: Script
    state: Literal["pending", "announced", "closed"] = "pending"
    status: str = "in_progress"
    previous_item_id: str | None = None
    steps_done: int = 0
    nbytes: int = 0
    text: str = ""

    @property
    def finished(self) -> bool:
        """Whether its last delta is out."""
        return self.steps_done >= len(self.script.deltas)


@dataclass
class Answer:
    """A response under way. Mutable: its state and its outputs."""

    id: str
    created_ns: int
    outputs: tuple[Output, ...]
    modalities: list[str]
    format: AudioFormat
    voice: str
    max_output_tokens: int | str
    metadata: dict[str, str] | None
    in_conversation: bool
    input_tokens: tuple[int, int]
    """Of text and of audio."""
    fate: Fate = "reply"
    wrong: Wrong = ""
    done_twice: bool = False
    late_audio: bool = False
    both_streams: bool = False
    leaked: str = ""
    """Words of another session, to be taken for what this one's caller said."""
    state: Literal["pending", "created", "ended"] = "pending"
    audible_ns: int | None = field(default=None)
    """When its first audio was sent."""

    @property
    def shown(self) -> list[Output]:
        """The outputs that were announced."""
        return [output for output in self.outputs if output.state != "pending"]

    def has_call(self, call_id: str) -> bool:
        calls = (output.script.call for output in self.outputs)
        return any(call is not None and call.call_id == call_id for call in calls)

    def played_out_ns(self, now_ns: int) -> int:
        """When a caller who plays it as it comes has heard it all."""
        if self.audible_ns is None:
            return now_ns
        nbytes = sum(output.nbytes for output in self.outputs)
        return max(now_ns, self.audible_ns + self.format.duration_ns(nbytes))
