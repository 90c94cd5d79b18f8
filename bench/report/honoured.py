"""What the target made of the settings asked of it: those it gave otherwise, in a line and a table.

A changed audio format changes what every other figure means, so it is named first. What the target
never said anything about is *not echoed*: it may or may not be honoured, and is listed last.
"""

import json
from typing import Any

from bench.report.panel import Table
from bench.report.run import Run, listed
from bench.report.words import NOTHING, clip, count, listing, plain

_MOST_NAMED = 3


def changed_line(run: Run) -> str:
    """The settings that the target changed, in one line; empty where it changed none."""
    entries = _changed(run)
    if not entries:
        return ""
    named = [
        f"{entry.get('path') or 'a setting'} asked {setting_text(entry.get('asked'))}, "
        f"got {setting_text(entry.get('got'))}"
        for entry in entries[:_MOST_NAMED]
    ]
    rest = len(entries) - len(named)
    more = f"; and {count(rest, 'more setting')}" if rest else ""
    return f"The target changed what was asked: {'; '.join(named)}{more}."


def changes_format(run: Run) -> bool:
    """Whether an audio format is among what the target changed."""
    return any(map(is_format, _changed(run)))


def unhonoured_words(run: Run) -> str:
    """Whether every setting asked for was given, as a sentence."""
    entries = _changed(run)
    if not entries:
        silent = len(_entries(run))
        said = f", and said nothing of {count(silent, 'more', 'more')}" if silent else ""
        return f"No setting was given otherwise than asked{said}."
    names = listing(str(entry.get("path") or "a setting") for entry in entries[:_MOST_NAMED])
    rest = len(entries) - _MOST_NAMED
    more = f" and {rest} more" if rest > 0 else ""
    kind = "setting was" if len(entries) == 1 else "settings were"
    return f"{plain(len(entries), '1')} {kind} not given as asked: {names}{more}."


def unhonoured_table(run: Run) -> Table | None:
    """Path, asked, got and sessions, formats first; None where all was given."""
    entries = _entries(run)
    if not entries:
        return None
    rows = [
        [
            str(entry.get("path") or NOTHING),
            setting_text(entry.get("asked")),
            setting_text(entry.get("got")) if _echoed(entry) else "not echoed",
            plain(number_of(entry.get("sessions")), "1"),
        ]
        for entry in entries
    ]
    return Table(
        "Settings asked for and not given",
        ("setting", "asked", "got", "sessions"),
        rows,
        numeric=frozenset({3}),
        tones=[_tone(entry) for entry in entries],
        note="Every figure of this page is measured with what was got. Not echoed: the target "
        "never said what it has, so nobody knows.",
    )


def _entries(run: Run) -> list[dict[str, Any]]:
    return sorted(
        listed(run.summary, "unhonoured"),
        key=lambda entry: (
            not _echoed(entry),
            not is_format(entry),
            -number_of(entry.get("sessions")),
            str(entry.get("path") or ""),
        ),
    )


def _changed(run: Run) -> list[dict[str, Any]]:
    return [entry for entry in _entries(run) if _echoed(entry)]


def _echoed(entry: dict[str, Any]) -> bool:
    """Whether the target said what it has; it does, unless the entry says otherwise."""
    return entry.get("echoed") is not False


def _tone(entry: dict[str, Any]) -> str:
    if not _echoed(entry):
        return "quiet"
    return "limit" if is_format(entry) else ""


def is_format(entry: dict[str, Any]) -> bool:
    """Whether a setting is an audio format."""
    return "format" in str(entry.get("path") or "")


def number_of(value: Any) -> int:
    """How many; 0 where that is not said."""
    return int(value or 0)


def setting_text(value: Any) -> str:
    """A setting's value as people write it: `audio/pcm 24000`, `semantic_vad low`, `none`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict) and "type" in value:
        rest = [str(part) for key, part in value.items() if key != "type" and part is not None]
        return clip(" ".join([str(value["type"]), *rest]), 60)
    if isinstance(value, dict | list):
        return clip(json.dumps(value, ensure_ascii=False), 60)
    return clip(value, 60)
