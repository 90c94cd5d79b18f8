"""The verbs `list` and `corpus`: what there is, as tables or as JSON."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.cli.console import out, print_json, say, talk
from bench.cli.corpus_verbs import CorpusCheckOptions, CorpusListOptions
from bench.cli.verbs import (
    ListMessagesOptions,
    ListMetricsOptions,
    ListScenariosOptions,
)
from bench.corpus.manifest import corpora, find_corpus, load_corpus
from bench.data_file import DataError, read_toml
from bench.inert_text import inert_text
from bench.plan.metrics import METRICS
from bench.protocol.codec import message_table
from bench.shelves import scenarios


def messages_verb(options: ListMessagesOptions) -> None:
    """type, direction, in_seed, description."""
    rows = [msgspec.to_builtins(entry) for entry in message_table()]
    print_rows(rows, out, as_json=options.as_json)


def metrics_verb(options: ListMetricsOptions) -> None:
    """name, kind, unit, better, from, to, needs, about."""
    print_metrics(out, as_json=options.as_json)


def print_metrics(console: Console, *, as_json: bool) -> None:
    """Every metric; on a terminal in two columns, for nine are too many for one."""
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
    if console.is_terminal and not as_json:
        rows = [{"name": row["name"], "about": _about(row)} for row in rows]
    print_rows(rows, console, as_json=as_json)


def _about(row: dict[str, str]) -> str:
    """A metric in a sentence or two: what it is, of what, in what, from when to when."""
    unit = "" if row["unit"] in {"1", "ratio"} else f" in {row['unit']}"
    span = f", from {row['from']} to {row['to']}" if row["from"] else ""
    needs = f"; needs {row['needs']}" if row["needs"] else ""
    of = f"{row['kind']} of a {row['of']}"
    return f"{row['about']} ({of}{unit}{span}; {row['better']} is better{needs})"


def scenarios_verb(options: ListScenariosOptions) -> None:
    """name, script, about, file of each; a terminal has no room for the file."""
    rows = []
    for name, path in scenarios().items():
        try:
            told = read_toml(path)
        except DataError as error:
            told = {"about": str(error)}
        rows.append(
            {
                "name": name,
                "script": "a mixture" if told.get("mixture") else told.get("script"),
                "about": told.get("about", ""),
                **({} if out.is_terminal and not options.as_json else {"file": str(path)}),
            }
        )
    print_rows(rows, out, as_json=options.as_json)


def corpus_list_verb(options: CorpusListOptions) -> None:
    """Of all corpora name, folder, utterances …; or of one id, voice, onset, offset … text."""
    if options.name is None:
        rows = [
            {
                "name": corpus.name,
                "folder": str(corpus.folder),
                "utterances": len(corpus.entries),
                "voices": len({entry.voice for entry in corpus.entries if entry.voice}),
                "licence": corpus.licence,
                "about": corpus.about,
            }
            for corpus in map(load_corpus, corpora().values())
        ]
    else:
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
            for entry in load_corpus(find_corpus(options.name)).entries
        ]
    print_rows(rows, out, as_json=options.as_json)


def print_rows(rows: Sequence[dict[str, Any]], console: Console, *, as_json: bool) -> None:
    """Rows of the same keys: as JSON, as a table on a terminal, or a line each for grep and cut."""
    if as_json:
        print_json(rows)
        return
    heads = list(rows[0]) if rows else []
    cells = [
        ["yes" if v is True else "" if v in {False, None} else str(v) for v in row.values()]
        for row in rows
    ]
    if not console.is_terminal:
        print("\n".join("\t".join(map(inert_text, line)) for line in [heads, *cells]))
        return
    table = Table()
    for place, name in enumerate(heads):
        table.add_column(name, overflow="fold", no_wrap=place == 0)
    for line in cells:
        table.add_row(*map(Text, line))
    console.print(table)


def corpus_check_verb(options: CorpusCheckOptions) -> int:
    """A line a problem; 2 where there is one."""
    from bench.corpus.check import check  # noqa: PLC0415 - decoders are slow to import

    folder = find_corpus(options.name)
    corpus = load_corpus(folder)
    with talk.status(f"checking {len(corpus.entries)} utterances"):
        problems = check(folder)
    if options.as_json:
        print_json([msgspec.to_builtins(problem) for problem in problems])
    else:
        for problem in problems:
            say(out, f"{problem.file}: {problem.key}: {problem.text}")
        amiss = f"{len(problems)} problems" if problems else "in order"
        say(out, f"{corpus.name}: {len(corpus.entries)} utterances, {amiss}")
    return 2 if problems else 0
