"""What a probe says: the shortest sentence of a corpus, in whatever script."""

from pathlib import Path

import pytest

from bench.corpus.manifest import Corpus, Entry
from bench.probe.probe_scripts import probe_sentence


def corpus(*texts):
    entries = tuple(
        Entry(
            id=text, file="x", text=text, voice="", rate=24_000, duration_ms=1000 + n, onset_ms=0,
            offset_ms=900, loudness=-20, tags=("plain",), licence="", sha256="",
        )
        for n, text in enumerate(texts)
    )  # fmt: skip
    return Corpus(name="x", folder=Path("x"), licence="", about="", entries=entries, sha256="")


@pytest.mark.parametrize(
    "texts",
    [
        ("Thank you.", "Where is the nearest station?", "What time does the last train leave?"),
        ("谢谢你", "我想订一张去北京的票", "明天早上八点的火车还有票吗"),
    ],
)
def test_the_shortest_sentence_is_said_and_no_mere_phrase(texts):
    assert probe_sentence(corpus(*texts)).text == texts[1]
