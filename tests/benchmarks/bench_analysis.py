"""What events to summary takes: time in units of reading and writing the event file, and memory.

A run of a million events is made by repeating two conversations, one of which barges in, as many
sessions: each shifted in time and with ids of its own, as a real run has them. The best of three is
taken of either side: the question is what the work costs, not what else the machine was doing.
Memory is that of a process of its own, which analyses twenty times as many.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.analysis.pipeline import analyse
from bench.runs.seal import EVENTS
from tests.analysis.story import Answer, Story, conversation, write_run

BOUND = 10.0
LONG = 20
"""How many times a million events are analysed for their memory."""
MOST_GIB = 4.0
TURNS = 8
REPLY = Answer(deltas=tuple(300 + 25 * n for n in range(40)))


def barging(number: int) -> Story:
    """A session that talks into every reply."""
    story = Story(number).begin(TURNS).microphone()
    for pair in range(TURNS // 2):
        at = pair * 12_000
        story.say(at)
        created = story.ear() + 20
        story.created(created)
        for arrival in REPLY.deltas:
            story.delta(created + arrival)
        story.done(created + 1500).say(at + 3500, role="interruption")
        story.note(at + 3850, "flush", detail={"heard_ms": 1500})
        story.answered(REPLY)
    return story.appends(TURNS * 6000).finish()


def make_run(folder: Path, events: int) -> int:
    """A run folder of about `events` rows; returns how many there are."""
    write_run(folder, conversation(0, TURNS, REPLY), barging(1))
    pair = pq.read_table(folder / "events.parquet")
    copies = max(1, events // pair.num_rows)
    rng = np.random.default_rng(1)
    number = np.repeat(np.arange(copies), pair.num_rows)
    shift = np.repeat(rng.integers(0, 30_000_000_000, copies), pair.num_rows)
    # Some sessions are answered later, so that no figure is the same for all.
    types = pair["type"].to_numpy(zero_copy_only=False)
    late = np.tile(np.isin(types, ["response.output_audio.delta", "response.done"]), copies)
    shift += late * np.repeat(rng.integers(0, 200_000_000, copies), pair.num_rows)
    columns = {name: pa.chunked_array(pair[name].chunks * copies) for name in EVENTS.names}
    columns["session"] = pc.add(columns["session"], pa.array(2 * number))
    for name in ("at_ns", "read_ns", "due_ns"):
        columns[name] = pc.add(columns[name], pa.array(shift))
    ids = pa.array([f"event_{value:021x}" for value in rng.permutation(len(number))])
    columns["event_id"] = ids
    mine = pa.array(number).cast(pa.string())
    for name in ("item_id", "response_id"):
        words = pc.binary_join_element_wise(columns[name].cast(pa.string()), mine, "-")
        columns[name] = words.dictionary_encode()
    table = pa.table(columns, schema=EVENTS).unify_dictionaries()
    pq.write_table(table, folder / "events.parquet", compression="zstd")
    return len(number)


def make_long_run(folder: Path, events: int, times: int) -> int:
    """A run folder of `times` runs of `make_run`, one after the other; returns its rows."""
    made = make_run(folder, events)
    table = pq.read_table(folder / "events.parquet")
    sessions = int(pc.max(table["session"]).as_py()) + 1
    with pq.ParquetWriter(folder / "events.parquet", EVENTS, compression="zstd") as writer:
        for number in range(times):
            part = table.set_column(0, "session", pc.add(table["session"], number * sessions))
            for name in ("item_id", "response_id"):
                words = pc.binary_join_element_wise(
                    part[name].cast(pa.string()), pa.scalar(str(number)), "+"
                )
                place = part.schema.get_field_index(name)
                part = part.set_column(place, name, words.dictionary_encode())
            writer.write_table(part.cast(EVENTS))
    return made * times


def peak_gib(folder: Path) -> float:
    """The most memory that a process has which analyses a run, in GiB."""
    code = (
        "import sys, pathlib; from bench.analysis.pipeline import analyse; "
        "from tests.memory import peak_kib; "
        "analyse(pathlib.Path(sys.argv[1])); print(peak_kib())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True
    )
    return int(told.stdout) / 2**20


def best_of(times: int, work: Callable[[], object]) -> float:
    """Seconds of the quickest run."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def benchmark(events: int = 1_000_000, times: int = 3) -> list[tuple[str, float, float, bool]]:
    """Rows of (what, measured, bound, holds)."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        made = make_run(folder, events)
        copy = Path(scratch) / "copy.parquet"

        def once() -> None:
            pd.read_parquet(folder / "events.parquet").to_parquet(copy)

        unit = best_of(times, once)
        taken = best_of(times, lambda: analyse(folder))
    ratio = taken / unit
    with tempfile.TemporaryDirectory() as scratch:
        rows = make_long_run(Path(scratch), events, LONG)
        peak = peak_gib(Path(scratch))
    what = f"analysis of {made} events / reading and writing them ({taken:.2f} s / {unit:.2f} s)"
    return [
        (what, ratio, BOUND, ratio <= BOUND),
        (f"memory of the analysis of {rows} events, GiB", peak, MOST_GIB, peak <= MOST_GIB),
    ]
