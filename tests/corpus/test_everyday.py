import tomllib
from pathlib import Path

import numpy as np
import pytest

from bench.corpus.check import check
from bench.corpus.decode import load_utterances
from bench.corpus.energy import dbfs, envelope
from bench.corpus.manifest import MANIFEST, manifest_text
from bench.corpus.sample_codec import decode
from bench.voice.audio import PCM16_24K

LINES = {
    line["id"]: line
    for line in tomllib.loads(
        (Path(__file__).resolve().parents[2] / "audio_corpus" / "everyday.lines.toml").read_text()
    )["line"]
}
NOT_CLEAN = {"noise", "soft"}


@pytest.fixture(scope="module")
def utterances(everyday):
    return load_utterances(everyday, everyday.entries, PCM16_24K)


@pytest.fixture(scope="module")
def clean(utterances):
    return [u for u in utterances if u.onset_ns is not None and not u.tags & NOT_CLEAN]


def levels_20ms(audio: bytes, shift: int) -> np.ndarray:
    samples = decode(audio, "audio/pcm")[shift:].astype(float) / 32_768
    windows = samples[: len(samples) // 480 * 480].reshape(-1, 480)
    power = np.var(windows, axis=1)
    return 10 * np.log10(power + 1e-12)


def test_it_is_at_most_six_megabytes(everyday):
    assert sum(path.stat().st_size for path in everyday.folder.glob("*.flac")) <= 6_000_000


def test_it_has_enough_of_every_kind(everyday):
    tags = [tag for entry in everyday.entries for tag in entry.tags]
    least = {"reply": 12, "short": 8, "long": 5, "pause": 5, "digits": 5, "interruption": 5}
    least |= {"noise": 6, "soft": 4, "nonspeech": 5, "plain": 15, "backchannel": 3}
    assert {tag: tags.count(tag) >= n for tag, n in least.items()} == dict.fromkeys(least, True)
    assert set(tags) == set(least)
    assert len(everyday.entries) >= 60


def test_at_least_four_voices_call_and_the_agents_voice_is_none_of_them(everyday):
    agents = {entry.voice for entry in everyday.entries if "reply" in entry.tags}
    callers = {e.voice for e in everyday.entries if "reply" not in e.tags and e.text}
    assert len(callers) >= 4
    assert not agents & callers


def test_every_recording_is_the_one_that_was_annotated(utterances, everyday):
    assert len(utterances) == len(everyday.entries)


def test_one_recording_of_every_kind_and_voice_passes_the_check(everyday, tmp_path):
    picked = {}
    for entry in everyday.entries:
        picked.setdefault((entry.tags, entry.voice if "plain" in entry.tags else ""), entry)
    for entry in picked.values():
        (tmp_path / entry.file).symlink_to(everyday.folder / entry.file)
    text = manifest_text(name="few", licence="", about="", entries=picked.values())
    (tmp_path / MANIFEST).write_text(text)
    assert len(picked) >= 14
    assert check(tmp_path) == []


def test_it_holds_what_its_lines_say(everyday):
    assert [entry.id for entry in everyday.entries] == list(LINES)
    for entry in everyday.entries:
        line = LINES[entry.id]
        assert (entry.voice, list(entry.tags)) == (line["voice"], line["tags"])
        assert entry.snr_db == line.get("snr_db")
        assert entry.text.split() == " ".join(line["text"].split("|")[::2]).split()


def test_every_pause_is_as_long_as_it_was_made(everyday):
    paused = [entry for entry in everyday.entries if "pause" in entry.tags]
    for entry in paused:
        made = [int(ms) for ms in LINES[entry.id]["text"].split("|")[1::2]]
        found = [end - start for start, end in entry.pauses_ms if end - start >= 350]
        assert len(found) == len(made)
        assert all(abs(f - m) <= 10 for f, m in zip(found, made, strict=True))
        assert all(400 <= m <= 1200 for m in made)


def test_only_marked_pauses_are_long_enough_to_end_a_turn(clean):
    for spoken in clean:
        if "pause" in spoken.tags:
            continue
        for threshold in (-50, -45, -40):
            loud = np.flatnonzero(levels_20ms(spoken.audio, 0) >= threshold)
            assert (np.max(np.diff(loud), initial=1) - 1) * 20 <= 350, spoken.id


@pytest.mark.parametrize("threshold", [-55, -50, -45, -40])
@pytest.mark.parametrize("shift", [0, 120, 240, 360])
def test_energy_in_20_ms_windows_finds_clean_speech_to_20_ms(clean, threshold, shift):
    for spoken in clean:
        loud = np.flatnonzero(levels_20ms(spoken.audio, shift) >= threshold)
        onset_ms = (loud[0] * 480 + shift) / 24
        offset_ms = (loud[-1] * 480 + 480 + shift) / 24
        assert abs(onset_ms - spoken.onset_ns / 1e6) <= 20, spoken.id
        assert abs(offset_ms - spoken.offset_ns / 1e6) <= 20, spoken.id


def test_clean_speech_stands_between_near_silence_and_clipping(clean):
    for spoken in clean:
        env = envelope(decode(spoken.audio, "audio/pcm"), 24_000)
        first, last = spoken.onset_ns // 10_000_000, spoken.offset_ns // 10_000_000
        assert 90e6 <= spoken.onset_ns <= 260e6
        assert all(dbfs(code) < -60 for code in env[: first - 1] + env[last + 2 : -1]), spoken.id
        assert -32 < dbfs(max(env)) < -3, spoken.id


def test_long_is_over_six_seconds_and_short_under_two(clean):
    for spoken in clean:
        seconds = (spoken.offset_ns - spoken.onset_ns) / 1e9
        assert seconds > 6 or "long" not in spoken.tags
        assert seconds < 2 or "short" not in spoken.tags
        assert 1.5 < seconds < 8 or "reply" not in spoken.tags


def test_noise_is_added_at_two_stated_ratios(everyday, utterances):
    noisy = {e.id: e for e in everyday.entries if "noise" in e.tags}
    assert {e.snr_db for e in noisy.values()} == {10, 20}
    for spoken in (u for u in utterances if u.id in noisy):
        entry = noisy[spoken.id]
        samples = decode(spoken.audio, "audio/pcm").astype(float) / 32_768
        first, last = (int(t * 24) for t in (entry.onset_ms, entry.offset_ms))
        noise = np.concatenate((samples[:first], samples[last:]))
        ratio = entry.loudness - 10 * np.log10(np.mean(noise**2))
        assert abs(ratio - entry.snr_db) < 4, spoken.id  # a short stretch of noise, as it falls
