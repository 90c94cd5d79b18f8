"""Which messages crossed the wire, and how fast what the client sends is acknowledged."""

from collections.abc import Mapping
from typing import Any, Final

from bench.protocol.codec import message_table
from bench.report.honoured import number_of
from bench.report.panel import Cell, Panel, Table
from bench.report.ranges import Range, range_table, ranges
from bench.report.run import Run, listed
from bench.report.theme import METRIC_COLOURS
from bench.report.words import NOTHING, clip, count, listing, plain

ROUND_TRIPS: Final = {
    "update_ack": "session.update",
    "item_ack": "conversation.item.create",
    "retrieve_ack": "conversation.item.retrieve",
    "delete_ack": "conversation.item.delete",
    "clear_ack": "input_audio_buffer.clear",
    "truncate_ack": "conversation.item.truncate",
    "cancel_delay": "response.cancel",
}
_MOST_NAMED: Final = 6


def wire(run: Run) -> Panel | None:
    """Every message of the seed with its count, what else came, and acknowledgements."""
    messages = listed(run.summary, "messages")
    if not messages:
        return None
    known, other, unknown = _sorted(messages)
    lines = [
        Range(message, "", METRIC_COLOURS[name], run.statistics(name))
        for name, message in ROUND_TRIPS.items()
    ]
    trips = ranges(lines, "ms from send to acknowledgement")
    caption = "From a send to its acknowledgement: dot p50 with its interval, tick p95"
    tables = [
        _counts("Sent by the client", [row for row in known if _sent(row)], run.probe),
        range_table(lines, "Acknowledgement round trips", "message"),
        _others(other),
        _unknowns(unknown),
        _counts("Sent by the server", [row for row in known if not _sent(row)], run.probe),
    ]
    return Panel(
        "wire",
        "Which messages crossed the wire?",
        _answer(known, other, unknown, run.probe),
        [(caption, trips)] if trips is not None else [],
        [table for table in tables if table],
        notes=_notes(run.probe),
        abreast=True,
    )


def _sorted(
    messages: list[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """The seed's messages, other known ones that were seen, and unknown ones."""
    names = {entry.type for entry in message_table()}
    seed = [row for row in messages if row.get("in_seed")]
    rest = [row for row in messages if not row.get("in_seed") and _number(row)]
    other = [row for row in rest if row.get("type") in names]
    return seed, other, [row for row in rest if row.get("type") not in names]


def _number(row: Mapping[str, Any]) -> int:
    return number_of(row.get("count"))


def _sent(row: Mapping[str, Any]) -> bool:
    return row.get("direction") == "client"


def refusal(row: Mapping[str, Any], probe: dict[str, Any] | None) -> str:
    """What the probe found of a message that never crossed: `refused (code)`, `not seen`, or ""."""
    if probe is None or _number(row):
        return ""
    found = str((probe.get("messages") or {}).get(row.get("type")) or "")
    return "" if found == "seen" else found


def _answer(
    known: list[dict[str, Any]],
    other: list[dict[str, Any]],
    unknown: list[dict[str, Any]],
    probe: dict[str, Any] | None,
) -> str:
    seen = [row for row in known if _number(row)]
    sent = [row for row in known if _sent(row)]
    text = (
        f"{plain(len(seen), '1') if seen else 'None'} of the {len(known)} messages of the API "
        f"crossed the wire: {sum(map(_sent, seen))} of {len(sent)} sent, "
        f"{sum(not _sent(row) for row in seen)} of {len(known) - len(sent)} received."
    )
    unsupported = [str(row["type"]) for row in known if refusal(row, probe)]
    silent = [str(row["type"]) for row in known if not _number(row) and not refusal(row, probe)]
    if unsupported:
        text += f" Unsupported by the target: {_named(unsupported)}."
    if len(silent) > _MOST_NAMED:
        text += f" {len(silent)} did not occur; they have 0 below."
    elif silent:
        text += f" Not in this run: {_named(silent)}."
    if other:
        text += f" Beside them {count(len(other), 'other known type')} came."
    return text + (
        f" {count(len(unknown), 'type').capitalize()} that nobody knows: "
        f"{_named([str(row.get('type')) for row in unknown])}."
        if unknown
        else " No message was of an unknown type."
    )


def _named(types: list[str]) -> str:
    shown = [clip(name, 60) for name in types[:_MOST_NAMED]]
    rest = len(types) - len(shown)
    return f"{', '.join(shown)} and {rest} more" if rest else listing(shown)


def _counts(
    caption: str, messages: list[dict[str, Any]], probe: dict[str, Any] | None
) -> Table | None:
    if not messages:
        return None
    rows: list[list[Cell]] = []
    for row in messages:
        found, name = refusal(row, probe), str(row.get("type"))
        if found:
            code = clip(found.replace("(", "").replace(")", ""), 60)
            rows.append([NOTHING, (name, f"unsupported (probe: {code})")])
        else:
            rows.append([plain(_number(row), "1"), name])
    return Table(
        caption,
        ("times", "message"),
        rows,
        numeric=frozenset({0}),
        tones=["" if _number(row) else "quiet" for row in messages],
    )


def _others(messages: list[dict[str, Any]]) -> Table | None:
    if not messages:
        return None
    rows = [
        [plain(_number(row), "1"), str(row.get("type")), "sent" if _sent(row) else "received"]
        for row in messages
    ]
    return Table("Other known messages", ("times", "message", "way"), rows, numeric=frozenset({0}))


def _unknowns(messages: list[dict[str, Any]]) -> Table | None:
    if not messages:
        return None
    rows = [[plain(_number(row), "1"), clip(row.get("type"), 80)] for row in messages]
    return Table(
        "Unknown messages",
        ("times", "type on the wire"),
        rows,
        numeric=frozenset({0}),
        tones=["limit"] * len(rows),
    )


def _notes(probe: dict[str, Any] | None) -> list[str]:
    if probe is not None:
        return []
    zero = "0 says that a message did not occur, not that the target lacks it"
    return [f"{zero}: no result of bench probe is in this folder."]
