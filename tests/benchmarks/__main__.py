"""`make bench`: every benchmark, as ratios measured in one run; exit 1 where a bound is passed."""

import sys

from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    bench_analysis,
    bench_calibration,
    bench_capacity,
    bench_capacity_search,
    bench_decisions,
    bench_load,
    bench_statistics,
)


def main():
    table = Table(title="benchmarks", title_justify="left")
    for name in ("what", "measured", "bound", ""):
        table.add_column(name, justify="right" if name in {"measured", "bound"} else "left")
    rows = [
        *bench_load.benchmark(),
        *bench_capacity.benchmark(),
        *bench_capacity_search.benchmark(),
        *bench_calibration.benchmark(),
        *bench_decisions.benchmark(),
        *bench_analysis.benchmark(),
        *bench_statistics.benchmark(),
    ]
    for what, measured, bound, holds in rows:
        table.add_row(what, f"{measured:.2f}", f"{bound:.2f}", "ok" if holds else "OVER")
    Console(width=110).print(table)
    sys.exit(0 if all(holds for *_, holds in rows) else 1)


if __name__ == "__main__":
    main()
