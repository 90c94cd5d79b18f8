"""What broke: how every attempted turn and session ended, and what the server complained of."""

import json
from typing import Final

import pandas as pd
import plotly.graph_objects as go

from bench.analysis.errors import PROVOKED_MARK
from bench.protocol.error_codes import BENIGN, PROVOKED
from bench.report.panel import Panel, Table
from bench.report.run import Run, texts
from bench.report.theme import OUTCOME_COLOURS, blank, colour
from bench.report.words import NOTHING, clip, count, listing, plain, share

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
_SESSION_FINE: Final = frozenset({"finished", "drained"})
_MOST_ROWS: Final = 40


def breaking(run: Run) -> Panel:
    """Outcomes of turns as bars; failed turns, failed sessions and errors as tables."""
    key, question = "breaking", "What broke?"
    if run.turns.empty:
        tables = [table for table in (_failed_sessions(run), _errors(run), _unknown(run)) if table]
        return Panel(key, question, f"No turn was attempted. {_sessions(run)}", tables=tables)
    outcomes = texts(run.turns, "outcome").value_counts()
    figure = _bars(outcomes)
    bad = int(sum(number for kind, number in outcomes.items() if kind not in _FINE))
    answer = (
        f"{plain(bad, '1') if bad else 'None'} of {count(len(run.turns), 'attempted turn')} "
        f"failed ({share(bad, len(run.turns))}). {_sessions(run)}"
    )
    found = (_failed_turns(run), _failed_sessions(run), _errors(run), _unknown(run))
    tables = [_outcomes(outcomes), *(table for table in found if table)]
    return Panel(
        key,
        question,
        answer,
        [("Every attempted turn of the run, warm-up included", figure)],
        tables,
    )


def _sessions(run: Run) -> str:
    ended = texts(run.sessions, "outcome").value_counts()
    bad = {kind: number for kind, number in ended.items() if kind not in _SESSION_FINE}
    started = count(len(run.sessions), "session")
    if not bad:
        return f"All of {started} ended in order." if len(run.sessions) else "No session started."
    said = listing(f"{number} {kind or 'unknown'}" for kind, number in bad.items())
    return f"Of {started}, {plain(sum(bad.values()), '1')} did not end in order: {said}."


def _bars(outcomes: pd.Series) -> go.Figure:
    kinds = [kind for kind in _ABOUT if kind in outcomes.index]
    kinds += [str(kind) for kind in outcomes.index if kind not in _ABOUT]
    total = int(outcomes.sum())
    figure = blank(60 + 30 * len(kinds), showlegend=False, bargap=0.35)
    figure.add_trace(
        go.Bar(
            x=[int(outcomes[kind]) for kind in kinds],
            y=kinds,
            orientation="h",
            marker={"color": [colour(OUTCOME_COLOURS.get(kind, "ink")) for kind in kinds]},
            text=[
                f"{plain(int(outcomes[kind]))} · {share(int(outcomes[kind]), total)}"
                for kind in kinds
            ],
            textposition="outside",
            cliponaxis=False,
            customdata=[_ABOUT.get(kind, "") for kind in kinds],
            hovertemplate="<b>%{x:,} %{y}</b><br>%{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(
        title={"text": "turns"}, range=[0, 1.28 * int(outcomes.max())], showgrid=False
    )
    figure.update_yaxes(
        autorange="reversed", ticklabelstandoff=6, tickfont={"color": colour("ink"), "size": 13}
    )
    figure.update_layout(margin={"t": 4})
    return figure


def _outcomes(outcomes: pd.Series) -> Table:
    total = int(outcomes.sum())
    kinds = [*_ABOUT, *(str(kind) for kind in outcomes.index if kind not in _ABOUT)]
    rows = [
        [
            kind,
            _ABOUT.get(kind, ""),
            plain(int(outcomes.get(kind, 0))),
            share(int(outcomes.get(kind, 0)), total),
        ]
        for kind in kinds
    ]
    return Table(
        "How every attempted turn ended",
        ("outcome", "meaning", "turns", "share"),
        rows,
        numeric=frozenset({2, 3}),
    )


def _failed_turns(run: Run) -> Table | None:
    outcome = texts(run.turns, "outcome")
    failed = run.turns[~outcome.isin(_FINE)]
    if failed.empty:
        return None
    rows = [
        [str(session), str(turn), kind, clip(reason, 120), utterance, clip(said, 70)]
        for session, turn, kind, reason, utterance, said in zip(
            failed["session"],
            failed["turn"],
            texts(failed, "outcome"),
            texts(failed, "reason"),
            texts(failed, "utterance"),
            texts(failed, "text"),
            strict=True,
        )
    ][:_MOST_ROWS]
    return Table(
        "Turns that failed",
        ("session", "turn", "outcome", "reason", "utterance", "the caller said"),
        rows,
        numeric=frozenset({0, 1}),
        note=_rest(len(failed), "turns.parquet"),
    )


def _failed_sessions(run: Run) -> Table | None:
    failed = run.sessions[~texts(run.sessions, "outcome").isin(_SESSION_FINE)]
    if failed.empty:
        return None
    codes = pd.to_numeric(failed["close_code"], errors="coerce") if "close_code" in failed else None
    rows = [
        [
            str(session),
            str(worker),
            kind or "unknown",
            clip(reason, 140),
            NOTHING if codes is None or pd.isna(codes.iloc[place]) else str(int(codes.iloc[place])),
        ]
        for place, (session, worker, kind, reason) in enumerate(
            zip(
                failed["session"],
                failed["worker"],
                texts(failed, "outcome"),
                texts(failed, "reason"),
                strict=True,
            )
        )
    ][:_MOST_ROWS]
    return Table(
        "Sessions that did not end in order",
        ("session", "worker", "outcome", "reason", "close code"),
        rows,
        numeric=frozenset({0, 1, 4}),
        note=_rest(len(failed), "sessions.parquet"),
    )


def _rest(number: int, file: str) -> str:
    return (
        f"The first {_MOST_ROWS} of {plain(number)}; the rest is in {file}."
        if number > _MOST_ROWS
        else ""
    )


def _errors(run: Run) -> Table | None:
    """`error` messages by code, with one example of the text and the sessions that got it."""
    events = run.events(columns=("session", "detail"), types=("error",), directions=("in",))
    if events.empty:
        return None
    details = [_fields(detail) for detail in texts(events, "detail")]
    table = pd.DataFrame(
        {
            "session": events["session"].to_numpy(),
            "code": [_code(detail) for detail in details],
            "message": [str(detail.get("message") or "") for detail in details],
        }
    )
    return _grouped(
        table, "code", "message", "Error messages from the server", "code", "an example"
    )


def _code(detail: dict[str, object]) -> str:
    code = str(detail.get("code") or "no code")
    if str(detail.get("event_id") or "").endswith(PROVOKED):
        return f"{code}{PROVOKED_MARK}: the right answer"
    return f"{code} (a race, no failure)" if code in BENIGN else code


def _unknown(run: Run) -> Table | None:
    """Messages of no known type, from the note rows that record them."""
    events = run.events(columns=("session", "detail"), types=("bench.unknown",))
    if events.empty:
        return None
    details = [_fields(detail) for detail in texts(events, "detail")]
    table = pd.DataFrame(
        {
            "session": events["session"].to_numpy(),
            "type": [str(detail.get("type") or "no type") for detail in details],
            "message": [str(detail.get("reason") or "not recorded") for detail in details],
        }
    )
    return _grouped(table, "type", "message", "Messages of no known type", "type", "why")


def _grouped(
    table: pd.DataFrame, by: str, example: str, caption: str, head: str, example_head: str
) -> Table:
    grouped = table.groupby(by, as_index=False).agg(
        times=("session", "size"),
        sessions=("session", lambda column: sorted(set(column))),
        example=(example, "first"),
    )
    grouped = grouped.sort_values(["times", by], ascending=[False, True])
    rows = [
        [str(row[by]), plain(int(row["times"])), _some(row["sessions"]), clip(row["example"], 160)]
        for _, row in grouped.head(_MOST_ROWS).iterrows()
    ]
    return Table(
        caption,
        (head, "times", "in sessions", example_head),
        rows,
        numeric=frozenset({1}),
    )


def _some(sessions: list[int]) -> str:
    shown = ", ".join(str(session) for session in sessions[:8])
    return shown + (f" and {len(sessions) - 8} more" if len(sessions) > 8 else "")


def _fields(detail: str) -> dict[str, object]:
    try:
        parsed = json.loads(detail)
    except ValueError:
        return {"message": detail}
    return parsed if isinstance(parsed, dict) else {"message": str(parsed)}
