# ruff: noqa: INP001, T201  a command that stands alone and says what it does
"""The maker of the corpus `everyday`: its lines in, recordings and manifest out.

    python audio_corpus/make_everyday.py [FOLDER]      (default: audio_corpus/everyday)

Theory of operation
-------------------
Every line is spoken by its voice, part by part where it holds a marked pause, and each part is cut
to the moments where it is louder than the gate. What is then put together is known by
construction: silence, speech, exact pause, speech, silence. The annotation is made afterwards by
the product's own `annotate`, as for anybody's recordings, and compared with what is known; the
maker fails where they are more than 10 ms apart. Noise is added last, so that the truth of a noisy
recording is that of the clean one.

All chance is seeded by the line's id. See README.md beside this file for the synthesisers, which
are no dependency of the product.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
import zlib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from bench.corpus.annotate import Annotation, annotate
from bench.corpus.decode import to_int16
from bench.corpus.manifest import Entry, manifest_text

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

LICENCE = "CC0-1.0"
ABOUT = "Synthetic customer-service calls in American and British English, six voices."
HERE = Path(__file__).resolve().parent

GATE_DBFS = -38.0  # a part of a line starts and ends where it is louder, and stays so
ROOM_DBFS = -84.0  # a real microphone never delivers digital silence; more costs megabytes
LONGEST_GAP_MS = 250  # a longer gap inside speech, unless marked, is cut down to this
PEAK = 10 ** (-3 / 20)
LOUDNESS = {  # RMS of the speech in dBFS: people do not all sit equally close
    "hibari-heart": -20.0,
    "hibari-heart-low": -21.0,
    "flite-slt": -20.0,
    "flite-rms": -22.0,
    "flite-awb": -21.0,
    "espeak-f2": -23.0,
}
Wave = np.ndarray[Any, np.dtype[np.float64]]


# ---- voices: text in, samples and rate out ----


@cache
def _hibari() -> Any:
    from hibari import Hibari  # noqa: PLC0415  loads a network

    return Hibari(threads=1)


def _heart(text: str, pitch: float = 1.0, formants: float = 1.0) -> tuple[Wave, int]:
    """The voice of hibari-tts; or, with factors below 1, a longer and lower throat.

    The network yields spectra of 601 bins of 20 Hz and a pitch per 12.5 ms. Multiplying the pitch
    and stretching the axis of frequency gives another speaker, at full quality.
    """
    from hibari import dsp  # noqa: PLC0415

    voice, parts = _hibari(), []
    rng = np.random.default_rng(zlib.crc32(text.encode()))
    for phonemes in voice.phonemize(text):
        feed = {
            "ids": np.asarray([voice.ids(phonemes)], np.int64),
            "speed": np.asarray([1.0], np.float32),
        }
        harmonic, theta, noise, rest, phi, f0 = (out[0] for out in voice.sess.run(None, feed))
        if formants < 1:
            harmonic = _between_harmonics(harmonic, f0)
            theta = _stretched(_between_harmonics(theta, f0), formants)
            harmonic, noise, rest = (_stretched(s, formants) for s in (harmonic, noise, rest))
        parts.append(dsp.synth(harmonic, theta, noise, rest, phi, f0 * np.float32(pitch), rng))
    wave = np.concatenate(parts).astype(np.float64)
    if formants < 1:  # the longer throat holds next to nothing above 8 kHz
        return soxr.resample(wave, 24_000, 16_000, quality="HQ"), 16_000
    return wave, 24_000


def _between_harmonics(spectrum: Wave, f0: Wave) -> Wave:
    """A spectrum that means something at its pitch's harmonics alone, filled in between them."""
    filled = spectrum.copy()
    bins = np.arange(len(spectrum))
    for frame in np.flatnonzero(f0 > 40):
        harmonics = np.arange(1, int(12_000 / f0[frame])) * f0[frame] / 20
        column = spectrum[:, frame]
        filled[:, frame] = np.interp(bins, harmonics, column[np.rint(harmonics).astype(int)])
    return filled


def _stretched(spectrum: Wave, factor: float) -> Wave:
    """A spectrum with its axis of frequency multiplied by `factor`; nothing above its old top."""
    source = np.arange(len(spectrum)) / factor
    near = np.clip(np.rint(source).astype(int), 0, len(spectrum) - 1)
    return np.where(source[:, None] < len(spectrum), spectrum[near], -12).astype(np.float32)


def _program(*command: str) -> tuple[Wave, int]:
    """What a command-line synthesiser writes to the file that `{}` stands for."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "speech.wav")
        subprocess.run([c.replace("{}", path) for c in command], check=True, capture_output=True)  # noqa: S603  the commands of VOICES, below
        samples, rate = soundfile.read(path, dtype="float64")
    return samples, int(rate)


VOICES = {
    "hibari-heart": _heart,
    "hibari-heart-low": lambda text: _heart(text, pitch=0.55, formants=0.84),
    "flite-slt": lambda text: _program("flite", "-voice", "slt", "-t", text, "-o", "{}"),
    "flite-rms": lambda text: _program("flite", "-voice", "rms", "-t", text, "-o", "{}"),
    "flite-awb": lambda text: _program("flite", "-voice", "awb", "-t", text, "-o", "{}"),
    "espeak-f2": lambda text: _program(
        "espeak-ng", "-v", "en-us+f2", "-s", "140", "-w", "{}", text
    ),
}


# ---- from speech to recording ----


def _levels(wave: Wave, rate: int, window_ms: int = 4) -> Wave:
    """Loudness of consecutive windows, in dBFS."""
    size = rate * window_ms // 1000
    rows = wave[: len(wave) // size * size].reshape(-1, size)
    return 10 * np.log10(np.mean(rows**2, axis=1) + 1e-12)


def _sustained(power: Wave) -> tuple[Wave, Wave]:
    """Loudness in dBFS of the 20 ms that start, and that end, with each window of 4 ms."""
    mean = np.convolve(np.pad(power, 4), np.full(5, 0.2), "valid")
    level = 10 * np.log10(mean + 1e-12)
    return level[4:], level[:-4]


def _at_loudness(wave: Wave, rate: int, dbfs: float) -> Wave:
    """Speech whose louder parts have an RMS of `dbfs`, its peak within bounds."""
    wave = wave - wave.mean()
    levels = _levels(wave, rate)
    power = np.mean(10 ** (levels[levels > levels.max() - 35] / 10))
    wave *= 10 ** (dbfs / 20) / np.sqrt(power)
    return wave * min(1.0, PEAK / np.max(np.abs(wave)))


def _spoken(wave: Wave, rate: int, dbfs: float) -> Wave:
    """Speech at the given loudness, cut where it is quieter than the gate, unmarked gaps short."""
    wave = _at_loudness(wave, rate, dbfs)
    levels = _levels(wave, rate)
    starting, ending = _sustained(10 ** (levels / 10))
    loud = levels > GATE_DBFS
    first = np.flatnonzero(loud & (starting > GATE_DBFS + 2))[0]
    last = np.flatnonzero(loud & (ending > GATE_DBFS + 2))[-1]
    voiced = np.flatnonzero(loud & (np.maximum(starting, ending) > GATE_DBFS + 2))
    voiced = voiced[(voiced >= first) & (voiced <= last)]
    size, limit = rate * 4 // 1000, LONGEST_GAP_MS // 4
    keep = np.zeros(len(wave), bool)
    keep[first * size : (last + 1) * size] = True
    for left, right in pairwise(voiced):
        if right - left > limit:
            keep[(left + limit // 2) * size : (right - limit // 2) * size] = False
    wave = wave[keep]
    ramp = np.sin(np.linspace(0, np.pi / 2, rate * 2 // 1000)) ** 2  # no click at the cut
    wave[: len(ramp)] *= ramp
    wave[-len(ramp) :] *= ramp[::-1]
    return wave


def _speech(line: dict[str, Any]) -> tuple[list[Wave], list[int], int]:
    """The parts of a line, the pauses between them in ms, and the rate."""
    words = line.get("say", line["text"]).split("|")
    speak, dbfs = VOICES[line["voice"]], LOUDNESS[line["voice"]]
    parts, rate = [], 0
    for text in words[::2]:
        raw, rate = speak(text.strip())
        parts.append(_spoken(raw, rate, dbfs))
    if fade := line.get("fade_ms"):
        size = rate * fade // 1000
        parts[0][:size] *= np.sin(np.linspace(0, np.pi / 2, size)) ** 2
    return parts, [int(pause) for pause in words[1::2]], rate


def _pink(rng: np.random.Generator, size: int, rate: int) -> Wave:
    """Noise that falls 3 dB an octave from 50 Hz, with an RMS of 1."""
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hertz = np.fft.rfftfreq(size, 1 / rate)
    spectrum *= np.where(hertz >= 50, 1 / np.sqrt(np.maximum(hertz, 50)), 0)
    noise = np.fft.irfft(spectrum, size)
    return noise / np.sqrt(np.mean(noise**2))


@cache
def _crowd() -> tuple[tuple[Wave, int], ...]:
    """Speech of four voices for the babble; said nowhere else in the corpus."""
    text = (
        "And then we went down to the river, because nobody had told us about the market, "
        "and it was such a nice evening that we stayed until they closed the gates."
    )
    voices = ("flite-slt", "flite-rms", "flite-awb", "hibari-heart")
    return tuple(VOICES[voice](text) for voice in voices)


def _babble(rng: np.random.Generator, size: int, rate: int) -> Wave:
    """Eight people talking at once, none of them to us, with an RMS of 1."""
    noise = np.zeros(size)
    for wave, own in (*_crowd(), *_crowd()):
        voice = soxr.resample(wave, own, rate, quality="HQ")
        voice = np.roll(voice, rng.integers(len(voice))) / np.sqrt(np.mean(voice**2))
        noise += np.resize(voice, size)
    return noise / np.sqrt(np.mean(noise**2))


def _burst(rng: np.random.Generator, rate: int, hold_ms: int, decay_ms: float) -> Wave:
    """A burst of noise through a throat: sudden, then dying away."""
    size = rate * (hold_ms + int(6 * decay_ms)) // 1000
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hertz = np.fft.rfftfreq(size, 1 / rate)
    throat = sum(
        1 / (1 + ((hertz - f) / w) ** 2) for f, w in ((600, 250), (1700, 500), (3200, 900))
    )
    wave = np.fft.irfft(spectrum * throat, size)
    t = np.arange(size) * 1000 / rate
    wave *= np.exp(-np.maximum(t - hold_ms, 0) / decay_ms)
    return wave / np.max(np.abs(wave))


def _cough(rng: np.random.Generator, rate: int, times: int) -> Wave:
    wave = np.zeros(rate * (900 + 450 * times) // 1000)
    for n in range(times):
        burst = 0.5 * 0.8**n * _burst(rng, rate, 30, 45)
        at = rate * (400 + 450 * n) // 1000
        wave[at : at + len(burst)] += burst
    return wave


def _keyboard(rng: np.random.Generator, rate: int) -> Wave:
    wave = np.zeros(rate * 2)
    at = rate // 4
    while at < rate * 7 // 4:
        click = 0.12 * rng.uniform(0.5, 1) * _burst(rng, rate, 1, 3)
        wave[at : at + len(click)] += click
        at += rate * int(rng.integers(90, 260)) // 1000
    return wave


SOUNDS = {
    "cough": lambda rng, rate: _cough(rng, rate, 1),
    "coughs": lambda rng, rate: _cough(rng, rate, 3),
    "pink": lambda rng, rate: 10 ** (-40 / 20) * _pink(rng, rate * 2, rate),
    "keyboard": _keyboard,
    "room": lambda _, rate: np.zeros(rate * 2),
    "silence": lambda _, rate: np.zeros(rate * 2),
}
NOISES = {"pink": _pink, "babble": _babble}


def recording(line: dict[str, Any]) -> tuple[Wave, Wave, int, list[float]]:
    """Clean and final samples of a line, the rate, and the marks in ms known by construction."""
    rng = np.random.default_rng(zlib.crc32(line["id"].encode()))
    if "sound" in line:
        rate = 16_000
        wave = SOUNDS[line["sound"]](rng, rate)
        if line["sound"] != "silence":
            wave = wave + 10 ** (ROOM_DBFS / 20) * rng.standard_normal(len(wave))
        return wave, wave, rate, []
    parts, pauses, rate = _speech(line)
    lead, tail = (int(edge) for edge in rng.integers(100, 251, 2))
    pieces, marks, at = [np.zeros(rate * lead // 1000)], [], float(lead)
    for part, silence in zip(parts, [*pauses, tail], strict=True):
        marks += [at, at + len(part) * 1000 / rate]
        at = marks[-1] + silence
        pieces += [part, np.zeros(rate * silence // 1000)]
    clean = np.concatenate(pieces)
    speech = np.concatenate(parts)
    clean += 10 ** (ROOM_DBFS / 20) * rng.standard_normal(len(clean))
    final = clean
    if "noise" in line:
        level = np.sqrt(np.mean(speech**2)) * 10 ** (-line["snr_db"] / 20)
        final = clean + level * NOISES[line["noise"]](rng, len(clean), rate)
    return clean, final, rate, marks


def _error_ms(found: Annotation, marks: list[float], line: dict[str, Any]) -> float:
    """How far the annotation is from what is known, in ms; raises where speech was mistaken."""
    if not marks:
        if found.onset_ms is not None:
            raise SystemExit(f"{line['id']}: the annotation hears speech where there is none")
        return 0.0
    if found.onset_ms is None or found.offset_ms is None:
        raise SystemExit(f"{line['id']}: the annotation hears no speech")
    gaps = [t for start, end in found.pauses if end - start >= 350 for t in (start, end)]
    heard = [found.onset_ms, *gaps, found.offset_ms]
    if len(heard) != len(marks):
        raise SystemExit(f"{line['id']}: pauses found {found.pauses}, known {marks[1:-1]}")
    start = 1 if "fade_ms" in line else 0  # a swelling onset has no known moment of its own
    return max(abs(h - m) for h, m in zip(heard[start:], marks[start:], strict=True))


def main() -> None:
    """Make the corpus: every recording, then the manifest."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "everyday"
    folder.mkdir(parents=True, exist_ok=True)
    lines = tomllib.loads((HERE / "everyday.lines.toml").read_text())["line"]
    entries, errors = [], []
    for line in lines:
        clean, final, rate, marks = recording(line)
        samples = to_int16(final.astype(np.float32))
        truth = annotate(to_int16(clean.astype(np.float32)), rate)
        errors.append((_error_ms(truth, marks, line), line["id"]))
        path = folder / f"{line['id']}.flac"
        soundfile.write(path, samples, rate, "PCM_16", format="FLAC", compression_level=1.0)
        entries.append(
            Entry(
                id=line["id"],
                file=path.name,
                text=" ".join(line["text"].split("|")[::2]).replace("  ", " "),
                voice=line["voice"],
                rate=rate,
                duration_ms=round(len(samples) * 1000 / rate, 3),
                onset_ms=truth.onset_ms,
                offset_ms=truth.offset_ms,
                pauses_ms=truth.pauses,
                loudness=truth.loudness,
                tags=tuple(line["tags"]),
                snr_db=line.get("snr_db"),
                licence=LICENCE,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
        )
    worst = sorted(errors)[-3:]
    if worst[-1][0] > 10:
        raise SystemExit(f"annotation and construction differ by more than 10 ms: {worst}")
    text = manifest_text(name="everyday", licence=LICENCE, about=ABOUT, entries=entries)
    (folder / "manifest.toml").write_text(text)
    size = sum(path.stat().st_size for path in folder.glob("*.flac"))
    print(f"{len(entries)} recordings, {size / 1e6:.2f} MB; worst annotation errors, ms: {worst}")


if __name__ == "__main__":
    main()
