"""What a checker of the grammar is told, and what it answers: facts, rules, violations."""

from typing import Any, Final, NamedTuple


class Rule(NamedTuple):
    """One sentence of the grammar."""

    name: str
    about: str


RULES: Final = {
    rule.name: rule
    for rule in (
        Rule("session_first", "The first message of a session is session.created."),
        Rule("session_created_once", "session.created comes once."),
        Rule("speech_pairs", "Of an item speech starts once, and stops once after that."),
        Rule("speech_order", "Positions of speech never run backwards, nor end before they start."),
        Rule("speech_clock", "No position of speech lies beyond the audio that was written."),
        Rule("commit_once", "An item is committed once."),
        Rule("commit_before_stop", "The detector commits an item after its speech has stopped."),
        Rule("item_added_once", "An item is added to the conversation once."),
        Rule("item_done_before_added", "An item is added before it is done."),
        Rule("item_done_once", "An item is done once."),
        Rule("item_position", "previous_item_id names an item of this conversation, as asked for."),
        Rule("item_status", "The status of an item agrees with its response and with itself."),
        Rule("response_unannounced", "response.created comes before all else of a response."),
        Rule("response_created_once", "A response is created once."),
        Rule("response_done_once", "A response is done once."),
        Rule("response_never_done", "Every response is done at some time."),
        Rule("after_done", "Nothing of a response comes after its response.done."),
        Rule("audio_after_done", "No audio comes after the end of its part or of its response."),
        Rule("one_active", "One response at a time writes to the conversation."),
        Rule("output_order", "An output item is announced, has its own index, and is done last."),
        Rule("part_order", "A part is announced, streams, ends its streams, and is done: once."),
        Rule(
            "status_details", "A response ends with a known status, and its details say the same."
        ),
        Rule("text_mismatch", "The final text, transcript or arguments are those of the deltas."),
        Rule("arguments_json", "The arguments of a completed tool call are JSON."),
        Rule("call_ids", "A tool call has one id, and no other call has it."),
        Rule("whole_samples", "An audio delta holds whole samples of the output format."),
        Rule("truncated_beyond", "No item is cut at a place beyond the audio that came of it."),
        Rule("error_event_id", "An error names only messages that were sent."),
        Rule("unasked", "Only what was asked for is cleared, deleted, retrieved or truncated."),
        Rule("transcription_unknown", "Only items that exist are transcribed."),
    )
}
"""Every rule, in the order in which reports show them."""


class Fact(NamedTuple):
    """One message that crossed the wire, or several of a kind in a row as if they were one.

    direction:    in, out
    type:         the wire's own word, beta spellings too
    at_ns:        its instant; of several the last one's
    event_id:     of a message sent; "" where it has none. Other ids likewise
    output_index, content_index:  None: not known
    previous_id:  previous_item_id; "" where null
    audio_ms:     position said: audio_start_ms or audio_end_ms
    audio_ns:     length of the audio carried, of several their sum; None: none, or not known
    nbytes:       bytes of audio carried; of several the first one's
    detail:       what `bench.runs.facts` keeps of the type: parsed where it is JSON, else text (of
                  several deltas the texts joined); of a message sent its whole payload, parsed
    messages:     how many it stands for
    """

    direction: str
    type: str
    at_ns: int = 0
    event_id: str = ""
    item_id: str = ""
    response_id: str = ""
    output_index: int | None = None
    content_index: int | None = None
    previous_id: str = ""
    call_id: str = ""
    audio_ms: int | None = None
    audio_ns: int | None = None
    nbytes: int = 0
    detail: Any = None
    messages: int = 1


class Violation(NamedTuple):
    """A rule that was broken: by which fact (counted from 0), and how, in one line."""

    rule: str
    index: int  # type: ignore[assignment]  # tuple.index is of no use here
    text: str


class Breaches:
    """Violations found and not yet handed over. `index` is that of the fact being judged."""

    def __init__(self) -> None:
        self.index = -1
        self._found: list[Violation] = []
        self._told: set[tuple[Any, ...]] = set()

    def tell(self, rule: str, key: object, text: str, index: int | None = None) -> None:
        """A rule is broken by what `key` names: said once for each."""
        if (rule, key) not in self._told:
            self._told.add((rule, key))
            self._found.append(Violation(rule, self.index if index is None else index, text))

    def take(self) -> list[Violation]:
        """What was found since the last time."""
        if not self._found:
            return []
        found, self._found = self._found, []
        return found


def table(value: Any) -> dict[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def word(value: Any) -> str:
    """`value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""
