"""A run as comparisons see it: what it was made of, and its samples by turn and session.

Theory of operation
-------------------
A *side* is one run or several of the same kind. Of each run the samples are kept by turn, and of
each turn its session, for turns of one session resemble each other: what is drawn again is whole
sessions. Samples are those of the summary (`samples.turn_waits`): a turn that failed while its
caller waited is a wait never answered, a turn that the run itself cut is left out.

A session is known by its slot and lap: what it says is a function of these and the seeds. Two runs
that *replay* each other say the same words at the same place (`replayed`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.measure import attempts, time_in_stage
from bench.analysis.samples import session_waits, share_parts, turn_waits
from bench.analysis.tables import Flags, Floats, read_table
from bench.analysis.turn_columns import TurnColumns
from bench.compare.comparability import facts_of
from bench.errors import RunFolderError
from bench.plan.metrics import METRICS, PER_SESSION, PER_TURN
from bench.plan.stages import STAGES
from bench.runs.folder import CONTRADICTIONS, RunFolder, contradiction
from bench.runs.json_file import read_summary, read_verdict

SHARES: Final = tuple(
    metric
    for metric in METRICS.values()
    if metric.kind == "share" and metric.over != "disturbances"
)
"""Shares that a table of turns tells."""
TOLD: Final = tuple(
    metric for metric in METRICS.values() if metric not in {*PER_TURN, *PER_SESSION, *SHARES}
)
"""What no table of a run tells by turn or session: of requests, events and disturbances, counts."""
_STATISTICS: Final = frozenset({"p50", "p90", "p95", "p99", "mean", "share", "count"})
_REPLAYED = 0.9
"""The share of turns that must agree for two runs to be one plan, played twice."""


class WaitSample(NamedTuple):
    """A sample a turn or session. NaN: it has none; infinite: it waits for ever."""

    values: Floats
    censored: Flags


class ShareSample(NamedTuple):
    """A share by turn: so much `of` so much; `of` is 0 where the share is not about the turn."""

    hits: Floats
    of: Floats


class SummaryFigure(NamedTuple):
    """A statistic as the summary of its run has it, with its 95 % interval.

    value:      infinite where it was never reached
    low, high:  NaN where there is no end
    """

    value: float
    low: float
    high: float
    n: int


class RunSample(NamedTuple):
    """One run. Arrays have an entry a turn, those of `once` one a session.

    facts:    see `comparability.facts_of`
    keys:     (slot, lap) of each session
    session:  index into `keys`
    said:     (turn, utterance)
    stages:   ms of each stage of the turns that heard a voice; NaN in the others
    figures:  of metrics that are `TOLD`, by statistic; none where there was no sample
    rows:     the summary's rows without a filter, for gates
    """

    name: str
    facts: dict[str, Any]
    keys: tuple[tuple[int, int], ...]
    session: NDArray[np.intp]
    said: tuple[tuple[int, str], ...]
    waits: dict[str, WaitSample]
    shares: dict[str, ShareSample]
    stages: dict[str, Floats]
    once: dict[str, WaitSample]
    figures: dict[str, dict[str, SummaryFigure]]
    rows: list[dict[str, Any]]

    def seats(self) -> NDArray[np.intp]:
        """A number for the (slot, lap) of each session, the same in every run."""
        return np.array([slot * 100_000 + lap for slot, lap in self.keys], np.intp)


def read_sample(folder: Path) -> RunSample:
    """The analysed and judged run in `folder`. RunFolderError where it is not."""
    place = RunFolder.open(folder)
    run, summary = place.read(), read_summary(place.summary)
    facts = facts_of(run, summary, read_verdict(place.verdict))
    turns, sessions = read_table(place.turns, None), read_table(place.sessions, None)
    try:
        turns = attempts(turns)
        found = _sample(folder.resolve().name, facts, turns.reset_index(drop=True), sessions)
        rows = [row for row in summary["rows"] if not row["filter"]]
        return found._replace(rows=rows, figures=_figures(rows))
    except CONTRADICTIONS as error:
        raise RunFolderError(
            f"{folder.name}: its files contradict each other ({contradiction(error)}); analyse it "
            f"again with 'bench report {folder}'"
        ) from error


def _seats(index: pd.Series, sessions: NDArray[np.int64]) -> NDArray[np.intp]:
    """The place of each turn's session. ValueError where one is not among the sessions."""
    found = index.reindex(sessions)
    if found.isna().any():
        raise ValueError("a turn is of a session that the sessions table does not have")
    return np.asarray(found, np.intp)


def _sample(
    name: str, facts: dict[str, Any], turns: pd.DataFrame, sessions: pd.DataFrame
) -> RunSample:
    sessions = sessions.sort_values("session").reset_index(drop=True)
    slot = sessions["slot"].fillna(-1).astype(int)
    lap = sessions.groupby(slot).cumcount()
    index = pd.Series(range(len(sessions)), sessions["session"].to_numpy())
    measured = sessions["measured"].to_numpy(bool)
    heard = turns["voice_to_voice_latency"].notna().to_numpy(bool)
    columns = TurnColumns(turns)
    waits = {metric.name: WaitSample(*turn_waits(metric, columns)) for metric in PER_TURN}
    once = {}
    for metric in PER_SESSION:
        values, censored = session_waits(metric, sessions)
        once[metric.name] = WaitSample(np.where(measured, values, np.nan), censored & measured)
    return RunSample(
        name=name,
        facts=facts,
        keys=tuple(zip(slot.tolist(), lap.tolist(), strict=True)),
        session=_seats(index, turns["session"].to_numpy()),
        said=tuple(
            zip(turns["turn"].tolist(), turns["utterance"].fillna("").tolist(), strict=True)
        ),
        waits={name: found for name, found in waits.items() if not np.isnan(found.values).all()},
        shares={
            metric.name: part
            for metric in SHARES
            if (part := ShareSample(*share_parts(metric, columns))).of.any()
        },
        stages={
            stage.name: np.where(heard, np.nan_to_num(_floats(time_in_stage(turns, stage))), np.nan)
            for stage in STAGES
        },
        once={name: found for name, found in once.items() if not np.isnan(found.values).all()},
        figures={},
        rows=[],
    )


def _figures(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, SummaryFigure]]:
    found: dict[str, dict[str, SummaryFigure]] = {}
    for row in rows:
        if METRICS.get(row["metric"]) in TOLD and row["statistic"] in _STATISTICS and row["n"]:
            value = np.inf if row["value"] is None else row["value"]
            low, high = (np.nan if row[end] is None else row[end] for end in ("low", "high"))
            found.setdefault(row["metric"], {})[row["statistic"]] = SummaryFigure(
                value, low, high, row["n"]
            )
    return found


def _floats(column: pd.Series) -> Floats:
    """Numbers or flags as floats, NaN where nothing is known."""
    return np.asarray(column.astype("Float64").to_numpy(np.float64, na_value=np.nan))


def replayed(one: RunSample, other: RunSample) -> bool:
    """Whether the runs are one plan, played twice: where both spoke, they said the same."""
    first, second = _words(one), _words(other)
    common = first.keys() & second.keys()
    same = sum(first[place] == second[place] for place in common)
    return bool(common) and same >= _REPLAYED * len(common) and 2 * len(common) >= len(first)


def all_replayed(runs: Sequence[RunSample]) -> bool:
    """Whether all runs replay the first."""
    return all(replayed(runs[0], run) for run in runs[1:])


def in_common(sides: Sequence[Sequence[RunSample]]) -> list[tuple[RunSample, ...]]:
    """The sides with those turns alone that every run attempted, by slot, lap, turn and words."""
    said = [set(_words(run).items()) for side in sides for run in side]
    common = set.intersection(*said)
    return [tuple(_only(run, common) for run in side) for side in sides]


def _only(run: RunSample, common: set[tuple[tuple[int, int, int], str]]) -> RunSample:
    kept = np.array([entry in common for entry in _words(run).items()], bool)
    return run._replace(
        session=run.session[kept],
        said=tuple(entry for entry, keep in zip(run.said, kept, strict=True) if keep),
        waits={
            name: WaitSample(*(part[kept] for part in wait)) for name, wait in run.waits.items()
        },
        shares={
            name: ShareSample(*(part[kept] for part in share)) for name, share in run.shares.items()
        },
        stages={name: values[kept] for name, values in run.stages.items()},
    )


def _words(run: RunSample) -> dict[tuple[int, int, int], str]:
    places = zip(run.session.tolist(), run.said, strict=True)
    return {(*run.keys[index], turn): utterance for index, (turn, utterance) in places}
