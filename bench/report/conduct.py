"""Whether the server kept to the protocol: breaches of its grammar, leaks, errors, settings.

Theory of operation
-------------------
Everything is found by analysis and only shown here. A check that the folder has no result of is
said to be lacking, never taken for a check that found nothing. Each breached rule has one example
with the events around it; the event that breaks the rule is marked in words and in colour.
"""

from typing import Any, Final

from bench.analysis.errors import PROVOKED_MARK
from bench.protocol.error_codes import BENIGN
from bench.report.honoured import number_of, unhonoured_table, unhonoured_words
from bench.report.panel import Cell, Closeup, Panel, Table
from bench.report.run import Run, listed
from bench.report.words import NOTHING, clip, count, listing, plain

_CHECKS: Final = {
    "violations": "the message grammar",
    "leaks": "leaks between sessions",
    "errors_by_code": "errors",
    "unhonoured": "the settings given",
}
_MOST_ROWS: Final = 40
_MOST_CLOSEUPS: Final = 12
_OPENED: Final = 2


def conduct(run: Run) -> Panel | None:
    """Breaches by rule with an example each, leaks, errors by code, settings not given, quirks."""
    checked = [key for key in _CHECKS if run.summary.get(key) is not None]
    if not checked:
        return None
    violations = sorted(
        listed(run.summary, "violations"), key=lambda entry: -number_of(entry.get("count"))
    )
    tables = (
        _rules(violations),
        _leaks(run),
        _errors(run),
        unhonoured_table(run),
        _quirks(run),
    )
    return Panel(
        "protocol",
        "Did the server keep to the protocol?",
        _answer(run, violations, checked),
        tables=[table for table in tables if table],
        closeups=_closeups(violations),
    )


def _answer(run: Run, violations: list[dict[str, Any]], checked: list[str]) -> str:
    said = []
    if "violations" in checked:
        total = sum(number_of(entry.get("count")) for entry in violations)
        said.append(
            f"No: {count(total, 'breach', 'breaches')} of {count(len(violations), 'rule')}."
            if violations
            else "Yes: no session broke a rule of the message grammar (0 breaches)."
        )
    if "leaks" in checked:
        said.append(_leak_words(listed(run.summary, "leaks")))
    if "unhonoured" in checked:
        said.append(unhonoured_words(run))
    if "errors_by_code" in checked:
        said.append(_error_words(_codes(run)))
    lacking = [what for key, what in _CHECKS.items() if key not in checked]
    if lacking:
        said.append(f"Not checked: {listing(lacking)}.")
    return " ".join(said)


def _leak_words(leaks: list[dict[str, Any]]) -> str:
    if not leaks:
        return "Nothing that one session said came back in another."
    first = leaks[0]
    times = "once" if len(leaks) == 1 else f"{plain(len(leaks), '1')} times"
    return (
        f"What one session said came back in another {times}: "
        f"session {first.get('session')} got words of session {first.get('of_session')}."
    )


def _codes(run: Run) -> dict[str, int]:
    """Errors by code, the most frequent first."""
    codes = run.summary.get("errors_by_code") or {}
    pairs = sorted(((str(code), int(number)) for code, number in codes.items()), key=_frequent)
    return dict(pairs)


def _frequent(pair: tuple[str, int]) -> tuple[int, str]:
    return -pair[1], pair[0]


def _error_words(codes: dict[str, int]) -> str:
    if not codes:
        return "It sent no error."
    kinds_of = {code: _kind(code) for code in codes}
    faults = {code: number for code, number in codes.items() if kinds_of[code] == _FAULT}
    asked = sum(number for code, number in codes.items() if kinds_of[code] == _PROVOKED)
    races = {code: number for code, number in codes.items() if code in BENIGN}
    kinds = f" ({listing(clip(code, 50) for code in list(faults)[:3])})" if faults else ""
    text = f"It sent {count(sum(faults.values()), 'error message')}{kinds}"
    if races:
        text += (
            f" and told of {count(sum(races.values()), 'race')} ({listing(races)}), "
            "which are no failures"
        )
    if asked:
        text += (
            f"; {count(asked, 'message')} that the script made wrong got the error it had to get"
        )
    return f"{text}."


_FAULT: Final = "an error"
_PROVOKED: Final = "provoked: the message was wrong on purpose, and the error is right"


def _kind(code: str) -> str:
    """What an error of this code is."""
    if code in BENIGN:
        return "a race: the reply ended before the cancel came"
    return _PROVOKED if code.endswith(PROVOKED_MARK) else _FAULT


def _rules(violations: list[dict[str, Any]]) -> Table | None:
    if not violations:
        return None
    rows: list[list[Cell]] = [
        [
            _name(entry),
            clip(entry.get("about") or "", 200),
            plain(number_of(entry.get("count")), "1"),
        ]
        for entry in violations
    ]
    shown = {entry.get("rule") for entry in _with_example(violations)}
    return Table(
        "Rules of the protocol that were broken",
        ("rule", "what it says", "times"),
        rows,
        numeric=frozenset({2}),
        links=[
            _anchor(entry) if entry.get("rule") in shown else "protocol" for entry in violations
        ],
    )


def _name(entry: dict[str, Any]) -> str:
    return clip(str(entry.get("rule") or "unnamed").replace("_", " "), 80)


def _anchor(entry: dict[str, Any]) -> str:
    letters = (letter if letter.isalnum() else "-" for letter in str(entry.get("rule") or ""))
    return f"rule-{''.join(letters)}"


def _with_example(violations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in violations if listed(entry, "examples")][:_MOST_CLOSEUPS]


def _closeups(violations: list[dict[str, Any]]) -> list[Closeup]:
    """One example of each broken rule, the most frequent first; a few of them opened."""
    found = []
    for place, entry in enumerate(_with_example(violations)):
        example = listed(entry, "examples")[0]
        found.append(
            Closeup(
                anchor=_anchor(entry),
                title=f"{_name(entry)}: session {example.get('session')} "
                f"at {_at(example)} of the run",
                said=[],
                figure=None,
                events=_around(example),
                text=clip(example.get("text") or "", 400),
                lacking="The summary keeps no events of this example.",
                opened=place < _OPENED,
            )
        )
    return found


def _around(example: dict[str, Any]) -> Table:
    """The events around a breach, the culprit marked."""
    rows: list[list[Cell]] = []
    tones = []
    for event in listed(example, "events"):
        culprit = bool(event.get("culprit"))
        rows.append(
            [
                f"{'▶ ' if culprit else ''}{_at(event)}",
                {"in": "←", "out": "→"}.get(str(event.get("direction")), "·"),
                clip(event.get("type") or "", 90),
                clip(event.get("note") or "", 140) or NOTHING,
                clip(event.get("ids") or "", 120) or NOTHING,
            ]
        )
        tones.append("culprit" if culprit else "")
    return Table(
        "The events around it",
        ("at", "way", "event", "what it carried", "ids"),
        rows,
        numeric=frozenset({0}),
        tones=tones,
        note="▶ marks the event that breaks the rule; ← came from the server, → was sent, "
        "· is a note of the caller.",
    )


def _at(place: dict[str, Any]) -> str:
    at = place.get("at_s")
    return f"{float(at):.3f}\u202fs" if isinstance(at, int | float) else NOTHING


def _leaks(run: Run) -> Table | None:
    leaks = listed(run.summary, "leaks")
    if not leaks:
        return None
    rows = [
        [
            str(leak.get("session")),
            str(leak.get("of_session")),
            _at(leak),
            clip(leak.get("what") or "", 60),
            clip(leak.get("words") or "", 120),
        ]
        for leak in leaks[:_MOST_ROWS]
    ]
    return Table(
        "Words of one session in another",
        ("session", "words of session", "at", "where they came back", "the words"),
        rows,
        numeric=frozenset({0, 1, 2}),
        note=f"The first {_MOST_ROWS} of {plain(len(leaks), '1')}; the rest is in summary.json."
        if len(leaks) > _MOST_ROWS
        else "",
    )


def _errors(run: Run) -> Table | None:
    codes = _codes(run)
    if not codes:
        return None
    rows = [
        [
            clip(code, 80),
            _kind(code),
            plain(number, "1"),
        ]
        for code, number in codes.items()
    ]
    return Table(
        "Error messages by code",
        ("code", "what it is", "times"),
        rows,
        numeric=frozenset({2}),
        note="The metric errors counts neither races nor what was provoked.",
    )


def _quirks(run: Run) -> Table | None:
    """Manners of the target that no rule forbids, where the summary tells of any."""
    rows: list[list[Cell]] = []
    for entry in listed(run.summary, "quirks"):
        name, about = str(entry.get("quirk") or "").replace("_", " "), entry.get("about")
        number = number_of(entry.get("count"))
        if number:
            named = (name, clip(about, 160)) if about else name
            rows.append([named, plain(number), clip(entry.get("example") or "", 120)])
    if not rows:
        return None
    return Table(
        "Quirks: no breach, and worth knowing",
        ("quirk", "times", "the first"),
        rows,
        numeric=frozenset({1}),
    )
