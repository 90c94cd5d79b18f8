"""Figures on tools: how long until a call is whole, and from its output to the answer."""

from typing import Final

from bench.report.marks import half_and_most, remarks, sampled
from bench.report.panel import Panel
from bench.report.run import Run, flag, numbers
from bench.report.strips import strips
from bench.report.words import count

_TIMES: Final = {
    "tool_call_latency": "until the first call's arguments are whole",
    "tool_answer_latency": "from the outputs to the answer's first audio",
}


def tools(run: Run) -> Panel | None:
    """Both waits as strips; none where nothing was called."""
    figure, notes = strips(run, _TIMES, title="ms")
    if figure is None:
        return None
    called = len(sampled(run.counted, "tool_call_latency"))
    said = [
        f"In {count(called, 'turn')} the agent called a tool." if called else "",
        half_and_most(run.statistics("tool_call_latency"), "the calls were whole"),
        half_and_most(run.statistics("tool_answer_latency"), "the answers began after the outputs"),
        _unanswered(run),
    ]
    return Panel(
        "tools",
        "How fast are its tool calls?",
        " ".join(part for part in said if part),
        [("Each point is one turn; bars run from p50 to p95", figure)],
        notes=remarks(*notes),
    )


def _unanswered(run: Run) -> str:
    """Turns whose outputs were sent and never spoken about; answers in writing have no audio."""
    turns = run.counted[~flag(run.counted, "textual")]
    sent = numbers(turns, "output_sent_ns").notna()
    mute = int((sent & numbers(turns, "tool_answer_latency").isna()).sum())
    if not mute:
        return ""
    return f"After the outputs of {count(mute, 'turn')} no audio came."
