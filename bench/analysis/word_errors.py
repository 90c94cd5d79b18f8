"""What the server understood: the words of its transcription against the words that were said.

Theory of operation
-------------------
The word error rate is words substituted, deleted and inserted over words said, of the cheapest
alignment (jiwer). Both texts are compared as `text_units` has them: folded, and cut into words, or
into characters where a script has no blanks between words. `unit` says by which a turn was
compared; where a run has both, the pooled figure is of both, and the rate of each stands beside it.

A number in digits may have been said in several ways, and the corpus does not say in which: where
the other text does not write it alike, that is supposed which leaves fewest errors. Where errors
remain, nobody knows whether they are the number's (`unread`).

Only what was spoken is counted, and only where there is something to compare: the corpus has a
text, and there is a transcription or one was owed. It was owed where the server heard the turn, the
session was not cut short, and the server transcribes in this session at all; then every word is
deleted. A turn that was not heard is `missed`, and no error of the recogniser.

Pooled, it is errors of all turns over words of all turns: long turns weigh more, as they should.
Its interval is the bootstrap of whole sessions, and at least as wide as Garwood's exact Poisson
interval of the errors: no error in 100 words is no proof that there are none.
"""

from collections.abc import Sequence
from typing import Any, Final

import jiwer
import numpy as np
import pandas as pd

from bench.analysis.tables import Flags, nullable, texts
from bench.corpus.text_units import Part, by_character, parts, spoken
from bench.stats.bootstrap import draws_of
from bench.stats.interval import CONFIDENCE, Estimate
from bench.stats.proportion import per_attempt
from bench.stats.quantile import RESAMPLES

COUNTS: Final = ("words", "word_errors", "substitutions", "deletions", "insertions")
WORST: Final = 10
"""How many of the worst turns are shown."""
_CUT: Final = ("cut", "dropped", "rejected")
"""Outcomes after which no transcription is owed."""
UNITS: Final = ("word", "character")


def word_errors(turns: pd.DataFrame) -> pd.DataFrame:
    """By turn: `COUNTS`, as Int64, NA where nothing can be compared; `unit`, "" there; `unread`.

    `turns` needs session, role, outcome, text, transcript, speech_onset_ns, speech_started_ns and
    committed_ns.
    """
    texts_said, texts_heard = texts(turns["text"]), texts(turns["transcript"])
    said, heard = texts_said.map(spoken), texts_heard.map(spoken)
    compared = _compared(turns, said, heard)
    found = np.zeros((len(turns), len(COUNTS)), np.int64)
    unread = np.zeros(len(turns), bool)
    known: dict[tuple[str, str], tuple[tuple[int, ...], bool]] = {}
    for place in np.flatnonzero(compared).tolist():
        pair = (texts_said.iloc[place], texts_heard.iloc[place])
        if pair not in known:
            known[pair] = _aligned(*map(parts, pair))
        found[place], unread[place] = known[pair]
    units = {text: UNITS[by_character(text)] for text in said.unique()}
    columns: dict[str, Any] = {
        name: nullable(found[:, column], compared) for column, name in enumerate(COUNTS)
    }
    columns |= {"unit": said.map(units).where(compared, ""), "unread": unread}
    return pd.DataFrame(columns, index=turns.index)


def _compared(turns: pd.DataFrame, said: pd.Series, heard: pd.Series) -> Flags:
    """Which turns have something to compare."""
    asked = (said != "") & turns["speech_onset_ns"].notna() & (turns["role"] != "sound")
    present = heard != ""
    transcribes = present.groupby(turns["session"]).transform("any")
    noticed = turns["speech_started_ns"].notna() | turns["committed_ns"].notna()
    owed = transcribes & noticed & ~turns["outcome"].isin(_CUT)
    return (asked & (present | owed)).to_numpy(bool)


def _aligned(said: Sequence[Part], heard: Sequence[Part]) -> tuple[tuple[int, ...], bool]:
    """`COUNTS` of one pair of texts, and whether numbers may be among the errors.

    `said` has words.
    """
    both = {part.literal for part in said} & {part.literal for part in heard}
    sides = [[_chosen(part, both) for part in side] for side in (said, heard)]
    best = _counted(*sides)
    open_ = [
        (side, place, part)
        for side, text in enumerate((said, heard))
        for place, part in enumerate(text)
        if part.literal not in both
    ]
    for side, place, part in open_:
        for way in part.ways[1:]:
            if not best[1]:
                return best, False
            before, sides[side][place] = sides[side][place], way
            found = _counted(*sides)
            if found[1] < best[1]:
                best = found
            else:
                sides[side][place] = before
    return best, bool(best[1]) and any(part.literal for _, _, part in open_)


def _chosen(part: Part, both: set[str]) -> str:
    """A number that both texts write alike as it is written, else as it is usually said."""
    return part.ways[-1] if part.literal in both else part.ways[0]


def _counted(said: list[str], heard: list[str]) -> tuple[int, ...]:
    found = jiwer.process_words(" ".join(said), " ".join(heard))
    wrong = found.substitutions, found.deletions, found.insertions
    return found.hits + found.substitutions + found.deletions, sum(wrong), *wrong


def pooled(turns: pd.DataFrame) -> Estimate:
    """Wrong words of all words, in %, which may pass 100; n counts words. `turns` has `COUNTS`."""
    known = _known(turns)
    words, wrong = (known[name].to_numpy(np.int64) for name in ("words", "word_errors"))
    exact = per_attempt(int(wrong.sum()), int(words.sum()))
    _, cluster = np.unique(known["session"].to_numpy(), return_inverse=True)
    count = int(cluster.max()) + 1 if len(cluster) else 0
    if count < 2 or exact.low is None or exact.high is None:
        return exact
    draws = draws_of(count, RESAMPLES).astype(np.int64)
    shares = 100 * (draws @ np.bincount(cluster, wrong)) / (draws @ np.bincount(cluster, words))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(shares, (tail, 100 - tail))
    return exact._replace(low=min(exact.low, float(low)), high=max(exact.high, float(high)))


def tally(turns: pd.DataFrame) -> dict[str, Any]:
    """{words, errors, substitutions, deletions, insertions, turns}: totals of turns that count.

    `by_unit` has {words, errors, turns} by unit; `unread` {turns, said, heard}: how many have a
    number that may be among their errors, and the first of them; None: none has.
    """
    known = _known(turns)
    counts = {name: known[name].to_numpy(np.int64) for name in COUNTS}
    totals = {name.removeprefix("word_"): int(column.sum()) for name, column in counts.items()}
    units, by_unit = known["unit"].to_numpy(object), {}
    for unit in sorted(set(units.tolist())):
        mine = units == unit
        sums = {"words": counts["words"][mine], "errors": counts["word_errors"][mine]}
        by_unit[str(unit)] = {
            **{name: int(column.sum()) for name, column in sums.items()},
            "turns": int(mine.sum()),
        }
    return {**totals, "turns": len(known), "by_unit": by_unit, "unread": _unread(known)}


def _unread(known: pd.DataFrame) -> dict[str, Any] | None:
    doubtful = known["unread"].to_numpy(bool)
    if not doubtful.any():
        return None
    first = known[doubtful].head(1)
    said, heard = (str(texts(first[name]).iloc[0]) for name in ("text", "transcript"))
    return {"turns": int(doubtful.sum()), "said": said, "heard": heard}


def worst(turns: pd.DataFrame) -> list[dict[str, Any]]:
    """The turns with the most wrong words: {session, turn, said, heard, errors}."""
    wrong = turns[(turns["word_errors"] > 0).to_numpy(bool, na_value=False)]
    if wrong.empty:
        return []
    order = ["word_errors", "words"]  # as many errors weigh more in fewer words
    shown = wrong.sort_values(order, ascending=[False, True], kind="stable").head(WORST)
    return [
        {
            "session": int(session),
            "turn": int(turn),
            "said": said,
            "heard": heard,
            "errors": int(errors),
        }
        for session, turn, said, heard, errors in zip(
            shown["session"],
            shown["turn"],
            texts(shown["text"]),
            texts(shown["transcript"]),
            shown["word_errors"],
            strict=True,
        )
    ]


def _known(turns: pd.DataFrame) -> pd.DataFrame:
    return turns[turns["words"].notna()]
