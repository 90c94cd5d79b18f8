"""What the command line prints of a comparison: the rows that decide, the stages, the verdict."""

from collections.abc import Sequence
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.capacity.loads import load_words
from bench.report.text import (
    NOTHING,
    chance_of,
    change_of,
    detectable_of,
    held,
    lacking,
    quantity,
    signed,
    value_of,
)

COLOURS: Final = {
    "improved": "green", "unchanged": "green", "regressed": "red", "inconclusive": "yellow",
}  # fmt: skip


def print_comparison(found: dict[str, Any], out: Console) -> None:
    """The table, the stages, the remarks and the verdict."""
    sides = found["sides"]
    runs = {name: len(side["runs"]) for name, side in sides.items()}
    out.print(
        f"A {sides['a']['name']} ({_runs(runs['a'])}) against B {sides['b']['name']} "
        f"({_runs(runs['b'])})",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    out.print(_table([row for row in found["rows"] if row["family"]]))
    out.print("sees: the smallest change that would have been called four times in five")
    if found["attribution"]:
        out.print(_stages(found["attribution"]))
    for word in ("regressed", "improved"):
        named = [f"{row['statistic']}({row['metric']})" for row in found["rows"]
                 if row["verdict"] == word and not row["family"]]  # fmt: skip
        if named:
            out.print(
                f"aside  {word} too, and decides nothing: {', '.join(named)}",
                highlight=False, markup=False, soft_wrap=True,
            )  # fmt: skip
    if found["verdict"] != "inconclusive":  # else these are its reasons
        for row in found["rows"]:
            if row["family"] and lacking(row):
                out.print(
                    f"open  {row['statistic']}({row['metric']}): {row['reason']}",
                    highlight=False, markup=False, soft_wrap=True,
                )  # fmt: skip
    for remark in found["remarks"]:
        out.print(f"note  {remark}", highlight=False, markup=False, soft_wrap=True)
    word = found["verdict"]
    out.print(Text(word.upper(), style=f"bold {COLOURS[word]}"), end="  ")
    first, *rest = found["reasons"]
    out.print(first, highlight=False, markup=False, soft_wrap=True)
    for reason in rest:
        out.print(f"  {reason}", highlight=False, markup=False, soft_wrap=True)


def print_capacity_comparison(found: dict[str, Any], out: Console) -> None:
    """Both sides, a row for each tier with its sentence, the remarks and the verdict."""
    sides = found["sides"]
    _say(out, f"A {sides['a']['name']} against B {sides['b']['name']}")
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for name in ("tier", "A", "B", "verdict"):
        table.add_column(name, justify="right" if name in {"A", "B"} else "left", no_wrap=True)
    for row in found["tiers"]:
        verdict = Text(row["verdict"], style=COLOURS[row["verdict"]])
        table.add_row(Text(row["tier"]), *(Text(held(row[s])) for s in ("a", "b")), verdict)
    table.caption = f"in {load_words(found['load'])}, with 95 % intervals"
    out.print(table)
    for remark in found["remarks"]:
        _say(out, f"note  {remark}")
    word = found["verdict"]
    first, *rest = found["reasons"]
    out.print(Text(word.upper(), style=f"bold {COLOURS[word]}"), end="  ")
    _say(out, first)
    for reason in rest:
        _say(out, f"  {reason}")
    told = {f"tier {row['tier']} {row['verdict']}: {row['said']}" for row in found["tiers"]}
    for line in sorted(told - set(found["reasons"])):
        _say(out, f"  {line}")


def _say(out: Console, line: str) -> None:
    out.print(line, highlight=False, markup=False, soft_wrap=True)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("figure", no_wrap=True)
    for name in ("B", "A", "change", "sees"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        change, interval = change_of(row)
        table.add_row(
            f"{row['metric']}\n{row['statistic']}",
            value_of(row, "b"),
            value_of(row, "a"),
            f"{change}\n{interval}",
            detectable_of(row),
            Text(row["verdict"], style=COLOURS[row["verdict"]]) + f"\np {chance_of(row)}",
        )
    return table


def _stages(entries: Sequence[dict[str, Any]]) -> Table:
    title = "where the change is, in means"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=0, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    for name in ("B", "A", "change", "95 % interval", "of all"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in entries:
        known = entry["low"] is not None and entry["high"] is not None
        table.add_row(
            entry["stage"],
            quantity(entry["b"], "ms"),
            quantity(entry["a"], "ms"),
            f"{signed(entry['difference'])} ms",
            f"{signed(entry['low'])} to {signed(entry['high'])}" if known else NOTHING,
            NOTHING if entry["share"] is None else f"{round(entry['share'])} %",
        )
    return table
