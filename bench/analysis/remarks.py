"""What must be known of a run and does not make it invalid: remarks, each a sentence.

A server may leave out what a figure rests on, or send it in a way that has to be put right. The
figure then stands with a remark, or is absent with one: never as if nothing had been.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.evidence import Evidence
from bench.analysis.measure import asked_early
from bench.analysis.samples import turn_waits
from bench.analysis.tables import texts
from bench.analysis.turn_columns import TurnColumns
from bench.plan.metrics import METRICS, WAITS

_SHOWN: Final = 60
"""Characters of a text in a remark."""
_REPAIRED: Final = {
    "odd_deltas": "put together with the next",
    "wav_header": "the header is taken off, and what it says of the audio believed",
    "unread_header": "it is taken off, and the session's word believed: lengths may be wrong",
    "two_channels": "one of them is taken",
    "other_format": "the reply's own word is believed",
    "loose_base64": "read as it was meant",
    "garbage_base64": "taken for empty: their audio is in no figure",
    "float_positions": "rounded",
    "invalid_utf8": "what is no letter is replaced",
    "missing_ids": "they are taken to be of the response that began last",
    "no_session_updated": "when the session was ready is not known, and no figure",
    "updated_as_created": "when the session was ready is not known, and no figure",
    "no_response_created": "figures that begin or end with it are absent",
    "idless_calls": "their turns have no answer",
}
"""Quirks that touch figures, and what was done about each; the others are borne and touch none."""


def remarks(evidence: Evidence, turns: pd.DataFrame) -> list[str]:
    """All of them; `turns` and the sessions of `evidence` are the measured tables."""
    said = [sentence for topic in _TOPICS for sentence in topic(evidence)]
    return [*said, *_still_waiting(turns, evidence.effective.get("load") or {})]


def _still_waiting(turns: pd.DataFrame, load: dict[str, Any]) -> Iterator[str]:
    """Callers whom the run's end cut off after a longer wait than half of those answered had.

    Such turns are in no figure, and the slow answers are among them.
    """
    counted = TurnColumns(turns[turns["measured"].astype(bool)])
    for name in WAITS:
        waited, cut = turn_waits(METRICS[name], counted, waiting=("cut",))
        answered = waited[~cut & np.isfinite(waited)]
        if not len(answered):
            continue
        usual = float(np.median(answered))
        slow = waited[cut & np.isfinite(waited) & (waited > usual)]
        if len(slow):
            yield (
                f"{_turns(len(slow))} still waited for an answer when the run ended, for up to "
                f"{slow.max():.0f} ms, where half of the answers had taken {usual:.0f} ms "
                f"({METRICS[name].label}): they are in no figure, so the slowest answers are "
                f"missing; raise load.drain (it is {load.get('drain', 0) / 1e9:g} s)"
            )
        return


def _excluded(evidence: Evidence) -> Iterator[str]:
    aside = evidence.summary.get("set_aside") or {}
    if aside.get("seconds"):
        spans = ", ".join(
            f"{one['from_s']}–{one['to_s']} s (worker {one['worker']}: {', '.join(one['rules'])})"
            for one in aside["spans"][:3]
        )
        more = "" if len(aside["spans"]) <= 3 else f" and {len(aside['spans']) - 3} more"
        turns = f"{_turns(aside['turns'])} {'is' if aside['turns'] == 1 else 'are'}"
        yield f"{turns} excluded from all figures: the generator was late in {spans}{more}"


def _unstamped(evidence: Evidence) -> Iterator[str]:
    stamps = evidence.summary.get("stamps") or {}
    if stamps.get("reads", 0) > stamps.get("by_kernel", 0):
        share = 100 * (1 - stamps["by_kernel"] / stamps["reads"])
        yield (
            f"the kernel stamped nothing in {share:.0f} % of reads: arrivals there are stamped "
            "before parsing, and their error bars reach back to when the socket was last empty"
        )


def _greetings(evidence: Evidence) -> Iterator[str]:
    """Agents that spoke first, and those that did not although their callers waited for it."""
    told = evidence.summary.get("greetings") or {}
    if unasked := told.get("unasked", {}).get("count"):
        yield (
            f"{unasked} of {told['sessions']} sessions were greeted unasked (first: session "
            f"{told['unasked']['first']}): their callers talked over it, which may have shifted "
            'the first turn; set caller.greeting = "hear" to have it heard out'
        )
    if missing := told.get("missing", {}).get("count"):
        yield (
            f"{missing} of {told['sessions']} sessions waited for a greeting that did not come "
            f"(first: session {told['missing']['first']}) until caller.answer_timeout was over; "
            'set caller.greeting = "ignore" where the agent does not speak first'
        )


def _addresses(evidence: Evidence) -> Iterator[str]:
    addresses = evidence.summary.get("addresses") or {}
    if len(addresses) > 1:
        told = ", ".join(f"{address} ({count})" for address, count in addresses.items())
        yield f"the target has {len(addresses)} addresses, and sessions took them in turn: {told}"


def _proxy(evidence: Evidence) -> Iterator[str]:
    if proxy := (evidence.run.get("target") or {}).get("proxy"):
        yield (
            f"sessions went through the proxy {proxy}: it is in every latency and in every time of "
            "connecting, and what is known of the connection (round trips, segments lost) is known "
            "as far as to the proxy; go round it with NO_PROXY to see the target alone"
        )


def _gauges(evidence: Evidence) -> Iterator[str]:
    """What the metrics URL did not say: no figure of the run rests on it."""
    told = evidence.run.get("gauges") or {}
    if lost := told.get("lost"):
        yield (
            f"the metrics URL did not answer in {lost} of {told['scrapes']} scrapes "
            f"(most often: it {told['why']}): the server's gauges are not known then"
        )
    for gauge, times in (told.get("missing") or {}).items():
        answers = told["scrapes"] - told["lost"]
        yield f"gauge {gauge} was not there in {times} of {answers} answers of the metrics URL"


def _reference(evidence: Evidence) -> Iterator[str]:
    """How late the embedded server was is in its latency, as any target's would be."""
    reference = evidence.run.get("reference") or {}
    late, bound = reference.get("late_p99_ms"), evidence.bounds.server_lateness / 1e6
    if reference and (late is None or late > bound):
        said = f"{late:.1f} ms late at p99" if late is not None else "it did not say how late"
        busy = 100 * (reference.get("cpu_share") or 0.0)
        yield (
            f"the reference server did not keep its own schedule: {said}, at most {bound:g} ms is "
            f"allowed, at {busy:.0f} % of a core; its latency has that in it"
        )
    longest = reference.get("loop_lag_max_ms") or 0.0
    if (stalls := reference.get("stalls")) and longest > bound:
        times = "once" if stalls == 1 else f"{stalls} times"
        yield (
            f"the reference server stood still {times}, for up to {longest:.0f} ms: what was due "
            "just then came so much later, whatever its quantiles say"
        )


def _ended_early(evidence: Evidence) -> Iterator[str]:
    if ended := evidence.run.get("ended_by"):
        yield f"the run ended early: {ended['text']}"
    if reset := evidence.run.get("page_reset"):
        yield (
            f"somebody pressed reset in Locust's page {reset} into the run: the figures of that "
            "page begin anew there, and none of these do"
        )
    looks = evidence.run.get("interim") or {}
    if broken_off := looks.get("broken"):
        yield f"--abort-on-fail: no more checkpoints were taken from some point on: {broken_off}"
    elif looks and not looks["looks"]:
        yield "--abort-on-fail: no checkpoint was taken; the run ended before the first was due"


def _noted(evidence: Evidence) -> Iterator[str]:
    """What was noted before the run began."""
    yield from evidence.run.get("notes") or ()


def _words(evidence: Evidence) -> Iterator[str]:
    return word_remarks(evidence.summary.get("words") or {})


def word_remarks(words: dict[str, Any]) -> Iterator[str]:
    """What must be known of the word error rate; `words` is that of a summary."""
    by_unit, unread = words.get("by_unit") or {}, words.get("unread")
    if "character" in by_unit:
        told = (
            f"{one['errors']} of {one['words']} {unit}s ({100 * one['errors'] / one['words']:.3g} "
            f"%, {_turns(one['turns'])})"
            for unit, one in sorted(by_unit.items())
        )
        yield (
            "word_error_rate: texts in scripts without blanks are compared by characters; wrong "
            f"are {' and '.join(told)}"
        )
    if unread:
        yield (
            f"word_error_rate: in {_turns(unread['turns'])} with "
            "a number in digits no way to say it in English fits, and it may count as an error: "
            f"said {_quoted(unread['said'])}, heard {_quoted(unread['heard'])}; spell numbers in "
            "the corpus as the target does"
        )


def _blind_gates(evidence: Evidence) -> Iterator[str]:
    """The gates that --abort-on-fail could not go by, and what would help."""
    looks, plan = evidence.run.get("interim") or {}, evidence.run.get("plan") or {}
    ended_by = (evidence.run.get("ended_by") or {}).get("gate")
    for gate, (had, needs) in (looks.get("blind") or {}).items():
        if gate == ended_by:
            continue
        window_s = looks["window_s"] * needs / max(had, 0.1)
        measured_s = ((plan.get("measured_to_ns") or 0) - (plan.get("measured_from_ns") or 0)) / 1e9
        helps = (
            f"--abort-window {math.ceil(window_s)}s would hold enough"
            if window_s <= measured_s / 2
            else "a run of this length has no window that holds enough"
        )
        yield (
            f"--abort-on-fail: gate {gate!r} could not end the run early, unless every sample was "
            f"beyond its limit: a window of {looks['window_s']:g} s held at most {had:g} effective "
            f"samples, {needs:g} are needed; {helps}"
        )


def _assumed(evidence: Evidence) -> Iterator[str]:
    """What was assumed in figures or is missing in them."""
    sessions = evidence.sessions
    for way in ("input", "output"):
        mine = sessions[[way in told for told in texts(sessions["assumed"])]]
        if len(mine):
            form = mine[f"{way}_format"].iloc[0]
            yield (
                f"the server never said the {way} format in {_of(mine, sessions)}: what was asked, "
                f"or else usual, is taken to be in force ({form})"
            )
    early = sessions[asked_early(sessions).to_numpy(bool)]
    if len(early):
        yield (
            f"session.created did not come first in {_of(early, sessions)}: session.update was "
            "sent after a wait of the caller's own, so session_ready_time is not known there"
        )
    lost = sessions[sessions["unreached_turns"] > 0]
    if len(lost):
        yield (
            f"{int(lost['unreached_turns'].sum())} planned turns were never reached, in "
            f"{_of(lost, sessions)} that had failed before; they are in no share"
        )


def _repaired(evidence: Evidence) -> Iterator[str]:
    for quirk in evidence.summary["quirks"]:
        if quirk["quirk"] in _REPAIRED:
            yield (
                f"{quirk['count']} {quirk['about']}: {_REPAIRED[quirk['quirk']]} "
                f"(first {quirk['example']})"
            )


_TOPICS: Final[tuple[Callable[[Evidence], Iterator[str]], ...]] = (
    _noted, _excluded, _unstamped, _greetings, _addresses, _proxy, _gauges, _reference,
    _ended_early,
    _words, _blind_gates, _assumed, _repaired,
)  # fmt: skip


def _of(some: pd.DataFrame, all_of_them: pd.DataFrame) -> str:
    """How many sessions of how many, and the first of them."""
    return f"{len(some)} of {len(all_of_them)} sessions (first session {some['session'].iloc[0]})"


def _turns(number: int) -> str:
    return f"{number} turn{'' if number == 1 else 's'}"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
