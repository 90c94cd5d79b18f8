"""What the list verbs print, as tables or as JSON."""

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from bench.errors import UsageError
from bench.plan.metrics import METRICS
from bench.protocol.codec import message_table


def _print(rows: list[dict[str, Any]], out: Console, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    cells = [
        ["yes" if v is True else "" if v in {False, None} else str(v) for v in row.values()]
        for row in rows
    ]
    if not out.is_terminal:  # for grep and cut: a line each, however long
        print("\n".join("\t".join(line) for line in cells))
        return
    table = Table()
    for place, name in enumerate(rows[0] if rows else ()):
        table.add_column(name, overflow="fold", no_wrap=place == 0)
    for line in cells:
        table.add_row(*line)
    out.print(table)


def print_messages(out: Console, *, as_json: bool) -> None:
    """type, direction, in_seed, description."""
    _print([msgspec.to_builtins(entry) for entry in message_table()], out, as_json=as_json)


def print_metrics(out: Console, *, as_json: bool) -> None:
    """name, kind, unit, better, from, to, needs, about."""
    rows = [
        {
            "name": metric.name,
            "kind": metric.kind,
            "of": metric.of,
            "unit": metric.unit,
            "better": metric.better,
            "from": metric.start,
            "to": metric.end,
            "needs": metric.needs,
            "about": metric.about,
        }
        for metric in METRICS.values()
    ]
    if out.is_terminal and not as_json:  # nine columns are too many for one
        rows = [{"name": row["name"], "about": _about(row)} for row in rows]
    _print(rows, out, as_json=as_json)


def _about(row: dict[str, str]) -> str:
    """A metric in a sentence or two: what it is, of what, in what, from when to when."""
    unit = "" if row["unit"] in {"1", "ratio"} else f" in {row['unit']}"
    span = f", from {row['from']} to {row['to']}" if row["from"] else ""
    needs = f"; needs {row['needs']}" if row["needs"] else ""
    of = f"{row['kind']} of a {row['of']}"
    return f"{row['about']} ({of}{unit}{span}; {row['better']} is better{needs})"


def print_scenarios(out: Console, *, as_json: bool) -> None:
    """file, script, about of each file in scenarios/."""
    rows = []
    for path in sorted(Path("scenarios").glob("*.toml")):
        try:
            told = tomllib.loads(path.read_text("utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            told = {"about": f"cannot be read: {error}"}
        rows.append(
            {
                "file": str(path),
                "script": "a mixture" if told.get("mixture") else told.get("script"),
                "about": told.get("about", ""),
            }
        )
    if not rows:
        raise UsageError("no scenarios/ here; run bench from a checkout")
    _print(rows, out, as_json=as_json)


def print_corpora(out: Console, *, as_json: bool) -> None:
    """name, folder, utterances, voices, licence, about."""
    from bench.corpus.manifest import corpora, load_corpus  # noqa: PLC0415

    rows = []
    for folder in corpora(Path()).values():
        corpus = load_corpus(folder)
        rows.append(
            {
                "name": corpus.name,
                "folder": str(folder),
                "utterances": len(corpus.entries),
                "voices": len({entry.voice for entry in corpus.entries if entry.voice}),
                "licence": corpus.licence,
                "about": corpus.about,
            }
        )
    _print(rows, out, as_json=as_json)


def print_utterances(name: str, out: Console, *, as_json: bool) -> None:
    """id, voice, onset, offset, duration, tags, text."""
    from bench.corpus.manifest import find_corpus, load_corpus  # noqa: PLC0415

    rows = [
        {
            "id": entry.id,
            "voice": entry.voice,
            "onset_ms": entry.onset_ms,
            "offset_ms": entry.offset_ms,
            "duration_ms": entry.duration_ms,
            "tags": " ".join(entry.tags),
            "text": entry.text,
        }
        for entry in load_corpus(find_corpus(name)).entries
    ]
    _print(rows, out, as_json=as_json)


def add_corpus(source: Path, to: Path, licence: str, out: Console, talk: Console) -> int:
    """Add with a progress bar; returns the exit code: 2 where nothing could be added."""
    from bench.corpus.add import add  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=talk) as progress:
        bar = progress.add_task("annotating", total=None)

        def on_progress(done: int, total: int, _path: Path) -> None:
            progress.update(bar, completed=done, total=total)

        result = add(source, to, licence=licence, on_progress=on_progress)
    for path, reason in result.refused:
        out.print(f"refused  {path}: {reason}", highlight=False, markup=False, soft_wrap=True)
    out.print(f"added    {len(result.added)} utterances to {to}", highlight=False, soft_wrap=True)
    return 0 if result.added else 2
