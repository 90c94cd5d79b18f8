"""Tool calls: when the server called, when the caller had answered, when the reply to that came.

Theory of operation
-------------------
A *round* is all calls of one response; a turn may have several rounds, and figures are of its
first. An output belongs to the call whose `call_id` it carries, whenever it is sent; the reply to
the outputs is a response of the same turn that began after the last of them was sent. Whether a
response.create asked for it, or the server went on by itself (`auto_tool_response`), is the same.
"""

from typing import Final

import numpy as np
import pandas as pd

from bench.analysis.responses import number
from bench.analysis.tables import integers, of_type, sent_ns

_ARGUMENTS: Final = "response.function_call_arguments.done"
_CALLS: Final = (_ARGUMENTS, "response.output_item.added", "response.output_item.done")


def tool_rounds(
    events: pd.DataFrame, responses: pd.DataFrame, replies: pd.DataFrame
) -> pd.DataFrame:
    """By turn that called: `call_done_ns`, `output_sent_ns`, `after_output_audio_ns`, `…_text_ns`.

    `continued_row` is the row after which the turn went on, that of its last output (NA: none).
    """
    calls = of_type(events, *_CALLS)
    calls = calls[(calls["type"] == _ARGUMENTS) | calls["call_id"].notna()]
    response = number(responses, calls)
    calls = calls.assign(response=response)[response >= 0]
    calls["turn"] = replies["turn"].to_numpy()[calls["response"]]
    calls = calls[calls["turn"] >= 0]
    done = calls[calls["type"] == _ARGUMENTS].drop_duplicates("turn").set_index("turn")
    table = pd.DataFrame({"call_done_ns": done["at_ns"].astype("Int64")})
    outputs = _outputs(events, calls)
    first = outputs[outputs["response"] == outputs["turn"].map(done["response"])]
    table["output_sent_ns"] = first.groupby("turn")["sent_ns"].max().astype("Int64")
    for kind in ("audio", "text"):
        first_of = _reply(replies, table["output_sent_ns"], f"first_{kind}_ns")
        table[f"after_output_{kind}_ns"] = first_of
    table["continued_row"] = outputs.groupby("turn")["row"].max().astype("Int64")
    return table


def _outputs(events: pd.DataFrame, calls: pd.DataFrame) -> pd.DataFrame:
    """Outputs that were sent: `row`, `sent_ns`, and `turn`, `response` of the call."""
    rows = of_type(events, "conversation.item.create", direction="out")
    rows = rows[rows["call_id"].notna()]
    sent = pd.DataFrame(
        {
            "session": rows["session"].to_numpy(),
            "call_id": rows["call_id"].astype(object).to_numpy(),
            "row": rows["row"].to_numpy(),
            "sent_ns": sent_ns(rows),
        }
    )
    known = calls[calls["call_id"].notna()].drop_duplicates(["session", "call_id"])
    known = known.assign(call_id=known["call_id"].astype(object))
    return sent.merge(known[["session", "call_id", "turn", "response"]], on=["session", "call_id"])


def _reply(replies: pd.DataFrame, output_sent: pd.Series, column: str) -> pd.Series:
    """By turn: what came first in a response of it that began after its outputs were sent."""
    mine = replies[replies["turn"].isin(output_sent.dropna().index)]
    mine = mine[mine[column].notna()]
    sent = integers(mine["turn"].map(output_sent).astype("Int64"), 0)
    after = mine[np.asarray(mine["begin_ns"] > sent, bool)].drop_duplicates("turn")
    return after.set_index("turn")[column]
