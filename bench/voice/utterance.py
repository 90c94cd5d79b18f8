"""One recording of somebody speaking, and what is true of it."""

from typing import NamedTuple

from bench.voice.audio import AudioFormat


class Utterance(NamedTuple):
    """One recording in one wire format, with the truth about it.

    `audio` is the whole recording, encoded in `format`. `onset_ns` and `offset_ns` are where
    speech truly starts and ends inside it (from the corpus manifest, never the file's edges);
    both are None when there is no speech in it (noise, a cough, silence), and such an utterance
    never opens a turn. `tags` say what it is good for: `plain`, `short`, `long`, `pause`,
    `digits`, `interruption`, `backchannel`, `noise`, `soft`, `nonspeech`, and `reply` for what an
    agent says.
    """

    id: str
    audio: bytes
    format: AudioFormat
    onset_ns: int | None
    offset_ns: int | None
    text: str
    voice: str = ""
    tags: frozenset[str] = frozenset()

    @property
    def duration_ns(self) -> int:
        return self.format.duration_ns(len(self.audio))
