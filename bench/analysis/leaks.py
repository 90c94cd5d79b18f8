"""Whether sessions stay apart: what one session said, or was told, come back in another.

Theory of operation
-------------------
Three things betray a session in another one, and each alone is enough.

*Ids.* An item or a response is announced in its session: by speech_started, committed,
`conversation.item.added`, `response.output_item.added`, `response.created`. An id that one session
was told of, and that another refers to without ever having been told, belongs to the first. Servers
that number from 1 in every session (`item_1`) announce the same ids in many; there that means
nothing. But where ids are otherwise unlike (no more than `NUMBERED` of them are announced twice),
an id that was announced in two sessions is a message that went to both. Ids that a caller gave are
its own, and say nothing of how the server chooses; nor does a session without any announcement.

*Markers.* Words that only one session says (`bench.start`) in any text that another receives, as a
run of whole words. A session that says them itself has a right to them.

*Utterances.* A transcription in which a whole utterance of another session stands (`LEAST` words at
least; two where it is the whole transcription), which that session said before and this one never
did, not even inside of something else. The same in a reply, of an utterance of `LEAST_IN_REPLY`
words at least: an agent may say by itself what is shorter. Only sessions alive at that time can be
its source: in a long run everybody says everything some time.

Texts are compared as `text_units.spoken`: by words, or by characters where a script has no blanks.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from bench.analysis.tables import Flags, Ints, codes, integers, is_type, of_type, texts
from bench.corpus.text_units import spoken, weight
from bench.tracker.event import ALWAYS, NEVER
from bench.tracker.protocol_checker import DELTAS
from bench.tracker.responses import TEXT_DONE, TRANSCRIPT_DONE

LEAST: Final = 3
"""Words that no two people say by chance in the same minute, unless it is all they say."""
LEAST_IN_REPLY: Final = 5
"""Words that no agent says by chance just as another caller did.

Where a script has no blanks, `text_units.weight` says how many words its characters are worth.
"""
NUMBERED: Final = 0.1
_ITEMS: Final = (
    "input_audio_buffer.speech_started", "input_audio_buffer.committed",
    "input_audio_buffer.timeout_triggered", "conversation.item.added", "conversation.item.created",
    "response.output_item.added",
)  # fmt: skip
_TRANSCRIPTIONS: Final = tuple(
    f"conversation.item.input_audio_transcription.{what}"
    for what in ("delta", "completed", "updated")
)
_REPLIES: Final = (*TRANSCRIPT_DONE, *TEXT_DONE)
_ARGUMENTS: Final = "response.function_call_arguments.done"
_OBJECTS: Final = (
    "conversation.item.added", "conversation.item.created", "conversation.item.done",
    "conversation.item.retrieved", "response.output_item.added", "response.output_item.done",
    "response.content_part.added", "response.content_part.done",
)  # fmt: skip
_TEXT_DELTAS: Final = tuple(name for name, kind in DELTAS.items() if kind != "audio")
_OWN: Final = ("session.update", "conversation.item.create", "response.create")


class _Leak(NamedTuple):
    """Something of `of_session` in `session`: `words`, an id or what was said, in `what`."""

    session: int
    of_session: int
    at_ns: int
    what: str
    words: str


class _Text(NamedTuple):
    """A text that a session received, as `spoken`.

    `least`: words of an utterance that is looked for in it; 0: none is.
    """

    session: int
    row: int
    at_ns: int
    what: str
    words: str
    least: int


def leaks(
    events: pd.DataFrame,
    sessions: pd.DataFrame,
    said: pd.DataFrame,
    zero_ns: int,
) -> list[dict[str, Any]]:
    """Every leak once, in order of time: {session, of_session, at_s, what, words}.

    `events` are the run's, with or without its chunks; `said` is everything said or written in it:
    session, text, begin_ns; `zero_ns` is the zero of `at_s`.
    """
    if events.empty:
        return []
    markers = _markers(sessions)
    own = _own(events, said, markers)
    found = [*_ids(events)]
    heard = list(_received(events, everything=bool(markers)))
    marked = list(_foreign_markers(heard, markers, own))
    found += marked
    betrayed = {(one.session, one.of_session, one.at_ns) for one in marked}
    found += [
        one
        for one in _foreign_utterances(heard, sessions, said, own)
        if (one.session, one.of_session, one.at_ns) not in betrayed
    ]
    first: dict[tuple[int, int, str], _Leak] = {}
    for one in sorted(found, key=lambda leak: (leak.at_ns, leak.session)):
        first.setdefault((one.session, one.of_session, one.words), one)
    return [
        {
            "session": one.session,
            "of_session": one.of_session,
            "at_s": (one.at_ns - zero_ns) / 1e9,
            "what": one.what,
            "words": one.words,
        }
        for one in first.values()
    ]


# ── ids ──────────────────────────────────────────────────────────────────────────────────────────


def _ids(events: pd.DataFrame) -> Iterator[_Leak]:
    received = (events["direction"] == "in").to_numpy(bool)
    item, response = codes(events["item_id"]), codes(events["response_id"])
    mentions = _mentions(events, item, received)
    followed = received & events["previous_id"].notna().to_numpy(bool)
    if followed.any():
        mentions = pd.concat([mentions, _followed(events, followed)])
    if _shared(mentions).any():
        told = _mentions(events, item, is_type(events, *_ITEMS))
        created = is_type(events, "conversation.item.create", direction="out")
        mine, words = _mentions(events, item, created), events["item_id"].cat.categories
        yield from _strangers("item", words, mentions, told, mine)
    mentions = _mentions(events, response, received)
    if _shared(mentions).any():
        told = _mentions(events, response, is_type(events, "response.created"))
        words = events["response_id"].cat.categories
        yield from _strangers("response", words, mentions, told, told.iloc[:0])


def _shared(mentions: pd.DataFrame) -> Flags:
    """Which mentions are of ids that several sessions mention."""
    ids = mentions.drop_duplicates(["session", "id"])["id"]
    return mentions["id"].isin(ids[ids.duplicated()]).to_numpy(bool)


def _mentions(events: pd.DataFrame, code: Ints, rows: np.ndarray[Any, Any]) -> pd.DataFrame:
    """Which session first mentions which id when, of some rows."""
    rows = np.flatnonzero(rows & (code >= 0))
    session = events["session"].to_numpy()[rows]
    number, known = pd.factorize(session)
    _, first = np.unique(code[rows] * max(1, len(known)) + number, return_index=True)
    at = events["at_ns"].to_numpy()[rows]
    return pd.DataFrame({"session": session[first], "id": code[rows][first], "at_ns": at[first]})


def _followed(events: pd.DataFrame, rows: Flags) -> pd.DataFrame:
    """Items that messages (`rows`) mention as those which theirs follow."""
    code = np.full(len(events), -1, np.int64)
    known = pd.Index(events["item_id"].cat.categories.astype(object))
    code[rows] = known.get_indexer(pd.Index(texts(events["previous_id"][rows])))
    return _mentions(events, code, rows)


def _strangers(
    kind: str, words: pd.Index, mentions: pd.DataFrame, told: pd.DataFrame, mine: pd.DataFrame
) -> Iterator[_Leak]:
    """Ids in a session that are another's. `told`: announced; `mine`: chosen by the caller."""
    key = ["session", "id"]
    mentions = mentions[_shared(mentions)]
    mentions = mentions.sort_values("at_ns", kind="stable").drop_duplicates(key)
    place = pd.MultiIndex.from_frame(mentions[key])
    mentions = mentions[~place.isin(pd.MultiIndex.from_frame(mine[key]))]
    place = pd.MultiIndex.from_frame(mentions[key])
    announced = place.isin(pd.MultiIndex.from_frame(told[key]))
    theirs = told["id"][
        ~pd.MultiIndex.from_frame(told[key]).isin(pd.MultiIndex.from_frame(mine[key]))
    ]
    numbered = theirs.duplicated().sum() > NUMBERED * theirs.nunique()
    owner = told.sort_values("at_ns", kind="stable").drop_duplicates("id").set_index("id")
    whose = mentions["id"].map(owner["session"])
    foreign = whose.notna() & (whose != mentions["session"])
    foreign &= mentions["session"].isin(told["session"])
    if numbered:
        foreign &= ~announced
    for session, code, at_ns, source in zip(
        mentions["session"][foreign], mentions["id"][foreign], mentions["at_ns"][foreign],
        whose[foreign].astype("int64"), strict=True,
    ):  # fmt: skip
        yield _Leak(int(session), int(source), int(at_ns), f"{kind} id", str(words[code]))


# ── texts ────────────────────────────────────────────────────────────────────────────────────────


def _markers(sessions: pd.DataFrame) -> dict[int, str]:
    """The words that only a session says, by session; sessions without any are left out."""
    said = texts(sessions["marker"]).map(spoken)
    found = zip(sessions.index.tolist(), said.tolist(), strict=True)
    return {session: words for session, words in found if words}


def _own(events: pd.DataFrame, said: pd.DataFrame, markers: dict[int, str]) -> dict[int, str]:
    """All that a session says itself, between blanks and parted by bars."""
    mine: defaultdict[int, list[str]] = defaultdict(list)
    for session, text in zip(said["session"].tolist(), texts(said["text"]), strict=True):
        mine[session].append(spoken(text))
    # Whole payloads: what a script sends by hand is in there somewhere, as a run of words.
    sent = of_type(events, *_OWN, direction="out")
    for session, text in zip(sent["session"].tolist(), texts(sent["detail"]), strict=True):
        mine[session].append(spoken(text))
    for session, words in markers.items():
        mine[session].append(words)
    return {session: f" {' | '.join(dict.fromkeys(all_of))} " for session, all_of in mine.items()}


_OF_TEXTS: Final = ["session", "row", "at_ns", "type", "direction", "item_id", "detail"]


def _received(events: pd.DataFrame, *, everything: bool) -> Iterator[_Text]:
    """Texts received: of transcriptions and replies alone, or of `everything`."""
    known: dict[str, str] = {}

    def said(rows: pd.DataFrame, words: list[str], least: list[int] | int) -> Iterator[_Text]:
        wanted = least if isinstance(least, list) else [least] * len(words)
        items = texts(rows["item_id"]).tolist()
        for session, row, at_ns, kind, item_id, text, mine in zip(
            rows["session"].tolist(), rows["row"].tolist(), rows["at_ns"].tolist(),
            rows["type"].astype(object).tolist(), items, words, wanted, strict=True,
        ):  # fmt: skip
            if not text:
                continue
            if text not in known:
                known[text] = spoken(text)
            yield _Text(session, row, at_ns, f"{kind} of {item_id}", known[text], mine)

    brief = events[_OF_TEXTS]
    rows = of_type(brief, *_TRANSCRIPTIONS)
    yield from said(rows, texts(rows["detail"]).tolist(), LEAST)
    rows = of_type(brief, *_REPLIES)
    yield from said(rows, texts(rows["detail"]).tolist(), LEAST_IN_REPLY)
    rows = of_type(brief, *_OBJECTS)
    found = [_body(text) for text in texts(rows["detail"]).tolist()]
    least = [LEAST * (body.get("role") == "user") for body in found]
    yield from said(rows, [_words(body) for body in found], least)
    if everything:
        rows = of_type(brief, _ARGUMENTS)
        yield from said(rows, texts(rows["detail"]).tolist(), 0)
        rows, words = _streamed(events)
        yield from said(rows, words, 0)


def _streamed(events: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The first delta of every text that was streamed, and the whole text."""
    rows = of_type(events, *_TEXT_DELTAS)
    same = ["session", "type", "response_id", "item_id", "content_index"]
    number = rows.groupby(same, dropna=False, observed=True, sort=False).ngroup().to_numpy()
    whole: defaultdict[int, list[str]] = defaultdict(list)
    for place, text in zip(number.tolist(), texts(rows["detail"]).tolist(), strict=True):
        whole[place].append(text)
    _, first = np.unique(number, return_index=True)
    return rows.take(first), ["".join(whole[place]) for place in range(len(first))]


def _body(text: str) -> dict[str, Any]:
    """An item or a part; empty where the detail is none."""
    try:
        body = msgspec.json.decode(text) if text else None
    except (msgspec.DecodeError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _words(body: dict[str, Any]) -> str:
    """What an item or a part says: its text, a tool's arguments or output."""
    said = (body.get(key) for key in ("text", "arguments", "output"))
    return " ".join(words for words in said if isinstance(words, str) and words)


def _foreign_markers(
    heard: list[_Text], markers: dict[int, str], own: dict[int, str]
) -> Iterator[_Leak]:
    starting: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for session, words in markers.items():
        starting[words.split()[0]].append((session, words))
    firsts = starting.keys()
    for text in heard:
        for first in firsts & text.words.split() if len(firsts) else ():
            for of_session, words in starting[first]:
                if of_session == text.session or not _holds(text.words, words):
                    continue
                if f" {words} " not in own.get(text.session, ""):
                    yield _Leak(text.session, of_session, text.at_ns, text.what, words)


def _foreign_utterances(
    heard: list[_Text],
    sessions: pd.DataFrame,
    said: pd.DataFrame,
    own: dict[int, str],
) -> Iterator[_Leak]:
    sources = _sources(sessions, said)
    starting: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for words in sources:
        if weight(words) >= LEAST:
            starting[tuple(words.split()[:LEAST])].append(words)
    inside: dict[str, list[str]] = {}
    for text in heard:
        if not text.least:
            continue
        if text.words not in inside:
            inside[text.words] = _utterances_in(text.words, starting, sources)
        mine = own.get(text.session, "")
        for words in inside[text.words]:
            two = text.least == LEAST and words == text.words
            if f" {words} " in mine or (weight(words) < text.least and not two):
                continue
            of_session = _source(sources[words], text)
            if of_session is not None:
                yield _Leak(text.session, of_session, text.at_ns, text.what, words)


class _Source(NamedTuple):
    """A session that says something: when, and when the session was alive."""

    said_ns: int
    session: int
    started_ns: int
    ended_ns: int


def _sources(sessions: pd.DataFrame, said: pd.DataFrame) -> dict[str, list[_Source]]:
    """Everything said in the run, as `spoken`: by whom and when, in order of time."""
    started = integers(said["session"].map(sessions["started_ns"]), ALWAYS)
    ended = integers(said["session"].map(sessions["ended_ns"]), NEVER)
    sources: defaultdict[str, list[_Source]] = defaultdict(list)
    of = zip(
        texts(said["text"]).map(spoken), said["begin_ns"].tolist(), said["session"].tolist(),
        started.tolist(), ended.tolist(), strict=True,
    )  # fmt: skip
    for text, *source in sorted(of, key=lambda one: one[1]):
        if text:
            sources[text].append(_Source(*source))
    return dict(sources)


def _utterances_in(
    text: str, starting: dict[tuple[str, ...], list[str]], sources: dict[str, list[_Source]]
) -> list[str]:
    """The utterances that stand in a text as a run of words, or are all of it."""
    words = text.split()
    grams = {tuple(words[place : place + LEAST]) for place in range(len(words) - LEAST + 1)}
    found = [
        one
        for gram in sorted(grams & starting.keys())
        for one in starting[gram]
        if _holds(text, one)
    ]
    if LEAST - 1 <= weight(text) < LEAST and text in sources:
        found.append(text)
    return found


def _source(sources: list[_Source], text: _Text) -> int | None:
    """The other session that said it last, among those alive when the text came."""
    for one in reversed(sources):
        alive = one.started_ns <= text.at_ns <= one.ended_ns
        if one.session != text.session and one.said_ns <= text.at_ns and alive:
            return one.session
    return None


def _holds(text: str, words: str) -> bool:
    return f" {words} " in f" {text} "
