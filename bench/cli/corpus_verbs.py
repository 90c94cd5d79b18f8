"""What each verb of `bench corpus` takes, as `bench.cli.verbs` has it of all others."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from bench.cli import options as opt


class CorpusCheckOptions(NamedTuple):
    """Verify hashes and annotations; exit 2 where something is amiss."""

    name: Annotated[str, typer.Argument(help="A corpus, by name or folder.")] = "everyday"
    as_json: opt.Json = False


class CorpusListOptions(NamedTuple):
    """Show the corpora, or the utterances of one."""

    name: Annotated[str | None, typer.Argument(help="A corpus; none: all of them.")] = None
    as_json: opt.Json = False


class CorpusAddOptions(NamedTuple):
    """Turn recordings into a corpus, and say of each what was done, assumed or refused.

    Exit 2 where nothing could be added.
    """

    folder: Annotated[Path, typer.Argument(help="A folder of recordings, with transcripts if any.")]
    name: Annotated[str | None, typer.Option(help="The corpus; default: the folder's name.")] = None
    licence: Annotated[str, typer.Option(help="Whose they are.")] = "private"
    to: Annotated[Path, typer.Option(help="The shelf to put it on.")] = Path("audio_corpus")
    channel: Annotated[
        str, typer.Option(help="Of several: left, right, mix, or split (one speaker each).")
    ] = ""
    trim: Annotated[
        bool, typer.Option("--trim", help="Cut silence off, up to 0.2 s from the speech.")
    ] = False
    split: Annotated[
        bool, typer.Option("--split", help="Cut calls into utterances where 0.7 s are silent.")
    ] = False
    language: Annotated[str, typer.Option(help="What is spoken, as in de or pt-BR.")] = ""
    encoding: Annotated[str, typer.Option(help="Of transcripts, where it is not certain.")] = ""
    as_json: opt.Json = False


class CorpusRemoveOptions(NamedTuple):
    """Remove utterances from a corpus, or a whole corpus with --yes."""

    name: Annotated[str, typer.Argument(help="A corpus, by name or folder.")]
    ids: Annotated[
        tuple[str, ...], typer.Argument(help="Utterances to remove; none: the whole corpus.")
    ] = ()
    yes: Annotated[bool, typer.Option("--yes", help="Remove the whole corpus.")] = False
