"""What the server understood: the words of its transcription against the words that were said.

Theory of operation
-------------------
The word error rate is words substituted, deleted and inserted over words said, of the cheapest
alignment (jiwer). Both texts are compared as `spoken`: lower case, every punctuation mark a blank,
apostrophes inside words kept, one blank between words. Numbers in digits and in letters differ: a
corpus should spell them as the server does.

Only what was spoken is counted, and only where there is something to compare: the corpus has a
text, and there is a transcription or one was owed. It was owed where the server heard the turn, the
session was not cut short, and the server transcribes in this session at all; then every word is
deleted. A turn that was not heard is `missed`, and no error of the recogniser.

Pooled, it is errors of all turns over words of all turns: long turns weigh more, as they should.
Its interval is the bootstrap of whole sessions, and at least as wide as Garwood's exact Poisson
interval of the errors: no error in 100 words is no proof that there are none.
"""

import re
from typing import Any, Final

import jiwer
import numpy as np
import pandas as pd

from bench.analysis.bootstrap import draws_of
from bench.analysis.quantile import CONFIDENCE, RESAMPLES, Estimate, per_attempt
from bench.analysis.tables import Flags, nullable, texts

COUNTS: Final = ("words", "word_errors", "substitutions", "deletions", "insertions")
WORST: Final = 10
"""How many of the worst turns are shown."""
_CUT: Final = ("cut", "dropped", "rejected")
"""Outcomes after which no transcription is owed."""
_MARKS: Final = re.compile(r"[^\w']+|_")
_LOOSE: Final = re.compile(r"(?<!\w)'+|'+(?!\w)")


def spoken(text: str) -> str:
    """A text as it is compared: see above. "Don't --stop, ROVER!" is "don't stop rover"."""
    marked = _MARKS.sub(" ", text.lower().replace("’", "'"))
    return " ".join(_LOOSE.sub(" ", marked).split())


def word_errors(turns: pd.DataFrame) -> pd.DataFrame:
    """By turn: `COUNTS`, as Int64; NA where nothing can be compared.

    `turns` needs session, role, outcome, text, transcript, speech_onset_ns, speech_started_ns and
    committed_ns.
    """
    said, heard = texts(turns["text"]).map(spoken), texts(turns["transcript"]).map(spoken)
    compared = _compared(turns, said, heard)
    found = np.zeros((len(turns), len(COUNTS)), np.int64)
    known: dict[tuple[str, str], tuple[int, ...]] = {}
    for place in np.flatnonzero(compared).tolist():
        pair = (said.iloc[place], heard.iloc[place])
        if pair not in known:
            known[pair] = _aligned(*pair)
        found[place] = known[pair]
    return pd.DataFrame(
        {name: nullable(found[:, column], compared) for column, name in enumerate(COUNTS)},
        index=turns.index,
    )


def _compared(turns: pd.DataFrame, said: pd.Series, heard: pd.Series) -> Flags:
    """Which turns have something to compare."""
    asked = (said != "") & turns["speech_onset_ns"].notna() & (turns["role"] != "sound")
    present = heard != ""
    transcribes = present.groupby(turns["session"]).transform("any")
    noticed = turns["speech_started_ns"].notna() | turns["committed_ns"].notna()
    owed = transcribes & noticed & ~turns["outcome"].isin(_CUT)
    return (asked & (present | owed)).to_numpy(bool)


def _aligned(said: str, heard: str) -> tuple[int, ...]:
    """`COUNTS` of one pair of texts; `said` has words."""
    found = jiwer.process_words(said, heard)
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


def tally(turns: pd.DataFrame) -> dict[str, int]:
    """{words, errors, substitutions, deletions, insertions, turns}: totals of turns that count."""
    known = _known(turns)
    totals = {name.removeprefix("word_"): int(known[name].sum()) for name in COUNTS}
    return {**totals, "turns": len(known)}


def worst(turns: pd.DataFrame) -> list[dict[str, Any]]:
    """The turns with the most wrong words: {session, turn, said, heard, errors}."""
    wrong = _known(turns)
    wrong = wrong[wrong["word_errors"] > 0]
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
