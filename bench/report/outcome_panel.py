"""What broke: how every attempted turn and session ended, and what the server complained of."""

import json
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from bench.analysis.counts import PROVOKED_MARK
from bench.protocol.error_codes import BENIGN, PROVOKED
from bench.report.panels import Chart, Drawn, Question, Table, table_of
from bench.report.run_data import Run, numbers, texts
from bench.report.text import NOTHING, clip, count, listing, plain, share
from bench.report.theme import OUTCOME_COLOURS, blank, colour

_ABOUT: Final = {
    "ok": "answered while the caller waited",
    "late": "answered after the caller had given up",
    "missed": "the server heard no speech",
    "cut": "ended by the run itself: no fault, in no share",
    "timeout": "heard, but never answered",
    "rejected": "the session never became ready",
    "overloaded": "the service said that it is full, in place of an answer",
    "error": "the response failed, or an error came instead",
    "dropped": "the connection was lost",
}
_FINE: Final = frozenset({"ok", "cut"})
_IN_ORDER: Final = frozenset({"finished", "drained"})
_MOST_ROWS: Final = 40


def _outcomes(run: Run) -> dict[str, int]:
    """Turns by outcome, of those that there are, in the order of `_ABOUT`."""
    found = texts(run.turns, "outcome").value_counts()
    kinds = [kind for kind in _ABOUT if kind in found.index]
    kinds += [str(kind) for kind in found.index if kind not in _ABOUT]
    return {kind: int(found[kind]) for kind in kinds}


def _failed(run: Run) -> int:
    return sum(number for kind, number in _outcomes(run).items() if kind not in _FINE)


def _turns(run: Run) -> str:
    if run.turns.empty:
        return "No turn was attempted."
    bad, all_turns = _failed(run), len(run.turns)
    return (
        f"{plain(bad, '1') if bad else 'None'} of {count(all_turns, 'attempted turn')} failed "
        f"({share(bad, all_turns)})."
    )


def _sessions(run: Run) -> str:
    ended = texts(run.sessions, "outcome").value_counts()
    bad = {kind: number for kind, number in ended.items() if kind not in _IN_ORDER}
    started = count(len(run.sessions), "session")
    if not bad:
        return f"All of {started} ended in order." if len(run.sessions) else "No session started."
    said = listing(f"{number} {kind or 'unknown'}" for kind, number in bad.items())
    return f"Of {started}, {plain(sum(bad.values()), '1')} did not end in order: {said}."


def _bars(run: Run) -> Drawn:
    outcomes = _outcomes(run)
    if not _failed(run):  # a bar of 100 % shows nothing
        return None, []
    total = sum(outcomes.values())
    figure = blank(60 + 30 * len(outcomes), showlegend=False, bargap=0.35, margin={"t": 4})
    figure.add_trace(
        go.Bar(
            x=list(outcomes.values()),
            y=list(outcomes),
            orientation="h",
            marker={"color": [colour(OUTCOME_COLOURS.get(kind, "ink")) for kind in outcomes]},
            text=[f"{plain(number)} · {share(number, total)}" for number in outcomes.values()],
            textposition="outside",
            cliponaxis=False,
            customdata=[_ABOUT.get(kind, "") for kind in outcomes],
            hovertemplate="<b>%{x:,} %{y}</b><br>%{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(
        title={"text": "turns"}, range=[0, 1.28 * max(outcomes.values())], showgrid=False
    )
    figure.update_yaxes(
        autorange="reversed", ticklabelstandoff=6, tickfont={"color": colour("ink"), "size": 13}
    )
    return figure, []


def _outcome_table(run: Run) -> Table | None:
    outcomes, total = _outcomes(run), len(run.turns)
    return table_of(
        "How every attempted turn ended",
        {
            "outcome": lambda kind: kind,
            "meaning": lambda kind: _ABOUT.get(kind, ""),
            "turns": lambda kind: plain(outcomes[kind]),
            "share": lambda kind: share(outcomes[kind], total),
        },
        outcomes,
        numeric=("turns", "share"),
    )


def _failed_turns(run: Run) -> Table | None:
    failed = run.turns[~texts(run.turns, "outcome").isin(_FINE)]
    columns = ("session", "turn", "outcome", "reason", "utterance", "text")
    return table_of(
        "Turns that failed",
        {
            "session": lambda row: row[0],
            "turn": lambda row: row[1],
            "outcome": lambda row: row[2],
            "reason": lambda row: clip(row[3], 120),
            "utterance": lambda row: row[4],
            "the caller said": lambda row: clip(row[5], 70),
        },
        zip(*(texts(failed, name) for name in columns), strict=True),
        numeric=("session", "turn"),
        first=(_MOST_ROWS, "turns.parquet"),
    )


def _failed_sessions(run: Run) -> Table | None:
    failed = run.sessions[~texts(run.sessions, "outcome").isin(_IN_ORDER)]
    columns = [texts(failed, name) for name in ("session", "worker", "outcome", "reason")]
    return table_of(
        "Sessions that did not end in order",
        {
            "session": lambda row: row[0],
            "worker": lambda row: row[1],
            "outcome": lambda row: row[2] or "unknown",
            "reason": lambda row: clip(row[3], 140),
            "close code": lambda row: NOTHING if pd.isna(row[4]) else str(int(row[4])),
        },
        zip(*columns, numbers(failed, "close_code"), strict=True),
        numeric=("session", "worker", "close code"),
        first=(_MOST_ROWS, "sessions.parquet"),
    )


def _errors(run: Run) -> Table | None:
    """`error` messages by code, with one example of the text and the sessions that got it."""

    def code(detail: dict[str, Any]) -> str:
        code = str(detail.get("code") or "no code")
        if str(detail.get("event_id") or "").endswith(PROVOKED):
            return f"{code}{PROVOKED_MARK}: the right answer"
        return f"{code} (a race, no failure)" if code in BENIGN else code

    events = run.events(columns=("session", "detail"), types=("error",), directions=("in",))
    told = [
        (code(detail), detail.get("message") or "", session) for session, detail in _details(events)
    ]
    return _grouped(told, "Error messages from the server", "code", "an example")


def _unknown(run: Run) -> Table | None:
    """Messages of no known type, from the note rows that record them."""
    events = run.events(columns=("session", "detail"), types=("bench.unknown",))
    told = [
        (detail.get("type") or "no type", detail.get("reason") or "not recorded", session)
        for session, detail in _details(events)
    ]
    return _grouped(told, "Messages of no known type", "type", "why")


def _details(events: pd.DataFrame) -> list[tuple[int, dict[str, Any]]]:
    """The session and the detail of each event; a detail that is no object is a message."""
    found = []
    for session, detail in zip(events["session"], texts(events, "detail"), strict=True):
        try:
            parsed = json.loads(detail)
        except ValueError:
            parsed = detail
        found.append((session, parsed if isinstance(parsed, dict) else {"message": str(parsed)}))
    return found


def _grouped(
    told: list[tuple[Any, Any, int]], caption: str, head: str, example: str
) -> Table | None:
    """Messages of one kind (`told`: kind, example, session) in a row, the most frequent first."""
    kinds: dict[str, list[tuple[str, int]]] = {}
    for kind, text, session in told:
        kinds.setdefault(str(kind), []).append((str(text), session))

    def sessions(entry: tuple[str, list[tuple[str, int]]]) -> str:
        every = sorted({session for _, session in entry[1]})
        more = f" and {len(every) - 8} more" if len(every) > 8 else ""
        return ", ".join(str(session) for session in every[:8]) + more

    return table_of(
        caption,
        {
            head: lambda entry: entry[0],
            "times": lambda entry: plain(len(entry[1])),
            "in sessions": sessions,
            example: lambda entry: clip(entry[1][0][0], 160),
        },
        sorted(kinds.items(), key=lambda entry: (-len(entry[1]), entry[0])),
        numeric=("times",),
        first=(_MOST_ROWS, "events.parquet"),
    )


def _state(run: Run) -> str:
    in_order = texts(run.sessions, "outcome").isin(_IN_ORDER).all()
    return "" if run.turns.empty else "limit" if _failed(run) or not in_order else "good"


OUTCOMES: Final = Question(
    "outcomes",
    "What broke?",
    says=(_turns, _sessions),
    charts=(Chart("Every attempted turn of the run, warm-up included", _bars),),
    tables=(_outcome_table, _failed_turns, _failed_sessions, _errors, _unknown),
    state=_state,
)
