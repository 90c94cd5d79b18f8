"""What a pipeline is told of a run: GitHub's annotations, and plain lines anywhere else.

Theory of operation
-------------------
`python3 tell.py EXIT_CODE FOLDER LOG fail|warn`, with nothing but the standard library, because it
also speaks where the bench could not be installed. A failed gate is an error, an inconclusive one
an error or a warning as was asked for, a broken rule of validity an error that says that it is safe
to run again; a soft gate that does not hold is a notice, whatever the rest came to. GitHub shows
ten annotations of a kind and step, so the last of them counts the rest.

A workflow command ends at its line and its properties at a comma or colon; what is said may hold
all of these, so they are written as GitHub's own toolkit writes them (actions/toolkit,
packages/core/src/command.ts).
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

MOST = 10
MEANS = {
    1: "a gate failed",
    2: "the request was wrong, nothing was started",
    3: "the runner was unfit, or the target out of reach: safe to run again",
    4: "too few samples to tell",
    130: "interrupted",
}


class Note(NamedTuple):
    """One thing to say: `error`, `warning` or `notice`, what of, and what."""

    level: str
    title: str
    text: str


def notes(code: int, verdict: dict[str, Any] | None, said: str, *, lenient: bool) -> list[Note]:
    """What there is to say of a run that ended with `code`; `said` is the log's last word."""
    if verdict is None or code not in {0, 1, 3, 4}:
        means = MEANS.get(code, "the program failed")
        return [Note("error", f"bench: exit code {code}, {means}", said or "nothing was said")]
    if code == 3:
        found = list(_invalid(verdict))
    else:
        found = list(_gates(verdict, lenient=lenient)) if code else []
        if not found:  # a pass, or a run that measured nothing
            level = "notice" if code == 0 else "warning" if lenient and code == 4 else "error"
            found = [Note(level, f"bench: {verdict['verdict']}", "; ".join(verdict["reasons"]))]
        found += _soft(verdict)
    if len(found) > MOST:
        rest = len(found) - MOST + 1
        more = f"{rest} more like these; the job summary and verdict.json have them all"
        found = [*found[: MOST - 1], Note(found[0].level, "bench: and more", more)]
    return found


def _invalid(verdict: dict[str, Any]) -> Iterator[Note]:
    for check in verdict["validity"]:
        if not check["ok"]:
            text = f"{check['text']}; {check['remedy']}. {MEANS[3]}"
            yield Note("error", f"bench: invalid run, {check['rule']}", text)


def _gates(verdict: dict[str, Any], *, lenient: bool) -> Iterator[Note]:
    """Failed gates, then open ones; of those that decide."""
    deciding = [gate for gate in verdict["gates"] if not gate.get("soft")]
    for gate in deciding:
        if gate["verdict"] == "fail":
            yield Note("error", f"bench: failed, {gate['gate']}", gate["reason"])
    for gate in deciding:
        if gate["verdict"] == "inconclusive":
            level = "warning" if lenient else "error"
            yield Note(level, f"bench: inconclusive, {gate['gate']}", gate["reason"])


def _soft(verdict: dict[str, Any]) -> Iterator[Note]:
    """Gates that only report, where they do not hold."""
    for gate in verdict["gates"]:
        if gate.get("soft") and gate["verdict"] != "pass":
            title = f"bench: {gate['verdict']}, decides nothing, {gate['gate']}"
            yield Note("notice", title, gate["reason"])


def command(note: Note) -> str:
    """A note as a workflow command."""
    return f"::{note.level} title={_property(note.title)}::{_data(note.text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _verdict(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        return None


def _last_word(path: Path) -> str:
    try:
        lines = path.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def main(arguments: list[str]) -> None:
    """Print what there is to say."""
    code, folder, log, inconclusive = arguments
    found = _verdict(Path(folder) / "verdict.json")
    said = notes(int(code), found, _last_word(Path(log)), lenient=inconclusive == "warn")
    github = os.environ.get("GITHUB_ACTIONS") == "true"
    for note in said:
        line = command(note) if github else f"{note.level}: {note.title}: {note.text}"
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
