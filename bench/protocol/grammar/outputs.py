"""Rules about what is inside a response: items, their parts, and what streams into those.

Theory of operation
-------------------
State is kept by item, not by response: the second item of a response may stream before the first
has ended. Inside an item a part is announced, streams text, transcript and audio (a tool call:
arguments, in no part), ends each stream with a `.done` in any order, and is done; then the item is.
A server may leave any end out. That something was announced *late* is a breach at once; that it was
never announced is one only where the server announces such things at all (`Responses`).
"""

from collections import Counter
from typing import Final

from bench.protocol.grammar.asked import Asked
from bench.protocol.grammar.facts import Breaches, Fact, table, word
from bench.protocol.grammar.items import Items
from bench.protocol.grammar.responses import Output, Part, Responses, Stream

_MS: Final = 1_000_000
_PCM: Final = ("audio/pcm", "pcm16")
_SHOWN: Final = 40


class Outputs:
    """The output items of one session's responses."""

    def __init__(
        self, breaches: Breaches, asked: Asked, items: Items, responses: Responses
    ) -> None:
        self._breaches = breaches
        self._asked = asked
        self._items = items
        self._responses = responses
        self._pcm = False  # until the server says so
        self._heard_ns: Counter[str] = Counter()

    def session(self, fact: Fact) -> None:
        """What the server says the output format is."""
        output = table(table(table(fact.detail).get("audio")).get("output"))
        if "format" in output:
            wire = output["format"]
            self._pcm = (wire.get("type") if isinstance(wire, dict) else wire) in _PCM

    def truncated(self, fact: Fact) -> None:
        """G.711 apart: servers count its milliseconds otherwise (protocol.md 13.10)."""
        self._asked.acknowledged(fact)
        if fact.audio_ms is None or not self._pcm or self._responses.formats_vary:
            return
        heard = self._heard_ns[fact.item_id]
        if fact.audio_ms * _MS > heard + _MS:
            text = f"{fact.item_id} was cut at {fact.audio_ms} ms, and {heard // _MS} ms had come"
            self._breaches.tell("truncated_beyond", fact.item_id, text)

    # ── items ────────────────────────────────────────────────────────────────────────────────

    def item_added(self, fact: Fact) -> None:
        self._responses.announces.add("output_order")
        response, item_id = self._responses.of(fact), fact.item_id
        if response is None or not item_id:
            return
        self._items.seen.add(item_id)
        key = (fact.response_id, item_id)
        output = response.outputs.get(item_id)
        if output is None:
            output = response.outputs[item_id] = Output(self._breaches.index)
        else:
            what = "again" if output.announced else "after what is in it"
            self._breaches.tell("output_order", key, f"{item_id} was announced {what}")
        output.announced = True
        if fact.output_index is not None:
            output.index = fact.output_index
            owner = response.indices.setdefault(fact.output_index, item_id)
            if owner != item_id:
                text = f"{item_id} and {owner} are both output {fact.output_index}"
                self._breaches.tell("output_order", key, text)
        if table(fact.detail).get("type") == "function_call":
            self._call(fact, output)

    def item_done(self, fact: Fact) -> None:
        output, item_id, tell = self._output(fact), fact.item_id, self._breaches.tell
        if output is None:
            return
        if output.done:
            key = (fact.response_id, item_id)
            tell("output_order", key, f"{item_id} is done again as an output item")
            return
        detail = table(fact.detail)
        output.done, output.status = True, word(detail.get("status"))
        if output.status == "in_progress":
            tell("item_status", item_id, f"{item_id} is done and in progress")
        else:
            self._items.ends_as(item_id, output.status)
        if detail.get("type") == "function_call":
            self._call(fact, output)
            if not output.call_id:
                tell("call_ids", item_id, f"the tool call {item_id} has no call_id")
            said = output.parts.get(None, Part()).streams.get("arguments", Stream()).final
            self._compare(item_id, said, word(detail.get("arguments")))

    def _output(self, fact: Fact) -> Output | None:
        """The output item of a message about its inside, or its end."""
        response, item_id = self._responses.of(fact), fact.item_id
        if response is None or not item_id:
            return None
        self._items.seen.add(item_id)
        output = response.outputs.get(item_id)
        if output is None:
            output = response.outputs[item_id] = Output(self._breaches.index)
        said = fact.output_index
        if said is not None and output.index is not None and said != output.index:
            text = f"{item_id} is output {output.index} and {fact.type} says {said}"
            self._breaches.tell("output_order", (fact.response_id, item_id), text)
        return output

    def _call(self, fact: Fact, output: Output) -> None:
        call_id = fact.call_id
        if not call_id:
            return
        if output.call_id and call_id != output.call_id:
            text = f"the tool call {fact.item_id} is {output.call_id} and {call_id}"
            self._breaches.tell("call_ids", fact.item_id, text)
            return
        output.call_id = call_id
        self._items.own(call_id, fact.item_id)

    # ── parts, and what streams into them ────────────────────────────────────────────────────

    def part_added(self, fact: Fact) -> None:
        self._responses.announces.add("part_order")
        output = self._output(fact)
        if output is None:
            return
        part = output.parts.setdefault(fact.content_index or 0, Part())
        if part.announced or part.streams or part.done:
            what = "again" if part.announced else "after what is in it"
            text = f"{_name(fact)} was announced {what}"
            self._breaches.tell("part_order", _key(fact), text)
        else:
            self._late(fact, output, part)
        part.announced = True

    def part_done(self, fact: Fact) -> None:
        output = self._output(fact)
        if output is None:
            return
        part = output.parts.setdefault(fact.content_index or 0, Part())
        if part.done:
            self._breaches.tell("part_order", _key(fact), f"{_name(fact)} is done again")
            return
        self._late(fact, output, part)
        part.done = True
        # With both modalities a part has two texts, and says one of them.
        finals = [final for one in part.streams.values() if (final := one.final.strip())]
        text = word(table(fact.detail).get("text")).strip()
        if finals and text not in finals:
            self._compare(_name(fact), finals[0], text)

    def delta(self, fact: Fact, kind: str) -> None:
        output = self._output(fact)
        if output is None:
            return
        part, stream = _stream(fact, output, kind)
        if stream.done:
            late = "audio_after_done" if kind == "audio" else "part_order"
            text = f"{fact.type} of {_name(fact)} after its end"
            self._breaches.tell(late, (_key(fact), kind), text)
            return
        self._late(fact, output, part)
        if kind == "audio":
            self._audio(fact)
        elif isinstance(fact.detail, str):
            stream.said.append(fact.detail)
        if kind == "arguments":
            self._call(fact, output)

    def stream_done(self, fact: Fact, kind: str) -> None:
        output = self._output(fact)
        if output is None:
            return
        part, stream = _stream(fact, output, kind)
        if stream.done:
            text = f"{fact.type} of {_name(fact)} came again"
            self._breaches.tell("part_order", (_key(fact), kind), text)
            return
        self._late(fact, output, part)
        stream.done = True
        said = "".join(stream.said)
        stream.final = word(fact.detail) or said
        self._compare(_name(fact), said, stream.final)
        if kind == "arguments":
            self._call(fact, output)
            self._responses.called(fact, stream.final)

    def _audio(self, fact: Fact) -> None:
        self._heard_ns[fact.item_id] += fact.audio_ns or 0
        if fact.nbytes % 2 and self._pcm and not self._responses.formats_vary:
            text = f"audio of {_name(fact)} has an odd number of bytes, {fact.nbytes}"
            self._breaches.tell("whole_samples", _key(fact), text)

    def _late(self, fact: Fact, output: Output, part: Part) -> None:
        """Tell where a message is about a part, or an item, that has ended."""
        if part.done:
            text = f"{fact.type} of {_name(fact)} after response.content_part.done"
            self._breaches.tell("part_order", _key(fact), text)
        elif output.done:
            text = f"{fact.type} of {fact.item_id} after response.output_item.done"
            self._breaches.tell("output_order", (fact.response_id, fact.item_id), text)

    def _compare(self, whose: str, said: str, final: str) -> None:
        """Two accounts of a text; an empty one says nothing, and blanks are nobody's."""
        said, final = " ".join(said.split()), " ".join(final.split())
        if said and final and said.replace(" ", "") != final.replace(" ", ""):
            pairs = enumerate(zip(said, final, strict=False))
            same = next((n for n, (a, b) in pairs if a != b), min(len(said), len(final)))
            text = f"{whose} ends as {_from(final, same)} and was {_from(said, same)}"
            self._breaches.tell("text_mismatch", whose, text)


def _stream(fact: Fact, output: Output, kind: str) -> tuple[Part, Stream]:
    """The part that a message is about, and its stream of a kind."""
    place = None if kind == "arguments" else fact.content_index or 0
    part = output.parts.get(place)
    if part is None:
        part = output.parts[place] = Part()
    stream = part.streams.get(kind)
    if stream is None:
        stream = part.streams[kind] = Stream()
    return part, stream


def _key(fact: Fact) -> tuple[str, str, int | None]:
    return fact.response_id, fact.item_id, fact.content_index


def _name(fact: Fact) -> str:
    return f"part {fact.content_index} of {fact.item_id}" if fact.content_index else fact.item_id


def _from(text: str, place: int) -> str:
    """The text from shortly before a place on."""
    begin = max(0, place - _SHOWN // 4)
    shown = text[begin : begin + _SHOWN]
    before, after = "… " if begin else "", " …" if begin + _SHOWN < len(text) else ""
    return repr(f"{before}{shown}{after}")
