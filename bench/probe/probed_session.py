"""What one session of a probe left behind: everything that is found out is read off it."""

import base64
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.counts import count_messages
from bench.analysis.server_quirks import quirks
from bench.analysis.trackers import tracked
from bench.load.agreement import Agreed
from bench.probe.answers import Exchange, Received, current_name
from bench.protocol.repair import tidy_base64
from bench.protocol.upgrade import Offer
from bench.runs.rows import Row
from bench.tracker.event import NEVER, dig, milliseconds, table
from bench.tracker.responses import ARGUMENTS, AUDIO, TEXT, TRANSCRIPT, Response
from bench.tracker.tracker import Tracker
from bench.tracker.turn import SessionEnd
from bench.tracker.vad_events import STARTED

_COUNTS: Final = ("session", "at_ns", "at_err_ns", "nbytes")
_NULLABLE: Final = (
    "read_ns", "due_ns", "media_ns", "audio_ms", "audio_ns", "output_index", "content_index",
)  # fmt: skip
_WORDS: Final = ("direction", "type", "item_id", "response_id")
_TEXTS: Final = ("event_id", "detail", "previous_id", "call_id")


def events_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows of a log, by instant, as `bench.analysis.tables.read_events` gives those of a run."""
    types = {
        **dict.fromkeys(_COUNTS, "int64"),
        **dict.fromkeys(_NULLABLE, "Int64"),
        **dict.fromkeys(_WORDS, "category"),
        **dict.fromkeys(_TEXTS, "string"),
    }
    columns: dict[str, list[Any]] = {
        name: [getattr(row, name) for row in rows] for name in Row._fields
    }
    table = pd.DataFrame(
        {name: pd.Series(column, dtype=types.get(name, object)) for name, column in columns.items()}
    )
    table["row"] = np.arange(len(table), dtype=np.int64)
    return table


_STREAMS: Final = {
    **dict.fromkeys(AUDIO, "audio"),
    **dict.fromkeys(TRANSCRIPT, "transcript"),
    **dict.fromkeys(TEXT, "text"),
    "response.function_call_arguments.delta": "arguments",
    ARGUMENTS: "arguments",
}


def _decoded(delta: Any) -> bytes:
    try:
        return base64.b64decode(tidy_base64(delta) or delta) if isinstance(delta, str) else b""
    except ValueError:
        return b""


class Cut(NamedTuple):
    """A reply that speech ended: how long after speech_started, and how many deltas still came."""

    took_ns: int
    late: int


class Connection(NamedTuple):
    """How a connection came about: how long its name took, what was offered, what was agreed."""

    dns_ns: int | None = None
    offer: Offer = Offer()
    compress: bool = False
    agreed: Agreed = Agreed()


class ProbedSession:
    """One session of a probe, of the script called `name`.

    * `rows`: the event rows, as a run would have logged them, by instant
    * `received`: the server's messages word for word
    * `exchanges`: the messages that wanted an answer, and what came of each
    * `outcome`, `reason`: those of its last row (`bench.runs.rows`)
    * `trouble`: why it ended before its time, in a sentence; "": it did not
    """

    def __init__(
        self,
        name: str,
        rows: Iterable[Row] = (),
        received: Iterable[Received] = (),
        exchanges: Iterable[Exchange] = (),
        *,
        connection: Connection = Connection(),  # noqa: B008 - an immutable value
        ended: tuple[str, str] = ("", ""),
        trouble: str = "",
    ) -> None:
        self.name = name
        self.rows = sorted(rows, key=lambda row: row.at_ns)
        self.received = tuple(received)
        self.exchanges = tuple(exchanges)
        self.connection = connection
        self.outcome, self.reason = ended
        self.trouble = trouble

    def of(self, *types: str) -> list[Received]:
        """What the server sent of these types, beta spellings included."""
        return [one for one in self.received if current_name(one.type) in types]

    def first_ns(self, *types: str) -> int | None:
        """When the first row of these types was; None: there is none."""
        return next((row.at_ns for row in self.rows if row.type in types), None)

    def exchange(self, label: str) -> Exchange | None:
        """The first of that label, None where it was never asked."""
        return next((one for one in self.exchanges if one.label == label), None)

    @cached_property
    def _events(self) -> pd.DataFrame:
        return events_table(self.rows)

    @cached_property
    def tracker(self) -> Tracker:
        """What is known of its responses and of the server's VAD."""
        tracker = next((found for _, found in tracked(self._events, {})), Tracker())
        in_order = self.outcome in {"finished", "drained"}
        ended_ns = self.rows[-1].at_ns if self.rows else None
        end = SessionEnd(self.outcome, ended_ns, in_order, seen=in_order, words=self.reason)
        tracker.close(end)
        return tracker

    @property
    def responses(self) -> list[Response]:
        """Its responses, in the order in which they began."""
        return self.tracker.responses.all

    def streams(self, response: Response) -> tuple[str, ...]:
        """What a response streamed, in the order of the first of each."""
        mine = (row.type for row in self.rows if row.response_id == response.response_id)
        return tuple(dict.fromkeys(_STREAMS[kind] for kind in mine if kind in _STREAMS))

    @cached_property
    def cuts(self) -> list["Cut"]:
        """The replies that were cancelled after the caller had begun to speak into them."""
        starts = [row for row, one in enumerate(self.rows) if one.type == STARTED]
        found = []
        for response in self.responses:
            done = response.done
            if done is None or not response.cancelled or response.reason == "client_cancelled":
                continue
            spoke = [row for row in starts if response.row < row < done.row]
            if spoke:
                late = sum(delta.row > spoke[-1] for delta in response.deltas)
                found.append(Cut(done.at_ns - self.rows[spoke[-1]].at_ns, late))
        return found

    def ends_in_zeros(self, response: Response) -> bool:
        """Whether the last delta of a response is padding, sample by sample."""
        if len(response.deltas) < 2 or not response.deltas[-1].padding:
            return False
        sounds = [
            said.body.get("delta")
            for said in self.of("response.output_audio.delta")
            if said.body.get("response_id") == response.response_id
        ]
        # Silence of every format is one byte, again and again.
        return bool(sounds) and len(set(_decoded(sounds[-1]))) == 1

    def unfilled_ns(self, response: Response) -> int | None:
        """How long a reply's first word took, where its session was to fill so long a wait."""
        configs = self.tracker.configs
        word = bisect_right(configs.rows, response.row) - 1
        spoke = response.first_words_row < NEVER and bool(response.deltas)
        if word < 0 or not response.responsive or response.created_ns is None or not spoke:
            return None
        path = ("providerData", "responsiveness", "initial_wait_timeout_ms")
        due_ns = milliseconds(dig(configs.bodies[word], *path))
        waited_ns = self.rows[response.first_words_row].at_ns - response.created_ns
        return waited_ns if due_ns is not None and waited_ns > due_ns else None

    @cached_property
    def quirks(self) -> dict[str, dict[str, Any]]:
        """{about, count, example} of each quirk that the analysis of a run looks for, by name."""
        if not self.rows:
            return {}
        return {one["quirk"]: one for one in quirks(self._events, count_messages(self._events))}

    @cached_property
    def call_names(self) -> dict[str, str]:
        """The names of its tool calls by call_id, wherever each was said first; "": nowhere."""
        names: dict[str, str] = {}
        for said in self.received:
            item = table(said.body, "item")
            call = item if item.get("type") == "function_call" else said.body
            if isinstance(call_id := call.get("call_id"), str) and call_id:
                names[call_id] = names.get(call_id) or str(call.get("name") or "")
        return names

    @cached_property
    def skip_reasons(self) -> Counter[str]:
        """How often each reason was given for which an interjection was not made."""
        skipped = (row for row in self.rows if row.type == "response.backchannel.skipped")
        return Counter(row.detail or "no reason" for row in skipped)


def find_exchange(sessions: Iterable[ProbedSession], label: str) -> Exchange | None:
    """The first of that label in any session."""
    return next((one for session in sessions if (one := session.exchange(label)) is not None), None)
