"""Panel on the protocol: did the server keep to it?

Theory of operation
-------------------
Everything is found by analysis and only shown here. A check that the folder has no result of is
said to be lacking, never taken for a check that found nothing. A setting of which the target never
said what it has is *not echoed*: it may or may not be honoured, and stands last; a changed audio
format changes what every other figure means, and stands first.
"""

from collections.abc import Mapping
from typing import Any, Final

from bench.analysis.counts import PROVOKED_MARK
from bench.protocol.error_codes import BENIGN
from bench.report.panels import Closeup, Question, Table, table_of
from bench.report.run_data import Run, listed
from bench.report.text import NOTHING, clip, count, listing, plain, setting

Entry = dict[str, Any]
_CHECKS: Final = {
    "violations": "the message grammar",
    "leaks": "leaks between sessions",
    "unhonoured": "the settings given",
    "errors_by_code": "errors",
}
_WAYS: Final = {"in": "←", "out": "→"}
_MOST_ROWS: Final = 40
_MOST_CLOSEUPS: Final = 12
_OPENED: Final = 2
_MOST_SETTINGS: Final = 3


def number_of(entry: Mapping[str, Any], key: str = "count") -> int:
    """How many; 0 where that is not said."""
    return int(entry.get(key) or 0)


def times_of(entry: Mapping[str, Any]) -> str:
    """How many times, in words."""
    return plain(number_of(entry), "1")


def _at(place: Mapping[str, Any]) -> str:
    at = place.get("at_s")
    return f"{float(at):.3f}\u202fs" if isinstance(at, int | float) else NOTHING


# ── settings asked for and not given ─────────────────────────────────────────────────────────────


def _mismatches(run: Run) -> list[Entry]:
    return sorted(
        listed(run.summary, "unhonoured"),
        key=lambda entry: (
            entry.get("echoed") is False,
            not _is_format(entry),
            -number_of(entry, "sessions"),
            str(entry.get("path") or ""),
        ),
    )


def _changed(run: Run) -> list[Entry]:
    """The settings of which the target said that it has something else."""
    return [entry for entry in _mismatches(run) if entry.get("echoed") is not False]


def _is_format(entry: Mapping[str, Any]) -> bool:
    return "format" in str(entry.get("path") or "")


def changed_settings(run: Run) -> str:
    """The settings that the target changed, in one line; empty where it changed none."""
    entries = _changed(run)
    if not entries:
        return ""
    named = "; ".join(
        f"{entry.get('path') or 'a setting'} asked {setting(entry.get('asked'))}, "
        f"got {setting(entry.get('got'))}"
        for entry in entries[:_MOST_SETTINGS]
    )
    rest = len(entries) - _MOST_SETTINGS
    more = f"; and {count(rest, 'more setting')}" if rest > 0 else ""
    return f"The target changed what was asked: {named}{more}."


def changed_a_format(run: Run) -> bool:
    """Whether an audio format is among what the target changed."""
    return any(map(_is_format, _changed(run)))


def _settings_words(run: Run) -> str:
    entries = _changed(run)
    if not entries:
        silent = len(_mismatches(run))
        said = f", and said nothing of {plain(silent, '1')} more" if silent else ""
        return f"No setting was given otherwise than asked{said}."
    names = listing(str(entry.get("path") or "a setting") for entry in entries[:_MOST_SETTINGS])
    rest = len(entries) - _MOST_SETTINGS
    more = f" and {rest} more" if rest > 0 else ""
    kind = "setting was" if len(entries) == 1 else "settings were"
    return f"{plain(len(entries), '1')} {kind} not given as asked: {names}{more}."


def _settings_table(run: Run) -> Table | None:
    def tone(entry: Entry) -> str:
        return "quiet" if entry.get("echoed") is False else "limit" if _is_format(entry) else ""

    return table_of(
        "Settings asked for and not given",
        {
            "setting": lambda entry: str(entry.get("path") or NOTHING),
            "asked": lambda entry: setting(entry.get("asked")),
            "got": lambda entry: (
                "not echoed" if entry.get("echoed") is False else setting(entry.get("got"))
            ),
            "sessions": lambda entry: plain(number_of(entry, "sessions"), "1"),
        },
        _mismatches(run),
        numeric=("sessions",),
        tone=tone,
        note="Every figure of this page is measured with what was got. Not echoed: the target "
        "never said what it has, so nobody knows.",
    )


# ── did the server keep to the protocol? ─────────────────────────────────────────────────────────


def _answer(run: Run) -> str:
    words = {
        "violations": _violation_words, "leaks": _leak_words, "unhonoured": _settings_words,
        "errors_by_code": _error_words,
    }  # fmt: skip
    said = [words[key](run) for key in _CHECKS if run.summary.get(key) is not None]
    lacking = [what for key, what in _CHECKS.items() if run.summary.get(key) is None]
    return " ".join([*said, *([f"Not checked: {listing(lacking)}."] if lacking else [])])


def _violations(run: Run) -> list[Entry]:
    """The broken rules, the most frequent first."""
    return sorted(listed(run.summary, "violations"), key=lambda entry: -number_of(entry))


def _violation_words(run: Run) -> str:
    broken = _violations(run)
    total = sum(map(number_of, broken))
    if not broken:
        return "Yes: no session broke a rule of the message grammar (0 breaches)."
    return f"No: {count(total, 'breach', 'breaches')} of {count(len(broken), 'rule')}."


def _leak_words(run: Run) -> str:
    leaks = listed(run.summary, "leaks")
    if not leaks:
        return "Nothing that one session said came back in another."
    times = "once" if len(leaks) == 1 else f"{plain(len(leaks), '1')} times"
    return (
        f"What one session said came back in another {times}: session {leaks[0].get('session')} "
        f"got words of session {leaks[0].get('of_session')}."
    )


_FAULT: Final = "an error"
_PROVOKED: Final = "provoked: the message was wrong on purpose, and the error is right"
_RACE: Final = "a race: the reply ended before the cancel came"


def _codes(run: Run) -> dict[str, tuple[int, str]]:
    """Errors by code, the most frequent first: how many, and what one is."""

    def kind(code: str) -> str:
        if code in BENIGN:
            return _RACE
        return _PROVOKED if code.endswith(PROVOKED_MARK) else _FAULT

    codes = {str(code): int(n) for code, n in (run.summary.get("errors_by_code") or {}).items()}
    ordered = sorted(codes.items(), key=lambda pair: (-pair[1], pair[0]))
    return {code: (number, kind(code)) for code, number in ordered}


def _error_words(run: Run) -> str:
    codes = _codes(run)
    if not codes:
        return "It sent no error."
    named = {kind: [code for code in codes if codes[code][1] == kind] for kind in
             (_FAULT, _RACE, _PROVOKED)}  # fmt: skip
    number = {kind: sum(codes[code][0] for code in mine) for kind, mine in named.items()}
    kinds = listing(clip(code, 50) for code in named[_FAULT][:3])
    text = f"It sent {count(number[_FAULT], 'error message')}{kinds and f' ({kinds})'}"
    if number[_RACE]:
        races = f"{count(number[_RACE], 'race')} ({listing(named[_RACE])})"
        text += f" and told of {races}, which are no failures"
    if number[_PROVOKED]:
        wrong = count(number[_PROVOKED], "message")
        text += f"; {wrong} that the script made wrong got the error it had to get"
    return f"{text}."


def _name(entry: Entry) -> str:
    return clip(str(entry.get("rule") or "unnamed").replace("_", " "), 80)


def _anchor(entry: Entry) -> str:
    letters = (letter if letter.isalnum() else "-" for letter in str(entry.get("rule") or ""))
    return f"rule-{''.join(letters)}"


def _with_example(run: Run) -> list[Entry]:
    return [entry for entry in _violations(run) if listed(entry, "examples")][:_MOST_CLOSEUPS]


def _rules(run: Run) -> Table | None:
    shown = [entry.get("rule") for entry in _with_example(run)]
    return table_of(
        "Rules of the protocol that were broken",
        {
            "rule": _name,
            "what it says": lambda entry: clip(entry.get("about") or "", 200),
            "times": times_of,
        },
        _violations(run),
        numeric=("times",),
        link=lambda entry: _anchor(entry) if entry.get("rule") in shown else "protocol",
    )


def _closeups(run: Run) -> list[Closeup]:
    """One example of each broken rule, the most frequent first; a few of them opened."""
    found = []
    for place, entry in enumerate(_with_example(run)):
        example = listed(entry, "examples")[0]
        around = table_of(
            "The events around it",
            {
                "at": lambda event: f"{'▶ ' if event.get('culprit') else ''}{_at(event)}",
                "way": lambda event: _WAYS.get(str(event.get("direction")), "·"),
                "event": lambda event: clip(event.get("type") or "", 90),
                "what it carried": lambda event: clip(event.get("note") or "", 140) or NOTHING,
                "ids": lambda event: clip(event.get("ids") or "", 120) or NOTHING,
            },
            listed(example, "events"),
            numeric=("at",),
            tone=lambda event: "culprit" if event.get("culprit") else "",
            note="▶ marks the event that breaks the rule; ← came from the server, → was sent, "
            "· is a note of the caller.",
        )
        title = f"{_name(entry)}: session {example.get('session')} at {_at(example)} of the run"
        text = clip(example.get("text") or "", 400)
        lacking = "The summary keeps no events of this example."
        found.append(
            Closeup(_anchor(entry), title, [], None, around, text, lacking, place < _OPENED)
        )
    return found


def _leaks(run: Run) -> Table | None:
    return table_of(
        "Words of one session in another",
        {
            "session": lambda leak: str(leak.get("session")),
            "words of session": lambda leak: str(leak.get("of_session")),
            "at": _at,
            "where they came back": lambda leak: clip(leak.get("what") or "", 60),
            "the words": lambda leak: clip(leak.get("words") or "", 120),
        },
        listed(run.summary, "leaks"),
        numeric=("session", "words of session", "at"),
        first=(_MOST_ROWS, "summary.json"),
    )


def _quirks(run: Run) -> Table | None:
    """What the target does that no rule forbids, where the summary tells of any."""

    def quirk(entry: Entry) -> str | tuple[str, str]:
        name, about = str(entry.get("quirk") or "").replace("_", " "), entry.get("about")
        return (name, clip(about, 160)) if about else name

    return table_of(
        "Quirks: no breach, and worth knowing",
        {
            "quirk": quirk,
            "times": times_of,
            "the first": lambda entry: clip(entry.get("example") or "", 120),
        },
        [entry for entry in listed(run.summary, "quirks") if number_of(entry)],
        numeric=("times",),
    )


def _state(run: Run) -> str:
    found = [run.summary.get(key) for key in ("violations", "leaks")]
    if any(found) or changed_a_format(run):
        return "limit"
    return "doubt" if _changed(run) else "good" if None not in found else ""


PROTOCOL: Final = Question(
    "protocol",
    "Did the server keep to the protocol?",
    says=(_answer,),
    tables=(_rules, _leaks, _settings_table, _quirks),
    closeups=_closeups,
    asked=lambda run: any(run.summary.get(key) is not None for key in _CHECKS),
    state=_state,
)
