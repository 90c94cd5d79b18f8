"""From a sealed run to its tables and summary: the one way through all modules of analysis."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.analysis.evidence import Evidence
from bench.analysis.excluded_turns import excluded_turns
from bench.analysis.load_stages import turn_stages
from bench.analysis.measure import identity_breaches, measure_sessions, measure_turns
from bench.analysis.remarks import remarks
from bench.analysis.sessions import TOLD_BY, sessions_table, span
from bench.analysis.slow_turn_cause import slow_turn_causes
from bench.analysis.summary import Measured, remark_rows, summarise
from bench.analysis.tables import EventParts, plain_strings, read_health
from bench.analysis.told import tell
from bench.analysis.turns import unreached
from bench.analysis.word_errors import word_errors
from bench.plan.gates import parse_gate
from bench.runs.folder import RunFolder, replace_file
from bench.runs.gauges import gauge_figures, read_gauges


@plain_strings
def analyse(folder: Path) -> None:
    """Write sessions.parquet, turns.parquet and summary.json of the run in `folder`.

    Reads run.json, events.parquet, health.parquet, and gauges.parquet where there is one.
    RunFolderError where one is unreadable.
    """
    place = RunFolder.open(folder)
    run = place.read()
    parts, health = EventParts(place.events), read_health(place.health)

    sessions = sessions_table(parts.of_types(TOLD_BY), run["plan"], parts.sessions)
    told = tell(parts, parts.rows, sessions, run)
    sessions["unreached_turns"] = unreached(sessions, told.turns)

    evidence = Evidence(run, told.stamps, health, sessions.reset_index(), {})
    excluded, exclusion = excluded_turns(evidence, told.turns)
    turns = measure_turns(told.turns, [parse_gate(text) for text in run.get("gates") or ()])
    turns = turns.join(slow_turn_causes(evidence, told.events, told.turns))
    if (stages := turn_stages(evidence, turns)) is not None:
        turns["stage"] = stages
    turns["set_aside"] = excluded.reindex(turns.index)
    turns["measured"] &= ~turns["set_aside"]
    turns = turns.join(word_errors(turns))
    measured = measure_sessions(sessions, turns)

    breaches = identity_breaches(told.turns)
    found = Measured(told._replace(turns=turns), measured, breaches, exclusion)
    summary = summarise(run, health, found)
    gauges = read_gauges(place)
    figures = [] if gauges is None else gauge_figures(gauges, span(run["plan"]))
    summary["gauges"] = [one._asdict() for one in figures]
    summary["remarks"] = remarks(evidence._replace(sessions=measured, summary=summary), turns)
    summary["rows"] += remark_rows(len(summary["remarks"]), len(measured))

    write_table(measured, place.sessions)
    write_table(turns, place.turns)
    write_json(summary, place.summary)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """A table on disk, replaced in one step; its metadata says the format."""
    sheet = pa.Table.from_pandas(table, preserve_index=False)
    sheet = sheet.replace_schema_metadata({**(sheet.schema.metadata or {}), b"format": b"1"})
    draft = path.with_suffix(".part")
    pq.write_table(sheet, draft, compression="zstd")
    draft.replace(path)


def write_json(document: dict[str, Any], path: Path) -> None:
    """A document on disk, replaced in one step. NaN and infinity are no JSON: ValueError."""
    # json's own indentation takes twenty times as long.
    text = msgspec.json.format(json.dumps(document, allow_nan=False), indent=2)
    replace_file(path, text + "\n")
