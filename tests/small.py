"""A run that is over soon: a corpus of short steady voices, and a scenario that plays it.

A turn takes two seconds and not eight. The scenario's health bounds are wide enough for a machine
that others use too: what its tests ask is what happened, and not how fast.
"""

import hashlib
import json

import numpy as np
import soundfile

from bench.corpus.manifest import Entry, manifest_text
from tests.world import voice

SCENARIO = """
script = "{script}"
corpus = "{corpus}"
turns  = {turns}
[session]
turn_detection = {{ type = "server_vad", silence_duration_ms = 300 }}
[caller]
gap     = "100ms"
hear    = "600ms"
[load]
{load}
warmup   = "{warmup}"
duration = "{duration}"
drain    = "2s"
[health]
send_lateness = "2s"
client_lag    = "2s"
hub_lag       = "2s"
server_lateness = "2s"
cpu           = 100
steal         = 100
run_wait      = 100
neighbours    = 100
throttled     = 100
sessions      = 20
[gates]
ci = {gates}
"""


def write_corpus(folder):
    """The corpus, in a folder that is made."""
    folder.mkdir()
    said = [voice(f"line-{n}", 100, 400 + 50 * n, 100, pitch=110 + 5 * n) for n in range(4)]
    said += [voice(f"stop-{n}", 60, 300, 60, pitch=150, tags=("interruption",)) for n in range(2)]
    said += [voice(f"reply-{n}", 20, 1000, 20, pitch=200, tags=("reply",)) for n in range(2)]
    entries = []
    for one in said:
        path = folder / f"{one.id}.flac"
        soundfile.write(path, np.frombuffer(one.audio, "<i2"), one.format.rate, subtype="PCM_16")
        entries.append(
            Entry(
                id=one.id, file=path.name, text=one.text, voice="steady", rate=one.format.rate,
                duration_ms=one.duration_ns / 1e6, onset_ms=one.onset_ns / 1e6,
                offset_ms=one.offset_ns / 1e6, loudness=-15.0, tags=tuple(one.tags or ("plain",)),
                licence="CC0-1.0", sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
        )  # fmt: skip
    text = manifest_text(name="steady", licence="CC0-1.0", about="for tests", entries=entries)
    (folder / "manifest.toml").write_text(text)
    return folder


def write_scenario(
    path, corpus, *, script="turn_taking", sessions=4, turns=2, warmup="1s", duration="3s",
    load="", gates=(),
):  # fmt: skip
    """The scenario, as TOML; `load` in place of `sessions` says how callers arrive."""
    path.write_text(
        SCENARIO.format(
            script=script, corpus=corpus, turns=turns, warmup=warmup, duration=duration,
            load=load or f"sessions = {sessions}", gates=json.dumps(list(gates)),
        )
    )  # fmt: skip
    return path


def drawn(folder, name):
    """How often the server says that it did this: the truth."""
    lines = map(json.loads, (folder / "truth.jsonl").read_text().splitlines())
    draws = [draw for line in lines for draw in line.get("draws", ())]
    return sum(draw[2] for draw in draws if draw[0] == name)
