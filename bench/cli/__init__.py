"""The command line: the table of verbs, and the way from an error to an exit code.

What is slow to import is behind the function of a verb, which is looked up when it is called. It
takes the verb's options and returns the exit code, None for 0.
"""

import errno
import inspect
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from bench import __version__
from bench.cli import corpus_verbs, verbs
from bench.cli.console import out, say, talk
from bench.cli.streams import unbreakable
from bench.errors import BenchError


class Verb(NamedTuple):
    """`words` of the command line, what it takes, "module:function" of this package, an example."""

    words: str
    options: type
    act: str
    example: str
    parser: type[TyperCommand] | None = None


class ManyAgainst(TyperCommand):
    """A command whose `--against` takes all the words up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread: list[str] = []
        after = False
        for word in args:
            option = word.startswith("-")
            if after and not option and spread[-1] != "--against":
                spread.append("--against")
            spread.append(word)
            # "--against=RUN" too is followed by more of them, and not by candidates.
            after = word.partition("=")[0] == "--against" or (after and not option)
        return super().parse_args(ctx, spread)


VERBS: Final = (
    Verb("run", verbs.RunOptions, "run_scenario:run_verb",
         'demo --gate "p95(first_audio_latency) < 1 s"'),
    Verb("open", verbs.OpenOptions, "newest_report:open_verb", "reports/20261124-120000-demo"),
    Verb("init", verbs.InitOptions, "starter_files:init_verb", "--target inworld"),
    Verb("check", verbs.CheckOptions, "dry_run:check_verb",
         'demo --set caller.gap="1s"'),
    Verb("report", verbs.ReportOptions, "run_result:report_verb",
         "reports/20261124-120000-demo"),
    Verb("judge", verbs.JudgeOptions, "run_result:judge_verb",
         'reports/20261124-120000-demo --gate "share(answered) >= 99 %"'),
    Verb("compare", verbs.CompareOptions, "comparisons:compare_verb",
         "reports/new-1 reports/new-2 --against reports/baselines/demo.json", ManyAgainst),
    Verb("ab", verbs.AbOptions, "ab:ab_verb",
         "demo --pairs 5 --b ws://127.0.0.1:8765/v1/realtime"),
    Verb("capacity", verbs.CapacityOptions, "capacity_search:capacity_verb",
         'capacity --slo "p95(first_audio_latency) < 800 ms"'),
    Verb("plan-capacity", verbs.PlanOptions, "capacity_plan:plan_verb",
         "--calls-per-hour 3000 --blocking 1% --from capacity.json --headroom n+1"),
    Verb("plan from-calls", verbs.FromCallsOptions, "call_plan:from_calls_verb",
         "calls.csv --out trace.csv"),
    Verb("calibrate", verbs.CalibrateOptions, "calibrate:calibrate_verb",
         "--sessions 1,20,100 --json"),
    Verb("probe", verbs.ProbeOptions, "probe:probe_verb",
         "ws://127.0.0.1:8765/v1/realtime --dialect openai"),
    Verb("serve", verbs.ServeOptions, "processes:serve_verb",
         "--port 8765 --truth truth.jsonl"),
    Verb("corpus check", corpus_verbs.CorpusCheckOptions, "inventory:corpus_check_verb",
         "everyday"),
    Verb("corpus list", corpus_verbs.CorpusListOptions, "inventory:corpus_list_verb", "everyday"),
    Verb("corpus add", corpus_verbs.CorpusAddOptions, "corpus_upkeep:add_verb",
         "~/recordings --name support-calls"),
    Verb("corpus remove", corpus_verbs.CorpusRemoveOptions, "corpus_upkeep:remove_verb",
         "support-calls call-017 call-018"),
    Verb("list messages", verbs.ListMessagesOptions, "inventory:messages_verb", "--json"),
    Verb("list metrics", verbs.ListMetricsOptions, "inventory:metrics_verb", ""),
    Verb("list scenarios", verbs.ListScenariosOptions, "inventory:scenarios_verb", ""),
    Verb("history add", verbs.HistoryAddOptions, "run_history:add_verb",
         "reports/20261124-120000-demo"),
    Verb("history show", verbs.HistoryShowOptions, "run_history:show_verb",
         "--scenario demo --branch main"),
    Verb("history export", verbs.HistoryExportOptions, "run_history:export_verb",
         "--format bmf --branch main --out bmf.json"),
    Verb("history merge", verbs.HistoryMergeOptions, "run_history:merge_verb",
         "job-1.sqlite job-2.sqlite"),
    Verb("baseline accept", verbs.BaselineAcceptOptions, "comparisons:accept_verb",
         "reports/20261124-120000-demo --name demo"),
)  # fmt: skip
_GROUPS: Final = {
    "plan": "When calls start: a trace of a call log.",
    "corpus": "Speech corpora: check, add, list, remove.",
    "list": "What there is: scenarios, metrics, messages.",
    "history": "Runs over time: add, show changes, export, merge.",
    "baseline": "Runs that the team has accepted.",
}

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""What a system says where no more can be written."""


_NO_PLACE: Final = {errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES}
"""What it says of a path that leads nowhere, or not for this user."""


def _version(asked: bool) -> None:
    if asked:
        out.print(__version__)
        raise typer.Exit


def _app() -> typer.Typer:
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        help="Load tests, benchmarks and CI gates for realtime voice APIs.",
        epilog="Exit codes: 0 pass, 1 a gate failed, 2 usage, 3 invalid run, 4 inconclusive, "
        "130 interrupted. Example: bench run demo",
    )

    @app.callback()
    def _root(
        version: Annotated[
            bool,
            typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
        ] = False,
    ) -> None:
        pass

    places = {"": app}
    for name, about in _GROUPS.items():
        places[name] = typer.Typer(no_args_is_help=True, help=about)
        app.add_typer(places[name], name=name)
    for verb in VERBS:
        group, _, name = verb.words.rpartition(" ")
        places[group].command(
            name,
            cls=verb.parser,
            help=verb.options.__doc__,
            epilog=f"Example: bench {verb.words} {verb.example}".rstrip(),
        )(_command(verb))
    return app


def _command(verb: Verb) -> Callable[..., int | None]:
    """The function that typer calls: its parameters are the fields of the verb's options."""

    def command(**given: Any) -> int | None:
        module, _, function = verb.act.partition(":")
        act = getattr(import_module(f"bench.cli.{module}"), function)
        values = {name: tuple(one) if isinstance(one, list) else one for name, one in given.items()}
        code: int | None = act(verb.options(**values))
        return code

    hints = get_type_hints(verb.options, include_extras=True)
    command.__annotations__ = {name: _as_list(hint) for name, hint in hints.items()}
    fields = inspect.signature(verb.options).parameters.values()
    command.__signature__ = inspect.Signature([  # type: ignore[attr-defined]
        field.replace(annotation=command.__annotations__[field.name]) for field in fields
    ])  # fmt: skip
    return command


def _as_list(hint: Any) -> Any:
    """The type of an option as typer knows it: of many values it makes a list."""
    kind, *about = get_args(hint)
    if get_origin(kind) is not tuple:
        return hint
    return Annotated[(list[get_args(kind)[0]], *about)]  # type: ignore[misc]


app: Final = _app()


def main() -> None:
    """Run the program; every error it knows of is one line on stderr and an exit code."""
    with unbreakable(_lose_answer):
        code = _code()
    sys.exit(code)


def _code() -> int:
    try:
        code = app(standalone_mode=False)  # the code of a typer.Exit, or what a verb returned
    except BenchError as error:
        _refuse(error)
        return error.exit_code
    except OSError as error:
        return _refuse_file(error)
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:  # noqa: BLE001 - the last resort: what nobody foresaw
        return _fail(error)
    return code if isinstance(code, int) else 0


def _refuse_file(error: OSError) -> int:
    """Say which file the system does not give us, where that is no fault of ours."""
    if error.errno in _NO_PLACE and error.filename is not None:
        _refuse(f"{error.filename}: cannot be used ({error.strerror}); give another path")
        return 2
    if error.errno not in _FULL:
        return _fail(error)
    _refuse(
        f"{error.filename or 'a file'}: cannot be written ({error.strerror}); make room there, "
        "and do it again"
    )
    return 3


def _fail(error: Exception) -> int:
    """Say what the parser refused: an unknown option, a bad value; or that we are at fault."""
    if hasattr(error, "format_message"):
        _refuse(error.format_message())
        return 2
    traceback.print_exc()
    _refuse("this program failed; please report it with what stands above")
    return 3  # never 1: a pipeline reads that as a gate that failed


def _lose_answer(error: Exception) -> None:
    """The answer cannot be written. That its reader has seen enough is nothing to tell."""
    if not isinstance(error, BrokenPipeError):
        _refuse(f"the answer: cannot be written ({getattr(error, 'strerror', None) or error})")


def _refuse(error: object) -> None:
    say(talk, f"bench: {error}", style="bold red")


__all__ = ["app", "main"]
