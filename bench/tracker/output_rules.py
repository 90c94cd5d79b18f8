"""Rules about what is inside of a response: its items, their parts, and what streams into those.

Theory of operation
-------------------
State is kept by item, not by response: the second item of a response may stream before the first
has ended. Inside an item a part is announced, streams text, transcript and audio (a tool call:
arguments, in no part), ends each stream with a `.done` in any order, and is done; then the item is.
A server may leave any end out. That something was announced *late* is a violation at once; that it
was never announced is one only where the server announces such things at all (`ResponseRules`).
"""

from collections import Counter
from typing import Final

from bench.tracker.event import Event, table, word
from bench.tracker.input_rules import ItemRules, RequestRules
from bench.tracker.protocol_rules import Violations
from bench.tracker.response_rules import Output, Part, ResponseRules, Stream

_PCM: Final = ("audio/pcm", "pcm16")
_SHOWN: Final = 40
_MS: Final = 1_000_000


class OutputRules:
    """The output items of one session's responses, and what streams into them."""

    def __init__(
        self,
        violations: Violations,
        requests: RequestRules,
        items: ItemRules,
        responses: ResponseRules,
    ) -> None:
        self._violations = violations
        self._requests = requests
        self._items = items
        self._responses = responses
        self._pcm = False  # until the server says so
        self._received_ns: Counter[str] = Counter()  # audio, by item

    def session(self, event: Event) -> None:
        """What the server says the output format is."""
        output = table(event.body(), "audio", "output")
        if "format" in output:
            wire = output["format"]
            self._pcm = (wire.get("type") if isinstance(wire, dict) else wire) in _PCM

    def truncated(self, event: Event) -> None:
        """G.711 apart: servers count its milliseconds otherwise (protocol.md 13.10)."""
        self._requests.acknowledged(event)
        if event.audio_ms is None or not self._pcm or self._responses.formats_vary:
            return
        came = self._received_ns[event.item_id or ""]
        if event.audio_ms * _MS > came + _MS:
            text = f"{event.item_id} was cut at {event.audio_ms} ms, and {came // _MS} ms had come"
            self._violations.tell("truncated_beyond", event.item_id, text)

    # ── items ────────────────────────────────────────────────────────────────────────────────

    def item_added(self, event: Event) -> None:
        self._responses.announces.add("output_order")
        response, item_id = self._responses.of(event), event.item_id
        if response is None or not item_id:
            return
        self._items.seen.add(item_id)
        key = (event.response_id, item_id)
        output = response.outputs.get(item_id)
        if output is None:
            output = response.outputs[item_id] = Output(event.row)
        else:
            what = "again" if output.announced else "after what is in it"
            self._violations.tell("output_order", key, f"{item_id} was announced {what}")
        output.announced = True
        if event.output_index is not None:
            output.index = event.output_index
            owner = response.indices.setdefault(event.output_index, item_id)
            if owner != item_id:
                text = f"{item_id} and {owner} are both output {event.output_index}"
                self._violations.tell("output_order", key, text)
        if event.call_id and event.body().get("type") == "function_call":
            self._call(event, output)

    def item_done(self, event: Event) -> None:
        output, item_id, tell = self._output(event), event.item_id or "", self._violations.tell
        if output is None:
            return
        if output.done:
            key = (event.response_id, item_id)
            tell("output_order", key, f"{item_id} is done again as an output item")
            return
        said = event.body()
        output.done, output.status = True, word(said, "status")
        if output.status == "in_progress":
            tell("item_status", item_id, f"{item_id} is done and in progress")
        else:
            self._items.ends_as(item_id, output.status)
        if said.get("type") == "function_call":
            self._call(event, output)
            if not output.call_id:
                tell("call_ids", item_id, f"the tool call {item_id} has no call_id")
            streamed = output.parts.get(None, Part()).streams.get("arguments", Stream()).final
            self._compare(item_id, streamed, word(said, "arguments"))

    def _output(self, event: Event) -> Output | None:
        """The output item of a message about its inside, or its end."""
        response, item_id = self._responses.of(event), event.item_id
        if response is None or not item_id:
            return None
        self._items.seen.add(item_id)
        output = response.outputs.get(item_id)
        if output is None:
            output = response.outputs[item_id] = Output(event.row)
        said = event.output_index
        if said is not None and output.index is not None and said != output.index:
            text = f"{item_id} is output {output.index} and {event.type} says {said}"
            self._violations.tell("output_order", (event.response_id, item_id), text)
        return output

    def _call(self, event: Event, output: Output) -> None:
        call_id, item_id = event.call_id, event.item_id or ""
        if not call_id:
            return
        if output.call_id and call_id != output.call_id:
            text = f"the tool call {item_id} is {output.call_id} and {call_id}"
            self._violations.tell("call_ids", item_id, text)
            return
        output.call_id = call_id
        self._items.own(call_id, item_id)

    # ── parts, and what streams into them ────────────────────────────────────────────────────

    def part_added(self, event: Event) -> None:
        self._responses.announces.add("part_order")
        output = self._output(event)
        if output is None:
            return
        part = output.parts.setdefault(event.content_index or 0, Part())
        if part.announced or part.streams or part.done:
            what = "again" if part.announced else "after what is in it"
            self._violations.tell("part_order", _key(event), f"{_name(event)} was announced {what}")
        else:
            self._late(event, output, part)
        part.announced = True

    def part_done(self, event: Event) -> None:
        output = self._output(event)
        if output is None:
            return
        part = output.parts.setdefault(event.content_index or 0, Part())
        if part.done:
            self._violations.tell("part_order", _key(event), f"{_name(event)} is done again")
            return
        self._late(event, output, part)
        part.done = True
        # With both modalities a part has two texts, and says one of them.
        finals = [final for one in part.streams.values() if (final := one.final.strip())]
        text = word(event.body(), "text").strip()
        if finals and text not in finals:
            self._compare(_name(event), finals[0], text)

    def delta(self, event: Event, kind: str) -> None:
        output = self._output(event)
        if output is None:
            return
        part, stream = _stream(event, output, kind)
        if stream.done:
            late = "audio_after_done" if kind == "audio" else "part_order"
            text = f"{event.type} of {_name(event)} after its end"
            self._violations.tell(late, (_key(event), kind), text)
            return
        self._late(event, output, part)
        if kind == "audio":
            self._audio(event)
        else:
            stream.said.append(event.text)
        if kind == "arguments":
            self._call(event, output)

    def stream_done(self, event: Event, kind: str) -> None:
        output = self._output(event)
        if output is None:
            return
        part, stream = _stream(event, output, kind)
        if stream.done:
            text = f"{event.type} of {_name(event)} came again"
            self._violations.tell("part_order", (_key(event), kind), text)
            return
        self._late(event, output, part)
        stream.done = True
        said = "".join(stream.said)
        stream.final = ("" if kind == "audio" else event.text) or said
        self._compare(_name(event), said, stream.final)
        if kind == "arguments":
            self._call(event, output)
            self._responses.called(event, stream.final)

    def _audio(self, event: Event) -> None:
        self._received_ns[event.item_id or ""] += event.audio_ns or 0
        if event.nbytes % 2 and self._pcm and not self._responses.formats_vary:
            text = f"audio of {_name(event)} has an odd number of bytes, {event.nbytes}"
            self._violations.tell("whole_samples", _key(event), text)

    def _late(self, event: Event, output: Output, part: Part) -> None:
        """Tell where a message is about a part, or an item, that has ended."""
        if part.done:
            text = f"{event.type} of {_name(event)} after response.content_part.done"
            self._violations.tell("part_order", _key(event), text)
        elif output.done:
            text = f"{event.type} of {event.item_id} after response.output_item.done"
            self._violations.tell("output_order", (event.response_id, event.item_id), text)

    def _compare(self, whose: str, said: str, final: str) -> None:
        """Two accounts of a text; an empty one says nothing, and blanks are nobody's."""
        said, final = " ".join(said.split()), " ".join(final.split())
        if said and final and said.replace(" ", "") != final.replace(" ", ""):
            pairs = enumerate(zip(said, final, strict=False))
            same = next((n for n, (a, b) in pairs if a != b), min(len(said), len(final)))
            text = f"{whose} ends as {_from(final, same)} and was {_from(said, same)}"
            self._violations.tell("text_mismatch", whose, text)


def _stream(event: Event, output: Output, kind: str) -> tuple[Part, Stream]:
    """The part that a message is about, and its stream of a kind."""
    place = None if kind == "arguments" else event.content_index or 0
    part = output.parts.get(place)
    if part is None:
        part = output.parts[place] = Part()
    stream = part.streams.get(kind)
    if stream is None:
        stream = part.streams[kind] = Stream()
    return part, stream


def _key(event: Event) -> tuple[str | None, str | None, int | None]:
    return event.response_id, event.item_id, event.content_index


def _name(event: Event) -> str:
    item_id = event.item_id or ""
    return f"part {event.content_index} of {item_id}" if event.content_index else item_id


def _from(text: str, place: int) -> str:
    """The text from shortly before a place on."""
    begin = max(0, place - _SHOWN // 4)
    shown = text[begin : begin + _SHOWN]
    before, after = "… " if begin else "", " …" if begin + _SHOWN < len(text) else ""
    return repr(f"{before}{shown}{after}")
