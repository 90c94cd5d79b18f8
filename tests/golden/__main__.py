"""Make golden runs anew, or analyse the stored ones anew; README.md says when that is right."""

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.golden.cases import CASES
from tests.golden.store import (
    EXPECTED,
    GOLDEN,
    analysed,
    differences,
    keep,
    read_expected,
    report,
    write_expected,
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("case", nargs="*", help="default: all of them")
    parser.add_argument(
        "--expected", action="store_true", help="keep the stored runs, and analyse them anew"
    )
    asked = parser.parse_args()
    if unknown := set(asked.case) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    for name in asked.case or CASES:
        with TemporaryDirectory() as place:
            renew(name, Path(place), again=asked.expected)
    for stray in GOLDEN.glob(f"*/{EXPECTED}"):
        if stray.parent.name not in CASES:
            shutil.rmtree(stray.parent)


def renew(name: str, place: Path, *, again: bool) -> None:
    """Make a case anew and say what changed; `again`: the run that is stored is kept."""
    case = GOLDEN / name
    if not again:
        CASES[name](place / name)
        keep(place / name, case)
    found = analysed(case, place / "analysed")
    changed = differences(read_expected(case), found) if (case / EXPECTED).exists() else None
    write_expected(case, found)
    size = sum(path.stat().st_size for path in case.iterdir())
    told = "new" if changed is None else report(name, changed) if changed else "unchanged"
    sys.stdout.write(f"{name}: {len(found.turns['turn'][1])} turns, {size / 1e3:.0f} kB, {told}\n")


if __name__ == "__main__":
    main()
