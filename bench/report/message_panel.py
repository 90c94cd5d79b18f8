"""Panel on messages: which crossed the wire, and how fast is acknowledged what the client sends?"""

from collections.abc import Mapping
from typing import Any, Final

from bench.plan.metrics import METRICS
from bench.protocol.codec import message_table
from bench.report.charts import Range, ranges
from bench.report.panels import Chart, Question, Table, folded, table_of
from bench.report.protocol_panel import number_of, times_of
from bench.report.run_data import Run, listed
from bench.report.text import NOTHING, clip, count, listing, plain

Entry = dict[str, Any]
_MOST_NAMED: Final = 6


def _messages(run: Run) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """The seed's messages, other known ones that were seen, and unknown ones."""
    names = {entry.type for entry in message_table()}
    every = listed(run.summary, "messages")
    seed = [row for row in every if row.get("in_seed")]
    rest = [row for row in every if not row.get("in_seed") and number_of(row)]
    other = [row for row in rest if row.get("type") in names]
    return seed, other, [row for row in rest if row.get("type") not in names]


def _is_sent(row: Mapping[str, Any]) -> bool:
    return row.get("direction") == "client"


def _refusal(run: Run, row: Mapping[str, Any]) -> str:
    """What the probe found of a message that never crossed: `refused (code)`, `not seen`, or ""."""
    if run.probe is None or number_of(row):
        return ""
    found = str((run.probe.get("messages") or {}).get(row.get("type")) or "")
    return "" if found == "seen" else found


def _crossed(run: Run) -> str:
    known, other, unknown = _messages(run)
    seen = [row for row in known if number_of(row)]
    sent = [row for row in known if _is_sent(row)]
    text = (
        f"{plain(len(seen), '1') if seen else 'None'} of the {len(known)} messages of the API "
        f"crossed the wire: {sum(map(_is_sent, seen))} of {len(sent)} sent, "
        f"{sum(not _is_sent(row) for row in seen)} of {len(known) - len(sent)} received."
    )
    refused = [str(row["type"]) for row in known if _refusal(run, row)]
    silent = [str(row["type"]) for row in known if not number_of(row) and not _refusal(run, row)]
    if refused:
        text += f" Unsupported by the target: {_named(refused)}."
    if len(silent) > _MOST_NAMED:
        text += f" {len(silent)} did not occur; they have 0 below."
    elif silent:
        text += f" Not in this run: {_named(silent)}."
    if other:
        text += f" Beside them {count(len(other), 'other known type')} came."
    if not unknown:
        return f"{text} No message was of an unknown type."
    names = _named([str(row.get("type")) for row in unknown])
    return f"{text} {count(len(unknown), 'type').capitalize()} that nobody knows: {names}."


def _named(types: list[str]) -> str:
    shown = [clip(name, 60) for name in types[:_MOST_NAMED]]
    rest = len(types) - len(shown)
    return f"{', '.join(shown)} and {rest} more" if rest else listing(shown)


def _counts(run: Run, caption: str, *, sent: bool) -> Table | None:
    def message(row: Entry) -> str | tuple[str, str]:
        name, found = str(row.get("type")), _refusal(run, row).translate({40: None, 41: None})
        return (name, f"unsupported (probe: {clip(found, 60)})") if found else name

    return table_of(
        caption,
        {
            "times": lambda row: NOTHING if _refusal(run, row) else times_of(row),
            "message": message,
        },
        [row for row in _messages(run)[0] if _is_sent(row) is sent],
        numeric=("times",),
        tone=lambda row: "" if number_of(row) else "quiet",
    )


def _other_messages(run: Run) -> Table | None:
    return table_of(
        "Other known messages",
        {
            "times": times_of,
            "message": lambda row: str(row.get("type")),
            "way": lambda row: "sent" if _is_sent(row) else "received",
        },
        _messages(run)[1],
        numeric=("times",),
    )


def _trips(run: Run) -> list[Range]:
    return [
        Range(metric.acknowledges, metric.colour, run.statistics(metric.name))
        for metric in METRICS.values()
        if metric.acknowledges
    ]


MESSAGES: Final = Question(
    "messages",
    "Which messages crossed the wire?",
    says=(_crossed,),
    charts=(
        Chart(
            "From a send to its acknowledgement: dot p50 with its interval, tick p95",
            lambda run: (ranges(_trips(run), "ms from send to acknowledgement"), []),
        ),
    ),
    tables=(
        _other_messages,
        lambda run: folded(_counts(run, "Sent by the client", sent=True)),
        lambda run: folded(_counts(run, "Sent by the server", sent=False)),
    ),
    notes=(
        lambda run: "" if run.probe is not None else (
            "0 says that a message did not occur, not that the target lacks it: no result of bench "
            "probe is in this folder."
        ),
    ),
    metrics=tuple(metric.name for metric in METRICS.values() if metric.acknowledges),
    asked=lambda run: bool(listed(run.summary, "messages")),
    abreast=True,
)  # fmt: skip
