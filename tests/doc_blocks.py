"""The parts of the documents that are lists of what the code has: `python -m tests.doc_blocks`.

A block of a page in docs/ stands between two comments, and is written anew from the code:

    <!-- metrics: written by python -m tests.doc_blocks -->
    <!-- end -->

`tests/test_docs.py` fails where a page is not what this would write.
"""

import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path

from typer.main import get_command

from bench.analysis.quirks import _ABOUT as SEEN_QUIRKS
from bench.cli import app
from bench.plan.metrics import INSTANTS, METRICS
from bench.tracker.protocol_rules import RULES
from bench.voice.scripts import SCRIPTS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PROFILE = ROOT / "bench" / "reference" / "default.toml"
_BLOCK = re.compile(
    r"(<!-- (\w+): written by python -m tests\.doc_blocks -->\n).*?(<!-- end -->)", re.DOTALL
)
_KEY = re.compile(r"(?P<key>\w+) = (?P<value>\S+) *# (?P<text>.+)")
_SHARES = re.compile(r"Shares of (?P<of>\w+)")


def table(header, rows):
    """A Markdown table. A pipe in a cell is no border."""
    lines = [header, ["---"] * len(header), *rows]
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def metrics():
    rows = [
        (f"`{one.name}`", one.kind, one.unit, one.better, _span(one), _about(one))
        for one in METRICS.values()
    ]
    return table(("metric", "kind", "unit", "better", "from → to", "what it is"), rows)


def _span(metric):
    return f"`{metric.start}` → `{metric.end}`" if metric.start else ""


def _about(metric):
    return f"{metric.about} Needs a script with: {metric.needs}." if metric.needs else metric.about


def instants():
    return table(
        ("instant", "what it is"), [(f"`{one.name}`", one.about) for one in INSTANTS.values()]
    )


def rules():
    return table(
        ("rule", "what it demands"), [(f"`{one.name}`", one.about) for one in RULES.values()]
    )


def scripts():
    rows = [(f"`{name}`", one.play.__doc__.splitlines()[0]) for name, one in SCRIPTS.items()]
    return table(("script", "what the caller does"), rows)


def seen_quirks():
    return table(
        ("quirk", "what is counted"), [(f"`{name}`", about) for name, about in SEEN_QUIRKS.items()]
    )


def quirks():
    """The two tables of the shipped profile, by its own comments."""
    text = PROFILE.read_text()
    return "\n\n".join(
        f"### `[{name}]`\n\n"
        + table(("key", "share of", "what the server does"), profile(text, name))
        for name in ("quirks", "failures")
    )


def profile(text, name):
    """Every key of a table of the profile: key, what its rate is a share of, comment."""
    rows, of = [], ""
    for line in text.partition(f"\n[{name}]")[2].partition("\n\n")[0].splitlines():
        of = (_SHARES.search(line) or {"of": of})["of"]
        if found := _KEY.fullmatch(line):
            rate = of if "." in found["value"] else ""
            rows.append((f"`{found['key']}`", rate, found["text"]))
    return rows


def rooms():
    """The import layers as a drawing, each room with the first line of its docstring."""
    lines = []
    for layer in layers():
        lines.append("─" * 100)
        lines += [f"{name:<12}{_first_line(f'bench.{name}')}" for name in layer]
    others = [f"* {one['name']}." for one in contracts() if one["type"] != "layers"]
    return "\n".join(["```", *lines[1:], "```", "", *others])


def contracts():
    """The import rules."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return project["tool"]["importlinter"]["contracts"]


def layers():
    """The layers of the import rules, from above: the names of their rooms."""
    (contract,) = [one for one in contracts() if one["type"] == "layers"]
    return [[name.strip().removeprefix("bench.") for name in layer.split("|")]
            for layer in contract["layers"]]  # fmt: skip


def _first_line(module):
    return import_module(module).__doc__.splitlines()[0]


def verbs(command=None, path=()):
    """Every verb of the program, by the words that call it."""
    command = get_command(app) if command is None else command
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from verbs(inner, (*path, name))
    else:
        yield path, command


def commands():
    return "\n\n".join(_command(path, command) for path, command in sorted(verbs()))


def _command(path, command):
    words = " ".join(path)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = " ".join([f"bench {words}", *(_argument(one) for one in arguments)])
    about = " ".join(command.help.split())
    example = command.epilog.removeprefix("Example: ")
    shown = f"```\nusage    {usage} [options]\nexample  {example}\n```"
    parts = [f"## bench {words}", about, shown]
    if rows := [_option(one) for one in options if "--help" not in one.opts]:
        parts.append(table(("option", "default", "meaning"), rows))
    return "\n\n".join(parts)


def _argument(parameter):
    name = parameter.name.upper() + ("…" if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _option(parameter):
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    return names, _default(parameter), parameter.help


def _default(parameter):
    default = parameter.default
    if parameter.required:
        return "required"
    if default is None or default is False or default in ("", [], ()):
        return ""
    return f"`{default}`"


BLOCKS = {
    block.__name__: block
    for block in (commands, instants, metrics, quirks, rooms, rules, scripts, seen_quirks)
}


def filled(text):
    """A page with its blocks as the code has them."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{BLOCKS[found[2]]()}\n\n{found[3]}", text)


def main():
    """Write every page anew; say which have changed."""
    for page in sorted(DOCS.glob("*.md")):
        before = page.read_text()
        after = filled(before)
        if after != before:
            page.write_text(after)
            sys.stdout.write(f"written: {page.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
