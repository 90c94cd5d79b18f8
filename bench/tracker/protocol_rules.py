"""The rules of the protocol, and the violations that are found of them."""

from typing import Any, Final, NamedTuple


class Rule(NamedTuple):
    """One sentence about what the order and the contents of a session's messages must be."""

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


class Violation(NamedTuple):
    """A rule that was broken: by which row of the log, and how, in one line."""

    rule: str
    row: int
    text: str


class Violations:
    """The violations of one session. `row` is that of the event being judged."""

    def __init__(self) -> None:
        self.row = -1
        self.found: list[Violation] = []
        self._told: set[tuple[Any, ...]] = set()

    def tell(self, rule: str, key: object, text: str, row: int | None = None) -> None:
        """A rule is broken by what `key` names: told once for each, by the `row` (else this one).

        A hundred deltas after an end are one violation.
        """
        if (rule, key) not in self._told:
            self._told.add((rule, key))
            self.found.append(Violation(rule, self.row if row is None else row, text))
