"""What a caller hears: the agent as its messages tell, and the player that its audio goes into."""

from typing import NamedTuple

from bench.protocol import server
from bench.protocol.client import ConversationItemTruncate
from bench.voice.agent import Agent
from bench.voice.audio import NS_PER_MS
from bench.voice.caller_config import CallerConfig
from bench.voice.directions import Reply
from bench.voice.outbox import Outbox
from bench.voice.output_audio import OutputAudio
from bench.voice.player import Player


class Flushed(NamedTuple):
    """What was in the player when it was emptied, how much of it had been heard, was it playing."""

    item_id: str | None
    heard_ms: int
    playing: bool


class Listener:
    """What one caller hears. `began_ns` in its methods is when the caller began to listen."""

    __slots__ = ("_outbox", "_player", "agent", "config", "output_audio")

    def __init__(self, config: CallerConfig, outbox: Outbox) -> None:
        self.config = config
        self._outbox = outbox
        self.agent = Agent()
        self.output_audio = OutputAudio()
        self._player = Player[str](config.jitter_buffer_ns)

    @property
    def footprint(self) -> int:
        """Bytes, about, of what is remembered of the server."""
        return self.agent.footprint + self._player.footprint

    def hear(self, message: server.ResponseOutputAudioDelta, at_ns: int) -> None:
        """Audio came."""
        if self.agent.audible(message):
            length_ns = self.output_audio.format.duration_ns(len(message.delta))
            self._player.feed(message.item_id, at_ns, length_ns)

    def ends_ns(self, began_ns: int, length_ns: int | None = None) -> int | None:
        """When `length_ns` of the reply (None: all of it) has been heard, or patience ends.

        None: that cannot be known yet.
        """
        agent = self.agent
        if length_ns is not None and agent.replying:
            reached = self._player.reaches_ns(length_ns)
            if reached is not None:
                return max(reached, began_ns)
        if agent.answered:
            return max(self._player.ends_ns, agent.progress_ns, began_ns)
        if agent.turned_away_ns is not None:
            return max(agent.turned_away_ns, began_ns)
        return self.patience_ns

    @property
    def patience_ns(self) -> int:
        """When the caller gives up: so long after the last thing that gave it hope."""
        return max(self.agent.progress_ns, self._player.ends_ns) + self.config.answer_timeout_ns

    def reply(self, at_ns: int, *, continues: bool) -> Reply:
        """What was heard of the last reply by then."""
        agent = self.agent
        if not agent.replies:
            return Reply()
        item_id = (self._player.item or "") if agent.replying else ""
        heard_ns = self._player.heard_ns(at_ns) if agent.replying else 0
        return Reply(agent.replies[-1], item_id, heard_ns, agent.calls, continues)

    def is_quiet(self, at_ns: int) -> bool:
        """Whether nothing is to fall silent, or nobody has spoken since it began."""
        agent = self.agent
        return not self._player.playing(at_ns) and (not agent.open or agent.answers_all)

    def flush(self, at_ns: int, cause: str) -> Flushed:
        """Empty the player, because of the `caller` or the `server`."""
        playing = self._player.playing(at_ns)
        # Also a reply of which nothing plays yet is silenced: its stragglers are not heard.
        self.agent.silence()
        item_id = self._player.item or None
        heard_ms = self._player.flush(at_ns) // NS_PER_MS
        detail = {"heard_ms": heard_ms, "cause": cause}
        self._outbox.note("bench.flush", at_ns, item_id=item_id, detail=detail)
        return Flushed(item_id, heard_ms, playing)

    def truncate(self, flushed: Flushed, at_ns: int) -> None:
        """Tell the server how much of what was playing had been heard."""
        if flushed.playing and flushed.item_id is not None:
            item_id, heard_ms = flushed.item_id, flushed.heard_ms
            message = ConversationItemTruncate(item_id=item_id, audio_end_ms=heard_ms)
            self._outbox.send(message, at_ns)
