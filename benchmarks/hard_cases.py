"""What goes wrong in practice, made from the recordings of LONGFORM_MEDIA: the same each time.

Joined recordings, noise, music under speech, long silences, telephone bandwidth, languages in
turn, and files in which nothing is said.
"""

import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.corpus import Recording, Utterance, decode, joined, utterances
from longform.audio import SAMPLE_RATE_HZ, Pcm

_SEED = 20_260  # of the noises
_FULL_SCALE = 32_767
_SNR_DB = 10.0  # of speech over noise, and over music
_ROOM_LEVEL = 10 ** (-60 / 20)  # noise of a quiet room, rms of full scale
_NOISE_LEVEL = 10 ** (-25 / 20)

Signal = npt.NDArray[np.float64]  # full scale is 1


@dataclass(frozen=True)
class _Case:
    language: str | None
    make: Callable[["_Shelf"], tuple[Signal, str]]


class _Shelf:
    """The recordings by the stem of their names, decoded when they are asked for."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = {recording.path.stem: recording for recording in recordings}

    def take(self, stem: str) -> tuple[Signal, str]:
        """Return a whole recording and its reference."""
        recording = self._recordings[stem]
        return _signal(decode(recording.path)), recording.reference

    def cut(self, stem: str, first: int, last: int) -> tuple[Signal, str]:
        """Return some of its utterances, with half a second between them, and their reference."""
        parts: list[Utterance] = utterances(self._recordings[stem])[first:last]
        pause = np.zeros(SAMPLE_RATE_HZ // 2)
        signals = [each for part in parts for each in (_signal(part.pcm), pause)]
        return np.concatenate(signals), joined(parts)


def _joined(shelf: _Shelf) -> tuple[Signal, str]:
    stems = ("jfk", "two_cities", "sonnet3", "osr_list72_8k", "harvard_list30_8k")
    return _one_after_another([shelf.take(stem) for stem in (*stems, "cold_corpus_24bit")])


def _noisy(stem: str) -> Callable[[_Shelf], tuple[Signal, str]]:
    def make(shelf: _Shelf) -> tuple[Signal, str]:
        speech, reference = shelf.take(stem)
        return _mix(speech, _pink(len(speech))), reference

    return make


def _with_music(shelf: _Shelf) -> tuple[Signal, str]:
    speech, reference = _one_after_another([shelf.take("jfk"), shelf.take("two_cities")])
    music, _ = shelf.take("music_morning_coffee")
    return _mix(speech, np.resize(music, len(speech))), reference


def _with_long_silences(shelf: _Shelf) -> tuple[Signal, str]:
    return _one_after_another(
        [
            (np.zeros(20 * SAMPLE_RATE_HZ), ""),
            shelf.take("jfk"),
            (_ROOM_LEVEL * _white(60), ""),
            shelf.take("osr_list72_8k"),
            (np.zeros(90 * SAMPLE_RATE_HZ), ""),
            shelf.take("sonnet1_head"),
            (_ROOM_LEVEL * _white(45), ""),
            shelf.take("cold_corpus_24bit"),
        ]
    )


def _telephone(shelf: _Shelf) -> tuple[Signal, str]:
    speech, reference = shelf.take("lj_printing")
    spectrum = np.fft.rfft(speech)
    hertz = np.fft.rfftfreq(len(speech), 1 / SAMPLE_RATE_HZ)
    spectrum[(hertz < 300) | (hertz > 3_400)] = 0
    narrow = np.fft.irfft(spectrum, len(speech))
    mu = 255  # G.711: 8 bits on a logarithmic scale
    small = np.sign(narrow) * np.log1p(mu * np.abs(np.clip(narrow, -1, 1))) / np.log1p(mu)
    coarse = np.round(small * 127) / 127
    return np.sign(coarse) * np.expm1(np.abs(coarse) * np.log1p(mu)) / mu, reference


def _three_languages(shelf: _Shelf) -> tuple[Signal, str]:
    """English, Italian and French in turn, from 8 s to a minute each."""
    return _one_after_another(
        [
            shelf.take("jfk"),
            shelf.cut("ivr_it_mulaw", 0, 8),
            shelf.cut("fleurs_fr", 0, 3),
            shelf.cut("lj_printing", 0, 4),
            shelf.cut("fleurs_fr", 3, 4),
            shelf.cut("ivr_it_mulaw", 8, 12),
            shelf.cut("lj_printing", 4, 8),
        ]
    )


def _ringing(shelf: _Shelf) -> tuple[Signal, str]:
    """A telephone that rings: 440 and 480 Hz, two seconds in six."""
    seconds = np.arange(60 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tones = np.sin(2 * np.pi * 440 * seconds) + np.sin(2 * np.pi * 480 * seconds)
    return 0.1 * tones * (seconds % 6 < 2), ""


def _hum(shelf: _Shelf) -> tuple[Signal, str]:
    seconds = np.arange(60 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tones = [np.sin(2 * np.pi * 50 * n * seconds) / n for n in range(1, 8)]
    return 0.03 * np.sum(tones, axis=0) + _ROOM_LEVEL * _white(60), ""


_CASES = {
    "joined_en": _Case("en", _joined),
    "noise_10db_en": _Case("en", _noisy("two_cities")),
    "noise_10db_fr": _Case("fr", _noisy("fleurs_fr")),
    "music_10db_en": _Case("en", _with_music),
    "silences_en": _Case("en", _with_long_silences),
    "telephone_en": _Case("en", _telephone),
    "three_languages": _Case("mixed", _three_languages),
    "nothing_zeros": _Case(None, lambda shelf: (np.zeros(60 * SAMPLE_RATE_HZ), "")),
    "nothing_white_noise": _Case(None, lambda shelf: (_NOISE_LEVEL * _white(60), "")),
    "nothing_pink_noise": _Case(
        None, lambda shelf: (_NOISE_LEVEL * _pink(60 * SAMPLE_RATE_HZ), "")
    ),
    "nothing_ringing": _Case(None, _ringing),
    "nothing_hum": _Case(None, _hum),
}


def make_hard_cases(recordings: Sequence[Recording], folder: Path, only: str) -> list[Recording]:
    """Write the cases whose name contains `only` to `folder` as WAV, and return them."""
    shelf = _Shelf(recordings)
    found = []
    for name, case in _CASES.items():
        path = folder / f"{name}.wav"
        if only in path.name:
            signal, reference = case.make(shelf)
            _write(path, signal)
            found.append(Recording(path, case.language, reference))
    return found


def _signal(pcm: Pcm) -> Signal:
    return pcm.astype(np.float64) / _FULL_SCALE


def _one_after_another(parts: Sequence[tuple[Signal, str]]) -> tuple[Signal, str]:
    signals, references = zip(*parts, strict=True)
    return np.concatenate(signals), "\n".join(references)


def _mix(speech: Signal, other: Signal) -> Signal:
    """Return speech with something else under it, `_SNR_DB` below, without clipping."""
    factor = _rms(speech) / _rms(other) * 10 ** (-_SNR_DB / 20)
    mixed: Signal = speech + factor * other
    return mixed / max(1.0, float(np.abs(mixed).max()))


def _rms(signal: Signal) -> float:
    return float(np.sqrt(np.mean(np.square(signal))))


def _white(seconds: int) -> Signal:
    """Return white noise of rms 1."""
    return np.random.default_rng(_SEED).standard_normal(seconds * SAMPLE_RATE_HZ)


def _pink(num_samples: int) -> Signal:
    """Return noise of rms 1 whose power falls with frequency, as that of rooms and streets."""
    white = np.random.default_rng(_SEED).standard_normal(num_samples)
    spectrum = np.fft.rfft(white)
    hertz = np.maximum(np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ), 20.0)
    noise = np.fft.irfft(spectrum / np.sqrt(hertz), num_samples)
    return noise / _rms(noise)


def _write(path: Path, signal: Signal) -> None:
    pcm = np.round(np.clip(signal, -1, 1) * _FULL_SCALE).astype("<i2")
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(SAMPLE_RATE_HZ)
        target.writeframes(pcm.tobytes())
