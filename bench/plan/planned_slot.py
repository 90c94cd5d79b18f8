"""A slot with what its first session says, and the digest by which two plans are told apart."""

import hashlib
import json
from collections.abc import Iterable
from typing import NamedTuple


class PlannedSlot(NamedTuple):
    """A row of `plan.parquet`: see `bench.runs.plan_table`."""

    slot: int
    start_ns: int
    leave_ns: int | None
    script: str
    setting: str
    turns: int
    lines: tuple[str, ...]
    gaps_ns: tuple[int, ...]


def digest_of(rows: Iterable[PlannedSlot], seeds: dict[str, int], corpus_sha256: str) -> str:
    """SHA-256 of a plan. Workers and targets are not in it: they change nothing that is planned."""
    told = hashlib.sha256(json.dumps([seeds, corpus_sha256], sort_keys=True).encode())
    for row in rows:
        told.update(json.dumps(row).encode())
    return told.hexdigest()
